#include <config.h>

#include <inttypes.h>
#include <string.h>

#include "client/outcome.h"

#include "client/json.h"

/* What stands for a byte that is no character. */
#define REPLACEMENT	0xfffd

/* Begin a member or an element. */
static void
begin(struct json *j, const char *name)
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
	begin(j, name);
	(void)fputc(bracket, j->out);
	j->more = false;
}

void
json_close(struct json *j, char bracket)
{
	(void)fputc(bracket, j->out);
	j->more = true;
}

/*
 * The UTF-8 character at "p" (RFC 3629); "*length" says how many of the "n"
 * bytes it takes, one if there is none.
 */
static uint32_t
decode(const uint8_t *p, size_t n, size_t *length)
{
	static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	size_t k = p[0] < 0x80 ? 1 : p[0] < 0xc2 ? 0 : p[0] < 0xe0 ? 2 :
	    p[0] < 0xf0 ? 3 : p[0] < 0xf5 ? 4 : 0;
	uint32_t c;

	*length = 1;
	if (k == 0 || k > n)
		return REPLACEMENT;
	c = k == 1 ? p[0] : p[0] & (0x7fu >> k);
	for (size_t i = 1; i < k; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return REPLACEMENT;
		c = c << 6 | (p[i] & 0x3f);
	}
	if (c < least[k] || c > 0x10ffff || (c >= 0xd800 && c < 0xe000))
		return REPLACEMENT;
	*length = k;
	return c;
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

	begin(j, name);
	(void)fputc('"', j->out);
	for (size_t i = 0; i < n; i += length)
		put_character(j->out, decode(p + i, n - i, &length));
	(void)fputc('"', j->out);
}

bool
json_is_text(const void *bytes, size_t n)
{
	const uint8_t *p = bytes;
	size_t length;

	for (size_t i = 0; i < n; i += length) {
		/* U+FFFD itself takes three bytes. */
		if (decode(p + i, n - i, &length) == REPLACEMENT &&
		    length == 1)
			return false;
	}
	return true;
}

void
json_base64(struct json *j, const char *name, const void *bytes, size_t n)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	    "abcdefghijklmnopqrstuvwxyz0123456789+/";
	const uint8_t *p = bytes;

	begin(j, name);
	(void)fputc('"', j->out);
	for (size_t i = 0; i < n; i += 3) {
		uint32_t v = (uint32_t)p[i] << 16;

		if (i + 1 < n)
			v |= (uint32_t)p[i + 1] << 8;
		if (i + 2 < n)
			v |= p[i + 2];
		(void)fputc(digits[v >> 18], j->out);
		(void)fputc(digits[v >> 12 & 63], j->out);
		(void)fputc(i + 1 < n ? digits[v >> 6 & 63] : '=', j->out);
		(void)fputc(i + 2 < n ? digits[v & 63] : '=', j->out);
	}
	(void)fputc('"', j->out);
}

void
json_text(struct json *j, const char *name, const char *text)
{
	json_bytes(j, name, text, strlen(text));
}

void
json_error(struct json *j, const struct outcome *o)
{
	char message[OUTCOME_TEXT_MAX];

	json_open(j, "error", '{');
	json_text(j, "code", outcome_class_name(o->class));
	json_text(j, "message", outcome_message(o, message));
	json_text(j, "hint", outcome_hint(o));
	json_close(j, '}');
}

void
json_integer(struct json *j, const char *name, int64_t v)
{
	begin(j, name);
	(void)fprintf(j->out, "%" PRId64, v);
}

void
json_bool(struct json *j, const char *name, bool v)
{
	begin(j, name);
	(void)fputs(v ? "true" : "false", j->out);
}

void
json_seconds(struct json *j, const char *name, int64_t us)
{
	begin(j, name);
	(void)fprintf(j->out, "%" PRId64 ".%06" PRId64, us / 1000000,
	    us % 1000000);
}
