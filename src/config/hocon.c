/* SPDX-License-Identifier: Apache-2.0 */
#include <config.h>

#include "config/hocon.h"
#include "config/hocon-internal.h"

#include "base/file.h"

cJSON *hocon_parse(const char *text, size_t n, const struct hocon_options *options,
                   struct reeve_error *err)
{
    struct hocon_doc doc = {0};
    doc.root = doc_node(&doc, NODE_OBJECT);
    cJSON *value = NULL;
    if (hocon_read(&doc, doc.root, text, n, options, NULL, 0, 0, err) == 0)
        value = hocon_resolve(&doc, options && options->env, err);
    doc_free(&doc);
    return value;
}

cJSON *hocon_parse_file(const char *path, struct reeve_error *err)
{
    auto_buf text = BUF_INIT;
    if (file_read(path, &text, HOCON_BYTES_MAX, err) < 0)
        return NULL;
    struct hocon_options options = {.file = path, .env = true};
    return hocon_parse(buf_str(&text), text.len, &options, err);
}
