/*
 * printer.h - a descriptor of ours as a FILE that is written whole.
 * SPDX-License-Identifier: ISC
 *
 * stdio takes EAGAIN of a descriptor that does not block for a failure, and
 * takes no notice of a signal while it writes one that blocks.  A printer waits
 * until its reader takes more, or until a signal ends us.
 */
#ifndef AIS_PRINTER_H
#define AIS_PRINTER_H

#include <stdio.h>

#include "client/core/stream.h"

struct outcome;

struct printer {
	int fd;
	struct stream stream;	/* The same, without blocking. */
	FILE *out;		/* Write here. */
	int signo;		/* Has ended the wait for the reader. */
	int error;		/* Why it cannot be written. */
};

/* Open "p" on "fd", which stays open. */
void printer_open(struct printer *p, int fd);

/*
 * Write what is still in "out".  If something could not be written, and "o" is
 * of class OUTCOME_DONE, that is what becomes of "o".
 */
void printer_finish(struct printer *p, struct outcome *o);

/* The same, and be rid of "p". */
void printer_close(struct printer *p, struct outcome *o);

#endif
