/*
 * Traffic selectors as boxes: a span of addresses, one of protocols and one of ports, so that every
 * question is asked of each span alone.
 *
 * Protocol "any" is the span 0 … 255. A packet whose ports cannot be seen has the port NO_PORT,
 * behind all others: OPAQUE is this one point, ANY reaches up to it, a range of ports does not.
 */
#include "ike/ts_set.h"

__extension__ typedef unsigned __int128 number;

enum { ADDRESS, PROTOCOL, PORT, SPANS };
enum { PROTOCOL_LAST = 255, NO_PORT = 0x10000, WORK_MAX = 100000 };

struct span {
    number lo, hi; /* inclusive */
};

struct box {
    uint8_t type; /* IKE_TS_IPV4 or IKE_TS_IPV6 */
    struct span span[SPANS];
};

static number address_number(const struct gh_addr *a)
{
    number n = 0;

    for (unsigned i = 0; i < a->len; i++)
        n = n << 8 | a->octets[i];
    return n;
}

static struct gh_addr address_from(number n, uint8_t len)
{
    struct gh_addr a = {.len = len};

    for (unsigned i = len; i > 0; i--, n >>= 8)
        a.octets[i - 1] = (uint8_t)n;
    return a;
}

static struct box box_of(const struct ike_ts *ts)
{
    struct box b = {.type = ts->type,
                    .span = {[ADDRESS] = {address_number(&ts->start), address_number(&ts->end)},
                             [PROTOCOL] = {0, PROTOCOL_LAST},
                             [PORT] = {ts->start_port, ts->end_port}}};

    if (ts->protocol != 0)
        b.span[PROTOCOL] = (struct span){ts->protocol, ts->protocol};
    if (ike_ts_any_port(ts))
        b.span[PORT].hi = NO_PORT;
    else if (ike_ts_opaque(ts))
        b.span[PORT] = (struct span){NO_PORT, NO_PORT};
    return b;
}

static struct box box_of_packet(const struct ike_ts_packet *packet)
{
    number addr = address_number(&packet->addr), port = packet->has_port ? packet->port : NO_PORT;

    return (struct box){.type = packet->addr.len == 4 ? IKE_TS_IPV4 : IKE_TS_IPV6,
                        .span = {[ADDRESS] = {addr, addr},
                                 [PROTOCOL] = {packet->protocol, packet->protocol},
                                 [PORT] = {port, port}}};
}

/* Only for boxes that came of selectors by intersection: those are selectors again. */
static struct ike_ts selector_of(const struct box *b)
{
    uint8_t len = b->type == IKE_TS_IPV4 ? 4 : 16;
    struct ike_ts ts = {.type = b->type,
                        .protocol = (uint8_t)b->span[PROTOCOL].lo,
                        .start_port = (uint16_t)b->span[PORT].lo,
                        .end_port = (uint16_t)b->span[PORT].hi,
                        .start = address_from(b->span[ADDRESS].lo, len),
                        .end = address_from(b->span[ADDRESS].hi, len)};

    if (b->span[PORT].lo == NO_PORT) {
        ts.start_port = 0xffff;
        ts.end_port = 0;
    } else if (b->span[PORT].hi == NO_PORT) {
        ts.end_port = 0xffff;
    }
    return ts;
}

static bool box_contains(const struct box *outer, const struct box *inner)
{
    for (unsigned i = 0; i < SPANS; i++)
        if (inner->span[i].lo < outer->span[i].lo || inner->span[i].hi > outer->span[i].hi)
            return false;
    return outer->type == inner->type;
}

static bool box_overlap(const struct box *a, const struct box *b)
{
    for (unsigned i = 0; i < SPANS; i++)
        if (a->span[i].lo > b->span[i].hi || b->span[i].lo > a->span[i].hi)
            return false;
    return a->type == b->type;
}

bool ike_ts_has(const struct ike_ts *ts, const struct ike_ts_packet *packet)
{
    struct box b = box_of(ts), point = box_of_packet(packet);

    return box_contains(&b, &point);
}

bool ike_ts_list_has(const struct ike_ts_list *list, const struct ike_ts_packet *packet)
{
    for (size_t i = 0; i < list->count; i++)
        if (ike_ts_has(&list->ts[i], packet))
            return true;
    return false;
}

bool ike_ts_equal(const struct ike_ts *a, const struct ike_ts *b)
{
    return ike_ts_contains(a, b) && ike_ts_contains(b, a);
}

bool ike_ts_list_equal(const struct ike_ts_list *a, const struct ike_ts_list *b)
{
    bool same = a->count == b->count;

    for (size_t i = 0; same && i < a->count; i++)
        same = ike_ts_equal(&a->ts[i], &b->ts[i]);
    return same;
}

bool ike_ts_contains(const struct ike_ts *outer, const struct ike_ts *inner)
{
    struct box o = box_of(outer), i = box_of(inner);

    return box_contains(&o, &i);
}

bool ike_ts_overlap(const struct ike_ts *a, const struct ike_ts *b)
{
    struct box box_a = box_of(a), box_b = box_of(b);

    return box_overlap(&box_a, &box_b);
}

bool ike_ts_intersect(const struct ike_ts *a, const struct ike_ts *b, struct ike_ts *out)
{
    struct box box_a = box_of(a), box_b = box_of(b);

    if (!box_overlap(&box_a, &box_b))
        return false;
    for (unsigned i = 0; i < SPANS; i++) {
        if (box_a.span[i].lo < box_b.span[i].lo)
            box_a.span[i].lo = box_b.span[i].lo;
        if (box_a.span[i].hi > box_b.span[i].hi)
            box_a.span[i].hi = box_b.span[i].hi;
    }
    *out = selector_of(&box_a);
    return true;
}

bool ike_ts_list_overlap(const struct ike_ts_list *list, size_t *first, size_t *second)
{
    for (size_t i = 0; i < list->count; i++)
        for (size_t j = i + 1; j < list->count; j++)
            if (ike_ts_overlap(&list->ts[i], &list->ts[j])) {
                *first = i;
                *second = j;
                return true;
            }
    return false;
}

/* Whether outer[from …] together cover the box. What sticks out of one of them is cut off piece by
 * piece and must be covered by those behind it. */
static bool covered(const struct ike_ts_list *outer, size_t from, struct box box, unsigned *work)
{
    for (size_t i = from; i < outer->count; i++) {
        struct box o = box_of(&outer->ts[i]);

        if (++*work > WORK_MAX)
            return false;
        if (!box_overlap(&o, &box))
            continue;
        for (unsigned s = 0; s < SPANS; s++) {
            struct box below = box, above = box;

            if (box.span[s].lo < o.span[s].lo) {
                below.span[s].hi = o.span[s].lo - 1;
                box.span[s].lo = above.span[s].lo = o.span[s].lo;
                if (!covered(outer, i + 1, below, work))
                    return false;
            }
            if (box.span[s].hi > o.span[s].hi) {
                above.span[s].lo = o.span[s].hi + 1;
                box.span[s].hi = o.span[s].hi;
                if (!covered(outer, i + 1, above, work))
                    return false;
            }
        }
        return true;
    }
    return false;
}

bool ike_ts_list_contains(const struct ike_ts_list *outer, const struct ike_ts_list *inner)
{
    unsigned work = 0;

    for (size_t i = 0; i < inner->count; i++)
        if (!covered(outer, 0, box_of(&inner->ts[i]), &work))
            return false;
    return true;
}

/* Adds a selector unless another contains it; those that it contains go. False: full. */
static bool add(struct ike_ts_list *list, const struct ike_ts *ts)
{
    size_t kept = 0;

    for (size_t i = 0; i < list->count; i++)
        if (ike_ts_contains(&list->ts[i], ts))
            return true;
    for (size_t i = 0; i < list->count; i++)
        if (!ike_ts_contains(ts, &list->ts[i]))
            list->ts[kept++] = list->ts[i];
    list->count = kept;
    if (kept == IKE_TS_MAX)
        return false;
    list->ts[list->count++] = *ts;
    return true;
}

enum ike_narrowed ike_ts_narrow(const struct ike_ts_list *theirs, const struct ike_ts_list *ours,
                                struct ike_ts_list *out)
{
    struct ike_ts_list both = {0};

    if (theirs->excess > 0)
        return IKE_TS_TOO_MANY;
    for (size_t i = 0; i < theirs->count; i++)
        for (size_t j = 0; j < ours->count; j++) {
            struct ike_ts ts;

            if (ike_ts_intersect(&theirs->ts[i], &ours->ts[j], &ts) && !add(&both, &ts))
                return IKE_TS_TOO_MANY;
        }
    if (both.count == 0)
        return IKE_TS_NOTHING;
    *out = both;
    return theirs->unknown == 0 && ike_ts_list_contains(&both, theirs) ? IKE_TS_WHOLE
                                                                       : IKE_TS_NARROWED;
}
