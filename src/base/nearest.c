/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "base/nearest.h"

#include <ctype.h>
#include <string.h>

#define WORD_MAX 96 /* of a longer one, this much is looked at */

static int min(int a, int b)
{
    return a < b ? a : b;
}

static size_t fold(const char *word, char out[WORD_MAX])
{
    size_t n = 0;
    for (; word[n] && n < WORD_MAX; n++)
        out[n] = word[n] == '_' ? '-' : (char)tolower((unsigned char)word[n]);
    return n;
}

/* Optimal string alignment: edits with swaps of neighbours, in three rows. */
static int distance(const char *a, size_t na, const char *b, size_t nb)
{
    int rows[3][WORD_MAX + 1];
    for (size_t j = 0; j <= nb; j++)
        rows[0][j] = (int)j;
    for (size_t i = 1; i <= na; i++) {
        int *row = rows[i % 3], *up = rows[(i + 2) % 3], *up2 = rows[(i + 1) % 3];
        row[0] = (int)i;
        for (size_t j = 1; j <= nb; j++) {
            int other = a[i - 1] != b[j - 1];
            row[j] = min(min(row[j - 1], up[j]) + 1, up[j - 1] + other);
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                row[j] = min(row[j], up2[j - 2] + 1);
        }
    }
    return rows[na % 3][nb];
}

void nearest_try(struct nearest *n, const char *known)
{
    char a[WORD_MAX], b[WORD_MAX];
    size_t na = fold(n->word, a), nb = fold(known, b);
    int edits = distance(a, na, b, nb);
    if (na >= 2 && na < nb && memcmp(a, b, na) == 0)
        edits = 1;
    if (edits > (int)nb / 3 || (n->best && edits >= n->distance))
        return;
    n->best = known;
    n->distance = edits;
}
