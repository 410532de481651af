/*
 * run.c - one command from the question to the messages about its end.
 * SPDX-License-Identifier: ISC
 */
#include <config.h>

#include <stddef.h>

#include "common/base/text.h"
#include "common/wire/body.h"

#include "client/core/outcome.h"
#include "client/core/settings.h"
#include "client/session/request.h"
#include "client/ask/mistakes.h"
#include "client/ask/report.h"

#include "client/ask/run.h"

void
run_prepare(const struct settings *s, struct body *body)
{
	body->env = s->environment;
	body->nenv = text_list_length(body->env);
}

void
run_ask(struct request *r, struct report *report, const struct body *body,
    struct outcome *o)
{
	report_ask(report, r, body, o);
	mistakes_explain(o, body);
}

int
run_tell(const struct settings *s, struct report *report, struct outcome *o)
{
	report_tell(report, o);
	outcome_report(o);
	if (s->verbose)
		outcome_summary(o);
	return o->status;
}

int
run_once(const struct settings *s, struct request *r, struct report *report,
    struct body *body, struct outcome *o)
{
	run_prepare(s, body);
	report_begin(report, s, r, body, 0);
	run_ask(r, report, body, o);
	return run_tell(s, report, o);
}
