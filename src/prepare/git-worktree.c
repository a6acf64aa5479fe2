/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "prepare/git-worktree.h"
#include "base/alloc.h"
#include "base/clock.h"
#include "base/fd.h"
#include "base/file.h"
#include "prepare/beneath.h"
#include "prepare/git-cache.h"
#include "prepare/git-error.h"
#include "prepare/report.h"

#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>

#define SUBMODULE_DEPTH_MAX 10
#define SUBMODULE_COUNT_MAX 500
#define PROGRESS_MS 5000

struct module {
    char *path, *url;
    git_oid commit;
};

struct modules {
    struct module v[SUBMODULE_COUNT_MAX];
    size_t n;
};

static int make_tree(const struct git_checkout *c, int depth, struct reeve_error *err);

static void modules_destroy(struct modules **m)
{
    for (size_t i = 0; *m && i < (*m)->n; i++) {
        free((*m)->v[i].path);
        free((*m)->v[i].url);
    }
    free(*m);
}

static int add_packed_ref(git_repository *bare, const char *glob, struct buf *out)
{
    git_reference_iterator *it = NULL;
    git_reference *ref = NULL;
    if (git_reference_iterator_glob_new(&it, bare, glob) < 0)
        return -1;
    while (git_reference_next(&ref, it) == 0) {
        const git_oid *id = git_reference_target(ref);
        char hex[GIT_OID_HEXSZ + 1];
        if (id)
            buf_printf(out, "%s %s\n", git_oid_tostr(hex, sizeof hex, id),
                       git_reference_name(ref));
        git_reference_free(ref);
    }
    git_reference_iterator_free(it);
    return 0;
}

/* The remote's branches and tags, for the task that asks git about them. One file,
 * since a repository may have a hundred thousand. */
static int write_refs(git_repository *bare, const char *git_dir,
                      struct reeve_error *err)
{
    auto_buf refs = BUF_INIT;
    buf_add_str(&refs, "# pack-refs with:\n");
    if (add_packed_ref(bare, "refs/remotes/origin/*", &refs) < 0 ||
        add_packed_ref(bare, "refs/tags/*", &refs) < 0)
        return git_error_to(err, "read the branches");
    auto_free char *path = path_join_dup(git_dir, "packed-refs");
    return file_replace(path, refs.data, refs.len, 0644, false, err);
}

static int write_alternates(git_repository *bare, const char *git_dir,
                            struct reeve_error *err)
{
    auto_free char *path = path_join_dup(git_dir, "objects/info/alternates");
    auto_free char *line = xasprintf("%sobjects\n", git_repository_path(bare));
    auto_free char *folder = path_join_dup(git_dir, "objects/info");
    if (dir_make(folder, 0777, err) < 0)
        return -1;
    return file_replace(path, line, strlen(line), 0644, false, err);
}

static int init_tree(const struct git_checkout *c, struct reeve_error *err)
{
    git_repository *bare = NULL, *repo = NULL;
    if (git_repository_open_bare(&bare, c->bare) < 0)
        return git_error_to(err, "open %s", c->bare);
    auto_free char *git_dir = path_join_dup(c->dir, ".git");
    int result = 0;
    if (git_repository_init(&repo, c->dir, 0) < 0)
        result = git_error_to(err, "make %s", c->dir);
    else if (write_alternates(bare, git_dir, err) < 0 ||
             write_refs(bare, git_dir, err) < 0)
        result = -1;
    git_repository_free(repo);
    git_repository_free(bare);
    return result;
}

static void checkout_progress_cb(const char *path, size_t done, size_t total,
                                 void *payload)
{
    (void)path;
    struct {
        const struct report *report;
        int64_t next_line;
    } *p = payload;
    int64_t now = clock_boot_ms();
    if (now < p->next_line)
        return;
    p->next_line = now + PROGRESS_MS;
    report_line(p->report, "checking out: %zu of %zu files", done, total);
}

static int check_out(git_repository *repo, const struct git_checkout *c,
                     struct reeve_error *err)
{
    git_remote *remote = NULL;
    git_object *commit = NULL;
    struct {
        const struct report *report;
        int64_t next_line;
    } progress = {c->source->report, clock_boot_ms() + PROGRESS_MS};
    git_checkout_options options;
    git_checkout_options_init(&options, GIT_CHECKOUT_OPTIONS_VERSION);
    options.checkout_strategy = GIT_CHECKOUT_FORCE;
    options.progress_cb = checkout_progress_cb;
    options.progress_payload = &progress;
    git_error_clear();
    int result = 0;
    if (git_remote_create(&remote, repo, "origin", c->source->shown) < 0 ||
        git_object_lookup(&commit, repo, &c->commit, GIT_OBJECT_COMMIT) < 0 ||
        git_checkout_tree(repo, commit, &options) < 0 ||
        git_repository_set_head_detached(repo, &c->commit) < 0) {
        git_error_to(err, "check out %s", c->source->shown);
        result = git_error_is_damage() ? 1 : -1;
    }
    git_object_free(commit);
    git_remote_free(remote);
    return result;
}

static int collect_cb(git_submodule *sm, const char *name, void *payload)
{
    (void)name;
    struct modules *m = payload;
    const git_oid *id = git_submodule_index_id(sm);
    /* In .gitmodules alone: git leaves it out too. */
    if (!id || git_submodule_update_strategy(sm) == GIT_SUBMODULE_UPDATE_NONE)
        return 0;
    if (m->n == SUBMODULE_COUNT_MAX)
        return GIT_EUSER;
    const char *url = git_submodule_url(sm);
    m->v[m->n].path = xstrdup(git_submodule_path(sm));
    m->v[m->n].url = url ? xstrdup(url) : NULL;
    git_oid_cpy(&m->v[m->n].commit, id);
    m->n++;
    return 0;
}

/* Relative to where the parent is, which git calls "origin". */
static char *resolve_url_dup(git_repository *repo, const char *url,
                             struct reeve_error *err)
{
    git_buf resolved = {0};
    if (git_submodule_resolve_url(&resolved, repo, url) < 0) {
        git_error_to(err, "its URL");
        return NULL;
    }
    char *copy = xstrdup(resolved.ptr);
    git_buf_dispose(&resolved);
    return copy;
}

/* Fetches and checks out what is at url into dir. */
static int fill_module(const struct git_checkout *parent, const char *url_text,
                       const struct git_url *url, const struct module *m,
                       const char *dir, int depth, struct reeve_error *err)
{
    char hex[GIT_OID_HEXSZ + 1];
    auto_free char *shown = git_url_shown_dup(url_text);
    struct git_source source = *parent->source;
    source.url = url;
    source.shown = shown;
    struct git_wanted wanted = {git_oid_tostr(hex, sizeof hex, &m->commit), "", ""};
    for (int attempt = 0;; attempt++) {
        auto_free char *bare = NULL;
        struct git_checkout c = {parent->cache_dir, url_text, &source, NULL,
                                 m->commit,         dir};
        if (git_cache_get(parent->cache_dir, url_text, &source, &wanted, attempt > 0,
                          &bare, &c.commit, err) < 0)
            return -1;
        c.bare = bare;
        int result = make_tree(&c, depth, err);
        if (result <= 0 || attempt > 0)
            return result ? -1 : 0;
    }
}

/* The folder must not be reached through a link of the repository. */
static int module_folder(const struct git_checkout *parent, const struct module *m,
                         struct reeve_error *err)
{
    auto_close root = open(parent->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    const char *name;
    auto_close dir =
        root < 0 ? -1 : beneath_open_parent(root, m->path, true, &name, err);
    struct stat st;
    if (dir < 0)
        return -1;
    if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && !S_ISDIR(st.st_mode))
        return reeve_error_set(err, 0, "no folder is at its path");
    return 0;
}

static int make_module(git_repository *repo, const struct git_checkout *parent,
                       const struct module *m, int depth, struct reeve_error *err)
{
    if (!m->url)
        return reeve_error_set(err, 0, "no URL in .gitmodules");
    if (module_folder(parent, m, err) < 0)
        return -1;
    auto_free char *text = resolve_url_dup(repo, m->url, err);
    struct git_url url;
    if (!text || git_url_parse(text, &url, err) < 0)
        return -1;
    int result;
    if (!git_url_may_lead_to(parent->source->url, &url)) {
        result = reeve_error_set(err, 0, "its URL names a file of this host");
    } else {
        auto_free char *dir = path_join_dup(parent->dir, m->path);
        report_line(parent->source->report, "submodule %s", m->path);
        result = fill_module(parent, text, &url, m, dir, depth, err);
    }
    git_url_free(&url);
    return result;
}

static int make_modules(git_repository *repo, const struct git_checkout *c, int depth,
                        struct reeve_error *err)
{
    __attribute__((cleanup(modules_destroy))) struct modules *m = xcalloc(1, sizeof *m);
    git_error_clear();
    int failed = git_submodule_foreach(repo, collect_cb, m);
    if (failed == GIT_EUSER)
        return reeve_error_set(err, 0, "more than %d submodules", SUBMODULE_COUNT_MAX);
    if (failed < 0)
        return git_error_to(err, "read .gitmodules");
    if (m->n && depth >= SUBMODULE_DEPTH_MAX)
        return reeve_error_set(err, 0, "submodules nested deeper than %d",
                               SUBMODULE_DEPTH_MAX);
    for (size_t i = 0; i < m->n; i++)
        if (make_module(repo, c, &m->v[i], depth + 1, err) < 0)
            return reeve_error_wrap(err, "submodule %.60s", m->v[i].path);
    return 0;
}

static int make_tree(const struct git_checkout *c, int depth, struct reeve_error *err)
{
    git_repository *repo = NULL;
    if (dir_remove_tree(c->dir, err) < 0 || dir_make(c->dir, 0777, err) < 0 ||
        init_tree(c, err) < 0)
        return -1;
    /* Opened anew: alternates are read when a repository is opened. */
    if (git_repository_open_ext(&repo, c->dir, GIT_REPOSITORY_OPEN_NO_SEARCH, NULL) < 0)
        return git_error_to(err, "open %s", c->dir);
    int result = check_out(repo, c, err);
    if (result == 0)
        result = make_modules(repo, c, depth, err);
    git_repository_free(repo);
    return result;
}

int git_worktree_make(const struct git_checkout *c, struct reeve_error *err)
{
    return make_tree(c, 0, err);
}
