#include <config.h>

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/wire/body.h"
#include "common/conf/conf.h"
#include "common/base/date.h"
#include "common/base/json.h"
#include "common/base/log.h"
#include "common/base/text.h"
#include "common/base/net.h"
#include "common/tls/tls.h"
#include "common/base/words.h"
#include "daemon/advice.h"
#include "daemon/rules/policy.h"
#include "daemon/conf/settings.h"

/* --- explain -------------------------------------------------------------- */

/* Where "NAME=" of a description goes. */
struct part {
	const char *name;
	const char *prefix;	/* Of an alternative name; or NULL. */
	size_t offset;		/* Else: in the identity. */
	size_t size;
};

static const struct part parts[] = {
	{ "CN", NULL, offsetof(struct tls_identity, common_name),
	    TLS_NAME_MAX },
	{ "SUBJECT", NULL, offsetof(struct tls_identity, subject),
	    TLS_DN_MAX },
	{ "ISSUER", NULL, offsetof(struct tls_identity, issuer),
	    TLS_DN_MAX },
	{ "FINGERPRINT", NULL, offsetof(struct tls_identity, fingerprint),
	    TLS_FINGERPRINT_MAX },
	{ "DNS", "DNS:", 0, 0 },
	{ "EMAIL", "EMAIL:", 0, 0 },
	{ "URI", "URI:", 0, 0 },
	{ "IP", "IP:", 0, 0 },
};

/* Append "PREFIX:name" to the alternative names; -1 if there is no room. */
static int
add_name(struct tls_identity *id, const char *prefix, const char *name,
    size_t n)
{
	char *p = id->sans, *end = id->sans + sizeof id->sans;

	while (*p != '\0')
		p += strlen(p) + 1;
	if ((size_t)(end - p) < strlen(prefix) + n + 2)
		return -1;
	memcpy(p, prefix, strlen(prefix));
	p += strlen(prefix);
	memcpy(p, name, n);
	p[n] = p[n + 1] = '\0';
	return 0;
}

/* One "NAME=value" of "n" bytes; -1 if it is none. */
static int
add_part(struct tls_identity *id, char *from, size_t size, const char *text,
    size_t n)
{
	const char *value = memchr(text, '=', n);
	struct net_host host;
	size_t name, length;

	if (value == NULL)
		return -1;
	name = (size_t)(value++ - text);
	length = n - name - 1;
	if (name == 4 && strncmp(text, "FROM", 4) == 0) {
		/* A name would silently be in no network. */
		(void)snprintf(from, size, "%.*s", (int)length, value);
		return net_host(from, &host) == 0 && host.length > 0 &&
		    length < size ? 0 : -1;
	}
	for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
		const struct part *p = &parts[i];

		if (strlen(p->name) != name ||
		    strncmp(text, p->name, name) != 0)
			continue;
		if (p->prefix != NULL)
			return add_name(id, p->prefix, value, length);
		if (length >= p->size)
			return -1;
		memcpy((char *)id + p->offset, value, length);
		return 0;
	}
	return -1;
}

static int
parse_who(struct tls_identity *id, char *from, size_t size, const char *who)
{
	memset(id, 0, sizeof *id);
	for (const char *p = who; *p != '\0'; ) {
		size_t n = strcspn(p, ",");

		if (add_part(id, from, size, p, n) == -1) {
			log_error("\"%.*s\" is neither a certificate's file "
			    "nor NAME=VALUE with one of the names CN, SUBJECT, "
			    "ISSUER, FINGERPRINT, DNS, EMAIL, URI, IP and, "
			    "with an address, FROM", (int)n, p);
			return -1;
		}
		p += n + (p[n] == ',');
	}
	if (id->subject[0] == '\0')
		(void)snprintf(id->subject, sizeof id->subject, "CN=%.500s",
		    id->common_name);
	return 0;
}

int
advice_explain(FILE *out, const struct settings *s, const char *who,
    char **argv)
{
	struct body request = { .operation = PROTO_RUN, .words = argv };
	struct tls_identity id;
	struct policy_world world;
	char from[64] = "127.0.0.1", why[TLS_TEXT_MAX];
	struct policy_peer peer = {
		.identity = &id, .address = from, .session = "explain",
		.now = date_now()
	};

	if (strchr(who, '=') != NULL) {
		if (parse_who(&id, from, sizeof from, who) == -1)
			return -1;
	} else if (tls_identity_load(who, &id, why) == -1) {
		log_error("%s", why);
		return -1;
	} else if (id.lacks != NULL) {
		log_error("the certificate %s is refused: it has %s, which "
		    "cannot be compared with the rules", who, id.lacks);
		return -1;
	}
	while (argv[request.nwords] != NULL)
		request.nwords++;
	settings_world(s, &world);
	return policy_explain(out, s->rules, &world, &peer,
	    request.nwords == 0 ? NULL : &request) ? 0 : 1;
}

/* --- suggest -------------------------------------------------------------- */

/* The longest line that is looked at; the log's own are shorter. */
#define LINE_SIZE	(64 * 1024)
/* The most suggestions: more is no list that anybody would read. */
#define SEEN_MAX	4096

/* What has been suggested: a rule's name and an argv, as in the log. */
struct seen {
	char *texts[SEEN_MAX];
	size_t count;
};

/* Undo text_escape() up to the closing quote; NULL if there is none. */
static const char *
unescape(const char *p, char *out)
{
	for (; *p != '"'; p++) {
		char digits[3] = "";

		if (*p == '\0')
			return NULL;
		if (*p != '\\') {
			*out++ = *p;
			continue;
		}
		p++;
		if (*p == 'n' || *p == 'r' || *p == 't')
			*out++ = *p == 'n' ? '\n' : *p == 'r' ? '\r' : '\t';
		else if (*p == 'x' && p[1] != '\0' && p[2] != '\0') {
			memcpy(digits, p + 1, 2);
			*out++ = (char)strtoul(digits, NULL, 16);
			p += 2;
		} else if (*p == '\0')
			return NULL;
		else
			*out++ = *p;
	}
	*out = '\0';
	return p;
}

/* The value of " name=" in a logfmt line; as get_value(). */
static bool
get_field(const char *line, const char *name, char *out)
{
	const char *p = line;
	size_t n = strlen(name);

	while (*p != '\0') {
		bool ours = strncmp(p, name, n) == 0 && p[n] == '=';

		p += strcspn(p, "= ");
		if (*p != '=') {
			p += *p == ' ';
			continue;
		}
		if (p[1] == '"') {
			if ((p = unescape(p + 2, out)) == NULL)
				return false;
			p++;
		} else {
			size_t length = strcspn(++p, " \n");

			memcpy(out, p, length);
			out[length] = '\0';
			p += length;
		}
		if (ours)
			return true;
		p += *p == ' ' || *p == '\n';
	}
	return false;
}

/* The value of the field "name" of a line of either form, into "out", which is
 * as long as the line.  Whether there is one. */
static bool
get_value(const char *line, const char *name, char *out)
{
	if (line[0] == '{')
		return json_get_bytes(line, name, out) != -1;
	return get_field(line, name, out);
}

/* Whether "text" is new. */
static bool
is_new(struct seen *s, const char *text)
{
	for (size_t i = 0; i < s->count; i++) {
		if (strcmp(s->texts[i], text) == 0)
			return false;
	}
	if (s->count == SEEN_MAX ||
	    (s->texts[s->count] = strdup(text)) == NULL)
		return false;
	s->count++;
	return true;
}

static void
suggest_command(FILE *out, const char *rule, const char *argv)
{
	char **words;
	size_t count, at;

	if (words_split(argv, 0, &words, &count, &at) != WORDS_OK)
		return;
	if (count == 0) {
		words_free(words);
		return;
	}
	fputs("# for the rule ", out);
	conf_print_string(out, rule);
	fputs("\n{\n\tname = ", out);
	conf_print_string(out, strrchr(words[0], '/') == NULL ? words[0] :
	    strrchr(words[0], '/') + 1);
	fputs(";\n\tprogram = ", out);
	conf_print_string(out, words[0]);
	fputs(words[0][0] == '/' ? ";\n" : ";\t# its absolute path\n", out);
	fputs("\targuments = (", out);
	for (size_t i = 1; i < count; i++) {
		fputs(i == 1 ? " { " : ", { ", out);
		if (strcmp(words[i], "***") == 0) {
			fputs("any = true; }", out);
			continue;
		}
		fputs("one_of = [ ", out);
		conf_print_string(out, words[i]);
		fputs(" ]; }", out);
	}
	fputs(" );\n},\n", out);
	words_free(words);
}

static void
suggest_line(FILE *out, struct seen *seen, const char *line)
{
	static char value[LINE_SIZE], rule[LINE_SIZE], key[2 * LINE_SIZE];

	if (!get_value(line, "event", value) ||
	    strcmp(value, "command-start") != 0 ||
	    !get_value(line, "learned", value) ||
	    !get_value(line, "rule", rule))
		return;
	if (get_value(line, "line", value)) {
		(void)snprintf(key, sizeof key, "%s shell", rule);
		if (is_new(seen, key)) {
			fputs("# for the rule ", out);
			conf_print_string(out, rule);
			fputs("\nshell = true;\n", out);
		}
		return;
	}
	if (!get_value(line, "argv", value))
		return;
	(void)snprintf(key, sizeof key, "%s %s", rule, value);
	if (is_new(seen, key))
		suggest_command(out, rule, value);
}

int
advice_suggest(FILE *out, const char *path)
{
	static char line[LINE_SIZE];
	static struct seen seen;
	FILE *f = fopen(path, "re");

	if (f == NULL) {
		log_errno("cannot read the log %s", path);
		return -1;
	}
	seen.count = 0;
	while (fgets(line, sizeof line, f) != NULL)
		suggest_line(out, &seen, line);
	if (ferror(f))
		log_errno("cannot read the log %s", path);
	while (seen.count > 0)
		free(seen.texts[--seen.count]);
	if (ferror(f)) {
		(void)fclose(f);
		return -1;
	}
	(void)fclose(f);
	return 0;
}
