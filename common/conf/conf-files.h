/*
 * conf-files.h - whether libconfig can read a file and what it includes.
 * SPDX-License-Identifier: ISC
 */
#ifndef AIS_CONF_FILES_H
#define AIS_CONF_FILES_H

#include <stdbool.h>

#include "common/base/failure.h"

/* A longer file than any configuration, in bytes. */
#define CONF_FILE_MAX		(64 * 1024 * 1024)

/*
 * Read "path", and what it includes, from the directory "from", to the end:
 * libconfig ends the program where it cannot.  "only_files": a pipe or a
 * terminal, which could make the reader wait, is an error; otherwise it is
 * left to libconfig, as is an include that is not there.  0; or -1 with
 * the reason in "why", which names the file, and errno set, or 0 where the
 * text is wrong.
 */
int conf_files_check(const char *path, const char *from, bool only_files,
    struct failure *why);

#endif
