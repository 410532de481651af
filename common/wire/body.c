/*
 * body.c - a request's body to and from bytes.
 *
 * SPDX-License-Identifier: ISC
 */
#include <config.h>

#include <stdlib.h>
#include <string.h>

#include "common/base/buf.h"
#include "common/wire/body.h"
#include "common/wire/frame.h"

static int
put_strings(struct buf *out, enum proto_item kind, char *const *strings,
    size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (item_put(out, kind, strings[i], strlen(strings[i])) == -1)
			return -1;
	}
	return 0;
}

int
body_put(struct buf *out, const struct body *body)
{
	uint8_t operation = (uint8_t)body->operation, windows[8];
	const uint8_t condition = (uint8_t)body->condition;

	store_u32(windows, body->windows[0]);
	store_u32(windows + 4, body->windows[1]);
	if (item_put(out, PROTO_ITEM_OPERATION, &operation, 1) == -1 ||
	    put_strings(out, PROTO_ITEM_WORD, body->words,
	    body->nwords) == -1 ||
	    put_strings(out, PROTO_ITEM_ENV, body->env, body->nenv) == -1)
		return -1;
	if (body->directory != NULL && item_put(out, PROTO_ITEM_DIRECTORY,
	    body->directory, strlen(body->directory)) == -1)
		return -1;
	if (body->features != NULL && item_put(out, PROTO_ITEM_FEATURES,
	    body->features, strlen(body->features)) == -1)
		return -1;
	if (body->arguments &&
	    item_put(out, PROTO_ITEM_ARGUMENTS, NULL, 0) == -1)
		return -1;
	if (body->condition != PROTO_IF_ANY &&
	    item_put(out, PROTO_ITEM_IF, &condition, 1) == -1)
		return -1;
	if (body->wants_stdin &&
	    item_put(out, PROTO_ITEM_STDIN, NULL, 0) == -1)
		return -1;
	return item_put(out, PROTO_ITEM_WINDOWS, windows, sizeof windows);
}

/* What the first pass over a body finds out. */
struct count {
	size_t kinds[PROTO_ITEM_IF + 1];	/* Items of each kind. */
	size_t items, bytes;
	const char *unknown;	/* About an item that is not known, or NULL. */
	const char *invalid;	/* About a value that is of no use, or NULL. */
};

static const char malformed[] = "the request's items are malformed";

/* Is "bytes" a NUL-free string of at most "max" bytes? */
static const char *
check_string(const uint8_t *bytes, size_t n, size_t max)
{
	if (n > 0 && memchr(bytes, '\0', n) != NULL)
		return "the request has a word with a NUL byte";
	if (n > max)
		return "the request has a word that is too long";
	return NULL;
}

static const char *
check_value(uint8_t kind, const uint8_t *bytes, size_t n)
{
	if (kind == PROTO_ITEM_WORD || kind == PROTO_ITEM_ENV)
		return check_string(bytes, n, PROTO_WORD_MAX);
	if (kind == PROTO_ITEM_DIRECTORY)
		return check_string(bytes, n, PROTO_PATH_MAX);
	return NULL;
}

/* Set in the kind of an item that is skipped where it is not known. */
#define MAY_SKIP	0x80

static bool
body_knows(uint8_t kind)
{
	return kind >= PROTO_ITEM_OPERATION && kind <= PROTO_ITEM_IF;
}

/* Count and check the items, so that parsing needs one allocation. */
static const char *
count_items(struct reader r, struct count *c, enum proto_code *code)
{
	const uint8_t *bytes;
	uint8_t kind;
	size_t n;
	int got;

	while ((got = item_get(&r, &kind, &bytes, &n)) == 1) {
		if (++c->items > PROTO_ITEMS_MAX) {
			*code = PROTO_CODE_INVALID;
			return "the request has too many words";
		}
		c->bytes += n + 1;
		if (kind <= PROTO_ITEM_IF)
			c->kinds[kind]++;
		if (!body_knows(kind) && (kind & MAY_SKIP) == 0)
			c->unknown = "the server does not know an item of the "
			    "request";
		if (c->kinds[PROTO_ITEM_ENV] > PROTO_ENV_MAX) {
			*code = PROTO_CODE_INVALID;
			return "the request has too many variables";
		}
		if (c->invalid == NULL)
			c->invalid = check_value(kind, bytes, n);
	}
	if (got == -1)
		return malformed;
	if (c->kinds[PROTO_ITEM_DIRECTORY] > 1 ||
	    c->kinds[PROTO_ITEM_STDIN] > 1 ||
	    c->kinds[PROTO_ITEM_WINDOWS] > 1 ||
	    c->kinds[PROTO_ITEM_IF] > 1)
		return "the request has an item twice that stands there once";
	return NULL;
}

/* Copy a string to "*p" and step over it. */
static char *
body_keep(char **p, const uint8_t *bytes, size_t n)
{
	char *start = *p;

	if (n > 0)
		memcpy(start, bytes, n);
	start[n] = '\0';
	*p += n + 1;
	return start;
}

/* Take in one item; "p" is where strings go. */
static const char *
take_item(struct body *body, uint8_t kind, const uint8_t *bytes, size_t n,
    char **p)
{
	switch (kind) {
	case PROTO_ITEM_OPERATION:
		if (n != 1 || body->operation != 0 || bytes[0] == 0)
			return "the request's operation is malformed";
		body->operation = (enum proto_operation)bytes[0];
		return NULL;
	case PROTO_ITEM_WORD:
		body->words[body->nwords++] = body_keep(p, bytes, n);
		return NULL;
	case PROTO_ITEM_ENV:
		body->env[body->nenv++] = body_keep(p, bytes, n);
		return NULL;
	case PROTO_ITEM_DIRECTORY:
		body->directory = body_keep(p, bytes, n);
		return NULL;
	case PROTO_ITEM_STDIN:
		if (n != 0)
			return malformed;
		body->wants_stdin = true;
		return NULL;
	case PROTO_ITEM_ARGUMENTS:
		if (n != 0)
			return malformed;
		body->arguments = true;
		return NULL;
	case PROTO_ITEM_WINDOWS:
		if (n != 8)
			return malformed;
		body->windows[0] = fetch_u32(bytes);
		body->windows[1] = fetch_u32(bytes + 4);
		if (body->windows[0] > PROTO_WINDOW_MAX ||
		    body->windows[1] > PROTO_WINDOW_MAX)
			return "the request's window is too large";
		return NULL;
	case PROTO_ITEM_IF:
		if (n != 1 || bytes[0] == 0)
			return malformed;
		body->condition = (enum proto_condition)bytes[0];
		return NULL;
	default:
		return NULL;
	}
}

/* Does the operation have the words that it takes? */
static const char *
check_words(const struct body *body)
{
	static const struct {
		size_t least, most;
		const char *why;
	} rows[] = {
		[PROTO_RUN] = { 1, PROTO_ITEMS_MAX,
		    "the request has no command" },
		[PROTO_SHELL] = { 1, 1,
		    "a request for a shell takes one line" },
		[PROTO_CHDIR] = { 0, 1,
		    "a change of directory takes one path" },
		[PROTO_LIST] = { 0, 0,
		    "a request for the list takes no word" },
		[PROTO_CAN] = { 0, PROTO_ITEMS_MAX, NULL },
		[PROTO_LINE] = { 0, 1,
		    "a request with a line takes one, or none" },
		[PROTO_SUBSYSTEM] = { 1, 1,
		    "a request for a subsystem takes one name" },
	};
	size_t n = body->nwords;

	return body->operation <= PROTO_SUBSYSTEM &&
	    (n < rows[body->operation].least ||
	    n > rows[body->operation].most) ? rows[body->operation].why : NULL;
}

const char *
body_parse(struct body *body, const uint8_t *bytes, size_t n,
    enum proto_code *code)
{
	struct reader r = { bytes, n };
	struct count c = { .items = 0 };
	const uint8_t *item;
	const char *why;
	uint8_t kind;
	size_t length, words, env;
	char *p;

	memset(body, 0, sizeof *body);
	*code = PROTO_CODE_PROTOCOL;
	if ((why = count_items(r, &c, code)) != NULL)
		return why;
	words = c.kinds[PROTO_ITEM_WORD];
	env = c.kinds[PROTO_ITEM_ENV];
	body->memory = calloc(1, (words + env + 2) * sizeof(char *) + c.bytes);
	if (body->memory == NULL) {
		*code = PROTO_CODE_RESOURCES;
		return "the server is out of memory";
	}
	body->words = body->memory;
	body->env = body->words + words + 1;
	p = (char *)(body->env + env + 1);
	while (why == NULL && item_get(&r, &kind, &item, &length) == 1) {
		if (body->operation == 0 && kind != PROTO_ITEM_OPERATION)
			why = "the request's operation is not its first item";
		else
			why = take_item(body, kind, item, length, &p);
	}
	if (why == NULL && body->operation == 0)
		why = "the request is empty";
	if (why == NULL)
		why = check_words(body);
	/* What breaks the protocol weighs more than what is not known, and
	 * that more than a value of no use. */
	if (why == NULL && body->operation > PROTO_SUBSYSTEM)
		c.unknown = "the server does not know such a request";
	if (why == NULL && body->condition > PROTO_IF_SUCCEEDED)
		c.unknown = "the server does not know a condition of the "
		    "request";
	if (why == NULL && c.unknown != NULL) {
		why = c.unknown;
		*code = PROTO_CODE_UNSUPPORTED;
	} else if (why == NULL && c.invalid != NULL) {
		why = c.invalid;
		*code = PROTO_CODE_INVALID;
	}
	if (why != NULL)
		body_free(body);
	return why;
}

void
body_free(struct body *body)
{
	free(body->memory);
	memset(body, 0, sizeof *body);
}
