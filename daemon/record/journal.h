/*
 * journal.h - the journal of systemd as a sink, by its native protocol
 * (https://systemd.io/JOURNAL_NATIVE_PROTOCOL).
 *
 * sd_journal_sendv(3) waits for ever for a journal that does not read, and
 * takes one that is gone for one that has read.  So we speak to its socket
 * ourselves, which needs no library.
 * SPDX-License-Identifier: ISC
 */
#ifndef AIS_JOURNAL_H
#define AIS_JOURNAL_H

struct log_sink;

#define JOURNAL_SOCKET	"/run/systemd/journal/socket"

/*
 * A sink that sends each event to the socket at "path" as "ident", with a field
 * AIS_NAME for every field "name", its bytes as they are.  It connects when
 * there is an event.  What is too long for a message of the socket goes in a
 * sealed file in memory.  One at most; it needs no closing.
 */
struct log_sink *journal_open(const char *path, const char *ident);

#endif
