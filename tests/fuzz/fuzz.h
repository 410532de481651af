/*
 * fuzz.h - what the fuzz targets share: the cutting up of an input, promises
 * that are checked, files that are in memory, and a look at every message.
 *
 * A target is one file, which defines fuzz_mutations and the function that
 * libFuzzer calls.  It is linked with libFuzzer, or with replay.c.
 * SPDX-License-Identifier: ISC
 */
#ifndef AIS_FUZZ_H
#define AIS_FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* Try one input.  Always 0; what is wrong ends the process. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* How many mutations of its seeds "make check" tries, by the target's speed;
 * each target defines it. */
extern const size_t fuzz_mutations;

/* The longest input that is worth a try. */
#define FUZZ_INPUT_MAX	4096

/* A promise of the code under test, or of the target itself. */
#define must(promise) \
	((promise) ? (void)0 : fuzz_broken(__FILE__, __LINE__, #promise))
void fuzz_broken(const char *file, int line, const char *promise)
    __attribute__((noreturn));

/* What of the input has not been taken yet. */
struct input {
	const uint8_t *p;
	size_t left;
};

/* Take a number, big endian; what the input lacks is 0. */
uint8_t input_u8(struct input *in);
uint16_t input_u16(struct input *in);

/* Take up to "n" bytes: borrowed, and "n" says how many. */
const uint8_t *input_bytes(struct input *in, size_t *n);

/*
 * Take the bytes up to the next NUL, or to the end, as a string that the
 * caller frees: it lies alone in memory, so that sanitizers see its ends.
 */
char *input_text(struct input *in);

/* The same for all strings of the rest: NULL terminated; free it with
 * fuzz_free_list(). */
char **input_texts(struct input *in, size_t *count);
void fuzz_free_list(char **list);

/* The path of a file that holds these bytes until the next call. */
const char *fuzz_file(const void *bytes, size_t n);

/* Begin to write to memory; fuzz_written() ends that, and what was written is
 * the caller's to free, NUL terminated. */
struct writing {
	FILE *f;
	char *text;
	size_t size;
};
FILE *fuzz_write(struct writing *w);
char *fuzz_written(struct writing *w);

/*
 * Be the one sink for messages: look at the line that a log would have of
 * each, and count them in fuzz_messages.  What "take" answers, if it is not
 * NULL, is what the sink does.  To be called at the beginning of each input.
 */
struct log_event;
typedef int fuzz_take_fn(void *context, const struct log_event *e);
void fuzz_listen(fuzz_take_fn *take);
extern size_t fuzz_messages;

/*
 * Is it text for one line of a log or a terminal: UTF-8 by RFC 3629, without
 * controls, line ends and marks that turn or hide what follows?
 */
bool fuzz_is_printable(const char *text, size_t n);

/* Is it UTF-8, with any characters? */
bool fuzz_is_utf8(const char *text, size_t n);

/*
 * Is a configuration fit to be tried?  Not one that includes files of this
 * machine, and not one with expressions that the C library needs memory or
 * time without end for, which only an operator could write.
 */
bool fuzz_is_tame(const uint8_t *text, size_t n);

#endif
