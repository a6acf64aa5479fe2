/* SPDX-License-Identifier: Apache-2.0 */
#include <config.h>

#include "config/hocon-internal.h"

#include "base/alloc.h"

#include <stdalign.h>
#include <string.h>

#define CHUNK_BYTES 16384

struct chunk {
    struct chunk *next;
    size_t used, size;
    alignas(max_align_t) unsigned char data[];
};

void *doc_alloc(struct hocon_doc *doc, size_t n)
{
    n = (n + alignof(max_align_t) - 1) & ~(alignof(max_align_t) - 1);
    struct chunk *c = doc->chunks;
    if (!c || c->size - c->used < n) {
        size_t size = n > CHUNK_BYTES ? n : CHUNK_BYTES;
        c = xmalloc(sizeof *c + size);
        c->size = size;
        c->used = 0;
        c->next = doc->chunks;
        doc->chunks = c;
    }
    void *p = c->data + c->used;
    c->used += n;
    return memset(p, 0, n);
}

const char *doc_text(struct hocon_doc *doc, const char *text, size_t n)
{
    char *copy = doc_alloc(doc, n + 1);
    if (n)
        memcpy(copy, text, n);
    return copy;
}

void doc_free(struct hocon_doc *doc)
{
    while (doc->chunks) {
        struct chunk *c = doc->chunks;
        doc->chunks = c->next;
        free(c);
    }
}

int doc_fail(struct hocon_doc *doc, const char *file, int line, const char *what)
{
    if (!doc->failed && file)
        reeve_error_set(doc->err, 0, "%s:%d: %s", file, line, what);
    else if (!doc->failed)
        reeve_error_set(doc->err, 0, "line %d: %s", line, what);
    doc->failed = true;
    return -1;
}

int doc_fail_at(struct hocon_doc *doc, const struct node *node, const char *what)
{
    return doc_fail(doc, node->file, node->line, what);
}

bool doc_pay(struct hocon_doc *doc, size_t steps)
{
    doc->steps += steps;
    if (doc->steps > HOCON_STEPS_MAX || doc->bytes > HOCON_RESULT_MAX)
        doc_fail(doc, doc->root->file, doc->root->line,
                 "substitutions make this too large");
    return !doc->failed;
}

struct node *doc_node(struct hocon_doc *doc, enum node_kind kind,
                      const struct node *like)
{
    struct node *node = doc_alloc(doc, sizeof *node);
    node->kind = kind;
    if (like) {
        node->line = like->line;
        node->file = like->file;
    }
    if (++doc->nodes > HOCON_NODES_MAX)
        doc_fail_at(doc, node, "too many values for a configuration");
    return node;
}

struct node *doc_text_node(struct hocon_doc *doc, const char *text, size_t n,
                           const struct node *like)
{
    struct node *node = doc_node(doc, NODE_TEXT, like);
    node->text = doc_text(doc, text, n);
    doc->bytes += n;
    return node;
}

void node_push(struct hocon_doc *doc, struct node *list, struct node *item)
{
    if (list->n == list->cap) {
        size_t cap = list->cap ? list->cap * 2 : 2;
        struct node **items = doc_alloc(doc, cap * sizeof(struct node *));
        if (list->n)
            memcpy(items, list->items, list->n * sizeof(struct node *));
        list->items = items;
        list->cap = cap;
    }
    list->items[list->n++] = item;
}

void node_insert_first(struct hocon_doc *doc, struct node *list, struct node *item)
{
    node_push(doc, list, item);
    memmove(list->items + 1, list->items, (list->n - 1) * sizeof(struct node *));
    list->items[0] = item;
}

struct node *list_copy(struct hocon_doc *doc, const struct node *list)
{
    struct node *copy = doc_node(doc, NODE_LIST, list);
    if (!doc_pay(doc, list->n + 1) || !list->n)
        return copy;
    copy->items = doc_alloc(doc, list->n * sizeof(struct node *));
    memcpy(copy->items, list->items, list->n * sizeof(struct node *));
    copy->n = copy->cap = list->n;
    return copy;
}
