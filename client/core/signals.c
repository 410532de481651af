/*
 * signals.c - the signals that aisc takes, as flags.
 * SPDX-License-Identifier: ISC
 */
#include <config.h>

#include <stddef.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "client/core/signals.h"

static const int caught[] = {
	SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGCONT, SIGWINCH
};
#define CAUGHT	(sizeof caught / sizeof caught[0])

static volatile sig_atomic_t flags[NSIG];
static struct sigaction before[CAUGHT];
static sigset_t outside;	/* The mask that we were started with. */
static bool catching;
static int end_by;		/* 0: none. */

/* Those that end a program, the most pressing first. */
static const int ends[] = { SIGHUP, SIGTERM, SIGQUIT, SIGINT };
#define ENDS	(sizeof ends / sizeof ends[0])

static void
signals_note(int signo)
{
	flags[signo] = 1;
}

void
signals_catch(void)
{
	struct sigaction sa = { .sa_handler = signals_note };
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
	bool came = flags[signo] != 0;

	/* Only then: it may come just now. */
	if (came)
		flags[signo] = 0;
	return came;
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
	/* No core for SIGQUIT: this ends us, and is no fault of ours. */
	(void)prctl(PR_SET_DUMPABLE, 0);
	(void)signal(end_by, SIG_DFL);
	(void)sigemptyset(&set);
	(void)sigaddset(&set, end_by);
	(void)raise(end_by);
	(void)sigprocmask(SIG_UNBLOCK, &set, NULL);
}
