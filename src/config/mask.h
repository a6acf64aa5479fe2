/* mask.h - a configuration as it may be shown */
#ifndef REEVE_MASK_H
#define REEVE_MASK_H

#include "base/buf.h"
#include "base/masker.h"

#include <cjson/cJSON.h>
#include <stdbool.h>

/* Replaces, in place, what ClearML's own agent hides when it prints its configuration
 * (clearml_agent/session.py, print_configuration): members that secret_setting() names,
 * all members of an `environment`; and, in any text, the credentials of addresses. */
void mask_secrets(cJSON *tree);
/* Hides what m knows in all texts of a tree. */
void mask_texts(const struct masker *m, cJSON *tree);
/* For what is shown of a task: addresses, and NAME=value where NAME is in capitals and
 * secret by its words. */
struct masker *mask_for_showing(void);
/* Every text in the tree that is a secret by its name, as a setting or as a variable;
 * and every number that is one as a variable. */
void mask_each_secret(const cJSON *tree, void (*each)(void *arg, const char *value),
                      void *arg);

struct config;
/* What a configuration says is secret, as lines for masker_load(): the texts of
 * agent.reeve.mask.values and settings that are secret by their names, numbers of some
 * length among them; known names of variables, and those that it adds. */
void mask_gather(struct buf *out, const struct config *c);
/* One such line for each line of a text; kind: 'v' a value, 'n' a name. */
void mask_add(struct buf *out, char kind, const char *text);
/* What no variable's secret is, whatever its name is: "none" and the like; a number. */
bool mask_is_word(const char *text);
bool mask_is_number(const char *text);

#endif
