/* The files of TLS that aisd.conf names: who may read them, and a context.
 * SPDX-License-Identifier: ISC */
#include <config.h>

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/conf/conf.h"
#include "common/tls/tls.h"
#include "daemon/conf/credential.h"
#include "daemon/conf/settings.h"
#include "daemon/conf/files.h"

/* Neither other users nor commands may be able to read the key.  0, or -1 with
 * the reason in "why". */
static int
check_key_mode(const struct settings *s, struct failure *why)
{
	const char *file = s->files[SETTINGS_KEY];
	struct stat st;
	bool cannot_read = file != NULL && !s->unprivileged &&
	    getuid() == s->daemon.uid && access(file, R_OK) == -1 &&
	    errno == EACCES;

	/* A provider's key has no mode; its device may. */
	if (tls_store_uri(s->named[SETTINGS_KEY]) != NULL)
		return 0;
	/* Without a key, or without the file, reading it will say why. */
	if (!cannot_read && (file == NULL || stat(file, &st) == -1))
		return 0;
	if (!cannot_read && (st.st_mode & S_IRWXO) != 0) {
		failure_set(why, 0, "the key %s is open to every user", file);
		failure_hint(why, "run: chmod o= %s", file);
		return -1;
	}
	if (cannot_read)
		failure_set(why, 0, "the key %s cannot be read by the user %s",
		    file, s->daemon.name);
	else if (!s->unprivileged && (st.st_uid == s->command.uid ||
	    (st.st_gid == s->command.gid && (st.st_mode & S_IRWXG) != 0)))
		failure_set(why, 0, "the key %s is open to the command user "
		    "%s", file, s->command.name);
	else
		return 0;
	failure_hint(why, "run: chown root:%s %s && chmod 0640 %s",
	    s->daemon.name, file, file);
	return -1;
}

/* Say what is wrong with a file, and where it is named; SETTINGS_FILES: with
 * none of them. */
static void
complain(const struct settings *s, size_t file, struct failure *why)
{
	const char *where = "";

	if (file < SETTINGS_FILES) {
		failure_about(why, "%s", settings_file_keys[file]);
		where = settings_where(s, settings_file_keys[file]);
	}
	(void)conf_failure(where, why);
}

/* The file of which TLS has something to say, or SETTINGS_FILES. */
static size_t
at_fault(const struct settings *s, const struct tls_files *files)
{
	size_t i = 0;

	while (i < SETTINGS_FILES && (files->at_fault == NULL ||
	    s->files[i] != files->at_fault))
		i++;
	return i;
}

/* Can the credentials among the files be seen?  0, or -1 after a message. */
static int
check_credentials(const struct settings *s, struct settings_hope *hope)
{
	const char *name;
	struct failure why;

	for (size_t i = 0; i < SETTINGS_FILES; i++) {
		name = credential_name(s->named[i]);
		if (name == NULL ||
		    credential_check(name, &hope->elsewhere, &why) == 0)
			continue;
		complain(s, i, &why);
		return -1;
	}
	return 0;
}

struct tls_context *
files_load(const struct settings *s, bool serving,
    struct settings_hope *hope)
{
	struct tls_files files = {
		.certificate = s->files[SETTINGS_CERTIFICATE],
		.key = s->files[SETTINGS_KEY],
		.authority = s->files[SETTINGS_AUTHORITY],
		.crl = s->files[SETTINGS_CRL],
		.allow_stale_crl = s->crl_expired == SETTINGS_CRL_WARNING,
		.allow_tls12 = s->allow_tls12, .pipes = !serving,
		.any_purpose = s->client_purpose == SETTINGS_PURPOSE_OPTIONAL
	};
	struct failure why;
	struct tls_context *context;

	*hope = (struct settings_hope){ .may_pass = false };
	if (check_credentials(s, hope) == -1)
		return NULL;
	if (check_key_mode(s, &why) == -1) {
		complain(s, SETTINGS_KEY, &why);
		return NULL;
	}
	if ((context = tls_server_new(&files, &why)) != NULL &&
	    tls_server_check(context, &files, &why) == 0)
		return context;
	hope->may_pass = files.may_pass;
	hope->when = files.when;
	complain(s, at_fault(s, &files), &why);
	tls_context_free(context);
	return NULL;
}
