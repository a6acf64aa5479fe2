/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "prepare/patch-apply.h"
#include "base/alloc.h"
#include "base/fd.h"
#include "prepare/beneath.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

/* What one file of the patch makes of the tree. */
struct result {
    const char *remove; /* path, or NULL */
    const char *write;
    struct buf content;
    mode_t mode;
};

struct plan {
    git_repository *repo;
    int root;
    const struct patch *patch;
    struct result *results; /* one a file */
};

static bool is_gitlink(const struct patch_file *f)
{
    return (f->old_mode & S_IFMT) == 0160000 || (f->new_mode & S_IFMT) == 0160000;
}

/* The same file changed twice in one diff: the second change builds on the first. */
static const struct result *find_written(const struct plan *plan, size_t before,
                                         const char *path)
{
    for (size_t i = before; i-- > 0;) {
        const struct result *r = &plan->results[i];
        if (r->write && strcmp(r->write, path) == 0 && !r->remove)
            return r;
    }
    return NULL;
}

static bool is_removed(const struct plan *plan, const char *path)
{
    for (size_t i = 0; i < plan->patch->count; i++) {
        const struct patch_file *f = &plan->patch->files[i];
        if ((f->kind == PATCH_DELETE || f->kind == PATCH_RENAME) &&
            strcmp(f->old_path, path) == 0)
            return true;
    }
    return false;
}

/* The file as it is now. 1 there, 0 not, -1. */
static int read_source(const struct plan *plan, size_t index, const char *path,
                       struct buf *out, mode_t *mode, struct reeve_error *err)
{
    /* A copy or a renamed file is made of what was there before the diff. */
    const struct patch_file *f = &plan->patch->files[index];
    bool original = f->kind == PATCH_COPY || f->kind == PATCH_RENAME;
    const struct result *earlier = original ? NULL : find_written(plan, index, path);
    if (!earlier)
        return beneath_read(plan->root, path, out, mode, PATCH_FILE_MAX, err);
    buf_add(out, earlier->content.data, earlier->content.len);
    *mode = earlier->mode;
    return 1;
}

static int apply_filters(git_filter_list *filters, const struct buf *in, git_buf *out)
{
#if LIBGIT2_VER_MAJOR > 1 || LIBGIT2_VER_MINOR >= 3
    return git_filter_list_apply_to_buffer(out, filters, buf_str(in), in->len);
#else
    git_buf input = {(char *)buf_str(in), 0, in->len};
    return git_filter_list_apply_to_data(out, filters, &input);
#endif
}

/* Line ends and other attributes: a diff speaks of what the repository holds. */
static int convert(git_repository *repo, const char *path, git_filter_mode_t mode,
                   const struct buf *in, struct buf *out)
{
    git_filter_list *filters = NULL;
    git_buf converted = {0};
    if (git_filter_list_load(&filters, repo, NULL, path, mode, 0) < 0 || !filters)
        return -1;
    int failed = apply_filters(filters, in, &converted);
    if (failed == 0)
        buf_add(out, converted.ptr, converted.size);
    git_buf_dispose(&converted);
    git_filter_list_free(filters);
    return failed;
}

/* The hunks against the file as it is, then against what the repository would hold. */
static int change_text(const struct plan *plan, const struct patch_file *f,
                       const struct buf *content, struct result *r,
                       struct reeve_error *err)
{
    if (patch_apply_hunks(f, buf_str(content), content->len, &r->content, err) == 0)
        return 0;
    auto_buf stored = BUF_INIT, changed = BUF_INIT;
    buf_clear(&r->content);
    if (!plan->repo || S_ISLNK(r->mode) ||
        convert(plan->repo, f->old_path, GIT_FILTER_TO_ODB, content, &stored) < 0 ||
        patch_apply_hunks(f, buf_str(&stored), stored.len, &changed, NULL) < 0)
        return -1;
    return convert(plan->repo, patch_file_name(f), GIT_FILTER_TO_WORKTREE, &changed,
                   &r->content) < 0
               ? -1
               : 0;
}

static int check_target(const struct plan *plan, size_t index, const char *path,
                        struct reeve_error *err)
{
    auto_buf ignored = BUF_INIT;
    mode_t mode;
    int there = read_source(plan, index, path, &ignored, &mode, NULL);
    if (there == 0 || is_removed(plan, path))
        return 0;
    return reeve_error_set(err, 0, "a file of this name is there already");
}

static bool only_adds(const struct patch_file *f)
{
    for (size_t i = 0; i < f->hunk_count; i++)
        if (f->hunks[i].old_lines)
            return false;
    return f->hunk_count > 0;
}

static int plan_change(const struct plan *plan, size_t index, struct reeve_error *err)
{
    const struct patch_file *f = &plan->patch->files[index];
    struct result *r = &plan->results[index];
    auto_buf content = BUF_INIT;
    r->mode = S_IFREG | 0644;
    if (f->old_path) {
        int there = read_source(plan, index, f->old_path, &content, &r->mode, err);
        if (there < 0)
            return -1;
        /* The official agent makes such a file, so that a diff may bring all of it. */
        if (there == 0 && (f->kind != PATCH_MODIFY || !only_adds(f)))
            return reeve_error_set(err, 0, "there is no such file");
    }
    if (f->old_path && f->new_path && f->old_mode &&
        (f->old_mode & S_IFMT) != (r->mode & S_IFMT))
        return reeve_error_set(err, 0, "the file is of another kind");
    if (f->new_path && f->kind != PATCH_MODIFY &&
        check_target(plan, index, f->new_path, err) < 0)
        return -1;
    if ((f->binary ? patch_apply_binary(f, content.data, content.len, &r->content, err)
                   : change_text(plan, f, &content, r, err)) < 0)
        return -1;
    if (f->kind == PATCH_DELETE && r->content.len)
        return reeve_error_set(err, 0, "something is left of a file that is to go");
    if (f->new_mode)
        r->mode = f->new_mode;
    r->write = f->new_path;
    r->remove = f->kind == PATCH_DELETE || f->kind == PATCH_RENAME ? f->old_path : NULL;
    return 0;
}

static int check_paths(const struct patch_file *f, struct reeve_error *err)
{
    if ((f->old_path && !beneath_valid(f->old_path)) ||
        (f->new_path && !beneath_valid(f->new_path)))
        return reeve_error_set(err, 0, "the path leads out of the checkout");
    return 0;
}

static int plan_file(const struct plan *plan, size_t index, struct reeve_error *err)
{
    const struct patch_file *f = &plan->patch->files[index];
    if (check_paths(f, err) < 0)
        return -1;
    /* A submodule's commit: there is nothing of it in this tree to change. */
    if (is_gitlink(f))
        return 0;
    if (f->binary_missing)
        return reeve_error_set(err, 0,
                               "the diff does not hold this binary file's content");
    return plan_change(plan, index, err);
}

static int carry_out(const struct plan *plan, size_t *failed, struct reeve_error *err)
{
    size_t count = plan->patch->count;
    for (*failed = 0; *failed < count; ++*failed) {
        const struct result *r = &plan->results[*failed];
        if (r->remove && beneath_remove(plan->root, r->remove, err) < 0)
            return -1;
    }
    for (*failed = 0; *failed < count; ++*failed) {
        const struct result *r = &plan->results[*failed];
        if (r->write && beneath_write(plan->root, r->write, r->content.data,
                                      r->content.len, r->mode, err) < 0)
            return -1;
    }
    return 0;
}

static int apply(const struct plan *plan, size_t *failed, struct reeve_error *err)
{
    for (*failed = 0; *failed < plan->patch->count; ++*failed)
        if (plan_file(plan, *failed, err) < 0)
            return -1;
    return carry_out(plan, failed, err);
}

int patch_apply(git_repository *repo, const char *dir, const struct patch *p,
                struct reeve_error *err)
{
    auto_close root = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (root < 0)
        return reeve_error_set(err, errno, "open %s", dir);
    struct plan plan = {repo, root, p, xcalloc(p->count, sizeof(struct result))};
    size_t failed = 0;
    int result = apply(&plan, &failed, err);
    if (result < 0)
        reeve_error_wrap(err, "%.100s", patch_file_name(&p->files[failed]));
    for (size_t i = 0; i < p->count; i++)
        buf_free(&plan.results[i].content);
    free(plan.results);
    return result;
}
