/* Vectors are written in hexadecimal, with spaces where they help. */
#ifndef GH_TESTS_UNIT_HEX_H
#define GH_TESTS_UNIT_HEX_H

#include "unit.h"

#include <stdio.h>

#include "base/view.h"

struct octets {
    uint8_t p[2048];
    size_t len;
};

static inline struct octets hex(const char *text)
{
    struct octets o = {.len = 0};
    unsigned octet;

    while (*text != '\0') {
        if (*text == ' ') {
            text++;
            continue;
        }
        assert_true(o.len < sizeof(o.p));
        assert_int_equal(sscanf(text, "%2x", &octet), 1);
        o.p[o.len++] = (uint8_t)octet;
        text += 2;
    }
    return o;
}

static inline struct gh_view view_of(const struct octets *o)
{
    return gh_view_of(o->p, o->len);
}

#endif
