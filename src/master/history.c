/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "master/history.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/fd.h"
#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "master/control.h"
#include "master/master.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#define HISTORY_MAX_BYTES (8 << 20)
#define HISTORY_TRIM_BYTES (4 << 20)
#define HISTORY_ROWS 1000
#define HISTORY_AGE_MS (24 * 3600 * 1000LL)

static char *history_path_dup(const struct master *m)
{
    return path_join_dup(m->state_root, "history");
}

void history_add(const struct run *run)
{
    auto_json *row = control_run_row(run);
    auto_free char *text = json_format(row);
    auto_free char *line = xasprintf("%s\n", text);
    auto_free char *path = history_path_dup(run->master);
    auto_close fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
    struct stat st;
    if (fd < 0 || fd_write_all(fd, line, strlen(line)) < 0)
        log_warn("task=%s not in the history: %s", run->id, strerror(errno));
    else if (fstat(fd, &st) == 0 && st.st_size > HISTORY_TRIM_BYTES)
        history_trim(run->master);
}

/* Lines that are no JSON (a torn write) are passed over. */
static void each_row(const struct buf *text, void (*fn)(cJSON *row, void *arg),
                     void *arg)
{
    int64_t oldest = clock_wall_ms() - HISTORY_AGE_MS;
    const char *p = buf_str(text), *end = p + text->len;
    while (p < end) {
        const char *newline = memchr(p, '\n', (size_t)(end - p));
        size_t n = newline ? (size_t)(newline - p) : (size_t)(end - p);
        cJSON *row = json_parse(p, n, NULL);
        int64_t finished;
        if (row && clock_iso_parse(json_str(row, "finished", ""), &finished) == 0 &&
            finished >= oldest)
            fn(row, arg);
        else
            cJSON_Delete(row);
        p += n + 1;
    }
}

static void add_row(cJSON *row, void *arg)
{
    cJSON_AddItemToArray(arg, row);
}

void history_read(struct master *m, cJSON *rows)
{
    auto_free char *path = history_path_dup(m);
    auto_buf text = BUF_INIT;
    if (file_read(path, &text, HISTORY_MAX_BYTES, NULL) == 0)
        each_row(&text, add_row, rows);
}

/* Names may be of any length: half the bytes stay at most, so that trimming is rare. */
static void keep_end(struct buf *text)
{
    size_t from = 0;
    while (text->len - from > HISTORY_TRIM_BYTES / 2) {
        const char *newline = memchr(text->data + from, '\n', text->len - from);
        from = newline ? (size_t)(newline - text->data) + 1 : text->len;
    }
    buf_consume(text, from);
}

void history_trim(struct master *m)
{
    auto_json *rows = cJSON_CreateArray();
    history_read(m, rows);
    auto_buf out = BUF_INIT;
    int skip = cJSON_GetArraySize(rows) - HISTORY_ROWS;
    const cJSON *row;
    cJSON_ArrayForEach(row, rows)
    {
        if (skip-- > 0)
            continue;
        auto_free char *line = json_format(row);
        buf_add_str(&out, line);
        buf_add_char(&out, '\n');
    }
    keep_end(&out);
    auto_free char *path = history_path_dup(m);
    struct reeve_error err;
    if (file_replace(path, buf_str(&out), out.len, 0600, false, &err) < 0)
        log_warn("%s", err.text);
}
