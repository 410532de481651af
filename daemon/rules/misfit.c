/* Why words do not fit the commands of a rule.
 * SPDX-License-Identifier: ISC */
#include <config.h>

#include <string.h>

#include "daemon/rules/grant.h"
#include "daemon/rules/rules.h"
#include "daemon/rules/misfit.h"

/* The most that is told of what one command wants. */
#define WANTED_MAX	320

/* Begin the sentence about a misfit of the command "name". */
static void
misfit_begin(struct slot_text *t, const char *name,
    const struct slots_misfit *m, const char *wanted)
{
	if (m->lacking)
		slot_add(t, "%.100s lacks its argument %zu, %s", name,
		    m->words + 1, wanted);
	else if (m->from == m->to)
		slot_add(t, "%.100s takes no argument %zu", name,
		    m->words + 1);
	else
		slot_add(t, "the argument %zu of %.100s must be %s",
		    m->words + 1, name, wanted);
}

/* Does an entry before "last", that fails at the same word, want the same? */
static bool
misfit_is_told(const struct rule *rule, char *const *words, size_t fitting,
    const struct grant *last, const char *wanted)
{
	const struct grant *g = NULL;
	struct slots_misfit m;
	char other[WANTED_MAX];

	while ((g = rule_call(rule, words[0], g)) != last) {
		if (!grant_fits(g, words, &m) && m.words == fitting &&
		    strcmp(slots_wanted(&g->slots, &m, other, sizeof other),
		    wanted) == 0)
			return true;
	}
	return false;
}

const char *
misfit_tell(const struct rule *rule, char *const *words, char *const *masked,
    size_t fitting, char *out, size_t size)
{
	struct slot_text t = { .out = out, .size = size };
	bool secret = words[fitting + 1] != masked[fitting + 1];
	const struct grant *g = NULL;
	struct slots_misfit m;
	char wanted[WANTED_MAX];

	out[0] = '\0';
	while ((g = rule_call(rule, words[0], g)) != NULL) {
		if (grant_fits(g, words, &m) || m.words != fitting)
			continue;
		if (secret)
			(void)snprintf(wanted, sizeof wanted, "another one");
		else
			(void)slots_wanted(&g->slots, &m, wanted,
			    sizeof wanted);
		if (t.used == 0)
			misfit_begin(&t, g->name, &m, wanted);
		else if (!secret && !misfit_is_told(rule, words, fitting, g,
		    wanted))
			slot_add(&t, ", or %s", wanted);
	}
	return out;
}

void
misfit_explain(FILE *out, const struct rule *rule, char *const *words)
{
	const struct grant *g = NULL;
	struct slots_misfit m;
	char text[1024] = "", wanted[768];

	while ((g = rule_call(rule, words[0], g)) != NULL) {
		struct slot_text t = { .out = text, .size = sizeof text };

		if (grant_fits(g, words, &m)) {
			fprintf(out, "%s: command \"%s\": fits\n", g->where,
			    g->name);
			return;
		}
		misfit_begin(&t, g->name, &m, slots_wanted(&g->slots, &m,
		    wanted, sizeof wanted));
		fprintf(out, "%s: command \"%s\": does not fit: %s\n",
		    g->where, g->name, text);
	}
}
