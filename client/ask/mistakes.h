/*
 * mistakes.h - what people type who know ssh better than aisc, and what they
 * should have typed.
 * SPDX-License-Identifier: ISC
 */
#ifndef AIS_MISTAKES_H
#define AIS_MISTAKES_H

struct body;
struct outcome;

/*
 * If "o" is that the server has no such command, or does not allow it, and the
 * words of "body" look like a common mistake, say what to do in place of what
 * "o" says.
 */
void mistakes_explain(struct outcome *o, const struct body *body);

#endif
