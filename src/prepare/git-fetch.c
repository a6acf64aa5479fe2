/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "prepare/git-fetch.h"
#include "base/alloc.h"
#include "base/clock.h"
#include "prepare/git-error.h"
#include "prepare/report.h"
#include "prepare/watchdog.h"

#include <errno.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PROGRESS_MS 5000

struct fetch {
    const struct git_source *source;
    struct git_auth auth;
    int64_t next_line; /* when progress may be told again */
};

/* systemd gives its services none, and libgit2 then finds neither known_hosts nor
 * .gitconfig. */
static void set_home(void)
{
    const char *home = getenv("HOME");
    struct passwd *user = home && home[0] ? NULL : getpwuid(geteuid());
    if (user && user->pw_dir)
        setenv("HOME", user->pw_dir, 1);
}

void git_start(void)
{
    set_home();
    git_libgit2_init();
    const char *file = getenv("GIT_SSL_CAINFO"), *dir = getenv("SSL_CERT_DIR");
    if (!file || !file[0])
        file = getenv("SSL_CERT_FILE");
    if ((file && file[0]) || (dir && dir[0]))
        git_libgit2_opts(GIT_OPT_SET_SSL_CERT_LOCATIONS, file && file[0] ? file : NULL,
                         dir && dir[0] ? dir : NULL);
}

static int credentials_cb(git_credential **out, const char *url, const char *url_user,
                          unsigned allowed, void *payload)
{
    struct fetch *f = payload;
    (void)url;
    return git_auth_credentials(out, &f->auth, url_user, allowed);
}

static int certificate_cb(git_cert *cert, int valid, const char *host, void *payload)
{
    struct fetch *f = payload;
    return git_auth_check_host(&f->auth, cert, valid, host);
}

static int progress_cb(const git_indexer_progress *p, void *payload)
{
    struct fetch *f = payload;
    int64_t now = clock_boot_ms();
    if (now >= f->next_line) {
        f->next_line = now + PROGRESS_MS;
        report_line(f->source->report, "fetching: %u of %u objects, %.1f MiB",
                    p->received_objects, p->total_objects,
                    (double)p->received_bytes / (1 << 20));
    }
    return watchdog_feed();
}

static int sideband_cb(const char *text, int len, void *payload)
{
    (void)text, (void)len, (void)payload;
    return watchdog_feed();
}

static void set_options(git_fetch_options *o, struct fetch *f)
{
    git_fetch_options_init(o, GIT_FETCH_OPTIONS_VERSION);
    o->callbacks.credentials = credentials_cb;
    o->callbacks.certificate_check = certificate_cb;
    o->callbacks.transfer_progress = progress_cb;
    o->callbacks.sideband_progress = sideband_cb;
    o->callbacks.payload = f;
    /* FETCH_HEAD would hold the URL. */
    o->update_fetchhead = 0;
    o->download_tags = GIT_REMOTE_DOWNLOAD_TAGS_NONE;
    o->proxy_opts.type = GIT_PROXY_AUTO;
#if LIBGIT2_VER_MAJOR > 1 || LIBGIT2_VER_MINOR >= 4
    /* The credentials' callback is not told where a redirect led to. */
    bool secret = (f->auth.url->user[0] && f->auth.url->pass[0]) ||
                  git_identity_find(f->auth.identity, f->auth.url, NULL);
    o->follow_redirects =
        secret ? GIT_REMOTE_REDIRECT_NONE : GIT_REMOTE_REDIRECT_INITIAL;
#endif
}

static int explain(const struct fetch *f, bool timed_out, struct reeve_error *err)
{
    if (timed_out)
        return reeve_error_set(err, 0, "fetch %s: no answer in time", f->source->shown);
    if (f->auth.refusal[0])
        return reeve_error_set(err, 0, "fetch %s: %s", f->source->shown,
                               f->auth.refusal);
    return git_error_to(err, "fetch %s", f->source->shown);
}

/* As git_remote_fetch does, but what is gone goes first: a branch "a" would stand in
 * the way of a new branch "a/b". */
static int transfer(git_remote *remote, const git_strarray *refspecs, bool prune,
                    const git_fetch_options *options)
{
    if (git_remote_download(remote, refspecs, options) < 0)
        return -1;
    git_remote_disconnect(remote);
    if (prune && git_remote_prune(remote, &options->callbacks) < 0)
        return -1;
    return git_remote_update_tips(remote, &options->callbacks, 0,
                                  GIT_REMOTE_DOWNLOAD_TAGS_NONE, NULL);
}

static int fetch(git_repository *repo, const struct git_source *source,
                 const git_strarray *refspecs, bool prune, struct reeve_error *err)
{
    struct fetch f = {
        .source = source,
        .auth = {.url = source->url, .identity = source->identity},
        .next_line = clock_boot_ms() + PROGRESS_MS,
    };
    git_remote *remote = NULL;
    /* libgit2 says "unsupported URL protocol" to a path that is not there. */
    const char *path = source->url->fetch;
    if (source->url->kind == GIT_URL_FILE && path[0] == '/' && access(path, R_OK) < 0)
        return reeve_error_set(err, errno, "fetch %s", source->shown);
    if (git_remote_create_anonymous(&remote, repo, source->url->fetch) < 0)
        return git_error_to(err, "fetch %s", source->shown);
    git_fetch_options options;
    set_options(&options, &f);
    git_error_clear();
    watchdog_start(source->report, source->stall_ms, source->total_ms);
    int failed = transfer(remote, refspecs, prune, &options);
    bool timed_out = watchdog_stop();
    int result = failed < 0 ? explain(&f, timed_out, err) : 0;
    git_remote_free(remote);
    return result;
}

int git_fetch_all(git_repository *repo, const struct git_source *source,
                  struct reeve_error *err)
{
    char *specs[] = {"+refs/heads/*:refs/remotes/origin/*", "+refs/tags/*:refs/tags/*",
                     "+HEAD:refs/remotes/origin/HEAD"};
    git_strarray list = {specs, ARRAY_SIZE(specs)};
    return fetch(repo, source, &list, true, err);
}

int git_fetch_commit(git_repository *repo, const struct git_source *source,
                     const char *id, struct reeve_error *err)
{
    auto_free char *spec = xasprintf("+%s:refs/reeve/%s", id, id);
    git_strarray list = {&spec, 1};
    return fetch(repo, source, &list, false, err);
}
