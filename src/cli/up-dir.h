/* up-dir.h - the folder of `reeve up`: its lock, its record of children, what it
 * publishes
 *
 * DIR/lock           flock of the one `up` that has DIR
 * DIR/up.json        children by pid, start time and boot, and the ports: for the next
 * `up` after a kill -9 of this one DIR/endpoint.json  URLs and keys, 0600; there while
 * everything answers DIR/clearml.conf   the same for the official SDK, 0600
 * DIR/master.conf    what the master reads, if the user gave a configuration to `up`
 * DIR/server, DIR/state, DIR/run   the programs' own */
#ifndef REEVE_UP_DIR_H
#define REEVE_UP_DIR_H

#include "base/error.h"

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct up_dir {
    char *path; /* absolute */
    int lock;
    bool made; /* it was not there before */
};

/* Makes the folders and takes the lock. CLI_DONE, or an exit code with err: one line if
 * another `up` has it, or if it can't be written. */
int up_dir_open(const char *path, struct up_dir *d, struct reeve_error *err);
void up_dir_close(struct up_dir *d);
/* The `reeve up` whose master has this run folder, DIR/run; 0: none. */
pid_t up_dir_holder(const char *run_dir);
/* After a start that failed: takes the folder away again if it was not there before. */
void up_dir_undo(const struct up_dir *d);
char *up_dir_file_dup(const struct up_dir *d, const char *name);
/* "reeve-<8 hex digits>": one cgroup root a folder. */
char *up_dir_cgroup_dup(const struct up_dir *d);

/* A process by more than its number. pid 0: none. */
struct up_process {
    pid_t pid;
    uint64_t start;
};

struct up_record {
    struct up_process server, master;
    int ports[3]; /* API, web, files as they were; 0: unknown */
};

int up_record_write(const struct up_dir *d, const struct up_record *r,
                    struct reeve_error *err);
/* What an earlier `up` left, reduced to what still runs; ports are kept always. */
void up_record_read(const struct up_dir *d, struct up_record *r);
/* Ends what still runs of an earlier `up`: the master without its runs (they are
 * adopted by the next one), then the server. 0, or -1 if one can't be ended. */
int up_take_over(const struct up_dir *d, const struct up_record *r,
                 struct reeve_error *err);

/* From what the server wrote: clearml.conf and, with a user's configuration,
 * master.conf. *config is the path that the master is to read. */
int up_write_config(const struct up_dir *d, const cJSON *endpoint,
                    const char *user_config, char **config, struct reeve_error *err);
/* endpoint.json with this process's pid. */
int up_publish(const struct up_dir *d, const cJSON *endpoint, struct reeve_error *err);
void up_unpublish(const struct up_dir *d);
/* The port at the end of a URL, or 0. */
int url_port(const char *url);

#endif
