/*
 * unit.h - what the unit tests share: cmocka's many headers, random numbers
 * that are the same at every run, a private directory, and captured messages.
 * SPDX-License-Identifier: ISC
 */
#ifndef AIS_UNIT_H
#define AIS_UNIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

/*
 * An entry of a table of tests that is left out where there is a reason
 * against it: a string, or NULL.  TAP counts what skip of cmocka prints, "not
 * ok", as a failure.
 */
#define unit_test_unless(reason, name, enter, leave) \
	((reason) == NULL ? \
	    (struct CMUnitTest){ #name, name, enter, leave, NULL } : \
	    (struct CMUnitTest){ unit_skipped(#name, reason), unit_nothing, \
		NULL, NULL, NULL })

static inline void
unit_nothing(void **state)
{
	(void)state;
}

/* What TAP calls a test that is left out. */
static inline const char *
unit_skipped(const char *name, const char *reason)
{
	static char room[4096];
	static size_t used;
	char *text = room + used;

	used += 1 + (size_t)snprintf(text, sizeof room - used, "%s # SKIP %s",
	    name, reason);
	assert_true(used <= sizeof room);
	return text;
}

/* The next number of the sequence that begins with "*state" (splitmix64). */
static inline uint64_t
unit_random(uint64_t *state)
{
	uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

/* A number below "n". */
static inline size_t
unit_below(uint64_t *state, size_t n)
{
	return (size_t)(unit_random(state) % n);
}

static inline void
unit_fill(uint64_t *state, void *bytes, size_t n)
{
	uint8_t *p = bytes;

	while (n-- > 0)
		*p++ = (uint8_t)unit_random(state);
}

/* Room for the name of a private directory. */
#define UNIT_PATH_MAX	256

/* Make a private directory, and enter it. */
static inline void
unit_enter(char path[UNIT_PATH_MAX])
{
	const char *top = getenv("TMPDIR");

	(void)snprintf(path, UNIT_PATH_MAX, "%s/ais-unit-XXXXXX",
	    top == NULL ? "/tmp" : top);
	assert_non_null(mkdtemp(path));
	assert_int_equal(chdir(path), 0);
}

/* May every user write to "path" or to a directory above it? */
static inline bool
unit_is_open(const char *path)
{
	char name[2 * UNIT_PATH_MAX + 64];
	struct stat st;

	(void)snprintf(name, sizeof name, "%s", path);
	for (;;) {
		if (stat(name, &st) == -1 || (st.st_mode & S_IWOTH) != 0)
			return true;
		if (name[1] == '\0')
			return false;
		name[strrchr(name, '/') == name ? 1 :
		    strrchr(name, '/') - name] = '\0';
	}
}

/* Where root keeps what is its own, or the home, if no other user may write
 * there; or NULL. */
static inline const char *
unit_trusted_top(void)
{
	const char *tops[] = { "/var/lib", "/opt", getenv("HOME") };

	for (size_t i = 0; i < sizeof tops / sizeof *tops; i++) {
		if (tops[i] != NULL && access(tops[i], W_OK) == 0 &&
		    !unit_is_open(tops[i]))
			return tops[i];
	}
	return NULL;
}

/* Why unit_enter_trusted() cannot be called; or NULL. */
static inline const char *
unit_lacks_trusted(void)
{
	return unit_trusted_top() != NULL ? NULL :
	    "needs a directory that not every user may write to";
}

/* The same as unit_enter(), where no other user may write. */
static inline void
unit_enter_trusted(char path[UNIT_PATH_MAX])
{
	(void)snprintf(path, UNIT_PATH_MAX, "%s/ais-unit-XXXXXX",
	    unit_trusted_top());
	assert_non_null(mkdtemp(path));
	assert_int_equal(chmod(path, 0755), 0);
	assert_int_equal(chdir(path), 0);
}

/* Leave it, and remove it with all that is in it. */
static inline void
unit_leave(const char *path)
{
	char command[UNIT_PATH_MAX + 16];

	assert_int_equal(chdir("/"), 0);
	(void)snprintf(command, sizeof command, "rm -rf '%s'", path);
	assert_int_equal(system(command), 0);
}

/* Write a file of the current directory. */
static inline void
unit_write(const char *name, const char *text)
{
	FILE *f = fopen(name, "w");

	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
}

/* The whole of a file, NUL terminated; the caller frees it. */
static inline char *
unit_read(const char *name)
{
	FILE *f = fopen(name, "r");
	size_t size = 1 << 20, n;
	char *text = malloc(size);

	assert_non_null(f);
	assert_non_null(text);
	n = fread(text, 1, size - 1, f);
	text[n] = '\0';
	assert_int_equal(fclose(f), 0);
	return text;
}

#endif
