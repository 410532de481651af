/*
 * logs.c - open the logs that the configuration names.
 *
 * SPDX-License-Identifier: ISC
 */
#include <config.h>

#include <errno.h>

#include "common/base/log.h"
#include "daemon/record/datagram.h"
#include "daemon/record/journal.h"
#include "daemon/record/logfile.h"
#include "daemon/record/syslog.h"
#include "daemon/conf/settings.h"
#include "daemon/logs.h"

/* They stay open until the process ends; NULL: there is none. */
static struct log_sink *log_file, *log_stderr;

static int
open_log_file(const struct settings *s)
{
	log_file = logfile_open(s->log_file,
	    (enum logfile_form)s->log_format);
	return log_file == NULL ? -1 : 0;
}

int
logs_open_streams(const struct settings *s, bool verbose)
{
	if (verbose && (log_stderr = logfile_open(LOGFILE_STDERR,
	    LOGFILE_SHOWN)) == NULL)
		return -1;
	if (s->log_file != NULL && logfile_is_stream(s->log_file))
		return open_log_file(s);
	return 0;
}

/* The system's log, and whether it is "there" now; NULL: there is to be
 * none. */
static struct log_sink *
open_system_log(int64_t which, bool *there)
{
	bool automatic = which == SETTINGS_SYSTEM_AUTO;

	*there = datagram_is_there(JOURNAL_SOCKET);
	if (which == SETTINGS_SYSTEM_JOURNAL || (automatic && *there))
		return journal_open(JOURNAL_SOCKET, "aisd");
	*there = datagram_is_there(SYSLOG_SOCKET);
	if (which == SETTINGS_SYSTEM_SYSLOG || (automatic && *there))
		return syslog_open(SYSLOG_SOCKET, "aisd");
	*there = false;
	return NULL;
}

/* No log takes records now: say why. */
static int
no_log(const struct settings *s)
{
	if (log_file != NULL)
		log_error("nobody reads the pipe %s, and there is no other "
		    "log; start its reader first", s->log_file);
	else
		log_error("there is %s here; set \"log_file\"",
		    s->log_system == SETTINGS_SYSTEM_JOURNAL ? "no journal" :
		    s->log_system == SETTINGS_SYSTEM_SYSLOG ? "no syslog" :
		    "neither a journal nor a syslog");
	errno = ENOENT;
	return -1;
}

int
logs_open(const struct settings *s, bool verbose, struct log_sink **file)
{
	struct log_sink *system, *all[3], *first = NULL;
	bool there;

	if (s->log_file != NULL && log_file == NULL && open_log_file(s) == -1)
		return -1;
	system = open_system_log(s->log_system, &there);
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
