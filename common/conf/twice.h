/*
 * twice.h - where a name stands first that a file sets twice.
 * SPDX-License-Identifier: ISC
 */
#ifndef AIS_TWICE_H
#define AIS_TWICE_H

#include <libconfig.h>

/*
 * config_read_file() of "path" into "c" has failed since a name is set for the
 * second time in one group.  libconfig says in which line that is, and not
 * which name.  The first setting of that name, which belongs to "c"; NULL: it
 * cannot be told, as where memory is out, or the file so long that it would
 * take more than a second or two beside one full reading.
 */
const config_setting_t *twice_first(const config_t *c, const char *path);

#endif
