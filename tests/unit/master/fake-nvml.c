/* SPDX-License-Identifier: Apache-2.0 */
/* A library with NVML's symbols and invented GPUs. FAKE_NVML: "init" fails to start,
 * "usage" has no utilization for GPU 1 (as with MIG); FAKE_NVML_GPUS: how many. */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct utilization {
    unsigned gpu, memory;
};
struct memory {
    unsigned long long total, free, used;
};

int nvmlInit_v2(void);
int nvmlShutdown(void);
int nvmlDeviceGetCount_v2(unsigned *count);
int nvmlDeviceGetHandleByIndex_v2(unsigned index, void **device);
int nvmlDeviceGetUUID(void *device, char *uuid, unsigned size);
int nvmlDeviceGetUtilizationRates(void *device, struct utilization *u);
int nvmlDeviceGetTemperature(void *device, int sensor, unsigned *degrees);
int nvmlDeviceGetMemoryInfo(void *device, struct memory *m);

static char devices[64];

static int mode_is(const char *mode)
{
    const char *set = getenv("FAKE_NVML");
    return set && !strcmp(set, mode);
}

static unsigned index_of(void *device)
{
    return (unsigned)((char *)device - devices);
}

int nvmlInit_v2(void)
{
    return mode_is("init") ? 9 : 0;
}

int nvmlShutdown(void)
{
    return 0;
}

int nvmlDeviceGetCount_v2(unsigned *count)
{
    const char *set = getenv("FAKE_NVML_GPUS");
    *count = set ? (unsigned)atoi(set) : 2;
    return 0;
}

int nvmlDeviceGetHandleByIndex_v2(unsigned index, void **device)
{
    if (index >= sizeof devices)
        return 2;
    *device = &devices[index];
    return 0;
}

int nvmlDeviceGetUUID(void *device, char *uuid, unsigned size)
{
    snprintf(uuid, size, "GPU-fake-%u", index_of(device));
    return 0;
}

int nvmlDeviceGetUtilizationRates(void *device, struct utilization *u)
{
    if (mode_is("usage") && index_of(device) == 1)
        return 3;
    u->gpu = 10 + index_of(device);
    return 0;
}

int nvmlDeviceGetTemperature(void *device, int sensor, unsigned *degrees)
{
    *degrees = sensor == 0 ? 50 + index_of(device) : 0;
    return 0;
}

int nvmlDeviceGetMemoryInfo(void *device, struct memory *m)
{
    m->total = 1000ULL << 20;
    m->used = (100ULL + index_of(device)) << 20;
    m->free = m->total - m->used;
    return 0;
}
