/* names.h - names and tags as ClearML stores them: stripped, sorted, without doubles */
#ifndef REEVE_SERVER_NAMES_H
#define REEVE_SERVER_NAMES_H

#include <cjson/cJSON.h>

/* Without white space at both ends; the caller's. */
char *names_strip_dup(const char *name);
/* Sorts an array of strings in place; drops doubles and whatever is no string. */
void names_sort(cJSON *list);

#endif
