#include "capture/flow.h"

#include <stdlib.h>

#include "tcpao/endpoint.h"

enum { BUCKETS = 4096 };

struct cap_flows {
    struct cap_connection *buckets[BUCKETS];
    struct cap_connection *first, **end;
    unsigned count;
};

struct cap_flows *cap_flows_new(void)
{
    struct cap_flows *f = calloc(1, sizeof(*f));

    if (f != NULL)
        f->end = &f->first;
    return f;
}

void cap_flows_free(struct cap_flows *f)
{
    if (f == NULL)
        return;
    for (struct cap_connection *c = f->first, *next; c != NULL; c = next) {
        next = c->next;
        free(c);
    }
    free(f);
}

/* Both directions of a connection fall into one bucket. */
static unsigned bucket(const struct tcpao_endpoint *a, const struct tcpao_endpoint *b)
{
    uint32_t h = (uint32_t)(a->port + b->port);

    for (size_t i = 0; i < a->addr_len; i++)
        h = h * 31 + a->addr[i] + b->addr[i];
    return (h ^ h >> 12) % BUCKETS;
}

struct cap_connection *cap_flows_find(const struct cap_flows *f, const struct tcpao_endpoint *src,
                                      const struct tcpao_endpoint *dst)
{
    struct cap_connection *c = f->buckets[bucket(src, dst)];

    for (; c != NULL; c = c->next_in_bucket)
        if ((ao_endpoint_equal(&c->end[0], src) && ao_endpoint_equal(&c->end[1], dst)) ||
            (ao_endpoint_equal(&c->end[0], dst) && ao_endpoint_equal(&c->end[1], src)))
            break;
    return c;
}

struct cap_connection *cap_flows_add(struct cap_flows *f, const struct tcpao_endpoint *src,
                                     const struct tcpao_endpoint *dst)
{
    struct cap_connection *c = calloc(1, sizeof(*c));
    unsigned b = bucket(src, dst);

    if (c == NULL)
        return NULL;
    c->number = ++f->count;
    c->end[0] = *src;
    c->end[1] = *dst;
    c->next_in_bucket = f->buckets[b];
    f->buckets[b] = c;
    *f->end = c;
    f->end = &c->next;
    return c;
}

const struct cap_connection *cap_flows_first(const struct cap_flows *f)
{
    return f->first;
}

int cap_side_of(const struct cap_connection *c, const struct tcpao_endpoint *e)
{
    return ao_endpoint_equal(&c->end[0], e) ? 0 : 1;
}

bool cap_handshake_fits(const struct cap_connection *c, int from, const struct gh_tcp_segment *tcp)
{
    const struct cap_side *src = &c->side[from], *dst = &c->side[!from];

    /* A life that was already under way when the capture began. */
    if (!src->isn_known && !dst->isn_known)
        return false;
    if (src->isn_known && src->isn != tcp->seq)
        return false;
    return (tcp->flags & GH_TCP_ACK) == 0 || !dst->isn_known || dst->isn == tcp->ack - 1;
}

static void learn_isn(struct cap_side *s, uint32_t isn)
{
    if (s->isn_known)
        return;
    s->isn_known = true;
    s->isn = isn;
    s->next = isn;
    tcpao_sne_init(&s->sne, isn);
}

void cap_handshake_learn(struct cap_connection *c, int from, const struct gh_tcp_segment *tcp)
{
    learn_isn(&c->side[from], tcp->seq);
    if ((tcp->flags & GH_TCP_ACK) != 0)
        learn_isn(&c->side[!from], tcp->ack - 1);
}
