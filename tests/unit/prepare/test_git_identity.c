/* SPDX-License-Identifier: Apache-2.0 */
#include "../unit.h"

#include "base/alloc.h"
#include "base/json.h"
#include "prepare/git-identity.h"

#include <string.h>

/* "user:pass" that the address's server would see, or "". */
static char *login_dup(const char *git, const char *address)
{
    auto_json *doc = json_parse(git, strlen(git), NULL);
    struct git_identity id;
    struct git_login login;
    struct git_url url;
    assert_non_null(doc);
    git_identity_read(doc, &id);
    assert_int_equal(git_url_parse(address, &url, NULL), 0);
    bool found = git_identity_find(&id, &url, &login);
    char *text = found ? xasprintf("%s:%s", login.user, login.pass) : xstrdup("");
    git_url_free(&url);
    return text;
}

static void check_login(const char *git, const char *address, const char *expected)
{
    auto_free char *got = login_dup(git, address);
    assert_string_equal(got, expected);
}

static void test_user_and_password_by_host(void **state)
{
    static const char any[] = "{\"user\":\"u\",\"pass\":\"p\"}";
    static const char one[] = "{\"user\":\"u\",\"pass\":\"p\",\"host\":\"GitHub.com\"}";
    check_login(any, "https://anywhere/x", "u:p");
    check_login(any, "file:///srv/x", "");
    check_login("{\"user\":\"u\"}", "https://anywhere/x", "");
    check_login(one, "https://github.com/x", "u:p");
    check_login(one, "git@github.com:x", "u:p");
    check_login(one, "https://github.com.elsewhere/x", "");
    check_login("{}", "https://anywhere/x", "");
}

static void test_extra_credentials_come_first(void **state)
{
    static const char git[] = "{\"user\":\"u\",\"pass\":\"p\",\"extra_credentials\":["
                              "{\"user\":\"no\",\"host\":\"a\"},7,"
                              "{\"username\":\"x\",\"password\":\"y\",\"host\":\"a\"},"
                              "{\"user\":\"z\",\"pass\":\"z\",\"host\":\"a\"}]}";
    check_login(git, "https://a/r", "x:y");
    check_login(git, "https://b/r", "u:p");
}

static void test_host_as_prefix(void **state)
{
    static const char git[] =
        "{\"host_match_prefix\":true,\"extra_credentials\":["
        "{\"user\":\"o\",\"pass\":\"1\",\"host\":\"https://h/org\"},"
        "{\"user\":\"s\",\"pass\":\"2\",\"host\":\"h:org\"},"
        "{\"user\":\"h\",\"pass\":\"3\",\"host\":\"https://h\"}]}";
    check_login(git, "https://h/org/r.git", "o:1");
    check_login(git, "https://h/other", "h:3");
    check_login(git, "https://h:8443/other", "h:3");
    check_login(git, "git@h:org/r.git", "s:2");
    /* A name that only begins so is another host. */
    check_login(git, "https://h.elsewhere/org", "");
    check_login(git, "http://h/org", "");
}

static void check_way(const char *git, const char *address, const char *expected)
{
    auto_json *doc = json_parse(git, strlen(git), NULL);
    struct git_identity id;
    struct git_url url;
    const char *why = NULL;
    git_identity_read(doc, &id);
    assert_int_equal(git_url_parse(address, &url, NULL), 0);
    auto_free char *other = git_identity_way_dup(&id, &url, &why);
    if (expected)
        assert_string_equal(other, expected);
    else
        assert_null(other);
    assert_true(!other == !why);
    git_url_free(&url);
}

static void test_ways(void **state)
{
    check_way("{\"user\":\"u\",\"pass\":\"p\"}", "git@h:o/r", "https://h/o/r");
    check_way("{\"user\":\"u\",\"pass\":\"p\",\"scheme\":\"http\"}", "git@h:o/r",
              "http://h/o/r");
    check_way("{\"user\":\"u\",\"pass\":\"p\",\"translate_ssh\":false}", "git@h:o/r",
              NULL);
    check_way("{}", "git@h:o/r", NULL);
    check_way("{\"user\":\"u\",\"pass\":\"p\"}", "https://h/o/r", NULL);
    check_way("{\"force_ssh\":true}", "https://h:8443/o/r", "ssh://git@h/o/r");
    check_way("{\"force_ssh\":true,\"ssh_port\":22,\"ssh_user\":\"me\"}",
              "https://h/o/r", "ssh://me@h:22/o/r");
    check_way("{\"force_ssh\":true,\"host\":\"g\"}", "https://h/o/r", NULL);
    check_way("{\"force_ssh\":true,\"user\":\"u\",\"pass\":\"p\"}", "git@h:o/r", NULL);
    check_way("{\"force_ssh\":true,\"ssh_port\":7}", "git@h:o/r", "ssh://git@h:7/o/r");
    check_way("{\"force_ssh\":true}", "http://h/o/r", NULL);
    check_way("{\"force_ssh\":true}", "/srv/r", NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_user_and_password_by_host),
        cmocka_unit_test(test_extra_credentials_come_first),
        cmocka_unit_test(test_host_as_prefix),
        cmocka_unit_test(test_ways),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
