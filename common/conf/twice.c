/*
 * twice.c - where a name stands first that a file sets twice.
 * SPDX-License-Identifier: ISC
 *
 * libconfig itself is asked: it reads what stands before a name, and MARK in
 * the place of that name.  Where MARK comes to stand, there the name does.
 */
#include <config.h>

#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/fd.h"
#include "common/conf/conf-files.h"
#include "common/conf/twice.h"

/* A setting that no file has, and how it is set. */
#define MARK		"ais-second-time"
#define MARK_SET	MARK " = 0;"
/* For so many milliseconds the names of the line are tried: each takes a
 * reading of the file, and a daemon that runs may wait. */
#define PATIENCE	1000

/* What a name of libconfig begins with, and what follows beside that. */
#define FIRST_BYTES	"ABCDEFGHIJKLMNOPQRSTUVWXYZ" \
			"abcdefghijklmnopqrstuvwxyz*"
#define MORE_BYTES	FIRST_BYTES "0123456789_-"

/* The entry of "s" that has been read last; NULL: it has none. */
static config_setting_t *
last_entry(const config_setting_t *s)
{
	int n = config_setting_length(s);

	return n <= 0 || config_setting_is_array(s) ? NULL :
	    config_setting_get_elem(s, (unsigned)n - 1);
}

/*
 * The setting "name" of "c" in the group in which MARK comes to stand, at the
 * end of "text"; NULL: it has none yet, or MARK is part of a string or a
 * comment there.  A setting of "line" may be the one whose name MARK replaces.
 */
static const config_setting_t *
first_of(const config_t *c, const char *text, const char *name, unsigned line)
{
	const config_setting_t *s, *next, *found = NULL;
	bool before;
	int depth = 0;
	config_t part;

	config_init(&part);
	config_set_include_dir(&part, config_get_include_dir(c));
	(void)config_read_string(&part, text);
	for (s = config_root_setting(&part); (next = last_entry(s)) != NULL;
	    s = next)
		depth++;
	if (depth > 0 && config_setting_name(s) != NULL &&
	    strcmp(config_setting_name(s), MARK) == 0) {
		before = config_setting_get_member(config_setting_parent(s),
		    name) != NULL;
		found = config_root_setting(c);
		while (--depth > 0 && found != NULL)
			found = last_entry(found);
		if (found != NULL)
			found = config_setting_get_member(found, name);
		if (found != NULL && !before &&
		    config_setting_source_line(found) == line)
			found = NULL;
	}
	config_destroy(&part);
	return found;
}

/* Try each name in "line", whose text is "at" within "text". */
static const config_setting_t *
search(const config_t *c, char *text, char *at, unsigned line)
{
	char saved[sizeof MARK_SET], name[64];
	const config_setting_t *found = NULL;
	int64_t deadline = clock_in(PATIENCE);
	size_t n;

	while (found == NULL && !clock_past(deadline)) {
		at += strcspn(at, FIRST_BYTES "\n");
		if (*at == '\n' || *at == '\0')
			break;
		n = strspn(at, MORE_BYTES);
		if (n < sizeof name) {
			(void)snprintf(name, sizeof name, "%.*s", (int)n, at);
			memcpy(saved, at, sizeof saved);
			memcpy(at, MARK_SET, sizeof saved);
			found = first_of(c, text, name, line);
			memcpy(at, saved, sizeof saved);
		}
		at += n;
	}
	return found;
}

const config_setting_t *
twice_first(const config_t *c, const char *path)
{
	unsigned line = (unsigned)config_error_line(c);
	const char *file = config_error_file(c), *from;
	const config_setting_t *found = NULL;
	char joined[2 * PATH_MAX], *text, *room, *at;
	struct failure why;
	size_t size;

	/* An include is named as it stands there. */
	from = config_get_include_dir(c);
	if (file != NULL && *file != '/' && strcmp(file, path) != 0) {
		(void)snprintf(joined, sizeof joined, "%s/%s", from, file);
		path = joined;
	} else if (file != NULL)
		path = file;
	if (conf_files_check(path, from, true, &why) == -1 ||
	    (text = fd_read_file(path, CONF_FILE_MAX, &size)) == NULL)
		return NULL;
	if ((room = realloc(text, size + 1 + sizeof MARK_SET)) != NULL) {
		memset(room + size, 0, 1 + sizeof MARK_SET);
		at = text = room;
		for (unsigned i = 1; i < line && at != NULL; i++)
			at = (at = strchr(at, '\n')) == NULL ? NULL : at + 1;
		if (at != NULL)
			found = search(c, text, at, line);
	}
	free(text);
	return found;
}
