/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "prepare/spec.h"
#include "base/buf.h"
#include "base/fd.h"
#include "base/id.h"

#include <errno.h>
#include <string.h>

/* White space around a URL or a branch is a slip of the keyboard in the web page. */
static const char *trimmed(const cJSON *object, const char *name)
{
    cJSON *v = json_get(object, name);
    if (!cJSON_IsString(v))
        return "";
    char *s = v->valuestring + strspn(v->valuestring, " \t\r\n");
    size_t n = strlen(s);
    while (n > 0 && strchr(" \t\r\n", s[n - 1]))
        s[--n] = '\0';
    return s;
}

static int check_folder(const char *name, const char *path, struct reeve_error *err)
{
    if (path[0] != '/')
        return reeve_error_set(err, EINVAL, "%s is no absolute path", name);
    return 0;
}

static int check_env(const cJSON *env, const cJSON *unset, struct reeve_error *err)
{
    const cJSON *v;
    cJSON_ArrayForEach(v, env)
    {
        if (!v->string || !v->string[0] || strchr(v->string, '='))
            return reeve_error_set(err, EINVAL, "invalid name of a variable");
        if (!cJSON_IsString(v))
            return reeve_error_set(err, EINVAL, "variable %s is no text", v->string);
    }
    cJSON_ArrayForEach(v, unset)
    {
        if (!cJSON_IsString(v) || !v->valuestring[0] || strchr(v->valuestring, '='))
            return reeve_error_set(err, EINVAL, "invalid name of a variable to unset");
    }
    return 0;
}

static int check(const struct spec *s, struct reeve_error *err)
{
    if (json_int(s->json, "version", 0) != 1)
        return reeve_error_set(err, EINVAL, "unknown version of the specification");
    if (!id_valid(s->task))
        return reeve_error_set(err, EINVAL, "invalid task id");
    if (check_folder("state_dir", s->state_dir, err) < 0 ||
        check_folder("run_dir", s->run_dir, err) < 0 ||
        check_folder("cache_dir", s->cache_dir, err) < 0)
        return -1;
    size_t n = strlen(s->diff);
    if (n > SPEC_DIFF_MAX)
        return reeve_error_set(err, 0,
                               "the task's script or diff is too large: %zu bytes, at "
                               "most %u are allowed",
                               n, SPEC_DIFF_MAX);
    return check_env(s->env, s->unset, err);
}

static void borrow(struct spec *s)
{
    const cJSON *script = json_get(s->json, "script");
    s->task = json_str(s->json, "task", "");
    s->attempt = (int)json_int(s->json, "attempt", 1);
    s->state_dir = json_str(s->json, "state_dir", "");
    s->run_dir = json_str(s->json, "run_dir", "");
    s->cache_dir = json_str(s->json, "cache_dir", "");
    s->repository = trimmed(script, "repository");
    s->branch = trimmed(script, "branch");
    s->tag = trimmed(script, "tag");
    s->version_num = trimmed(script, "version_num");
    s->entry_point = trimmed(script, "entry_point");
    s->working_dir = trimmed(script, "working_dir");
    s->binary = trimmed(script, "binary");
    s->diff = json_str(script, "diff", "");
    s->requirements = json_get(script, "requirements");
    s->env = json_get(s->json, "env");
    s->unset = json_get(s->json, "unset");
    s->notes = json_get(s->json, "notes");
    s->sdk_config = json_str(s->json, "sdk_config", NULL);
    s->git = json_get(s->json, "git");
    s->umask = (int)json_int(s->json, "umask", -1);
    s->python = json_str(s->json, "python", "");
    if (!s->python[0])
        s->python = "python3";
}

int spec_parse(const char *text, size_t n, struct spec *out, struct reeve_error *err)
{
    memset(out, 0, sizeof *out);
    struct spec s = {.json = json_parse(text, n, err)};
    if (!s.json)
        return reeve_error_wrap(err, "specification");
    borrow(&s);
    if (check(&s, err) < 0) {
        spec_free(&s);
        return -1;
    }
    *out = s;
    return 0;
}

int spec_read(int fd, struct spec *out, struct reeve_error *err)
{
    memset(out, 0, sizeof *out);
    auto_buf text = BUF_INIT;
    if (fd_read_to_buf(fd, &text, SPEC_BYTES_MAX) < 0)
        return reeve_error_set(err, errno, "read the specification");
    int result = spec_parse(buf_str(&text), text.len, out, err);
    if (text.data)
        explicit_bzero(text.data, text.len);
    return result;
}

void spec_free(struct spec *s)
{
    cJSON_Delete(s->json);
    memset(s, 0, sizeof *s);
}
