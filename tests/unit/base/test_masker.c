/* SPDX-License-Identifier: Apache-2.0 */
#include "../unit.h"

#include "base/masker.h"

#include "base/buf.h"

#include <stdio.h>
#include <string.h>

static struct masker *make(const char *lines)
{
    struct masker *m = masker_create();
    masker_load(m, lines, strlen(lines));
    return m;
}

static void hides(const char *lines, const char *text, const char *want)
{
    struct masker *m = make(lines);
    char line[512];
    strcpy(line, text);
    line[masker_apply(m, line, strlen(line))] = '\0';
    assert_string_equal(line, want);
    masker_destroy(m);
}

static void test_values(void **state)
{
    hides("v hunter22\n", "the word hunter22, and hunter22", "the word ****, and ****");
    hides("v hunter22", "hunter22", "****");
    hides("v hunter22\n", "hunter2 is shorter", "hunter2 is shorter");
    hides("v abc\n", "abc is too short", "abc is too short");
    hides("v abcdefg\nv efghij\n", "1abcdefghij2", "1****2");
    hides("v abcd\nv abcdefgh\n", "abcdefgh abcdx", "**** ****x");
    hides("v one two\n", "say one two three", "say **** three");
    hides("", "nothing to hide", "nothing to hide");
    /* Several lines, as of a key, and one of more than a piece. */
    struct masker *m = masker_create();
    masker_add_value(m, "first line\r\nsecond line", 23);
    char text[8192] = "a second line of it", longer[4000];
    text[masker_apply(m, text, strlen(text))] = '\0';
    assert_string_equal(text, "a **** of it");
    for (size_t i = 0; i < sizeof longer; i++)
        longer[i] = (char)('!' + i * i % 90);
    masker_add_value(m, longer, sizeof longer);
    memcpy(text, longer, sizeof longer);
    assert_true(masker_apply(m, text, sizeof longer) < 20);
    masker_destroy(m);
    assert_int_equal(masker_apply(NULL, text, 7), 7);
}

static void test_urls(void **state)
{
    hides("", "git clone https://user:pw1234@host/x.git ok",
          "git clone https://user:****@host/x.git ok");
    hides("", "https://ghp_token@github.com/a", "https://****@github.com/a");
    hides("", "HTTPS://ghp_token@github.com/a", "HTTPS://****@github.com/a");
    hides("", "https://ghp_token:x-oauth-basic@github.com",
          "https://****:x-oauth-basic@github.com");
    hides("", "https://ghp_token:@github.com", "https://****:@github.com");
    hides("", "ssh://git@github.com/a", "ssh://git@github.com/a");
    hides("", "postgres://u:p@ss@db/x redis://:secret@r", /* an '@' inside */
          "postgres://u:****@db/x redis://:****@r");
    hides("", "http://host/a@b http://host?x=a@b", "http://host/a@b http://host?x=a@b");
    hides("", "at http://10.0.0.1:8080/x:", "at http://10.0.0.1:8080/x:");
    hides("", "see \"http://u:p4ss\" <x@y>", "see \"http://u:p4ss\" <x@y>");
}

static void test_names(void **state)
{
    static const char names[] = "n API_KEY\nn *_PASSWORD\n";
    hides(names, "x API_KEY=abcdef y", "x API_KEY=**** y");
    hides(names, "API_KEY=two words\nnext", "API_KEY=****\nnext");
    hides(names, "docker -e API_KEY=abc -e B=c", "docker -e API_KEY=*** -e B=c");
    hides(names, "export API_KEY='two words' x", "export API_KEY='****' x");
    hides(names, "{\"API_KEY\": \"abcdef\", \"B\": 1}",
          "{\"API_KEY\": \"****\", \"B\": 1}");
    hides(names, "{'API_KEY': 'abcdef'}", "{'API_KEY': '****'}");
    hides(names, "{\\\"API_KEY\\\": \\\"abcdef\\\"}",
          "{\\\"API_KEY\\\": \\\"****\\\"}");
    hides(names, "DB_PASSWORD = abcdef", "DB_PASSWORD = ****");
    hides(names, "MY_API_KEY=abc API_KEY2=abc API_KEY= x",
          "MY_API_KEY=abc API_KEY2=abc API_KEY= *");
    hides(names, "API_KEY is not set", "API_KEY is not set");
    hides(names, "API_KEY=", "API_KEY=");
    hides("n A\nv a=b A=cccc\n", "a=b A=cccc d", "**** d");
}

static unsigned long number = 1;

static unsigned random_below(unsigned n)
{
    number = number * 6364136223846793005u + 1442695040888963407u;
    return (unsigned)(number >> 33) % n;
}

static void random_text(char *out, size_t n, const char *letters)
{
    for (size_t i = 0; i < n; i++)
        out[i] = letters[random_below((unsigned)strlen(letters))];
    out[n] = '\0';
}

/* Takes a line apart as the sub-agent does: pieces of any size, cut where the masker
 * allows it; the secret is in no piece, nor where two meet. */
static void cut_anyhow(const struct masker *m, const char *line, struct buf *out)
{
    size_t n = strlen(line), at = 0;
    char piece[4096];
    while (at < n) {
        size_t there = 1 + random_below(40), cut = 0;
        for (; there <= n - at && cut == 0; there++)
            cut = at + there == n ? there : masker_cut(m, line + at, there);
        if (cut == 0)
            cut = n - at;
        memcpy(piece, line + at, cut);
        buf_add(out, piece, masker_apply(m, piece, cut));
        at += cut;
    }
    buf_add_char(out, '\0');
}

/* Few letters, so that beginnings of the secret are everywhere. */
static void test_cut_anywhere(void **state)
{
    for (int round = 0; round < 20000; round++) {
        char secret[24], before[64], after[64], line[512];
        auto_buf known = BUF_INIT, out = BUF_INIT;
        random_text(secret, 6 + random_below(12), "ab=: ");
        memcpy(secret, "zzzz", 2 + random_below(3));
        random_text(before, random_below(40), "abz=:/ ");
        random_text(after, random_below(40), "abz=: ");
        buf_printf(&known, "v %s\nn NAME\n", secret);
        struct masker *m = make(buf_str(&known));
        snprintf(line, sizeof line, "%s%s%s", before, secret, after);
        cut_anyhow(m, line, &out);
        if (strstr(out.data, secret))
            fail_msg("round %d: \"%s\" shows \"%s\"", round, line, secret);
        masker_destroy(m);
    }
}

/* The same for what is known by its place. */
static void test_cut_places(void **state)
{
    static const char *const forms[] = {"%s https://user:%s@host%s", "%s NAME=%s %s",
                                        "%s https://%s@host/%s",
                                        "%s{\"NAME\": \"%s\"%s"};
    for (int round = 0; round < 20000; round++) {
        char secret[24], before[64], after[64], line[512];
        auto_buf out = BUF_INIT;
        random_text(secret, 6 + random_below(12), "0123456789");
        random_text(before, random_below(40), "NAMEhtps:/ =");
        random_text(after, random_below(40), "NAMEhtps:/ =");
        struct masker *m = make("v other\nn NAME\n");
        const char *form = forms[random_below(4)];
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
        snprintf(line, sizeof line, form, before, secret, after);
#pragma GCC diagnostic pop
        cut_anyhow(m, line, &out);
        /* No three digits of it in a row. */
        for (const char *p = out.data; *p; p++)
            if (strspn(p, "0123456789") > 0)
                fail_msg("round %d: \"%s\" shows \"%s\"", round, line, p);
        masker_destroy(m);
    }
}

/* A line that only ever might become a secret is not held for ever. */
static void test_cut_goes_on(void **state)
{
    struct masker *m = make("v aaaaaaab\nn NAME\n");
    char text[4096];
    memset(text, 'a', sizeof text);
    assert_int_equal(masker_cut(m, text, sizeof text), sizeof text - 7);
    masker_destroy(m);
    assert_int_equal(masker_cut(NULL, "x", 1), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values),     cmocka_unit_test(test_urls),
        cmocka_unit_test(test_names),      cmocka_unit_test(test_cut_anywhere),
        cmocka_unit_test(test_cut_places), cmocka_unit_test(test_cut_goes_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
