/*
 * common/tls: from a certificate, in DER or in PEM, to who the peer is.
 * SPDX-License-Identifier: ISC
 */
#include <config.h>

#include "common/tls/tls.h"

#include "tests/fuzz/pem.h"

const size_t fuzz_mutations = 3000;

static bool
is_text(const char *text, size_t size)
{
	return strnlen(text, size) < size;
}

/* Is it printable ASCII, as what the rules compare must be? */
static bool
is_plain(const char *text)
{
	for (; *text != '\0'; text++) {
		if (*text < ' ' || *text > '~')
			return false;
	}
	return true;
}

/* Each begins with a kind, and an empty one ends them, in their bounds; those
 * of the first "plain" kinds are printable ASCII, the others UTF-8. */
static void
check_names(const char *names, size_t size, const char *const *kinds,
    size_t plain)
{
	const char *p = names, *end = names + size;

	while (*p != '\0') {
		size_t n = strnlen(p, (size_t)(end - p)), kind = 0;

		must(n < (size_t)(end - p) - 1);
		while (kinds[kind] != NULL && strncmp(p, kinds[kind],
		    strlen(kinds[kind])) != 0)
			kind++;
		must(kinds[kind] != NULL && (kind < plain ? is_plain(p) &&
		    strlen(kinds[kind]) < n : fuzz_is_utf8(p, n)));
		p += n + 1;
		must(p < end);
	}
}

static void
check(const struct tls_identity *id)
{
	must(is_text(id->common_name, TLS_NAME_MAX));
	must(is_text(id->subject, TLS_DN_MAX));
	must(is_text(id->issuer, TLS_DN_MAX));
	must(is_text(id->serial, TLS_SERIAL_MAX));
	must(strlen(id->fingerprint) == TLS_FINGERPRINT_MAX - 1);
	must(strspn(id->fingerprint, "0123456789abcdef") ==
	    TLS_FINGERPRINT_MAX - 1);
	must(is_plain(id->subject) && is_plain(id->issuer));
	must(strspn(id->serial, "-0123456789ABCDEF") == strlen(id->serial));
	must(fuzz_is_utf8(id->common_name, strlen(id->common_name)));
	check_names(id->sans, sizeof id->sans, (const char *const[]){ "DNS:",
	    "EMAIL:", "URI:", "IP:", "UPN:", NULL }, 4);
	check_names(id->attributes, sizeof id->attributes,
	    (const char *const[]){ "CN:", "OU:", "O:", "UID:", "DC:",
	    "SERIALNUMBER:", "EMAILADDRESS:", NULL }, 0);
	must(id->lacks == NULL || is_plain(id->lacks));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *path = pem_file(data, size, "CERTIFICATE");
	char why[FAILURE_MAX];
	struct failure failure;
	struct tls_identity id;

	memset(&id, 0xff, sizeof id);
	if (tls_identity_load(path, &id, &failure) == 0)
		check(&id);
	else {
		(void)failure_sentence(&failure, why);
		must(*why != '\0' && fuzz_is_printable(why, strlen(why)));
	}
	return 0;
}
