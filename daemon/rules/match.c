/* Which peers a rule is for.
 * SPDX-License-Identifier: ISC */
#include <config.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/number.h"
#include "common/base/pattern.h"
#include "common/base/text.h"
#include "common/tls/tls.h"
#include "daemon/rules/match.h"

static const char *const keys[MATCH_KINDS] = {
	"peers", "dns", "email", "uri", "ip", "upn", "cn", "ou", "o", "dc",
	"uid", "serial_number", "subject_email", "issuer", "fingerprint",
	"network"
};

/* What the names of a list of an identity begin with. */
static const char *const prefixes[MATCH_KINDS] = {
	[MATCH_DNS] = "DNS:", [MATCH_EMAIL] = "EMAIL:", [MATCH_URI] = "URI:",
	[MATCH_IP] = "IP:", [MATCH_UPN] = "UPN:", [MATCH_EACH_CN] = "CN:",
	[MATCH_OU] = "OU:", [MATCH_O] = "O:", [MATCH_DC] = "DC:",
	[MATCH_UID] = "UID:", [MATCH_SERIAL_NUMBER] = "SERIALNUMBER:",
	[MATCH_SUBJECT_EMAIL] = "EMAILADDRESS:"
};

/* --- networks ------------------------------------------------------------- */

struct network {
	uint8_t address[16];
	unsigned bits;		/* How many of them count. */
};

/* An address without a zone, IPv4 as a mapped one; -1 if it is none. */
static int
parse_address(const char *text, uint8_t out[16], unsigned *bits)
{
	static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };

	*bits = 128;
	if (inet_pton(AF_INET6, text, out) == 1)
		return 0;
	memcpy(out, mapped, sizeof mapped);
	*bits = 32;
	return inet_pton(AF_INET, text, out + 12) == 1 ? 0 : -1;
}

/* ADDRESS or ADDRESS/BITS; -1 if it is neither. */
static int
parse_network(const char *text, struct network *n)
{
	const char *slash = strchr(text, '/');
	char address[INET6_ADDRSTRLEN];
	size_t length = slash == NULL ? strlen(text) : (size_t)(slash - text);
	int64_t bits;

	if (length >= sizeof address)
		return -1;
	memcpy(address, text, length);
	address[length] = '\0';
	if (parse_address(address, n->address, &n->bits) == -1)
		return -1;
	bits = n->bits;
	if (slash != NULL && number_whole(slash + 1, 0, bits, &bits) == -1)
		return -1;
	/* Of a mapped address the 96 bits before it count as well. */
	n->bits = (unsigned)bits + 128 - n->bits;
	return 0;
}

static bool
is_in_network(const struct network *n, const uint8_t address[16])
{
	unsigned whole = n->bits / 8, rest = n->bits % 8;

	if (memcmp(n->address, address, whole) != 0)
		return false;
	return rest == 0 || (n->address[whole] >> (8 - rest)) ==
	    (address[whole] >> (8 - rest));
}

/* An address as a certificate or the kernel has it, with a zone after it if it
 * is link-local; -1 if it is none. */
static int
parse_foreign(const char *text, uint8_t out[16])
{
	char plain[INET6_ADDRSTRLEN];
	size_t n = strcspn(text, "%");
	unsigned bits;

	if (n >= sizeof plain)
		return -1;
	memcpy(plain, text, n);
	plain[n] = '\0';
	return parse_address(plain, out, &bits);
}

static bool
match_networks(char *const *networks, const uint8_t address[16])
{
	struct network n;

	for (; *networks != NULL; networks++) {
		if (parse_network(*networks, &n) == 0 &&
		    is_in_network(&n, address))
			return true;
	}
	return false;
}

/* An address in its one form (RFC 5952), a mapped one as IPv4. */
static void
print_address(const uint8_t address[16], char out[INET6_ADDRSTRLEN])
{
	struct in6_addr in6;

	memcpy(&in6, address, sizeof in6);
	if (IN6_IS_ADDR_V4MAPPED(&in6))
		(void)inet_ntop(AF_INET, address + 12, out, INET6_ADDRSTRLEN);
	else
		(void)inet_ntop(AF_INET6, address, out, INET6_ADDRSTRLEN);
}

/* --- preparing ------------------------------------------------------------ */

/* "AB:CD:..." as "abcd...", in place; -1 if it is no SHA-256. */
static int
normalize_fingerprint(char *text)
{
	char *out = text;

	for (const char *p = text; *p != '\0'; p++) {
		if (*p == ':')
			continue;
		*out++ = *p >= 'A' && *p <= 'F' ? (char)(*p - 'A' + 'a') : *p;
	}
	*out = '\0';
	return strlen(text) == TLS_FINGERPRINT_MAX - 1 &&
	    strspn(text, "0123456789abcdef") == TLS_FINGERPRINT_MAX - 1 ?
	    0 : -1;
}

/* A pattern, or else an address or network. */
static bool
is_pattern(const char *value)
{
	return *value == '~' || strchr(value, '*') != NULL;
}

/* The values that must be networks: of "ip" those that are no patterns. */
static int
prepare_networks(char **values, enum match_kind kind,
    const struct conf_group *group)
{
	struct network n;
	int errors = 0;

	for (char **v = values; *v != NULL; v++) {
		if ((kind == MATCH_IP && is_pattern(*v)) ||
		    parse_network(*v, &n) == 0)
			continue;
		errors += conf_complain(group, keys[kind], "\"%.80s\" is no "
		    "%s; write it as \"192.0.2.0/24\" or \"2001:db8::/32\"",
		    *v, kind == MATCH_IP ? "address, network or pattern" :
		    "network");
	}
	return errors;
}

static int
prepare_kind(struct match *m, enum match_kind kind,
    const struct conf_group *group)
{
	char **values = m->values[kind], why[PATTERN_WHY_MAX];
	int errors = 0;

	if (values == NULL)
		return 0;
	if (values[0] == NULL)
		return conf_complain(group, keys[kind], "an empty list fits "
		    "no client; remove it, or say whom it is for");
	if (kind == MATCH_FINGERPRINT) {
		for (char **v = values; *v != NULL; v++) {
			if (normalize_fingerprint(*v) == -1)
				errors += conf_complain(group, keys[kind],
				    "\"%.80s\" is no SHA-256 fingerprint, 64 "
				    "hexadecimal digits", *v);
		}
		return errors;
	}
	if (kind == MATCH_NETWORK)
		return prepare_networks(values, kind, group);
	if (kind == MATCH_IP)
		errors = prepare_networks(values, kind, group);
	m->sets[kind] = pattern_compile(values, why);
	return m->sets[kind] != NULL ? errors : errors +
	    conf_complain(group, keys[kind], "%s", why);
}

int
match_prepare(struct match *m, const struct conf_group *group, bool more)
{
	int errors = 0, conditions = more;

	for (int kind = 0; kind < MATCH_KINDS; kind++) {
		conditions += m->values[kind] != NULL;
		errors += prepare_kind(m, (enum match_kind)kind, group);
	}
	if (conditions == 0)
		errors += conf_complain(group, NULL, "the rule does not say "
		    "whom it is for, and has no \"peers\": write "
		    "peers = [ \"*\" ]; for everybody");
	return errors;
}

void
match_free(struct match *m)
{
	for (int kind = 0; kind < MATCH_KINDS; kind++) {
		pattern_set_free(m->sets[kind]);
		m->sets[kind] = NULL;
	}
}

/* --- matching ------------------------------------------------------------- */

/*
 * In which bytes of a URI capitals do not count: scheme and host (RFC 5280,
 * 7.4; RFC 3986, 6.2.2.1).  Beside a user the host does, which is on the safe
 * side.
 */
static struct pattern_fold
fold_uri(const char *uri)
{
	size_t scheme = strcspn(uri, ":/?#"), authority;
	const char *p = uri + scheme;

	if (strncmp(p, "://", 3) != 0)
		return (struct pattern_fold){ 0, *p == ':' ? scheme : 0 };
	authority = strcspn(p + 3, "/?#");
	return (struct pattern_fold){ 0, scheme + (memchr(p + 3, '@',
	    authority) == NULL ? 3 + authority : 0) };
}

/* In which bytes of a name of "kind" capitals do not count. */
static struct pattern_fold
fold_of(enum match_kind kind, const char *name)
{
	const char *at;

	switch (kind) {
	case MATCH_DNS:
	case MATCH_IP:
	case MATCH_DC:
	case MATCH_UPN:
		return (struct pattern_fold){ 0, SIZE_MAX };
	case MATCH_EMAIL:
	case MATCH_SUBJECT_EMAIL:
		/* The domain's alone (RFC 5280, 7.5). */
		at = strrchr(name, '@');
		return (struct pattern_fold){ at == NULL ? 0 :
		    (size_t)(at - name), at == NULL ? 0 : SIZE_MAX };
	case MATCH_URI:
		return fold_uri(name);
	default:
		return (struct pattern_fold){ 0, 0 };
	}
}

static bool
match_ip(const struct match *m, const char *name)
{
	char text[INET6_ADDRSTRLEN];
	uint8_t address[16];

	if (parse_foreign(name, address) == -1)
		return false;
	print_address(address, text);
	return match_networks(m->values[MATCH_IP], address) ||
	    pattern_set_match_folded(m->sets[MATCH_IP], text,
	    fold_of(MATCH_IP, text));
}

/* Does one of the names of "kind" fit? */
static bool
match_names(const struct match *m, enum match_kind kind,
    const struct tls_identity *id)
{
	const char *list = kind >= MATCH_EACH_CN ? id->attributes : id->sans;
	size_t n = strlen(prefixes[kind]);

	for (const char *p = list; *p != '\0'; p += strlen(p) + 1) {
		if (strncmp(p, prefixes[kind], n) != 0)
			continue;
		if (kind == MATCH_IP ? match_ip(m, p + n) :
		    pattern_set_match_folded(m->sets[kind], p + n,
		    fold_of(kind, p + n)))
			return true;
	}
	return false;
}

static bool
match_one(const struct match *m, enum match_kind kind,
    const struct tls_identity *id, const char *address)
{
	uint8_t bytes[16];

	switch (kind) {
	case MATCH_CN:
		return pattern_set_match(m->sets[kind], id->common_name);
	case MATCH_ISSUER:
		return pattern_set_match(m->sets[kind], id->issuer);
	case MATCH_FINGERPRINT:
		return text_list_has(
		    (const char *const *)m->values[kind],
		    id->fingerprint);
	case MATCH_NETWORK:
		return parse_foreign(address, bytes) == 0 &&
		    match_networks(m->values[kind], bytes);
	default:
		return match_names(m, kind, id);
	}
}

const char *
match_peer(const struct match *m, const struct tls_identity *id,
    const char *address)
{
	for (int kind = 0; kind < MATCH_KINDS; kind++) {
		if (m->values[kind] != NULL &&
		    !match_one(m, (enum match_kind)kind, id, address))
			return keys[kind];
	}
	return NULL;
}

bool
match_is_everybody(const struct match *m)
{
	bool all = m->values[MATCH_CN] != NULL;

	for (int kind = MATCH_CN + 1; kind < MATCH_KINDS; kind++)
		all = all && m->values[kind] == NULL;
	return all && text_list_has(
	    (const char *const *)m->values[MATCH_CN], "*");
}
