/* SPDX-License-Identifier: Apache-2.0 */
#include <config.h>

#include "config/config.h"
#include "config/config-internal.h"

#include "base/alloc.h"
#include "base/json.h"
#include "config/hocon.h"
#include "config/size.h"

#include <errno.h>
#include <limits.h>
#include <math.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

struct config {
    struct layers l;
};

/* ---- layers ---- */

void layers_free(struct layers *l)
{
    cJSON_Delete(l->tree);
    cJSON_Delete(l->origins);
    l->tree = l->origins = NULL;
}

void layers_add(struct layers *l, cJSON *tree, cJSON *origins)
{
    l->tree = hocon_merge(l->tree, tree);
    l->origins = hocon_merge(l->origins, origins);
}

static void tree_set(cJSON *tree, const char *path, cJSON *value)
{
    for (;;) {
        size_t n = strcspn(path, ".");
        auto_free char *name = xstrndup(path, n);
        if (!path[n]) {
            json_set(tree, name, value);
            return;
        }
        cJSON *next = json_get(tree, name);
        if (!cJSON_IsObject(next))
            next = json_set(tree, name, cJSON_CreateObject());
        tree = next;
        path += n + 1;
    }
}

cJSON *config_at_path(const char *path, cJSON *value)
{
    cJSON *root = cJSON_CreateObject();
    tree_set(root, path, value);
    return root;
}

/* As deep as value is, with from in the place of each of its values. */
static cJSON *origin_of(const cJSON *value, const char *from)
{
    const cJSON *item;
    if (!cJSON_IsObject(value))
        return cJSON_CreateString(from);
    cJSON *object = cJSON_CreateObject();
    cJSON_ArrayForEach(item, value)
        json_set(object, item->string, origin_of(item, from));
    return object;
}

void layers_set(struct layers *l, const char *path, cJSON *value, const char *from)
{
    tree_set(l->origins, path, origin_of(value, from));
    tree_set(l->tree, path, value);
}

/* ---- loading ---- */

char *config_expand_home_dup(const char *path)
{
    if (path[0] != '~' || (path[1] && path[1] != '/'))
        return xstrdup(path);
    const char *home = getenv("HOME");
    if (!home || !*home) {
        const struct passwd *user = getpwuid(geteuid());
        home = user && user->pw_dir ? user->pw_dir : "/";
    }
    return xasprintf("%s%s", home, path + 1);
}

static int add_folders(struct layers *l, struct reeve_error *err)
{
    const char *named = config_environment("CONFIG_PATH");
    if (!named)
        return 0;
    auto_free char *root = config_expand_home_dup(named);
    auto_free char *common = xasprintf("%s/default", root);
    if (config_add_folder(l, common, err) < 0)
        return -1;
    const char *env = getenv("TRAINS_ENV");
    if (!env || !*env || strcmp(env, "default") == 0 || strchr(env, '/'))
        return 0;
    auto_free char *special = xasprintf("%s/%s", root, env);
    return config_add_folder(l, special, err);
}

static const char *const usual_files[] = {"~/trains.conf", "~/clearml.conf"};

static int add_files(struct layers *l, const char *file, struct reeve_error *err)
{
    if (file)
        return config_add_file(l, file, true, err);
    const char *named = config_environment("CONFIG_FILE");
    if (named) {
        auto_free char *path = config_expand_home_dup(named);
        return config_add_file(l, path, false, err);
    }
    for (size_t i = 0; i < ARRAY_SIZE(usual_files); i++) {
        auto_free char *path = config_expand_home_dup(usual_files[i]);
        if (config_add_file(l, path, false, err) < 0)
            return -1;
    }
    return 0;
}

char *config_file_dup(void)
{
    const char *named = config_environment("CONFIG_FILE");
    if (named)
        return config_expand_home_dup(named);
    size_t i = ARRAY_SIZE(usual_files);
    while (i-- > 0) {
        char *path = config_expand_home_dup(usual_files[i]);
        if (access(path, F_OK) == 0)
            return path;
        free(path);
    }
    return config_expand_home_dup(usual_files[ARRAY_SIZE(usual_files) - 1]);
}

static struct config *config_take(struct layers *l)
{
    struct config *c = xcalloc(1, sizeof *c);
    c->l = *l;
    l->tree = l->origins = NULL;
    return c;
}

struct config *config_load(const char *file, struct reeve_error *err)
{
    auto_layers l = {NULL, NULL};
    if (config_add_defaults(&l, err) < 0 || add_folders(&l, err) < 0 ||
        add_files(&l, file, err) < 0 || config_add_extra_environment(&l, err) < 0)
        return NULL;
    config_add_environment(&l);
    return config_take(&l);
}

struct config *config_from_text(const char *text, struct reeve_error *err)
{
    auto_layers l = {NULL, NULL};
    struct hocon_options options = {.origins = &l.origins};
    l.tree = hocon_parse(text, strlen(text), &options, err);
    return l.tree ? config_take(&l) : NULL;
}

struct config *config_from_file(const char *file, struct reeve_error *err)
{
    auto_layers l = {NULL, NULL};
    l.tree = hocon_parse_file(file, &l.origins, err);
    return l.tree ? config_take(&l) : NULL;
}

void config_destroy(struct config *c)
{
    if (!c)
        return;
    layers_free(&c->l);
    free(c);
}

/* ---- reading ---- */

const cJSON *config_tree(const struct config *c)
{
    return c->l.tree;
}

const cJSON *config_origins(const struct config *c)
{
    return c->l.origins;
}

const cJSON *config_json(const struct config *c, const char *path)
{
    const cJSON *at = c->l.tree;
    while (at && *path) {
        size_t n = strcspn(path, ".");
        auto_free char *name = xstrndup(path, n);
        at = json_get(at, name);
        path += n + (path[n] == '.');
    }
    return cJSON_IsNull(at) ? NULL : at;
}

const char *config_text(const cJSON *v)
{
    bool scalar = cJSON_IsString(v) || cJSON_IsNumber(v) || cJSON_IsBool(v);
    return scalar && v->valuestring && *v->valuestring ? v->valuestring : NULL;
}

const char *config_str(const struct config *c, const char *path, const char *fallback)
{
    const char *text = config_text(config_json(c, path));
    return text ? text : fallback;
}

int config_read_int(const struct config *c, const char *path, int64_t *out,
                    struct reeve_error *err)
{
    const char *text = config_str(c, path, NULL);
    if (!text)
        return config_json(c, path) && !cJSON_IsString(config_json(c, path))
                   ? reeve_error_set(err, 0, "%s is no whole number", path)
                   : 0;
    char *end;
    errno = 0;
    long long value = strtoll(text, &end, 10);
    if (end == text || *end || errno)
        return reeve_error_set(err, 0, "%s: \"%.40s\" is no whole number", path, text);
    *out = value;
    return 1;
}

int64_t config_int(const struct config *c, const char *path, int64_t fallback)
{
    int64_t value;
    if (config_read_int(c, path, &value, NULL) > 0)
        return value;
    double number = config_num(c, path, NAN);
    return number > -9e18 && number < 9e18 ? (int64_t)number : fallback;
}

double config_num(const struct config *c, const char *path, double fallback)
{
    const cJSON *v = config_json(c, path);
    if (cJSON_IsNumber(v))
        return v->valuedouble;
    const char *text = cJSON_IsString(v) ? config_text(v) : NULL;
    if (!text)
        return fallback;
    char *end;
    double value = strtod(text, &end);
    return end == text || *end || !isfinite(value) ? fallback : value;
}

bool config_bool(const struct config *c, const char *path, bool fallback)
{
    static const char *const yes[] = {"true", "yes", "y", "on", "t", "1"};
    static const char *const no[] = {"false", "no", "n", "off", "f", "0"};
    const char *text = config_str(c, path, NULL);
    for (size_t i = 0; text && i < ARRAY_SIZE(yes); i++) {
        if (strcasecmp(text, yes[i]) == 0)
            return true;
        if (strcasecmp(text, no[i]) == 0)
            return false;
    }
    return fallback;
}

static int read_with(const struct config *c, const char *path,
                     int (*parse)(const char *, int64_t *, struct reeve_error *),
                     int64_t *out, struct reeve_error *err)
{
    const char *text = config_str(c, path, NULL);
    if (!text)
        return cJSON_IsObject(config_json(c, path)) ||
                       cJSON_IsArray(config_json(c, path))
                   ? reeve_error_set(err, 0, "%s: one value is expected", path)
                   : 0;
    if (parse(text, out, err) < 0)
        return reeve_error_wrap(err, "%s", path);
    return 1;
}

int config_read_size(const struct config *c, const char *path, int64_t *out,
                     struct reeve_error *err)
{
    return read_with(c, path, size_parse, out, err);
}

int config_read_duration_ms(const struct config *c, const char *path, int64_t *out,
                            struct reeve_error *err)
{
    return read_with(c, path, duration_parse, out, err);
}

int64_t config_size(const struct config *c, const char *path, int64_t fallback)
{
    int64_t value;
    return config_read_size(c, path, &value, NULL) > 0 ? value : fallback;
}

int64_t config_duration_ms(const struct config *c, const char *path, int64_t fallback)
{
    int64_t value;
    return config_read_duration_ms(c, path, &value, NULL) > 0 ? value : fallback;
}

int config_list(const struct config *c, const char *path, struct words *out,
                struct reeve_error *err)
{
    const cJSON *v = config_json(c, path), *item;
    if (cJSON_IsObject(v))
        return reeve_error_set(err, 0, "%s: a list is expected", path);
    if (!cJSON_IsArray(v)) {
        const char *text = config_text(v);
        if (text && words_split(text, out, err) < 0)
            return reeve_error_wrap(err, "%s", path);
        return 0;
    }
    cJSON_ArrayForEach(item, v)
    {
        const char *text = config_text(item);
        if (!text && !cJSON_IsString(item) && !cJSON_IsNull(item))
            return reeve_error_set(err, 0, "%s: a list of texts is expected", path);
        if (text)
            words_add(out, text);
    }
    return 0;
}

/* ---- setting ---- */

void config_set_json(struct config *c, const char *path, cJSON *value)
{
    /* Numbers and booleans carry their text, as those of a file do. */
    if ((cJSON_IsNumber(value) || cJSON_IsBool(value)) && !value->valuestring)
        value->valuestring = json_format(value);
    layers_set(&c->l, path, value, "command line");
}

void config_set(struct config *c, const char *path, const char *value)
{
    layers_set(&c->l, path, cJSON_CreateString(value), "command line");
}
