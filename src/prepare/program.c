/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "prepare/program.h"
#include "base/alloc.h"
#include "base/file.h"
#include "prepare/report.h"

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define DEFAULT_PATH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

enum program_kind program_kind_of(const char *binary)
{
    static const char *const shells[] = {"bash", "sh", "zsh", "dash", "ksh"};
    /* "python3 -O" too. */
    auto_free char *first = xstrndup(binary, strcspn(binary, " \t"));
    const char *name = base_name(first);
    if (!binary[0] || strncmp(name, "python", 6) == 0)
        return PROGRAM_PYTHON;
    for (size_t i = 0; i < ARRAY_SIZE(shells); i++)
        if (strcmp(name, shells[i]) == 0)
            return PROGRAM_SHELL;
    return PROGRAM_OTHER;
}

static bool is_program(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISREG(st.st_mode) && access(path, X_OK) == 0;
}

/* As execvp looks, but never in the present folder, which a task's repository fills. */
static char *search_dup(const struct program_request *r, const char *name)
{
    if (!name[0] || strlen(name) >= PATH_MAX)
        return NULL;
    if (strchr(name, '/')) {
        char *path = name[0] == '/' ? xstrdup(name) : path_join_dup(r->cwd, name);
        if (is_program(path))
            return path;
        free(path);
        return NULL;
    }
    const char *p = r->path && r->path[0] ? r->path : DEFAULT_PATH;
    for (;;) {
        size_t n = strcspn(p, ":");
        auto_free char *folder = xstrndup(p, n);
        auto_free char *path = path_join_dup(folder, name);
        if (folder[0] == '/' && is_program(path))
            return steal(&path);
        if (!p[n])
            return NULL;
        p += n + 1;
    }
}

/* True if the default interpreter is a link to one of that name. */
static bool is_same_python(const char *path, const char *name)
{
    auto_free char *real = realpath(path, NULL);
    return real && strcmp(base_name(real), name) == 0;
}

static char *find_python_dup(const struct program_request *r, const char *binary,
                             struct reeve_error *err)
{
    char *path = binary[0] ? search_dup(r, binary) : NULL;
    const char *name = base_name(binary);
    if (!path && strchr(binary, '/'))
        path = search_dup(r, name);
    if (path)
        return path;
    path = search_dup(r, r->python);
    if (!path) {
        reeve_error_set(err, ENOENT, "python interpreter %.80s", r->python);
        return NULL;
    }
    /* "python" alone asks for no version. */
    if (name[0] && strcmp(name, "python") != 0 && !is_same_python(path, name))
        report_line(
            r->report,
            "Warning: could not locate requested Python version %s, reverting to "
            "version %s",
            name, r->python);
    return path;
}

static int find_words(const struct program_request *r, struct program *out,
                      struct reeve_error *err)
{
    auto_words words = WORDS_INIT;
    if (words_split(r->binary, &words, err) < 0)
        return reeve_error_wrap(err, "binary");
    const char *first = words.n ? words.v[0] : "";
    auto_free char *path = out->kind == PROGRAM_PYTHON ? find_python_dup(r, first, err)
                                                       : search_dup(r, first);
    if (!path && out->kind != PROGRAM_PYTHON)
        return reeve_error_set(err, ENOENT, "program %.150s", r->binary);
    if (!path)
        return -1;
    words_add(&out->argv, path);
    for (size_t i = 1; i < words.n; i++)
        words_add(&out->argv, words.v[i]);
    return 0;
}

int program_find(const struct program_request *request, struct program *out,
                 struct reeve_error *err)
{
    memset(out, 0, sizeof *out);
    out->kind = program_kind_of(request->binary);
    /* A path with blanks in it comes before a line of words. */
    auto_free char *whole = search_dup(request, request->binary);
    if (whole) {
        words_add(&out->argv, whole);
        return 0;
    }
    return find_words(request, out, err);
}

void program_free(struct program *p)
{
    words_free(&p->argv);
}
