#include <config.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "client/prompt/history.h"

#define FILE_NAME	"ais/history"
/* What the file may hold before its older half is dropped. */
#define FILE_MAX	(2 * HISTORY_BYTES)

struct history_file {
	int fd;
	char *last;		/* The line that was added last. */
};

/* Make the directories above "path", for us alone where they are new. */
static void
make_directories(char *path)
{
	for (char *p = strchr(path + 1, '/'); p != NULL;
	    p = strchr(p + 1, '/')) {
		*p = '\0';
		(void)mkdir(path, 0700);
		*p = '/';
	}
}

/* Where the file is; NULL if there is no place for it. */
static char *
file_path(void)
{
	const char *base = getenv("XDG_STATE_HOME"), *below = "";
	char *path;

	/* The XDG Base Directory Specification: a relative one is invalid. */
	if (base == NULL || *base != '/') {
		base = getenv("HOME");
		below = ".local/state/";
	}
	if (base == NULL || *base != '/' ||
	    asprintf(&path, "%s/%s" FILE_NAME, base, below) == -1)
		return NULL;
	return path;
}

/* Is the file ours alone?  0 or -1. */
static int
check_file(int fd)
{
	struct stat st;

	if (fstat(fd, &st) == -1 || !S_ISREG(st.st_mode) ||
	    st.st_uid != geteuid())
		return -1;
	return (st.st_mode & 077) == 0 ? 0 : fchmod(fd, 0600);
}

/* The last HISTORY_BYTES of the file, from the beginning of a line, for
 * free(3); NULL if it cannot be read. */
static char *
read_tail(int fd)
{
	off_t size = lseek(fd, 0, SEEK_END), from;
	char *text, *start;
	ssize_t n;

	if (size == -1 || (text = malloc(HISTORY_BYTES + 1)) == NULL)
		return NULL;
	from = size > HISTORY_BYTES ? size - HISTORY_BYTES : 0;
	n = pread(fd, text, HISTORY_BYTES, from);
	if (n == -1) {
		free(text);
		return NULL;
	}
	text[n] = '\0';
	/* The first line may have lost its beginning. */
	if (from > 0 && (start = strchr(text, '\n')) != NULL)
		memmove(text, start + 1, strlen(start + 1) + 1);
	return text;
}

/* Drop the older lines of a file that has grown too long.  Whoever else has
 * it open adds to its end, wherever that is. */
static void
shorten(int fd)
{
	struct stat st;
	char *tail;
	ssize_t n;

	if (fstat(fd, &st) == -1 || st.st_size <= FILE_MAX ||
	    (tail = read_tail(fd)) == NULL)
		return;
	if (ftruncate(fd, 0) == 0) {
		n = write(fd, tail, strlen(tail));
		(void)n;	/* There is no more to do about it. */
	}
	free(tail);
}

struct history_file *
history_open(void (*each)(void *context, const char *line), void *context)
{
	struct history_file *h = calloc(1, sizeof *h);
	char *path = h == NULL ? NULL : file_path(), *text, *line, *rest;

	if (path == NULL) {
		free(h);
		return NULL;
	}
	make_directories(path);
	h->fd = open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC |
	    O_NOFOLLOW | O_NONBLOCK, 0600);
	free(path);
	if (h->fd == -1 || check_file(h->fd) == -1) {
		history_close(h);
		return NULL;
	}
	text = read_tail(h->fd);
	for (line = strtok_r(text, "\n", &rest); text != NULL && line != NULL;
	    line = strtok_r(NULL, "\n", &rest))
		each(context, line);
	free(text);
	return h;
}

void
history_add(struct history_file *h, const char *line)
{
	size_t size = strlen(line) + 1;
	char *copy;
	ssize_t n;

	if (size > HISTORY_BYTES / 2 ||
	    (h->last != NULL && strcmp(h->last, line) == 0) ||
	    (copy = strdup(line)) == NULL)
		return;
	free(h->last);
	h->last = copy;
	copy[size - 1] = '\n';
	/* One write, so that the lines of two prompts do not mix; and no loss
	 * is worth a message. */
	if (flock(h->fd, LOCK_EX) == 0) {
		n = write(h->fd, copy, size);
		(void)n;
		shorten(h->fd);
		(void)flock(h->fd, LOCK_UN);
	}
	copy[size - 1] = '\0';
}

void
history_close(struct history_file *h)
{
	if (h == NULL)
		return;
	if (h->fd != -1)
		(void)close(h->fd);
	free(h->last);
	free(h);
}
