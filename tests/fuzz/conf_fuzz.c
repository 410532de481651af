/*
 * common/conf and daemon/settings: a file aisd.conf.  One that is refused has
 * a message; one that is accepted and printed is accepted again, and says the
 * same.
 * SPDX-License-Identifier: ISC
 */
#include <config.h>

#include <stdlib.h>
#include <string.h>

#include "daemon/conf/settings.h"

#include "tests/fuzz/fuzz.h"

const size_t fuzz_mutations = 3000;

static char *
print(const struct settings *s)
{
	struct writing w;

	settings_print(fuzz_write(&w), s);
	return fuzz_written(&w);
}

static void
check(const struct settings *s)
{
	char *text = print(s), *second, changes[SETTINGS_CHANGES_MAX];
	struct settings *again;
	struct settings_hope hope;

	again = settings_load(fuzz_file(text, strlen(text)), &hope);
	must(again != NULL);
	second = print(again);
	must(strcmp(text, second) == 0);
	must(*settings_changes(s, again, 0, changes, sizeof changes) == '\0');
	settings_free(again);
	again = settings_reload(fuzz_file(text, strlen(text)), s, &hope);
	must(again != NULL);
	settings_free(again);
	free(text);
	free(second);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct settings *s;
	struct settings_hope hope;

	if (!fuzz_is_tame(data, size))
		return 0;
	fuzz_listen(NULL);
	s = settings_load(fuzz_file(data, size), &hope);
	must(s != NULL || fuzz_messages > 0);
	if (s != NULL)
		check(s);
	settings_free(s);
	return 0;
}
