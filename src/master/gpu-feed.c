/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "master/gpu-feed.h"
#include "base/alloc.h"
#include "base/clock.h"
#include "base/fd.h"
#include "base/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* After a crash; no GPU is no crash. */
enum { RESTART_MS = 60000 };

struct gpu_feed {
    char *program;
    pid_t pid; /* -1: not running */
    int fd;    /* -1 */
    bool over; /* there is no GPU, or no such program */
    int64_t start_at;
};

struct gpu_feed *gpu_feed_create(const char *program)
{
    struct gpu_feed *f = xcalloc(1, sizeof *f);
    f->program = xstrdup(program);
    f->pid = -1;
    f->fd = -1;
    return f;
}

static void start(struct gpu_feed *f)
{
    int fds[2];
    f->start_at = clock_boot_ms() + RESTART_MS;
    /* O_DIRECT: one read is one write. */
    if (pipe2(fds, O_CLOEXEC | O_DIRECT) != 0)
        return;
    auto_close out = fds[1];
    f->fd = fds[0];
    char *argv[] = {f->program, NULL};
    int code = fd_set_nonblock(f->fd) == 0
                   ? spawn_program(f->program, argv, out, -1, &f->pid)
                   : errno;
    if (code == 0)
        return;
    close(fd_take(&f->fd));
    f->pid = -1;
    f->over = code == ENOENT || code == EACCES;
}

static void reap_if_gone(struct gpu_feed *f)
{
    int status;
    if (f->pid < 0 || waitpid(f->pid, &status, WNOHANG) == 0)
        return;
    f->pid = -1;
    close(fd_take(&f->fd));
    if (WIFEXITED(status) && WEXITSTATUS(status) == GPU_FEED_NONE_EXIT)
        f->over = true;
}

int gpu_feed_read(struct gpu_feed *f, struct nvml_gpu out[NVML_MAX_GPUS])
{
    const size_t head = offsetof(struct gpu_packet, gpus);
    struct gpu_packet p;
    int count = 0;
    if (f->pid < 0 && !f->over && clock_boot_ms() >= f->start_at)
        start(f);
    if (f->pid < 0)
        return 0;
    ssize_t n;
    while ((n = read(f->fd, &p, sizeof p)) > 0) {
        if ((size_t)n < head || p.version != GPU_PACKET_VERSION ||
            p.count > NVML_MAX_GPUS || (size_t)n != head + p.count * sizeof p.gpus[0])
            continue;
        memcpy(out, p.gpus, p.count * sizeof p.gpus[0]);
        count = (int)p.count;
    }
    reap_if_gone(f);
    return count;
}

bool gpu_feed_reap(struct gpu_feed *f, pid_t pid)
{
    if (!f || f->pid < 0 || f->pid != pid)
        return false;
    reap_if_gone(f);
    return true;
}

void gpu_feed_destroy(struct gpu_feed *f)
{
    if (!f)
        return;
    if (f->fd >= 0)
        close(f->fd);
    if (f->pid >= 0) {
        kill(f->pid, SIGKILL);
        /* One that hangs in the driver does not die yet; init reaps it then. */
        for (int i = 0; i < 20 && waitpid(f->pid, NULL, WNOHANG) == 0; i++)
            usleep(1000);
    }
    free(f->program);
    free(f);
}
