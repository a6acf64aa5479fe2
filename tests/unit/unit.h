/* unit.h - what every cmocka test includes, in the order that cmocka wants */
#ifndef REEVE_UNIT_H
#define REEVE_UNIT_H

#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#endif
