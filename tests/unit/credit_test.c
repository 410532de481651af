/*
 * Tests of common/wire/credit: a window over paths of all kinds.
 * SPDX-License-Identifier: ISC
 */
#include <config.h>

#include "tests/unit/unit.h"

#include "common/base/buf.h"
#include "common/wire/credit.h"
#include "common/wire/frame.h"

#define FRAME	((double)PROTO_PAYLOAD_MAX)
#define FIRST	(1024.0 * 1024)
#define MOST	(64 * FIRST)
#define FLIGHT	(2 * 64 * 1024 * 1024 / 65536)

/* A path and what reads at its end: bytes a microsecond, and microseconds. */
struct path {
	double rate, reader, trip;
};

/* What is on its way to the receiver, in order. */
static struct {
	double when[FLIGHT], n[FLIGHT];
	size_t first, count;
} flight;

static void
depart(double when, double n)
{
	size_t at = (flight.first + flight.count) % FLIGHT;

	assert_true(flight.count < FLIGHT);
	flight.when[at] = when;
	flight.n[at] = n;
	flight.count++;
}

/*
 * Send "total" bytes, and return how many a microsecond the reader got in the
 * second half of them.  The sender waits for nothing but credit.
 */
static double
carry(const struct path *p, struct window *w, double total)
{
	double credit = w->left, now = 0, link = 0, read = 0, got = 0, half = 0;
	double since = 0;

	flight.first = flight.count = 0;
	while (got < total) {
		double n = credit < FRAME ? credit : FRAME, when;

		if (n > 0) {
			link = (link > now ? link : now) + n / p->rate;
			depart(link + p->trip / 2, n);
			credit -= n;
			continue;
		}
		when = flight.when[flight.first];
		n = flight.n[flight.first];
		flight.first = (flight.first + 1) % FLIGHT;
		flight.count--;
		read = (read > when ? read : when) + n / p->reader;
		got += n;
		if (half <= 0 && got > total / 2)
			half = read;
		assert_null(window_take(w, (size_t)n));
		window_settle(w, (size_t)n);
		if (w->owed < w->size / 2)
			continue;
		/* As window_renew() does it. */
		if (since > 0)
			credit += window_growth(w, (int64_t)(read - since),
			    (int64_t)p->trip);
		w->size += (uint32_t)credit;
		credit += w->owed;
		w->left += (uint32_t)credit;
		w->owed = 0;
		since = read;
		now = read + p->trip / 2;
	}
	return total / 2 / (read - half);
}

/* It becomes as large as the path and the reader can use, and not larger. */
static void
window_fits_the_path(void **state)
{
	static const double trips[] = { 20, 200, 1000, 10000, 30000, 100000,
	    300000, 1000000 };
	uint64_t seed = 1;

	(void)state;
	for (int i = 0; i < 2000; i++) {
		struct window w = { .left = (uint32_t)FIRST,
		    .size = (uint32_t)FIRST, .most = (uint32_t)MOST };
		struct path p = { .trip = trips[unit_random(&seed) % 8] };
		double slower, holds, got;

		/* 30 kB to 1 GB a second, and half of the readers slower. */
		p.rate = 0.03 * (double)(1 << unit_random(&seed) % 16);
		p.reader = p.rate * (unit_random(&seed) & 1 ? 10 : 0.3);
		slower = p.rate < p.reader ? p.rate : p.reader;
		holds = slower * p.trip;
		got = carry(&p, &w, 100 * MOST);
		if (3 * holds + 4 * FRAME < MOST)
			assert_true(got > 0.95 * slower);
		assert_true(w.size <= FIRST || w.size < 6 * holds + 4 * FRAME);
		assert_true(w.size <= MOST);
	}
}

/* Where the round trip is not known, and at the most, nothing changes. */
static void
window_stays(void **state)
{
	struct window w = { .left = 100, .size = 100, .most = 150 };

	(void)state;
	assert_int_equal(window_growth(&w, 1, 0), 0);
	assert_int_equal(window_growth(&w, 10, 10), 50);
	assert_int_equal(window_growth(&w, 15, 10), 50);
	assert_int_equal(window_growth(&w, 16, 10), 0);
	w.size = 150;
	assert_int_equal(window_growth(&w, 10, 10), 0);
	w = (struct window){ .size = UINT32_MAX / 2 + 1, .most = UINT32_MAX };
	assert_int_equal(window_growth(&w, 10, 10), UINT32_MAX / 2);
}

/* Less than half is not worth a frame; and what does not fit is still owed. */
static void
window_is_renewed(void **state)
{
	struct window w = { .left = 100, .size = 100, .most = 100 };
	struct frame f;
	struct buf b;
	uint8_t stream;
	uint32_t more;

	(void)state;
	buf_init(&b, PROTO_HEADER);
	assert_null(window_take(&w, 60));
	window_settle(&w, 49);
	assert_int_equal(window_renew(&w, -1, &b, 1, PROTO_STREAM_STDIN), 0);
	window_settle(&w, 1);
	assert_int_equal(window_renew(&w, -1, &b, 1, PROTO_STREAM_STDIN), -1);
	assert_int_equal(w.owed, 50);
	assert_int_equal(w.left, 40);
	b.limit = PROTO_FRAME_MAX;
	assert_int_equal(window_renew(&w, -1, &b, 1, PROTO_STREAM_STDIN), 0);
	assert_int_equal(frame_peek(&b, &f), 1);
	assert_int_equal(frame_get_window(&f, &stream, &more), 0);
	assert_int_equal(more, 50);
	assert_int_equal(w.owed, 0);
	assert_int_equal(w.left, 90);
	assert_non_null(window_take(&w, 91));
	buf_free(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(window_fits_the_path),
		cmocka_unit_test(window_stays),
		cmocka_unit_test(window_is_renewed),
	};

	return cmocka_run_group_tests_name("credit", tests, NULL, NULL);
}
