/*
 * logfile.c - a file as a sink of the log.
 * SPDX-License-Identifier: ISC
 */
#include <config.h>

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/failure.h"
#include "common/base/fd.h"
#include "common/base/log.h"
#include "daemon/record/logfile.h"
#include "daemon/record/logjson.h"

struct logfile {
	struct log_sink sink;
	int fd;			/* -1: a pipe without a reader. */
	enum logfile_form form;
	bool stream;		/* One of our own, open once and for all. */
	bool socket;		/* It is a socket. */
	bool torn;		/* The last line was not written whole. */
	char path[];
};

bool
logfile_is_stream(const char *path)
{
	return strcmp(path, LOGFILE_STDOUT) == 0 ||
	    strcmp(path, LOGFILE_STDERR) == 0;
}

/*
 * Open the same pipe, terminal or file once more.  Whether it blocks is a
 * property of the open file, which we share with others.  A socket cannot be
 * opened again, and does not need it: see write_all().
 */
static int
open_stream(const char *path)
{
	int fd = strcmp(path, LOGFILE_STDOUT) == 0 ? STDOUT_FILENO :
	    STDERR_FILENO;
	char name[32];
	struct stat st;

	if (fstat(fd, &st) == -1)
		return -1;
	if (S_ISSOCK(st.st_mode))
		return fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
	(void)snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
	return open(name, O_WRONLY | O_APPEND | O_CLOEXEC | O_NOCTTY |
	    O_NONBLOCK);
}

/* "create" is O_CREAT or 0. */
static int
open_log(const char *path, int create)
{
	if (logfile_is_stream(path))
		return open_stream(path);
	return open(path, O_WRONLY | O_APPEND | create | O_NOFOLLOW |
	    O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0640);
}

/* Write to "fd" from now on. */
static void
use_file(struct logfile *f, int fd)
{
	fd_close(&f->fd);
	f->fd = fd;
	f->torn = false;
}

/*
 * Make sure that there is a file to write to: a pipe may have a reader now, and
 * a file that was deleted is begun anew.  One that was renamed takes lines
 * until logfile_reopen().  0, or -1 with errno set.
 */
static int
logfile_prepare(struct logfile *f)
{
	bool deleted = false;
	char text[LOG_TEXT_MAX];
	struct stat st;
	int fd;

	if (f->fd != -1) {
		deleted = !f->stream && fstat(f->fd, &st) == 0 &&
		    st.st_nlink == 0;
		if (!deleted)
			return 0;
	}
	if ((fd = open_log(f->path, O_CREAT)) == -1)
		return -1;
	use_file(f, fd);
	if (deleted) {
		(void)snprintf(text, sizeof text, "the log file %s had been "
		    "deleted, and a new one was begun", f->path);
		log_sink_renewed(&f->sink, text);
	}
	return 0;
}

/* Write "n" bytes; how many were, with errno set if that is not all. */
static size_t
write_all(const struct logfile *f, const char *bytes, size_t n)
{
	int64_t deadline = clock_in(f->sink.failing ? 0 : LOG_WAIT_MS);
	size_t done = 0;

	while (done < n) {
		ssize_t more = f->socket ? send(f->fd, bytes + done, n - done,
		    MSG_DONTWAIT | MSG_NOSIGNAL) :
		    write(f->fd, bytes + done, n - done);

		if (more == -1 && errno == EINTR)
			continue;
		if (more == -1 && errno == EAGAIN) {
			if (fd_wait_writable(f->fd, deadline))
				continue;
			errno = EAGAIN;
		}
		if (more == 0)
			errno = ENOSPC;
		if (more <= 0)
			break;
		done += (size_t)more;
	}
	return done;
}

/* The event's line; its length, or 0 with errno set. */
static size_t
logfile_format(char *out, enum logfile_form form, const struct log_event *e)
{
	switch (form) {
	case LOGFILE_JSON:
		return logjson_format(out, e);
	case LOGFILE_SHOWN:
		return log_show(out, e);
	case LOGFILE_LOGFMT:
		break;
	}
	return log_format(out, LOG_LINE_MAX, e, true);
}

static int
logfile_take(void *context, const struct log_event *e)
{
	/* Too large to be made anew, and cleared, for each record. */
	static char line[1 + LOGJSON_MAX];
	struct logfile *f = context;
	size_t n, done, skip;

	_Static_assert(LOGJSON_MAX >= LOG_LINE_MAX &&
	    LOGJSON_MAX >= LOG_SHOWN_MAX, "room for every form");
	if (logfile_prepare(f) == -1)
		return -1;
	/* A line that a full disk has torn is ended first, so that a reader
	 * loses that one line and no other. */
	line[0] = '\n';
	skip = f->torn ? 0 : 1;
	if ((n = logfile_format(line + 1, f->form, e)) == 0)
		return -1;
	n += 1 - skip;
	done = write_all(f, line + skip, n);
	/* If nothing was written, the last line stays as it was. */
	if (done > 0)
		f->torn = done < n;
	return done == n ? 0 : -1;
}

/*
 * Can what "f" has been opened for be a log?  To /dev/null all that is written
 * would count as on record, and a closed stream has become that at the start.
 * 0, or -1 with errno set.
 */
static int
check_file(struct logfile *f)
{
	struct stat st;

	if (fstat(f->fd, &st) == -1)
		return -1;
	f->socket = S_ISSOCK(st.st_mode);
	if (f->form == LOGFILE_SHOWN || !S_ISCHR(st.st_mode) ||
	    st.st_rdev != makedev(1, 3))
		return 0;
	errno = ENODEV;
	return -1;
}

/* Is it a pipe whose reader may come later? */
static bool
awaits_reader(const char *path, int error)
{
	struct stat st;

	return error == ENXIO && lstat(path, &st) == 0 && S_ISFIFO(st.st_mode);
}

/* "path" cannot be opened, or cannot be a log, as errno says.  -1; errno is
 * kept. */
static int
fail(const char *path, struct failure *why)
{
	int error = errno;

	failure_set(why, 0, "cannot open the log file %s: %s", path,
	    strerror(error));
	if (error == ENODEV)
		failure_hint(why, "it is /dev/null or was closed, where no "
		    "record stays: an empty \"log_file\" is no file");
	else if (logfile_is_stream(path) && error == EACCES)
		failure_hint(why, "it belongs to another user than the one "
		    "who starts aisd");
	errno = error;
	return -1;
}

struct log_sink *
logfile_open(const char *path, enum logfile_form form, struct failure *why)
{
	struct logfile *f = calloc(1, sizeof *f + strlen(path) + 1);

	if (f == NULL) {
		(void)fail(path, why);
		return NULL;
	}
	memcpy(f->path, path, strlen(path) + 1);
	f->sink = (struct log_sink){ .name = f->path, .take = logfile_take,
	    .context = f, .shows = form == LOGFILE_SHOWN };
	f->form = form;
	f->stream = logfile_is_stream(path);
	f->fd = open_log(path, O_CREAT);
	if (f->fd == -1 ? !awaits_reader(path, errno) : check_file(f) == -1) {
		(void)fail(path, why);
		logfile_close(&f->sink);
		return NULL;
	}
	return &f->sink;
}

bool
logfile_is_open(const struct log_sink *sink)
{
	return ((const struct logfile *)sink->context)->fd != -1;
}

/* May a file be made at "path"?  0, or -1 with errno set. */
static int
check_directory(const char *path)
{
	char *copy = strdup(path);
	int result = copy == NULL ? -1 : access(dirname(copy), W_OK | X_OK);
	int error = errno;

	free(copy);
	errno = error;
	return result;
}

int
logfile_check(const char *path, struct failure *why)
{
	struct logfile f = { .form = LOGFILE_LOGFMT };
	struct stat st;
	int result;

	/* Our own streams can only be checked at the start. */
	if (logfile_is_stream(path))
		return 0;
	/* The reader of a pipe would see its end when we have gone. */
	if (lstat(path, &st) == 0 && S_ISFIFO(st.st_mode))
		return access(path, W_OK) == 0 ? 0 : fail(path, why);
	if ((f.fd = open_log(path, 0)) == -1)
		return errno == ENOENT && check_directory(path) == 0 ? 0 :
		    fail(path, why);
	result = check_file(&f) == 0 ? 0 : fail(path, why);
	(void)close(f.fd);
	return result;
}

int
logfile_reopen(struct log_sink *sink)
{
	struct logfile *f = sink->context;
	int fd = open_log(f->path, O_CREAT);

	if (fd == -1) {
		log_errno("cannot open the log file %s again, so the old one "
		    "stays in use", f->path);
		return -1;
	}
	use_file(f, fd);
	return 0;
}

void
logfile_close(struct log_sink *sink)
{
	struct logfile *f;

	if (sink == NULL)
		return;
	f = sink->context;
	fd_close(&f->fd);
	free(f);
}
