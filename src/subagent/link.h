/* link.h - the sub-agent's connection to its master
 *
 * Nothing is queued: what the master should know is a set of flags, and each message is
 * made from what is true when it can be sent. Without a master the sub-agent sleeps
 * until something appears in the socket's folder, and connects after a random time, so
 * that thousands do not come at once. */
#ifndef REEVE_AGENT_LINK_H
#define REEVE_AGENT_LINK_H

#include "base/error.h"
#include "run/message.h"

#include <stdbool.h>
#include <stdint.h>

/* In the order in which they are sent. */
enum link_news {
    NEWS_HELLO = 1 << 0,
    NEWS_STARTED = 1 << 1,
    NEWS_STEP = 1 << 2,
    NEWS_RUNNING = 1 << 3,
    NEWS_SPOOLED = 1 << 4,
    NEWS_EXITED = 1 << 5,
    NEWS_UNSEEN = 1 << 6,
    NEWS_STUCK = 1 << 7,
    NEWS_LAST = NEWS_STUCK
};

struct link {
    char *folder;
    char *name;
    int dirfd;
    int sock; /* -1: not connected */
    unsigned news;
    bool full;         /* the socket takes no more just now */
    bool heard;        /* the master has said something on this connection */
    unsigned failures; /* connections in a row on which it did not */
    unsigned tries;    /* that follow a change in the folder */
    int64_t spread_ms;
    int64_t connect_at; /* boot ms, or 0: when the folder changes */
    int64_t spooled_at; /* boot ms of the last SPOOLED */
};

/* spread_ms: the longest of the random times; at least 1. */
int link_open(struct link *l, const char *socket_path, int64_t spread_ms,
              struct reeve_error *err);
/* Connects, if it is time. True when a connection came to be. */
bool link_try(struct link *l, int64_t now);
/* SIGIO: the folder has changed. */
void link_folder_changed(struct link *l, int64_t now);
void link_lost(struct link *l, int64_t now);
/* When link_try should be called next; 0: not by time. */
int64_t link_deadline(const struct link *l);

#endif
