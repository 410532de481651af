/*
 * pulse.c - is a silent server still there?
 * SPDX-License-Identifier: ISC
 */
#include <config.h>

#include "common/base/clock.h"
#include "common/base/net.h"
#include "common/wire/frame.h"
#include "common/endpoint/conn.h"

#include "client/session/pulse.h"

void
pulse_heard(struct pulse *p)
{
	p->heard = clock_now();
	p->probed = 0;
}

/* A third of the time goes by before it is asked; the rest is for its
 * answer. */
int64_t
pulse_deadline(const struct pulse *p, int64_t most)
{
	if (most == 0)
		return CLOCK_NEVER;
	return p->probed == 0 ? clock_after(p->heard, most / 3) :
	    clock_after(p->probed, most - most / 3);
}

bool
pulse_is_gone(struct pulse *p, struct conn *c)
{
	struct net_carried carried;
	uint64_t taken;

	/* Data of ours that is still on its way may be before the question; as
	 * long as that moves, the other end is there. */
	net_carried(conn_fd(c), &carried);
	taken = conn_sent(c) - carried.unacked;
	if (p->probed != 0 && (taken == p->taken || carried.unacked == 0))
		return true;
	p->taken = taken;
	p->probed = clock_now();
	/* Where it does not fit, what stands there already is the question. */
	(void)frame_put(conn_out(c), PROTO_PING, 0, NULL, 0);
	return false;
}
