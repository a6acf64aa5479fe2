/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "master/nvml.h"
#include "base/alloc.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The stable part of NVML's interface; 0 is success everywhere. */
typedef void *nvml_device;
struct nvml_utilization {
    unsigned gpu, memory;
};
struct nvml_memory {
    unsigned long long total, free, used;
};
enum { NVML_TEMPERATURE_OF_GPU = 0, UUID_SIZE = 96 };

struct nvml {
    void *library;
    int (*init)(void);
    int (*shutdown)(void);
    int (*get_count)(unsigned *);
    int (*get_device)(unsigned, nvml_device *);
    int (*get_uuid)(nvml_device, char *, unsigned);
    int (*get_utilization)(nvml_device, struct nvml_utilization *);
    int (*get_temperature)(nvml_device, int, unsigned *);
    int (*get_memory)(nvml_device, struct nvml_memory *);
    bool ready;
    int count;
    nvml_device devices[NVML_MAX_GPUS];
};

static int load_symbols(struct nvml *n, struct reeve_error *err)
{
    const struct {
        const char *name;
        void *to;
    } symbols[] = {
        {"nvmlInit_v2", &n->init},
        {"nvmlShutdown", &n->shutdown},
        {"nvmlDeviceGetCount_v2", &n->get_count},
        {"nvmlDeviceGetHandleByIndex_v2", &n->get_device},
        {"nvmlDeviceGetUUID", &n->get_uuid},
        {"nvmlDeviceGetUtilizationRates", &n->get_utilization},
        {"nvmlDeviceGetTemperature", &n->get_temperature},
        {"nvmlDeviceGetMemoryInfo", &n->get_memory},
    };
    for (size_t i = 0; i < ARRAY_SIZE(symbols); i++) {
        void *symbol = dlsym(n->library, symbols[i].name);
        if (!symbol)
            return reeve_error_set(err, 0, "NVML has no %s", symbols[i].name);
        memcpy(symbols[i].to, &symbol, sizeof symbol);
    }
    return 0;
}

static bool list_has(const char *list, const char *word)
{
    size_t n = strlen(word);
    while (*list) {
        list += strspn(list, ", ");
        size_t len = strcspn(list, ", ");
        if (len == n && !strncmp(list, word, n))
            return true;
        list += len;
    }
    return false;
}

static bool is_visible(const struct nvml *n, const char *visible, unsigned index,
                       nvml_device device)
{
    char text[UUID_SIZE];
    if (!visible || !*visible || !strcmp(visible, "all"))
        return true;
    snprintf(text, sizeof text, "%u", index);
    if (list_has(visible, text))
        return true;
    text[0] = '\0';
    if (n->get_uuid(device, text, sizeof text) != 0)
        return false;
    text[sizeof text - 1] = '\0';
    return list_has(visible, text);
}

static int find_devices(struct nvml *n, const char *visible, struct reeve_error *err)
{
    unsigned count = 0;
    int code = n->init();
    if (code != 0)
        return reeve_error_set(err, 0, "NVML does not start: error %d", code);
    n->ready = true;
    if (n->get_count(&count) != 0)
        return reeve_error_set(err, 0, "NVML does not count the GPUs");
    for (unsigned i = 0; i < count && n->count < NVML_MAX_GPUS; i++) {
        nvml_device device;
        if (n->get_device(i, &device) == 0 && is_visible(n, visible, i, device))
            n->devices[n->count++] = device;
    }
    return n->count ? 0 : reeve_error_set(err, 0, "no GPU");
}

struct nvml *nvml_open(const char *visible, struct reeve_error *err)
{
    const char *path = getenv("REEVE_NVML_LIBRARY");
    struct nvml *n = xcalloc(1, sizeof *n);
    n->library =
        dlopen(path && *path ? path : "libnvidia-ml.so.1", RTLD_NOW | RTLD_LOCAL);
    if (!n->library)
        reeve_error_set(err, 0, "no NVML library");
    else if (load_symbols(n, err) == 0 && find_devices(n, visible, err) == 0)
        return n;
    nvml_close(n);
    return NULL;
}

void nvml_close(struct nvml *n)
{
    if (!n)
        return;
    if (n->ready)
        n->shutdown();
    if (n->library)
        dlclose(n->library);
    free(n);
}

int nvml_read(struct nvml *n, struct nvml_gpu out[NVML_MAX_GPUS])
{
    for (int i = 0; i < n->count; i++) {
        struct nvml_utilization u = {0};
        struct nvml_memory m = {0};
        unsigned degrees = 0;
        struct nvml_gpu *g = &out[i];
        *g = (struct nvml_gpu){0};
        g->has_usage = n->get_utilization(n->devices[i], &u) == 0;
        g->has_temperature =
            n->get_temperature(n->devices[i], NVML_TEMPERATURE_OF_GPU, &degrees) == 0;
        g->has_memory = n->get_memory(n->devices[i], &m) == 0;
        g->usage = u.gpu;
        g->temperature = degrees;
        g->memory_used = m.used;
        g->memory_free = m.free;
    }
    return n->count;
}
