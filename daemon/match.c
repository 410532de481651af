#include <config.h>

#include <arpa/inet.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/pattern.h"
#include "common/tls.h"
#include "daemon/match.h"

static const char *const keys[MATCH_KINDS] = {
	"peers", "dns", "email", "uri", "ip", "issuer", "fingerprint",
	"network"
};

/* What the names of the alternative kinds begin with. */
static const char *const prefixes[MATCH_KINDS] = {
	[MATCH_DNS] = "DNS:", [MATCH_EMAIL] = "EMAIL:", [MATCH_URI] = "URI:",
	[MATCH_IP] = "IP:"
};

/* --- networks ------------------------------------------------------------- */

struct network {
	uint8_t address[16];
	unsigned bits;		/* How many of them count. */
};

/* An address, IPv4 as a mapped one; -1 if it is none. */
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
	unsigned long bits;
	char *end;

	if (length >= sizeof address)
		return -1;
	memcpy(address, text, length);
	address[length] = '\0';
	if (parse_address(address, n->address, &n->bits) == -1)
		return -1;
	bits = n->bits;
	if (slash != NULL) {
		if (slash[1] < '0' || slash[1] > '9')
			return -1;
		bits = strtoul(slash + 1, &end, 10);
		if (*end != '\0' || bits > n->bits)
			return -1;
	}
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

static bool
match_networks(char *const *networks, const char *text)
{
	struct network n;
	uint8_t address[16];
	unsigned bits;

	if (parse_address(text, address, &bits) == -1)
		return false;
	for (; *networks != NULL; networks++) {
		if (parse_network(*networks, &n) == 0 &&
		    is_in_network(&n, address))
			return true;
	}
	return false;
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

static int
prepare_kind(struct match *m, enum match_kind kind,
    const struct conf_group *group)
{
	char **values = m->values[kind], why[PATTERN_WHY_MAX];
	struct network n;
	int errors = 0;

	if (values == NULL)
		return 0;
	if (values[0] == NULL)
		return conf_complain(group, keys[kind], "an empty list fits "
		    "nobody; remove it, or say whom it is for");
	if (kind == MATCH_FINGERPRINT) {
		for (char **v = values; *v != NULL; v++) {
			if (normalize_fingerprint(*v) == -1)
				errors += conf_complain(group, keys[kind],
				    "\"%.80s\" is no SHA-256 fingerprint, 64 "
				    "hexadecimal digits", *v);
		}
		return errors;
	}
	if (kind == MATCH_NETWORK) {
		for (char **v = values; *v != NULL; v++) {
			if (parse_network(*v, &n) == -1)
				errors += conf_complain(group, keys[kind],
				    "\"%.80s\" is no network; write it as "
				    "\"192.0.2.0/24\" or \"2001:db8::/32\"",
				    *v);
		}
		return errors;
	}
	m->sets[kind] = pattern_compile(values, why);
	return m->sets[kind] != NULL ? 0 : conf_complain(group, keys[kind],
	    "%s", why);
}

int
match_prepare(struct match *m, const struct conf_group *group)
{
	int errors = 0, conditions = 0;

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

/* Does one of the alternative names with "prefix" fit? */
static bool
match_names(const struct pattern_set *set, const char *prefix,
    const struct tls_identity *id)
{
	size_t n = strlen(prefix);

	for (const char *p = id->sans; *p != '\0'; p += strlen(p) + 1) {
		if (strncmp(p, prefix, n) == 0 && pattern_set_match(set, p + n))
			return true;
	}
	return false;
}

static bool
match_one(const struct match *m, enum match_kind kind,
    const struct tls_identity *id, const char *address)
{
	switch (kind) {
	case MATCH_CN:
		return pattern_set_match(m->sets[kind], id->common_name);
	case MATCH_ISSUER:
		return pattern_set_match(m->sets[kind], id->issuer);
	case MATCH_FINGERPRINT:
		for (char **v = m->values[kind]; *v != NULL; v++) {
			if (strcmp(*v, id->fingerprint) == 0)
				return true;
		}
		return false;
	case MATCH_NETWORK:
		return match_networks(m->values[kind], address);
	default:
		return match_names(m->sets[kind], prefixes[kind], id);
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
	for (char **v = m->values[MATCH_CN]; all && *v != NULL; v++) {
		if (strcmp(*v, "*") == 0)
			return true;
	}
	return false;
}
