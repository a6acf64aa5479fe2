/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "prepare/workspace.h"
#include "base/alloc.h"
#include "base/file.h"
#include "config/words.h"
#include "prepare/beneath.h"
#include "prepare/entry.h"
#include "prepare/git-cache.h"
#include "prepare/git-error.h"
#include "prepare/git-worktree.h"
#include "prepare/patch-apply.h"
#include "prepare/program.h"
#include "prepare/script-file.h"

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define STALL_MS 120000
#define TOTAL_MS 3600000

struct repository {
    struct git_url url;
    struct git_identity identity;
    struct git_source source;
    char *text;  /* the URL in use */
    char *shown; /* the same, as it may be shown */
};

static void repository_free(struct repository *r)
{
    git_url_free(&r->url);
    free(r->text);
    free(r->shown);
}

/* A user and password are of no use to ssh; the official agent goes over to https. */
static int prefer_https(struct repository *repo, const struct report *r,
                        struct reeve_error *err)
{
    if (!git_identity_applies(&repo->identity, &repo->url))
        return 0;
    auto_free char *https = git_url_https_dup(&repo->url);
    if (!https)
        return 0;
    report_line(
        r, "Using user/pass credentials - replacing ssh url '%s' with https url '%s'",
        repo->shown, https);
    git_url_free(&repo->url);
    free(repo->text);
    free(repo->shown);
    repo->text = xstrdup(https);
    repo->shown = xstrdup(https);
    return git_url_parse(repo->text, &repo->url, err);
}

static int stall_ms(void)
{
    const char *text = getenv("REEVE_GIT_TIMEOUT_MS");
    long ms = text ? strtol(text, NULL, 10) : 0;
    return ms > 0 && ms < INT_MAX ? (int)ms : STALL_MS;
}

static int repository_open(const struct spec *spec, const struct report *r,
                           struct repository *repo, struct reeve_error *err)
{
    memset(repo, 0, sizeof *repo);
    if (git_url_parse(spec->repository, &repo->url, err) < 0)
        return -1;
    repo->identity =
        (struct git_identity){spec->git_user, spec->git_pass, spec->git_host};
    repo->text = xstrdup(spec->repository);
    repo->shown = git_url_shown_dup(spec->repository);
    if (prefer_https(repo, r, err) < 0) {
        repository_free(repo);
        return -1;
    }
    repo->source = (struct git_source){&repo->url, &repo->identity, repo->shown,
                                       stall_ms(), TOTAL_MS,        r};
    return 0;
}

static void tell_checkout(const struct report *r, const struct git_checkout *c)
{
    char hex[GIT_OID_HEXSZ + 1];
    report_line(r, "type: git");
    report_line(r, "url: %s", c->source->shown);
    report_line(r, "branch: HEAD");
    report_line(r, "commit: %s", git_oid_tostr(hex, sizeof hex, &c->commit));
    report_line(r, "root: %s", c->dir);
}

/* A damage that shows only while files are written is mended once. */
static int check_out(const struct spec *spec, struct report *r,
                     const struct repository *repo, const char *dir,
                     struct reeve_error *err)
{
    struct git_wanted wanted = {spec->version_num, spec->tag, spec->branch};
    for (int attempt = 0;; attempt++) {
        struct git_checkout c = {.cache_dir = spec->cache_dir,
                                 .url_text = repo->text,
                                 .source = &repo->source,
                                 .dir = dir};
        auto_free char *bare = NULL;
        if (git_cache_get(spec->cache_dir, repo->text, &repo->source, &wanted,
                          attempt > 0, &bare, &c.commit, err) < 0)
            return -1;
        c.bare = bare;
        report_step(r, "checkout");
        int result = git_worktree_make(&c, err);
        if (result == 0)
            tell_checkout(r, &c);
        if (result <= 0 || attempt > 0)
            return result ? -1 : 0;
    }
}

static int clone_repository(const struct spec *spec, struct report *r, const char *work,
                            char **root, struct reeve_error *err)
{
    struct repository repo;
    if (repository_open(spec, r, &repo, err) < 0)
        return -1;
    auto_free char *dir = path_join_dup(work, repo.url.name);
    int result = check_out(spec, r, &repo, dir, err);
    repository_free(&repo);
    if (result == 0)
        *root = steal(&dir);
    return result;
}

static int apply_diff(const struct spec *spec, struct report *r, const char *root,
                      struct reeve_error *err)
{
    report_step(r, "diff");
    report_line(r, "Applying uncommitted changes");
    struct patch patch;
    if (patch_parse(spec->diff, strlen(spec->diff), &patch, err) < 0)
        return -1;
    git_repository *repo = NULL;
    int result;
    if (git_repository_open_ext(&repo, root, GIT_REPOSITORY_OPEN_NO_SEARCH, NULL) < 0)
        result = git_error_to(err, "open %s", root);
    else
        result = patch_apply(repo, root, &patch, err);
    git_repository_free(repo);
    patch_free(&patch);
    return result;
}

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
    git_start();
    if (clone_repository(spec, r, work, &w->root, err) < 0)
        return -1;
    if (spec->diff[0] && !script && apply_diff(spec, r, w->root, err) < 0)
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
