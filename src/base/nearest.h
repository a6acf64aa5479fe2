/* nearest.h - which known word somebody meant who wrote an unknown one */
#ifndef REEVE_NEAREST_H
#define REEVE_NEAREST_H

struct nearest {
    const char *word; /* as it was written; borrowed */
    const char *best; /* the nearest of those tried, or NULL if none is near */
    int distance;
};

#define NEAREST_INIT(written)                                                          \
    {                                                                                  \
        .word = (written)                                                              \
    }

/* Offers a known word; it must live as long as n. Near is one that begins with what was
 * written, or that fewer edits (a letter more, less, other, or two swapped) than a
 * third of its length lead to; case and '-' against '_' do not count. Of two as near,
 * the first. */
void nearest_try(struct nearest *n, const char *known);

#endif
