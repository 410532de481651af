/*
 * pem.h - DER as a PEM file, so that a fuzzer's bytes are those of the DER.
 * SPDX-License-Identifier: ISC
 */
#ifndef AIS_FUZZ_PEM_H
#define AIS_FUZZ_PEM_H

#include <stdlib.h>
#include <string.h>

#include "tests/fuzz/fuzz.h"

/* Write RFC 4648's base64, 64 characters a line. */
static inline void
pem_body(FILE *f, const uint8_t *p, size_t n)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	    "abcdefghijklmnopqrstuvwxyz0123456789+/";

	for (size_t i = 0; i < n; i += 3) {
		uint32_t v = (uint32_t)p[i] << 16 |
		    (i + 1 < n ? (uint32_t)p[i + 1] << 8 : 0) |
		    (i + 2 < n ? p[i + 2] : 0);

		fprintf(f, "%c%c%c%c%s", digits[v >> 18], digits[v >> 12 & 63],
		    i + 1 < n ? digits[v >> 6 & 63] : '=',
		    i + 2 < n ? digits[v & 63] : '=',
		    i % 48 == 45 || i + 3 >= n ? "\n" : "");
	}
}

/* The path of a file: PEM as it is, anything else as DER in PEM. */
static inline const char *
pem_file(const uint8_t *data, size_t size, const char *kind)
{
	struct writing w;
	const char *path;
	char *text;

	if (size > 0 && data[0] == '-')
		return fuzz_file(data, size);
	fprintf(fuzz_write(&w), "-----BEGIN %s-----\n", kind);
	pem_body(w.f, data, size);
	fprintf(w.f, "-----END %s-----\n", kind);
	text = fuzz_written(&w);
	path = fuzz_file(text, strlen(text));
	free(text);
	return path;
}

#endif
