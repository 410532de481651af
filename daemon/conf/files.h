/*
 * files.h - the files of TLS that aisd.conf names: who may read them, and a
 * context.
 * SPDX-License-Identifier: ISC
 */
#ifndef AIS_FILES_H
#define AIS_FILES_H

#include <stdbool.h>

struct settings;
struct settings_hope;
struct tls_context;

/*
 * Read certificate, key, authority and CRL, and check them and the key
 * file's mode.  While "serving" nothing is waited for: a pipe in the place of
 * a file is an error, and otherwise its writer has a minute.  The caller owns
 * the context.  NULL after a message, and "hope" is set.
 */
struct tls_context *files_load(const struct settings *s, bool serving,
    struct settings_hope *hope);

#endif
