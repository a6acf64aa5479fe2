/* run-mask.h - what must not be read in a run's log, and in what is told of a run
 *
 * Secret values: of settings and variables that secrets.h names, from the
 * configuration, the environment that the payload inherits, and its own; those of
 * agent.reeve.mask.values. Names whose values are hidden wherever they stand:
 * secret_variables, agent.hide_docker_command_env_vars.extra_keys,
 * agent.reeve.mask.names. */
#ifndef REEVE_RUN_MASK_H
#define REEVE_RUN_MASK_H

#include "base/error.h"
#include "base/masker.h"

#include <cjson/cJSON.h>

struct config;

/* A sealed memfd for masker_load(); env: the payload's variables, an object, or NULL.
 * -1 with err. */
int run_mask_open(const struct config *config, const cJSON *env,
                  struct reeve_error *err);
/* The same for texts of the master. */
struct masker *run_mask_create(const struct config *config, const cJSON *env);

#endif
