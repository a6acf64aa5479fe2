/* message.h - messages between reeved and reeve-subagent on agent.sock (SEQPACKET)
 *
 * One packet is one message: u16 protocol version, u16 type, u32 request, then fields
 * of u16 tag, u16 zero, u32 length and the bytes. Little endian, at most MESSAGE_MAX
 * bytes; what is larger travels as a sealed memfd beside the packet. A reader ignores
 * fields and types it does not know, so that master and sub-agents of different
 * versions understand each other; it drops a packet that is not well formed, and the
 * peer with it. */
#ifndef REEVE_MESSAGE_H
#define REEVE_MESSAGE_H

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifndef MESSAGE_VERSION /* a test is of another version */
#define MESSAGE_VERSION 1
#endif
#define MESSAGE_MAX 65536

/* clang-format off */
#define MESSAGE_TYPES(X)                                                                   \
    /* sub-agent to master */                                                              \
    X(HELLO,    1)  /* TASK PID START_TIME PHASE ATTEMPT; when it has a payload: PAYLOAD_PID
                       PAYLOAD_START, STEP in set-up, STOPPING; SPOOL_END; when EXITED: as in
                       EXITED; CERTAIN; TAKEN_OVER */                                      \
    X(STARTED,  2)  /* ATTEMPT PAYLOAD_PID PAYLOAD_START: the payload's process is there */ \
    X(STEP,     3)  /* ATTEMPT STEP: reeve-prepare begins a step ("clone") */              \
    X(RUNNING,  4)  /* ATTEMPT: the task's own program was executed */                     \
    X(SPOOLED,  5)  /* SPOOL_END: records up to here can be read; SPOOL_GAPS */            \
    X(STUCK,    9)  /* ATTEMPT TEXT: processes that can't be ended yet; "": none any more */ \
    X(EXITED,   6)  /* ATTEMPT EXIT_CODE | EXIT_SIGNAL, STEP + TEXT if set-up failed there,
                       TIMED_OUT, SPOOL_END, LEFT_BEHIND: the exit record is synced; sent
                       again after each reconnect until ACK_EXIT */                        \
    X(UNSEEN,   7)  /* ATTEMPT PAYLOAD_PID: the payload of a lost predecessor has ended, and
                       how cannot be read here; waits for SEEN */                          \
    /* master to sub-agent */                                                              \
    X(START,   32)  /* ATTEMPT PREPARE_PATH GROUP_DIR... GRACE_MS LINGER_MS TIMEOUT_MS
                       STOP_SIGNAL SETUP_TIMEOUT_MS NOFILE_SOFT NOFILE_HARD,
                       descriptor: sealed memfd with the spec for reeve-prepare */ \
    X(STOP,    33)  /* GRACE_MS STOP_SIGNAL: signal, grace, then the whole group */        \
    X(NOTE,    34)  /* TEXT: a line of reeve's own for the run's log */                    \
    X(ACK_EXIT,35)  /* ATTEMPT: the master has the exit on disk */                         \
    X(QUIT,    36)  /* nothing more will be started: go */                                 \
    X(CHANGE,  37)  /* ATTEMPT TIMEOUT_MS SETUP_TIMEOUT_MS GRACE_MS STOP_SIGNAL
                       NOFILE_SOFT NOFILE_HARD: what applies to the attempt from now on */ \
    X(LOG,     40)  /* how the run's log is kept: LOG_BUDGET LOG_WAIT; descriptor, or none:
                       sealed memfd with what is masked in it, as masker_load() reads it */ \
    X(SEEN,    48)  /* PAYLOAD_PID EXIT_CODE | EXIT_SIGNAL: how it ended, by who reaped it;
                       neither: nobody knows */
/* clang-format on */

enum message_type {
#define X(name, value) MESSAGE_##name = value,
    MESSAGE_TYPES(X)
#undef X
};

enum message_tag {
    TAG_TASK = 1,   /* text */
    TAG_PID,        /* u64, as all numbers */
    TAG_START_TIME, /* clock ticks since boot, proc_start_time() */
    TAG_PHASE,      /* enum agent_phase */
    TAG_ATTEMPT,    /* from 1 */
    TAG_PAYLOAD_PID,
    TAG_PAYLOAD_START,
    TAG_SPOOL_END, /* offset in the run's spool */
    TAG_EXIT_CODE,
    TAG_EXIT_SIGNAL,
    TAG_STEP,         /* text */
    TAG_TEXT,         /* text */
    TAG_TIMED_OUT,    /* 1 */
    TAG_LEFT_BEHIND,  /* text: processes that the sweep ended */
    TAG_PREPARE_PATH, /* text: the program to execute with the spec on descriptor 3 */
    TAG_GROUP_DIR, /* text, repeated: the payload's group, one directory a hierarchy */
    TAG_GRACE_MS,
    TAG_LINGER_MS,
    TAG_TIMEOUT_MS, /* wall-clock limit of the attempt; absent or 0: none */
    TAG_STOP_SIGNAL,
    TAG_SETUP_TIMEOUT_MS, /* ... until the task's own program; absent or 0: none */
    TAG_NOFILE_SOFT,      /* open files; absent: as inherited */
    TAG_NOFILE_HARD,
    TAG_CERTAIN = 64,    /* 1: ATTEMPT is the last that has begun, for sure */
    TAG_TAKEN_OVER,      /* 1: the payload is that of a lost predecessor */
    TAG_STOPPING,        /* ms that its grace lasts yet */
    TAG_SPOOL_GAPS = 72, /* 1: there are gaps in it, that its budget made */
    TAG_LOG_BUDGET,      /* bytes of disk; absent: as before, 0: no bound */
    TAG_LOG_WAIT,        /* 1: the payload waits where it is reached */
    TAG_LOG_AWAY,        /* 1: the server takes no lines just now; absent: not known */
    /* of the file `attempt` alone (subagent/attempt.c) */
    TAG_BOOT = 96, /* text: proc_boot_identity() */
    TAG_KILL_AT,
    TAG_LINGER_AT,
    TAG_STATES,
    TAG_BEGUN_AT,
    TAG_RECORD /* its number, from 1 */
};

enum agent_phase {
    AGENT_IDLE = 0,
    AGENT_PREPARING = 1,
    AGENT_RUNNING = 2,
    AGENT_EXITED = 3
};

/* A message being built or read; about 64 KiB, so not for small stacks. */
struct message {
    size_t len;
    unsigned char data[MESSAGE_MAX];
};

void message_begin(struct message *m, enum message_type type, uint32_t request);
/* Too much for one message sets an error that message_send reports. */
void message_add(struct message *m, enum message_tag tag, const void *data, size_t n);
void message_add_text(struct message *m, enum message_tag tag, const char *text);
void message_add_u64(struct message *m, enum message_tag tag, uint64_t value);

/* Checks the framing of a received packet of m->len bytes; -1 if it is not well formed.
 */
int message_check(const struct message *m, struct reeve_error *err);
uint16_t message_get_version(const struct message *m);
uint16_t message_get_type(const struct message *m);
uint32_t message_get_request(const struct message *m);
/* The first field with this tag. Texts are copied, cut at size - 1, and NUL-terminated;
 * false if absent (or, for text, if it holds a NUL). */
bool message_get_u64(const struct message *m, enum message_tag tag, uint64_t *out);
bool message_get_text(const struct message *m, enum message_tag tag, char *out,
                      size_t size);
/* Walks the fields with a tag: *at starts at 0. */
bool message_next_text(const struct message *m, enum message_tag tag, size_t *at,
                       char *out, size_t size);

/* One packet, with fd beside it unless -1. 0; 1 when the socket's buffer is full
 * (EAGAIN); -1 with err. Never raises SIGPIPE. */
int message_send(int sock, const struct message *m, int fd, struct reeve_error *err);
/* One packet, checked. *fd is the descriptor that came with it (CLOEXEC) or -1; more
 * than one is refused. 1: a message; 0: none now (EAGAIN); -1: end of file (err->code
 * 0) or error. */
int message_receive(int sock, struct message *m, int *fd, struct reeve_error *err);

#endif
