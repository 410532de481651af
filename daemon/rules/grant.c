/* A command of a rule: its program and arguments.
 * SPDX-License-Identifier: ISC */
#include <config.h>

#include <errno.h>
#include <grp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/exec/arena.h"
#include "daemon/exec/environ.h"
#include "common/base/text.h"
#include "common/wire/proto.h"
#include "daemon/rules/grant.h"
#include "daemon/exec/privilege.h"
#include "daemon/exec/trust.h"

static const struct conf_key grant_keys[] = {
	CONF_KEY(struct grant, name, CONF_STRING),
	CONF_KEY(struct grant, program, CONF_PATH),
	CONF_KEY(struct grant, summary, CONF_STRING),
	CONF_KEY(struct grant, log_mask, CONF_STRINGS),
	CONF_KEY(struct grant, original_command, CONF_BOOL),
	EXEC_OPTIONS_KEYS(struct grant, options),
	CONF_LIST_OF_GROUPS(arguments),
};

#define GRANT_KEYS	(sizeof grant_keys / sizeof grant_keys[0])

/* --- loading -------------------------------------------------------------- */

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
		    "an absolute path; write the program's, such as "
		    "\"/usr/bin/uptime\"", text);
	g->is_path = true;
	g->program = strdup(text);
	g->name = strdup(last_part(text));
	return g->program != NULL && g->name != NULL &&
	    slots_add_rest(&g->slots) == 0 ? 0 :
	    conf_complain(group, NULL, "out of memory");
}

/* A path slot may need a descriptor of its own, from CHILD_PATH_FD on. */
static int
check_open_files(const struct grant *g, const struct conf_group *group)
{
	int64_t files = g->options.limits.open_files;
	int64_t paths = (int64_t)slots_descriptors(&g->slots);

	if (paths == 0 || files == 0 || files >= CHILD_PATH_FD + paths)
		return 0;
	return conf_complain(group, "open_files", "must be at least %lld for "
	    "the paths among the arguments, which are handed over as "
	    "descriptors from %d on", (long long)(CHILD_PATH_FD + paths),
	    CHILD_PATH_FD);
}

/* One for all words cannot say what it takes, nor which of them is a secret:
 * they may come as a line that only its program can take apart. */
static int
check_original(const struct grant *g, const struct conf_group *group)
{
	int errors = 0;

	if (!g->original_command)
		return 0;
	if (!slots_are_fixed(&g->slots))
		errors += conf_complain(group, "original_command", "can only "
		    "be where all \"arguments\" are strings: the program "
		    "gets these, and the client's own words in "
		    "SSH_ORIGINAL_COMMAND");
	if (g->log_mask != NULL && g->log_mask[0] != NULL)
		errors += conf_complain(group, "log_mask", "cannot be beside "
		    "\"original_command\": the client may send a line, which "
		    "is logged as it is");
	return errors;
}

int
grant_check_environment(const struct exec_options *options,
    const struct conf_group *group)
{
	const char *ours = environ_find_ours(options->environment);

	/* What is inherited has been looked at where it is set. */
	return ours == NULL || !conf_has(group, "environment") ? 0 :
	    conf_complain(group, "environment", "it is the server that sets "
	    "\"%.200s\"; remove it", ours);
}

static int
add_argument(void *context, const struct conf_group *group, const char *text)
{
	struct grant *g = context;

	return slots_add(&g->slots, group, text);
}

static int
load_group(struct grant *g, const struct conf_group *group)
{
	if (conf_read_group(group, grant_keys, GRANT_KEYS, g) > 0)
		return 1;
	if (g->program == NULL)
		return conf_complain(group, NULL, "the command has no "
		    "\"program\": give its absolute path");
	g->slots.inserted = g->name != NULL || g->original_command;
	if (g->name == NULL && (g->name = strdup(last_part(g->program))) ==
	    NULL)
		return conf_complain(group, NULL, "out of memory");
	if (strchr(g->name, '/') != NULL)
		return conf_complain(group, "name", "must have no \"/\"");
	for (const char *p = g->name; *p != '\0'; p++) {
		if ((unsigned char)*p < ' ' || *p == '\x7f')
			return conf_complain(group, "name", "must have no "
			    "control characters");
	}
	return conf_each_in(group, "arguments", add_argument, g) +
	    check_open_files(g, group) + check_original(g, group) +
	    grant_check_environment(&g->options, group);
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
	slots_free(&g->slots);
	free(g->where);
	conf_free_values(grant_keys, GRANT_KEYS, g);
}

bool
grant_is_called(const struct grant *g, const char *name)
{
	return g->original_command || strcmp(g->name, name) == 0 ||
	    (!g->slots.inserted && strcmp(g->program, name) == 0);
}

bool
grant_fits(const struct grant *g, char *const *words, struct slots_misfit *m)
{
	return g->original_command || slots_fit(&g->slots, words + 1, m);
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
mask_word(const struct grant *g, size_t i, const char *before, char *word,
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

int
grant_mask(const struct grant *g, char *const *words, char **masked,
    struct arena *a)
{
	for (size_t i = 1; g->log_mask != NULL && words[0] != NULL &&
	    words[i] != NULL; i++) {
		char *word = mask_word(g, i, words[i - 1], words[i], a);

		if (word == NULL)
			return -1;
		if (word != words[i] && masked[i] != stars)
			masked[i] = word;
	}
	return 0;
}

/* --- printing and checking ------------------------------------------------ */

void
grant_print(FILE *out, const struct grant *g)
{
	/* The name is the first key. */
	size_t first = g->slots.inserted ? 0 : 1;

	if (g->is_path) {
		fputs("\t\t\t", out);
		conf_print_string(out, g->program);
		return;
	}
	fputs("\t\t\t{\n", out);
	conf_print(out, grant_keys + first, GRANT_KEYS - first, g, 4);
	slots_print(out, &g->slots);
	fputs("\t\t\t}", out);
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
		    "%s; install it, or correct its path", program,
		    strerror(errno));
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
	    "%s; it, and each directory on its way, must belong to root or "
	    "another user, and be writable for its owner alone", program,
	    trust_explain(&t, answer, errno, commands == NULL ? "" :
	    commands->name, what, sizeof what));
	return why;
}
