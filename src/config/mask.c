/* SPDX-License-Identifier: Apache-2.0 */
#include <config.h>

#include "config/mask.h"

#include "base/alloc.h"
#include "base/buf.h"

#include <stdbool.h>
#include <string.h>

static bool is_secret(const char *name)
{
    static const char *const parts[] = {"secret", "pass", "token", "account_key",
                                        "contents"};
    if (strcmp(name, "enable_git_ask_pass") == 0)
        return false;
    for (size_t i = 0; i < ARRAY_SIZE(parts); i++)
        if (strstr(name, parts[i]))
            return true;
    return false;
}

static void set_text(cJSON *item, const char *text)
{
    cJSON_Delete(item->child);
    item->child = NULL;
    free(item->valuestring);
    item->valuestring = xstrdup(text);
    item->type = cJSON_String | (item->type & cJSON_StringIsConst);
}

/* "https://user:password@host/x": the colon and the at sign of the password, or false.
 */
static bool find_password(const char *text, const char **colon, const char **end)
{
    const char *host = strstr(text, "://");
    if (!host)
        return false;
    host += strlen("://");
    size_t n = strcspn(host, "/?# \t\n");
    *end = NULL;
    for (size_t i = 0; i < n; i++)
        if (host[i] == '@')
            *end = host + i;
    *colon = *end ? memchr(host, ':', (size_t)(*end - host)) : NULL;
    return *colon;
}

static void mask_addresses(cJSON *item)
{
    auto_buf out = BUF_INIT;
    const char *rest = item->valuestring, *colon, *end;
    while (find_password(rest, &colon, &end)) {
        buf_add(&out, rest, (size_t)(colon + 1 - rest));
        buf_add_str(&out, MASK_TEXT);
        rest = end;
    }
    if (rest == item->valuestring)
        return;
    buf_add_str(&out, rest);
    set_text(item, buf_str(&out));
}

static void mask_members(cJSON *object)
{
    cJSON *item;
    cJSON_ArrayForEach(item, object) set_text(item, MASK_TEXT);
}

void mask_secrets(cJSON *tree)
{
    cJSON *item;
    if (cJSON_IsString(tree) && tree->valuestring)
        mask_addresses(tree);
    cJSON_ArrayForEach(item, tree)
    {
        if (item->string && is_secret(item->string))
            set_text(item, MASK_TEXT);
        else if (item->string && strcmp(item->string, "environment") == 0 &&
                 cJSON_IsObject(item))
            mask_members(item);
        else
            mask_secrets(item);
    }
}
