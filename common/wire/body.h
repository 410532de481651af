/*
 * body.h - the items of a request and of HELLO.
 *
 * A body is a row of items (proto.h, enum proto_item).  Like frame.h a pure
 * codec, with every length checked first.
 */
#ifndef AIS_BODY_H
#define AIS_BODY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/wire/proto.h"

struct buf;
struct reader;

/* A request as it came, or as it is to be sent. */
struct body {
	enum proto_operation operation;
	char **words;		/* argv, NULL terminated; or the one word. */
	size_t nwords;
	char **env;		/* NAME=VALUE, NULL terminated. */
	size_t nenv;
	char *directory;	/* Or NULL. */
	bool wants_stdin;
	uint32_t windows[2];	/* Credit for standard output and error. */
	void *memory;		/* Of body_parse(), with all of the above. */
};

/* Append one item.  0, or -1 with "out" unchanged. */
int item_put(struct buf *out, enum proto_item kind, const void *bytes,
    size_t n);

/*
 * Take the next item.  1 and its kind and bytes, which are borrowed; 0 at the
 * end; -1 if the rest is no item.
 */
int item_get(struct reader *r, uint8_t *kind, const uint8_t **bytes,
    size_t *n);

/* Append "body" as items.  0, or -1 with "out" holding a part of it. */
int body_put(struct buf *out, const struct body *body);

/*
 * Parse the "n" bytes of a request's body.  On success returns NULL and fills
 * "body", whose strings are NUL terminated and owned by it until body_free().
 * Otherwise returns a sentence that says what is wrong, a constant string,
 * and "*code" is PROTO_CODE_PROTOCOL for what no client of the protocol sends,
 * PROTO_CODE_INVALID for a value that cannot be used (a NUL in a word, a word
 * that is too long) or PROTO_CODE_RESOURCES if memory is out.
 */
const char *body_parse(struct body *body, const uint8_t *bytes, size_t n,
    enum proto_code *code);

/* Free what body_parse() has made; does nothing for a zeroed body. */
void body_free(struct body *body);

#endif
