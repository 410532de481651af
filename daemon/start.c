/*
 * start.c - what a start and the check of one share.
 * SPDX-License-Identifier: ISC
 */
#include <config.h>

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/base/log.h"
#include "common/base/net.h"
#include "common/base/retry.h"
#include "common/conf/conf.h"
#include "common/wire/proto.h"
#include "daemon/exec/privilege.h"
#include "daemon/conf/settings.h"
#include "daemon/server.h"
#include "daemon/start.h"

/* Standard descriptors, logs, /proc and timers; eight ends of pipes of a
 * command, or a memory file; and what a reload opens beside the old ones. */
#define OTHER_FILES	40

int
start_failure(const struct settings_hope *hope)
{
	return hope->may_pass ? EXIT_TEMPORARY : EXIT_CONFIG;
}

/* A directory on which a file system is mounted later is root's until then. */
int
start_log_failure(void)
{
	return retry_may_help(errno) || errno == EACCES ? EXIT_TEMPORARY :
	    EXIT_CONFIG;
}

size_t
start_files(const struct settings *s)
{
	return server_connections(s) + SERVER_LISTENERS_MAX + OTHER_FILES;
}

/* What there is to listen on, each once, and which of "listen" means it. */
struct places {
	struct net_address addresses[SERVER_LISTENERS_MAX];
	const char *texts[SERVER_LISTENERS_MAX];
	size_t count;
};

/* Say what is wrong with "listen".  Returns "code". */
static int
complain_listen(const struct settings *s, struct failure *why, int code)
{
	failure_about(why, "listen");
	(void)conf_failure(settings_where(s, "listen"), why);
	return code;
}

/* "text" of "listen", which settings_load() has split before, as
 * net_resolve() has it; on "port", unless that is NULL. */
static int
resolve_text(const char *text, const char *port, struct net_address *out,
    size_t max, struct failure *why)
{
	char host[256], own[8];

	(void)net_split(text, host, sizeof host, own, sizeof own);
	return net_resolve(host, port != NULL ? port : *own != '\0' ? own :
	    PROTO_PORT_TEXT, out, max, why);
}

/* Add what "text" means and is not there yet. */
static int
add_places(const struct settings *s, const char *text, const char *port,
    struct places *p)
{
	struct net_address found[SERVER_LISTENERS_MAX];
	struct failure why;
	int n = resolve_text(text, port, found, SERVER_LISTENERS_MAX - p->count,
	    &why);

	if (n == -1)
		return complain_listen(s, &why, EXIT_TEMPORARY);
	for (const struct net_address *a = found; a < found + n; a++) {
		size_t i = 0;

		while (i < p->count && !net_same(a, &p->addresses[i]) &&
		    !net_covers(a, &p->addresses[i]) &&
		    !net_covers(&p->addresses[i], a))
			i++;
		if (i == p->count) {
			p->addresses[i] = *a;
			p->texts[i] = text;
			p->count++;
		} else if (!net_same(a, &p->addresses[i])) {
			bool all = net_covers(a, &p->addresses[i]);

			failure_set(&why, 0, "\"%.200s\" is part of "
			    "\"%.200s\"", all ? p->texts[i] : text,
			    all ? text : p->texts[i]);
			failure_hint(&why, "remove one of the two");
			return complain_listen(s, &why, EXIT_CONFIG);
		}
	}
	return EXIT_DONE;
}

static int
find_places(const struct settings *s, const char *port, struct places *p)
{
	int code = EXIT_DONE;

	p->count = 0;
	for (size_t i = 0; s->listen[i] != NULL; i++) {
		int added = add_places(s, s->listen[i], port, p);

		if (code == EXIT_DONE || added == EXIT_CONFIG)
			code = added;
	}
	return code;
}

/* May what stopped net_listen() or net_check() pass by itself? */
static int
listen_code(void)
{
	return errno == EINVAL ? EXIT_CONFIG : EXIT_TEMPORARY;
}

int
start_listen(const struct settings *s, const char *port, int *fds,
    size_t *count)
{
	struct places p;
	struct failure why;
	int code = find_places(s, port, &p);

	*count = 0;
	for (size_t i = 0; code == EXIT_DONE && i < p.count; i++) {
		fds[i] = net_listen(&p.addresses[i], &why);
		if (fds[i] == -1)
			return complain_listen(s, &why, listen_code());
		(*count)++;
	}
	return code;
}

int
start_check_listen(const struct settings *s, const char *port)
{
	/* Who starts us may have ports that this user may not have. */
	bool ours = s->unprivileged || privilege_can_drop();
	struct places p;
	struct failure why;
	int code = find_places(s, port, &p);

	for (size_t i = 0; i < p.count; i++) {
		if (net_check(&p.addresses[i], ours, &why) == -1)
			code = complain_listen(s, &why, code == EXIT_DONE ?
			    listen_code() : code);
	}
	return code;
}

void
start_warn(const struct settings *s)
{
	const char *where = settings_where(s, "unprivileged");

	if (s->unprivileged && geteuid() == 0)
		log_warning("%s%s\"unprivileged\" is set and aisd runs as "
		    "root: every command runs as root", where,
		    *where == '\0' ? "" : ": ");
}

int
start_drop(const struct settings *s)
{
	if (!s->unprivileged && !privilege_can_drop()) {
		log_error("not started as root: start it as root, from where "
		    "it becomes the user %s; or set \"unprivileged = true;\" "
		    "to run every command as this user, who can then stop "
		    "aisd and read its key", s->user);
		return -1;
	}
	if (!s->unprivileged)
		return privilege_drop(&s->daemon, &s->command,
		    s->allow_setuid);
	start_warn(s);
	return privilege_confine(s->allow_setuid);
}
