/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "server/call-log.h"
#include "base/alloc.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/fd.h"
#include "base/json.h"
#include "base/log.h"
#include "base/utf8.h"
#include "server/call.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

/* A message may hold what the client sent. */
#define MESSAGE_MAX 1000

struct call_log {
    int fd;
    atomic_bool failed; /* and said so */
};

struct call_log *call_log_open(const char *path, struct reeve_error *err)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (fd < 0) {
        reeve_error_set(err, errno, "open %s", path);
        return NULL;
    }
    struct call_log *log = xcalloc(1, sizeof *log);
    log->fd = fd;
    return log;
}

void call_log_close(struct call_log *log)
{
    if (!log)
        return;
    close(log->fd);
    free(log);
}

static void set_text(cJSON *line, const char *name, const char *text)
{
    auto_buf safe = BUF_INIT;
    utf8_add_safe(&safe, text, strnlen(text, MESSAGE_MAX));
    json_set_str(line, name, buf_str(&safe));
}

static char *format_line(const struct call *call, int64_t ms)
{
    char time[CLOCK_ISO_SIZE];
    auto_json *line = cJSON_CreateObject();
    json_set_str(line, "time", clock_iso(clock_wall_ms(), time));
    json_set_str(line, "id", call->id);
    set_text(line, "endpoint", call->endpoint_name);
    set_text(line, "version", call->version_text);
    json_set_int(line, "code", call->code);
    json_set_int(line, "subcode", call->subcode);
    json_set_int(line, "ms", ms);
    set_text(line, "user", call->caller.user);
    set_text(line, "worker", call->worker);
    const char *task = json_str(call->request, "task", NULL);
    if (task)
        set_text(line, "task", task);
    set_text(line, "ip", call->client_ip);
    if (call->code != 200 && call->message)
        set_text(line, "error", call->message);
    return json_format(line);
}

void call_log_write(struct call_log *log, const struct call *call, int64_t ms)
{
    if (!log)
        return;
    auto_free char *text = format_line(call, ms);
    auto_buf line = BUF_INIT;
    buf_add_str(&line, text);
    buf_add_char(&line, '\n');
    if (fd_write_all(log->fd, line.data, line.len) < 0 &&
        !atomic_exchange(&log->failed, true))
        log_warn("the call log lacks lines: %s", strerror(errno));
}
