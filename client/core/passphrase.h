/*
 * passphrase.h - the passphrase of an encrypted key, from a command or a
 * person.
 * SPDX-License-Identifier: ISC
 */
#ifndef AIS_PASSPHRASE_H
#define AIS_PASSPHRASE_H

#include "common/base/failure.h"

/*
 * Get the passphrase of the key of "settings", a struct settings, into the
 * "size" bytes at "out": the first line that "passphrase_command" writes, or
 * what is typed at the terminal, without echo.  Waits for both; for the command
 * a minute at most.  Returns its length in bytes, without a NUL, or -1 with the
 * reason in "why".  The caller clears "out"; no other copy is left.
 */
int passphrase_get(const void *settings, char *out, int size,
    struct failure *why);

#endif
