/*
 * check.c - would aisd start with this configuration?
 * SPDX-License-Identifier: ISC
 */
#include <config.h>

#include <stdio.h>
#include <unistd.h>

#include "common/base/log.h"
#include "common/base/text.h"
#include "common/tls/tls.h"
#include "daemon/exec/openfiles.h"
#include "daemon/exec/tree.h"
#include "daemon/record/logfile.h"
#include "daemon/conf/settings.h"
#include "daemon/conf/files.h"
#include "daemon/certwatch.h"
#include "daemon/warnings.h"
#include "daemon/logs.h"
#include "daemon/start.h"
#include "daemon/check.h"

/* Of two exit codes that which tells more: what may pass by itself matters less
 * than what does not. */
static int
worse(int a, int b)
{
	return a == EXIT_DONE || (a == EXIT_TEMPORARY && b != EXIT_DONE) ? b :
	    a;
}

/*
 * Root can read what the service user cannot.  So the files are looked at as
 * that user, from whom a reload will want them as well.
 */
static int
become_user(const char *config, struct settings **s)
{
	struct settings_hope hope;

	if (!privilege_can_drop() || (*s)->unprivileged)
		return EXIT_DONE;
	if (start_drop(*s) == -1)
		return EXIT_PRIVILEGE;
	settings_free(*s);
	*s = settings_load(config, &hope);
	return *s == NULL ? start_failure(&hope) : EXIT_DONE;
}

/* The log, as the user who will write it. */
static int
check_log(const struct settings *s, int *warnings)
{
	const char *where = settings_where(s, "log_file");
	int result;

	/* Whether there is a log of the system can be seen by each user. */
	if (getuid() == s->daemon.uid || s->log_file == NULL) {
		if ((result = logs_check(s)) == -1)
			return start_log_failure();
		*warnings += result;
		return EXIT_DONE;
	}
	if (logfile_is_stream(s->log_file))
		return EXIT_DONE;
	log_warning("%s%slog_file: whether %s can write to it cannot "
	    "be seen: not started as root", where, *where == '\0' ? "" : ": ",
	    s->daemon.name);
	(*warnings)++;
	return EXIT_DONE;
}

/* The certificates and lists, and, unless "quiet", the rest and what is
 * probably not intended. */
static int
check_files(const struct settings *s, bool quiet, int *warnings)
{
	int code = EXIT_DONE;
	struct settings_hope hope;
	struct tls_context *context = files_load(s, false, &hope);

	/* The daemon itself may see what the check of a reload does not. */
	if (context == NULL)
		code = quiet && hope.elsewhere ? EXIT_TEMPORARY :
		    start_failure(&hope);
	else if (certwatch_may_start(s, context) == -1)
		code = EXIT_TEMPORARY;
	if (!quiet) {
		code = worse(code, check_log(s, warnings));
		start_warn(s);
	}
	if (!quiet && context != NULL)
		*warnings += warnings_log(s, context);
	tls_context_free(context);
	return code;
}

int
check_start(const char *config, const char *port, bool quiet,
    struct settings **s)
{
	char count[TEXT_COUNT_MAX];
	int code = EXIT_DONE, dropped, warnings = 0;

	if (openfiles_raise(start_files(*s)) == -1)
		return EXIT_FAILED;
	if (!quiet)
		code = start_check_listen(*s, port);
	if ((dropped = become_user(config, s)) != EXIT_DONE || *s == NULL)
		return worse(code, dropped);
	if (tree_init() == -1)
		return EXIT_PRIVILEGE;
	code = worse(code, check_files(*s, quiet, &warnings));
	if (code != EXIT_DONE)
		return code;
	if (warnings > 0) {
		fprintf(stderr, "aisd: the configuration %s can be used, with "
		    "%s\n", config, text_count(count, warnings, "warning"));
		return EXIT_WARNINGS;
	}
	fprintf(stderr, "aisd: the configuration %s is good: %s\n", config,
	    text_count(count, (double)rules_count((*s)->rules), "rule"));
	return EXIT_DONE;
}
