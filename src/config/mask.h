/* mask.h - a configuration as it may be shown */
#ifndef REEVE_MASK_H
#define REEVE_MASK_H

#include <cjson/cJSON.h>

#define MASK_TEXT "****"

/* Replaces, in place, what ClearML's own agent hides when it prints its configuration
 * (clearml_agent/session.py, print_configuration): members whose names contain secret,
 * pass, token, account_key or contents, all members of an `environment`; and, in any
 * text, the password of an address (https://user:password@host). */
void mask_secrets(cJSON *tree);

#endif
