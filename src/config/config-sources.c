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

int config_add_defaults(cJSON **tree, struct reeve_error *err)
{
    static const char defaults[] = "api { verify_certificate: true }\n"
                                   "agent {\n"
                                   "  package_manager { type: pip }\n"
                                   "  translate_ssh: true\n"
                                   "  vcs_cache { enabled: true }\n"
                                   "  abort_callback_max_timeout: 1800\n"
                                   "}\n"
                                   "sdk {}\n";
    *tree = hocon_merge(*tree, hocon_parse(defaults, strlen(defaults), NULL, err));
    return *tree ? 0 : -1;
}

int config_add_file(cJSON **tree, const char *path, bool required,
                    struct reeve_error *err)
{
    struct reeve_error why = {0};
    cJSON *more = hocon_parse_file(path, &why);
    if (!more && !required && (why.code == ENOENT || why.code == ENOTDIR))
        return 0;
    if (!more)
        return reeve_error_set(err, 0, "%s", why.text);
    *tree = hocon_merge(*tree, more);
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

/* Takes value; wraps it so that it stands at the path. */
static cJSON *at_path(const char *path, cJSON *value)
{
    cJSON *root = cJSON_CreateObject();
    config_tree_set(root, path, value);
    return root;
}

static int add_folder(cJSON **tree, const char *folder, const char *prefix, int depth,
                      struct reeve_error *err);

static int add_entry(cJSON **tree, const char *folder, const char *prefix,
                     const struct dirent *entry, int depth, struct reeve_error *err)
{
    const char *name = entry->d_name;
    auto_free char *path = path_join_dup(folder, name);
    const char *dot = *prefix ? "." : "";
    if (!has_suffix(name, ".conf")) {
        auto_free char *below = xasprintf("%s%s%s", prefix, dot, name);
        return depth < FOLDER_DEPTH_MAX ? add_folder(tree, path, below, depth + 1, err)
                                        : 0;
    }
    cJSON *value = hocon_parse_file(path, err);
    if (!value)
        return -1;
    auto_free char *key =
        xasprintf("%s%s%.*s", prefix, dot, (int)(strlen(name) - strlen(".conf")), name);
    *tree = hocon_merge(*tree, at_path(key, value));
    return 0;
}

static int add_folder(cJSON **tree, const char *folder, const char *prefix, int depth,
                      struct reeve_error *err)
{
    struct dirent **entries;
    int n = scandir(folder, &entries, not_hidden, alphasort), rc = 0;
    if (n < 0)
        return errno == ENOENT || errno == ENOTDIR
                   ? 0
                   : reeve_error_set(err, errno, "read %s", folder);
    for (int i = 0; i < n; i++) {
        if (rc == 0)
            rc = add_entry(tree, folder, prefix, entries[i], depth, err);
        free(entries[i]);
    }
    free(entries);
    return rc;
}

int config_add_folder(cJSON **tree, const char *folder, struct reeve_error *err)
{
    return add_folder(tree, folder, "", 0, err);
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

static int add_extra(cJSON **tree, const char *variable, struct reeve_error *err)
{
    const char *name = variable + strlen(EXTRA_PREFIX);
    const char *equals = strchr(name, '=');
    auto_free char *path = extra_path_dup(name, (size_t)(equals - name));
    auto_free char *text = xasprintf("%s: %s", path, equals + 1);
    /* An empty value sets an empty text, where HOCON would miss one. */
    if (!equals[1]) {
        free(text);
        text = xasprintf("%s: \"\"", path);
    }
    cJSON *more = hocon_parse(text, strlen(text), NULL, NULL);
    if (!more)
        return reeve_error_set(err, 0,
                               "the variable %.*s has no value that clearml.conf could "
                               "have; put it in double quotes",
                               (int)(equals - variable), variable);
    *tree = hocon_merge(*tree, more);
    return 0;
}

int config_add_extra_environment(cJSON **tree, struct reeve_error *err)
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
        if (add_extra(tree, found[i], err) < 0)
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
    {"sdk.aws.s3.key", {"AWS_ACCESS_KEY_ID"}},
    {"sdk.aws.s3.secret", {"AWS_SECRET_ACCESS_KEY"}},
    {"sdk.aws.s3.region", {"AWS_DEFAULT_REGION"}},
    {"sdk.google.storage.credentials_json", {"GOOGLE_APPLICATION_CREDENTIALS"}},
};

static const char *environment_first(const char *const names[3])
{
    for (int i = 0; i < 3 && names[i]; i++) {
        const char *value = getenv(names[i]);
        if (value && *value)
            return value;
    }
    return NULL;
}

const char *config_environment(const char *name)
{
    auto_free char *clearml = xasprintf("CLEARML_%s", name);
    auto_free char *trains = xasprintf("TRAINS_%s", name);
    const char *const names[3] = {clearml, trains};
    return environment_first(names);
}

/* A token counts only from the environment, and then instead of the keys. */
static void settle_token(cJSON *tree)
{
    cJSON *api = json_get(tree, "api");
    const char *token = getenv("CLEARML_AUTH_TOKEN");
    if (!token || !*token)
        json_remove(json_get(api, "auth"), "token");
    else
        json_remove(api, "credentials");
}

/* ClearML takes a path for a yes here: the file of the authorities to trust. */
static void settle_certificate(cJSON *tree)
{
    const char *verify = json_str(json_get(tree, "api"), "verify_certificate", "");
    if (verify[0] == '/') {
        config_tree_set(tree, "api.ca_file", cJSON_CreateString(verify));
        config_tree_set(tree, "api.verify_certificate", cJSON_CreateString("true"));
    }
}

void config_add_environment(cJSON *tree)
{
    for (size_t i = 0; i < ARRAY_SIZE(variables); i++) {
        const char *value = environment_first(variables[i].names);
        if (value)
            config_tree_set(tree, variables[i].path, cJSON_CreateString(value));
    }
    settle_token(tree);
    settle_certificate(tree);
}
