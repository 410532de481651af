/*
 * history.c - the lines that were typed at the prompt, kept in a file.
 * SPDX-License-Identifier: ISC
 */
#include <config.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "client/core/memory.h"
#include "client/core/settings.h"

#include "client/prompt/history.h"

/* Open the file "path", and make the directories above it. */
static int
history_create(char *path)
{
	for (char *p = strchr(path + 1, '/'); p != NULL;
	    p = strchr(p + 1, '/')) {
		*p = '\0';
		(void)mkdir(path, 0700);
		*p = '/';
	}
	return open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC |
	    O_NOFOLLOW | O_NONBLOCK, 0600);
}

/* Read the end of the file of "size" bytes, from the beginning of a line. */
static char *
history_read(int fd, off_t size)
{
	off_t from = size > HISTORY_BYTES ? size - HISTORY_BYTES : 0;
	char *text = memory_get(HISTORY_BYTES + 1), *start;

	if (pread(fd, text, HISTORY_BYTES, from) == -1)
		*text = '\0';
	/* The first line may have lost its beginning. */
	if (from > 0 && (start = strchr(text, '\n')) != NULL)
		memmove(text, start + 1, strlen(start + 1) + 1);
	return text;
}

int
history_open(char **lines)
{
	char *path = settings_own_file("XDG_STATE_HOME", "/.local/state",
	    "ais/history");
	struct stat st;
	int fd;

	*lines = NULL;
	if (path == NULL || *path != '/') {
		free(path);
		return -1;
	}
	fd = history_create(path);
	free(path);
	/* The lock is for the cut: no other prompt appends meanwhile. */
	if (fd == -1 || fstat(fd, &st) == -1 || !S_ISREG(st.st_mode) ||
	    st.st_uid != geteuid() || fchmod(fd, 0600) == -1 ||
	    flock(fd, LOCK_EX) == -1) {
		if (fd != -1)
			(void)close(fd);
		return -1;
	}
	*lines = history_read(fd, st.st_size);
	if (st.st_size > 2 * HISTORY_BYTES && ftruncate(fd, 0) == 0)
		(void)dprintf(fd, "%s", *lines);
	(void)flock(fd, LOCK_UN);
	return fd;
}

void
history_add(int fd, const char *line)
{
	/* One write, so that the lines of two prompts do not mix; the lock is
	 * for the cut.  No loss of a line is worth a message. */
	if (strlen(line) > HISTORY_BYTES / 2 || flock(fd, LOCK_EX) == -1)
		return;
	(void)dprintf(fd, "%s\n", line);
	(void)flock(fd, LOCK_UN);
}
