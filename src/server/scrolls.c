/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "server/scrolls.h"

#include "base/alloc.h"
#include "base/json.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

struct scroll {
    char id[ID_SIZE]; /* "" if the place is free */
    char *state;
    int64_t used_ms;
};

struct scrolls {
    pthread_mutex_t lock;
    struct scroll list[SCROLLS_MAX];
};

struct scrolls *scrolls_create(void)
{
    struct scrolls *s = xcalloc(1, sizeof *s);
    pthread_mutex_init(&s->lock, NULL);
    return s;
}

static void drop(struct scroll *scroll)
{
    free(scroll->state);
    *scroll = (struct scroll){0};
}

void scrolls_destroy(struct scrolls *s)
{
    if (!s)
        return;
    for (size_t i = 0; i < SCROLLS_MAX; i++)
        drop(&s->list[i]);
    pthread_mutex_destroy(&s->lock);
    free(s);
}

/* NULL if it is not there, or too old. */
static struct scroll *find(struct scrolls *s, const char *id, int64_t now_ms)
{
    for (size_t i = 0; *id && i < SCROLLS_MAX; i++) {
        struct scroll *scroll = &s->list[i];
        if (strcmp(scroll->id, id) != 0)
            continue;
        if (now_ms - scroll->used_ms < SCROLL_KEPT_MS)
            return scroll;
        drop(scroll);
        return NULL;
    }
    return NULL;
}

/* A free place, or that of the one unused for longest. */
static struct scroll *oldest(struct scrolls *s)
{
    struct scroll *found = &s->list[0];
    for (size_t i = 0; i < SCROLLS_MAX && found->id[0]; i++)
        if (!s->list[i].id[0] || s->list[i].used_ms < found->used_ms)
            found = &s->list[i];
    return found;
}

cJSON *scrolls_get(struct scrolls *s, const char *id, int64_t now_ms)
{
    pthread_mutex_lock(&s->lock);
    struct scroll *scroll = find(s, id, now_ms);
    auto_free char *text = scroll ? xstrdup(scroll->state) : NULL;
    pthread_mutex_unlock(&s->lock);
    return text ? json_parse(text, strlen(text), NULL) : NULL;
}

void scrolls_put(struct scrolls *s, char id[ID_SIZE], const cJSON *state,
                 int64_t now_ms)
{
    auto_free char *text = json_format(state);
    if (!*id)
        id_new(id);
    if (strlen(text) > SCROLL_STATE_MAX)
        return;
    pthread_mutex_lock(&s->lock);
    struct scroll *scroll = find(s, id, now_ms);
    if (!scroll)
        scroll = oldest(s);
    drop(scroll);
    snprintf(scroll->id, sizeof scroll->id, "%s", id);
    scroll->state = steal(&text);
    scroll->used_ms = now_ms;
    pthread_mutex_unlock(&s->lock);
}
