/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "calls.h"
#include "base/alloc.h"

#include <stddef.h>
#include <string.h>
#include <sys/syscall.h>

#define CALL(name, path, fd, length, effect)                                           \
    {                                                                                  \
#name, SYS_##name, path, fd, length, effect                                    \
    }

static const struct call table[] = {
    CALL(read, NONE, 0, 2, true),
    CALL(readv, NONE, 0, 2, true),
    CALL(pread64, NONE, 0, 2, false),
    CALL(preadv, NONE, 0, 2, false),
    CALL(write, NONE, 0, 2, true),
    CALL(writev, NONE, 0, 2, true),
    CALL(pwrite64, NONE, 0, 2, true),
    CALL(pwritev, NONE, 0, 2, true),
    CALL(sendto, NONE, 0, 2, true),
    CALL(sendmsg, NONE, 0, NONE, true),
    CALL(sendmmsg, NONE, 0, 2, true),
    CALL(recvfrom, NONE, 0, 2, true),
    CALL(recvmsg, NONE, 0, NONE, true),
    CALL(recvmmsg, NONE, 0, 2, true),
    CALL(sendfile, NONE, 0, 3, true),
    CALL(splice, NONE, 2, 4, true),
    CALL(tee, NONE, 1, 2, true),
    CALL(copy_file_range, NONE, 2, 4, true),
    CALL(openat, 1, 0, NONE, true),
    CALL(openat2, 1, 0, NONE, true),
    CALL(close, NONE, 0, NONE, true),
    CALL(close_range, NONE, 0, NONE, true),
    CALL(renameat, 3, 0, NONE, true),
    CALL(renameat2, 3, 0, NONE, true),
    CALL(linkat, 3, 0, NONE, true),
    CALL(symlinkat, 2, 1, NONE, true),
    CALL(unlinkat, 1, 0, NONE, true),
    CALL(mkdirat, 1, 0, NONE, true),
    CALL(mknodat, 1, 0, NONE, true),
    CALL(fchmod, NONE, 0, NONE, true),
    CALL(fchmodat, 1, 0, NONE, true),
    CALL(fchown, NONE, 0, NONE, true),
    CALL(fchownat, 1, 0, NONE, true),
    CALL(utimensat, 1, 0, NONE, true),
    CALL(ftruncate, NONE, 0, NONE, true),
    CALL(fallocate, NONE, 0, NONE, true),
    CALL(fsync, NONE, 0, NONE, true),
    CALL(fdatasync, NONE, 0, NONE, true),
    CALL(sync_file_range, NONE, 0, NONE, true),
    CALL(syncfs, NONE, 0, NONE, true),
    CALL(flock, NONE, 0, NONE, true),
    CALL(fcntl, NONE, 0, NONE, false),
    CALL(ioctl, NONE, 0, NONE, false),
    CALL(dup, NONE, 0, NONE, false),
    CALL(dup3, NONE, 0, NONE, false),
    CALL(lseek, NONE, 0, NONE, false),
    CALL(fstat, NONE, 0, NONE, false),
    CALL(newfstatat, 1, 0, NONE, false),
    CALL(statx, 1, 0, NONE, false),
    CALL(faccessat, 1, 0, NONE, false),
    CALL(faccessat2, 1, 0, NONE, false),
    CALL(readlinkat, 1, 0, NONE, false),
    CALL(getdents64, NONE, 0, 2, false),
    CALL(statfs, 0, NONE, NONE, false),
    CALL(fstatfs, NONE, 0, NONE, false),
    CALL(chdir, 0, NONE, NONE, false),
    CALL(fchdir, NONE, 0, NONE, false),
    CALL(mount, 1, NONE, NONE, true),
    CALL(umount2, 0, NONE, NONE, true),
    CALL(setxattr, 0, NONE, NONE, true),
    CALL(inotify_add_watch, 1, 0, NONE, false),
    CALL(inotify_init1, NONE, NONE, NONE, false),
    CALL(memfd_create, NONE, NONE, NONE, false),
    CALL(mmap, NONE, 4, NONE, false),
    CALL(munmap, NONE, NONE, NONE, false),
    CALL(mremap, NONE, NONE, NONE, false),
    CALL(mprotect, NONE, NONE, NONE, false),
    CALL(madvise, NONE, NONE, NONE, false),
    CALL(brk, NONE, NONE, NONE, false),
    CALL(pipe2, NONE, NONE, NONE, false),
    CALL(eventfd2, NONE, NONE, NONE, false),
    CALL(timerfd_create, NONE, NONE, NONE, false),
    CALL(timerfd_settime, NONE, 0, NONE, false),
    CALL(signalfd4, NONE, 0, NONE, false),
    CALL(socket, NONE, NONE, NONE, false),
    CALL(socketpair, NONE, NONE, NONE, false),
    CALL(bind, NONE, 0, NONE, true),
    CALL(listen, NONE, 0, NONE, true),
    CALL(accept, NONE, 0, NONE, true),
    CALL(accept4, NONE, 0, NONE, true),
    CALL(connect, NONE, 0, NONE, true),
    CALL(shutdown, NONE, 0, NONE, true),
    CALL(getsockopt, NONE, 0, NONE, false),
    CALL(setsockopt, NONE, 0, NONE, false),
    CALL(getsockname, NONE, 0, NONE, false),
    CALL(getpeername, NONE, 0, NONE, false),
    CALL(epoll_create1, NONE, NONE, NONE, false),
    CALL(epoll_ctl, NONE, 0, NONE, false),
    CALL(epoll_pwait, NONE, 0, NONE, false),
    CALL(epoll_pwait2, NONE, 0, NONE, false),
    CALL(ppoll, NONE, NONE, NONE, false),
    CALL(pselect6, NONE, NONE, NONE, false),
    CALL(clone, NONE, NONE, NONE, true),
    CALL(clone3, NONE, NONE, NONE, true),
    CALL(execve, 0, NONE, NONE, true),
    CALL(execveat, 1, 0, NONE, true),
    CALL(wait4, NONE, NONE, NONE, true),
    CALL(waitid, NONE, NONE, NONE, true),
    CALL(kill, NONE, NONE, NONE, true),
    CALL(tkill, NONE, NONE, NONE, true),
    CALL(tgkill, NONE, NONE, NONE, true),
    CALL(pidfd_open, NONE, NONE, NONE, false),
    CALL(pidfd_send_signal, NONE, NONE, NONE, true),
    CALL(pidfd_getfd, NONE, NONE, NONE, false),
    CALL(prctl, NONE, NONE, NONE, false),
    CALL(setsid, NONE, NONE, NONE, false),
    CALL(setpgid, NONE, NONE, NONE, false),
    CALL(umask, NONE, NONE, NONE, false),
    CALL(prlimit64, NONE, NONE, NONE, false),
    CALL(sched_setaffinity, NONE, NONE, NONE, false),
    CALL(nanosleep, NONE, NONE, NONE, false),
    CALL(clock_nanosleep, NONE, NONE, NONE, false),
    CALL(futex, NONE, NONE, NONE, false),
    CALL(getrandom, NONE, NONE, NONE, false),
    CALL(exit, NONE, NONE, NONE, true),
    CALL(exit_group, NONE, NONE, NONE, true),
#ifdef SYS_open /* an old architecture: the forms that take no folder */
    CALL(open, 0, NONE, NONE, true),
    CALL(creat, 0, NONE, NONE, true),
    CALL(rename, 1, NONE, NONE, true),
    CALL(link, 1, NONE, NONE, true),
    CALL(symlink, 1, NONE, NONE, true),
    CALL(unlink, 0, NONE, NONE, true),
    CALL(mkdir, 0, NONE, NONE, true),
    CALL(rmdir, 0, NONE, NONE, true),
    CALL(mknod, 0, NONE, NONE, true),
    CALL(chmod, 0, NONE, NONE, true),
    CALL(chown, 0, NONE, NONE, true),
    CALL(lchown, 0, NONE, NONE, true),
    CALL(truncate, 0, NONE, NONE, true),
    CALL(stat, 0, NONE, NONE, false),
    CALL(lstat, 0, NONE, NONE, false),
    CALL(access, 0, NONE, NONE, false),
    CALL(readlink, 0, NONE, NONE, false),
    CALL(getdents, NONE, 0, 2, false),
    CALL(dup2, NONE, 0, NONE, false),
    CALL(pipe, NONE, NONE, NONE, false),
    CALL(eventfd, NONE, NONE, NONE, false),
    CALL(signalfd, NONE, 0, NONE, false),
    CALL(epoll_create, NONE, NONE, NONE, false),
    CALL(epoll_wait, NONE, 0, NONE, false),
    CALL(poll, NONE, NONE, NONE, false),
    CALL(select, NONE, NONE, NONE, false),
    CALL(fork, NONE, NONE, NONE, true),
    CALL(vfork, NONE, NONE, NONE, true),
#else
    CALL(truncate, 0, NONE, NONE, true),
#endif
};

const struct call *call_by_number(uint64_t number)
{
    static const struct call *by_number[CALL_NUMBERS];
    if (!by_number[SYS_write])
        for (size_t i = 0; i < ARRAY_SIZE(table); i++)
            by_number[table[i].number] = &table[i];
    return number < CALL_NUMBERS ? by_number[number] : NULL;
}

static bool add(struct call_set *set, const char *word)
{
    bool effects = strcmp(word, "%effects") == 0, found = false;
    for (size_t i = 0; i < ARRAY_SIZE(table); i++)
        if (effects ? table[i].effect : strcmp(table[i].name, word) == 0)
            set->has[table[i].number] = found = true;
    return found;
}

int call_set_parse(struct call_set *set, const char *words, char **unknown)
{
    auto_free char *copy = xstrdup(words);
    char *rest = copy;
    for (char *word; (word = strsep(&rest, ","));) {
        if (add(set, word))
            continue;
        *unknown = xstrdup(word);
        return -1;
    }
    return 0;
}

bool call_set_has(const struct call_set *set, uint64_t number)
{
    return set->all || (number < CALL_NUMBERS && set->has[number]);
}
