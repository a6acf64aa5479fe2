/* SPDX-License-Identifier: Apache-2.0 */
/* HOCON from anywhere, with files that include each other and variables: a document or
 * an error, never a crash, a leak or a long wait. */
#include "config.h"

#include "base/alloc.h"
#include "base/file.h"
#include "config/config.h"
#include "config/hocon.h"
#include "config/mask.h"
#include "config/option-table.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char dir[] = "/tmp/reeve-hocon-fuzz-XXXXXX";

static void remove_folder(void)
{
    dir_remove_tree(dir, NULL);
}

static void start(void)
{
    static bool started;
    if (started)
        return;
    if (!mkdtemp(dir))
        abort();
    atexit(remove_folder);
    clearenv();
    setenv("A", "from outside", 1);
    setenv("B", "", 1);
    started = true;
}

static void write_file(const char *name, const uint8_t *data, size_t n)
{
    auto_free char *path = path_join_dup(dir, name);
    if (file_replace(path, (const char *)data, n, 0600, false, NULL) < 0)
        abort();
}

static void say_nothing(void *arg, enum option_level level, const char *text)
{
    (void)arg, (void)level, (void)text;
}

/* A byte of zero ends a.conf, the next one b.conf; what is left is c.conf. */
static void write_files(const uint8_t *data, size_t size)
{
    static const char *const names[] = {"a.conf", "b.conf", "c.conf"};
    for (size_t i = 0; i < 3; i++) {
        const uint8_t *end = i < 2 && size ? memchr(data, 0, size) : NULL;
        size_t n = end ? (size_t)(end - data) : size;
        write_file(names[i], data, n);
        data += end ? n + 1 : n;
        size -= end ? n + 1 : n;
    }
}

static void read_files(void)
{
    auto_free char *path = path_join_dup(dir, "a.conf");
    struct config *c = config_from_file(path, NULL);
    if (!c)
        return;
    cJSON *shown = cJSON_Duplicate(config_tree(c), true);
    mask_secrets(shown);
    cJSON_Delete(shown);
    option_check(c, say_nothing, NULL);
    config_destroy(c);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct reeve_error err;
    start();
    cJSON_Delete(hocon_parse((const char *)data, size, NULL, &err));
    write_files(data, size);
    read_files();
    return 0;
}
