/* config.h - clearml.conf and the environment as one tree of settings
 *
 * Later ones win, as in ClearML's own agent: built-in defaults; the folder that
 * CLEARML_CONFIG_PATH names; ~/trains.conf and ~/clearml.conf, or exactly the file that
 * CLEARML_CONFIG_FILE or the caller names; CLEARML_AGENT__SECTION__KEY;
 * CLEARML_API_HOST and its like (TRAINS_* where the first is missing); what the command
 * line sets.
 *
 * Two places are settled for the reader: api.auth.token is CLEARML_AUTH_TOKEN's alone
 * and takes the place of api.credentials; api.ca_file is the path that
 * api.verify_certificate may be.
 *
 * A path is names joined by dots: "agent.package_manager.type". A null and an empty
 * text count as not set, as ClearML's own code reads them.
 *
 * Files in this folder include <config.h>, in angle brackets: in quotes the compiler
 * would take this one for autoconf's. */
#ifndef REEVE_CONFIG_H
#define REEVE_CONFIG_H

#ifndef PACKAGE_VERSION
#error "config/config.h was taken for autoconf's config.h: write #include <config.h>"
#endif

#include "base/error.h"
#include "config/words.h"

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stdint.h>

struct config;

/* file: the one to read instead of ~/clearml.conf; NULL: by the rules above. A file
 * that is named here must exist; ones that the rules find may be missing. NULL with err
 * set when a file or a variable can't be read; no value of one is in the text. */
struct config *config_load(const char *file, struct reeve_error *err);
/* A text and nothing else: no files, no environment. For tests and for generated
 * settings. */
struct config *config_from_text(const char *text, struct reeve_error *err);
/* One file and nothing else but the variables that it asks for. */
struct config *config_from_file(const char *file, struct reeve_error *err);
void config_destroy(struct config *c);
/* The file that config_load(NULL) reads, the last one if there are two; it may be
 * missing. */
char *config_file_dup(void);

/* What is at the path, as text; numbers as they were written. Borrowed until the next
 * config_set. */
const char *config_str(const struct config *c, const char *path, const char *fallback);
/* Fallback also where the value is of another kind; texts that say a number or true,
 * yes, on, 1 / false, no, off, 0 count. */
int64_t config_int(const struct config *c, const char *path, int64_t fallback);
double config_num(const struct config *c, const char *path, double fallback);
bool config_bool(const struct config *c, const char *path, bool fallback);
/* Bytes ("512m") and milliseconds ("2h30m", plain: seconds); the fallback where there
 * is no such value. */
int64_t config_size(const struct config *c, const char *path, int64_t fallback);
int64_t config_duration_ms(const struct config *c, const char *path, int64_t fallback);
/* The same for values that must not be passed over: 1 found, 0 not set (*out as it
 * was), -1 unreadable, err names the path and what is allowed. */
int config_read_int(const struct config *c, const char *path, int64_t *out,
                    struct reeve_error *err);
int config_read_size(const struct config *c, const char *path, int64_t *out,
                     struct reeve_error *err);
int config_read_duration_ms(const struct config *c, const char *path, int64_t *out,
                            struct reeve_error *err);
/* Appends an array's elements as texts; a text is split like a shell line. 0, or -1. */
int config_list(const struct config *c, const char *path, struct words *out,
                struct reeve_error *err);
/* The text of a value in the tree, as config_str has it: NULL if it is no scalar. */
const char *config_text(const cJSON *value);
/* The value itself, NULL if there is none. Borrowed. */
const cJSON *config_json(const struct config *c, const char *path);
const cJSON *config_tree(const struct config *c);
/* The same tree with where each value came from: "FILE:LINE", "$VARIABLE", "default",
 * "command line"; a list is one value. Borrowed. */
const cJSON *config_origins(const struct config *c);

/* Sets a text, a whole value; missing objects on the way are made. */
void config_set(struct config *c, const char *path, const char *value);
/* value is taken. */
void config_set_json(struct config *c, const char *path, cJSON *value);

#endif
