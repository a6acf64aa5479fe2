/* gpu-feed.h - GPU figures from reeve-gpus, a process of its own
 *
 * NVIDIA's library may stall for seconds or for ever, starts threads and brings some
 * 10 MB: none of that belongs into the master. reeve-gpus opens it, writes one packet
 * to its standard output every ten seconds, and ends when nobody reads; where there is
 * no GPU it ends at once and is not started again. */
#ifndef REEVE_GPU_FEED_H
#define REEVE_GPU_FEED_H

#include "master/nvml.h"

#include <stdbool.h>
#include <sys/types.h>

struct gpu_feed;

enum { GPU_FEED_INTERVAL_MS = 10000, GPU_FEED_NONE_EXIT = 3 };

/* What travels: count figures follow. */
struct gpu_packet {
    uint32_t version; /* GPU_PACKET_VERSION */
    uint32_t count;
    struct nvml_gpu gpus[NVML_MAX_GPUS];
};
enum { GPU_PACKET_VERSION = 1 };

/* program: the path of reeve-gpus, copied. It is started at the first read. Never
 * fails: without it there are no figures. */
struct gpu_feed *gpu_feed_create(const char *program);
/* Ends the process without waiting for it longer than it takes to signal. NULL is
 * fine. */
void gpu_feed_destroy(struct gpu_feed *f);
/* The newest figures that came since the last call: how many GPUs, or 0 if nothing
 * new came. Never blocks. */
int gpu_feed_read(struct gpu_feed *f, struct nvml_gpu out[NVML_MAX_GPUS]);
/* Whether this process, which has ended, is its own: then it is reaped. NULL is fine.
 */
bool gpu_feed_reap(struct gpu_feed *f, pid_t pid);

#endif
