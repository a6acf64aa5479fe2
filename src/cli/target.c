/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "cli/target.h"

#include "base/alloc.h"
#include "base/file.h"
#include "base/json.h"
#include "cli/cli.h"
#include "config/config.h"
#include "loop/url.h"
#include "run/run-dir.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#define ENDPOINT_BYTES_MAX 65536

static const char *environment(const char *name)
{
    const char *value = getenv(name);
    return value && *value ? value : NULL;
}

static char *dup_or_null(const char *text)
{
    return text && *text ? xstrdup(text) : NULL;
}

const char *target_named_data(const struct args *args)
{
    return args_value(args, "data", environment("REEVE_DATA"));
}

char *data_dir_dup(const struct args *args)
{
    const char *named = target_named_data(args);
    if (named)
        return xstrdup(named);
    if (geteuid() == 0)
        return xstrdup("/var/lib/reeve/up");
    const char *data = environment("XDG_DATA_HOME");
    const char *home = environment("HOME");
    return data ? path_join_dup(data, "reeve")
                : xasprintf("%s/.local/share/reeve", home ? home : "");
}

char *target_run_dir_dup(const struct args *args)
{
    const char *option = args_value(args, "run-dir", NULL);
    const char *data = target_named_data(args);
    if (!option && data)
        return path_join_dup(data, "run");
    return run_root_dup(option);
}

char *target_state_dir_dup(const struct args *args)
{
    const char *option = args_value(args, "state-dir", NULL);
    const char *data = target_named_data(args);
    return option ? xstrdup(option) : data ? path_join_dup(data, "state") : NULL;
}

void target_clean_environment(void)
{
    static const char *const names[] = {
        "API_HOST",       "WEB_HOST",    "FILES_HOST",  "API_ACCESS_KEY",
        "API_SECRET_KEY", "CONFIG_FILE", "CONFIG_PATH", "API_HOST_VERIFY_CERT",
        "AUTH_TOKEN"};
    static const char settings[] = "CLEARML_AGENT__API__";
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        auto_free char *clearml = xasprintf("CLEARML_%s", names[i]);
        auto_free char *trains = xasprintf("TRAINS_%s", names[i]);
        unsetenv(clearml);
        unsetenv(trains);
    }
    for (size_t i = 0; environ[i];) {
        auto_free char *name = xstrndup(environ[i], strcspn(environ[i], "="));
        bool unwanted = strncmp(name, settings, strlen(settings)) == 0;
        if (!unwanted || unsetenv(name) < 0)
            i++;
    }
}

void target_pass_by_proxies(const char *host)
{
    static const char *const names[] = {"no_proxy", "NO_PROXY"};
    const char *old = NULL;
    for (size_t i = 0; i < ARRAY_SIZE(names) && !old; i++)
        old = environment(names[i]);
    if (old && strcmp(old, "*") == 0)
        return;
    auto_free char *list = xasprintf("%s%s127.0.0.1,localhost,::1,%s", old ? old : "",
                                     old ? "," : "", host);
    for (size_t i = 0; i < ARRAY_SIZE(names); i++)
        setenv(names[i], list, 1);
}

void target_export(const struct target *t)
{
    const struct {
        const char *name, *value;
    } all[] = {
        {"CLEARML_API_HOST", t->api},
        {"CLEARML_WEB_HOST", t->web},
        {"CLEARML_FILES_HOST", t->files},
        {"CLEARML_API_ACCESS_KEY", t->access_key},
        {"CLEARML_API_SECRET_KEY", t->secret_key},
        {"CLEARML_AUTH_TOKEN", t->token},
    };
    for (size_t i = 0; i < ARRAY_SIZE(all); i++)
        if (all[i].value)
            setenv(all[i].name, all[i].value, 1);
}

void target_free(struct target *t)
{
    char *const all[] = {t->api,        t->web,   t->files,   t->access_key,
                         t->secret_key, t->token, t->ca_file, t->run_dir};
    for (size_t i = 0; i < ARRAY_SIZE(all); i++)
        free(all[i]);
    memset(t, 0, sizeof *t);
}

static int read_endpoint(const char *data, struct target *t, struct reeve_error *err)
{
    auto_buf text = BUF_INIT;
    struct reeve_error why = {0};
    auto_free char *path = path_join_dup(data, "endpoint.json");
    if (file_read(path, &text, ENDPOINT_BYTES_MAX, &why) < 0) {
        if (why.code == ENOENT)
            reeve_error_set(err, ENOENT,
                            "no server runs on %s; start it with `reeve up --data %s`",
                            data, data);
        else if (err)
            *err = why;
        return CLI_UNREACHABLE;
    }
    auto_json *doc = json_parse(buf_str(&text), text.len, &why);
    t->api = dup_or_null(json_str(doc, "api", NULL));
    t->web = dup_or_null(json_str(doc, "web", NULL));
    t->files = dup_or_null(json_str(doc, "files", NULL));
    t->access_key = dup_or_null(json_str(doc, "access_key", NULL));
    t->secret_key = dup_or_null(json_str(doc, "secret_key", NULL));
    t->verify = true;
    t->direct = true;
    if (t->api && t->access_key && t->secret_key) {
        struct url url;
        url_split(t->api, &url);
        auto_free char *host = xstrndup(url.host.text, url.host.n);
        target_pass_by_proxies(host);
        return CLI_DONE;
    }
    reeve_error_set(err, 0, "%s is not what `reeve up` writes", path);
    return CLI_UNREACHABLE;
}

static void read_config(const struct config *c, struct target *t)
{
    t->api = dup_or_null(config_str(c, "api.api_server", NULL));
    t->web = dup_or_null(config_str(c, "api.web_server", NULL));
    t->files = dup_or_null(config_str(c, "api.files_server", NULL));
    t->access_key = dup_or_null(config_str(c, "api.credentials.access_key", NULL));
    t->secret_key = dup_or_null(config_str(c, "api.credentials.secret_key", NULL));
    t->token = dup_or_null(config_str(c, "api.auth.token", NULL));
    t->ca_file = dup_or_null(config_str(c, "api.ca_file", NULL));
    t->verify = config_bool(c, "api.verify_certificate", true);
}

static int find_configured(const struct args *args, struct target *t,
                           struct reeve_error *err)
{
    struct config *c = config_load(args_value(args, "config", NULL), err);
    if (!c)
        return CLI_USAGE;
    read_config(c, t);
    config_destroy(c);
    if (t->api && (t->token || (t->access_key && t->secret_key)))
        return CLI_DONE;
    if (t->api) {
        reeve_error_set(err, 0,
                        "%s is known, but no keys for it; set api.credentials in "
                        "clearml.conf or CLEARML_API_ACCESS_KEY and _SECRET_KEY",
                        t->api);
        return CLI_UNREACHABLE;
    }
    auto_free char *usual = data_dir_dup(args);
    if (read_endpoint(usual, t, NULL) == CLI_DONE) {
        if (!args_value(args, "run-dir", NULL)) {
            free(t->run_dir);
            t->run_dir = path_join_dup(usual, "run");
        }
        return CLI_DONE;
    }
    reeve_error_set(err, 0,
                    "no server is known; name one by --data DIR, $REEVE_DATA, "
                    "~/clearml.conf or CLEARML_API_HOST, or start `reeve up`");
    return CLI_UNREACHABLE;
}

int target_find(const struct args *args, struct target *t, struct reeve_error *err)
{
    const char *data = target_named_data(args);
    memset(t, 0, sizeof *t);
    t->run_dir = target_run_dir_dup(args);
    if (data)
        return read_endpoint(data, t, err);
    return find_configured(args, t, err);
}
