/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "base/proc-children.h"

#include "base/buf.h"
#include "base/file.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LIST_MAX (8u << 20)

int proc_each_child(void (*fn)(pid_t pid, void *arg), void *arg)
{
    char path[64];
    auto_buf list = BUF_INIT;
    int count = 0;
    snprintf(path, sizeof path, "/proc/self/task/%d/children", (int)getpid());
    if (file_read(path, &list, LIST_MAX, NULL) < 0)
        return 0;
    const char *p = buf_str(&list);
    for (char *end; isdigit((unsigned char)*p); p = end + strspn(end, " ")) {
        long pid = strtol(p, &end, 10);
        if (*end != ' ' || pid <= 1)
            break;
        fn((pid_t)pid, arg);
        count++;
    }
    return count;
}
