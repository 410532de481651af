/*
 * journal.c - the journal of systemd as a sink of the log.
 *
 * SPDX-License-Identifier: ISC
 */
#include <config.h>

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
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

/* The value after a name: in the line, or with its length, 64 bits and little
 * endian, where a newline in it would end that. */
static void
put_value(FILE *out, const void *value, size_t n)
{
	if (n > 0 && memchr(value, '\n', n) != NULL) {
		(void)fputc('\n', out);
		for (int shift = 0; shift < 64; shift += 8)
			(void)fputc((uint8_t)((uint64_t)n >> shift), out);
	} else
		(void)fputc('=', out);
	(void)fwrite(value, 1, n, out);
	(void)fputc('\n', out);
}

/* A field of the event.  The name is ours, so its letters are known. */
static void
put_field(FILE *out, const struct log_field *f)
{
	(void)fputs("AIS_", out);
	for (const char *c = f->name; *c != '\0'; c++)
		(void)fputc(*c >= 'a' && *c <= 'z' ? *c - 'a' + 'A' : *c, out);
	put_value(out, f->value, f->length);
}

/* A record that the caller frees, or NULL with errno set. */
static char *
journal_format(const struct datagram_sink *j, const struct log_event *e,
    size_t *size)
{
	char text[LOG_TEXT_MAX], *record = NULL;
	FILE *out = open_memstream(&record, size);
	bool failed;

	if (out == NULL)
		return NULL;
	(void)fprintf(out, "MESSAGE=%s\nPRIORITY=%d\nSYSLOG_IDENTIFIER=%s\n"
	    "AIS_EVENT=%s\n", text_printable(text, sizeof text, e->text,
	    strlen(e->text)), (int)e->level, j->ident, e->name);
	if (e->message_id != NULL)
		(void)fprintf(out, "MESSAGE_ID=%s\n", e->message_id);
	for (size_t i = 0; i < e->count; i++)
		put_field(out, &e->fields[i]);
	failed = ferror(out) != 0;
	if (fclose(out) == 0 && !failed)
		return record;
	free(record);
	errno = ENOMEM;
	return NULL;
}

/* A file in memory with the record, sealed as the journal demands; or -1 with
 * errno set. */
static int
sealed_file(const char *record, size_t size)
{
	int fd = memfd_create("journal-record", MFD_CLOEXEC |
	    MFD_ALLOW_SEALING);
	ssize_t n;

	if (fd == -1)
		return -1;
	n = write(fd, record, size);
	if (n != -1 && (size_t)n != size)
		errno = ENOSPC;
	if (n == -1 || (size_t)n != size || fcntl(fd, F_ADD_SEALS,
	    F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) == -1)
		fd_close(&fd);
	return fd;
}

/* The record in a file, whose descriptor is all that is sent. */
static int
send_file(struct datagram_sink *j, const char *record, size_t size)
{
	union {
		struct cmsghdr head;
		char room[CMSG_SPACE(sizeof(int))];
	} control = { .room = "" };
	struct msghdr m = { .msg_control = &control,
	    .msg_controllen = sizeof control };
	int fd = sealed_file(record, size), result;

	if (fd == -1)
		return -1;
	control.head.cmsg_level = SOL_SOCKET;
	control.head.cmsg_type = SCM_RIGHTS;
	control.head.cmsg_len = CMSG_LEN(sizeof fd);
	memcpy(CMSG_DATA(&control.head), &fd, sizeof fd);
	result = datagram_sink_send(j, &m);
	fd_close(&fd);
	return result;
}

static int
journal_take(void *context, const struct log_event *e)
{
	struct datagram_sink *j = context;
	struct iovec whole;
	struct msghdr m = { .msg_iov = &whole, .msg_iovlen = 1 };
	char *record = journal_format(j, e, &whole.iov_len);
	int result;

	if (record == NULL)
		return -1;
	whole.iov_base = record;
	result = datagram_sink_send(j, &m);
	if (result == -1 && (errno == EMSGSIZE || errno == ENOBUFS))
		result = send_file(j, record, whole.iov_len);
	free(record);
	return result;
}

struct log_sink *
journal_open(const char *path, const char *ident)
{
	static struct datagram_sink j;

	return datagram_sink_open(&j, "the journal", journal_take, path, ident);
}
