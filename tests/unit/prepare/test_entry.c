/* SPDX-License-Identifier: Apache-2.0 */
#include "../unit.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/file.h"
#include "prepare/entry.h"
#include "prepare/report.h"
#include "prepare/script-file.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char root[64];

static void put(const char *name, mode_t mode)
{
    auto_free char *path = path_join_dup(root, name);
    assert_int_equal(file_replace(path, "x", 1, mode, false, NULL), 0);
}

static int make_root(void **state)
{
    strcpy(root, "/tmp/reeve-unit-entry-XXXXXX");
    if (!mkdtemp(root))
        return -1;
    auto_free char *sub = path_join_dup(root, "sub");
    auto_free char *bin = path_join_dup(root, "bin dir");
    auto_free char *outside = path_join_dup(root, "outside");
    auto_free char *inside = path_join_dup(root, "inside.py");
    assert_int_equal(dir_make(sub, 0755, NULL), 0);
    assert_int_equal(dir_make(bin, 0755, NULL), 0);
    assert_int_equal(symlink("/etc/passwd", outside), 0);
    assert_int_equal(symlink("sub/deep.py", inside), 0);
    put("train.py", 0644);
    put("my script.py", 0644);
    put("run.sh", 0644);
    put("sub/deep.py", 0644);
    put("bin dir/python3.8", 0755);
    put("bin dir/python3", 0755);
    put("bin dir/tool", 0755);
    put("bin dir/no-program", 0644);
    return 0;
}

static int remove_root(void **state)
{
    return dir_remove_tree(root, NULL);
}

/* The command as one line, or NULL and the error. */
static char *command(enum program_kind kind, const char *entry, char **folder,
                     struct reeve_error *err)
{
    struct program program = {.kind = kind};
    words_add(&program.argv, "P");
    char *env[] = {(char *)"EPOCHS=7", NULL};
    struct entry_request r = {root, root, entry, &program, env};
    auto_words argv = WORDS_INIT;
    int result = entry_command(&r, &argv, folder, err);
    program_free(&program);
    return result < 0 ? NULL : words_join_dup(argv.v, argv.n);
}

static const struct {
    enum program_kind kind;
    const char *entry, *line, *folder; /* line NULL: refused */
} commands[] = {
    {PROGRAM_PYTHON, "train.py", "P -u train.py", "."},
    {PROGRAM_PYTHON, "train.py --lr 1 'a b'", "P -u train.py --lr 1 'a b'", "."},
    {PROGRAM_PYTHON, "my script.py", "P -u 'my script.py'", "."},
    {PROGRAM_PYTHON, "sub/deep.py", "P -u sub/deep.py", "sub"},
    {PROGRAM_PYTHON, "inside.py", "P -u inside.py", "."},
    {PROGRAM_PYTHON, "-m pkg.mod --epochs $EPOCHS ${EPOCHS} $NONE",
     "P -u -m pkg.mod --epochs 7 7 '$NONE'", "."},
    {PROGRAM_PYTHON, "-c 'print(1)'", "P -u -c 'print(1)'", "."},
    {PROGRAM_PYTHON, "missing.py", NULL, NULL},
    {PROGRAM_PYTHON, "missing.py train.py", NULL, NULL},
    {PROGRAM_PYTHON, "", NULL, NULL},
    {PROGRAM_PYTHON, "sub", NULL, NULL},
    {PROGRAM_PYTHON, "../x", NULL, NULL},
    {PROGRAM_PYTHON, "/etc/passwd", NULL, NULL},
    {PROGRAM_PYTHON, "outside", NULL, NULL},
    {PROGRAM_PYTHON, "outside argument", NULL, NULL},
    {PROGRAM_PYTHON, "-m 'pkg", NULL, NULL},
    {PROGRAM_PYTHON, "book.ipynb", NULL, NULL},
    {PROGRAM_SHELL, "run.sh a b", "P run.sh a b", "."},
    {PROGRAM_SHELL, "-c echo a; echo b", "P -c 'echo a; echo b'", "."},
    {PROGRAM_SHELL, "-c 'echo $1; exit 3' name arg", "P -c 'echo $1; exit 3' name arg",
     "."},
    {PROGRAM_SHELL, "-c", NULL, NULL},
    {PROGRAM_SHELL, "-e run.sh", "P -e run.sh", "."},
    {PROGRAM_OTHER, "", "P", "."},
    {PROGRAM_OTHER, "http://host:80/x -o /tmp/y", "P http://host:80/x -o /tmp/y", "."},
    {PROGRAM_OTHER, "my script.py", "P 'my script.py'", "."},
    {PROGRAM_OTHER, "it's", "P 'it'\"'\"'s'", "."},
};

static void test_commands(void **state)
{
    for (size_t i = 0; i < ARRAY_SIZE(commands); i++) {
        struct reeve_error err = {0};
        auto_free char *folder = NULL;
        auto_free char *line =
            command(commands[i].kind, commands[i].entry, &folder, &err);
        if (!commands[i].line) {
            if (line)
                fail_msg("%s: %s", commands[i].entry, line);
            assert_true(err.text[0]);
            continue;
        }
        if (!line)
            fail_msg("%s: %s", commands[i].entry, err.text);
        assert_string_equal(line, commands[i].line);
        assert_string_equal(folder, commands[i].folder);
    }
}

static void test_split_dir(void **state)
{
    char *file, *dir;
    assert_true(entry_split_dir("train.py:src/a", &file, &dir));
    assert_string_equal(file, "train.py");
    assert_string_equal(dir, "src/a");
    free(file);
    free(dir);
    assert_false(entry_split_dir("train.py", &file, &dir));
    assert_false(entry_split_dir("-m a:b", &file, &dir));
}

static void test_kinds(void **state)
{
    assert_int_equal(program_kind_of(""), PROGRAM_PYTHON);
    assert_int_equal(program_kind_of("/usr/bin/python3.11"), PROGRAM_PYTHON);
    assert_int_equal(program_kind_of("python3 -O"), PROGRAM_PYTHON);
    assert_int_equal(program_kind_of("/bin/bash"), PROGRAM_SHELL);
    assert_int_equal(program_kind_of("sh"), PROGRAM_SHELL);
    assert_int_equal(program_kind_of("bashful"), PROGRAM_OTHER);
    assert_int_equal(program_kind_of("/opt/python/bin/node"), PROGRAM_OTHER);
}

/* What program_find answers, and whether it warned. */
static char *find(const char *binary, const char *python, char *warning, size_t size)
{
    int ends[2];
    assert_int_equal(pipe2(ends, O_NONBLOCK), 0);
    struct report report = {ends[1], -1, "environment", false};
    auto_free char *path = xasprintf("/nowhere::%s/bin dir", root);
    struct program_request r = {binary, python, path, root, &report};
    struct program program;
    char *line = NULL;
    if (program_find(&r, &program, NULL) == 0) {
        line = words_join_dup(program.argv.v, program.argv.n);
        program_free(&program);
    }
    ssize_t n = read(ends[0], warning, size - 1);
    warning[n > 0 ? n : 0] = '\0';
    close(ends[0]);
    close(ends[1]);
    return line;
}

static void assert_found(const char *binary, const char *name, bool warned)
{
    char warning[300];
    auto_free char *line = find(binary, "python3", warning, sizeof warning);
    auto_free char *expected = name ? xasprintf("%s/%s", root, name) : NULL;
    auto_free char *quoted = name ? word_quote_dup(expected) : NULL;
    if (!name) {
        assert_null(line);
        return;
    }
    if (!line)
        fail_msg("%s: not found", binary);
    assert_string_equal(line, quoted);
    assert_int_equal(warning[0] != '\0', warned);
}

static void test_interpreters(void **state)
{
    assert_found("", "bin dir/python3", false);
    assert_found("python", "bin dir/python3", false);
    assert_found("python3.8", "bin dir/python3.8", false);
    assert_found("/usr/lost/python3.8", "bin dir/python3.8", false);
    assert_found("python3.7", "bin dir/python3", true);
    assert_found("/usr/lost/python3.7", "bin dir/python3", true);
    assert_found("tool", "bin dir/tool", false);
    assert_found("bin dir/tool", "bin dir/tool", false);
    assert_found("no-program", NULL, false);
    assert_found("sub", NULL, false);
    assert_found("gone", NULL, false);
    char warning[300];
    auto_free char *options = find("python3.8 -O", "python3", warning, sizeof warning);
    assert_non_null(strstr(options, " -O"));
    assert_null(find("python3.7", "python9", warning, sizeof warning));
}

static const struct {
    const char *entry, *module, *name, *as;
} scripts[] = {
    {"", "", "untitled.py", "untitled.py"},
    {"train.py", "", "train.py", "train.py"},
    {"a/b/train.py", "", "train.py", "train.py"},
    {"a/train.py --x 'y z'", "", "train.py", "train.py --x 'y z'"},
    {"my script.py", "", "my script.py", "my script.py"},
    {"'watch' --all 'y z'", "", "watch", "'watch' --all 'y z'"},
    {"my script", "", "my script", "my script"},
    {"'", "", "'", "'"},
    {"-m pkg", "", "untitled.py", "-m pkg"},
    {"-m pkg", "pkg.py", "pkg.py", "-m pkg"},
    {"-c ls", "", "untitled.sh", "-c ls"},
};

static void test_script_names(void **state)
{
    for (size_t i = 0; i < ARRAY_SIZE(scripts); i++) {
        auto_free char *name =
            script_file_name_dup(scripts[i].entry, scripts[i].module);
        auto_free char *as = script_file_entry_dup(scripts[i].entry);
        assert_string_equal(name, scripts[i].name);
        assert_string_equal(as, scripts[i].as);
    }
}

static void test_script_stays_inside(void **state)
{
    static const char *const bad[] = {"..", ".", "-m x", "a/../../x", "/etc/x", ".git"};
    static const char *const module[] = {"", "", "../x.py", "", "", ""};
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        struct script_place p = {root, bad[i], module[i], true};
        struct reeve_error err;
        assert_int_equal(script_file_write(&p, "x", &err), -1);
    }
    struct script_place kept = {root, "train.py", "", true};
    assert_int_equal(script_file_write(&kept, "changed", NULL), 0);
    auto_buf text = BUF_INIT;
    auto_free char *path = path_join_dup(root, "train.py");
    assert_int_equal(file_read(path, &text, 100, NULL), 0);
    assert_string_equal(buf_str(&text), "x");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_commands),     cmocka_unit_test(test_split_dir),
        cmocka_unit_test(test_kinds),        cmocka_unit_test(test_interpreters),
        cmocka_unit_test(test_script_names), cmocka_unit_test(test_script_stays_inside),
    };
    return cmocka_run_group_tests(tests, make_root, remove_root);
}
