/* rig.h - real groups for tests: a root of the test's own, checked to be gone at the
 * end
 *
 * On a hybrid host every test runs twice, the second time as if there were no unified
 * tree. */
#ifndef REEVE_TEST_CGROUP_RIG_H
#define REEVE_TEST_CGROUP_RIG_H

#include "../unit.h"

#include "cgroup/cgroup-internal.h"

#include <stdbool.h>
#include <sys/types.h>

/* Runs the tests, whose state is the host, on every mode that this machine has. The
 * program's exit status: 77, with the reason, where no group can be made. */
int rig_main(const char *name, const struct CMUnitTest *tests, size_t count);

/* Makes the group; failure fails the test with the error's text. */
void rig_create(struct cgroup_host *host, const char *path,
                const struct limits *limits);
/* Forks a child that joins the group and then is fn, whose result is its status. It has
 * joined when this returns. */
pid_t rig_fork(struct cgroup_host *host, const char *path, int (*fn)(void *),
               void *arg);
/* Waits for a child with a bound of 30 s; returns its wait status. */
int rig_wait(pid_t pid);
/* Ends what is in the group, by kill steps with a bound of 30 s, and removes it. */
void rig_end(struct cgroup_host *host, const char *path);
/* Waits until path holds no process, at most 30 s. */
bool rig_wait_empty(struct cgroup_host *host, const char *path);
void rig_sleep_ms(int ms);
/* In a child: ends the program when its parent does, whatever the test does. */
int rig_pause(void *arg);

#endif
