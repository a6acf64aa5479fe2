/* config-internal.h - where a configuration comes from */
#ifndef REEVE_CONFIG_INTERNAL_H
#define REEVE_CONFIG_INTERNAL_H

#include "base/error.h"

#include <cjson/cJSON.h>
#include <stdbool.h>

/* Each lays what it finds over *tree (hocon_merge). 0, or -1 with err. */
int config_add_defaults(cJSON **tree, struct reeve_error *err);
/* The .conf files below a folder, each at the path of its place: sub/api.conf is
 * sub.api. A missing folder is nothing. */
int config_add_folder(cJSON **tree, const char *folder, struct reeve_error *err);
int config_add_file(cJSON **tree, const char *path, bool required,
                    struct reeve_error *err);
/* CLEARML_AGENT__A__B=value as a.b, sorted by name. */
int config_add_extra_environment(cJSON **tree, struct reeve_error *err);
/* CLEARML_API_HOST and the other variables with a fixed meaning. */
void config_add_environment(cJSON *tree);

/* The value of CLEARML_<name>, else of TRAINS_<name>; NULL if none or empty. */
const char *config_environment(const char *name);
void config_tree_set(cJSON *tree, const char *path, cJSON *value);

#endif
