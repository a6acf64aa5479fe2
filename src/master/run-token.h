/* run-token.h - the token that a run's payload has, for as long as it may show it */
#ifndef REEVE_RUN_TOKEN_H
#define REEVE_RUN_TOKEN_H

#include <cjson/cJSON.h>

struct run;
struct run_token;

/* Its payload is given the master's present one. */
void run_token_note(struct run *run);
/* NULL is fine, and what stays. */
void run_token_forget(struct run_token **token);
/* Adds it to what the payload's environment has, for a mask; of a payload that an
 * earlier master has started what its environment says, if it lives. A name may be
 * there twice then. */
void run_token_add(const struct run *run, cJSON *env);

#endif
