/* Unit tests of daemon/conf/credential.
 * SPDX-License-Identifier: ISC */
#include <config.h>

#include <stdlib.h>
#include <string.h>

#include "unit.h"

#include "daemon/conf/credential.h"

#define VARIABLE	"CREDENTIALS_DIRECTORY"

static void
names(void **state)
{
	static const char *const bad[] = { "", ".", "..", "...", "a/b", "/",
	    "../key", "a:b", "a b", "a\n", "a\x7f", "\xc3\xa9", "a\t" };
	static const char *const good[] = { "a", ".a", "a..", "server.key",
	    "%n", "-", "~", "\"" };
	char longest[CREDENTIAL_NAME_MAX + 2];

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		assert_false(credential_is_valid(bad[i]));
	for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
		assert_true(credential_is_valid(good[i]));
	memset(longest, 'x', sizeof longest);
	longest[CREDENTIAL_NAME_MAX + 1] = '\0';
	assert_false(credential_is_valid(longest));
	longest[CREDENTIAL_NAME_MAX] = '\0';
	assert_true(credential_is_valid(longest));
	assert_string_equal(credential_name("credential:k"), "k");
	assert_string_equal(credential_name("credential:"), "");
	assert_null(credential_name("credential"));
	assert_null(credential_name("/credential:k"));
	assert_null(credential_name(NULL));
}

static void
check_path(const char *value, const char *expected)
{
	char *path = credential_path(value);

	assert_string_equal(path, expected);
	free(path);
}

static void
paths(void **state)
{
	(void)state;
	assert_int_equal(setenv(VARIABLE, "/run/x", 1), 0);
	check_path("credential:k", "/run/x/k");
	check_path("/etc/k", "/etc/k");
	check_path("store:handle:1", "store:handle:1");
	/* Neither of the two leads anywhere. */
	assert_int_equal(setenv(VARIABLE, "run/x", 1), 0);
	check_path("credential:k", "credential:k");
	assert_int_equal(unsetenv(VARIABLE), 0);
	check_path("credential:k", "credential:k");
}

static void
seen(void **state)
{
	struct failure why;
	bool elsewhere = true;

	(void)state;
	assert_int_equal(unsetenv(VARIABLE), 0);
	assert_int_equal(credential_check("k", &elsewhere, &why), -1);
	assert_false(elsewhere);
	assert_non_null(strstr(why.text, "$CREDENTIALS_DIRECTORY is not set"));
	assert_non_null(strstr(why.hint, "LoadCredential=k:FILE"));
	assert_int_equal(setenv(VARIABLE, "/nowhere/at/all", 1), 0);
	assert_int_equal(credential_check("k", &elsewhere, &why), -1);
	assert_true(elsewhere);
	assert_non_null(strstr(why.text, "/nowhere/at/all: No such file"));
	assert_non_null(strstr(why.hint, "User="));
	assert_int_equal(setenv(VARIABLE, "/", 1), 0);
	assert_int_equal(credential_check("k", &elsewhere, &why), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names),
		cmocka_unit_test(paths),
		cmocka_unit_test(seen)
	};

	return cmocka_run_group_tests_name("credential", tests, NULL, NULL);
}
