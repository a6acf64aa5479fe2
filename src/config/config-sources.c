/* SPDX-License-Identifier: Apache-2.0 */
#include <config.h>

#include "config/config-internal.h"

#include "base/alloc.h"
#include "base/file.h"
#include "base/json.h"
#include "config/hocon.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define FOLDER_DEPTH_MAX 4
#define EXTRA_PREFIX "CLEARML_AGENT__"

extern char **environ;

int config_add_defaults(struct layers *l, struct reeve_error *err)
{
    static const char defaults[] = "api { verify_certificate: true }\n"
                                   "agent {\n"
                                   "  package_manager { type: pip }\n"
                                   "  translate_ssh: true\n"
                                   "  translate_ssl_replacement_scheme: https\n"
                                   "  abort_callback_max_timeout: 1800\n"
                                   "  apply_environment: true\n"
                                   "  apply_files: true\n"
                                   "}\n"
                                   "sdk {}\n";
    cJSON *origins = NULL;
    struct hocon_options options = {.origins = &origins, .from = "default"};
    cJSON *tree = hocon_parse(defaults, strlen(defaults), &options, err);
    layers_add(l, tree, origins);
    return tree ? 0 : -1;
}

int config_add_file(struct layers *l, const char *path, bool required,
                    struct reeve_error *err)
{
    struct reeve_error why = {0};
    cJSON *origins = NULL, *more = hocon_parse_file(path, &origins, &why);
    if (!more && !required && (why.code == ENOENT || why.code == ENOTDIR))
        return 0;
    if (!more)
        return reeve_error_set(err, 0, "%s", why.text);
    layers_add(l, more, origins);
    return 0;
}

/* ---- CLEARML_CONFIG_PATH ---- */

static int not_hidden(const struct dirent *entry)
{
    return entry->d_name[0] != '.';
}

static bool has_suffix(const char *name, const char *suffix)
{
    size_t n = strlen(name), m = strlen(suffix);
    return n > m && strcmp(name + n - m, suffix) == 0;
}

static int add_folder(struct layers *l, const char *folder, const char *prefix,
                      int depth, struct reeve_error *err);

static int add_entry(struct layers *l, const char *folder, const char *prefix,
                     const struct dirent *entry, int depth, struct reeve_error *err)
{
    const char *name = entry->d_name;
    auto_free char *path = path_join_dup(folder, name);
    const char *dot = *prefix ? "." : "";
    if (!has_suffix(name, ".conf")) {
        auto_free char *below = xasprintf("%s%s%s", prefix, dot, name);
        return depth < FOLDER_DEPTH_MAX ? add_folder(l, path, below, depth + 1, err)
                                        : 0;
    }
    cJSON *origins = NULL, *value = hocon_parse_file(path, &origins, err);
    if (!value)
        return -1;
    auto_free char *key =
        xasprintf("%s%s%.*s", prefix, dot, (int)(strlen(name) - strlen(".conf")), name);
    layers_add(l, config_at_path(key, value), config_at_path(key, origins));
    return 0;
}

static int add_folder(struct layers *l, const char *folder, const char *prefix,
                      int depth, struct reeve_error *err)
{
    struct dirent **entries;
    int n = scandir(folder, &entries, not_hidden, alphasort), rc = 0;
    if (n < 0)
        return errno == ENOENT || errno == ENOTDIR
                   ? 0
                   : reeve_error_set(err, errno, "read %s", folder);
    for (int i = 0; i < n; i++) {
        if (rc == 0)
            rc = add_entry(l, folder, prefix, entries[i], depth, err);
        free(entries[i]);
    }
    free(entries);
    return rc;
}

int config_add_folder(struct layers *l, const char *folder, struct reeve_error *err)
{
    return add_folder(l, folder, "", 0, err);
}

/* ---- CLEARML_AGENT__SECTION__KEY ---- */

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* "AGENT__GIT_USER" as "agent.git_user". */
static char *extra_path_dup(const char *name, size_t n)
{
    char *path = xmalloc(n + 1);
    size_t len = 0;
    for (size_t i = 0; i < n; i++) {
        bool dot = name[i] == '_' && i + 1 < n && name[i + 1] == '_';
        path[len++] = dot ? '.' : (char)tolower((unsigned char)name[i]);
        i += dot;
    }
    path[len] = '\0';
    return path;
}

static int add_extra(struct layers *l, const char *variable, struct reeve_error *err)
{
    const char *name = variable + strlen(EXTRA_PREFIX);
    const char *equals = strchr(name, '=');
    auto_free char *path = extra_path_dup(name, (size_t)(equals - name));
    auto_free char *text = xasprintf("%s: %s", path, equals + 1);
    auto_free char *from = xasprintf("$%.*s", (int)(equals - variable), variable);
    cJSON *origins = NULL;
    struct hocon_options options = {.env = true, .origins = &origins, .from = from};
    cJSON *more = hocon_parse(text, strlen(text), &options, NULL);
    if (!more)
        return reeve_error_set(err, 0,
                               "the variable %.*s has no value that clearml.conf could "
                               "have; put it in double quotes",
                               (int)(equals - variable), variable);
    layers_add(l, more, origins);
    return 0;
}

int config_add_extra_environment(struct layers *l, struct reeve_error *err)
{
    size_t n = 0, count = 0;
    while (environ && environ[count])
        count++;
    auto_free const char **found = xcalloc(count + 1, sizeof *found);
    for (size_t i = 0; i < count; i++) {
        const char *e = environ[i];
        if (strncmp(e, EXTRA_PREFIX, strlen(EXTRA_PREFIX)) == 0 &&
            strcspn(e, "=") > strlen(EXTRA_PREFIX) && strchr(e, '='))
            found[n++] = e;
    }
    qsort(found, n, sizeof *found, compare_names);
    for (size_t i = 0; i < n; i++)
        if (add_extra(l, found[i], err) < 0)
            return -1;
    return 0;
}

/* ---- variables with a fixed meaning ---- */

static const struct variable {
    const char *path;
    const char *names[3]; /* the first that is set counts */
} variables[] = {
    {"api.api_server", {"CLEARML_API_HOST", "TRAINS_API_HOST"}},
    {"api.web_server", {"CLEARML_WEB_HOST", "TRAINS_WEB_HOST"}},
    {"api.files_server", {"CLEARML_FILES_HOST", "TRAINS_FILES_HOST"}},
    {"api.credentials.access_key", {"CLEARML_API_ACCESS_KEY", "TRAINS_API_ACCESS_KEY"}},
    {"api.credentials.secret_key", {"CLEARML_API_SECRET_KEY", "TRAINS_API_SECRET_KEY"}},
    {"api.auth.token", {"CLEARML_AUTH_TOKEN"}},
    {"api.verify_certificate",
     {"CLEARML_API_HOST_VERIFY_CERT", "TRAINS_API_HOST_VERIFY_CERT"}},
    {"agent.worker_name", {"CLEARML_WORKER_NAME", "TRAINS_WORKER_NAME"}},
    {"agent.worker_id", {"CLEARML_WORKER_ID", "TRAINS_WORKER_ID"}},
    {"agent.git_user", {"CLEARML_AGENT_GIT_USER", "TRAINS_AGENT_GIT_USER"}},
    {"agent.git_pass", {"CLEARML_AGENT_GIT_PASS", "TRAINS_AGENT_GIT_PASS"}},
    {"agent.git_host", {"CLEARML_AGENT_GIT_HOST", "TRAINS_AGENT_GIT_HOST"}},
    {"agent.cuda_version",
     {"CLEARML_CUDA_VERSION", "TRAINS_CUDA_VERSION", "CUDA_VERSION"}},
    {"agent.cudnn_version",
     {"CLEARML_CUDNN_VERSION", "TRAINS_CUDNN_VERSION", "CUDNN_VERSION"}},
    {"agent.cpu_only", {"CLEARML_CPU_ONLY", "TRAINS_CPU_ONLY", "CPU_ONLY"}},
    {"agent.services_docker_restart", {"CLEARML_AGENT_SERVICES_DOCKER_RESTART"}},
    {"agent.default_docker.image", {"CLEARML_DOCKER_IMAGE", "TRAINS_DOCKER_IMAGE"}},
    {"agent.polling_interval", {"CLEARML_AGENT_QUEUE_POLL_FREQ_SEC"}},
    {"agent.reeve.waits.report", {"CLEARML_AGENT_STATUS_REPORT_FREQ_SEC"}},
    {"agent.translate_ssl_replacement_scheme",
     {"CLEARML_AGENT_SSH_URL_REPLACEMENT_SCHEME"}},
    {"agent.apply_environment", {"CLEARML_AGENT_ENABLE_ENV_CONFIG_SECTION"}},
    {"agent.apply_files", {"CLEARML_AGENT_ENABLE_FILES_CONFIG_SECTION"}},
    {"sdk.aws.s3.key", {"AWS_ACCESS_KEY_ID"}},
    {"sdk.aws.s3.secret", {"AWS_SECRET_ACCESS_KEY"}},
    {"sdk.aws.s3.region", {"AWS_DEFAULT_REGION"}},
    {"sdk.google.storage.credentials_json", {"GOOGLE_APPLICATION_CREDENTIALS"}},
};

/* The name of the first that is set, or NULL. */
static const char *environment_first(const char *const names[3])
{
    for (int i = 0; i < 3 && names[i]; i++) {
        const char *value = getenv(names[i]);
        if (value && *value)
            return names[i];
    }
    return NULL;
}

const char *config_environment(const char *name)
{
    auto_free char *clearml = xasprintf("CLEARML_%s", name);
    auto_free char *trains = xasprintf("TRAINS_%s", name);
    const char *const names[3] = {clearml, trains};
    const char *found = environment_first(names);
    return found ? getenv(found) : NULL;
}

static char *stripped_dup(const char *text)
{
    size_t n = strlen(text);
    for (; isspace((unsigned char)*text); text++)
        n--;
    while (n && isspace((unsigned char)text[n - 1]))
        n--;
    return xstrndup(text, n);
}

/* A token counts only from the environment, and then instead of the keys. */
static void settle_token(struct layers *l)
{
    const char *token = getenv("CLEARML_AUTH_TOKEN");
    bool given = token && *token;
    cJSON *const trees[] = {l->tree, l->origins};
    for (size_t i = 0; i < ARRAY_SIZE(trees); i++) {
        cJSON *api = json_get(trees[i], "api");
        json_remove(given ? api : json_get(api, "auth"),
                    given ? "credentials" : "token");
    }
}

/* ClearML takes a path for a yes here: the file of the authorities to trust. */
static void settle_certificate(struct layers *l)
{
    const char *verify = json_str(json_get(l->tree, "api"), "verify_certificate", "");
    const char *from = json_str(json_get(l->origins, "api"), "verify_certificate", "");
    if (!strpbrk(verify, "/."))
        return;
    auto_free char *again = xstrdup(from);
    layers_set(l, "api.ca_file", cJSON_CreateString(verify), again);
    layers_set(l, "api.verify_certificate", cJSON_CreateString("true"), again);
}

/* One more container, as ClearML's agent adds it. */
static void add_azure(struct layers *l)
{
    static const char path[] = "sdk.azure.storage.containers";
    const char *name = getenv("AZURE_STORAGE_ACCOUNT");
    const char *key = getenv("AZURE_STORAGE_KEY");
    if ((!name || !*name) && (!key || !*key))
        return;
    cJSON *old = json_path(l->tree, "sdk", "azure", "storage", "containers", NULL);
    cJSON *list = cJSON_IsArray(old) ? cJSON_Duplicate(old, true) : cJSON_CreateArray();
    cJSON *entry = cJSON_CreateObject();
    json_set_str(entry, "account_name", name && *name ? name : NULL);
    json_set_str(entry, "account_key", key && *key ? key : NULL);
    cJSON_AddItemToArray(list, entry);
    layers_set(l, path, list, "$AZURE_STORAGE_ACCOUNT");
}

/* The older name of api.api_server. */
static void settle_host(struct layers *l)
{
    const char *host = json_str(json_get(l->tree, "api"), "host", "");
    if (*host && !*json_str(json_get(l->tree, "api"), "api_server", "")) {
        auto_free char *from =
            xstrdup(json_str(json_get(l->origins, "api"), "host", ""));
        layers_set(l, "api.api_server", cJSON_CreateString(host), from);
    }
}

void config_add_environment(struct layers *l)
{
    for (size_t i = 0; i < ARRAY_SIZE(variables); i++) {
        const char *name = environment_first(variables[i].names);
        if (!name)
            continue;
        auto_free char *from = xasprintf("$%s", name);
        auto_free char *value = stripped_dup(getenv(name));
        layers_set(l, variables[i].path, cJSON_CreateString(value), from);
    }
    add_azure(l);
    settle_host(l);
    settle_token(l);
    settle_certificate(l);
}
