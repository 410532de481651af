/* An argument that is the path of something below a directory.
 * SPDX-License-Identifier: ISC */
#include <config.h>

#include <string.h>

#include "common/wire/proto.h"
#include "daemon/exec/arena.h"
#include "daemon/rules/below.h"

/* The part of "path" after "directory", from which it climbs nowhere with "..";
 * NULL if it is elsewhere, or too long. */
static const char *
inside(const char *directory, const char *path)
{
	size_t n = strlen(directory);

	while (n > 1 && directory[n - 1] == '/')
		n--;
	if (*path == '/') {
		if (strncmp(path, directory, n) != 0 ||
		    (n > 1 && path[n] != '/' && path[n] != '\0'))
			return NULL;
		path += n;
	}
	if (strlen(path) > PROTO_PATH_MAX - 64)
		return NULL;
	for (const char *p = path; *p != '\0'; ) {
		size_t part = strcspn(p, "/");

		if (part == 2 && strncmp(p, "..", 2) == 0)
			return NULL;
		p += part + (p[part] == '/');
	}
	return path;
}

bool
below_has(const char *directory, const char *path)
{
	return inside(directory, path) != NULL;
}

/* The path without "." and "//"; NULL if memory is out. */
static char *
relative_path(const char *path, struct arena *a)
{
	char *out = arena_alloc(a, strlen(path) + 2), *p = out;

	if (out == NULL)
		return NULL;
	while (*path != '\0') {
		size_t part = strcspn(path, "/");

		if (part > 1 || (part == 1 && *path != '.')) {
			if (p > out)
				*p++ = '/';
			memcpy(p, path, part);
			p += part;
		}
		path += part + (path[part] == '/');
	}
	if (p == out)
		*p++ = '.';
	*p = '\0';
	return out;
}

/*
 * The program gets what the client has written, made absolute: for some a "/"
 * at the end, or a "/.", means something.
 */
int
below_plan(struct child_plan *plan, const struct below *b, struct arena *a,
    char **result)
{
	size_t fd = CHILD_PATH_FD + plan->below_count;
	struct child_path *p = &plan->below[plan->below_count];
	const char *path = b->word + b->skip, *directory = b->directory;
	const char *within = inside(directory, path);
	int skip = (int)b->skip;
	char *slash;

	p->below = directory;
	p->pin = b->pin;
	p->relative = within == NULL ? NULL : relative_path(within, a);
	if (p->relative == NULL)
		return -1;
	slash = strrchr(p->relative, '/');
	p->last = slash == NULL ? p->relative : slash + 1;
	p->directory = slash == NULL ? arena_printf(a, ".") :
	    arena_printf(a, "%.*s", (int)(slash - p->relative), p->relative);
	if (p->directory == NULL)
		return -1;
	p->way = arena_printf(a, "%s/%s", directory, p->directory);
	p->open_file = arena_printf(a, "%.*s/proc/self/fd/%zu", skip, b->word,
	    fd);
	p->open_place = arena_printf(a, "%.*s/proc/self/fd/%zu/%s", skip,
	    b->word, fd, p->last);
	*result = *path == '/' ? b->word : arena_printf(a, "%.*s%s%s%s", skip,
	    b->word, directory, directory[strlen(directory) - 1] == '/' ? "" :
	    "/", path);
	p->word = result;
	plan->below_count++;
	return p->way == NULL || p->open_file == NULL ||
	    p->open_place == NULL || *result == NULL ? -1 : 0;
}
