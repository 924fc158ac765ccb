/*
 * Packets that go out (RFC 4301 5.1): policy, SA, protection.
 */
#include "ipsec/ah.h"
#include "ipsec/engine.h"
#include "ipsec/esp.h"
#include "ipsec/flows.h"

struct wanted {
    uint32_t policy;
    const struct gh_addr *remote;
};

static bool of_policy(const void *sa, const void *arg)
{
    return ((const struct ipsec_sa *)sa)->p.policy == ((const struct wanted *)arg)->policy;
}

/* Transport mode goes to its peer alone, whatever its selectors have besides. */
static bool of_policy_and_peer(const void *arg, const void *wanted)
{
    const struct ipsec_sa *sa = arg;

    return of_policy(arg, wanted) &&
           (sa->p.mode != IPSEC_TRANSPORT ||
            gh_addr_equal(&sa->p.remote, ((const struct wanted *)wanted)->remote));
}

static bool takes_fragments(const void *sa, const void *wanted)
{
    return ((const struct ipsec_sa *)sa)->p.fragments_also && of_policy_and_peer(sa, wanted);
}

static struct ipsec_sa *sa_for(const struct ipsec *e, const struct ipsec_packet *p,
                               const struct ipsec_flow *f, const struct ipsec_policy_kept *policy)
{
    const struct wanted wanted = {.policy = policy->id, .remote = &f->remote};
    struct ipsec_sa *sa = ipsec_classify(e->outgoing, p->place, f, of_policy_and_peer, &wanted);

    return sa != NULL ? sa : ipsec_classify(e->outgoing, p->place, f, of_policy, &wanted);
}

/* RFC 4301 6.2: an ICMP error that no policy lets out goes through the SA that carries the answers
 * to the packet that it is about. NULL: no such thing. */
static struct ipsec_sa *sa_for_error(const struct ipsec *e, const struct ipsec_packet *p,
                                     const struct ipsec_flow *f)
{
    const struct ipsec_policy_kept *policy;
    struct ipsec_flow quoted;

    if (!ipsec_flow_quoted(ipsec_packet_data(p), p->len, f, &quoted))
        return NULL;
    policy = ipsec_policy_for(e, IPSEC_OUT, p->place, &quoted);
    return policy != NULL && policy->action == IPSEC_PROTECT ? sa_for(e, p, &quoted, policy) : NULL;
}

/* What policy wants done with a flow; OK: with *sa. */
static enum ipsec_result choose_for(struct ipsec *e, struct ipsec_packet *p,
                                    const struct ipsec_flow *f, struct ipsec_sa **sa,
                                    struct ipsec_policy_kept **of)
{
    struct ipsec_policy_kept *policy = ipsec_policy_for(e, IPSEC_OUT, p->place, f);

    *of = policy;
    if (policy != NULL)
        policy->counts.out++;
    if (policy != NULL && policy->action == IPSEC_PASS)
        return IPSEC_BYPASS;
    *sa = policy != NULL && policy->action == IPSEC_PROTECT ? sa_for(e, p, f, policy)
                                                            : sa_for_error(e, p, f);
    if (*sa != NULL)
        return IPSEC_OK;
    if (policy == NULL)
        return IPSEC_NO_POLICY;
    if (policy->action == IPSEC_DISCARD)
        return IPSEC_DISCARDED;
    policy->counts.no_sa++;
    ipsec_tell(e, &(struct ipsec_event){
                      .kind = IPSEC_ACQUIRE, .policy = policy->id, .place = p->place, .flow = f});
    return IPSEC_NO_SA;
}

/* RFC 4301 7.3, 7.4: a later fragment goes the way of its first one, as far as that is known and
 * its SA may have it; else, it is a packet without ports. */
static enum ipsec_result choose_for_fragment(struct ipsec *e, uint64_t now_ms,
                                             struct ipsec_packet *p, const struct ipsec_flow *f,
                                             struct ipsec_sa **sa, struct ipsec_policy_kept **of)
{
    struct ipsec_policy_kept *policy;
    struct ipsec_flow as_first;
    struct wanted wanted;
    enum ipsec_result result;

    ipsec_fragments_keep(e->fragments, now_ms, IPSEC_FRAGMENTS_PLACE, p->place, f);
    if (!ipsec_fragments_find(e->fragments, now_ms, IPSEC_FRAGMENTS_PLACE, p->place, f, &as_first))
        return choose_for(e, p, f, sa, of);
    policy = ipsec_policy_for(e, IPSEC_OUT, p->place, &as_first);
    if (policy == NULL)
        return choose_for(e, p, f, sa, of);
    if (policy->action != IPSEC_PROTECT)
        return choose_for(e, p, &as_first, sa, of);
    wanted = (struct wanted){.policy = policy->id, .remote = &as_first.remote};
    *sa = ipsec_classify(e->outgoing, p->place, &as_first, takes_fragments, &wanted);
    if (*sa != NULL) {
        *of = policy;
        policy->counts.out++;
        return IPSEC_OK;
    }
    result = choose_for(e, p, f, sa, of);
    return result == IPSEC_BYPASS ? IPSEC_FRAGMENT : result; /* its first one is protected */
}

static enum ipsec_result choose(struct ipsec *e, uint64_t now_ms, struct ipsec_packet *p,
                                const struct ipsec_flow *f, struct ipsec_before *before,
                                struct ipsec_sa **sa)
{
    struct ipsec_policy_kept *policy;
    enum ipsec_result result;

    if (before->sa != NULL && before->place == p->place && ipsec_flow_equal(&before->flow, f)) {
        *sa = before->sa;
        if (before->policy != NULL)
            before->policy->counts.out++;
        return IPSEC_OK;
    }
    result = f->fragment ? choose_for_fragment(e, now_ms, p, f, sa, &policy)
                         : choose_for(e, p, f, sa, &policy);
    *before = (struct ipsec_before){.sa = *sa, .policy = policy, .flow = *f, .place = p->place};
    return result;
}

/* RFC 4301 8: what does not fit is not protected first. In transport mode, the result may be
 * fragmented like any other packet. */
static enum ipsec_result check_size(struct ipsec_work *w)
{
    size_t max;

    if (w->sa->p.mtu == 0)
        return IPSEC_OK;
    max = ipsec_sa_payload_max(w->sa, w->sa->p.mtu);
    if (w->packet->len <= max || (w->sa->p.mode == IPSEC_TRANSPORT && !w->layout.df))
        return IPSEC_OK;
    w->packet->mtu = (uint16_t)max;
    return w->layout.df ? IPSEC_TOO_BIG : IPSEC_TO_FRAGMENT;
}

/* Transport mode is between the two ends of the packet, and for whole packets (RFC 4303 3.1.1). */
static enum ipsec_result check_transport(const struct ipsec_work *w)
{
    if (w->sa->p.mode != IPSEC_TRANSPORT)
        return IPSEC_OK;
    if (!gh_addr_equal(&w->layout.src, &w->sa->p.local) ||
        !gh_addr_equal(&w->layout.dst, &w->sa->p.remote))
        return IPSEC_ADDRESS;
    if (w->layout.fragment)
        return IPSEC_FRAGMENT;
    return w->layout.source_routed ? IPSEC_OPTIONS : IPSEC_OK;
}

/* A number that this SA never used before: RFC 4303 3.3.3. */
static enum ipsec_result take_seq(struct ipsec *e, struct ipsec_work *w)
{
    struct ipsec_sa *sa = w->sa;

    if (sa->seq >= ipsec_sa_last_seq(sa))
        return IPSEC_EXHAUSTED;
    w->random = sa->random_iv ? ipsec_random_iv(e) : NULL;
    if (sa->random_iv && w->random == NULL)
        return IPSEC_NO_RANDOM;
    w->seq = ++sa->seq;
    w->ip_id = e->ip_id++;
    return IPSEC_OK;
}

static bool opens_tcp(const struct ipsec_work *w)
{
    enum { TCP = 6, FLAGS_AT = 13, SYN = 2 };
    const uint8_t *data = ipsec_packet_data(w->packet);

    return data[w->layout.l4_next_at] == TCP && !w->layout.fragment &&
           w->packet->len > w->layout.l4_at + FLAGS_AT &&
           (data[w->layout.l4_at + FLAGS_AT] & SYN) != 0;
}

/* The caller wants to see it first. */
static bool is_aside(const struct ipsec_work *w)
{
    const struct ipsec_aside *a = &w->sa->aside;

    return !w->packet->seen &&
           ((a->longer != 0 && w->packet->len > a->longer) || (a->syn && opens_tcp(w)) ||
            (a->fragments && w->layout.fragment && w->sa->p.mode == IPSEC_TRANSPORT));
}

static enum ipsec_result prepare(struct ipsec *e, struct ipsec_work *w)
{
    struct ipsec_packet *p = w->packet;
    enum ipsec_result result = IPSEC_OK;

    w->octets = p->len;
    if (!ipsec_layout_read(ipsec_packet_data(p), p->len, &w->layout))
        result = IPSEC_MALFORMED;
    else if (is_aside(w))
        result = IPSEC_ASIDE;
    if (result == IPSEC_OK)
        result = check_transport(w);
    if (result == IPSEC_OK)
        result = check_size(w);
    if (result == IPSEC_OK)
        result = ipsec_check_lifetime(e, w->sa, w->octets);
    if (result == IPSEC_OK)
        result = take_seq(e, w);
    if (result != IPSEC_OK)
        return result;
    ipsec_crypt_key_prefetch(w->sa->key);
    return w->sa->p.protocol == IPSEC_ESP ? ipsec_esp_wrap(w) : ipsec_ah_wrap(w);
}

/* True: it goes on into the SA around this one, w->sa. */
static bool finish(struct ipsec *e, struct ipsec_work *w, uint64_t now_ms)
{
    struct ipsec_sa *sa = w->sa;

    if (!w->job.ok) {
        ipsec_conclude(e, IPSEC_OUT, w->packet, sa, IPSEC_CRYPTO);
        return false;
    }
    if (sa->p.protocol == IPSEC_ESP)
        ipsec_esp_wrapped(w);
    else
        ipsec_ah_wrapped(w);
    ipsec_account(e, sa, now_ms, w->octets);
    if (sa->p.outer == 0) {
        ipsec_conclude(e, IPSEC_OUT, w->packet, sa, IPSEC_OK);
        return false;
    }
    w->sa = ipsec_sad_by_id(&e->sad, sa->p.outer);
    /* One SA around another is enough, so nobody can tie a knot. */
    if (w->sa != NULL && w->sa->p.way == IPSEC_OUT && w->sa->p.outer == 0)
        return true;
    ipsec_conclude(e, IPSEC_OUT, w->packet, sa, IPSEC_BUNDLE);
    return false;
}

/* Protects the first `count` works; those that go on into another SA are the first ones again. */
static size_t protect(struct ipsec *e, uint64_t now_ms, size_t count)
{
    struct ipsec_crypt_job *jobs[IPSEC_BATCH] = {NULL};
    struct ipsec_work *ready[IPSEC_BATCH];
    size_t n = 0, on = 0;

    for (size_t i = 0; i < count; i++) {
        enum ipsec_result result = prepare(e, &e->works[i]);

        if (result != IPSEC_OK) {
            ipsec_conclude(e, IPSEC_OUT, e->works[i].packet, e->works[i].sa, result);
            continue;
        }
        ready[n] = &e->works[i];
        jobs[n++] = &e->works[i].job;
    }
    ipsec_crypt_run(e->crypt, jobs, n, true);
    for (size_t i = 0; i < n; i++) {
        if (!finish(e, ready[i], now_ms))
            continue;
        e->works[on].packet = ready[i]->packet;
        e->works[on++].sa = ready[i]->sa;
    }
    return on;
}

void ipsec_out(struct ipsec *e, uint64_t now_ms, struct ipsec_packet *packets, size_t count)
{
    while (count > 0) {
        size_t batch = count < IPSEC_BATCH ? count : IPSEC_BATCH, n = 0;
        struct ipsec_before before = {.sa = NULL};
        struct ipsec_flows flows;

        if (e->tap != NULL)
            e->tap->before(e->tap->arg, IPSEC_OUT, packets, batch);
        ipsec_flows_read(e, packets, batch, &flows);
        for (size_t i = 0; i < batch; i++) {
            struct ipsec_sa *sa = NULL;
            enum ipsec_result result;

            packets[i].sa = 0;
            packets[i].mtu = 0;
            result = flows.good[i] ? choose(e, now_ms, &packets[i], &flows.flow[i], &before, &sa)
                                   : IPSEC_MALFORMED;
            if (result != IPSEC_OK) {
                ipsec_conclude(e, IPSEC_OUT, &packets[i], NULL, result);
                continue;
            }
            ipsec_sa_prefetch_parts(sa);
            e->works[n].packet = &packets[i];
            e->works[n++].sa = sa;
        }
        while (n > 0)
            n = protect(e, now_ms, n);
        if (e->tap != NULL)
            e->tap->after(e->tap->arg, IPSEC_OUT, packets, batch);
        packets += batch;
        count -= batch;
    }
}

void ipsec_dummy(struct ipsec *e, uint64_t now_ms, uint64_t id, struct ipsec_packet *p, size_t len)
{
    struct ipsec_work *w = &e->works[0];
    struct ipsec_crypt_job *job = &w->job;
    enum ipsec_result result;

    p->sa = 0;
    w->packet = p;
    w->octets = 0;
    w->sa = ipsec_sad_by_id(&e->sad, id);
    if (w->sa == NULL || w->sa->p.way != IPSEC_OUT || w->sa->p.protocol != IPSEC_ESP) {
        ipsec_conclude(e, IPSEC_OUT, p, NULL, IPSEC_NO_SA);
        return;
    }
    result = ipsec_check_lifetime(e, w->sa, 0);
    if (result == IPSEC_OK)
        result = take_seq(e, w);
    if (result == IPSEC_OK)
        result = ipsec_esp_wrap_dummy(w, len);
    if (result != IPSEC_OK) {
        ipsec_conclude(e, IPSEC_OUT, p, w->sa, result);
        return;
    }
    ipsec_crypt_run(e->crypt, &job, 1, true);
    if (finish(e, w, now_ms)) {
        e->works[0].packet = p;
        (void)protect(e, now_ms, 1);
    }
}
