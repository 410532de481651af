/* A client in memory, for the fuzz target of the session.
 * SPDX-License-Identifier: ISC */
#include <config.h>

#include <string.h>

#include "common/wire/body.h"
#include "common/wire/frame.h"
#include "common/endpoint/conn.h"

#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/talk.h"

struct talk talk;

void
talk_reset(void)
{
	buf_free(&talk.client);
	buf_free(&talk.server);
	buf_free(&talk.pieces);
	memset(&talk, 0, sizeof talk);
	buf_init(&talk.client, 64 * CONN_QUEUE);
	buf_init(&talk.server, 64 * CONN_QUEUE);
	buf_init(&talk.pieces, PROTO_BODY_MAX);
}

/* --- the client ----------------------------------------------------------- */

/* Its first request of this number; the server serves no second one. */
static struct talk_request *
find(uint32_t number)
{
	for (size_t i = 0; i < talk.count; i++) {
		if (talk.requests[i].number == number)
			return &talk.requests[i];
	}
	return NULL;
}

static void
note_request(const struct frame *f)
{
	struct talk_request *r = &talk.requests[talk.count];
	enum proto_code code;
	struct body body;

	if (buf_put(&talk.pieces, f->payload, f->length) == -1) {
		talk.lost = true;
		return;
	}
	if (f->type == PROTO_REQUEST_PART)
		return;
	must(talk.count < TALK_REQUESTS);
	if (find(f->request) == NULL && body_parse(&body,
	    buf_data(&talk.pieces), buf_used(&talk.pieces), &code) == NULL) {
		r->number = f->request;
		r->credit[0] = body.windows[0];
		r->credit[1] = body.windows[1];
		talk.count++;
		body_free(&body);
	}
	buf_free(&talk.pieces);
}

static void
note_window(const struct frame *f)
{
	struct talk_request *r = find(f->request);
	uint8_t stream;
	uint32_t credit;

	if (r != NULL && frame_get_window(f, &stream, &credit) == 0 &&
	    stream != PROTO_STREAM_STDIN)
		r->credit[stream == PROTO_STREAM_STDERR] += credit;
}

void
talk_client(const void *bytes, size_t n)
{
	struct frame f;

	must(buf_put(&talk.client, bytes, n) == 0);
	while (!talk.lost && frame_peek(&talk.client, &f) == 1) {
		if (f.type == PROTO_REQUEST || f.type == PROTO_REQUEST_PART)
			note_request(&f);
		else if (f.type == PROTO_WINDOW)
			note_window(&f);
		else if (f.type == PROTO_PING)
			talk.pings++;
		frame_consume(&talk.client, &f);
	}
}

/* --- the server ----------------------------------------------------------- */

static void
check_output(const struct frame *f)
{
	struct talk_request *r = find(f->request);
	size_t stream = f->type == PROTO_STDERR;

	must(talk.running != 0 && f->request == talk.running);
	must(f->length > 0 && r != NULL && f->length <= r->credit[stream]);
	r->credit[stream] -= f->length;
	talk.bytes[stream] += f->length;
}

static void
check_exit(const struct frame *f)
{
	struct frame_exit e;

	must(talk.running != 0 && f->request == talk.running);
	must(frame_get_exit(f, &e) == 0);
	must(e.out_bytes == talk.bytes[0] && e.err_bytes == talk.bytes[1]);
	talk.last = talk.running;
	talk.running = 0;
	talk.exits++;
}

static void
check_started(const struct frame *f)
{
	uint32_t credit;

	must(frame_get_u32(f, &credit) == 0 && credit <= PROTO_WINDOW_MAX);
	must(talk.running == 0 && f->request > talk.last);
	must(find(f->request) != NULL);
	talk.running = f->request;
	memset(talk.bytes, 0, sizeof talk.bytes);
	talk.started++;
}

/* REFUSED and DIRECTORY: the whole answer. */
static void
check_answer(const struct frame *f)
{
	must(talk.running == 0 && f->request > talk.last);
	talk.last = f->request;
}

static void
check_window(const struct frame *f)
{
	uint32_t credit;
	uint8_t stream;

	must(talk.running != 0 && f->request == talk.running);
	must(frame_get_window(f, &stream, &credit) == 0);
	must(stream == PROTO_STREAM_STDIN && credit > 0);
}

static void
check_code(const struct frame *f)
{
	struct frame_code said;

	must(frame_get_code(f, &said) == 0);
	must(said.code != PROTO_CODE_NONE && said.text[0] != '\0');
}

/* Frames of the session itself. */
static void
check_session(const struct frame *f)
{
	must(f->request == 0);
	must(talk.greeted == (f->type != PROTO_HELLO));
	talk.greeted = true;
	if (f->type == PROTO_GOODBYE) {
		check_code(f);
		talk.parted = true;
	} else if (f->type == PROTO_PONG)
		must(talk.pings-- > 0 && f->length <= PROTO_PING_MAX);
	else
		must(f->type == PROTO_HELLO || f->type == PROTO_PING);
}

static void
check(const struct frame *f)
{
	must(!talk.parted);
	must(talk.greeted || f->type == PROTO_HELLO);
	switch (f->type) {
	case PROTO_STARTED:
		check_started(f);
		break;
	case PROTO_STDOUT:
	case PROTO_STDERR:
		check_output(f);
		break;
	case PROTO_WINDOW:
		check_window(f);
		break;
	case PROTO_EXIT:
		check_exit(f);
		break;
	case PROTO_REFUSED:
		check_code(f);
		check_answer(f);
		break;
	case PROTO_DIRECTORY:
		must(f->length > 0 && f->length <= PROTO_PATH_MAX);
		check_answer(f);
		break;
	default:
		check_session(f);
		break;
	}
}

void
talk_server(const void *bytes, size_t n)
{
	struct frame f;
	int got;

	must(buf_put(&talk.server, bytes, n) == 0);
	while ((got = frame_peek(&talk.server, &f)) == 1) {
		must(PROTO_HEADER + f.length <= PROTO_FRAME_MAX);
		check(&f);
		frame_consume(&talk.server, &f);
	}
	must(got == 0);
}
