/*
 * floor - the yardstick of the benchmark: the least that can be done.
 *
 *	floor [-t] -p PORT -d DIRECTORY serve
 *	floor [-t] -p PORT -d DIRECTORY run PROGRAM [ARGUMENT...]
 *	floor -p PORT -d DIRECTORY -n COUNT warm PROGRAM [ARGUMENT...]
 *
 * "serve" takes one connection after the other on 127.0.0.1, demands TLS 1.3
 * and a certificate of the authority, and runs whatever it is told.  "run" has
 * it run one command, with standard input, output and error; "warm" has it run
 * the same COUNT times on one connection, without standard input.  DIRECTORY
 * has ca.pem, server.pem, server.key, client.pem and client.key.
 *
 * There are no rules, no log, no limits, no deadlines and no users.  All is
 * blocking: a command that waits for its output to be read while it is sent
 * more input than its pipe takes hangs for ever.  Nobody should use this for
 * anything; but nobody can expect to be much faster than this.
 *
 * "-t" tunes it for bulk: it reads 256 KiB at once from pipes of 1 MiB, hands
 * the kernel all records of a frame in one call, and reads ahead.
 *
 * A frame is a type (1 byte), a length (4 bytes, big endian) and a payload.
 * SPDX-License-Identifier: ISC
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/ssl.h>

#define HEADER		5
#define PLAIN_SIZE	65536
#define TUNED_SIZE	(256 * 1024)
#define TUNED_PIPE	(1024 * 1024)
#define TUNED_GATHER	(512 * 1024)
#define WORDS_MAX	64

enum { ARGV = 'A', INPUT = 'I', END_OF_INPUT = 'Z', OUTPUT = 'O', ERROR = 'E',
    STATUS = 'X' };

static bool tuned;
static size_t chunk = PLAIN_SIZE;
static uint8_t out[HEADER + TUNED_SIZE];	/* A frame to be sent. */
static uint8_t in[TUNED_SIZE];			/* The payload received. */

static void __attribute__((noreturn))
die(const char *what)
{
	fprintf(stderr, "floor: cannot %s: %s\n", what, strerror(errno));
	ERR_print_errors_fp(stderr);
	exit(99);
}

/* --- TLS --------------------------------------------------------------- */

static SSL_CTX *
new_context(const char *directory, bool server)
{
	const char *who = server ? "server" : "client";
	SSL_CTX *c = SSL_CTX_new(server ? TLS_server_method() :
	    TLS_client_method());
	char ca[512], cert[512], key[512];

	snprintf(ca, sizeof ca, "%s/ca.pem", directory);
	snprintf(cert, sizeof cert, "%s/%s.pem", directory, who);
	snprintf(key, sizeof key, "%s/%s.key", directory, who);
	if (c == NULL ||
	    SSL_CTX_set_min_proto_version(c, TLS1_3_VERSION) != 1 ||
	    SSL_CTX_set1_groups_list(c, "X25519") != 1 ||
	    SSL_CTX_set_num_tickets(c, 0) != 1 ||
	    SSL_CTX_load_verify_locations(c, ca, NULL) != 1 ||
	    SSL_CTX_use_certificate_file(c, cert, SSL_FILETYPE_PEM) != 1 ||
	    SSL_CTX_use_PrivateKey_file(c, key, SSL_FILETYPE_PEM) != 1)
		die("prepare TLS");
	SSL_CTX_set_verify(c, SSL_VERIFY_PEER |
	    SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
	if (tuned) {
		SSL_CTX_set_read_ahead(c, 1);
		SSL_CTX_set_default_read_buffer_len(c, TUNED_SIZE);
	}
	return c;
}

static SSL *
wrap(SSL_CTX *c, int fd)
{
	SSL *s = SSL_new(c);
	int one = 1;

	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	if (s == NULL || SSL_set_fd(s, fd) != 1)
		die("begin TLS");
	return s;
}

/* After the handshake: gather the records of a frame. */
static void
gather(SSL *s)
{
	BIO *buffer;

	if (!tuned)
		return;
	if ((buffer = BIO_new(BIO_f_buffer())) == NULL ||
	    BIO_set_write_buffer_size(buffer, TUNED_GATHER) != 1)
		die("get a buffer");
	BIO_up_ref(SSL_get_rbio(s));
	SSL_set0_wbio(s, BIO_push(buffer, SSL_get_rbio(s)));
}

/* --- frames ------------------------------------------------------------ */

static int
get_bytes(SSL *s, uint8_t *p, size_t n)
{
	for (size_t got = 0, k; got < n; got += k) {
		if (SSL_read_ex(s, p + got, n - got, &k) != 1)
			return -1;
	}
	return 0;
}

/* The type of the next frame, or -1 if the peer has gone. */
static int
get_frame(SSL *s, size_t *length)
{
	uint8_t h[HEADER];

	if (get_bytes(s, h, HEADER) == -1)
		return -1;
	*length = (size_t)h[1] << 24 | (size_t)h[2] << 16 |
	    (size_t)h[3] << 8 | h[4];
	if (*length > sizeof in || get_bytes(s, in, *length) == -1)
		return -1;
	return h[0];
}

/* Send a frame, whose payload stands in "out" already. */
static void
put_frame(SSL *s, int type, size_t length)
{
	size_t n;

	out[0] = (uint8_t)type;
	for (int i = 1; i < HEADER; i++)
		out[i] = (uint8_t)(length >> 8 * (4 - i));
	if (SSL_write_ex(s, out, HEADER + length, &n) != 1)
		die("send");
	if (tuned)
		(void)BIO_flush(SSL_get_wbio(s));
}

static void
write_all(int fd, size_t length)
{
	ssize_t n;

	for (size_t done = 0; done < length; done += (size_t)n) {
		if ((n = write(fd, in + done, length - done)) <= 0)
			return;
	}
}

/* --- the server -------------------------------------------------------- */

static void
close_one(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

/* Start a command; "fds" are our ends of its three streams. */
static pid_t
start(char **argv, int fds[3])
{
	posix_spawn_file_actions_t actions;
	int ends[3];
	pid_t pid;

	posix_spawn_file_actions_init(&actions);
	for (int i = 0; i < 3; i++) {
		int p[2];

		if (pipe2(p, O_CLOEXEC) == -1)
			die("make a pipe");
		if (tuned)
			(void)fcntl(p[0], F_SETPIPE_SZ, TUNED_PIPE);
		ends[i] = p[i != 0];
		fds[i] = p[i == 0];
		posix_spawn_file_actions_adddup2(&actions, ends[i], i);
	}
	if (posix_spawnp(&pid, argv[0], &actions, NULL, argv, environ) != 0)
		pid = -1;
	posix_spawn_file_actions_destroy(&actions);
	for (int i = 0; i < 3; i++)
		close(ends[i]);
	return pid;
}

/* The command has written, or has closed its end. */
static void
from_command(SSL *s, int *fd, int type)
{
	ssize_t n = read(*fd, out + HEADER, chunk);

	if (n > 0)
		put_frame(s, type, (size_t)n);
	else
		close_one(fd);
}

/* The client has sent something; false if it has gone. */
static bool
from_client(SSL *s, int *input)
{
	size_t length;
	int type = get_frame(s, &length);

	if (type == INPUT && *input >= 0)
		write_all(*input, length);
	else if (type != INPUT)
		close_one(input);
	return type != -1;
}

static void
pump(SSL *s, int fds[3])
{
	bool there = true;

	while (fds[1] >= 0 || fds[2] >= 0) {
		struct pollfd p[3] = {
			{ there ? SSL_get_fd(s) : -1, POLLIN, 0 },
			{ fds[1], POLLIN, 0 }, { fds[2], POLLIN, 0 } };

		poll(p, 3, there && SSL_has_pending(s) ? 0 : -1);
		if (p[1].revents != 0)
			from_command(s, &fds[1], OUTPUT);
		if (p[2].revents != 0)
			from_command(s, &fds[2], ERROR);
		if (there && (p[0].revents != 0 || SSL_has_pending(s)))
			there = from_client(s, &fds[0]);
	}
	close_one(&fds[0]);
}

static void
serve_command(SSL *s, size_t length)
{
	char *argv[WORDS_MAX + 1], *at = (char *)in;
	int fds[3], status = 127 << 8, count = 0;
	pid_t pid;

	while (at < (char *)in + length && count < WORDS_MAX) {
		argv[count++] = at;
		at += strlen(at) + 1;
	}
	argv[count] = NULL;
	pid = start(argv, fds);
	pump(s, fds);
	if (pid > 0)
		waitpid(pid, &status, 0);
	out[HEADER] = (uint8_t)(WIFEXITED(status) ? WEXITSTATUS(status) :
	    128 + WTERMSIG(status));
	put_frame(s, STATUS, 1);
}

static int
listen_on(uint16_t port)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons(port),
	    .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
	if (bind(fd, (struct sockaddr *)&a, sizeof a) == -1 ||
	    listen(fd, 64) == -1)
		die("listen");
	return fd;
}

static void __attribute__((noreturn))
serve(SSL_CTX *c, uint16_t port)
{
	int listener = listen_on(port), type;
	size_t length;

	for (;;) {
		int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
		SSL *s = wrap(c, fd);

		if (SSL_accept(s) == 1) {
			gather(s);
			while ((type = get_frame(s, &length)) != -1) {
				/* What comes too late to be input is none. */
				if (type == ARGV)
					serve_command(s, length);
			}
			SSL_shutdown(s);
		}
		SSL_free(s);
		close(fd);
	}
}

/* --- the client -------------------------------------------------------- */

static void
ask(SSL *s, char **argv)
{
	size_t length = 0;

	for (; *argv != NULL; argv++) {
		size_t n = strlen(*argv) + 1;

		if (n > PLAIN_SIZE - length)
			die("send so many words");
		memcpy(out + HEADER + length, *argv, n);
		length += n;
	}
	put_frame(s, ARGV, length);
}

/* The exit status of one command. */
static int
run(SSL *s, char **argv, bool with_input)
{
	struct pollfd p[2] = { { SSL_get_fd(s), POLLIN, 0 },
	    { with_input ? STDIN_FILENO : -1, POLLIN, 0 } };
	size_t length;

	ask(s, argv);
	for (;;) {
		p[0].revents = p[1].revents = 0;
		poll(p, 2, SSL_has_pending(s) ? 0 : -1);
		if (p[1].revents != 0) {
			ssize_t n = read(STDIN_FILENO, out + HEADER, chunk);

			put_frame(s, n > 0 ? INPUT : END_OF_INPUT,
			    n > 0 ? (size_t)n : 0);
			if (n <= 0)
				p[1].fd = -1;
		}
		if (p[0].revents == 0 && !SSL_has_pending(s))
			continue;
		switch (get_frame(s, &length)) {
		case OUTPUT:
			write_all(STDOUT_FILENO, length);
			break;
		case ERROR:
			write_all(STDERR_FILENO, length);
			break;
		case STATUS:
			return in[0];
		default:
			return 98;
		}
	}
}

static SSL *
dial(SSL_CTX *c, uint16_t port)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons(port),
	    .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	SSL *s;

	if (connect(fd, (struct sockaddr *)&a, sizeof a) == -1)
		die("connect");
	s = wrap(c, fd);
	if (SSL_connect(s) != 1)
		die("shake hands");
	gather(s);
	return s;
}

int
main(int argc, char **argv)
{
	const char *directory = ".", *what;
	uint16_t port = 0;
	int count = 1, status = 0, option;
	bool warm;
	SSL_CTX *c;
	SSL *s;

	while ((option = getopt(argc, argv, "+d:n:p:t")) != -1) {
		switch (option) {
		case 'd':
			directory = optarg;
			break;
		case 'n':
			count = atoi(optarg);
			break;
		case 'p':
			port = (uint16_t)atoi(optarg);
			break;
		case 't':
			tuned = true;
			chunk = TUNED_SIZE;
			break;
		default:
			return 2;
		}
	}
	if (optind == argc)
		return 2;
	what = argv[optind++];
	signal(SIGPIPE, SIG_IGN);
	c = new_context(directory, strcmp(what, "serve") == 0);
	if (strcmp(what, "serve") == 0)
		serve(c, port);
	warm = strcmp(what, "warm") == 0;
	s = dial(c, port);
	while (count-- > 0)
		status |= run(s, argv + optind, !warm);
	SSL_shutdown(s);
	/* What is left to be freed would only be counted. */
	_exit(status);
}
