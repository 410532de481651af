/*
 * common/log: foreign bytes as printable text, and the line of an event whose
 * fields they are.  What is written is turned back by code that shares
 * nothing with the module.
 * SPDX-License-Identifier: ISC
 */
#include <config.h>

#include <stdlib.h>
#include <string.h>

#include "common/base/log.h"
#include "common/base/text.h"

#include "tests/fuzz/fuzz.h"

const size_t fuzz_mutations = 6000;

#define FIELDS_MAX	6
#define LINE_SIZE	(8 * LOG_VALUE_MAX)

static int
digit(char c)
{
	const char *digits = "0123456789abcdef", *p = strchr(digits, c);

	must(c != '\0' && p != NULL);
	return (int)(p - digits);
}

/* The bytes that the text of "n" bytes stands for; the caller frees them. */
static char *
turn_back(const char *text, size_t n, size_t *size)
{
	const char *end = text + n;
	char *out = malloc(n + 1), *p = out;

	must(out != NULL);
	while (text < end) {
		if (*text != '\\') {
			*p++ = *text++;
			continue;
		}
		must(end - text >= 2);
		if (text[1] == 'x') {
			must(end - text >= 4);
			*p++ = (char)(digit(text[2]) << 4 | digit(text[3]));
			text += 4;
			continue;
		}
		*p++ = text[1] == 'n' ? '\n' : text[1] == 'r' ? '\r' :
		    text[1] == 't' ? '\t' : text[1];
		must(strchr("nrt\\\"", text[1]) != NULL);
		text += 2;
	}
	*size = (size_t)(p - out);
	return out;
}

/* Does "text" stand for all of the bytes? */
static bool
stands_for(const char *text, size_t n, const void *bytes, size_t size)
{
	size_t back_size;
	char *back = turn_back(text, n, &back_size);
	bool same = back_size == size && memcmp(back, bytes, size) == 0;

	free(back);
	return same;
}

/* Is it a beginning of "whole", with "..." after it? */
static bool
is_cut(const char *text, const char *whole)
{
	size_t n = strlen(text);

	return n <= 3 ? strcmp(text, &"..."[3 - n]) == 0 :
	    strcmp(text + n - 3, "...") == 0 &&
	    memcmp(text, whole, n - 3) == 0;
}

static void
check_escape(const uint8_t *bytes, size_t n, size_t small)
{
	size_t size = TEXT_ESCAPED_MAX(n);
	char *whole = malloc(size), *cut = malloc(small);

	must(whole != NULL && cut != NULL);
	must(text_escape(whole, size, bytes, n) == whole);
	must(fuzz_is_printable(whole, strlen(whole)));
	must(stands_for(whole, strlen(whole), bytes, n));
	must(text_escape(cut, small, bytes, n) == cut);
	must(fuzz_is_printable(cut, strlen(cut)));
	if (strlen(whole) < small)
		must(strcmp(cut, whole) == 0);
	else
		must(is_cut(cut, whole));
	free(whole);
	free(cut);
}

/* What is printable is left as it is; what is not is as text_escape() has it,
 * but for quotes and backslashes. */
static void
check_printable(const char *text)
{
	size_t size = TEXT_ESCAPED_MAX(strlen(text));
	char *out = malloc(size), *again = malloc(size);

	must(out != NULL && again != NULL);
	must(text_printable(out, size, text, strlen(text)) == out);
	must(fuzz_is_printable(out, strlen(out)));
	must(strcmp(text_printable(again, size, out, strlen(out)), out) == 0);
	if (strpbrk(text, "\\\"") == NULL)
		must(stands_for(out, strlen(out), text, strlen(text)));
	if (fuzz_is_printable(text, strlen(text)))
		must(strcmp(out, text) == 0);
	free(again);
	free(out);
}

/* --- lines ---------------------------------------------------------------- */

/* Take "name=value" and the blank before it off the front of "*line"; the
 * value without its quotes.  Whether it stood there. */
static bool
take_field(const char **line, const char *name, const char **value, size_t *n)
{
	size_t length = strlen(name);
	const char *p = *line, *end;

	p += *p == ' ';
	if (strncmp(p, name, length) != 0 || p[length] != '=')
		return false;
	p += length + 1;
	if (*p != '"') {
		*value = p;
		*n = strcspn(p, " \n");
		must(*n > 0 && memchr(p, '"', *n) == NULL &&
		    memchr(p, '\\', *n) == NULL);
		*line = p + *n;
		return true;
	}
	for (end = ++p; *end != '"'; end += *end == '\\' ? 2 : 1)
		must(*end != '\0' && *end != '\n');
	*value = p;
	*n = (size_t)(end - p);
	*line = end + 1;
	must(**line == ' ' || **line == '\n');
	return true;
}

/* Is "name" on the list "cut" of "n" bytes? */
static bool
is_named(const char *cut, size_t n, const char *name)
{
	size_t length = strlen(name);

	for (size_t i = 0; i + length <= n; i++) {
		if ((i == 0 || cut[i - 1] == ',') && memcmp(cut + i, name,
		    length) == 0 && (i + length == n || cut[i + length] == ','))
			return true;
	}
	return false;
}

/* A value that is not all there is named as cut. */
static void
check_value(const struct log_field *f, const char *value, size_t n,
    const char *cut, size_t cut_size)
{
	if (!stands_for(value, n, f->value, f->length)) {
		must(is_named(cut, cut_size, f->name));
		must(n >= 3 && memcmp(value + n - 3, "...", 3) == 0);
	} else
		must(!is_named(cut, cut_size, f->name));
}

/* Each field is in the line, up to where the line says that it is cut. */
static void
check_fields(const char *line, const struct log_event *e)
{
	const char *values[FIELDS_MAX + 1], *p = line, *cut = "", *skipped;
	size_t sizes[FIELDS_MAX + 1], count = 0, cut_size = 0, n;
	const struct log_field text = { "msg", e->text, strlen(e->text) };

	if (!take_field(&p, "time", &skipped, &n) ||
	    !take_field(&p, "level", &skipped, &n) ||
	    !take_field(&p, "event", &skipped, &n))
		must(strcmp(p, " cut=true\n") == 0);
	while (count < e->count && take_field(&p, e->fields[count].name,
	    &values[count], &sizes[count]))
		count++;
	if (count == e->count && take_field(&p, "msg", &values[count],
	    &sizes[count]))
		count++;
	if (*p != '\n')
		must(take_field(&p, "cut", &cut, &cut_size));
	must(strcmp(p, "\n") == 0);
	if (cut_size == 4 && memcmp(cut, "true", 4) == 0)
		return;
	must(count == e->count + 1);
	for (size_t i = 0; i < e->count; i++)
		check_value(&e->fields[i], values[i], sizes[i], cut, cut_size);
	check_value(&text, values[e->count], sizes[e->count], cut, cut_size);
}

static void
check_line(struct input *in)
{
	static const char *const names[FIELDS_MAX] = { "peer", "argv", "user",
	    "directory", "reason", "line" };
	static char line[LINE_SIZE];
	struct log_field fields[FIELDS_MAX];
	size_t size = 512 + input_u16(in) % (sizeof line - 511), n;
	struct log_event e = { .level = (enum log_level)(LOG_LEVEL_ERROR +
	    input_u8(in) % 5),
	    .name = "fuzz", .fields = fields,
	    .count = input_u8(in) % (FIELDS_MAX + 1),
	    .time_us = (int64_t)input_u16(in) << (input_u8(in) % 47) };
	char *text = input_text(in), *out = malloc(size);

	must(out != NULL);
	for (size_t i = 0; i < e.count; i++) {
		fields[i].name = names[i];
		fields[i].length = input_u16(in);
		fields[i].value = input_bytes(in, &fields[i].length);
	}
	e.text = text;
	n = log_format(out, size, &e, true);
	must(n < size && n == strlen(out));
	must(out[n - 1] == '\n' && fuzz_is_printable(out, n - 1));
	check_fields(out, &e);
	free(text);
	free(out);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data, size };
	size_t small = (size_t)input_u8(&in) + 1;
	char *text;

	check_escape(in.p, in.left, small);
	check_line(&in);
	in = (struct input){ data, size };
	text = input_text(&in);
	check_printable(text);
	free(text);
	return 0;
}
