/*
 * warnings.h - what is no error in a configuration, and hardly meant.
 * SPDX-License-Identifier: ISC
 */
#ifndef AIS_WARNINGS_H
#define AIS_WARNINGS_H

struct settings;
struct tls_context;

/*
 * Look for it in "s" and its files in "context", and log a warning for each,
 * with FILE:LINE.  Returns how many.  It waits for nothing but file systems.
 */
int warnings_log(const struct settings *s, const struct tls_context *context);

#endif
