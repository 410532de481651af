/* The arguments of a command, and which words fit them.
 * SPDX-License-Identifier: ISC */
#include <config.h>

#include <stdlib.h>
#include <string.h>

#include "common/base/text.h"
#include "daemon/exec/arena.h"
#include "daemon/exec/privilege.h"
#include "daemon/exec/trust.h"
#include "daemon/rules/below.h"
#include "daemon/rules/slots.h"

/* --- loading and printing ----------------------------------------------- */

/* Does the slot before the last one leave a word for it? */
static int
check_before(const struct slots *s, const struct conf_group *group)
{
	const struct slot *before = s->count < 2 ? NULL :
	    &s->list[s->count - 2];
	size_t flags = 0;

	if (before != NULL && before->flag == NULL && (before->rest ||
	    (before->kind == SLOT_ANY && before->repeat)))
		return conf_complain(group, NULL, "nothing can follow the "
		    "argument that takes %s", before->rest ? "the \"rest\"" :
		    "\"any\" word and may \"repeat\"");
	while (flags < s->count &&
	    s->list[s->count - 1 - flags].flag != NULL)
		flags++;
	return flags <= SLOTS_FLAGS_MAX ? 0 : conf_complain(group, "flag",
	    "there are more than %d groups with \"flag\" in a row; put options "
	    "with the same values into one", SLOTS_FLAGS_MAX);
}

int
slots_add(struct slots *s, const struct conf_group *group, const char *text)
{
	struct slot *list = realloc(s->list, (s->count + 1) * sizeof *list);

	if (list == NULL)
		return conf_complain(group, NULL, "out of memory");
	s->list = list;
	return slot_load(&list[s->count++], group, text) +
	    check_before(s, group);
}

int
slots_add_rest(struct slots *s)
{
	if ((s->list = calloc(1, sizeof *s->list)) == NULL)
		return -1;
	s->list[0] = (struct slot){ .kind = SLOT_ANY, .any = true,
	    .optional = true, .repeat = true, .rest = true };
	s->count = 1;
	return 0;
}

void
slots_free(struct slots *s)
{
	for (size_t i = 0; i < s->count; i++)
		slot_free(&s->list[i]);
	free(s->list);
	s->list = NULL;
	s->count = 0;
}

void
slots_print(FILE *out, const struct slots *s)
{
	fputs("\t\t\t\targuments = (", out);
	for (size_t i = 0; i < s->count; i++) {
		fputs(i == 0 ? "\n" : ",\n", out);
		slot_print(out, &s->list[i]);
	}
	fputs(" );\n", out);
}

bool
slots_are_fixed(const struct slots *s)
{
	for (size_t i = 0; i < s->count; i++) {
		if (s->list[i].kind != SLOT_FIXED)
			return false;
	}
	return true;
}

/* --- paths -------------------------------------------------------------- */

size_t
slots_descriptors(const struct slots *s)
{
	size_t paths = 0;

	for (size_t i = 0; i < s->count; i++) {
		const struct slot *slot = &s->list[i];

		if (slot->kind == SLOT_BELOW && slot->pin != CHILD_PIN_NEVER)
			paths += slot->repeat ? CHILD_PATHS_MAX : 1;
	}
	return paths > CHILD_PATHS_MAX ? CHILD_PATHS_MAX : paths;
}

const char *
slots_check(const struct slots *list, const struct account *commands,
    char *why, size_t size)
{
	char what[1024];
	struct trust t;

	for (size_t i = 0; commands != NULL && i < list->count; i++) {
		const struct slot *s = &list->list[i];

		if (s->kind != SLOT_BELOW || s->pin != CHILD_PIN_NEEDED ||
		    trust_ask(s->below, commands->uid, false, &t) != 1)
			continue;
		(void)snprintf(why, size, "the way to %.500s could be changed: "
		    "%s; so programs get such paths by a descriptor, as "
		    "/proc/self/fd/%d/NAME; see \"pinned\"", s->below,
		    trust_explain(&t, 1, 0, commands->name, what, sizeof what),
		    CHILD_PATH_FD);
		return why;
	}
	return NULL;
}

/* --- matching ----------------------------------------------------------- */

/* A walk along the slots and the words. */
struct walk {
	const struct slots *slots;
	char *const *words;
	size_t at;		/* The next word. */
	size_t from;		/* The first slot that could take it. */
	size_t paths;
	/* What is made meanwhile; argv NULL: nothing. */
	char **argv;
	size_t used;
	struct arena *memory;
	struct child_plan *plan;
	bool failed;		/* Memory is out. */
};

/* Does the slot take "value", and is there room for it? */
static bool
takes(const struct walk *w, const struct slot *s, const char *value)
{
	return (s->kind != SLOT_BELOW || w->paths < CHILD_PATHS_MAX) &&
	    slot_takes(s, value);
}

/* Give the next word to the program; a path in it comes after "skip" bytes. */
static void
take(struct walk *w, const struct slot *s, bool path, size_t skip)
{
	char *word = w->words[w->at++];

	w->paths += path;
	if (w->argv == NULL)
		return;
	w->argv[w->used] = word;
	if (path && below_plan(w->plan, &(struct below){ s->below, s->pin,
	    word, skip }, w->memory, &w->argv[w->used]) == -1)
		w->failed = true;
	w->used++;
}

/* The misfit is at the next word, where slots before "to" were tried. */
static bool
misfit(const struct walk *w, size_t from, size_t to, struct slots_misfit *m)
{
	*m = (struct slots_misfit){ .words = w->at, .from = from, .to = to,
	    .lacking = w->words[w->at] == NULL };
	return false;
}

/* The words of one slot without a flag. */
static bool
walk_slot(struct walk *w, size_t i, struct slots_misfit *m)
{
	const struct slot *s = &w->slots->list[i];
	bool taken = false;

	if (s->kind == SLOT_FIXED && w->slots->inserted) {
		if (w->argv != NULL)
			w->argv[w->used++] = s->fixed;
		return true;
	}
	while (w->words[w->at] != NULL && (s->repeat || !taken) &&
	    takes(w, s, w->words[w->at])) {
		take(w, s, s->kind == SLOT_BELOW, 0);
		taken = true;
	}
	if (taken)
		w->from = s->repeat ? i : i + 1;
	return taken || s->optional || misfit(w, w->from, i + 1, m);
}

/* Take the option of slot "i", and its value, which begins "skip" bytes on. */
static bool
walk_option(struct walk *w, size_t i, size_t skip, struct slots_misfit *m)
{
	const struct slot *s = &w->slots->list[i];
	const char *value = w->words[w->at] + skip;

	if (skip == 0) {
		take(w, s, false, 0);
		if (s->kind == SLOT_FLAG)
			return true;
		value = w->words[w->at];
	}
	if (value == NULL || !takes(w, s, value)) {
		(void)misfit(w, i, i + 1, m);
		m->value = true;
		return false;
	}
	take(w, s, s->kind == SLOT_BELOW, skip);
	return true;
}

/* Options in any order, by the slots from "first" up to "end". */
static bool
walk_options(struct walk *w, size_t first, size_t end, struct slots_misfit *m)
{
	const struct slot *list = w->slots->list;
	uint64_t taken = 0;
	size_t i, skip;

	for (;;) {
		const char *word = w->words[w->at];

		for (i = first; word != NULL && i < end; i++) {
			if ((list[i].repeat || (taken >> (i - first) & 1) ==
			    0) && slot_is_flag(&list[i], word, &skip))
				break;
		}
		if (word == NULL || i == end)
			break;
		if (!walk_option(w, i, skip, m))
			return false;
		taken |= UINT64_C(1) << (i - first);
	}
	for (i = first; i < end; i++) {
		if (!list[i].optional && (taken >> (i - first) & 1) == 0)
			return misfit(w, i, i + 1, m);
	}
	/* The next word could be any of those that may still come. */
	for (i = first; taken != 0 && i < end && !list[i].repeat &&
	    (taken >> (i - first) & 1) != 0; i++)
		;
	w->from = taken != 0 ? i : w->from;
	return true;
}

/* Do all words fit?  If not, "m" says which. */
static bool
walk(struct walk *w, struct slots_misfit *m)
{
	const struct slots *s = w->slots;

	for (size_t i = 0, end; i < s->count; i = end) {
		for (end = i; end < s->count && s->list[end].flag != NULL; )
			end++;
		if (end > i ? !walk_options(w, i, end, m) :
		    !walk_slot(w, end++, m))
			return false;
	}
	if (w->words[w->at] == NULL)
		return true;
	(void)misfit(w, w->from, s->count, m);
	m->optional = true;
	return false;
}

bool
slots_fit(const struct slots *s, char *const *words, struct slots_misfit *m)
{
	struct walk w = { .slots = s, .words = words };

	return walk(&w, m);
}

char **
slots_fill(const struct slots *s, char *program, char *const *words,
    struct arena *a, struct child_plan *plan)
{
	size_t n = text_list_length(words);
	struct walk w = { .slots = s, .words = words, .memory = a,
	    .plan = plan, .used = 1 };
	struct slots_misfit m;

	w.argv = arena_alloc(a, (n + s->count + 2) * sizeof *w.argv);
	if (w.argv == NULL)
		return NULL;
	w.argv[0] = program;
	w.failed = !walk(&w, &m) || w.failed;
	w.argv[w.used] = NULL;
	return w.failed ? NULL : w.argv;
}

bool
slots_insert(const struct slots *s)
{
	return s->inserted && s->count > 0 && s->list[0].kind == SLOT_FIXED;
}

char **
slots_open(const struct slots *s, char *program, char *const *words,
    struct arena *a)
{
	size_t n = text_list_length(words), k = 0;
	char **argv = arena_alloc(a, (n + s->count + 2) * sizeof *argv);

	if (argv == NULL)
		return NULL;
	argv[k++] = program;
	for (size_t i = 0; s->inserted && i < s->count &&
	    s->list[i].kind == SLOT_FIXED; i++)
		argv[k++] = s->list[i].fixed;
	/* The client's own, with its NULL. */
	memcpy(argv + k, words, (n + 1) * sizeof *argv);
	return argv;
}

/* --- for people --------------------------------------------------------- */

const char *
slots_wanted(const struct slots *list, const struct slots_misfit *m, char *out,
    size_t size)
{
	struct slot_text t = { .out = out, .size = size };

	out[0] = '\0';
	for (size_t i = m->from; i < m->to; i++) {
		if (list->inserted && list->list[i].kind == SLOT_FIXED)
			continue;
		slot_add(&t, "%s", t.used == 0 ? "" : ", or ");
		slot_add_wanted(&t, &list->list[i], m->value);
	}
	if (m->optional)
		slot_add(&t, "%sleft out", t.used == 0 ? "" : ", or ");
	return out;
}

/* The number of the slot from "i" on that clients give a word for. */
static size_t
next_given(const struct slots *s, size_t i)
{
	while (i < s->count && s->inserted && s->list[i].kind == SLOT_FIXED)
		i++;
	return i;
}

const char *
slots_usage(const struct slots *s, char *out, size_t size)
{
	struct slot_text t = { .out = out, .size = size };

	out[0] = '\0';
	for (size_t i = next_given(s, 0); i < s->count;
	    i = next_given(s, i + 1)) {
		slot_add(&t, "%s", t.used == 0 ? "" : " ");
		slot_add_usage(&t, &s->list[i]);
	}
	return out;
}

bool
slots_cover(const struct slots *a, const struct slots *b)
{
	size_t i = next_given(a, 0), k = next_given(b, 0);

	for (; i < a->count && k < b->count && slot_same(&a->list[i],
	    &b->list[k]); i = next_given(a, i + 1), k = next_given(b, k + 1))
		;
	if (i < a->count)
		return a->list[i].kind == SLOT_ANY && a->list[i].rest;
	return k == b->count;
}
