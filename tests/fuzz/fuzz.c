/* What fuzz targets share: inputs cut into values, and checks.
 * SPDX-License-Identifier: ISC */
#include <config.h>

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/base/log.h"

#include "tests/fuzz/fuzz.h"

#define LINE_SIZE	(8 * LOG_VALUE_MAX)

size_t fuzz_messages;

void
fuzz_broken(const char *file, int line, const char *promise)
{
	fprintf(stderr, "%s:%d: broken: %s\n", file, line, promise);
	abort();
}

/* libconfig forgets the strings that it has read when it meets an error after
 * them.  LeakSanitizer asks here what is not to be counted. */
const char *__lsan_default_suppressions(void);

const char *
__lsan_default_suppressions(void)
{
	return "leak:strbuf_append\nleak:libconfig_yylex\n";
}

/* --- the input ------------------------------------------------------------ */

const uint8_t *
input_bytes(struct input *in, size_t *n)
{
	const uint8_t *p = in->p;

	if (*n > in->left)
		*n = in->left;
	in->p += *n;
	in->left -= *n;
	return p;
}

uint8_t
input_u8(struct input *in)
{
	size_t n = 1;
	const uint8_t *p = input_bytes(in, &n);

	return n == 1 ? *p : 0;
}

uint16_t
input_u16(struct input *in)
{
	uint16_t high = input_u8(in);

	return (uint16_t)(high << 8 | input_u8(in));
}

char *
input_text(struct input *in)
{
	const void *end = in->left == 0 ? NULL : memchr(in->p, '\0', in->left);
	size_t n = end == NULL ? in->left :
	    (size_t)((const uint8_t *)end - in->p);
	char *text = malloc(n + 1);

	must(text != NULL);
	if (n > 0)
		memcpy(text, in->p, n);
	text[n] = '\0';
	in->p += n + (end != NULL);
	in->left -= n + (end != NULL);
	return text;
}

char **
input_texts(struct input *in, size_t *count)
{
	char **list = calloc(in->left + 2, sizeof *list);

	must(list != NULL);
	*count = 0;
	while (in->left > 0)
		list[(*count)++] = input_text(in);
	return list;
}

void
fuzz_free_list(char **list)
{
	for (char **p = list; *p != NULL; p++)
		free(*p);
	free(list);
}

/* --- files ---------------------------------------------------------------- */

const char *
fuzz_file(const void *bytes, size_t n)
{
	static char path[64];
	static int fd = -1;

	if (fd == -1) {
		fd = memfd_create("input", MFD_CLOEXEC);
		must(fd != -1);
		(void)snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	}
	must(ftruncate(fd, 0) == 0);
	must(n == 0 || pwrite(fd, bytes, n, 0) == (ssize_t)n);
	return path;
}

FILE *
fuzz_write(struct writing *w)
{
	w->f = open_memstream(&w->text, &w->size);
	must(w->f != NULL);
	return w->f;
}

char *
fuzz_written(struct writing *w)
{
	must(fclose(w->f) == 0);
	return w->text;
}

/* --- text ----------------------------------------------------------------- */

/* The character at "*p" and its length in "*n"; UINT32_MAX if there is none. */
static uint32_t
decode(const unsigned char *p, size_t left, size_t *n)
{
	static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	uint32_t c;

	*n = p[0] < 0x80 ? 1 : p[0] >> 5 == 6 ? 2 : p[0] >> 4 == 14 ? 3 :
	    p[0] >> 3 == 30 ? 4 : 0;
	if (*n == 0 || *n > left)
		return UINT32_MAX;
	if (*n == 1)
		return p[0];
	c = p[0] & (0x7fu >> *n);
	for (size_t i = 1; i < *n; i++) {
		if (p[i] >> 6 != 2)
			return UINT32_MAX;
		c = c << 6 | (p[i] & 0x3f);
	}
	return c < least[*n] || c > 0x10ffff || c >> 11 == 0x1b ? UINT32_MAX :
	    c;
}

bool
fuzz_is_utf8(const char *text, size_t n)
{
	const unsigned char *p = (const unsigned char *)text;

	for (size_t i = 0, length; i < n; i += length) {
		if (decode(p + i, n - i, &length) == UINT32_MAX)
			return false;
	}
	return true;
}

bool
fuzz_is_printable(const char *text, size_t n)
{
	const unsigned char *p = (const unsigned char *)text;

	for (size_t i = 0, length; i < n; i += length) {
		uint32_t c = decode(p + i, n - i, &length);

		if (c == UINT32_MAX || c < 0x20 || (c >= 0x7f && c < 0xa0) ||
		    (c >= 0x200b && c <= 0x200f) ||
		    (c >= 0x2028 && c <= 0x202e) ||
		    (c >= 0x2066 && c <= 0x2069) || c == 0x061c || c == 0xfeff)
			return false;
	}
	return true;
}

bool
fuzz_is_tame(const uint8_t *text, size_t n)
{
	bool expressions = n > 0 && memchr(text, '~', n) != NULL;
	size_t brackets = 0, pluses = 0;

	for (size_t i = 0; i < n; i++) {
		size_t left = n - i - 1;

		if (text[i] == '@' || text[i] == '\0')
			return false;
		if (!expressions || left == 0)
			continue;
		/* {1,255}, \1, and what nests deeply. */
		if (text[i] == '{' && text[i + 1] >= ',' && text[i + 1] <= '9')
			return false;
		if (text[i] == '\\')
			return false;
		brackets += text[i] == '(';
		/* Each one in another doubles what the C library makes. */
		pluses += text[i] == '+';
	}
	return !expressions || (brackets < 24 && pluses < 8);
}

/* --- messages ------------------------------------------------------------- */

static fuzz_take_fn *take_further;

static int
take(void *context, const struct log_event *e)
{
	static char line[LINE_SIZE];
	size_t n = log_format(line, sizeof line, e, true);

	must(n > 0 && n < sizeof line && n == strlen(line));
	must(line[n - 1] == '\n');
	must(fuzz_is_printable(line, n - 1));
	fuzz_messages++;
	return take_further == NULL ? 0 : take_further(context, e);
}

void
fuzz_listen(fuzz_take_fn *further)
{
	static struct log_sink sink;

	log_set_sinks(NULL);
	sink = (struct log_sink){ .name = "fuzz", .take = take };
	take_further = further;
	log_set_sinks(&sink);
	fuzz_messages = 0;
}
