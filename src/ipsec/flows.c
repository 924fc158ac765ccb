#include "ipsec/flows.h"

struct lookup {
    struct ipsec_ahead policy, sa;
};

static bool is_of_a_train(const struct ipsec_packet *packets, const struct ipsec_flows *flows,
                          size_t i)
{
    return i > 0 && flows->good[i - 1] && packets[i].place == packets[i - 1].place &&
           ipsec_flow_equal(&flows->flow[i], &flows->flow[i - 1]);
}

static void fetch_owners(const struct lookup *l)
{
    for (size_t i = 0; i < l->policy.count; i++)
        __builtin_prefetch(ipsec_ahead_owner(&l->policy, i), 1);
    for (size_t i = 0; i < l->sa.count; i++) {
        const struct ipsec_sa *sa = ipsec_ahead_owner(&l->sa, i);

        if (sa != NULL)
            ipsec_sa_prefetch(sa);
    }
}

void ipsec_flows_read(const struct ipsec *e, struct ipsec_packet *packets, size_t count,
                      struct ipsec_flows *flows)
{
    struct lookup lookups[IPSEC_BATCH];
    size_t n = 0;

    for (size_t i = 0; i < count; i++) {
        struct ipsec_packet *p = &packets[i];
        struct ipsec_flow *f = &flows->flow[i];

        flows->good[i] = ipsec_flow_of(ipsec_packet_data(p), &p->len, IPSEC_OUT, f);
        if (!flows->good[i] || is_of_a_train(packets, flows, i))
            continue;
        ipsec_ahead_begin(e->spd.way[IPSEC_OUT], p->place, f, &lookups[n].policy);
        ipsec_ahead_begin(e->outgoing, p->place, f, &lookups[n++].sa);
    }
    for (size_t i = 0; i < n; i++) {
        ipsec_ahead_selectors(&lookups[i].policy);
        ipsec_ahead_selectors(&lookups[i].sa);
    }
    for (size_t i = 0; i < n; i++)
        fetch_owners(&lookups[i]);
}
