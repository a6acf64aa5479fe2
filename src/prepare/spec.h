/* spec.h - what reeve-prepare is to do, as the master hands it over on descriptor 3
 *
 * HACKING.md has the format. The task's own texts are unchecked beyond their types: who
 * uses one checks it. */
#ifndef REEVE_SPEC_H
#define REEVE_SPEC_H

#include "base/error.h"
#include "base/json.h"

#define SPEC_BYTES_MAX (64u << 20)
/* A diff or a whole script. ClearML's SDK stores at most 500 KB there itself. */
#define SPEC_DIFF_MAX (10u << 20)

struct spec {
    cJSON *json; /* owns all below */
    const char *task;
    int attempt;
    const char *state_dir, *run_dir, *cache_dir; /* absolute */
    /* script.*: "" where the task has none */
    const char *repository, *branch, *tag, *version_num;
    const char *entry_point, *working_dir, *binary, *diff;
    const cJSON *requirements, *env, *unset, *notes; /* NULL where there are none */
    const char *sdk_config;                          /* NULL: none */
    const cJSON *git;                                /* NULL, or see git-identity.h */
    const char *python;
    int umask; /* of the task's program; -1: as inherited */
};

/* Reads all of fd. What is invalid is an error; *out is then empty. */
int spec_read(int fd, struct spec *out, struct reeve_error *err);
int spec_parse(const char *text, size_t n, struct spec *out, struct reeve_error *err);
void spec_free(struct spec *s);

#endif
