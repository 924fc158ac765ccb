#include "capture/verifier.h"

#include <stdlib.h>
#include <string.h>

#include "capture/mac.h"
#include "capture/suspect.h"
#include "wire/rd.h"
#include "tcpao/endpoint.h"

struct cap_verifier {
    const struct gh_config *config;
    const char *only;
    struct tcpao_chain **chains; /* one for each of config->chains, in their order */
    struct cap_flows *flows;
    struct cap_suspects suspects;
    struct cap_totals totals;
    unsigned diagnosed;
};

struct cap_verifier *cap_verifier_new(const struct gh_config *config, const char *only)
{
    struct cap_verifier *v = calloc(1, sizeof(*v));

    if (v == NULL)
        return NULL;
    v->config = config;
    v->only = only;
    v->flows = cap_flows_new();
    v->chains = calloc(config->chain_count + 1, sizeof(*v->chains));
    if (v->flows == NULL || v->chains == NULL)
        goto fail;
    for (size_t i = 0; i < config->chain_count; i++)
        if ((v->chains[i] = gh_key_chain_build(&config->chains[i])) == NULL)
            goto fail;
    cap_suspects_from_config(&v->suspects, config);
    return v;
fail:
    cap_verifier_free(v);
    return NULL;
}

void cap_verifier_free(struct cap_verifier *v)
{
    if (v == NULL)
        return;
    for (size_t i = 0; v->chains != NULL && i < v->config->chain_count; i++)
        tcpao_chain_put(v->chains[i]);
    free(v->chains);
    cap_flows_free(v->flows);
    free(v);
}

const struct cap_totals *cap_verifier_totals(const struct cap_verifier *v)
{
    return &v->totals;
}

const struct cap_connection *cap_verifier_connections(const struct cap_verifier *v)
{
    return cap_flows_first(v->flows);
}

/* ---- What the connection learns ------------------------------------------------------------- */

static bool is_handshake(const struct gh_tcp_segment *tcp)
{
    return (tcp->flags & (GH_TCP_SYN | GH_TCP_RST)) == GH_TCP_SYN;
}

/* RST with ACK from where nobody listens: its sender has no ISN and never will have one, so that
 * the segment's SEQ stands for it, as Linux has it. */
static bool is_refusal(const struct cap_side *src, const struct cap_side *dst,
                       const struct gh_tcp_segment *tcp)
{
    uint8_t both = GH_TCP_RST | GH_TCP_ACK;

    return (tcp->flags & both) == both && !src->isn_known && dst->isn_known &&
           tcp->ack - 1 == dst->isn;
}

static void find_numbers(const struct cap_connection *c, int from, const struct cap_segment *seg,
                         struct cap_work *w)
{
    const struct cap_side *src = &c->side[from], *dst = &c->side[!from];

    if (is_handshake(&seg->tcp) || is_refusal(src, dst, &seg->tcp)) {
        w->isns_known = true;
        w->src_isn = seg->tcp.seq;
        w->dst_isn = (seg->tcp.flags & GH_TCP_ACK) != 0 ? seg->tcp.ack - 1 : 0;
        w->extended = seg->tcp.seq;
        return;
    }
    w->isns_known = src->isn_known && dst->isn_known;
    if (!w->isns_known)
        return;
    w->src_isn = src->isn;
    w->dst_isn = dst->isn;
    w->before_start = !tcpao_sne_extend(&src->sne, seg->tcp.seq, &w->extended);
    w->sne = w->before_start ? 0 : (uint32_t)(w->extended >> 32);
}

/* The life that a SYN or SYN-ACK belongs to, with its ISNs; a new one if need be. One that did not
 * verify may be forged: it changes nothing of a life that did and is not over. */
static struct cap_connection *learn_handshake(struct cap_verifier *v, struct cap_connection *c,
                                              struct cap_segment *seg, bool good)
{
    int from = cap_side_of(c, &seg->src);

    if (c->proven && !c->closed && !good)
        return c;
    if (cap_verdict_sum(seg->verdict) == CAP_UNSIGNED && c->signed_any && !c->closed)
        return c;
    if (!cap_handshake_fits(c, from, &seg->tcp) && c->first_frame != seg->frame) {
        struct cap_connection *life = cap_flows_add(v->flows, &seg->src, &seg->dst);

        if (life == NULL)
            return NULL;
        life->first_frame = seg->frame;
        cap_match_sessions(v->config, v->only, life->end, &life->matches);
        c = life;
        from = 0;
    }
    cap_handshake_learn(c, from, &seg->tcp);
    return c;
}

/* A verified segment moves the sequence numbers and says which key its sender uses. */
static void learn_good(struct cap_connection *c, int from, struct cap_segment *seg,
                       const struct cap_work *w)
{
    struct cap_side *s = &c->side[from];
    uint64_t end = w->extended + seg->tcp.payload_len;

    if ((seg->tcp.flags & (GH_TCP_SYN | GH_TCP_FIN)) != 0)
        end++;
    seg->repeated = end > w->extended && end <= s->next;
    if (end > s->next)
        s->next = end;
    tcpao_sne_commit(&s->sne, w->extended);
    if (!s->key_known || s->key != seg->key) {
        if (s->key_known) {
            s->key_changes++;
            cap_note(seg, "rolled over from key %u to key %u", s->key, seg->key);
        }
        s->key_known = true;
        s->key = seg->key;
        s->key_frame = seg->frame;
    }
    c->proven = true;
}

static void learn_end(struct cap_connection *c, int from, const struct cap_segment *seg)
{
    if (c->proven && seg->verdict != CAP_GOOD)
        return;
    if ((seg->tcp.flags & GH_TCP_FIN) != 0)
        c->side[from].fin = true;
    if ((seg->tcp.flags & GH_TCP_RST) != 0 || (c->side[0].fin && c->side[1].fin))
        c->closed = true;
}

/* ---- One segment ---------------------------------------------------------------------------- */

/* Why no MAC can be computed, if so. */
static bool incomplete(struct cap_segment *seg, const struct gh_ip_packet *ip, bool cut)
{
    if (ip->fragment) {
        seg->verdict = CAP_FRAGMENT;
        cap_note(seg, "an IP fragment: the segment is not whole");
    } else if (cut) {
        seg->verdict = CAP_TRUNCATED;
        cap_note(seg, "the capture kept %zu of %zu octets: capture with a larger snaplen",
                 ip->header_len + ip->l4_len, ip->total_len);
    } else {
        return false;
    }
    return true;
}

static void explain(struct cap_verifier *v, struct cap_connection *c, struct cap_segment *seg,
                    const struct cap_work *w, int from)
{
    struct cap_refused refused = {.config = v->config,
                                  .chains = v->chains,
                                  .suspects = &v->suspects,
                                  .connection = c,
                                  .from = from,
                                  .isns_known = w->isns_known,
                                  .verdict = seg->verdict,
                                  .keyid = seg->option.keyid,
                                  .specimen = {.src = seg->src,
                                               .dst = seg->dst,
                                               .src_isn = w->src_isn,
                                               .dst_isn = w->dst_isn,
                                               .sne = w->sne,
                                               .hdr = w->hdr,
                                               .hdr_len = seg->tcp.header_len,
                                               .payload = w->payload,
                                               .payload_len = seg->tcp.payload_len}};
    char text[CAP_NOTE_TEXT];

    if (c->diagnosed >= CAP_DIAGNOSES_PER_CONNECTION || v->diagnosed >= CAP_DIAGNOSES) {
        cap_note(seg, "not diagnosed, as so many before it were");
        return;
    }
    c->diagnosed++;
    v->diagnosed++;
    cap_explain(&refused, text, sizeof(text));
    cap_note(seg, "%s", text);
}

/* The verdict on a segment that carries the option, whole and with known ISNs or not. */
static void judge_signed(struct cap_verifier *v, struct cap_connection *c, struct cap_segment *seg,
                         const struct cap_work *w, int from)
{
    seg->verdict =
        c->matches.count == 0 ? CAP_NO_SESSION : cap_try_matches(v->chains, c, seg, w, from);
    if (seg->verdict == CAP_BAD && !w->isns_known) {
        seg->verdict = CAP_SYN_MISSING;
        cap_note(seg, "the handshake is not in the capture, so there is no traffic key");
    } else if (seg->verdict == CAP_GOOD && w->before_start) {
        seg->verdict = CAP_BAD;
        cap_note(seg, "a sequence number before the connection's first");
    } else if (seg->verdict != CAP_GOOD) {
        explain(v, c, seg, w, from);
    }
}

static void judge(struct cap_verifier *v, struct cap_connection *c, struct cap_segment *seg,
                  const struct gh_ip_packet *ip, bool cut, struct cap_work *w)
{
    int from = cap_side_of(c, &seg->src);
    enum tcpao_result found = tcpao_option_find(w->hdr, seg->tcp.header_len, &seg->option);

    find_numbers(c, from, seg, w);
    if (found != TCPAO_OK) {
        seg->verdict = CAP_MALFORMED;
        cap_note(seg, "%s", tcpao_result_text(found));
    } else if (!seg->option.ao) {
        seg->verdict = CAP_NO_OPTION;
        if (seg->option.md5)
            cap_note(seg, "it carries TCP-MD5");
        else if (c->signed_any)
            cap_note(seg, "others of the connection carry TCP-AO: the peer drops this one");
    } else if (!incomplete(seg, ip, cut)) {
        judge_signed(v, c, seg, w, from);
    }
}

/* The connection of a segment, made when it is the first. */
static struct cap_connection *connection_of(struct cap_verifier *v, const struct cap_segment *seg)
{
    struct cap_connection *c = cap_flows_find(v->flows, &seg->src, &seg->dst);

    if (c != NULL)
        return c;
    c = cap_flows_add(v->flows, &seg->src, &seg->dst);
    if (c != NULL) {
        c->first_frame = seg->frame;
        cap_match_sessions(v->config, v->only, c->end, &c->matches);
    }
    return c;
}

static enum cap_outcome judge_segment(struct cap_verifier *v, struct cap_segment *seg,
                                      const struct gh_ip_packet *ip, bool cut, struct cap_work *w)
{
    struct cap_connection *c = connection_of(v, seg);

    if (c == NULL)
        return CAP_NO_MEMORY;
    if (c->matches.count > 0)
        seg->session = c->matches.list[0].session;
    judge(v, c, seg, ip, cut, w);
    if (is_handshake(&seg->tcp) &&
        (c = learn_handshake(v, c, seg, seg->verdict == CAP_GOOD)) == NULL)
        return CAP_NO_MEMORY;
    if (seg->verdict == CAP_GOOD)
        learn_good(c, cap_side_of(c, &seg->src), seg, w);
    learn_end(c, cap_side_of(c, &seg->src), seg);
    c->signed_any |= seg->option.ao;
    if (seg->option.ao)
        cap_suspects_add(&v->suspects, &seg->src);
    c->verdicts[seg->verdict]++;
    v->totals.sums[cap_verdict_sum(seg->verdict)]++;
    seg->connection = c;
    return CAP_JUDGED;
}

/* A TCP header that is cut or broken still has ports, perhaps those of a session. */
static enum cap_outcome judge_without_header(struct cap_verifier *v, struct cap_segment *seg,
                                             const struct gh_ip_packet *ip, bool cut,
                                             const uint8_t *l4)
{
    struct gh_rd r = gh_rd_make(l4, ip->l4_len);
    struct tcpao_endpoint end[2];
    struct cap_matches matches;
    struct cap_connection *c;

    seg->src.port = gh_rd_u16(&r);
    seg->dst.port = gh_rd_u16(&r);
    end[0] = seg->src;
    end[1] = seg->dst;
    cap_match_sessions(v->config, v->only, end, &matches);
    if (r.bad || matches.count == 0) {
        v->totals.other_ip++;
        return CAP_IGNORED;
    }
    if ((c = connection_of(v, seg)) == NULL)
        return CAP_NO_MEMORY;
    memset(&seg->tcp, 0, sizeof(seg->tcp));
    seg->tcp.src_port = seg->src.port;
    seg->tcp.dst_port = seg->dst.port;
    seg->session = matches.list[0].session;
    if (!incomplete(seg, ip, cut)) {
        seg->verdict = CAP_MALFORMED;
        cap_note(seg, "no valid TCP header");
    }
    c->verdicts[seg->verdict]++;
    v->totals.sums[cap_verdict_sum(seg->verdict)]++;
    seg->connection = c;
    return CAP_JUDGED;
}

/* Without the option and outside the sessions: none of our business. */
static bool is_foreign(const struct cap_verifier *v, const struct cap_segment *seg,
                       const uint8_t *hdr)
{
    const struct tcpao_endpoint end[2] = {seg->src, seg->dst};
    struct tcpao_option option;
    struct cap_matches matches;

    if (tcpao_option_find(hdr, seg->tcp.header_len, &option) == TCPAO_OK && option.ao)
        return false;
    cap_match_sessions(v->config, v->only, end, &matches);
    return matches.count == 0;
}

enum cap_outcome cap_verifier_packet(struct cap_verifier *v, const struct cap_packet *p,
                                     struct cap_segment *out)
{
    struct gh_ip_packet ip;
    enum gh_ip_result parsed = gh_ip_parse(p->data, p->len, &ip);
    bool cut = parsed == GH_IP_CUT;
    const uint8_t *l4 = p->data + ip.header_len;
    struct cap_work work = {.hdr = l4};

    if (parsed == GH_IP_MALFORMED || ip.protocol != GH_IP_TCP || ip.fragment_offset != 0) {
        v->totals.other_ip++;
        return CAP_IGNORED;
    }
    memset(out, 0, sizeof(*out));
    out->frame = p->frame;
    out->seconds = p->seconds;
    out->microseconds = p->microseconds;
    out->src = ao_endpoint_of(&ip.src, 0);
    out->dst = ao_endpoint_of(&ip.dst, 0);
    if (gh_tcp_parse(l4, ip.l4_len, &out->tcp) != GH_IP_OK)
        return judge_without_header(v, out, &ip, cut, l4);
    out->src.port = out->tcp.src_port;
    out->dst.port = out->tcp.dst_port;
    work.payload = l4 + out->tcp.header_len;
    if (is_foreign(v, out, l4)) {
        v->totals.other_tcp++;
        return CAP_IGNORED;
    }
    return judge_segment(v, out, &ip, cut, &work);
}
