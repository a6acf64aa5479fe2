/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "cli/doctor.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/json.h"
#include "clearml/api.h"
#include "clearml/token.h"
#include "cli/cli.h"
#include "config/config.h"
#include "config/option-table.h"
#include "config/worker-id.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define SKEW_WARN_S 5
#define SKEW_FAIL_S 300
#define SEEN_S 180
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

static struct config *add_config(cJSON *checks, const struct args *args)
{
    struct reeve_error err;
    struct said said = {.checks = checks};
    struct config *c = config_load(args_value(args, "config", NULL), &err);
    if (!c) {
        doctor_add(checks, DOCTOR_FAIL, "configuration",
                   "mend it: reeve config --check", "%s", err.text);
        return NULL;
    }
    option_check(c, say, &said);
    if (said.warnings)
        doctor_add(checks, DOCTOR_WARN, "configuration", "see them: reeve config",
                   "%u settings are unknown here, or not done", said.warnings);
    else if (!said.errors)
        doctor_add(checks, DOCTOR_OK, "configuration", NULL,
                   "read, all of it is known");
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

static void add_worker(cJSON *checks, const cJSON *workers, const char *id, bool own)
{
    const cJSON *worker;
    cJSON_ArrayForEach(worker, json_get(workers, "workers"))
    {
        int64_t seen = 0;
        const char *time = json_str(worker, "last_report_time",
                                    json_str(worker, "last_activity_time", ""));
        if (strcmp(json_str(worker, "id", ""), id) != 0 || own ||
            clock_iso_parse(time, &seen) < 0 ||
            clock_wall_ms() - seen > SEEN_S * INT64_C(1000))
            continue;
        doctor_add(checks, DOCTOR_WARN, "worker id",
                   "two masters need two: agent.worker_id, or --worker-id",
                   "%s reported %lld s ago from %s, and no master of it runs here", id,
                   (long long)(clock_wall_ms() - seen) / 1000,
                   json_str(worker, "ip", "an unknown address"));
        return;
    }
    doctor_add(checks, DOCTOR_OK, "worker id", NULL, "%s%s", id,
               own ? ", this host's master" : ", nobody else has it");
}

void doctor_server(cJSON *checks, const struct args *args)
{
    struct reeve_error err = {0};
    auto_session s = {0};
    auto_json *workers = NULL;
    struct config *config = add_config(checks, args);
    int code = session_open(args, &s, &err);
    auto_free char *own = add_master(checks, &s);
    if (code != CLI_DONE)
        doctor_add(checks, DOCTOR_WARN, "server", "reeve up brings one of its own",
                   "%s", err.text);
    else if (config && add_reachable(checks, &s, &workers)) {
        auto_free char *id = own ? xstrdup(own) : worker_id_dup(config, NULL, 0);
        add_worker(checks, workers, id, own != NULL);
    }
    config_destroy(config);
}
