/* cgroup-internal.h - what the files of src/cgroup share: the host, and its back ends
 */
#ifndef REEVE_CGROUP_INTERNAL_H
#define REEVE_CGROUP_INTERNAL_H

#include "cgroup/cgroup.h"

#include <stddef.h>

#define CGROUP_NAME_MAX 128

/* The directories where a v1 controller, or several mounted together, has its groups.
 */
struct hierarchy {
    unsigned controllers;
    char mount[CGROUP_PATH_MAX];
    char root[CGROUP_PATH_MAX]; /* mount/<root name> */
};

struct cgroup_host {
    enum cgroup_mode mode;
    unsigned controllers; /* what groups below the root can have */
    char name[CGROUP_NAME_MAX];
    char unified[CGROUP_PATH_MAX]; /* the root group in the unified tree; or "" */
    char base[CGROUP_PATH_MAX];    /* v2: the group above it, which was given to us */
    char mount[CGROUP_PATH_MAX];   /* v2: the top of the tree */
    int hierarchies;               /* v1 and hybrid */
    struct hierarchy hierarchy[CGROUP_DIRS_MAX - 1];
    const struct cgroup_backend *backend;
};

/* Where values are set and read v1 and v2 differ; what lists, empties and removes
 * directories is the same for both. */
struct cgroup_backend {
    /* Makes the directories; what exists is EEXIST. With limits NULL, the fewest. */
    int (*create)(struct cgroup_host *, const char *path, const struct limits *,
                  struct reeve_error *);
    /* limits are clamped. fresh: a group just made, so LIMIT_NONE needs no write. */
    int (*apply)(struct cgroup_host *, const char *path, const struct limits *,
                 bool fresh, struct reeve_error *);
    void (*read_limits)(struct cgroup_host *, const char *path, struct limits *);
    void (*read_stat)(struct cgroup_host *, const char *path, struct cgroup_stat *);
    int64_t (*read_cpu)(struct cgroup_host *, const char *path); /* usec, -1: unknown */
};

extern const struct cgroup_backend cgroup_backend_v1; /* hybrid as well */
extern const struct cgroup_backend cgroup_backend_v2;

/* Opens the host; without use_unified a hybrid host is taken as plain v1. */
struct cgroup_host *cgroup_host_open_mode(const char *root_name, bool use_unified,
                                          struct reeve_error *err);
/* Makes the root group; unified_mount is "" where there is none. 0 or -1. */
int cgroup_v1_open(struct cgroup_host *host, const char *unified_mount,
                   struct reeve_error *err);
int cgroup_v2_open(struct cgroup_host *host, const char *unified_mount,
                   struct reeve_error *err);
/* Moves back to base whom an open moved to unified/master, also another's, so that the
 * root group can be removed; not while there are runs. Does nothing on v1. */
void cgroup_v2_close(struct cgroup_host *host);
/* The first mount of cgroup2, or "". */
void cgroup_find_unified(char out[CGROUP_PATH_MAX]);
enum cgroup_mode cgroup_mode_of(const char *unified_mount);
/* The group below which ours may be made; false if there is none. */
bool cgroup_v2_choose_base(const char *mount, char out[CGROUP_PATH_MAX]);
/* Our own group's directory; false if the mount does not show it ("/../x"). */
bool cgroup_v2_own_path(const char *mount, char out[CGROUP_PATH_MAX]);
/* ... or its top. */
void cgroup_v2_own_group(const char *mount, char out[CGROUP_PATH_MAX]);
/* Whether a group has one of two extended attributes, as "1". */
bool cgroup_v2_marked(const char *dir, const char *const mark[2]);
/* Adds what of wanted is not enabled yet to dir's cgroup.subtree_control. */
int cgroup_v2_enable(const char *dir, unsigned wanted, struct reeve_error *err);
/* The controllers named in dir/file ("cgroup.controllers"), a space between them. */
unsigned cgroup_v2_controllers(const char *dir, const char *file);

/* "cpu" for CGROUP_CPU; io is named as v2 does. */
const char *cgroup_controller_name(enum cgroup_controller c);
/* The bit, or 0 for one that reeve has no use for; takes v1's blkio for io. */
unsigned cgroup_controller_parse(const char *name, size_t len);

/* dir/path into out; what does not fit is ENAMETOOLONG. */
int cgroup_path_format(char out[CGROUP_PATH_MAX], const char *dir, const char *path,
                       struct reeve_error *err);
/* 3 for "run/<task>/payload". */
int cgroup_path_depth(const char *path);
/* Makes what is missing of root and of the groups between it and root/path, which
 * itself is not made; calls each, unless NULL, for all of them, root first. */
int cgroup_make_parents(const char *root, const char *path,
                        int (*each)(const char *dir, void *arg, struct reeve_error *),
                        void *arg, struct reeve_error *err);
/* The files that v1 and v2 have in common. */
int64_t cgroup_read_pids_max(const char *dir);
/* A quota and its period in microseconds, for thousandths of a CPU. */
void cgroup_cpu_quota(int64_t milli, int64_t *quota, int64_t *period);
/* BFQ's scale (and CFQ's, and Docker's) for a weight on v2's. */
#define CGROUP_BFQ_WEIGHT_DEFAULT 100
int64_t cgroup_bfq_weight(int64_t weight);
/* What dir/file says, on v2's scale; none where it is the default or not there. */
int64_t cgroup_read_bfq_weight(const char *dir, const char *file, int64_t none);

/* The two ways of cgroup_spawn(); the second is for kernels and machines that cannot
 * do the first. into: an open directory of the unified tree, or -1. */
struct spawn_request {
    char *const *argv;
    char *const *envp;
    const int *fds;
    int nfds;
    int into;
};
pid_t cgroup_spawn_clone(const struct spawn_request *r, int *pidfd, int *exec_errno);
pid_t cgroup_spawn_fork(const struct spawn_request *r, int *pidfd, int *exec_errno);

#endif
