/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "master/spec.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/fd.h"
#include "base/file.h"
#include "base/json.h"
#include "config/secrets.h"
#include "master/disk.h"
#include "master/master.h"
#include "master/quota.h"
#include "master/run-mask.h"
#include "master/run-token.h"
#include "run/run-dir.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define SPEC_VERSION 1
#define SPEC_MAX                                                                       \
    (96 << 20) /* scripts of 20 MB are seen; the server bounds a document at 64 MB */

/* ---- spec.json ---- */

static cJSON *words_to_json(const struct words *w)
{
    cJSON *list = cJSON_CreateArray();
    for (size_t i = 0; i < w->n; i++)
        cJSON_AddItemToArray(list, cJSON_CreateString(w->v[i]));
    return list;
}

static cJSON *env_to_json(const struct words *env)
{
    cJSON *object = cJSON_CreateObject();
    for (size_t i = 0; i < env->n; i++) {
        char *equals = strchr(env->v[i], '=');
        if (!equals)
            continue;
        auto_free char *name = xstrndup(env->v[i], (size_t)(equals - env->v[i]));
        json_set_str(object, name, equals + 1);
    }
    return object;
}

static void copy_member(cJSON *to, const cJSON *from, const char *name)
{
    const cJSON *v = json_get(from, name);
    if (v)
        json_set(to, name, cJSON_Duplicate(v, true));
}

/* agent.ignore_requested_python_version: no Python of the task's choice. */
static void forget_python(cJSON *script)
{
    const char *binary = json_str(script, "binary", "");
    const char *slash = strrchr(binary, '/');
    if (strncmp(slash ? slash + 1 : binary, "python", 6) == 0)
        json_set_str(script, "binary", "");
}

static cJSON *script_to_json(const cJSON *task, const struct config *config)
{
    static const char *const fields[] = {"repository",  "branch",      "tag",
                                         "version_num", "entry_point", "working_dir",
                                         "binary",      "diff",        "requirements"};
    cJSON *script = cJSON_CreateObject();
    for (size_t i = 0; i < ARRAY_SIZE(fields); i++)
        copy_member(script, json_get(task, "script"), fields[i]);
    if (config_bool(config, "agent.ignore_requested_python_version", false))
        forget_python(script);
    return script;
}

static void resolve_policy(struct run *run, const cJSON *task, cJSON *spec,
                           struct reeve_error *quota_err)
{
    struct quota quota;
    memset(&quota, 0, sizeof quota);
    struct quota_queue queue = {run->queue, run->queue_name};
    if (quota_resolve(task, run->master->config, &queue, &quota, quota_err) < 0) {
        policy_from_json(NULL, &run->policy);
        json_set_str(spec, "quota_error", quota_err->text);
    } else {
        policy_from_quota(&quota, &run->policy);
        json_set(spec, "env", env_to_json(&quota.env));
        json_set(spec, "notes", words_to_json(&quota.notes));
        quota_free(&quota);
    }
    json_set(spec, "policy", policy_to_json(&run->policy));
}

/* agent.enable_task_env: hyperparameters of the section Environment are variables. */
static void add_task_env(cJSON *spec, const cJSON *task, const struct config *config)
{
    const cJSON *entry, *section = json_path(task, "hyperparams", "Environment", NULL);
    if (!cJSON_IsObject(section) ||
        !config_bool(config, "agent.enable_task_env", false))
        return;
    cJSON *env = json_member(spec, "env");
    cJSON_ArrayForEach(entry, section)
    {
        const char *name = json_str(entry, "name", entry->string);
        if (*name && !strchr(name, '='))
            json_set_str(env, name, json_str(entry, "value", ""));
    }
}

/* A task that begins others, its steps. */
static bool is_controller(const cJSON *task)
{
    const char *type = json_str(task, "type", "");
    return strcmp(type, "controller") == 0 || strcmp(type, "optimizer") == 0 ||
           json_list_has(json_get(task, "system_tags"), "pipeline");
}

char *spec_make_dup(struct run *run, const cJSON *task, const char *project_name,
                    struct reeve_error *quota_err)
{
    auto_json *spec = cJSON_CreateObject();
    free(run->name);
    free(run->project);
    free(run->project_name);
    run->name = xstrdup(json_str(task, "name", run->id));
    run->project = xstrdup(json_str(task, "project", ""));
    run->project_name = xstrdup(project_name);
    json_set_int(spec, "version", SPEC_VERSION);
    json_set_str(spec, "task", run->id);
    json_set_str(spec, "claim", run->claim);
    json_set_str(spec, "name", run->name);
    json_set_str(spec, "project", run->project_name);
    json_set_str(spec, "project_id", run->project);
    json_set_str(spec, "queue", run->queue);
    json_set_str(spec, "queue_name", run->queue_name);
    json_set_bool(spec, "controller", run->controller = is_controller(task));
    json_set(spec, "script", script_to_json(task, run->master->config));
    copy_member(spec, task, "container");
    resolve_policy(run, task, spec, quota_err);
    add_task_env(spec, task, run->master->config);
    return json_format(spec);
}

static cJSON *spec_read(struct run *run, struct reeve_error *err)
{
    auto_free char *path = run_file_dup(run->master->state_root, run->id, "spec.json");
    auto_buf text = BUF_INIT;
    if (file_read(path, &text, SPEC_MAX, err) < 0)
        return NULL;
    cJSON *spec = json_parse(buf_str(&text), text.len, err);
    if (!spec)
        reeve_error_wrap(err, "%s", path);
    return spec;
}

int spec_load(struct run *run, struct reeve_error *quota_err, struct reeve_error *err)
{
    auto_json *spec = spec_read(run, err);
    if (!spec) {
        run->name = xstrdup(run->id);
        return -1;
    }
    const char *quota = json_str(spec, "quota_error", NULL);
    if (quota)
        reeve_error_set(quota_err, 0, "%s", quota);
    snprintf(run->claim, sizeof run->claim, "%s", json_str(spec, "claim", ""));
    run->name = xstrdup(json_str(spec, "name", run->id));
    run->project = xstrdup(json_str(spec, "project_id", ""));
    run->project_name = xstrdup(json_str(spec, "project", ""));
    run->queue = xstrdup(json_str(spec, "queue", ""));
    run->queue_name = xstrdup(json_str(spec, "queue_name", ""));
    run->controller = json_bool(spec, "controller", false);
    policy_from_json(json_get(spec, "policy"), &run->policy);
    return 0;
}

/* ---- what the payload alone may know ---- */

/* Both spellings, as the official agent sets them (worker.py, definitions.py). */
static void set_env(cJSON *env, const char *name, const char *value)
{
    auto_free char *clearml = xasprintf("CLEARML_%s", name);
    auto_free char *trains = xasprintf("TRAINS_%s", name);
    json_set_str(env, clearml, value);
    json_set_str(env, trains, value);
}

/* agent.apply_environment: the section `environment` of clearml.conf, as Python's str()
 * writes its values. */
static void add_configured_env(cJSON *env, const struct config *config)
{
    const cJSON *item, *section = config_json(config, "environment");
    if (!cJSON_IsObject(section) ||
        !config_bool(config, "agent.apply_environment", false))
        return;
    cJSON_ArrayForEach(item, section)
    {
        auto_free char *tree =
            cJSON_IsObject(item) || cJSON_IsArray(item) ? json_format(item) : NULL;
        const char *text = tree                 ? tree
                           : cJSON_IsBool(item) ? cJSON_IsTrue(item) ? "True" : "False"
                           : item->valuestring  ? item->valuestring
                                                : "";
        if (*item->string && !strchr(item->string, '='))
            json_set_str(env, item->string, text);
    }
}

/* The environment in which an unmodified Task.init() attaches to this task
 * (wire.md 7.5). The task's own -e words come last: they may override all but the
 * identity. */
static cJSON *payload_env(struct run *run, const cJSON *own)
{
    struct master *m = run->master;
    char worker[256];
    cJSON *env = cJSON_CreateObject();
    add_configured_env(env, m->config);
    set_env(env, "LOG_LEVEL", "INFO");
    set_env(env, "LOG_TASK_TO_BACKEND", "0");
    json_set_str(env, "CUDA_DEVICE_ORDER", "PCI_BUS_ID");
    json_set_str(env, "CUDA_VISIBLE_DEVICES", "none");
    json_set_str(env, "NVIDIA_VISIBLE_DEVICES", "none");
    const cJSON *e;
    cJSON_ArrayForEach(e, own)
    {
        if (cJSON_IsString(e))
            json_set_str(env, e->string, e->valuestring);
    }
    auto_free char *tmp = disk_tmp_dup(run);
    if (tmp && !json_get(own, "TMPDIR"))
        json_set_str(env, "TMPDIR", tmp);
    set_env(env, "TASK_ID", run->id);
    set_env(env, "WORKER_ID", run_worker(run, worker));
    set_env(env, "API_HOST", m->api_url);
    set_env(env, "WEB_HOST", m->web_url);
    set_env(env, "FILES_HOST", m->files_url);
    if (api_token(m->api))
        json_set_str(env, "CLEARML_AUTH_TOKEN", api_token(m->api));
    return env;
}

/* The payload inherits the sub-agent's environment, from which the agent's credentials
 * are gone already; a sub-agent of an earlier reeve may have some. */
static cJSON *payload_unset(void)
{
    static const char *const names[] = {"CLEARML_PROC_MASTER_ID",
                                        "TRAINS_PROC_MASTER_ID", "REEVE_DATA",
                                        "REEVE_STATE_DIR", "REEVE_RUN_DIR"};
    cJSON *list = cJSON_CreateArray();
    for (size_t i = 0; secret_variables[i]; i++)
        if (secret_variable_is_agents(secret_variables[i], strlen(secret_variables[i])))
            cJSON_AddItemToArray(list, cJSON_CreateString(secret_variables[i]));
    for (size_t i = 0; i < ARRAY_SIZE(names); i++)
        cJSON_AddItemToArray(list, cJSON_CreateString(names[i]));
    return list;
}

/* Hosts and the sdk section; neither keys nor the agent's own settings. JSON is HOCON.
 */
static char *sdk_config_dup(const struct master *m)
{
    auto_json *conf = cJSON_CreateObject();
    cJSON *api = json_set(conf, "api", cJSON_CreateObject());
    json_set_str(api, "api_server", m->api_url);
    json_set_str(api, "web_server", m->web_url);
    json_set_str(api, "files_server", m->files_url);
    const char *authorities = config_str(m->config, "api.ca_file", NULL);
    if (authorities)
        json_set_str(api, "verify_certificate", authorities);
    else
        json_set_bool(api, "verify_certificate",
                      config_bool(m->config, "api.verify_certificate", true));
    const cJSON *sdk = config_json(m->config, "sdk");
    if (sdk)
        json_set(conf, "sdk", cJSON_Duplicate(sdk, true));
    return json_format(conf);
}

/* agent.python_binary, else the version that agent.default_python names. */
static char *python_dup(const struct config *config)
{
    const char *version = config_str(config, "agent.default_python", "3");
    const char *binary = config_str(config, "agent.python_binary", NULL);
    if (binary)
        return xstrdup(binary);
    return xasprintf("%s%s", strspn(version, "0123456789") ? "python" : "", version);
}

/* agent.git_user and all that goes with it, as reeve-prepare's git-identity.h reads it.
 */
static void add_git(cJSON *spec, const struct config *c)
{
    static const char *const texts[][2] = {
        {"user", "agent.git_user"},
        {"pass", "agent.git_pass"},
        {"host", "agent.git_host"},
        {"scheme", "agent.translate_ssl_replacement_scheme"},
        {"ssh_user", "agent.force_git_ssh_user"},
    };
    cJSON *git = json_set(spec, "git", cJSON_CreateObject());
    for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
        if (config_str(c, texts[i][1], NULL))
            json_set_str(git, texts[i][0], config_str(c, texts[i][1], NULL));
    json_set_bool(git, "host_match_prefix",
                  config_bool(c, "agent.git_host_match_prefix", false));
    json_set_bool(git, "translate_ssh", config_bool(c, "agent.translate_ssh", true));
    json_set_bool(git, "force_ssh",
                  config_bool(c, "agent.force_git_ssh_protocol", false));
    json_set_int(git, "ssh_port", config_int(c, "agent.force_git_ssh_port", 0));
    const cJSON *extra = config_json(c, "agent.git.extra_credentials");
    if (cJSON_IsArray(extra))
        json_set(git, "extra_credentials", cJSON_Duplicate(extra, true));
}

int spec_mask_open(struct run *run, struct reeve_error *err)
{
    auto_json *spec = spec_read(run, err);
    auto_json *env = payload_env(run, json_get(spec, "env"));
    run_token_add(run, env);
    return run_mask_open(run->master->config, env, err);
}

int spec_open(struct run *run, int *mask, struct reeve_error *err)
{
    struct master *m = run->master;
    auto_json *spec = spec_read(run, err);
    if (!spec)
        return -1;
    auto_free char *state_dir = run_dir_dup(m->state_root, run->id);
    auto_free char *run_dir = run_dir_dup(m->run_root, run->id);
    auto_free char *sdk = sdk_config_dup(m);
    json_set_int(spec, "attempt", run->attempt);
    json_set_str(spec, "state_dir", state_dir);
    json_set_str(spec, "run_dir", run_dir);
    json_set_str(spec, "cache_dir", m->cache_root);
    const cJSON *env = json_set(spec, "env", payload_env(run, json_get(spec, "env")));
    json_set(spec, "unset", payload_unset());
    json_set_str(spec, "sdk_config", sdk);
    json_set_int(spec, "umask", m->options->umask);
    auto_free char *python = python_dup(m->config);
    json_set_str(spec, "python", python);
    add_git(spec, m->config);
    auto_free char *text = json_format(spec);
    auto_close fd = fd_sealed("reeve-spec", text, strlen(text));
    int made = fd < 0 ? errno : 0;
    size_t n = strlen(text);
    explicit_bzero(text, n);
    if (fd < 0)
        return reeve_error_set(err, made, "make the spec for reeve-prepare");
    run_token_note(run);
    *mask = run_mask_open(m->config, env, err);
    return *mask < 0 ? -1 : fd_take(&fd);
}
