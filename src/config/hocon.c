/* SPDX-License-Identifier: Apache-2.0 */
#include <config.h>

#include "config/hocon.h"
#include "config/hocon-internal.h"

#include "base/alloc.h"
#include "base/file.h"
#include "base/json.h"

cJSON *hocon_parse(const char *text, size_t n, const struct hocon_options *options,
                   struct reeve_error *err)
{
    struct hocon_doc doc = {.err = err};
    doc.root = doc_node(&doc, NODE_TREE, NULL);
    doc.root->root = true;
    cJSON *value = NULL;
    if (hocon_read(&doc, doc.root, text, n, options, 0) == 0 &&
        hocon_resolve(&doc, options && options->env) == 0)
        value = hocon_result(&doc, options);
    doc_free(&doc);
    return value;
}

cJSON *hocon_parse_file(const char *path, cJSON **origins, struct reeve_error *err)
{
    auto_buf text = BUF_INIT;
    if (file_read(path, &text, HOCON_BYTES_MAX, err) < 0)
        return NULL;
    struct hocon_options options = {.file = path, .env = true, .origins = origins};
    return hocon_parse(buf_str(&text), text.len, &options, err);
}

cJSON *hocon_merge(cJSON *base, cJSON *over)
{
    if (!over)
        return base;
    if (!cJSON_IsObject(base) || !cJSON_IsObject(over)) {
        cJSON_Delete(base);
        return over;
    }
    while (over->child) {
        cJSON *item = cJSON_DetachItemViaPointer(over, over->child);
        cJSON *old = json_get(base, item->string);
        auto_free char *name = xstrdup(item->string);
        if (cJSON_IsObject(old) && cJSON_IsObject(item))
            hocon_merge(old, item);
        else if (old)
            cJSON_ReplaceItemViaPointer(base, old, item);
        else
            cJSON_AddItemToObject(base, name, item);
    }
    cJSON_Delete(over);
    return base;
}
