/*
 * text.c - foreign bytes as printable text, UTF-8, and small words of English.
 *
 * SPDX-License-Identifier: ISC
 */
#include <config.h>

#include <stdio.h>
#include <string.h>

#include "common/base/text.h"

/* Longer words are not compared with names. */
#define CLOSEST_MAX	63

uint32_t
text_character(const void *bytes, size_t n, size_t *length)
{
	static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	const uint8_t *p = bytes;
	size_t k = p[0] < 0x80 ? 1 : p[0] < 0xc2 ? 0 : p[0] < 0xe0 ? 2 :
	    p[0] < 0xf0 ? 3 : p[0] < 0xf5 ? 4 : 0;
	uint32_t c;

	*length = 1;
	if (k == 0 || k > n)
		return TEXT_NO_CHARACTER;
	c = k == 1 ? p[0] : p[0] & (0x7fu >> k);
	for (size_t i = 1; i < k; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return TEXT_NO_CHARACTER;
		c = c << 6 | (p[i] & 0x3f);
	}
	if (c < least[k] || c > 0x10ffff || (c >= 0xd800 && c < 0xe000))
		return TEXT_NO_CHARACTER;
	*length = k;
	return c;
}

/* Can "c" be shown as it is?  Not C0 and C1 controls; marks and overrides of
 * direction; ends of line. */
static bool
is_safe(uint32_t c)
{
	return c >= 0x20 && !(c >= 0x7f && c < 0xa0) && c != 0x61c &&
	    !(c >= 0x200b && c <= 0x200f) && !(c >= 0x2028 && c <= 0x202e) &&
	    !(c >= 0x2060 && c <= 0x206f) && c != 0xfeff &&
	    !(c >= 0xfff0 && c <= 0xfffb) && c < 0xe0000;
}

/* Write the escape of one byte to "out"; returns its length, at most 4. */
static size_t
escape_byte(char out[5], unsigned char c)
{
	const char *named = "\\\\\"\"\nn\rr\tt";

	for (const char *p = named; *p != '\0'; p += 2) {
		if ((unsigned char)*p == c) {
			out[0] = '\\';
			out[1] = p[1];
			return 2;
		}
	}
	return (size_t)snprintf(out, 5, "\\x%02x", c);
}

/* How many of "n" bytes from "p" on are nothing but themselves. */
static size_t
plain_run(const unsigned char *p, size_t n)
{
	size_t i = 0;

	while (i < n && p[i] >= 0x20 && p[i] < 0x7f && p[i] != '\\' &&
	    p[i] != '"')
		i++;
	return i;
}

/* As text_escape_whole(), or, without "quotes", as text_printable(). */
static bool
put_escaped(char *out, size_t size, const void *bytes, size_t n, bool quotes)
{
	const unsigned char *p = bytes;
	/* What can be kept where "..." follows; and what is, if it has to. */
	size_t most = size > 4 ? size - 4 : 0, kept = 0, used = 0, length;
	char piece[5];

	if (size == 0)
		return false;
	for (size_t i = 0, taken, run; i < n; i += taken) {
		const void *from = p + i;

		/* Most of what is logged needs no second look. */
		run = plain_run(p + i, n - i < size - used - 1 ? n - i :
		    size - used - 1);
		taken = length = run;
		if (run == 0 && (!is_safe(text_character(p + i, n - i,
		    &length)) || (quotes && (p[i] == '\\' || p[i] == '"')))) {
			length = escape_byte(piece, p[i]);
			from = piece;
			taken = 1;
		} else if (run == 0)
			taken = length;
		if (length >= size - used) {
			(void)snprintf(out + kept, size - kept, "...");
			return false;
		}
		memcpy(out + used, from, length);
		if (used + length <= most)
			kept = used + length;
		else if (run > 0 && used < most)
			kept = most;
		used += length;
	}
	out[used] = '\0';
	return true;
}

bool
text_escape_whole(char *out, size_t size, const void *bytes, size_t n)
{
	return put_escaped(out, size, bytes, n, true);
}

char *
text_escape(char *out, size_t size, const void *bytes, size_t n)
{
	(void)put_escaped(out, size, bytes, n, true);
	return out;
}

char *
text_printable(char *out, size_t size, const void *bytes, size_t n)
{
	(void)put_escaped(out, size, bytes, n, false);
	return out;
}

/* May "c", which is not 0, stand in a logfmt line without quotes? */
static bool
is_bare(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
	    (c >= '0' && c <= '9') || strchr("_@%+,-./:", c) != NULL;
}

/* As strspn(3) by is_bare(), which would build a table for each value. */
static size_t
bare_length(const char *value)
{
	size_t n = 0;

	while (value[n] != '\0' && is_bare(value[n]))
		n++;
	return n;
}

/* Add "n" bytes at "p"; returns what follows. */
static char *
text_put_bytes(char *p, const char *bytes, size_t n)
{
	memcpy(p, bytes, n);
	return p + n;
}

bool
text_put_field(char *out, size_t limit, size_t *used, const char *name,
    const char *value)
{
	size_t name_length = strlen(name), length = strlen(value);
	size_t blank = *used > 0;
	size_t quote = length == 0 || bare_length(value) < length ? 1 : 0;
	char *p = out + *used;

	if (blank + name_length + 1 + quote + length + quote >= limit - *used)
		return false;
	p = text_put_bytes(p, " ", blank);
	p = text_put_bytes(p, name, name_length);
	p = text_put_bytes(p, "=", 1);
	p = text_put_bytes(p, "\"", quote);
	p = text_put_bytes(p, value, length);
	p = text_put_bytes(p, "\"", quote);
	*used = (size_t)(p - out);
	return true;
}

size_t
text_columns(const char *text, size_t n)
{
	size_t columns = 0;

	while (n-- > 0)
		columns += ((unsigned char)*text++ & 0xc0) != 0x80;
	return columns;
}

size_t
text_list_length(char *const *list)
{
	size_t n = 0;

	while (list != NULL && list[n] != NULL)
		n++;
	return n;
}

bool
text_list_has(const char *const *list, const char *text)
{
	while (*list != NULL && strcmp(*list, text) != 0)
		list++;
	return *list != NULL;
}

char *
text_count(char out[TEXT_COUNT_MAX], double n, const char *unit)
{
	(void)snprintf(out, TEXT_COUNT_MAX, "%.15g %s%s", n, unit,
	    n < 1 || n > 1 ? "s" : "");
	return out;
}

static size_t
smaller(size_t a, size_t b)
{
	return a < b ? a : b;
}

/* How many letters to add, drop, replace, or swap with the next one, to make
 * "a" of "b"; both are at most CLOSEST_MAX long. */
static size_t
distance(const char *a, const char *b)
{
	size_t d[CLOSEST_MAX + 1][CLOSEST_MAX + 1];
	size_t rows = strlen(a), columns = strlen(b);

	for (size_t i = 0; i <= rows; i++) {
		for (size_t k = 0; k <= columns; k++) {
			if (i == 0 || k == 0) {
				d[i][k] = i + k;
				continue;
			}
			d[i][k] = smaller(d[i - 1][k - 1] +
			    (a[i - 1] != b[k - 1]),
			    smaller(d[i - 1][k], d[i][k - 1]) + 1);
			if (i > 1 && k > 1 && a[i - 1] == b[k - 2] &&
			    a[i - 2] == b[k - 1])
				d[i][k] = smaller(d[i][k],
				    d[i - 2][k - 2] + 1);
		}
	}
	return d[rows][columns];
}

const char *
text_closest(const char *word, const char *const *names, size_t count,
    size_t stride)
{
	/* A short word has few letters to be recognized by. */
	size_t n = strlen(word), least = (n + 2) / 4 + 1;
	const char *closest = NULL;

	for (size_t i = 0; i < count && n <= CLOSEST_MAX; i++) {
		const char *name = *(const char *const *)(const void *)(
		    (const char *)names + i * stride);

		if (name == NULL || strlen(name) > CLOSEST_MAX ||
		    distance(word, name) >= least)
			continue;
		least = distance(word, name);
		closest = name;
	}
	return closest;
}
