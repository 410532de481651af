/* One JSON object, written member by member.
 * SPDX-License-Identifier: ISC */
#include <config.h>

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/text.h"

#include "common/base/json.h"

/* What stands for a byte that is no character. */
#define REPLACEMENT	0xfffd

static const char base64_digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
    "abcdefghijklmnopqrstuvwxyz0123456789+/";

/* Begin a member or an element. */
static void
json_begin(struct json *j, const char *name)
{
	if (j->more)
		(void)fputs(", ", j->out);
	j->more = true;
	if (name != NULL)
		(void)fprintf(j->out, "\"%s\": ", name);
}

void
json_open(struct json *j, const char *name, char bracket)
{
	json_begin(j, name);
	(void)fputc(bracket, j->out);
	j->more = false;
}

void
json_close(struct json *j, char bracket)
{
	(void)fputc(bracket, j->out);
	j->more = true;
}

/* The character at "p", or REPLACEMENT. */
static uint32_t
decode(const uint8_t *p, size_t n, size_t *length)
{
	uint32_t c = text_character(p, n, length);

	return c == TEXT_NO_CHARACTER ? REPLACEMENT : c;
}

/* How many characters put_character() writes. */
static size_t
width(uint32_t c)
{
	if (c == '"' || c == '\\')
		return 2;
	return c >= ' ' && c <= '~' ? 1 : c < 0x10000 ? 6 : 12;
}

static void
put_character(FILE *out, uint32_t c)
{
	if (c == '"' || c == '\\')
		(void)fprintf(out, "\\%c", (int)c);
	else if (c >= ' ' && c <= '~')
		(void)fputc((int)c, out);
	else if (c < 0x10000)
		(void)fprintf(out, "\\u%04x", c);
	else
		(void)fprintf(out, "\\u%04x\\u%04x",
		    0xd800 + ((c - 0x10000) >> 10), 0xdc00 + (c & 0x3ff));
}

void
json_bytes(struct json *j, const char *name, const void *bytes, size_t n)
{
	const uint8_t *p = bytes;
	size_t length;

	json_begin(j, name);
	(void)fputc('"', j->out);
	for (size_t i = 0; i < n; i += length)
		put_character(j->out, decode(p + i, n - i, &length));
	(void)fputc('"', j->out);
}

size_t
json_fit(const void *bytes, size_t n, size_t room)
{
	const uint8_t *p = bytes;
	size_t length, i = 0;

	while (i < n) {
		size_t more = width(decode(p + i, n - i, &length));

		if (more > room)
			break;
		room -= more;
		i += length;
	}
	return i;
}

bool
json_is_text(const void *bytes, size_t n)
{
	const uint8_t *p = bytes;
	size_t length;

	for (size_t i = 0; i < n; i += length) {
		if (text_character(p + i, n - i, &length) == TEXT_NO_CHARACTER)
			return false;
	}
	return true;
}

void
json_base64(struct json *j, const char *name, const void *bytes, size_t n)
{
	const uint8_t *p = bytes;

	json_begin(j, name);
	(void)fputc('"', j->out);
	for (size_t i = 0; i < n; i += 3) {
		uint32_t v = (uint32_t)p[i] << 16;

		if (i + 1 < n)
			v |= (uint32_t)p[i + 1] << 8;
		if (i + 2 < n)
			v |= p[i + 2];
		(void)fputc(base64_digits[v >> 18], j->out);
		(void)fputc(base64_digits[v >> 12 & 63], j->out);
		(void)fputc(i + 1 < n ? base64_digits[v >> 6 & 63] : '=',
		    j->out);
		(void)fputc(i + 2 < n ? base64_digits[v & 63] : '=', j->out);
	}
	(void)fputc('"', j->out);
}

void
json_text(struct json *j, const char *name, const char *text)
{
	json_bytes(j, name, text, strlen(text));
}

void
json_integer(struct json *j, const char *name, int64_t v)
{
	json_begin(j, name);
	(void)fprintf(j->out, "%" PRId64, v);
}

void
json_bool(struct json *j, const char *name, bool v)
{
	json_begin(j, name);
	(void)fputs(v ? "true" : "false", j->out);
}

void
json_seconds(struct json *j, const char *name, int64_t us)
{
	json_begin(j, name);
	(void)fprintf(j->out, "%" PRId64 ".%06" PRId64, us / 1000000,
	    us % 1000000);
}
