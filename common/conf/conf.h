/*
 * conf.h - libconfig files to typed values, with errors that name file and
 * line.
 * SPDX-License-Identifier: ISC
 *
 * A configuration is one file, with what it includes, and the files of a
 * directory, in the order of their names.  A later file's value replaces an
 * earlier one's.  Of lists of groups those of the directory come first, so that
 * a catch-all at the end of the one file hides none of them.  A table says
 * which keys there are; a key that is in no table is an error.
 */
#ifndef AIS_CONF_H
#define AIS_CONF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "common/base/failure.h"
#include "common/conf/value.h"

struct conf;
struct conf_group;		/* A group of values in a file. */

/* The most files of one configuration. */
#define CONF_FILES_MAX		256

/*
 * Parse "path", its includes, and the files named *.conf in "directory" (NULL:
 * none; a directory that is not there is none).  NULL after a message, with
 * errno being that of the call that failed, or 0 where the text is wrong.
 */
struct conf *conf_open(const char *path, const char *directory);

/* The same without waiting: a pipe, or anything else that is no file, in the
 * place of one of them is an error. */
struct conf *conf_reopen(const char *path, const char *directory);
void conf_close(struct conf *conf);

/*
 * Read the top level of every file into "base" by "table" of "n" keys.  Keys
 * that no file sets keep what "base" holds; a string that is replaced is freed
 * first, so it must be NULL or from malloc(3).  Returns the number of errors,
 * each after a message.
 */
int conf_read(struct conf *conf, const struct conf_key *table, size_t n,
    void *base);

/* The same for one group. */
int conf_read_group(const struct conf_group *group,
    const struct conf_key *table, size_t n, void *base);

/*
 * Call "each" for every group of the list "name", at the top level of every
 * file of the directory and then of the main one, or within "group".  An entry
 * that is a string and no group is passed as "text", with "group" being the
 * list that it stands in, good for conf_complain() alone.  Returns the sum of
 * what "each" returns, which is a number of errors, plus the errors found here.
 */
typedef int conf_each_fn(void *context, const struct conf_group *group,
    const char *text);
int conf_each(struct conf *conf, const char *name, conf_each_fn *each,
    void *context);
int conf_each_in(const struct conf_group *group, const char *name,
    conf_each_fn *each, void *context);

/* Does a file set "name"?  Where, for messages: "FILE:LINE" or "". */
bool conf_has(const struct conf_group *group, const char *name);
const char *conf_where(struct conf *conf, const char *name, char *out,
    size_t size);
/* The same of a key in a group, which is where the group begins if it does not
 * set that; and of the group itself. */
const char *conf_key_where(const struct conf_group *group, const char *name,
    char *out, size_t size);
const char *conf_group_where(const struct conf_group *group, char *out,
    size_t size);

/* A message about the key "name" (NULL: none) in "group", after its place.
 * Returns 1, to be added to a number of errors. */
int conf_complain(const struct conf_group *group, const char *name,
    const char *format, ...) __attribute__((format(printf, 3, 4)));

/*
 * The same for a place that is given, as "FILE:LINE" or "FILE", or "" for
 * none: an event named "config-error", with the hint in a field of its own.
 * Returns 1; errno is kept.
 */
int conf_failure(const char *place, const struct failure *f);

/* The first failure that the function above was told, with its place before
 * what it is about; NULL: there was none. */
const struct failure *conf_first_failure(void);

/*
 * Write a line to "out" about what is valid but probably not intended, to be
 * logged as a warning: the text, escaped, after the "place" as above; NULL is
 * "".
 * Returns 1, to be added to a number of warnings.
 */
int conf_warning(FILE *out, const char *place, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* As conf_failure(), for one without a hint. */
int conf_error(const char *place, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#endif
