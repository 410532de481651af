/*
 * replay.c - the driver of a fuzz target where there is no libFuzzer.
 *
 *	NAME_fuzz		all seeds of NAME, and fuzz_mutations of them
 *	NAME_fuzz FILE...	these files, as libFuzzer's driver does it
 *
 * Mutations come from a generator that begins with the same number each time,
 * so that what fails once fails again.  They are tried in a process of their
 * own: the input that ends it is kept in the file NAME_fuzz.failed.
 * SPDX-License-Identifier: ISC
 */
#include <config.h>

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/fuzz/fuzz.h"

#define SEEDS_MAX	256
/* Under valgrind, which takes so many times as long. */
#define VALGRIND_FACTOR	50

struct bytes {
	uint8_t data[FUZZ_INPUT_MAX];
	size_t size;
};

static struct bytes *seeds[SEEDS_MAX];
static size_t seed_count;
/* The input that is being tried; both processes see it. */
static struct bytes *current;

/* The next number (splitmix64), and one below "n". */
static uint64_t
next_random(void)
{
	static uint64_t state = UINT64_C(0x4149532066757a7a);
	uint64_t z = state += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

static size_t
below(size_t n)
{
	return (size_t)(next_random() % n);
}

/* --- seeds ---------------------------------------------------------------- */

static int
is_seed(const struct dirent *d)
{
	return d->d_name[0] != '.';
}

static void
load(const char *path)
{
	FILE *f = fopen(path, "re");
	struct bytes *b = calloc(1, sizeof *b);

	if (f == NULL || b == NULL) {
		fprintf(stderr, "%s: %s\n", path, strerror(errno));
		exit(1);
	}
	b->size = fread(b->data, 1, sizeof b->data, f);
	(void)fclose(f);
	if (seed_count < SEEDS_MAX)
		seeds[seed_count++] = b;
	else
		free(b);
}

/* All of a directory, in the order of their names. */
static void
load_all(const char *directory)
{
	struct dirent **names;
	int n = scandir(directory, &names, is_seed, alphasort);
	char *path;

	for (int i = 0; i < n; i++) {
		must(asprintf(&path, "%s/%s", directory,
		    names[i]->d_name) != -1);
		load(path);
		free(path);
		free(names[i]);
	}
	if (n >= 0)
		free(names);
}

/* --- mutations ------------------------------------------------------------ */

/* Replace the "n" bytes at "at" by "m" others, as far as there is room. */
static void
splice(struct bytes *b, size_t at, size_t n, const uint8_t *other, size_t m)
{
	size_t tail = b->size - at - n;

	if (m > sizeof b->data - at)
		m = sizeof b->data - at;
	if (tail > sizeof b->data - at - m)
		tail = sizeof b->data - at - m;
	memmove(b->data + at + m, b->data + at + n, tail);
	if (m > 0)
		memmove(b->data + at, other, m);
	b->size = at + m + tail;
}

/* Write a number that code often has a limit at, big endian. */
static void
put_number(struct bytes *b, size_t at)
{
	static const uint32_t numbers[] = { 0, 1, 0x7f, 0x80, 0xff, 0x100,
	    0x7fff, 0x8000, 0xffff, 0x10000, 0x7fffffff, 0x80000000,
	    0xfffffffe, 0xffffffff };
	uint32_t v = numbers[below(sizeof numbers / sizeof numbers[0])];
	size_t n = (size_t)1 << below(3);

	for (size_t i = 0; i < n && at + i < b->size; i++)
		b->data[at + i] = (uint8_t)(v >> 8 * (n - 1 - i));
}

static void
mutate(struct bytes *b)
{
	const struct bytes *other = seeds[below(seed_count)];
	size_t at = below(b->size + 1), n = below(b->size - at + 1);
	size_t from = below(other->size + 1), m = below(other->size - from + 1);
	uint8_t noise[8];

	switch (below(7)) {
	case 0:		/* A bit. */
		if (at < b->size)
			b->data[at] ^= (uint8_t)(1u << below(8));
		break;
	case 1:		/* A byte. */
		if (at < b->size)
			b->data[at] = (uint8_t)next_random();
		break;
	case 2:
		put_number(b, at);
		break;
	case 3:		/* New bytes. */
		for (size_t i = 0; i < sizeof noise; i++)
			noise[i] = (uint8_t)next_random();
		splice(b, at, 0, noise, 1 + below(sizeof noise));
		break;
	case 4:		/* Some fewer. */
		splice(b, at, n < 16 ? n : 1 + below(16), NULL, 0);
		break;
	case 5:		/* The same once more. */
		splice(b, at, 0, b->data + at, n);
		break;
	default:	/* A piece of another one. */
		splice(b, at, below(2) == 0 ? 0 : n, other->data + from, m);
		break;
	}
}

/* --- trying --------------------------------------------------------------- */

/* Alone in memory, so that sanitizers see its ends. */
static void
try(const struct bytes *b)
{
	uint8_t *copy = malloc(b->size > 0 ? b->size : 1);

	must(copy != NULL);
	memcpy(copy, b->data, b->size);
	(void)LLVMFuzzerTestOneInput(copy, b->size);
	free(copy);
}

static void
try_all(size_t mutations)
{
	for (size_t i = 0; i < seed_count; i++) {
		*current = *seeds[i];
		try(current);
	}
	for (size_t i = 0; i < mutations; i++) {
		*current = *seeds[below(seed_count)];
		for (size_t n = 1 + below(4); n > 0; n--)
			mutate(current);
		try(current);
	}
}

/* The same in a process of its own.  Whether it came to its end. */
static bool
survives(size_t mutations)
{
	int status;
	pid_t pid;

	(void)fflush(NULL);
	if ((pid = fork()) == 0) {
		try_all(mutations);
		exit(0);
	}
	return pid > 0 && waitpid(pid, &status, 0) == pid &&
	    WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

/* Keep the input that has failed, or nothing if "good". */
static void
keep_failed(const char *program, bool good)
{
	char path[4096];
	FILE *f;

	(void)snprintf(path, sizeof path, "%s.failed", program);
	(void)unlink(path);
	if (good || (f = fopen(path, "we")) == NULL)
		return;
	(void)fwrite(current->data, 1, current->size, f);
	(void)fclose(f);
	printf("# the input is in %s; try it with: %s %s\n", path, program,
	    path);
}

/* Load the seeds of the target, whose name is the program's. */
static void
load_corpus(const char *program)
{
	const char *top = getenv("AIS_SRCDIR"), *slash = strrchr(program, '/');
	const char *name = slash == NULL ? program : slash + 1;
	size_t n = strlen(name), suffix = strlen("_fuzz");
	char path[4096];

	(void)snprintf(path, sizeof path, "%s/tests/fuzz/corpus/%.*s",
	    top == NULL ? "." : top, (int)(n > suffix ? n - suffix : n), name);
	load_all(path);
}

static void
free_seeds(void)
{
	while (seed_count > 0)
		free(seeds[--seed_count]);
}

int
main(int argc, char **argv)
{
	const char *valgrind = getenv("AIS_VALGRIND");
	size_t mutations = fuzz_mutations;
	bool good;

	if (argc > 1) {
		for (int i = 1; i < argc; i++) {
			load(argv[i]);
			try(seeds[seed_count - 1]);
		}
		free_seeds();
		return 0;
	}
	if (valgrind != NULL && *valgrind != '\0')
		mutations /= VALGRIND_FACTOR;
	load_corpus(argv[0]);
	current = mmap(NULL, sizeof *current, PROT_READ | PROT_WRITE,
	    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (seed_count == 0 || current == MAP_FAILED) {
		printf("1..1\nnot ok 1 - %s has no seeds, or no memory\n",
		    argv[0]);
		return 1;
	}
	good = survives(mutations);
	printf("1..1\n%sok 1 - %zu seeds and %zu mutations of them\n",
	    good ? "" : "not ", seed_count, mutations);
	keep_failed(argv[0], good);
	free_seeds();
	return good ? 0 : 1;
}
