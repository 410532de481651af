/*
 * split.h - a line of a prompt or a script into words.
 * SPDX-License-Identifier: ISC
 */
#ifndef AIS_SPLIT_H
#define AIS_SPLIT_H

#include <stdbool.h>
#include <stddef.h>

#include "common/base/words.h"

/*
 * As words_split(), of which "*words" are; "*at" is where in "line" that stands
 * which is wrong.  The home directory needs no shell: "*tilde" says that the
 * word of "cd" begins with a "~" that was not quoted.
 */
enum words_error split_line(const char *line, char ***words, size_t *count,
    size_t *at, bool *tilde);

#endif
