/*
 * check.h - would aisd start with this configuration?
 * SPDX-License-Identifier: ISC
 */
#ifndef AIS_CHECK_H
#define AIS_CHECK_H

#include <stdbool.h>

struct settings;

/*
 * Look at all that a start needs by "*s", the settings of the file "config",
 * and say what is wrong, and what is probably not intended.  "port" is as for
 * start_listen().  With "quiet": at what a reload needs alone, and at errors.
 * With privilege_can_drop() it becomes the user of the daemon, who reads "*s"
 * anew.  A daemon that runs does not notice.  Returns what to exit with.
 */
int check_start(const char *config, const char *port, bool quiet,
    struct settings **s);

#endif
