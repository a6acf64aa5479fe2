/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "cli/quota-options.h"

#include "base/alloc.h"

/* In the order in which they stand in the container arguments. Where Docker's word
 * needs a device's name, it is none here. */
const struct quota_option quota_options[] = {
    {"cpus", "--cpus"},
    {"memory", "--memory"},
    {"pids", "--pids-limit"},
    {"memory-swap", "--memory-swap"},
    {"memory-reservation", "--memory-reservation"},
    {"cpu-shares", "--cpu-shares"},
    {"cpuset", "--cpuset-cpus"},
    {"blkio-weight", "--blkio-weight"},
    {"nofile", "--ulimit"},
    {"restart", "--restart"},
    {"stop-timeout", "--stop-timeout"},
    {"stop-signal", "--stop-signal"},
    {"read-bps", NULL},
    {"write-bps", NULL},
    {"read-iops", NULL},
    {"write-iops", NULL},
    {"disk", NULL},
    {"log-budget", NULL},
    {"timeout", NULL},
    {"setup-timeout", NULL},
    {NULL, NULL},
};

char *quota_option_key_dup(const char *name)
{
    char *key = xstrdup(name);
    for (char *p = key; *p; p++)
        if (*p == '-')
            *p = '_';
    return key;
}
