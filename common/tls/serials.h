/*
 * serials.h - a compact set of serial numbers, as a revocation list has them.
 *
 * A million numbers of 20 bytes take 21 MB, and finding one takes 20
 * comparisons.  A number is the content of its DER INTEGER: as DER writes a
 * number in one way only, equal bytes are equal numbers.
 */
#ifndef AIS_SERIALS_H
#define AIS_SERIALS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * The longest serial number.  RFC 5280, 4.1.2.2, allows 20 bytes, and one for
 * the sign; there are authorities that take a whole hash.
 */
#define SERIALS_BYTES_MAX	64

struct serials;

/*
 * A set with room for "count" numbers of up to "longest" bytes, which is at
 * most SERIALS_BYTES_MAX.  NULL if memory is out.
 */
struct serials *serials_new(size_t count, size_t longest);
void serials_free(struct serials *s);

/* Add a number, for which there must be room.  They are found only after
 * serials_sort(). */
void serials_add(struct serials *s, const uint8_t *bytes, size_t n);
void serials_sort(struct serials *s);

/* Is the number in the set? */
bool serials_has(const struct serials *s, const uint8_t *bytes, size_t n);

/* How many there are; one that was added twice counts twice. */
size_t serials_count(const struct serials *s);

#endif
