/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "cli/master-status.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/json.h"
#include "cli/cli.h"
#include "cli/session.h"
#include "config/size.h"

#include <inttypes.h>

static void add_line(const char *name, const char *value)
{
    printf("%-10s ", name);
    cli_print(value && *value ? value : "-");
    printf("\n");
}

static void add_number(const char *name, const cJSON *data, const char *key)
{
    char text[32];
    snprintf(text, sizeof text, "%" PRId64, json_int(data, key, 0));
    add_line(name, cJSON_IsNumber(json_get(data, key)) ? text : "unlimited");
}

static void add_queues(const cJSON *data)
{
    auto_buf names = BUF_INIT;
    const cJSON *queue;
    cJSON_ArrayForEach(queue, json_get(data, "queues"))
    {
        const char *name =
            cJSON_IsString(queue) ? queue->valuestring : json_str(queue, "name", "?");
        buf_printf(&names, "%s%s", names.len ? ", " : "", name);
    }
    add_line("queues", buf_str(&names));
}

static void add_admission(const cJSON *data)
{
    char size[SIZE_TEXT_SIZE], all[SIZE_TEXT_SIZE];
    auto_buf text = BUF_INIT;
    const cJSON *queue, *step, *a = json_get(data, "admission");
    if (json_int(a, "memory", 0) > 0)
        buf_printf(&text, "%s of %s",
                   size_format(json_int(a, "memory_promised", 0), size),
                   size_format(json_int(a, "memory", 0), all));
    if (json_num(a, "cpus", 0) > 0)
        buf_printf(&text, "%s%.4g of %.4g CPUs", text.len ? ", " : "",
                   json_num(a, "cpus_promised", 0), json_num(a, "cpus", 0));
    if (text.len)
        add_line("promised", buf_str(&text));
    if (json_str(a, "closed", NULL))
        add_line("takes none", json_str(a, "closed", ""));
    cJSON_ArrayForEach(queue, json_get(data, "queues"))
    {
        auto_free char *line = xasprintf("%s: %s", json_str(queue, "name", "?"),
                                         json_str(queue, "blocked", ""));
        if (json_str(queue, "blocked", NULL))
            add_line("waits", line);
    }
    cJSON_ArrayForEach(step, json_get(a, "steps"))
    {
        auto_free char *line =
            xasprintf("%s (%.8s): %d of its own steps wait in %s",
                      json_str(step, "name", "?"), json_str(step, "id", ""),
                      (int)json_int(step, "steps", 0), json_str(step, "queue", "?"));
        add_line("stuck", line);
    }
}

static void add_drain(const cJSON *draining)
{
    auto_buf text = BUF_INIT;
    if (!cJSON_IsObject(draining))
        return;
    const char *deadline = json_str(draining, "deadline", NULL);
    buf_printf(&text, "since %s, %" PRId64 " left", json_str(draining, "since", "?"),
               json_int(draining, "left", 0));
    if (deadline)
        buf_printf(&text, ", deadline %s", deadline);
    add_line("draining", buf_str(&text));
}

static void add_server(const cJSON *server)
{
    auto_buf text = BUF_INIT;
    buf_add_str(&text, json_str(server, "url", "-"));
    if (!json_bool(server, "reachable", false))
        buf_printf(&text, " (not reachable since %s: %s)",
                   json_str(server, "unreachable_since", "?"),
                   json_str(server, "error", "?"));
    else if (cJSON_IsNumber(json_get(server, "latency_ms")))
        buf_printf(&text, " (%.1f ms)", json_num(server, "latency_ms", 0));
    add_line("server", buf_str(&text));
}

/* "exit 3, oom 1": what there is. */
static void add_ended(const cJSON *ended)
{
    auto_buf text = BUF_INIT;
    const cJSON *n;
    cJSON_ArrayForEach(n, ended)
    {
        if (cJSON_IsNumber(n) && n->valuedouble > 0)
            buf_printf(&text, "%s%s %.0f", text.len ? ", " : "", n->string,
                       n->valuedouble);
    }
    add_line("ended", buf_str(&text));
}

static void add_restarting(const cJSON *data)
{
    const char *next = json_str(data, "next_start", NULL);
    auto_buf text = BUF_INIT;
    buf_printf(&text, "%" PRId64, json_int(data, "restarting", 0));
    if (next)
        buf_printf(&text, " (next start %s)", next);
    add_line("restarting", buf_str(&text));
}

/* Of the last ten seconds those in which somebody waited. */
static void add_pressure(const cJSON *pressure)
{
    auto_buf text = BUF_INIT;
    const cJSON *one;
    cJSON_ArrayForEach(one, pressure)
    {
        if (cJSON_IsObject(one))
            buf_printf(&text, "%s%s %.1f %%", text.len ? ", " : "", one->string,
                       json_num(json_get(one, "some"), "avg10", 0));
    }
    if (text.len)
        add_line("pressure", buf_str(&text));
}

static void print_text(const cJSON *data)
{
    char time[DURATION_TEXT_SIZE], size[SIZE_TEXT_SIZE];
    add_line("worker", json_str(data, "worker", NULL));
    add_number("pid", data, "pid");
    add_line("version", json_str(data, "version", NULL));
    add_line("up", duration_format(json_int(data, "uptime_s", 0) * 1000, time));
    add_line("memory", size_format(json_int(data, "rss_bytes", 0), size));
    add_server(json_get(data, "server"));
    add_queues(data);
    add_drain(json_get(data, "draining"));
    add_number("capacity", data, "capacity");
    add_admission(data);
    add_number("running", data, "running");
    add_restarting(data);
    if (json_int(data, "stuck", 0) > 0)
        add_number("stuck", data, "stuck");
    add_ended(json_get(data, "ended"));
    add_line("spool", size_format(json_int(data, "spool_bytes", 0), size));
    add_pressure(json_get(data, "pressure"));
    if (cJSON_IsString(json_get(data, "cgroup_version")))
        add_line("cgroup", json_str(data, "cgroup_version", NULL));
    else
        add_number("cgroup", data, "cgroup_version");
}

int print_master_status(const struct args *args, const char *command)
{
    struct reeve_error err = {0};
    auto_json *data = NULL;
    auto_session s = {0};
    /* The target, for a master whose folder is known only from the server's. */
    session_open_any(args, &s);
    int code =
        control_call(s.target.run_dir, control_request("status", NULL), &data, &err);
    if (code != CLI_DONE)
        return cli_fail(code, "%s: %s", command, err.text);
    if (args_has(args, "json"))
        cli_print_json(data);
    else
        print_text(data);
    return CLI_DONE;
}
