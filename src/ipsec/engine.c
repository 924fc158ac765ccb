#include "ipsec/engine.h"

#include <stdlib.h>
#include <string.h>

#include "base/secret.h"

struct ipsec *ipsec_new(const struct ipsec_setup *setup)
{
    struct ipsec *e = calloc(1, sizeof(*e));
    struct gh_hash_seed seed;

    if (e == NULL)
        return NULL;
    e->setup = *setup;
    e->next_order = UINT64_MAX >> 8;
    if (setup->random(setup->arg, (uint8_t *)&e->seed, sizeof(e->seed)) &&
        setup->random(setup->arg, (uint8_t *)&seed, sizeof(seed)) &&
        setup->random(setup->arg, (uint8_t *)&e->ip_id, sizeof(e->ip_id))) {
        e->sad.seed = e->seed;
        e->outgoing = ipsec_classifier_new(e->seed);
        e->fragments = ipsec_fragments_new(&seed, IPSEC_FRAGMENTS_MS);
        e->crypt = ipsec_crypt_new(setup->back_end);
    }
    if (e->outgoing != NULL && e->fragments != NULL && e->crypt != NULL &&
        ipsec_set_policies(e, NULL, 0))
        return e;
    ipsec_free(e);
    return NULL;
}

static void free_spd(struct ipsec_spd *spd)
{
    ipsec_classifier_free(spd->way[IPSEC_OUT]);
    ipsec_classifier_free(spd->way[IPSEC_IN]);
    free(spd->kept);
}

void ipsec_free(struct ipsec *e)
{
    if (e == NULL)
        return;
    free_spd(&e->spd);
    ipsec_classifier_free(e->outgoing);
    ipsec_fragments_free(e->fragments);
    ipsec_sad_clear(&e->sad);
    ipsec_crypt_free(e->crypt);
    gh_wipe(e, sizeof(*e));
    free(e);
}

const char *ipsec_back_end(const struct ipsec *e)
{
    return ipsec_crypt_name(e->crypt);
}

static bool file_policy(const struct ipsec_spd *spd, const struct ipsec_policy *p, size_t order)
{
    for (size_t i = 0; i < p->selector_count; i++)
        if ((p->out && !ipsec_classifier_add(spd->way[IPSEC_OUT], p->place, order, &p->selectors[i],
                                             &spd->kept[order])) ||
            (p->in && !ipsec_classifier_add(spd->way[IPSEC_IN], p->place, order, &p->selectors[i],
                                            &spd->kept[order])))
            return false;
    return true;
}

/* What was counted goes on with the policies that stay. Their order mostly does, too: so the search
 * begins behind the last that was found. */
static void keep_counts(struct ipsec_spd *next, const struct ipsec_spd *old)
{
    size_t at = 0;

    for (size_t i = 0; i < next->count; i++) {
        struct ipsec_policy_kept *k = &next->kept[i];

        for (size_t tried = 0; tried < old->count; tried++, at++) {
            const struct ipsec_policy_kept *was = &old->kept[at % old->count];

            if (was->id != k->id || was->place != k->place || was->action != k->action)
                continue;
            k->counts = was->counts;
            at++;
            break;
        }
    }
}

bool ipsec_policy_look(const struct ipsec *e, size_t order, struct ipsec_policy_counts *out)
{
    if (order >= e->spd.count)
        return false;
    *out = e->spd.kept[order].counts;
    return true;
}

bool ipsec_set_policies(struct ipsec *e, const struct ipsec_policy *policies, size_t count)
{
    struct ipsec_spd spd = {
        .way = {ipsec_classifier_new(e->seed), ipsec_classifier_new(e->seed)},
        .kept = calloc(count + 1, sizeof(*spd.kept)),
        .count = count,
    };
    bool ok = spd.way[IPSEC_OUT] != NULL && spd.way[IPSEC_IN] != NULL && spd.kept != NULL;

    for (size_t i = 0; ok && i < count; i++) {
        spd.kept[i] = (struct ipsec_policy_kept){
            .id = policies[i].id, .place = policies[i].place, .action = policies[i].action};
        ok = file_policy(&spd, &policies[i], i);
    }
    if (!ok) {
        free_spd(&spd);
        return false;
    }
    keep_counts(&spd, &e->spd);
    free_spd(&e->spd);
    e->spd = spd;
    return true;
}

/* Of selectors that overlap, what has fewer addresses of the peer's side goes first, and of the
 * same the newest SA: another peer's wide selectors do not draw what one of its own has
 * (ipsec_add_sa()).
 */
static uint64_t order_of(const struct ipsec_sa *sa, size_t selector)
{
    enum { SHIFT = 56 };

    return (uint64_t)(128 - ipsec_range_bits(&sa->p.selectors[selector].remote)) << SHIFT |
           sa->order;
}

static void unfile_sa(struct ipsec *e, const struct ipsec_sa *sa)
{
    if (sa->p.way == IPSEC_OUT)
        for (size_t i = 0; i < sa->p.selector_count; i++)
            ipsec_classifier_remove(e->outgoing, sa->p.place, order_of(sa, i), &sa->p.selectors[i],
                                    sa);
}

/* An SA that others go into (AH around ESP) is found by its id alone. */
static bool file_sa(struct ipsec *e, struct ipsec_sa *sa)
{
    if (sa->p.way == IPSEC_IN)
        return true;
    sa->order = e->next_order--;
    for (size_t i = 0; i < sa->p.selector_count; i++)
        if (!ipsec_classifier_add(e->outgoing, sa->p.place, order_of(sa, i), &sa->p.selectors[i],
                                  sa))
            return false;
    return true;
}

bool ipsec_add_sa(struct ipsec *e, const struct ipsec_sa_params *params)
{
    struct ipsec_sa *sa = ipsec_sa_new(e->crypt, params);

    if (sa == NULL)
        return false;
    if (!file_sa(e, sa) || !ipsec_sad_add(&e->sad, sa)) {
        unfile_sa(e, sa);
        ipsec_sa_free(sa);
        return false;
    }
    return true;
}

bool ipsec_remove_sa(struct ipsec *e, uint64_t id)
{
    struct ipsec_sa *sa = ipsec_sad_take(&e->sad, id);

    if (sa == NULL)
        return false;
    unfile_sa(e, sa);
    ipsec_sa_free(sa);
    return true;
}

const struct ipsec_sa *ipsec_get_sa(const struct ipsec *e, uint64_t id)
{
    return ipsec_sad_by_id(&e->sad, id);
}

bool ipsec_move_sa(struct ipsec *e, uint64_t id, const struct gh_addr *local, uint16_t local_port,
                   const struct gh_addr *remote, uint16_t remote_port)
{
    struct ipsec_sa *sa = ipsec_sad_by_id(&e->sad, id);
    struct ipsec_sa_params p;

    if (sa == NULL)
        return false;
    p = sa->p;
    p.local = *local;
    p.remote = *remote;
    p.local_port = local_port;
    p.remote_port = remote_port;
    if (!ipsec_sa_addresses_fit(&p))
        return false;
    sa->p = p;
    sa->told_moved = false;
    return true;
}

bool ipsec_set_sa_mtu(struct ipsec *e, uint64_t id, uint16_t mtu)
{
    struct ipsec_sa *sa = ipsec_sad_by_id(&e->sad, id);

    if (sa != NULL)
        sa->p.mtu = mtu;
    return sa != NULL;
}

bool ipsec_set_sa_tunnel(struct ipsec *e, uint64_t id, const struct ipsec_tunnel *tunnel)
{
    struct ipsec_sa *sa = ipsec_sad_by_id(&e->sad, id);

    if (sa == NULL || tunnel->dscp > 63)
        return false;
    sa->p.tunnel = *tunnel;
    if (sa->p.tunnel.ttl == 0)
        sa->p.tunnel.ttl = IPSEC_TTL;
    return true;
}

bool ipsec_set_sa_aside(struct ipsec *e, uint64_t id, const struct ipsec_aside *aside)
{
    struct ipsec_sa *sa = ipsec_sad_by_id(&e->sad, id);

    if (sa != NULL)
        sa->aside = *aside;
    return sa != NULL;
}

const struct ipsec_sa *ipsec_get_sa_out(const struct ipsec *e, uint32_t place,
                                        enum ipsec_protocol protocol, uint32_t spi,
                                        const struct gh_addr *remote)
{
    return ipsec_sad_out(&e->sad, place, (uint8_t)protocol, spi, remote);
}

void ipsec_set_tap(struct ipsec *e, const struct ipsec_tap *tap)
{
    e->tap = tap;
}

uint64_t ipsec_count(const struct ipsec *e, enum ipsec_way way, enum ipsec_result result)
{
    return e->counts[way][result];
}

void ipsec_conclude(struct ipsec *e, enum ipsec_way way, struct ipsec_packet *p,
                    struct ipsec_sa *sa, enum ipsec_result result)
{
    p->result = result;
    e->counts[way][result]++;
    if (sa == NULL)
        return;
    p->sa = sa->p.id;
    sa->counts.results[result]++;
}

void ipsec_tell(struct ipsec *e, const struct ipsec_event *event)
{
    if (e->setup.event != NULL)
        e->setup.event(e->setup.arg, event);
}

static void tell_once(struct ipsec *e, const struct ipsec_sa *sa, enum ipsec_event_kind kind,
                      bool *told)
{
    if (*told)
        return;
    *told = true;
    ipsec_tell(e, &(struct ipsec_event){
                      .kind = kind, .sa = sa->p.id, .policy = sa->p.policy, .place = sa->p.place});
}

static bool reached(uint64_t value, uint64_t limit)
{
    return limit > 0 && value >= limit;
}

enum ipsec_result ipsec_check_lifetime(struct ipsec *e, struct ipsec_sa *sa, size_t octets)
{
    const struct ipsec_lifetime *l = &sa->p.lifetime;

    if (!reached(sa->counts.packets, l->hard_packets) &&
        (l->hard_octets == 0 || sa->counts.octets + octets <= l->hard_octets))
        return IPSEC_OK;
    tell_once(e, sa, IPSEC_HARD, &sa->told_hard);
    return IPSEC_EXPIRED;
}

void ipsec_account(struct ipsec *e, struct ipsec_sa *sa, uint64_t now_ms, size_t octets)
{
    const struct ipsec_lifetime *l = &sa->p.lifetime;
    uint64_t last = ipsec_sa_last_seq(sa);
    uint64_t seq = sa->p.way == IPSEC_OUT ? sa->seq : sa->replay.top;

    sa->counts.packets++;
    sa->counts.octets += octets;
    sa->last_used_ms = now_ms;
    if (reached(sa->counts.packets, l->soft_packets) || reached(sa->counts.octets, l->soft_octets))
        tell_once(e, sa, IPSEC_SOFT, &sa->told_soft);
    if (seq >= last - last / 8)
        tell_once(e, sa, IPSEC_SEQ_LOW, &sa->told_seq);
}

struct ipsec_policy_kept *ipsec_policy_for(const struct ipsec *e, enum ipsec_way way,
                                           uint32_t place, const struct ipsec_flow *f)
{
    return ipsec_classify(e->spd.way[way], place, f, NULL, NULL);
}

const uint8_t *ipsec_random_iv(struct ipsec *e)
{
    if (e->random_left < GH_CIPHER_IV_MAX) {
        if (!e->setup.random(e->setup.arg, e->random, sizeof(e->random)))
            return NULL;
        e->random_left = sizeof(e->random);
    }
    e->random_left -= GH_CIPHER_IV_MAX;
    return e->random + e->random_left;
}
