/*
 * Two IPsec engines that have an SA for each other, and packets to send through them.
 */
#ifndef GH_TESTS_UNIT_IPSEC_PAIR_H
#define GH_TESTS_UNIT_IPSEC_PAIR_H

#include "hex.h"

#include <stdlib.h>
#include <string.h>

#include "ipsec/ipsec.h"
#include "wire/checksum.h"
#include "wire/wr.h"

enum { BUFFER = 4096, HEAD = 200, EVENTS = 64, OUT_ID = 1, IN_ID = 2, POLICY = 10 };

struct listener {
    struct ipsec_event events[EVENTS];
    struct ipsec_flow flow; /* of the last ACQUIRE */
    size_t count;
    uint8_t iv[16]; /* what is given as random octets, again and again */
    bool no_random;
};

struct buffer {
    uint8_t mem[BUFFER];
    struct ipsec_packet p;
};

static inline bool give_random(void *arg, uint8_t *out, size_t len)
{
    struct listener *l = arg;

    for (size_t i = 0; i < len; i++)
        out[i] = l->iv[i % 16];
    return !l->no_random;
}

static inline void hear(void *arg, const struct ipsec_event *e)
{
    struct listener *l = arg;

    assert_true(l->count < EVENTS);
    l->events[l->count++] = *e;
    if (e->flow != NULL)
        l->flow = *e->flow;
}

static inline struct ipsec *engine(struct listener *l, const char *back_end)
{
    struct ipsec_setup setup = {
        .back_end = back_end, .random = give_random, .event = hear, .arg = l};
    struct ipsec *e;

    e = ipsec_new(&setup);
    assert_non_null(e);
    return e;
}

static inline struct gh_addr addr(const char *text)
{
    struct gh_addr a;

    assert_true(gh_addr_parse(text, &a));
    return a;
}

static inline struct ipsec_selector between(const char *local, const char *remote)
{
    struct gh_prefix l, r;

    assert_true(gh_prefix_parse(local, &l));
    assert_true(gh_prefix_parse(remote, &r));
    return ipsec_selector_between(&l, &r);
}

/* Everything, of both IP versions. */
static inline const struct ipsec_selector *anything(void)
{
    static struct ipsec_selector s[2];

    s[0] = between("0.0.0.0/0", "0.0.0.0/0");
    s[1] = between("::/0", "::/0");
    return s;
}

static inline void set_policy(struct ipsec *e, enum ipsec_action action)
{
    struct ipsec_policy p = {.id = POLICY,
                             .action = action,
                             .out = true,
                             .in = true,
                             .selectors = anything(),
                             .selector_count = 2};

    assert_true(ipsec_set_policies(e, &p, 1));
}

/* An IP packet with `len` octets of UDP inside, ports 1000 and 2000. */
static inline void make_packet(struct buffer *b, const char *src, const char *dst, size_t len,
                               uint8_t ds, bool df)
{
    struct gh_addr s = addr(src), d = addr(dst);
    struct gh_wr w = gh_wr_make(b->mem + HEAD, BUFFER - HEAD);
    size_t header = s.len == 4 ? 20 : 40;

    memset(b->mem, 0xee, sizeof(b->mem));
    if (s.len == 4) {
        gh_wr_u8(&w, 0x45);
        gh_wr_u8(&w, ds);
        gh_wr_u16(&w, header + len);
        gh_wr_u16(&w, 77);
        gh_wr_u16(&w, df ? 0x4000 : 0);
        gh_wr_u8(&w, 63);
        gh_wr_u8(&w, 17);
        gh_wr_u16(&w, 0);
    } else {
        gh_wr_u32(&w, 0x60000000u | (uint32_t)ds << 20 | 0x12345);
        gh_wr_u16(&w, len);
        gh_wr_u8(&w, 17);
        gh_wr_u8(&w, 63);
    }
    gh_wr_bytes(&w, s.octets, s.len);
    gh_wr_bytes(&w, d.octets, d.len);
    if (s.len == 4)
        gh_wr_put_u16(&w, 10, gh_sum_fold(gh_sum(b->mem + HEAD, 20, 0)));
    if (len >= 8) {
        gh_wr_u16(&w, 1000);
        gh_wr_u16(&w, 2000);
        gh_wr_u16(&w, len);
        gh_wr_u16(&w, 0);
    }
    for (size_t i = len >= 8 ? 8 : 0; i < len; i++)
        gh_wr_u8(&w, (i * 7 + 1) & 0xff);
    assert_true(gh_wr_ok(&w));
    if (len >= 8)
        gh_wr_put_u16(&w, header + 6,
                      gh_sum_fold(gh_sum(b->mem + HEAD + header, len,
                                         gh_sum_pseudo(&s, &d, 17, (uint32_t)len))));
    b->p = (struct ipsec_packet){.mem = b->mem, .cap = BUFFER, .at = HEAD, .len = header + len};
}

/* Both ends of one pair of SAs: a sends through `out` to b. */
struct pair {
    struct listener a_hears, b_hears;
    struct ipsec *a, *b;
    struct ipsec_sa_params out, in;
};

static const uint8_t pair_secret[64] =
    "a secret of sixty-four octets, of which algorithms take some...";

static inline struct ipsec_crypt_algs algs_of(enum gh_enc_alg enc, unsigned bits,
                                              enum gh_integ_alg integ)
{
    return (struct ipsec_crypt_algs){.enc = enc,
                                     .bits = bits,
                                     .integ = integ,
                                     .enc_key = {pair_secret, gh_enc_key_len(enc, bits)},
                                     .integ_key = {pair_secret, gh_integ_key_len(integ)}};
}

/* Parameters alone, ESP tunnel from `local` to `remote`; change them, then pair_up(). */
static inline void pair_plan(struct pair *x, struct ipsec_crypt_algs algs, const char *local,
                             const char *remote)
{
    memset(x, 0, sizeof(*x));
    x->out = (struct ipsec_sa_params){.id = OUT_ID,
                                      .spi = 0x1000,
                                      .protocol = IPSEC_ESP,
                                      .mode = IPSEC_TUNNEL,
                                      .way = IPSEC_OUT,
                                      .policy = POLICY,
                                      .local = addr(local),
                                      .remote = addr(remote),
                                      .algs = algs,
                                      .selectors = anything(),
                                      .selector_count = 2};
    x->in = x->out;
    x->in.id = IN_ID;
    x->in.way = IPSEC_IN;
    x->in.window = 64;
    x->in.local = x->out.remote;
    x->in.remote = x->out.local;
}

static inline void pair_up(struct pair *x, const char *a_back_end, const char *b_back_end)
{
    for (size_t i = 0; i < 16; i++)
        x->a_hears.iv[i] = x->b_hears.iv[i] = (uint8_t)(0xa0 + i);
    x->a = engine(&x->a_hears, a_back_end);
    x->b = engine(&x->b_hears, b_back_end);
    set_policy(x->a, IPSEC_PROTECT);
    set_policy(x->b, IPSEC_PROTECT);
    assert_true(ipsec_add_sa(x->a, &x->out));
    assert_true(ipsec_add_sa(x->b, &x->in));
}

static inline void pair_down(struct pair *x)
{
    ipsec_free(x->a);
    ipsec_free(x->b);
}

static inline enum ipsec_result send_one(struct pair *x, struct buffer *b)
{
    ipsec_out(x->a, 5, &b->p, 1);
    return b->p.result;
}

static inline enum ipsec_result receive_one(struct pair *x, struct buffer *b)
{
    b->p.encapsulated = x->in.local_port != 0;
    ipsec_in(x->b, 6, &b->p, 1);
    return b->p.result;
}

static inline void copy_buffer(struct buffer *to, const struct buffer *from)
{
    memcpy(to->mem, from->mem, sizeof(to->mem));
    to->p = from->p;
    to->p.mem = to->mem;
}

static inline uint8_t *octets_of(struct buffer *b)
{
    return b->mem + b->p.at;
}

static inline void assert_packet(const struct buffer *b, const struct octets *want)
{
    assert_int_equal(b->p.len, want->len);
    assert_memory_equal(b->mem + b->p.at, want->p, want->len);
}

static inline struct octets octets_now(const struct buffer *b)
{
    struct octets o = {.len = b->p.len};

    assert_true(o.len <= sizeof(o.p));
    memcpy(o.p, b->mem + b->p.at, o.len);
    return o;
}

#endif
