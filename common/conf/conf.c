/*
 * conf.c - libconfig files to typed values, with errors that name file and
 * line.
 * SPDX-License-Identifier: ISC
 */
#include <config.h>

#include <errno.h>
#include <libgen.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <libconfig.h>

#include "common/base/fd.h"
#include "common/base/log.h"
#include "common/base/text.h"
#include "common/conf/conf-files.h"
#include "common/conf/conf.h"
#include "common/conf/twice.h"

/* Room for "FILE:LINE". */
#define WHERE_MAX	(CONF_STRING_MAX + 16)

struct conf {
	config_t files[CONF_FILES_MAX];
	size_t count;
	bool only_files;	/* Anything else, as a pipe, is an error. */
};

/* --- places and complaints --------------------------------------------- */

static const config_setting_t *
setting_of(const struct conf_group *group)
{
	return (const config_setting_t *)group;
}

static const struct conf_group *
group_of(const config_setting_t *setting)
{
	return (const struct conf_group *)setting;
}

static const char *
where(const config_setting_t *s, char *out, size_t size)
{
	const char *file = config_setting_source_file(s);

	(void)snprintf(out, size, "%s:%u", file == NULL ? "?" : file,
	    config_setting_source_line(s));
	return out;
}

const char *
conf_group_where(const struct conf_group *group, char *out, size_t size)
{
	return where(setting_of(group), out, size);
}

const char *
conf_key_where(const struct conf_group *group, const char *name, char *out,
    size_t size)
{
	const config_setting_t *s = config_setting_get_member(
	    setting_of(group), name);

	return where(s == NULL ? setting_of(group) : s, out, size);
}

/* See conf_first_failure(); it has a text once there was one. */
static struct failure first;

const struct failure *
conf_first_failure(void)
{
	return first.text[0] == '\0' ? NULL : &first;
}

int
conf_failure(const char *place, const struct failure *f)
{
	struct log_field fields[2];
	struct log_event e = { .level = LOG_LEVEL_ERROR,
	    .name = "config-error", .fields = fields };
	char sentence[FAILURE_MAX], text[WHERE_MAX + FAILURE_MAX + 2];
	int error = errno;

	if (first.text[0] == '\0') {
		first = *f;
		failure_about(&first, "%s%s%s", place, *place == '\0' ||
		    f->about[0] == '\0' ? "" : ": ", f->about);
	}
	if (*place != '\0')
		fields[e.count++] = (struct log_field){ "place", place,
		    strlen(place) };
	if (f->hint[0] != '\0')
		fields[e.count++] = (struct log_field){ "hint", f->hint,
		    strlen(f->hint) };
	(void)snprintf(text, sizeof text, "%s%s%s", place, *place == '\0' ?
	    "" : ": ", failure_sentence(f, sentence));
	e.text = text;
	(void)log_emit(&e);
	errno = error;
	return 1;
}

int
conf_error(const char *place, const char *format, ...)
{
	struct failure f;
	va_list ap;

	va_start(ap, format);
	failure_vset(&f, 0, format, ap);
	va_end(ap);
	return conf_failure(place, &f);
}

int
conf_warning(FILE *out, const char *place, const char *format, ...)
{
	bool somewhere = place != NULL && *place != '\0';
	char text[PATH_MAX + 512], shown[LOG_TEXT_MAX];
	va_list ap;

	va_start(ap, format);
	(void)vsnprintf(text, sizeof text, format, ap);
	va_end(ap);
	(void)fprintf(out, "%s%s%s\n", somewhere ? place : "",
	    somewhere ? ": " : "", text_printable(shown, sizeof shown, text,
	    strlen(text)));
	return 1;
}

/* The same, at the place of "s". */
static int
conf_tell(const config_setting_t *s, const struct failure *f)
{
	char place[WHERE_MAX];

	return conf_failure(where(s, place, sizeof place), f);
}

int
conf_complain(const struct conf_group *group, const char *name,
    const char *format, ...)
{
	const config_setting_t *s = setting_of(group), *member = NULL;
	struct failure f;
	va_list ap;

	va_start(ap, format);
	failure_vset(&f, 0, format, ap);
	va_end(ap);
	if (name != NULL) {
		failure_about(&f, "%s", name);
		if (config_setting_is_group(s))
			member = config_setting_get_member(s, name);
	}
	return conf_tell(member == NULL ? s : member, &f);
}

/* --- files ------------------------------------------------------------- */

/* What libconfig says of the text of "path". */
static void
explain_text(const config_t *c, const char *path, struct failure *why)
{
	const char *text = config_error_text(c);
	const config_setting_t *s;
	char place[WHERE_MAX];

	if (strcmp(text, "duplicate setting name") != 0) {
		failure_set(why, 0, "%s", text);
		/* A missing semicolon is found at the word after it. */
		failure_hint(why, "look at this line, and at the end of the "
		    "one before");
	} else if ((s = twice_first(c, path)) == NULL) {
		failure_set(why, 0, "a key of this line is set for the second "
		    "time in the same group");
		failure_hint(why, "remove one of the two");
	} else {
		failure_set(why, 0, "set for the second time: it is set at %s "
		    "already", where(s, place, sizeof place));
		failure_about(why, "%s", config_setting_name(s));
		failure_hint(why, "remove one of the two");
	}
}

/* Parse one more file. */
static int
add_file(struct conf *conf, const char *path)
{
	config_t *c = &conf->files[conf->count];
	char place[WHERE_MAX], copy[PATH_MAX], *from;
	const char *file;
	struct failure why;
	int error;

	errno = 0;
	if (conf->count == CONF_FILES_MAX) {
		(void)conf_error(path, "more than %d configuration files",
		    CONF_FILES_MAX);
		return -1;
	}
	/* A longer path than this cannot be opened. */
	(void)snprintf(copy, sizeof copy, "%s", path);
	from = dirname(copy);
	if (conf_files_check(path, from, conf->only_files, &why) == -1) {
		(void)conf_failure("", &why);
		return -1;
	}
	config_init(c);
	conf->count++;
	config_set_include_dir(c, from);
	errno = 0;
	if (config_read_file(c, path) == CONFIG_TRUE)
		return 0;
	if ((file = config_error_file(c)) == NULL)
		file = path;
	if (config_error_type(c) == CONFIG_ERR_FILE_IO) {
		error = errno;
		(void)conf_error("", "cannot read the configuration %s: %s",
		    file, strerror(error));
		errno = error;
		return -1;
	}
	(void)snprintf(place, sizeof place, "%s:%d", file,
	    config_error_line(c));
	explain_text(c, path, &why);
	(void)conf_failure(place, &why);
	errno = 0;
	return -1;
}

static int
add_directory(struct conf *conf, const char *directory)
{
	char **paths = fd_list(directory, ".conf");
	int result = 0;

	if (paths == NULL && errno == ENOENT)
		return 0;
	if (paths == NULL) {
		(void)conf_error("", "cannot read the directory %s: %s",
		    directory, strerror(errno));
		return -1;
	}
	for (char **p = paths; *p != NULL && result == 0; p++)
		result = add_file(conf, *p);
	fd_list_free(paths);
	return result;
}

static struct conf *
open_all(const char *path, const char *directory, bool only_files)
{
	struct conf *conf = calloc(1, sizeof *conf);
	int error;

	if (conf == NULL) {
		log_errno("cannot read the configuration %s", path);
		return NULL;
	}
	conf->only_files = only_files;
	if (add_file(conf, path) == 0 &&
	    (directory == NULL || add_directory(conf, directory) == 0))
		return conf;
	error = errno;
	conf_close(conf);
	errno = error;
	return NULL;
}

struct conf *
conf_open(const char *path, const char *directory)
{
	return open_all(path, directory, false);
}

struct conf *
conf_reopen(const char *path, const char *directory)
{
	return open_all(path, directory, true);
}

void
conf_close(struct conf *conf)
{
	if (conf == NULL)
		return;
	for (size_t i = 0; i < conf->count; i++)
		config_destroy(&conf->files[i]);
	free(conf);
}

/* --- values ------------------------------------------------------------ */

/* Say that "s" is no key of "table", and which of them may be meant. */
static int
complain_unknown(const config_setting_t *s, const struct conf_key *table,
    size_t n)
{
	const char *name = config_setting_name(s);
	const char *meant = text_closest(name, &table->name, n, sizeof *table);
	struct failure f;

	failure_set(&f, 0, "unknown key \"%s\"", name);
	if (meant != NULL)
		failure_hint(&f, "did you mean \"%s\"?", meant);
	else
		failure_hint(&f, "the manual page says which keys stand here");
	return conf_tell(s, &f);
}

static int
read_group(const config_setting_t *group, const struct conf_key *table,
    size_t n, void *base)
{
	int count = config_setting_length(group), errors = 0;
	struct failure why;

	for (int i = 0; i < count; i++) {
		const config_setting_t *s = config_setting_get_elem(group,
		    (unsigned)i);
		const struct conf_key *key = table;

		while (key < table + n &&
		    strcmp(key->name, config_setting_name(s)) != 0)
			key++;
		if (key == table + n)
			errors += complain_unknown(s, table, n);
		else if (value_read(s, key, base, &why) == -1) {
			failure_about(&why, "%s", key->name);
			errors += conf_tell(s, &why);
		}
	}
	return errors;
}

int
conf_read(struct conf *conf, const struct conf_key *table, size_t n,
    void *base)
{
	int errors = 0;

	for (size_t i = 0; i < conf->count; i++)
		errors += read_group(config_root_setting(&conf->files[i]),
		    table, n, base);
	return errors;
}

int
conf_read_group(const struct conf_group *group, const struct conf_key *table,
    size_t n, void *base)
{
	return read_group(setting_of(group), table, n, base);
}

/* --- lists of groups --------------------------------------------------- */

static int
each_entry(const config_setting_t *list, const char *name, conf_each_fn *each,
    void *context)
{
	int count = config_setting_length(list), errors = 0;

	for (int i = 0; i < count; i++) {
		const config_setting_t *s = config_setting_get_elem(list,
		    (unsigned)i);
		const char *text = value_string(s);

		if (config_setting_is_group(s) == CONFIG_TRUE)
			errors += each(context, group_of(s), NULL);
		else if (text != NULL)
			errors += each(context, group_of(list), text);
		else
			errors += conf_complain(group_of(s), NULL, "%s: an "
			    "entry of it must be a group in braces", name);
	}
	return errors;
}

int
conf_each_in(const struct conf_group *group, const char *name,
    conf_each_fn *each, void *context)
{
	const config_setting_t *list = config_setting_get_member(
	    setting_of(group), name);

	return list == NULL ? 0 : each_entry(list, name, each, context);
}

int
conf_each(struct conf *conf, const char *name, conf_each_fn *each,
    void *context)
{
	int errors = 0;

	/* The main file, which is the first, comes last. */
	for (size_t i = 1; i <= conf->count; i++)
		errors += conf_each_in(group_of(config_root_setting(
		    &conf->files[i % conf->count])), name, each, context);
	return errors;
}

bool
conf_has(const struct conf_group *group, const char *name)
{
	return config_setting_get_member(setting_of(group), name) != NULL;
}

const char *
conf_where(struct conf *conf, const char *name, char *out, size_t size)
{
	const config_setting_t *s = NULL;

	/* The last file that sets it is the one that counts. */
	for (size_t i = conf->count; i > 0 && s == NULL; i--)
		s = config_setting_get_member(config_root_setting(
		    &conf->files[i - 1]), name);
	if (s != NULL)
		return where(s, out, size);
	*out = '\0';
	return out;
}
