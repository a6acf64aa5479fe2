/* proc-names.h - "name (pid), other (pid) and 3 more", for people */
#ifndef REEVE_PROC_NAMES_H
#define REEVE_PROC_NAMES_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct proc_names {
    char *out;
    size_t size, len;
    int max;     /* so many are named */
    int seen;    /* so many there were */
    bool states; /* also in what state each is, and what it waits for: "sh (5, D in
                    nfs_wait)" */
};

/* Begins with an empty text in out, which is the caller's. */
void proc_names_begin(struct proc_names *n, char *out, size_t size, int max,
                      bool states);
/* One that is gone meanwhile is "?". */
void proc_names_add(struct proc_names *n, pid_t pid);
/* Says how many were not named. */
void proc_names_end(struct proc_names *n);

#endif
