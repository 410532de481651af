#include <config.h>

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include <systemd/sd-daemon.h>
#include <systemd/sd-journal.h>

#include "common/log.h"
#include "daemon/service.h"

#define JOURNAL_SOCKET	"/run/systemd/journal/socket"

/* Fields of one record: the event's, and five of its own. */
#define FIELDS_MAX	40
#define FIXED_MAX	(LOG_TEXT_MAX + 512)

/* Where a record is put together. */
struct record {
	struct iovec fields[FIELDS_MAX];
	size_t count;
	char text[FIXED_MAX];
	size_t used;
};

static void __attribute__((format(printf, 2, 3)))
add(struct record *r, const char *format, ...)
{
	size_t left = sizeof r->text - r->used;
	va_list ap;
	int n;

	va_start(ap, format);
	n = vsnprintf(r->text + r->used, left, format, ap);
	va_end(ap);
	if (n < 0 || (size_t)n >= left || r->count == FIELDS_MAX)
		return;
	r->fields[r->count].iov_base = r->text + r->used;
	r->fields[r->count++].iov_len = (size_t)n;
	r->used += (size_t)n + 1;
}

/* One field of the event, as AIS_NAME=value, at "p"; returns what follows.  The
 * journal takes any bytes; the name is ours, so its letters are known. */
static char *
add_field(struct record *r, char *p, const struct log_field *f)
{
	struct iovec *field = &r->fields[r->count++];

	field->iov_base = p;
	memcpy(p, "AIS_", 4);
	p += 4;
	for (const char *c = f->name; *c != '\0'; c++)
		*p++ = *c >= 'a' && *c <= 'z' ? (char)(*c - 'a' + 'A') : *c;
	*p++ = '=';
	if (f->length > 0)
		memcpy(p, f->value, f->length);
	p += f->length;
	field->iov_len = (size_t)(p - (char *)field->iov_base);
	return p;
}

/* All of them, in one allocation that the caller frees; NULL with errno. */
static char *
add_fields(struct record *r, const struct log_event *e)
{
	size_t size = 1;
	char *space, *p;

	if (e->count > FIELDS_MAX - r->count) {
		errno = E2BIG;
		return NULL;
	}
	for (size_t i = 0; i < e->count; i++)
		size += 4 + strlen(e->fields[i].name) + 1 +
		    e->fields[i].length;
	if ((p = space = malloc(size)) == NULL)
		return NULL;
	for (size_t i = 0; i < e->count; i++)
		p = add_field(r, p, &e->fields[i]);
	return space;
}

static int
take_journal(void *context, const struct log_event *e)
{
	char text[LOG_TEXT_MAX];
	struct record r = { .count = 0, .used = 0 };
	char *space;
	int result;

	(void)context;
	/* To sd_journal_sendv() a journal that is gone has taken it. */
	if (access(JOURNAL_SOCKET, W_OK) == -1)
		return -1;
	log_printable(text, sizeof text, e->text);
	add(&r, "MESSAGE=%s", text);
	add(&r, "PRIORITY=%d", (int)e->level);
	add(&r, "SYSLOG_IDENTIFIER=aisd");
	add(&r, "AIS_EVENT=%s", e->name);
	if (e->message_id != NULL)
		add(&r, "MESSAGE_ID=%s", e->message_id);
	if ((space = add_fields(&r, e)) == NULL)
		return -1;
	result = sd_journal_sendv(r.fields, (int)r.count);
	free(space);
	if (result >= 0)
		return 0;
	errno = -result;
	return -1;
}

struct log_sink *
service_journal(void)
{
	static struct log_sink sink = {
	    .name = "the journal", .take = take_journal };

	return access(JOURNAL_SOCKET, W_OK) == 0 ? &sink : NULL;
}

int
service_sockets(int *fds, size_t max)
{
	int n = sd_listen_fds(1);

	if (n < 0) {
		errno = -n;
		log_errno("cannot take the passed sockets");
		return -1;
	}
	if ((size_t)n > max) {
		log_error("%d sockets were passed, and at most %zu are served; "
		    "name fewer in the socket unit", n, max);
		return -1;
	}
	for (int i = 0; i < n; i++)
		fds[i] = SD_LISTEN_FDS_START + i;
	return n;
}

void
service_notify(const char *format, ...)
{
	char text[1024];
	va_list ap;

	va_start(ap, format);
	(void)vsnprintf(text, sizeof text, format, ap);
	va_end(ap);
	(void)sd_notify(0, text);
}

int64_t
service_watchdog(void)
{
	uint64_t us;

	/* Half of the time, as sd_watchdog_enabled(3) advises. */
	return sd_watchdog_enabled(0, &us) > 0 ? (int64_t)(us / 2000) : 0;
}
