/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "cli/commands.h"
#include "cli/doctor.h"

#include "base/alloc.h"
#include "base/json.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const struct arg_spec specs[] = {
    {ARG_VALUE, "state-dir", 0, "DIR", "of the master"},
    ARGS_JSON,
    ARGS_SERVER,
    ARGS_LAST,
};

static const char *const words[] = {"ok", "warn", "fail"};

enum doctor_status doctor_add(cJSON *checks, enum doctor_status status,
                              const char *check, const char *fix, const char *fmt, ...)
{
    char text[512];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    cJSON *one = cJSON_CreateObject();
    json_set_str(one, "check", check);
    json_set_str(one, "status", words[status]);
    json_set_str(one, "text", text);
    json_set_str(one, "fix", fix);
    cJSON_AddItemToArray(checks, one);
    return status;
}

static unsigned count(const cJSON *checks, const char *status)
{
    const cJSON *one;
    unsigned n = 0;
    cJSON_ArrayForEach(one, checks) n +=
        strcmp(json_str(one, "status", ""), status) == 0;
    return n;
}

static void print_checks(const cJSON *checks)
{
    const cJSON *one;
    cJSON_ArrayForEach(one, checks)
    {
        printf("%-4s  %-17s ", json_str(one, "status", ""), json_str(one, "check", ""));
        cli_print(json_str(one, "text", ""));
        printf("\n");
        const char *fix = json_str(one, "fix", NULL);
        if (fix) {
            printf("%25s", "-> ");
            cli_print(fix);
            printf("\n");
        }
    }
}

static int run(const struct args *args)
{
    auto_json *data = cJSON_CreateObject();
    cJSON *checks = json_set(data, "checks", cJSON_CreateArray());
    doctor_cgroups(checks);
    doctor_host(checks);
    doctor_folders(checks, args);
    doctor_server(checks, args);
    unsigned failed = count(checks, "fail"), warned = count(checks, "warn");
    json_set_bool(data, "ok", failed == 0);
    json_set_int(data, "failed", failed);
    json_set_int(data, "warned", warned);
    if (args_has(args, "json")) {
        cli_print_json(data);
    } else {
        print_checks(checks);
        printf("%u failed, %u warnings\n", failed, warned);
    }
    return failed ? CLI_FAILED : CLI_DONE;
}

const struct command cmd_doctor = {
    .name = "doctor",
    .summary = "say what this host can enforce, and what it can't",
    .usage = "[--json]",
    .about =
        "Each line is ok, warn or fail, with what to do. Needs no master, and changes "
        "nothing.\nExit code 1 if something fails.",
    .specs = specs,
    .run = run,
};
