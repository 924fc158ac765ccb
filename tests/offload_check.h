/*
 * What must hold of merging, whatever the packets: each is in one group, no packet of a flow
 * overtakes another, and what is cut of a group again are the packets that went into it.
 */
#ifndef GH_TESTS_OFFLOAD_CHECK_H
#define GH_TESTS_OFFLOAD_CHECK_H

#include <stdlib.h>
#include <string.h>

#include "offload/merge.h"
#include "offload/split.h"
#include "wire/ip.h"

enum { OFFLOAD_CHECK_PACKET = 70000 };

struct offload_check {
    struct offload_packet packets[OFFLOAD_MERGE_MAX];
    struct offload_group groups[OFFLOAD_MERGE_MAX];
    uint8_t *before[OFFLOAD_MERGE_MAX]; /* copies of what went in */
    size_t position[OFFLOAD_MERGE_MAX];
    uint8_t super[OFFLOAD_CHECK_PACKET], segment[OFFLOAD_CHECK_PACKET];
};

static void offload_must(bool ok)
{
    if (!ok)
        abort();
}

/* Identification means nothing with DF (RFC 6864), and the header's checksum depends on it. */
static bool offload_same_packet(const uint8_t *a, const uint8_t *b, size_t len)
{
    if (a[0] >> 4 == 4 && (a[6] & 0x40) != 0)
        return memcmp(a, b, 4) == 0 && memcmp(a + 6, b + 6, 4) == 0 &&
               memcmp(a + 12, b + 12, len - 12) == 0;
    return memcmp(a, b, len) == 0;
}

static void offload_check_group(struct offload_check *c, const struct offload_group *g)
{
    struct offload_split split;
    size_t len = 0, n = 0;

    for (size_t i = g->first; i != OFFLOAD_MERGE_MAX; i = c->packets[i].next) {
        const struct offload_packet *p = &c->packets[i];

        offload_must(p->skip <= p->len && len + p->len - p->skip <= OFFLOAD_CHECK_PACKET);
        memcpy(c->super + len, p->data + p->skip, p->len - p->skip);
        len += p->len - p->skip;
    }
    offload_must(len == g->len);
    if (g->count == 1) {
        offload_must(g->note.cut == OFFLOAD_WHOLE && !g->note.checksum_due);
        offload_must(len == c->packets[g->first].len &&
                     memcmp(c->super, c->before[g->first], len) == 0);
        return;
    }
    offload_must(len <= OFFLOAD_PACKET_MAX && g->note.checksum_due);
    offload_must(offload_split(&split, &g->note, c->super, len) && split.count == g->count);
    for (size_t i = g->first; i != OFFLOAD_MERGE_MAX; i = c->packets[i].next, n++) {
        offload_must(offload_segment_len(&split, n) == c->packets[i].len);
        offload_segment(&split, n, c->segment);
        offload_must(offload_same_packet(c->segment, c->before[i], c->packets[i].len));
    }
}

static bool offload_one_flow(const uint8_t *a, size_t a_len, const uint8_t *b, size_t b_len)
{
    struct gh_ip_packet x, y;

    if (gh_ip_parse(a, a_len, &x) != GH_IP_OK || gh_ip_parse(b, b_len, &y) != GH_IP_OK)
        return false;
    if (!gh_addr_equal(&x.src, &y.src) || !gh_addr_equal(&x.dst, &y.dst) ||
        x.protocol != y.protocol || x.l4_len < 4 || y.l4_len < 4)
        return false;
    return memcmp(a + x.header_len, b + y.header_len, 4) == 0;
}

/* Merges the first `count` packets of c->packets, and looks at what comes of it. How many groups.
 */
static size_t offload_check_merge(struct offload_check *c, size_t count, bool udp)
{
    size_t groups, at = 0;

    for (size_t i = 0; i < count; i++) {
        c->before[i] = malloc(c->packets[i].len + 1);
        offload_must(c->before[i] != NULL);
        memcpy(c->before[i], c->packets[i].data, c->packets[i].len);
    }
    groups = offload_merge(c->packets, count, udp, c->groups);
    offload_must(groups <= count);
    for (size_t k = 0; k < groups; k++) {
        const struct offload_group *g = &c->groups[k];
        size_t n = 0;

        offload_check_group(c, g);
        for (size_t i = g->first; i != OFFLOAD_MERGE_MAX; i = c->packets[i].next, n++)
            c->position[i] = at++;
        offload_must(n == g->count);
    }
    offload_must(at == count);
    for (size_t i = 0; i < count; i++)
        for (size_t k = i + 1; k < count; k++)
            offload_must(c->position[i] < c->position[k] ||
                         !offload_one_flow(c->before[i], c->packets[i].len, c->before[k],
                                           c->packets[k].len));
    for (size_t i = 0; i < count; i++)
        free(c->before[i]);
    return groups;
}

#endif
