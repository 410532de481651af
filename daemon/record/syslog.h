/*
 * syslog.h - the system's syslog as a sink.
 *
 * SPDX-License-Identifier: ISC
 *
 * syslog(3) does not say whether a record was taken, and waits for ever for a
 * reader that does not read.  So we speak to its socket ourselves.
 */
#ifndef AIS_SYSLOG_H
#define AIS_SYSLOG_H

struct log_sink;

#define SYSLOG_SOCKET	"/dev/log"

/*
 * A sink that sends each event to the socket at "path", as "ident", facility
 * daemon; it connects when there is an event.  The line is that of log_format()
 * without time and level.  It has the form that libc's syslog(3) gives it,
 * RFC 3164 (section 4.1) without the name of the host: the daemons that read
 * this socket all take that, and few of them RFC 5424.  One at most; it needs
 * no closing.
 */
struct log_sink *syslog_open(const char *path, const char *ident);

#endif
