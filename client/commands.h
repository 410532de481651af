/*
 * commands.h - command after command on one session, from a prompt or from a
 * script.
 */
#ifndef AIS_COMMANDS_H
#define AIS_COMMANDS_H

struct request;
struct settings;

/*
 * Read lines from standard input, with a prompt where that is a terminal, and
 * run each.  Returns what aisc is to exit with: the status of the last one.
 */
int commands_run(const struct settings *settings, struct request *r);

#endif
