/* What has failed and is tried again, and when.
 * SPDX-License-Identifier: ISC */
#include <config.h>

#include <errno.h>

#include "common/base/clock.h"
#include "common/base/retry.h"

bool
retry_may_help(int error)
{
	switch (error) {
	case 0:
	case EACCES:
	case EBADF:
	case EFBIG:
	case EINVAL:
	case EISDIR:
	case ELOOP:
	case ENAMETOOLONG:
	case ENODEV:
	case ENOTDIR:
	case ENXIO:
	case EPERM:
		return false;
	default:
		return true;
	}
}

void
retry_stop(struct retry *r)
{
	r->pause = 0;
	r->next = CLOCK_NEVER;
}

void
retry_later(struct retry *r)
{
	r->pause = r->pause == 0 ? RETRY_FIRST : 2 * r->pause;
	if (r->pause > RETRY_LONGEST)
		r->pause = RETRY_LONGEST;
	r->next = clock_in(r->pause);
}
