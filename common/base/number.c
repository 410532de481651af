/*
 * number.c - decimal numbers as people write them.
 * SPDX-License-Identifier: ISC
 */
#include <config.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/number.h"

#define DIGITS	"0123456789"

int
number_whole(const char *text, int64_t min, int64_t max, int64_t *value)
{
	const char *digits = *text == '-' ? text + 1 : text;
	long long v;

	if (*digits == '\0' || digits[strspn(digits, DIGITS)] != '\0' ||
	    (*digits == '0' && (digits[1] != '\0' || *text == '-')))
		return -1;
	errno = 0;
	v = strtoll(text, NULL, 10);
	if (errno != 0 || v < min || v > max)
		return -1;
	*value = v;
	return 0;
}

const char *
number_decimal(const char *text, double *value)
{
	/* strtod(3) would take hexadecimal numbers and exponents as well. */
	const char *end = text + strspn(text, DIGITS ".");
	char *read;

	if (*text < '0' || *text > '9')
		return NULL;
	*value = strtod(text, &read);
	return read == end ? end : NULL;
}
