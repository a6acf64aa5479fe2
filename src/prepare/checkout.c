/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "prepare/checkout.h"
#include "base/alloc.h"
#include "base/file.h"
#include "prepare/git-cache.h"
#include "prepare/git-error.h"
#include "prepare/git-worktree.h"
#include "prepare/patch-apply.h"

#include <limits.h>
#include <string.h>

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

/* A user and password are of no use to ssh; the official agent goes over to https, or
 * to ssh where it is told to. */
static int choose_way(struct repository *repo, const struct report *r,
                      struct reeve_error *err)
{
    const char *why;
    auto_free char *other = git_identity_way_dup(&repo->identity, &repo->url, &why);
    if (!other)
        return 0;
    report_line(r, "%s '%s' with %s url '%s'", why, repo->shown,
                strncmp(other, "ssh:", 4) == 0 ? "ssh" : "https", other);
    git_url_free(&repo->url);
    free(repo->text);
    free(repo->shown);
    repo->text = xstrdup(other);
    repo->shown = xstrdup(other);
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
    git_identity_read(spec->git, &repo->identity);
    repo->text = xstrdup(spec->repository);
    repo->shown = git_url_shown_dup(spec->repository);
    if (choose_way(repo, r, err) < 0) {
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

bool checkout_available(void)
{
    return true;
}

int checkout_make(const struct spec *spec, struct report *r, const char *work,
                  char **root, struct reeve_error *err)
{
    git_start();
    if (clone_repository(spec, r, work, root, err) < 0)
        return -1;
    if (!spec->diff[0] || !patch_is_diff(spec->diff))
        return 0;
    return apply_diff(spec, r, *root, err);
}
