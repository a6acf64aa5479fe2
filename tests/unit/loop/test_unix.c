/* SPDX-License-Identifier: Apache-2.0 */
#include "../unit.h"

#include "base/file.h"
#include "loop/unix.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char dir[512];

/* A folder whose path alone is longer than a socket address. */
static int make_dir(void **state)
{
    struct reeve_error err;
    char base[] = "/tmp/reeve-unix-XXXXXX";
    if (!mkdtemp(base))
        return -1;
    snprintf(dir, sizeof dir, "%s/%0150d", base, 7);
    return dir_make(dir, 0700, &err);
}

static int remove_dir(void **state)
{
    *strrchr(dir, '/') = '\0';
    return dir_remove_tree(dir, NULL);
}

static void unlink_socket(void)
{
    char path[600];
    snprintf(path, sizeof path, "%s/s", dir);
    unlink(path);
}

static void test_round_trip(void **state)
{
    const int types[] = {SOCK_STREAM, SOCK_SEQPACKET};
    for (int i = 0; i < 2; i++) {
        struct reeve_error err;
        struct ucred peer;
        char text[8] = "";
        int listening = unix_listen(dir, "s", types[i], 0600, &err);
        assert_true(listening >= 0);
        int out = unix_connect(dir, "s", types[i], &err);
        assert_true(out >= 0);
        assert_false(fcntl(out, F_GETFL) & O_NONBLOCK);
        assert_true(fcntl(out, F_GETFD) & FD_CLOEXEC);
        int in = accept(listening, NULL, NULL);
        assert_true(in >= 0);
        assert_int_equal(unix_peer(in, &peer), 0);
        assert_int_equal(peer.pid, getpid());
        assert_int_equal(peer.uid, getuid());
        assert_int_equal(write(out, "ping", 4), 4);
        assert_int_equal(read(in, text, sizeof text), 4);
        assert_string_equal(text, "ping");
        close(in);
        close(out);
        close(listening);
        unlink_socket();
    }
}

static void test_mode_is_exact(void **state)
{
    struct reeve_error err;
    struct stat st;
    char path[600];
    snprintf(path, sizeof path, "%s/s", dir);
    const mode_t modes[] = {0600, 0666};
    mode_t old = umask(022);
    for (int i = 0; i < 2; i++) {
        int fd = unix_listen(dir, "s", SOCK_STREAM, modes[i], &err);
        assert_true(fd >= 0);
        assert_int_equal(stat(path, &st), 0);
        assert_int_equal(st.st_mode & 0777, modes[i]);
        close(fd);
        unlink_socket();
    }
    umask(old);
}

static void test_stale_is_replaced_live_is_not(void **state)
{
    struct reeve_error err;
    int first = unix_listen(dir, "s", SOCK_STREAM, 0600, &err);
    assert_true(first >= 0);
    assert_int_equal(unix_listen(dir, "s", SOCK_STREAM, 0600, &err), -1);
    assert_int_equal(err.code, EADDRINUSE);
    /* Of another type, but somebody lives there all the same. */
    assert_int_equal(unix_listen(dir, "s", SOCK_SEQPACKET, 0600, &err), -1);
    assert_int_equal(err.code, EADDRINUSE);
    close(first);
    int second = unix_listen(dir, "s", SOCK_STREAM, 0600, &err);
    assert_true(second >= 0);
    close(second);
    unlink_socket();
}

static void test_other_files_are_left_alone(void **state)
{
    struct reeve_error err;
    char path[600];
    snprintf(path, sizeof path, "%s/s", dir);
    assert_int_equal(file_replace(path, "keep", 4, 0600, false, &err), 0);
    assert_int_equal(unix_listen(dir, "s", SOCK_STREAM, 0600, &err), -1);
    assert_int_equal(err.code, EADDRINUSE);
    assert_int_equal(access(path, F_OK), 0);
    unlink_socket();
}

static void test_nobody_there(void **state)
{
    struct reeve_error err;
    assert_int_equal(unix_connect(dir, "s", SOCK_STREAM, &err), -1);
    assert_int_equal(err.code, ENOENT);
    close(unix_listen(dir, "s", SOCK_STREAM, 0600, &err));
    assert_int_equal(unix_connect(dir, "s", SOCK_STREAM, &err), -1);
    assert_int_equal(err.code, ECONNREFUSED);
    unlink_socket();
    assert_int_equal(unix_connect("/nonexistent", "s", SOCK_STREAM, &err), -1);
    assert_int_equal(err.code, ENOENT);
    char name[200];
    memset(name, 'n', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    assert_int_equal(unix_connect(dir, name, SOCK_STREAM, &err), -1);
    assert_int_equal(err.code, ENAMETOOLONG);
}

static void test_full_backlog_does_not_block(void **state)
{
    struct reeve_error err;
    int listening = unix_listen(dir, "s", SOCK_STREAM, 0600, &err);
    int fds[16], n = 0;
    assert_int_equal(listen(listening, 2), 0);
    while (n < 16 && (fds[n] = unix_connect(dir, "s", SOCK_STREAM, &err)) >= 0)
        n++;
    assert_in_range(n, 1, 15);
    assert_int_equal(err.code, EAGAIN);
    while (n-- > 0)
        close(fds[n]);
    close(listening);
    unlink_socket();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_mode_is_exact),
        cmocka_unit_test(test_stale_is_replaced_live_is_not),
        cmocka_unit_test(test_other_files_are_left_alone),
        cmocka_unit_test(test_nobody_there),
        cmocka_unit_test(test_full_backlog_does_not_block),
    };
    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
