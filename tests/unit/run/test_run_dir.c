/* SPDX-License-Identifier: Apache-2.0 */
#include "../unit.h"

#include "base/alloc.h"
#include "base/fd.h"
#include "folder.h"
#include "run/run-dir.h"

#include <errno.h>
#include <sys/wait.h>

static void test_names(void **state)
{
    auto_free char *dir = run_dir_dup("/s", "t1");
    auto_free char *file = run_file_dup("/s/", "t1", "raw");
    assert_string_equal(dir, "/s/runs/t1");
    assert_string_equal(file, "/s/runs/t1/raw");
}

static void test_roots(void **state)
{
    setenv("REEVE_STATE_DIR", "/e", 1);
    setenv("REEVE_RUN_DIR", "", 1);
    auto_free char *option = state_root_dup("/o");
    auto_free char *variable = state_root_dup(NULL);
    auto_free char *none = run_root_dup(NULL);
    assert_string_equal(option, "/o");
    assert_string_equal(variable, "/e");
    if (geteuid() == 0)
        assert_string_equal(none, "/run/reeve");
    assert_int_equal(chdir("/tmp"), 0);
    auto_free char *relative = state_root_dup("a/b");
    assert_string_equal(relative, "/tmp/a/b");
    unsetenv("REEVE_STATE_DIR");
}

static int lock_in_child(const char *dir)
{
    int status;
    pid_t pid = fork();
    if (pid == 0) {
        struct reeve_error err;
        _exit(run_lock(dir, &err) >= 0 ? 0 : err.code == EWOULDBLOCK ? 75 : 1);
    }
    waitpid(pid, &status, 0);
    return WEXITSTATUS(status);
}

static void test_lock_has_one_holder(void **state)
{
    struct reeve_error err;
    int fd = run_lock(*state, &err);
    assert_true(fd >= 0);
    assert_int_equal(lock_in_child(*state), 75);
    close(fd);
    assert_int_equal(lock_in_child(*state), 0);
    assert_int_equal(run_lock("/nonexistent", &err), -1);
    assert_int_equal(err.code, ENOENT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_roots),
        cmocka_unit_test_setup_teardown(test_lock_has_one_holder, folder_setup,
                                        folder_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
