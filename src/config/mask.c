/* SPDX-License-Identifier: Apache-2.0 */
#include <config.h>

#include "config/mask.h"

#include "base/alloc.h"
#include "config/secrets.h"

#include <stdbool.h>
#include <string.h>

static void set_text(cJSON *item, const char *text)
{
    cJSON_Delete(item->child);
    item->child = NULL;
    free(item->valuestring);
    item->valuestring = xstrdup(text);
    item->type = cJSON_String | (item->type & cJSON_StringIsConst);
}

static void mask_addresses(cJSON *item)
{
    char *text = item->valuestring;
    text[masker_apply_urls(text, strlen(text))] = '\0';
}

static void mask_members(cJSON *object)
{
    cJSON *item;
    cJSON_ArrayForEach(item, object) set_text(item, MASKER_TEXT);
}

void mask_secrets(cJSON *tree)
{
    cJSON *item;
    if (cJSON_IsString(tree) && tree->valuestring)
        mask_addresses(tree);
    cJSON_ArrayForEach(item, tree)
    {
        if (item->string && secret_setting(item->string))
            set_text(item, MASKER_TEXT);
        else if (item->string && strcmp(item->string, "environment") == 0 &&
                 cJSON_IsObject(item))
            mask_members(item);
        else
            mask_secrets(item);
    }
}

void mask_texts(const struct masker *m, cJSON *tree)
{
    cJSON *item;
    if (cJSON_IsString(tree) && tree->valuestring) {
        char *text = tree->valuestring;
        text[masker_apply(m, text, strlen(text))] = '\0';
    }
    cJSON_ArrayForEach(item, tree) mask_texts(m, item);
}

/* Code has variables of such names, too; those are seldom in capitals. */
static bool shown_variable(const char *name, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (name[i] >= 'a' && name[i] <= 'z')
            return false;
    return secret_variable(name, n);
}

struct masker *mask_for_showing(void)
{
    struct masker *m = masker_create();
    masker_ask_names(m, shown_variable);
    return m;
}

void mask_each_secret(const cJSON *tree, void (*each)(void *arg, const char *value),
                      void *arg)
{
    const cJSON *item;
    cJSON_ArrayForEach(item, tree)
    {
        const char *name = item->string ? item->string : "";
        /* The contents of files are hidden when they are shown, but most of their lines
         * are no secret. */
        bool secret = secret_setting(name) && strcmp(name, "contents") != 0;
        bool variable = secret_variable(name, strlen(name));
        auto_free char *number = NULL;
        if (cJSON_IsString(item) && (secret || variable))
            each(arg, item->valuestring);
        else if (cJSON_IsNumber(item) && variable) /* no "token_expiration_sec" */
            each(arg, number = cJSON_PrintUnformatted(item));
        else
            mask_each_secret(item, each, arg);
    }
}
