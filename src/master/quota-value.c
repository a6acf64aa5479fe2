/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "master/quota-internal.h"

#include "base/alloc.h"
#include "config/size.h"
#include "run/spool.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define NOFILE_MIN 16                 /* reeve-prepare itself needs some */
#define MEMORY_MIN (INT64_C(6) << 20) /* Docker's least; less starts nothing */

/* ---- values ---- */

static int parse_size(const char *text, struct value *v, struct reeve_error *err)
{
    if (strcmp(text, "-1") == 0) {
        v->number = LIMIT_NONE;
        return 0;
    }
    if (size_parse(text, &v->number, err) < 0)
        return -1;
    if (v->number == 0)
        v->number = LIMIT_NONE;
    return 0;
}

static int parse_memory(const char *text, struct value *v, struct reeve_error *err)
{
    if (parse_size(text, v, err) < 0)
        return -1;
    if (v->number != LIMIT_NONE && v->number < MEMORY_MIN)
        return reeve_error_set(err, 0, "\"%.40s\" is less than the least, 6m", text);
    return 0;
}

static int parse_cpus(const char *text, struct value *v, struct reeve_error *err)
{
    char *end;
    double cpus = strtod(text, &end);
    bool number = *text && text[strspn(text, "0123456789.")] == '\0' && !*end;
    if (!number || end == text || cpus > 1e6 || (cpus > 0 && cpus < 0.01))
        return reeve_error_set(
            err, 0,
            "\"%.40s\" is no number of CPUs; write 0.5, 1 or 2.25, at least 0.01",
            text);
    v->number = cpus > 0 ? (int64_t)(cpus * 1000 + 0.5) : LIMIT_NONE;
    return 0;
}

int quota_parse_whole(const char *text, int64_t min, int64_t max, int64_t *out,
                      struct reeve_error *err)
{
    char *end;
    errno = 0;
    long long n = strtoll(text, &end, 10);
    if (isspace((unsigned char)*text) || end == text || *end || errno || n < min ||
        n > max)
        return reeve_error_set(
            err, 0, "\"%.40s\" is no whole number from %" PRId64 " to %" PRId64, text,
            min, max);
    *out = n;
    return 0;
}

static int parse_count(const char *text, struct value *v, struct reeve_error *err)
{
    if (quota_parse_whole(text, -1, INT_MAX, &v->number, err) < 0)
        return -1;
    if (v->number <= 0)
        v->number = LIMIT_NONE;
    return 0;
}

/* Docker counts 2 to 262144 as cgroup v1 does; v2 counts 1 to 10000. */
static int parse_shares(const char *text, struct value *v, struct reeve_error *err)
{
    int64_t shares;
    if (quota_parse_whole(text, 0, 262144, &shares, err) < 0)
        return -1;
    if (shares == 1)
        shares = 2;
    v->number = shares ? 1 + (shares - 2) * 9999 / 262142 : LIMIT_NONE;
    return 0;
}

static const char *read_cpu(const char *p, int *cpu)
{
    int64_t n = 0;
    if (!isdigit((unsigned char)*p))
        return NULL;
    for (; isdigit((unsigned char)*p) && n < 100000; p++)
        n = n * 10 + (*p - '0');
    *cpu = (int)n;
    return n < 100000 ? p : NULL;
}

static int parse_cpuset(const char *text, struct value *v, struct reeve_error *err)
{
    const char *p = text;
    for (bool more = *text != '\0'; more && p; more = p && *p++ == ',') {
        int first, last;
        p = read_cpu(p, &first);
        if (p && *p == '-') {
            p = read_cpu(p + 1, &last);
            p = p && last >= first ? p : NULL;
        }
        if (p && *p && *p != ',')
            p = NULL;
    }
    if (!p || strlen(text) >= sizeof v->text)
        return reeve_error_set(err, 0, "\"%.40s\" is no list of CPUs; write 0-2,4",
                               text);
    strcpy(v->text, text);
    v->number = *text ? 1 : LIMIT_NONE;
    return 0;
}

/* Docker's --blkio-weight, 10 to 1000, on v2's scale as runc has it. */
static int parse_blkio_weight(const char *text, struct value *v,
                              struct reeve_error *err)
{
    int64_t weight;
    if (quota_parse_whole(text, 0, 1000, &weight, err) < 0)
        return -1;
    if (weight > 0 && weight < 10)
        return reeve_error_set(err, 0, "\"%.40s\" is no weight; 10 to 1000, or 0",
                               text);
    v->number = weight ? 1 + (weight - 10) * 9999 / 990 : LIMIT_NONE;
    return 0;
}

/* "nofile=1024:2048", "1024:2048", "1024": soft and hard limit. The hard one counts
 * for ceilings. */
static int parse_nofile(const char *text, struct value *v, struct reeve_error *err)
{
    const char *numbers = strncmp(text, "nofile=", 7) == 0 ? text + 7 : text;
    const char *colon = strchr(numbers, ':');
    char first[32];
    int64_t soft, hard;
    snprintf(first, sizeof first, "%.*s", (int)strcspn(numbers, ":"), numbers);
    if (strcmp(numbers, "0") == 0 || strcmp(numbers, "-1") == 0) {
        v->number = LIMIT_NONE;
        return 0;
    }
    if (quota_parse_whole(first, NOFILE_MIN, INT_MAX, &soft, NULL) < 0 ||
        quota_parse_whole(colon ? colon + 1 : first, soft, INT_MAX, &hard, NULL) < 0)
        return reeve_error_set(err, 0,
                               "\"%.40s\" is no limit of open files; write SOFT or "
                               "SOFT:HARD, at least %d",
                               text, NOFILE_MIN);
    v->number = hard;
    v->extra = (int)soft;
    return 0;
}

/* Docker's --storage-opt size=10g as well. */
static int parse_disk(const char *text, struct value *v, struct reeve_error *err)
{
    return parse_size(strncmp(text, "size=", 5) == 0 ? text + 5 : text, v, err);
}

static int parse_log_budget(const char *text, struct value *v, struct reeve_error *err)
{
    if (parse_size(text, v, err) < 0)
        return -1;
    if (v->number != LIMIT_NONE && v->number < SPOOL_BUDGET_MIN)
        return reeve_error_set(err, 0, "\"%.40s\" is less than the least, 2m", text);
    return 0;
}

/* Docker names a device before the rate; the limit here is every disk's. */
static const char *after_device(const char *text)
{
    const char *colon = strrchr(text, ':');
    return text[0] == '/' && colon ? colon + 1 : text;
}

static int parse_bps(const char *text, struct value *v, struct reeve_error *err)
{
    return parse_size(after_device(text), v, err);
}

static int parse_iops(const char *text, struct value *v, struct reeve_error *err)
{
    return parse_count(after_device(text), v, err);
}

static int parse_restart(const char *text, struct value *v, struct reeve_error *err)
{
    enum restart_policy policy;
    if (restart_policy_parse(text, &policy, &v->extra, err) < 0)
        return -1;
    v->number = policy;
    return 0;
}

static int parse_time(const char *text, struct value *v, struct reeve_error *err)
{
    return duration_parse(text, &v->number, err);
}

static int parse_signal(const char *text, struct value *v, struct reeve_error *err)
{
    if (isdigit((unsigned char)*text))
        return quota_parse_whole(text, 1, 64, &v->number, err);
    const char *name = strncasecmp(text, "SIG", 3) == 0 ? text + 3 : text;
    for (int s = 1; s < NSIG; s++) {
        const char *known = sigabbrev_np(s);
        if (known && strcasecmp(known, name) == 0) {
            v->number = s;
            return 0;
        }
    }
    return reeve_error_set(err, 0, "\"%.40s\" is no signal; write SIGTERM, INT or 15",
                           text);
}

int stop_signal_parse(const char *text, struct reeve_error *err)
{
    struct value v;
    return parse_signal(text, &v, err) < 0 ? -1 : (int)v.number;
}

/* ---- keys ---- */

static const struct key_info keys[KEY_COUNT] = {
    [KEY_MEMORY] = {"memory", {"--memory", "-m"}, parse_memory, UNIT_BYTES},
    [KEY_MEMORY_RESERVATION] = {"memory_reservation",
                                {"--memory-reservation"},
                                parse_size,
                                UNIT_BYTES},
    [KEY_MEMORY_SWAP] = {"memory_swap", {"--memory-swap"}, parse_size, UNIT_BYTES},
    [KEY_CPUS] = {"cpus", {"--cpus"}, parse_cpus, UNIT_CPUS},
    [KEY_CPU_SHARES] = {"cpu_shares", {"--cpu-shares", "-c"}, parse_shares, UNIT_COUNT},
    [KEY_CPUSET] = {"cpuset", {"--cpuset-cpus"}, parse_cpuset, UNIT_OTHER},
    [KEY_PIDS] = {"pids", {"--pids-limit"}, parse_count, UNIT_COUNT},
    [KEY_READ_BPS] = {"read_bps", {"--device-read-bps"}, parse_bps, UNIT_BYTES},
    [KEY_WRITE_BPS] = {"write_bps", {"--device-write-bps"}, parse_bps, UNIT_BYTES},
    [KEY_READ_IOPS] = {"read_iops", {"--device-read-iops"}, parse_iops, UNIT_COUNT},
    [KEY_WRITE_IOPS] = {"write_iops", {"--device-write-iops"}, parse_iops, UNIT_COUNT},
    [KEY_BLKIO_WEIGHT] = {"blkio_weight",
                          {"--blkio-weight"},
                          parse_blkio_weight,
                          UNIT_COUNT},
    [KEY_NOFILE] = {"nofile", {"--ulimit"}, parse_nofile, UNIT_COUNT},
    [KEY_DISK] = {"disk", {"--storage-opt"}, parse_disk, UNIT_BYTES},
    [KEY_LOG_BUDGET] = {"log_budget", {NULL}, parse_log_budget, UNIT_BYTES},
    [KEY_RESTART] = {"restart", {"--restart"}, parse_restart, UNIT_OTHER},
    [KEY_STOP_TIMEOUT] = {"stop_timeout", {"--stop-timeout"}, parse_time, UNIT_MS},
    [KEY_STOP_SIGNAL] = {"stop_signal", {"--stop-signal"}, parse_signal, UNIT_OTHER},
    [KEY_TIMEOUT] = {"timeout", {NULL}, parse_time, UNIT_MS},
    [KEY_SETUP_TIMEOUT] = {"setup_timeout", {NULL}, parse_time, UNIT_MS},
};

const struct key_info *quota_key(enum key key)
{
    return &keys[key];
}

int quota_key_find(const char *name)
{
    for (int k = 0; k < KEY_COUNT; k++)
        if (strcmp(keys[k].name, name) == 0)
            return k;
    return -1;
}

/* For a time, 0 is none. */
static bool is_unlimited(enum key key, int64_t number)
{
    return number == LIMIT_NONE ||
           ((key == KEY_TIMEOUT || key == KEY_SETUP_TIMEOUT) && number == 0);
}

bool quota_is_none(enum key key, const struct value *v)
{
    return !v->set || is_unlimited(key, v->number);
}

void quota_add_number(struct buf *out, enum key key, int64_t number)
{
    char size[SIZE_TEXT_SIZE], time[DURATION_TEXT_SIZE];
    if (is_unlimited(key, number))
        buf_add_str(out, "unlimited");
    else if (keys[key].unit == UNIT_BYTES)
        buf_add_str(out, size_format(number, size));
    else if (keys[key].unit == UNIT_CPUS)
        buf_printf(out, "%g", (double)number / 1000);
    else if (keys[key].unit == UNIT_MS)
        buf_add_str(out, duration_format(number, time));
    else
        buf_printf(out, "%" PRId64, number);
}

void quota_add_value(struct buf *out, enum key key, const struct value *v)
{
    char text[RESTART_TEXT_SIZE];
    if (key == KEY_RESTART)
        buf_add_str(
            out, restart_policy_text((enum restart_policy)v->number, v->extra, text));
    else if (key == KEY_CPUSET)
        buf_add_str(out, *v->text ? v->text : "unlimited");
    else if (key == KEY_STOP_SIGNAL && sigabbrev_np((int)v->number))
        buf_printf(out, "SIG%s", sigabbrev_np((int)v->number));
    else if (key == KEY_NOFILE && v->number != LIMIT_NONE && v->extra != v->number)
        buf_printf(out, "%d:%" PRId64, v->extra, v->number);
    else
        quota_add_number(out, key, v->number);
}

/* ---- restart policies ---- */

static const char *const policies[] = {
    [RESTART_NO] = "no",
    [RESTART_ON_FAILURE] = "on-failure",
    [RESTART_ALWAYS] = "always",
    [RESTART_UNLESS_STOPPED] = "unless-stopped",
};

int restart_policy_parse(const char *text, enum restart_policy *policy, int *max,
                         struct reeve_error *err)
{
    size_t n = strcspn(text, ":");
    int64_t count = 0;
    for (size_t i = 0; i < ARRAY_SIZE(policies); i++) {
        if (strlen(policies[i]) != n || memcmp(policies[i], text, n) != 0)
            continue;
        if (text[n] && (i != RESTART_ON_FAILURE ||
                        quota_parse_whole(text + n + 1, 0, INT_MAX, &count, NULL) < 0))
            break;
        *policy = (enum restart_policy)i;
        *max = (int)count;
        return 0;
    }
    return reeve_error_set(err, 0,
                           "\"%.40s\" is no restart policy; write no, on-failure, "
                           "on-failure:N, always or unless-stopped",
                           text);
}

const char *restart_policy_text(enum restart_policy policy, int max,
                                char out[RESTART_TEXT_SIZE])
{
    if (policy == RESTART_ON_FAILURE && max > 0)
        snprintf(out, RESTART_TEXT_SIZE, "%s:%d", policies[policy], max);
    else
        snprintf(out, RESTART_TEXT_SIZE, "%s", policies[policy]);
    return out;
}
