/*
 * proto.h - what both sides agree on: frame types, codes, names, limits.
 *
 * SPDX-License-Identifier: ISC
 *
 * This file is the protocol ais/1 in C.  ais-protocol(7) is the same in
 * English; a change here is a change there.
 */
#ifndef AIS_PROTO_H
#define AIS_PROTO_H

/* What aisd says in FEATURES: CANCEL and CLOSE. */
#define PROTO_FEATURES		"cancel close"

/* The ALPN protocol name, RFC 7301.  A new major version gets a new name. */
#define PROTO_ALPN		"ais/1"

/* The default TCP port of aisd, as a number and as text. */
#define PROTO_PORT		4773
#define PROTO_PORT_TEXT		"4773"

/*
 * A frame is a header and a payload.  The header: type (1 byte), request
 * (4 bytes, big endian; 0 is the session itself), payload length (4 bytes,
 * big endian).  A whole frame fits four TLS records exactly, because a frame
 * that spills a few bytes into one more record costs half again as much.
 */
#define PROTO_HEADER		9
#define PROTO_FRAME_MAX		65536
#define PROTO_PAYLOAD_MAX	(PROTO_FRAME_MAX - PROTO_HEADER)

/* The body of one request, all its frames together. */
#define PROTO_BODY_MAX		(1024 * 1024)
/* Items in one request's body: words, environment and options together. */
#define PROTO_ITEMS_MAX		65536
/* Variables among them: each is looked up in the rules. */
#define PROTO_ENV_MAX		1024
/* One word or environment string; Linux refuses longer ones (MAX_ARG_STRLEN,
 * execve(2)), which counts the terminating NUL. */
#define PROTO_WORD_MAX		(128 * 1024 - 1)
/* A path, as PATH_MAX counts it, without the NUL. */
#define PROTO_PATH_MAX		4095
/* Human-readable text in REFUSED and GOODBYE. */
#define PROTO_TEXT_MAX		1024
/* A signal's name, without "SIG": "TERM", "RTMIN+30". */
#define PROTO_SIGNAL_MAX	8
/* What a PING carries, and its PONG brings back. */
#define PROTO_PING_MAX		8
/* The credit for standard input that a request has before STARTED comes. */
#define PROTO_STDIN_FIRST	65536
/* The most credit that a receiver may have granted and not yet used up. */
#define PROTO_WINDOW_MAX	(64u * 1024 * 1024)

/* Frame types.  "C" is sent by the client, "S" by the server. */
enum proto_type {
	/* C: a piece of a request's body; more follows. */
	PROTO_REQUEST_PART	= 0x01,
	/* C: the last or only piece; the server answers this one. */
	PROTO_REQUEST		= 0x02,
	/* C: bytes for the command's standard input, within the window. */
	PROTO_STDIN		= 0x03,
	/* C: standard input has ended. */
	PROTO_STDIN_EOF		= 0x04,
	/* C: send a signal to the command; payload: its name, "TERM". */
	PROTO_SIGNAL		= 0x05,
	/* C: end the request with all that it has started: items. */
	PROTO_CANCEL		= 0x06,
	/* C: no more of an output is wanted: stream (1 byte), items. */
	PROTO_CLOSE		= 0x07,

	/* Both: more credit: stream (1 byte), bytes (4 bytes). */
	PROTO_WINDOW		= 0x10,
	/* Both: are you there?  Answered by PONG with the same payload. */
	PROTO_PING		= 0x11,
	PROTO_PONG		= 0x12,
	/* Both: the session is over: code (2 bytes), items. */
	PROTO_GOODBYE		= 0x13,

	/* S: the session begins: items of enum proto_item. */
	PROTO_HELLO		= 0x20,
	/* S: others are served first: how many (4 bytes), and flags (1 byte)
	 * of enum proto_waiting, items. */
	PROTO_WAITING		= 0x21,
	/* S: the command runs: more credit for standard input (4 bytes),
	 * items. */
	PROTO_STARTED		= 0x22,
	/* S: bytes of the command's standard output and error. */
	PROTO_STDOUT		= 0x23,
	PROTO_STDERR		= 0x24,
	/* S: the command has ended: struct frame_exit, items. */
	PROTO_EXIT		= 0x25,
	/* S: the request is not carried out: code (2 bytes), items. */
	PROTO_REFUSED		= 0x26,
	/* S: the answer to a change of directory: the directory. */
	PROTO_DIRECTORY		= 0x27
};

/*
 * An item: kind (1 byte), length (4 bytes), bytes.  A request's body is a row
 * of items, and so is what follows the fixed part of other payloads.  In a
 * request an unknown kind with its top bit set is skipped, and one without is
 * answered by REFUSED, UNSUPPORTED.  Elsewhere all unknown kinds are skipped.
 */
enum proto_item {
	/* In a request, first and exactly once: enum proto_operation. */
	PROTO_ITEM_OPERATION	= 0x01,
	/* A word of argv, in order; the line of SHELL; the path of CHDIR. */
	PROTO_ITEM_WORD		= 0x02,
	/* NAME=VALUE for the command's environment. */
	PROTO_ITEM_ENV		= 0x03,
	/* The directory of this one command. */
	PROTO_ITEM_DIRECTORY	= 0x04,
	/* Empty: standard input follows, with a credit of PROTO_STDIN_FIRST;
	 * without it the command reads none. */
	PROTO_ITEM_STDIN	= 0x05,
	/* Credit for standard output and for standard error (4 bytes each). */
	PROTO_ITEM_WINDOWS	= 0x06,
	/* Carry it out only if the one before it came to this: enum
	 * proto_condition (1 byte). */
	PROTO_ITEM_IF		= 0x07,

	/* In HELLO, and in a request: names of what the sender can do, with a
	 * blank between two.  Unknown ones are ignored. */
	PROTO_ITEM_FEATURES	= 0x80,
	/* In a request, empty: the answer to LIST has the arguments as well. */
	PROTO_ITEM_ARGUMENTS	= 0x81,

	/* In HELLO: the session's name, as in the server's log. */
	PROTO_ITEM_SESSION	= 0xa0,
	/* In HELLO: the server's program and version. */
	PROTO_ITEM_SERVER	= 0xa1,
	/* In HELLO: the common name by which the server knows the client. */
	PROTO_ITEM_PEER		= 0xa2,
	/* In HELLO: of the revocation lists that the client was looked for on
	 * the one that ends first: thisUpdate and nextUpdate, in seconds since
	 * 1970 (8 bytes each), and its issuer.  No item: no list, or none that
	 * ends. */
	PROTO_ITEM_REVOCATIONS	= 0xa3,
	/* In HELLO: how many requests may be sent before the one that is
	 * served has its answer, and how many bytes their bodies may have in
	 * all (4 bytes each).  No item: none. */
	PROTO_ITEM_AHEAD	= 0xa4,

	/* In GOODBYE and REFUSED: a sentence for people. */
	PROTO_ITEM_TEXT		= 0xb0,
	/* In GOODBYE: after how many milliseconds the client may try again
	 * (4 bytes). */
	PROTO_ITEM_RETRY	= 0xb1,
	/* In EXIT: the name of the signal that has ended the command. */
	PROTO_ITEM_SIGNAL	= 0xb2,
	/* In GOODBYE and REFUSED: what to do about it. */
	PROTO_ITEM_HINT		= 0xb3
};

/* What a request asks for. */
enum proto_operation {
	/* Run argv, without a shell. */
	PROTO_RUN		= 1,
	/* Give one line to a shell. */
	PROTO_SHELL		= 2,
	/* Change the session's directory; no word: back to the home. */
	PROTO_CHDIR		= 3,
	/* Which commands may I run?  Answered like a command, whose output is
	 * a line for each: its name, a tab, and its summary. */
	PROTO_LIST		= 4,
	/* May I run this argv?  Answered like a command that ends with 0 or 1
	 * and says why; without a word it names the rule that applies. */
	PROTO_CAN		= 5,
	/* Run one line as ssh(1) would have it: SHELL where a rule grants
	 * one, else RUN with the words that the line splits into.  Without
	 * one, run the shell itself, which reads commands from its standard
	 * input.  Variables that the rule does not let through are left
	 * out. */
	PROTO_LINE		= 6,
	/* Run what the rule names for this subsystem of ssh(1): "sftp". */
	PROTO_SUBSYSTEM		= 7
};

/* What the request before must have come to; each includes those above it. */
enum proto_condition {
	/* Nothing in particular. */
	PROTO_IF_ANY		= 0,
	/* It was carried out, and ended by itself. */
	PROTO_IF_ENDED		= 1,
	/* And with the exit status 0. */
	PROTO_IF_SUCCEEDED	= 2
};

/* The flags of WAITING.  Further ones are ignored. */
enum proto_waiting {
	/* The session that is served now is of the client's own certificate. */
	PROTO_WAITING_OWN	= 1
};

/* Streams, as WINDOW names them. */
enum proto_stream {
	PROTO_STREAM_STDIN	= 0,
	PROTO_STREAM_STDOUT	= 1,
	PROTO_STREAM_STDERR	= 2
};

/* Why a request is refused, a command is cut off, or a session is over. */
enum proto_code {
	PROTO_CODE_NONE		= 0,
	/* The other side broke the protocol. */
	PROTO_CODE_PROTOCOL	= 1,
	/* No rule allows it. */
	PROTO_CODE_DENIED	= 2,
	/* There is no such command. */
	PROTO_CODE_UNKNOWN	= 3,
	/* It exists and may not, or cannot, be executed. */
	PROTO_CODE_NOT_EXECUTABLE = 4,
	/* The directory cannot be entered. */
	PROTO_CODE_DIRECTORY	= 5,
	/* The server lacks what it needs to start it: processes, memory. */
	PROTO_CODE_RESOURCES	= 6,
	/* The command cannot be put on record. */
	PROTO_CODE_AUDIT	= 7,
	/* Too many others wait. */
	PROTO_CODE_BUSY		= 8,
	/* A time limit has passed. */
	PROTO_CODE_TIMEOUT	= 9,
	/* The limit of output has been reached. */
	PROTO_CODE_OUTPUT	= 10,
	/* The server stops. */
	PROTO_CODE_STOPPING	= 11,
	/* The request has a value that no server can use. */
	PROTO_CODE_INVALID	= 12,
	/* Others wait, and it was this session's turn for long enough. */
	PROTO_CODE_TURN		= 13,
	/* The server does not know such a request, or an item of it. */
	PROTO_CODE_UNSUPPORTED	= 14,
	/* The client has cancelled it. */
	PROTO_CODE_CANCELLED	= 15,
	/* The request before did not come to what this one asks for. */
	PROTO_CODE_SKIPPED	= 16
};

/* How a command ended, in EXIT. */
enum proto_end {
	PROTO_END_EXIT		= 0,
	PROTO_END_SIGNAL	= 1
};

/* The fixed part of EXIT: end (1), reason (2), status (4; 0 after a signal),
 * then four times 8 bytes: duration, processor time, bytes of output, bytes of
 * error; and the processes that are left (4). */
#define PROTO_EXIT_SIZE		43

#endif
