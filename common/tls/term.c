/* What of a context ends by itself.
 * SPDX-License-Identifier: ISC */
#include <config.h>

#include <stdbool.h>
#include <stdlib.h>

#include "common/base/date.h"
#include "common/tls/cert.h"
#include "common/tls/revocation.h"
#include "common/tls/term.h"

static void
term_set(struct tls_term *t, enum tls_term_kind kind, X509 *cert)
{
	*t = (struct tls_term){ .kind = kind,
	    .begins = cert_seconds(X509_get0_notBefore(cert)),
	    .ends = cert_seconds(X509_get0_notAfter(cert)) };
	(void)cert_name(X509_get_subject_name(cert), t->name,
	    sizeof t->name);
}

/* Does "a" end before "b", of those that have not ended yet; or else of all
 * after it? */
static bool
ends_first(X509 *a, X509 *b, int64_t now)
{
	int64_t x = cert_seconds(X509_get0_notAfter(a));
	int64_t y = cert_seconds(X509_get0_notAfter(b));

	return y < now ? x > y : x >= now && x < y;
}

/* The authority's certificate that is to end first, or NULL. */
static X509 *
first_to_end(X509_STORE *store)
{
	STACK_OF(X509_OBJECT) *all = X509_STORE_get0_objects(store);
	int64_t now = date_now();
	X509 *first = NULL, *cert;

	for (int i = 0; i < sk_X509_OBJECT_num(all); i++) {
		cert = X509_OBJECT_get0_X509(sk_X509_OBJECT_value(all, i));
		if (cert != NULL && (first == NULL ||
		    ends_first(cert, first, now)))
			first = cert;
	}
	return first;
}

struct tls_term *
term_all(const struct term_sources *from, size_t *count)
{
	size_t room = 2 + (size_t)from->untrusted + (from->lists == NULL ? 0 :
	    revocation_count(from->lists));
	struct tls_term *terms = calloc(room, sizeof *terms);
	X509 *authority = first_to_end(from->store);
	size_t n = 0;

	*count = 0;
	if (terms == NULL)
		return NULL;
	term_set(&terms[n++], TLS_TERM_CERTIFICATE, from->own);
	for (int i = 1; i < from->untrusted; i++)
		term_set(&terms[n++], TLS_TERM_INTERMEDIATE,
		    sk_X509_value(from->path, i));
	if (authority != NULL)
		term_set(&terms[n++], TLS_TERM_AUTHORITY, authority);
	if (from->lists != NULL)
		n += revocation_terms(from->lists, terms + n);
	*count = n;
	return terms;
}
