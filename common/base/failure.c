/*
 * failure.c - what went wrong, in its parts.
 *
 * SPDX-License-Identifier: ISC
 */
#include <config.h>

#include <stdio.h>
#include <string.h>

#include "common/base/failure.h"

void
failure_vset(struct failure *f, int code, const char *format, va_list ap)
{
	f->code = code;
	f->about[0] = '\0';
	f->hint[0] = '\0';
	(void)vsnprintf(f->text, sizeof f->text, format, ap);
}

void
failure_set(struct failure *f, int code, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	failure_vset(f, code, format, ap);
	va_end(ap);
}

int
failure_make(struct failure *f, int code, const char *hint,
    const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	failure_vset(f, code, format, ap);
	va_end(ap);
	failure_hint(f, "%s", hint);
	return -1;
}

void
failure_about(struct failure *f, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	(void)vsnprintf(f->about, sizeof f->about, format, ap);
	va_end(ap);
}

void
failure_hint(struct failure *f, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	(void)vsnprintf(f->hint, sizeof f->hint, format, ap);
	va_end(ap);
}

void
failure_more(struct failure *f, const char *format, ...)
{
	size_t n = strlen(f->hint);
	va_list ap;

	if (n > 0 && n < FAILURE_HINT_MAX - 2) {
		memcpy(f->hint + n, "; ", 3);
		n += 2;
	}
	va_start(ap, format);
	(void)vsnprintf(f->hint + n, FAILURE_HINT_MAX - n, format, ap);
	va_end(ap);
}

char *
failure_message(const struct failure *f, char out[FAILURE_MAX])
{
	(void)snprintf(out, FAILURE_MAX, "%s%s%s", f->about,
	    f->about[0] == '\0' ? "" : ": ", f->text);
	return out;
}

char *
failure_sentence(const struct failure *f, char out[FAILURE_MAX])
{
	size_t n = strlen(failure_message(f, out));

	if (f->hint[0] != '\0')
		(void)snprintf(out + n, FAILURE_MAX - n, "; %s", f->hint);
	return out;
}
