/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "cli/log-local.h"

#include "base/alloc.h"
#include "base/json.h"
#include "base/record.h"
#include "run/spool.h"

#include <string.h>

void log_local_init(struct log_local *l, char *dir)
{
    *l = (struct log_local){.dir = dir};
}

void log_local_close(struct log_local *l)
{
    spool_reader_close(l->reader);
    l->reader = NULL;
}

void log_local_free(struct log_local *l)
{
    log_local_close(l);
    free(l->pieces);
    free(l->dir);
}

bool log_local_open(struct log_local *l, bool all)
{
    if (!l->dir || l->reader)
        return l->reader != NULL;
    uint64_t from = spool_acked(l->dir);
    /* What was shown in an earlier outage may not be at the server yet. */
    if (l->first == l->count)
        l->acked_ms = spool_acked_ms(l->dir);
    if (from < l->shown)
        from = l->shown;
    l->reader = spool_reader_open(l->dir, all ? 0 : from, NULL);
    return l->reader != NULL;
}

/* The text as it stands in an event: with its last newline. */
static void remember(struct log_local *l, const char *text, size_t n)
{
    if ((l->count & (l->count - 1)) == 0)
        l->pieces =
            xreallocarray(l->pieces, l->count ? 2 * l->count : 1, sizeof *l->pieces);
    l->pieces[l->count++] = (struct log_piece){(uint32_t)n, crc32c(0, text, n)};
}

cJSON *log_local_next(struct log_local *l)
{
    struct spool_entry e;
    do {
        if (!l->reader || spool_reader_next(l->reader, &e, NULL) != 1)
            return NULL;
    } while (e.type == SPOOL_EXIT || !e.text_len);
    l->shown = e.next;
    remember(l, e.text, e.text_len);
    cJSON *event = cJSON_CreateObject();
    auto_free char *text = xstrndup(e.text, e.text_len);
    json_set_str(event, "msg", text);
    json_set_int(event, "timestamp", e.wall_ms);
    return event;
}

/* Whether the text is the pieces from `at` on; *end: after them. */
static bool is_made_of(const struct log_local *l, size_t at, const char *text, size_t n,
                       size_t *end)
{
    size_t done = 0;
    while (done < n && at < l->count && l->pieces[at].size <= n - done &&
           crc32c(0, text + done, l->pieces[at].size) == l->pieces[at].crc)
        done += l->pieces[at++].size;
    *end = at;
    return n > 0 && done == n;
}

bool log_local_shown(struct log_local *l, int64_t timestamp, const char *text)
{
    size_t n = strlen(text), end;
    /* The server had it before; what is here of that was passed over. */
    if (timestamp <= l->acked_ms)
        return false;
    for (size_t at = l->first; at < l->count; at++)
        if (is_made_of(l, at, text, n, &end)) {
            l->first = end;
            return true;
        }
    return false;
}
