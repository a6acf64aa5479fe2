/* secrets.h - the one vocabulary of what is secret: variables, settings */
#ifndef REEVE_SECRETS_H
#define REEVE_SECRETS_H

#include <stdbool.h>
#include <stddef.h>

/* The variables that hold credentials of ClearML or of its agent (clearml_agent,
 * definitions.py), and those that its agent.hide_docker_command_env_vars hides; ends
 * with NULL. */
extern const char *const secret_variables[];
/* Of these, the ones that only the agent may know: a payload gets none of them. */
bool secret_variable_is_agents(const char *name, size_t n);
/* True if a variable of this name holds a secret, for all that its name says: one of
 * the above, or its last word is SECRET, TOKEN, PASSWORD, API_KEY or the like, in any
 * case. n bytes. */
bool secret_variable(const char *name, size_t n);
/* A setting that ClearML's own agent hides when it prints its configuration
 * (clearml_agent/session.py, print_configuration): names that contain secret, pass,
 * token, account_key or contents. */
bool secret_setting(const char *name);

#endif
