/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "cli/doctor.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/json.h"
#include "base/spawn.h"
#include "clearml/api.h"
#include "clearml/token.h"
#include "cli/cli.h"
#include "config/config.h"
#include "config/option-table.h"
#include "config/programs.h"
#include "config/worker-id.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SKEW_WARN_S 5
#define SKEW_FAIL_S 300
#define SEEN_S 180
#define CHECK_MS 30000
#define MASTER_MS 5000 /* a healthy one answers in one */

/* ---- configuration */

struct said {
    cJSON *checks;
    unsigned errors, warnings;
};

static void say(void *arg, enum option_level level, const char *text)
{
    struct said *s = arg;
    if (level == OPTION_LEVEL_ERROR) {
        s->errors++;
        doctor_add(s->checks, DOCTOR_FAIL, "configuration",
                   "reeve config --options lists what there is", "%s", text);
    } else {
        s->warnings++;
    }
}

/* What its master reads: of `reeve up --config` a file of its own, which is written
 * after the SDK's; one that is older is an earlier `up`'s. */
static char *config_of_dup(const char *data)
{
    struct stat sdk, own;
    char *path = path_join_dup(data, "master.conf");
    auto_free char *usual = path_join_dup(data, "clearml.conf");
    if (stat(path, &own) == 0 && stat(usual, &sdk) == 0 &&
        (own.st_mtim.tv_sec > sdk.st_mtim.tv_sec ||
         (own.st_mtim.tv_sec == sdk.st_mtim.tv_sec &&
          own.st_mtim.tv_nsec >= sdk.st_mtim.tv_nsec)))
        return path;
    free(path);
    return access(usual, F_OK) == 0 ? steal(&usual) : NULL;
}

/* The file that the master reads, or NULL for the usual ones. */
static char *file_dup(const struct args *args)
{
    const char *file = args_value(args, "config", NULL);
    const char *data = target_named_data(args);
    return file ? xstrdup(file) : data ? config_of_dup(data) : NULL;
}

/* By the program itself: what would keep a master from starting. */
static bool check_by_reeved(cJSON *checks, const char *file)
{
    struct reeve_error err = {0};
    char said[400] = "";
    auto_free char *program = program_find_dup("reeved", NULL);
    char *argv[] = {program, "--check", file ? "--config" : NULL, (char *)file, NULL};
    if (!program)
        return true; /* has a line of its own */
    int code = spawn_run(argv, CHECK_MS, said, sizeof said, &err);
    if (code == 0)
        return true;
    const char *text = strncmp(said, "reeved: ", 8) == 0 ? said + 8 : said;
    doctor_add(checks, DOCTOR_FAIL, "configuration",
               "no master starts with it, and no upgrade: reeved --check", "%s",
               code < 0 ? err.text : text);
    return false;
}

static struct config *add_config(cJSON *checks, const struct args *args)
{
    struct reeve_error err;
    struct said said = {.checks = checks};
    auto_free char *file = file_dup(args);
    struct config *c = config_load(file, &err);
    if (!c) {
        doctor_add(checks, DOCTOR_FAIL, "configuration",
                   "mend it: reeve config --check", "%s", err.text);
        return NULL;
    }
    option_check(c, say, &said);
    /* Without a server there is no master to be checked; another line says that. */
    bool served = config_str(c, "api.api_server", NULL) != NULL;
    bool sound = said.errors == 0 && (!served || check_by_reeved(checks, file));
    if (said.warnings)
        doctor_add(checks, DOCTOR_WARN, "configuration", "see them: reeve config",
                   "%u settings are unknown here, or not done", said.warnings);
    else if (sound)
        doctor_add(checks, DOCTOR_OK, "configuration", NULL,
                   "read, all of it is known: %s",
                   file ? file : "clearml.conf and variables");
    return c;
}

/* ---- server */

static void add_clock(cJSON *checks, struct session *s, int64_t asked_ms)
{
    const char *text = api_token(api_sync_api(s->api));
    struct token *token = text && !s->target.token ? token_parse(text, NULL) : NULL;
    int64_t issued = token ? token_issued_s(token) : 0;
    token_free(token);
    if (!issued)
        return;
    /* Issued between the question and now, in whole seconds. */
    int64_t now_s = clock_wall_ms() / 1000, asked_s = asked_ms / 1000;
    int64_t skew = issued > now_s     ? issued - now_s
                   : issued < asked_s ? issued - asked_s
                                      : 0;
    int64_t size = llabs(skew);
    if (size <= SKEW_WARN_S)
        doctor_add(checks, DOCTOR_OK, "server's clock", NULL,
                   "within %d s of this host's", SKEW_WARN_S);
    else
        doctor_add(checks, size > SKEW_FAIL_S ? DOCTOR_FAIL : DOCTOR_WARN,
                   "server's clock", "run a time service (NTP) on both",
                   "%lld s %s this host's: time stamps in logs are off",
                   (long long)size, skew > 0 ? "ahead of" : "behind");
}

static bool add_reachable(cJSON *checks, struct session *s, cJSON **workers)
{
    struct reeve_error err = {0};
    int64_t asked_ms = clock_wall_ms();
    int code = session_call(s, "workers.get_all", NULL, workers, &err);
    if (code != CLI_DONE) {
        doctor_add(checks, DOCTOR_FAIL, "server",
                   code == CLI_UNREACHABLE
                       ? "see that it runs, and the way to it: "
                         "address, proxy, certificate (reeved(8))"
                       : "give it keys that the server knows: reeve "
                         "init",
                   "%s", err.text);
        return false;
    }
    const struct api *api = api_sync_api(s->api);
    const char *version = api_server_version(api);
    doctor_add(checks, DOCTOR_OK, "server", NULL, "%s, API %s, %.0f ms", api_shown(api),
               version[0] ? version : "of unknown version", api_latency_ms(api));
    add_clock(checks, s, asked_ms);
    return true;
}

/* ---- masters */

static char *add_master(cJSON *checks, const struct session *s)
{
    struct reeve_error err = {0};
    auto_json *status = NULL;
    int code = control_call_for(s->target.run_dir, control_request("status", NULL),
                                MASTER_MS, &status, &err);
    if (code == CLI_UNREACHABLE && err.code == ENOENT) {
        doctor_add(checks, DOCTOR_OK, "master", NULL, "%s", err.text);
        return NULL;
    }
    if (code != CLI_DONE) {
        doctor_add(checks, DOCTOR_FAIL, "master",
                   "see its log; if it hangs, kill -9 it and start it again: its runs "
                   "go on",
                   "%s", err.text);
        return NULL;
    }
    const char *version = json_str(status, "version", "?");
    bool same = strcmp(version, PACKAGE_VERSION) == 0;
    doctor_add(checks, same ? DOCTOR_OK : DOCTOR_WARN, "master",
               same ? NULL : "restart it: its runs go on",
               "pid %lld, version %s, cgroups %s",
               (long long)json_int(status, "pid", 0), version,
               json_str(status, "cgroup_version", "?"));
    return xstrdup(json_str(status, "worker", ""));
}

static bool seen_lately(const cJSON *worker, int64_t *ago_s)
{
    int64_t seen = 0;
    const char *time = json_str(worker, "last_report_time",
                                json_str(worker, "last_activity_time", ""));
    if (clock_iso_parse(time, &seen) < 0)
        return false;
    *ago_s = (clock_wall_ms() - seen) / 1000;
    return *ago_s <= SEEN_S;
}

/* No master is here: nobody may have its id. */
static void add_free_id(cJSON *checks, const cJSON *workers, const char *id)
{
    const cJSON *worker;
    int64_t ago_s;
    cJSON_ArrayForEach(worker, json_get(workers, "workers"))
    {
        if (strcmp(json_str(worker, "id", ""), id) != 0 || !seen_lately(worker, &ago_s))
            continue;
        doctor_add(checks, DOCTOR_WARN, "worker id",
                   "two masters need two: agent.worker_id, or --worker-id",
                   "%s reported %lld s ago from %s, and no master of it runs here", id,
                   (long long)ago_s, json_str(worker, "ip", "an unknown address"));
        return;
    }
    doctor_add(checks, DOCTOR_OK, "worker id", NULL, "%s, nobody else has it", id);
}

static bool has_run(const cJSON *rows, const char *task)
{
    const cJSON *row;
    cJSON_ArrayForEach(row, rows)
    {
        if (strcmp(json_str(row, "id", ""), task) == 0)
            return true;
    }
    return false;
}

/* Another master with this one's id shows by its runs' workers, ID:service:TASK. */
static void add_own_id(cJSON *checks, const struct session *s, const cJSON *workers,
                       const char *id)
{
    auto_json *rows = NULL;
    auto_free char *prefix = xasprintf("%s:service:", id);
    const cJSON *worker;
    int64_t ago_s;
    cJSON *request = control_request("ps", NULL);
    json_set_bool(request, "all", true);
    bool asked = control_call(s->target.run_dir, request, &rows, NULL) == CLI_DONE;
    cJSON_ArrayForEach(worker, json_get(workers, "workers"))
    {
        const char *name = json_str(worker, "id", "");
        const char *task = name + strlen(prefix);
        if (!asked || strncmp(name, prefix, strlen(prefix)) != 0 ||
            !seen_lately(worker, &ago_s) || has_run(rows, task))
            continue;
        doctor_add(checks, DOCTOR_WARN, "worker id",
                   "two masters need two: agent.worker_id, or --worker-id",
                   "another master is %s, too: task %s is no run of this host, and its "
                   "worker reported %lld s ago from %s",
                   id, task, (long long)ago_s,
                   json_str(worker, "ip", "an unknown address"));
        return;
    }
    doctor_add(checks, DOCTOR_OK, "worker id", NULL, "%s, this host's master", id);
}

void doctor_server(cJSON *checks, const struct args *args)
{
    struct reeve_error err = {0};
    auto_session s = {0};
    auto_json *workers = NULL;
    /* As `reeve up` starts its master. */
    if (target_named_data(args))
        target_clean_environment();
    struct config *config = add_config(checks, args);
    int code = session_open(args, &s, &err);
    auto_free char *own = add_master(checks, &s);
    if (code != CLI_DONE)
        doctor_add(checks, DOCTOR_WARN, "server", "reeve up brings one of its own",
                   "%s", err.text);
    else if (config && add_reachable(checks, &s, &workers) && own)
        add_own_id(checks, &s, workers, own);
    else if (workers) {
        auto_free char *id = worker_id_dup(config, NULL, 0);
        add_free_id(checks, workers, id);
    }
    config_destroy(config);
}
