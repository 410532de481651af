/*
 * spawn.c - a program of the user's that helps.
 * SPDX-License-Identifier: ISC
 */
#include <config.h>

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/fd.h"

#include "client/core/spawn.h"

/* Let "to" be "from" in the new process. */
static int
spawn_file(posix_spawn_file_actions_t *files, int from, int to, int flags)
{
	return from == -1 ?
	    posix_spawn_file_actions_addopen(files, to, "/dev/null", flags, 0) :
	    posix_spawn_file_actions_adddup2(files, from, to);
}

static int
spawn_files(posix_spawn_file_actions_t *files, int in, int out)
{
	int error = spawn_file(files, in, STDIN_FILENO, O_RDONLY);

	return error != 0 ? error :
	    spawn_file(files, out, STDOUT_FILENO, O_WRONLY);
}

static int
spawn_attributes(posix_spawnattr_t *attributes, bool deaf)
{
	sigset_t blocked, defaults;
	int error;

	(void)sigemptyset(&blocked);
	if (deaf) {
		(void)sigaddset(&blocked, SIGINT);
		(void)sigaddset(&blocked, SIGQUIT);
	}
	(void)sigemptyset(&defaults);
	(void)sigaddset(&defaults, SIGPIPE);
	if ((error = posix_spawnattr_init(attributes)) != 0)
		return error;
	(void)posix_spawnattr_setsigmask(attributes, &blocked);
	(void)posix_spawnattr_setsigdefault(attributes, &defaults);
	(void)posix_spawnattr_setflags(attributes, POSIX_SPAWN_SETSIGMASK |
	    POSIX_SPAWN_SETSIGDEF);
	return 0;
}

/* What a shell inherits blocked it unblocks, and what it inherits ignored
 * others take back: so both. */
static void
spawn_deafen(struct sigaction before[2])
{
	const struct sigaction ignore = { .sa_handler = SIG_IGN };

	(void)sigaction(SIGINT, &ignore, &before[0]);
	(void)sigaction(SIGQUIT, &ignore, &before[1]);
}

static void
spawn_undeafen(const struct sigaction before[2])
{
	(void)sigaction(SIGINT, &before[0], NULL);
	(void)sigaction(SIGQUIT, &before[1], NULL);
}

pid_t
spawn_start(char *const *words, int in, int out, bool deaf)
{
	posix_spawn_file_actions_t files;
	posix_spawnattr_t attributes;
	struct sigaction before[2];
	pid_t pid = -1;
	int error;

	/* Who starts us may ignore it, and the system would wait for ours. */
	(void)signal(SIGCHLD, SIG_DFL);
	if ((error = posix_spawn_file_actions_init(&files)) == 0) {
		if ((error = spawn_attributes(&attributes, deaf)) == 0) {
			error = spawn_files(&files, in, out);
			if (deaf)
				spawn_deafen(before);
			if (error == 0)
				error = posix_spawnp(&pid, words[0], &files,
				    &attributes, words, environ);
			if (deaf)
				spawn_undeafen(before);
			(void)posix_spawnattr_destroy(&attributes);
		}
		(void)posix_spawn_file_actions_destroy(&files);
	}
	errno = error;
	return error == 0 ? pid : -1;
}

int
spawn_end(pid_t pid, int64_t deadline)
{
	struct pollfd p = { .events = POLLIN };
	int status = -1, n;

	assert(pid > 0);	/* kill(2) takes others for many processes. */
	p.fd = (int)syscall(SYS_pidfd_open, pid, 0);
	do
		n = p.fd == -1 ? -1 : poll(&p, 1, clock_left(deadline));
	while (n == -1 && p.fd != -1 && errno == EINTR);
	/* What cannot be waited for in bounded time is ended, too. */
	if (n != 1)
		(void)kill(pid, SIGKILL);
	fd_close(&p.fd);
	while (waitpid(pid, &status, 0) == -1 && errno == EINTR)
		continue;
	return status;
}
