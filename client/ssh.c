/*
 * ssh.c - the command line of ssh(1), and what comes of it.
 * SPDX-License-Identifier: ISC
 */
#include <config.h>

#include <assert.h>
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
#include "common/tls/types.h"
#include "common/wire/proto.h"
#include "common/base/words.h"

#include "client/core/outcome.h"
#include "client/core/memory.h"
#include "client/core/printer.h"
#include "client/core/settings.h"
#include "client/core/stream.h"
#include "client/session/request.h"
#include "client/ask/run.h"
#include "client/options.h"

#include "client/ssh.h"

#define SEE		"aisc-ssh(1)"
#define usage(...)	options_usage(SEE, __VA_ARGS__)
/* A year, in seconds, is no limit. */
#define SECONDS_MAX	(365 * 86400)
#define ATTEMPTS_MAX	1000000
/* How long we wait in the server's queue by default, in ms.  A tool that needs
 * two sessions at once waits for itself: it must fail, and not hang. */
#define WAIT		120000

/* What the command line says, and what the files add to it. */
struct ssh {
	struct settings settings;
	char *file;		/* -F: the configuration to use alone. */
	char *host;
	char *line;		/* The command; "" is the shell itself. */
	uint64_t set;		/* Which of "keys" are, as bits. */
	char *no_key;		/* A key that is not there, or NULL. */
	bool has_key;		/* No other is used. */
	bool subsystem;
	bool bare;		/* -T: no terminal is wanted. */
	bool show;		/* -G */
	bool version;
	bool master;		/* -O: to talk to a master connection. */
};

/* --- options by name: -o NAME=VALUE ------------------------------------ */

/* What an option does.  Those before KEY_EACH are set by their first value,
 * the others by each. */
enum key_kind {
	KEY_REFUSED, KEY_PROXY, KEY_FAMILY, KEY_CERTIFICATE, KEY_TIMEOUT,
	KEY_ATTEMPTS, KEY_NAME, KEY_ADDRESS, KEY_LEVEL, KEY_PORT, KEY_TERMINAL,
	KEY_SESSION, KEY_NO_STDIN, KEY_EACH, KEY_IDENTITY = KEY_EACH, KEY_SEND,
	KEY_VARIABLE
};

static const struct key {
	const char *name;
	enum key_kind kind;
} keys[] = {
	{ "AddressFamily", KEY_FAMILY },
	{ "CertificateFile", KEY_CERTIFICATE },
	{ "ConnectTimeout", KEY_TIMEOUT },
	{ "ConnectionAttempts", KEY_ATTEMPTS },
	{ "DynamicForward", KEY_REFUSED },
	{ "ForkAfterAuthentication", KEY_REFUSED },
	{ "ForwardAgent", KEY_REFUSED },
	{ "ForwardX11", KEY_REFUSED },
	{ "ForwardX11Trusted", KEY_REFUSED },
	{ "HostKeyAlias", KEY_NAME },
	{ "HostName", KEY_ADDRESS },
	{ "IdentityFile", KEY_IDENTITY },
	{ "LocalForward", KEY_REFUSED },
	{ "LogLevel", KEY_LEVEL },
	{ "Port", KEY_PORT },
	{ "ProxyCommand", KEY_PROXY },
	{ "ProxyJump", KEY_PROXY },
	{ "RemoteCommand", KEY_REFUSED },
	{ "RemoteForward", KEY_REFUSED },
	{ "RequestTTY", KEY_TERMINAL },
	{ "SendEnv", KEY_SEND },
	{ "SessionType", KEY_SESSION },
	{ "SetEnv", KEY_VARIABLE },
	{ "StdinNull", KEY_NO_STDIN },
	{ "Tunnel", KEY_REFUSED }
};

/* Is "word" one of "list", ignoring case? */
static bool
is_one(const char *word, const char *const *list)
{
	while (*list != NULL && strcasecmp(*list, word) != 0)
		list++;
	return *list != NULL;
}

static int
set_family(struct settings *s, const char *name, const char *value)
{
	if (strcasecmp(value, "any") == 0)
		s->family = AF_UNSPEC;
	else if (strcasecmp(value, "inet") == 0)
		s->family = AF_INET;
	else if (strcasecmp(value, "inet6") == 0)
		s->family = AF_INET6;
	else
		return usage("%s is \"any\", \"inet\" or \"inet6\" and not "
		    "\"%s\"", name, value);
	return 0;
}

static int
set_timeout(struct settings *s, const char *name, const char *value)
{
	int64_t seconds = 0;

	if (strcasecmp(value, "none") != 0 && options_number(SEE, name, value,
	    0, SECONDS_MAX, &seconds) == -1)
		return -1;
	s->connect_timeout = seconds * 1000;
	/* While it waits in the queue it is not connected yet. */
	if (seconds > 0 && s->wait > s->connect_timeout)
		s->wait = s->connect_timeout;
	return 0;
}

static void
set_level(struct settings *s, const char *value)
{
	static const char *const quiet[] = { "quiet", "fatal", "error", NULL };

	s->quiet = is_one(value, quiet);
	s->verbose = strcasecmp(value, "verbose") == 0 ||
	    strncasecmp(value, "debug", 5) == 0;
}

/* An empty file, and one called "none", is none. */
static bool
is_none(const char *file)
{
	return *file == '\0' || strcasecmp(file, "none") == 0;
}

/* Put the path "file" in the place of the one at "place". */
static void
set_file(char **place, const char *file)
{
	memory_set(place, file);
	settings_resolve(place, "");
}

/* The first key that is there; ssh(1) goes on without one that is not. */
static void
add_key(struct ssh *s, const char *value)
{
	char *file = NULL;

	if (s->has_key || is_none(value)) {
		s->has_key = true;
		return;
	}
	set_file(&file, value);
	assert(file != NULL);
	s->has_key = tls_store_uri(file) != NULL || access(file, F_OK) == 0;
	memory_set(s->has_key ? &s->settings.key : &s->no_key, file);
	free(file);
}

static int
add_variable(struct ssh *s, const char *variable)
{
	if (settings_add_environment(&s->settings, variable) == 0)
		return 0;
	return usage("%s is not NAME=VALUE", variable);
}

/* Send the variables of ours whose names "pattern" matches. */
static int
send_variables(struct ssh *s, const char *pattern)
{
	int result = 0;
	char *name;

	for (char **v = environ; result == 0 && *v != NULL; v++) {
		name = memory_copy(*v);
		name[strcspn(name, "=")] = '\0';
		if (*name != '\0' && pattern_match(pattern, name))
			result = add_variable(s, *v);
		free(name);
	}
	return result;
}

static int
set_key(struct ssh *s, const struct key *key, const char *value)
{
	static const char *const off[] = { "no", "none", NULL };
	struct settings *to = &s->settings;

	switch (key->kind) {
	case KEY_FAMILY:
		return set_family(to, key->name, value);
	case KEY_CERTIFICATE:
		if (!is_none(value))
			set_file(&to->certificate, value);
		break;
	case KEY_TIMEOUT:
		return set_timeout(to, key->name, value);
	case KEY_ATTEMPTS:
		return options_number(SEE, key->name, value, 1, ATTEMPTS_MAX,
		    &to->attempts);
	case KEY_NAME:
		memory_set(&to->server_name, value);
		break;
	case KEY_ADDRESS:
		memory_set(&to->host_name, value);
		break;
	case KEY_LEVEL:
		set_level(to, value);
		break;
	case KEY_PORT:
		return options_number(SEE, key->name, value, 1, 65535,
		    &to->port);
	case KEY_TERMINAL:
		s->bare = strcasecmp(value, "no") == 0;
		break;
	case KEY_SESSION:
		s->subsystem = strcasecmp(value, "subsystem") == 0;
		return strcasecmp(value, "none") != 0 ? 0 :
		    usage("%s=none is not supported", key->name);
	case KEY_NO_STDIN:
		to->no_stdin = strcasecmp(value, "yes") == 0;
		break;
	case KEY_IDENTITY:
		add_key(s, value);
		break;
	case KEY_SEND:
		return send_variables(s, value);
	case KEY_VARIABLE:
		return add_variable(s, value);
	case KEY_PROXY:
		return is_one(value, off) ? 0 : usage("%s is not supported: "
		    "set \"proxy_command\" in aisc.conf(5), in a section for "
		    "the host, which has the same", key->name);
	case KEY_REFUSED:
		/* It may be switched off, and not on. */
		return is_one(value, off) ? 0 :
		    usage("%s is not supported", key->name);
	}
	return 0;
}

/*
 * Set the option "name" to "values", unless it is set already: as with ssh,
 * the first one wins.  One that means nothing to AIS is passed over.
 */
static int
set_named(struct ssh *s, const char *name, const char *const *values)
{
	const struct key *key = keys;
	uint64_t bit = 1;
	int result = 0;

	while (strcasecmp(key->name, name) != 0) {
		bit <<= 1;
		if (++key == keys + sizeof keys / sizeof keys[0])
			return 0;
	}
	if (key->kind < KEY_EACH) {
		if ((s->set & bit) != 0)
			return 0;
		s->set |= bit;
		return set_key(s, key, values[0] == NULL ? "" : values[0]);
	}
	for (; result == 0 && *values != NULL; values++)
		result = set_key(s, key, *values);
	return result;
}

/* "NAME=VALUE" or "NAME VALUE", as in ssh_config(5); a value may stand in
 * double quotes. */
static int
ssh_set_option(struct ssh *s, const char *text)
{
	char *copy = memory_copy(text + strspn(text, " \t")), *value, **values;
	size_t length = strcspn(copy, " \t="), count, at;
	int result;

	value = copy + length + strspn(copy + length, " \t");
	value += *value == '=';
	if (words_split(value, 0, &values, &count, &at) != WORDS_OK) {
		result = usage("-o %.*s has no value that can be read",
		    (int)length, copy);
	} else {
		copy[length] = '\0';
		result = set_named(s, copy, (const char *const *)values);
		words_free(values);
	}
	free(copy);
	return result;
}

/* --- options by letter -------------------------------------------------- */

/*
 * All that ssh(1) has, for getopt(3).  "+": options end at the first other
 * word.  ":": the messages are ours.  REFUSED is what AIS does not do; those
 * that are nowhere below do no harm, and mean nothing here.
 */
#define LETTERS	"+:1246AB:CD:E:F:GI:J:KL:MNO:P:Q:R:S:TVW:XYab:c:e:fgi:kl:m:" \
		"no:p:qstvw:xy"
#define REFUSED	"ABDEIKLNQRWXYbfgw"

/* Those that are short for an option by name. */
static const char *const as_option[128] = {
	['4'] = "AddressFamily=inet", ['6'] = "AddressFamily=inet6",
	['T'] = "RequestTTY=no", ['n'] = "StdinNull=yes",
	['q'] = "LogLevel=quiet", ['t'] = "RequestTTY=yes",
	['v'] = "LogLevel=verbose"
};

static int
take_letter(struct ssh *s, int letter, const char *value)
{
	const char *values[] = { value, NULL };

	if (strchr(REFUSED, letter) != NULL)
		return usage("-%c is not supported", letter);
	if (as_option[letter] != NULL)
		return ssh_set_option(s, as_option[letter]);
	switch (letter) {
	case 'F':
		/* By these, tools leave out ssh_config(5) alone. */
		if (!is_none(value) && strcmp(value, "/dev/null") != 0)
			memory_set(&s->file, value);
		break;
	case 'G':
		s->show = true;
		break;
	case 'J':
		return set_named(s, "ProxyJump", values);
	case 'O':
		s->master = true;
		break;
	case 'V':
		s->version = true;
		break;
	case 'i':
		return set_named(s, "IdentityFile", values);
	case 'o':
		return ssh_set_option(s, value);
	case 'p':
		return set_named(s, "Port", values);
	case 's':
		s->subsystem = true;
		break;
	}
	return 0;
}

/* Take the options at the beginning; how many words they are, or -1. */
static int
take_letters(struct ssh *s, int argc, char **argv)
{
	int c;

	optind = 0;		/* Begin anew. */
	while ((c = getopt(argc, argv, LETTERS)) != -1) {
		if (c == ':')
			return usage("-%c needs a value", optopt);
		if (c == '?')
			return usage("unknown option -%c", optopt);
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
	bool is_uri = strncmp(text, "ssh://", 6) == 0;
	const char *at = strrchr(text, '@');
	const char *values[] = { NULL, NULL };
	char *port, *end;

	memory_set(&s->host, at != NULL ? at + 1 : is_uri ? text + 6 : text);
	if (is_uri)
		s->host[strcspn(s->host, "/")] = '\0';
	if (is_uri && (port = strrchr(s->host, ':')) != NULL &&
	    strchr(port, ']') == NULL) {
		*port = '\0';
		values[0] = port + 1;
		if (set_named(s, "Port", values) == -1)
			return -1;
	}
	end = s->host + strlen(s->host);
	if (*s->host == '[' && end[-1] == ']') {
		end[-1] = '\0';
		memmove(s->host, s->host + 1, (size_t)(end - s->host) - 1);
	}
	return *s->host == '\0' ? usage("there is no HOST") : 0;
}

/* Keep the words of the command as one line; without any it is empty. */
static void
join(struct ssh *s, int argc, char **argv)
{
	size_t size = 1;
	char *end;

	for (int i = 0; i < argc; i++)
		size += strlen(argv[i]) + 1;
	end = s->line = memory_get(size);
	for (int i = 0; i < argc; i++) {
		if (i > 0)
			*end++ = ' ';
		end = stpcpy(end, argv[i]);
	}
}

/* Take the options and HOST; options may follow it as well.  How many words
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
	/* HOST stands where argv[0] does, which getopt(3) passes over. */
	more = take_letters(s, argc - n, argv + n);
	return more == -1 ? -1 : n + more;
}

/* What the command line and the files say.  The words are read twice: the files
 * depend on them and are overruled by them. */
static int
ssh_configure(struct ssh *s, int argc, char **argv)
{
	int n = take_words(s, argc, argv);

	if (n == -1)
		return -1;
	if (s->version || s->master)
		return 0;
	if (s->host == NULL) {
		(void)usage("there is no HOST");
		return -1;
	}
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
	join(s, argc - n, argv + n);
	return 0;
}

/* -G: as ssh shows them. */
static int
ssh_show(const struct ssh *s)
{
	const struct settings *settings = &s->settings;
	struct outcome o = { .class = OUTCOME_DONE };
	struct printer p;

	printer_open(&p, STDOUT_FILENO);
	(void)fprintf(p.out, "host %s\nhostname %s\nport %lld\n"
	    "addressfamily %s\nbatchmode yes\nconnecttimeout %lld\n", s->host,
	    settings->host_name == NULL ? s->host : settings->host_name,
	    (long long)settings->port, settings->family == AF_INET ? "inet" :
	    settings->family == AF_INET6 ? "inet6" : "any",
	    (long long)settings->connect_timeout / 1000);
	if (settings->key != NULL)
		(void)fprintf(p.out, "identityfile %s\n", settings->key);
	if (settings->certificate != NULL)
		(void)fprintf(p.out, "certificatefile %s\n",
		    settings->certificate);
	for (char **v = settings->environment; v != NULL && *v != NULL; v++)
		(void)fprintf(p.out, "setenv %s\n", *v);
	printer_close(&p, &o);
	outcome_report(&o);
	return o.status;
}

/*
 * Without a command the server's shell reads our standard input.  Where that
 * is a terminal, ssh(1) would make one on the server; a person or a program
 * that waits for its prompt is told that there is none.
 */
static int
ssh_ask(const struct ssh *s)
{
	char *words[] = { s->line, NULL };
	struct body body = { .operation = s->subsystem ? PROTO_SUBSYSTEM :
	    PROTO_LINE, .words = words, .nwords = *s->line != '\0',
	    .directory = s->settings.directory,
	    .wants_stdin = !s->settings.no_stdin };
	struct request *r;
	struct outcome o;
	int status;

	if (*s->line == '\0' && !s->bare && !s->settings.no_stdin &&
	    isatty(STDIN_FILENO) == 1) {
		(void)usage("AIS has no terminals for a shell; name a command, "
		    "take -T for a shell without one, or \"aisc %s\" for the "
		    "prompt of AIS", s->host);
		return OUTCOME_FAILED;
	}
	if ((r = request_new(&s->settings)) == NULL)
		memory_out();
	status = run_once(&s->settings, r, NULL, &body, &o);
	request_free(r);
	return status;
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

	/* As ssh(1) does it: a program that starts several transports may have
	 * passed on the other end of our own standard input, for whose end we
	 * would wait. */
	stream_close_others();
	if (ssh_configure(&s, argc, argv) == -1)
		;		/* A message has said why. */
	else if (s.version)
		status = fputs("aisc (" PACKAGE_NAME ") " PACKAGE_VERSION
		    "\n", stderr) == EOF ? OUTCOME_FAILED : 0;
	else if (s.master)
		outcome_say("there is no master connection: each aisc-ssh has "
		    "its own");
	else
		status = s.show ? ssh_show(&s) : ssh_ask(&s);
	settings_free(&s.settings);
	free(s.file);
	free(s.host);
	free(s.no_key);
	free(s.line);
	return status;
}
