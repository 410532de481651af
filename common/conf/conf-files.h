/*
 * conf-files.h - a part of conf: the files of which one of a configuration is
 * made, and whether reading them could wait.
 */
#ifndef AIS_CONF_FILES_H
#define AIS_CONF_FILES_H

#include <stddef.h>

/*
 * Look whether "path", and what it includes, from the directory "from", are
 * files: a pipe or a terminal in the place of one would keep whoever reads it
 * waiting, and libconfig opens includes by itself.  0; or -1 with a sentence
 * in "why" that names the file, and says the reason where it cannot be read.
 * An include that is not there is libconfig's to complain of.
 */
int conf_files_check(const char *path, const char *from, char *why,
    size_t size);

#endif
