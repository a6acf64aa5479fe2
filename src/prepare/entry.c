/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "prepare/entry.h"
#include "base/alloc.h"
#include "base/buf.h"
#include "base/file.h"
#include "prepare/beneath.h"

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>

bool entry_split_dir(const char *entry_point, char **file, char **dir)
{
    const char *colon = strchr(entry_point, ':');
    if (!colon || entry_point[0] == '-')
        return false;
    *file = xstrndup(entry_point, (size_t)(colon - entry_point));
    *dir = xstrdup(colon + 1);
    return true;
}

/* 1: a file of the checkout; 0: no such file; -1: one outside. */
static int is_file(const struct entry_request *r, const char *name,
                   struct reeve_error *err)
{
    if (!name[0] || strlen(name) >= PATH_MAX)
        return 0;
    /* cwd is in root, so its part below root leads there again. */
    auto_free char *root = realpath(r->root, NULL);
    if (!root)
        return 0;
    const char *below = r->cwd + strlen(root);
    below += strspn(below, "/");
    auto_free char *path = below[0] ? path_join_dup(below, name) : xstrdup(name);
    struct reeve_error inner;
    auto_free char *real =
        beneath_resolve_dup(root, name[0] == '/' ? name : path, &inner);
    struct stat st;
    if (real)
        return stat(real, &st) == 0 && S_ISREG(st.st_mode);
    if (inner.code)
        return 0;
    return reeve_error_set(err, 0, "entry point %s", inner.text);
}

static const char *find_env(char *const *env, const char *name, size_t n)
{
    for (; env && *env; env++)
        if (strncmp(*env, name, n) == 0 && (*env)[n] == '=')
            return *env + n + 1;
    return NULL;
}

/* $NAME and ${NAME}; an unknown one stays as it is (Python's os.path.expandvars). */
static char *expand_dup(const char *text, char *const *env)
{
    auto_buf out = BUF_INIT;
    for (const char *p = text; *p;) {
        bool brace = p[0] == '$' && p[1] == '{';
        const char *name = p + 1 + brace;
        size_t n = 0;
        while (p[0] == '$' && (isalnum((unsigned char)name[n]) || name[n] == '_'))
            n++;
        const char *value =
            n && (!brace || name[n] == '}') ? find_env(env, name, n) : NULL;
        if (value) {
            buf_add_str(&out, value);
            p = name + n + brace;
        } else {
            buf_add_char(&out, *p++);
        }
    }
    return out.data ? buf_take(&out) : xstrdup("");
}

static void add_all(struct words *to, const struct words *from)
{
    for (size_t i = 0; i < from->n; i++)
        words_add(to, from->v[i]);
}

static int add_options(const struct entry_request *r, struct words *argv,
                       struct reeve_error *err)
{
    bool module = strncmp(r->entry_point, "-m", 2) == 0;
    auto_free char *text =
        module ? expand_dup(r->entry_point, r->env) : xstrdup(r->entry_point);
    auto_words words = WORDS_INIT;
    if (words_split(text, &words, err) < 0)
        return reeve_error_wrap(err, "entry point");
    add_all(argv, &words);
    return 0;
}

/* "-c LINE" is one line for the shell, as the official agent has it, unless the line is
 * quoted itself: `-c 'echo $1' name argument` is what a command line becomes. */
static int add_shell_line(const struct entry_request *r, struct words *argv,
                          struct reeve_error *err)
{
    const char *line = r->entry_point + 2;
    line += strspn(line, " \t");
    auto_words words = WORDS_INIT;
    bool quoted = (line[0] == '\'' || line[0] == '"') &&
                  words_split(line, &words, NULL) == 0 && words.n > 0 &&
                  strpbrk(words.v[0], " \t\n;|&<>()$`");
    words_add(argv, "-c");
    if (quoted)
        add_all(argv, &words);
    else if (line[0])
        words_add(argv, line);
    else
        return reeve_error_set(err, 0, "entry point: nothing after -c");
    return 0;
}

static char *folder_dup(const char *name)
{
    const char *slash = strrchr(name, '/');
    return slash ? xstrndup(name, (size_t)(slash - name)) : xstrdup(".");
}

/* One file name, or a file name and arguments. 1 if there is none. */
static int add_file(const struct entry_request *r, struct words *argv, char **folder,
                    struct reeve_error *err)
{
    int there = is_file(r, r->entry_point, err);
    if (there < 0)
        return -1;
    if (there) {
        words_add(argv, r->entry_point);
        *folder = folder_dup(r->entry_point);
        return 0;
    }
    auto_words words = WORDS_INIT;
    if (words_split(r->entry_point, &words, NULL) < 0 || words.n < 2)
        return 1;
    there = is_file(r, words.v[0], err);
    if (there <= 0)
        return there < 0 ? -1 : 1;
    add_all(argv, &words);
    *folder = folder_dup(words.v[0]);
    return 0;
}

static int add_script(const struct entry_request *r, struct words *argv, char **folder,
                      struct reeve_error *err)
{
    if (!r->entry_point[0])
        return reeve_error_set(err, 0, "the task has no entry point");
    size_t n = strlen(r->entry_point);
    if (n > 6 && strcmp(r->entry_point + n - 6, ".ipynb") == 0)
        return reeve_error_set(
            err, 0,
            "entry point %.100s: notebooks are not converted by this "
            "version, store the task's script as .py",
            r->entry_point);
    int result = add_file(r, argv, folder, err);
    if (result > 0)
        return reeve_error_set(err, ENOENT, "entry point %.150s", r->entry_point);
    return result;
}

static int add_arguments(const struct entry_request *r, struct words *argv)
{
    if (is_file(r, r->entry_point, NULL) == 1) {
        words_add(argv, r->entry_point);
        return 0;
    }
    auto_words words = WORDS_INIT;
    if (words_split(r->entry_point, &words, NULL) == 0)
        add_all(argv, &words);
    else
        words_add(argv, r->entry_point);
    return 0;
}

static int add_entry(const struct entry_request *r, struct words *argv, char **folder,
                     struct reeve_error *err)
{
    enum program_kind kind = r->program->kind;
    if (kind == PROGRAM_OTHER)
        return add_arguments(r, argv);
    if (kind == PROGRAM_PYTHON)
        words_add(argv, "-u");
    if (r->entry_point[0] != '-')
        return add_script(r, argv, folder, err);
    if (kind == PROGRAM_SHELL && r->entry_point[1] == 'c' &&
        strchr(" \t", r->entry_point[2]))
        return add_shell_line(r, argv, err);
    return add_options(r, argv, err);
}

int entry_command(const struct entry_request *request, struct words *argv,
                  char **folder, struct reeve_error *err)
{
    *folder = NULL;
    add_all(argv, &request->program->argv);
    if (add_entry(request, argv, folder, err) < 0)
        return -1;
    if (!*folder)
        *folder = xstrdup(".");
    return 0;
}
