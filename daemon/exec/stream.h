/*
 * stream.h - the streams of a command: a pipe on one side, frames and their
 * credit on the other.
 * SPDX-License-Identifier: ISC
 */
#ifndef AIS_STREAM_H
#define AIS_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/buf.h"
#include "common/wire/credit.h"
#include "common/wire/proto.h"

/* The window of standard input, the first credit included: what may be under
 * way to a command that does not read.  A long path makes it grow up to the
 * second, as long as the command reads as fast as bytes come. */
#define STREAM_INPUT_WINDOW	(1024 * 1024)
#define STREAM_INPUT_MOST	(16 * STREAM_INPUT_WINDOW)

/* Standard output or standard error. */
struct output {
	enum proto_type type;	/* Of its frames. */
	int *fd;		/* The pipe, in the child. */
	struct credit credit;	/* What the peer still takes. */
	uint64_t bytes;		/* What it was sent. */
	int64_t left;		/* After the end: still to come; else -1. */
	int error;		/* errno of what has broken it; or 0. */
	size_t slot;		/* In the poll set of this step. */
};

/* Standard input. */
struct input {
	int *fd;
	struct buf queue;	/* Between the peer and the pipe. */
	struct window window;	/* What the peer may still send. */
	uint64_t bytes;		/* Taken by the command. */
	bool ended;		/* The peer will send no more. */
	int error;		/* As of the output. */
	size_t slot;
};

/* Begin with an open pipe and the credit that the peer has given. */
void output_begin(struct output *o, enum proto_type type, int *fd,
    uint32_t credit);

/* How many bytes, up to "max", may be read for the peer now. */
size_t output_room(const struct output *o, size_t max);

/*
 * Read once, at most "room" bytes, into a frame at the end of "out"; or, with
 * "out" NULL, to nowhere.  Returns how many; 0 if there were none, and the
 * pipe is closed if there will be none; -1 if memory is out.
 */
int output_read(struct output *o, struct buf *out, uint32_t request,
    size_t room);

/* How many bytes are in the pipe, to be read; 0 if it is closed. */
int output_pending(struct output *o);

/* What is in the pipe now is the last of it; what is written later, by a
 * process that the command has left behind, is not waited for. */
void output_finish(struct output *o);

/* Has everything been read? */
bool output_is_done(const struct output *o);

/*
 * Which of a command's two outputs had bytes first?  poll(2) cannot tell, and a
 * client that joins them wants them as they were written; epoll(7) keeps what
 * has become ready in order.  outputs_open() makes the one for "epoll", or -1:
 * then it is always the first one.  The pipes are watched before the command
 * begins, which may have written to both before we run again.
 */
int outputs_open(void);
void outputs_watch(int epoll, int out, int err);

/* Which is to be read first, 0 or 1?  Asked before reading. */
size_t outputs_first(int epoll);

/* Begin, with no input offered.  input_init() comes once, before all. */
void input_init(struct input *in);
void input_begin(struct input *in, int *fd);

/* The peer has offered input, and has the first credit: what comes is kept for
 * the command, or dropped if the command has no pipe for it. */
void input_offer(struct input *in);

/* The command has started.  The credit that its peer is granted now. */
uint32_t input_start(struct input *in);

/* Bytes from the peer.  NULL, or what the peer did wrong, as a constant. */
const char *input_take(struct input *in, const uint8_t *bytes, size_t n);

/* The peer has no more. */
void input_end(struct input *in);

/* Hand on to the command what there is, and close the pipe when it is all. */
void input_write(struct input *in);

/* Grant the peer again what the command has taken, as window_renew(). */
int input_renew(struct input *in, int fd, struct buf *out, uint32_t request);

/* Forget what the command will not read any more; input_drop() leaves the pipe
 * alone.  A queue that has grown gives its memory back. */
void input_finish(struct input *in);
void input_drop(struct input *in);

#endif
