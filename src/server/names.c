/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "server/names.h"
#include "base/alloc.h"

#include <stdlib.h>
#include <string.h>

char *names_strip_dup(const char *name)
{
    static const char blank[] = " \t\r\n\v\f";
    name += strspn(name, blank);
    size_t n = strlen(name);
    while (n > 0 && strchr(blank, name[n - 1]))
        n--;
    return xstrndup(name, n);
}

static int compare(const void *a, const void *b)
{
    const cJSON *x = *(cJSON *const *)a, *y = *(cJSON *const *)b;
    return strcmp(x->valuestring, y->valuestring);
}

void names_sort(cJSON *list)
{
    size_t n = 0, total = (size_t)cJSON_GetArraySize(list);
    auto_free cJSON **items = xcalloc(total + 1, sizeof(*items));
    cJSON *item;
    while ((item = cJSON_DetachItemFromArray(list, 0))) {
        if (cJSON_IsString(item))
            items[n++] = item;
        else
            cJSON_Delete(item);
    }
    qsort(items, n, sizeof(*items), compare);
    for (size_t i = 0; i < n; i++) {
        if (i > 0 && compare(&items[i - 1], &items[i]) == 0) {
            cJSON_Delete(items[i - 1]);
            items[i - 1] = NULL;
        }
    }
    for (size_t i = 0; i < n; i++)
        if (items[i])
            cJSON_AddItemToArray(list, items[i]);
}
