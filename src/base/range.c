#include "base/range.h"

#include <string.h>

/* The last address of the prefix of which `a` is the first. */
static struct gh_addr last_of(const struct gh_addr *a, unsigned bits)
{
    struct gh_addr last = *a;

    if (bits % 8 != 0)
        last.octets[bits / 8] |= (uint8_t)(0xff >> bits % 8);
    memset(last.octets + (bits + 7) / 8, 0xff, a->len - (bits + 7) / 8);
    return last;
}

static void next_address(struct gh_addr *a)
{
    for (size_t i = a->len; i > 0 && ++a->octets[i - 1] == 0; i--)
        ;
}

/* Of the shortest prefix of which `a` can be the first. */
static unsigned shortest_prefix(const struct gh_addr *a)
{
    unsigned octets = a->len, bits = 0;

    while (octets > 0 && a->octets[octets - 1] == 0)
        octets--;
    while (octets > 0 && bits < 7 && (a->octets[octets - 1] >> bits & 1) == 0)
        bits++;
    return 8 * octets - bits;
}

/* Of the shortest prefix that begins at `a` and does not go beyond `end`. */
static unsigned prefix_within(const struct gh_addr *a, const struct gh_addr *end)
{
    unsigned bits = shortest_prefix(a);
    struct gh_addr last = last_of(a, bits);

    while (memcmp(last.octets, end->octets, a->len) > 0)
        last = last_of(a, ++bits);
    return bits;
}

size_t gh_range_prefixes(const struct gh_addr *start, const struct gh_addr *end,
                         struct gh_prefix out[GH_RANGE_PREFIXES])
{
    struct gh_addr at = *start, last;
    size_t count = 0;

    if (start->len != end->len || memcmp(start->octets, end->octets, start->len) > 0)
        return 0;
    do {
        struct gh_prefix *p = &out[count++];

        *p = (struct gh_prefix){.addr = at, .bits = (uint8_t)prefix_within(&at, end)};
        last = at = last_of(&at, p->bits);
        next_address(&at);
    } while (count < GH_RANGE_PREFIXES && !gh_addr_equal(&last, end));
    return count;
}
