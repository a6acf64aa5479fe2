/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "prepare/payload-env.h"
#include "base/alloc.h"
#include "base/buf.h"
#include "base/file.h"

#include <stdbool.h>
#include <string.h>

static char **find(const struct words *env, const char *name, size_t n)
{
    for (size_t i = 0; i < env->n; i++)
        if (strncmp(env->v[i], name, n) == 0 && env->v[i][n] == '=')
            return &env->v[i];
    return NULL;
}

void payload_env_set(struct words *env, const char *name, const char *value)
{
    auto_free char *text = xasprintf("%s=%s", name, value);
    char **there = find(env, name, strlen(name));
    if (!there) {
        words_add(env, text);
        return;
    }
    free(*there);
    *there = steal(&text);
}

const char *payload_env_get(const struct words *env, const char *name)
{
    char **there = find(env, name, strlen(name));
    return there ? *there + strlen(name) + 1 : NULL;
}

static bool is_unset(const struct spec *spec, const char *text)
{
    const cJSON *name;
    size_t n = strcspn(text, "=");
    cJSON_ArrayForEach(name, spec->unset)
    {
        if (strlen(name->valuestring) == n && strncmp(name->valuestring, text, n) == 0)
            return true;
    }
    return false;
}

void payload_env_make(const struct spec *spec, const char *const *inherited,
                      struct words *env)
{
    for (; *inherited; inherited++)
        if (strchr(*inherited, '=') && !is_unset(spec, *inherited))
            words_add(env, *inherited);
    const cJSON *v;
    cJSON_ArrayForEach(v, spec->env) payload_env_set(env, v->string, v->valuestring);
    if (!spec->sdk_config)
        return;
    auto_free char *conf = path_join_dup(spec->run_dir, "conf");
    payload_env_set(env, "CLEARML_CONFIG_FILE", conf);
    payload_env_set(env, "TRAINS_CONFIG_FILE", conf);
}

void payload_env_add_python_path(struct words *env, const char *cwd, const char *folder)
{
    const char *old = payload_env_get(env, "PYTHONPATH");
    auto_buf path = BUF_INIT;
    if (old && old[0])
        buf_printf(&path, "%s:", old);
    buf_add_str(&path, cwd);
    if (strcmp(folder, ".") != 0)
        buf_printf(&path, ":%s/%s", cwd, folder);
    payload_env_set(env, "PYTHONPATH", buf_str(&path));
}
