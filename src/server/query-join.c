/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "server/query-internal.h"

#include "base/alloc.h"
#include "base/json.h"

#include <string.h>

/* What follows the reference in a projection's path ("name" of "project.name"); NULL if
 * the path is not below it. A path may leave out the "*" of a list. */
static const char *below(const char *ref, const char *path)
{
    while (*ref) {
        if (ref[0] == '*' && ref[1] == '.') {
            ref += 2;
            if (path[0] == '*' && path[1] == '.')
                path += 2;
        } else if (*ref++ != *path++) {
            return NULL;
        }
    }
    return *path == '.' && path[1] ? path + 1 : NULL;
}

cJSON *query_join_fields(const struct query_collection *c, const cJSON *only_fields)
{
    cJSON *out = cJSON_CreateArray();
    const cJSON *item;
    cJSON_ArrayForEach(item, only_fields)
    {
        const char *path = cJSON_GetStringValue(item);
        if (!path || !*path)
            continue;
        size_t n = strlen(path);
        for (const struct query_ref *r = c->refs; r && r->path; r++) {
            const char *rest = below(r->path, path);
            if (rest)
                n = (size_t)(rest - path) - 1;
        }
        if (n > 2 && !strcmp(path + n - 2, ".*"))
            n -= 2;
        auto_free char *cut = xstrndup(path, n);
        cJSON_AddItemToArray(out, cJSON_CreateString(cut));
    }
    return out;
}

struct join {
    struct query *q;
    const struct query_ref *ref;
    cJSON *only; /* fields of the other document; empty: its id alone */
    bool whole;
    cJSON *seen; /* id: object */
};

static cJSON *join_object(struct join *j, const char *id)
{
    cJSON *known = json_get(j->seen, id);
    if (known)
        return cJSON_Duplicate(known, true);
    cJSON *doc = NULL;
    if (j->only->child || j->whole)
        doc = j->ref->load(j->q->call->db, id);
    if (doc && !j->whole)
        query_project(doc, j->only);
    if (!doc) {
        doc = cJSON_CreateObject();
        json_set_str(doc, "id", id);
    }
    json_set(j->seen, id, cJSON_Duplicate(doc, true));
    return doc;
}

static void join_at(struct join *j, cJSON *node, const char *path)
{
    if (cJSON_IsArray(node) && path[0] == '*' && path[1] == '.') {
        cJSON *item;
        cJSON_ArrayForEach(item, node) join_at(j, item, path + 2);
        return;
    }
    size_t n = strcspn(path, ".");
    auto_free char *name = xstrndup(path, n);
    cJSON *child = json_get(node, name);
    if (!child)
        return;
    if (path[n])
        join_at(j, child, path + n + 1);
    else if (cJSON_IsString(child) && child->valuestring[0])
        cJSON_ReplaceItemInObjectCaseSensitive(node, name,
                                               join_object(j, child->valuestring));
}

void query_join(struct query *q, cJSON *docs, const cJSON *only_fields)
{
    for (const struct query_ref *r = q->c->refs; r && r->path; r++) {
        struct join j = {.q = q,
                         .ref = r,
                         .only = cJSON_CreateArray(),
                         .seen = cJSON_CreateObject()};
        cJSON *item;
        cJSON_ArrayForEach(item, only_fields)
        {
            const char *path = cJSON_GetStringValue(item);
            const char *rest = path ? below(r->path, path) : NULL;
            if (rest && !strcmp(rest, "*"))
                j.whole = true;
            else if (rest)
                cJSON_AddItemToArray(j.only, cJSON_CreateString(rest));
        }
        cJSON_ArrayForEach(item, docs) join_at(&j, item, r->path);
        cJSON_Delete(j.only);
        cJSON_Delete(j.seen);
    }
}
