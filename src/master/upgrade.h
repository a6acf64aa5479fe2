/* upgrade.h - `reeve upgrade`: reeved executes a new program in its own place
 *
 * Same process, same sockets; what it knows is on disk, and the new one adopts it as
 * the next master would. The new program is asked first, as a child with `--check`,
 * whether it takes our command line and the configuration. If it cannot be executed, or
 * does not start, the old program is executed again, from its file that was kept open:
 * it serves as before, and says why. */
#ifndef REEVE_UPGRADE_H
#define REEVE_UPGRADE_H

#include "base/error.h"

#include <cjson/cJSON.h>
#include <stdbool.h>

struct master;
struct upgrade;

/* Called once, perhaps before upgrade_begin returns: data is the answer's, to be taken;
 * NULL with an exit code of `reeve` and err. */
typedef void (*upgrade_done_f)(void *arg, cJSON *data, int code,
                               const struct reeve_error *err);

/* Before options are parsed: notes what is to be executed again, and takes the sockets
 * that an older program has left us. */
void upgrade_note(int argc, char **argv);
/* This program serves: from now on it is the one that goes on. */
void upgrade_begun(void);
/* Why the program that was to follow does not run in our place, one line; NULL: none
 * was to. */
const char *upgrade_failed(void);
/* This program cannot start (why): executes the one before it again, if there was one;
 * else, or if that fails, it returns. */
void upgrade_give_up(const char *why, int umask_was);
/* "agent.sock" or "control.sock" of the program before us, -1: none. The caller's. */
int upgrade_take_socket(const char *name);

struct upgrade *upgrade_create(struct master *m);
void upgrade_destroy(struct upgrade *u);
/* binary NULL: the path by which we were started. On success the loop is left soon
 * after done was called. */
void upgrade_begin(struct upgrade *u, const char *binary, upgrade_done_f done,
                   void *arg);
void upgrade_forget(struct upgrade *u, const void *arg);
/* The loop was left for the new program: listeners stay open and in place. */
bool upgrade_due(const struct upgrade *u);
/* Hands this listener on. Closes it if nothing is due; true: its name must stay. */
bool upgrade_keep_socket(const struct upgrade *u, const char *name, int fd);

/* After the master's end, if the loop was left for it: executes what upgrade_due() saw.
 * Returns only if that is not so, or if nothing could be executed. */
void upgrade_execute(int umask_was);

#endif
