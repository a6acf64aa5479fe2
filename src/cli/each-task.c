/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "cli/each-task.h"

#include "base/alloc.h"
#include "base/json.h"
#include "cli/cli.h"
#include "cli/find.h"

#include <stdio.h>

/* *data: an object with the id; the caller's. */
static int act_on(struct session *s, const char *word, task_action_f act, void *arg,
                  cJSON **data, struct reeve_error *err)
{
    auto_free char *id = NULL;
    int code = find_task(s, word, &id, err);
    if (code != CLI_DONE)
        return code;
    *data = cJSON_CreateObject();
    json_set_str(*data, "id", id);
    return act(s, id, arg, *data, err);
}

int each_task(const struct args *args, const char *command, task_action_f act,
              void *arg)
{
    auto_session s = {0};
    auto_json *all = cJSON_CreateArray();
    const struct words *words = args_words(args);
    bool json = args_has(args, "json");
    int code = CLI_DONE;
    session_open_any(args, &s);
    for (size_t i = 0; i < words->n; i++) {
        struct reeve_error err = {0};
        auto_json *data = NULL;
        int one = act_on(&s, words->v[i], act, arg, &data, &err);
        if (one != CLI_DONE)
            cli_fail(one, "%s %s: %s", command, words->v[i], err.text);
        else if (json)
            cJSON_AddItemToArray(all, steal(&data));
        else
            printf("%s\n", json_str(data, "id", ""));
        if (code == CLI_DONE)
            code = one;
    }
    if (json)
        cli_print_json(all);
    return code;
}
