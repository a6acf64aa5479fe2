/* target.h - which server and which master a command talks to */
#ifndef REEVE_TARGET_H
#define REEVE_TARGET_H

#include "base/error.h"
#include "cli/args.h"

#include <stdbool.h>

struct target {
    char *api, *web, *files; /* URLs; web and files may be NULL */
    char *access_key, *secret_key, *token;
    char *ca_file;
    bool verify;
    bool direct;   /* `reeve up` on this host: past the environment's proxies */
    char *run_dir; /* of the master */
};

/* --data DIR, then REEVE_DATA, then clearml.conf and CLEARML_*, then the default folder
 * of `reeve up` if one runs there. What is no server's (the run folder) is filled in
 * also when no server is known. An exit code; err is set unless it is CLI_DONE. */
int target_find(const struct args *args, struct target *t, struct reeve_error *err);
/* The folder of `reeve up` that the user named, --data or REEVE_DATA; NULL: none. */
const char *target_named_data(const struct args *args);
/* The run folder alone, for commands that need no server. */
char *target_run_dir_dup(const struct args *args);
/* The state folder of a master that works for the target, or NULL: its own default. */
char *target_state_dir_dup(const struct args *args);
/* Puts the target into this process's environment, for a master that becomes of it. */
void target_export(const struct target *t);
/* Removes from the environment what names a server or an identity. */
void target_clean_environment(void);
/* For a server on this host, to which no proxy leads: this process and what it starts
 * pass by proxies on the way to loopback and to that address. */
void target_pass_by_proxies(const char *host);
void target_free(struct target *t);

/* Where `reeve up` keeps everything if nothing is said: REEVE_DATA, for root
 * /var/lib/reeve/up, else below XDG_DATA_HOME. */
char *data_dir_dup(const struct args *args);

#endif
