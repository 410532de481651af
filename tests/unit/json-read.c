/* What the writer of JSON has written, read again.
 * SPDX-License-Identifier: ISC */
#include <config.h>

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/json-read.h"

static const char base64_digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
    "abcdefghijklmnopqrstuvwxyz0123456789+/";

static const char *
skip_blanks(const char *p)
{
	return p + strspn(p, " \t\r\n");
}

/* Four hexadecimal digits; -1 if they are none. */
static int32_t
get_unit(const char *p)
{
	char digits[5] = "";

	if (strspn(p, "0123456789abcdefABCDEF") < 4)
		return -1;
	memcpy(digits, p, 4);
	return (int32_t)strtol(digits, NULL, 16);
}

/* The character after "\u", or two of them; "*p" goes to what follows. */
static int32_t
get_escaped(const char **p)
{
	int32_t c = get_unit(*p), low;

	if (c == -1)
		return -1;
	*p += 4;
	if (c < 0xd800 || c > 0xdfff)
		return c;
	if (c > 0xdbff || (*p)[0] != '\\' || (*p)[1] != 'u' ||
	    (low = get_unit(*p + 2)) < 0xdc00 || low > 0xdfff)
		return -1;
	*p += 6;
	return 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
}

/* A character as UTF-8, which is never longer than its escape. */
static char *
put_utf8(char *out, int32_t c)
{
	if (c < 0x80) {
		*out++ = (char)c;
		return out;
	}
	if (c < 0x800)
		*out++ = (char)(0xc0 | c >> 6);
	else {
		if (c < 0x10000)
			*out++ = (char)(0xe0 | c >> 12);
		else {
			*out++ = (char)(0xf0 | c >> 18);
			*out++ = (char)(0x80 | (c >> 12 & 0x3f));
		}
		*out++ = (char)(0x80 | (c >> 6 & 0x3f));
	}
	*out++ = (char)(0x80 | (c & 0x3f));
	return out;
}

/* The string at "p" into "out", and how long it is; returns what follows, or
 * NULL if there is no string. */
static const char *
get_string(const char *p, char *out, size_t *length)
{
	static const char names[] = "\"\\/bfnrt";
	static const char meant[] = "\"\\/\b\f\n\r\t";
	const char *name;
	char *begin = out;
	int32_t c;

	if (*p++ != '"')
		return NULL;
	while (*p != '"') {
		if ((unsigned char)*p < ' ')
			return NULL;
		if (*p != '\\') {
			*out++ = *p++;
			continue;
		}
		p += 2;
		if (p[-1] == 'u') {
			if ((c = get_escaped(&p)) == -1)
				return NULL;
			out = put_utf8(out, c);
		} else if (p[-1] != '\0' &&
		    (name = strchr(names, p[-1])) != NULL)
			*out++ = meant[name - names];
		else
			return NULL;
	}
	*length = (size_t)(out - begin);
	*out = '\0';
	return p + 1;
}

ssize_t
json_get(const char *text, const char *name, char *out)
{
	const char *p = skip_blanks(text);
	size_t length, wanted = strlen(name);

	if (*p != '{')
		return -1;
	do {
		bool ours;

		p = skip_blanks(p + 1);
		if ((p = get_string(p, out, &length)) == NULL)
			return -1;
		ours = length == wanted && memcmp(out, name, wanted) == 0;
		if (*(p = skip_blanks(p)) != ':')
			return -1;
		p = skip_blanks(p + 1);
		if ((p = get_string(p, out, &length)) == NULL)
			return -1;
		if (ours)
			return (ssize_t)length;
		p = skip_blanks(p);
	} while (*p == ',');
	return -1;
}

/* What a digit of base64 stands for; -1 if it is none. */
static int
digit_value(char c)
{
	const char *p = c == '\0' ? NULL : strchr(base64_digits, c);

	return p == NULL ? -1 : (int)(p - base64_digits);
}

/* Turn the base64 in "text" into its bytes, in their place; returns how many,
 * or -1 if it is none. */
static ssize_t
undo_base64(char *text)
{
	uint32_t bits = 0;
	int count = 0, value;
	char *out = text;
	const char *p = text;

	for (; (value = digit_value(*p)) != -1; p++) {
		bits = bits << 6 | (uint32_t)value;
		if ((count += 6) >= 8)
			*out++ = (char)(bits >> (count -= 8) & 0xff);
	}
	if (p[strspn(p, "=")] != '\0')
		return -1;
	*out = '\0';
	return out - text;
}

ssize_t
json_get_bytes(const char *text, const char *name, char *out)
{
	char longer[80];

	(void)snprintf(longer, sizeof longer, "%s_base64", name);
	if (json_get(text, longer, out) == -1)
		return json_get(text, name, out);
	return undo_base64(out);
}
