/* SPDX-License-Identifier: Apache-2.0 */
#include <config.h>

#include "config/mask.h"

#include "base/alloc.h"
#include "config/config.h"
#include "config/secrets.h"

#include <string.h>

/* Configured as a password, a number of so many digits is one. */
#define NUMBER_MIN 6

bool mask_is_number(const char *text)
{
    return text[strspn(text, "0123456789.,-+")] == '\0';
}

bool mask_is_word(const char *text)
{
    static const char *const words[] = {"true", "false", "none", "null", "default"};
    for (size_t i = 0; i < ARRAY_SIZE(words); i++)
        if (strcasecmp(text, words[i]) == 0)
            return true;
    return false;
}

void mask_add(struct buf *out, char kind, const char *text)
{
    while (*text) {
        size_t n = strcspn(text, "\r\n");
        buf_printf(out, "%c ", kind);
        buf_add(out, text, n);
        buf_add_char(out, '\n');
        text += n + strspn(text + n, "\r\n");
    }
}

static void add_value(void *arg, const char *value)
{
    if (!mask_is_word(value) && (!mask_is_number(value) || strlen(value) >= NUMBER_MIN))
        mask_add(arg, 'v', value);
}

static void add_list(struct buf *out, char kind, const struct config *c,
                     const char *path)
{
    auto_words list = WORDS_INIT;
    if (config_list(c, path, &list, NULL) == 0)
        for (size_t i = 0; i < list.n; i++)
            mask_add(out, kind, list.v[i]);
}

void mask_gather(struct buf *out, const struct config *c)
{
    for (size_t i = 0; secret_variables[i]; i++)
        mask_add(out, 'n', secret_variables[i]);
    add_list(out, 'n', c, "agent.hide_docker_command_env_vars.extra_keys");
    add_list(out, 'n', c, "agent.reeve.mask.names");
    add_list(out, 'v', c, "agent.reeve.mask.values");
    mask_each_secret(config_tree(c), add_value, out);
}
