/*
 * credential.h - files that systemd hands to the service as credentials.
 * SPDX-License-Identifier: ISC
 */
#ifndef AIS_CREDENTIAL_H
#define AIS_CREDENTIAL_H

#include <stdbool.h>

#include "common/base/failure.h"

/* What a value begins with that names a credential, and not a path. */
#define CREDENTIAL	"credential:"
/* The most bytes of a name, as systemd has it. */
#define CREDENTIAL_NAME_MAX	255

/* The name in "value", or NULL: it does not begin with CREDENTIAL, or is NULL.
 */
const char *credential_name(const char *value);

/* Is "name" one that LoadCredential= takes: printable ASCII without "/" and
 * ":", not of dots alone, and not too long? */
bool credential_is_valid(const char *name);

/*
 * Where the file is that "value" names: $CREDENTIALS_DIRECTORY/NAME for a
 * credential, "value" itself for all else, and where that variable is not set.
 * From malloc(3); NULL: memory is out.
 */
char *credential_path(const char *value);

/*
 * Can this process see the credential "name"?  0; or -1 with the reason in
 * "why", and whether it may be another one's to see in "elsewhere": systemd
 * 252 does not show them to the first process of ExecReload=.
 */
int credential_check(const char *name, bool *elsewhere, struct failure *why);

#endif
