/* SPDX-License-Identifier: Apache-2.0 */
/* Substitutions, in the order and with the view of clearml_agent's pyhocon
 * (ConfigParser.resolve_substitutions): a name means its last value, its own name means
 * the value before; what is not in the document comes from the environment. */
#include <config.h>

#include "config/hocon-internal.h"

#include "base/buf.h"

#include <stdlib.h>
#include <string.h>

struct list {
    struct node **v;
    size_t n, cap;
};

struct resolver {
    struct hocon_doc *doc;
    bool env;
    struct list open;     /* substitutions that are left */
    struct node *pending; /* the last one that could not be made yet */
};

static void list_push(struct hocon_doc *doc, struct list *l, struct node *node)
{
    struct node carrier = {.items = l->v, .n = l->n, .cap = l->cap};
    node_push(doc, &carrier, node);
    l->v = carrier.items;
    l->n = carrier.n;
    l->cap = carrier.cap;
}

/* ---- which there are ---- */

static void find_in_values(struct hocon_doc *doc, const struct node *values,
                           struct list *out, int depth)
{
    if (!node_is(values, NODE_VALUES) || !doc_pay(doc, values->n + 1))
        return;
    if (depth > HOCON_RESULT_DEPTH_MAX) {
        doc_fail_at(doc, values, "substitutions nested too deeply");
        return;
    }
    find_in_values(doc, values->overridden, out, depth + 1);
    for (size_t i = 0; i < values->n; i++)
        if (node_is(values->items[i], NODE_SUBST))
            list_push(doc, out, values->items[i]);
}

static void find(struct hocon_doc *doc, const struct node *node, struct list *out,
                 int depth)
{
    if (!node || !doc_pay(doc, 1))
        return;
    if (depth > HOCON_RESULT_DEPTH_MAX) {
        doc_fail_at(doc, node, "substitutions nested too deeply");
        return;
    }
    find_in_values(doc, node, out, 0);
    for (struct field *f = node->fields; f; f = f->next)
        find(doc, f->value, out, depth + 1);
    for (size_t i = 0; node->kind == NODE_LIST && i < node->n; i++)
        find(doc, node->items[i], out, depth + 1);
}

/* ---- copies ---- */

static struct node *copy(struct hocon_doc *doc, struct node *node, int depth);

static struct node *copied_already(struct hocon_doc *doc, struct node *node)
{
    return node && node->stamp == doc->stamp ? node->copy : node;
}

static void copy_members(struct hocon_doc *doc, struct node *to, int depth)
{
    struct field *fields = to->fields, *f;
    struct node **items = to->items;
    size_t n = to->n;
    to->fields = to->field_last = NULL;
    to->items = NULL;
    to->n = to->cap = to->count = 0;
    for (f = fields; f && doc_pay(doc, 1); f = f->next)
        tree_set(doc, to, f->name, copy(doc, f->value, depth + 1));
    for (size_t i = 0; i < n && doc_pay(doc, 1); i++)
        node_push(doc, to, copy(doc, items[i], depth + 1));
}

/* Everything below, with the parents inside of it; what is outside stays shared. */
static struct node *copy(struct hocon_doc *doc, struct node *node, int depth)
{
    if (!node || !doc_pay(doc, 1))
        return node;
    if (node->stamp == doc->stamp)
        return node->copy;
    if (depth > HOCON_RESULT_DEPTH_MAX) {
        doc_fail_at(doc, node, "substitutions nested too deeply");
        return node;
    }
    struct node *to = doc_node(doc, node->kind, node);
    *to = *node;
    to->root = false;
    node->stamp = doc->stamp;
    node->copy = to;
    to->parent = copied_already(doc, node->parent);
    to->overridden = copy(doc, node->overridden, depth + 1);
    copy_members(doc, to, depth);
    return to;
}

static struct node *deep_copy(struct hocon_doc *doc, struct node *node)
{
    doc->stamp++;
    return copy(doc, node, 0);
}

/* ---- one substitution ---- */

static bool is_in_list(const struct node *list, size_t index)
{
    for (size_t i = 0; i < list->n; i++) {
        const struct node *item = list->items[i];
        bool equal = node_is(item, NODE_NUMBER)
                         ? strtod(item->text, NULL) == (double)index
                         : node_is(item, NODE_BOOL) && (size_t)item->yes == index;
        if (equal)
            return true;
    }
    return false;
}

/* A value that came to nothing leaves its tree, and comes back as a null the second
 * time. In a list it leaves a null; only where its index happens to be one of the
 * list's numbers does the official reader delete it. */
static void drop(struct resolver *s, struct node *values)
{
    struct node *parent = values->parent;
    if (parent->kind == NODE_TREE && tree_field(parent, values->name)) {
        tree_remove(parent, values->name);
        return;
    }
    if (parent->kind == NODE_TREE) {
        tree_set(s->doc, parent, values->name, NULL);
        return;
    }
    if (values->index >= parent->n)
        return;
    parent->items[values->index] = NULL;
    if (!is_in_list(parent, values->index))
        return;
    parent->n--;
    memmove(parent->items + values->index, parent->items + values->index + 1,
            (parent->n - values->index) * sizeof *parent->items);
}

static void place(struct resolver *s, struct node *values, struct node *result)
{
    struct node *parent = values->parent;
    if (!parent)
        return;
    if (!result)
        drop(s, values);
    else if (parent->kind == NODE_TREE)
        tree_set(s->doc, parent, values->name, result);
    else if (values->index < parent->n)
        parent->items[values->index] = result;
}

static struct node *with_blank(struct resolver *s, const struct node *subst,
                               const struct node *value)
{
    auto_buf text = BUF_INIT;
    buf_add_str(&text, scalar_text(value));
    buf_add_str(&text, subst->blank);
    return doc_text_node(s->doc, buf_str(&text), text.len, subst);
}

/* value in the place of a substitution (NULL: nothing). Returns what the values around
 * it are then; new substitutions that came with it are added to the open ones. */
static struct node *substitute(struct resolver *s, struct node *subst,
                               struct node *value, bool found)
{
    struct node *values = subst->parent;
    if (node_is(value, NODE_VALUES))
        value = values_transform(s->doc, value);
    if (node_is(value, NODE_VALUES)) {
        s->pending = subst;
        return value;
    }
    bool joined = subst->index + 1 < values->n;
    if (value && value->kind != NODE_TREE && value->kind != NODE_LIST) {
        value = joined ? with_blank(s, subst, value) : deep_copy(s->doc, value);
        value->line = subst->line;
        value->file = subst->file;
    } else {
        value = deep_copy(s->doc, value);
    }
    values->items[subst->index] = value;
    struct node *result = values_transform(s->doc, values);
    if (!result && !found)
        result = values->overridden;
    place(s, values, result);
    size_t before = s->open.n;
    find(s->doc, result, &s->open, 0);
    s->pending = s->open.n > before ? subst : NULL;
    return result;
}

/* ---- where a name is used in its own value ---- */

static bool is_set(struct resolver *s, const struct node *subst)
{
    bool found;
    return tree_get(s->doc, s->doc->root, subst->path, subst->path_n, &found, NULL);
}

/* The value before, for a substitution of a field's own name. -1 with the error. */
static int before(struct resolver *s, const struct node *subst, struct node *previous,
                  struct node **value)
{
    bool found = true;
    if (node_is(previous, NODE_VALUES))
        return doc_fail_at(s->doc, subst, "this value means itself");
    *value = previous;
    if (subst->path_n > 1)
        *value = node_is(previous, NODE_TREE)
                     ? tree_get(s->doc, previous, subst->path + 1, subst->path_n - 1,
                                &found, NULL)
                     : NULL;
    if (!*value && !found && !subst->optional)
        return doc_fail_at(s->doc, subst, "this value means itself");
    return 0;
}

static bool means(struct resolver *s, const struct node *subst, const char *name)
{
    return subst->path_n && strcmp(subst->path[0], name) == 0 &&
           !(subst->path_n > 1 && is_set(s, subst));
}

static void fixup_later(struct resolver *s, const struct field *f)
{
    struct node *previous = f->history->items[0];
    for (size_t i = 1; i < f->history->n; i++) {
        struct node *current = f->history->items[i], *value = NULL;
        struct list own = {0};
        find(s->doc, current, &own, 0);
        for (size_t k = 0; k < own.n && doc_pay(s->doc, 1); k++) {
            if (!means(s, own.v[k], f->name))
                continue;
            if (before(s, own.v[k], previous, &value) < 0)
                return;
            current = substitute(s, own.v[k], value, true);
        }
        previous = current;
    }
}

static void fixup_only(struct resolver *s, const struct field *f)
{
    struct list own = {0};
    find(s->doc, f->history->items[0], &own, 0);
    for (size_t k = 0; k < own.n && doc_pay(s->doc, 1); k++) {
        struct node *subst = own.v[k];
        if (!means(s, subst, f->name))
            continue;
        const char *text = s->env ? getenv(f->name) : NULL;
        if (subst->optional)
            substitute(s, subst, NULL, true);
        if (text)
            substitute(s, subst, doc_text_node(s->doc, text, strlen(text), subst),
                       true);
        else if (subst->optional)
            substitute(s, subst, NULL, true);
    }
}

static void fixup(struct resolver *s)
{
    struct field *next;
    for (struct field *f = s->doc->root->fields; f && !s->doc->failed; f = next) {
        next = f->next;
        if (f->history && f->history->n > 1)
            fixup_later(s, f);
        else if (f->history)
            fixup_only(s, f);
    }
    s->open.n = 0;
}

/* ---- all of them ---- */

/* What a value overrides is meant where the name leads back to the value itself. */
static struct node *not_itself(const struct node *subst, struct node *value)
{
    struct node *overridden = subst->parent->overridden;
    for (struct node *link = value; node_is(link, NODE_VALUES); link = link->overridden)
        if (link == subst->parent && overridden)
            return overridden;
    return value;
}

static int missing(struct resolver *s, const struct node *subst)
{
    auto_buf what = BUF_INIT;
    buf_printf(&what, "${%.100s} is set nowhere", subst->text);
    return doc_fail_at(s->doc, subst, buf_str(&what));
}

static void resolve_one(struct resolver *s, struct node *subst)
{
    bool found;
    struct node *pending;
    struct node *value =
        tree_get(s->doc, s->doc->root, subst->path, subst->path_n, &found, &pending);
    if (!found && pending) {
        s->pending = subst;
        return;
    }
    const char *text = !found && s->env ? getenv(subst->text) : NULL;
    if (text)
        value = doc_text_node(s->doc, text, strlen(text), subst);
    found |= text != NULL;
    if (!found && !subst->optional) {
        missing(s, subst);
        return;
    }
    struct node *result =
        substitute(s, subst, value ? not_itself(subst, value) : NULL, found);
    if (node_is(result, NODE_VALUES))
        return;
    for (size_t i = 0; i < s->open.n; i++) {
        if (s->open.v[i] != subst)
            continue;
        memmove(s->open.v + i, s->open.v + i + 1,
                (s->open.n - i - 1) * sizeof(struct node *));
        s->open.n--;
        return;
    }
}

static bool contains(const struct list *l, const struct node *node)
{
    for (size_t i = 0; i < l->n; i++)
        if (l->v[i] == node)
            return true;
    return false;
}

static bool same_set(struct resolver *s, const struct list *a, const struct list *b)
{
    if (!doc_pay(s->doc, a->n * b->n / 16 + 1))
        return true;
    for (size_t i = 0; i < a->n; i++)
        if (!contains(b, a->v[i]))
            return false;
    for (size_t i = 0; i < b->n; i++)
        if (!contains(a, b->v[i]))
            return false;
    return true;
}

static void resolve_all(struct resolver *s)
{
    struct list last = {0};
    while (s->open.n && !same_set(s, &s->open, &last)) {
        s->pending = NULL;
        last.n = 0;
        for (size_t i = 0; i < s->open.n; i++)
            list_push(s->doc, &last, s->open.v[i]);
        for (size_t i = 0; i < last.n && doc_pay(s->doc, s->open.n / 16 + 1); i++)
            resolve_one(s, last.v[i]);
    }
}

static struct node *settle(struct hocon_doc *doc, struct node *node, int depth)
{
    if (!node || !doc_pay(doc, 1))
        return node;
    if (depth > HOCON_RESULT_DEPTH_MAX) {
        doc_fail_at(doc, node, "substitutions nested too deeply");
        return node;
    }
    if (node->kind == NODE_VALUES)
        return values_transform(doc, node);
    for (struct field *f = node->fields; f; f = f->next)
        f->value = settle(doc, f->value, depth + 1);
    for (size_t i = 0; node->kind == NODE_LIST && i < node->n; i++)
        node->items[i] = settle(doc, node->items[i], depth + 1);
    return node;
}

int hocon_resolve(struct hocon_doc *doc, bool env)
{
    struct resolver s = {.doc = doc, .env = env};
    fixup(&s);
    find(doc, doc->root, &s.open, 0);
    bool any = s.open.n > 0;
    resolve_all(&s);
    if (any)
        settle(doc, doc->root, 0);
    if (any && s.pending && !doc->failed)
        doc_fail_at(doc, s.pending, "this value means itself");
    settle(doc, doc->root, 0);
    return doc->failed ? -1 : 0;
}
