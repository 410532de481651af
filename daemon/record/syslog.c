/*
 * syslog.c - the system's syslog as a sink of the log.
 *
 * SPDX-License-Identifier: ISC
 */
#include <config.h>

#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "common/base/log.h"
#include "daemon/record/datagram.h"
#include "daemon/record/syslog.h"

/* "daemon", as RFC 3164, section 4.1.1 numbers it. */
#define FACILITY	3

/* What stands before the text; returns its length. */
static size_t
format_head(char *out, size_t size, const struct datagram_sink *s,
    const struct log_event *e)
{
	static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
	time_t seconds = (time_t)(e->time_us / 1000000);
	struct tm tm;
	int n;

	if (localtime_r(&seconds, &tm) == NULL)
		memset(&tm, 0, sizeof tm);
	n = snprintf(out, size, "<%d>%.3s %2d %02d:%02d:%02d %s[%ld]: ",
	    FACILITY << 3 | (int)e->level, months + (size_t)tm.tm_mon * 3,
	    tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec, s->ident,
	    (long)getpid());
	return n < 0 ? 0 : (size_t)n < size ? (size_t)n : size - 1;
}

static int
syslog_take(void *context, const struct log_event *e)
{
	static char line[LOG_LINE_MAX];
	struct datagram_sink *s = context;
	char head[128];
	/* Time and level stand in the head. */
	size_t n = log_format(line, sizeof line, e, false);
	struct iovec parts[2] = {
		{ head, format_head(head, sizeof head, s, e) },
		{ line, n - 1 }		/* Without the newline. */
	};
	struct msghdr m = { .msg_iov = parts, .msg_iovlen = 2 };

	return datagram_sink_send(s, &m);
}

struct log_sink *
syslog_open(const char *path, const char *ident)
{
	static struct datagram_sink s;

	/* localtime_r(3) need not look at the time zone. */
	tzset();
	return datagram_sink_open(&s, "syslog", syslog_take, path, ident);
}
