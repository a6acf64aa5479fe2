/* SPDX-License-Identifier: Apache-2.0 */
#include <config.h>

#include "config/config-internal.h"
#include "config/files.h"

#include "base/alloc.h"
#include "base/base64.h"
#include "base/buf.h"
#include "base/file.h"
#include "base/json.h"
#include "base/log.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* $NAME and ${NAME} of the environment; what is not set stays as it is. */
static char *expand_variables_dup(const char *text)
{
    auto_buf out = BUF_INIT;
    while (*text) {
        bool braces = text[0] == '$' && text[1] == '{';
        const char *name = text + 1 + braces;
        size_t n = 0;
        while (text[0] == '$' && (isalnum((unsigned char)name[n]) || name[n] == '_'))
            n++;
        auto_free char *word = xstrndup(name, n);
        const char *value = n && (!braces || name[n] == '}') ? getenv(word) : NULL;
        if (value)
            buf_add_str(&out, value);
        else
            buf_add_char(&out, *text);
        text = value ? name + n + braces : text + 1;
    }
    return buf_take(&out);
}

static char *target_dup(const cJSON *entry)
{
    auto_free char *text = expand_variables_dup(json_str(entry, "path", ""));
    auto_free char *path = config_expand_home_dup(text);
    /* Through a link, as whoever opens it would write. */
    char *real = realpath(path, NULL);
    return real ? real : steal(&path);
}

/* The mode is octal, written with or without quotes. */
static int read_mode(const cJSON *entry, mode_t *mode, struct reeve_error *err)
{
    const cJSON *given = json_get(entry, "mode");
    const char *text = given && given->valuestring ? given->valuestring : "";
    if (!*text || cJSON_IsBool(given))
        return 0;
    text += strncmp(text, "0o", 2) == 0 ? 2 : 0;
    char *end;
    unsigned long value = strtoul(text, &end, 8);
    if (!isdigit((unsigned char)*text) || *end || value > 07777)
        return reeve_error_set(err, 0, "its mode is no octal number");
    *mode = (mode_t)value;
    return 0;
}

/* Base64 of several lines, as people paste it. */
static int decode(const char *text, struct buf *out)
{
    auto_buf one_line = BUF_INIT;
    for (; *text; text++)
        if (!isspace((unsigned char)*text))
            buf_add_char(&one_line, *text);
    return base64_decode(buf_str(&one_line), one_line.len, out);
}

static int read_contents(const cJSON *entry, struct buf *out, struct reeve_error *err)
{
    const cJSON *contents = json_get(entry, "contents");
    const char *target = json_str(entry, "target_format", "string");
    bool tree = cJSON_IsObject(contents) || cJSON_IsArray(contents);
    if (strcmp(target, "yaml") == 0 || strcmp(target, "yml") == 0)
        return reeve_error_set(err, 0, "YAML is not written; give it as a text");
    if (tree || strcmp(target, "json") == 0) {
        char *text = cJSON_Print(contents);
        buf_add_str(out, text ? text : "");
        free(text);
        return 0;
    }
    const char *text = contents && contents->valuestring ? contents->valuestring : "";
    if (strcmp(json_str(entry, "format", "string"), "base64") != 0)
        buf_add_str(out, text);
    else if (decode(text, out) < 0)
        return reeve_error_set(err, 0, "its contents are no base64");
    return 0;
}

static int write_target(const char *path, const struct buf *contents, mode_t mode,
                        struct reeve_error *err)
{
    const char *slash = strrchr(path, '/');
    auto_free char *folder = slash && slash > path
                                 ? xstrndup(path, (size_t)(slash - path))
                                 : xstrdup(slash ? "/" : ".");
    if (dir_make(folder, 0777, err) < 0)
        return -1;
    return file_replace(path, buf_str(contents), contents->len, mode, false, err);
}

static int apply(const cJSON *entry, const char *path, mode_t mode,
                 struct reeve_error *err)
{
    auto_buf contents = BUF_INIT;
    struct stat st;
    bool there = stat(path, &st) == 0;
    if (!*path || !cJSON_IsObject(entry))
        return reeve_error_set(err, 0, "it has no path");
    if (there && S_ISDIR(st.st_mode))
        return reeve_error_set(err, 0, "it is a folder");
    if (there && !json_bool(entry, "overwrite", true))
        return reeve_error_set(err, 0, "it is there already");
    if (read_mode(entry, &mode, err) < 0 || read_contents(entry, &contents, err) < 0)
        return -1;
    return write_target(path, &contents, mode, err);
}

void files_apply(const struct config *c, int umask)
{
    const cJSON *entry, *section = config_json(c, "files");
    if (!cJSON_IsObject(section) || !config_bool(c, "agent.apply_files", false))
        return;
    cJSON_ArrayForEach(entry, section)
    {
        struct reeve_error err = {0};
        auto_free char *path = target_dup(entry);
        if (apply(entry, path, 0666 & ~(mode_t)umask, &err) == 0)
            log_info("files.%s of clearml.conf: saved %s", entry->string, path);
        else
            log_warn("files.%s of clearml.conf: %s is skipped: %s", entry->string, path,
                     err.text);
    }
}
