/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "master/run-mask.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/fd.h"
#include "config/config.h"
#include "config/mask.h"
#include "config/secrets.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Known by a variable's name alone: "TOKEN=none" is no secret. */
#define VARIABLE_MIN 6
#define HIDE_ENV "CLEARML_AGENT_DOCKER_ARGS_HIDE_ENV"

static void add(struct buf *out, char kind, const char *text)
{
    while (*text) {
        size_t n = strcspn(text, "\r\n");
        buf_printf(out, "%c ", kind);
        buf_add(out, text, n);
        buf_add_char(out, '\n');
        text += n + strspn(text + n, "\r\n");
    }
}

#define DIGITS "0123456789.,-+"
/* Configured as a password, a number of so many digits is one. */
#define NUMBER_MIN 6

static bool is_number(const char *text)
{
    return text[strspn(text, DIGITS)] == '\0';
}

/* What is said by such words is no secret, whatever its name is. */
static bool is_common(const char *text)
{
    static const char *const words[] = {"true", "false", "none", "null", "default"};
    for (size_t i = 0; i < ARRAY_SIZE(words); i++)
        if (strcasecmp(text, words[i]) == 0)
            return true;
    return false;
}

static void add_value(void *arg, const char *value)
{
    if (!is_common(value) && (!is_number(value) || strlen(value) >= NUMBER_MIN))
        add(arg, 'v', value);
}

/* A variable that only sounds like one has a number: END_TOKEN=128001. */
static void add_variable(struct buf *out, const char *name, size_t n, const char *value)
{
    if (secret_variable(name, n) && strlen(value) >= VARIABLE_MIN &&
        !is_common(value) && !is_number(value))
        add(out, 'v', value);
}

static void add_list(struct buf *out, char kind, const struct config *c,
                     const char *path)
{
    auto_words list = WORDS_INIT;
    if (config_list(c, path, &list, NULL) == 0)
        for (size_t i = 0; i < list.n; i++)
            add(out, kind, list.v[i]);
}

static void gather(struct buf *out, const struct config *c, const cJSON *env)
{
    for (size_t i = 0; secret_variables[i]; i++)
        add(out, 'n', secret_variables[i]);
    add_list(out, 'n', c, "agent.hide_docker_command_env_vars.extra_keys");
    auto_words hidden = WORDS_INIT;
    words_split(getenv(HIDE_ENV) ? getenv(HIDE_ENV) : "", &hidden, NULL);
    for (size_t i = 0; i < hidden.n; i++)
        add(out, 'n', hidden.v[i]);
    add_list(out, 'n', c, "agent.reeve.mask.names");
    add_list(out, 'v', c, "agent.reeve.mask.values");
    mask_each_secret(config_tree(c), add_value, out);
    for (char **e = environ; *e; e++) {
        const char *equals = strchr(*e, '=');
        if (equals)
            add_variable(out, *e, (size_t)(equals - *e), equals + 1);
    }
    const cJSON *item;
    cJSON_ArrayForEach(item, env)
    {
        if (cJSON_IsString(item))
            add_variable(out, item->string, strlen(item->string), item->valuestring);
    }
}

static void wipe(struct buf *text)
{
    if (text->data)
        explicit_bzero(text->data, text->len);
}

int run_mask_open(const struct config *config, const cJSON *env,
                  struct reeve_error *err)
{
    auto_buf text = BUF_INIT;
    gather(&text, config, env);
    int fd = fd_sealed("reeve-mask", buf_str(&text), text.len);
    if (fd < 0)
        reeve_error_set(err, errno, "keep what is to be masked");
    wipe(&text);
    return fd;
}

struct masker *run_mask_create(const struct config *config, const cJSON *env)
{
    auto_buf text = BUF_INIT;
    gather(&text, config, env);
    struct masker *m = masker_create();
    masker_load(m, buf_str(&text), text.len);
    wipe(&text);
    return m;
}
