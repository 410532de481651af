/*
 * conf.h - libconfig files to typed values, with range checks and errors that
 * name file and line.  The only module that knows libconfig.
 *
 * A configuration is one file, with what it includes, and the files of a
 * directory, in the order of their names.  A later file's value replaces an
 * earlier one's; lists of groups are appended.  A table says which keys there
 * are; a key that is in no table is an error.
 */
#ifndef AIS_CONF_H
#define AIS_CONF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct conf;
struct conf_group;		/* A group of values in a file. */

/* The most files, groups, list entries and bytes of one string. */
#define CONF_FILES_MAX		256
#define CONF_STRING_MAX		4096

enum conf_type {
	CONF_BOOL,		/* bool */
	CONF_INT,		/* int64_t, between min and max */
	CONF_SECONDS,		/* int64_t milliseconds; a number or "1.5 s",
				 * "10 min", "2 h"; min and max in ms */
	CONF_SIZE,		/* int64_t bytes; a number or "16 KiB", "1 MiB",
				 * "2 GiB" */
	CONF_STRING,		/* char *, owned by the reader of the table */
	CONF_PATH,		/* char *, absolute; "" is NULL */
	CONF_STRINGS,		/* char **, NULL terminated; one string is a
				 * list of one */
	CONF_OCTAL,		/* int64_t; a string of octal digits */
	CONF_GROUPS		/* Read by conf_each(); no value here. */
};

/* One key: where its value goes in the caller's struct, and what it may be. */
struct conf_key {
	const char *name;
	enum conf_type type;
	size_t offset;
	int64_t min;
	int64_t max;
};

/*
 * Parse "path", its includes, and the files named *.conf in "directory" (NULL:
 * none; a directory that is not there is none).  NULL after a message, with
 * errno being that of the call that failed, or 0 where the text is wrong.
 */
struct conf *conf_open(const char *path, const char *directory);

/* The same without being kept waiting: a pipe, or what else is no file, in the
 * place of any of them is an error. */
struct conf *conf_reopen(const char *path, const char *directory);
void conf_close(struct conf *conf);

/* How many files were read, and the name of one. */
size_t conf_files(const struct conf *conf);
const char *conf_file(const struct conf *conf, size_t i);

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
 * file in turn, or within "group".  An entry that is a string and no group is
 * passed as "text", with "group" being the list that it stands in, good for
 * conf_complain() alone.  Returns the sum of what "each" returns, which is a
 * number of errors, plus the errors found here.
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
/* The same of a group: the place where it begins. */
const char *conf_group_where(const struct conf_group *group, char *out,
    size_t size);

/* A message about the key "name" in "group" (NULL: the group itself), with
 * the place before it.  Returns 1, to be added to a number of errors. */
int conf_complain(const struct conf_group *group, const char *name,
    const char *format, ...) __attribute__((format(printf, 3, 4)));

/*
 * The same for a place that is given, as "FILE:LINE" or "FILE", or "" for
 * none.  All that is wrong with a configuration is said by this: an event
 * named "config-error".
 */
int conf_error(const char *place, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Do "a" and "b" hold the same value of "key"?  CONF_GROUPS have none. */
bool conf_same(const struct conf_key *key, const void *a, const void *b);

/* Write the values of "base" in libconfig syntax, "indent" tabs deep. */
void conf_print(FILE *out, const struct conf_key *table, size_t n,
    const void *base, int indent);
/* Write one string as libconfig reads it back, with its quotes. */
void conf_print_string(FILE *out, const char *text);

/* A copy of "words", NULL terminated, as the value of a CONF_STRINGS key; NULL
 * if memory is out. */
char **conf_list(const char *const *words);

/* Free the strings that a table's values own, and set them to NULL. */
void conf_free_values(const struct conf_key *table, size_t n, void *base);

#endif
