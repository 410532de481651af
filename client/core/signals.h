/*
 * signals.h - the signals that aisc takes, as flags.
 * SPDX-License-Identifier: ISC
 *
 * They are open only while the loop waits, so that none comes between a look
 * at its flag and the wait.
 */
#ifndef AIS_SIGNALS_H
#define AIS_SIGNALS_H

#include <signal.h>
#include <stdbool.h>

/*
 * Catch SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGCONT and SIGWINCH from now on,
 * except those that were ignored when we started: nohup(1), and programs that
 * keep Ctrl-C for themselves, want it so.
 */
void signals_catch(void);

/* Give them back their effect of before, for calls that cannot be interrupted
 * otherwise. */
void signals_release(void);

/* The signal mask to wait with. */
const sigset_t *signals_mask(void);

/* Has "signo" come since it was last asked for? */
bool signals_take(int signo);

/* The same for all that end a program: the number of one that has come, the
 * most pressing first, or 0. */
int signals_take_end(void);

/*
 * End by "signo" when all is done, and not with a status: only then does a
 * shell end the loop or the script of which we are a part.  0: with a status.
 * signals_finish() does so, without a core; it returns where there is none.
 */
void signals_end_by(int signo);
void signals_finish(void);

#endif
