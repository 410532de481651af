/*
 * pulse.h - is a silent server still there?
 * SPDX-License-Identifier: ISC
 */
#ifndef AIS_PULSE_H
#define AIS_PULSE_H

#include <stdbool.h>
#include <stdint.h>

struct conn;

struct pulse {
	int64_t heard;		/* When something came last. */
	int64_t probed;		/* When it was asked; 0: not since then. */
	uint64_t taken;		/* What it had of what we send then. */
};

/* Something has come. */
void pulse_heard(struct pulse *p);

/* When to look again, as a time of clock.h, where a server may be silent for
 * "most" ms; 0: for ever. */
int64_t pulse_deadline(const struct pulse *p, int64_t most);

/* The deadline has passed.  Ask it over "c", or say that it has gone. */
bool pulse_is_gone(struct pulse *p, struct conn *c);

#endif
