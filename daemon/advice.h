/*
 * advice.h - answers for operators, without serving: what a rule would do,
 * and which rules would fit what was learned.
 */
#ifndef AIS_ADVICE_H
#define AIS_ADVICE_H

#include <stdio.h>

struct settings;

/*
 * Write which rule and command of "s" match, with which limits, or why not.
 * "who" is a certificate's file, or names as "CN=alice,DNS=host,FROM=192.0.2.1"
 * (CN, SUBJECT, ISSUER, FINGERPRINT, DNS, EMAIL, URI, IP, FROM); "argv", NULL
 * terminated, is what is asked for, and may be empty.  0: allowed; 1: refused;
 * -1 after a message: "who" cannot be understood.
 */
int advice_explain(FILE *out, const struct settings *s, const char *who,
    char **argv);

/*
 * Read the file log "path" and write, for each rule that has learned, the
 * commands that it lacks, in the syntax of aisd.conf(5).  0, or -1 after a
 * message.
 */
int advice_suggest(FILE *out, const char *path);

#endif
