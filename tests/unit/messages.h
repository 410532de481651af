/*
 * messages.h - what the modules under test have said, to be looked at.
 *
 * messages_begin() catches all events; each adds its text, and a newline, to
 * "messages".  messages_end() lets them go to standard error again.
 * SPDX-License-Identifier: ISC
 */
#ifndef AIS_MESSAGES_H
#define AIS_MESSAGES_H

#include "tests/unit/unit.h"

#include "common/base/log.h"

static char messages[65536];

static int
messages_take(void *context, const struct log_event *e)
{
	size_t used = strlen(messages);

	(void)context;
	(void)snprintf(messages + used, sizeof messages - used, "%s\n",
	    e->text);
	return 0;
}

static struct log_sink messages_sink = {
	.name = "messages", .take = messages_take
};

static inline void
messages_begin(void)
{
	log_set_sinks(NULL);
	messages[0] = '\0';
	log_set_sinks(&messages_sink);
}

static inline void
messages_end(void)
{
	log_set_sinks(NULL);
}

/* A set-up and a tear-down for cmocka: messages, in a private directory. */
static char messages_directory[UNIT_PATH_MAX];

static inline int
messages_enter(void **state)
{
	(void)state;
	unit_enter(messages_directory);
	messages_begin();
	return 0;
}

static inline int
messages_leave(void **state)
{
	(void)state;
	messages_end();
	unit_leave(messages_directory);
	return 0;
}

/* Was one said that begins with "place" and has "text"?  Then forget all. */
static inline void
messages_expect(const char *place, const char *text)
{
	const char *line = messages, *end, *found;

	for (; (end = strchr(line, '\n')) != NULL; line = end + 1) {
		if (strncmp(line, place, strlen(place)) != 0)
			continue;
		found = strstr(line, text);
		if (found != NULL && found < end) {
			messages[0] = '\0';
			return;
		}
	}
	fail_msg("no \"%s...%s\" in: %s", place, text, messages);
}

/* Nothing was said. */
static inline void
messages_expect_none(void)
{
	assert_string_equal(messages, "");
}

#endif
