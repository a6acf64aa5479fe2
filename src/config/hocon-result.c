/* SPDX-License-Identifier: Apache-2.0 */
#include <config.h>

#include "config/hocon-internal.h"

#include "base/alloc.h"

#include <math.h>
#include <stdlib.h>

static cJSON *made(cJSON *value)
{
    if (!value)
        abort();
    return value;
}

static cJSON *scalar(const struct node *node)
{
    cJSON *value;
    if (node->kind == NODE_TEXT)
        return made(cJSON_CreateString(node->text));
    if (node->kind == NODE_NULL)
        return made(cJSON_CreateNull());
    double number = node->kind == NODE_NUMBER ? strtod(node->text, NULL) : 0;
    if (!isfinite(number))
        return made(cJSON_CreateString(node->text));
    value = made(node->kind == NODE_BOOL ? cJSON_CreateBool(node->yes)
                                         : cJSON_CreateNumber(number));
    /* cJSON ignores the text of a number when it prints, and copies and frees it. */
    value->valuestring = xstrdup(node->text);
    return value;
}

static cJSON *origin(const struct hocon_doc *doc, const struct node *node)
{
    if (doc->from)
        return made(cJSON_CreateString(doc->from));
    auto_free char *text = node->file ? xasprintf("%s:%d", node->file, node->line)
                                      : xasprintf("line %d", node->line);
    return made(cJSON_CreateString(text));
}

static cJSON *result(struct hocon_doc *doc, const struct node *node, cJSON **origins,
                     int depth);

static cJSON *tree(struct hocon_doc *doc, const struct node *node, cJSON **origins,
                   int depth)
{
    cJSON *object = made(cJSON_CreateObject());
    if (origins)
        *origins = made(cJSON_CreateObject());
    for (struct field *f = node->fields; f; f = f->next) {
        cJSON *from = NULL;
        cJSON *value = result(doc, f->value, origins ? &from : NULL, depth + 1);
        cJSON_AddItemToObject(object, f->name, value);
        if (origins)
            cJSON_AddItemToObject(*origins, f->name, from);
    }
    return object;
}

/* A list is one value with one origin. */
static cJSON *list(struct hocon_doc *doc, const struct node *node, int depth)
{
    cJSON *array = made(cJSON_CreateArray());
    for (size_t i = 0; i < node->n; i++)
        cJSON_AddItemToArray(array, result(doc, node->items[i], NULL, depth + 1));
    return array;
}

static cJSON *result(struct hocon_doc *doc, const struct node *node, cJSON **origins,
                     int depth)
{
    static const struct node nothing = {.kind = NODE_NULL};
    node = node ? node : &nothing;
    if (depth > HOCON_RESULT_DEPTH_MAX)
        doc_fail_at(doc, node, "substitutions nested too deeply");
    if (node->kind == NODE_VALUES)
        doc_fail_at(doc, node, "this value means itself");
    if (!doc_pay(doc, 1) || doc->failed)
        node = &nothing;
    if (node->kind == NODE_TREE)
        return tree(doc, node, origins, depth);
    if (origins)
        *origins = origin(doc, node);
    return node->kind == NODE_LIST ? list(doc, node, depth) : scalar(node);
}

cJSON *hocon_result(struct hocon_doc *doc, const struct hocon_options *options)
{
    cJSON *origins = NULL;
    cJSON **wanted = options ? options->origins : NULL;
    doc->from = options ? options->from : NULL;
    cJSON *value = result(doc, doc->root, wanted ? &origins : NULL, 0);
    if (doc->failed) {
        cJSON_Delete(value);
        cJSON_Delete(origins);
        return NULL;
    }
    if (wanted)
        *wanted = origins;
    return value;
}
