/* payload-env.h - the environment of the task's program */
#ifndef REEVE_PAYLOAD_ENV_H
#define REEVE_PAYLOAD_ENV_H

#include "base/error.h"
#include "config/words.h"
#include "prepare/spec.h"

/* What was inherited, without spec.unset, under spec.env; and CLEARML_CONFIG_FILE where
 * the spec has a configuration. Our own environment stays as it is: a task's variables
 * do not decide where a password of the agent's goes. */
void payload_env_make(const struct spec *spec, const char *const *inherited,
                      struct words *env);
/* "NAME=value", replacing one of that name. */
void payload_env_set(struct words *env, const char *name, const char *value);
/* NULL if there is none; valid until the next payload_env_set. */
const char *payload_env_get(const struct words *env, const char *name);
/* Appends folders to PYTHONPATH behind what is there, as the official agent does: where
 * the script runs, then where it is. */
void payload_env_add_python_path(struct words *env, const char *cwd,
                                 const char *folder);

#endif
