/* SPDX-License-Identifier: Apache-2.0 */
#include "../unit.h"

#include "base/alloc.h"
#include "cli/hosts.h"

#include <stdlib.h>
#include <string.h>

static void check_url(const char *text, const char *expected)
{
    auto_free char *url = host_url_dup(text, NULL);
    assert_non_null(url);
    assert_string_equal(url, expected);
}

static void test_urls(void **state)
{
    check_url("http://host:8080", "http://host:8080");
    check_url("https://app.example.com//", "https://app.example.com");
    check_url("host:8008", "http://host:8008");
    check_url("app.example.com", "https://app.example.com");
    check_url("http://[::1]:8080/base/", "http://[::1]:8080/base");
}

static void test_no_urls(void **state)
{
    char longer[4096];
    memset(longer, 'a', sizeof longer - 1);
    longer[sizeof longer - 1] = '\0';
    const char *const texts[] = {"",           "/",      "http://",      "ftp://host",
                                 "://",        ":",      "http:///path", "ho st",
                                 "host\"name", "host\n", "http://?q",    longer};
    for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
        struct reeve_error err = {0};
        assert_null(host_url_dup(texts[i], &err));
        assert_true(err.text[0]);
    }
}

static void check_hosts(const char *api, const char *web, const char *files,
                        const char *expected)
{
    struct hosts h = {api ? xstrdup(api) : NULL, web ? xstrdup(web) : NULL,
                      files ? xstrdup(files) : NULL};
    hosts_complete(&h);
    auto_free char *got = xasprintf("%s %s %s", h.api ? h.api : "-",
                                    h.web ? h.web : "-", h.files ? h.files : "-");
    assert_string_equal(got, expected);
    hosts_free(&h);
}

static void test_the_others(void **state)
{
    check_hosts(NULL, "http://host:8080", NULL,
                "http://host:8008 http://host:8080 http://host:8081");
    check_hosts("http://host:8008/x", NULL, NULL,
                "http://host:8008/x http://host:8080/x http://host:8081/x");
    check_hosts(NULL, "https://app.clear.ml", NULL,
                "https://api.clear.ml https://app.clear.ml https://files.clear.ml");
    check_hosts("https://api.a.b/", NULL, "https://elsewhere",
                "https://api.a.b/ https://app.a.b/ https://elsewhere");
    check_hosts("http://[::1]:8008", NULL, NULL,
                "http://[::1]:8008 http://[::1]:8080 http://[::1]:8081");
    check_hosts("http://[::8008]", NULL, NULL, "http://[::8008] - -");
    check_hosts("http://host:80080", NULL, NULL, "http://host:80080 - -");
    check_hosts("https://host/app.x:8008", NULL, NULL, "https://host/app.x:8008 - -");
    check_hosts(NULL, NULL, NULL, "- - -");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_urls),
        cmocka_unit_test(test_no_urls),
        cmocka_unit_test(test_the_others),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
