/* SPDX-License-Identifier: Apache-2.0 */
#include "../unit.h"

#include "base/alloc.h"
#include "loop/proxy.h"
#include "loop/trust.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *const names[] = {
    "http_proxy",   "HTTP_PROXY",     "https_proxy",        "HTTPS_PROXY",
    "all_proxy",    "ALL_PROXY",      "no_proxy",           "NO_PROXY",
    "SSL_CERT_DIR", "CURL_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE"};

static int clean(void **state)
{
    for (size_t i = 0; i < ARRAY_SIZE(names); i++)
        unsetenv(names[i]);
    return 0;
}

static void expect(const char *url, const char *proxy)
{
    auto_free char *found = proxy_for_url_dup(url);
    if (proxy)
        assert_string_equal(found ? found : "(none)", proxy);
    else
        assert_null(found);
}

static void test_by_scheme(void **state)
{
    expect("http://api:8008", NULL);
    setenv("HTTP_PROXY", "http://plain:1", 1);
    setenv("https_proxy", "http://tls:2", 1);
    expect("http://api:8008", "http://plain:1");
    expect("https://api", "http://tls:2");
    setenv("ALL_PROXY", "socks5://all:3", 1);
    unsetenv("HTTP_PROXY");
    expect("HTTP://api", "socks5://all:3");
    expect("HTTPS://api", "http://tls:2");
}

static void test_lower_case_wins(void **state)
{
    setenv("HTTP_PROXY", "http://upper:1", 1);
    setenv("http_proxy", "http://lower:1", 1);
    expect("http://api", "http://lower:1");
    setenv("http_proxy", "", 1);
    expect("http://api", NULL);
    setenv("all_proxy", "http://all:1", 1);
    expect("http://api", "http://all:1");
}

/* What Python's requests 2.32 (should_bypass_proxies) says to each. */
static void test_no_proxy(void **state)
{
    static const struct {
        const char *list, *url;
        bool bypassed;
    } cases[] = {
        {"*", "http://api", true},
        {"*,x", "http://api", false},
        {"example.com", "http://api.example.com:8008", true},
        {"example.com", "http://example.com", true},
        {".example.com", "http://example.com", true},
        {".example.com", "http://api.example.com", true},
        {"ample.com", "http://example.com", true},
        {"example.com", "http://example.com.other", false},
        {"EXAMPLE.com", "http://Example.COM", true},
        {"other, example.com ", "http://example.com", true},
        {"example.com:8008", "http://example.com:8008", true},
        {"example.com:8008", "http://example.com:8080", false},
        {"example.com:8008", "http://example.com", false},
        {"10.0.0.0/8", "http://10.1.2.3:8008", true},
        {"10.0.0.0/8", "http://11.1.2.3:8008", false},
        {"10.1.2.3/32", "http://10.1.2.3", true},
        {"10.0.0.0/33", "http://10.0.0.1", false},
        {"10.0.0.0/0", "http://10.0.0.1", false},
        {"10.0.0.0/", "http://10.0.0.1", false},
        {"127.0.0.1", "http://user:pass@127.0.0.1:8008/base", true},
        {"127.0.0.1", "http://127.0.0.11", false},
        {"::1", "http://[::1]:8008", true},
        {"localhost", "http://[::1]:8008", false},
        {"api", "http://proxy/api", false},
        {",,", "http://api", false},
    };
    setenv("HTTP_PROXY", "http://p", 1);
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        setenv("NO_PROXY", cases[i].list, 1);
        expect(cases[i].url, cases[i].bypassed ? NULL : "http://p");
    }
    setenv("no_proxy", "first", 1);
    setenv("NO_PROXY", "second", 1);
    expect("http://first", NULL);
    expect("http://second", "http://p");
}

static void check_trust(bool verify, const char *path, const char *file,
                        const char *folder, const char *source)
{
    struct trust t;
    trust_choose(&t, verify, path);
    assert_int_equal(t.verify, verify);
    assert_string_equal(t.file ? t.file : "-", file);
    assert_string_equal(t.folder ? t.folder : "-", folder);
    assert_string_equal(t.source ? t.source : "-", source);
    trust_clear(&t);
}

static void test_trust(void **state)
{
    check_trust(true, NULL, "-", "-", "-");
    setenv("SSL_CERT_DIR", "/", 1);
    check_trust(true, NULL, "-", "/", "SSL_CERT_DIR");
    setenv("SSL_CERT_FILE", "/a.pem", 1);
    check_trust(true, NULL, "/a.pem", "-", "SSL_CERT_FILE");
    check_trust(true, "/conf.pem", "/conf.pem", "-", "api.verify_certificate");
    setenv("CURL_CA_BUNDLE", "/b.pem", 1);
    check_trust(true, "/conf.pem", "/b.pem", "-", "CURL_CA_BUNDLE");
    setenv("REQUESTS_CA_BUNDLE", "/", 1);
    check_trust(true, "/conf.pem", "-", "/", "REQUESTS_CA_BUNDLE");
    check_trust(false, "/conf.pem", "-", "-", "-");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_by_scheme, clean),
        cmocka_unit_test_setup(test_lower_case_wins, clean),
        cmocka_unit_test_setup(test_no_proxy, clean),
        cmocka_unit_test_setup_teardown(test_trust, clean, clean),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
