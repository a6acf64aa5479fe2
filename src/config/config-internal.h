/* config-internal.h - where a configuration comes from */
#ifndef REEVE_CONFIG_INTERNAL_H
#define REEVE_CONFIG_INTERNAL_H

#include "base/error.h"

#include <cjson/cJSON.h>
#include <stdbool.h>

/* A configuration, and the same tree with where each value came from. */
struct layers {
    cJSON *tree, *origins;
};

void layers_free(struct layers *l);
/* Lays a tree over what is there (hocon_merge); both are taken, either may be NULL. */
void layers_add(struct layers *l, cJSON *tree, cJSON *origins);
/* Sets one value; it is taken. Missing objects on the way are made. */
void layers_set(struct layers *l, const char *path, cJSON *value, const char *from);
/* An object with the value at that path; it is taken. */
cJSON *config_at_path(const char *path, cJSON *value);

#define auto_layers __attribute__((cleanup(layers_free))) struct layers

/* Each lays what it finds over the layers. 0, or -1 with err. */
int config_add_defaults(struct layers *l, struct reeve_error *err);
/* The .conf files below a folder, each at the path of its place: sub/api.conf is
 * sub.api. A missing folder is nothing. */
int config_add_folder(struct layers *l, const char *folder, struct reeve_error *err);
int config_add_file(struct layers *l, const char *path, bool required,
                    struct reeve_error *err);
/* CLEARML_AGENT__A__B=value as a.b, sorted by name. */
int config_add_extra_environment(struct layers *l, struct reeve_error *err);
/* CLEARML_API_HOST and the other variables with a fixed meaning. */
void config_add_environment(struct layers *l);

/* "~" and "~/x" with the home folder in place. */
char *config_expand_home_dup(const char *path);
/* The value of CLEARML_<name>, else of TRAINS_<name>; NULL if none or empty. */
const char *config_environment(const char *name);

#endif
