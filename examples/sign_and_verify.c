/*
 * Two ends of a TCP connection, protected by libtcpao: what a TCP stack, or an engine that stands
 * between one and the network, does with each segment. Build it with
 *
 *   cc sign_and_verify.c $(pkg-config --cflags --libs libtcpao) -o sign_and_verify
 */
#include <stdio.h>
#include <string.h>

#include <tcpao.h>

enum { FIN = 1, SYN = 2, RST = 4, PSH = 8, ACK = 16 };

/* One segment: a TCP header and its payload. */
struct segment {
    uint8_t hdr[TCPAO_TCP_HEADER_MAX];
    size_t hdr_len;
    const char *payload;
};

static void put32(uint8_t *p, uint32_t v)
{
    for (int i = 3; i >= 0; i--, v >>= 8)
        p[i] = (uint8_t)v;
}

static uint32_t get32(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

/* A header as a TCP stack makes it: 20 octets, no TCP-AO yet. */
static struct segment make_segment(const struct tcpao_endpoint *src,
                                   const struct tcpao_endpoint *dst, uint32_t seq, uint32_t ack,
                                   uint8_t flags, const char *payload)
{
    struct segment s = {.hdr_len = 20, .payload = payload};

    s.hdr[0] = (uint8_t)(src->port >> 8);
    s.hdr[1] = (uint8_t)src->port;
    s.hdr[2] = (uint8_t)(dst->port >> 8);
    s.hdr[3] = (uint8_t)dst->port;
    put32(s.hdr + 4, seq);
    put32(s.hdr + 8, ack);
    s.hdr[12] = 5 << 4; /* data offset in words */
    s.hdr[13] = flags;
    s.hdr[14] = 0xff; /* window */
    return s;
}

/* A chain with one key. Keys may be added, changed and removed at any time. */
static struct tcpao_chain *make_chain(uint8_t send_id, uint8_t recv_id)
{
    static const char secret[] = "a long and random string";
    const struct tcpao_mkt key = {
        .number = 1,
        .send_id = send_id, /* the peer's recv_id */
        .recv_id = recv_id,
        .alg = TCPAO_HMAC_SHA_1,
        .mac_len = 12,
        .options_covered = true, /* must be the same at both ends */
        .send = {TCPAO_TIME_MIN, TCPAO_TIME_MAX},
        .accept = {TCPAO_TIME_MIN, TCPAO_TIME_MAX},
        .secret = (const uint8_t *)secret,
        .secret_len = strlen(secret),
    };
    struct tcpao_chain *chain = tcpao_chain_new(TCPAO_DEFAULT_TOLERANCE);
    enum tcpao_chain_result r;

    if (chain == NULL)
        return NULL;
    r = tcpao_chain_add(chain, &key, NULL);
    if (r != TCPAO_CHAIN_OK) {
        fprintf(stderr, "key 1: %s\n", tcpao_chain_result_text(r));
        tcpao_chain_put(chain);
        return NULL;
    }
    return chain;
}

/* On the way out: the signed header replaces the stack's. The caller then makes the checksum. */
static bool leave(struct tcpao_conn *c, int64_t now, struct segment *s)
{
    struct segment out = {.payload = s->payload};
    enum tcpao_result r = tcpao_conn_sign(c, now, s->hdr, s->hdr_len, (const uint8_t *)s->payload,
                                          strlen(s->payload), out.hdr, &out.hdr_len);

    if (r != TCPAO_OK)
        fprintf(stderr, "not sent: %s\n", tcpao_result_text(r)); /* never send it unsigned */
    *s = out;
    return r == TCPAO_OK;
}

/* On the way in: only what verifies goes on to the stack, and the option is taken out. A stack
 * keeps no connection for a SYN yet: there tcpao_verify_syn() says whether to make one. */
static bool arrive(struct tcpao_conn *c, int64_t now, struct segment *s)
{
    struct tcpao_seen seen;
    struct segment bare = {.payload = s->payload};
    enum tcpao_result r = tcpao_conn_verify(c, now, s->hdr, s->hdr_len, (const uint8_t *)s->payload,
                                            strlen(s->payload), &seen);

    if (r == TCPAO_OK && (s->hdr[13] & (SYN | ACK)) == SYN)
        tcpao_conn_accept_syn(c, now, get32(s->hdr + 4), &seen);
    if (r == TCPAO_OK)
        r = tcpao_option_strip(s->hdr, s->hdr_len, bare.hdr, &bare.hdr_len);
    printf("%-28s KeyID %d, RNextKeyID %d: %s\n", s->payload[0] != '\0' ? s->payload : "(no data)",
           seen.option.keyid, seen.option.rnext, tcpao_result_name(r));
    *s = bare;
    return r == TCPAO_OK;
}

int main(void)
{
    const struct tcpao_endpoint us = {.addr = {192, 0, 2, 1}, .addr_len = 4, .port = 40000};
    const struct tcpao_endpoint peer = {.addr = {192, 0, 2, 2}, .addr_len = 4, .port = 179};
    const uint32_t our_isn = 1000, peer_isn = 2000;
    const int64_t now = 1796083200; /* the caller's clock, in seconds since 1970 */
    struct tcpao_chain *our_chain = make_chain(3, 8), *peer_chain = make_chain(8, 3);
    struct tcpao_conn *here = NULL, *there = NULL;
    struct segment s;
    bool ok = false;

    if (our_chain != NULL && peer_chain != NULL) {
        here = tcpao_conn_new(our_chain, &us, &peer);
        there = tcpao_conn_new(peer_chain, &peer, &us);
    }
    if (here != NULL && there != NULL) {
        s = make_segment(&us, &peer, our_isn, 0, SYN, "");
        ok = leave(here, now, &s) && arrive(there, now, &s);
        s = make_segment(&peer, &us, peer_isn, our_isn + 1, SYN | ACK, "");
        ok = ok && leave(there, now, &s) && arrive(here, now, &s);
        s = make_segment(&us, &peer, our_isn + 1, peer_isn + 1, PSH | ACK, "hello");
        ok = ok && leave(here, now, &s) && arrive(there, now, &s);

        /* A reset from somebody without the key does not arrive. */
        s = make_segment(&us, &peer, our_isn + 6, 0, RST, "");
        ok = ok && !arrive(there, now, &s);
    }
    tcpao_conn_free(here);
    tcpao_conn_free(there);
    tcpao_chain_put(our_chain);
    tcpao_chain_put(peer_chain);
    return ok ? 0 : 1;
}
