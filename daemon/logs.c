/*
 * logs.c - open the logs that the configuration names.
 *
 * SPDX-License-Identifier: ISC
 */
#include <config.h>

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "common/base/log.h"
#include "common/conf/conf.h"
#include "daemon/record/datagram.h"
#include "daemon/record/journal.h"
#include "daemon/record/logfile.h"
#include "daemon/record/syslog.h"
#include "daemon/conf/settings.h"
#include "daemon/logs.h"

/* They stay open until the process ends; NULL: there is none. */
static struct log_sink *log_file, *log_stderr;

/* Say why a log cannot be opened, with errno set, and what to do.  -1; errno is
 * kept. */
static int
fail(const struct settings *s, struct failure *why)
{
	const char *slash = s->log_file == NULL ? NULL :
	    strrchr(s->log_file, '/');
	int error = errno;

	failure_about(why, "log_file");
	if (why->hint[0] == '\0' && slash != NULL && error == ENOENT)
		failure_hint(why, "make its directory: install -d -m 0750 -o "
		    "%s %.*s", s->daemon.name, (int)(slash - s->log_file),
		    s->log_file);
	else if (why->hint[0] == '\0' && error == EACCES)
		failure_hint(why, "the user %s has to be able to write to it, "
		    "and to make a new one in its directory",
		    s->daemon.name);
	(void)conf_failure(settings_where(s, "log_file"), why);
	errno = error;
	return -1;
}

static int
open_log_file(const struct settings *s)
{
	struct failure why;

	log_file = logfile_open(s->log_file,
	    (enum logfile_form)s->log_format, &why);
	return log_file == NULL ? fail(s, &why) : 0;
}

int
logs_open_streams(const struct settings *s, bool verbose)
{
	struct failure why;

	if (verbose && (log_stderr = logfile_open(LOGFILE_STDERR,
	    LOGFILE_SHOWN, &why)) == NULL) {
		int error = errno;

		(void)conf_failure("", &why);
		errno = error;
		return -1;
	}
	if (s->log_file != NULL && logfile_is_stream(s->log_file))
		return open_log_file(s);
	return 0;
}

/* Which log of the system is to be used, and whether it is "there" now. */
static enum settings_system
find_system_log(const struct settings *s, bool *there)
{
	enum settings_system which = (enum settings_system)s->log_system;
	bool automatic = which == SETTINGS_SYSTEM_AUTO;

	*there = datagram_is_there(JOURNAL_SOCKET);
	if (which == SETTINGS_SYSTEM_JOURNAL || (automatic && *there))
		return SETTINGS_SYSTEM_JOURNAL;
	*there = datagram_is_there(SYSLOG_SOCKET);
	if (which == SETTINGS_SYSTEM_SYSLOG || (automatic && *there))
		return SETTINGS_SYSTEM_SYSLOG;
	*there = false;
	return SETTINGS_SYSTEM_NONE;
}

/* No log takes records now: say why. */
static int
no_log(const struct settings *s)
{
	const char *key = "log_file";
	struct failure why;

	if (s->log_file != NULL) {
		failure_set(&why, 0, "no program reads the pipe %s, and there "
		    "is no other log", s->log_file);
		failure_hint(&why, "start its reader first");
	} else {
		key = "log_system";
		failure_set(&why, 0, "there is %s here",
		    s->log_system == SETTINGS_SYSTEM_JOURNAL ? "no journal" :
		    s->log_system == SETTINGS_SYSTEM_SYSLOG ? "no syslog" :
		    "neither a journal nor a syslog");
		failure_hint(&why, "set \"log_file\"");
	}
	failure_about(&why, "%s", key);
	(void)conf_failure(settings_where(s, key), &why);
	errno = ENOENT;
	return -1;
}

int
logs_check(const struct settings *s)
{
	const char *where = settings_where(s, "log_file");
	struct failure why;
	struct stat st;
	bool there;

	(void)find_system_log(s, &there);
	if (s->log_file == NULL)
		return there ? 0 : no_log(s);
	if (logfile_check(s->log_file, &why) == -1)
		return fail(s, &why);
	if (there || lstat(s->log_file, &st) == -1 || !S_ISFIFO(st.st_mode))
		return 0;
	log_warning("%s%slog_file: aisd starts only while something reads the "
	    "pipe %s, since there is no other log", where, *where == '\0' ? "" :
	    ": ", s->log_file);
	return 1;
}

int
logs_open(const struct settings *s, bool verbose, struct log_sink **file)
{
	struct log_sink *system = NULL, *all[3], *first = NULL;
	enum settings_system which;
	bool there;

	if (s->log_file != NULL && log_file == NULL && open_log_file(s) == -1)
		return -1;
	which = find_system_log(s, &there);
	if (which == SETTINGS_SYSTEM_JOURNAL)
		system = journal_open(JOURNAL_SOCKET, "aisd");
	else if (which == SETTINGS_SYSTEM_SYSLOG)
		system = syslog_open(SYSLOG_SOCKET, "aisd");
	if (!there && (log_file == NULL || !logfile_is_open(log_file)))
		return no_log(s);
	all[0] = log_file;
	all[1] = system;
	all[2] = log_stderr;
	for (size_t i = 0; i < 3; i++) {
		if (all[i] == NULL)
			continue;
		all[i]->next = first;
		first = all[i];
	}
	log_set_sinks(first);
	if (system == NULL && s->log_system == SETTINGS_SYSTEM_AUTO)
		log_notice("there is neither a journal nor a syslog here, so "
		    "%s alone has the records until aisd is started again",
		    s->log_file);
	*file = s->log_file == NULL || logfile_is_stream(s->log_file) ? NULL :
	    log_file;
	log_set_level(verbose ? LOG_LEVEL_DEBUG :
	    (enum log_level)(LOG_LEVEL_ERROR + s->log_level));
	return 0;
}
