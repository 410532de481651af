#include <config.h>

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "client/core/signals.h"

static const int caught[] = {
	SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGCONT, SIGWINCH
};
#define CAUGHT	(sizeof caught / sizeof caught[0])

static volatile sig_atomic_t flags[CAUGHT];
static struct sigaction before[CAUGHT];
static sigset_t outside;	/* The mask that we were started with. */
static bool catching;
static int end_by;		/* 0: none. */

/* Those that end a program, the most pressing first. */
static const int ends[] = { SIGHUP, SIGTERM, SIGQUIT, SIGINT };
#define ENDS	(sizeof ends / sizeof ends[0])

/* What is written when one of them does; changed while none can come. */
static struct {
	int fd;
	char *text;		/* NULL: nothing. */
	size_t n;
	char *status;		/* Three digits in "text". */
} farewell;

static void
note(int signo)
{
	for (size_t i = 0; i < CAUGHT; i++) {
		if (caught[i] == signo)
			flags[i] = 1;
	}
}

/* The last words, said once.  The handler has been reset, so that raise(3) ends
 * the program as soon as we return, and so does a second signal. */
static void
part(int signo)
{
	char *text = farewell.text;
	int n = 128 + signo;
	ssize_t put = -1;

	farewell.text = NULL;
	if (text != NULL) {
		farewell.status[0] = (char)('0' + n / 100);
		farewell.status[1] = (char)('0' + n / 10 % 10);
		farewell.status[2] = (char)('0' + n % 10);
		do
			put = write(farewell.fd, text, farewell.n);
		while (put == -1 && errno == EINTR);
	}
	(void)raise(signo);
}

/* Give those that have the effect of before their last words, or take them
 * away; what is ignored stays so. */
static void
arm(void)
{
	struct sigaction sa = { .sa_handler = SIG_DFL }, old;

	if (farewell.text != NULL) {
		sa.sa_handler = part;
		sa.sa_flags = (int)SA_RESETHAND;
	}
	(void)sigemptyset(&sa.sa_mask);
	for (size_t i = 0; i < ENDS; i++) {
		if (sigaction(ends[i], NULL, &old) == 0 &&
		    (old.sa_handler == SIG_DFL || old.sa_handler == part))
			(void)sigaction(ends[i], &sa, NULL);
	}
}

void
signals_farewell(int fd, char *text, size_t n, size_t status)
{
	farewell.text = NULL;
	if (!catching)
		arm();
	farewell.fd = fd;
	farewell.text = text;
	farewell.n = n;
	farewell.status = text == NULL ? NULL : text + status;
	if (!catching && text != NULL)
		arm();
}

void
signals_catch(void)
{
	struct sigaction sa = { .sa_handler = note };
	sigset_t set;

	if (catching)
		return;
	(void)sigemptyset(&sa.sa_mask);
	(void)sigemptyset(&set);
	for (size_t i = 0; i < CAUGHT; i++)
		(void)sigaddset(&set, caught[i]);
	(void)sigprocmask(SIG_BLOCK, &set, &outside);
	for (size_t i = 0; i < CAUGHT; i++) {
		(void)sigaction(caught[i], NULL, &before[i]);
		if (before[i].sa_handler != SIG_IGN)
			(void)sigaction(caught[i], &sa, NULL);
	}
	catching = true;
}

void
signals_release(void)
{
	if (!catching)
		return;
	for (size_t i = 0; i < CAUGHT; i++)
		(void)sigaction(caught[i], &before[i], NULL);
	arm();
	(void)sigprocmask(SIG_SETMASK, &outside, NULL);
	catching = false;
}

const sigset_t *
signals_mask(void)
{
	return catching ? &outside : NULL;
}

bool
signals_take(int signo)
{
	for (size_t i = 0; i < CAUGHT; i++) {
		if (caught[i] == signo && flags[i] != 0) {
			flags[i] = 0;
			return true;
		}
	}
	return false;
}

int
signals_take_end(void)
{
	for (size_t i = 0; i < ENDS; i++) {
		if (signals_take(ends[i]))
			return ends[i];
	}
	return 0;
}

void
signals_end_by(int signo)
{
	end_by = signo;
}

void
signals_finish(void)
{
	sigset_t set;

	if (end_by == 0)
		return;
	(void)fflush(NULL);
	/* What dumps no core does so for SIGQUIT, wherever cores go to. */
	(void)prctl(PR_SET_DUMPABLE, 0);
	(void)signal(end_by, SIG_DFL);
	(void)sigemptyset(&set);
	(void)sigaddset(&set, end_by);
	(void)raise(end_by);
	(void)sigprocmask(SIG_UNBLOCK, &set, NULL);
}
