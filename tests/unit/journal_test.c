/*
 * Tests of daemon/record/journal.  What it sends is taken apart by the
 * description of the protocol; tests/systemd asks a real journal.
 * SPDX-License-Identifier: ISC
 */
#include <config.h>

#include <fcntl.h>
#include <sys/mman.h>

#include "tests/unit/memory.h"
#include "tests/unit/socket.h"
#include "tests/unit/unit.h"

#include "common/base/log.h"
#include "daemon/record/journal.h"

static char folder[UNIT_PATH_MAX];
static int reader = -1;
static struct log_sink *sink;

/* The next field of a record; returns what follows. */
static const char *
next_field(const char *p, const char *end, char *name, const char **value,
    size_t *length)
{
	const char *stop = memchr(p, '\n', (size_t)(end - p));
	const char *equals;

	assert_non_null(stop);
	equals = memchr(p, '=', (size_t)(stop - p));
	if (equals != NULL) {
		*value = equals + 1;
		*length = (size_t)(stop - *value);
	} else {
		uint64_t n = 0;

		assert_true(end - stop > 9);
		for (int i = 8; i > 0; i--)
			n = n << 8 | (uint8_t)stop[i];
		*value = stop + 9;
		*length = (size_t)n;
		assert_true(n < (uint64_t)(end - *value));
		equals = stop;
		stop = *value + n;
		assert_int_equal(*stop, '\n');
	}
	(void)snprintf(name, 64, "%.*s", (int)(equals - p), p);
	return stop + 1;
}

/* The field of this name in a record of "n" bytes is the "length" bytes at
 * "wanted", and no other has the name. */
static void
expect_field(const char *record, size_t n, const char *wanted_name,
    const void *wanted, size_t wanted_length)
{
	const char *p = record, *value;
	int found = 0;
	size_t length;
	char name[64];

	while (p < record + n) {
		p = next_field(p, record + n, name, &value, &length);
		if (strcmp(name, wanted_name) != 0)
			continue;
		found++;
		assert_int_equal(length, wanted_length);
		assert_memory_equal(value, wanted, length);
	}
	assert_int_equal(found, 1);
}

static void
expect_text(const char *record, size_t n, const char *name, const char *wanted)
{
	expect_field(record, n, name, wanted, strlen(wanted));
}

static void
record(void **state)
{
	static const struct log_field fields[] = {
		{ "peer", "alice", 5 }, { "argv", "a\nb=c\n", 6 },
		{ "empty", "", 0 }, { "stdin_bytes", "0", 1 },
		{ "zero", "a\0=b", 4 },
	};
	struct log_event e = { .level = LOG_LEVEL_NOTICE,
	    .name = "command-start", .text = "alice\nstarts",
	    .message_id = "c8ca3bb4edb7358fd8396cafaa63de6b",
	    .fields = fields, .count = 5 };
	char got[4096];
	size_t n;

	(void)state;
	assert_string_equal(sink->name, "the journal");
	assert_int_equal(sink->take(sink->context, &e), 0);
	n = (size_t)socket_read(reader, got, sizeof got);
	expect_text(got, n, "MESSAGE", "alice\\nstarts");
	expect_text(got, n, "PRIORITY", "5");
	expect_text(got, n, "SYSLOG_IDENTIFIER", "aisx");
	expect_text(got, n, "MESSAGE_ID", e.message_id);
	expect_text(got, n, "AIS_EVENT", "command-start");
	expect_text(got, n, "AIS_PEER", "alice");
	expect_text(got, n, "AIS_ARGV", "a\nb=c\n");
	expect_text(got, n, "AIS_EMPTY", "");
	expect_text(got, n, "AIS_STDIN_BYTES", "0");
	expect_field(got, n, "AIS_ZERO", "a\0=b", 4);
}

/* What is read is what was sent, with any bytes. */
static void
any_bytes(void **state)
{
	static char got[1 << 18], name[2][8] = { "one", "two" };
	uint8_t values[2][40];
	struct log_field fields[2];
	struct log_event e = { .level = LOG_LEVEL_INFO, .name = "event",
	    .text = "text", .fields = fields, .count = 2 };
	uint64_t seed = 17;

	(void)state;
	for (int i = 0; i < 3000; i++) {
		size_t n;

		for (int k = 0; k < 2; k++) {
			size_t length = unit_below(&seed, sizeof values[k]);

			unit_fill(&seed, values[k], length);
			if (length > 0 && unit_below(&seed, 2) == 0)
				values[k][unit_below(&seed, length)] = '\n';
			fields[k] = (struct log_field){ name[k], values[k],
			    length };
		}
		assert_int_equal(sink->take(sink->context, &e), 0);
		n = (size_t)socket_read(reader, got, sizeof got);
		expect_field(got, n, "AIS_ONE", values[0], fields[0].length);
		expect_field(got, n, "AIS_TWO", values[1], fields[1].length);
	}
}

/* The descriptor that came with the next message. */
static int
receive_file(void)
{
	char room[CMSG_SPACE(sizeof(int))], byte;
	struct iovec part = { &byte, 1 };
	struct msghdr m = { .msg_iov = &part, .msg_iovlen = 1,
	    .msg_control = room, .msg_controllen = sizeof room };
	struct cmsghdr *head;
	int fd = -1;

	assert_int_equal(recvmsg(reader, &m, MSG_CMSG_CLOEXEC), 0);
	head = CMSG_FIRSTHDR(&m);
	if (head != NULL && head->cmsg_type == SCM_RIGHTS)
		memcpy(&fd, CMSG_DATA(head), sizeof fd);
	assert_int_not_equal(fd, -1);
	return fd;
}

/* What has no room in a datagram is in a file that cannot be changed. */
static void
long_record(void **state)
{
	size_t length = 1 << 20;
	char *value = malloc(length), *got;
	const struct log_field field = { "argv", value, length };
	struct log_event e = { .level = LOG_LEVEL_INFO, .name = "event",
	    .text = "text", .fields = &field, .count = 1 };
	uint64_t seed = 18;
	struct stat st;
	int fd;

	(void)state;
	assert_non_null(value);
	unit_fill(&seed, value, length);
	assert_int_equal(sink->take(sink->context, &e), 0);
	fd = receive_file();
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(fcntl(fd, F_GET_SEALS), F_SEAL_SEAL | F_SEAL_SHRINK |
	    F_SEAL_GROW | F_SEAL_WRITE);
	got = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	assert_ptr_not_equal(got, MAP_FAILED);
	expect_field(got, (size_t)st.st_size, "AIS_ARGV", value, length);
	expect_text(got, (size_t)st.st_size, "MESSAGE", "text");
	assert_int_equal(munmap(got, (size_t)st.st_size), 0);
	assert_int_equal(close(fd), 0);
	free(value);
}

static void
gone(void **state)
{
	struct log_event e = { .level = LOG_LEVEL_INFO, .name = "event",
	    .text = "text" };

	(void)state;
	assert_int_equal(close(reader), 0);
	assert_int_equal(sink->take(sink->context, &e), -1);
	assert_int_equal(errno, ECONNREFUSED);
	reader = socket_bind("journal", SOCK_DGRAM);
	assert_int_equal(sink->take(sink->context, &e), 0);
}

static void
out_of_memory(void **state)
{
	struct log_event e = { .level = LOG_LEVEL_INFO, .name = "event",
	    .text = "text" };

	(void)state;
	memory_fail_at(0);
	assert_int_equal(sink->take(sink->context, &e), -1);
	assert_true(memory_has_failed());
}

static int
enter(void **state)
{
	(void)state;
	unit_enter(folder);
	reader = socket_bind("journal", SOCK_DGRAM);
	sink = journal_open("journal", "aisx");
	return 0;
}

static int
leave(void **state)
{
	(void)state;
	(void)close(reader);
	unit_leave(folder);
	return 0;
}

int
main(void)
{
#define TEST(name)	cmocka_unit_test_setup_teardown(name, enter, leave)
	const struct CMUnitTest tests[] = {
		TEST(record), TEST(any_bytes), TEST(long_record), TEST(gone),
		TEST(out_of_memory),
	};

	return cmocka_run_group_tests_name("journal", tests, NULL, NULL);
}
