/*
 * warm-remctl - many commands on one connection of remctl.
 *
 *	warm-remctl PORT PRINCIPAL COUNT WORD...
 *
 * Connects to 127.0.0.1, where the server is PRINCIPAL, with the tickets that
 * there are, and runs the command COUNT times, one after the other.
 * SPDX-License-Identifier: ISC
 */
#include <stdio.h>
#include <stdlib.h>

#include <remctl.h>

static void __attribute__((noreturn))
die(struct remctl *r)
{
	fprintf(stderr, "warm-remctl: %s\n", r == NULL ? "out of memory" :
	    remctl_error(r));
	exit(1);
}

static void
run(struct remctl *r, const char **words)
{
	struct remctl_output *o;

	if (!remctl_command(r, words))
		die(r);
	do {
		if ((o = remctl_output(r)) == NULL)
			die(r);
	} while (o->type == REMCTL_OUT_OUTPUT);
	if (o->type != REMCTL_OUT_STATUS || o->status != 0) {
		fputs("warm-remctl: the command has failed\n", stderr);
		exit(1);
	}
}

int
main(int argc, char **argv)
{
	struct remctl *r = remctl_new();

	if (argc < 5)
		return 2;
	if (r == NULL || !remctl_open(r, "127.0.0.1",
	    (unsigned short)atoi(argv[1]), argv[2]))
		die(r);
	for (int count = atoi(argv[3]); count > 0; count--)
		run(r, (const char **)(void *)(argv + 4));
	remctl_close(r);
	return 0;
}
