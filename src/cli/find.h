/* find.h - tasks and queues by what people write */
#ifndef REEVE_FIND_H
#define REEVE_FIND_H

#include "cli/session.h"

/* A task by its id, a unique prefix of it (six digits or more) or its unique name. A
 * whole id is taken as it is: the call that uses it finds out. *id is the caller's. An
 * exit code; err is set unless it is CLI_DONE. */
int find_task(struct session *s, const char *word, char **id, struct reeve_error *err);
/* A queue by id or exact name. */
int find_queue(struct session *s, const char *word, char **id, struct reeve_error *err);
/* The task document; *task is the caller's. */
int get_task(struct session *s, const char *id, cJSON **task, struct reeve_error *err);
/* "^text$" with everything quoted that a regular expression could mean. */
char *exact_pattern_dup(const char *text);

#endif
