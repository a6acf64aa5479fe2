/* hocon.h - HOCON, the language of clearml.conf, read into a cJSON document
 *
 * - What ClearML's own agent reads is read the same (tests/compat/hocon_cases.py has
 * the cases and the few differences); what it refuses may be read: addresses,
 * `--ipc=host` without quotes, a byte order mark, texts in more characters.
 * - Units ("10 MB", "5 days") stay strings: config/size.h reads them.
 * - Numbers keep their text in valuestring, so that `3.10` is not 3.1 where a text is
 * asked for; booleans too.
 * - Input of any kind is answered by a document or an error, in bounded time and
 * memory. */
#ifndef REEVE_HOCON_H
#define REEVE_HOCON_H

#include "base/error.h"

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stddef.h>

#define HOCON_BYTES_MAX (1u << 20) /* of one text or file */

struct hocon_options {
    const char *file; /* named in errors, and where `include` is relative to; NULL: a
                         text that may include nothing */
    bool env; /* ${NAME} may come from the environment where the text has no such key */
    cJSON **origins;  /* or NULL; else the caller's: the same tree with "FILE:LINE" in
                         the  place of every value, lists as one value */
    const char *from; /* or NULL; else this in the place of "FILE:LINE" */
};

/* n bytes; options may be NULL (a text alone). The result is an object, the caller's.
 * NULL with err set: "FILE:LINE: what is wrong", "line LINE: ..." without a file. */
cJSON *hocon_parse(const char *text, size_t n, const struct hocon_options *options,
                   struct reeve_error *err);
/* The same with the content of a file, `include` and the environment allowed. origins:
 * as above, may be NULL. */
cJSON *hocon_parse_file(const char *path, cJSON **origins, struct reeve_error *err);

/* Lays `over` over `base` by HOCON's rule: objects are merged, all else replaced. Both
 * are taken, both may be NULL; returns the result. */
cJSON *hocon_merge(cJSON *base, cJSON *over);

#endif
