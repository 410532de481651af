/* How many descriptors we may have, and our commands.
 * SPDX-License-Identifier: ISC */
#include <config.h>

#include <stdbool.h>
#include <sys/resource.h>

#include "common/base/log.h"
#include "daemon/exec/openfiles.h"

static struct rlimit inherited;
static bool raised;

int
openfiles_raise(size_t count)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &inherited) == -1) {
		log_errno("cannot tell how many files may be open");
		return -1;
	}
	if (inherited.rlim_cur >= count)
		return 0;
	if (inherited.rlim_max < count) {
		log_error("%zu files can be open at once, and only %llu may "
		    "be: set LimitNOFILE=%zu in the unit (ulimit -n), or "
		    "lower \"max_handshakes\" and \"max_waiting\"", count,
		    (unsigned long long)inherited.rlim_max, count);
		return -1;
	}
	limit = inherited;
	limit.rlim_cur = count;
	if (setrlimit(RLIMIT_NOFILE, &limit) == -1) {
		log_errno("cannot raise the limit of open files to %zu",
		    count);
		return -1;
	}
	raised = true;
	return 0;
}

int
openfiles_restore(void)
{
	return raised ? setrlimit(RLIMIT_NOFILE, &inherited) : 0;
}
