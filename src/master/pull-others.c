/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

/* The head of a queue asks for more than this host has. Where other workers serve the
 * queue it is theirs, and stays; nobody else could take it, and it is taken, to be
 * failed with that as its reason. How much the others have is not known. */

#include "master/pull-internal.h"

#include "base/json.h"
#include "master/drain.h"

#include <stdio.h>
#include <string.h>

#define SEEN_S 600 /* the server forgets a silent worker after this */

/* We, and our runs' sub-agents. */
static bool is_own(const struct master *m, const char *worker)
{
    size_t n = strlen(m->worker);
    return strncmp(worker, m->worker, n) == 0 &&
           (!worker[n] || strncmp(worker + n, ":service:", 9) == 0);
}

static bool serves(const cJSON *worker, const char *queue)
{
    const cJSON *q;
    cJSON_ArrayForEach(q, json_get(worker, "queues"))
    {
        if (strcmp(json_str(q, "id", ""), queue) == 0)
            return true;
    }
    return false;
}

static unsigned count_others(const struct pull *p, const cJSON *workers)
{
    const cJSON *worker;
    unsigned n = 0;
    cJSON_ArrayForEach(worker, workers)
    {
        n += !is_own(p->master, json_str(worker, "id", "")) &&
             serves(worker, p->queues[p->at].id);
    }
    return n;
}

static void on_workers(void *arg, const struct api_reply *r)
{
    struct pull *p = arg;
    char why[PULL_TEXT_SIZE];
    p->call = NULL;
    if (r->result != API_OK) {
        pull_look_later(p);
        return;
    }
    if (p->stopped || drain_active(p->master->drain))
        return;
    unsigned others = count_others(p, json_get(r->data, "workers"));
    snprintf(why, sizeof why, "%s; it is left for the %u other worker%s of the queue",
             p->large, others, others == 1 ? "" : "s");
    if (others)
        pull_hold_head(p, why, true);
    else
        pull_take(p, &p->need);
}

void pull_ask_others(struct pull *p, const struct need *need, const char *why)
{
    cJSON *body = cJSON_CreateObject();
    p->need = *need;
    snprintf(p->large, sizeof p->large, "%s", why);
    json_set_int(body, "last_seen", SEEN_S);
    p->call =
        api_send(p->master->api, NULL, "workers.get_all", body, NULL, on_workers, p);
}
