/*
 * common/body: a request.  What is parsed and put again is the same request.
 * SPDX-License-Identifier: ISC
 */
#include <config.h>

#include <string.h>

#include "common/wire/body.h"
#include "common/base/buf.h"

#include "tests/fuzz/fuzz.h"

const size_t fuzz_mutations = 60000;

static void
check_list(char *const *list, size_t n, size_t max)
{
	must(n <= max && list[n] == NULL);
	for (size_t i = 0; i < n; i++)
		must(strlen(list[i]) <= PROTO_WORD_MAX);
}

/* What a request that is accepted can be relied on for. */
static void
check(const struct body *b)
{
	must(b->operation >= PROTO_RUN && b->operation <=
	    PROTO_SUBSYSTEM);
	must(b->operation != PROTO_RUN || b->nwords > 0);
	must(b->operation != PROTO_SHELL || b->nwords == 1);
	must(b->operation != PROTO_LINE || b->nwords <= 1);
	must(b->operation != PROTO_SUBSYSTEM || b->nwords == 1);
	must(b->operation != PROTO_CHDIR || b->nwords <= 1);
	must(b->operation != PROTO_LIST || b->nwords == 0);
	check_list(b->words, b->nwords, PROTO_ITEMS_MAX);
	check_list(b->env, b->nenv, PROTO_ENV_MAX);
	must(b->directory == NULL || strlen(b->directory) <= PROTO_PATH_MAX);
	must(b->windows[0] <= PROTO_WINDOW_MAX);
	must(b->windows[1] <= PROTO_WINDOW_MAX);
}

static bool
same_list(char *const *a, char *const *b, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (strcmp(a[i], b[i]) != 0)
			return false;
	}
	return true;
}

static bool
same(const struct body *a, const struct body *b)
{
	return a->operation == b->operation && a->nwords == b->nwords &&
	    same_list(a->words, b->words, a->nwords) && a->nenv == b->nenv &&
	    same_list(a->env, b->env, a->nenv) &&
	    (a->directory == NULL) == (b->directory == NULL) &&
	    (a->directory == NULL ||
	    strcmp(a->directory, b->directory) == 0) &&
	    a->wants_stdin == b->wants_stdin &&
	    a->arguments == b->arguments && a->condition == b->condition &&
	    memcmp(a->windows, b->windows, sizeof a->windows) == 0;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	enum proto_code code = PROTO_CODE_NONE;
	struct body b, again;
	const char *why = body_parse(&b, data, size, &code);
	struct buf out;

	if (why != NULL) {
		must(*why != '\0' && b.memory == NULL);
		must(code == PROTO_CODE_PROTOCOL ||
		    code == PROTO_CODE_UNSUPPORTED ||
		    code == PROTO_CODE_INVALID);
		body_free(&b);
		return 0;
	}
	check(&b);
	buf_init(&out, PROTO_BODY_MAX);
	must(body_put(&out, &b) == 0);
	must(body_parse(&again, buf_data(&out), buf_used(&out), &code) ==
	    NULL);
	must(same(&b, &again));
	body_free(&again);
	body_free(&b);
	buf_free(&out);
	return 0;
}
