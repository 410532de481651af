/*
 * body.h - a request's body to and from bytes.
 *
 * SPDX-License-Identifier: ISC
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

/* Where a client's request stands among others. */
enum body_place {
	BODY_ALONE,
	BODY_LEADS,		/* Others are to be sent behind it, and the */
	BODY_FOLLOWS		/* first of these has its turn now. */
};

/* A request as it came, or as it is to be sent. */
struct body {
	enum proto_operation operation;
	char **words;		/* argv, NULL terminated; or the one word. */
	size_t nwords;
	char **env;		/* NAME=VALUE, NULL terminated. */
	size_t nenv;
	char *directory;	/* Or NULL. */
	bool wants_stdin;
	bool arguments;		/* The list is to have them. */
	enum proto_condition condition;	/* Of the one before it. */
	const char *features;	/* To be sent, or NULL; not parsed. */
	enum body_place place;	/* Neither sent nor parsed. */
	uint32_t windows[2];	/* Credit for standard output and error. */
	void *memory;		/* Of body_parse(), with all of the above. */
};

/* Append "body" as items.  0, or -1 with "out" holding a part of it. */
int body_put(struct buf *out, const struct body *body);

/*
 * Parse the "n" bytes of a request's body.  On success returns NULL and fills
 * "body", whose strings are NUL terminated and owned by it until body_free().
 * Otherwise returns a sentence that says what is wrong, a constant string,
 * and "*code" is PROTO_CODE_PROTOCOL for what no client of the protocol sends,
 * PROTO_CODE_UNSUPPORTED for an operation or an item that is not known,
 * PROTO_CODE_INVALID for a value that cannot be used (a NUL in a word, a word
 * that is too long) or PROTO_CODE_RESOURCES if memory is out.
 */
const char *body_parse(struct body *body, const uint8_t *bytes, size_t n,
    enum proto_code *code);

/* Free what body_parse() has made; does nothing for a zeroed body. */
void body_free(struct body *body);

#endif
