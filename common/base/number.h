/*
 * number.h - decimal numbers as people write them.
 * SPDX-License-Identifier: ISC
 */
#ifndef AIS_NUMBER_H
#define AIS_NUMBER_H

#include <stdint.h>

/*
 * Read all of "text" as a whole number from "min" to "max" into "*value".  It
 * has one spelling: digits, "-" before them if it is below 0, nothing around
 * them and no zero before them.  0, or -1.
 */
int number_whole(const char *text, int64_t min, int64_t max, int64_t *value);

/*
 * Read the digits that "text" begins with, and one "." among them or none,
 * into "*value".  Returns what comes after them, or NULL if "text" begins with
 * no digit or has a second ".".
 */
const char *number_decimal(const char *text, double *value);

#endif
