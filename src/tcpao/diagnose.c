/*
 * One trial is a guess at how the sender really made the MAC: its key, secret, algorithm, option
 * flag, addresses, ISNs and SNE. Each suspect changes one thing of the configured trial; every
 * suspect is tried with the option flag as configured and turned over, since that mistake often
 * comes along with another. The MAC's length is always that of the wire. What fits is told by its
 * differences from the configuration.
 */
#include "tcpao/diagnose.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/addr.h"
#include "base/secret.h"
#include "wire/ip.h"
#include "wire/rd.h"
#include "wire/wr.h"

enum { KIND_END = 0, KIND_NOP = 1, KIND_MSS = 2 }; /* TCP options */

struct trial {
    const struct tcpao_mkt *key;
    enum tcpao_alg alg;
    bool covered;
    const uint8_t *secret;
    size_t secret_len;
    struct tcpao_endpoint src, dst;
    uint32_t src_isn, dst_isn, sne;
    uint16_t mss; /* of the SYN's option; 0: as it is */
};

struct doctor {
    const struct ao_specimen *s;
    const struct ao_suspects *suspects;
    struct tcpao_option option;
    struct gh_tcp_segment tcp;
    size_t mss_offset; /* of the MSS option's value; 0: there is none */
    uint16_t mss;
    unsigned trials; /* MACs tried so far */
    const char *who; /* made the MAC: "the peer" or "this end" */
    char *text;
    size_t text_len;
};

/* Appends to the sentence; what does not fit is cut. */
static void say(struct doctor *d, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static void say(struct doctor *d, const char *fmt, ...)
{
    size_t used = strlen(d->text);
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(d->text + used, d->text_len - used, fmt, ap);
    va_end(ap);
}

/* ---- One trial ------------------------------------------------------------------------------ */

static bool fits(struct doctor *d, const struct trial *t)
{
    const struct ao_specimen *s = d->s;
    uint8_t key[TCPAO_TRAFFIC_KEY_MAX], mac[TCPAO_MAC_MAX], hdr[TCPAO_TCP_HEADER_MAX];
    struct gh_wr w = gh_wr_make(hdr, sizeof(hdr));
    enum tcpao_result result;

    if (d->option.mac_len > tcpao_mac_len_max(t->alg) || d->trials >= AO_DIAGNOSE_TRIALS)
        return false;
    d->trials++;
    gh_wr_bytes(&w, s->hdr, s->hdr_len);
    gh_wr_put_u16(&w, 0, t->src.port);
    gh_wr_put_u16(&w, 2, t->dst.port);
    if (t->mss != 0)
        gh_wr_put_u16(&w, d->mss_offset, t->mss);
    result =
        tcpao_kdf(t->alg, t->secret, t->secret_len, &t->src, &t->dst, t->src_isn, t->dst_isn, key);
    if (result == TCPAO_OK)
        result = tcpao_segment_mac(t->alg, key, t->covered, d->option.mac_len, &t->src, &t->dst,
                                   t->sne, hdr, s->hdr_len, s->payload, s->payload_len, mac);
    gh_wipe(key, sizeof(key));
    return result == TCPAO_OK &&
           gh_ct_equal(mac, s->hdr + d->option.offset + TCPAO_OPTION_HEADER, d->option.mac_len);
}

/* Says what of the trial's algorithm, length and flag the configuration has otherwise. */
static void say_settings(struct doctor *d, const struct trial *t)
{
    const char *name = tcpao_alg_name(t->alg, d->option.mac_len);

    if (t->alg != t->key->alg || d->option.mac_len != t->key->mac_len)
        say(d, "%s%s uses %s with a MAC of %u octets: set algorithm = \"%s\" for key %u",
            d->text[0] != '\0' ? ", and " : "", d->who, name, d->option.mac_len, name,
            t->key->number);
    if (t->covered != t->key->options_covered)
        say(d, "%soptions are %scovered at %s: set include-tcp-options = %s for key %u",
            d->text[0] != '\0' ? ", and " : "", t->covered ? "" : "not ", d->who,
            t->covered ? "true" : "false", t->key->number);
}

/* ---- The suspects: each true, with the sentence begun, when it fits ------------------------- */

/* Nothing, or nothing but what say_settings() and say_ids() will tell. */
static bool try_as_is(struct doctor *d, const struct trial *base)
{
    return fits(d, base);
}

static bool try_algorithm(struct doctor *d, const struct trial *base)
{
    for (int alg = TCPAO_HMAC_SHA_1; alg <= TCPAO_HMAC_SHA_256; alg++) {
        struct trial t = *base;

        t.alg = (enum tcpao_alg)alg;
        if (t.alg != base->alg && fits(d, &t)) {
            say_settings(d, &t);
            return true;
        }
    }
    return false;
}

static bool try_one_secret(struct doctor *d, const struct trial *base, const uint8_t *secret,
                           size_t len, const char *difference, const char *remedy)
{
    struct trial t = *base;

    t.secret = secret;
    t.secret_len = len;
    if (len == 0 || len > TCPAO_SECRET_MAX || !fits(d, &t))
        return false;
    say(d, "the secret of key %u at %s %s: %s", t.key->number, d->who, difference, remedy);
    return true;
}

/* ASCII hexadecimal to octets; 0 if it is none. */
static size_t unhex(const uint8_t *text, size_t len, uint8_t *out)
{
    static const char digits[] = "0123456789abcdef";

    if (len % 2 != 0)
        return 0;
    for (size_t i = 0; i < len; i++) {
        const char *digit = isxdigit(text[i]) ? strchr(digits, tolower(text[i])) : NULL;

        if (digit == NULL)
            return 0;
        if (i % 2 == 0)
            out[i / 2] = (uint8_t)((digit - digits) << 4);
        else
            out[i / 2] |= (uint8_t)(digit - digits);
    }
    return len / 2;
}

static bool try_secret_endings(struct doctor *d, const struct trial *base, uint8_t *buf)
{
    size_t len = base->secret_len, bare = len;

    memcpy(buf, base->secret, len);
    buf[len] = '\n';
    if (try_one_secret(d, base, buf, len + 1, "ends with a newline", "remove it there"))
        return true;
    buf[len] = '\0';
    if (try_one_secret(d, base, buf, len + 1, "counts a NUL after its last character",
                       "an error of that implementation (RFC 9235 8)"))
        return true;
    memcpy(buf + len, "\r\n", 2);
    if (try_one_secret(d, base, buf, len + 2, "ends with CR LF", "remove them there"))
        return true;
    while (bare > 0 && (buf[bare - 1] == '\n' || buf[bare - 1] == '\r' || buf[bare - 1] == '\0'))
        bare--;
    return bare != len && try_one_secret(d, base, buf, bare, "has no line end, but ours has one",
                                         "remove it here");
}

static bool try_secret_hex(struct doctor *d, const struct trial *base, uint8_t *buf)
{
    size_t len = unhex(base->secret, base->secret_len, buf);

    if (len > 0 && try_one_secret(d, base, buf, len, "is read as hexadecimal, here as characters",
                                  "give it as hexadecimal here, or as characters there"))
        return true;
    for (int upper = 0; upper <= 1; upper++) {
        for (size_t i = 0; i < base->secret_len; i++)
            snprintf((char *)buf + 2 * i, 3, upper ? "%02X" : "%02x", base->secret[i]);
        if (try_one_secret(d, base, buf, 2 * base->secret_len,
                           "is the characters of a hexadecimal number, here its octets",
                           "give it as characters here, or as hexadecimal there"))
            return true;
    }
    return false;
}

static bool try_secret(struct doctor *d, const struct trial *base)
{
    uint8_t buf[2 * TCPAO_SECRET_MAX + 2];
    bool found = try_secret_endings(d, base, buf) || try_secret_hex(d, base, buf);

    gh_wipe(buf, sizeof(buf));
    return found;
}

static bool try_isn(struct doctor *d, const struct trial *base)
{
    uint32_t src = base->src_isn, dst = base->dst_isn, seq = d->tcp.seq, ack = d->tcp.ack;
    const struct {
        uint32_t src, dst;
        const char *what;
    } variants[] = {
        {htonl(src), htonl(dst), "takes the ISNs in host byte order"},
        {seq, ack, "takes SEQ and ACK for the ISNs"},
        {seq, dst, "takes SEQ for its ISN"},
        {src, dst + 1, "takes ACK for the other end's ISN"},
        {dst, src, "exchanges the ISNs of the two ends"},
        {src, 0, "leaves out the other end's ISN after the SYN"},
    };

    for (size_t i = 0; i < sizeof(variants) / sizeof(variants[0]); i++) {
        struct trial t = *base;

        t.src_isn = variants[i].src;
        t.dst_isn = variants[i].dst;
        if ((t.src_isn != src || t.dst_isn != dst) && fits(d, &t)) {
            say(d, "%s %s when it derives the traffic key: its implementation has to be mended",
                d->who, variants[i].what);
            return true;
        }
    }
    return false;
}

static bool try_sne(struct doctor *d, const struct trial *base)
{
    const uint32_t variants[] = {base->sne + 1, base->sne - 1, 0};

    for (size_t i = 0; i < sizeof(variants) / sizeof(variants[0]); i++) {
        struct trial t = *base;

        t.sne = variants[i];
        if (t.sne != base->sne && fits(d, &t)) {
            say(d,
                "%s has sequence number extension %u where %u is due: it missed a wrap, or we did; "
                "reset the session",
                d->who, t.sne, base->sne);
            return true;
        }
    }
    return false;
}

/* One end as it may have been before a NAT: another address, perhaps another port. */
static bool try_other_end(struct doctor *d, const struct trial *base, bool source,
                          const struct tcpao_endpoint *other, uint16_t port)
{
    struct trial t = *base;
    struct tcpao_endpoint *end = source ? &t.src : &t.dst;
    struct gh_addr seen = gh_addr_from(end->addr, end->addr_len);
    struct gh_addr real = gh_addr_from(other->addr, other->addr_len);
    char seen_text[GH_ADDR_TEXT], real_text[GH_ADDR_TEXT];
    uint16_t seen_port = end->port;

    if (other->addr_len != end->addr_len || (gh_addr_equal(&seen, &real) && port == seen_port))
        return false;
    *end = *other;
    end->port = port;
    if (!fits(d, &t))
        return false;
    gh_addr_format(&seen, seen_text);
    gh_addr_format(&real, real_text);
    say(d,
        "NAT: the %s was %s port %u when the MAC was made and is %s port %u here; TCP-AO covers "
        "addresses and ports, so take this flow out of the NAT",
        source ? "source" : "destination", real_text, port, seen_text, seen_port);
    return true;
}

static bool try_addresses(struct doctor *d, const struct trial *base)
{
    for (size_t i = 0; d->suspects != NULL && i < d->suspects->count; i++) {
        const struct tcpao_endpoint *other = &d->suspects->addresses[i];

        if (try_other_end(d, base, true, other, base->src.port) ||
            try_other_end(d, base, false, other, base->dst.port))
            return true;
        if (other->port != 0 && (try_other_end(d, base, true, other, other->port) ||
                                 try_other_end(d, base, false, other, other->port)))
            return true;
    }
    return false;
}

/* MSS clamping on the path: was it one of the values that stacks send by themselves? */
static bool try_mss(struct doctor *d, const struct trial *base)
{
    /* Ethernet, jumbo frames and loopback, less the headers of IPv4 and IPv6; PPPoE; the defaults.
     */
    static const uint16_t usual[] = {1460,  1440,  8960, 8940, 9176, 9156,
                                     65495, 65475, 1452, 1432, 1220, 536};

    for (size_t i = 0; d->mss_offset != 0 && i < sizeof(usual) / sizeof(usual[0]); i++) {
        struct trial t = *base;

        t.mss = usual[i];
        if (t.covered && t.mss != d->mss && fits(d, &t)) {
            say(d,
                "the SYN's MSS was %u when the MAC was made and is %u here: exempt this flow from "
                "MSS clamping on the path, or do not cover options",
                t.mss, d->mss);
            return true;
        }
    }
    return false;
}

/* Where the MSS option's value is. */
static void find_mss(struct doctor *d)
{
    struct gh_rd r = gh_rd_make(d->s->hdr, d->s->hdr_len);

    gh_rd_skip(&r, TCPAO_TCP_HEADER_MIN);
    while (gh_rd_left(&r) > 0) {
        size_t offset = d->s->hdr_len - gh_rd_left(&r);
        uint8_t kind = gh_rd_u8(&r), len;

        if (kind == KIND_END)
            return;
        if (kind == KIND_NOP)
            continue;
        len = gh_rd_u8(&r);
        if (kind == KIND_MSS && len == 4) {
            d->mss = gh_rd_u16(&r);
            d->mss_offset = r.bad ? 0 : offset + 2;
            return;
        }
        gh_rd_skip(&r, len < 2 ? 0 : len - 2u);
    }
}

/* ---- In order ------------------------------------------------------------------------------- */

typedef bool suspect_fn(struct doctor *d, const struct trial *base);

static struct trial configured(const struct doctor *d, const struct tcpao_mkt *k)
{
    const struct ao_specimen *s = d->s;

    return (struct trial){.key = k,
                          .alg = k->alg,
                          .covered = k->options_covered,
                          .secret = k->secret,
                          .secret_len = k->secret_len,
                          .src = s->src,
                          .dst = s->dst,
                          .src_isn = s->src_isn,
                          .dst_isn = s->dst_isn,
                          .sne = s->sne};
}

/* The suspects on one key, with either option flag. */
static bool try_key(struct doctor *d, const struct tcpao_mkt *k, suspect_fn *const *suspects,
                    size_t count)
{
    for (int flip = 0; flip <= 1; flip++) {
        struct trial base = configured(d, k);

        base.covered ^= flip != 0;
        for (size_t i = 0; i < count; i++)
            if (suspects[i](d, &base)) {
                if (suspects[i] != try_algorithm)
                    say_settings(d, &base);
                return true;
            }
    }
    return false;
}

enum id_match { ID_OURS, ID_CROSSED, ID_OTHER };

/* How the segment's KeyID names this key: by the id of its direction, of the other one, or not. */
static enum id_match id_match(const struct doctor *d, const struct tcpao_mkt *k)
{
    uint8_t right = d->s->from_peer ? k->recv_id : k->send_id;
    uint8_t crossed = d->s->from_peer ? k->send_id : k->recv_id;

    if (d->option.keyid == right)
        return ID_OURS;
    return d->option.keyid == crossed ? ID_CROSSED : ID_OTHER;
}

/* When a key that the KeyID does not name made the MAC: what the ids should be. */
static void say_ids(struct doctor *d, const struct tcpao_mkt *k, enum id_match match)
{
    const char *right = d->s->from_peer ? "recv-id" : "send-id";
    const char *crossed = d->s->from_peer ? "send-id" : "recv-id";

    if (match == ID_OURS && d->text[0] == '\0')
        say(d,
            "key %u makes this MAC as configured: the fault is elsewhere (its lifetimes, the "
            "clocks, "
            "which session the flow belongs to)",
            k->number);
    else if (match == ID_CROSSED)
        say(d,
            "%sthe ids are swapped: KeyID %u is the %s of key %u; exchange its send-id and recv-id",
            d->text[0] != '\0' ? ", and " : "", d->option.keyid, crossed, k->number);
    else if (match == ID_OTHER)
        say(d, "%skey %u made the MAC, but its %s is not KeyID %u: set %s = %u for key %u",
            d->text[0] != '\0' ? ", and " : "", k->number, right, d->option.keyid, right,
            d->option.keyid, k->number);
}

static bool try_keys(struct doctor *d, enum id_match match, suspect_fn *const *suspects,
                     size_t count)
{
    for (size_t i = 0; i < tcpao_chain_count(d->s->chain); i++) {
        const struct tcpao_mkt *k = tcpao_chain_at(d->s->chain, i);

        if (id_match(d, k) != match || !try_key(d, k, suspects, count))
            continue;
        say_ids(d, k, match);
        return true;
    }
    return false;
}

bool ao_diagnose(const struct ao_specimen *s, const struct ao_suspects *suspects, char *text,
                 size_t text_len)
{
    static suspect_fn *const settings[] = {try_as_is, try_algorithm};
    static suspect_fn *const others[] = {try_secret, try_isn, try_sne, try_mss, try_addresses};
    struct doctor d = {.s = s,
                       .suspects = suspects,
                       .who = s->from_peer ? "the peer" : "this end",
                       .text = text,
                       .text_len = text_len};

    if (text_len == 0)
        return false;
    text[0] = '\0';
    if (gh_tcp_parse(s->hdr, s->hdr_len, &d.tcp) != GH_IP_OK || d.tcp.header_len != s->hdr_len ||
        tcpao_option_find(s->hdr, s->hdr_len, &d.option) != TCPAO_OK || !d.option.ao ||
        d.option.mac_len < TCPAO_MAC_MIN)
        return false;
    find_mss(&d);
    /* The cheap and frequent ones first, over all keys, then the long list. */
    return try_keys(&d, ID_OURS, settings, 2) || try_keys(&d, ID_CROSSED, settings, 2) ||
           try_keys(&d, ID_OTHER, settings, 2) || try_keys(&d, ID_OURS, others, 5) ||
           try_keys(&d, ID_CROSSED, others, 5);
}
