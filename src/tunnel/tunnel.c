#include "tunnel/tunnel.h"

#include "ipsec/header.h"
#include "tunnel/icmp.h"
#include "tunnel/limit.h"

static bool address_fits(const struct gh_addr *a, const struct gh_addr *local)
{
    return a->len == local->len && !gh_addr_is_any(a) && tunnel_source_valid(a) &&
           !gh_addr_equal(a, local);
}

static bool dests_valid(const struct tunnel_params *p)
{
    if (p->dest_count > TUNNEL_DESTS_MAX)
        return false;
    for (size_t i = 0; i < p->dest_count; i++) {
        if (gh_addr_is_any(&p->dests[i]) || !tunnel_source_valid(&p->dests[i]))
            return false;
        for (size_t k = 0; k < i; k++)
            if (gh_addr_equal(&p->dests[i], &p->dests[k]))
                return false;
    }
    return true;
}

bool tunnel_params_valid(const struct tunnel_params *p)
{
    bool gre = p->has_send_key || p->has_receive_key || p->ignore_key || p->send_checksum ||
               p->send_sequence || p->check_sequence;

    return (p->kind == TUNNEL_GRE || !gre) && !gh_addr_is_any(&p->local) &&
           tunnel_source_valid(&p->local) && address_fits(&p->remote, &p->local) &&
           (p->backup.len == 0 ||
            (address_fits(&p->backup, &p->local) && !gh_addr_equal(&p->backup, &p->remote))) &&
           p->dscp < 64 && tunnel_mtu_valid(&p->mtu) && dests_valid(p) &&
           !(p->has_encapsulation_limit && p->local.len == 4) &&
           !(p->has_receive_key && p->ignore_key);
}

void tunnel_init(struct tunnel *t, const struct tunnel_params *p)
{
    /* RFC 2890 2.2: the first number is 0. */
    *t = (struct tunnel){.p = *p, .sent_sequence = UINT32_MAX, .received_sequence = UINT32_MAX};
}

bool tunnel_set_reach(struct tunnel *t, bool primary, bool backup)
{
    enum tunnel_reach reach = primary                          ? TUNNEL_REACH_PRIMARY
                              : backup && t->p.backup.len != 0 ? TUNNEL_REACH_BACKUP
                                                               : TUNNEL_REACH_NONE;

    if (reach == t->reach)
        return false;
    t->reach = reach;
    t->switches++;
    t->received_sequence = UINT32_MAX; /* another sender counts for itself */
    return true;
}

const struct gh_addr *tunnel_remote(const struct tunnel *t)
{
    switch (t->reach) {
    case TUNNEL_REACH_PRIMARY:
        return &t->p.remote;
    case TUNNEL_REACH_BACKUP:
        return &t->p.backup;
    default:
        return NULL;
    }
}

bool tunnel_dests_within(const struct tunnel_params *p, const struct gh_prefix *subnets,
                         size_t count)
{
    for (size_t i = 0; i < p->dest_count; i++) {
        size_t k = 0;

        while (k < count && !gh_prefix_contains(&subnets[k], &p->dests[i]))
            k++;
        if (k == count)
            return false;
    }
    return true;
}

size_t tunnel_overhead(const struct tunnel_params *p)
{
    const struct tunnel_gre gre = {.has_checksum = p->send_checksum,
                                   .has_key = p->has_send_key,
                                   .has_sequence = p->send_sequence};

    return (p->local.len == 4 ? IPSEC_IPV4_HEADER : IPSEC_IPV6_HEADER) +
           (p->has_encapsulation_limit ? TUNNEL_LIMIT_HEADER : 0u) +
           (p->kind == TUNNEL_GRE ? tunnel_gre_len(&gre) : 0);
}

void tunnel_count(struct tunnel_counts *c, enum tunnel_result result)
{
    c->results[result]++;
}
