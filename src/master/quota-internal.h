/* quota-internal.h - one quota's value and the table of what there is to set */
#ifndef REEVE_QUOTA_INTERNAL_H
#define REEVE_QUOTA_INTERNAL_H

#include "master/quota.h"

#include "base/buf.h"

#include <stdbool.h>

#define SOURCE_SIZE 96

enum key {
    KEY_MEMORY,
    KEY_MEMORY_RESERVATION,
    KEY_MEMORY_SWAP,
    KEY_CPUS,
    KEY_CPU_SHARES,
    KEY_CPUSET,
    KEY_PIDS,
    KEY_READ_BPS,
    KEY_WRITE_BPS,
    KEY_READ_IOPS,
    KEY_WRITE_IOPS,
    KEY_BLKIO_WEIGHT,
    KEY_NOFILE,
    KEY_DISK,
    KEY_LOG_BUDGET,
    KEY_RESTART,
    KEY_STOP_TIMEOUT,
    KEY_STOP_SIGNAL,
    KEY_TIMEOUT,
    KEY_SETUP_TIMEOUT,
    KEY_COUNT
};

/* What is known of one key while the sources are gone through. */
struct value {
    bool set;
    int64_t number; /* LIMIT_NONE: none */
    int extra;      /* restart_max; of open files the soft limit */
    char text[128]; /* cpuset */
    char source[SOURCE_SIZE];
    int64_t asked; /* before a ceiling lowered it */
    char asked_source[SOURCE_SIZE];
    bool lowered;
};

typedef int (*parse_f)(const char *text, struct value *v, struct reeve_error *err);

enum unit { UNIT_BYTES, UNIT_CPUS, UNIT_COUNT, UNIT_MS, UNIT_OTHER };

struct key_info {
    const char *name;     /* of property, default and ceiling */
    const char *words[3]; /* Docker's */
    parse_f parse;
    enum unit unit;
};

/* While the sources are gone through. */
struct resolver {
    const struct config *config; /* may be NULL */
    struct quota_queue queue;
    struct value values[KEY_COUNT];
    struct quota *out;
    struct reeve_error *err;
};

const struct key_info *quota_key(enum key key);
/* The key of that name, or -1. */
int quota_key_find(const char *name);
/* ---- quota.c ---- */
int quota_set_value(struct resolver *r, enum key key, const char *text,
                    const char *source);
/* The values into r->out, and a line about one of them into its notes. */
void quota_fill(struct resolver *r);
void quota_add_note(struct resolver *r, enum key key);
void quota_clean_error(struct reeve_error *err);
/* ---- quota-bounds.c ---- */
/* "defaults" or "ceilings" of the queue, NULL if there are none; source is what they
 * are called in notes and errors. */
const cJSON *quota_of_queue(const struct resolver *r, const char *section,
                            char source[SOURCE_SIZE]);
int quota_check_memory(struct resolver *r);
int quota_apply_ceilings(struct resolver *r);
/* ---- quota-value.c ---- */
/* A whole number within bounds, nothing around it. */
int quota_parse_whole(const char *text, int64_t min, int64_t max, int64_t *out,
                      struct reeve_error *err);
/* True where nothing limits: not set, LIMIT_NONE, and a time-out of 0. */
bool quota_is_none(enum key key, const struct value *v);
/* Appends "512 MiB", "0.5", "unlimited", "on-failure:3", ... */
void quota_add_number(struct buf *out, enum key key, int64_t number);
void quota_add_value(struct buf *out, enum key key, const struct value *v);

#endif
