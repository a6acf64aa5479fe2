/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "prepare/checkout.h"

bool checkout_available(void)
{
    return false;
}

int checkout_make(const struct spec *spec, struct report *r, const char *work,
                  char **root, struct reeve_error *err)
{
    return reeve_error_set(err, 0, "this program checks nothing out");
}
