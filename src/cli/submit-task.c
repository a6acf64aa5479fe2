/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "cli/submit-task.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/file.h"
#include "base/json.h"
#include "base/utf8.h"
#include "cli/cli.h"
#include "cli/quota-options.h"
#include "config/size.h"
#include "config/words.h"
#include "master/quota.h"

#include <ctype.h>
#include <string.h>

#define SCRIPT_BYTES_MAX (64u << 20)
#define NAME_MIN 3 /* the server's own bound */

const struct arg_spec submit_specs[] = {
    {ARG_VALUE, "queue", 'q', "QUEUE", "name or id (services)"},
    {ARG_VALUE, "name", 'n', "NAME", "of the task (the script's or the program's)"},
    {ARG_VALUE, "project", 'p', "PROJECT", "made if it is missing (reeve)"},
    {ARG_VALUE, "type", 0, "TYPE", "ClearML's task type (service)"},
    {ARG_VALUE, "repo", 0, "URL", "git repository; SCRIPT is a path in it"},
    {ARG_VALUE, "branch", 0, "NAME", "of the repository"},
    {ARG_VALUE, "tag", 0, "NAME", "of the repository"},
    {ARG_VALUE, "commit", 0, "ID", "of the repository"},
    {ARG_VALUE, "diff", 0, "FILE", "uncommitted changes to apply"},
    {ARG_VALUE, "working-dir", 0, "DIR", "in the repository (its top)"},
    {ARG_VALUE, "docker", 0, "IMAGE", "for hosts that run containers"},
    ARGS_QUOTAS,
    {ARG_LIST, "env", 'e', "K=V", "environment variable; repeatable"},
    {ARG_LIST, "param", 0, "SECTION/NAME=V", "hyper-parameter; repeatable"},
    {ARG_FLAG, "dry-run", 0, NULL, "print the task document and create nothing"},
    ARGS_JSON,
    ARGS_SERVER,
    ARGS_LAST,
};

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

/* ---- script ---- */

/* "#!/usr/bin/env -S python3 -u" is python3, "#!/bin/bash -e" is bash; NULL without
 * one. A Python keeps its folder: that may be a virtual environment, and where it is
 * not there, the name alone is looked for. */
static char *shebang_dup(const char *text)
{
    auto_words words = WORDS_INIT;
    if (strncmp(text, "#!", 2) != 0)
        return NULL;
    auto_free char *line = xstrndup(text + 2, strcspn(text + 2, "\n"));
    if (words_split(line, &words, NULL) < 0)
        return NULL;
    size_t i = 0;
    if (words.n > 1 && strcmp(base_name(words.v[0]), "env") == 0)
        for (i = 1;
             i + 1 < words.n && (words.v[i][0] == '-' || strchr(words.v[i], '='));)
            i++;
    if (i == words.n)
        return NULL;
    const char *name = base_name(words.v[i]);
    return xstrdup(strncmp(name, "python", 6) == 0 ? words.v[i] : name);
}

static char *binary_dup(const char *path, const char *text)
{
    const char *dot = strrchr(base_name(path), '.');
    char *shebang = text ? shebang_dup(text) : NULL;
    if (shebang)
        return shebang;
    if (dot && strcmp(dot, ".py") == 0)
        return xstrdup("python3");
    return dot && strcmp(dot, ".sh") == 0 ? xstrdup("sh") : NULL;
}

/* A file name before arguments: quotes keep its blanks, and say of a name without a dot
 * that it is one. */
static char *first_word_dup(const char *name)
{
    char *word = word_quote_dup(name);
    if (word[0] == '\'' || strchr(name, '.'))
        return word;
    free(word);
    return xasprintf("'%s'", name);
}

static int read_text(const char *path, struct buf *text, struct reeve_error *err)
{
    if (file_read(path, text, SCRIPT_BYTES_MAX, err) < 0)
        return -1;
    if (text->len &&
        (memchr(text->data, '\0', text->len) || !utf8_valid(text->data, text->len)))
        return reeve_error_set(err, 0, "%s is no text (UTF-8)", path);
    return 0;
}

static void set_entry(cJSON *script, const char *first, char *const *words, size_t n)
{
    auto_free char *more = words_join_dup(words, n);
    auto_free char *line = xasprintf("%s%s%s", first, n && *first ? " " : "", more);
    json_set_str(script, "entry_point", line);
}

/* A text that begins like a diff would be applied instead of written. */
static void set_source(cJSON *script, const struct buf *text)
{
    bool like_diff = strncmp(buf_str(text), "diff ", 5) == 0 ||
                     strncmp(buf_str(text), "submodule ", 10) == 0;
    auto_free char *whole = xasprintf("%s%s", like_diff ? "\n" : "", buf_str(text));
    json_set_str(script, "diff", whole);
}

static int set_lone_script(cJSON *script, const struct words *words,
                           struct reeve_error *err)
{
    const char *path = words->v[0];
    auto_buf text = BUF_INIT;
    if (read_text(path, &text, err) < 0)
        return -1;
    if (!text.len || text.data[strspn(text.data, " \t\r\n")] == '\0')
        return reeve_error_set(err, 0, "%s is empty", path);
    auto_free char *binary = binary_dup(path, buf_str(&text));
    if (!binary)
        return reeve_error_set(
            err, 0,
            "%s: neither a name in .py or .sh nor a first line #!... says "
            "what runs it",
            path);
    auto_free char *name =
        words->n > 1 ? first_word_dup(base_name(path)) : xstrdup(base_name(path));
    set_source(script, &text);
    json_set_str(script, "binary", binary);
    json_set_str(script, "repository", "");
    json_set_str(script, "working_dir", ".");
    set_entry(script, name, words->v + 1, words->n - 1);
    return 0;
}

/* The script in the repository, or the command that runs in its checkout. */
static void set_repository_entry(cJSON *script, const struct words *words, bool command)
{
    auto_free char *binary =
        command ? xstrdup(words->v[0]) : binary_dup(words->v[0], NULL);
    auto_free char *name = command        ? xstrdup("")
                           : words->n > 1 ? word_quote_dup(words->v[0])
                                          : xstrdup(words->v[0]);
    json_set_str(script, "binary", binary ? binary : "python3");
    set_entry(script, name, words->v + 1, words->n - 1);
}

static int set_repository(cJSON *script, const struct args *args,
                          const struct words *words, struct reeve_error *err)
{
    static const char *const names[][2] = {
        {"branch", "branch"}, {"tag", "tag"}, {"commit", "version_num"}};
    const char *diff = args_value(args, "diff", NULL);
    auto_buf text = BUF_INIT;
    if (diff && read_text(diff, &text, err) < 0)
        return -1;
    json_set_str(script, "repository", args_value(args, "repo", ""));
    for (size_t i = 0; i < ARRAY_SIZE(names); i++)
        if (args_value(args, names[i][0], NULL))
            json_set_str(script, names[i][1], args_value(args, names[i][0], NULL));
    json_set_str(script, "working_dir", args_value(args, "working-dir", "."));
    json_set_str(script, "diff", buf_str(&text));
    set_repository_entry(script, words, args_after_dashes(args));
    return 0;
}

static void set_command(cJSON *script, const struct args *args,
                        const struct words *words)
{
    json_set_str(script, "binary", words->v[0]);
    json_set_str(script, "repository", "");
    json_set_str(script, "working_dir", ".");
    json_set_str(script, "diff", "");
    set_entry(script, "", words->v + 1, words->n - 1);
}

static int set_script(cJSON *task, const struct args *args, struct reeve_error *err)
{
    static const char *const of_repo[] = {"branch", "tag", "commit", "diff",
                                          "working-dir"};
    const struct words *words = args_words(args);
    cJSON *script = json_set(task, "script", cJSON_CreateObject());
    bool repo = args_has(args, "repo"), command = args_after_dashes(args);
    for (size_t i = 0; !repo && i < ARRAY_SIZE(of_repo); i++)
        if (args_has(args, of_repo[i]))
            return reeve_error_set(err, 0, "--%s needs --repo", of_repo[i]);
    if (!*words->v[0])
        return reeve_error_set(err, 0, "an empty word names nothing to run");
    if (repo)
        return set_repository(script, args, words, err);
    if (!command)
        return set_lone_script(script, words, err);
    set_command(script, args, words);
    return 0;
}

/* ---- quotas, environment, parameters ---- */

static void add_word(struct words *out, const char *flag, const char *value)
{
    auto_free char *word = xasprintf("%s=%s", flag, value);
    words_add(out, word);
}

/* Docker counts a stop time-out in whole seconds. */
static int add_stop_timeout(struct words *out, const char *flag, const char *text,
                            struct reeve_error *err)
{
    int64_t ms;
    if (duration_parse(text, &ms, err) < 0)
        return reeve_error_wrap(err, "--stop-timeout");
    if (ms % 1000)
        return reeve_error_set(err, 0, "--stop-timeout: whole seconds only");
    auto_free char *seconds = xasprintf("%lld", (long long)(ms / 1000));
    add_word(out, flag, seconds);
    return 0;
}

static int add_quota(struct words *out, const struct quota_option *o, const char *value,
                     struct reeve_error *err)
{
    /* Docker's --ulimit has many kinds. */
    auto_free char *files = xasprintf("nofile=%s", value);
    if (strcmp(o->name, "stop-timeout") == 0)
        return add_stop_timeout(out, o->docker, value, err);
    add_word(out, o->docker, strcmp(o->name, "nofile") == 0 ? files : value);
    return 0;
}

static int set_container(cJSON *task, const struct args *args, struct reeve_error *err)
{
    auto_words words = WORDS_INIT;
    const struct words *env = args_values(args, "env");
    const char *image = args_value(args, "docker", NULL);
    for (const struct quota_option *o = quota_options; o->name; o++)
        if (o->docker && args_has(args, o->name) &&
            add_quota(&words, o, args_value(args, o->name, ""), err) < 0)
            return -1;
    for (size_t i = 0; env && i < env->n; i++) {
        if (!strchr(env->v[i], '=') || env->v[i][0] == '=')
            return reeve_error_set(err, 0, "--env: \"%.40s\" is not NAME=value",
                                   env->v[i]);
        words_add(&words, "-e");
        words_add(&words, env->v[i]);
    }
    if (!words.n && !image)
        return 0;
    cJSON *container = json_set(task, "container", cJSON_CreateObject());
    auto_free char *line = words_join_dup(words.v, words.n);
    json_set_str(container, "arguments", line);
    if (image)
        json_set_str(container, "image", image);
    return 0;
}

static void set_parameter(cJSON *task, const char *section, const char *name,
                          const char *value)
{
    cJSON *params = json_get(task, "hyperparams");
    if (!params)
        params = json_set(task, "hyperparams", cJSON_CreateObject());
    cJSON *names = json_get(params, section);
    if (!names)
        names = json_set(params, section, cJSON_CreateObject());
    cJSON *item = json_set(names, name, cJSON_CreateObject());
    json_set_str(item, "section", section);
    json_set_str(item, "name", name);
    json_set_str(item, "value", value);
}

/* "Args/lr=0.1"; without a section ClearML's own default, General. A name may hold
 * slashes. */
static int add_parameter(cJSON *task, const char *text, struct reeve_error *err)
{
    const char *equals = strchr(text, '=');
    const char *slash = strchr(text, '/');
    if (slash && equals && slash > equals)
        slash = NULL;
    const char *name = slash ? slash + 1 : text;
    if (!equals || equals == name || slash == text)
        return reeve_error_set(err, 0, "--param: \"%.60s\" is not SECTION/NAME=value",
                               text);
    auto_free char *section =
        slash ? xstrndup(text, (size_t)(slash - text)) : xstrdup("General");
    auto_free char *key = xstrndup(name, (size_t)(equals - name));
    set_parameter(task, section, key, equals + 1);
    return 0;
}

static void set_property(cJSON *task, const char *option, const char *value)
{
    auto_free char *key = quota_option_key_dup(option);
    auto_free char *name = xasprintf("reeve.%s", key);
    set_parameter(task, "properties", name, value);
}

static int set_parameters(cJSON *task, const struct args *args, struct reeve_error *err)
{
    const struct words *params = args_values(args, "param");
    for (size_t i = 0; params && i < params->n; i++)
        if (add_parameter(task, params->v[i], err) < 0)
            return -1;
    for (const struct quota_option *o = quota_options; o->name; o++)
        if (!o->docker && args_has(args, o->name))
            set_property(task, o->name, args_value(args, o->name, ""));
    return 0;
}

/* ---- the whole ---- */

static int set_type(cJSON *task, const char *type, struct reeve_error *err)
{
    static const char *const types[] = {"training",        "testing",     "inference",
                                        "data_processing", "application", "monitor",
                                        "service",         "controller",  "report",
                                        "optimizer",       "qc",          "custom"};
    for (size_t i = 0; i < ARRAY_SIZE(types); i++) {
        if (strcmp(types[i], type) == 0) {
            json_set_str(task, "type", type);
            return 0;
        }
    }
    return reeve_error_set(err, 0,
                           "--type: \"%.40s\" is no task type; service, controller, "
                           "monitor, optimizer, custom, ...",
                           type);
}

static int set_name(cJSON *task, const struct args *args, struct reeve_error *err)
{
    const char *given = args_value(args, "name", NULL);
    const char *word = base_name(args_words(args)->v[0]);
    if (!given && strlen(word) < NAME_MIN) {
        auto_free char *longer = xasprintf("run %s", word);
        json_set_str(task, "name", longer);
        return 0;
    }
    const char *name = given ? given : word;
    if (strlen(name) < NAME_MIN || isspace((unsigned char)name[0]))
        return reeve_error_set(err, 0,
                               "--name: three characters or more, the first no "
                               "blank");
    json_set_str(task, "name", name);
    return 0;
}

static int set_project(cJSON *task, const struct args *args, struct reeve_error *err)
{
    const char *project = args_value(args, "project", "reeve");
    if (strlen(project) < NAME_MIN)
        return reeve_error_set(err, 0, "--project: three characters or more");
    json_set_str(task, "project", project);
    return 0;
}

/* What came from the command line goes into JSON, which is UTF-8. */
static int check_words(const struct args *args, struct reeve_error *err)
{
    const struct words *w = args_words(args);
    for (int i = 0; submit_specs[i].kind != ARG_END; i++) {
        const struct words *v = args_values(args, submit_specs[i].name);
        for (size_t j = 0; v && j < v->n; j++)
            if (!utf8_valid(v->v[j], strlen(v->v[j])))
                return reeve_error_set(err, 0, "--%s: not UTF-8", submit_specs[i].name);
    }
    for (size_t i = 0; i < w->n; i++)
        if (!utf8_valid(w->v[i], strlen(w->v[i])))
            return reeve_error_set(err, 0, "word %zu is not UTF-8", i + 1);
    return 0;
}

/* The master's own reader has the last word, so that nothing is made that it would
 * refuse. */
static int check_quota(const cJSON *task, struct reeve_error *err)
{
    struct quota quota;
    if (quota_resolve(task, NULL, NULL, &quota, err) < 0)
        return -1;
    quota_free(&quota);
    return 0;
}

cJSON *submit_task(const struct args *args, struct reeve_error *err)
{
    auto_json *task = cJSON_CreateObject();
    if (check_words(args, err) < 0 || set_name(task, args, err) < 0 ||
        set_type(task, args_value(args, "type", "service"), err) < 0 ||
        set_project(task, args, err) < 0 || set_container(task, args, err) < 0 ||
        set_parameters(task, args, err) < 0 || check_quota(task, err) < 0 ||
        set_script(task, args, err) < 0)
        return NULL;
    return steal(&task);
}
