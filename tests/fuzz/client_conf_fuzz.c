/*
 * common/conf and client/settings: a file aisc.conf, with sections for hosts.
 * As conf_fuzz.c.
 * SPDX-License-Identifier: ISC
 */
#include <config.h>

#include <stdlib.h>
#include <string.h>

#include "client/core/settings.h"

#include "tests/fuzz/fuzz.h"

const size_t fuzz_mutations = 2000;

static char *
print(const struct settings *s)
{
	struct writing w;

	settings_print(s, fuzz_write(&w));
	return fuzz_written(&w);
}

static void
check(const struct settings *s)
{
	char *text = print(s), *second;
	struct settings again;

	must(settings_load(&again, fuzz_file(text, strlen(text)), NULL,
	    SETTINGS_WAIT) == 0);
	second = print(&again);
	must(strcmp(text, second) == 0);
	settings_free(&again);
	free(text);
	free(second);
}

static void
load(const uint8_t *data, size_t size, const char *host)
{
	struct settings s;

	fuzz_listen(NULL);
	if (settings_load(&s, fuzz_file(data, size), host, SETTINGS_WAIT) == 0)
		check(&s);
	else
		must(fuzz_messages > 0);
	settings_free(&s);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	must(setenv("HOME", "/home/alice", 1) == 0);
	if (!fuzz_is_tame(data, size))
		return 0;
	load(data, size, NULL);
	load(data, size, "host.example");
	return 0;
}
