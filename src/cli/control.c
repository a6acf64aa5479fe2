/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "cli/session.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/fd.h"
#include "base/json.h"
#include "cli/cli.h"
#include "loop/unix.h"

#include <errno.h>
#include <poll.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CONTROL_TIMEOUT_MS 15000
#define CONTROL_ANSWER_MAX (64u << 20) /* 10,000 runs in `ps` are 6 MB */

/* One line into out, without its newline. */
static int read_line(int fd, int64_t wait_ms, struct buf *out, struct reeve_error *err)
{
    int64_t until = clock_boot_ms() + wait_ms;
    for (;;) {
        int64_t left = until - clock_boot_ms();
        struct pollfd p = {.fd = fd, .events = POLLIN};
        int ready = left > 0 ? poll(&p, 1, (int)left) : 0;
        if (ready < 0 && errno == EINTR)
            continue;
        if (ready <= 0)
            return reeve_error_set(err, ETIMEDOUT, "the master does not answer");
        ssize_t n = read(fd, buf_reserve(out, 65536), 65536);
        if (n < 0)
            return reeve_error_set(err, errno, "read from the master");
        if (n == 0)
            return reeve_error_set(err, 0, "the master hung up");
        out->len += (size_t)n;
        out->data[out->len] = '\0';
        char *end = memchr(out->data + out->len - n, '\n', (size_t)n);
        if (end) {
            out->len = (size_t)(end - out->data);
            return 0;
        }
        if (out->len > CONTROL_ANSWER_MAX)
            return reeve_error_set(err, EFBIG, "the master's answer");
    }
}

static int decode(const struct buf *line, cJSON **data, struct reeve_error *err)
{
    auto_json *answer = json_parse(buf_str(line), line->len, err);
    if (!cJSON_IsObject(answer)) {
        reeve_error_set(err, 0, "the master's answer is no JSON object");
        return CLI_UNREACHABLE;
    }
    if (json_bool(answer, "ok", false)) {
        if (data)
            *data = cJSON_DetachItemFromObjectCaseSensitive(answer, "data");
        return CLI_DONE;
    }
    reeve_error_set(err, 0, "%s", json_str(answer, "error", "the master says no"));
    int64_t code = json_int(answer, "code", CLI_FAILED);
    return code >= CLI_FAILED && code <= CLI_TIMEOUT ? (int)code : CLI_FAILED;
}

cJSON *control_request(const char *command, const char *task)
{
    cJSON *request = cJSON_CreateObject();
    json_set_str(request, "cmd", command);
    if (task)
        json_set_str(request, "task", task);
    return request;
}

int control_call(const char *run_dir, cJSON *request, cJSON **data,
                 struct reeve_error *err)
{
    return control_call_for(run_dir, request, CONTROL_TIMEOUT_MS, data, err);
}

int control_call_for(const char *run_dir, cJSON *request, int64_t wait_ms, cJSON **data,
                     struct reeve_error *err)
{
    auto_buf line = BUF_INIT;
    auto_free char *text = json_format(request);
    cJSON_Delete(request);
    if (data)
        *data = NULL;
    auto_close fd = unix_connect(run_dir, "control.sock", SOCK_STREAM, err);
    if (fd < 0) {
        if (err && (err->code == ENOENT || err->code == ECONNREFUSED)) {
            reeve_error_set(err, 0,
                            "no master runs on %s; start `reeve up` or `reeve "
                            "daemon`",
                            run_dir);
            err->code = ENOENT;
        }
        return CLI_UNREACHABLE;
    }
    auto_free char *out = xasprintf("%s\n", text);
    if (fd_write_all(fd, out, strlen(out)) < 0) {
        reeve_error_set(err, errno, "write to the master");
        return CLI_UNREACHABLE;
    }
    if (read_line(fd, wait_ms, &line, err) < 0)
        return CLI_UNREACHABLE;
    return decode(&line, data, err);
}

char *control_who_dup(void)
{
    const char *sudo = getenv("SUDO_USER");
    const struct passwd *user = sudo && sudo[0] ? NULL : getpwuid(getuid());
    if (user)
        return xstrdup(user->pw_name);
    return sudo && sudo[0] ? xstrdup(sudo) : xasprintf("uid %u", (unsigned)getuid());
}
