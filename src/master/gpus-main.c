/* SPDX-License-Identifier: Apache-2.0 */
/* reeve-gpus: reads NVIDIA's GPUs for the master, which must not wait for them; see
 * gpu-feed.h. Standard output is the pipe to it. */
#include "config.h"

#include "master/gpu-feed.h"

#include <poll.h>
#include <stddef.h>
#include <stdlib.h>
#include <unistd.h>

/* True if the master is gone; false after the interval. */
static int reader_left(void)
{
    struct pollfd p = {.fd = STDOUT_FILENO};
    return poll(&p, 1, GPU_FEED_INTERVAL_MS) > 0;
}

int main(void)
{
    struct gpu_packet p = {.version = GPU_PACKET_VERSION};
    struct nvml *n = nvml_open(getenv("NVIDIA_VISIBLE_DEVICES"), NULL);
    if (!n)
        return GPU_FEED_NONE_EXIT;
    do {
        p.count = (uint32_t)nvml_read(n, p.gpus);
        size_t size = offsetof(struct gpu_packet, gpus) + p.count * sizeof p.gpus[0];
        if (write(STDOUT_FILENO, &p, size) != (ssize_t)size)
            break;
    } while (!reader_left());
    nvml_close(n);
    return 0;
}
