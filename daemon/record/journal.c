/*
 * journal.c - the journal of systemd as a sink of the log.
 *
 * SPDX-License-Identifier: ISC
 */
#include <config.h>

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/fd.h"
#include "common/base/log.h"
#include "common/base/text.h"
#include "daemon/record/datagram.h"
#include "daemon/record/journal.h"

/* What a field takes beside its name and value: "AIS_", "=" or a newline, the
 * length of the value, and a newline. */
#define FIELD_MORE	(4 + 1 + 8 + 1)
/* The fields that every record has: their names, and all but the text. */
#define FIXED_MAX	1024

/* A record that is put together in memory of its own. */
struct record {
	char *bytes;
	size_t used;
};

static void
put_bytes(struct record *r, const void *bytes, size_t n)
{
	if (n > 0)
		memcpy(r->bytes + r->used, bytes, n);
	r->used += n;
}

/* The value after a name: in the line, or with its length, 64 bits and little
 * endian, where a newline in it would end that. */
static void
put_value(struct record *r, const void *value, size_t n)
{
	uint8_t length[8];

	if (n > 0 && memchr(value, '\n', n) != NULL) {
		for (size_t i = 0; i < sizeof length; i++)
			length[i] = (uint8_t)((uint64_t)n >> 8 * i);
		put_bytes(r, "\n", 1);
		put_bytes(r, length, sizeof length);
	} else
		put_bytes(r, "=", 1);
	put_bytes(r, value, n);
	put_bytes(r, "\n", 1);
}

static void
put_text(struct record *r, const char *name, const char *value)
{
	put_bytes(r, name, strlen(name));
	put_value(r, value, strlen(value));
}

/* A field of the event.  The name is ours, so its letters are known. */
static void
put_field(struct record *r, const struct log_field *f)
{
	put_bytes(r, "AIS_", 4);
	for (const char *c = f->name; *c != '\0'; c++)
		r->bytes[r->used++] = *c >= 'a' && *c <= 'z' ?
		    (char)(*c - 'a' + 'A') : *c;
	put_value(r, f->value, f->length);
}

/* 0 with a record whose bytes the caller frees, or -1 with errno set. */
static int
put_together(struct record *r, const struct datagram_sink *j,
    const struct log_event *e)
{
	char text[LOG_TEXT_MAX], level[16];
	size_t size = FIXED_MAX + LOG_TEXT_MAX;

	for (size_t i = 0; i < e->count; i++)
		size += FIELD_MORE + strlen(e->fields[i].name) +
		    e->fields[i].length;
	r->used = 0;
	if ((r->bytes = malloc(size)) == NULL)
		return -1;
	(void)snprintf(level, sizeof level, "%d", (int)e->level);
	put_text(r, "MESSAGE", text_printable(text, sizeof text,
	    e->text, strlen(e->text)));
	put_text(r, "PRIORITY", level);
	put_text(r, "SYSLOG_IDENTIFIER", j->ident);
	put_text(r, "AIS_EVENT", e->name);
	if (e->message_id != NULL)
		put_text(r, "MESSAGE_ID", e->message_id);
	for (size_t i = 0; i < e->count; i++)
		put_field(r, &e->fields[i]);
	return 0;
}

/* A file in memory with the record, sealed as the journal
 * demands; -1 with errno set. */
static int
sealed_file(const struct record *r)
{
	int fd = memfd_create("journal-record", MFD_CLOEXEC |
	    MFD_ALLOW_SEALING);
	ssize_t n;

	if (fd == -1)
		return -1;
	n = write(fd, r->bytes, r->used);
	if (n != -1 && (size_t)n != r->used)
		errno = ENOSPC;
	if (n == -1 || (size_t)n != r->used || fcntl(fd, F_ADD_SEALS,
	    F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) == -1)
		fd_close(&fd);
	return fd;
}

/* The record in a file, whose descriptor is all that is sent. */
static int
send_file(struct datagram_sink *j, const struct record *r)
{
	union {
		struct cmsghdr head;
		char room[CMSG_SPACE(sizeof(int))];
	} control;
	struct msghdr m = { .msg_control = &control,
	    .msg_controllen = sizeof control };
	int fd = sealed_file(r), result;

	if (fd == -1)
		return -1;
	memset(&control, 0, sizeof control);
	control.head.cmsg_level = SOL_SOCKET;
	control.head.cmsg_type = SCM_RIGHTS;
	control.head.cmsg_len = CMSG_LEN(sizeof fd);
	memcpy(CMSG_DATA(&control.head), &fd, sizeof fd);
	result = datagram_sink_send(j, &m);
	fd_close(&fd);
	return result;
}

static int
take(void *context, const struct log_event *e)
{
	struct datagram_sink *j = context;
	struct record r;
	struct iovec whole;
	struct msghdr m = { .msg_iov = &whole, .msg_iovlen = 1 };
	int result;

	if (put_together(&r, j, e) == -1)
		return -1;
	whole.iov_base = r.bytes;
	whole.iov_len = r.used;
	result = datagram_sink_send(j, &m);
	if (result == -1 && (errno == EMSGSIZE || errno == ENOBUFS))
		result = send_file(j, &r);
	free(r.bytes);
	return result;
}

struct log_sink *
journal_open(const char *path, const char *ident)
{
	static struct datagram_sink j;

	return datagram_sink_open(&j, "the journal", take, path, ident);
}
