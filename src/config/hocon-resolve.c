/* SPDX-License-Identifier: Apache-2.0 */
#include <config.h>

#include "config/hocon-internal.h"

#include "base/alloc.h"
#include "base/json.h"

#include <ctype.h>
#include <math.h>
#include <string.h>
#include <strings.h>

#define RESOLVE_DEPTH_MAX                                                              \
    128 /* of the recursion: objects and chains of substitutions */

struct resolver {
    struct node *root;
    bool env, failed;
    int steps, depth;
    size_t bytes;
    struct reeve_error *err;
};

static cJSON *resolve(struct resolver *s, struct node *node, const cJSON *previous);

static cJSON *fail(struct resolver *s, const struct node *node, const char *what)
{
    if (!s->failed && node->file)
        reeve_error_set(s->err, 0, "%s:%d: %s", node->file, node->line, what);
    else if (!s->failed)
        reeve_error_set(s->err, 0, "line %d: %s", node->line, what);
    s->failed = true;
    return NULL;
}

/* Everything that makes a value or copies one pays here, so that a text of a kilobyte
 * whose substitutions double each other ends as an error. */
static bool pay(struct resolver *s, const struct node *node, size_t bytes)
{
    s->bytes += bytes;
    if (++s->steps <= HOCON_STEPS_MAX && s->bytes <= HOCON_RESULT_MAX)
        return true;
    fail(s, node, "substitutions make this too large");
    return false;
}

static cJSON *made(cJSON *value)
{
    if (!value)
        abort();
    return value;
}

cJSON *hocon_merge(cJSON *base, cJSON *over)
{
    if (!over)
        return base;
    if (!cJSON_IsObject(base) || !cJSON_IsObject(over)) {
        cJSON_Delete(base);
        return over;
    }
    while (over->child) {
        cJSON *item = cJSON_DetachItemViaPointer(over, over->child);
        cJSON *old = json_get(base, item->string);
        auto_free char *name = xstrdup(item->string);
        if (cJSON_IsObject(old) && cJSON_IsObject(item))
            hocon_merge(old, item);
        else if (old)
            cJSON_ReplaceItemViaPointer(base, old, item);
        else
            cJSON_AddItemToObject(base, name, item);
    }
    cJSON_Delete(over);
    return base;
}

/* ---- texts ---- */

/* JSON's grammar of numbers, so that 0123, 1e and 1.2.3 are texts. */
static bool is_number(const char *t)
{
    t += *t == '-';
    if (*t == '0')
        t++;
    else if (isdigit((unsigned char)*t))
        t += strspn(t, "0123456789");
    else
        return false;
    if (*t == '.') {
        size_t n = strspn(t + 1, "0123456789");
        if (!n)
            return false;
        t += 1 + n;
    }
    if (*t == 'e' || *t == 'E') {
        t++;
        t += *t == '+' || *t == '-';
        size_t n = strspn(t, "0123456789");
        if (!n)
            return false;
        t += n;
    }
    return !*t;
}

static cJSON *word_value(const char *text)
{
    cJSON *value;
    if (strcasecmp(text, "null") == 0)
        return made(cJSON_CreateNull());
    if (strcasecmp(text, "true") == 0 || strcasecmp(text, "false") == 0)
        value = made(cJSON_CreateBool(text[0] == 't' || text[0] == 'T'));
    else if (is_number(text) && isfinite(strtod(text, NULL)))
        value = made(cJSON_CreateNumber(strtod(text, NULL)));
    else
        return made(cJSON_CreateString(text));
    /* cJSON ignores the text of a number when it prints, and copies and frees it. */
    value->valuestring = xstrdup(text);
    return value;
}

static const char *scalar_text(const cJSON *value)
{
    return value->valuestring ? value->valuestring : "null";
}

static bool is_tree(const cJSON *value)
{
    return cJSON_IsObject(value) || cJSON_IsArray(value);
}

/* ---- fields and look-up ---- */

static cJSON *field_value(struct resolver *s, struct field *f)
{
    cJSON *value = NULL;
    for (struct node *v = f->first; v && !s->failed; v = v->next) {
        /* A value that asks for its own field means what the field was before. */
        if (v->busy)
            break;
        value = hocon_merge(value, resolve(s, v, value));
    }
    return value;
}

/* Takes whole; the member at the end of the path, or NULL. *object says what it was. */
static cJSON *take_member(cJSON *whole, const char *const *path, size_t n, bool *object)
{
    cJSON *at = whole, *parent = NULL;
    *object = cJSON_IsObject(whole);
    for (size_t i = 0; at && i < n; i++) {
        parent = at;
        at = json_get(at, path[i]);
    }
    if (at && parent)
        cJSON_DetachItemViaPointer(parent, at);
    if (at != whole)
        cJSON_Delete(whole);
    return at;
}

/* A plain object is entered without resolving its other members: `a { b: 1, c: ${a.b}
 * }`.
 */
static cJSON *lookup(struct resolver *s, struct node *object, const char *const *path,
                     size_t n)
{
    struct field *f = node_field(object, path[0]);
    if (!f || !pay(s, object, object->count / 16))
        return NULL;
    if (n == 1)
        return field_value(s, f);
    cJSON *value = NULL;
    for (struct node *v = f->first; v && !v->busy && !s->failed; v = v->next) {
        cJSON *next;
        bool is_object = true;
        if (v->kind == NODE_OBJECT)
            next = lookup(s, v, path + 1, n - 1);
        else
            next = take_member(resolve(s, v, NULL), path + 1, n - 1, &is_object);
        if (!is_object) {
            cJSON_Delete(value);
            value = NULL;
        }
        value = hocon_merge(value, next);
    }
    return value;
}

static cJSON *environment_value(struct resolver *s, const struct node *node)
{
    if (!s->env || node->path_n - node->prefix_n != 1)
        return NULL;
    const char *text = getenv(node->path[node->prefix_n]);
    if (!text || !pay(s, node, strlen(text)))
        return NULL;
    return made(cJSON_CreateString(text));
}

static cJSON *resolve_substitution(struct resolver *s, struct node *node)
{
    const char *const *path = node->path;
    cJSON *value = NULL;
    if (node->prefix_n)
        value = lookup(s, s->root, path, node->path_n);
    if (!value && !s->failed)
        value =
            lookup(s, s->root, path + node->prefix_n, node->path_n - node->prefix_n);
    if (!value && !s->failed)
        value = environment_value(s, node);
    if (value || node->optional || s->failed)
        return value;
    auto_buf what = BUF_INIT;
    buf_add_str(&what, "${");
    for (size_t i = node->prefix_n; i < node->path_n; i++)
        buf_printf(&what, "%s%s", i > node->prefix_n ? "." : "", path[i]);
    buf_add_str(&what, "} is set nowhere, or means itself");
    return fail(s, node, buf_str(&what));
}

/* ---- values side by side ---- */

struct join {
    cJSON *value;
    struct buf text; /* of scalars, once there are two */
    struct buf blank;
    bool joined;
};

static bool is_space(const struct node *part)
{
    return part->kind == NODE_TEXT && !part->quoted &&
           part->text[strspn(part->text, " \t\r\f\v")] == '\0';
}

static void join_scalar(struct join *j, cJSON *value)
{
    if (!j->value) {
        j->value = value;
        return;
    }
    if (!j->joined)
        buf_add_str(&j->text, scalar_text(j->value));
    j->joined = true;
    buf_add(&j->text, buf_str(&j->blank), j->blank.len);
    buf_clear(&j->blank);
    buf_add_str(&j->text, scalar_text(value));
    cJSON_Delete(value);
}

static void join_part(struct resolver *s, struct join *j, const struct node *part,
                      cJSON *value)
{
    if (!is_tree(value) && (!j->value || !is_tree(j->value))) {
        if (!j->value)
            buf_clear(&j->blank);
        join_scalar(j, value);
    } else if (!j->value) {
        j->value = value;
    } else if (cJSON_IsObject(j->value) && cJSON_IsObject(value)) {
        j->value = hocon_merge(j->value, value);
    } else if (cJSON_IsArray(j->value) && cJSON_IsArray(value)) {
        while (value->child)
            cJSON_AddItemToArray(j->value,
                                 cJSON_DetachItemViaPointer(value, value->child));
        cJSON_Delete(value);
    } else {
        cJSON_Delete(value);
        fail(s, part, "values of different kinds side by side; put the text in quotes");
    }
}

static cJSON *resolve_concat(struct resolver *s, struct node *node,
                             const cJSON *previous)
{
    struct join j = {NULL, BUF_INIT, BUF_INIT, false};
    for (struct node *part = node->first; part && !s->failed; part = part->next) {
        if (is_space(part)) {
            buf_add_str(&j.blank, part->text);
            continue;
        }
        cJSON *value = resolve(s, part, previous);
        if (value)
            join_part(s, &j, part, value);
    }
    if (j.joined && pay(s, node, j.text.len)) {
        cJSON_Delete(j.value);
        j.value = made(cJSON_CreateString(buf_str(&j.text)));
    }
    buf_free(&j.text);
    buf_free(&j.blank);
    return j.value;
}

/* ---- trees ---- */

static cJSON *resolve_array(struct resolver *s, struct node *node)
{
    cJSON *array = made(cJSON_CreateArray());
    for (struct node *v = node->first; v && !s->failed; v = v->next) {
        cJSON *value = resolve(s, v, NULL);
        if (value)
            cJSON_AddItemToArray(array, value);
    }
    return array;
}

static cJSON *resolve_object(struct resolver *s, struct node *node)
{
    cJSON *object = made(cJSON_CreateObject());
    for (struct field *f = node->fields; f && !s->failed; f = f->next) {
        cJSON *value = field_value(s, f);
        if (value && pay(s, node, strlen(f->name)))
            cJSON_AddItemToObject(object, f->name, value);
        else
            cJSON_Delete(value);
    }
    return object;
}

static cJSON *resolve_previous(struct resolver *s, const struct node *node,
                               const cJSON *previous)
{
    if (!previous)
        return NULL;
    /* The copy of a long array is work that a step does not count. */
    if (cJSON_IsArray(previous) && !pay(s, node, (size_t)cJSON_GetArraySize(previous)))
        return NULL;
    return made(cJSON_Duplicate(previous, 1));
}

static cJSON *resolve_kind(struct resolver *s, struct node *node, const cJSON *previous)
{
    switch (node->kind) {
    case NODE_OBJECT:
        return resolve_object(s, node);
    case NODE_ARRAY:
        return resolve_array(s, node);
    case NODE_TEXT:
        return node->quoted ? made(cJSON_CreateString(node->text))
                            : word_value(node->text);
    case NODE_SUBST:
        return resolve_substitution(s, node);
    case NODE_PREVIOUS:
        return resolve_previous(s, node, previous);
    case NODE_CONCAT:
        return resolve_concat(s, node, previous);
    }
    return NULL;
}

static cJSON *resolve(struct resolver *s, struct node *node, const cJSON *previous)
{
    if (!pay(s, node, node->kind == NODE_TEXT ? strlen(node->text) : 0))
        return NULL;
    if (++s->depth > RESOLVE_DEPTH_MAX)
        return fail(s, node, "substitutions nested too deeply");
    /* An object is no cycle when one of its members asks for another. */
    bool mark = node->kind != NODE_OBJECT && !node->busy;
    node->busy |= mark;
    cJSON *value = resolve_kind(s, node, previous);
    if (mark)
        node->busy = false;
    s->depth--;
    if (s->failed) {
        cJSON_Delete(value);
        return NULL;
    }
    return value;
}

cJSON *hocon_resolve(struct hocon_doc *doc, bool env, struct reeve_error *err)
{
    struct resolver s = {.root = doc->root, .env = env, .err = err};
    cJSON *value = resolve(&s, doc->root, NULL);
    if (!s.failed)
        return value;
    cJSON_Delete(value);
    return NULL;
}
