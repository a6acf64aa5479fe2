/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "cli/find.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/json.h"
#include "cli/cli.h"

#include <ctype.h>
#include <string.h>

#define PREFIX_MIN 6
#define PAGE_SIZE 500 /* the server's own bound */
#define PAGES_MAX 40

static void add_pattern(struct buf *out, const char *text)
{
    for (; *text; text++) {
        unsigned char c = (unsigned char)*text;
        if (c < 0x80 && !isalnum(c) && c != '_' && c != ' ')
            buf_add_char(out, '\\');
        buf_add_char(out, *text);
    }
}

char *exact_pattern_dup(const char *text)
{
    struct buf out = BUF_INIT;
    buf_add_char(&out, '^');
    add_pattern(&out, text);
    buf_add_char(&out, '$');
    return buf_take(&out);
}

static bool is_hex(const char *word)
{
    return word[strspn(word, "0123456789abcdef")] == '\0';
}

static bool is_prefix(const char *word)
{
    return is_hex(word) && strlen(word) >= PREFIX_MIN && strlen(word) < 32;
}

static cJSON *names_query(void)
{
    static const char *const fields[] = {"id", "name"};
    cJSON *body = cJSON_CreateObject();
    json_set(body, "only_fields", cJSON_CreateStringArray(fields, ARRAY_SIZE(fields)));
    json_set_bool(body, "search_hidden", true);
    json_set_int(body, "page_size", PAGE_SIZE);
    return body;
}

static void add_match(struct words *found, const cJSON *row, const char *word)
{
    const char *id = json_str(row, "id", "");
    bool prefix = is_prefix(word) && strncmp(id, word, strlen(word)) == 0;
    if (!*id || (!prefix && strcmp(json_str(row, "name", ""), word) != 0))
        return;
    for (size_t i = 0; i < found->n; i++)
        if (strcmp(found->v[i], id) == 0)
            return;
    if (found->n < WORDS_MAX)
        words_add(found, id);
}

static int match_names(struct session *s, const char *word, struct words *found,
                       struct reeve_error *err)
{
    auto_json *data = NULL;
    auto_free char *pattern = exact_pattern_dup(word);
    cJSON *body = names_query();
    const cJSON *row;
    json_set_str(body, "name", pattern);
    int code = session_call(s, "tasks.get_all", body, &data, err);
    cJSON_ArrayForEach(row, json_get(data, "tasks")) add_match(found, row, word);
    return code;
}

/* The pattern narrows it down where the server knows `_any_`; the prefix is compared
 * here, so a server that does not know it only costs more pages. */
static int match_prefix(struct session *s, const char *word, struct words *found,
                        struct reeve_error *err)
{
    for (int page = 0; page < PAGES_MAX; page++) {
        auto_json *data = NULL;
        cJSON *body = names_query(), *any = cJSON_CreateObject();
        const char *const fields[] = {"id"};
        auto_free char *pattern = xasprintf("^%s", word);
        const cJSON *row;
        json_set(any, "fields", cJSON_CreateStringArray(fields, 1));
        json_set_str(any, "pattern", pattern);
        json_set(body, "_any_", any);
        json_set_int(body, "page", page);
        int code = session_call(s, "tasks.get_all", body, &data, err);
        if (code != CLI_DONE)
            return code;
        const cJSON *tasks = json_get(data, "tasks");
        cJSON_ArrayForEach(row, tasks) add_match(found, row, word);
        if (cJSON_GetArraySize(tasks) < PAGE_SIZE)
            break;
    }
    return CLI_DONE;
}

/* What the master knows, for when there is no server to ask. */
static int match_runs(struct session *s, const char *word, struct words *found)
{
    auto_json *rows = NULL;
    cJSON *request = control_request("ps", NULL);
    const cJSON *row;
    json_set_bool(request, "all", true);
    int code = control_call(s->target.run_dir, request, &rows, NULL);
    cJSON_ArrayForEach(row, rows) add_match(found, row, word);
    return code;
}

static int one_of(const struct words *found, const char *word, char **id,
                  struct reeve_error *err)
{
    if (found->n == 1) {
        *id = xstrdup(found->v[0]);
        return CLI_DONE;
    }
    if (found->n == 0)
        reeve_error_set(
            err, 0,
            "no task \"%.80s\"; give an id, six or more of its first digits, or "
            "a name",
            word);
    else
        reeve_error_set(
            err, 0, "\"%.80s\" means %zu tasks (%.8s, %.8s, ...); give more of the id",
            word, found->n, found->v[0], found->v[1]);
    return CLI_NOT_FOUND;
}

int find_task(struct session *s, const char *word, char **id, struct reeve_error *err)
{
    auto_words found = WORDS_INIT;
    *id = NULL;
    if (strlen(word) == 32 && is_hex(word)) {
        *id = xstrdup(word);
        return CLI_DONE;
    }
    int code = match_names(s, word, &found, err);
    if (code == CLI_DONE && is_prefix(word))
        code = match_prefix(s, word, &found, err);
    if (code == CLI_UNREACHABLE && match_runs(s, word, &found) == CLI_DONE)
        code = CLI_DONE;
    return code == CLI_DONE ? one_of(&found, word, id, err) : code;
}

int find_queue(struct session *s, const char *word, char **id, struct reeve_error *err)
{
    auto_json *data = NULL;
    cJSON *body = names_query();
    const cJSON *row;
    auto_free char *pattern = exact_pattern_dup(word);
    bool whole_id = strlen(word) == 32 && is_hex(word);
    *id = NULL;
    if (whole_id)
        json_set(body, "id", cJSON_CreateStringArray((const char *const *)&word, 1));
    else
        json_set_str(body, "name", pattern);
    int code = session_call(s, "queues.get_all", body, &data, err);
    if (code != CLI_DONE)
        return code;
    cJSON_ArrayForEach(row, json_get(data, "queues"))
    {
        if (strcmp(json_str(row, whole_id ? "id" : "name", ""), word) == 0) {
            *id = xstrdup(json_str(row, "id", ""));
            return CLI_DONE;
        }
    }
    reeve_error_set(err, 0,
                    "no queue \"%.80s\"; `reeve queue list` names them, `reeve queue "
                    "create` makes one",
                    word);
    return CLI_NOT_FOUND;
}

int get_task(struct session *s, const char *id, cJSON **task, struct reeve_error *err)
{
    auto_json *data = NULL;
    cJSON *body = cJSON_CreateObject();
    *task = NULL;
    json_set_str(body, "task", id);
    int code = session_call(s, "tasks.get_by_id", body, &data, err);
    if (code != CLI_DONE)
        return code;
    *task = cJSON_DetachItemFromObjectCaseSensitive(data, "task");
    if (*task)
        return CLI_DONE;
    reeve_error_set(err, 0, "the server's answer has no task");
    return CLI_FAILED;
}
