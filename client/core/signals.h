/*
 * signals.h - the signals that aisc takes, as flags.
 *
 * They are open only while the loop waits, so that none comes between a look
 * at its flag and the wait.
 */
#ifndef AIS_SIGNALS_H
#define AIS_SIGNALS_H

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>

/*
 * Catch SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGCONT and SIGWINCH from now on,
 * except those that we were started with ignored: who did that wants it so
 * (nohup, and programs that keep Ctrl-C for themselves).
 */
void signals_catch(void);

/* Give them back their effect of before, for what cannot be interrupted
 * otherwise. */
void signals_release(void);

/*
 * Leave "text" on the descriptor "fd" when one of SIGINT, SIGTERM, SIGHUP and
 * SIGQUIT ends the program while they have their effect of before.  The three
 * bytes at "status" become 128 and the signal's number.  "text" is borrowed
 * until signals_farewell(-1, NULL, 0, 0), which leaves nothing.
 */
void signals_farewell(int fd, char *text, size_t n, size_t status);

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
