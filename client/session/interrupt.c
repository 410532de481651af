/*
 * interrupt.c - what a signal that comes to us means for a request.
 * SPDX-License-Identifier: ISC
 */
#include <config.h>

#include <string.h>

#include "common/base/clock.h"
#include "common/wire/proto.h"

#include "client/core/signals.h"
#include "client/session/session.h"

#include "client/session/interrupt.h"

/* A second Ctrl-C within this time ends the command at once, in ms. */
#define TWICE		1000

void
interrupt_begin(struct interrupt *i)
{
	*i = (struct interrupt){ .keeps = i->keeps, .last = -TWICE };
}

/* End the command and keep the session; can that be?  It is asked for once:
 * if the server does not answer, the next interrupt ends the session. */
static bool
interrupt_cancel(struct interrupt *i, struct session *s)
{
	if (!i->keeps || i->cancelled || !s->greeting.cancels)
		return false;
	i->cancelled = session_put(s, PROTO_CANCEL, NULL, 0) == 0;
	return i->cancelled;
}

/* Pass "signo" on; whether that could be. */
static bool
interrupt_pass(struct interrupt *i, struct session *s, int signo,
    const char *name)
{
	bool twice = signo == SIGINT && clock_now() - i->last < TWICE;

	/* It ends the script as well. */
	if (signo == SIGINT)
		session_recall(s);
	if (twice ? !interrupt_cancel(i, s) :
	    session_put(s, PROTO_SIGNAL, name, strlen(name)) == -1)
		return false;
	i->passed[signo] = true;
	if (signo == SIGINT)
		i->last = clock_now();
	return true;
}

/*
 * A command cannot be told apart from the session that is to end: SIGTERM and
 * SIGHUP end the session, and with it the server ends the command.
 */
int
interrupt_take(struct interrupt *i, struct session *s, bool command,
    bool *passed)
{
	bool interrupted = signals_take(SIGINT);

	*passed = interrupted && command &&
	    interrupt_pass(i, s, SIGINT, "INT");
	if (signals_take(SIGHUP))
		return SIGHUP;
	if (signals_take(SIGTERM))
		return SIGTERM;
	if (signals_take(SIGQUIT) &&
	    !(command && interrupt_pass(i, s, SIGQUIT, "QUIT")))
		return SIGQUIT;
	return interrupted && !*passed ? SIGINT : 0;
}
