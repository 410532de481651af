/*
 * value.c - the values of configuration keys: read, compare, print, free.
 * SPDX-License-Identifier: ISC
 */
#include <config.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <libconfig.h>

#include "common/base/number.h"
#include "common/conf/value.h"

/* What can be done with the values of one type. */
struct type {
	const char *wanted;	/* "must be ..." */
	/* Read "s" into "place"; what was there is freed.  0, or -1: it is of
	 * another type, or errno is ENOMEM. */
	int (*read)(const config_setting_t *s, void *place);
	void (*print)(FILE *out, const void *place);
	bool (*same)(const void *a, const void *b);
	void (*release)(void *place);	/* NULL: there is nothing to free. */
	bool has_range;		/* An int64_t. */
};

/* A unit of a duration or size, and what it counts in ms or bytes. */
struct unit {
	const char *name;
	int64_t factor;
};

/* --- numbers ------------------------------------------------------------ */

static bool
is_whole(const config_setting_t *s)
{
	int type = config_setting_type(s);

	return type == CONFIG_TYPE_INT || type == CONFIG_TYPE_INT64;
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
	/* As 0 it would mean no limit. */
	if (*v == 0 && number > 0)
		*v = 1;
	return 0;
}

/* A number with a unit after it; and "bare", if that is not 0, without. */
static int
scan_measure(const char *text, const struct unit *units, int64_t bare,
    int64_t *v)
{
	const char *end;
	double number;

	if (text == NULL || (end = number_decimal(text, &number)) == NULL)
		return -1;
	if (*end == '\0' && bare != 0)
		return scale(number, bare, v);
	end += strspn(end, " ");
	for (const struct unit *u = units; u->name != NULL; u++) {
		if (strcmp(end, u->name) == 0)
			return scale(number, u->factor, v);
	}
	return -1;
}

/* A number, bare or with a unit after it. */
static int
read_measure(const config_setting_t *s, const struct unit *units,
    int64_t bare, int64_t *v)
{
	if (is_whole(s))
		return scale((double)config_setting_get_int64(s), bare, v);
	if (config_setting_type(s) == CONFIG_TYPE_FLOAT)
		return scale(config_setting_get_float(s), bare, v);
	return scan_measure(config_setting_get_string(s), units, 0, v);
}

static int
read_int(const config_setting_t *s, void *place)
{
	if (!is_whole(s))
		return -1;
	*(int64_t *)place = config_setting_get_int64(s);
	return 0;
}

static const struct unit times[] = { { "ms", 1 }, { "s", 1000 },
	{ "min", 60000 }, { "h", 3600000 }, { "d", 86400000 }, { NULL, 0 } };

static int
read_seconds(const config_setting_t *s, void *place)
{
	return read_measure(s, times, 1000, place);
}

int
value_seconds(const char *text, int64_t *ms)
{
	return scan_measure(text, times, 1000, ms);
}

static int
read_size(const config_setting_t *s, void *place)
{
	static const struct unit units[] = { { "B", 1 }, { "KiB", 1 << 10 },
	    { "MiB", 1 << 20 }, { "GiB", 1 << 30 },
	    { "TiB", INT64_C(1) << 40 }, { NULL, 0 } };

	return read_measure(s, units, 1, place);
}

static int
read_octal(const config_setting_t *s, void *place)
{
	const char *text = config_setting_get_string(s);

	if (text == NULL || *text == '\0' || strlen(text) > 5 ||
	    text[strspn(text, "01234567")] != '\0')
		return -1;
	*(int64_t *)place = strtol(text, NULL, 8);
	return 0;
}

static void
print_int(FILE *out, const void *place)
{
	long long v = *(const int64_t *)place;

	/* libconfig wants a mark on what needs more than 32 bits. */
	fprintf(out, v > INT32_MAX ? "%lldL" : "%lld", v);
}

static void
print_seconds(FILE *out, const void *place)
{
	int64_t v = *(const int64_t *)place;

	fprintf(out, v % 1000 == 0 ? "%.0f" : "%.3f", (double)v / 1000);
}

static void
print_octal(FILE *out, const void *place)
{
	fprintf(out, "\"%03llo\"", (long long)*(const int64_t *)place);
}

static bool
same_number(const void *a, const void *b)
{
	return *(const int64_t *)a == *(const int64_t *)b;
}

/* --- yes or no ---------------------------------------------------------- */

static int
read_bool(const config_setting_t *s, void *place)
{
	if (config_setting_type(s) != CONFIG_TYPE_BOOL)
		return -1;
	*(bool *)place = config_setting_get_bool(s) == CONFIG_TRUE;
	return 0;
}

static void
print_bool(FILE *out, const void *place)
{
	fputs(*(const bool *)place ? "true" : "false", out);
}

static bool
same_bool(const void *a, const void *b)
{
	return *(const bool *)a == *(const bool *)b;
}

/* --- strings ------------------------------------------------------------ */

const char *
value_string(const config_setting_t *s)
{
	const char *text = config_setting_get_string(s);

	return text != NULL && strlen(text) < CONF_STRING_MAX ? text : NULL;
}

static int
read_string(const config_setting_t *s, void *place)
{
	const char *text = value_string(s);
	char *copy = NULL;

	if (text == NULL || (*text != '\0' && (copy = strdup(text)) == NULL))
		return -1;
	free(*(char **)place);
	*(char **)place = copy;
	return 0;
}

static int
read_path(const config_setting_t *s, void *place)
{
	const char *text = value_string(s);

	return text == NULL || (*text != '\0' && *text != '/') ? -1 :
	    read_string(s, place);
}

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
print_string(FILE *out, const void *place)
{
	const char *text = *(char *const *)place;

	conf_print_string(out, text == NULL ? "" : text);
}

static bool
same_string(const void *a, const void *b)
{
	const char *x = *(char *const *)a, *y = *(char *const *)b;

	return x == NULL || y == NULL ? x == y : strcmp(x, y) == 0;
}

static void
free_string(void *place)
{
	free(*(char **)place);
	*(char **)place = NULL;
}

/* --- lists of strings --------------------------------------------------- */

static void
free_list(void *place)
{
	for (char **p = *(char ***)place; p != NULL && *p != NULL; p++)
		free(*p);
	free(*(char ***)place);
	*(char ***)place = NULL;
}

/* A list or an array of strings, or one string. */
static int
read_strings(const config_setting_t *s, void *place)
{
	bool aggregate = config_setting_is_aggregate(s) == CONFIG_TRUE;
	int n = aggregate ? config_setting_length(s) : 1;
	char **list;

	if (config_setting_is_group(s) == CONFIG_TRUE ||
	    (list = calloc((size_t)n + 1, sizeof *list)) == NULL)
		return -1;
	for (int i = 0; i < n; i++) {
		const char *text = value_string(aggregate ?
		    config_setting_get_elem(s, (unsigned)i) : s);

		if (text == NULL || (list[i] = strdup(text)) == NULL) {
			free_list(&list);
			return -1;
		}
	}
	free_list(place);
	*(char ***)place = list;
	return 0;
}

/* The same of "NAME=VALUE". */
static int
read_variables(const config_setting_t *s, void *place)
{
	char **list = NULL;

	if (read_strings(s, &list) == -1)
		return -1;
	for (char **p = list; *p != NULL; p++) {
		if (strchr(*p, '=') == NULL || **p == '=') {
			free_list(&list);
			return -1;
		}
	}
	free_list(place);
	*(char ***)place = list;
	return 0;
}

static void
print_list(FILE *out, const void *place)
{
	char *const *list = *(char **const *)place;

	fputs("[ ", out);
	for (char *const *p = list; p != NULL && *p != NULL; p++) {
		if (p != list)
			fputs(", ", out);
		conf_print_string(out, *p);
	}
	fputs(" ]", out);
}

static bool
same_list(const void *a, const void *b)
{
	char *const *x = *(char **const *)a, *const *y = *(char **const *)b;

	if (x == NULL || y == NULL)
		return x == y;
	for (; *x != NULL && *y != NULL; x++, y++) {
		if (strcmp(*x, *y) != 0)
			return false;
	}
	return *x == *y;
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
			free_list(&list);
			return NULL;
		}
	}
	return list;
}

/* --- every type --------------------------------------------------------- */

/* The groups themselves are read by conf_each(). */
static int
read_groups(const config_setting_t *s, void *place)
{
	(void)place;
	return config_setting_is_list(s) == CONFIG_TRUE ||
	    config_setting_is_array(s) == CONFIG_TRUE ? 0 : -1;
}

static const struct type types[] = {
	[CONF_BOOL] = { "true or false", read_bool, print_bool, same_bool,
	    NULL, false },
	[CONF_INT] = { "a whole number", read_int, print_int, same_number,
	    NULL, true },
	[CONF_SECONDS] = { "a number of seconds, or one with its unit as "
	    "\"90 s\", \"10 min\" or \"2 h\"", read_seconds, print_seconds,
	    same_number, NULL, true },
	[CONF_SIZE] = { "a number of bytes, or one with its unit as "
	    "\"64 KiB\", \"16 MiB\" or \"1 GiB\"", read_size, print_int,
	    same_number, NULL, true },
	[CONF_STRING] = { "a string", read_string, print_string, same_string,
	    free_string, false },
	[CONF_PATH] = { "an absolute path", read_path, print_string,
	    same_string, free_string, false },
	[CONF_STRINGS] = { "a string or a list of strings", read_strings,
	    print_list, same_list, free_list, false },
	[CONF_VARIABLES] = { "a list of \"NAME=VALUE\"", read_variables,
	    print_list, same_list, free_list, false },
	[CONF_WORD] = { NULL, NULL, print_int, same_number, NULL, false },
	[CONF_OCTAL] = { "octal digits in quotes, as \"022\"", read_octal,
	    print_octal, same_number, NULL, true },
	[CONF_GROUPS] = { "a list, in parentheses", read_groups, NULL, NULL,
	    NULL, false },
};

static int
out_of_range(const struct conf_key *key, struct failure *why)
{
	FILE *out;

	failure_set(why, 0, "out of range");
	if ((out = fmemopen(why->hint, sizeof why->hint, "w")) == NULL)
		return -1;
	fputs("it may be from ", out);
	types[key->type].print(out, &key->min);
	fputs(" to ", out);
	types[key->type].print(out, &key->max);
	(void)fclose(out);
	return -1;
}

/* One of the words of "key", as its number; as value_read(). */
static int
read_word(const config_setting_t *s, const struct conf_key *key,
    int64_t *place, struct failure *why)
{
	const char *text = config_setting_get_string(s);
	const char *const *words = key->words;
	size_t used = strlen("must be ");

	failure_set(why, 0, "must be ");
	for (size_t i = 0; words[i] != NULL; i++) {
		if (text != NULL && strcmp(text, words[i]) == 0) {
			*place = (int64_t)i;
			return 0;
		}
		used += (size_t)snprintf(why->text + used,
		    sizeof why->text - used, "%s\"%s\"", i == 0 ? "" :
		    words[i + 1] == NULL ? " or " : ", ", words[i]);
	}
	return -1;
}

int
value_read(const config_setting_t *s, const struct conf_key *key, void *base,
    struct failure *why)
{
	const struct type *t = &types[key->type];
	void *place = (char *)base + key->offset;
	int64_t number = 0;

	if (key->type == CONF_WORD)
		return read_word(s, key, place, why);
	errno = 0;
	if (t->read(s, t->has_range ? &number : place) == -1) {
		failure_set(why, 0, "%s%s", errno == ENOMEM ?
		    "out of memory" : "must be ", errno == ENOMEM ? "" :
		    t->wanted);
		return -1;
	}
	if (!t->has_range)
		return 0;
	if (number < key->min || number > key->max)
		return out_of_range(key, why);
	*(int64_t *)place = number;
	return 0;
}

bool
conf_same(const struct conf_key *key, const void *a, const void *b)
{
	const struct type *t = &types[key->type];

	return t->same == NULL || t->same((const char *)a + key->offset,
	    (const char *)b + key->offset);
}

void
conf_print(FILE *out, const struct conf_key *table, size_t n,
    const void *base, int indent)
{
	for (const struct conf_key *key = table; key < table + n; key++) {
		const void *place = (const char *)base + key->offset;

		if (types[key->type].print == NULL)
			continue;
		for (int i = 0; i < indent; i++)
			fputc('\t', out);
		fprintf(out, "%s = ", key->name);
		if (key->type == CONF_WORD)
			conf_print_string(out,
			    key->words[*(const int64_t *)place]);
		else
			types[key->type].print(out, place);
		fputs(";\n", out);
	}
}

void
conf_free_values(const struct conf_key *table, size_t n, void *base)
{
	for (const struct conf_key *key = table; key < table + n; key++) {
		if (types[key->type].release != NULL)
			types[key->type].release((char *)base + key->offset);
	}
}
