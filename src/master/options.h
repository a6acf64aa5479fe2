/* options.h - reeved's command line */
#ifndef REEVE_OPTIONS_H
#define REEVE_OPTIONS_H

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>

struct options {
    const char *state_dir, *run_dir, *config_file, *worker_id, *cgroup_root;
    const char *task;    /* run this one and end; NULL: serve queues */
    const char **queues; /* borrowed from argv */
    size_t queue_count;
    const char **tags; /* of the runs' workers; borrowed from argv */
    size_t tag_count;
    bool create_queue, order_fairness, stop_runs;
    bool check;         /* nothing but the check of options and configuration */
    bool require_queue; /* of task: only if it is queued */
    bool unmonitored;   /* of task: no log, no worker, no final status to the server */
    int log_file;       /* of task: its log goes there too; -1: none */
    int services;       /* --services-mode N: runs at a time; 0: no bound */
    double polling_interval; /* seconds; 0: the configuration's */
    int log_level;           /* -1: the configuration's */
    int ready_fd;            /* -1: none */
    int umask;               /* as it was when reeved started: for the payloads */
};

enum options_result { OPTIONS_RUN, OPTIONS_DONE, OPTIONS_BAD };

/* Prints --help and --version itself (DONE). BAD: err says which word and what to do.
 */
enum options_result options_parse(int argc, char **argv, struct options *out,
                                  struct reeve_error *err);
void options_free(struct options *o);

#endif
