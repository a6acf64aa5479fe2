/* spec.h - from a task document to what reeve-prepare is told */
#ifndef REEVE_SPEC_H
#define REEVE_SPEC_H

#include "base/error.h"

#include <cjson/cJSON.h>

struct master;
struct run;

/* Fills run->policy from the task document (a quota that cannot be read is an error)
 * and makes the content of spec.json: what was pulled and resolved, without secrets.
 * The caller's. *quota_err is set, and the policy's defaults stand, if a value cannot
 * be read. NULL never. */
char *spec_make_dup(struct run *run, const cJSON *task, const char *project_name,
                    struct reeve_error *quota_err);
/* Reads name, project, queue and policy back from spec.json, and the quota's error if
 * there was one. 0 or -1. */
int spec_load(struct run *run, struct reeve_error *quota_err, struct reeve_error *err);
/* A sealed memfd with spec.json and what only the payload may know: token,
 * configuration, git credentials. The descriptor, or -1. *mask: another one, with what
 * the run's log must not show (run-mask.h). */
int spec_open(struct run *run, int *mask, struct reeve_error *err);
/* The second one alone, for a sub-agent in the place of one that is gone: with the token
 * that its payload has. */
int spec_mask_open(struct run *run, struct reeve_error *err);

#endif
