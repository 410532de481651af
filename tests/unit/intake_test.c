/* Unit tests of daemon/front/intake.
 * SPDX-License-Identifier: ISC */
#include <config.h>

#include "tests/unit/unit.h"

#include "common/wire/frame.h"
#include "common/wire/proto.h"
#include "daemon/front/intake.h"

static uint8_t bytes[PROTO_PAYLOAD_MAX];

/* A frame with "n" bytes of which the first says whose they are. */
static const char *
take(struct intake *in, bool whole, uint32_t number, size_t n, bool busy)
{
	struct frame f = { .type = whole ? PROTO_REQUEST :
	    PROTO_REQUEST_PART, .request = number, .payload = bytes,
	    .length = (uint32_t)n };
	const char *wrong;
	bool full = false;

	bytes[0] = (uint8_t)number;
	wrong = intake_take(in, &f, busy, &full);
	assert_false(full);
	return wrong;
}

/* The same, as a list that is searched. */
struct model {
	struct { uint32_t number; size_t n; bool whole, cancelled; } rows[64];
	size_t count;
	uint32_t newest;
	bool busy;
};

static size_t
sum(const struct model *m)
{
	size_t n = 0;

	for (size_t i = 0; i < m->count; i++)
		n += m->rows[i].n;
	return n;
}

/* May this frame come? */
static bool
may(const struct model *m, bool whole, uint32_t number, size_t n)
{
	bool more = m->count > 0 && !m->rows[m->count - 1].whole;
	size_t count = m->count + (more ? 0 : 1), ahead = count +
	    (m->busy ? 1 : 0) - 1;

	if ((!whole && n == 0) || (more ? number != m->newest :
	    number <= m->newest))
		return false;
	return ahead <= INTAKE_REQUESTS && sum(m) + n <= (ahead == 0 ?
	    (size_t)PROTO_BODY_MAX : INTAKE_BYTES);
}

static void
like_a_model(void **state)
{
	uint64_t seed = 1;
	size_t refused = 0, begun = 0;

	(void)state;
	for (int round = 0; round < 300; round++) {
		struct model m = { .count = 0 };
		struct intake in;

		intake_init(&in);
		for (int i = 0; i < 200; i++) {
			uint64_t r = unit_random(&seed);
			bool more = m.count > 0 && !m.rows[m.count - 1].whole,
			    whole = (r & 3) != 0;
			uint32_t number = m.newest + (more ? 0 : 1 +
			    (uint32_t)(r >> 4 & 1)) + (r >> 8 & 127 ? 0 : 1);
			size_t n = r >> 16 & 7 ? r >> 20 & 255 :
			    r >> 20 & 0xffff;
			const struct intake_entry *e = intake_next(&in);
			size_t k = 0;

			n = n > sizeof bytes ? sizeof bytes : n;
			assert_int_equal(e != NULL, m.count > 0 &&
			    m.rows[0].whole);
			assert_int_equal(intake_is_empty(&in), m.count == 0);
			if (r >> 40 & 1) {
				m.busy = m.busy ? false : e != NULL;
				if (!m.busy || e == NULL)
					continue;
				assert_int_equal(e->number, m.rows[0].number);
				assert_int_equal(e->length, m.rows[0].n);
				assert_int_equal(e->cancelled,
				    m.rows[0].cancelled);
				if (e->length > 0)
					assert_int_equal(buf_data(&in.bytes)[0],
					    (uint8_t)e->number);
				intake_done(&in);
				memmove(m.rows, m.rows + 1, --m.count *
				    sizeof m.rows[0]);
				begun++;
				continue;
			}
			if ((r >> 41 & 7) == 0) {
				number = m.newest - (uint32_t)(r >> 45 & 3);
				while (k < m.count && (!m.rows[k].whole ||
				    m.rows[k].number != number))
					k++;
				assert_int_equal(intake_cancel(&in, number),
				    k < m.count);
				if (k < m.count)
					m.rows[k].cancelled = true;
				continue;
			}
			if (!may(&m, whole, number, n)) {
				assert_non_null(take(&in, whole, number, n,
				    m.busy));
				refused++;
				break;
			}
			assert_null(take(&in, whole, number, n, m.busy));
			if (!more) {
				memset(&m.rows[m.count], 0, sizeof m.rows[0]);
				m.rows[m.count++].number = number;
			}
			m.rows[m.count - 1].n += n;
			m.rows[m.count - 1].whole = whole;
			m.newest = number;
		}
		intake_free(&in);
	}
	assert_true(refused > 100 && begun > 3000);
}

/* One that need not wait may be as long as any, and no longer. */
static void
longest(void **state)
{
	struct intake in;
	size_t left = PROTO_BODY_MAX;

	(void)state;
	intake_init(&in);
	for (; left > sizeof bytes; left -= sizeof bytes)
		assert_null(take(&in, false, 1, sizeof bytes, false));
	assert_null(take(&in, false, 1, left, false));
	assert_string_equal(take(&in, true, 1, 1, false),
	    "a request is too long");
	intake_free(&in);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(like_a_model),
		cmocka_unit_test(longest),
	};

	return cmocka_run_group_tests_name("intake", tests, NULL, NULL);
}
