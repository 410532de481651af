/*
 * sessions.h - a real session, with TLS and processes, and a client that a test
 * speaks for.
 * SPDX-License-Identifier: ISC
 */
#ifndef AIS_SESSIONS_H
#define AIS_SESSIONS_H

#include "tests/unit/unit.h"

#include "common/base/pollset.h"
#include "common/endpoint/conn.h"
#include "common/tls/tls.h"
#include "common/wire/body.h"
#include "common/wire/frame.h"
#include "daemon/conf/settings.h"
#include "daemon/exec/tree.h"
#include "daemon/front/session.h"

#define COUNT(rows)	(sizeof rows / sizeof rows[0])
/* Credit for more than any test reads. */
#define PLENTY		(1024 * 1024)
/* The rule under which all runs. */
#define EVERYTHING "{ peers = \"*\"; anything = true; shell = true; }"

/* A frame that has come for the client. */
struct got {
	uint8_t type;
	uint32_t request;
	size_t length;
	uint8_t payload[PROTO_TEXT_MAX + 64];
};

#define GOT_MAX		64
#define OUTPUT_MAX	(256 * 1024)

/* Where everything is, and the two sides. */
extern char directory[UNIT_PATH_MAX];
extern struct tls_context *server_context;
extern struct settings *settings;
extern struct tree tree;
extern struct pollset ps;
extern struct session *session;
extern struct conn *client;
extern uint32_t number;		/* Of the newest request. */

/* The log: "EVENT reason=R exit=E" and so on, a line each. */
extern char record[65536];
extern bool record_fails;

/* What has come but output, how much of it, and how much was expected; and the
 * output. */
extern struct got got[GOT_MAX];
extern size_t got_count, got_seen;
extern char output[2][OUTPUT_MAX];
extern size_t output_bytes[2];

/* The fixtures of a group. */
int sessions_enter(void **state);
int sessions_leave(void **state);

/* Load "rules" with the keys "more" as the settings, which are returned. */
const struct settings *configure(const char *rules, const char *more);

/* A session under "rules" and "more", whose HELLO has been read. */
void begin(const char *rules, const char *more);

/* The client goes, if it is still there, and the session is over. */
void end(void);
void close_client(void);

/* One round of both sides, which takes no longer than a few milliseconds; and
 * as many as go into "ms". */
void one_round(void);
void settle(int64_t ms);

/* Reap what has ended. */
void reap(void);

/* Send a frame, or a request with the next number. */
void put(enum proto_type type, uint32_t request, const void *payload, size_t n);
void put_window(uint32_t request, uint8_t stream, uint32_t credit);
void put_body(struct body *b);

/* Ask for a line of the shell, whose output has this credit; or for one word,
 * or with "word" NULL for none. */
void ask_shell(const char *line, bool wants_stdin, uint32_t credit);
void ask_word(enum proto_operation operation, const char *word);

/* The next frame that is no output has this type; REFUSED or GOODBYE with this
 * code, whose text is returned; EXIT; STARTED, whose credit is returned. */
const struct got *expect(enum proto_type type);
const char *expect_code(enum proto_type type, enum proto_code code);
struct frame_exit expect_exit(void);
uint32_t expect_started(void);

/* No frame comes; the session ends; this is on record. */
void expect_nothing(void);
void expect_over(void);
void expect_record(const char *wanted);

/* A command ends with 0, to show that all is still well. */
void expect_served(void);

/* Standard output has come to so many bytes. */
void wait_for_output(size_t n);

#endif
