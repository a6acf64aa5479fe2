/* ending.h - what is being ended and does not go: told when that is news
 *
 * SIGKILL ends everything but a process that waits in the kernel where it cannot be
 * interrupted (a dead file system), or that is frozen from above its group. Nobody can
 * do more than try again; who tries says which processes they are, and when they went.
 */
#ifndef REEVE_ENDING_H
#define REEVE_ENDING_H

#include <stdbool.h>
#include <stdint.h>

#define ENDING_TEXT_SIZE 256

struct ending {
    int64_t since;               /* boot ms of the first try; 0: none yet */
    int64_t look_at;             /* when it is looked at again */
    char text[ENDING_TEXT_SIZE]; /* what was told last; "": nothing */
};

/* After a try that left something; true when it is time to look what that is. */
bool ending_due(struct ending *e, int64_t now_ms);
/* names: what was found. True if that is to be told. */
bool ending_news(struct ending *e, const char *names, int64_t now_ms);
/* Nothing is left. True if that is to be told; *took_ms says how long it took. Begins
 * anew. */
bool ending_over(struct ending *e, int64_t now_ms, int64_t *took_ms);

#endif
