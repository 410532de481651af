#include <config.h>

#include <errno.h>
#include <getopt.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/wire/body.h"
#include "common/base/pattern.h"
#include "common/wire/proto.h"
#include "common/base/words.h"

#include "client/core/outcome.h"
#include "client/core/settings.h"
#include "client/core/stream.h"
#include "client/session/request.h"

#include "client/ssh.h"

/* A year, in seconds, is no limit. */
#define SECONDS_MAX	(365L * 86400)
#define ATTEMPTS_MAX	1000000L
/* How long we wait in the server's line by default, in ms.  A tool that needs
 * two sessions at once waits for itself: it is to fail, and not to hang. */
#define WAIT		120000

/* What the command line says, and what the files add to it. */
struct ssh {
	struct settings settings;
	char *file;		/* -F: the configuration to use alone. */
	char *host;
	char *line;		/* The command; "" is the shell itself. */
	uint64_t set;		/* Which of "keys" are, as bits. */
	char *no_key;		/* A key that is not there, or NULL. */
	bool has_key;		/* No other is looked at. */
	bool subsystem;
	bool bare;		/* -T: no terminal is wanted. */
	bool show;		/* -G */
	bool version;
	bool master;		/* -O: to talk to a master connection. */
};

/* Says what is wrong with the command line.  Always -1. */
static int __attribute__((format(printf, 1, 2)))
usage(const char *format, ...)
{
	char text[OUTCOME_TEXT_MAX];
	va_list ap;

	va_start(ap, format);
	(void)vsnprintf(text, sizeof text, format, ap);
	va_end(ap);
	outcome_say("usage: %s; see aisc-ssh(1)", text);
	return -1;
}

static int
take_text(char **place, const char *text)
{
	if (settings_set(place, text) == 0)
		return 0;
	outcome_say("resources: out of memory");
	return -1;
}

/* A decimal number from "min" to "max". */
static int
take_number(const char *name, const char *text, long min, long max,
    long *value)
{
	char *end;

	errno = 0;
	*value = strtol(text, &end, 10);
	if (*text >= '0' && *text <= '9' && *end == '\0' && errno == 0 &&
	    *value >= min && *value <= max)
		return 0;
	return usage("%s takes a number from %ld to %ld and not \"%s\"", name,
	    min, max, text);
}

/* --- options by name: -o NAME=VALUE ------------------------------------ */

static int
set_port(struct ssh *s, const char *name, const char *value)
{
	long port;

	if (take_number(name, value, 1, 65535, &port) == -1)
		return -1;
	s->settings.port = port;
	return 0;
}

static int
set_timeout(struct ssh *s, const char *name, const char *value)
{
	long seconds = 0;

	if (strcasecmp(value, "none") != 0 &&
	    take_number(name, value, 0, SECONDS_MAX, &seconds) == -1)
		return -1;
	s->settings.connect_timeout = (int64_t)seconds * 1000;
	/* A place in the line is no connection yet. */
	if (seconds > 0 && s->settings.wait > s->settings.connect_timeout)
		s->settings.wait = s->settings.connect_timeout;
	return 0;
}

static int
set_attempts(struct ssh *s, const char *name, const char *value)
{
	long attempts;

	if (take_number(name, value, 1, ATTEMPTS_MAX, &attempts) == -1)
		return -1;
	s->settings.attempts = attempts;
	return 0;
}

static int
set_family(struct ssh *s, const char *name, const char *value)
{
	if (strcasecmp(value, "any") == 0)
		s->settings.family = AF_UNSPEC;
	else if (strcasecmp(value, "inet") == 0)
		s->settings.family = AF_INET;
	else if (strcasecmp(value, "inet6") == 0)
		s->settings.family = AF_INET6;
	else
		return usage("%s is \"any\", \"inet\" or \"inet6\" and not "
		    "\"%s\"", name, value);
	return 0;
}

/* An empty file, and one called "none", is none. */
static bool
is_none(const char *file)
{
	return *file == '\0' || strcasecmp(file, "none") == 0;
}

static int
take_file(char **place, const char *file)
{
	if (take_text(place, file) == -1)
		return -1;
	if (settings_resolve(place, "") == 0)
		return 0;
	outcome_say("resources: out of memory");
	return -1;
}

/* The first key that is there; ssh(1) goes on without one that is not. */
static int
add_key(struct ssh *s, const char *value)
{
	char *file = NULL;

	if (s->has_key)
		return 0;
	s->has_key = true;
	if (is_none(value))
		return 0;
	if (take_file(&file, value) == -1)
		return -1;
	if (access(file, F_OK) == 0) {
		free(s->settings.key);
		s->settings.key = file;
		return 0;
	}
	s->has_key = false;
	free(s->no_key);
	s->no_key = file;
	return 0;
}

static int
set_certificate(struct ssh *s, const char *name, const char *value)
{
	(void)name;
	return is_none(value) ? 0 : take_file(&s->settings.certificate, value);
}

static int
set_address(struct ssh *s, const char *name, const char *value)
{
	(void)name;
	return take_text(&s->settings.host_name, value);
}

static int
set_server_name(struct ssh *s, const char *name, const char *value)
{
	(void)name;
	return take_text(&s->settings.server_name, value);
}

static int
set_level(struct ssh *s, const char *name, const char *value)
{
	(void)name;
	s->settings.quiet = strcasecmp(value, "quiet") == 0 ||
	    strcasecmp(value, "fatal") == 0 || strcasecmp(value, "error") == 0;
	s->settings.verbose = strcasecmp(value, "verbose") == 0 ||
	    strncasecmp(value, "debug", 5) == 0;
	return 0;
}

static int
set_no_stdin(struct ssh *s, const char *name, const char *value)
{
	(void)name;
	s->settings.no_stdin = strcasecmp(value, "yes") == 0;
	return 0;
}

static int
add_variable(struct ssh *s, const char *variable)
{
	if (settings_add_environment(&s->settings, variable) == 0)
		return 0;
	return usage("%s is not NAME=VALUE", variable);
}

/* Does "variable", NAME=VALUE, have a name that "pattern" matches? */
static bool
is_named(const char *variable, const char *pattern)
{
	size_t length = strcspn(variable, "=");
	char *name = strndup(variable, length);
	bool matches = name != NULL && length > 0 &&
	    pattern_match(pattern, name);

	free(name);
	return matches;
}

static int
send_variable(struct ssh *s, const char *pattern)
{
	for (char **v = environ; *v != NULL; v++) {
		if (is_named(*v, pattern) && add_variable(s, *v) == -1)
			return -1;
	}
	return 0;
}

static int
set_session(struct ssh *s, const char *name, const char *value)
{
	if (strcasecmp(value, "none") == 0)
		return usage("%s=none is nothing that AIS does", name);
	s->subsystem = strcasecmp(value, "subsystem") == 0;
	return 0;
}

static int
set_terminal(struct ssh *s, const char *name, const char *value)
{
	(void)name;
	s->bare = strcasecmp(value, "no") == 0;
	return 0;
}

/* What AIS does not do may be switched off, and not on. */
static int
refuse_unless_off(struct ssh *s, const char *name, const char *value)
{
	(void)s;
	if (strcasecmp(value, "no") == 0 || strcasecmp(value, "none") == 0)
		return 0;
	return usage("%s is nothing that AIS does", name);
}

static const struct {
	const char *name;
	int (*set)(struct ssh *s, const char *name, const char *value);
	int (*each)(struct ssh *s, const char *value);	/* Of several. */
} keys[] = {
	{ "AddressFamily", set_family, NULL },
	{ "CertificateFile", set_certificate, NULL },
	{ "ConnectTimeout", set_timeout, NULL },
	{ "ConnectionAttempts", set_attempts, NULL },
	{ "DynamicForward", refuse_unless_off, NULL },
	{ "ForkAfterAuthentication", refuse_unless_off, NULL },
	{ "ForwardAgent", refuse_unless_off, NULL },
	{ "ForwardX11", refuse_unless_off, NULL },
	{ "ForwardX11Trusted", refuse_unless_off, NULL },
	{ "HostKeyAlias", set_server_name, NULL },
	{ "HostName", set_address, NULL },
	{ "IdentityFile", NULL, add_key },
	{ "LocalForward", refuse_unless_off, NULL },
	{ "LogLevel", set_level, NULL },
	{ "Port", set_port, NULL },
	{ "ProxyCommand", refuse_unless_off, NULL },
	{ "ProxyJump", refuse_unless_off, NULL },
	{ "RemoteCommand", refuse_unless_off, NULL },
	{ "RemoteForward", refuse_unless_off, NULL },
	{ "RequestTTY", set_terminal, NULL },
	{ "SendEnv", NULL, send_variable },
	{ "SessionType", set_session, NULL },
	{ "SetEnv", NULL, add_variable },
	{ "StdinNull", set_no_stdin, NULL },
	{ "Tunnel", refuse_unless_off, NULL }
};

/*
 * Set the option "name" to "values", unless it is set already: as with ssh,
 * the first one wins.  One that AIS has no use for is left.
 */
static int
set_named(struct ssh *s, const char *name, char **values)
{
	size_t i = 0;
	int result = 0;

	while (strcasecmp(keys[i].name, name) != 0) {
		if (++i == sizeof keys / sizeof keys[0])
			return 0;
	}
	if (keys[i].set != NULL) {
		if ((s->set & UINT64_C(1) << i) != 0)
			return 0;
		s->set |= UINT64_C(1) << i;
		return keys[i].set(s, keys[i].name,
		    values[0] == NULL ? "" : values[0]);
	}
	for (; result == 0 && *values != NULL; values++)
		result = keys[i].each(s, *values);
	return result;
}

/* "NAME=VALUE" or "NAME VALUE", as in ssh_config(5); a value may stand in
 * double quotes. */
static int
set_option(struct ssh *s, const char *text)
{
	size_t length, count, at;
	char *name, **values;
	int result;

	text += strspn(text, " \t");
	length = strcspn(text, " \t=");
	if ((name = strndup(text, length)) == NULL)
		return usage("out of memory");
	text += length + strspn(text + length, " \t");
	text += *text == '=';
	if (words_split(text, 0, &values, &count, &at) != WORDS_OK) {
		result = usage("-o %s has no value that can be read", name);
	} else {
		result = set_named(s, name, values);
		words_free(values);
	}
	free(name);
	return result;
}

/* --- options by letter -------------------------------------------------- */

enum act {
	ACT_NOTHING,		/* It does no harm, and means nothing here. */
	ACT_REFUSE,		/* AIS does not do this. */
	ACT_NAMED,		/* As -o with this name; "yes" by itself. */
	ACT_FLAG,		/* A truth in struct ssh. */
	ACT_FILE,
	ACT_OPTION
};

static const struct letter {
	char letter;
	bool value;
	enum act act;
	const char *name;	/* Of -o, or of what AIS does not do. */
	const char *constant;	/* The value where none follows. */
	size_t offset;		/* Of the flag. */
} letters[] = {
	{ '1', false, ACT_NOTHING, NULL, NULL, 0 },
	{ '2', false, ACT_NOTHING, NULL, NULL, 0 },
	{ '4', false, ACT_NAMED, "AddressFamily", "inet", 0 },
	{ '6', false, ACT_NAMED, "AddressFamily", "inet6", 0 },
	{ 'A', false, ACT_REFUSE, "agent forwarding", NULL, 0 },
	{ 'B', true, ACT_REFUSE, "a source interface", NULL, 0 },
	{ 'C', false, ACT_NOTHING, NULL, NULL, 0 },
	{ 'D', true, ACT_REFUSE, "port forwarding", NULL, 0 },
	{ 'E', true, ACT_REFUSE, "a log file of the client", NULL, 0 },
	{ 'F', true, ACT_FILE, NULL, NULL, offsetof(struct ssh, file) },
	{ 'G', false, ACT_FLAG, NULL, NULL, offsetof(struct ssh, show) },
	{ 'I', true, ACT_REFUSE, "keys on a token", NULL, 0 },
	{ 'J', true, ACT_REFUSE, "a jump host", NULL, 0 },
	{ 'K', false, ACT_REFUSE, "Kerberos", NULL, 0 },
	{ 'L', true, ACT_REFUSE, "port forwarding", NULL, 0 },
	{ 'M', false, ACT_NOTHING, NULL, NULL, 0 },
	{ 'N', false, ACT_REFUSE, "a session without a command", NULL, 0 },
	{ 'O', true, ACT_FLAG, NULL, NULL, offsetof(struct ssh, master) },
	{ 'P', true, ACT_NOTHING, NULL, NULL, 0 },
	{ 'Q', true, ACT_REFUSE, "a list of algorithms", NULL, 0 },
	{ 'R', true, ACT_REFUSE, "port forwarding", NULL, 0 },
	{ 'S', true, ACT_NOTHING, NULL, NULL, 0 },
	{ 'T', false, ACT_NAMED, "RequestTTY", "no", 0 },
	{ 'V', false, ACT_FLAG, NULL, NULL, offsetof(struct ssh, version) },
	{ 'W', true, ACT_REFUSE, "port forwarding", NULL, 0 },
	{ 'X', false, ACT_REFUSE, "X11 forwarding", NULL, 0 },
	{ 'Y', false, ACT_REFUSE, "X11 forwarding", NULL, 0 },
	{ 'a', false, ACT_NOTHING, NULL, NULL, 0 },
	{ 'b', true, ACT_REFUSE, "a source address", NULL, 0 },
	{ 'c', true, ACT_NOTHING, NULL, NULL, 0 },
	{ 'e', true, ACT_NOTHING, NULL, NULL, 0 },
	{ 'f', false, ACT_REFUSE, "going to the background", NULL, 0 },
	{ 'g', false, ACT_REFUSE, "port forwarding", NULL, 0 },
	{ 'i', true, ACT_NAMED, "IdentityFile", NULL, 0 },
	{ 'k', false, ACT_NOTHING, NULL, NULL, 0 },
	{ 'l', true, ACT_NOTHING, NULL, NULL, 0 },
	{ 'm', true, ACT_NOTHING, NULL, NULL, 0 },
	{ 'n', false, ACT_NAMED, "StdinNull", "yes", 0 },
	{ 'o', true, ACT_OPTION, NULL, NULL, 0 },
	{ 'p', true, ACT_NAMED, "Port", NULL, 0 },
	{ 'q', false, ACT_NAMED, "LogLevel", "quiet", 0 },
	{ 's', false, ACT_FLAG, NULL, NULL, offsetof(struct ssh, subsystem) },
	{ 't', false, ACT_NAMED, "RequestTTY", "yes", 0 },
	{ 'v', false, ACT_NAMED, "LogLevel", "verbose", 0 },
	{ 'w', true, ACT_REFUSE, "tunnels", NULL, 0 },
	{ 'x', false, ACT_NOTHING, NULL, NULL, 0 },
	{ 'y', false, ACT_NOTHING, NULL, NULL, 0 }
};

#define LETTERS		(sizeof letters / sizeof letters[0])

static int
take_letter(struct ssh *s, int letter, char *value)
{
	const struct letter *l = letters;
	char *values[] = { value, NULL };

	while (l->letter != letter)
		l++;
	switch (l->act) {
	case ACT_NOTHING:
		return 0;
	case ACT_REFUSE:
		return usage("-%c, %s, is nothing that AIS does", letter,
		    l->name);
	case ACT_NAMED:
		/* It is only read. */
		if (!l->value)
			values[0] = (char *)(uintptr_t)l->constant;
		return set_named(s, l->name, values);
	case ACT_FLAG:
		*(bool *)((char *)s + l->offset) = true;
		return 0;
	case ACT_FILE:
		/* By these, tools leave out ssh_config(5) alone. */
		if (is_none(value) || strcmp(value, "/dev/null") == 0)
			return 0;
		return take_text(&s->file, value);
	case ACT_OPTION:
		return set_option(s, value);
	}
	return -1;
}

/* Take the options at the beginning; how many words they are, or -1. */
static int
take_letters(struct ssh *s, int argc, char **argv)
{
	/* "+": options end at the first other word.  ":": we say ourselves
	 * what is wrong. */
	char string[2 * LETTERS + 3] = "+:", *p = string + 2;
	int c;

	for (size_t i = 0; i < LETTERS; i++) {
		*p++ = letters[i].letter;
		if (letters[i].value)
			*p++ = ':';
	}
	*p = '\0';
	optind = 0;		/* Begin anew. */
	while ((c = getopt(argc, argv, string)) != -1) {
		if (c == ':')
			return usage("-%c needs a value", optopt);
		if (c == '?')
			return usage("there is no option -%c", optopt);
		if (take_letter(s, c, optarg) == -1)
			return -1;
	}
	return optind;
}

/* --- the command line --------------------------------------------------- */

/* [USER@]HOST, or ssh://[USER@]HOST[:PORT]; there are no users in AIS. */
static int
take_host(struct ssh *s, const char *text)
{
	static char port_name[] = "Port";
	bool is_uri = strncmp(text, "ssh://", 6) == 0;
	const char *at = strrchr(text, '@'), *port = NULL;
	const char *host = at != NULL ? at + 1 : is_uri ? text + 6 : text;
	char *values[] = { NULL, NULL }, *end;

	if (take_text(&s->host, host) == -1)
		return -1;
	host = s->host;
	if (is_uri)
		s->host[strcspn(host, "/")] = '\0';
	if (is_uri && (port = strrchr(host, ':')) != NULL &&
	    strchr(port, ']') == NULL) {
		s->host[port - host] = '\0';
		values[0] = s->host + (port - host) + 1;
		if (set_named(s, port_name, values) == -1)
			return -1;
	}
	end = s->host + strlen(s->host);
	if (*host == '[' && end[-1] == ']') {
		end[-1] = '\0';
		memmove(s->host, s->host + 1, (size_t)(end - s->host) - 1);
	}
	return *s->host == '\0' ? usage("there is no HOST") : 0;
}

/* Keep the words of the command as one line; an empty one is none. */
static int
join(struct ssh *s, int argc, char **argv)
{
	size_t size = 1, used = 0;

	for (int i = 0; i < argc; i++)
		size += strlen(argv[i]) + 1;
	if ((s->line = malloc(size)) == NULL) {
		outcome_say("resources: out of memory");
		return -1;
	}
	for (int i = 0; i < argc; i++)
		used += (size_t)snprintf(s->line + used, size - used, "%s%s",
		    i == 0 ? "" : " ", argv[i]);
	s->line[used] = '\0';
	return 0;
}

/* Take the options and HOST; options stand behind it as well.  How many words
 * come before the command, or -1. */
static int
take_words(struct ssh *s, int argc, char **argv)
{
	int n, more;

	s->set = 0;
	s->has_key = false;
	n = take_letters(s, argc, argv);
	if (n == -1 || n == argc)
		return n;
	if (take_host(s, argv[n]) == -1)
		return -1;
	/* HOST stands where argv[0] does, and is not looked at. */
	more = take_letters(s, argc - n, argv + n);
	return more == -1 ? -1 : n + more;
}

/* What the command line and the files say; twice, as the files depend on the
 * one and are overruled by it. */
static int
configure(struct ssh *s, int argc, char **argv)
{
	int n = take_words(s, argc, argv);

	if (n == -1)
		return -1;
	if (s->version || s->master)
		return 0;
	if (s->host == NULL)
		return usage("there is no HOST");
	settings_free(&s->settings);
	if (settings_load(&s->settings, s->file, s->host, WAIT) == -1) {
		if (s->file != NULL && access(s->file, R_OK) == 0)
			outcome_say("-F takes a file as aisc.conf(5) says, and "
			    "not one of ssh_config(5)");
		return -1;
	}
	if (take_words(s, argc, argv) == -1)
		return -1;
	if (s->no_key != NULL && !s->settings.quiet)
		outcome_say("there is no key %s; going on without it",
		    s->no_key);
	if (s->subsystem && argc - n != 1 && !s->show)
		return usage("-s takes one word, the name of a subsystem");
	return join(s, argc - n, argv + n);
}

/* -G: as ssh shows them. */
static int
show(const struct ssh *s)
{
	const struct settings *settings = &s->settings;

	printf("host %s\nhostname %s\nport %lld\naddressfamily %s\n"
	    "batchmode yes\nconnecttimeout %lld\n", s->host,
	    settings->host_name == NULL ? s->host : settings->host_name,
	    (long long)settings->port, settings->family == AF_INET ? "inet" :
	    settings->family == AF_INET6 ? "inet6" : "any",
	    (long long)settings->connect_timeout / 1000);
	if (settings->key != NULL)
		printf("identityfile %s\n", settings->key);
	if (settings->certificate != NULL)
		printf("certificatefile %s\n", settings->certificate);
	for (char **v = settings->environment; v != NULL && *v != NULL; v++)
		printf("setenv %s\n", *v);
	if (fflush(stdout) == 0 && ferror(stdout) == 0)
		return 0;
	outcome_say("output: cannot write standard output: %s",
	    strerror(errno));
	return OUTCOME_FAILED;
}

static void
ask(const struct ssh *s, struct request *r, struct outcome *o)
{
	char *words[] = { s->line, NULL };
	struct body body = { .operation = s->subsystem ? PROTO_SUBSYSTEM :
	    PROTO_LINE, .words = words, .nwords = *s->line != '\0',
	    .env = s->settings.environment,
	    .directory = s->settings.directory,
	    .wants_stdin = !s->settings.no_stdin };

	while (body.env != NULL && body.env[body.nenv] != NULL)
		body.nenv++;
	request_ask(r, &body, o);
}

/*
 * Without a command the server's shell reads our standard input.  Where that
 * is a terminal, ssh(1) would make one on the server; whoever waits for its
 * prompt, a person or a program, is told that there is none.
 */
static int
run(const struct ssh *s)
{
	struct request *r;
	struct outcome outcome;

	if (*s->line == '\0' && !s->bare && !s->settings.no_stdin &&
	    isatty(STDIN_FILENO) == 1) {
		(void)usage("AIS has no terminals for a shell; name a command, "
		    "take -T for a shell without one, or \"aisc %s\" for the "
		    "prompt of AIS", s->host);
		return OUTCOME_FAILED;
	}
	if ((r = request_new(&s->settings)) == NULL) {
		outcome_say("resources: out of memory");
		return OUTCOME_FAILED;
	}
	ask(s, r, &outcome);
	request_free(r);
	outcome_report(&outcome);
	if (s->settings.verbose)
		outcome_summary(&outcome);
	return outcome.status;
}

bool
ssh_is_called(const char *program)
{
	const char *slash = strrchr(program, '/');
	const char *name = slash == NULL ? program : slash + 1;

	return strcmp(name, "aisc-ssh") == 0 || strcmp(name, "ssh") == 0;
}

int
ssh_run(int argc, char **argv)
{
	struct ssh s = { .host = NULL };
	int status = OUTCOME_FAILED;

	/* As ssh(1) does it: who starts several transports may have left us
	 * the other end of our own standard input, whose end we wait for. */
	stream_close_others();
	if (configure(&s, argc, argv) == -1)
		status = OUTCOME_FAILED;
	else if (s.version)
		status = fputs("aisc (" PACKAGE_NAME ") " PACKAGE_VERSION
		    "\n", stderr) == EOF ? OUTCOME_FAILED : 0;
	else if (s.master)
		outcome_say("there is no master connection: each aisc-ssh has "
		    "its own");
	else if (s.show)
		status = show(&s);
	else
		status = run(&s);
	settings_free(&s.settings);
	free(s.file);
	free(s.host);
	free(s.no_key);
	free(s.line);
	return status;
}
