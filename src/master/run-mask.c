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

/* A variable that only sounds like one has a number: END_TOKEN=128001. */
static void add_variable(struct buf *out, const char *name, size_t n, const char *value)
{
    if (secret_variable(name, n) && strlen(value) >= VARIABLE_MIN &&
        !mask_is_word(value) && !mask_is_number(value))
        mask_add(out, 'v', value);
}

static void gather(struct buf *out, const struct config *c, const cJSON *env)
{
    mask_gather(out, c);
    auto_words hidden = WORDS_INIT;
    words_split(getenv(HIDE_ENV) ? getenv(HIDE_ENV) : "", &hidden, NULL);
    for (size_t i = 0; i < hidden.n; i++)
        mask_add(out, 'n', hidden.v[i]);
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
