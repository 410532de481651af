/* One argument of a command.
 * SPDX-License-Identifier: ISC */
#include <config.h>

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/number.h"
#include "common/base/pattern.h"
#include "common/base/text.h"
#include "common/base/words.h"
#include "daemon/rules/below.h"
#include "daemon/rules/slot.h"

static const struct conf_key slot_keys[] = {
	CONF_KEY(struct slot, flag, CONF_STRINGS),
	CONF_KEY(struct slot, one_of, CONF_STRINGS),
	CONF_KEY(struct slot, match, CONF_STRINGS),
	CONF_NUMBER(struct slot, min, CONF_INT, INT32_MIN, INT64_MAX),
	CONF_NUMBER(struct slot, max, CONF_INT, INT32_MIN, INT64_MAX),
	CONF_KEY(struct slot, below, CONF_PATH),
	CONF_KEY(struct slot, any, CONF_BOOL),
	CONF_KEY(struct slot, pinned, CONF_BOOL),
	CONF_KEY(struct slot, optional, CONF_BOOL),
	CONF_KEY(struct slot, repeat, CONF_BOOL),
	CONF_KEY(struct slot, rest, CONF_BOOL),
};

#define SLOT_KEYS	(sizeof slot_keys / sizeof slot_keys[0])

/* --- loading ------------------------------------------------------------ */

/* Which kind the keys of a group make it; the number of errors. */
static int
settle_kind(struct slot *s, const struct conf_group *group)
{
	bool integer = conf_has(group, "min") || conf_has(group, "max");
	int kinds = (s->one_of != NULL) + (s->match != NULL) + integer +
	    (s->below != NULL) + s->any;
	char why[PATTERN_WHY_MAX];

	if (kinds > 1 || (kinds == 0 && s->flag == NULL))
		return conf_complain(group, NULL, "an argument needs exactly "
		    "one of \"one_of\", \"match\", \"min\" with \"max\", "
		    "\"below\", and \"any\"; beside \"flag\" it may have none");
	s->kind = s->one_of != NULL ? SLOT_ONE_OF : s->match != NULL ?
	    SLOT_MATCH : integer ? SLOT_INTEGER : s->below != NULL ?
	    SLOT_BELOW : s->any ? SLOT_ANY : SLOT_FLAG;
	if ((s->one_of != NULL && s->one_of[0] == NULL) ||
	    (s->match != NULL && s->match[0] == NULL))
		return conf_complain(group, s->kind == SLOT_MATCH ? "match" :
		    "one_of", "an empty list fits nothing; remove the "
		    "argument, or say what it may be");
	if (s->kind == SLOT_MATCH &&
	    (s->set = pattern_compile(s->match, why)) == NULL)
		return conf_complain(group, "match", "%s", why);
	if (integer && (!conf_has(group, "min") || !conf_has(group, "max") ||
	    s->min > s->max))
		return conf_complain(group, NULL, "\"min\" and \"max\" belong "
		    "together, the smaller first");
	return 0;
}

static bool
ends_in_equals(const char *flag)
{
	size_t n = strlen(flag);

	return n > 0 && flag[n - 1] == '=';
}

static int
check_flags(const struct slot *s, const struct conf_group *group)
{
	if (s->flag == NULL)
		return 0;
	if (s->rest)
		return conf_complain(group, "rest", "is for an argument "
		    "without \"flag\"; beside one, \"optional\" and "
		    "\"repeat\" say how often it may come");
	if (s->flag[0] == NULL)
		return conf_complain(group, "flag", "is an empty list; name an "
		    "option, as \"-n\"");
	for (char **f = s->flag; *f != NULL; f++) {
		if (**f == '\0')
			return conf_complain(group, "flag", "has an empty "
			    "word; name an option, as \"-n\"");
		if (s->kind == SLOT_FLAG && ends_in_equals(*f))
			return conf_complain(group, "flag", "\"%.100s\" ends "
			    "in \"=\", so it needs a value: add \"one_of\", "
			    "\"match\", \"min\" with \"max\", \"below\" or "
			    "\"any\"", *f);
	}
	return 0;
}

int
slot_load(struct slot *s, const struct conf_group *group, const char *text)
{
	memset(s, 0, sizeof *s);
	if (text != NULL) {
		s->fixed = strdup(text);
		return s->fixed != NULL ? 0 :
		    conf_complain(group, NULL, "out of memory");
	}
	if (conf_read_group(group, slot_keys, SLOT_KEYS, s) > 0)
		return 1;
	if (conf_has(group, "pinned"))
		s->pin = s->pinned ? CHILD_PIN_ALWAYS : CHILD_PIN_NEVER;
	s->optional |= s->rest;
	s->repeat |= s->rest;
	return settle_kind(s, group) + check_flags(s, group);
}

void
slot_free(struct slot *s)
{
	free(s->fixed);
	pattern_set_free(s->set);
	conf_free_values(slot_keys, SLOT_KEYS, s);
}

/* --- printing and comparing --------------------------------------------- */

/* Does the key say something about this slot? */
static bool
is_set(const struct slot *s, const struct conf_key *key)
{
	const void *value = (const char *)s + key->offset;

	switch (key->offset) {
	case offsetof(struct slot, min):
	case offsetof(struct slot, max):
		return s->kind == SLOT_INTEGER;
	case offsetof(struct slot, pinned):
		return s->pin != CHILD_PIN_NEEDED;
	case offsetof(struct slot, optional):
		return s->optional && !s->rest;
	case offsetof(struct slot, repeat):
		return s->repeat && !s->rest;
	default:
		break;
	}
	return key->type == CONF_BOOL ? *(const bool *)value :
	    *(const void *const *)value != NULL;
}

void
slot_print(FILE *out, const struct slot *s)
{
	fputs("\t\t\t\t", out);
	if (s->kind == SLOT_FIXED) {
		conf_print_string(out, s->fixed);
		return;
	}
	fputs("{ ", out);
	for (size_t i = 0; i < SLOT_KEYS; i++) {
		if (is_set(s, &slot_keys[i]))
			conf_print(out, &slot_keys[i], 1, s, 0);
	}
	fputs("\t\t\t\t}", out);
}

bool
slot_same(const struct slot *a, const struct slot *b)
{
	if (a->kind != b->kind || a->pin != b->pin ||
	    (a->kind == SLOT_FIXED && strcmp(a->fixed, b->fixed) != 0))
		return false;
	for (size_t i = 0; i < SLOT_KEYS; i++) {
		if (!conf_same(&slot_keys[i], a, b))
			return false;
	}
	return true;
}

/* --- matching ----------------------------------------------------------- */

bool
slot_takes(const struct slot *s, const char *value)
{
	int64_t number;

	switch (s->kind) {
	case SLOT_FIXED:
		return strcmp(s->fixed, value) == 0;
	case SLOT_ONE_OF:
		return text_list_has((const char *const *)s->one_of, value);
	case SLOT_MATCH:
		return pattern_set_match(s->set, value);
	case SLOT_INTEGER:
		return number_whole(value, s->min, s->max, &number) == 0;
	case SLOT_BELOW:
		return below_has(s->below, value);
	case SLOT_ANY:
	case SLOT_FLAG:
		break;
	}
	return s->kind == SLOT_ANY;
}

bool
slot_is_flag(const struct slot *s, const char *word, size_t *skip)
{
	for (char **f = s->flag; f != NULL && *f != NULL; f++) {
		*skip = s->kind != SLOT_FLAG && ends_in_equals(*f) ?
		    strlen(*f) : 0;
		if (*skip > 0 ? strncmp(word, *f, *skip) == 0 :
		    strcmp(word, *f) == 0)
			return true;
	}
	return false;
}

/* --- for people --------------------------------------------------------- */

void
slot_add(struct slot_text *t, const char *format, ...)
{
	size_t left = t->size - t->used;
	va_list ap;
	int n;

	va_start(ap, format);
	n = vsnprintf(t->out + t->used, left, format, ap);
	va_end(ap);
	if (n >= 0 && (size_t)n < left) {
		t->used += (size_t)n;
		return;
	}
	t->used = t->size - 1;
	memcpy(t->out + t->size - 4, "...", 4);
}

/* Add a list of strings, with "several" before it if it is one. */
static void
add_list(struct slot_text *t, const char *several, char *const *list)
{
	if (list[0] == NULL || list[1] != NULL)
		slot_add(t, "%s", several);
	for (char *const *p = list; *p != NULL; p++)
		slot_add(t, "%s\"%s\"", p == list ? "" : ", ", *p);
}

void
slot_add_wanted(struct slot_text *t, const struct slot *s, bool value)
{
	if (s->flag != NULL && !value) {
		add_list(t, "one of ", s->flag);
		slot_add(t, "%s", s->kind == SLOT_FLAG ? "" : " with ");
	}
	switch (s->kind) {
	case SLOT_FIXED:
		slot_add(t, "\"%s\"", s->fixed);
		break;
	case SLOT_ONE_OF:
		add_list(t, "one of ", s->one_of);
		break;
	case SLOT_MATCH:
		slot_add(t, s->match[1] == NULL ? "of the form " : "of ");
		add_list(t, "one of the forms ", s->match);
		break;
	case SLOT_INTEGER:
		slot_add(t, "a number from %lld to %lld", (long long)s->min,
		    (long long)s->max);
		break;
	case SLOT_BELOW:
		slot_add(t, "a path below %s", s->below);
		break;
	case SLOT_ANY:
		slot_add(t, "any word");
		break;
	case SLOT_FLAG:
		break;
	}
}

/* Add a word as a shell takes it. */
static void
add_word(struct slot_text *t, char *word)
{
	char shown[512];
	bool whole = words_show(shown, sizeof shown, (char *[]){ word, NULL });

	slot_add(t, "%s%s", shown, whole ? "" : "...");
}

/* Add words, or patterns, of which one is typed. */
static void
add_choice(struct slot_text *t, char *const *list, bool patterns)
{
	bool several = list[0] == NULL || list[1] != NULL;

	slot_add(t, "%s", several ? "(" : "");
	for (char *const *p = list; *p != NULL; p++) {
		slot_add(t, "%s", p == list ? "" : "|");
		if (patterns)
			slot_add(t, "%s", *p);
		else
			add_word(t, *p);
	}
	slot_add(t, "%s", several ? ")" : "");
}

static void
add_value(struct slot_text *t, const struct slot *s)
{
	switch (s->kind) {
	case SLOT_FIXED:
		add_word(t, s->fixed);
		break;
	case SLOT_ONE_OF:
		add_choice(t, s->one_of, false);
		break;
	case SLOT_MATCH:
		add_choice(t, s->match, true);
		break;
	case SLOT_INTEGER:
		slot_add(t, "%lld..%lld", (long long)s->min,
		    (long long)s->max);
		break;
	case SLOT_BELOW:
		slot_add(t, "%s/PATH", strcmp(s->below, "/") == 0 ? "" :
		    s->below);
		break;
	case SLOT_ANY:
		slot_add(t, "WORD");
		break;
	case SLOT_FLAG:
		break;
	}
}

void
slot_add_usage(struct slot_text *t, const struct slot *s)
{
	bool several = s->flag != NULL && s->flag[1] != NULL;

	slot_add(t, "%s", s->optional ? "[" : several ? "(" : "");
	if (s->flag == NULL)
		add_value(t, s);
	for (char **f = s->flag; f != NULL && *f != NULL; f++) {
		slot_add(t, "%s", f == s->flag ? "" : "|");
		add_word(t, *f);
		if (s->kind != SLOT_FLAG && !ends_in_equals(*f))
			slot_add(t, " ");
		add_value(t, s);
	}
	slot_add(t, "%s%s", s->optional ? "]" : several ? ")" : "",
	    s->repeat ? "..." : "");
}
