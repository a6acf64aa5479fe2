/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "prepare/workspace.h"
#include "base/alloc.h"
#include "base/file.h"
#include "config/words.h"
#include "prepare/beneath.h"
#include "prepare/checkout.h"
#include "prepare/entry.h"
#include "prepare/patch.h"
#include "prepare/program.h"
#include "prepare/script-file.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Without a working directory, "file:folder" says both; a file of that whole name comes
 * first. A command's arguments are left alone. */
static void split_entry(const struct spec *spec, const char *root, char **entry,
                        char **dir)
{
    char *file = NULL;
    auto_free char *whole = path_join_dup(root, spec->entry_point);
    *entry = NULL;
    if (!spec->working_dir[0] && program_kind_of(spec->binary) != PROGRAM_OTHER &&
        access(whole, F_OK) != 0 && entry_split_dir(spec->entry_point, &file, dir))
        *entry = file;
    if (*entry)
        return;
    *entry = xstrdup(spec->entry_point);
    *dir = xstrdup(spec->working_dir);
}

static int enter(const char *root, const char *dir, char **cwd, struct reeve_error *err)
{
    struct stat st;
    *cwd = beneath_resolve_dup(root, dir, err);
    if (!*cwd)
        return reeve_error_wrap(err, "working directory");
    if (stat(*cwd, &st) == 0 && S_ISDIR(st.st_mode))
        return 0;
    return reeve_error_set(err, 0, "working directory %.150s is no folder", dir);
}

static int write_script(const struct spec *spec, struct report *r,
                        const struct workspace *w, const char *module_file, bool keep,
                        struct reeve_error *err)
{
    struct script_place place = {w->cwd, w->entry_point, module_file, keep};
    report_step(r, "diff");
    return script_file_write(&place, spec->diff, err);
}

static bool is_option(const char *entry)
{
    return entry[0] == '-';
}

/* A repository: its checkout, and the diff on it or the script in it. */
static int make_with_repository(const struct spec *spec, struct report *r,
                                const char *work, struct workspace *w,
                                struct reeve_error *err)
{
    bool script = spec->diff[0] && !patch_is_diff(spec->diff);
    if (checkout_make(spec, r, work, &w->root, err) < 0)
        return -1;
    auto_free char *dir = NULL;
    split_entry(spec, w->root, &w->entry_point, &dir);
    /* "folder:file" names the file of a script that is run as a module. */
    char *file = script && is_option(w->entry_point) ? strchr(dir, ':') : NULL;
    if (file)
        *file++ = '\0';
    if (enter(w->root, dir, &w->cwd, err) < 0)
        return -1;
    return script ? write_script(spec, r, w, file ? file : "", true, err) : 0;
}

/* No repository: a folder of its own, with the script if there is one. */
static int make_alone(const struct spec *spec, struct report *r, const char *work,
                      struct workspace *w, struct reeve_error *err)
{
    auto_free char *code = path_join_dup(work, "code");
    if (spec->attempt <= 1 && dir_remove_tree(code, err) < 0)
        return -1;
    if (dir_make(code, 0777, err) < 0)
        return -1;
    w->root = steal(&code);
    if (enter(w->root, ".", &w->cwd, err) < 0)
        return -1;
    if (!spec->diff[0] || patch_is_diff(spec->diff)) {
        if (program_kind_of(spec->binary) != PROGRAM_OTHER)
            report_line(r,
                        "WARNING: running a task without repository or literal script "
                        "in `script.diff`");
        w->entry_point = xstrdup(spec->entry_point);
        return 0;
    }
    const char *module_file = strchr(spec->working_dir, ':');
    if (spec->working_dir[0] && strcmp(spec->working_dir, ".") != 0 && !module_file)
        report_line(r,
                    "found task with `script.working_dir` (`%s`) but without "
                    "`script.repository`, ignoring",
                    spec->working_dir);
    auto_free char *dir = NULL;
    auto_free char *entry = NULL;
    split_entry(spec, w->root, &entry, &dir);
    w->entry_point = program_kind_of(spec->binary) == PROGRAM_OTHER
                         ? xstrdup(entry)
                         : script_file_entry_dup(entry);
    return write_script(spec, r, w, module_file ? module_file + 1 : "", false, err);
}

int workspace_make(const struct spec *spec, struct report *r, struct workspace *out,
                   struct reeve_error *err)
{
    memset(out, 0, sizeof *out);
    auto_free char *folder = path_join_dup(spec->state_dir, "work");
    report_step(r, spec->repository[0] ? "clone" : "checkout");
    if (dir_make(folder, 0700, err) < 0)
        return -1;
    auto_free char *work = realpath(folder, NULL);
    if (!work)
        return reeve_error_set(err, errno, "%s", folder);
    if ((spec->repository[0] ? make_with_repository(spec, r, work, out, err)
                             : make_alone(spec, r, work, out, err)) == 0)
        return 0;
    workspace_free(out);
    return -1;
}

void workspace_free(struct workspace *w)
{
    free(w->root);
    free(w->cwd);
    free(w->entry_point);
    memset(w, 0, sizeof *w);
}
