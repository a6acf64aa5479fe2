/* SPDX-License-Identifier: Apache-2.0 */
#include <config.h>

#include "config/option-table.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/json.h"
#include "base/nearest.h"

#include <string.h>

#define LATER_NAMED_MAX 8

extern char **environ;

static const struct option_row rows[] = {
#include "src/config/options-rows.h"
};

const struct option_row *option_rows(size_t *n)
{
    *n = ARRAY_SIZE(rows);
    return rows;
}

const char *option_kind_name(enum option_kind kind)
{
    static const char *const names[] = {"option", "variable", "flag"};
    return names[kind];
}

const char *option_fate_name(enum option_fate fate)
{
    static const char *const names[] = {"same", "better", "later", "refused", "reeve"};
    return names[fate];
}

static bool covers(const char *pattern, const char *name)
{
    size_t n = strlen(pattern);
    return n && pattern[n - 1] == '*' && strncmp(pattern, name, n - 1) == 0;
}

const struct option_row *option_find(enum option_kind kind, const char *name)
{
    const struct option_row *wide = NULL;
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        if (rows[i].kind == kind && strcmp(rows[i].name, name) == 0)
            return &rows[i];
        if (rows[i].kind == kind && covers(rows[i].name, name))
            wide = &rows[i];
    }
    return wide;
}

/* ---- the check ---- */

struct check {
    const struct config *config;
    option_say_f say;
    void *arg;
    struct buf later;
    size_t later_n;
};

static void say_unknown(struct check *k, enum option_kind kind, const char *name,
                        const char *from, enum option_level level)
{
    struct nearest near = NEAREST_INIT(name);
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
        if (rows[i].kind == kind && !strchr(rows[i].name, '*'))
            nearest_try(&near, rows[i].name);
    auto_free char *text = xasprintf("%s (%s) is not known%s%s", name, from,
                                     near.best ? "; the nearest known one is " : "",
                                     near.best ? near.best : "");
    k->say(k->arg, level, text);
}

static void note_later(struct check *k, const char *name)
{
    if (k->later_n++ < LATER_NAMED_MAX)
        buf_printf(&k->later, "%s%s", k->later.len ? ", " : "", name);
}

static void judge(struct check *k, const struct option_row *row, const char *name,
                  const char *from)
{
    if (row->say == OPTION_SAY_NOTHING && row->fate == OPTION_LATER)
        note_later(k, name);
    if (row->say == OPTION_SAY_NOTHING)
        return;
    auto_free char *text = xasprintf("%s (%s): %s", name, from, row->text);
    k->say(k->arg,
           row->say == OPTION_SAY_ERROR ? OPTION_LEVEL_ERROR : OPTION_LEVEL_WARN, text);
}

/* False where the value is clearml-agent's own default, or none. */
static bool is_chosen(const struct option_row *row, const cJSON *value)
{
    bool empty = cJSON_IsNull(value) || cJSON_IsFalse(value) ||
                 (cJSON_IsString(value) && !*value->valuestring) ||
                 ((cJSON_IsArray(value) || cJSON_IsObject(value)) && !value->child);
    if (!*row->fallback)
        return !empty;
    auto_json *fallback = cJSON_Parse(row->fallback);
    return !cJSON_Compare(value, fallback, true);
}

static void check_value(struct check *k, const char *path, const cJSON *value,
                        const char *from)
{
    const struct option_row *row = option_find(OPTION_OPTION, path);
    bool own = strncmp(path, "agent.reeve.", strlen("agent.reeve.")) == 0;
    if (row && is_chosen(row, value))
        judge(k, row, path, from);
    else if (!row)
        say_unknown(k, OPTION_OPTION, path, from,
                    own ? OPTION_LEVEL_ERROR : OPTION_LEVEL_UNKNOWN);
}

static void check_tree(struct check *k, const char *path, const cJSON *tree,
                       const cJSON *origins)
{
    const cJSON *item;
    if (!cJSON_IsObject(tree))
        return;
    cJSON_ArrayForEach(item, tree)
    {
        const cJSON *from = json_get(origins, item->string);
        auto_free char *below = xasprintf("%s.%s", path, item->string);
        if (cJSON_IsObject(item) && item->child && !option_find(OPTION_OPTION, below))
            check_tree(k, below, item, from);
        else if (!cJSON_IsObject(item) || item->child)
            check_value(k, below, item,
                        cJSON_IsString(from) ? from->valuestring : "clearml.conf");
    }
}

/* The file may have names of its own at its root, for substitutions. */
static void check_root(struct check *k)
{
    static const char *const sections[] = {"agent",       "api",   "sdk",
                                           "environment", "files", "logging"};
    static const char *const checked[] = {"agent", "api", "files"};
    const cJSON *item, *tree = config_tree(k->config);
    for (size_t i = 0; i < ARRAY_SIZE(checked); i++)
        check_tree(k, checked[i], json_get(tree, checked[i]),
                   json_get(config_origins(k->config), checked[i]));
    cJSON_ArrayForEach(item, tree)
    {
        struct nearest near = NEAREST_INIT(item->string);
        for (size_t i = 0; i < ARRAY_SIZE(sections); i++)
            nearest_try(&near, sections[i]);
        bool known = near.best && strcmp(near.best, item->string) == 0;
        bool object = cJSON_IsObject(item);
        if (!near.best || known == object || (known && cJSON_IsNull(item)))
            continue;
        auto_free char *text =
            known
                ? xasprintf("the section %s is not read: it is no object", near.best)
                : xasprintf("the section %s is not known; the nearest known one is %s",
                            item->string, near.best);
        k->say(k->arg, OPTION_LEVEL_UNKNOWN, text);
    }
}

static void check_environment(struct check *k)
{
    for (char **e = environ; e && *e; e++) {
        auto_free char *name = xstrndup(*e, strcspn(*e, "="));
        const char *value = *e + strlen(name);
        bool agents = strncmp(name, "CLEARML_AGENT_", 14) == 0 ||
                      strncmp(name, "TRAINS_AGENT_", 13) == 0;
        const struct option_row *row = option_find(OPTION_VARIABLE, name);
        /* Others with CLEARML_ are the SDK's: tasks inherit them. */
        if (!row && agents)
            say_unknown(k, OPTION_VARIABLE, name, "environment", OPTION_LEVEL_UNKNOWN);
        else if (row && value[0] && value[1])
            judge(k, row, name, "environment");
    }
}

void option_check(const struct config *c, option_say_f say, void *arg)
{
    struct check k = {.config = c, .say = say, .arg = arg};
    check_root(&k);
    check_environment(&k);
    if (k.later_n) {
        auto_free char *more =
            k.later_n > LATER_NAMED_MAX
                ? xasprintf(" and %zu more", k.later_n - LATER_NAMED_MAX)
                : xstrdup("");
        auto_free char *text =
            xasprintf("not used by this version: %s%s; reeve-clearml-agent(7) says why",
                      buf_str(&k.later), more);
        say(arg, OPTION_LEVEL_WARN, text);
    }
    buf_free(&k.later);
}
