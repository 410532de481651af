/*
 * progress.c - how much of a request has passed, in a line on the terminal.
 * SPDX-License-Identifier: ISC
 */
#include <config.h>

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/pollset.h"

#include "client/core/signals.h"

#include "client/session/progress.h"

/* Unless it is asked for, it is shown after so many bytes and so long, in
 * ms. */
#define LEAST_BYTES	(1024 * 1024)
#define LEAST_TIME	1000
/* How long it stands before it is drawn again, in ms; and while nothing
 * moves. */
#define STANDS		200
#define STANDS_STILL	1000
/* In how many ms the rate follows most of a change. */
#define SMOOTH		2000.0
/* The columns of a terminal that does not know, and the most of a line. */
#define COLUMNS		80
#define LINE_SIZE	200
/* The bar, at its longest, and its least columns. */
#define FULL		"########################################"
#define EMPTY		"........................................"
#define BAR_MIN		8

void
progress_open(struct progress *p, enum settings_progress mode)
{
	memset(p, 0, sizeof *p);
	p->mode = mode;
	stream_open(&p->out, STDERR_FILENO, true);
	if (mode == PROGRESS_OFF)
		return;
	for (int fd = 0; fd <= STDERR_FILENO; fd++)
		p->terminal[fd] = isatty(fd) == 1;
	/* --progress shows it anywhere. */
	if (mode == PROGRESS_AUTO && !p->terminal[STDERR_FILENO])
		p->mode = PROGRESS_OFF;
}

void
progress_close(struct progress *p)
{
	stream_close(&p->out);
}

void
progress_begin(struct progress *p, bool input)
{
	struct stat st;
	off_t at;

	if (p->mode == PROGRESS_OFF)
		return;
	p->begun = true;
	p->counts_in = input && !p->terminal[STDIN_FILENO];
	p->size = -1;
	if (p->counts_in && fstat(STDIN_FILENO, &st) == 0 &&
	    S_ISREG(st.st_mode) &&
	    (at = lseek(STDIN_FILENO, 0, SEEK_CUR)) != -1 && at < st.st_size)
		p->size = st.st_size - at;
	p->in = p->out_bytes = p->drawn_bytes = 0;
	p->since = p->drawn = -1;
	p->midline = false;
}

/* --- what is drawn ----------------------------------------------------- */

/* How many bytes are those that matter most? */
static uint64_t
progress_bytes(const struct progress *p)
{
	return p->size >= 0 || p->in >= p->out_bytes ? p->in : p->out_bytes;
}

static const char *
progress_put_size(double bytes, char text[16])
{
	static const char *const units[] = { "B", "KiB", "MiB", "GiB", "TiB" };
	size_t unit = 0;

	while (bytes >= 1024 && unit + 1 < sizeof units / sizeof units[0]) {
		bytes /= 1024;
		unit++;
	}
	(void)snprintf(text, 16, "%.*f %s", unit > 0, bytes, units[unit]);
	return text;
}

static const char *
progress_put_time(int64_t seconds, char text[32])
{
	int hours = (int)(seconds / 3600), rest = (int)(seconds % 3600);

	if (hours > 0)
		(void)snprintf(text, 32, "%d:%02d:%02d", hours, rest / 60,
		    rest % 60);
	else
		(void)snprintf(text, 32, "%d:%02d", rest / 60, rest % 60);
	return text;
}

/* The rate follows what has passed since it was last drawn. */
static void
progress_measure(struct progress *p, int64_t now)
{
	int64_t from = p->drawn == -1 ? p->since : p->drawn;
	double ms = now > from ? (double)(now - from) : 1;
	double rate = (double)(progress_bytes(p) - p->drawn_bytes) * 1000 / ms;

	p->rate = p->drawn == -1 ? rate :
	    p->rate + (rate - p->rate) * ms / (ms + SMOOTH);
	p->drawn = now;
	p->drawn_bytes = progress_bytes(p);
}

/* The first part: what has passed, how fast, and for how long. */
static size_t
progress_put_counts(const struct progress *p, int64_t now, char line[LINE_SIZE])
{
	bool in = p->size >= 0 || p->in > 0, out = p->out_bytes > 0;
	char a[16], b[16], rate[16], elapsed[32];

	(void)snprintf(line, LINE_SIZE, "aisc: %s%s%s%s%s, %s/s, %s",
	    in ? progress_put_size((double)p->in, a) : "", in ? " sent" : "",
	    in && out ? ", " : "",
	    out ? progress_put_size((double)p->out_bytes, b) : "",
	    out ? " received" : "", progress_put_size(p->rate, rate),
	    progress_put_time((now - p->since) / 1000, elapsed));
	return strlen(line);
}

/* The second: how much of a known size that is, within "width" columns. */
static size_t
progress_put_bar(const struct progress *p, char line[LINE_SIZE], size_t n,
    size_t width)
{
	double part = p->in >= (uint64_t)p->size ? 1 :
	    (double)p->in / (double)p->size;
	char tail[64], left[32] = "?";
	int bar, full;

	if (p->rate >= 1)
		(void)progress_put_time((int64_t)((double)p->size * (1 - part) /
		    p->rate + 0.5), left);
	/* " [" and "]" stand around the bar. */
	bar = (int)width - (int)n - 3 - snprintf(tail, sizeof tail,
	    " %d%%, %s left", (int)(part * 100), left);
	if (bar > (int)sizeof FULL - 1)
		bar = (int)sizeof FULL - 1;
	full = (int)(part * bar);
	if (bar >= BAR_MIN)
		(void)snprintf(line + n, LINE_SIZE - n, " [%.*s%.*s]%s", full,
		    FULL, bar - full, EMPTY, tail);
	else
		(void)snprintf(line + n, LINE_SIZE - n, ",%s", tail);
	return strlen(line);
}

/* --- the terminal ------------------------------------------------------ */

/* The columns that a line may have without reaching the last. */
static size_t
progress_columns(void)
{
	struct winsize w;

	if (ioctl(STDERR_FILENO, TIOCGWINSZ, &w) == -1 || w.ws_col == 0)
		return COLUMNS - 1;
	return w.ws_col - 1u;
}

/* Put "n" columns in the place of what is shown.  A terminal that is stopped
 * misses some. */
static void
progress_put_line(struct progress *p, const char *line, size_t n, size_t width)
{
	size_t all = p->shown < width ? p->shown : width, done;
	char text[2 * LINE_SIZE];

	(void)snprintf(text, sizeof text, "\r%-*.*s%s", (int)(n > all ? n :
	    all), (int)n, line, n == 0 ? "\r" : "");
	/* One go: what it does not take now comes with the next. */
	(void)stream_write(&p->out, text, strlen(text), &done);
	p->shown = n;
}

static bool
progress_is_background(const struct progress *p)
{
	pid_t group = p->terminal[STDERR_FILENO] ?
	    tcgetpgrp(STDERR_FILENO) : -1;

	return group != -1 && group != getpgrp();
}

static void
progress_draw(struct progress *p, int64_t now)
{
	bool moved = progress_bytes(p) != p->drawn_bytes;
	size_t n, width = progress_columns();
	char line[LINE_SIZE];

	p->due = now + (moved ? STANDS : STANDS_STILL);
	progress_measure(p, now);
	if (p->midline || progress_is_background(p))
		return;
	n = progress_put_counts(p, now, line);
	if (p->size >= 0)
		n = progress_put_bar(p, line, n, width);
	progress_put_line(p, line, n < width ? n : width, width);
}

static void
progress_hide(struct progress *p)
{
	if (p->shown > 0)
		progress_put_line(p, "", 0, progress_columns());
}

/* --- in time ----------------------------------------------------------- */

static bool
progress_is_enough(const struct progress *p)
{
	return p->mode == PROGRESS_ON ||
	    p->in + p->out_bytes >= LEAST_BYTES;
}

void
progress_poll(const struct progress *p, struct pollset *ps)
{
	if (p->begun && p->since != -1 && progress_is_enough(p))
		pollset_deadline(ps, p->due);
}

void
progress_dispatch(struct progress *p, uint64_t in, uint64_t out)
{
	int64_t now;

	if (!p->begun)
		return;
	if (p->counts_in)
		p->in = in;
	if (!p->terminal[STDOUT_FILENO])
		p->out_bytes = out;
	if (p->in + p->out_bytes == 0)
		return;
	now = clock_now();
	if (p->since == -1) {
		p->since = now;
		p->due = now + (p->mode == PROGRESS_ON ? STANDS : LEAST_TIME);
	}
	if (!progress_is_enough(p))
		return;
	if (now >= p->due || (p->shown > 0 && signals_take(SIGWINCH)))
		progress_draw(p, now);
}

void
progress_make_way(struct progress *p, int fd, const void *bytes, size_t n)
{
	if (!p->begun || (fd == STDOUT_FILENO && !p->terminal[STDOUT_FILENO]))
		return;
	progress_hide(p);
	if (bytes != NULL && n > 0)
		p->midline = ((const char *)bytes)[n - 1] != '\n';
}

void
progress_end(struct progress *p)
{
	progress_hide(p);
	p->begun = false;
}
