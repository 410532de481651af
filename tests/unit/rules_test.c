/*
 * Tests of rules as a whole: whom they are for, which arguments they take,
 * the decision against a naive copy of its definition, and how long it takes.
 * SPDX-License-Identifier: ISC
 */
#include <config.h>

#include <arpa/inet.h>
#include <time.h>

#include "tests/unit/memory.h"
#include "tests/unit/messages.h"
#include "tests/unit/unit.h"

#include "common/wire/body.h"
#include "common/conf/conf.h"
#include "common/tls/tls.h"
#include "daemon/rules/policy.h"

#define COUNT(rows)	(sizeof rows / sizeof rows[0])
#define PRINT \
	"abababababababababababababababab" \
	"ababababababababababababababab12"


static char usr_bin[] = "/usr/bin", bin[] = "/bin";
static char *const path[] = { usr_bin, bin, NULL };
static const struct policy_defaults defaults = {
	.allow_setuid = true,
	.path = path, .shell = "/bin/sh", .user = "u", .home = "/h",
	.start = "/start"
};
static struct tls_identity alice = {
	.common_name = "alice", .subject = "CN=alice",
	.issuer = "CN=Site CA,O=Example", .serial = "0A",
	.fingerprint = PRINT,
	.sans = "DNS:a.example\0DNS:b.example\0EMAIL:alice@example.org\0"
	    "URI:spiffe://example.org/ns/x\0IP:192.0.2.7\0IP:2001:db8::7\0"
};

/* The policy of "rules"; NULL if memory is out or there are errors. */
static struct rules *
try_load(const char *rules, int *errors)
{
	struct rules *p = NULL;
	struct exec_options options;
	struct conf *conf;

	*errors = 0;
	unit_write("p.conf", rules);
	conf = conf_open("p.conf", NULL);
	if (conf == NULL)
		return NULL;
	if (exec_options_init(&options) == 0)
		p = rules_load(conf, &options, errors);
	exec_options_free(&options);
	conf_close(conf);
	if (p != NULL && *errors > 0) {
		rules_free(p);
		p = NULL;
	}
	return p;
}

static struct rules *__attribute__((format(printf, 1, 2)))
load(const char *format, ...)
{
	struct rules *p;
	char *text;
	int errors;
	va_list ap;

	va_start(ap, format);
	assert_true(vasprintf(&text, format, ap) > 0);
	va_end(ap);
	p = try_load(text, &errors);
	if (p == NULL)
		fail_msg("%s\n%s", messages, text);
	free(text);
	return p;
}

/* What alice may do with up to seven words; the caller frees "d". */
static void
ask(const struct rules *p, enum proto_operation operation,
    const char *const *words, int64_t now, struct decision *d)
{
	struct policy_peer peer = {
		.identity = &alice, .address = "192.0.2.7", .session = "s1",
		.request = 1, .now = now,
		.rule = rules_find(p, &alice, "192.0.2.7")
	};
	struct body b = { .operation = operation };
	static char *none[] = { NULL };

	b.words = (char **)(uintptr_t)words;
	b.env = none;
	while (words[b.nwords] != NULL)
		b.nwords++;
	assert_int_equal(policy_decide(&defaults, &peer, &b, d), 0);
}

/* --- whom a rule is for ------------------------------------------------- */

static void
peers(void **state)
{
	static const struct {
		const char *conditions, *address;
		bool matches;
	} rows[] = {
		{ "peers = \"alice\";", "::1", true },
		{ "peers = \"Alice\";", "::1", false },
		{ "peers = \"lice\";", "::1", false },
		{ "peers = \"alic\";", "::1", false },
		{ "peers = \"a*\";", "::1", true },
		{ "peers = \"*\";", "::1", true },
		{ "peers = [ \"bob\", \"alice\" ];", "::1", true },
		{ "peers = [ \"bob\", \"carol\" ];", "::1", false },
		{ "peers = \"~a|alic\";", "::1", false },
		{ "peers = \"~a|alice\";", "::1", true },
		{ "peers = \"~alice|.\";", "::1", true },
		{ "peers = \"~lic\";", "::1", false },
		{ "peers = \"~al(ice|an)\";", "::1", true },
		{ "peers = \"~\";", "::1", false },
		{ "peers = \"\";", "::1", false },
		{ "dns = \"a.example\";", "::1", true },
		{ "dns = \"b.example\";", "::1", true },
		{ "dns = \"*.example\";", "::1", true },
		{ "dns = \"example\";", "::1", false },
		{ "dns = \"alice\";", "::1", false },
		{ "dns = \"alice@example.org\";", "::1", false },
		{ "email = \"alice@example.org\";", "::1", true },
		{ "email = \"*@example.org\";", "::1", true },
		{ "email = \"*@example\";", "::1", false },
		{ "email = \"a.example\";", "::1", false },
		{ "uri = \"spiffe://example.org/ns/x\";", "::1", true },
		{ "uri = \"spiffe://example.org/*\";", "::1", true },
		{ "uri = \"spiffe://example.org/ns\";", "::1", false },
		{ "uri = \"spiffe://example.com/*\";", "::1", false },
		{ "ip = \"192.0.2.7\";", "::1", true },
		{ "ip = \"2001:db8::7\";", "::1", true },
		{ "ip = \"192.0.2.70\";", "::1", false },
		{ "issuer = \"CN=Site CA,O=Example\";", "::1", true },
		{ "issuer = \"CN=Site CA\";", "::1", false },
		{ "issuer = \"*O=Example\";", "::1", true },
		{ "fingerprint = \"" PRINT "\";", "::1", true },
		{ "fingerprint = \"ABABABABABABABABABABABABABABABAB"
		    "ABABABABABABABABABABABABABABAB12\";", "::1", true },
		{ "fingerprint = \"AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:"
		    "AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:12\";",
		    "::1", true },
		{ "fingerprint = \"ababababababababababababababababab"
		    "ababababababababababababababab\";", "::1", false },
		{ "network = \"192.0.2.0/24\";", "192.0.2.255", true },
		{ "network = \"192.0.2.0/24\";", "192.0.3.0", false },
		{ "network = \"192.0.2.77/24\";", "192.0.2.1", true },
		{ "network = \"192.0.2.0/25\";", "192.0.2.127", true },
		{ "network = \"192.0.2.0/25\";", "192.0.2.128", false },
		{ "network = \"192.0.2.7\";", "192.0.2.7", true },
		{ "network = \"192.0.2.7\";", "192.0.2.6", false },
		{ "network = \"192.0.2.7/32\";", "192.0.2.7", true },
		{ "network = \"0.0.0.0/0\";", "203.0.113.1", true },
		{ "network = \"0.0.0.0/0\";", "2001:db8::1", false },
		{ "network = \"::/0\";", "2001:db8::1", true },
		{ "network = \"2001:db8::/32\";", "2001:db8:ffff::1", true },
		{ "network = \"2001:db8::/32\";", "2001:db9::1", false },
		{ "network = \"2001:db8::/33\";", "2001:db8:8000::", false },
		{ "network = \"::1\";", "::1", true },
		{ "network = \"::1\";", "::2", false },
		{ "network = \"192.0.2.0/24\";", "::ffff:192.0.2.9", true },
		{ "network = \"::ffff:192.0.2.0/120\";", "192.0.2.9", true },
		{ "network = \"::ffff:192.0.2.0/120\";", "192.0.3.9", false },
		{ "network = \"192.0.2.0/24\";", "unix", false },
		{ "network = \"fe80::/10\";", "fe80::1%eth0", true },
		{ "network = \"fe80::1\";", "FE80:0::1%3", true },
		{ "network = \"fe80::2\";", "fe80::1%eth0", false },
		{ "network = \"::/0\";", "%eth0", false },
		{ "network = \"192.0.2.0/24\";", "", false },
		{ "network = [ \"10.0.0.0/8\", \"::1\" ];", "::1", true },
		/* Several conditions must all hold. */
		{ "peers = \"alice\"; dns = \"a.example\";", "::1", true },
		{ "peers = \"alice\"; dns = \"c.example\";", "::1", false },
		{ "peers = \"bob\"; dns = \"a.example\";", "::1", false },
		{ "peers = \"alice\"; network = \"10.0.0.0/8\";", "10.1.1.1",
		    true },
		{ "peers = \"alice\"; network = \"10.0.0.0/8\";", "11.1.1.1",
		    false },
		{ "dns = \"*\"; email = \"*\"; uri = \"*\"; ip = \"*\"; "
		    "issuer = \"*\"; peers = \"*\"; network = \"::/0\"; "
		    "fingerprint = \"" PRINT "\";", "::1", true },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct rules *p = load("rules = ( { %s anything = true; } );",
		    rows[i].conditions);

		if ((rules_find(p, &alice, rows[i].address) != NULL) !=
		    rows[i].matches)
			fail_msg("%s from %s", rows[i].conditions,
			    rows[i].address);
		rules_free(p);
	}
}

/* Names of a certificate, and conditions on them. */
static const struct {
	const char *san, *condition;
	bool matches;
} examples[] = {
	{ "DNS:WEB01.Example.ORG", "dns = \"web01.example.org\";", true },
	{ "DNS:web01.example.org", "dns = \"WEB*.Example.ORG\";", true },
	{ "DNS:Web01.example.org", "dns = \"~web[0-9]+\\\\.example\\\\.org\";",
	    true },
	{ "DNS:web01.example.org", "dns = \"~WEB.*\";", false },
	/* RFC 5280, 7.5: the domain alone, whatever the pattern looks like. */
	{ "EMAIL:Alice@Example.ORG", "email = \"Alice@example.org\";", true },
	{ "EMAIL:Alice@Example.ORG", "email = \"alice@example.org\";", false },
	{ "EMAIL:Alice@Example.ORG", "email = \"*@EXAMPLE.org\";", true },
	{ "EMAIL:Alice@Example.ORG", "email = \"A*.org\";", true },
	{ "EMAIL:Alice@Example.ORG", "email = \"a*.org\";", false },
	{ "EMAIL:Alice@Example.ORG", "email = \"*lICE*\";", false },
	{ "EMAIL:a@b@Example.ORG", "email = \"A@b@example.org\";", false },
	{ "EMAIL:a@b@Example.ORG", "email = \"a@B@example.org\";", false },
	{ "EMAIL:a@b@Example.ORG", "email = \"a@b@EXAMPLE.org\";", true },
	{ "EMAIL:Example.ORG", "email = \"example.org\";", false },
	{ "EMAIL:Alice@Example.ORG", "email = \"~Al.*@.*[.]org\";", true },
	/* RFC 5280, 7.4: scheme and host. */
	{ "URI:SPIFFE://Example.org/Ns", "uri = \"spiffe://example.ORG/Ns\";",
	    true },
	{ "URI:SPIFFE://Example.org/Ns", "uri = \"spiffe://example.org/ns\";",
	    false },
	{ "URI:SPIFFE://Example.org/Ns", "uri = \"*//EXAMPLE.ORG*\";", true },
	{ "URI:SPIFFE://Example.org?Q", "uri = \"spiffe://example.org?q\";",
	    false },
	{ "URI:https://A@Example.org/", "uri = \"https://a@Example.org/\";",
	    false },
	{ "URI:HTTPS://A@Example.org/", "uri = \"https://A@Example.org/\";",
	    true },
	{ "URI:URN:Uuid:A", "uri = \"urn:Uuid:A\";", true },
	{ "URI:URN:Uuid:A", "uri = \"urn:uuid:A\";", false },
	{ "URI:Path/A:b", "uri = \"path/A:b\";", false },
	{ "URI:A", "uri = \"a\";", false },
	{ "IP:2001:db8::1", "ip = \"2001:DB8:0:0::1\";", true },
	{ "IP:2001:DB8:0::1", "ip = \"2001:db8::1\";", true },
	{ "IP:2001:DB8:0::1", "ip = \"2001:DB8::*\";", true },
	{ "IP:2001:DB8:0::1", "ip = \"~2001:db8:.*\";", true },
	{ "IP:2001:db8::1", "ip = \"2001:db8::/32\";", true },
	{ "IP:2001:db9::1", "ip = \"2001:db8::/32\";", false },
	{ "IP:192.0.2.7", "ip = \"192.0.2.0/24\";", true },
	{ "IP:192.0.2.7", "ip = \"192.0.2.*\";", true },
	{ "IP:192.0.2.7", "ip = \"::ffff:192.0.2.7\";", true },
	{ "IP:::ffff:192.0.2.7", "ip = \"192.0.2.*\";", true },
	{ "IP:192.0.2.70", "ip = \"192.0.2.7\";", false },
	/* One kind is not the other. */
	{ "DNS:192.0.2.7", "ip = \"192.0.2.7\";", false },
	{ "IP:192.0.2.7", "dns = \"*\";", false },
	{ "IP:nonsense", "ip = \"*\";", false },
	{ "UPN:Anna@Corp.Example", "upn = \"anna@corp.example\";", true },
	{ "UPN:anna@corp.example", "email = \"*\";", false },
	/* Attributes of the subject. */
	{ "CN:Users", "cn = \"Users\";", true },
	{ "CN:Users", "peers = \"Users\";", false },
	{ "OU:ops", "ou = \"ops\";", true },
	{ "OU:ops", "ou = \"Ops\";", false },
	{ "OU:ops", "o = \"ops\";", false },
	{ "O:Example AG", "o = \"Ex*\";", true },
	{ "O:OU:ops", "ou = \"*\";", false },
	{ "DC:Corp.Example.COM", "dc = \"*.example.com\";", true },
	{ "DC:example.com", "dc = \"com\";", false },
	{ "UID:anna", "uid = \"anna\";", true },
	{ "SERIALNUMBER:213243-1234", "serial_number = \"~[0-9]{6}-1234\";",
	    true },
	{ "EMAILADDRESS:A@Example.org", "subject_email = \"A@example.ORG\";",
	    true },
	{ "EMAILADDRESS:A@Example.org", "subject_email = \"a@example.org\";",
	    false },
	{ "EMAILADDRESS:a@example.org", "email = \"*\";", false },
	{ "EMAIL:a@example.org", "subject_email = \"*\";", false },
};

static void
kinds_of_names(void **state)
{
	static struct tls_identity id;

	(void)state;
	for (size_t i = 0; i < COUNT(examples); i++) {
		struct rules *p = load("rules = ( { %s anything = true; } );",
		    examples[i].condition);

		memset(&id, 0, sizeof id);
		(void)snprintf(strchr("DEIU", *examples[i].san) != NULL &&
		    strncmp(examples[i].san, "DC", 2) != 0 &&
		    strncmp(examples[i].san, "UID", 3) != 0 &&
		    strncmp(examples[i].san, "EMAILA", 6) != 0 ? id.sans :
		    id.attributes, 512, "%s", examples[i].san);
		if ((rules_find(p, &id, "::1") != NULL) != examples[i].matches)
			fail_msg("%s, %s", examples[i].san,
			    examples[i].condition);
		rules_free(p);
	}
}

/* Groups stand for their peers; with other keys, all must fit. */
static void
groups(void **state)
{
	static const struct {
		const char *keys;
		bool matches;
	} rows[] = {
		{ "groups = \"ops\";", true }, { "groups = \"dev\";", false },
		{ "groups = [ \"dev\", \"ops\" ];", true },
		{ "groups = \"ops\"; dns = \"a.example\";", true },
		{ "groups = \"ops\"; dns = \"c.example\";", false },
		{ "groups = \"both\";", true }, { "groups = \"near\";", false },
	};
	static const struct {
		const char *text, *why;
	} bad[] = {
		{ "rules = ( { groups = \"x\"; } );", "no group \"x\"" },
		{ "rules = ( { groups = [ ]; } );", "list fits no client" },
		{ "groups = ( { peers = \"a\"; } );", "has no \"name\"" },
		{ "groups = ( { name = \"a\"; } );", "has no \"peers\"" },
		{ "groups = ( { name = \"a\"; peers = \"a\"; },\n"
		    "{ name = \"a\"; peers = \"b\"; } );", "p.conf:1 already" },
		{ "groups = ( { name = \"a\"; anything = true; } );", "anyth" },
		{ "groups = ( { name = 5; }, { name = \"a\"; peers = \"a\"; } "
		    ");", "name" },
		{ "groups = ( \"a\" );", "group in braces" },
	};
	static const char head[] = "groups = ( { name = \"ops\"; peers = "
	    "[ \"bob\", \"alice\" ]; }, { name = \"dev\"; peers = \"d*\"; },"
	    " { name = \"both\"; dns = \"b.*\"; email = \"alice*\"; },"
	    " { name = \"near\"; network = \"10.0.0.0/8\"; } );\n";
	int errors;

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct rules *p = load("%srules = ( { %s anything = true; } );",
		    head, rows[i].keys);

		if ((rules_find(p, &alice, "::1") != NULL) != rows[i].matches)
			fail_msg("%s", rows[i].keys);
		rules_free(p);
	}
	for (size_t i = 0; i < COUNT(bad); i++) {
		messages[0] = '\0';
		if (try_load(bad[i].text, &errors) != NULL || errors == 0 ||
		    strstr(messages, bad[i].why) == NULL)
			fail_msg("%s: %s", bad[i].text, messages);
	}
}

/* "n" of 4 or 16 bytes in a form of its own. */
static void
spell(uint64_t *seed, const uint8_t *a, size_t n, char out[64])
{
	char plain[INET6_ADDRSTRLEN];
	size_t used = 0;

	(void)inet_ntop(n == 4 ? AF_INET : AF_INET6, a, plain, sizeof plain);
	if (n == 4) {
		(void)snprintf(out, 64, "%s%s", unit_below(seed, 2) == 0 ? "" :
		    "::FfFf:", plain);
		return;
	}
	if (unit_below(seed, 2) == 0)
		(void)snprintf(out, 64, "%s", plain);
	else for (size_t i = 0; i < 16; i += 2)
		used += (size_t)snprintf(out + used, 64 - used, "%s%0*X",
		    i == 0 ? "" : ":", 1 + 3 * (int)unit_below(seed, 2),
		    (unsigned)(a[i] << 8 | a[i + 1]));
	for (char *p = out; *p != '\0'; p++) {
		if (*p >= 'a' && *p <= 'f' && unit_below(seed, 2) == 0)
			*p = (char)(*p - 'a' + 'A');
	}
}

static bool
same_bits(const uint8_t *a, const uint8_t *b, unsigned bits)
{
	for (unsigned i = 0; i < bits; i++) {
		if (((a[i / 8] ^ b[i / 8]) >> (7 - i % 8) & 1) != 0)
			return false;
	}
	return true;
}

/*
 * However an address is written, in a rule, in a certificate, by the kernel:
 * what fits is told by its bits, by the index of the rules and without.
 */
static void
spellings(void **state)
{
	static struct tls_identity id;
	uint64_t seed = 11;
	int fits = 0;

	(void)state;
	for (int i = 0; i < 2000; i++) {
		size_t n = unit_below(&seed, 2) == 0 ? 4 : 16;
		unsigned bits = (unsigned)unit_below(&seed, 8 * n + 1);
		uint8_t net[16] = { 0 }, peer[16];
		char text[64], mine[64], from[64];
		struct rules *p;
		bool want, found;
		FILE *out;

		/* Not so that it looks like an IPv4 address in IPv6. */
		for (size_t k = 0; k < n; k++)
			net[k] = (uint8_t)(1 + unit_below(&seed, 255));
		memcpy(peer, net, sizeof peer);
		peer[unit_below(&seed, n)] ^= (uint8_t)(1u << unit_below(&seed,
		    8));
		want = same_bits(net, peer, bits);
		spell(&seed, net, n, text);
		if (n == 4 && text[0] == ':')
			bits += 96;
		p = load("rules = ( { ip = \"%s/%u\"; network = \"%s/%u\"; "
		    "anything = true; } );", text, bits, text, bits);
		spell(&seed, peer, n, mine);
		spell(&seed, peer, n, from);
		if (n == 16 && unit_below(&seed, 2) == 0)
			(void)snprintf(from + strlen(from), 10, "%%eth0");
		memset(id.sans, 0, 128);
		(void)snprintf(id.sans, 128, "IP:%s", mine);
		found = rules_find(p, &id, from) != NULL;
		if (found != want)
			fail_msg("%s/%u, %s from %s", text, bits, mine, from);
		out = fopen("/dev/null", "w");
		assert_non_null(out);
		assert_int_equal(rules_explain(out, p, &id, from) != NULL,
		    want);
		(void)fclose(out);
		fits += want;
		rules_free(p);
	}
	assert_in_range(fits, 200, 1800);
}

/* --- arguments ---------------------------------------------------------- */

/* argv as "a|b|c", where paths are seen from their directory. */
static void
join(const struct decision *d, char out[512])
{
	size_t n = 0, used = 0;

	out[0] = '\0';
	for (char **v = d->plan.argv + 1; *v != NULL; v++) {
		const char *word = *v;

		if (n < d->plan.below_count && v == d->plan.below[n].word)
			word = d->plan.below[n++].relative;
		used += (size_t)snprintf(out + used, 512 - used, "%s%s",
		    used == 0 ? "" : "|", word);
	}
}

#define INT(min, max)	"{ min = " #min "; max = " #max "; }"
#define BELOW		"{ below = \"/srv/d\"; }"
#define TOP		"{ below = \"/\"; }"
#define A		"{ one_of = \"a\";"
#define B		"{ one_of = \"b\";"
#define NV		"{ flag = [ \"-n\", \"--n=\" ]; min = 1; max = 2; }"
#define NQ		"{ flag = \"-q\"; optional = true; }"

static void
arguments(void **state)
{
	static const struct {
		const char *slots;
		const char *words[4];
		const char *argv;	/* NULL: refused. */
	} rows[] = {
		{ "", { NULL }, "" },
		{ "", { "a" }, NULL },
		{ "", { "" }, NULL },
		{ "\"-f\"", { NULL }, "-f" },
		{ "\"-f\"", { "-f" }, NULL },
		/* Optional, and several. */
		{ A " optional = true; }, " B " }", { "a", "b" }, "a|b" },
		{ A " optional = true; }, " B " }", { "b" }, "b" },
		{ A " optional = true; }, " B " }", { "a" }, NULL },
		{ A " optional = true; }", { "b" }, NULL },
		{ A " repeat = true; }, " B " }", { "a", "a", "b" }, "a|a|b" },
		{ A " repeat = true; }, " B " }", { "b" }, NULL },
		{ A " repeat = true; optional = true; }, " B " }", { "b" },
		    "b" },
		/* The first that takes a word gets it. */
		{ A " optional = true; }, " A " }", { "a" }, NULL },
		{ A " repeat = true; }, " A " }", { "a", "a" }, NULL },
		{ "{ any = true; optional = true; }, \"-x\", { any = true; "
		    "optional = true; }", { "y" }, "y|-x" },
		/* Flags, in any order. */
		{ "{ flag = \"-v\"; }", { "-v" }, "-v" },
		{ "{ flag = \"-v\"; }", { NULL }, NULL },
		{ "{ flag = \"-v\"; }", { "-v", "-v" }, NULL },
		{ "{ flag = \"-v\"; repeat = true; }", { "-v", "-v" },
		    "-v|-v" },
		{ "{ flag = [ \"-v\", \"-q\" ]; repeat = true; optional = "
		    "true; }", { "-q", "-v" }, "-q|-v" },
		{ NV ", " NQ, { "-n", "1", "-q" }, "-n|1|-q" },
		{ NV ", " NQ, { "-q", "--n=2" }, "-q|--n=2" },
		{ NV ", " NQ, { "-q" }, NULL }, { NV ", " NQ, { "-q", "-n" },
		    NULL },
		{ NV ", " NQ, { "-n", "1" }, "-n|1" },
		{ NV ", " NQ, { "-n", "1", "--n=2" }, NULL },
		{ NV ", " NQ, { "-n=1" }, NULL }, { NV, { "--n", "1" }, NULL },
		{ NV, { "-n", "9" }, NULL }, { NV, { "--n=9" }, NULL },
		{ NV, { "-n1" }, NULL }, { NV, { "-n", "" }, NULL },
		{ NQ ", { any = true; }", { "-q" }, NULL },
		{ NQ ", { any = true; }", { "-q", "-q" }, "-q|-q" },
		{ NQ ", \"--\", " NQ, { "-q", "-q" }, "-q|--|-q" },
		{ "{ flag = [ \"--in=\", \"if=\" ]; below = \"/srv/d\"; }",
		    { "if=/srv/d/a" }, "a" },
		{ "{ flag = [ \"--in=\", \"if=\" ]; below = \"/srv/d\"; }",
		    { "if=a/../../b" }, NULL },
		{ "\"-a\", { any = true; }, \"-z\"", { "x" }, "-a|x|-z" },
		{ "\"-a\", { any = true; }, \"-z\"", { NULL }, NULL },
		{ "\"-a\", { any = true; }, \"-z\"", { "x", "y" }, NULL },
		{ "{ any = true; }", { "-rf" }, "-rf" },
		{ "{ any = true; rest = true; }", { NULL }, "" },
		{ "{ any = true; rest = true; }", { "a", "", "c" }, "a||c" },
		{ "{ one_of = [ \"a\", \"b\" ]; }", { "a" }, "a" },
		{ "{ one_of = [ \"a\", \"b\" ]; }", { "b" }, "b" },
		{ "{ one_of = [ \"a\", \"b\" ]; }", { "A" }, NULL },
		{ "{ one_of = [ \"a\", \"b\" ]; }", { "ab" }, NULL },
		{ "{ one_of = [ \"a\", \"b\" ]; }", { "" }, NULL },
		{ "{ one_of = [ \"a\", \"b\" ]; }", { "a\n" }, NULL },
		{ "{ one_of = [ \"*\" ]; }", { "a" }, NULL },
		{ "{ one_of = [ \"*\" ]; }", { "*" }, "*" },
		{ "{ one_of = [ \"a\", \"b\" ]; rest = true; }",
		    { "a", "b", "a" }, "a|b|a" },
		{ "{ one_of = [ \"a\", \"b\" ]; rest = true; }",
		    { "a", "b", "c" }, NULL },
		{ "{ match = \"x*\"; }", { "xyz" }, "xyz" },
		{ "{ match = \"x*\"; }", { "ax" }, NULL },
		{ "{ match = \"~[a-z]+\"; }", { "abc" }, "abc" },
		{ "{ match = \"~[a-z]+\"; }", { "abc1" }, NULL },
		{ "{ match = \"~[a-z]+\"; }", { "1abc" }, NULL },
		{ "{ match = \"~[a-z]+\"; }", { "abc\n" }, NULL },
		{ "{ match = \"~[a-z]+\"; }", { "abc\nrm" }, NULL },
		{ "{ match = \"~[a-z]+\"; }", { "\nabc" }, NULL },
		{ "{ match = \"~[a-z]+\"; }", { "" }, NULL },
		{ "{ match = \"~a|b\"; }", { "axx" }, NULL },
		{ "{ match = \"~a|b\"; }", { "xxb" }, NULL },
		{ "{ match = \"~a|b\"; }", { "b" }, "b" },
		{ "{ match = [ \"~a\", \"b*\" ]; }", { "bcd" }, "bcd" },
		{ INT(1, 10), { "1" }, "1" }, { INT(1, 10), { "10" }, "10" },
		{ INT(1, 10), { "0" }, NULL }, { INT(1, 10), { "11" }, NULL },
		{ INT(1, 10), { "01" }, NULL }, { INT(1, 10), { "+1" }, NULL },
		{ INT(1, 10), { " 1" }, NULL }, { INT(1, 10), { "1 " }, NULL },
		{ INT(1, 10), { "1\n" }, NULL }, { INT(1, 10), { "" }, NULL },
		{ INT(1, 10), { "-" }, NULL }, { INT(1, 10), { "-1" }, NULL },
		{ INT(1, 10), { "0x1" }, NULL },
		{ INT(1, 10), { "1e0" }, NULL },
		{ INT(1, 10), { "1.0" }, NULL }, { INT(-5, 5), { "-5" }, "-5" },
		{ INT(-5, 5), { "-6" }, NULL }, { INT(-5, 5), { "0" }, "0" },
		{ INT(-5, 5), { "-0" }, NULL }, { INT(-5, 5), { "--1" }, NULL },
		{ INT(-5, 5), { "-05" }, NULL },
		{ INT(0, 9223372036854775807L), { "9223372036854775807" },
		    "9223372036854775807" },
		{ INT(0, 9223372036854775807L), { "9223372036854775808" },
		    NULL },
		{ INT(0, 5), { "18446744073709551617" }, NULL },
		{ INT(0, 5), { "99999999999999999999999999" }, NULL },
		{ INT(0, 5), { "\xd9\xa1" }, NULL },
		{ BELOW, { "f" }, "f" }, { BELOW, { "a/b" }, "a/b" },
		{ BELOW, { "/srv/d/a/b" }, "a/b" }, { BELOW, { "." }, "." },
		{ BELOW, { "" }, "." }, { BELOW, { "./f" }, "f" },
		{ BELOW, { "a//b" }, "a/b" }, { BELOW, { "a/./b" }, "a/b" },
		{ BELOW, { "a/" }, "a" }, { BELOW, { "/srv/d" }, "." },
		{ BELOW, { "/srv/d/" }, "." }, { BELOW, { "/srv/d//f" }, "f" },
		{ BELOW, { ".." }, NULL }, { BELOW, { "../d/f" }, NULL },
		{ BELOW, { "a/../b" }, NULL }, { BELOW, { "a/.." }, NULL },
		{ BELOW, { "/srv/d/../x" }, NULL }, { BELOW, { "/srv" }, NULL },
		{ BELOW, { "/srv/dd" }, NULL }, { BELOW, { "/etc" }, NULL },
		{ BELOW, { "//srv/d/f" }, NULL }, { BELOW, { "/" }, NULL },
		{ BELOW, { "/srv/./d/f" }, NULL }, { BELOW, { "..." }, "..." },
		{ BELOW, { "..f" }, "..f" }, { BELOW, { "f.." }, "f.." },
		{ BELOW, { ".f" }, ".f" }, { BELOW, { "-f" }, "-f" },
		{ BELOW, { "a\nb" }, "a\nb" }, { BELOW, { "~" }, "~" },
		{ "{ below = \"/srv/d/\"; }", { "/srv/d/f" }, "f" },
		{ "{ below = \"/srv/d/\"; }", { "/srv/df" }, NULL },
		{ TOP, { "/etc/x" }, "etc/x" }, { TOP, { "etc/x" }, "etc/x" },
		{ TOP, { "/" }, "." }, { TOP, { "/.." }, NULL },
		{ "{ below = \"/srv/d\"; rest = true; }", { "a", "b" }, "a|b" },
		{ "{ below = \"/srv/d\"; rest = true; }", { "a", "../b" },
		    NULL },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct rules *p = load("rules = ( { peers = \"*\"; commands = "
		    "( { name = \"c\"; program = \"/bin/p\"; arguments = ( %s "
		    "); } ); } );", rows[i].slots);
		const char *words[] = { "c", rows[i].words[0],
		    rows[i].words[1], rows[i].words[2], rows[i].words[3],
		    NULL };
		struct decision d;
		char argv[512];

		ask(p, PROTO_RUN, words, 0, &d);
		if (d.allowed != (rows[i].argv != NULL))
			fail_msg("%s: %s", rows[i].slots, d.why.text);
		if (d.allowed) {
			join(&d, argv);
			assert_string_equal(argv, rows[i].argv);
			assert_string_equal(d.plan.argv[0], "/bin/p");
			assert_true(d.plan.checked);
		} else
			assert_int_equal(d.why.code, PROTO_CODE_DENIED);
		decision_free(&d);
		rules_free(p);
	}
}

/* --- against a naive copy of the definition ----------------------------- */

enum kind { FIXED, ONE, NUMBER, STAR, ANY, ALONE, KINDS };

static const char *const slot_text[KINDS] = {
	"\"k\"", "{ one_of = [ \"a\", \"b\" ];", "{ min = -1; max = 1;",
	"{ match = \"a*\";", "{ any = true;", "{"
};

/* What comes before a value: nothing, a word, the same word, either. */
enum flag { NO_FLAG, APART, WITHIN, BOTH, FLAGS };

static const char *const flag_text[FLAGS] = {
	"", " flag = \"-f\";", " flag = \"-f=\";",
	" flag = [ \"-g\", \"-f=\", \"-f\" ];"
};

struct naive_slot {
	enum kind kind;
	enum flag flag;
	bool optional, repeat;
	size_t place;		/* Flags in a row have one. */
};

#define SLOTS	4

struct naive_command {
	char name, program;	/* name: one of its own, or 0. */
	size_t slots;
	struct naive_slot slot[SLOTS];
};

struct naive_rule {
	const char *peer, *dns;
	bool anything, shell, learns;
	size_t commands;
	struct naive_command command[3];
};

static bool
naive_value(enum kind kind, const char *word)
{
	if (word == NULL)
		return false;
	switch (kind) {
	case FIXED:
		return strcmp(word, "k") == 0;
	case ONE:
		return strcmp(word, "a") == 0 || strcmp(word, "b") == 0;
	case NUMBER:
		return strcmp(word, "-1") == 0 || strcmp(word, "0") == 0 ||
		    strcmp(word, "1") == 0;
	case STAR:
		return word[0] == 'a';
	default:
		return true;
	}
}

/* How many words the slot takes of these: 0 to 2; -1: they begin with its
 * flag, whose value is wrong. */
static int
naive_takes(const struct naive_slot *s, const char *const *words)
{
	const char *word = words[0];

	if (s->flag == NO_FLAG)
		return naive_value(s->kind, word) ? 1 : 0;
	if (s->kind == ALONE)
		return strcmp(word, "-f") == 0 || (s->flag == BOTH &&
		    strcmp(word, "-g") == 0);
	if (strncmp(word, "-f=", 3) == 0 && s->flag != APART)
		return naive_value(s->kind, word + 3) ? 1 : -1;
	if ((strcmp(word, "-f") == 0 && s->flag != WITHIN) ||
	    (strcmp(word, "-g") == 0 && s->flag == BOTH))
		return naive_value(s->kind, words[1]) ? 2 : -1;
	return 0;
}

/* How often each slot of a command has taken words so far. */
struct naive_state {
	const struct naive_command *c;
	size_t taken[SLOTS];
	const char *argv[12];
	size_t used;
};

static bool
is_inserted(const struct naive_command *c, size_t i)
{
	return c->name != '\0' && c->slot[i].kind == FIXED;
}

/* Go on from "*place" to "to": what is left there must not be needed, and
 * words that are inserted on the way are. */
static bool
naive_move(struct naive_state *n, size_t *place, size_t to)
{
	for (; *place < to; ++*place) {
		for (size_t i = 0; i < n->c->slots; i++) {
			if (n->c->slot[i].place != *place)
				continue;
			if (is_inserted(n->c, i))
				n->argv[n->used++] = "k";
			else if (!n->c->slot[i].optional && n->taken[i] == 0)
				return false;
		}
	}
	return true;
}

/* The first slot from "place" on that takes these words, as "*count" says:
 * the slot, or -1. */
static int
naive_first(const struct naive_state *n, size_t place,
    const char *const *words, int *count)
{
	for (size_t i = 0; i < n->c->slots; i++) {
		const struct naive_slot *s = &n->c->slot[i];

		if (s->place < place || is_inserted(n->c, i) ||
		    (n->taken[i] > 0 && !s->repeat))
			continue;
		/* No slot gets a word over one that must have it. */
		if ((*count = naive_takes(s, words)) != 0)
			return (int)i;
	}
	return -1;
}

/* Each word in turn goes to the first slot that takes it. */
static bool
naive_fits(struct naive_state *n, const char *const *words)
{
	size_t place = 0, last = n->c->slots == 0 ? 0 :
	    n->c->slot[n->c->slots - 1].place + 1;
	int slot, count;

	while (*words != NULL) {
		slot = naive_first(n, place, words, &count);
		if (slot == -1 || !naive_move(n, &place,
		    n->c->slot[slot].place) || count == -1)
			return false;
		n->taken[slot]++;
		for (; count > 0; count--)
			n->argv[n->used++] = *words++;
	}
	return naive_move(n, &place, last);
}

/* Can the words be read as the list says, in any way at all? */
static bool
naive_reading(const struct naive_command *c, size_t place, unsigned taken,
    const char *const *words)
{
	bool here = false, enough = true;

	for (size_t i = 0; i < c->slots; i++) {
		const struct naive_slot *s = &c->slot[i];
		bool has = (taken >> i & 1) != 0;
		int count;

		if (s->place != place)
			continue;
		here = true;
		if (is_inserted(c, i))
			continue;
		enough = enough && (has || s->optional);
		if (*words != NULL && (!has || s->repeat) &&
		    (count = naive_takes(s, words)) > 0 &&
		    naive_reading(c, place, taken | 1u << i, words + count))
			return true;
	}
	if (!here)
		return *words == NULL;
	return enough && naive_reading(c, place + 1, 0, words);
}

static bool
naive_called(const struct naive_command *c, const char *word)
{
	char whole[] = "/bin/?";

	whole[5] = c->program;
	if (c->name != '\0')
		return word[0] == c->name && word[1] == '\0';
	return strcmp(word, whole) == 0 || strcmp(word, whole + 5) == 0;
}

static bool
naive_name(const char *pattern, const char *name)
{
	if (pattern == NULL || strcmp(pattern, "*") == 0)
		return true;
	if (strcmp(pattern, "a*") == 0)
		return name[0] == 'a';
	if (strcmp(pattern, "~a|b") == 0)
		return strcmp(name, "a") == 0 || strcmp(name, "b") == 0;
	return strcmp(pattern, name) == 0;
}

/* 0: refused; 1: allowed; 2: allowed only because the rule learns.  Of a
 * command that is allowed "n" has argv, but for the program. */
static int
naive(const struct naive_rule *rules, size_t count, const char *name,
    const char *dns, bool shell, const char *const *words, int *which,
    struct naive_state *n)
{
	*which = -1;
	n->c = NULL;
	for (size_t i = 0; i < count; i++) {
		const struct naive_rule *r = &rules[i];
		int otherwise = r->learns ? 2 : 0;

		if (!naive_name(r->peer, name) || !naive_name(r->dns, dns))
			continue;
		*which = (int)i + 1;
		if (shell)
			return r->shell ? 1 : otherwise;
		if (r->anything)
			return 1;
		for (size_t k = 0; k < r->commands; k++) {
			memset(n, 0, sizeof *n);
			n->c = &r->command[k];
			if (!naive_called(n->c, words[0]) ||
			    !naive_fits(n, words + 1))
				continue;
			assert_true(naive_reading(n->c, 0, 0, words + 1));
			return 1;
		}
		n->c = NULL;
		return otherwise;
	}
	return 0;
}

/* A random slot, and its text behind "used" bytes of "out". */
static size_t
make_slot(uint64_t *seed, struct naive_command *c, size_t i, char *out,
    size_t size)
{
	struct naive_slot *s = &c->slot[i];
	bool last = i + 1 == c->slots, rest = false;

	s->kind = (enum kind)unit_below(seed, KINDS);
	s->flag = s->kind == FIXED ? NO_FLAG : s->kind == ALONE ?
	    (unit_below(seed, 2) == 0 ? APART : BOTH) :
	    (enum flag)unit_below(seed, FLAGS);
	if (s->kind == ALONE && s->flag == BOTH)
		s->flag = APART;
	if (s->kind != FIXED) {
		s->optional = unit_below(seed, 2) == 0;
		s->repeat = unit_below(seed, 3) == 0 && (s->kind != ANY ||
		    s->flag != NO_FLAG || last);
		rest = last && s->flag == NO_FLAG && s->optional && s->repeat;
	}
	s->place = i == 0 ? 0 : c->slot[i - 1].place + (s->flag == NO_FLAG ||
	    c->slot[i - 1].flag == NO_FLAG);
	return (size_t)snprintf(out, size, "%s %s%s%s%s%s", i == 0 ? "" : ",",
	    slot_text[s->kind], flag_text[s->flag], rest ? " rest = true;" :
	    s->optional ? " optional = true;" : "", s->repeat && !rest ?
	    " repeat = true;" : "", s->kind == FIXED ? "" : " }");
}

static size_t
make_command(uint64_t *seed, struct naive_command *c, char *out, size_t size)
{
	size_t n;

	memset(c, 0, sizeof *c);
	c->program = (char)('x' + unit_below(seed, 3));
	if (unit_below(seed, 4) == 0) {
		c->slots = 1;
		c->slot[0] = (struct naive_slot){ .kind = ANY,
		    .optional = true, .repeat = true };
		return (size_t)snprintf(out, size, " \"/bin/%c\"", c->program);
	}
	if (unit_below(seed, 2) == 0)
		c->name = (char)('x' + unit_below(seed, 3));
	c->slots = unit_below(seed, SLOTS + 1);
	n = (size_t)snprintf(out, size, " { program = \"/bin/%c\";",
	    c->program);
	if (c->name != '\0')
		n += (size_t)snprintf(out + n, size - n, " name = \"%c\";",
		    c->name);
	n += (size_t)snprintf(out + n, size - n, " arguments = (");
	for (size_t i = 0; i < c->slots; i++)
		n += make_slot(seed, c, i, out + n, size - n);
	return n + (size_t)snprintf(out + n, size - n, " ); }");
}

/* A random rule, and its text behind "used" bytes of "out". */
static size_t
make_rule(uint64_t *seed, struct naive_rule *r, char *out, size_t size)
{
	static const char *const patterns[] = { "a", "b", "a*", "*", "~a|b",
	    "ab" };
	size_t n;

	memset(r, 0, sizeof *r);
	r->peer = patterns[unit_below(seed, COUNT(patterns))];
	if (unit_below(seed, 3) == 0)
		r->dns = patterns[unit_below(seed, COUNT(patterns))];
	r->anything = unit_below(seed, 5) == 0;
	r->shell = unit_below(seed, 3) == 0;
	r->learns = unit_below(seed, 5) == 0;
	n = (size_t)snprintf(out, size, "{ peers = \"%s\"; shell = %s;%s%s",
	    r->peer, r->shell ? "true" : "false",
	    r->anything ? " anything = true;" : "",
	    r->learns ? " learn_until = \"2001-01-01\";" : "");
	if (r->dns != NULL)
		n += (size_t)snprintf(out + n, size - n, " dns = \"%s\";",
		    r->dns);
	r->commands = r->anything ? 0 : unit_below(seed, 4);
	if (r->commands > 0)
		n += (size_t)snprintf(out + n, size - n, " commands = (");
	for (size_t i = 0; i < r->commands; i++) {
		n += (size_t)snprintf(out + n, size - n, "%s", i == 0 ? "" :
		    ",");
		n += make_command(seed, &r->command[i], out + n, size - n);
	}
	n += (size_t)snprintf(out + n, size - n, "%s }", r->commands > 0 ?
	    " );" : "");
	return n;
}

/* argv of what a command grants. */
static void
check_argv(const struct decision *d, const struct naive_state *n)
{
	char program[] = "/bin/?";

	if (n->c == NULL)
		return;
	program[5] = n->c->program;
	assert_string_equal(d->plan.argv[0], program);
	for (size_t i = 0; i < n->used; i++) {
		assert_non_null(d->plan.argv[i + 1]);
		assert_string_equal(d->plan.argv[i + 1], n->argv[i]);
	}
	assert_null(d->plan.argv[n->used + 1]);
}

#define POLICIES	2000
#define QUESTIONS	20

static void
as_defined(void **state)
{
	static const char *const names[] = { "a", "b", "ab", "c" };
	static const char *const calls[] = { "x", "y", "/bin/x", "/bin/z",
	    "w", "/bin//x" };
	static const char *const args[] = { "a", "b", "ab", "0", "-1", "2",
	    "", "k", "k", "-f", "-f", "-g", "-f=a", "-f=2" };
	struct naive_state n;
	static struct tls_identity id;
	uint64_t seed = 7;
	int seen[3] = { 0, 0, 0 };

	(void)state;
	for (int i = 0; i < POLICIES; i++) {
		struct naive_rule rules[4];
		size_t count = 1 + unit_below(&seed, 4), used;
		char text[8192];
		struct rules *p;

		used = (size_t)snprintf(text, sizeof text, "rules = (");
		for (size_t k = 0; k < count; k++) {
			used += (size_t)snprintf(text + used, sizeof text -
			    used, "%s", k == 0 ? "\n" : ",\n");
			used += make_rule(&seed, &rules[k], text + used,
			    sizeof text - used);
		}
		(void)snprintf(text + used, sizeof text - used, ");\n");
		p = load("%s", text);
		for (int k = 0; k < QUESTIONS; k++) {
			const char *words[8] = { NULL }, *dns;
			bool shell = unit_below(&seed, 5) == 0;
			struct policy_peer peer = { .identity = &id,
			    .address = "::1", .session = "s",
			    .now = unit_below(&seed, 2) == 0 ? 978393599 :
			    978393600 };
			struct body b = { .operation = shell ? PROTO_SHELL :
			    PROTO_RUN, .words = (char **)(uintptr_t)words };
			struct decision d;
			int want, which;
			char rule[16];

			(void)snprintf(id.common_name, sizeof id.common_name,
			    "%s", names[unit_below(&seed, COUNT(names))]);
			dns = names[unit_below(&seed, COUNT(names))];
			memset(id.sans, 0, 16);
			(void)snprintf(id.sans, 16, "DNS:%s", dns);
			words[0] = calls[unit_below(&seed, COUNT(calls))];
			b.nwords = shell ? 1 : 1 + unit_below(&seed, 6);
			for (size_t w = 1; w < b.nwords; w++)
				words[w] = args[unit_below(&seed,
				    COUNT(args))];
			peer.rule = rules_find(p, &id, peer.address);
			want = naive(rules, count, id.common_name, dns, shell,
			    words, &which, &n);
			if (want == 2 && peer.now == 978393600)
				want = 0;
			assert_int_equal(policy_decide(&defaults, &peer, &b,
			    &d), 0);
			(void)snprintf(rule, sizeof rule, "%d", which);
			if (d.allowed != (want != 0) ||
			    d.record.learned != (want == 2) ||
			    strcmp(d.record.rule, which == -1 ? "" : rule) != 0)
				fail_msg("%s asks %s (%zu): %d, not %d: %s\n%s",
				    id.common_name, words[0], b.nwords,
				    d.allowed + d.record.learned, want,
				    d.why.text, text);
			assert_int_equal(d.why.code == PROTO_CODE_NONE,
			    d.allowed);
			if (want == 1 && !shell)
				check_argv(&d, &n);
			seen[want]++;
			decision_free(&d);
		}
		rules_free(p);
	}
	for (int i = 0; i < 3; i++)
		assert_true(seen[i] > POLICIES * QUESTIONS / 50);
}

/* --- text --------------------------------------------------------------- */

static const char rich[] =
    "groups = ( { name = \"g\"; peers = \"a*\"; ou = [ \"x\", \"y\" ]; },"
    " { name = \"h\"; upn = \"*\"; dc = \"x\"; } );"
    "rules = ( { groups = [ \"g\", \"h\" ]; cn = \"x\"; shell = true; },"
    " { name = \"r\"; peers = [ \"a*\", \"~b|c\" ]; dns = \"*\";"
    " shell = true; time_limit = 5; learn_until = \"2030-12-31\";"
    " commands = ( \"/bin/true\", { name = \"c\"; program = \"/bin/ls\";"
    " summary = \"a \\\"b\\\"\"; log_mask = [ \"2\", \"--key\" ];"
    " output_limit = \"1 KiB\"; umask = \"027\"; stdin = false;"
    " arguments = ( \"-l\", { one_of = [ \"x\", \"y\" ]; },"
    " { min = 1; max = 2; }, { match = \"~[0-9]+\"; },"
    " { below = \"/srv\"; pinned = false; },"
    " { flag = [ \"-a\", \"--b=\" ]; any = true; optional = true; },"
    " { flag = \"-c\"; optional = true; repeat = true; },"
    " { any = true; rest = true; } ); }, { program = \"/bin/c\"; } ); },"
    " { peers = \"z\"; commands = ( { program = \"/bin/w\";"
    " arguments = ( \"a\" ); original_command = true; } ); },"
    " { peers = \"*\"; anything = true; } );";

static char *
print(const struct rules *p)
{
	char *text;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	assert_non_null(out);
	rules_print(out, p);
	assert_int_equal(fclose(out), 0);
	return text;
}

/* What is printed is read back as the same. */
static void
round_trip(void **state)
{
	struct rules *p = load("%s", rich), *q;
	char *one = print(p), *two;

	(void)state;
	q = load("%s", one);
	two = print(q);
	assert_string_equal(one, two);
	free(one);
	free(two);
	rules_free(p);
	rules_free(q);
}

/* Whichever allocation fails, it is said, and nothing is left behind. */
static void
without_memory(void **state)
{
	static const char *const words[] = { "c", "x", "1", "5", "f", "g",
	    NULL };
	struct rules *p = NULL;
	struct decision d;
	int errors, failures = 0;

	(void)state;
	do {
		rules_free(p);
		memory_fail_at(failures++);
		p = try_load(rich, &errors);
	} while (memory_has_failed() && (p == NULL || failures < 1000));
	assert_non_null(p);
	assert_true(failures > 50);
	for (int i = 0;; i++) {
		struct policy_peer peer = { .identity = &alice,
		    .address = "::1", .session = "s",
		    .rule = rules_find(p, &alice, "::1") };
		static char *none[] = { NULL };
		struct body b = { .operation = PROTO_RUN, .nwords = 6,
		    .words = (char **)(uintptr_t)words, .env = none };
		int result;

		memory_fail_at(i);
		result = policy_decide(&defaults, &peer, &b, &d);
		if (!memory_has_failed()) {
			assert_int_equal(result, 0);
			assert_true(d.allowed);
			decision_free(&d);
			break;
		}
		assert_int_equal(result, -1);
	}
	rules_free(p);
}

/* --- how long it takes -------------------------------------------------- */

#define MANY	10000
#define TIMES	200

/* Processor time: other processes must not count. */
static int64_t
cpu_now_us(void)
{
	return (int64_t)clock() * 1000000 / CLOCKS_PER_SEC;
}

/* Many rules, or many commands in one rule, are no burden to a request. */
static void
many(void **state)
{
	static const char *const words[] = { "c9999", NULL };
	char *text, *warnings;
	size_t size;
	FILE *out = open_memstream(&text, &size);
	int64_t load_us, find_us, decide_us, warn_us, slowness = 1;
	const struct rule *rule = NULL;
	struct rules *p;
	int errors;

	(void)state;
	assert_non_null(out);
	fputs("rules = (\n", out);
	for (int i = 0; i < MANY; i++)
		fprintf(out, "{ peers = \"p%d\"; anything = true; },\n", i);
	fputs("{ peers = \"*\"; commands = (\n", out);
	for (int i = 0; i < MANY; i++)
		fprintf(out, "%s{ name = \"c%d\"; program = \"/bin/true\"; }",
		    i == 0 ? "" : ",\n", i);
	fputs(") } );\n", out);
	assert_int_equal(fclose(out), 0);
	if (getenv("AIS_SANITIZERS") != NULL &&
	    strcmp(getenv("AIS_SANITIZERS"), "yes") == 0)
		slowness = 20;
	load_us = cpu_now_us();
	p = try_load(text, &errors);
	load_us = cpu_now_us() - load_us;
	assert_non_null(p);
	find_us = cpu_now_us();
	for (int i = 0; i < TIMES; i++)
		rule = rules_find(p, &alice, "::1");
	find_us = cpu_now_us() - find_us;
	assert_non_null(rule);
	decide_us = cpu_now_us();
	for (int i = 0; i < TIMES; i++) {
		struct policy_peer peer = { .identity = &alice,
		    .address = "::1", .session = "s", .rule = rule };
		static char *none[] = { NULL };
		struct body b = { .operation = PROTO_RUN, .nwords = 1,
		    .words = (char **)(uintptr_t)words, .env = none };
		struct decision d;

		assert_int_equal(policy_decide(&defaults, &peer, &b, &d), 0);
		assert_true(d.allowed);
		decision_free(&d);
	}
	decide_us = cpu_now_us() - decide_us;
	out = open_memstream(&warnings, &size);
	assert_non_null(out);
	warn_us = cpu_now_us();
	(void)rules_warn(out, p, NULL);
	warn_us = cpu_now_us() - warn_us;
	assert_int_equal(fclose(out), 0);
	printf("# load %lld ms, find %lld ns, decide %lld ns, warn %lld ms\n",
	    (long long)load_us / 1000, (long long)find_us * 1000 / TIMES,
	    (long long)decide_us * 1000 / TIMES, (long long)warn_us / 1000);
	/* Against what is quadratic.  Sanitizers make an allocation slow. */
	assert_true(load_us < 10000000 * slowness);
	assert_true(warn_us < 10000000 * slowness);
	assert_true(decide_us / TIMES < 1000 * slowness);
	free(warnings);
	free(text);
	rules_free(p);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(peers),
		cmocka_unit_test(kinds_of_names),
		cmocka_unit_test(groups),
		cmocka_unit_test(spellings),
		cmocka_unit_test(arguments),
		cmocka_unit_test(as_defined),
		cmocka_unit_test(round_trip),
		cmocka_unit_test(without_memory),
		cmocka_unit_test(many),
	};

	return cmocka_run_group_tests_name("rules", tests,
	    messages_enter, messages_leave);
}
