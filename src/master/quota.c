/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "master/quota.h"
#include "master/quota-internal.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/json.h"
#include "base/utf8.h"
#include "config/config.h"

#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define IGNORED_BYTES 40

int quota_set_value(struct resolver *r, enum key key, const char *text,
                    const char *source)
{
    struct value v = {.set = true};
    if (quota_key(key)->parse(text, &v, r->err) < 0)
        return reeve_error_wrap(r->err, "%s", source);
    snprintf(v.source, sizeof v.source, "%s", source);
    r->values[key] = v;
    return 0;
}

/* ---- sources ---- */

/* source: "agent.reeve.defaults", which names are below. */
static int read_defaults(struct resolver *r, const cJSON *defaults, const char *source)
{
    for (int k = 0; k < KEY_COUNT; k++) {
        char path[SOURCE_SIZE];
        const char *name = quota_key((enum key)k)->name;
        const cJSON *given = json_get(defaults, name);
        const char *text = config_text(given);
        snprintf(path, sizeof path, "%s.%s", source, name);
        if (given && !text && !cJSON_IsString(given) && !cJSON_IsNull(given))
            return reeve_error_set(r->err, 0, "%s: one value is expected", path);
        if (text && quota_set_value(r, (enum key)k, text, path) < 0)
            return -1;
    }
    return 0;
}

static int read_all_defaults(struct resolver *r)
{
    char source[SOURCE_SIZE];
    return read_defaults(r, config_json(r->config, "agent.reeve.defaults"),
                         "agent.reeve.defaults") < 0 ||
                   read_defaults(r, quota_of_queue(r, "defaults", source), source) < 0
               ? -1
               : 0;
}

static bool selector_matches(const cJSON *task, const char *selector)
{
    size_t n = strcspn(selector, "=");
    auto_free char *path = xstrndup(selector, n);
    const cJSON *at = task;
    char *rest = path;
    for (char *name; at && (name = strsep(&rest, "."));)
        at = json_get(at, name);
    if (!at)
        return false;
    const char *expected = selector[n] ? selector + n + 1 : "";
    if (!*expected)
        return true;
    if (cJSON_IsString(at))
        return strcmp(at->valuestring, expected) == 0;
    if (cJSON_IsNumber(at))
        return at->valuedouble == strtod(expected, NULL);
    return cJSON_IsBool(at) && cJSON_IsTrue(at) == (strcasecmp(expected, "true") == 0 ||
                                                    strcmp(expected, "1") == 0);
}

/* "<policy>[;path.of.a.task.field[=value]]", as ClearML's agent reads it. */
static int read_restart_variable(struct resolver *r, const cJSON *task,
                                 const struct config *config)
{
    const char *text = config_str(config, "agent.services_docker_restart", NULL);
    if (!text)
        return 0;
    size_t n = strcspn(text, ";");
    auto_free char *policy = xstrndup(text, n);
    if (text[n] && text[n + 1] && !selector_matches(task, text + n + 1))
        return 0;
    return quota_set_value(r, KEY_RESTART, policy,
                           "CLEARML_AGENT_SERVICES_DOCKER_RESTART");
}

/* Later ones win, in the place of the first. */
static int add_env(struct resolver *r, const char *pair)
{
    struct words *env = &r->out->env;
    size_t n = strcspn(pair, "=");
    if (n == 0)
        return reeve_error_set(
            r->err, 0, "container.arguments: -e needs NAME=value, not \"%.40s\"", pair);
    /* Docker would take the value from the environment of whoever starts it, which is
     * the master's own here and not for tasks. */
    if (!pair[n]) {
        words_add(&r->out->ignored, "-e without a value");
        return 0;
    }
    for (size_t i = 0; i < env->n; i++) {
        if (strncmp(env->v[i], pair, n + 1) == 0) {
            free(env->v[i]);
            env->v[i] = xstrdup(pair);
            return 0;
        }
    }
    words_add(env, pair);
    return 0;
}

/* Which key a word sets: `name` is the part before '='. -1: none, KEY_COUNT: -e. */
static int find_word(const char *word, size_t n)
{
    static const char *const env[] = {"-e", "--env"};
    for (size_t i = 0; i < ARRAY_SIZE(env); i++)
        if (strlen(env[i]) == n && memcmp(env[i], word, n) == 0)
            return KEY_COUNT;
    for (int k = 0; k < KEY_COUNT; k++)
        for (const char *const *w = quota_key((enum key)k)->words; *w; w++)
            if (strlen(*w) == n && memcmp(*w, word, n) == 0)
                return k;
    return -1;
}

static void ignore_word(struct resolver *r, const char *word)
{
    struct words *ignored = &r->out->ignored;
    auto_buf text = BUF_INIT;
    size_t n = strcspn(word, "=");
    utf8_add_printable(&text, word, n < IGNORED_BYTES ? n : IGNORED_BYTES);
    const char *name = buf_str(&text);
    for (size_t i = 0; i < ignored->n; i++)
        if (strcmp(ignored->v[i], name) == 0)
            return;
    words_add(ignored, name);
}

/* "-m512m" and "-eA=b": the value in the word of a short flag. */
static bool split_short(const char *word, size_t *n, const char **value)
{
    if (word[0] != '-' || word[1] == '-' || !word[1] || !word[2])
        return false;
    if (find_word(word, 2) < 0)
        return false;
    *n = 2;
    *value = word + 2 + (word[2] == '=');
    return true;
}

/* Words that have a meaning here with one kind of value only. */
static bool is_other_kind(int key, const char *value)
{
    return (key == KEY_NOFILE && strncmp(value, "nofile=", 7) != 0) ||
           (key == KEY_DISK && strncmp(value, "size=", 5) != 0);
}

static int use_word(struct resolver *r, int key, const char *word, size_t n,
                    const char *value)
{
    if (key == KEY_COUNT)
        return add_env(r, value);
    if (is_other_kind(key, value)) {
        auto_free char *kind =
            xasprintf("%s %.*s", word, (int)strcspn(value, "="), value);
        ignore_word(r, kind);
        return 0;
    }
    char source[SOURCE_SIZE];
    snprintf(source, sizeof source, "container.arguments: %.*s", (int)n, word);
    /* One device's limit after another's: the lowest is the one for all. */
    struct value before = r->values[key];
    if (quota_set_value(r, (enum key)key, value, source) < 0)
        return -1;
    struct value *now = &r->values[key];
    bool device = key >= KEY_READ_BPS && key <= KEY_WRITE_IOPS;
    if (device && before.set && strcmp(before.source, source) == 0 &&
        before.number != LIMIT_NONE &&
        (now->number == LIMIT_NONE || before.number < now->number))
        *now = before;
    return 0;
}

/* CPU time in Docker's older words; the two belong together. */
struct cfs {
    int64_t quota, period;
    bool set;
};

static int use_cfs(struct resolver *r, struct cfs *cfs, const char *word,
                   const char *value)
{
    bool quota = strcmp(word, "--cpu-quota") == 0;
    if (quota_parse_whole(value, quota ? -1 : 1000, quota ? INT_MAX : 1000000,
                          quota ? &cfs->quota : &cfs->period, r->err) < 0)
        return reeve_error_wrap(r->err, "container.arguments: %s", word);
    cfs->set |= quota && cfs->quota > 0;
    return 0;
}

static void settle_cfs(struct resolver *r, const struct cfs *cfs)
{
    struct value *v = &r->values[KEY_CPUS];
    if (!cfs->set)
        return;
    *v = (struct value){.set = true};
    v->number = cfs->quota * 1000 / cfs->period;
    if (v->number < 10)
        v->number = 10;
    snprintf(v->source, sizeof v->source, "container.arguments: --cpu-quota");
}

static bool is_cfs(const char *word, size_t n)
{
    return (n == 11 && memcmp(word, "--cpu-quota", n) == 0) ||
           (n == 12 && memcmp(word, "--cpu-period", n) == 0);
}

/* Uses the word at *i, and the next if that is its value. */
static int read_word(struct resolver *r, const struct words *w, size_t *i,
                     struct cfs *cfs)
{
    const char *word = w->v[*i], *value = NULL;
    size_t n = strcspn(word, "=");
    if (!split_short(word, &n, &value) && word[n])
        value = word + n + 1;
    int key = find_word(word, n);
    bool period = is_cfs(word, n);
    if (key < 0 && !period) {
        ignore_word(r, word);
        /* What does not begin with a dash can only be that word's value. */
        if (!value && *i + 1 < w->n && w->v[*i + 1][0] != '-')
            ++*i;
        return 0;
    }
    if (!value && *i + 1 == w->n)
        return reeve_error_set(r->err, 0, "container.arguments: %s has no value", word);
    if (!value)
        value = w->v[++*i];
    auto_free char *name = xstrndup(word, n);
    return period ? use_cfs(r, cfs, name, value) : use_word(r, key, name, n, value);
}

static int read_arguments(struct resolver *r, const cJSON *task)
{
    const cJSON *line = json_path(task, "container", "arguments", NULL);
    auto_words words = WORDS_INIT;
    struct cfs cfs = {.period = 100000};
    if (!line || cJSON_IsNull(line))
        return 0;
    if (!cJSON_IsString(line))
        return reeve_error_set(r->err, 0, "container.arguments: a text is expected");
    if (words_split(line->valuestring, &words, r->err) < 0)
        return reeve_error_wrap(r->err, "container.arguments");
    for (size_t i = 0; i < words.n; i++)
        if (read_word(r, &words, &i, &cfs) < 0)
            return -1;
    settle_cfs(r, &cfs);
    return 0;
}

/* A property's value is a text on the wire; a number is read as its text. */
static int read_properties(struct resolver *r, const cJSON *task)
{
    const cJSON *section = json_path(task, "hyperparams", "properties", NULL);
    for (int k = 0; k < KEY_COUNT; k++) {
        char name[SOURCE_SIZE], source[SOURCE_SIZE];
        snprintf(name, sizeof name, "reeve.%s", quota_key((enum key)k)->name);
        snprintf(source, sizeof source, "property reeve.%s",
                 quota_key((enum key)k)->name);
        const cJSON *value = json_get(json_get(section, name), "value");
        if (!value || cJSON_IsNull(value))
            continue;
        if (!cJSON_IsString(value) && !cJSON_IsNumber(value))
            return reeve_error_set(r->err, 0, "%s: one value is expected", source);
        auto_free char *text =
            cJSON_IsString(value) ? xstrdup(value->valuestring) : json_format(value);
        if (*text && quota_set_value(r, (enum key)k, text, source) < 0)
            return -1;
    }
    return 0;
}

/* ---- result ---- */

static int64_t number_of(const struct resolver *r, enum key key)
{
    return quota_is_none(key, &r->values[key]) ? LIMIT_NONE : r->values[key].number;
}

void quota_fill(struct resolver *r)
{
    struct quota *q = r->out;
    const struct value *restart = &r->values[KEY_RESTART];
    q->limits = (struct limits){
        .cpu_milli = number_of(r, KEY_CPUS),
        .cpu_weight = number_of(r, KEY_CPU_SHARES),
        .memory = number_of(r, KEY_MEMORY),
        .memory_reservation = number_of(r, KEY_MEMORY_RESERVATION),
        .memory_swap = number_of(r, KEY_MEMORY_SWAP),
        .pids = number_of(r, KEY_PIDS),
        .read_bps = number_of(r, KEY_READ_BPS),
        .write_bps = number_of(r, KEY_WRITE_BPS),
        .read_iops = number_of(r, KEY_READ_IOPS),
        .write_iops = number_of(r, KEY_WRITE_IOPS),
        .io_weight = number_of(r, KEY_BLKIO_WEIGHT),
    };
    memcpy(q->limits.cpuset, r->values[KEY_CPUSET].text, sizeof q->limits.cpuset);
    if (restart->set) {
        q->restart = (enum restart_policy)restart->number;
        q->restart_max = restart->extra;
    }
    if (r->values[KEY_STOP_TIMEOUT].set)
        q->stop_timeout_ms = r->values[KEY_STOP_TIMEOUT].number;
    if (r->values[KEY_STOP_SIGNAL].set)
        q->stop_signal = (int)r->values[KEY_STOP_SIGNAL].number;
    if (!quota_is_none(KEY_TIMEOUT, &r->values[KEY_TIMEOUT]))
        q->timeout_ms = r->values[KEY_TIMEOUT].number;
    if (!quota_is_none(KEY_SETUP_TIMEOUT, &r->values[KEY_SETUP_TIMEOUT]))
        q->setup_timeout_ms = r->values[KEY_SETUP_TIMEOUT].number;
    q->nofile_hard = number_of(r, KEY_NOFILE);
    q->nofile_soft =
        q->nofile_hard == LIMIT_NONE ? LIMIT_NONE : r->values[KEY_NOFILE].extra;
    q->disk = number_of(r, KEY_DISK);
    const struct value *log = &r->values[KEY_LOG_BUDGET];
    if (log->set)
        q->log_budget = quota_is_none(KEY_LOG_BUDGET, log) ? 0 : log->number;
}

void quota_add_note(struct resolver *r, enum key key)
{
    const struct value *v = &r->values[key];
    auto_buf line = BUF_INIT;
    const char *name = key == KEY_CPU_SHARES     ? "cpu weight"
                       : key == KEY_BLKIO_WEIGHT ? "io weight"
                                                 : quota_key(key)->name;
    buf_printf(&line, "quota: %s ", name);
    quota_add_value(&line, key, v);
    buf_printf(&line, " (%s", v->source);
    if (v->lowered) {
        buf_add_str(&line, "; ");
        quota_add_number(&line, key, v->asked);
        buf_printf(&line, " by %s", v->asked_source);
    }
    buf_add_char(&line, ')');
    words_add(&r->out->notes, buf_str(&line));
}

static void add_notes(struct resolver *r)
{
    for (int k = 0; k < KEY_COUNT; k++)
        if (r->values[k].set)
            quota_add_note(r, (enum key)k);
    const struct words *ignored = &r->out->ignored;
    if (!ignored->n)
        return;
    auto_buf line = BUF_INIT;
    buf_add_str(&line, "container.arguments: no meaning here for");
    for (size_t i = 0; i < ignored->n; i++)
        buf_printf(&line, "%s %s", i ? "," : "", ignored->v[i]);
    words_add(&r->out->notes, buf_str(&line));
}

static int resolve(struct resolver *r, const cJSON *task)
{
    if (r->config &&
        (read_all_defaults(r) < 0 || read_restart_variable(r, task, r->config) < 0))
        return -1;
    if (read_arguments(r, task) < 0 || read_properties(r, task) < 0 ||
        quota_check_memory(r) < 0)
        return -1;
    return quota_apply_ceilings(r);
}

/* The text quotes what the task holds: it must stay one line of sound UTF-8, also where
 * a precision cut it. */
void quota_clean_error(struct reeve_error *err)
{
    auto_buf safe = BUF_INIT, text = BUF_INIT;
    if (!err)
        return;
    for (char *p = err->text; *p; p++)
        if (*p == '\n' || *p == '\t')
            *p = ' ';
    utf8_add_safe(&safe, err->text, strlen(err->text));
    utf8_add_printable(&text, buf_str(&safe), safe.len);
    snprintf(err->text, sizeof err->text, "%s", buf_str(&text));
}

int quota_resolve(const cJSON *task, const struct config *config,
                  const struct quota_queue *queue, struct quota *out,
                  struct reeve_error *err)
{
    quota_clear(out);
    struct resolver r = {.config = config, .out = out, .err = err};
    if (queue)
        r.queue = *queue;
    if (resolve(&r, task) < 0) {
        quota_free(out);
        quota_clean_error(err);
        return -1;
    }
    quota_fill(&r);
    add_notes(&r);
    return 0;
}

void quota_clear(struct quota *q)
{
    *q = (struct quota){
        .limits = LIMITS_NONE,
        .nofile_soft = LIMIT_NONE,
        .nofile_hard = LIMIT_NONE,
        .disk = LIMIT_NONE,
        .log_budget = QUOTA_LOG_BUDGET,
        .stop_timeout_ms = QUOTA_STOP_TIMEOUT_MS,
        .stop_signal = SIGTERM,
    };
}

void quota_free(struct quota *q)
{
    words_free(&q->env);
    words_free(&q->ignored);
    words_free(&q->notes);
}
