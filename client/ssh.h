/*
 * ssh.h - aisc-ssh: the command line of ssh(1), for programs that run commands
 * on other machines by way of it.
 * SPDX-License-Identifier: ISC
 *
 * An option that does no harm where it has no effect is accepted; what AIS does
 * not do is refused by its name.
 */
#ifndef AIS_SSH_H
#define AIS_SSH_H

#include <stdbool.h>

/* Is "program", argv[0], a name of this personality: aisc-ssh, or ssh? */
bool ssh_is_called(const char *program);

/*
 * Do what the command line asks for; argv[0] is passed over.  The words
 * after the host are one line, joined by blanks as ssh joins them; without
 * any, commands are read from standard input.  Returns what aisc is to exit
 * with.
 */
int ssh_run(int argc, char **argv);

#endif
