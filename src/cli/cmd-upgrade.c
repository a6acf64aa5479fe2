/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "cli/commands.h"
#include "cli/session.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/json.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define LOOK_NS 100000000
#define CHECK_MS 90000 /* upgrade.c takes a minute at most */
#define BACK_MS 60000

static const struct arg_spec specs[] = {
    {ARG_VALUE, "binary", 0, "FILE",
     "the new reeved; else the file by which the running one was started"},
    ARGS_JSON,
    ARGS_SERVER,
    ARGS_LAST,
};

static int ask(const struct session *s, const char *binary, cJSON **data,
               struct reeve_error *err)
{
    cJSON *request = control_request("upgrade", NULL);
    if (binary)
        json_set_str(request, "binary", binary);
    return control_call_for(s->target.run_dir, request, CHECK_MS, data, err);
}

/* Another one may have been started by systemd, since the new program has ended; and
 * the old one goes on if the new one did not start. */
static int judge(const cJSON *asked, const cJSON *status, struct reeve_error *err)
{
    const char *failed = json_str(status, "upgrade_failed", NULL);
    const char *version = json_str(status, "version", "?");
    const char *meant = strrchr(json_str(asked, "version", ""), ' ');
    int64_t pid = json_int(status, "pid", 0);
    if (failed)
        reeve_error_set(err, 0, "%s; the old one goes on", failed);
    else if (pid != json_int(asked, "pid", 0) || !meant ||
             strcmp(meant + 1, version) != 0)
        reeve_error_set(
            err, 0,
            "reeved %s, pid %lld, was started in its place: the new one has "
            "ended, see its log",
            version, (long long)pid);
    else
        return CLI_DONE;
    return CLI_FAILED;
}

/* The one that answers may be the old one yet: it has served for longer than since_ms,
 * when it was asked. */
static int wait_for_new(const struct session *s, const cJSON *asked, int64_t since_ms,
                        struct reeve_error *err)
{
    int64_t until_ms = clock_boot_ms() + BACK_MS;
    while (clock_boot_ms() < until_ms) {
        auto_json *status = NULL;
        int code = control_call(s->target.run_dir, control_request("status", NULL),
                                &status, err);
        double served_ms = json_num(status, "uptime_s", 0) * 1000;
        if (code == CLI_DONE && (double)(clock_boot_ms() - since_ms) >= served_ms)
            return judge(asked, status, err);
        nanosleep(&(struct timespec){.tv_nsec = LOOK_NS}, NULL);
    }
    reeve_error_set(err, 0,
                    "the new reeved does not answer; see its log, and start it again "
                    "if it has ended: runs go on meanwhile");
    return CLI_TIMEOUT;
}

/* Its absolute path, the caller's; a symbolic link stays one, since it may lead to
 * another version by the next time. NULL with errno if there is no such file. */
static char *absolute_dup(const char *path)
{
    char *folder = path[0] == '/' ? NULL : getcwd(NULL, 0);
    if (access(path, F_OK) < 0 || (path[0] != '/' && !folder)) {
        free(folder);
        return NULL;
    }
    char *whole = folder ? xasprintf("%s/%s", folder, path) : xstrdup(path);
    free(folder);
    return whole;
}

static int run(const struct args *args)
{
    struct reeve_error err = {0};
    auto_session s = {0};
    auto_json *data = NULL;
    const char *given = args_value(args, "binary", NULL);
    auto_free char *binary = given ? absolute_dup(given) : NULL;
    if (given && !binary)
        return cli_fail(CLI_USAGE, "upgrade: --binary %.200s: %s", given,
                        strerror(errno));
    int64_t since_ms = clock_boot_ms();
    session_open_any(args, &s);
    int code = ask(&s, binary, &data, &err);
    if (code == CLI_DONE)
        code = wait_for_new(&s, data, since_ms, &err);
    if (code != CLI_DONE)
        return cli_fail(code, "upgrade: %s", err.text);
    if (args_has(args, "json"))
        cli_print_json(data);
    else
        printf("%s serves, pid %d\n", json_str(data, "version", "?"),
               (int)json_int(data, "pid", 0));
    return CLI_DONE;
}

const struct command cmd_upgrade = {
    .name = "upgrade",
    .summary = "put a new reeved in the place of the running one",
    .usage = "[--binary FILE] [--json]",
    .about =
        "The new program is checked with the running one's options and configuration "
        "first, and\nrefused with a line if it does not take them. Then the master "
        "executes it: same process,\nsame sockets; tasks are not touched, and nothing "
        "is lost. Also for a changed configuration.",
    .specs = specs,
    .run = run,
};
