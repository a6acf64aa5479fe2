/* hocon-internal.h - the tree between the reader, the substitutions and the result
 *
 * What a text means is what ClearML's own agent (clearml_agent/external/pyhocon) makes
 * of it, odd corners included: when a value takes the place of an earlier one, when
 * they are joined, and what a substitution then sees. All memory of a document is freed
 * with it, so nodes may be shared. */
#ifndef REEVE_HOCON_INTERNAL_H
#define REEVE_HOCON_INTERNAL_H

#include "config/hocon.h"

#include "base/buf.h"

#define HOCON_DEPTH_MAX 64         /* of braces, brackets and dotted keys together */
#define HOCON_RESULT_DEPTH_MAX 256 /* substitutions nest what they bring */
#define HOCON_INCLUDE_MAX 8        /* files inside files */
#define HOCON_NODES_MAX 200000     /* values and names, included and copied ones too */
#define HOCON_MEMBERS_MAX 2000     /* of one tree: names are looked up one by one */
#define HOCON_STEPS_MAX 4000000    /* of all work that a text can multiply */
#define HOCON_RESULT_MAX 4194304   /* bytes of texts that were joined */

enum node_kind {
    NODE_TREE,
    NODE_LIST,
    NODE_TEXT,
    NODE_NUMBER,
    NODE_BOOL,
    NODE_NULL,
    NODE_VALUES, /* values side by side of which one is a substitution */
    NODE_SUBST   /* ${path}, ${?path}; only inside VALUES */
};

enum text_style {
    TEXT_PLAIN,
    TEXT_WORD,  /* not quoted: blanks at its end count unless it is the last */
    TEXT_QUOTED /* blanks after it, in blank, count likewise */
};

/* A NULL in the place of a node is a value that an optional substitution left out. */
struct node {
    enum node_kind kind;
    enum text_style style;
    bool optional, root, yes; /* SUBST; TREE: of a file, keeps histories; BOOL */
    int line;
    const char *file;                  /* or NULL */
    const char *text, *blank;          /* SUBST: what stands in the braces */
    struct node **items;               /* LIST, VALUES */
    size_t n, cap;                     /* of items */
    struct field *fields, *field_last; /* TREE */
    size_t count;                      /* of fields */
    struct node *parent;               /* VALUES: tree or list; SUBST: VALUES */
    const char *name;                  /* VALUES in a tree */
    size_t index;                      /* VALUES in a list; SUBST */
    struct node *overridden;           /* VALUES: what its name meant before */
    const char *const *path;           /* SUBST */
    size_t path_n;
    struct node *copy; /* made in the copying round `stamp` */
    unsigned stamp;
};

struct field {
    const char *name;
    struct node *value;
    struct node *history; /* LIST of all values so far, in the root; else NULL */
    struct field *next;
};

struct chunk;
struct hocon_doc {
    struct chunk *chunks;
    size_t nodes, steps, bytes;
    unsigned stamp;
    bool failed;
    struct node *root;
    const char *from; /* of all values, in the place of file and line */
    struct reeve_error *err;
};

/* ---- hocon-node.c: memory, errors, bounds ---- */

void *doc_alloc(struct hocon_doc *doc, size_t n);
const char *doc_text(struct hocon_doc *doc, const char *text, size_t n);
/* Never NULL; the document fails once it has too many. Line and file as those of
 * `like`, which may be NULL. */
struct node *doc_node(struct hocon_doc *doc, enum node_kind kind,
                      const struct node *like);
struct node *doc_text_node(struct hocon_doc *doc, const char *text, size_t n,
                           const struct node *like);
void doc_free(struct hocon_doc *doc);
/* The first error counts. Returns -1. */
int doc_fail(struct hocon_doc *doc, const char *file, int line, const char *what);
int doc_fail_at(struct hocon_doc *doc, const struct node *node, const char *what);
/* Everything that a text can multiply pays here. False once it was too much, or the
 * document failed otherwise. */
bool doc_pay(struct hocon_doc *doc, size_t steps);

void node_push(struct hocon_doc *doc, struct node *list, struct node *item);
void node_insert_first(struct hocon_doc *doc, struct node *list, struct node *item);
/* A list of its own with the same items. */
struct node *list_copy(struct hocon_doc *doc, const struct node *list);

/* ---- hocon-tree.c ---- */

static inline bool node_is(const struct node *node, enum node_kind kind)
{
    return node && node->kind == kind;
}

/* "a.b" as its names; a part in quotes may hold dots. Returns how many, at most max. */
size_t path_split(struct hocon_doc *doc, const char *text, const char **path,
                  size_t max);
struct field *tree_field(const struct node *tree, const char *name);
void tree_set(struct hocon_doc *doc, struct node *tree, const char *name,
              struct node *value);
void tree_remove(struct node *tree, const char *name);
/* The value below a path. *found: false if there is none; with it false, *pending is
 * the VALUES in the way, or NULL. A null is NULL, a list a copy. pending may be NULL.
 */
struct node *tree_get(struct hocon_doc *doc, const struct node *tree,
                      const char *const *path, size_t n, bool *found,
                      struct node **pending);
/* key = value, key += value. */
void tree_assign(struct hocon_doc *doc, struct node *tree, const char *key,
                 const char *const *path, size_t n, bool append, struct node *value);

/* What VALUES are: a new node, NULL for nothing, values itself while substitutions are
 * left in it or in what it overrides. */
struct node *values_transform(struct hocon_doc *doc, struct node *values);
/* After its items have changed. */
void values_recompute(struct hocon_doc *doc, struct node *values);
/* A scalar as it is joined to others. */
const char *scalar_text(const struct node *node);

/* ---- the rest ---- */

/* Reads a text into tree. */
int hocon_read(struct hocon_doc *doc, struct node *tree, const char *text, size_t n,
               const struct hocon_options *options, int include_depth);
/* Puts values in the place of all substitutions. */
int hocon_resolve(struct hocon_doc *doc, bool env);
/* The document without substitutions, and the origins if they are asked for. */
cJSON *hocon_result(struct hocon_doc *doc, const struct hocon_options *options);

#endif
