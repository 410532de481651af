/* Peers that rules have one name for.
 * SPDX-License-Identifier: ISC */
#include <config.h>

#include <stdlib.h>
#include <string.h>

#include "daemon/rules/groups.h"

struct group {
	char *name;
	struct match match;
	char *where;		/* FILE:LINE. */
};

static const struct conf_key group_keys[] = {
	CONF_KEY(struct group, name, CONF_STRING),
	MATCH_KEYS(struct group, match),
};

#define GROUP_KEYS	(sizeof group_keys / sizeof group_keys[0])

static const struct group *
find(const struct groups *g, const char *name)
{
	for (size_t i = 0; i < g->count; i++) {
		/* One with an error may have no name. */
		if (g->list[i].name != NULL &&
		    strcmp(g->list[i].name, name) == 0)
			return &g->list[i];
	}
	return NULL;
}

static int
add_group(void *context, const struct conf_group *group, const char *text)
{
	struct groups *all = context;
	const struct group *first;
	struct group *list, *g;
	char where[CONF_STRING_MAX + 32];

	if (text != NULL)
		return conf_complain(group, NULL, "groups: an entry must be a "
		    "group in braces");
	list = realloc(all->list, (all->count + 1) * sizeof *list);
	if (list == NULL)
		return conf_complain(group, NULL, "out of memory");
	all->list = list;
	g = &list[all->count++];
	memset(g, 0, sizeof *g);
	g->where = strdup(conf_group_where(group, where, sizeof where));
	if (g->where == NULL)
		return conf_complain(group, NULL, "out of memory");
	if (conf_read_group(group, group_keys, GROUP_KEYS, g) > 0)
		return 1;
	if (g->name == NULL)
		return conf_complain(group, NULL, "the group has no \"name\"");
	first = find(all, g->name);
	if (first != NULL && first != g)
		return conf_complain(group, "name", "\"%.100s\" is a group at "
		    "%s already; put all of its peers there", g->name,
		    first->where);
	return match_prepare(&g->match, group, false);
}

int
groups_load(struct groups *g, struct conf *conf)
{
	return conf_each(conf, "groups", add_group, g);
}

void
groups_free(struct groups *g)
{
	for (size_t i = 0; i < g->count; i++) {
		match_free(&g->list[i].match);
		free(g->list[i].where);
		conf_free_values(group_keys, GROUP_KEYS, &g->list[i]);
	}
	free(g->list);
	g->list = NULL;
	g->count = 0;
}

const struct match *
groups_find(const struct groups *g, const char *name)
{
	const struct group *found = find(g, name);

	return found == NULL ? NULL : &found->match;
}

void
groups_print(FILE *out, const struct groups *g)
{
	for (size_t i = 0; i < g->count; i++) {
		const char *base = (const char *)&g->list[i];

		fputs(i == 0 ? "groups = (\n\t{\n" : ",\n\t{\n", out);
		for (size_t k = 0; k < GROUP_KEYS; k++) {
			if (*(char *const *)(const void *)(base +
			    group_keys[k].offset) != NULL)
				conf_print(out, &group_keys[k], 1, base, 2);
		}
		fputs(i + 1 == g->count ? "\t}\n);\n" : "\t}", out);
	}
}
