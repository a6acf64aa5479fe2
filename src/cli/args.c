/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "cli/args.h"

#include "base/alloc.h"
#include "base/nearest.h"

#include <ctype.h>
#include <string.h>

#define ARGS_SPECS_MAX 64

struct option {
    bool given;
    struct words values;
};

struct args {
    const struct arg_spec *specs;
    struct option options[ARGS_SPECS_MAX];
    struct words words;
    bool help, dashes;
};

static const struct arg_spec help_spec = {ARG_FLAG, "help", 'h', NULL,
                                          "show this text"};

struct cursor {
    int argc, at;
    char *const *argv;
    struct reeve_error *err;
};

/* -1: none. */
static int find_long(const struct arg_spec *specs, const char *name, size_t n)
{
    for (int i = 0; specs[i].kind != ARG_END; i++)
        if (strlen(specs[i].name) == n && memcmp(specs[i].name, name, n) == 0)
            return i;
    return -1;
}

static int find_short(const struct arg_spec *specs, char letter)
{
    for (int i = 0; specs[i].kind != ARG_END; i++)
        if (specs[i].letter && specs[i].letter == letter)
            return i;
    return -1;
}

static int find(const struct args *a, const char *name)
{
    int i = find_long(a->specs, name, strlen(name));
    /* A command asks only for what its own table has. */
    if (i < 0)
        abort();
    return i;
}

/* "-5" is a value where one is due; "-x" and "--x" are options. */
static bool is_option(const char *word)
{
    return word[0] == '-' && word[1] && !isdigit((unsigned char)word[1]);
}

static bool is_whole(const char *word)
{
    size_t n = strspn(word + (word[0] == '-'), "0123456789");
    return n && !word[(word[0] == '-') + n];
}

/* Stores what belongs to option i; value is what came with it in the same word. */
static int take(struct args *a, int i, const char *value, struct cursor *c)
{
    const struct arg_spec *spec = &a->specs[i];
    struct option *o = &a->options[i];
    const char *next = c->at < c->argc ? c->argv[c->at] : NULL;
    o->given = true;
    if (spec->kind == ARG_REFUSED)
        return reeve_error_set(c->err, 0, "--%s: %s", spec->name, spec->help);
    if (spec->kind == ARG_FLAG)
        return value ? reeve_error_set(c->err, 0, "--%s takes no value", spec->name)
                     : 0;
    if (value) {
        words_add(&o->values, value);
        return 0;
    }
    if (spec->kind == ARG_OPTIONAL) {
        if (next && is_whole(next)) {
            words_add(&o->values, next);
            c->at++;
        }
        return 0;
    }
    bool many = spec->kind == ARG_WORDS || spec->kind == ARG_SOME;
    bool none = !next || (many && is_option(next));
    if (none && spec->kind == ARG_SOME)
        return 0;
    if (none)
        return reeve_error_set(c->err, 0, "--%s needs a value: %s", spec->name,
                               spec->value);
    do {
        words_add(&o->values, c->argv[c->at++]);
    } while (many && c->at < c->argc && !is_option(c->argv[c->at]));
    return 0;
}

static int unknown_option(const struct args *a, const char *word,
                          struct reeve_error *err)
{
    auto_free char *name = xstrndup(word + 2, strcspn(word + 2, "="));
    struct nearest near = NEAREST_INIT(name);
    for (int i = 0; a->specs[i].kind != ARG_END; i++)
        nearest_try(&near, a->specs[i].name);
    if (near.best)
        return reeve_error_set(err, 0,
                               "unknown option --%.60s; is --%s meant? see --help",
                               name, near.best);
    return reeve_error_set(err, 0, "unknown option --%.60s; see --help", name);
}

static int take_long(struct args *a, const char *word, struct cursor *c)
{
    const char *name = word + 2;
    size_t n = strcspn(name, "=");
    if (strcmp(name, "help") == 0) {
        a->help = true;
        return 0;
    }
    int i = find_long(a->specs, name, n);
    if (i < 0)
        return unknown_option(a, word, c->err);
    return take(a, i, name[n] ? name + n + 1 : NULL, c);
}

static int take_short(struct args *a, const char *word, struct cursor *c)
{
    for (const char *p = word + 1; *p; p++) {
        int i = find_short(a->specs, *p);
        if (i < 0 && *p == 'h') {
            a->help = true;
            continue;
        }
        if (i < 0)
            return reeve_error_set(c->err, 0, "unknown option -%c; see --help", *p);
        if (a->specs[i].kind != ARG_FLAG)
            return take(a, i, p[1] ? p + 1 + (p[1] == '=') : NULL, c);
        if (take(a, i, NULL, c) < 0)
            return -1;
    }
    return 0;
}

static int parse(struct args *a, bool in_order, struct cursor *c)
{
    while (c->at < c->argc) {
        const char *word = c->argv[c->at];
        bool ends = in_order && a->words.n > 0;
        if (!ends && strcmp(word, "--") == 0) {
            a->dashes = a->words.n == 0;
            c->at++;
            break;
        }
        if (ends || !is_option(word)) {
            words_add(&a->words, word);
            c->at++;
            continue;
        }
        c->at++;
        if ((word[1] == '-' ? take_long(a, word, c) : take_short(a, word, c)) < 0)
            return -1;
    }
    while (c->at < c->argc)
        words_add(&a->words, c->argv[c->at++]);
    return 0;
}

struct args *args_parse(const struct arg_spec *specs, int argc, char *const *argv,
                        bool in_order, struct reeve_error *err)
{
    struct args *a = xcalloc(1, sizeof *a);
    struct cursor c = {argc, 0, argv, err};
    a->specs = specs;
    if (parse(a, in_order, &c) == 0)
        return a;
    args_free(a);
    return NULL;
}

void args_free(struct args *a)
{
    if (!a)
        return;
    for (size_t i = 0; i < ARGS_SPECS_MAX; i++)
        words_free(&a->options[i].values);
    words_free(&a->words);
    free(a);
}

bool args_has(const struct args *a, const char *name)
{
    if (strcmp(name, "help") == 0)
        return a->help;
    return a->options[find(a, name)].given;
}

const char *args_value(const struct args *a, const char *name, const char *fallback)
{
    const struct words *v = &a->options[find(a, name)].values;
    return v->n ? v->v[v->n - 1] : fallback;
}

const struct words *args_values(const struct args *a, const char *name)
{
    const struct option *o = &a->options[find(a, name)];
    return o->given ? &o->values : NULL;
}

const struct words *args_words(const struct args *a)
{
    return &a->words;
}

bool args_after_dashes(const struct args *a)
{
    return a->dashes;
}

static void print_spec(const struct arg_spec *spec, FILE *out)
{
    char left[64];
    bool optional = spec->kind == ARG_OPTIONAL || spec->kind == ARG_SOME;
    const char *more = spec->kind == ARG_WORDS || spec->kind == ARG_SOME ? "..." : "";
    const char *open = optional ? " [" : " ";
    const char *shut = optional ? "]" : "";
    int n = spec->letter
                ? snprintf(left, sizeof left, "-%c, --%s", spec->letter, spec->name)
                : snprintf(left, sizeof left, "    --%s", spec->name);
    if (spec->value && n > 0 && (size_t)n < sizeof left)
        snprintf(left + n, sizeof left - (size_t)n, "%s%s%s%s", open, spec->value, more,
                 shut);
    if (strlen(left) > 24)
        fprintf(out, "  %s\n  %-24s  %s\n", left, "", spec->help);
    else
        fprintf(out, "  %-24s  %s\n", left, spec->help);
}

void args_print_help(const struct arg_spec *specs, FILE *out)
{
    for (int i = 0; specs[i].kind != ARG_END; i++)
        if (specs[i].help && specs[i].kind != ARG_REFUSED)
            print_spec(&specs[i], out);
    print_spec(&help_spec, out);
}
