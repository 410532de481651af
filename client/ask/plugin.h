/*
 * plugin.h - aisc --plugin: run the plugin of a monitoring system there.
 * SPDX-License-Identifier: ISC
 *
 * Its output and its status are ours.  What is no answer of a plugin, among
 * that all failures of AIS, is UNKNOWN, with one line on standard output that
 * says why: monitoring systems show the first line, and do not agree
 * on what any other status means.
 */
#ifndef AIS_PLUGIN_H
#define AIS_PLUGIN_H

struct body;
struct request;
struct settings;

/* Run the command of "body" by way of "r" and tell what came of it.  The exit
 * status of aisc, from 0 to 3. */
int plugin_run(const struct settings *s, struct request *r, struct body *body);

#endif
