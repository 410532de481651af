/* A command of a rule: its program, words and slots.
 * SPDX-License-Identifier: ISC */
#include <config.h>

#include <errno.h>
#include <grp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/exec/arena.h"
#include "common/base/number.h"
#include "common/base/pattern.h"
#include "common/base/text.h"
#include "common/wire/proto.h"
#include "daemon/rules/grant.h"
#include "daemon/exec/privilege.h"
#include "daemon/exec/trust.h"

/* What a slot takes, by the key that says so. */
enum slot_kind { FIXED, ONE_OF, MATCH, INTEGER, BELOW, ANY };

struct slot {
	enum slot_kind kind;
	char *fixed;
	char **one_of;
	char **match;		/* Patterns, as of pattern_compile(). */
	struct pattern_set *set;
	int64_t min;
	int64_t max;
	char *below;
	bool pinned;
	enum child_pin pin;	/* What "pinned" says, if it is there. */
	bool any;
	bool rest;		/* It takes all that is left. */
};

static const struct conf_key slot_keys[] = {
	CONF_KEY(struct slot, one_of, CONF_STRINGS),
	CONF_KEY(struct slot, match, CONF_STRINGS),
	CONF_NUMBER(struct slot, min, CONF_INT, INT32_MIN, INT64_MAX),
	CONF_NUMBER(struct slot, max, CONF_INT, INT32_MIN, INT64_MAX),
	CONF_KEY(struct slot, below, CONF_PATH),
	CONF_KEY(struct slot, pinned, CONF_BOOL),
	CONF_KEY(struct slot, any, CONF_BOOL),
	CONF_KEY(struct slot, rest, CONF_BOOL),
};

#define SLOT_KEYS	(sizeof slot_keys / sizeof slot_keys[0])

/* The kinds that these keys are of; FIXED has none. */
static const enum slot_kind slot_kinds[SLOT_KEYS] = {
	ONE_OF, MATCH, INTEGER, INTEGER, BELOW, FIXED, ANY, FIXED
};

static const struct conf_key grant_keys[] = {
	CONF_KEY(struct grant, name, CONF_STRING),
	CONF_KEY(struct grant, program, CONF_PATH),
	CONF_KEY(struct grant, summary, CONF_STRING),
	CONF_KEY(struct grant, log_mask, CONF_STRINGS),
	EXEC_OPTIONS_KEYS(struct grant, options),
	CONF_LIST_OF_GROUPS(arguments),
};

#define GRANT_KEYS	(sizeof grant_keys / sizeof grant_keys[0])

/* --- loading -------------------------------------------------------------- */

/* What the keys of a slot's group make of it; the number of errors. */
static int
settle_slot(struct slot *s, const struct conf_group *group)
{
	bool integer = conf_has(group, "min") || conf_has(group, "max");
	char why[PATTERN_WHY_MAX];

	if ((s->one_of != NULL) + (s->match != NULL) + integer +
	    (s->below != NULL) + s->any != 1)
		return conf_complain(group, NULL, "an argument needs exactly "
		    "one of \"one_of\", \"match\", \"min\" with \"max\", "
		    "\"below\", and \"any\"");
	s->kind = s->one_of != NULL ? ONE_OF : s->match != NULL ? MATCH :
	    integer ? INTEGER : s->below != NULL ? BELOW : ANY;
	if (s->kind == MATCH &&
	    (s->set = pattern_compile(s->match, why)) == NULL)
		return conf_complain(group, "match", "%s", why);
	if (integer && (!conf_has(group, "min") || !conf_has(group, "max") ||
	    s->min > s->max))
		return conf_complain(group, NULL, "\"min\" and \"max\" belong "
		    "together, the smaller first");
	return 0;
}

static int
add_slot(void *context, const struct conf_group *group, const char *text)
{
	struct grant *g = context;
	struct slot *slots, *s;

	slots = realloc(g->slots, (g->count + 1) * sizeof *slots);
	if (slots == NULL)
		return conf_complain(group, NULL, "out of memory");
	g->slots = slots;
	s = &slots[g->count++];
	memset(s, 0, sizeof *s);
	if (g->count > 1 && slots[g->count - 2].rest)
		return conf_complain(group, NULL, "nothing can follow the "
		    "argument that takes the \"rest\"");
	if (text != NULL) {
		s->kind = FIXED;
		s->fixed = strdup(text);
		return s->fixed != NULL ? 0 :
		    conf_complain(group, NULL, "out of memory");
	}
	if (conf_read_group(group, slot_keys, SLOT_KEYS, s) > 0)
		return 1;
	if (conf_has(group, "pinned"))
		s->pin = s->pinned ? CHILD_PIN_ALWAYS : CHILD_PIN_NEVER;
	return settle_slot(s, group);
}

/* Of an absolute path. */
static const char *
last_part(const char *path)
{
	return strrchr(path, '/') + 1;
}

/* A path alone: called by itself or by its last part, with any arguments. */
static int
load_path(struct grant *g, const struct conf_group *group, const char *text)
{
	if (*text != '/' || strlen(text) > PROTO_PATH_MAX ||
	    *last_part(text) == '\0')
		return conf_complain(group, NULL, "commands: \"%.100s\" is not "
		    "an absolute path", text);
	g->any_arguments = true;
	g->program = strdup(text);
	g->name = strdup(last_part(text));
	return g->program != NULL && g->name != NULL ? 0 :
	    conf_complain(group, NULL, "out of memory");
}

/* A path slot may need a descriptor of its own, from CHILD_PATH_FD on. */
static int
check_open_files(const struct grant *g, const struct conf_group *group)
{
	int64_t files = g->options.limits.open_files, paths = 0;

	for (size_t i = 0; i < g->count; i++) {
		const struct slot *s = &g->slots[i];

		if (s->kind == BELOW && s->pin != CHILD_PIN_NEVER)
			paths = s->rest ? CHILD_PATHS_MAX : paths + 1;
	}
	if (paths == 0 || files == 0 || files >= CHILD_PATH_FD + paths)
		return 0;
	return conf_complain(group, "open_files", "must be at least %lld for "
	    "the paths among the arguments, which are handed over as "
	    "descriptors from %d on", (long long)(CHILD_PATH_FD + paths),
	    CHILD_PATH_FD);
}

static int
load_group(struct grant *g, const struct conf_group *group)
{
	if (conf_read_group(group, grant_keys, GRANT_KEYS, g) > 0)
		return 1;
	if (g->program == NULL)
		return conf_complain(group, NULL, "the command has no "
		    "\"program\": give its absolute path");
	if (g->name == NULL && (g->name = strdup(last_part(g->program))) ==
	    NULL)
		return conf_complain(group, NULL, "out of memory");
	if (strchr(g->name, '/') != NULL)
		return conf_complain(group, "name", "must have no \"/\"");
	return conf_each_in(group, "arguments", add_slot, g) +
	    check_open_files(g, group);
}

int
grant_load(struct grant *g, const struct conf_group *group, const char *text,
    const struct exec_options *defaults)
{
	char where[CONF_STRING_MAX + 32];

	memset(g, 0, sizeof *g);
	if (exec_options_copy(&g->options, defaults) == -1 ||
	    (g->where = strdup(conf_group_where(group, where,
	    sizeof where))) == NULL)
		return conf_complain(group, NULL, "out of memory");
	return text != NULL ? load_path(g, group, text) :
	    load_group(g, group);
}

void
grant_free(struct grant *g)
{
	for (size_t i = 0; i < g->count; i++) {
		free(g->slots[i].fixed);
		pattern_set_free(g->slots[i].set);
		conf_free_values(slot_keys, SLOT_KEYS, &g->slots[i]);
	}
	free(g->slots);
	free(g->where);
	conf_free_values(grant_keys, GRANT_KEYS, g);
}

/* --- fitting -------------------------------------------------------------- */

/*
 * Make "path" one that is seen from "below", without "." and "//"; NULL if it
 * begins elsewhere or climbs with "..", or if memory is out.
 */
static char *
relative_path(const char *below, const char *path, struct arena *a,
    bool *inside)
{
	size_t n = strlen(below);
	char *out, *p;

	*inside = false;
	while (n > 1 && below[n - 1] == '/')
		n--;
	if (*path == '/') {
		if (strncmp(path, below, n) != 0 ||
		    (n > 1 && path[n] != '/' && path[n] != '\0'))
			return NULL;
		path += n;
	}
	if (strlen(path) > PROTO_PATH_MAX - 64)
		return NULL;
	if ((out = p = arena_alloc(a, strlen(path) + 2)) == NULL) {
		*inside = true;
		return NULL;
	}
	while (*path != '\0') {
		size_t part = strcspn(path, "/");

		if (part == 2 && strncmp(path, "..", 2) == 0)
			return NULL;
		if (part > 1 || (part == 1 && *path != '.')) {
			if (p > out)
				*p++ = '/';
			memcpy(p, path, part);
			p += part;
		}
		path += part + (path[part] == '/');
	}
	if (p == out)
		*p++ = '.';
	*p = '\0';
	*inside = true;
	return out;
}

/* Cut "p->relative" into its directory and its last part, and make the words
 * that may stand for it.  0, or -1 if memory is out. */
static int
cut_path(struct child_path *p, size_t number, struct arena *a)
{
	char *slash = strrchr(p->relative, '/');

	p->last = slash == NULL ? p->relative : slash + 1;
	p->directory = slash == NULL ? arena_printf(a, ".") :
	    arena_printf(a, "%.*s", (int)(slash - p->relative), p->relative);
	if (p->directory == NULL)
		return -1;
	p->way = arena_printf(a, "%s/%s", p->below, p->directory);
	p->open_file = arena_printf(a, "/proc/self/fd/%zu",
	    CHILD_PATH_FD + number);
	p->open_place = arena_printf(a, "/proc/self/fd/%zu/%s",
	    CHILD_PATH_FD + number, p->last);
	return p->way == NULL || p->open_file == NULL ||
	    p->open_place == NULL ? -1 : 0;
}

/*
 * The word is a path below the slot's directory.  The program gets what the
 * client has written, made absolute: for some a "/" at the end, or a "/.",
 * means something.
 */
static int
fit_path(const struct slot *s, char *word, struct arena *a,
    struct child_plan *plan, char **result)
{
	struct child_path *path = &plan->below[plan->below_count];
	bool inside;

	if (plan->below_count == CHILD_PATHS_MAX)
		return 0;
	path->below = s->below;
	path->pin = s->pin;
	path->relative = relative_path(s->below, word, a, &inside);
	if (path->relative == NULL)
		return inside ? -1 : 0;
	if (cut_path(path, plan->below_count, a) == -1)
		return -1;
	*result = *word == '/' ? word : arena_printf(a, "%s%s%s", s->below,
	    s->below[strlen(s->below) - 1] == '/' ? "" : "/", word);
	path->word = result;
	plan->below_count++;
	return *result == NULL ? -1 : 1;
}

/* Does "word" fit the slot?  1, 0, -1 as grant_fit(). */
static int
fit_word(const struct slot *s, char *word, struct arena *a,
    struct child_plan *plan, char **result)
{
	int64_t number;

	*result = word;
	switch (s->kind) {
	case ONE_OF:
		return text_list_has((const char *const *)s->one_of, word);
	case MATCH:
		return pattern_set_match(s->set, word);
	case INTEGER:
		return number_whole(word, s->min, s->max, &number) == 0;
	case BELOW:
		return fit_path(s, word, a, plan, result);
	case ANY:
	case FIXED:
		break;
	}
	return 1;
}

/* What a slot wants, in a few words. */
static const char *
wanted(const struct slot *s, char out[128])
{
	switch (s->kind) {
	case ONE_OF:
		return "one of a set of words";
	case MATCH:
		return "a word of another form";
	case INTEGER:
		(void)snprintf(out, 128, "a number from %lld to %lld",
		    (long long)s->min, (long long)s->max);
		return out;
	case BELOW:
		(void)snprintf(out, 128, "a path below %.90s", s->below);
		return out;
	case ANY:
	case FIXED:
		break;
	}
	return "an argument";
}

int
grant_fit(const struct grant *g, char *const *words, struct arena *a,
    struct child_plan *plan, char *why, size_t size)
{
	char *const *word = words + 1;
	char text[128], **argv;
	size_t n = text_list_length(words), k = 0;
	int fits = 1;

	if ((argv = arena_alloc(a, (n + g->count + 2) * sizeof *argv)) == NULL)
		return -1;
	argv[k++] = g->program;
	for (size_t i = 0; i < g->count; i++) {
		const struct slot *s = &g->slots[i];

		if (s->kind == FIXED) {
			argv[k++] = s->fixed;
			continue;
		}
		if (*word == NULL && !s->rest) {
			(void)snprintf(why, size, "%.100s lacks its argument "
			    "%zu, %s", g->name, (size_t)(word - words),
			    wanted(s, text));
			return 0;
		}
		do {
			if (*word != NULL)
				fits = fit_word(s, *word++, a, plan,
				    &argv[k++]);
		} while (s->rest && *word != NULL && fits == 1);
		if (fits == 0)
			(void)snprintf(why, size, "the argument %zu of %.100s "
			    "must be %s", (size_t)(word - words) - 1, g->name,
			    wanted(s, text));
		if (fits != 1)
			return fits;
	}
	while (g->any_arguments && *word != NULL)
		argv[k++] = *word++;
	if (*word != NULL) {
		(void)snprintf(why, size, "%.100s takes no argument %zu",
		    g->name, (size_t)(word - words));
		return 0;
	}
	argv[k] = NULL;
	plan->argv = argv;
	return 1;
}

char **
grant_open(const struct grant *g, char *const *words, struct arena *a)
{
	size_t n = text_list_length(words), k = 0;
	char **argv;

	if ((argv = arena_alloc(a, (n + g->count + 1) * sizeof *argv)) == NULL)
		return NULL;
	argv[k++] = g->program;
	for (size_t i = 0; i < g->count && g->slots[i].kind == FIXED; i++)
		argv[k++] = g->slots[i].fixed;
	/* The client's own, its NULL included, without its name for us. */
	memcpy(argv + k, words + 1, n * sizeof *argv);
	return argv;
}

/* --- masking -------------------------------------------------------------- */

static char stars[] = "***";

/* Are the "n" bytes of "word" the option "mask", or, as getopt_long(3) takes
 * it, the beginning of a long one's name? */
static bool
names_option(const char *mask, const char *word, size_t n)
{
	if (strncmp(mask, word, n) != 0)
		return false;
	return mask[n] == '\0' || (n > 2 && word[0] == '-' && word[1] == '-');
}

/* Is the argument "i", after "before", named by the mask? */
static char *
masked(const struct grant *g, size_t i, const char *before, char *word,
    struct arena *a)
{
	char number[24];

	(void)snprintf(number, sizeof number, "%zu", i);
	for (char **m = g->log_mask; *m != NULL; m++) {
		size_t n = strcspn(word, "=");

		if (strcmp(*m, number) == 0 || (**m == '-' &&
		    names_option(*m, before, strlen(before))))
			return stars;
		/* --flag=value shows the flag, and so does -fvalue. */
		if (**m == '-' && word[n] == '=' && names_option(*m, word, n))
			return arena_printf(a, "%.*s=%s", (int)n, word, stars);
		if (**m == '-' && strlen(*m) == 2 && (*m)[1] != '-' &&
		    strncmp(*m, word, 2) == 0 && word[2] != '\0')
			return arena_printf(a, "%s%s", *m, stars);
	}
	return word;
}

char **
grant_mask(const struct grant *g, char *const *words, struct arena *a)
{
	size_t n = text_list_length(words);
	char **out;

	if ((out = arena_alloc(a, (n + 1) * sizeof *out)) == NULL)
		return NULL;
	memcpy(out, words, (n + 1) * sizeof *out);
	for (size_t i = 1; g->log_mask != NULL && i < n; i++) {
		out[i] = masked(g, i, words[i - 1], words[i], a);
		if (out[i] == NULL)
			return NULL;
	}
	return out;
}

/* --- printing and checking ------------------------------------------------ */

static void
print_slot(FILE *out, const struct slot *s)
{
	struct conf_key keys[4];
	size_t n = 0;

	fputs("\t\t\t\t{ ", out);
	for (size_t i = 0; i < SLOT_KEYS; i++) {
		if (slot_kinds[i] == s->kind ||
		    (slot_keys[i].offset == offsetof(struct slot, pinned) &&
		    s->pin != CHILD_PIN_NEEDED) ||
		    slot_keys[i].offset == offsetof(struct slot, rest))
			keys[n++] = slot_keys[i];
	}
	conf_print(out, keys, n, s, 0);
	fputs("\t\t\t\t}", out);
}

void
grant_print(FILE *out, const struct grant *g)
{
	if (g->any_arguments) {
		fputs("\t\t\t", out);
		conf_print_string(out, g->program);
		return;
	}
	fputs("\t\t\t{\n", out);
	conf_print(out, grant_keys, GRANT_KEYS, g, 4);
	fputs("\t\t\t\targuments = (", out);
	for (size_t i = 0; i < g->count; i++) {
		fputs(i == 0 ? "\n" : ",\n", out);
		if (g->slots[i].kind == FIXED) {
			fputs("\t\t\t\t", out);
			conf_print_string(out, g->slots[i].fixed);
		} else
			print_slot(out, &g->slots[i]);
	}
	fputs(" );\n\t\t\t}", out);
}

/*
 * The name of a group, or its number.  A reload asks for it, and must not wait
 * for a directory service: those that programs belong to are the machine's own.
 */
static const char *
group_name(gid_t gid, char out[64])
{
	FILE *f = fopen("/etc/group", "re");
	struct group *group = NULL;

	while (f != NULL && (group = fgetgrent(f)) != NULL &&
	    group->gr_gid != gid)
		;
	if (group == NULL)
		(void)snprintf(out, 64, "%lu", (unsigned long)gid);
	else
		(void)snprintf(out, 64, "%s", group->gr_name);
	if (f != NULL)
		(void)fclose(f);
	return out;
}

const char *
grant_check_program(const char *program, const struct account *commands,
    char *why, size_t size)
{
	char what[1024], name[64];
	struct trust t;
	struct stat st;
	int answer;

	if (stat(program, &st) == -1) {
		(void)snprintf(why, size, "the program %.500s cannot be found: "
		    "%s", program, strerror(errno));
		return why;
	}
	if (!S_ISREG(st.st_mode) || (st.st_mode & 0111) == 0) {
		(void)snprintf(why, size, "%.500s is not a program that can be "
		    "executed", program);
		return why;
	}
	answer = trust_ask(program, commands == NULL ? TRUST_NOBODY :
	    commands->uid, true, &t);
	if (answer == 0 && t.group == 0)
		return NULL;
	if (answer == 0) {
		(void)snprintf(why, size, "members of the group %s could "
		    "change the program %.500s, or a directory on its way, and "
		    "have to be trusted with this rule",
		    group_name(t.group, name), program);
		return why;
	}
	(void)snprintf(why, size, "the program %.500s will not be executed: "
	    "%s; it, and each directory on its way, must be root's or another "
	    "user's, and writable for nobody else", program, trust_explain(&t,
	    answer, errno, commands == NULL ? "" : commands->name, what,
	    sizeof what));
	return why;
}

const char *
grant_check_slots(const struct grant *g, const struct account *commands,
    char *why, size_t size)
{
	char what[1024];
	struct trust t;

	for (size_t i = 0; commands != NULL && i < g->count; i++) {
		const struct slot *s = &g->slots[i];

		if (s->kind != BELOW || s->pin != CHILD_PIN_NEEDED ||
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
