/*
 * passphrase.c - the passphrase of an encrypted key, from a command or a
 * person.
 *
 * SPDX-License-Identifier: ISC
 */
#include <config.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/failure.h"
#include "common/base/fd.h"
#include "common/base/text.h"

#include "client/core/settings.h"
#include "client/core/spawn.h"

#include "client/core/passphrase.h"

/* In ms: a person may have to confirm what the command does. */
#define COMMAND_WAIT	60000
/* What it may write: a line of which OpenSSL takes the first 1024 bytes. */
#define OUTPUT_MAX	4096
#define NAME_MAX_SHOWN	512

/* --- from a command ------------------------------------------------------ */

/* Take the first line of the "n" bytes at "data". */
static int
take_line(const char *data, size_t n, char *out, int size)
{
	const char *end = memchr(data, '\n', n);
	size_t length = end == NULL ? n : (size_t)(end - data);

	if (length > 0 && data[length - 1] == '\r')
		length--;
	if (length == 0 || length > (size_t)size)
		return -1;
	memcpy(out, data, length);
	return (int)length;
}

/* How it has failed that has this status, or wrote nothing. */
static const char *
describe_end(int status, int error, char out[64])
{
	if (error == ETIMEDOUT)
		return "has not ended within a minute";
	if (error != 0)
		return "has written more than a line";
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return "has written no line that can be a passphrase";
	(void)snprintf(out, 64, "has ended with %s %d", WIFEXITED(status) ?
	    "status" : "signal", WIFEXITED(status) ? WEXITSTATUS(status) :
	    WTERMSIG(status));
	return out;
}

static int
from_command(char *const *words, char *out, int size, struct failure *why)
{
	int64_t deadline = clock_in(COMMAND_WAIT);
	int ends[2], status, error = 0, length = -1;
	char path[64], name[NAME_MAX_SHOWN], how[64], *data;
	size_t n = 0;
	pid_t pid;

	(void)text_printable(name, sizeof name, words[0], strlen(words[0]));
	if (pipe2(ends, O_CLOEXEC) == -1) {
		failure_set(why, 0, "cannot make a pipe: %s", strerror(errno));
		return -1;
	}
	pid = spawn_start(words, -1, ends[1], false);
	error = errno;
	fd_close(&ends[1]);
	if (pid == -1) {
		fd_close(&ends[0]);
		failure_set(why, 0, "cannot run the passphrase_command %s: %s",
		    name, strerror(error));
		return -1;
	}
	(void)snprintf(path, sizeof path, "/proc/self/fd/%d", ends[0]);
	data = fd_read_pipe(path, OUTPUT_MAX, COMMAND_WAIT, &n);
	error = data == NULL ? errno : 0;
	fd_close(&ends[0]);
	if (data == NULL)
		(void)kill(pid, SIGKILL);
	status = spawn_end(pid, deadline);
	if (data != NULL && WIFEXITED(status) && WEXITSTATUS(status) == 0)
		length = take_line(data, n, out, size);
	if (data != NULL)
		explicit_bzero(data, n);
	free(data);
	if (length == -1)
		failure_set(why, 0, "the passphrase_command %s %s", name,
		    describe_end(status, error, how));
	return length;
}

/* --- from a terminal ----------------------------------------------------- */

/* Read a line that is not shown; -1: it was given up. */
static int
read_line(int tty, char *out, int size)
{
	int length = 0;
	char c;

	for (;;) {
		if (read(tty, &c, 1) != 1 || c == '\003' || c == '\004')
			return -1;
		if (c == '\n' || c == '\r')
			return length == 0 ? -1 : length;
		if (c == '\025')
			length = 0;
		else if (c == '\177' || c == '\b')
			length -= length > 0;
		else if (length < size)
			out[length++] = c;
	}
}

static int
from_terminal(const char *key, char *out, int size, struct failure *why)
{
	char name[NAME_MAX_SHOWN];
	struct termios shown, hidden;
	int tty = open("/dev/tty", O_RDWR | O_NOCTTY | O_CLOEXEC);
	int length = -1;

	(void)text_printable(name, sizeof name, key, strlen(key));
	if (tty == -1 || tcgetattr(tty, &shown) == -1) {
		fd_close(&tty);
		failure_set(why, 0, "the key %s is encrypted, and there is no "
		    "terminal to ask for its passphrase", name);
		failure_hint(why, "set \"passphrase_command\" in aisc.conf");
		return -1;
	}
	hidden = shown;
	/* Ctrl-C is read as well: by its signal we would leave the terminal
	 * without its echo. */
	hidden.c_lflag &= ~(tcflag_t)(ECHO | ECHONL | ICANON | ISIG);
	hidden.c_cc[VMIN] = 1;
	hidden.c_cc[VTIME] = 0;
	/* Not before: what is typed at a prompt must not be shown. */
	if (tcsetattr(tty, TCSAFLUSH, &hidden) == 0) {
		(void)dprintf(tty, "Passphrase of %s: ", name);
		length = read_line(tty, out, size);
		(void)tcsetattr(tty, TCSAFLUSH, &shown);
	}
	(void)dprintf(tty, "\n");
	fd_close(&tty);
	if (length == -1)
		failure_set(why, 0, "no passphrase of the key %s was given",
		    name);
	return length;
}

int
passphrase_get(const void *settings, char *out, int size,
    struct failure *why)
{
	const struct settings *s = settings;

	if (s->passphrase_command != NULL && s->passphrase_command[0] != NULL)
		return from_command(s->passphrase_command, out, size, why);
	return from_terminal(s->key, out, size, why);
}
