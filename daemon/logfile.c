#include <config.h>

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/log.h"
#include "daemon/logfile.h"

struct logfile {
	struct log_sink sink;
	int fd;
	bool torn;		/* The last line was not written whole. */
	char path[];
};

static int
open_log(const char *path)
{
	return open(path, O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW |
	    O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0640);
}

/* Has the file no name any more? */
static bool
is_deleted(const struct logfile *f)
{
	struct stat st;

	return fstat(f->fd, &st) == 0 && st.st_nlink == 0;
}

/* Write to "fd" from now on. */
static void
use_file(struct logfile *f, int fd)
{
	(void)close(f->fd);
	f->fd = fd;
	f->torn = false;
}

/*
 * A file that was renamed takes lines until somebody says that a new one is
 * due.  One that was deleted has lines that nobody will read, so another is
 * begun at once.  0, or -1 with errno set.
 */
static int
renew_deleted(struct logfile *f)
{
	char text[LOG_TEXT_MAX];
	int fd;

	if ((fd = open_log(f->path)) == -1)
		return -1;
	use_file(f, fd);
	(void)snprintf(text, sizeof text, "the log file %s had been deleted, "
	    "and a new one was begun", f->path);
	log_sink_renewed(&f->sink, text);
	return 0;
}

/* Write "n" bytes; how many were, with errno set if that is not all. */
static size_t
write_all(int fd, const char *bytes, size_t n)
{
	size_t done = 0;

	while (done < n) {
		ssize_t more = write(fd, bytes + done, n - done);

		if (more == -1 && errno == EINTR)
			continue;
		if (more == 0)
			errno = ENOSPC;
		if (more <= 0)
			break;
		done += (size_t)more;
	}
	return done;
}

static int
take(void *context, const struct log_event *e)
{
	/* Too large to be made anew, and cleared, for each record. */
	static char line[1 + LOG_LINE_MAX];
	struct logfile *f = context;
	size_t n, done, skip = 1;

	if (is_deleted(f) && renew_deleted(f) == -1)
		return -1;
	/* A line that a full disk has torn is ended first, so that a reader
	 * loses that one line and no other. */
	line[0] = '\n';
	n = 1 + log_format(line + 1, LOG_LINE_MAX, e);
	if (f->torn)
		skip = 0;
	done = write_all(f->fd, line + skip, n - skip);
	if (done == n - skip) {
		f->torn = false;
		return 0;
	}
	/* Nothing of it leaves a torn line as torn as it was. */
	if (done > 0)
		f->torn = true;
	return -1;
}

struct log_sink *
logfile_open(const char *path)
{
	struct logfile *f = calloc(1, sizeof *f + strlen(path) + 1);

	if (f == NULL) {
		log_errno("cannot open the log file %s", path);
		return NULL;
	}
	memcpy(f->path, path, strlen(path) + 1);
	if ((f->fd = open_log(path)) == -1) {
		log_errno("cannot open the log file %s", path);
		free(f);
		return NULL;
	}
	f->sink.name = f->path;
	f->sink.take = take;
	f->sink.context = f;
	return &f->sink;
}

int
logfile_reopen(struct log_sink *sink)
{
	struct logfile *f = sink->context;
	int fd = open_log(f->path);

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
	(void)close(f->fd);
	free(f);
}
