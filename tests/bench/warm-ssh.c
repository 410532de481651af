/*
 * warm-ssh - many commands on one SSH connection, through libssh.
 *
 *	warm-ssh PORT USER KEY COUNT COMMAND
 *
 * Logs in to 127.0.0.1 with the private key in the file KEY and runs COMMAND
 * COUNT times, each in a channel of its own, one after the other.  It does not
 * ask whose key the server has: it is there to be timed.
 * SPDX-License-Identifier: ISC
 */
#include <stdio.h>
#include <stdlib.h>

#include <libssh/libssh.h>

static void __attribute__((noreturn))
die(ssh_session s)
{
	fprintf(stderr, "warm-ssh: %s\n", ssh_get_error(s));
	exit(1);
}

static ssh_session
log_in(unsigned port, const char *user, const char *file)
{
	ssh_session s = ssh_new();
	int no = 0, yes = 1;
	ssh_key key;

	ssh_options_set(s, SSH_OPTIONS_PROCESS_CONFIG, &no);
	ssh_options_set(s, SSH_OPTIONS_HOST, "127.0.0.1");
	ssh_options_set(s, SSH_OPTIONS_PORT, &port);
	ssh_options_set(s, SSH_OPTIONS_USER, user);
	ssh_options_set(s, SSH_OPTIONS_NODELAY, &yes);
	if (ssh_connect(s) != SSH_OK || ssh_pki_import_privkey_file(file,
	    NULL, NULL, NULL, &key) != SSH_OK ||
	    ssh_userauth_publickey(s, NULL, key) != SSH_AUTH_SUCCESS)
		die(s);
	ssh_key_free(key);
	return s;
}

static void
run(ssh_session s, const char *command)
{
	ssh_channel c = ssh_channel_new(s);
	char output[256];

	if (c == NULL || ssh_channel_open_session(c) != SSH_OK ||
	    ssh_channel_request_exec(c, command) != SSH_OK)
		die(s);
	while (ssh_channel_read(c, output, sizeof output, 0) > 0)
		continue;
	if (ssh_channel_get_exit_status(c) != 0)
		die(s);
	ssh_channel_close(c);
	ssh_channel_free(c);
}

int
main(int argc, char **argv)
{
	ssh_session s;

	if (argc != 6)
		return 2;
	s = log_in((unsigned)atoi(argv[1]), argv[2], argv[3]);
	for (int left = atoi(argv[4]); left > 0; left--)
		run(s, argv[5]);
	ssh_disconnect(s);
	ssh_free(s);
	return 0;
}
