/* SPDX-License-Identifier: Apache-2.0 */
/* Trees of settings and values side by side, as clearml_agent's pyhocon has them in
 * config_tree.py. Where it raises an exception over what HOCON allows (a tree in the
 * place of a number), the later value counts here. */
#include <config.h>

#include "config/hocon-internal.h"

#include "base/alloc.h"

#include <string.h>

/* ---- names ---- */

#define SPECIAL "$}[]:=+#`^?!@*&."

static const char *name_of(struct hocon_doc *doc, const char *part, size_t n)
{
    while (n && part[n - 1] == '"')
        n--;
    while (n && *part == '"') {
        part++;
        n--;
    }
    return doc_text(doc, part, n);
}

size_t path_split(struct hocon_doc *doc, const char *text, const char **path,
                  size_t max)
{
    size_t found = 0;
    while (*text && found < max) {
        const char *quote = *text == '"' ? strchr(text + 1, '"') : NULL;
        size_t n = quote && quote > text + 1 ? (size_t)(quote + 1 - text)
                                             : strcspn(text, SPECIAL);
        if (n)
            path[found++] = name_of(doc, text, n);
        text += n ? n : 1;
    }
    return found;
}

struct field *tree_field(const struct node *tree, const char *name)
{
    for (struct field *f = tree->fields; f; f = f->next)
        if (strcmp(f->name, name) == 0)
            return f;
    return NULL;
}

static struct field *field_make(struct hocon_doc *doc, struct node *tree,
                                const char *name)
{
    struct field *f = tree_field(tree, name);
    if (f)
        return f;
    f = doc_alloc(doc, sizeof *f);
    f->name = name;
    if (tree->field_last)
        tree->field_last->next = f;
    else
        tree->fields = f;
    tree->field_last = f;
    if (++tree->count > HOCON_MEMBERS_MAX || ++doc->nodes > HOCON_NODES_MAX)
        doc_fail_at(doc, tree, "too many values for a configuration");
    return f;
}

void tree_set(struct hocon_doc *doc, struct node *tree, const char *name,
              struct node *value)
{
    doc_pay(doc, tree->count / 16 + 1);
    field_make(doc, tree, name)->value = value;
}

void tree_remove(struct node *tree, const char *name)
{
    struct field **at = &tree->fields, *last = NULL;
    for (; *at && strcmp((*at)->name, name) != 0; at = &(*at)->next)
        last = *at;
    if (!*at)
        return;
    if (tree->field_last == *at)
        tree->field_last = last;
    *at = (*at)->next;
    tree->count--;
}

/* Sets, and remembers the value in the root's history. */
static void tree_put(struct hocon_doc *doc, struct node *tree, const char *name,
                     struct node *value)
{
    struct field *f = field_make(doc, tree, name);
    if (tree->root && !f->history)
        f->history = doc_node(doc, NODE_LIST, NULL);
    if (tree->root)
        node_push(doc, f->history, value);
    f->value = value;
}

/* How a value is seen from outside. */
static struct node *seen(struct hocon_doc *doc, struct node *value)
{
    if (node_is(value, NODE_NULL))
        return NULL;
    return node_is(value, NODE_LIST) ? list_copy(doc, value) : value;
}

struct node *tree_get(struct hocon_doc *doc, const struct node *tree,
                      const char *const *path, size_t n, bool *found,
                      struct node **pending)
{
    struct node *at = NULL;
    *found = false;
    if (pending)
        *pending = NULL;
    for (size_t i = 0; i < n; i++) {
        doc_pay(doc, tree->count / 16 + 1);
        struct field *f = tree_field(tree, path[i]);
        at = f ? f->value : NULL;
        if (!f)
            return NULL;
        if (i + 1 == n)
            break;
        if (node_is(at, NODE_VALUES) && pending)
            *pending = at;
        if (!node_is(at, NODE_TREE))
            return NULL;
        tree = at;
    }
    *found = n > 0;
    return seen(doc, at);
}

/* ---- merging ---- */

static void settle_values(struct node *values, struct node *tree, const char *name)
{
    values->parent = tree;
    values->name = name;
}

/* Alike but for the trees below, which are shared. */
static struct node *tree_copy(struct hocon_doc *doc, const struct node *tree)
{
    struct node *copy = doc_node(doc, NODE_TREE, tree);
    for (struct field *f = tree->fields; f && doc_pay(doc, 1); f = f->next) {
        struct node *value = seen(doc, f->value);
        tree_set(doc, copy, f->name, value);
        if (node_is(value, NODE_VALUES))
            value->parent = copy;
    }
    return copy;
}

/* The members of `from` into `into`; copy: what `into` shares with others stays. */
static void tree_merge(struct hocon_doc *doc, struct node *into,
                       const struct node *from, bool copy)
{
    for (struct field *f = from->fields; f && doc_pay(doc, into->count / 16 + 1);
         f = f->next) {
        struct field *mine = tree_field(into, f->name);
        if (mine && node_is(mine->value, NODE_TREE) && node_is(f->value, NODE_TREE)) {
            if (copy)
                mine->value = tree_copy(doc, mine->value);
            tree_merge(doc, mine->value, f->value, copy);
            continue;
        }
        struct node *value = seen(doc, f->value);
        if (node_is(value, NODE_VALUES)) {
            settle_values(value, into, f->name);
            if (mine)
                value->overridden = seen(doc, mine->value);
        }
        tree_set(doc, into, f->name, value);
    }
}

/* ---- assignments ---- */

static void put_tree(struct hocon_doc *doc, struct node *tree, struct field *f,
                     struct node *value)
{
    if (!tree->root) {
        tree_merge(doc, f->value, value, false);
        return;
    }
    struct node *both = doc_node(doc, NODE_TREE, value);
    tree_merge(doc, both, f->value, true);
    tree_merge(doc, both, value, true);
    tree_put(doc, tree, f->name, both);
}

/* A tree, or VALUES after a tree or a list: joined to what is there. */
static void put_joined(struct hocon_doc *doc, struct node *tree, const char *name,
                       struct node *old, struct node *value)
{
    if (node_is(old, NODE_VALUES)) {
        node_push(doc, old, value);
        values_recompute(doc, old);
        return;
    }
    if (value->kind == NODE_VALUES) {
        value->overridden = old;
        settle_values(value, tree, name);
        if (node_is(old, NODE_TREE)) {
            node_insert_first(doc, value, old);
            values_recompute(doc, value);
        }
    }
    tree_put(doc, tree, name, value);
}

static void put(struct hocon_doc *doc, struct node *tree, const char *const *path,
                size_t n, bool joined, struct node *value)
{
    struct field *f = tree_field(tree, path[0]);
    struct node *old = f ? f->value : NULL;
    if (n > 1) {
        if (!node_is(old, NODE_TREE)) {
            old = doc_node(doc, NODE_TREE, value);
            tree_put(doc, tree, path[0], old);
        }
        put(doc, old, path + 1, n - 1, joined, value);
    } else if (node_is(old, NODE_TREE) && value->kind == NODE_TREE) {
        put_tree(doc, tree, f, value);
    } else if (joined) {
        put_joined(doc, tree, path[0], seen(doc, old), value);
    } else {
        if (value->kind == NODE_VALUES) {
            settle_values(value, tree, path[0]);
            value->overridden = seen(doc, old);
        }
        tree_put(doc, tree, path[0], value);
    }
}

/* += is a substitution of the same name before the value. It joins lists and texts,
 * texts with a blank; all else it replaces. */
static struct node *appended(struct hocon_doc *doc, const char *key,
                             const char *const *path, size_t n, struct node *value)
{
    struct node *values = doc_node(doc, NODE_VALUES, value);
    struct node *before = doc_node(doc, NODE_SUBST, value);
    before->optional = true;
    before->text = key;
    before->blank = "";
    before->path = path;
    before->path_n = n;
    if (value->kind == NODE_TEXT) {
        auto_free char *text = xasprintf(" %s", value->text);
        value = doc_text_node(doc, text, strlen(text), value);
    }
    node_push(doc, values, before);
    node_push(doc, values, value);
    values_recompute(doc, values);
    return values;
}

void tree_assign(struct hocon_doc *doc, struct node *tree, const char *key,
                 const char *const *path, size_t n, bool append, struct node *value)
{
    bool found, joined = false;
    if (append && (value->kind == NODE_LIST || value->kind == NODE_TEXT)) {
        value = appended(doc, key, path, n, value);
    } else if (value->kind == NODE_TREE || value->kind == NODE_VALUES) {
        const struct node *old = tree_get(doc, tree, path, n, &found, NULL);
        joined = value->kind == NODE_TREE
                     ? !node_is(old, NODE_LIST)
                     : node_is(old, NODE_LIST) || node_is(old, NODE_TREE);
    }
    if (!doc->failed)
        put(doc, tree, path, n, joined, value);
}

/* ---- values side by side ---- */

void values_recompute(struct hocon_doc *doc, struct node *values)
{
    for (size_t i = 0; i < values->n; i++) {
        if (node_is(values->items[i], NODE_SUBST)) {
            values->items[i]->parent = values;
            values->items[i]->index = i;
        }
    }
    struct node *last = values->n ? values->items[values->n - 1] : NULL;
    if (!values->n)
        node_push(doc, values, doc_text_node(doc, "", 0, values));
    if (!node_is(last, NODE_TEXT) || last->style != TEXT_WORD)
        return;
    size_t n = strlen(last->text);
    while (n && strchr(" \t", last->text[n - 1]))
        n--;
    values->items[values->n - 1] = doc_text_node(doc, last->text, n, last);
}

static bool has_substitution(struct hocon_doc *doc, const struct node *values)
{
    for (; node_is(values, NODE_VALUES) && doc_pay(doc, values->n + 1);
         values = values->overridden)
        for (size_t i = 0; i < values->n; i++)
            if (node_is(values->items[i], NODE_SUBST))
                return true;
    return false;
}

const char *scalar_text(const struct node *node)
{
    switch (node->kind) {
    case NODE_BOOL:
        return node->yes ? "True" : "False"; /* as Python prints them */
    case NODE_NULL:
        return "null";
    default:
        return node->text;
    }
}

static struct node *join_scalars(struct hocon_doc *doc, const struct node *values,
                                 const struct node *last)
{
    auto_buf text = BUF_INIT;
    for (size_t i = 0; i < values->n; i++) {
        const struct node *item = values->items[i];
        if (!item)
            continue;
        buf_add_str(&text, scalar_text(item));
        if (item != last && item->kind == NODE_TEXT && item->style == TEXT_QUOTED)
            buf_add_str(&text, item->blank);
    }
    return doc_text_node(doc, buf_str(&text), text.len, values);
}

static struct node *join_lists(struct hocon_doc *doc, const struct node *values)
{
    struct node *all = doc_node(doc, NODE_LIST, values);
    for (size_t i = 0; i < values->n; i++) {
        const struct node *list = values->items[i];
        for (size_t k = 0; list && k < list->n && doc_pay(doc, 1); k++) {
            if (node_is(list->items[k], NODE_VALUES)) {
                list->items[k]->parent = all;
                list->items[k]->index = all->n;
            }
            node_push(doc, all, list->items[k]);
        }
    }
    return all;
}

/* A tree after one that it overrides is merged into it, down the whole line of them. */
static void merge_overridden(struct hocon_doc *doc, struct node *into,
                             struct node *values, int depth)
{
    struct node *before = values->overridden, *value = before;
    if (node_is(before, NODE_VALUES))
        value = values_transform(doc, before);
    if (!node_is(value, NODE_TREE) || (value == before && !value->fields))
        return;
    if (depth > HOCON_RESULT_DEPTH_MAX) {
        doc_fail_at(doc, values, "substitutions nested too deeply");
        return;
    }
    if (before->kind == NODE_VALUES)
        merge_overridden(doc, into, before, depth + 1);
    tree_merge(doc, into, value, true);
}

static struct node *join_trees(struct hocon_doc *doc, struct node *values)
{
    struct node *all = doc_node(doc, NODE_TREE, values);
    merge_overridden(doc, all, values, 0);
    for (size_t i = 0; i < values->n; i++)
        if (values->items[i])
            tree_merge(doc, all, values->items[i], true);
    return all;
}

/* 0 a scalar, else the kind. */
static int shape(const struct node *node)
{
    return node->kind == NODE_TREE ? 1 : node->kind == NODE_LIST ? 2 : 0;
}

/* One scalar alone: itself, without what it needed to be joined. */
static struct node *lone_scalar(struct hocon_doc *doc, struct node *item)
{
    if (item->kind != NODE_TEXT || item->style != TEXT_QUOTED)
        return item;
    return doc_text_node(doc, item->text, strlen(item->text), item);
}

struct node *values_transform(struct hocon_doc *doc, struct node *values)
{
    struct node *first = NULL, *last = NULL;
    size_t count = 0;
    if (has_substitution(doc, values) || !doc_pay(doc, values->n + 1))
        return values;
    for (size_t i = 0; i < values->n; i++) {
        struct node *item = values->items[i];
        if (!item)
            continue;
        if (first && shape(first) != shape(item)) {
            doc_fail_at(doc, item,
                        "values of different kinds side by side; put the text in "
                        "quotes");
            return values;
        }
        first = first ? first : item;
        last = item;
        count++;
    }
    if (!first)
        return NULL;
    if (shape(first))
        return shape(first) == 1 ? join_trees(doc, values) : join_lists(doc, values);
    return count == 1 ? lone_scalar(doc, first) : join_scalars(doc, values, last);
}
