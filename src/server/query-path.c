/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "server/query-internal.h"

#include "base/alloc.h"
#include "base/json.h"

#include <stdio.h>
#include <string.h>

static size_t skip(const char *at, const char *what)
{
    size_t n = strlen(what);
    return strncmp(at, what, n) ? 0 : n;
}

/* ClearML's clients write a '.' inside a name as %2E, a '$' as %24, "__" as %_%_, a
 * leading '_' as %_ and the '%' itself twice. */
static char *name_unescape_dup(const char *name, size_t n)
{
    if (!memchr(name, '%', n))
        return xstrndup(name, n);
    auto_buf out = BUF_INIT;
    auto_free char *text = xstrndup(name, n);
    for (const char *p = text; *p;) {
        size_t used;
        if ((used = skip(p, "%%")))
            buf_add_char(&out, '%');
        else if ((used = skip(p, "%2E")))
            buf_add_char(&out, '.');
        else if ((used = skip(p, "%24")))
            buf_add_char(&out, '$');
        else if ((used = skip(p, "%_%_")))
            buf_add_str(&out, "__");
        else if (p == text && (used = skip(p, "%_")))
            buf_add_char(&out, '_');
        else
            buf_add_char(&out, p[(used = 1) - 1]);
        p += used;
    }
    return xstrdup(buf_str(&out));
}

char *query_segment_dup(const char **path)
{
    size_t n = strcspn(*path, ".");
    char *name = name_unescape_dup(*path, n);
    *path += n + ((*path)[n] == '.');
    return name;
}

/* SQLite's own JSON paths have no escape inside "...", so that a name with a quote, a
 * backslash or a control byte can't be said in them. */
static bool path_plain(const char *name)
{
    for (; *name; name++) {
        if (*name == '"' || *name == '\\' || (unsigned char)*name < 0x20)
            return false;
    }
    return true;
}

static void query_json_path(struct query *q, const char *rest, bool flat,
                            struct query_target *out)
{
    auto_buf path = BUF_INIT;
    auto_json *names = cJSON_CreateArray();
    bool plain = true;
    buf_add_char(&path, '$');
    while (*rest) {
        auto_free char *name =
            flat ? name_unescape_dup(rest, strlen(rest)) : query_segment_dup(&rest);
        if (flat)
            rest += strlen(rest);
        plain &= path_plain(name);
        buf_printf(&path, ".\"%s\"", name);
        cJSON_AddItemToArray(names, cJSON_CreateString(name));
    }
    if (!plain) {
        char source[sizeof out->source];
        snprintf(source, sizeof source, "json_at(%.100s, ?%d)", out->source,
                 query_json(q, names));
        memcpy(out->source, source, sizeof source);
        buf_clear(&path);
        buf_add_char(&path, '$');
    }
    out->path = query_text(q, buf_str(&path));
}

bool query_has_path(const struct query_collection *c, const char *path)
{
    if (c->docs) {
        const char *rest = "";
        const struct doc_field *f = doc_field_find(c->docs, path, &rest);
        return f && (!*rest || f->kind == DOC_JSON);
    }
    size_t n = strcspn(path, ".");
    auto_free char *first = xstrndup(path, n);
    return !c->members || query_named(c->members, first);
}

bool query_resolve(struct query *q, const char *path, struct query_target *out)
{
    memset(out, 0, sizeof *out);
    if (q->c->docs) {
        const char *rest;
        const struct doc_field *f = doc_field_find(q->c->docs, path, &rest);
        if (!f)
            return false;
        out->field = f;
        out->kind = f->kind;
        q->joined |= strcmp(f->table, "t") != 0;
        snprintf(out->source, sizeof out->source, "%s.%s", f->table, f->column);
        if (f->kind == DOC_JSON)
            query_json_path(q, rest, f->flags & DOC_FLAT, out);
        return true;
    }
    for (const char *const *c = q->c->columns; c && *c; c++) {
        size_t n = strlen(path);
        if (!strncmp(*c, path, n) && (*c)[n] == '=') {
            snprintf(out->source, sizeof out->source, "t.%s", *c + n + 1);
            out->kind = DOC_TEXT;
            return true;
        }
    }
    if (!query_has_path(q->c, path))
        return false;
    snprintf(out->source, sizeof out->source, "t.%s",
             strcmp(path, "id") ? "doc" : "id");
    out->kind = strcmp(path, "id") ? DOC_JSON : DOC_TEXT;
    if (out->kind == DOC_JSON)
        query_json_path(q, path, false, out);
    return true;
}

void query_value(const struct query_target *t, struct buf *out)
{
    if (t->path)
        buf_printf(out, "json_extract(%s, ?%d)", t->source, t->path);
    else
        buf_add_str(out, t->source);
}

/* Moves what is at path from one tree to the other, parents made as needed. A name with
 * dots in it is found whole before it is taken for a path. */
static void project_move(cJSON *from, cJSON *to, const char *path)
{
    if (cJSON_IsArray(from) && cJSON_IsArray(to)) {
        if (path[0] == '*' && path[1] == '.')
            path += 2;
        cJSON *item, *other = to->child;
        for (item = from->child; item && other; item = item->next, other = other->next)
            project_move(item, other, path);
        return;
    }
    if (!cJSON_IsObject(from) || !cJSON_IsObject(to))
        return;
    if (json_get(from, path)) {
        json_set(to, path, cJSON_DetachItemFromObjectCaseSensitive(from, path));
        return;
    }
    const char *rest = path;
    auto_free char *name = query_segment_dup(&rest);
    cJSON *child = json_get(from, name);
    if (!child)
        return;
    if (!*rest || !strcmp(rest, "*")) {
        json_set(to, name, cJSON_DetachItemFromObjectCaseSensitive(from, name));
        return;
    }
    cJSON *other = json_get(to, name);
    if (!other && cJSON_IsArray(child)) {
        other = json_set(to, name, cJSON_CreateArray());
        for (cJSON *i = child->child; i; i = i->next)
            cJSON_AddItemToArray(other, cJSON_CreateObject());
    } else if (!other && cJSON_IsObject(child)) {
        other = json_set(to, name, cJSON_CreateObject());
    }
    if (other)
        project_move(child, other, rest);
}

static void project_drop(cJSON *from, const char *path)
{
    if (json_get(from, path)) {
        json_remove(from, path);
        return;
    }
    auto_free char *name = query_segment_dup(&path);
    cJSON *child = json_get(from, name);
    if (!*path)
        json_remove(from, name);
    else if (child)
        project_drop(child, path);
}

static size_t path_depth(const char *path)
{
    size_t dots = 0;
    for (; *path; path++)
        dots += *path == '.';
    return dots > 3 ? 3 : dots;
}

void query_project(cJSON *doc, const cJSON *only_fields)
{
    cJSON *kept = cJSON_CreateObject();
    bool some = false, all = false;
    const cJSON *path;
    cJSON_ArrayForEach(path, only_fields)
    {
        if (!cJSON_IsString(path))
            continue;
        if (path->valuestring[0] == '-')
            project_drop(doc, path->valuestring + 1);
        else if (!strcmp(path->valuestring, "*"))
            all = true;
        else if (path->valuestring[0])
            some = true;
    }
    some &= !all;
    cJSON *id = some ? json_get(doc, "id") : NULL;
    if (id)
        json_set(kept, "id", cJSON_Duplicate(id, true));
    /* Short paths first: what a longer one names is inside what they have moved. */
    for (size_t depth = 0; some && depth <= 3; depth++) {
        cJSON_ArrayForEach(path, only_fields)
        {
            if (cJSON_IsString(path) && path->valuestring[0] &&
                path->valuestring[0] != '-' && path_depth(path->valuestring) == depth)
                project_move(doc, kept, path->valuestring);
        }
    }
    if (some) {
        cJSON_Delete(doc->child);
        doc->child = kept->child;
        kept->child = NULL;
    }
    cJSON_Delete(kept);
}
