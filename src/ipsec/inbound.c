/*
 * Packets that come in (RFC 4301 5.2): the SA by its SPI, what is inside against its selectors; and
 * what comes clear against policy.
 */
#include "ipsec/ah.h"
#include "ipsec/engine.h"
#include "ipsec/esp.h"
#include "ipsec/udp.h"
#include "wire/rd.h"

enum { ROUNDS = 2 /* AH, and ESP in it */ };

static enum ipsec_result clear_packet(struct ipsec *e, uint64_t now_ms, struct ipsec_packet *p)
{
    struct ipsec_policy_kept *policy;
    struct ipsec_flow f, as_first;

    if (!ipsec_flow_of(ipsec_packet_data(p), &p->len, IPSEC_IN, &f))
        return IPSEC_MALFORMED;
    ipsec_fragments_keep(e->fragments, now_ms, IPSEC_FRAGMENTS_PLACE, p->place, &f);
    if (ipsec_fragments_find(e->fragments, now_ms, IPSEC_FRAGMENTS_PLACE, p->place, &f, &as_first))
        f = as_first;
    policy = ipsec_policy_for(e, IPSEC_IN, p->place, &f);
    if (policy == NULL)
        return IPSEC_NO_POLICY;
    policy->counts.in++;
    switch (policy->action) {
    case IPSEC_PASS:
        return IPSEC_BYPASS;
    case IPSEC_PROTECT:
        return IPSEC_CLEAR;
    default:
        return IPSEC_DISCARDED;
    }
}

/* ESP or AH, and where it begins (w->data_at). BYPASS: something else. */
static enum ipsec_result find_protocol(struct ipsec_work *w, uint8_t *protocol, uint16_t *src_port)
{
    struct ipsec_packet *p = w->packet;
    const uint8_t *data = ipsec_packet_data(p);
    uint16_t dst_port;

    *protocol = data[w->layout.l4_next_at];
    *src_port = 0;
    w->data_at = w->layout.l4_at;
    if (*protocol == IPSEC_PROTO_UDP && p->encapsulated && !w->layout.fragment) {
        *protocol = IPSEC_PROTO_ESP;
        w->data_at += IPSEC_UDP_HEADER;
        switch (
            ipsec_udp_kind(data + w->layout.l4_at, p->len - w->layout.l4_at, src_port, &dst_port)) {
        case IPSEC_UDP_ESP:
            return IPSEC_OK;
        case IPSEC_UDP_IKE:
            return IPSEC_IKE;
        case IPSEC_UDP_KEEPALIVE:
            return IPSEC_KEEPALIVE;
        default:
            return IPSEC_MALFORMED;
        }
    }
    return *protocol == IPSEC_PROTO_ESP || *protocol == IPSEC_PROTO_AH ? IPSEC_OK : IPSEC_BYPASS;
}

static uint32_t read_spi(const struct ipsec_work *w)
{
    struct gh_rd r =
        gh_rd_make(ipsec_packet_data(w->packet) + w->data_at, w->packet->len - w->data_at);

    gh_rd_skip(&r, w->protocol == IPSEC_PROTO_AH ? 4 : 0);
    return gh_rd_u32(&r);
}

/* A peer behind a NAT may move; it is not followed before its packet was found authentic. */
static bool address_right(struct ipsec_work *w)
{
    const struct ipsec_sa_params *p = &w->sa->p;

    w->moved = !gh_addr_equal(&w->layout.src, &p->remote) ||
               (w->from_port != 0 && p->remote_port != 0 && w->from_port != p->remote_port);
    return gh_addr_equal(&w->layout.dst, &p->local) &&
           (!w->moved || p->any_source || (p->remote_port != 0 && w->from_port != 0));
}

/* OK: a packet that is protected, with the SPI of its SA; else what becomes of it. */
static enum ipsec_result read_outside(struct ipsec *e, uint64_t now_ms, struct ipsec_work *w)
{
    struct ipsec_packet *p = w->packet;
    enum ipsec_result result;

    w->sa = NULL;
    if (!ipsec_layout_read(ipsec_packet_data(p), p->len, &w->layout))
        return IPSEC_MALFORMED;
    p->len = w->layout.total_len;
    result = find_protocol(w, &w->protocol, &w->from_port);
    if (result == IPSEC_BYPASS)
        return clear_packet(e, now_ms, p);
    if (result == IPSEC_OK && w->layout.fragment)
        return IPSEC_FRAGMENT;
    if (result == IPSEC_OK)
        w->spi = read_spi(w);
    return result;
}

/* The SAs of all works whose result so far is OK. With many tunnels, none of what leads to an SA is
 * in a cache: each step is taken for the whole batch, so that memory answers them side by side. */
static void look_up(struct ipsec *e, size_t count, enum ipsec_result *found)
{
    const void *slots[IPSEC_BATCH];

    for (size_t i = 0; i < count; i++)
        slots[i] = found[i] == IPSEC_OK
                       ? ipsec_sad_ahead(&e->sad, e->works[i].protocol, e->works[i].spi)
                       : NULL;
    for (size_t i = 0; i < count; i++)
        if (slots[i] != NULL)
            ipsec_sad_ahead_sa(slots[i]);
    for (size_t i = 0; i < count; i++) {
        struct ipsec_work *w = &e->works[i];

        if (found[i] != IPSEC_OK)
            continue;
        w->sa = ipsec_sad_by_spi(&e->sad, w->protocol, w->spi);
        if (w->sa == NULL)
            found[i] = IPSEC_UNKNOWN_SPI;
        else
            ipsec_sa_prefetch_parts(w->sa);
    }
}

/* OK: it can be opened. */
static enum ipsec_result admit(struct ipsec *e, struct ipsec_work *w)
{
    enum ipsec_result result;

    if (!address_right(w))
        return IPSEC_ADDRESS;
    if (w->sa->p.outer != w->came_through)
        return IPSEC_BUNDLE;
    result = ipsec_check_lifetime(e, w->sa, 0);
    if (result != IPSEC_OK)
        return result;
    ipsec_crypt_key_prefetch(w->sa->key);
    return w->sa->p.protocol == IPSEC_ESP ? ipsec_esp_unwrap(w) : ipsec_ah_unwrap(w);
}

/* NULL: the SA is not for it. */
static const struct ipsec_selector *selector_for(const struct ipsec_sa_params *p,
                                                 const struct ipsec_flow *f)
{
    for (size_t i = 0; i < p->selector_count; i++)
        if (ipsec_selector_matches(&p->selectors[i], f))
            return &p->selectors[i];
    return NULL;
}

/* RFC 4301 6.2: an ICMP error has to be about a packet that the SA is for, but where a selector
 * (`s`) says that ICMP is meant, or the operator wants no more than that its own header fits. */
static enum ipsec_result check_error(const struct ipsec_work *w, const struct ipsec_flow *f,
                                     const struct ipsec_selector *s)
{
    const struct ipsec_packet *p = w->packet;
    struct ipsec_flow quoted;

    if (s != NULL && (s->protocol != 0 || w->sa->p.icmp_header))
        return IPSEC_OK;
    if (ipsec_flow_quoted(ipsec_packet_data(p), p->len, f, &quoted) &&
        selector_for(&w->sa->p, &quoted) != NULL)
        return IPSEC_OK;
    return s != NULL ? IPSEC_QUOTED : IPSEC_SELECTORS;
}

/* RFC 4301 7: by itself, or by what its first one was. */
static enum ipsec_result check_fragment(struct ipsec *e, uint64_t now_ms,
                                        const struct ipsec_work *w, const struct ipsec_flow *f,
                                        const struct ipsec_selector *s)
{
    const struct ipsec_sa_params *p = &w->sa->p;
    struct ipsec_flow as_first;

    if (s != NULL && p->fragments_also)
        ipsec_fragments_keep(e->fragments, now_ms, IPSEC_FRAGMENTS_SA, p->id, f);
    if (s != NULL)
        return ipsec_selector_is_opaque(s) && ipsec_fragment_overlaps(f) ? IPSEC_FRAGMENT
                                                                         : IPSEC_OK;
    return p->fragments_also &&
                   ipsec_fragments_find(e->fragments, now_ms, IPSEC_FRAGMENTS_SA, p->id, f,
                                        &as_first) &&
                   selector_for(p, &as_first) != NULL
               ? IPSEC_OK
               : IPSEC_SELECTORS;
}

/* RFC 4301 5.2 step 4. */
static enum ipsec_result check_inner(struct ipsec *e, uint64_t now_ms, const struct ipsec_work *w,
                                     struct ipsec_before *before)
{
    struct ipsec_packet *p = w->packet;
    const struct ipsec_selector *s;
    struct ipsec_flow f;

    if (!ipsec_flow_of(ipsec_packet_data(p), &p->len, IPSEC_IN, &f))
        return IPSEC_INNER;
    if (before->sa == w->sa && ipsec_flow_equal(&before->flow, &f))
        return IPSEC_OK;
    s = selector_for(&w->sa->p, &f);
    if (ipsec_flow_is_error(&f))
        return check_error(w, &f, s);
    if (f.fragment)
        return check_fragment(e, now_ms, w, &f, s);
    if (s == NULL)
        return IPSEC_SELECTORS;
    *before = (struct ipsec_before){.sa = w->sa, .flow = f};
    return IPSEC_OK;
}

/* The window first, for whatever else may be wrong: the packet was authentic. */
static enum ipsec_result open_packet(struct ipsec *e, uint64_t now_ms, struct ipsec_work *w,
                                     struct ipsec_before *before)
{
    enum ipsec_result result;

    if (!w->job.ok)
        return IPSEC_ICV;
    result = ipsec_replay_commit(&w->sa->replay, w->seq);
    if (result == IPSEC_OK)
        result = w->sa->p.protocol == IPSEC_ESP ? ipsec_esp_unwrapped(w) : ipsec_ah_unwrapped(w);
    return result == IPSEC_OK ? check_inner(e, now_ms, w, before) : result;
}

static void tell_moved(struct ipsec *e, const struct ipsec_work *w)
{
    if (!w->moved || w->sa->told_moved)
        return;
    w->sa->told_moved = true;
    ipsec_tell(e, &(struct ipsec_event){.kind = IPSEC_MOVED,
                                        .sa = w->sa->p.id,
                                        .policy = w->sa->p.policy,
                                        .place = w->sa->p.place,
                                        .from = w->layout.src,
                                        .from_port = w->from_port});
}

/* AH in transport mode may have another SA's packet in it, for us. */
static bool goes_on(const struct ipsec_work *w)
{
    struct ipsec_layout l;

    return w->sa->p.protocol == IPSEC_AH && w->sa->p.mode == IPSEC_TRANSPORT &&
           w->came_through == 0 &&
           ipsec_layout_read(ipsec_packet_data(w->packet), w->packet->len, &l) &&
           ipsec_packet_data(w->packet)[l.l4_next_at] == IPSEC_PROTO_ESP;
}

/* True: there is an SA more, w->came_through says through which it came. */
static bool finish(struct ipsec *e, struct ipsec_work *w, struct ipsec_before *before,
                   uint64_t now_ms)
{
    enum ipsec_result result = open_packet(e, now_ms, w, before);

    if (result == IPSEC_OK || result == IPSEC_DUMMY) {
        ipsec_account(e, w->sa, now_ms, result == IPSEC_OK ? w->packet->len : 0);
        tell_moved(e, w);
    }
    if (result == IPSEC_OK && goes_on(w)) {
        w->came_through = w->sa->p.id;
        return true;
    }
    if (result == IPSEC_OK)
        w->packet->place = w->sa->p.place;
    ipsec_conclude(e, IPSEC_IN, w->packet, w->sa, result);
    return false;
}

/* Opens the first `count` works; those with an SA more are the first ones again. */
static size_t open_all(struct ipsec *e, uint64_t now_ms, size_t count)
{
    struct ipsec_crypt_job *jobs[IPSEC_BATCH] = {NULL};
    struct ipsec_work *ready[IPSEC_BATCH];
    enum ipsec_result found[IPSEC_BATCH];
    struct ipsec_before before = {.sa = NULL};
    size_t n = 0, on = 0;

    for (size_t i = 0; i < count; i++)
        found[i] = read_outside(e, now_ms, &e->works[i]);
    look_up(e, count, found);
    for (size_t i = 0; i < count; i++) {
        struct ipsec_work *w = &e->works[i];
        enum ipsec_result result = found[i] == IPSEC_OK ? admit(e, w) : found[i];

        if (result != IPSEC_OK) {
            ipsec_conclude(e, IPSEC_IN, w->packet, w->sa, result);
            continue;
        }
        ready[n] = w;
        jobs[n++] = &w->job;
    }
    ipsec_crypt_run(e->crypt, jobs, n, false);
    for (size_t i = 0; i < n; i++) {
        if (!finish(e, ready[i], &before, now_ms))
            continue;
        e->works[on].packet = ready[i]->packet;
        e->works[on++].came_through = ready[i]->came_through;
    }
    return on;
}

void ipsec_in(struct ipsec *e, uint64_t now_ms, struct ipsec_packet *packets, size_t count)
{
    while (count > 0) {
        size_t batch = count < IPSEC_BATCH ? count : IPSEC_BATCH, n = batch;

        if (e->tap != NULL)
            e->tap->before(e->tap->arg, IPSEC_IN, packets, batch);
        for (size_t i = 0; i < batch; i++) {
            packets[i].sa = 0;
            packets[i].mtu = 0;
            e->works[i].packet = &packets[i];
            e->works[i].came_through = 0;
        }
        for (int round = 0; round < ROUNDS && n > 0; round++)
            n = open_all(e, now_ms, n);
        if (e->tap != NULL)
            e->tap->after(e->tap->arg, IPSEC_IN, packets, batch);
        packets += batch;
        count -= batch;
    }
}
