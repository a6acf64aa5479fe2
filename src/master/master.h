/* master.h - reeved: what its parts share
 *
 * One libev loop of its own, no blocking call. Each part is one file with a create and
 * a destroy; the parts know each other through this struct alone. */
#ifndef REEVE_MASTER_H
#define REEVE_MASTER_H

#include "base/error.h"
#include "cgroup/cgroup.h"
#include "clearml/api.h"
#include "config/config.h"
#include "master/hoststat.h"
#include "master/options.h"
#include "master/run.h"
#include "master/shutdown.h"
#include "master/syncer.h"
#include "master/waits.h"

#include <ev.h>
#include <stdbool.h>
#include <stdint.h>

struct link;
struct ship;
struct pull;
struct watch;
struct report;
struct control;
struct outage;
struct echo;
struct reassert;
struct disk;
struct drain;
struct metrics;
struct admit;
struct steps;
struct orphans;
struct tick;
struct upgrade;
struct child;
struct run_token;
struct stop_order;

struct master {
    struct ev_loop *loop;
    struct options *options;
    struct config *config;
    struct waits waits;
    char *worker; /* this master's worker id */
    int worker_claim;
    char *state_root, *run_root;
    char *cache_root;          /* repositories */
    bool made_state, made_run; /* these folders were not there before */
    int lock;                  /* of $STATE/master.lock */
    bool locked;               /* it is ours */
    char *subagent_path, *prepare_path;
    char boot[96];
    int64_t started_boot_ms;
    unsigned capacity; /* runs at a time; 0: no bound */
    bool authorized;   /* there are keys or a token: payloads get a token */
    char *api_url, *web_url, *files_url;

    struct api *api;
    struct outage *outage; /* what is said when the server is away */
    struct cgroup_host *cgroups;
    struct syncer *syncer;     /* records */
    struct syncer *sweeper;    /* removals */
    struct syncer *applier;    /* limits */
    struct set_job *sets;      /* set.c: changes under way */
    struct reassert *reassert; /* limits that were lost */
    struct disk *disk;         /* folders that are measured */
    struct hoststat *hoststat;
    struct runs *runs;
    struct link *link; /* agent.sock */
    struct ship *ship; /* log lines */
    struct log_budget *log_budget;
    struct echo *echo;       /* the same on this terminal; NULL: not */
    struct pull *pull;       /* queues and claims */
    struct steps *steps;     /* controllers that wait for their own steps */
    struct admit *admit;     /* whether one more task fits */
    struct drain *drain;     /* no more tasks are taken */
    struct watch *watch;     /* aborts */
    struct report *report;   /* workers */
    struct tick *tick;       /* what is looked at from time to time */
    struct control *control; /* control.sock */
    struct metrics *metrics; /* figures for Prometheus */
    struct notify *notify;   /* systemd's watchdog */
    struct orphans *orphans; /* of sub-agents that were killed */
    struct upgrade *upgrade; /* a new program in our place */
    struct run_token *token; /* the last one that a payload was given */
    unsigned replaced;       /* sub-agents that others went on for, since the start */

    struct posted *posted, **posted_end; /* run.c: events that wait for their turn */
    ev_prepare post_watch;
    ev_signal sigterm, sigint, sighup;
    ev_timer exit_timer, trim_timer;
    struct stop_order *stop_order; /* of shutdown.c or drain.c: ends all runs */
    unsigned stop_orders;          /* so many there were */
    struct child *host_child; /* host-down.c: asks whether the host is going down */
    void (*host_down_done)(struct master *m, bool down);
    bool host_down;        /* ... and it is: the next boot's master decides on runs */
    ev_timer host_timer;   /* shutdown.c: looks whether all have ended then */
    int64_t stop_until_ms; /* shutdown.c: boot clock; every run has ended by then */
    bool exiting, stop_runs, hurried;
    int exit_signal; /* that ended it, or 0 */
    int exit_code;
};

/* Reads options and configuration and nothing else: 0, or -1 with err. */
int master_check(struct options *options, struct reeve_error *err);
/* Builds everything and adopts what an earlier master left; NULL with err. */
struct master *master_create(struct options *options, struct reeve_error *err);
void master_destroy(struct master *m);
/* Runs the loop until it is told to end; the exit code. */
int master_run(struct master *m);

#endif
