/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "cgroup/cgroup-v1-tree.h"

#include <errno.h>
#include <libcgroup.h>
#include <stdbool.h>
#include <stdio.h>

static int tree_error(struct reeve_error *err, int code, const char *what)
{
    if (code == ECGOTHER)
        return reeve_error_set(err, cgroup_get_last_errno(), "%s", what);
    int number = code == ECGROUPNOTALLOWED   ? EACCES
                 : code == ECGROUPNOTMOUNTED ? ENOENT
                                             : 0;
    reeve_error_set(err, 0, "%s: %s", what, cgroup_strerror(code));
    if (err)
        err->code = number;
    return -1;
}

int v1_tree_find(void (*fn)(const char *controller, const char *mount, void *arg),
                 void *arg, struct reeve_error *err)
{
    int rc = cgroup_init();
    /* A host without any v1 hierarchy is none of libcgroup's errors here: the caller
     * sees that nothing was found. */
    if (rc == ECGROUPNOTMOUNTED)
        return 0;
    if (rc)
        return tree_error(err, rc, "look for cgroup hierarchies");
    void *handle = NULL;
    struct cgroup_mount_point mount;
    rc = cgroup_get_controller_begin(&handle, &mount);
    while (rc == 0) {
        fn(mount.name, mount.path, arg);
        rc = cgroup_get_controller_next(&handle, &mount);
    }
    cgroup_get_controller_end(&handle);
    return rc == ECGEOF ? 0 : tree_error(err, rc, "look for cgroup hierarchies");
}

int v1_tree_make(const char *name, const char *const controllers[], int count,
                 struct reeve_error *err)
{
    struct cgroup *group = cgroup_new_cgroup(name);
    bool complete = group != NULL;
    for (int i = 0; complete && i < count; i++)
        complete = cgroup_add_controller(group, controllers[i]) != NULL;
    int rc = complete ? cgroup_create_cgroup(group, 1) : ECGFAIL;
    cgroup_free(&group);
    if (rc == 0)
        return 0;
    char what[160];
    snprintf(what, sizeof what, "make cgroup %s", name);
    return tree_error(err, rc, what);
}
