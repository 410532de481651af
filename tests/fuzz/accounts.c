/*
 * accounts.c - users that every machine has alike: linked with --wrap, in the
 * place of what asks the system for them.
 * SPDX-License-Identifier: ISC
 */
#include <config.h>

#include <string.h>

#include "common/base/log.h"
#include "daemon/exec/privilege.h"

#include "tests/fuzz/fuzz.h"

int __wrap_account_find(const char *name, struct account *a);
int __wrap_account_self(struct account *a);

int
__wrap_account_find(const char *name, struct account *a)
{
	memset(a, 0, sizeof *a);
	if (*name == '\0' || *name == '!') {
		log_error("there is no user %s", name);
		return -1;
	}
	a->uid = (uid_t)(*name & 0xff);
	a->gid = a->uid;
	(void)snprintf(a->name, sizeof a->name, "%s", name);
	(void)snprintf(a->home, sizeof a->home, "/nonexistent");
	return 0;
}

int
__wrap_account_self(struct account *a)
{
	return __wrap_account_find("self", a);
}
