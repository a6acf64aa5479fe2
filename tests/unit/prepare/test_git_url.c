/* SPDX-License-Identifier: Apache-2.0 */
#include "../unit.h"

#include "base/alloc.h"
#include "prepare/git-url.h"

static const struct {
    const char *text;
    enum git_url_kind kind;
    const char *fetch, *user, *pass, *host, *name, *shown;
} sound[] = {
    {"https://github.com/org/repo.git", GIT_URL_HTTPS,
     "https://github.com/org/repo.git", "", "", "github.com", "repo",
     "https://github.com/org/repo.git"},
    {"https://user:s%40cret@host:8443/a/b", GIT_URL_HTTPS, "https://host:8443/a/b",
     "user", "s@cret", "host", "b", "https://host:8443/a/b"},
    {"https://tok3n@host/r.git/", GIT_URL_HTTPS, "https://host/r.git/", "tok3n", "",
     "host", "r", "https://host/r.git/"},
    {"http://u:p@w@h/r", GIT_URL_HTTP, "http://h/r", "u", "p@w", "h", "r",
     "http://h/r"},
    {"ssh://git@host:2222/team/my repo.git", GIT_URL_SSH,
     "ssh://git@host:2222/team/my repo.git", "git", "", "host", "my_repo",
     "ssh://git@host:2222/team/my repo.git"},
    {"ssh://git:pw@host/r", GIT_URL_SSH, "ssh://git@host/r", "git", "pw", "host", "r",
     "ssh://host/r"},
    {"git@github.com:org/repo.git", GIT_URL_SSH, "git@github.com:org/repo.git", "git",
     "", "github.com", "repo", "git@github.com:org/repo.git"},
    {"host:repo", GIT_URL_SSH, "host:repo", "", "", "host", "repo", "host:repo"},
    {"http://[::1]:8000/r", GIT_URL_HTTP, "http://[::1]:8000/r", "", "", "[::1]", "r",
     "http://[::1]:8000/r"},
    {"file:///srv/git/x.git", GIT_URL_FILE, "file:///srv/git/x.git", "", "", "", "x",
     "file:///srv/git/x.git"},
    {"file://localhost/x", GIT_URL_FILE, "file:///x", "", "", "", "x",
     "file://localhost/x"},
    {"/srv/git/..", GIT_URL_FILE, "/srv/git/..", "", "", "", "repository",
     "/srv/git/.."},
    {"https://h/r?access_token=abc", GIT_URL_HTTPS, "https://h/r?access_token=abc", "",
     "", "h", "r", "https://h/r?..."},
};

static void test_sound(void **state)
{
    for (size_t i = 0; i < ARRAY_SIZE(sound); i++) {
        struct git_url u;
        assert_int_equal(git_url_parse(sound[i].text, &u, NULL), 0);
        assert_int_equal(u.kind, sound[i].kind);
        assert_string_equal(u.fetch, sound[i].fetch);
        assert_string_equal(u.user, sound[i].user);
        assert_string_equal(u.pass, sound[i].pass);
        assert_string_equal(u.host, sound[i].host);
        assert_string_equal(u.name, sound[i].name);
        git_url_free(&u);
        auto_free char *shown = git_url_shown_dup(sound[i].text);
        assert_string_equal(shown, sound[i].shown);
    }
}

static void test_refused(void **state)
{
    static const char *const bad[] = {
        "",
        "relative/path",
        "../up",
        "ext::sh -c 'touch x'",
        "fd::3",
        "ftp://host/x",
        "https:///path",
        "https://host:80a/x",
        "https://-oProxyCommand=x/x",
        "ssh://-oProxyCommand=x/x",
        "-oProxyCommand=x:y",
        "-u@host:y",
        "host:",
        "https://ho\nst/x",
        "https://host/\x01",
        "file://other-host/x",
        "https://ho st/x",
    };
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        struct git_url u;
        struct reeve_error err;
        assert_int_equal(git_url_parse(bad[i], &u, &err), -1);
        assert_null(u.fetch);
    }
}

/* An unescaped slash in a password makes an invalid URL, which is shown all the same.
 */
static void test_invalid_is_shown_without_password(void **state)
{
    auto_free char *shown = git_url_shown_dup("https://user:pa/ss@host/x");
    assert_string_equal(shown, "https://host/x");
    auto_free char *at = git_url_shown_dup("https://host:8080/x@y");
    assert_string_equal(at, "https://host:8080/x@y");
}

static void test_https_for_ssh(void **state)
{
    static const char *const pairs[][2] = {
        {"git@github.com:org/repo.git", "https://github.com/org/repo.git"},
        {"git@host:/abs/repo", "https://host/abs/repo"},
        {"ssh://git@host:7999/p/r.git", "https://host/p/r.git"},
    };
    struct git_url u;
    for (size_t i = 0; i < ARRAY_SIZE(pairs); i++) {
        assert_int_equal(git_url_parse(pairs[i][0], &u, NULL), 0);
        auto_free char *https = git_url_web_dup(&u, "https");
        assert_string_equal(https, pairs[i][1]);
        git_url_free(&u);
    }
}

static void test_ssh_for_https(void **state)
{
    static const struct {
        const char *from, *user;
        int port;
        const char *to;
    } rows[] = {
        {"https://host/org/repo.git", "", 0, "ssh://git@host/org/repo.git"},
        {"https://u:p@host:8443/org/repo.git", "me", 22,
         "ssh://me@host:22/org/repo.git"},
        {"git@host:org/repo.git", "", 7999, "ssh://git@host:7999/org/repo.git"},
        {"ssh://x@host:22/r.git", "y", 0, "ssh://y@host/r.git"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct git_url u;
        assert_int_equal(git_url_parse(rows[i].from, &u, NULL), 0);
        auto_free char *ssh = git_url_ssh_dup(&u, rows[i].user, rows[i].port);
        assert_string_equal(ssh, rows[i].to);
        git_url_free(&u);
    }
}

static void test_submodules_stay_remote(void **state)
{
    struct git_url remote, file, ssh;
    assert_int_equal(git_url_parse("https://host/x", &remote, NULL), 0);
    assert_int_equal(git_url_parse("/srv/x", &file, NULL), 0);
    assert_int_equal(git_url_parse("git@host:x", &ssh, NULL), 0);
    assert_false(git_url_may_lead_to(&remote, &file));
    assert_false(git_url_may_lead_to(&ssh, &file));
    assert_true(git_url_may_lead_to(&remote, &ssh));
    assert_true(git_url_may_lead_to(&file, &file));
    git_url_free(&remote);
    git_url_free(&file);
    git_url_free(&ssh);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sound),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_invalid_is_shown_without_password),
        cmocka_unit_test(test_https_for_ssh),
        cmocka_unit_test(test_ssh_for_https),
        cmocka_unit_test(test_submodules_stay_remote),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
