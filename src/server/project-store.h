/* project-store.h - projects and their tree
 *
 * A project's full name is its place in the tree ("a/b" lies in "a"), so what is below
 * a project is a range of names. The document keeps ClearML's parent and path (the ids
 * above it, from the top) beside that. */
#ifndef REEVE_SERVER_PROJECT_STORE_H
#define REEVE_SERVER_PROJECT_STORE_H

#include "server/call.h"
#include "server/services.h"

#include <cjson/cJSON.h>
#include <sqlite3.h>
#include <stdbool.h>
#include <stdint.h>

#define PROJECT_DEPTH_MAX 10

/* For queries: all projects; the other leaves hidden ones out. */
extern const struct query_collection projects_all, projects_collection;

/* "a/b" of " a //b/": without empty parts and white space around them; the caller's. */
char *project_clean_name_dup(const char *name);
/* How many parts a clean name has. */
int project_depth(const char *name);
/* The part behind the last slash; borrowed. */
const char *project_basename(const char *name);
/* The part before the last slash, "" at the top; the caller's. */
char *project_location_dup(const char *name);

/* The bounds of the names below a project, for name > first AND name < last. */
void project_range(const char *name, char **first, char **last);

bool project_find(sqlite3 *db, const char *name, char out[65]);
/* The whole document, path too; NULL if there is none. */
cJSON *project_load_full(sqlite3 *db, const char *project);
void project_save(sqlite3 *db, const cJSON *doc);
/* Makes a project with the parents it lacks. extra: more members of its document, or
 * NULL. name must be clean and not taken. */
void project_make(struct call *call, const char *name, const cJSON *extra,
                  char out[65]);
/* Finds or makes a project of a clean name; "" gives "". */
void project_ensure(struct call *call, const char *name, char out[65]);
/* Gives a project another full name and its parent, and everything below it with it.
 * Returns how many projects changed. */
int project_rename(struct call *call, const char *project, const char *name);
/* -1 after failing the call if a clean name is too short or too deep. */
int project_check_name(struct call *call, const char *name);
void project_touch(struct call *call, const char *project);
/* -1 after failing the call if a public project has this name or is above it. */
int project_public_above(struct call *call, const char *name);
/* The depth of the deepest project at or below this name. */
int project_deepest(sqlite3 *db, const char *name);
/* The ids directly below a project; the caller's. */
cJSON *project_children(sqlite3 *db, const char *project);
/* Gives tasks and models that are not archived to another project ("": none). Returns
 * how many. */
int project_move_contents(sqlite3 *db, const char *from, const char *to);
void project_remove(sqlite3 *db, const char *project);

#endif
