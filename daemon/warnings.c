/*
 * warnings.c - what is valid in a configuration, but probably not intended.
 * SPDX-License-Identifier: ISC
 */
#include <config.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/log.h"
#include "daemon/conf/settings.h"
#include "daemon/certwatch.h"
#include "daemon/warnings.h"

int
warnings_log(const struct settings *s, const struct tls_context *context)
{
	char *text = NULL, *line, *rest;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);
	int n = 0;

	if (out != NULL)
		n = certwatch_warn(out, s, context) + settings_warn(out, s);
	if (out == NULL || fclose(out) == EOF) {
		log_errno("cannot look for what may be wrong");
		free(text);
		return 1;
	}
	for (rest = text; (line = strsep(&rest, "\n")) != NULL;) {
		if (*line != '\0')
			log_warning("%s", line);
	}
	free(text);
	return n;
}
