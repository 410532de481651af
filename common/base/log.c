#include <config.h>

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/base/text.h"

#include "common/base/log.h"

static struct log_sink *sinks[LOG_SINKS_MAX];
static size_t sink_count;
static enum log_level max_level = LOG_LEVEL_INFO;
static const char *prefix = "";
static const struct log_kind *kinds;
static size_t kind_count;
static uint64_t nowhere;	/* Events that no sink took. */
static struct {			/* See log_watch(). */
	char *first;
	size_t size;
	bool quietly;
} watch;

const char *
log_level_name(enum log_level level)
{
	switch (level) {
	case LOG_LEVEL_ERROR:
		return "error";
	case LOG_LEVEL_WARNING:
		return "warning";
	case LOG_LEVEL_NOTICE:
		return "notice";
	case LOG_LEVEL_INFO:
		return "info";
	case LOG_LEVEL_DEBUG:
		break;
	}
	return "debug";
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
log_format(char *out, size_t size, const struct log_event *e)
{
	/* Room is kept for the mark of a cut and the newline. */
	size_t limit = size - sizeof " cut=true\n", used = 0;
	char time[LOG_TIME_MAX], value[LOG_VALUE_MAX], cut[256] = "";
	bool fits;

	fits = text_put_field(out, limit, &used, "time",
	    log_time(time, e->time_us)) &&
	    text_put_field(out, limit, &used, "level",
	    log_level_name(e->level)) &&
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

/* Standard error, for as long as there is no sink. */
static bool
show(const struct log_event *e)
{
	char line[LOG_SHOWN_MAX];

	(void)log_show(line, e);
	return fputs(line, stderr) >= 0;
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

/* The MESSAGE_ID of events of this name, or NULL. */
static const char *
id_of(const char *name)
{
	for (size_t i = 0; i < kind_count; i++) {
		if (strcmp(kinds[i].name, name) == 0)
			return kinds[i].message_id;
	}
	return NULL;
}

/* What there is to say of a sink. */
struct report {
	enum log_level level;
	const char *state;	/* "failing", "working", "renewed". */
	uint64_t lost;		/* Events, there... */
	uint64_t nowhere;	/* ...and of them, everywhere. */
};

static void tell_failing(const struct log_sink *s, int error);

/* "s" has not taken a record, or a report of another sink; returns errno. */
static int
lose(struct log_sink *s)
{
	s->lost++;
	s->failing = true;
	return errno;
}

/* Tell every sink that works about "about", which may be one of them; where
 * it is the only one, its own records say that some are missing.  Whether that
 * one, if it works, has taken it; it is the first to get it. */
static bool
tell(const struct log_sink *about, const struct report *r, const char *text)
{
	int errors[LOG_SINKS_MAX] = { 0 };
	char lost[24], none[24];
	const struct log_field fields[] = {
		{ "sink", about->name, strlen(about->name) },
		{ "state", r->state, strlen(r->state) },
		{ "lost", lost, (size_t)snprintf(lost, sizeof lost, "%llu",
		    (unsigned long long)r->lost) },
		{ "nowhere", none, (size_t)snprintf(none, sizeof none, "%llu",
		    (unsigned long long)r->nowhere) },
	};
	struct log_event e = {
		.level = r->level, .name = "log-sink", .text = text,
		.message_id = id_of("log-sink"), .fields = fields,
		.count = sizeof fields / sizeof fields[0],
		.time_us = time_of_day_us()
	};

	if (!about->failing && about->take(about->context, &e) == -1)
		return false;
	for (size_t i = 0; i < sink_count; i++) {
		/* One that fails as well says so at its own next event. */
		if (sinks[i] != about && !sinks[i]->failing &&
		    sinks[i]->take(sinks[i]->context, &e) == -1)
			errors[i] = lose(sinks[i]);
	}
	/* Only now: all have to hear of "about" first. */
	for (size_t i = 0; i < sink_count; i++) {
		if (errors[i] != 0)
			tell_failing(sinks[i], errors[i]);
	}
	return true;
}

void
log_sink_renewed(const struct log_sink *sink, const char *text)
{
	const struct report r = { .level = LOG_LEVEL_WARNING,
	    .state = "renewed" };

	(void)tell(sink, &r, text);
}

static void
tell_failing(const struct log_sink *s, int error)
{
	const struct report r = { .level = LOG_LEVEL_ERROR,
	    .state = "failing", .lost = s->lost };
	char text[LOG_TEXT_MAX];

	(void)snprintf(text, sizeof text, "cannot write to %s: %s; its records "
	    "are lost until it can be written again", s->name,
	    error == EAGAIN ? "it does not take any more" : strerror(error));
	(void)tell(s, &r, text);
}

/* Whether the sink has taken that: it has to know what it has "lost". */
static bool
tell_working(const struct log_sink *s, uint64_t lost)
{
	const struct report r = { .level = nowhere > 0 ? LOG_LEVEL_ERROR :
	    LOG_LEVEL_NOTICE, .state = "working", .lost = lost,
	    .nowhere = nowhere };
	char text[LOG_TEXT_MAX], all[80] = "";

	if (nowhere > 0)
		(void)snprintf(all, sizeof all, ", and %llu of them "
		    "everywhere", (unsigned long long)nowhere);
	(void)snprintf(text, sizeof text, "%s can be written again; %llu "
	    "records are missing there%s", s->name,
	    (unsigned long long)lost, all);
	return tell(s, &r, text);
}

/* Give "e" to one sink, and keep account of its failing.  Whether it took. */
static bool
offer(struct log_sink *s, const struct log_event *e)
{
	bool failed = s->failing;
	uint64_t lost;
	int error;

	if (s->take(s->context, e) == -1) {
		error = lose(s);
		if (!failed)
			tell_failing(s, error);
		return false;
	}
	if (failed) {
		/* While that is told it may begin to fail again. */
		lost = s->lost;
		s->failing = false;
		s->lost = 0;
		if (tell_working(s, lost))
			nowhere = 0;
		else {
			s->failing = true;
			s->lost += lost;
		}
	}
	return true;
}

void
log_watch(char *first, size_t size, bool quietly)
{
	watch.first = first;
	watch.size = size;
	watch.quietly = quietly;
	if (first != NULL)
		*first = '\0';
}

int
log_emit(struct log_event *e)
{
	int taken = 0, keep = errno;

	if (watch.first != NULL) {
		if (watch.first[0] == '\0' && e->level == LOG_LEVEL_ERROR)
			(void)text_printable(watch.first, watch.size,
			    e->text, strlen(e->text));
		if (watch.quietly)
			return (int)log_sinks();
	}
	e->time_us = time_of_day_us();
	if (e->message_id == NULL)
		e->message_id = id_of(e->name);
	if (sink_count == 0)
		taken += show(e);
	for (size_t i = 0; i < sink_count; i++)
		taken += offer(sinks[i], e) && !sinks[i]->shows;
	if (taken == 0)
		nowhere++;
	errno = keep;
	return taken;
}

void
log_set_kinds(const struct log_kind *table, size_t count)
{
	kinds = table;
	kind_count = count;
}

static void __attribute__((format(printf, 2, 0)))
emit_message(enum log_level level, const char *format, va_list ap)
{
	struct log_event e = { .level = level, .name = "message" };
	char text[LOG_TEXT_MAX];

	if (level > max_level)
		return;
	(void)vsnprintf(text, sizeof text, format, ap);
	e.text = text;
	(void)log_emit(&e);
}

void
log_message(enum log_level level, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	emit_message(level, format, ap);
	va_end(ap);
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

int
log_add_sink(struct log_sink *sink)
{
	if (sink_count == LOG_SINKS_MAX)
		return -1;
	sinks[sink_count++] = sink;
	return 0;
}

void
log_reset(void)
{
	sink_count = 0;
	nowhere = 0;
}

size_t
log_sinks(void)
{
	size_t n = 0;

	for (size_t i = 0; i < sink_count; i++)
		n += !sinks[i]->shows;
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
