/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

/* What the server does not take. Nothing is acknowledged unseen:
 * - An event of a task that the server no longer takes events for (deleted, published)
 *   ends the shipping of that run.
 * - A refused batch is taken apart until the bad event is alone; that is set aside in a
 *   file and told. So is one of which the server has taken a part: what it has is
 * looked up first.
 * - Where its own index failed (event_bll.py: "Error when indexing events batch") it is
 *   the server that has trouble, as long as that can be thought. */

#include "master/ship-internal.h"

#include "base/alloc.h"
#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "master/master.h"
#include "master/metrics.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

/* With the back-off of ship_retry_later() a quarter of a minute before a batch is taken
 * apart, and eight minutes for an event that is alone. */
#define BATCH_TRIES 6
#define EVENT_TRIES 20
/* Of waits.again: an index shows what it took after seconds. */
#define SHOWN_AFTER 5
#define ASIDE_MAX (64 << 20)

static int append(const char *path, const char *text, struct reeve_error *err)
{
    struct stat st;
    FILE *f = fopen(path, "ae");
    int result = f && fstat(fileno(f), &st) == 0 ? 0 : -1;
    if (result == 0 && st.st_size > ASIDE_MAX)
        result = reeve_error_set(err, 0, "%s is full", path);
    else if (result < 0 || fprintf(f, "%s\n", text) < 0 || fflush(f) < 0)
        result = reeve_error_set(err, errno, "write %s", path);
    if (f)
        fclose(f);
    return result;
}

/* A refused event is kept for a person, beside the runs. */
static int set_aside(struct ship *s, const struct part *p, struct reeve_error *err)
{
    auto_free char *dir = path_join_dup(s->master->state_root, "refused");
    auto_free char *path = path_join_dup(dir, p->task);
    auto_free char *text = json_format(p->event);
    return dir_make(dir, 0700, err) < 0 ? -1 : append(path, text, err);
}

static void give_up(struct ship *s, struct part *p, const char *why)
{
    struct reeve_error err;
    int kept = set_aside(s, p, &err);
    /* There may be room later; but what nobody can keep must not stop all others. */
    if (kept < 0 && err.code && s->tries++ < EVENT_TRIES) {
        log_error("task=%s a refused event cannot be kept yet: %s", p->task, err.text);
        ship_retry_later(s);
        return;
    }
    metrics_log_refused(s->master->metrics);
    if (kept < 0)
        log_error("task=%s an event was refused by the server and is lost (%s): %s",
                  p->task, err.text, why);
    else
        log_error("task=%s an event was refused by the server and is kept in "
                  "$STATE/refused/%s: %s",
                  p->task, p->task, why);
    ship_window_done(s);
}

/* True if the answer names this task as one that takes no events (event_bll.py). */
static bool answer_names(const char *why, const char *task)
{
    auto_free char *words = xasprintf("Invalid task id %s", task);
    return task[0] && strstr(why, words);
}

static bool index_failed(const char *why)
{
    return strstr(why, "Error when indexing") != NULL;
}

/* None of the window was taken. */
static void none_taken(struct ship *s, const char *why)
{
    if (index_failed(why) && s->tries++ < (s->sent > 1 ? BATCH_TRIES : EVENT_TRIES)) {
        log_warn("the server could not store %zu log events, tried again: %s", s->live,
                 why);
        ship_retry_later(s);
        return;
    }
    struct part *p = &s->batch.parts[s->first];
    if (s->sent > 1)
        ship_window_halve(s);
    else if (p->event)
        give_up(s, p, why);
    else
        ship_window_done(s);
}

/* Ends the runs that an answer names; how many events of the window were theirs. */
static size_t end_named(struct ship *s, const char *why)
{
    size_t ended = 0;
    for (size_t i = s->first; i < s->first + s->sent; i++) {
        struct part *p = &s->batch.parts[i];
        if (!p->event || !answer_names(why, p->task))
            continue;
        ship_refuse_run(s, p->task, why);
        ship_ack(s, p);
        ended++;
    }
    return ended;
}

void ship_refused(struct ship *s, const struct api_reply *r)
{
    auto_free char *data = r->data ? json_format(r->data) : NULL;
    auto_free char *why =
        xasprintf("%s %s", r->message ? r->message : "", data ? data : "");
    struct part *p = &s->batch.parts[s->first];
    bool task_gone = r->subcode == 101 || r->subcode == 113;
    if (s->sent == 1 && p->event && task_gone) {
        ship_refuse_run(s, p->task, r->message);
        ship_window_done(s);
        return;
    }
    size_t ended = end_named(s, why);
    if (ended && ended < s->live)
        ship_send(s); /* the others alone */
    else if (ended)
        ship_window_done(s);
    else
        none_taken(s, why);
}

void ship_took_part(struct ship *s, const struct api_reply *r)
{
    auto_free char *why = json_format(json_get(r->data, "errors_info"));
    int64_t added = json_int(r->data, "added", 0);
    log_warn("the server took %lld of %zu log events: %s", (long long)added, s->live,
             why);
    size_t ended = end_named(s, why);
    if (added + (int64_t)ended >= (int64_t)s->live)
        ship_window_done(s);
    else if (added <= 0 && !ended)
        none_taken(s, why);
    else
        ship_look_later(s, SHOWN_AFTER * s->master->waits.again_ms);
}
