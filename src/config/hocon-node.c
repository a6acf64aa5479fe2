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

static bool doc_count(struct hocon_doc *doc)
{
    return ++doc->nodes <= HOCON_NODES_MAX;
}

struct node *doc_node(struct hocon_doc *doc, enum node_kind kind)
{
    if (!doc_count(doc))
        return NULL;
    struct node *node = doc_alloc(doc, sizeof *node);
    node->kind = kind;
    return node;
}

void doc_free(struct hocon_doc *doc)
{
    while (doc->chunks) {
        struct chunk *c = doc->chunks;
        doc->chunks = c->next;
        free(c);
    }
}

struct field *node_field(const struct node *object, const char *name)
{
    for (struct field *f = object->fields; f; f = f->next)
        if (strcmp(f->name, name) == 0)
            return f;
    return NULL;
}

struct field *node_field_make(struct hocon_doc *doc, struct node *object,
                              const char *name)
{
    struct field *f = node_field(object, name);
    if (f)
        return f;
    if (object->count >= HOCON_MEMBERS_MAX || !doc_count(doc))
        return NULL;
    f = doc_alloc(doc, sizeof *f);
    f->name = name;
    if (object->field_last)
        object->field_last->next = f;
    else
        object->fields = f;
    object->field_last = f;
    object->count++;
    return f;
}

void node_append(struct node *list, struct node *child)
{
    if (list->last)
        list->last->next = child;
    else
        list->first = child;
    list->last = child;
    list->count++;
}

/* Moves the fields of `from` into `into`; a name that both have gets the values of
 * both. */
static void object_merge(struct hocon_doc *doc, struct node *into, struct node *from)
{
    struct field *next;
    for (struct field *f = from->fields; f; f = next) {
        next = f->next;
        f->next = NULL;
        struct field *mine = node_field(into, f->name);
        if (!mine && into->count >= HOCON_MEMBERS_MAX) {
            doc->nodes = HOCON_NODES_MAX + 1; /* the reader refuses the document */
            continue;
        }
        if (!mine) {
            if (into->field_last)
                into->field_last->next = f;
            else
                into->fields = f;
            into->field_last = f;
            into->count++;
            continue;
        }
        struct node *after;
        for (struct node *v = f->first; v; v = after) {
            after = v->next;
            v->next = NULL;
            field_add(doc, mine, v);
        }
    }
}

void field_add(struct hocon_doc *doc, struct field *f, struct node *value)
{
    if (value->kind == NODE_OBJECT && f->last && f->last->kind == NODE_OBJECT) {
        object_merge(doc, f->last, value);
        return;
    }
    /* A text hides everything before it; an array may hold a substitution that means
     * the value before. */
    if (value->kind == NODE_TEXT)
        f->first = f->last = NULL;
    if (f->last)
        f->last->next = value;
    else
        f->first = value;
    f->last = value;
}
