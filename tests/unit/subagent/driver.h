/* driver.h - plays the master for a real reeve-subagent, in a folder of its own
 *
 * The folder's path is longer than a socket's address may be. Everything waits for at
 * most WAIT_MS, and the teardown ends what is left. */
#ifndef REEVE_TEST_DRIVER_H
#define REEVE_TEST_DRIVER_H

#include "base/buf.h"
#include "run/message.h"
#include "run/spool.h"

#include <stdbool.h>
#include <sys/types.h>

#define WAIT_MS 60000
#define TASK "0123456789abcdef0123456789abcdef"

struct driver {
    char *top, *run_root, *state_dir, *run_dir;
    int listener;
    int sock;
    int fifo; /* as the master, which keeps a reading end */
    pid_t agent;
    int groups; /* of the payload */
    char group[4][256];
    char join[272]; /* the sub-agent's own, or "" */
    struct message in, out;
};

struct start {
    uint32_t attempt; /* 0: 1 */
    const char *script;
    int64_t grace_ms, linger_ms, timeout_ms;
};

int driver_setup(void **state);
int driver_teardown(void **state);

void driver_listen(struct driver *d);
void driver_unlisten(struct driver *d);
void driver_spawn(struct driver *d);
/* Makes groups for the payload and one for the sub-agent; skips the test without the
 * right to. The teardown removes them. */
void driver_make_groups(struct driver *d);
/* SIGKILL, and reaps it. */
void driver_kill(struct driver *d);
/* Waits for its end; the wait status. */
int driver_wait_agent(struct driver *d);
/* Accepts it and reads its HELLO into d->in. */
void driver_accept(struct driver *d);
/* spawn and accept. */
void driver_begin(struct driver *d);
void driver_start(struct driver *d, const struct start *s);
/* What is in d->out. */
void driver_send(struct driver *d, int fd);
void driver_stop(struct driver *d, int64_t grace_ms);
void driver_note(struct driver *d, const char *text);
/* SEEN: code -1: nobody knows. */
void driver_seen(struct driver *d, pid_t payload, int code);
void driver_ack(struct driver *d, uint32_t attempt);
void driver_quit(struct driver *d);
/* The next message of this type, into d->in; others are passed over. */
void driver_expect(struct driver *d, enum message_type type);
/* True if one comes within ms. */
bool driver_hears(struct driver *d, enum message_type type, int ms);
uint64_t driver_u64(struct driver *d, enum message_tag tag, uint64_t fallback);
/* Valid until the next call; "" if absent. */
const char *driver_text(struct driver *d, enum message_tag tag);
/* The spool's texts, one after the other. */
void driver_read(struct driver *d, struct buf *out);
void driver_assert_log(struct driver *d, const char *want);
bool driver_wait_log(struct driver *d, const char *part);
bool driver_process_gone(pid_t pid);
void driver_sleep(int ms);

#endif
