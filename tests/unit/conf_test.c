/* Unit tests of common/conf/conf.
 * SPDX-License-Identifier: ISC */
#include <config.h>

#include <sys/stat.h>

#include "tests/unit/memory.h"
#include "tests/unit/unit.h"

#include "common/base/clock.h"
#include "common/conf/conf.h"
#include "common/base/log.h"

struct sample {
	bool flag;
	int64_t number;
	int64_t seconds;
	int64_t size;
	int64_t octal;
	char *string;
	char *path;
	char **strings;
};

#define KEY(name, type, min, max) \
	{ #name, type, offsetof(struct sample, name), min, max, NULL }

static const struct conf_key keys[] = {
	KEY(flag, CONF_BOOL, 0, 0),
	KEY(number, CONF_INT, -5, INT64_C(10000000000)),
	KEY(seconds, CONF_SECONDS, 100, INT64_C(1000) * 86400 * 1000),
	KEY(size, CONF_SIZE, 0, INT64_C(1) << 50),
	KEY(octal, CONF_OCTAL, 0, 0777),
	KEY(string, CONF_STRING, 0, 0),
	KEY(path, CONF_PATH, 0, 0),
	KEY(strings, CONF_STRINGS, 0, 0),
	CONF_LIST_OF_GROUPS(groups),
};

#define KEYS	(sizeof keys / sizeof keys[0])

/* The messages of one test, one a line. */
static char messages[16384];

static int
take(void *context, const struct log_event *e)
{
	size_t used = strlen(messages);

	(void)context;
	(void)snprintf(messages + used, sizeof messages - used, "%s\n",
	    e->text);
	return 0;
}

static struct log_sink sink = { .name = "messages", .take = take };

/* Does a message say all of "place", which begins a line, and "text"? */
static void
expect_message(const char *place, const char *text)
{
	const char *line = messages, *end, *found;

	for (; (end = strchr(line, '\n')) != NULL; line = end + 1) {
		if (strncmp(line, place, strlen(place)) != 0)
			continue;
		found = strstr(line, text);
		if (found != NULL && found < end)
			return;
	}
	fail_msg("no \"%s...%s\" in: %s", place, text, messages);
}

/* Read "text" as the file "x.conf" into "s"; the number of errors. */
static int
read_text(const char *text, struct sample *s)
{
	struct conf *conf;
	int errors;

	messages[0] = '\0';
	unit_write("x.conf", text);
	conf = conf_open("x.conf", NULL);
	assert_non_null(conf);
	errors = conf_read(conf, keys, KEYS, s);
	assert_int_equal(errors == 0, messages[0] == '\0');
	conf_close(conf);
	return errors;
}

static void
every_type(void **state)
{
	struct sample s;

	(void)state;
	memset(&s, 0, sizeof s);
	assert_int_equal(read_text("flag = true;\n"
	    "number = -5;\n"
	    "seconds = 90;\n"
	    "size = \"16 KiB\";\n"
	    "octal = \"027\";\n"
	    "string = \"a \\\"b\\\"\";\n"
	    "path = \"/srv/x\";\n"
	    "strings = [ \"one\", \"\", \"two\" ];\n", &s), 0);
	assert_true(s.flag);
	assert_true(s.number == -5);
	assert_true(s.seconds == 90000);
	assert_true(s.size == 16384);
	assert_true(s.octal == 027);
	assert_string_equal(s.string, "a \"b\"");
	assert_string_equal(s.path, "/srv/x");
	assert_string_equal(s.strings[0], "one");
	assert_string_equal(s.strings[1], "");
	assert_string_equal(s.strings[2], "two");
	assert_null(s.strings[3]);
	conf_free_values(keys, KEYS, &s);
	assert_null(s.string);
	assert_null(s.path);
	assert_null(s.strings);
	conf_free_values(keys, KEYS, &s);
}

/* What no file sets keeps what it had, and what one sets is freed. */
static void
defaults(void **state)
{
	struct sample s;

	(void)state;
	memset(&s, 0, sizeof s);
	s.number = 42;
	s.string = strdup("kept");
	s.path = strdup("/old");
	s.flag = true;
	assert_int_equal(read_text("path = \"/new\";\n", &s), 0);
	assert_true(s.number == 42);
	assert_true(s.flag);
	assert_string_equal(s.string, "kept");
	assert_string_equal(s.path, "/new");
	assert_int_equal(read_text("path = \"\";\n", &s), 0);
	assert_null(s.path);
	conf_free_values(keys, KEYS, &s);
}

static void
measures(void **state)
{
	static const struct {
		const char *text;
		int64_t ms;
	} durations[] = {
		{ "1", 1000 }, { "1.5", 1500 }, { "0.1", 100 },
		{ "\"90\"", -1 }, { "\"90 s\"", 90000 },
		{ "\"1.5 s\"", 1500 }, { "\"250 ms\"", 250 },
		{ "\"10 min\"", 600000 }, { "\"10min\"", 600000 },
		{ "\"2 h\"", 7200000 }, { "\"1 d\"", 86400000 },
		{ "\"\"", -1 }, { "\"s\"", -1 }, { "\"1 x\"", -1 },
		{ "\"1 s s\"", -1 }, { "\"-1 s\"", -1 }, { "\" 1 s\"", -1 },
		{ "\"0x10 s\"", -1 }, { "\"nan s\"", -1 },
		{ "\"inf s\"", -1 }, { "\"1e400 s\"", -1 },
		{ "true", -1 }, { "-1", -1 }, { "[ 1 ]", -1 },
	};
	static const struct {
		const char *text;
		int64_t bytes;
	} sizes[] = {
		{ "0", 0 }, { "1000", 1000 }, { "\"7 B\"", 7 },
		{ "\"1 KiB\"", 1024 }, { "\"1.5 KiB\"", 1536 },
		{ "\"3 MiB\"", 3 << 20 }, { "\"2 GiB\"", INT64_C(2) << 30 },
		{ "5000000000L", INT64_C(5000000000) },
		{ "\"1 KB\"", -1 }, { "\"1 kib\"", -1 }, { "\"KiB\"", -1 },
		{ "-1", -1 }, { "\"9999999 TiB\"", -1 },
	};
	char text[64];
	struct sample s;

	(void)state;
	memset(&s, 0, sizeof s);
	for (size_t i = 0; i < sizeof durations / sizeof durations[0]; i++) {
		s.seconds = 777;
		(void)snprintf(text, sizeof text, "seconds = %s;\n",
		    durations[i].text);
		if (read_text(text, &s) != (durations[i].ms == -1))
			fail_msg("%s", text);
		assert_true(s.seconds == (durations[i].ms == -1 ? 777 :
		    durations[i].ms));
	}
	for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
		s.size = 777;
		(void)snprintf(text, sizeof text, "size = %s;\n",
		    sizes[i].text);
		if (read_text(text, &s) != (sizes[i].bytes == -1))
			fail_msg("%s", text);
		assert_true(s.size == (sizes[i].bytes == -1 ? 777 :
		    sizes[i].bytes));
	}
}

/* Both ends of a range are in it, and what is beside them is not. */
static void
ranges(void **state)
{
	static const struct {
		const char *line;
		bool good;
	} examples[] = {
		{ "number = -5;", true }, { "number = -6;", false },
		{ "number = 10000000000L;", true },
		{ "number = 10000000001L;", false },
		{ "seconds = 0.1;", true }, { "seconds = 0.099;", false },
		{ "seconds = 86400000;", true },
		{ "seconds = 86400001;", false },
		{ "octal = \"777\";", true }, { "octal = \"1000\";", false },
		{ "octal = \"0\";", true }, { "octal = \"8\";", false },
		{ "octal = \"\";", false }, { "octal = \"-1\";", false },
		{ "octal = 27;", false }, { "octal = \"0777777\";", false },
	};
	struct sample s;

	(void)state;
	memset(&s, 0, sizeof s);
	for (size_t i = 0; i < sizeof examples / sizeof examples[0]; i++) {
		assert_int_equal(read_text(examples[i].line, &s),
		    !examples[i].good);
		if (!examples[i].good)
			expect_message("x.conf:1: ", "");
	}
	/* The message says what may be. */
	(void)read_text("number = 6L;\nnumber2 = 1;\n", &s);
	(void)read_text("\n\nnumber = -6;\n", &s);
	expect_message("x.conf:3: number", "-5");
	expect_message("x.conf:3: number", "10000000000");
}

static void
wrong_types(void **state)
{
	static const char *const lines[] = {
		"flag = 1;", "flag = \"true\";", "flag = [ true ];",
		"number = \"1\";", "number = 1.5;", "number = true;",
		"number = ( 1 );", "string = 1;", "string = true;",
		"string = [ \"a\" ];", "string = { };", "path = \"x\";",
		"path = \"./x\";", "path = 1;", "strings = 1;",
		"strings = [ 1 ];", "strings = { a = \"b\"; };",
		"strings = ( \"a\", 1 );", "groups = 1;", "groups = \"a\";",
		"groups = { };",
	};
	struct sample s;
	char text[64], name[16];

	(void)state;
	for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
		memset(&s, 0, sizeof s);
		(void)snprintf(text, sizeof text, "\n%s\n", lines[i]);
		assert_int_equal(read_text(text, &s), 1);
		(void)snprintf(name, sizeof name, "%.*s",
		    (int)strcspn(lines[i], " "), lines[i]);
		expect_message("x.conf:2: ", name);
		conf_free_values(keys, KEYS, &s);
	}
}

/* A string alone is a list of one; a list in parentheses is as good. */
static void
lists(void **state)
{
	struct sample s;

	(void)state;
	memset(&s, 0, sizeof s);
	assert_int_equal(read_text("strings = \"one\";", &s), 0);
	assert_string_equal(s.strings[0], "one");
	assert_null(s.strings[1]);
	assert_int_equal(read_text("strings = ( \"a\", \"b\" );", &s), 0);
	assert_string_equal(s.strings[1], "b");
	assert_null(s.strings[2]);
	assert_int_equal(read_text("strings = [ ];", &s), 0);
	assert_null(s.strings[0]);
	conf_free_values(keys, KEYS, &s);
}

static void
unknown_keys(void **state)
{
	struct sample s;

	(void)state;
	memset(&s, 0, sizeof s);
	assert_int_equal(read_text("flag = true;\nfalg = true;\n\n"
	    "Flag = true;\n", &s), 2);
	expect_message("x.conf:2: ", "falg");
	expect_message("x.conf:4: ", "Flag");
	/* The good ones among them are read. */
	assert_true(s.flag);
}

/* All errors are told, not the first alone. */
static void
all_errors(void **state)
{
	struct sample s;

	(void)state;
	memset(&s, 0, sizeof s);
	assert_int_equal(read_text("flag = 1;\nnumber = 99999999999L;\n"
	    "what = 1;\npath = \"x\";\n", &s), 4);
	expect_message("x.conf:1: ", "flag");
	expect_message("x.conf:2: ", "number");
	expect_message("x.conf:3: ", "what");
	expect_message("x.conf:4: ", "path");
}

static void
long_strings(void **state)
{
	static char text[2 * CONF_STRING_MAX];
	struct sample s;

	(void)state;
	memset(&s, 0, sizeof s);
	for (size_t extra = 0; extra < 2; extra++) {
		memset(text, 'x', sizeof text);
		memcpy(text, "string = \"", 10);
		memcpy(text + 10 + CONF_STRING_MAX - 1 + extra, "\";", 3);
		assert_int_equal(read_text(text, &s), extra);
	}
	conf_free_values(keys, KEYS, &s);
}

static void
syntax(void **state)
{
	static const char *const texts[] = {
		"\nflag = ;\n", "\nflag = true\n\nnumber = 1 1;\n",
		"\nstring = \"open;\n", "\n}\n", "\nflag = true; flag = 1;\n",
	};

	(void)state;
	for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
		messages[0] = '\0';
		unit_write("x.conf", texts[i]);
		assert_null(conf_open("x.conf", NULL));
		expect_message("x.conf:", "");
		/* One line, with a number after the name. */
		assert_true(messages[7] >= '2' && messages[7] <= '4');
		assert_ptr_equal(strchr(messages, '\n'),
		    messages + strlen(messages) - 1);
	}
}

/* A name that is set twice is told with both places, which libconfig has not:
 * by the group it is in, and not by what looks like it. */
static void
twice(void **state)
{
	static const struct {
		const char *text, *place, *says;
	} cases[] = {
		{ "number = 1;\nflag = true; number = 2;", "x.conf:2: number: ",
		    "x.conf:1 already" },
		{ "number = 1; number = 2; flag = true;", "x.conf:1: number: ",
		    "x.conf:1 already" },
		{ "a = { number = 1; b = { number = 2; };\nnumber = 3; };",
		    "x.conf:2: number: ", "x.conf:1 already" },
		{ "a = { number = 1;\nb = ( { number = 2;\nnumber = 3; } ); };",
		    "x.conf:3: number: ", "x.conf:2 already" },
		/* Neither is a name: a string, comments, another group's. */
		{ "flag = true;\nnumber = 1;\nb = \"flag\"; /* flag\n*/ c = { "
		    "flag = 1; }; // flag\nd = 1; number\n= 2;",
		    "x.conf:5: number: ", "x.conf:2 already" },
		{ "number = 1;\n@include \"y.conf\"\n", "y.conf:2: number: ",
		    "x.conf:1 already" },
		{ "@include \"z.conf\"\nflag = true;\nnumber = 1;",
		    "x.conf:3: number: ", "z.conf:1 already" },
	};
	enum { MANY = 5000 };
	int64_t before;
	size_t n;
	char *text;

	(void)state;
	unit_write("y.conf", "string = \"y\";\nnumber = 2;\n");
	unit_write("z.conf", "number = 2;\n");
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		messages[0] = '\0';
		unit_write("x.conf", cases[i].text);
		assert_null(conf_open("x.conf", NULL));
		expect_message(cases[i].place, cases[i].says);
		expect_message(cases[i].place, "remove one of the two");
	}
	/* Behind more names than there is time to look at, the line is told
	 * alone. */
	text = malloc(MANY * 8 + 100);
	assert_non_null(text);
	n = (size_t)sprintf(text, "number = 1;\n");
	for (int i = 0; i < MANY; i++)
		n += (size_t)sprintf(text + n, "a%d=1;", i);
	(void)sprintf(text + n, "number=2;");
	messages[0] = '\0';
	unit_write("x.conf", text);
	free(text);
	before = clock_now();
	assert_null(conf_open("x.conf", NULL));
	assert_true(clock_now() - before < 20000);
	expect_message("x.conf:2: ", "set for the second time");
}

static void
missing(void **state)
{
	(void)state;
	messages[0] = '\0';
	assert_null(conf_open("none.conf", NULL));
	expect_message("", "none.conf");
	expect_message("", "No such file");
	messages[0] = '\0';
	assert_null(conf_open(".", NULL));
	expect_message("", ".");
	unit_write("x.conf", "@include \"gone.conf\"\n");
	messages[0] = '\0';
	assert_null(conf_open("x.conf", NULL));
	expect_message("x.conf", "");
	conf_close(NULL);
}

static void
includes(void **state)
{
	struct conf *conf;
	struct sample s;
	char where[100];

	(void)state;
	memset(&s, 0, sizeof s);
	messages[0] = '\0';
	assert_int_equal(mkdir("sub", 0700), 0);
	unit_write("sub/main.conf", "flag = true;\n"
	    "@include \"more.conf\"\n");
	/* Relative to the file that includes it. */
	unit_write("sub/more.conf", "\n\nnumber = -77;\n");
	conf = conf_open("sub/main.conf", NULL);
	assert_non_null(conf);
	assert_int_equal(conf_read(conf, keys, KEYS, &s), 1);
	/* libconfig names an included file as its @include does. */
	expect_message("more.conf:3: ", "number");
	assert_string_equal(conf_where(conf, "number", where, sizeof where),
	    "more.conf:3");
	assert_string_equal(conf_where(conf, "flag", where, sizeof where),
	    "sub/main.conf:1");
	assert_string_equal(conf_where(conf, "size", where, sizeof where),
	    "");
	conf_close(conf);
}

/* The directory: sorted by bytes, *.conf alone, later replaces earlier. */
static void
directory(void **state)
{
	struct conf *conf;
	struct sample s;
	char where[100];

	(void)state;
	memset(&s, 0, sizeof s);
	assert_int_equal(mkdir("d", 0700), 0);
	unit_write("x.conf", "number = 1;\nsize = 1;\nstring = \"1\";\n");
	unit_write("d/20.conf", "number = 3;\nsize = 3;\n");
	unit_write("d/10.conf", "number = 2;\nstring = \"2\";\n");
	unit_write("d/30.conf.old", "number = 4;\n");
	unit_write("d/.hidden.conf", "number = 5;\n");
	unit_write("d/.conf", "number = 6;\n");
	unit_write("d/README", "not a configuration");
	unit_write("d/Z.conf", "octal = \"1\";\n");
	unit_write("d/a.conf", "octal = \"2\";\n");
	conf = conf_open("x.conf", "d");
	assert_non_null(conf);
	assert_int_equal(conf_read(conf, keys, KEYS, &s), 0);
	assert_true(s.number == 3);
	assert_true(s.size == 3);
	assert_true(s.octal == 2);
	assert_string_equal(s.string, "2");
	assert_string_equal(conf_where(conf, "number", where, sizeof where),
	    "d/20.conf:1");
	conf_close(conf);
	conf_free_values(keys, KEYS, &s);

	/* One that is not there is none; a bad file in it is an error. */
	conf = conf_open("x.conf", "no-such-folder");
	assert_non_null(conf);
	conf_close(conf);
	unit_write("d/15.conf", "number = ;\n");
	messages[0] = '\0';
	assert_null(conf_open("x.conf", "d"));
	expect_message("d/15.conf:1", "");
	messages[0] = '\0';
	assert_null(conf_open("x.conf", "x.conf"));
	expect_message("", "x.conf");
}

/* --- groups -------------------------------------------------------------- */

struct seen {
	char text[1024];
	int calls;
};

static int
see(void *context, const struct conf_group *group, const char *text)
{
	struct seen *seen = context;
	char where[64];
	size_t used = strlen(seen->text);
	struct sample s;
	int errors = 0;

	memset(&s, 0, sizeof s);
	seen->calls++;
	if (text == NULL)
		errors = conf_read_group(group, keys, KEYS, &s);
	(void)snprintf(seen->text + used, sizeof seen->text - used,
	    "%s %s;", conf_group_where(group, where, sizeof where),
	    text != NULL ? text : s.string == NULL ? "-" : s.string);
	if (text == NULL && conf_has(group, "flag"))
		errors += conf_complain(group, "flag", "no flag, %s",
		    "please");
	if (text == NULL && conf_has(group, "size"))
		errors += conf_complain(group, NULL, "too big");
	conf_free_values(keys, KEYS, &s);
	return errors;
}

static void
groups(void **state)
{
	struct conf *conf;
	struct seen seen = { .calls = 0 };

	(void)state;
	messages[0] = '\0';
	assert_int_equal(mkdir("g", 0700), 0);
	unit_write("x.conf", "groups = (\n"
	    "  { string = \"one\"; },\n"
	    "  \"text\",\n"
	    "  { string = \"two\"; number = -99;\n"
	    "    flag = true; },\n"
	    "  { size = 1; },\n"
	    "  5\n"
	    ");\n");
	unit_write("g/a.conf", "\ngroups = ( { string = \"three\"; } );\n");
	conf = conf_open("x.conf", "g");
	assert_non_null(conf);
	/* number, flag, size; and 5, which is neither group nor string. */
	assert_int_equal(conf_each(conf, "groups", see, &seen), 4);
	assert_int_equal(seen.calls, 5);
	assert_string_equal(seen.text, "g/a.conf:2 three;x.conf:2 one;"
	    "x.conf:1 text;x.conf:4 two;x.conf:6 -;");
	expect_message("x.conf:4: ", "number");
	expect_message("x.conf:5: flag: no flag, please", "");
	expect_message("x.conf:6: too big", "");
	expect_message("x.conf:7: ", "groups");
	assert_int_equal(conf_each(conf, "nothing", see, &seen), 0);
	assert_int_equal(seen.calls, 5);
	conf_close(conf);
}

static int
see_inside(void *context, const struct conf_group *group, const char *text)
{
	(void)text;
	return conf_each_in(group, "inner", see, context);
}

static void
groups_in_groups(void **state)
{
	struct conf *conf;
	struct seen seen = { .calls = 0 };

	(void)state;
	messages[0] = '\0';
	unit_write("x.conf", "groups = (\n"
	    "  { inner = ( \"a\", { string = \"b\"; } ); },\n"
	    "  { }\n"
	    ");\n");
	conf = conf_open("x.conf", NULL);
	assert_non_null(conf);
	assert_int_equal(conf_each(conf, "groups", see_inside, &seen), 0);
	assert_string_equal(seen.text, "x.conf:2 a;x.conf:2 b;");
	conf_close(conf);
}

/* --- printing ------------------------------------------------------------ */

/* What is printed, read back, is the same. */
static void
print_and_read(const struct sample *s)
{
	FILE *f = fopen("x.conf", "w");
	struct sample back;
	struct conf *conf;

	assert_non_null(f);
	conf_print(f, keys, KEYS, s, 0);
	assert_int_equal(fclose(f), 0);
	messages[0] = '\0';
	conf = conf_open("x.conf", NULL);
	if (conf == NULL)
		fail_msg("%s", messages);
	memset(&back, 0, sizeof back);
	if (conf_read(conf, keys, KEYS, &back) != 0)
		fail_msg("%s", messages);
	assert_int_equal(back.flag, s->flag);
	assert_true(back.number == s->number);
	assert_true(back.seconds == s->seconds);
	assert_true(back.size == s->size);
	assert_true(back.octal == s->octal);
	if (s->string == NULL)
		assert_true(back.string == NULL || *back.string == '\0');
	else
		assert_string_equal(back.string, s->string);
	for (size_t i = 0; s->strings[i] != NULL; i++) {
		assert_non_null(back.strings[i]);
		assert_string_equal(back.strings[i], s->strings[i]);
	}
	conf_free_values(keys, KEYS, &back);
	conf_close(conf);
}

static void
printing(void **state)
{
	static const int64_t numbers[] = { -5, 0, 1, INT32_MAX,
	    (int64_t)INT32_MAX + 1, INT64_C(10000000000) };
	static const int64_t times[] = { 100, 999, 1000, 1001, 90000,
	    INT64_C(1000) * 86400 * 1000, INT64_C(86399999999) };
	char string[40], one[40], path[] = "/x";
	char *none[] = { NULL }, *strings[] = { one, string, NULL };
	struct sample s = { .string = string, .path = path,
	    .strings = strings };
	uint64_t seed = 15;

	(void)state;
	for (int i = 0; i < 500; i++) {
		size_t n = unit_below(&seed, sizeof string - 1);

		/* Any byte but NUL. */
		for (size_t k = 0; k < n; k++)
			string[k] = (char)(1 + unit_below(&seed, 255));
		string[n] = '\0';
		(void)snprintf(one, sizeof one, "%s", i % 3 == 0 ?
		    "\\x41\\n\"\\" : i % 3 == 1 ? "" : "\t\n\f\r\x7f");
		if (n == 0)
			memcpy(string, "x", 2);
		s.flag = i % 2 == 0;
		s.number = numbers[unit_below(&seed, 6)];
		s.seconds = times[unit_below(&seed, 7)];
		s.size = (int64_t)(unit_random(&seed) >> (14 +
		    unit_below(&seed, 50)));
		s.octal = (int64_t)unit_below(&seed, 01000);
		print_and_read(&s);
	}
	s.string = NULL;
	s.path = NULL;
	s.strings = none;
	print_and_read(&s);
}

static void
print_layout(void **state)
{
	char path[] = "/x";
	struct sample s = { .flag = true, .number = 1, .seconds = 1500,
	    .size = 2, .octal = 022, .path = path };
	FILE *f = fopen("out", "w");
	char *text;

	(void)state;
	assert_non_null(f);
	conf_print(f, keys, 3, &s, 2);
	conf_print_string(f, "a\"\\\x01\n");
	assert_int_equal(fclose(f), 0);
	text = unit_read("out");
	assert_string_equal(text, "\t\tflag = true;\n\t\tnumber = 1;\n"
	    "\t\tseconds = 1.500;\n\"a\\\"\\\\\\x01\\x0a\"");
	free(text);
}

static void
copies_of_lists(void **state)
{
	static const char *const words[] = { "one", "two", NULL };
	static const char *const none[] = { NULL };
	struct sample s;
	char **list;

	(void)state;
	memset(&s, 0, sizeof s);
	s.strings = conf_list(words);
	assert_non_null(s.strings);
	assert_string_equal(s.strings[0], "one");
	assert_string_equal(s.strings[1], "two");
	assert_null(s.strings[2]);
	assert_ptr_not_equal(s.strings[0], words[0]);
	conf_free_values(keys, KEYS, &s);
	s.strings = conf_list(none);
	assert_non_null(s.strings);
	assert_null(s.strings[0]);
	conf_free_values(keys, KEYS, &s);
	for (int i = 0; i < 3; i++) {
		memory_fail_at(i);
		list = conf_list(words);
		assert_true(memory_has_failed());
		assert_null(list);
	}
}

/* Each value, changed alone, makes a difference, and to its own key only. */
static void
same_values(void **state)
{
	char one[] = "one", copy[] = "one", two[] = "two";
	char *list[] = { one, two, NULL }, *equal[] = { copy, two, NULL };
	char *shorter[] = { one, NULL }, *other[] = { one, one, NULL };
	struct sample a = { .flag = true, .number = 1, .seconds = 2,
	    .size = 3, .octal = 4, .string = one, .path = one,
	    .strings = list }, b = a;
	struct sample different[] = { a, a, a, a, a, a, a, a, a, a, a, a };
	static const size_t keys_of[] = { 0, 1, 2, 3, 4, 5, 5, 6, 7, 7, 7 };

	(void)state;
	b.string = b.path = copy;
	b.strings = equal;
	for (size_t k = 0; k < KEYS; k++)
		assert_true(conf_same(&keys[k], &a, &b));
	different[0].flag = false;
	different[1].number = -1;
	different[2].seconds = 0;
	different[3].size = INT64_C(3) << 32 | 3;
	different[4].octal = 5;
	different[5].string = two;
	different[6].string = NULL;
	different[7].path = NULL;
	different[8].strings = shorter;
	different[9].strings = other;
	different[10].strings = NULL;
	for (size_t i = 0; i < sizeof keys_of / sizeof keys_of[0]; i++) {
		for (size_t k = 0; k < KEYS; k++) {
			assert_int_equal(conf_same(&keys[k], &a,
			    &different[i]), k != keys_of[i]);
			assert_int_equal(conf_same(&keys[k], &different[i],
			    &a), k != keys_of[i]);
		}
	}
	memset(&a, 0, sizeof a);
	memset(&b, 0, sizeof b);
	for (size_t k = 0; k < KEYS; k++)
		assert_true(conf_same(&keys[k], &a, &b));
}

static void
errors_at_a_place(void **state)
{
	(void)state;
	messages[0] = '\0';
	assert_int_equal(conf_error("x.conf:7", "no %s", "good"), 1);
	expect_message("x.conf:7: no good", "");
	messages[0] = '\0';
	assert_int_equal(conf_error("", "no %s", "place"), 1);
	expect_message("no place", "");
}

/* Every allocation of ours fails once: an error, and nothing is lost. */
static void
out_of_memory(void **state)
{
	struct conf *conf;
	struct sample s;
	int errors, failures = 0;

	(void)state;
	assert_int_equal(mkdir("m", 0700), 0);
	unit_write("m/a.conf", "path = \"/m\";\n");
	unit_write("x.conf", "string = \"a\";\npath = \"/b\";\n"
	    "strings = [ \"c\", \"d\" ];\n");
	for (int i = 0;; i++) {
		memset(&s, 0, sizeof s);
		errors = 0;
		memory_fail_at(i);
		conf = conf_open("x.conf", "m");
		if (conf != NULL)
			errors = conf_read(conf, keys, KEYS, &s);
		conf_close(conf);
		conf_free_values(keys, KEYS, &s);
		if (!memory_has_failed())
			break;
		assert_true(conf == NULL || errors > 0);
		failures++;
	}
	assert_int_equal(errors, 0);
	assert_true(failures >= 6);
}

static char folder[UNIT_PATH_MAX];

static int
enter(void **state)
{
	(void)state;
	unit_enter(folder);
	log_set_sinks(&sink);
	return 0;
}

static int
leave(void **state)
{
	(void)state;
	log_set_sinks(NULL);
	unit_leave(folder);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_type),
		cmocka_unit_test(defaults),
		cmocka_unit_test(measures),
		cmocka_unit_test(ranges),
		cmocka_unit_test(wrong_types),
		cmocka_unit_test(lists),
		cmocka_unit_test(unknown_keys),
		cmocka_unit_test(all_errors),
		cmocka_unit_test(long_strings),
		cmocka_unit_test(syntax),
		cmocka_unit_test(twice),
		cmocka_unit_test(missing),
		cmocka_unit_test(includes),
		cmocka_unit_test(directory),
		cmocka_unit_test(groups),
		cmocka_unit_test(groups_in_groups),
		cmocka_unit_test(printing),
		cmocka_unit_test(print_layout),
		cmocka_unit_test(copies_of_lists),
		cmocka_unit_test(same_values),
		cmocka_unit_test(errors_at_a_place),
		cmocka_unit_test(out_of_memory),
	};

	return cmocka_run_group_tests_name("conf", tests, enter, leave);
}
