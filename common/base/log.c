/*
 * log.c - events, and the sinks that they go to.
 *
 * SPDX-License-Identifier: ISC
 */
#include <config.h>

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/base/text.h"
#include "common/base/log.h"

static struct log_sink *sinks;
static enum log_level max_level = LOG_LEVEL_INFO;
static const char *prefix = "";
static const struct log_kind *kinds;
static size_t kind_count;
static uint64_t lost_by_all;	/* Events that no sink took. */

/* An event that is held back, with its fields and all bytes after it. */
struct held {
	struct held *next;
	struct log_event event;
	struct log_field fields[];
};

static struct {			/* See log_hold(). */
	char *first;		/* NULL: nothing is held. */
	size_t size;
	struct held *events;
	struct held **end;
} hold;

const char *
log_level_name(enum log_level level)
{
	static const char *const names[] = {
		[LOG_LEVEL_ERROR] = "error", [LOG_LEVEL_WARNING] = "warning",
		[LOG_LEVEL_NOTICE] = "notice", [LOG_LEVEL_INFO] = "info",
		[LOG_LEVEL_DEBUG] = "debug"
	};

	return names[level];
}

char *
log_time(char out[LOG_TIME_MAX], int64_t time_us)
{
	time_t seconds = (time_t)(time_us / 1000000);
	struct tm tm;
	char day[24];

	if (gmtime_r(&seconds, &tm) == NULL ||
	    strftime(day, sizeof day, "%Y-%m-%dT%H:%M:%S", &tm) == 0) {
		out[0] = '\0';
		return out;
	}
	(void)snprintf(out, LOG_TIME_MAX, "%s.%06dZ", day,
	    (int)(time_us % 1000000));
	return out;
}

void
log_add_cut(char *cut, size_t size, const char *name)
{
	size_t used = strlen(cut);

	(void)snprintf(cut + used, size - used, "%s%s", used > 0 ? "," : "",
	    name);
}

size_t
log_format(char *out, size_t size, const struct log_event *e, bool dated)
{
	/* Room is kept for the mark of a cut and the newline. */
	size_t limit = size - sizeof " cut=true\n", used = 0;
	char time[LOG_TIME_MAX], value[LOG_VALUE_MAX], cut[256] = "";
	bool fits;

	fits = (!dated || (text_put_field(out, limit, &used, "time",
	    log_time(time, e->time_us)) &&
	    text_put_field(out, limit, &used, "level",
	    log_level_name(e->level)))) &&
	    text_put_field(out, limit, &used, "event", e->name);
	for (size_t i = 0; fits && i < e->count; i++) {
		if (!text_escape_whole(value, sizeof value,
		    e->fields[i].value, e->fields[i].length))
			log_add_cut(cut, sizeof cut, e->fields[i].name);
		fits = text_put_field(out, limit, &used, e->fields[i].name,
		    value);
	}
	if (!text_escape_whole(value, LOG_TEXT_MAX, e->text, strlen(e->text)))
		log_add_cut(cut, sizeof cut, "msg");
	fits = fits && text_put_field(out, limit, &used, "msg", value) &&
	    (cut[0] == '\0' || text_put_field(out, limit, &used, "cut", cut));
	if (!fits) {
		memcpy(out + used, " cut=true", 9);
		used += 9;
	}
	out[used++] = '\n';
	out[used] = '\0';
	return used;
}

size_t
log_show(char *out, const struct log_event *e)
{
	char text[TEXT_ESCAPED_MAX(LOG_TEXT_MAX)];
	int n = snprintf(out, LOG_SHOWN_MAX, "%s%s%s\n", prefix, e->level ==
	    LOG_LEVEL_WARNING ? "warning: " : "",
	    text_printable(text, sizeof text, e->text, strlen(e->text)));

	return n < 0 ? 0 : (size_t)n < LOG_SHOWN_MAX ? (size_t)n :
	    LOG_SHOWN_MAX - 1;
}

static int64_t
time_of_day_us(void)
{
	struct timespec ts;

	/* Without a part of a second, rather than with a wrong one. */
	if (clock_gettime(CLOCK_REALTIME, &ts) == -1)
		return (int64_t)time(NULL) * 1000000;
	return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

/* Give "e" the time, and the MESSAGE_ID and level of its kind, where it has
 * none of its own. */
static void
complete_event(struct log_event *e)
{
	e->time_us = time_of_day_us();
	for (size_t i = 0; i < kind_count; i++) {
		if (strcmp(kinds[i].name, e->name) != 0)
			continue;
		if (e->message_id == NULL)
			e->message_id = kinds[i].message_id;
		if (e->level == LOG_LEVEL_USUAL)
			e->level = kinds[i].level;
		return;
	}
}

/* Give "e" to a sink, and count it there if it is lost.  Whether the sink has
 * taken it. */
static bool
give_sink(struct log_sink *s, const struct log_event *e)
{
	if (s->take(s->context, e) == 0)
		return true;
	if (!s->failing)
		s->error = errno;
	s->failing = true;
	s->lost++;
	return false;
}

/*
 * Report a change of "about" to every sink that works, "about" itself first if
 * it does.  Returns false, without a report to the others, if "about" does not
 * take it.
 */
static bool
report_sink(const struct log_sink *about, enum log_level level,
    const char *state, const char *text)
{
	bool working = strcmp(state, "working") == 0;
	char lost[24], none[24];
	const struct log_field fields[] = {
		{ "sink", about->name, strlen(about->name) },
		{ "state", state, strlen(state) },
		{ "lost", lost, (size_t)snprintf(lost, sizeof lost, "%llu",
		    (unsigned long long)about->lost) },
		{ "nowhere", none, (size_t)snprintf(none, sizeof none, "%llu",
		    working ? (unsigned long long)lost_by_all : 0) },
	};
	struct log_event e = { .level = level, .name = "log-sink",
	    .text = text, .fields = fields,
	    .count = sizeof fields / sizeof fields[0] };

	complete_event(&e);
	if ((working || !about->failing) &&
	    about->take(about->context, &e) == -1)
		return false;
	for (struct log_sink *s = sinks; s != NULL; s = s->next) {
		if (s != about && !s->failing)
			(void)give_sink(s, &e);
	}
	return true;
}

void
log_sink_renewed(const struct log_sink *sink, const char *text)
{
	(void)report_sink(sink, LOG_LEVEL_WARNING, "renewed", text);
}

/* "s" was failing and has taken an event.  It works again once it has taken
 * the report of what is missing there as well. */
static void
recover_sink(struct log_sink *s)
{
	char text[LOG_TEXT_MAX], all[80] = "";

	if (lost_by_all > 0)
		(void)snprintf(all, sizeof all, ", and %llu of them "
		    "everywhere", (unsigned long long)lost_by_all);
	(void)snprintf(text, sizeof text, "%s can be written again; %llu "
	    "records are missing there%s", s->name,
	    (unsigned long long)s->lost, all);
	if (!report_sink(s, lost_by_all > 0 ? LOG_LEVEL_ERROR :
	    LOG_LEVEL_NOTICE, "working", text))
		return;
	s->failing = false;
	s->lost = 0;
	lost_by_all = 0;
}

/* Report each sink that has begun to fail; others may do so by that. */
static void
report_failing(void)
{
	char text[LOG_TEXT_MAX];
	struct log_sink *s = sinks;
	int error;

	while (s != NULL) {
		if ((error = s->error) == 0) {
			s = s->next;
			continue;
		}
		s->error = 0;
		(void)snprintf(text, sizeof text, "cannot write to %s: %s; "
		    "its records are lost until it can be written again",
		    s->name, error == EAGAIN ? "it does not take any more" :
		    strerror(error));
		(void)report_sink(s, LOG_LEVEL_ERROR, "failing", text);
		s = sinks;
	}
}

/* Copy "e" to those that are held back.  Whether there was memory. */
static bool
hold_event(const struct log_event *e)
{
	size_t fields = e->count * sizeof e->fields[0];
	size_t size = sizeof(struct held) + fields + strlen(e->text) + 1;
	struct held *h;
	char *p;

	for (size_t i = 0; i < e->count; i++)
		size += e->fields[i].length;
	if ((h = malloc(size)) == NULL)
		return false;
	h->next = NULL;
	h->event = *e;
	p = (char *)h->fields + fields;
	for (size_t i = 0; i < e->count; i++) {
		h->fields[i] = e->fields[i];
		h->fields[i].value = memcpy(p, e->fields[i].value,
		    e->fields[i].length);
		p += e->fields[i].length;
	}
	h->event.fields = h->fields;
	h->event.text = memcpy(p, e->text, strlen(e->text) + 1);
	*hold.end = h;
	hold.end = &h->next;
	return true;
}

void
log_hold(char *first, size_t size)
{
	hold.first = first;
	hold.size = size;
	hold.events = NULL;
	hold.end = &hold.events;
	*first = '\0';
}

void
log_release(bool emit)
{
	struct held *next;

	hold.first = NULL;
	for (struct held *h = hold.events; h != NULL; h = next) {
		next = h->next;
		if (emit)
			(void)log_emit(&h->event);
		free(h);
	}
	hold.events = NULL;
}

int
log_emit(struct log_event *e)
{
	char line[LOG_SHOWN_MAX];
	int taken = 0, keep = errno;

	if (hold.first != NULL) {
		if (hold.first[0] == '\0' && e->level == LOG_LEVEL_ERROR)
			(void)text_printable(hold.first, hold.size, e->text,
			    strlen(e->text));
		if (hold_event(e))
			return (int)log_sinks();
	}
	complete_event(e);
	if (sinks == NULL) {
		(void)log_show(line, e);
		taken += fputs(line, stderr) >= 0;
	}
	for (struct log_sink *s = sinks; s != NULL; s = s->next) {
		if (give_sink(s, e)) {
			taken += !s->shows;
			if (s->failing)
				recover_sink(s);
		}
		report_failing();
	}
	if (taken == 0)
		lost_by_all++;
	errno = keep;
	return taken;
}

void
log_set_kinds(const struct log_kind *table, size_t count)
{
	kinds = table;
	kind_count = count;
}

void
log_message(enum log_level level, const char *format, ...)
{
	struct log_event e = { .level = level, .name = "message" };
	char text[LOG_TEXT_MAX];
	va_list ap;

	if (level > max_level)
		return;
	va_start(ap, format);
	(void)vsnprintf(text, sizeof text, format, ap);
	va_end(ap);
	e.text = text;
	(void)log_emit(&e);
}

void
log_errno(const char *format, ...)
{
	const char *reason = strerror(errno);
	char text[LOG_TEXT_MAX];
	va_list ap;

	va_start(ap, format);
	(void)vsnprintf(text, sizeof text, format, ap);
	va_end(ap);
	log_error("%s: %s", text, reason);
}

void
log_set_sinks(struct log_sink *first)
{
	sinks = first;
	lost_by_all = 0;
}

size_t
log_sinks(void)
{
	size_t n = 0;

	for (const struct log_sink *s = sinks; s != NULL; s = s->next)
		n += !s->shows;
	return n == 0 ? 1 : n;
}

void
log_set_level(enum log_level level)
{
	max_level = level;
}

void
log_set_prefix(const char *text)
{
	prefix = text;
}
