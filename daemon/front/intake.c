/*
 * intake.c - requests that have come and are not begun yet.
 * SPDX-License-Identifier: ISC
 */
#include <config.h>

#include <string.h>

#include "common/wire/frame.h"
#include "common/wire/proto.h"
#include "daemon/front/intake.h"

void
intake_init(struct intake *in)
{
	*in = (struct intake){ .newest = 0 };
	buf_init(&in->bytes, PROTO_BODY_MAX);
}

void
intake_free(struct intake *in)
{
	buf_free(&in->bytes);
	in->count = 0;
	in->partial = false;
}

bool
intake_is_empty(const struct intake *in)
{
	return in->count == 0;
}

/* Enter a request of which the first frame has come. */
static const char *
intake_enter(struct intake *in, const struct frame *f, bool busy)
{
	if (f->request <= in->newest)
		return "a request's number is not above the last";
	if (in->count == INTAKE_REQUESTS + (busy ? 0 : 1))
		return "more requests came ahead than may wait";
	in->newest = f->request;
	in->entries[in->count++] = (struct intake_entry){
	    .number = f->request };
	return NULL;
}

const char *
intake_take(struct intake *in, const struct frame *f, bool busy, bool *full)
{
	const char *wrong;
	size_t room;

	if (f->type == PROTO_REQUEST_PART && f->length == 0)
		return "a part of a request is empty";
	if (in->partial && f->request != in->newest)
		return "a request began within another";
	if (!in->partial && (wrong = intake_enter(in, f, busy)) != NULL)
		return wrong;
	in->partial = f->type == PROTO_REQUEST_PART;
	/* One that need not wait may be as long as any. */
	room = busy || in->count > 1 ? INTAKE_BYTES : PROTO_BODY_MAX;
	if (f->length > room || buf_used(&in->bytes) > room - f->length)
		return room == PROTO_BODY_MAX ? "a request is too long" :
		    "requests that came ahead are too long";
	*full = buf_put(&in->bytes, f->payload, f->length) == -1;
	in->entries[in->count - 1].length += f->length;
	return NULL;
}

const struct intake_entry *
intake_next(const struct intake *in)
{
	return in->count > (in->partial ? 1 : 0) ? &in->entries[0] : NULL;
}

void
intake_done(struct intake *in)
{
	buf_consume(&in->bytes, in->entries[0].length);
	in->count--;
	memmove(in->entries, in->entries + 1,
	    in->count * sizeof in->entries[0]);
	/* A long one is rare, and its memory is not for the next. */
	if (in->count == 0)
		buf_free(&in->bytes);
}

bool
intake_cancel(struct intake *in, uint32_t number)
{
	for (size_t i = 0; i < in->count - (in->partial ? 1 : 0); i++) {
		if (in->entries[i].number == number) {
			in->entries[i].cancelled = true;
			return true;
		}
	}
	return false;
}
