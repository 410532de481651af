#include <config.h>

#include <dirent.h>
#include <errno.h>
#include <libgen.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <libconfig.h>

#include "common/conf/conf-files.h"
#include "common/conf/conf.h"
#include "common/base/log.h"
#include "common/base/number.h"

/* Room for "FILE:LINE". */
#define WHERE_MAX	(CONF_STRING_MAX + 16)
/* Room for a sentence about a value. */
#define COMPLAINT_MAX	1024
/* What parsing a file takes at most: so much, and for each of its bytes. */
#define PARSE_MEMORY	(4 * 1024 * 1024)
#define PARSE_FACTOR	64

struct conf {
	config_t files[CONF_FILES_MAX];
	size_t count;
	bool impatient;		/* What is no file is an error. */
};

/* A unit of a duration or size, and what it counts in ms or bytes. */
struct unit {
	const char *name;
	int64_t factor;
};

static const struct unit durations[] = {
	{ "ms", 1 }, { "s", 1000 }, { "min", 60000 }, { "h", 3600000 },
	{ "d", 86400000 }, { NULL, 0 }
};

static const struct unit sizes[] = {
	{ "B", 1 }, { "KiB", 1024 }, { "MiB", 1024 * 1024 },
	{ "GiB", 1024 * 1024 * 1024 }, { "TiB", 1099511627776 }, { NULL, 0 }
};

/* --- places and complaints --------------------------------------------- */

static const config_setting_t *
setting_of(const struct conf_group *group)
{
	return (const config_setting_t *)group;
}

static const struct conf_group *
group_of(const config_setting_t *setting)
{
	return (const struct conf_group *)setting;
}

static const char *
where(const config_setting_t *s, char *out, size_t size)
{
	const char *file = config_setting_source_file(s);

	(void)snprintf(out, size, "%s:%u", file == NULL ? "?" : file,
	    config_setting_source_line(s));
	return out;
}

const char *
conf_group_where(const struct conf_group *group, char *out, size_t size)
{
	return where(setting_of(group), out, size);
}

int
conf_error(const char *place, const char *format, ...)
{
	const struct log_field field = { "place", place, strlen(place) };
	struct log_event e = { .level = LOG_LEVEL_ERROR,
	    .name = "config-error", .fields = &field,
	    .count = *place == '\0' ? 0 : 1 };
	char text[COMPLAINT_MAX], whole[COMPLAINT_MAX + WHERE_MAX + 2];
	va_list ap;

	va_start(ap, format);
	(void)vsnprintf(text, sizeof text, format, ap);
	va_end(ap);
	(void)snprintf(whole, sizeof whole, "%s%s%s", place,
	    *place == '\0' ? "" : ": ", text);
	e.text = whole;
	(void)log_emit(&e);
	return 1;
}

static int __attribute__((format(printf, 2, 3)))
complain(const config_setting_t *s, const char *format, ...)
{
	char text[COMPLAINT_MAX], place[WHERE_MAX];
	va_list ap;

	va_start(ap, format);
	(void)vsnprintf(text, sizeof text, format, ap);
	va_end(ap);
	return conf_error(where(s, place, sizeof place), "%s", text);
}

int
conf_complain(const struct conf_group *group, const char *name,
    const char *format, ...)
{
	const config_setting_t *s = setting_of(group), *member = NULL;
	char text[COMPLAINT_MAX];
	va_list ap;

	va_start(ap, format);
	(void)vsnprintf(text, sizeof text, format, ap);
	va_end(ap);
	if (name != NULL && config_setting_is_group(s))
		member = config_setting_get_member(s, name);
	if (name == NULL)
		return complain(s, "%s", text);
	return complain(member == NULL ? s : member, "%s: %s", name, text);
}

/* --- files ------------------------------------------------------------- */

/*
 * Is there memory to parse "f"?  libconfig ends the program where there is
 * none, so it is only asked where there is more than it will take.
 */
static bool
has_memory(FILE *f)
{
	size_t most = PARSE_MEMORY;
	struct stat st;
	void *p;

	if (fstat(fileno(f), &st) == 0 && st.st_size > 0 &&
	    (uintmax_t)st.st_size < SIZE_MAX / PARSE_FACTOR / 2)
		most += (size_t)st.st_size * PARSE_FACTOR;
	p = malloc(most);
	free(p);
	return p != NULL;
}

/* What is taken from a pipe libconfig would not find any more. */
static bool
is_pipe(FILE *f)
{
	struct stat st;

	return fstat(fileno(f), &st) == 0 && !S_ISREG(st.st_mode);
}

/* Can all of the file be read?  Where it cannot, the scanner of libconfig ends
 * the program. */
static bool
is_readable(FILE *f)
{
	char bytes[4096];

	while (!is_pipe(f) &&
	    fread(bytes, 1, sizeof bytes, f) == sizeof bytes)
		continue;
	return !ferror(f);
}

/* Does the file begin with the mark that some editors put before UTF-8?
 * libconfig would call it a syntax error of line 1, where nobody sees it. */
static bool
has_mark(FILE *f)
{
	static const char mark[] = "\xef\xbb\xbf";
	char begin[sizeof mark - 1];

	return !is_pipe(f) &&
	    fread(begin, 1, sizeof begin, f) == sizeof begin &&
	    memcmp(begin, mark, sizeof begin) == 0;
}

/* Can "path", whose includes are "from" there, be read?  0, or -1 after a
 * message, with errno set. */
static int
check_file(const struct conf *conf, const char *path, const char *from)
{
	char why[COMPLAINT_MAX];
	FILE *f = NULL;
	bool marked = false;
	int error;

	if (conf->impatient &&
	    conf_files_check(path, from, why, sizeof why) == -1) {
		error = errno;
		(void)conf_error("", "cannot read the configuration %s", why);
		errno = error;
		return -1;
	}
	if ((f = fopen(path, "re")) != NULL && !(marked = has_mark(f)) &&
	    is_readable(f) && has_memory(f)) {
		(void)fclose(f);
		return 0;
	}
	error = marked ? 0 : errno;
	if (marked)
		(void)conf_error("", "the configuration %s begins with a byte "
		    "order mark, which an editor has put there; save it as "
		    "plain UTF-8", path);
	else
		(void)conf_error("", "cannot read the configuration %s: %s",
		    path, strerror(error));
	if (f != NULL)
		(void)fclose(f);
	errno = error;
	return -1;
}

/* Parse one more file. */
static int
add_file(struct conf *conf, const char *path)
{
	config_t *c = &conf->files[conf->count];
	char place[WHERE_MAX], *copy, *from;
	const char *file;
	int error;

	if (conf->count == CONF_FILES_MAX) {
		errno = 0;	/* It is kept by what says so. */
		(void)conf_error(path, "more than %d configuration files",
		    CONF_FILES_MAX);
		return -1;
	}
	if ((copy = strdup(path)) == NULL) {
		error = errno;
		(void)conf_error("", "cannot read the configuration %s: %s",
		    path, strerror(error));
		errno = error;
		return -1;
	}
	from = dirname(copy);
	if (check_file(conf, path, from) == -1) {
		error = errno;
		free(copy);
		errno = error;
		return -1;
	}
	config_init(c);
	conf->count++;
	config_set_include_dir(c, from);
	free(copy);
	errno = 0;
	if (config_read_file(c, path) == CONFIG_TRUE)
		return 0;
	error = config_error_type(c) == CONFIG_ERR_FILE_IO ? errno : 0;
	file = config_error_file(c);
	(void)snprintf(place, sizeof place, "%s:%d", file == NULL ? path :
	    file, config_error_line(c));
	/* A missing semicolon is found at the word behind it. */
	(void)conf_error(place, "%s%s", config_error_text(c),
	    config_error_type(c) == CONFIG_ERR_PARSE ? "; look at this line, "
	    "and at the end of the one before" : "");
	errno = error;
	return -1;
}

static int
is_conf(const struct dirent *d)
{
	size_t n = strlen(d->d_name);

	return d->d_name[0] != '.' && n > 5 &&
	    strcmp(d->d_name + n - 5, ".conf") == 0;
}

static int
by_bytes(const struct dirent **a, const struct dirent **b)
{
	/* The order must not depend on the locale. */
	return strcmp((*a)->d_name, (*b)->d_name);
}

static int
add_directory(struct conf *conf, const char *directory)
{
	struct dirent **names;
	char path[CONF_STRING_MAX];
	int n = scandir(directory, &names, is_conf, by_bytes), result = 0;

	if (n == -1 && errno == ENOENT)
		return 0;
	if (n == -1) {
		(void)conf_error("", "cannot read the directory %s: %s",
		    directory, strerror(errno));
		return -1;
	}
	for (int i = 0; i < n; i++) {
		int length = snprintf(path, sizeof path, "%s/%s", directory,
		    names[i]->d_name);

		if (length < 0 || (size_t)length >= sizeof path) {
			errno = 0;
			(void)conf_error(directory, "a name in it is too "
			    "long");
			result = -1;
		}
		if (result == 0)
			result = add_file(conf, path);
		free(names[i]);
	}
	free(names);
	return result;
}

static struct conf *
open_all(const char *path, const char *directory, bool impatient)
{
	struct conf *conf = calloc(1, sizeof *conf);
	int error;

	if (conf == NULL) {
		log_errno("cannot read the configuration %s", path);
		return NULL;
	}
	conf->impatient = impatient;
	if (add_file(conf, path) == 0 &&
	    (directory == NULL || add_directory(conf, directory) == 0))
		return conf;
	error = errno;
	conf_close(conf);
	errno = error;
	return NULL;
}

struct conf *
conf_open(const char *path, const char *directory)
{
	return open_all(path, directory, false);
}

struct conf *
conf_reopen(const char *path, const char *directory)
{
	return open_all(path, directory, true);
}

void
conf_close(struct conf *conf)
{
	if (conf == NULL)
		return;
	for (size_t i = 0; i < conf->count; i++)
		config_destroy(&conf->files[i]);
	free(conf);
}

size_t
conf_files(const struct conf *conf)
{
	return conf->count;
}

const char *
conf_file(const struct conf *conf, size_t i)
{
	return config_setting_source_file(config_root_setting(
	    &conf->files[i]));
}

/* --- values ------------------------------------------------------------ */

static void *
slot(const struct conf_key *key, void *base)
{
	return (char *)base + key->offset;
}

static bool
is_number(const config_setting_t *s)
{
	int type = config_setting_type(s);

	return type == CONFIG_TYPE_INT || type == CONFIG_TYPE_INT64 ||
	    type == CONFIG_TYPE_FLOAT;
}

static bool
is_whole(const config_setting_t *s)
{
	return is_number(s) && config_setting_type(s) != CONFIG_TYPE_FLOAT;
}

/* "number", with "factor" per unit, as an integer; -1 if it is none. */
static int
scale(double number, int64_t factor, int64_t *v)
{
	double product = number * (double)factor;

	/* 2^62 keeps every later sum of two within an int64_t. */
	if (!(product >= 0 && product <= 4611686018427387904.0))
		return -1;
	*v = (int64_t)(product + 0.5);
	return 0;
}

/* A number, bare or with a unit behind it. */
static int
read_measure(const config_setting_t *s, const struct unit *units,
    int64_t bare, int64_t *v)
{
	const char *text, *end;
	double number;

	if (is_whole(s))
		return scale((double)config_setting_get_int64(s), bare, v);
	if (is_number(s))
		return scale(config_setting_get_float(s), bare, v);
	if ((text = config_setting_get_string(s)) == NULL ||
	    (end = number_decimal(text, &number)) == NULL)
		return -1;
	end += strspn(end, " ");
	for (const struct unit *u = units; u->name != NULL; u++) {
		if (strcmp(end, u->name) == 0)
			return scale(number, u->factor, v);
	}
	return -1;
}

static int
read_octal(const config_setting_t *s, int64_t *v)
{
	const char *text = config_setting_get_string(s);

	if (text == NULL || *text == '\0' || strlen(text) > 5 ||
	    text[strspn(text, "01234567")] != '\0')
		return -1;
	*v = strtol(text, NULL, 8);
	return 0;
}

/* Put a copy of "text" where "place" points; errors are counted. */
static int
set_string(const config_setting_t *s, const char *text, char **place)
{
	char *copy = NULL;

	if (text != NULL && (copy = strdup(text)) == NULL)
		return complain(s, "out of memory");
	free(*place);
	*place = copy;
	return 0;
}

static void
free_strings(char **list)
{
	for (char **p = list; p != NULL && *p != NULL; p++)
		free(*p);
	free(list);
}

static const char *
string_of(const config_setting_t *s)
{
	const char *text = config_setting_get_string(s);

	return text != NULL && strlen(text) < CONF_STRING_MAX ? text : NULL;
}

/* A list or an array of strings, or one string. */
static int
read_strings(const config_setting_t *s, char ***place)
{
	bool aggregate = config_setting_is_aggregate(s) == CONFIG_TRUE;
	int n = aggregate ? config_setting_length(s) : 1;
	char **list;

	if (config_setting_is_group(s) == CONFIG_TRUE)
		return -1;
	if ((list = calloc((size_t)n + 1, sizeof *list)) == NULL)
		return -1;
	for (int i = 0; i < n; i++) {
		const char *text = string_of(aggregate ?
		    config_setting_get_elem(s, (unsigned)i) : s);

		if (text == NULL || (list[i] = strdup(text)) == NULL) {
			free_strings(list);
			return -1;
		}
	}
	free_strings(*place);
	*place = list;
	return 0;
}

/* What a type wants, for its complaint. */
static const char *
wanted(enum conf_type type)
{
	switch (type) {
	case CONF_BOOL:
		return "true or false";
	case CONF_INT:
		return "a whole number";
	case CONF_SECONDS:
		return "a number of seconds, or one with its unit as \"90 s\", "
		    "\"10 min\" or \"2 h\"";
	case CONF_SIZE:
		return "a number of bytes, or one with its unit as \"64 KiB\", "
		    "\"16 MiB\" or \"1 GiB\"";
	case CONF_STRING:
		return "a string";
	case CONF_PATH:
		return "an absolute path";
	case CONF_STRINGS:
		return "a string or a list of strings";
	case CONF_OCTAL:
		return "octal digits in quotes, as \"022\"";
	case CONF_GROUPS:
		break;
	}
	return "a list, in parentheses";
}

/* Write a number as people would for its type. */
static void
print_number(char *out, size_t size, enum conf_type type, int64_t v)
{
	if (type == CONF_SECONDS && v % 1000 != 0)
		(void)snprintf(out, size, "%.3f", (double)v / 1000);
	else if (type == CONF_SECONDS)
		(void)snprintf(out, size, "%lld", (long long)v / 1000);
	else if (type == CONF_OCTAL)
		(void)snprintf(out, size, "\"%03llo\"", (long long)v);
	else if (v > INT32_MAX)
		/* libconfig wants a mark on what needs more than 32 bits. */
		(void)snprintf(out, size, "%lldL", (long long)v);
	else
		(void)snprintf(out, size, "%lld", (long long)v);
}

static int
check_range(const config_setting_t *s, const struct conf_key *key, int64_t v)
{
	char min[32], max[32];

	if (v >= key->min && v <= key->max)
		return 0;
	print_number(min, sizeof min, key->type, key->min);
	print_number(max, sizeof max, key->type, key->max);
	return complain(s, "%s: out of range; it may be from %s to %s",
	    key->name, min, max);
}

static int
read_number(const config_setting_t *s, const struct conf_key *key,
    int64_t *place)
{
	int64_t v = 0;
	int result;

	if (key->type == CONF_SECONDS)
		result = read_measure(s, durations, 1000, &v);
	else if (key->type == CONF_SIZE)
		result = read_measure(s, sizes, 1, &v);
	else if (key->type == CONF_OCTAL)
		result = read_octal(s, &v);
	else if ((result = is_whole(s) ? 0 : -1) == 0)
		v = config_setting_get_int64(s);
	if (result == -1)
		return complain(s, "%s: must be %s", key->name,
		    wanted(key->type));
	if (check_range(s, key, v) != 0)
		return 1;
	*place = v;
	return 0;
}

static int
read_text(const config_setting_t *s, const struct conf_key *key, char **place)
{
	const char *text = string_of(s);

	if (text == NULL || (key->type == CONF_PATH && *text != '\0' &&
	    *text != '/'))
		return complain(s, "%s: must be %s", key->name,
		    wanted(key->type));
	return set_string(s, *text == '\0' ? NULL : text, place);
}

/* One value into its place; the number of errors. */
static int
read_value(const config_setting_t *s, const struct conf_key *key, void *base)
{
	bool *flag = slot(key, base);

	switch (key->type) {
	case CONF_BOOL:
		if (config_setting_type(s) != CONFIG_TYPE_BOOL)
			break;
		*flag = config_setting_get_bool(s) == CONFIG_TRUE;
		return 0;
	case CONF_INT:
	case CONF_SECONDS:
	case CONF_SIZE:
	case CONF_OCTAL:
		return read_number(s, key, slot(key, base));
	case CONF_STRING:
	case CONF_PATH:
		return read_text(s, key, slot(key, base));
	case CONF_STRINGS:
		if (read_strings(s, slot(key, base)) == -1)
			break;
		return 0;
	case CONF_GROUPS:
		if (config_setting_is_list(s) != CONFIG_TRUE &&
		    config_setting_is_array(s) != CONFIG_TRUE)
			break;
		return 0;
	}
	return complain(s, "%s: must be %s", key->name, wanted(key->type));
}

static int
read_settings(const config_setting_t *group, const struct conf_key *table,
    size_t n, void *base)
{
	int count = config_setting_length(group), errors = 0;

	for (int i = 0; i < count; i++) {
		const config_setting_t *s = config_setting_get_elem(group,
		    (unsigned)i);
		const struct conf_key *key = table;

		while (key < table + n &&
		    strcmp(key->name, config_setting_name(s)) != 0)
			key++;
		if (key == table + n)
			errors += complain(s, "%s: there is no such key here; "
			    "see the manual page for those there are",
			    config_setting_name(s));
		else
			errors += read_value(s, key, base);
	}
	return errors;
}

int
conf_read(struct conf *conf, const struct conf_key *table, size_t n,
    void *base)
{
	int errors = 0;

	for (size_t i = 0; i < conf->count; i++)
		errors += read_settings(config_root_setting(&conf->files[i]),
		    table, n, base);
	return errors;
}

int
conf_read_group(const struct conf_group *group, const struct conf_key *table,
    size_t n, void *base)
{
	return read_settings(setting_of(group), table, n, base);
}

/* --- lists of groups --------------------------------------------------- */

static int
each_entry(const config_setting_t *list, const char *name, conf_each_fn *each,
    void *context)
{
	int count = config_setting_length(list), errors = 0;

	for (int i = 0; i < count; i++) {
		const config_setting_t *s = config_setting_get_elem(list,
		    (unsigned)i);
		const char *text = string_of(s);

		if (config_setting_is_group(s) == CONFIG_TRUE)
			errors += each(context, group_of(s), NULL);
		else if (text != NULL)
			errors += each(context, group_of(list), text);
		else
			errors += complain(s, "%s: an entry of it must be a "
			    "group in braces", name);
	}
	return errors;
}

int
conf_each_in(const struct conf_group *group, const char *name,
    conf_each_fn *each, void *context)
{
	const config_setting_t *list = config_setting_get_member(
	    setting_of(group), name);

	return list == NULL ? 0 : each_entry(list, name, each, context);
}

int
conf_each(struct conf *conf, const char *name, conf_each_fn *each,
    void *context)
{
	int errors = 0;

	for (size_t i = 0; i < conf->count; i++)
		errors += conf_each_in(group_of(config_root_setting(
		    &conf->files[i])), name, each, context);
	return errors;
}

bool
conf_has(const struct conf_group *group, const char *name)
{
	return config_setting_get_member(setting_of(group), name) != NULL;
}

const char *
conf_where(struct conf *conf, const char *name, char *out, size_t size)
{
	const config_setting_t *s = NULL;

	/* The last file that sets it is the one that counts. */
	for (size_t i = conf->count; i > 0 && s == NULL; i--)
		s = config_setting_get_member(config_root_setting(
		    &conf->files[i - 1]), name);
	if (s != NULL)
		return where(s, out, size);
	*out = '\0';
	return out;
}

/* --- printing ---------------------------------------------------------- */

void
conf_print_string(FILE *out, const char *text)
{
	fputc('"', out);
	for (; *text != '\0'; text++) {
		unsigned char c = (unsigned char)*text;

		if (c == '"' || c == '\\')
			fprintf(out, "\\%c", c);
		else if (c < 0x20 || c == 0x7f)
			fprintf(out, "\\x%02x", c);
		else
			fputc(c, out);
	}
	fputc('"', out);
}

static void
print_strings(FILE *out, char *const *list)
{
	fputs("[ ", out);
	for (char *const *p = list; p != NULL && *p != NULL; p++) {
		if (p != list)
			fputs(", ", out);
		conf_print_string(out, *p);
	}
	fputs(" ]", out);
}

static void
print_value(FILE *out, const struct conf_key *key, const void *place)
{
	char number[32];

	switch (key->type) {
	case CONF_BOOL:
		fputs(*(const bool *)place ? "true" : "false", out);
		break;
	case CONF_INT:
	case CONF_SECONDS:
	case CONF_SIZE:
	case CONF_OCTAL:
		print_number(number, sizeof number, key->type,
		    *(const int64_t *)place);
		fputs(number, out);
		break;
	case CONF_STRING:
	case CONF_PATH:
		conf_print_string(out, *(char *const *)place == NULL ? "" :
		    *(char *const *)place);
		break;
	case CONF_STRINGS:
		print_strings(out, *(char **const *)place);
		break;
	case CONF_GROUPS:
		break;
	}
}

static bool
same_text(const char *a, const char *b)
{
	return (a == NULL || b == NULL) ? a == b : strcmp(a, b) == 0;
}

static bool
same_list(char *const *a, char *const *b)
{
	if (a == NULL || b == NULL)
		return a == b;
	for (; *a != NULL && *b != NULL; a++, b++) {
		if (strcmp(*a, *b) != 0)
			return false;
	}
	return *a == *b;
}

bool
conf_same(const struct conf_key *key, const void *a, const void *b)
{
	const void *x = (const char *)a + key->offset;
	const void *y = (const char *)b + key->offset;

	switch (key->type) {
	case CONF_BOOL:
		return *(const bool *)x == *(const bool *)y;
	case CONF_INT:
	case CONF_SECONDS:
	case CONF_SIZE:
	case CONF_OCTAL:
		return *(const int64_t *)x == *(const int64_t *)y;
	case CONF_STRING:
	case CONF_PATH:
		return same_text(*(char *const *)x, *(char *const *)y);
	case CONF_STRINGS:
		return same_list(*(char **const *)x, *(char **const *)y);
	case CONF_GROUPS:
		break;
	}
	return true;
}

void
conf_print(FILE *out, const struct conf_key *table, size_t n,
    const void *base, int indent)
{
	for (const struct conf_key *key = table; key < table + n; key++) {
		if (key->type == CONF_GROUPS)
			continue;
		for (int i = 0; i < indent; i++)
			fputc('\t', out);
		fprintf(out, "%s = ", key->name);
		print_value(out, key, (const char *)base + key->offset);
		fputs(";\n", out);
	}
}

char **
conf_list(const char *const *words)
{
	size_t n = 0;
	char **list;

	while (words[n] != NULL)
		n++;
	if ((list = calloc(n + 1, sizeof *list)) == NULL)
		return NULL;
	for (size_t i = 0; i < n; i++) {
		if ((list[i] = strdup(words[i])) == NULL) {
			free_strings(list);
			return NULL;
		}
	}
	return list;
}

void
conf_free_values(const struct conf_key *table, size_t n, void *base)
{
	for (const struct conf_key *key = table; key < table + n; key++) {
		if (key->type == CONF_STRING || key->type == CONF_PATH) {
			free(*(char **)slot(key, base));
			*(char **)slot(key, base) = NULL;
		} else if (key->type == CONF_STRINGS) {
			free_strings(*(char ***)slot(key, base));
			*(char ***)slot(key, base) = NULL;
		}
	}
}
