/*
 * interrupt.h - what a signal that comes to us means for a request: it goes to
 * the command, or ends that or the session.
 * SPDX-License-Identifier: ISC
 */
#ifndef AIS_INTERRUPT_H
#define AIS_INTERRUPT_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

struct session;

struct interrupt {
	bool keeps;		/* A second SIGINT keeps the session, */
	bool cancelled;		/* and has asked for the command's end. */
	int64_t last;		/* When the last SIGINT was passed on. */
	bool passed[NSIG];	/* Which signals were. */
};

/* A request begins: no signal has come.  "keeps" stays. */
void interrupt_begin(struct interrupt *i);

/*
 * Pass on what has come to the command that "s" has or will have, if there is
 * one ("command").  Returns the signal that ends the session instead, or 0;
 * "*passed" says whether a SIGINT was passed on just now.
 */
int interrupt_take(struct interrupt *i, struct session *s, bool command,
    bool *passed);

#endif
