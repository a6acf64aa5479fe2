/* scrolls.h - where clients are in what they walk through, by the id they were given
 *
 * As ClearML's server keeps it: for an hour after its last use, and a client may send
 * the first id again and again. Bounded in number and size: when there are too many,
 * the one unused for longest goes. Any thread may call. */
#ifndef REEVE_SERVER_SCROLLS_H
#define REEVE_SERVER_SCROLLS_H

#include "base/id.h"

#include <cjson/cJSON.h>
#include <stdint.h>

#define SCROLLS_MAX 1024
#define SCROLL_STATE_MAX 65536 /* bytes of one, as text */
#define SCROLL_KEPT_MS INT64_C(3600000)

struct scrolls;

struct scrolls *scrolls_create(void);
void scrolls_destroy(struct scrolls *s);
/* The state under this id, the caller's; NULL if there is none (any more). */
cJSON *scrolls_get(struct scrolls *s, const char *id, int64_t now_ms);
/* Keeps a state under the id; with "" under a new one, which goes to id. A state that
 * is too large is not kept. */
void scrolls_put(struct scrolls *s, char id[ID_SIZE], const cJSON *state,
                 int64_t now_ms);

#endif
