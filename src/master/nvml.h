/* nvml.h - NVIDIA's GPUs by its management library, opened at run time
 *
 * What is known about its blocking: the first call may load the driver and take
 * seconds where persistence mode is off, later ones take 0.1 to 20 ms each, and with a
 * GPU that fell off the bus a call may never return. So the caller asks rarely, and not
 * where a stall would matter. */
#ifndef REEVE_NVML_H
#define REEVE_NVML_H

#include "base/error.h"

#include <stdbool.h>
#include <stdint.h>

enum { NVML_MAX_GPUS = 32 };

struct nvml;

struct nvml_gpu {
    bool has_usage, has_temperature, has_memory;
    double usage;       /* % */
    double temperature; /* degrees C */
    uint64_t memory_used, memory_free;
};

/* Opens libnvidia-ml.so.1, or the file that REEVE_NVML_LIBRARY names. visible: as in
 * NVIDIA_VISIBLE_DEVICES, a comma-separated list of indices and UUIDs; NULL, "" and
 * "all" are all GPUs. NULL with err if there is no library, no driver or no GPU. */
struct nvml *nvml_open(const char *visible, struct reeve_error *err);
/* NULL is fine. */
void nvml_close(struct nvml *n);
/* Fills in what can be read of each visible GPU; returns how many. */
int nvml_read(struct nvml *n, struct nvml_gpu out[NVML_MAX_GPUS]);

#endif
