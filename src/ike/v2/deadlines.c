/* Deadlines: a heap of all SAs that have one, the nearest first. */
#include "ike/v2/deadlines.h"
#include "ike/v2/priv.h"
#include "ike/v2/sa.h"

static void heap_put(struct ike2 *c, size_t at, struct ike2_sa *sa)
{
    c->heap[at] = sa;
    sa->heap_at = at + 1;
}

static void heap_up(struct ike2 *c, size_t at, struct ike2_sa *sa)
{
    while (at > 0 && c->heap[(at - 1) / 2]->due > sa->due) {
        heap_put(c, at, c->heap[(at - 1) / 2]);
        at = (at - 1) / 2;
    }
    heap_put(c, at, sa);
}

static void heap_down(struct ike2 *c, size_t at, struct ike2_sa *sa)
{
    for (size_t child; (child = 2 * at + 1) < c->heap_count; at = child) {
        if (child + 1 < c->heap_count && c->heap[child + 1]->due < c->heap[child]->due)
            child++;
        if (c->heap[child]->due >= sa->due)
            break;
        heap_put(c, at, c->heap[child]);
    }
    heap_put(c, at, sa);
}

void ike2_unschedule(struct ike2 *c, struct ike2_sa *sa)
{
    size_t at = sa->heap_at - 1;
    struct ike2_sa *last;

    if (sa->heap_at == 0)
        return;
    sa->heap_at = 0;
    last = c->heap[--c->heap_count];
    if (last == sa)
        return;
    if (at > 0 && c->heap[(at - 1) / 2]->due > last->due)
        heap_up(c, at, last);
    else
        heap_down(c, at, last);
}

void ike2_schedule(struct ike2 *c, struct ike2_sa *sa)
{
    uint64_t due = ike2_sa_due(sa);

    if (due == sa->due && sa->heap_at != 0)
        return;
    ike2_unschedule(c, sa);
    sa->due = due;
    if (due != 0)
        heap_up(c, c->heap_count++, sa);
}

void ike2_postpone(struct ike2 *c, struct ike2_sa *sa, uint64_t due)
{
    ike2_unschedule(c, sa);
    sa->due = due;
    heap_up(c, c->heap_count++, sa);
}
