/*
 * exec-failure.c - why a command has not started, for its client.
 * SPDX-License-Identifier: ISC
 */
#include <config.h>

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "common/base/failure.h"
#include "common/wire/proto.h"
#include "daemon/exec/child.h"
#include "daemon/exec/exec-failure.h"

/* Is "error" one of the server's own lacks?  EBADF: a descriptor's number is
 * above the limit "open_files", see dup(2). */
static bool
is_lack(int error)
{
	return error == EAGAIN || error == ENOMEM || error == ENFILE ||
	    error == EMFILE || error == EBADF;
}

void
exec_failure_explain(const struct child_failure *f, const char *name,
    const struct child_plan *plan, struct failure *why)
{
	if (f->stage == CHILD_STAGE_DIRECTORY)
		/* "." is the directory of the rule or of the session. */
		failure_set(why, PROTO_CODE_DIRECTORY, "cannot enter the "
		    "directory %.500s: %s", strcmp(plan->directory, ".") == 0 ?
		    plan->base : plan->directory, strerror(f->error));
	else if (f->stage == CHILD_STAGE_PATH && !is_lack(f->error))
		failure_set(why, PROTO_CODE_DENIED, "a path in the arguments "
		    "of %.500s %s%s", name, f->error == EXDEV ? "leads out of "
		    "its directory" : "cannot be opened: ",
		    f->error == EXDEV ? "" : strerror(f->error));
	else if (f->stage == CHILD_STAGE_UNSAFE)
		(void)failure_make(why, PROTO_CODE_NOT_EXECUTABLE,
		    "the server's operator has to mend that, and aisd -t says "
		    "where", "commands could change the program of %.500s, or "
		    "a directory on its way, so it is not executed", name);
	else if (f->stage == CHILD_STAGE_INTERPRETER)
		failure_set(why, PROTO_CODE_NOT_EXECUTABLE, "cannot execute "
		    "%.500s: the interpreter in its first line, or its "
		    "loader, is not there", name);
	else if (f->stage != CHILD_STAGE_EXEC || is_lack(f->error))
		failure_set(why, PROTO_CODE_RESOURCES, "cannot start %.500s: "
		    "%s; the server lacks resources", name,
		    strerror(f->error));
	else if (f->error == ENOENT || f->error == ENOTDIR)
		failure_set(why, PROTO_CODE_UNKNOWN, "unknown command: "
		    "%.500s", name);
	else
		failure_set(why, PROTO_CODE_NOT_EXECUTABLE, "cannot execute "
		    "%.500s: %s", name, strerror(f->error));
}
