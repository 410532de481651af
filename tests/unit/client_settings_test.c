/* Unit tests of client/core/settings.
 * SPDX-License-Identifier: ISC */
#include <config.h>

#include <sys/stat.h>

#include "tests/unit/unit.h"

#include "common/base/failure.h"
#include "common/base/log.h"

#include "client/core/memory.h"
#include "client/core/settings.h"

static char directory[UNIT_PATH_MAX];

/* A home of our own, and what would be said of it. */
static int
enter(void **state)
{
	(void)state;
	unit_enter(directory);
	assert_int_equal(setenv("HOME", directory, 1), 0);
	assert_int_equal(unsetenv("XDG_CONFIG_HOME"), 0);
	return 0;
}

static int
leave(void **state)
{
	(void)state;
	unit_leave(directory);
	return 0;
}

/* The path of a file of the private directory. */
static const char *
in_home(const char *name)
{
	static char path[UNIT_PATH_MAX + 64];

	(void)snprintf(path, sizeof path, "%s/%s", directory, name);
	return path;
}

static void
without_files(void **state)
{
	struct settings s;

	(void)state;
	assert_int_equal(settings_load(&s, NULL, "host", SETTINGS_WAIT), 0);
	assert_int_equal(s.port, 4773);
	assert_int_equal(s.connect_timeout, 10000);
	assert_int_equal(s.timeout, 0);
	assert_false(s.allow_tls12 || s.quiet || s.verbose || s.no_stdin);
	assert_null(s.authority);
	assert_null(s.environment);
	assert_string_equal(s.host, "host");
	settings_free(&s);
	settings_free(&s);
}

static void
sections(void **state)
{
	struct settings s;

	(void)state;
	unit_write("f", "port = 1; directory = \"/top\";\n"
	    "hosts = (\n"
	    "{ match = \"a*\"; port = 2; },\n"
	    "{ match = [ \"x\", \"*b\" ]; port = 3; timeout = \"1 min\"; },\n"
	    "{ match = \"*\"; directory = \"/any\"; }\n"
	    ");\n");
	assert_int_equal(settings_load(&s, "f", "ab", SETTINGS_WAIT), 0);
	assert_int_equal(s.port, 2);
	assert_int_equal(s.timeout, 60000);
	assert_string_equal(s.directory, "/any");
	settings_free(&s);
	assert_int_equal(settings_load(&s, "f", "b", SETTINGS_WAIT), 0);
	assert_int_equal(s.port, 3);
	settings_free(&s);
	/* Without a host, no section counts. */
	assert_int_equal(settings_load(&s, "f", NULL, SETTINGS_WAIT), 0);
	assert_int_equal(s.port, 1);
	assert_string_equal(s.directory, "/top");
	assert_null(s.host);
	settings_free(&s);
}

static void
users_file(void **state)
{
	struct settings s;

	(void)state;
	assert_int_equal(mkdir("ais", 0700), 0);
	unit_write("ais/aisc.conf", "port = 7;");
	/* A relative directory is invalid, and so ignored. */
	assert_int_equal(setenv("XDG_CONFIG_HOME", ".", 1), 0);
	assert_int_equal(settings_load(&s, NULL, NULL, SETTINGS_WAIT), 0);
	assert_int_equal(s.port, 4773);
	settings_free(&s);
	assert_int_equal(setenv("XDG_CONFIG_HOME", directory, 1), 0);
	assert_int_equal(settings_load(&s, NULL, NULL, SETTINGS_WAIT), 0);
	assert_int_equal(s.port, 7);
	settings_free(&s);
	assert_int_equal(unsetenv("HOME"), 0);
	assert_int_equal(unsetenv("XDG_CONFIG_HOME"), 0);
	assert_int_equal(settings_load(&s, NULL, NULL, SETTINGS_WAIT), 0);
	settings_free(&s);
}

static void
paths(void **state)
{
	struct settings s;

	(void)state;
	unit_write("f", "authority = \"/ca\"; certificate = \"~/cert\"; "
	    "key = \"key\";");
	assert_int_equal(settings_load(&s, in_home("f"), "h",
	    SETTINGS_WAIT), 0);
	assert_string_equal(s.authority, "/ca");
	assert_string_equal(s.certificate, in_home("cert"));
	assert_string_equal(s.key, in_home("key"));
	settings_free(&s);
	assert_int_equal(settings_load(&s, "f", "h", SETTINGS_WAIT), 0);
	assert_string_equal(s.key, "key");
	settings_free(&s);
}

static void
bad_files(void **state)
{
	static const char *const bad[] = {
		"port = 0;", "port = \"1\";", "nonsense = 1;", "port",
		"hosts = 1;", "hosts = ( \"x\" );", "hosts = ( { } );",
		"hosts = ( { match = 1; } );",
		"hosts = ( { match = \"z\"; hosts = ( ); } );",
		"hosts = ( { match = \"z\"; nonsense = 1; } );",
		"environment = [ \"=x\" ];", "timeout = -1;",
		"allow_tls12 = 1;"
	};
	struct settings s;

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		unit_write("f", bad[i]);
		assert_int_equal(settings_load(&s, "f", "h",
		    SETTINGS_WAIT), -1);
		settings_free(&s);
	}
	assert_int_equal(settings_load(&s, "not-there", "h",
	    SETTINGS_WAIT), -1);
	settings_free(&s);
}

static void
environment(void **state)
{
	struct settings s = { .port = 1 };

	(void)state;
	assert_int_equal(settings_add_environment(&s, "A"), -1);
	assert_int_equal(settings_add_environment(&s, "=A"), -1);
	assert_int_equal(settings_add_environment(&s, ""), -1);
	assert_null(s.environment);
	assert_int_equal(settings_add_environment(&s, "A=1"), 0);
	assert_int_equal(settings_add_environment(&s, "AB=2"), 0);
	assert_int_equal(settings_add_environment(&s, "A=3=4"), 0);
	assert_string_equal(s.environment[0], "A=3=4");
	assert_string_equal(s.environment[1], "AB=2");
	assert_null(s.environment[2]);
	settings_free(&s);
}

static void
check(void **state)
{
	struct settings s = { .port = 1 };
	struct failure why;

	(void)state;
	unit_write("key", "");
	assert_int_equal(settings_check(&s, &why), -1);
	assert_non_null(strstr(why.hint, "--ca"));
	memory_set(&s.authority, "ca");
	assert_int_equal(settings_check(&s, &why), -1);
	assert_non_null(strstr(why.hint, "--cert"));
	memory_set(&s.certificate, "cert");
	assert_int_equal(settings_check(&s, &why), -1);
	assert_non_null(strstr(why.hint, "--key"));
	memory_set(&s.key, "key");
	for (int bit = 0; bit < 9; bit++) {
		/* Group and others may execute it, for what that is worth. */
		int wanted = bit < 6 && bit % 3 != 0 ? -1 : 0;

		assert_int_equal(chmod("key", (mode_t)(0400 | 1 << bit)), 0);
		assert_int_equal(settings_check(&s, &why), wanted);
	}
	/* A file that is not there is reported by who reads it. */
	assert_int_equal(unlink("key"), 0);
	assert_int_equal(settings_check(&s, &why), 0);
	settings_free(&s);
}

static void
printing(void **state)
{
	struct settings s, again;
	FILE *f = NULL;

	(void)state;
	unit_write("f", "port = 99; timeout = \"1500 ms\"; key = \"/a\\\"b\";"
	    "environment = [ \"A=1\" ]; allow_tls12 = true;");
	assert_int_equal(settings_load(&s, "f", "h", SETTINGS_WAIT), 0);
	assert_non_null(f = fopen("g", "w"));
	settings_print(&s, f);
	assert_int_equal(fclose(f), 0);
	/* What is printed is a file that says the same. */
	assert_int_equal(settings_load(&again, "g", "h", SETTINGS_WAIT), 0);
	assert_int_equal(again.port, 99);
	assert_int_equal(again.timeout, 1500);
	assert_string_equal(again.key, "/a\"b");
	assert_string_equal(again.environment[0], "A=1");
	assert_true(again.allow_tls12);
	settings_free(&s);
	settings_free(&again);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(without_files, enter, leave),
		cmocka_unit_test_setup_teardown(sections, enter, leave),
		cmocka_unit_test_setup_teardown(users_file, enter, leave),
		cmocka_unit_test_setup_teardown(paths, enter, leave),
		cmocka_unit_test_setup_teardown(bad_files, enter, leave),
		cmocka_unit_test_setup_teardown(environment, enter, leave),
		cmocka_unit_test_setup_teardown(check, enter, leave),
		cmocka_unit_test_setup_teardown(printing, enter, leave)
	};

	return cmocka_run_group_tests_name("client_settings", tests, NULL,
	    NULL);
}
