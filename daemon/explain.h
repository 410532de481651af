/*
 * explain.h - what the rules do for a client, for operators.
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef AIS_EXPLAIN_H
#define AIS_EXPLAIN_H

#include <stdio.h>

struct settings;

/*
 * Write which rule and command of "s" match, with which limits, or why not.
 * "who" is a certificate's file, or names as "CN=alice,FROM=192.0.2.1", which
 * are those of aisd(8); "argv", NULL terminated, is what is asked for, and may
 * be empty.  0: allowed; 1: refused; -1 after a message: "who" cannot be
 * understood, or memory is out.
 */
int explain_rights(FILE *out, const struct settings *s, const char *who,
    char **argv);

#endif
