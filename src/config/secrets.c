/* SPDX-License-Identifier: Apache-2.0 */
#include <config.h>

#include "config/secrets.h"

#include "base/alloc.h"

#include <ctype.h>
#include <string.h>

#define AGENTS 10
const char *const secret_variables[] = {
    "CLEARML_API_ACCESS_KEY", "CLEARML_API_SECRET_KEY", "CLEARML_AUTH_TOKEN",
    "TRAINS_API_ACCESS_KEY", "TRAINS_API_SECRET_KEY", "TRAINS_AUTH_TOKEN",
    "CLEARML_AGENT_GIT_USER", "CLEARML_AGENT_GIT_PASS", "TRAINS_AGENT_GIT_USER",
    "TRAINS_AGENT_GIT_PASS",
    /* of others */
    "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AZURE_STORAGE_KEY", NULL};

static bool listed(const char *name, size_t n, size_t from, size_t to)
{
    for (size_t i = from; i < to; i++)
        if (strlen(secret_variables[i]) == n &&
            memcmp(secret_variables[i], name, n) == 0)
            return true;
    return false;
}

bool secret_variable_is_agents(const char *name, size_t n)
{
    return listed(name, n, 0, AGENTS);
}

/* The last word, or the last two. */
static bool ends_in(const char *name, size_t n, const char *words)
{
    size_t len = strlen(words);
    return n >= len && strncasecmp(name + n - len, words, len) == 0 &&
           (n == len || name[n - len - 1] == '_');
}

bool secret_variable(const char *name, size_t n)
{
    static const char *const endings[] = {
        "SECRET",      "SECRETS",    "TOKEN",       "PASS",        "PASSWD",
        "PASSWORD",    "PASSPHRASE", "PWD",         "API_KEY",     "APIKEY",
        "ACCESS_KEY",  "SECRET_KEY", "PRIVATE_KEY", "ACCOUNT_KEY", "STORAGE_KEY",
        "CREDENTIALS", "PAT"};
    static const char *const no_secrets[] = {"PWD", "OLDPWD"};
    for (size_t i = 0; i < ARRAY_SIZE(no_secrets); i++)
        if (strlen(no_secrets[i]) == n && memcmp(no_secrets[i], name, n) == 0)
            return false;
    for (size_t i = 0; i < ARRAY_SIZE(endings); i++)
        if (ends_in(name, n, endings[i]))
            return true;
    return listed(name, n, 0, ARRAY_SIZE(secret_variables) - 1);
}

bool secret_setting(const char *name)
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
