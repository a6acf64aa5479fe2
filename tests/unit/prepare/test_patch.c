/* SPDX-License-Identifier: Apache-2.0 */
#include "../unit.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/file.h"
#include "prepare/patch-apply.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Outputs of git 2.39, and what its `git apply --unidiff-zero` makes of the text. */
static const struct {
    const char *name, *before, *diff, *after; /* after NULL: refused */
} changes[] = {
    {"context", "1\n2\n3\n4\n5\n", "@@ -1,5 +1,5 @@\n 1\n 2\n-3\n+three\n 4\n 5\n",
     "1\n2\nthree\n4\n5\n"},
    {"U0 insertion goes after the line", "a\na\na\n", "@@ -2,0 +3 @@\n+b\n",
     "a\na\nb\na\n"},
    {"empty file", "", "@@ -0,0 +1 @@\n+x\n", "x\n"},
    {"nothing left", "x\n", "@@ -1 +0,0 @@\n-x\n", ""},
    {"U0 insertion at the top", "a\n", "@@ -0,0 +1,2 @@\n+x\n+y\n", "x\ny\na\n"},
    {"U0 insertion at the end", "a\nb\n", "@@ -2,0 +3 @@\n+c\n", "a\nb\nc\n"},
    {"U0 deletion of the stated line", "x\ny\nx\ny\nx\n", "@@ -3 +2,0 @@\n-x\n",
     "x\ny\ny\nx\n"},
    {"U0 two hunks", "1\n2\n3\n4\n5\n6\n",
     "@@ -1,0 +2 @@\n+one and a half\n@@ -5 +6 @@ context\n-5\n+five\n",
     "1\none and a half\n2\n3\n4\nfive\n6\n"},
    {"moved hunk", "0\n0\n0\n1\n2\n3\n", "@@ -1,3 +1,3 @@\n 1\n-2\n+two\n 3\n",
     "0\n0\n0\n1\ntwo\n3\n"},
    {"no newline before", "a\nb",
     "@@ -1,2 +1,2 @@\n a\n-b\n\\ No newline at end of file\n+c\n", "a\nc\n"},
    {"no newline after", "a\nb\n",
     "@@ -1,2 +1,2 @@\n a\n-b\n+c\n\\ No newline at end of file\n", "a\nc"},
    {"no newline on both sides", "a\nb",
     "@@ -1,2 +1,2 @@\n-a\n+x\n b\n\\ No newline at end of file\n", "x\nb"},
    {"newline differs", "a\nb\n",
     "@@ -1,2 +1,2 @@\n-a\n+x\n b\n\\ No newline at end of file\n", NULL},
    {"CRLF", "a\r\nb\r\n", "@@ -1,2 +1,2 @@\n-a\r\n+x\r\n b\r\n", "x\r\nb\r\n"},
    {"empty context line without its blank", "a\n\nb\n",
     "@@ -1,3 +1,3 @@\n a\n\n-b\n+c\n", "a\n\nc\n"},
    {"empty lines cut off at the end", "a\nb\n\n\n", "@@ -1,4 +1,4 @@\n-a\n+x\n b\n",
     "x\nb\n\n\n"},
    {"last line without newline in the diff", "a\nb\n", "@@ -1,2 +1,2 @@\n-a\n+x\n b",
     "x\nb\n"},
    {"other content", "a\nb\n", "@@ -1,2 +1,2 @@\n-z\n+x\n b\n", NULL},
    {"past the end", "a\n", "@@ -9,2 +9,2 @@\n-z\n+x\n b\n", NULL},
    {"U0 insertion after an unfinished line", "a", "@@ -1,0 +2 @@\n+b\n", NULL},
};

static int apply_text(const char *before, const char *hunks, struct buf *out,
                      struct reeve_error *err)
{
    auto_free char *diff =
        xasprintf("diff --git a/f b/f\nindex 1..2 100644\n--- a/f\n+++ b/f\n%s", hunks);
    struct patch p;
    if (patch_parse(diff, strlen(diff), &p, err) < 0)
        return -1;
    int result = patch_apply_hunks(&p.files[0], before, strlen(before), out, err);
    patch_free(&p);
    return result;
}

static void test_hunks(void **state)
{
    for (size_t i = 0; i < ARRAY_SIZE(changes); i++) {
        auto_buf out = BUF_INIT;
        struct reeve_error err = {0};
        int result = apply_text(changes[i].before, changes[i].diff, &out, &err);
        if (!changes[i].after) {
            if (result == 0)
                fail_msg("%s: applied", changes[i].name);
            assert_non_null(strstr(err.text, "hunk 1"));
            continue;
        }
        if (result < 0)
            fail_msg("%s: %s", changes[i].name, err.text);
        if (strcmp(buf_str(&out), changes[i].after) != 0)
            fail_msg("%s: \"%s\"", changes[i].name, buf_str(&out));
    }
}

static void test_malformed(void **state)
{
    static const char *const bad[] = {
        "no diff at all\n",
        "diff --git a/f b/f\n--- a/f\n+++ b/f\n@@ -1,9 +1 @@\n-a\n+b\n",
        "diff --git a/f b/f\n--- a/f\n+++ b/f\n@@ -1,1 +1,1 @@\n*a\n",
        "diff --git a/f b/f\n--- a/f\n+++ b/f\n@@ -x +1 @@\n-a\n",
        "diff --git a/f b/f\n--- a/f\n+++ b/f\n@@ -99999999999999999999 +1 @@\n-a\n",
        "diff --git a/f b/f\n--- a/f\n@@ -1 +1 @@\n-a\n+b\n",
        "@@ -1 +1 @@\n-a\n+b\n",
        "diff --git\n",
        "diff --git a/f b/other\nold mode 100644\nnew mode 100755\n",
        "diff --git \"a/f b/f\n",
        "diff --git \"a/\\400\" \"b/\\400\"\nold mode 100644\nnew mode 100755\n",
    };
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        struct patch p;
        struct reeve_error err = {0};
        if (patch_parse(bad[i], strlen(bad[i]), &p, &err) == 0)
            fail_msg("accepted: %s", bad[i]);
        assert_true(err.text[0]);
    }
}

/* Every prefix of a diff is answered, by a patch or by an error. */
static void test_every_prefix(void **state)
{
    static const char diff[] =
        "Submodule lib 1234..5678:\n"
        "diff --git \"a/sp ace\\303\\244\" \"b/sp ace\\303\\244\"\nold mode 100644\n"
        "new mode 100755\nindex 1111111..2222222\n--- \"a/sp ace\\303\\244\"\t\n"
        "+++ \"b/sp ace\\303\\244\"\t\n@@ -1,2 +1 @@\n-a\n b\n\\ No newline at end of "
        "file\n"
        "diff --git a/x b/y\nsimilarity index 90%\nrename from x\nrename to y\n";
    for (size_t n = 0; n < sizeof diff; n++) {
        auto_free char *copy = xmalloc(n + 1);
        memcpy(copy, diff, n);
        struct patch p;
        if (patch_parse(copy, n, &p, NULL) == 0)
            patch_free(&p);
    }
}

static void test_headers(void **state)
{
    static const char diff[] =
        "diff --git a/with blank b/with blank\nold mode 100644\nnew mode 100755\n"
        "diff --git a/old b/new name\nsimilarity index 100%\nrename from old\n"
        "rename to new name\n"
        "diff --git a/empty b/empty\nnew file mode 100644\nindex 0000000..e69de29\n"
        "diff --git a/gone b/gone\ndeleted file mode 100755\nindex e69de29..0000000\n"
        "diff --git \"a/\\303\\244 b\" \"b/\\303\\244 b\"\nindex 1..2 100644\n"
        "--- \"a/\\303\\244 b\"\n+++ \"b/\\303\\244 b\"\n@@ -1 +1 @@\n-a\n+b\n"
        "diff --git top top\nold mode 100644\nnew mode 100755\n"
        "diff --git i/mnemonic w/mnemonic\nindex 1..2 100644\n--- i/mnemonic\n"
        "+++ w/mnemonic\n@@ -1 +1 @@\n-a\n+b\n"
        "diff --git a/bin b/bin\nindex 1..2 100644\nBinary files a/bin and b/bin "
        "differ\n";
    struct patch p;
    struct reeve_error err;
    assert_int_equal(patch_parse(diff, strlen(diff), &p, &err), 0);
    assert_int_equal(p.count, 8);
    assert_string_equal(p.files[0].new_path, "with blank");
    assert_int_equal(p.files[0].new_mode, 0100755);
    assert_int_equal(p.files[1].kind, PATCH_RENAME);
    assert_string_equal(p.files[1].new_path, "new name");
    assert_int_equal(p.files[2].kind, PATCH_CREATE);
    assert_string_equal(p.files[2].new_path, "empty");
    assert_int_equal(p.files[3].kind, PATCH_DELETE);
    assert_string_equal(p.files[3].old_path, "gone");
    assert_string_equal(p.files[4].new_path, "\303\244 b");
    assert_int_equal(p.files[4].hunk_count, 1);
    assert_string_equal(p.files[5].new_path, "top");
    assert_string_equal(p.files[6].new_path, "mnemonic");
    assert_true(p.files[7].binary_missing);
    patch_free(&p);
}

/* Both from git 2.39: bytes 0 to 255 backwards, and with "xyz" after the first 200. */
#define BINARY_HEAD                                                                    \
    "diff --git a/b c b/b c\nindex c86626638e0bc8cf47ca49bb1525b40e9737ee64.."
#define LITERAL                                                                        \
    "5663091be8ca2b5e57d3c2323a38840a729caf66 100644\n"                                \
    "GIT binary patch\n"                                                               \
    "literal 256\n"                                                                    \
    "zcmV+b0ssF0{{8&>`uX_x_Vx7h^6~KR?(OXB>gnj`=H=w$;^E-m-rd~W+S%CG*45P0\n"             \
    "z($Ub*&dtor%E`#b#>K?L!ok45zP-G=y1BTwwzaggvaztQuC1)As;Q`_rlq8#qM@Ll\n"             \
    "zo}HYVnwglFmX(x~l97;)j*X0qiiwDahJ}QKf`Nd4etmp<dU<$vc6D@fa&d5PZf$I9\n"             \
    "zYH4U^W@Th!VqsukUR_*UT3J|ER#j9}Qc+M(PEAZpN=ZmZMnyzJLP0=3K0Q1;IypEu\n"             \
    "zHZ?ReGBGeOE-fr8Dk&%@CM6^zA|W6j9vvJT8W|WD78Mi|5)lv&4h;+o3JC}Y1_cBI\n"             \
    "G0s#P8`+tD|\n"                                                                    \
    "\n"                                                                               \
    "literal 256\n"                                                                    \
    "zcmV+b0ssC00RjUA1qKHQ2?`4g4Gs?w5fT#=6&4p585$cL9UdPbAtECrB_<~*DJm;0\n"             \
    "zEiNxGF)}kWH8wXmIXXK$Jw87`K|(`BMMg(RNlHshO-@fxQBqS>RaRG6Sz23MU0z>c\n"             \
    "zVPa!sWoBn+X=-b1ZEkOHadLBXb#`}nd3t+%eSUv{fr5jCg@%WSiHeJijgF6yk&=^?\n"             \
    "zm6n&7nVOrNot~edp`xRtrKYE-sj922t*)=Iv9hzYwYImoxw^Z&y}rM|!NSAD#m2|T\n"             \
    "z$;!*j&Cbuz(bCh@)z;V8+1lIO-QM5e;o{@u<>u$;>FVq3?e6dJ@$&QZ_4fDp`TG0(\n"             \
    "G{r>;0_J4r@\n"                                                                    \
    "\n"                                                                               \
    "\n"
#define DELTA_ID "9d6a7d7d20e415eba52efc21f6d1228c765d081a 100644\nGIT binary patch\n"
#define DELTA                                                                          \
    "delta 13\nUcmZo*YG#^ng1MryYT^kC03uHXUjP6A\n\n"                                    \
    "delta 9\nQcmZo>YG9ghV&Z8F01>eR^Z)<=\n\n"

static int apply_binary(const char *diff, const char *before, size_t n, struct buf *out)
{
    struct patch p;
    if (patch_parse(diff, strlen(diff), &p, NULL) < 0)
        return -1;
    assert_true(p.files[0].binary);
    assert_string_equal(p.files[0].new_path, "b c");
    int result = patch_apply_binary(&p.files[0], before, n, out, NULL);
    patch_free(&p);
    return result;
}

static void test_binary(void **state)
{
    char before[256];
    for (int i = 0; i < 256; i++)
        before[i] = (char)i;
    auto_buf literal = BUF_INIT, delta = BUF_INIT;
    assert_int_equal(apply_binary(BINARY_HEAD LITERAL, before, 256, &literal), 0);
    assert_int_equal(literal.len, 256);
    for (int i = 0; i < 256; i++)
        assert_int_equal((unsigned char)literal.data[i], 255 - i);
    assert_int_equal(apply_binary(BINARY_HEAD DELTA_ID DELTA, before, 256, &delta), 0);
    assert_int_equal(delta.len, 259);
    assert_memory_equal(delta.data + 200, "xyz", 3);
    assert_memory_equal(delta.data + 203, before + 200, 56);
}

static void test_binary_refused(void **state)
{
    static const char *const bad[] = {
        BINARY_HEAD "1111111111111111111111111111111111111111 100644\n"
                    "GIT binary patch\n" DELTA,
        BINARY_HEAD "9d6a7d7 100644\nGIT binary patch\n",
        BINARY_HEAD DELTA_ID "delta 13\nUcmZo*YG#^ng1MryYT^kC03uHXUjP6\n\n",
        BINARY_HEAD DELTA_ID "delta 12\nUcmZo*YG#^ng1MryYT^kC03uHXUjP6A\n\n",
        BINARY_HEAD DELTA_ID
        "delta 999999999999999999999\nUcmZo*YG#^ng1MryYT^kC03u\n\n",
        BINARY_HEAD DELTA_ID "literal 13\n\n",
        BINARY_HEAD DELTA_ID "literal 1\nA~~~~~\n\n",
        BINARY_HEAD DELTA_ID "nothing 5\nA00000\n\n",
    };
    char before[256] = {0};
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        auto_buf out = BUF_INIT;
        if (apply_binary(bad[i], before, 256, &out) == 0)
            fail_msg("%zu: applied", i);
    }
    /* The right delta on a file of another length. */
    auto_buf out = BUF_INIT;
    assert_int_equal(apply_binary(BINARY_HEAD DELTA_ID DELTA, before, 255, &out), -1);
}

static void test_script_or_diff(void **state)
{
    assert_true(patch_is_diff("diff --git a/x b/x\n"));
    assert_true(patch_is_diff("\n  Diff --git a/x b/x\n"));
    assert_true(patch_is_diff("Submodule x 1..2:\ndiff --git a/x b/x\n"));
    assert_false(patch_is_diff("Submodule x 1..2:\nprint(1)\n"));
    assert_false(patch_is_diff("import difflib\ndiff --git\n"));
    assert_false(patch_is_diff("different\n"));
    assert_false(patch_is_diff(""));
}

/* The tree is a folder in a folder of our own, so that what leaves it is seen there. */
struct folder {
    char outer[64], path[80];
};

static int make_folder(void **state)
{
    static struct folder f;
    strcpy(f.outer, "/tmp/reeve-unit-patch-XXXXXX");
    *state = &f;
    if (!mkdtemp(f.outer))
        return -1;
    snprintf(f.path, sizeof f.path, "%s/tree", f.outer);
    return dir_make(f.path, 0755, NULL);
}

static int remove_folder(void **state)
{
    return dir_remove_tree(((struct folder *)*state)->outer, NULL);
}

static void put(struct folder *f, const char *name, const char *text)
{
    auto_free char *path = path_join_dup(f->path, name);
    assert_int_equal(file_replace(path, text, strlen(text), 0644, false, NULL), 0);
}

static int apply(struct folder *f, const char *diff, struct reeve_error *err)
{
    struct patch p;
    assert_int_equal(patch_parse(diff, strlen(diff), &p, err), 0);
    int result = patch_apply(NULL, f->path, &p, err);
    patch_free(&p);
    return result;
}

static void assert_file(struct folder *f, const char *name, const char *text)
{
    auto_free char *path = path_join_dup(f->path, name);
    auto_buf content = BUF_INIT;
    if (!text) {
        assert_int_not_equal(access(path, F_OK), 0);
        return;
    }
    assert_int_equal(file_read(path, &content, 1000, NULL), 0);
    assert_string_equal(buf_str(&content), text);
}

static void test_files(void **state)
{
    struct folder *f = *state;
    struct reeve_error err = {0};
    put(f, "a", "one\n");
    put(f, "b", "two\n");
    put(f, "gone", "x\n");
    /* Two names exchanged, a file that becomes a link, new folders. */
    assert_int_equal(
        apply(f,
              "diff --git a/b b/a\nsimilarity index 100%\nrename from b\nrename to a\n"
              "diff --git a/a b/b\nsimilarity index 100%\nrename from a\nrename to b\n"
              "diff --git a/gone b/gone\ndeleted file mode 100644\n--- a/gone\n"
              "+++ /dev/null\n@@ -1 +0,0 @@\n-x\n"
              "diff --git a/gone b/gone\nnew file mode 120000\n--- /dev/null\n"
              "+++ b/gone\n@@ -0,0 +1 @@\n+a\n\\ No newline at end of file\n"
              "diff --git a/d/e/new b/d/e/new\nnew file mode 100755\n--- /dev/null\n"
              "+++ b/d/e/new\n@@ -0,0 +1 @@\n+#!/bin/sh\n",
              &err),
        0);
    assert_file(f, "a", "two\n");
    assert_file(f, "b", "one\n");
    assert_file(f, "d/e/new", "#!/bin/sh\n");
    auto_free char *link = path_join_dup(f->path, "gone");
    auto_free char *program = path_join_dup(f->path, "d/e/new");
    struct stat st;
    assert_int_equal(lstat(link, &st), 0);
    assert_true(S_ISLNK(st.st_mode));
    assert_int_equal(access(program, X_OK), 0);
}

static void test_all_or_nothing(void **state)
{
    struct folder *f = *state;
    struct reeve_error err = {0};
    put(f, "a", "one\n");
    put(f, "b", "two\n");
    assert_int_equal(apply(f,
                           "diff --git a/a b/a\n--- a/a\n+++ b/a\n@@ -1 +1 @@\n-one\n"
                           "+changed\n"
                           "diff --git a/b b/b\n--- a/b\n+++ b/b\n@@ -1 +1 @@\n-other\n"
                           "+changed\n",
                           &err),
                     -1);
    assert_file(f, "a", "one\n");
    assert_string_equal(err.text, "b: hunk 1 (@@ -1,1 +1,1 @@) does not fit");
}

static void test_refused_files(void **state)
{
    struct folder *f = *state;
    struct reeve_error err = {0};
    static const char *const bad[] = {
        /* out by name */
        "diff --git a/../x b/../x\nnew file mode 100644\n--- /dev/null\n+++ b/../x\n"
        "@@ -0,0 +1 @@\n+x\n",
        "--- /dev/null\n+++ b//etc/reeve-test\n@@ -0,0 +1 @@\n+x\n",
        "--- /dev/null\n+++ b/.git/hooks/x\n@@ -0,0 +1 @@\n+x\n",
        "--- /dev/null\n+++ b/sub/.GIT/config\n@@ -0,0 +1 @@\n+x\n",
        /* out by a link that is there, or that the diff makes */
        "--- /dev/null\n+++ b/link/x\n@@ -0,0 +1 @@\n+x\n",
        "diff --git a/l b/l\nnew file mode 120000\n--- /dev/null\n+++ b/l\n"
        "@@ -0,0 +1 @@\n+..\n\\ No newline at end of file\n"
        "diff --git a/l/x b/l/x\nnew file mode 100644\n--- /dev/null\n+++ b/l/x\n"
        "@@ -0,0 +1 @@\n+x\n",
        /* what is there already, what is not there, what is left */
        "diff --git a/a b/a\nnew file mode 100644\n--- /dev/null\n+++ b/a\n"
        "@@ -0,0 +1 @@\n+x\n",
        "diff --git a/no b/no\n--- a/no\n+++ b/no\n@@ -1 +1 @@\n-x\n+y\n",
        "diff --git a/a b/a\ndeleted file mode 100644\n--- a/a\n+++ /dev/null\n"
        "@@ -1 +0,0 @@\n-one\n",
        "diff --git a/a b/a\nBinary files a/a and b/a differ\n",
    };
    put(f, "a", "one\ntwo\n");
    auto_free char *link = path_join_dup(f->path, "link");
    assert_int_equal(symlink("..", link), 0);
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        if (apply(f, bad[i], &err) == 0)
            fail_msg("applied: %s", bad[i]);
        assert_file(f, "a", "one\ntwo\n");
        assert_file(f, "../x", NULL);
        assert_file(f, "link/x", NULL);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hunks),
        cmocka_unit_test(test_malformed),
        cmocka_unit_test(test_every_prefix),
        cmocka_unit_test(test_headers),
        cmocka_unit_test(test_binary),
        cmocka_unit_test(test_binary_refused),
        cmocka_unit_test(test_script_or_diff),
        cmocka_unit_test_setup_teardown(test_files, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(test_all_or_nothing, make_folder,
                                        remove_folder),
        cmocka_unit_test_setup_teardown(test_refused_files, make_folder, remove_folder),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
