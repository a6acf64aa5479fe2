/* hocon-internal.h - the tree between the reader and the resolver of HOCON
 *
 * A field holds every value that it was given, in order, unless they could be merged at
 * once: `a = ${b}`, then `a { x: 1 }` is known only when b is. All memory of a document
 * is freed with it. */
#ifndef REEVE_HOCON_INTERNAL_H
#define REEVE_HOCON_INTERNAL_H

#include "config/hocon.h"

#include "base/buf.h"

#include <stdint.h>

#define HOCON_DEPTH_MAX 64     /* of braces, brackets and dotted keys together */
#define HOCON_INCLUDE_MAX 8    /* files inside files */
#define HOCON_NODES_MAX 100000 /* values and keys of a document, included ones too */
#define HOCON_MEMBERS_MAX                                                              \
    2000 /* of one object, since names are looked up one by one                        \
          */
#define HOCON_STEPS_MAX                                                                \
    400000 /* of the resolver: substitutions can double each other */
#define HOCON_RESULT_MAX 4194304 /* bytes of text in the result */

enum node_kind {
    NODE_OBJECT,
    NODE_ARRAY,
    NODE_TEXT,     /* quoted or not: the resolver tells numbers from words */
    NODE_SUBST,    /* ${path}, ${?path} */
    NODE_PREVIOUS, /* what the field was before: the left side of += */
    NODE_CONCAT    /* values side by side */
};

struct field;

struct node {
    enum node_kind kind;
    int line;
    const char *file;  /* or NULL */
    struct node *next; /* the next in a list: elements, parts, or values of a field */
    bool busy;         /* being resolved: a substitution met on the way is a cycle */
    bool quoted;       /* TEXT */
    bool optional;     /* SUBST */
    const char *text;  /* TEXT, NUL-terminated */
    const char *
        *path; /* SUBST; the first prefix_n names are the place of the include */
    size_t path_n, prefix_n;
    struct node *first, *last;         /* ARRAY, CONCAT */
    struct field *fields, *field_last; /* OBJECT */
    size_t count;
};

struct field {
    const char *name;
    struct node *first, *last; /* values, oldest first */
    struct field *next;
};

struct chunk;
struct hocon_doc {
    struct chunk *chunks;
    size_t nodes;
    struct node *root;
};

void *doc_alloc(struct hocon_doc *doc, size_t n);
const char *doc_text(struct hocon_doc *doc, const char *text, size_t n);
/* NULL once the document has too many. */
struct node *doc_node(struct hocon_doc *doc, enum node_kind kind);
void doc_free(struct hocon_doc *doc);

struct field *node_field(const struct node *object, const char *name);
/* Finds or makes a field; NULL if the object or the document is full. */
struct field *node_field_make(struct hocon_doc *doc, struct node *object,
                              const char *name);
void node_append(struct node *list, struct node *child);
/* Gives a field one more value. */
void field_add(struct hocon_doc *doc, struct field *f, struct node *value);

/* Reads a text into object; names[0..n-1] is where that object is in the document. */
int hocon_read(struct hocon_doc *doc, struct node *object, const char *text, size_t n,
               const struct hocon_options *options, const char *const *names,
               size_t names_n, int include_depth, struct reeve_error *err);
/* The document without substitutions. */
cJSON *hocon_resolve(struct hocon_doc *doc, bool env, struct reeve_error *err);

#endif
