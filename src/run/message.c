/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "run/message.h"
#include "base/bytes.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define HEADER_SIZE 8
#define FIELD_SIZE 8
/* No message carries more than one descriptor; room for some more lets the reader see,
 * and close, what a hostile peer sends. */
#define FDS_SEEN 8

void message_begin(struct message *m, enum message_type type, uint32_t request)
{
    put_le16(m->data, MESSAGE_VERSION);
    put_le16(m->data + 2, (uint16_t)type);
    put_le32(m->data + 4, request);
    m->len = HEADER_SIZE;
}

void message_add(struct message *m, enum message_tag tag, const void *data, size_t n)
{
    if (m->len > MESSAGE_MAX || n > MESSAGE_MAX ||
        MESSAGE_MAX - m->len < FIELD_SIZE + n) {
        m->len = MESSAGE_MAX + 1;
        return;
    }
    unsigned char *p = m->data + m->len;
    put_le16(p, (uint16_t)tag);
    put_le16(p + 2, 0);
    put_le32(p + 4, (uint32_t)n);
    if (n)
        memcpy(p + FIELD_SIZE, data, n);
    m->len += FIELD_SIZE + n;
}

void message_add_text(struct message *m, enum message_tag tag, const char *text)
{
    message_add(m, tag, text, strlen(text));
}

void message_add_u64(struct message *m, enum message_tag tag, uint64_t value)
{
    unsigned char p[8];
    put_le64(p, value);
    message_add(m, tag, p, sizeof p);
}

int message_check(const struct message *m, struct reeve_error *err)
{
    if (m->len < HEADER_SIZE || m->len > MESSAGE_MAX)
        return reeve_error_set(err, EPROTO, "message of %zu bytes", m->len);
    if (message_get_version(m) == 0)
        return reeve_error_set(err, EPROTO, "message of version 0");
    for (size_t at = HEADER_SIZE; at < m->len;) {
        if (m->len - at < FIELD_SIZE || get_le16(m->data + at + 2) != 0 ||
            get_le32(m->data + at + 4) > m->len - at - FIELD_SIZE)
            return reeve_error_set(err, EPROTO, "message with a bad field at %zu", at);
        at += FIELD_SIZE + get_le32(m->data + at + 4);
    }
    return 0;
}

uint16_t message_get_version(const struct message *m)
{
    return get_le16(m->data);
}

uint16_t message_get_type(const struct message *m)
{
    return get_le16(m->data + 2);
}

uint32_t message_get_request(const struct message *m)
{
    return get_le32(m->data + 4);
}

/* The next field with this tag from *at on; checks again what message_check did, so
 * that a message nobody checked can't lead outside either. */
static const unsigned char *find(const struct message *m, enum message_tag tag,
                                 size_t *at, size_t *n)
{
    if (m->len > MESSAGE_MAX)
        return NULL;
    if (*at < HEADER_SIZE)
        *at = HEADER_SIZE;
    while (*at <= m->len && m->len - *at >= FIELD_SIZE) {
        const unsigned char *p = m->data + *at;
        size_t size = get_le32(p + 4);
        if (size > m->len - *at - FIELD_SIZE)
            return NULL;
        *at += FIELD_SIZE + size;
        if (get_le16(p) == (uint16_t)tag) {
            *n = size;
            return p + FIELD_SIZE;
        }
    }
    return NULL;
}

bool message_get_u64(const struct message *m, enum message_tag tag, uint64_t *out)
{
    size_t at = 0, n;
    const unsigned char *p = find(m, tag, &at, &n);
    if (!p || n != 8)
        return false;
    *out = get_le64(p);
    return true;
}

bool message_next_text(const struct message *m, enum message_tag tag, size_t *at,
                       char *out, size_t size)
{
    size_t n;
    const unsigned char *p = find(m, tag, at, &n);
    if (!p || size == 0 || memchr(p, '\0', n))
        return false;
    if (n > size - 1)
        n = size - 1;
    memcpy(out, p, n);
    out[n] = '\0';
    return true;
}

bool message_get_text(const struct message *m, enum message_tag tag, char *out,
                      size_t size)
{
    size_t at = 0;
    return message_next_text(m, tag, &at, out, size);
}

union control {
    struct cmsghdr align;
    char space[CMSG_SPACE(FDS_SEEN * sizeof(int))];
};

static void attach_fd(struct msghdr *h, union control *c, int fd)
{
    memset(c, 0, sizeof *c);
    h->msg_control = c->space;
    h->msg_controllen = CMSG_SPACE(sizeof fd);
    struct cmsghdr *cm = CMSG_FIRSTHDR(h);
    cm->cmsg_level = SOL_SOCKET;
    cm->cmsg_type = SCM_RIGHTS;
    cm->cmsg_len = CMSG_LEN(sizeof fd);
    memcpy(CMSG_DATA(cm), &fd, sizeof fd);
}

int message_send(int sock, const struct message *m, int fd, struct reeve_error *err)
{
    if (m->len > MESSAGE_MAX)
        return reeve_error_set(err, EMSGSIZE, "send message");
    struct iovec iov = {(void *)(uintptr_t)m->data, m->len};
    struct msghdr h = {.msg_iov = &iov, .msg_iovlen = 1};
    union control c;
    if (fd >= 0)
        attach_fd(&h, &c, fd);
    ssize_t n;
    do
        n = sendmsg(sock, &h, MSG_NOSIGNAL | MSG_DONTWAIT);
    while (n < 0 && errno == EINTR);
    if (n >= 0)
        return 0;
    /* ENOBUFS is how some kernels say that they are short of socket memory. */
    if (errno == EAGAIN || errno == EWOULDBLOCK || errno == ENOBUFS)
        return 1;
    return reeve_error_set(err, errno, "send message");
}

/* Keeps one descriptor if exactly one came, closes all others; returns how many came.
 */
static int collect_fds(struct msghdr *h, int *fd)
{
    int count = 0;
    *fd = -1;
    for (struct cmsghdr *cm = CMSG_FIRSTHDR(h); cm; cm = CMSG_NXTHDR(h, cm)) {
        if (cm->cmsg_level != SOL_SOCKET || cm->cmsg_type != SCM_RIGHTS)
            continue;
        size_t n = (cm->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; i < n; i++, count++) {
            int got;
            memcpy(&got, CMSG_DATA(cm) + i * sizeof got, sizeof got);
            if (count == 0)
                *fd = got;
            else
                close(got);
        }
    }
    return count;
}

static int refuse(int *fd, struct reeve_error *err, const char *why)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
    return reeve_error_set(err, EPROTO, "receive message: %s", why);
}

int message_receive(int sock, struct message *m, int *fd, struct reeve_error *err)
{
    struct iovec iov = {m->data, sizeof m->data};
    union control c;
    struct msghdr h = {.msg_iov = &iov,
                       .msg_iovlen = 1,
                       .msg_control = c.space,
                       .msg_controllen = sizeof c.space};
    ssize_t n;
    *fd = -1;
    m->len = 0;
    do
        n = recvmsg(sock, &h, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    while (n < 0 && errno == EINTR);
    if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
        return 0;
    if (n < 0)
        return reeve_error_set(err, errno, "receive message");
    int count = collect_fds(&h, fd);
    if (count > 1 || (h.msg_flags & MSG_CTRUNC))
        return refuse(fd, err, "more than one descriptor");
    if (h.msg_flags & MSG_TRUNC)
        return refuse(fd, err, "too long");
    if (n == 0) {
        refuse(fd, NULL, "");
        return reeve_error_set(err, 0, "the peer closed the connection");
    }
    m->len = (size_t)n;
    if (message_check(m, err) < 0) {
        refuse(fd, NULL, "");
        return -1;
    }
    return 1;
}
