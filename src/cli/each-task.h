/* each-task.h - commands that take TASK...: one after the other, each with its own
 * outcome */
#ifndef REEVE_EACH_TASK_H
#define REEVE_EACH_TASK_H

#include "cli/session.h"

/* Does it to one task. What it puts into data stands in the JSON. An exit code. */
typedef int (*task_action_f)(struct session *s, const char *id, void *arg, cJSON *data,
                             struct reeve_error *err);

/* For each word of the command line: finds the task, acts, and prints its id, or with
 * --json at the end one array of objects with "id" and what the actions added. Those
 * that fail have a line each on stderr, and keep none of the others from being done.
 * The exit code of the first that failed. */
int each_task(const struct args *args, const char *command, task_action_f act,
              void *arg);

#endif
