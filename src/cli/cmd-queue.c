/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "cli/commands.h"
#include "cli/find.h"
#include "cli/table.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/json.h"

#include <inttypes.h>
#include <string.h>

static const struct arg_spec specs[] = {
    {ARG_FLAG, "force", 0, NULL, "delete: also with tasks in it"},
    {ARG_VALUE, "queue", 'q', "QUEUE", "move: the queue (services)"},
    {ARG_FLAG, "front", 0, NULL, "move: to the front"},
    {ARG_FLAG, "back", 0, NULL, "move: to the end"},
    {ARG_VALUE, "up", 0, "N", "move: N places forward"},
    {ARG_VALUE, "down", 0, "N", "move: N places back"},
    ARGS_JSON,
    ARGS_SERVER,
    ARGS_LAST,
};

/* ---- list ---- */

static cJSON *queue_row(const cJSON *queue)
{
    cJSON *row = cJSON_CreateObject(), *tasks = cJSON_CreateArray(), *tag;
    const cJSON *entry, *entries = json_get(queue, "entries");
    bool is_default = false;
    int64_t ms;
    json_set_str(row, "id", json_str(queue, "id", NULL));
    json_set_str(row, "name", json_str(queue, "name", NULL));
    json_set_int(row, "length", cJSON_GetArraySize(entries));
    cJSON_ArrayForEach(entry, entries)
        cJSON_AddItemToArray(tasks, cJSON_CreateString(json_str(entry, "task", "")));
    json_set(row, "tasks", tasks);
    cJSON_ArrayForEach(tag, json_get(queue, "system_tags")) is_default |=
        cJSON_IsString(tag) && strcmp(tag->valuestring, "default") == 0;
    json_set_bool(row, "default", is_default);
    bool known = clock_iso_parse(json_str(queue, "created", ""), &ms) == 0;
    json_set_time(row, "created", known ? ms : 0);
    return row;
}

static void print_queues(const cJSON *rows)
{
    static const char *const titles[] = {"QUEUE", ">TASKS", ">AGE", "DEFAULT", "ID"};
    struct table *t = table_create(titles, ARRAY_SIZE(titles));
    const cJSON *row;
    int64_t now = clock_wall_ms();
    cJSON_ArrayForEach(row, rows)
    {
        table_add_text(t, row, "name");
        table_add_number(t, row, "length", 0);
        table_add_age(t, row, "created", now);
        table_add(t, json_bool(row, "default", false) ? "yes" : "");
        table_add_text(t, row, "id");
    }
    table_print(t, stdout);
    table_free(t);
}

static int list(struct session *s, const struct args *args, const struct words *words,
                struct reeve_error *err)
{
    auto_json *data = NULL, *rows = cJSON_CreateArray();
    const cJSON *queue;
    int code = session_call(s, "queues.get_all", NULL, &data, err);
    if (code != CLI_DONE)
        return code;
    cJSON_ArrayForEach(queue, json_get(data, "queues"))
        cJSON_AddItemToArray(rows, queue_row(queue));
    if (args_has(args, "json"))
        cli_print_json(rows);
    else
        print_queues(rows);
    return CLI_DONE;
}

/* ---- the rest ---- */

static void print_id(const char *id)
{
    auto_json *shown = cJSON_CreateObject();
    json_set_str(shown, "id", id);
    cli_print_json(shown);
}

static int create(struct session *s, const struct args *args, const struct words *words,
                  struct reeve_error *err)
{
    auto_json *data = NULL;
    cJSON *body = cJSON_CreateObject();
    json_set_str(body, "name", words->v[1]);
    int code = session_call(s, "queues.create", body, &data, err);
    const char *id = json_str(data, "id", "");
    if (code == CLI_DONE && args_has(args, "json"))
        print_id(id);
    else if (code == CLI_DONE)
        printf("%s\n", id);
    return code;
}

/* A call about one queue; *body holds its id. */
static int with_queue(struct session *s, const char *word, cJSON **body,
                      struct reeve_error *err)
{
    auto_free char *id = NULL;
    int code = find_queue(s, word, &id, err);
    if (code != CLI_DONE)
        return code;
    *body = cJSON_CreateObject();
    json_set_str(*body, "queue", id);
    return CLI_DONE;
}

/* What prints nothing but with --json the queue's id. */
static int call_quietly(struct session *s, const struct args *args,
                        const char *endpoint, cJSON *body, struct reeve_error *err)
{
    auto_free char *id = xstrdup(json_str(body, "queue", ""));
    int code = session_call(s, endpoint, body, NULL, err);
    if (code == CLI_DONE && args_has(args, "json"))
        print_id(id);
    return code;
}

static int rename_queue(struct session *s, const struct args *args,
                        const struct words *words, struct reeve_error *err)
{
    cJSON *body = NULL;
    int code = with_queue(s, words->v[1], &body, err);
    if (code != CLI_DONE)
        return code;
    json_set_str(body, "name", words->v[2]);
    return call_quietly(s, args, "queues.update", body, err);
}

static int clear(struct session *s, const struct args *args, const struct words *words,
                 struct reeve_error *err)
{
    auto_json *data = NULL;
    cJSON *body = NULL;
    const cJSON *task;
    int code = with_queue(s, words->v[1], &body, err);
    if (code == CLI_DONE)
        code = session_call(s, "queues.clear_queue", body, &data, err);
    if (code != CLI_DONE)
        return code;
    auto_json *ids = cJSON_CreateArray();
    cJSON_ArrayForEach(task, json_get(data, "removed_tasks"))
    {
        if (!cJSON_IsString(task))
            continue;
        cJSON_AddItemToArray(ids, cJSON_CreateString(task->valuestring));
        if (!args_has(args, "json"))
            printf("%s\n", task->valuestring);
    }
    if (args_has(args, "json"))
        cli_print_json(ids);
    return code;
}

static int delete_queue(struct session *s, const struct args *args,
                        const struct words *words, struct reeve_error *err)
{
    cJSON *body = NULL;
    int code = with_queue(s, words->v[1], &body, err);
    if (code != CLI_DONE)
        return code;
    if (args_has(args, "force"))
        json_set_bool(body, "force", true);
    return call_quietly(s, args, "queues.delete", body, err);
}

static int parse_places(const char *text, cJSON *body, struct reeve_error *err)
{
    char *end;
    long n = strtol(text, &end, 10);
    if (end == text || *end || n < 1 || n > 1000000) {
        reeve_error_set(err, 0, "\"%.40s\" is no number of places", text);
        return CLI_USAGE;
    }
    json_set_int(body, "count", n);
    return CLI_DONE;
}

static const char *move_endpoint(const struct args *args, const char **places)
{
    const char *up = args_value(args, "up", NULL),
               *down = args_value(args, "down", NULL);
    bool front = args_has(args, "front"), back = args_has(args, "back");
    *places = up ? up : down;
    if (front + back + !!up + !!down != 1)
        return NULL;
    return front  ? "queues.move_task_to_front"
           : back ? "queues.move_task_to_back"
           : up   ? "queues.move_task_forward"
                  : "queues.move_task_backward";
}

static int move(struct session *s, const struct args *args, const struct words *words,
                struct reeve_error *err)
{
    auto_free char *task = NULL;
    auto_json *data = NULL;
    cJSON *body = NULL;
    const char *places, *endpoint = move_endpoint(args, &places);
    if (!endpoint) {
        reeve_error_set(err, 0, "one of --front, --back, --up N, --down N is needed");
        return CLI_USAGE;
    }
    int code = find_task(s, words->v[1], &task, err);
    if (code == CLI_DONE)
        code = with_queue(s, args_value(args, "queue", "services"), &body, err);
    if (code == CLI_DONE && places)
        code = parse_places(places, body, err);
    if (code != CLI_DONE) {
        cJSON_Delete(body);
        return code;
    }
    json_set_str(body, "task", task);
    code = session_call(s, endpoint, body, &data, err);
    if (code != CLI_DONE)
        return code;
    auto_json *shown = cJSON_CreateObject();
    json_set_str(shown, "id", task);
    json_set_int(shown, "position", json_int(data, "position", 0));
    if (args_has(args, "json"))
        cli_print_json(shown);
    else
        printf("%" PRId64 "\n", json_int(shown, "position", 0));
    return code;
}

static const struct {
    const char *name;
    size_t words;
    int (*run)(struct session *, const struct args *, const struct words *,
               struct reeve_error *);
} verbs[] = {
    {"list", 1, list},   {"create", 2, create},       {"rename", 3, rename_queue},
    {"clear", 2, clear}, {"delete", 2, delete_queue}, {"move", 2, move},
};

static int run(const struct args *args)
{
    struct reeve_error err = {0};
    auto_session s = {0};
    const struct words *words = args_words(args);
    for (size_t i = 0; i < ARRAY_SIZE(verbs); i++) {
        if (strcmp(verbs[i].name, words->v[0]) != 0)
            continue;
        if (words->n != verbs[i].words)
            return cli_fail(
                CLI_USAGE, "queue %s: %s; see `reeve queue --help`", verbs[i].name,
                words->n < verbs[i].words ? "a name is missing" : "too many words");
        int code = session_open(args, &s, &err);
        if (code == CLI_DONE)
            code = verbs[i].run(&s, args, words, &err);
        return code == CLI_DONE
                   ? code
                   : cli_fail(code, "queue %s: %s", verbs[i].name, err.text);
    }
    return cli_fail(CLI_USAGE,
                    "queue: \"%s\" is none of list, create, rename, clear, "
                    "delete, move",
                    words->v[0]);
}

const struct command cmd_queue = {
    .name = "queue",
    .summary = "list, create, rename, clear, delete queues; move tasks in them",
    .usage = "list | create NAME | rename QUEUE NAME | clear QUEUE | delete QUEUE | "
             "move TASK [--json]",
    .about = "QUEUE is a name or an id. create prints the id, clear those of the tasks "
             "taken "
             "out, move\nthe new place, from 0.",
    .specs = specs,
    .words_min = 1,
    .words_max = 3,
    .run = run,
};
