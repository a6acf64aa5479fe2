/* SPDX-License-Identifier: Apache-2.0 */
#include "../unit.h"

#include "base/bytes.h"
#include "base/fd.h"
#include "run/message.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>

/* 64 KiB each. */
static struct message m, got;

static int pair(void **state)
{
    static int fds[2];
    *state = fds;
    return socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds);
}

static int unpair(void **state)
{
    int *fds = *state;
    close(fds[0]);
    close(fds[1]);
    return 0;
}

static void build(void)
{
    message_begin(&m, MESSAGE_START, 7);
    message_add_u64(&m, TAG_ATTEMPT, 1ull << 40);
    message_add_text(&m, TAG_GROUP_DIR, "/a");
    message_add_text(&m, TAG_STEP, "");
    message_add_text(&m, TAG_GROUP_DIR, "/bcd");
}

static void test_fields(void **state)
{
    uint64_t v;
    char text[4];
    size_t at = 0;
    build();
    assert_int_equal(message_check(&m, NULL), 0);
    assert_int_equal(message_get_type(&m), MESSAGE_START);
    assert_int_equal(message_get_version(&m), MESSAGE_VERSION);
    assert_int_equal(message_get_request(&m), 7);
    assert_true(message_get_u64(&m, TAG_ATTEMPT, &v) && v == 1ull << 40);
    assert_false(message_get_u64(&m, TAG_PID, &v));
    assert_false(message_get_u64(&m, TAG_STEP, &v));
    assert_true(message_get_text(&m, TAG_STEP, text, sizeof text));
    assert_string_equal(text, "");
    assert_true(message_next_text(&m, TAG_GROUP_DIR, &at, text, sizeof text));
    assert_string_equal(text, "/a");
    assert_true(message_next_text(&m, TAG_GROUP_DIR, &at, text, sizeof text));
    assert_string_equal(text, "/bc");
    assert_false(message_next_text(&m, TAG_GROUP_DIR, &at, text, sizeof text));
}

static void test_text_with_nul_is_none(void **state)
{
    char text[16];
    message_begin(&m, MESSAGE_NOTE, 0);
    message_add(&m, TAG_TEXT, "a\0b", 3);
    assert_int_equal(message_check(&m, NULL), 0);
    assert_false(message_get_text(&m, TAG_TEXT, text, sizeof text));
}

static void test_too_much_is_told_at_send(void **state)
{
    int *fds = *state;
    static char big[MESSAGE_MAX];
    struct reeve_error err;
    message_begin(&m, MESSAGE_NOTE, 0);
    message_add(&m, TAG_TEXT, big, MESSAGE_MAX - 16);
    assert_int_equal(m.len, MESSAGE_MAX);
    assert_int_equal(message_send(fds[0], &m, -1, &err), 0);
    message_add_text(&m, TAG_STEP, "");
    message_add_text(&m, TAG_STEP, "x");
    assert_int_equal(message_send(fds[0], &m, -1, &err), -1);
    assert_int_equal(err.code, EMSGSIZE);
    message_begin(&m, MESSAGE_NOTE, 0);
    message_add(&m, TAG_TEXT, big, (size_t)-4);
    assert_int_equal(message_send(fds[0], &m, -1, &err), -1);
}

/* Every packet that is cut anywhere is refused or has fewer whole fields. */
static void test_cut_anywhere(void **state)
{
    build();
    size_t len = m.len;
    for (size_t n = 0; n < len; n++) {
        m.len = n;
        bool boundary = n == 8 || n == 24 || n == 34 || n == 42;
        assert_int_equal(message_check(&m, NULL), boundary ? 0 : -1);
    }
}

/* Reads never leave the message, whatever the bytes are: the sanitizers watch. */
static void test_any_byte_changed(void **state)
{
    char text[64];
    uint64_t v;
    build();
    for (size_t i = 0; i < m.len; i++)
        for (int b = 0; b < 256; b++) {
            unsigned char old = m.data[i];
            size_t at = 0;
            m.data[i] = (unsigned char)b;
            message_check(&m, NULL);
            message_get_u64(&m, TAG_ATTEMPT, &v);
            while (message_next_text(&m, TAG_GROUP_DIR, &at, text, sizeof text))
                assert_true(at <= m.len);
            m.data[i] = old;
        }
    put_le32(m.data + 12, 0xffffffffu);
    assert_int_equal(message_check(&m, NULL), -1);
    assert_false(message_get_u64(&m, TAG_ATTEMPT, &v));
}

static void test_travel_with_a_descriptor(void **state)
{
    int *fds = *state, fd;
    struct reeve_error err;
    auto_close memfd = fd_sealed("spec", "secret", 6);
    char back[8];
    assert_int_equal(message_receive(fds[1], &got, &fd, &err), 0);
    build();
    assert_int_equal(message_send(fds[0], &m, memfd, &err), 0);
    assert_int_equal(message_receive(fds[1], &got, &fd, &err), 1);
    assert_int_equal(got.len, m.len);
    assert_memory_equal(got.data, m.data, m.len);
    assert_true(fd >= 0 && fd != memfd);
    assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
    assert_int_equal(fd_pread_full(fd, back, sizeof back, 0), 6);
    close(fd);
    assert_int_equal(message_send(fds[0], &m, -1, &err), 0);
    assert_int_equal(message_receive(fds[1], &got, &fd, &err), 1);
    assert_int_equal(fd, -1);
}

static int open_fds(void)
{
    int count = 0;
    for (int i = 0; i < 256; i++)
        count += fcntl(i, F_GETFD) >= 0;
    return count;
}

static void send_fds(int sock, const void *data, size_t n, int count)
{
    union {
        struct cmsghdr align;
        char space[CMSG_SPACE(16 * sizeof(int))];
    } c;
    memset(&c, 0, sizeof c);
    struct iovec iov = {(void *)(uintptr_t)data, n};
    struct msghdr h = {.msg_iov = &iov,
                       .msg_iovlen = 1,
                       .msg_control = c.space,
                       .msg_controllen = CMSG_SPACE((size_t)count * sizeof(int))};
    struct cmsghdr *cm = CMSG_FIRSTHDR(&h);
    cm->cmsg_level = SOL_SOCKET;
    cm->cmsg_type = SCM_RIGHTS;
    cm->cmsg_len = CMSG_LEN((size_t)count * sizeof(int));
    int fds[16] = {0};
    memcpy(CMSG_DATA(cm), fds, (size_t)count * sizeof(int));
    assert_int_equal(sendmsg(sock, &h, 0), n);
}

static void test_more_descriptors_are_refused_and_closed(void **state)
{
    int *fds = *state, fd, before = open_fds();
    struct reeve_error err;
    build();
    for (int count = 2; count <= 16; count += 7) {
        send_fds(fds[0], m.data, m.len, count);
        assert_int_equal(message_receive(fds[1], &got, &fd, &err), -1);
        assert_int_equal(fd, -1);
        assert_int_equal(open_fds(), before);
    }
    send_fds(fds[0], "junk", 4, 1);
    assert_int_equal(message_receive(fds[1], &got, &fd, &err), -1);
    assert_int_equal(open_fds(), before);
}

static void test_hostile_packets(void **state)
{
    int *fds = *state, fd;
    static char big[MESSAGE_MAX + 1];
    struct reeve_error err;
    assert_int_equal(send(fds[0], big, sizeof big, 0), sizeof big);
    assert_int_equal(message_receive(fds[1], &got, &fd, &err), -1);
    assert_int_equal(err.code, EPROTO);
    assert_int_equal(send(fds[0], big, 8, 0), 8);
    assert_int_equal(message_receive(fds[1], &got, &fd, &err), -1);
    assert_int_equal(err.code, EPROTO);
    shutdown(fds[0], SHUT_WR);
    assert_int_equal(message_receive(fds[1], &got, &fd, &err), -1);
    assert_int_equal(err.code, 0);
}

static void test_full_and_gone(void **state)
{
    int *fds = *state, result = 0, sent = 0;
    struct reeve_error err;
    build();
    while ((result = message_send(fds[0], &m, -1, &err)) == 0 && sent < 100000)
        sent++;
    assert_int_equal(result, 1);
    close(fds[1]);
    fds[1] = -1;
    assert_int_equal(message_send(fds[0], &m, -1, &err), -1);
}

int main(void)
{
#define ON_PAIR(f) cmocka_unit_test_setup_teardown(f, pair, unpair)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fields),
        cmocka_unit_test(test_text_with_nul_is_none),
        cmocka_unit_test(test_cut_anywhere),
        cmocka_unit_test(test_any_byte_changed),
        ON_PAIR(test_too_much_is_told_at_send),
        ON_PAIR(test_travel_with_a_descriptor),
        ON_PAIR(test_more_descriptors_are_refused_and_closed),
        ON_PAIR(test_hostile_packets),
        ON_PAIR(test_full_and_gone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
