/*
 * logjson.c - an event as a line of JSON.
 * SPDX-License-Identifier: ISC
 */
#include <config.h>

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "common/base/json.h"
#include "common/base/log.h"
#include "daemon/record/logjson.h"

/* The end of a value that was cut. */
#define DOTS	"..."

struct line {
	struct json json;
	long whole;		/* Where the last member ends. */
	bool full;		/* There is no room for more. */
	char cut[256];		/* The names of values that were cut. */
};

/* A member of at most "max" characters. */
static void
line_put(struct line *l, const char *name, const void *value, size_t n,
    size_t max)
{
	char part[LOG_VALUE_MAX], longer[80];
	size_t fits = json_fit(value, n, max - 1);

	if (l->full)
		return;
	if (fits < n) {
		fits = json_fit(value, n, max - sizeof DOTS);
		memcpy(part, value, fits);
		memcpy(part + fits, DOTS, sizeof DOTS - 1);
		value = part;
		n = fits + sizeof DOTS - 1;
		log_add_cut(l->cut, sizeof l->cut, name);
	}
	json_bytes(&l->json, name, value, n);
	if (!json_is_text(value, n)) {
		(void)snprintf(longer, sizeof longer, "%s_base64", name);
		json_base64(&l->json, longer, value, n);
	}
	/* A line is no longer than in logfmt, and ends with a whole member. */
	if (ftell(l->json.out) < LOG_LINE_MAX)
		l->whole = ftell(l->json.out);
	else {
		(void)fseek(l->json.out, l->whole, SEEK_SET);
		l->full = true;
	}
}

static void
line_put_text(struct line *l, const char *name, const char *value, size_t max)
{
	line_put(l, name, value, strlen(value), max);
}

size_t
logjson_format(char *out, const struct log_event *e)
{
	struct line l = { .json = { .out = fmemopen(out, LOGJSON_MAX, "w") } };
	char time[LOG_TIME_MAX];
	size_t length;

	if (l.json.out == NULL)
		return 0;
	json_open(&l.json, NULL, '{');
	line_put_text(&l, "time", log_time(time, e->time_us), LOG_VALUE_MAX);
	line_put_text(&l, "level", log_level_name(e->level), LOG_VALUE_MAX);
	line_put_text(&l, "event", e->name, LOG_VALUE_MAX);
	for (size_t i = 0; i < e->count; i++)
		line_put(&l, e->fields[i].name, e->fields[i].value,
		    e->fields[i].length, LOG_VALUE_MAX);
	line_put_text(&l, "msg", e->text, LOG_TEXT_MAX);
	if (l.full || l.cut[0] != '\0')
		json_text(&l.json, "cut", l.full ? "true" : l.cut);
	json_close(&l.json, '}');
	(void)fputc('\n', l.json.out);
	length = (size_t)ftell(l.json.out);
	return fclose(l.json.out) == 0 ? length : 0;
}
