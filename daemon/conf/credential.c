/* Files that systemd hands to the service as credentials.
 * SPDX-License-Identifier: ISC */
#include <config.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/conf/credential.h"

/* systemd.exec(5): where the files are. */
static const char *
directory(void)
{
	const char *dir = getenv("CREDENTIALS_DIRECTORY");

	return dir != NULL && *dir == '/' ? dir : NULL;
}

const char *
credential_name(const char *value)
{
	return value != NULL && strncmp(value, CREDENTIAL,
	    sizeof CREDENTIAL - 1) == 0 ? value + sizeof CREDENTIAL - 1 : NULL;
}

bool
credential_is_valid(const char *name)
{
	size_t length = strlen(name);

	for (const char *p = name; *p != '\0'; p++) {
		if (*p <= ' ' || *p > '~' || *p == '/' || *p == ':')
			return false;
	}
	return length <= CREDENTIAL_NAME_MAX && strspn(name, ".") < length;
}

char *
credential_path(const char *value)
{
	const char *name = credential_name(value), *dir = directory();
	char *path = NULL;

	if (name == NULL || dir == NULL)
		return strdup(value);
	return asprintf(&path, "%s/%s", dir, name) == -1 ? NULL : path;
}

int
credential_check(const char *name, bool *elsewhere, struct failure *why)
{
	const char *dir = directory();

	*elsewhere = false;
	if (dir == NULL) {
		failure_set(why, 0, "the credential \"%s\" cannot be had: "
		    "$CREDENTIALS_DIRECTORY is not set", name);
		failure_hint(why, "let systemd start aisd, with "
		    "LoadCredential=%s:FILE in its unit; to try it by hand, "
		    "set CREDENTIALS_DIRECTORY=/run/credentials/aisd.service",
		    name);
		return -1;
	}
	if (access(dir, X_OK) == 0)
		return 0;
	*elsewhere = true;
	failure_set(why, 0, "the credential \"%s\" cannot be seen by this "
	    "process: %s: %s", name, dir, strerror(errno));
	failure_hint(why, "they are for the user that the unit names by User=, "
	    "and not always for the test that a reload makes: see "
	    "aisd.conf(5), \"CREDENTIALS\"");
	return -1;
}
