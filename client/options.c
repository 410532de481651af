/*
 * options.c - a command line by a table of options.
 * SPDX-License-Identifier: ISC
 */
#include <config.h>

#include <getopt.h>
#include <stdarg.h>
#include <stdbool.h>
#include <string.h>

#include "common/base/number.h"
#include "common/base/text.h"
#include "common/conf/value.h"

#include "client/core/memory.h"
#include "client/core/outcome.h"
#include "client/core/settings.h"

#include "client/options.h"

#define SEE		"aisc --help"
/* The most rows of a table, and what getopt_long(3) calls the first of them
 * that has no letter. */
#define ROWS_MAX	64
#define NO_LETTER	256
/* A year is no limit. */
#define SECONDS_MAX	(INT64_C(365) * 86400)
/* Where the words of --help begin, unless the options need more. */
#define HELP_COLUMN	30

int
options_usage(const char *see, const char *format, ...)
{
	char text[OUTCOME_TEXT_MAX / 4], shown[OUTCOME_TEXT_MAX];
	va_list ap;

	va_start(ap, format);
	(void)vsnprintf(text, sizeof text, format, ap);
	va_end(ap);
	outcome_say("usage: %s%s%s", text_printable(shown, sizeof shown, text,
	    strlen(text)), see == NULL ? "" : "; see ", see == NULL ? "" : see);
	return -1;
}

int
options_number(const char *see, const char *name, const char *text,
    int64_t min, int64_t max, int64_t *v)
{
	if (number_whole(text, min, max, v) == 0)
		return 0;
	return options_usage(see, "%s takes a number from %lld to %lld and "
	    "not \"%s\"", name, (long long)min, (long long)max, text);
}

static int
option_seconds(const char *name, const char *text, int64_t *ms)
{
	int64_t value;

	if (value_seconds(text, &value) == -1 || value > SECONDS_MAX * 1000)
		return options_usage(SEE, "%s takes seconds, or a time as in "
		    "\"10 min\", of a year at most, and not \"%s\"", name,
		    text);
	*ms = value;
	return 0;
}

/* Set what "row" is for to "text".  0, or -1 after a message. */
static int
option_set(const struct option_row *row, void *base, const char *text)
{
	void *place = (char *)base + row->offset;
	char name[64];

	(void)snprintf(name, sizeof name, "--%s", row->name);
	switch (row->kind) {
	case OPTION_FLAG:
		*(bool *)place = true;
		return 0;
	case OPTION_TEXT:
		memory_set(place, text);
		return 0;
	case OPTION_NUMBER:
		return options_number(SEE, name, text, row->min, row->max,
		    place);
	case OPTION_SECONDS:
		return option_seconds(name, text, place);
	case OPTION_VARIABLE:
		if (settings_add_environment(place, text) == 0)
			return 0;
		return options_usage(SEE, "%s takes NAME=VALUE and not \"%s\"",
		    name, text);
	}
	return -1;
}

/* Make what getopt_long(3) wants of the table. */
static void
option_tables(const struct option_row *rows, size_t count, char *letters,
    struct option *longs)
{
	/* "+": options end at the first other word.  ":": the messages are
	 * ours. */
	*letters++ = '+';
	*letters++ = ':';
	memset(longs, 0, (count + 1) * sizeof *longs);
	for (size_t i = 0; i < count; i++) {
		longs[i].name = rows[i].name;
		longs[i].has_arg = rows[i].argument != NULL;
		longs[i].val = rows[i].letter == 0 ? NO_LETTER + (int)i :
		    rows[i].letter;
		if (rows[i].letter == 0)
			continue;
		*letters++ = (char)rows[i].letter;
		if (rows[i].argument != NULL)
			*letters++ = ':';
	}
	*letters = '\0';
}

static const struct option_row *
option_find(const struct option_row *rows, int c)
{
	if (c >= NO_LETTER)
		return &rows[c - NO_LETTER];
	while (rows->letter != c)
		rows++;
	return rows;
}

/* Say what is wrong with "word", after getopt_long(3) has returned '?'. */
static int
option_unknown(const struct option_row *rows, size_t count, const char *word)
{
	char name[64];
	const char *close;

	if (strncmp(word, "--", 2) != 0)
		return options_usage(SEE, "unknown option -%c", optopt);
	if (optopt != 0)
		return options_usage(SEE, "--%s takes no value",
		    option_find(rows, optopt)->name);
	(void)snprintf(name, sizeof name, "%.*s", (int)strcspn(word, "="),
	    word);
	close = text_closest(name + 2, &rows->name, count, sizeof *rows);
	if (close == NULL)
		return options_usage(SEE, "unknown option %s", name);
	return options_usage(NULL, "unknown option %s; did you mean --%s?",
	    name, close);
}

int
options_take(const struct option_row *rows, size_t count, void *base,
    int argc, char **argv)
{
	char letters[2 * ROWS_MAX + 3];
	struct option longs[ROWS_MAX + 1];
	const struct option_row *row;
	int c, result = 0;

	option_tables(rows, count, letters, longs);
	optind = 0;		/* Begin anew. */
	while ((c = getopt_long(argc, argv, letters, longs, NULL)) != -1) {
		if (c == ':' || c == '?') {
			if (result == 0)
				result = c == '?' ? option_unknown(rows, count,
				    argv[optind - 1]) : options_usage(SEE,
				    "%s needs a value", argv[optind - 1]);
			continue;
		}
		row = option_find(rows, c);
		if ((result == 0 || row->kind == OPTION_FLAG) &&
		    option_set(row, base, optarg) == -1)
			result = -1;
	}
	return result == -1 ? -1 : optind;
}

void
options_help(const struct option_row *rows, size_t count, FILE *out)
{
	int width = 0;

	for (const struct option_row *r = rows; r < rows + count; r++) {
		width += fprintf(out, "%s", width == 0 ? "  " : ", ");
		if (r->letter != 0)
			width += fprintf(out, "-%c, ", r->letter);
		width += fprintf(out, "--%s%s%s", r->name,
		    r->argument == NULL ? "" : " ",
		    r->argument == NULL ? "" : r->argument);
		if (r->help == NULL)
			continue;
		(void)fprintf(out, "%*s %s\n", width < HELP_COLUMN ?
		    HELP_COLUMN - width : 1, "", r->help);
		width = 0;
	}
}
