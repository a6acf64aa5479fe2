/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "server/project-store.h"
#include "base/alloc.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/id.h"
#include "base/json.h"
#include "server/api-error.h"
#include "server/names.h"
#include "server/schema.h"
#include "server/services.h"
#include "server/store.h"

#include <stdio.h>
#include <string.h>

#define NAME_MIN 3

const char projects_schema[] =
    "CREATE TABLE projects (id TEXT PRIMARY KEY, name TEXT NOT NULL UNIQUE,"
    " doc TEXT NOT NULL) WITHOUT ROWID;";

/* ---- names ---- */

char *project_clean_name_dup(const char *name)
{
    struct buf out = BUF_INIT;
    while (*name) {
        size_t n = strcspn(name, "/");
        auto_free char *raw = xstrndup(name, n);
        auto_free char *part = names_strip_dup(raw);
        if (n > 0) {
            if (out.len > 0)
                buf_add_char(&out, '/');
            buf_add_str(&out, part);
        }
        name += n + (name[n] == '/');
    }
    if (!out.data)
        buf_add_str(&out, "");
    return buf_take(&out);
}

int project_depth(const char *name)
{
    int depth = *name ? 1 : 0;
    for (; *name; name++)
        depth += *name == '/';
    return depth;
}

const char *project_basename(const char *name)
{
    const char *slash = strrchr(name, '/');
    return slash ? slash + 1 : name;
}

char *project_location_dup(const char *name)
{
    const char *slash = strrchr(name, '/');
    return xstrndup(name, slash ? (size_t)(slash - name) : 0);
}

int project_check_name(struct call *call, const char *name)
{
    if (project_depth(name) > PROJECT_DEPTH_MAX)
        return api_fail(call, API_PROJECT_DEPTH, NULL, "max_depth", "10", NULL);
    /* Each name of the path has at least this, so the shortest of them: the first. */
    if (strcspn(name, "/") < NAME_MIN)
        return api_fail(call, API_DATA_VALIDATION, "name: String value is too short",
                        NULL);
    return 0;
}

void project_range(const char *name, char **first, char **last)
{
    *first = xasprintf("%s/", name);
    *last = xasprintf("%s%c", name, '/' + 1);
}

/* ---- documents ---- */

static bool find_text(sqlite3_stmt *find, char out[65])
{
    bool found = store_row(find);
    if (found)
        snprintf(out, 65, "%s", (const char *)sqlite3_column_text(find, 0));
    sqlite3_reset(find);
    return found;
}

bool project_find(sqlite3 *db, const char *name, char out[65])
{
    return find_text(
        store_query(db, "SELECT id FROM projects WHERE name = ?", "t", name), out);
}

cJSON *project_load_full(sqlite3 *db, const char *project)
{
    return store_json(
        store_query(db, "SELECT doc FROM projects WHERE id = ?", "t", project));
}

void project_save(sqlite3 *db, const cJSON *doc)
{
    auto_free char *text = json_format(doc);
    store_change(
        db,
        "INSERT INTO projects (id, name, doc) VALUES (?, ?, ?)"
        " ON CONFLICT (id) DO UPDATE SET name = excluded.name, doc = excluded.doc",
        "ttt", json_str(doc, "id", ""), json_str(doc, "name", ""), text);
}

void project_touch(struct call *call, const char *project)
{
    char iso[CLOCK_ISO_SIZE];
    store_change(
        call->db,
        "UPDATE projects SET doc = json_set(doc, '$.last_update', ?) WHERE id = ?",
        "tt", clock_iso_clearml(call->now_ms, iso), project);
}

/* Sets parent and path of a document; parent "": it is at the top. */
static void put_below(sqlite3 *db, cJSON *doc, const char *parent)
{
    auto_json *above = *parent ? project_load_full(db, parent) : NULL;
    cJSON *path = cJSON_Duplicate(json_get(above, "path"), true);
    if (!cJSON_IsArray(path)) {
        cJSON_Delete(path);
        path = cJSON_CreateArray();
    }
    json_remove(doc, "parent");
    if (above) {
        json_set_str(doc, "parent", parent);
        cJSON_AddItemToArray(path, cJSON_CreateString(parent));
    }
    json_set(doc, "path", path);
}

void project_make(struct call *call, const char *name, const cJSON *extra, char out[65])
{
    char iso[CLOCK_ISO_SIZE], parent[65];
    const cJSON *field;
    auto_free char *location = project_location_dup(name);
    project_ensure(call, location, parent);
    id_new(out);
    auto_json *doc = cJSON_CreateObject();
    json_set_str(doc, "id", out);
    json_set_str(doc, "user", call->caller.user);
    json_set_str(doc, "company", call->caller.company);
    json_set_str(doc, "name", name);
    json_set_str(doc, "basename", project_basename(name));
    json_set_str(doc, "description", "");
    json_set_str(doc, "created", clock_iso_clearml(call->now_ms, iso));
    json_set_str(doc, "last_update", iso);
    json_set(doc, "tags", cJSON_CreateArray());
    json_set(doc, "system_tags", cJSON_CreateArray());
    json_set_int(doc, "featured", 9999);
    cJSON_ArrayForEach(field, extra)
        json_set(doc, field->string, cJSON_Duplicate(field, true));
    put_below(call->db, doc, parent);
    project_save(call->db, doc);
    if (*parent)
        project_touch(call, parent);
}

void project_ensure(struct call *call, const char *name, char out[65])
{
    out[0] = '\0';
    if (*name && !project_find(call->db, name, out))
        project_make(call, name, NULL, out);
}

/* One project below another that was renamed: the same way further down. */
static void move_child(struct call *call, const char *child, size_t old_len,
                       const char *new_name)
{
    char parent[65], iso[CLOCK_ISO_SIZE];
    auto_json *doc = project_load_full(call->db, child);
    auto_free char *name =
        xasprintf("%s%s", new_name, json_str(doc, "name", "") + old_len);
    auto_free char *location = project_location_dup(name);
    if (!project_find(call->db, location, parent))
        parent[0] = '\0';
    json_set_str(doc, "name", name);
    json_set_str(doc, "last_update", clock_iso_clearml(call->now_ms, iso));
    put_below(call->db, doc, parent);
    project_save(call->db, doc);
}

static cJSON *ids_of_rows(sqlite3_stmt *find)
{
    cJSON *ids = cJSON_CreateArray();
    while (store_row(find))
        cJSON_AddItemToArray(
            ids, cJSON_CreateString((const char *)sqlite3_column_text(find, 0)));
    sqlite3_reset(find);
    return ids;
}

static cJSON *children_of(sqlite3 *db, const char *name)
{
    auto_free char *first = NULL, *last = NULL;
    project_range(name, &first, &last);
    return ids_of_rows(store_query(
        db, "SELECT id FROM projects WHERE name > ? AND name < ? ORDER BY name", "tt",
        first, last));
}

int project_rename(struct call *call, const char *project, const char *name)
{
    char parent[65], iso[CLOCK_ISO_SIZE];
    const cJSON *child;
    auto_json *doc = project_load_full(call->db, project);
    auto_free char *old = xstrdup(json_str(doc, "name", ""));
    auto_free char *location = project_location_dup(name);
    /* Parents come before their children, so that each finds its own by name. */
    auto_json *children = children_of(call->db, old);
    project_ensure(call, location, parent);
    json_set_str(doc, "name", name);
    json_set_str(doc, "basename", project_basename(name));
    json_set_str(doc, "last_update", clock_iso_clearml(call->now_ms, iso));
    put_below(call->db, doc, parent);
    project_save(call->db, doc);
    cJSON_ArrayForEach(child, children)
        move_child(call, child->valuestring, strlen(old), name);
    return 1 + cJSON_GetArraySize(children);
}

int project_public_above(struct call *call, const char *name)
{
    auto_free char *path = xstrdup(name);
    for (char *slash = path + strlen(path); slash; slash = strrchr(path, '/')) {
        *slash = '\0';
        if (store_int(call->db,
                      "SELECT doc ->> '$.company' = '' FROM projects WHERE name = ?", 0,
                      "t", path) == 1)
            return api_fail(call, API_PUBLIC_PROJECT, NULL, "name", path, NULL);
    }
    return 0;
}

int project_deepest(sqlite3 *db, const char *name)
{
    auto_free char *first = NULL, *last = NULL;
    project_range(name, &first, &last);
    return 1 +
           (int)store_int(db,
                          "SELECT max(length(name) - length(replace(name, '/', '')))"
                          " FROM projects WHERE name = ?1"
                          " OR (name > ?2 AND name < ?3)",
                          0, "ttt", name, first, last);
}

cJSON *project_children(sqlite3 *db, const char *project)
{
    return ids_of_rows(store_query(
        db, "SELECT id FROM projects WHERE doc ->> '$.parent' = ? ORDER BY name", "t",
        project));
}

#define MOVE(table)                                                                    \
    "UPDATE " table " SET project = nullif(?2, '') WHERE project = ?1"                 \
    " AND instr(system_tags, '\"archived\"') = 0"

int project_move_contents(sqlite3 *db, const char *from, const char *to)
{
    return store_change(db, MOVE("tasks"), "tt", from, to) +
           store_change(db, MOVE("models"), "tt", from, to);
}

void project_remove(sqlite3 *db, const char *project)
{
    store_change(db, "DELETE FROM projects WHERE id = ?", "t", project);
}

/* ---- services.h ---- */

bool project_exists(sqlite3 *db, const char *project)
{
    return store_int(db, "SELECT 1 FROM projects WHERE id = ?", 0, "t", project) == 1;
}

cJSON *project_load(sqlite3 *db, const char *project)
{
    cJSON *doc = project_load_full(db, project);
    json_remove(doc, "path");
    json_remove(doc, "company_origin");
    return doc;
}

void project_find_or_create(struct call *call, const char *name, char out[65])
{
    auto_free char *clean = project_clean_name_dup(name);
    project_ensure(call, clean, out);
}

int project_requested(struct call *call, char out[65])
{
    const char *project = json_str(call->request, "project", "");
    const char *name = json_str(call->request, "project_name", "");
    if (!json_get(call->request, "project") && !*name)
        return api_fail(call, API_MISSING_FIELDS, "project or project_name is required",
                        NULL);
    if (*project && !project_exists(call->db, project))
        return api_fail(call, API_INVALID_PROJECT_ID, NULL, "id", project, NULL);
    snprintf(out, 65, "%s", project);
    if (*project || !*name)
        return 0;
    auto_free char *clean = project_clean_name_dup(name);
    if (!*clean)
        return api_fail(call, API_INVALID_PROJECT_NAME, NULL, "name", name, NULL);
    if (project_check_name(call, clean) || project_public_above(call, clean))
        return -1;
    project_ensure(call, clean, out);
    return 0;
}
