/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "prepare/git-cache.h"
#include "base/alloc.h"
#include "base/clock.h"
#include "base/fd.h"
#include "base/file.h"
#include "base/digest.h"
#include "prepare/git-error.h"
#include "prepare/report.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>

#define LOCK_WAIT_MS (15 * 60 * 1000)
#define LOCK_POLL_MS 50

enum found { FOUND, MISSING, DAMAGED };

static void auto_repository_cleanup(git_repository **repo)
{
    git_repository_free(*repo);
}
#define auto_repository __attribute__((cleanup(auto_repository_cleanup))) git_repository

/* What another user may write, he may fill with other code than the server has. */
static int check_folder(const char *path, struct reeve_error *err)
{
    struct stat st;
    if (lstat(path, &st) < 0)
        return reeve_error_set(err, errno, "cache folder %s", path);
    if (!S_ISDIR(st.st_mode))
        return reeve_error_set(err, ENOTDIR, "cache folder %s", path);
    if (st.st_uid != geteuid())
        return reeve_error_set(err, 0, "cache folder %s belongs to another user", path);
    if (st.st_mode & 022)
        return reeve_error_set(err, 0, "cache folder %s can be written by other users",
                               path);
    return 0;
}

static int take_lock(const char *path, const struct git_source *source,
                     struct reeve_error *err)
{
    auto_close fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return reeve_error_set(err, errno, "open %s", path);
    int64_t end = clock_boot_ms() + LOCK_WAIT_MS;
    for (bool told = false; flock(fd, LOCK_EX | LOCK_NB) < 0; told = true) {
        if (errno != EWOULDBLOCK && errno != EINTR)
            return reeve_error_set(err, errno, "lock %s", path);
        if (clock_boot_ms() > end)
            return reeve_error_set(err, ETIMEDOUT, "lock %s", path);
        if (!told)
            report_line(source->report, "waiting for another run that fetches %s",
                        source->shown);
        nanosleep(&(struct timespec){.tv_nsec = LOCK_POLL_MS * 1000000L}, NULL);
    }
    return fd_take(&fd);
}

static int set_aside(const char *path, const struct git_source *source,
                     struct reeve_error *err)
{
    auto_free char *bad = xasprintf("%s.bad", path);
    if (dir_remove_tree(bad, err) < 0)
        return -1;
    if (rename(path, bad) < 0 && errno != ENOENT)
        return reeve_error_set(err, errno, "set aside %s", path);
    report_line(source->report,
                "the cached copy of %s is damaged: set aside, made anew",
                source->shown);
    return 0;
}

static int open_or_make(const char *path, const struct git_source *source,
                        git_repository **out, struct reeve_error *err)
{
    struct stat st;
    if (lstat(path, &st) == 0) {
        if (git_repository_open_bare(out, path) == 0)
            return 0;
        if (set_aside(path, source, err) < 0)
            return -1;
    }
    if (git_repository_init(out, path, 1) < 0)
        return git_error_to(err, "make %s", path);
    return 0;
}

static bool is_hex(const char *s)
{
    size_t n = strlen(s);
    return n >= 4 && n <= GIT_OID_HEXSZ && strspn(s, "0123456789abcdefABCDEF") == n;
}

static enum found peel(git_object *object, git_oid *out)
{
    git_object *commit = NULL, *tree = NULL;
    enum found found = MISSING;
    if (git_object_peel(&commit, object, GIT_OBJECT_COMMIT) == 0) {
        found = git_commit_tree((git_tree **)&tree, (git_commit *)commit) == 0
                    ? FOUND
                    : DAMAGED;
        git_oid_cpy(out, git_object_id(commit));
    }
    git_object_free(tree);
    git_object_free(commit);
    git_object_free(object);
    return found;
}

static enum found find_id(git_repository *repo, const char *id, git_oid *out)
{
    git_oid prefix;
    git_object *object = NULL;
    if (!is_hex(id) || git_oid_fromstrn(&prefix, id, strlen(id)) < 0)
        return MISSING;
    int result =
        git_object_lookup_prefix(&object, repo, &prefix, strlen(id), GIT_OBJECT_ANY);
    if (result == 0)
        return peel(object, out);
    return result == GIT_ENOTFOUND || result == GIT_EAMBIGUOUS ? MISSING : DAMAGED;
}

static enum found find_ref(git_repository *repo, const char *prefix, const char *name,
                           git_oid *out)
{
    auto_free char *ref = xasprintf("%s%s", prefix, name);
    git_oid id;
    git_object *object = NULL;
    if (git_reference_name_to_id(&id, repo, ref) < 0)
        return MISSING;
    if (git_object_lookup(&object, repo, &id, GIT_OBJECT_ANY) < 0)
        return DAMAGED;
    return peel(object, out);
}

static enum found find_branch(git_repository *repo, const char *name, git_oid *out)
{
    static const char *const prefixes[] = {"refs/heads/", "refs/remotes/origin/",
                                           "remotes/origin/", "origin/"};
    enum found found = find_ref(repo, "refs/remotes/origin/", name, out);
    for (size_t i = 0; found == MISSING && i < ARRAY_SIZE(prefixes); i++) {
        size_t n = strlen(prefixes[i]);
        if (strncmp(name, prefixes[i], n) == 0)
            found = find_ref(repo, "refs/remotes/origin/", name + n, out);
    }
    return found;
}

static enum found find_default(git_repository *repo, git_oid *out)
{
    static const char *const names[] = {"HEAD", "master", "main"};
    enum found found = MISSING;
    for (size_t i = 0; found == MISSING && i < ARRAY_SIZE(names); i++)
        found = find_ref(repo, "refs/remotes/origin/", names[i], out);
    return found;
}

static enum found find_tag(git_repository *repo, const char *name, git_oid *out)
{
    if (strncmp(name, "refs/tags/", 10) == 0)
        name += 10;
    return find_ref(repo, "refs/tags/", name, out);
}

static enum found find_wanted(git_repository *repo, const struct git_wanted *w,
                              git_oid *out)
{
    enum found found;
    if (w->commit[0]) {
        found = find_id(repo, w->commit, out);
        /* `git checkout` takes names there too, and so do people. */
        if (found == MISSING)
            found = find_tag(repo, w->commit, out);
        return found == MISSING ? find_branch(repo, w->commit, out) : found;
    }
    if (w->tag[0])
        return find_tag(repo, w->tag, out);
    return w->branch[0] ? find_branch(repo, w->branch, out) : find_default(repo, out);
}

/* What the server knows we have, it does not send again; so a branch whose commit is
 * not there after a fetch is damage. */
static bool is_sound(git_repository *repo)
{
    git_odb *odb = NULL;
    git_reference_iterator *it = NULL;
    git_reference *ref = NULL;
    bool sound = git_repository_odb(&odb, repo) == 0 &&
                 git_reference_iterator_glob_new(&it, repo, "refs/remotes/*") == 0;
    while (sound && git_reference_next(&ref, it) == 0) {
        const git_oid *id = git_reference_target(ref);
        sound = !id || git_odb_exists(odb, id) == 1;
        git_reference_free(ref);
    }
    git_reference_iterator_free(it);
    git_odb_free(odb);
    return sound;
}

static int tell_missing(const struct git_source *source, const struct git_wanted *w,
                        struct reeve_error *err)
{
    const char *what = w->commit[0] ? "commit" : w->tag[0] ? "tag" : "branch";
    const char *name = w->commit[0] ? w->commit : w->tag[0] ? w->tag : w->branch;
    if (!name[0])
        return reeve_error_set(err, 0, "%s has no HEAD, master or main branch",
                               source->shown);
    return reeve_error_set(err, 0, "%s %.80s does not exist in %.100s; was it pushed?",
                           what, name, source->shown);
}

/* With the lock held. 1 asks for another try with a new repository. */
static int get_locked(git_repository *repo, const struct git_source *source,
                      const struct git_wanted *w, git_oid *commit,
                      struct reeve_error *err)
{
    bool fresh = git_repository_is_empty(repo) == 1;
    if (!fresh)
        report_line(source->report, "Using cached repository in \"%s\"",
                    git_repository_path(repo));
    /* An id never moves; a name may. */
    enum found found = fresh ? MISSING : find_id(repo, w->commit, commit);
    if (found != MISSING)
        return found == DAMAGED;
    report_line(source->report, "%s: %s", fresh ? "cloning" : "pulling git",
                source->shown);
    if (git_fetch_all(repo, source, err) < 0)
        /* What fails in a repository that was just made fails for another reason. */
        return !fresh && git_error_is_damage() ? 1 : -1;
    found = find_wanted(repo, w, commit);
    if (found == MISSING && is_hex(w->commit) && strlen(w->commit) == GIT_OID_HEXSZ) {
        struct reeve_error ignored;
        if (git_fetch_commit(repo, source, w->commit, &ignored) == 0)
            found = find_wanted(repo, w, commit);
    }
    if (found == MISSING && !is_sound(repo))
        found = DAMAGED;
    if (found == DAMAGED)
        reeve_error_set(err, 0, "the copy of %s is damaged", source->shown);
    return found == FOUND ? 0 : found == DAMAGED ? 1 : tell_missing(source, w, err);
}

static int get_once(const char *path, const struct git_source *source,
                    const struct git_wanted *wanted, git_oid *commit,
                    struct reeve_error *err)
{
    auto_repository *repo = NULL;
    if (open_or_make(path, source, &repo, err) < 0)
        return -1;
    return get_locked(repo, source, wanted, commit, err);
}

/* A remote that fails in a way that looks like damage must not cost what we have. */
static void put_back(const char *path)
{
    auto_free char *bad = xasprintf("%s.bad", path);
    if (dir_remove_tree(path, NULL) == 0)
        (void)!rename(bad, path);
}

static int get_in(const char *path, const struct git_source *source,
                  const struct git_wanted *wanted, bool again, git_oid *commit,
                  struct reeve_error *err)
{
    int result = again ? 1 : get_once(path, source, wanted, commit, err);
    if (result <= 0)
        return result;
    if (set_aside(path, source, err) < 0)
        return -1;
    if (get_once(path, source, wanted, commit, err) == 0)
        return 0;
    put_back(path);
    return -1;
}

int git_cache_get(const char *cache_dir, const char *url_text,
                  const struct git_source *source, const struct git_wanted *wanted,
                  bool again, char **path, git_oid *commit, struct reeve_error *err)
{
    auto_free char *dir = path_join_dup(cache_dir, "git");
    if (dir_make(dir, 0700, err) < 0 || check_folder(dir, err) < 0)
        return -1;
    char hash[SHA256_HEX_SIZE];
    sha256_hex(url_text, strlen(url_text), hash);
    auto_free char *lock_path = xasprintf("%s/%s.lock", dir, hash);
    auto_free char *repo_path = xasprintf("%s/%s.git", dir, hash);
    auto_close lock = take_lock(lock_path, source, err);
    if (lock < 0 || get_in(repo_path, source, wanted, again, commit, err) < 0)
        return -1;
    *path = steal(&repo_path);
    return 0;
}
