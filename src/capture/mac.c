#include "capture/mac.h"

#include <string.h>

#include "base/secret.h"

static bool mac_fits(const struct tcpao_mkt *k, const struct cap_segment *seg,
                     const struct cap_work *w)
{
    uint8_t key[TCPAO_TRAFFIC_KEY_MAX], mac[TCPAO_MAC_MAX];
    enum tcpao_result r;

    if (k->mac_len != seg->option.mac_len)
        return false;
    r = tcpao_kdf(k->alg, k->secret, k->secret_len, &seg->src, &seg->dst, w->src_isn, w->dst_isn,
                  key);
    if (r == TCPAO_OK)
        r = tcpao_segment_mac(k->alg, key, k->options_covered, k->mac_len, &seg->src, &seg->dst,
                              w->sne, w->hdr, seg->tcp.header_len, w->payload, seg->tcp.payload_len,
                              mac);
    gh_wipe(key, sizeof(key));
    return r == TCPAO_OK &&
           gh_ct_equal(mac, w->hdr + seg->option.offset + TCPAO_OPTION_HEADER, k->mac_len);
}

/* Is `now` outside, by more than `slack` seconds? Unsigned differences do not overflow. */
static bool outside(const struct tcpao_lifetime *l, int64_t now, uint64_t slack)
{
    if (now < l->from)
        return (uint64_t)l->from - (uint64_t)now > slack;
    return now >= l->until && (uint64_t)now - (uint64_t)l->until >= slack;
}

/* Says it once for each key and sender. */
static void note_lifetime(struct cap_segment *seg, struct cap_side *sender,
                          const struct tcpao_chain *chain, bool from_peer)
{
    const struct tcpao_mkt *k = tcpao_chain_find(chain, seg->key);
    const struct tcpao_lifetime *l = from_peer ? &k->accept : &k->send;

    if (!outside(l, seg->seconds, tcpao_chain_tolerance(chain)))
        return;
    if (sender->outside_known && sender->outside_key == k->number)
        return;
    sender->outside_known = true;
    sender->outside_key = k->number;
    cap_note(seg, "key %u was outside its %s lifetime", k->number, from_peer ? "accept" : "send");
}

/* Tries the keys that the segment's KeyID names in this session. */
static enum cap_verdict try_match(struct tcpao_chain *const *chains, struct cap_segment *seg,
                                  const struct cap_work *w, const struct cap_match *m, int from)
{
    const struct tcpao_chain *chain = chains[m->session->chain];
    bool from_peer = from != m->local;
    enum cap_verdict verdict = CAP_KEY_UNKNOWN;

    for (size_t i = 0; i < tcpao_chain_count(chain); i++) {
        const struct tcpao_mkt *k = tcpao_chain_at(chain, i);

        if (seg->option.keyid != (from_peer ? k->recv_id : k->send_id))
            continue;
        verdict = CAP_BAD;
        if (w->isns_known && mac_fits(k, seg, w)) {
            seg->key_known = true;
            seg->key = k->number;
            return CAP_GOOD;
        }
    }
    return verdict;
}

enum cap_verdict cap_try_matches(struct tcpao_chain *const *chains, struct cap_connection *c,
                                 struct cap_segment *seg, const struct cap_work *w, int from)
{
    enum cap_verdict best = CAP_KEY_UNKNOWN;

    for (size_t i = 0; i < c->matches.count; i++) {
        struct cap_match m = c->matches.list[i];
        enum cap_verdict verdict = try_match(chains, seg, w, &m, from);

        if (verdict == CAP_GOOD) {
            memmove(&c->matches.list[1], &c->matches.list[0], i * sizeof(m));
            c->matches.list[0] = m;
            seg->session = m.session;
            note_lifetime(seg, &c->side[from], chains[m.session->chain], from != m.local);
            return verdict;
        }
        if (verdict == CAP_BAD)
            best = verdict;
    }
    return best;
}
