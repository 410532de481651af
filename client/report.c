#include <config.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/buf.h"

#include "client/json.h"
#include "client/outcome.h"
#include "client/settings.h"
#include "client/request.h"

#include "client/report.h"

struct report {
	int fd;
	FILE *out;
	bool capture;
	struct buf kept[2];	/* Of standard output and of error. */
};

struct report *
report_new(int fd, bool capture)
{
	struct report *p = calloc(1, sizeof *p);
	int copy, error;

	if (p == NULL)
		return NULL;
	p->fd = fd;
	p->capture = capture;
	/* fclose(3) shall leave the caller's open. */
	if ((copy = dup(fd)) != -1 && (p->out = fdopen(copy, "w")) != NULL) {
		for (size_t i = 0; i < 2; i++)
			buf_init(&p->kept[i], REPORT_KEEP_MAX);
		return p;
	}
	error = errno;
	if (copy != -1)
		(void)close(copy);
	free(p);
	errno = error;
	return NULL;
}

void
report_free(struct report *p)
{
	if (p == NULL)
		return;
	/* Each object was flushed. */
	(void)fclose(p->out);
	buf_free(&p->kept[0]);
	buf_free(&p->kept[1]);
	free(p);
}

bool
report_captures(const struct report *p)
{
	return p != NULL && p->capture;
}

void
report_ask(struct report *p, struct request *r, const struct body *body,
    struct outcome *o)
{
	if (!report_captures(p)) {
		request_ask(r, body, o);
		return;
	}
	buf_free(&p->kept[0]);
	buf_free(&p->kept[1]);
	request_answer(r, body, &p->kept[0], &p->kept[1], o);
}

/* What went wrong, and behind the first ";" what to do about it. */
static void
tell_error(struct json *j, const struct outcome *o)
{
	const char *hint = strstr(o->text, "; ");
	const char *text = *o->text != '\0' ? o->text :
	    o->class == OUTCOME_INTERRUPTED ? "a signal has ended aisc" :
	    outcome_class_name(o->class);

	json_open(j, "error", '{');
	json_text(j, "code", outcome_class_name(o->class));
	if (hint == NULL)
		json_text(j, "message", text);
	else
		json_bytes(j, "message", text, (size_t)(hint - text));
	json_text(j, "hint", hint == NULL ? "" : hint + 2);
	json_close(j, '}');
}

/* How the command itself ended. */
static void
tell_exit(struct json *j, const struct frame_exit *e)
{
	json_integer(j, e->end == PROTO_END_SIGNAL ? "signal" : "exit",
	    (int64_t)e->status);
	json_seconds(j, "duration_seconds", (int64_t)e->duration_us);
	json_seconds(j, "cpu_seconds", (int64_t)e->cpu_us);
	json_integer(j, "stdout_bytes", (int64_t)e->out_bytes);
	json_integer(j, "stderr_bytes", (int64_t)e->err_bytes);
}

static void
tell_kept(struct json *j, const char *name, const char *encoding,
    const struct buf *kept)
{
	size_t n = buf_used(kept);
	const void *bytes = n == 0 ? "" : (const void *)buf_data(kept);
	bool text = json_is_text(bytes, n);

	if (text)
		json_bytes(j, name, bytes, n);
	else
		json_base64(j, name, bytes, n);
	json_text(j, encoding, text ? "utf-8" : "base64");
}

static void
tell_words(struct json *j, char *const *words)
{
	json_open(j, "argv", '[');
	for (; *words != NULL; words++)
		json_text(j, NULL, *words);
	json_close(j, ']');
}

void
report_tell(struct report *p, const struct settings *s,
    const struct request *r, char *const *words, struct outcome *o)
{
	const struct greeting *g = request_greeting(r);
	struct json j = { .more = false };

	if (p == NULL)
		return;
	j.out = p->out;
	json_open(&j, NULL, '{');
	json_text(&j, "host", s->host);
	if (*g->session != '\0') {
		json_text(&j, "session", g->session);
		json_integer(&j, "request", (int64_t)request_number(r));
	}
	if (words != NULL)
		tell_words(&j, words);
	json_text(&j, "class", outcome_class_name(o->class));
	json_integer(&j, "status", o->status);
	if (o->has_exit)
		tell_exit(&j, &o->exit);
	if (p->capture) {
		tell_kept(&j, "stdout", "stdout_encoding", &p->kept[0]);
		tell_kept(&j, "stderr", "stderr_encoding", &p->kept[1]);
		buf_free(&p->kept[0]);
		buf_free(&p->kept[1]);
	}
	if (o->class != OUTCOME_DONE)
		tell_error(&j, o);
	json_close(&j, '}');
	(void)fputc('\n', p->out);
	if (fflush(p->out) != 0 || ferror(p->out) != 0)
		outcome_fail(o, OUTCOME_OUTPUT, "cannot write to descriptor "
		    "%d: %s", p->fd, strerror(errno));
}
