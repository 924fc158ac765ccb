/* The kernel's IPsec messages: what is written, read back; ranges as prefixes; cut anywhere. */
#include "unit.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "platform/xfrm_ask.h"
#include "platform/xfrm_message.h"
#include "platform/xfrm_select.h"
#include "platform/xfrm_stat.h"

static const uint8_t key[64] = "a secret of sixty-four octets, of which algorithms take some...";

static struct gh_addr addr(const char *text)
{
    struct gh_addr a;

    assert_true(gh_addr_parse(text, &a));
    return a;
}

static struct ipsec_selector between(const char *l_start, const char *l_end, const char *r_start,
                                     const char *r_end)
{
    return (struct ipsec_selector){.local = {addr(l_start), addr(l_end), 0, UINT16_MAX},
                                   .remote = {addr(r_start), addr(r_end), 0, UINT16_MAX}};
}

/* ---- Selectors ------------------------------------------------------------------------------ */

static struct xfrm_selector pieces[GH_XFRM_EXPANDED];
static struct gh_xfrm_why why;

static void assert_source(const struct xfrm_selector *s, const char *prefix, unsigned bits)
{
    struct gh_addr want = addr(prefix), got = gh_xfrm_address_of(&s->saddr, s->family);

    assert_true(gh_addr_equal(&want, &got));
    assert_int_equal(s->prefixlen_s, bits);
}

static void ranges_are_prefixes(void **state)
{
    struct ipsec_selector s = between("10.0.0.1", "10.0.0.6", "10.2.0.0", "10.2.255.255");

    assert_int_equal(gh_xfrm_expand(&s, XFRM_POLICY_OUT, pieces, &why), 4);
    assert_source(&pieces[0], "10.0.0.1", 32);
    assert_source(&pieces[1], "10.0.0.2", 31);
    assert_source(&pieces[2], "10.0.0.4", 31);
    assert_source(&pieces[3], "10.0.0.6", 32);
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(pieces[i].prefixlen_d, 16);
        assert_int_equal(pieces[i].family, AF_INET);
        assert_int_equal(pieces[i].sport_mask, 0);
    }
    assert_int_equal(gh_xfrm_expand(&s, XFRM_POLICY_FWD, pieces, &why), 4);
    assert_source(&pieces[0], "10.2.0.0", 16);
    s = between("0.0.0.0", "255.255.255.255", "0.0.0.0", "255.255.255.255");
    assert_int_equal(gh_xfrm_expand(&s, XFRM_POLICY_IN, pieces, &why), 1);
    assert_source(&pieces[0], "0.0.0.0", 0);
    s = between("::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "fd00::", "fd00::");
    assert_int_equal(gh_xfrm_expand(&s, XFRM_POLICY_OUT, pieces, &why), 1);
    assert_source(&pieces[0], "::", 0);
    assert_int_equal(pieces[0].prefixlen_d, 128);
    /* The worst range there is. */
    s = between("::1", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe", "fd00::", "fd00::");
    assert_int_equal(gh_xfrm_expand(&s, XFRM_POLICY_OUT, pieces, &why), 254);
    assert_source(&pieces[0], "::1", 128);
    assert_source(&pieces[253], "ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe", 128);
    s.local.end = addr("ffff::");
    s.remote.end = addr("fd00::7:6");
    assert_int_equal(gh_xfrm_expand(&s, XFRM_POLICY_OUT, pieces, &why), 0);
    assert_non_null(strstr(why.text, "too many"));
}

static unsigned covered(uint32_t address, uint16_t port, size_t count)
{
    unsigned hits = 0;

    for (size_t i = 0; i < count; i++) {
        uint32_t mask = pieces[i].prefixlen_s == 0 ? 0 : ~0u << (32 - pieces[i].prefixlen_s);

        hits += ((ntohl(pieces[i].saddr.a4) ^ address) & mask) == 0 &&
                ((ntohs(pieces[i].dport) ^ port) & ntohs(pieces[i].dport_mask)) == 0;
    }
    return hits;
}

/* Each address and port in the range is in one piece, each outside in none. */
static void pieces_are_the_range(void **state)
{
    srand(4301);
    for (unsigned n = 0; n < 200; n++) {
        struct ipsec_selector s = between("10.0.0.0", "10.0.0.0", "10.2.0.0", "10.2.0.0");
        uint8_t a = (uint8_t)(rand() % 64), b = (uint8_t)(a + rand() % 64);
        uint16_t c = (uint16_t)(rand() % 40), d = (uint16_t)(c + rand() % 40);
        size_t count;

        s.local.start.octets[3] = a;
        s.local.end.octets[3] = b;
        s.remote.start_port = c;
        s.remote.end_port = d;
        s.protocol = 17;
        count = gh_xfrm_expand(&s, XFRM_POLICY_OUT, pieces, &why);
        assert_true(count > 0);
        for (uint32_t x = 0; x < 130; x++)
            for (uint16_t port = 0; port < 82; port++)
                assert_int_equal(covered(0x0a000000 | x, port, count),
                                 x >= a && x <= b && port >= c && port <= d);
    }
}

static void ports_that_the_kernel_has_not(void **state)
{
    struct ipsec_selector s = between("10.0.0.1", "10.0.0.1", "10.0.0.2", "10.0.0.2");

    s.remote.start_port = 80;
    assert_int_equal(gh_xfrm_expand(&s, XFRM_POLICY_OUT, pieces, &why), 0);
    assert_non_null(strstr(why.text, "need a protocol"));
    s.protocol = 6;
    s.remote.start_port = 1;
    s.remote.end_port = 65534;
    assert_int_equal(gh_xfrm_expand(&s, XFRM_POLICY_IN, pieces, &why), 30);
    assert_int_equal(pieces[0].sport, htons(1));
    assert_int_equal(pieces[0].sport_mask, 0xffff);
    assert_int_equal(pieces[0].dport_mask, 0);
    s.remote.start_port = UINT16_MAX;
    s.remote.end_port = 0; /* OPAQUE */
    assert_int_equal(gh_xfrm_expand(&s, XFRM_POLICY_OUT, pieces, &why), 0);
    assert_non_null(strstr(why.text, "hidden"));
}

/* Type where the kernel has the source port, code where the other is, whoever sends. */
static void types_and_codes(void **state)
{
    struct ipsec_selector s = between("10.0.0.1", "10.0.0.1", "10.0.0.2", "10.0.0.2");
    const uint8_t dirs[] = {XFRM_POLICY_OUT, XFRM_POLICY_IN};

    s.protocol = 1;
    s.local.start_port = s.remote.start_port = 0x0300;
    s.local.end_port = s.remote.end_port = 0x03ff;
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(gh_xfrm_expand(&s, dirs[i], pieces, &why), 1);
        assert_int_equal(pieces[0].sport, htons(3));
        assert_int_equal(pieces[0].sport_mask, 0xffff);
        assert_int_equal(pieces[0].dport_mask, 0);
    }
    s.local.start_port = s.local.end_port = 0x0304;
    assert_int_equal(gh_xfrm_expand(&s, XFRM_POLICY_OUT, pieces, &why), 1);
    assert_int_equal(pieces[0].dport, htons(4));
    assert_int_equal(pieces[0].dport_mask, 0xffff);
    s.local.end_port = 0x0402;
    assert_int_equal(gh_xfrm_expand(&s, XFRM_POLICY_OUT, pieces, &why), 0);
    s.local.start_port = 0;
    s.local.end_port = UINT16_MAX;
    assert_int_equal(gh_xfrm_expand(&s, XFRM_POLICY_OUT, pieces, &why), 1);
    assert_int_equal(pieces[0].sport_mask, 0);
}

/* ---- SAs ------------------------------------------------------------------------------------ */

struct plan {
    struct ipsec_selector selectors[2];
    struct ipsec_sa_params params;
    struct gh_xfrm_sa sa;
};

static void set_algs(struct plan *x, enum gh_enc_alg enc, unsigned bits, enum gh_integ_alg integ)
{
    x->params.algs = (struct ipsec_crypt_algs){
        enc, bits, integ, {key, gh_enc_key_len(enc, bits)}, {key, gh_integ_key_len(integ)}};
}

static void make_plan(struct plan *x, enum ipsec_way way)
{
    *x = (struct plan){
        .params = {.id = 1,
                   .spi = 0x12345678,
                   .protocol = IPSEC_ESP,
                   .mode = IPSEC_TUNNEL,
                   .way = way,
                   .local = addr("192.0.2.1"),
                   .remote = addr("192.0.2.2"),
                   .window = way == IPSEC_IN ? 64 : 0,
                   .selectors = x->selectors,
                   .selector_count = 1},
        .sa = {.params = &x->params, .tie = {.reqid = gh_xfrm_reqid(5), .if_id = 8}},
    };
    x->selectors[0] = between("10.1.0.0", "10.1.255.255", "10.2.0.0", "10.2.255.255");
    set_algs(x, GH_ENC_AES_GCM_16, 256, GH_INTEG_NONE);
}

static uint8_t mem[GH_XFRM_MESSAGE];

/* The message, which must be well-formed. */
static struct gh_nl_message put(const struct plan *x)
{
    struct gh_wr w = gh_wr_make(mem, sizeof(mem));
    struct gh_nl_message m;
    struct gh_rd r;

    assert_true(gh_xfrm_put_sa(&w, XFRM_MSG_NEWSA, 77, &x->sa, &why));
    r = gh_rd_make(mem, w.len);
    assert_true(gh_nl_next(&r, &m));
    assert_int_equal(gh_rd_left(&r), 0);
    assert_int_equal(m.type, XFRM_MSG_NEWSA);
    assert_int_equal(m.seq, 77);
    assert_int_equal(m.flags, NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL);
    return m;
}

static void assert_refused(const struct plan *x, const char *words)
{
    struct gh_wr w = gh_wr_make(mem, sizeof(mem));

    assert_false(gh_xfrm_put_sa(&w, XFRM_MSG_NEWSA, 1, &x->sa, &why));
    assert_non_null(strstr(why.text, words));
}

static struct xfrm_usersa_info info_of(const struct gh_nl_message *m)
{
    struct gh_rd r = m->body;
    struct xfrm_usersa_info info;

    gh_rd_copy(&r, &info, sizeof(info));
    assert_false(r.bad);
    return info;
}

static bool attribute(const struct gh_nl_message *m, uint16_t type, struct gh_rd *out)
{
    struct gh_rd r = m->body;
    struct gh_nl_attr a;

    gh_rd_skip(&r, sizeof(struct xfrm_usersa_info));
    while (gh_nl_next_attr(&r, &a))
        if (a.type == type) {
            *out = a.body;
            return true;
        }
    assert_false(r.bad);
    return false;
}

static void assert_alg(const struct gh_nl_message *m, uint16_t type, const char *name,
                       size_t key_len, unsigned icv_bits)
{
    char got[64];
    struct gh_rd r;

    assert_true(attribute(m, type, &r));
    gh_rd_copy(&r, got, sizeof(got));
    assert_string_equal(got, name);
    assert_int_equal(gh_nl_u32(&r), key_len * 8);
    if (icv_bits != 0)
        assert_int_equal(gh_nl_u32(&r), icv_bits);
    assert_int_equal(gh_rd_left(&r), key_len);
    if (key_len > 0)
        assert_memory_equal(r.p, key, key_len);
}

/* The kernel lists what waits for an SA among the SAs. */
static void a_packet_that_waits(void **state)
{
    struct gh_xfrm_sa_info info;
    struct xfrm_usersa_info waits;
    struct gh_nl_message m;
    struct plan x;

    make_plan(&x, IPSEC_OUT);
    m = put(&x);
    waits = info_of(&m);
    waits.id.spi = 0;
    waits.sel = (struct xfrm_selector){.family = AF_INET, .proto = IPPROTO_GRE};
    waits.sel.saddr.a4 = htonl(0x0a000001);
    waits.sel.daddr.a4 = htonl(0x0a000002);
    m.body = gh_rd_make((const uint8_t *)&waits, sizeof(waits));
    assert_true(gh_xfrm_parse_sa(&m, &info));
    assert_int_equal(info.id.spi, 0);
    assert_int_equal(info.reqid, gh_xfrm_reqid(5));
    assert_int_equal(info.flow.protocol, IPPROTO_GRE);
    assert_int_equal(info.flow.way, IPSEC_OUT);
    assert_int_equal(info.flow.local.octets[3], 1);
    assert_int_equal(info.flow.remote.octets[3], 2);
    assert_false(info.flow.ports);
}

static void an_sa_and_back(void **state)
{
    struct gh_xfrm_sa_info info;
    struct gh_nl_message m;
    struct gh_rd r;
    struct plan x;

    make_plan(&x, IPSEC_IN);
    x.params.local_port = 4500;
    x.params.remote_port = 61234;
    x.params.esn = true;
    x.params.window = 100;
    x.params.last_seq = 0x300000007;
    m = put(&x);
    assert_true(gh_xfrm_parse_sa(&m, &info));
    assert_int_equal(info.id.spi, 0x12345678);
    assert_int_equal(info.id.protocol, IPSEC_ESP);
    assert_true(gh_addr_equal(&info.id.dst, &x.params.local));
    assert_true(gh_addr_equal(&info.src, &x.params.remote));
    assert_int_equal(info.reqid, gh_xfrm_reqid(5));
    assert_int_equal(info.if_id, 8);
    assert_true(info.esn);
    assert_int_equal(info.window, 100);
    assert_int_equal(info.received_seq, 0x300000007);
    assert_int_equal(info.sent_seq, 0);
    assert_int_equal(info.src_port, 61234);
    assert_int_equal(info.dst_port, 4500);
    assert_alg(&m, XFRMA_ALG_AEAD, "rfc4106(gcm(aes))", 36, 128);
    assert_true(attribute(&m, XFRMA_REPLAY_ESN_VAL, &r));
    assert_int_equal(gh_nl_u32(&r), 4); /* words of 32 for 100 packets */
    gh_rd_skip(&r, 20);
    assert_int_equal(gh_rd_left(&r), 16);
    for (size_t i = 0; i < 16; i++) /* of what an earlier instance had, nothing comes again */
        assert_int_equal(gh_rd_u8(&r), 0xff);
    assert_int_equal(info_of(&m).replay_window, 0);
    assert_int_equal(info_of(&m).sel.prefixlen_s, 16);
    assert_int_equal(info_of(&m).sel.saddr.a4, htonl(0x0a020000));
    make_plan(&x, IPSEC_OUT);
    x.params.last_seq = 9;
    m = put(&x);
    assert_true(gh_xfrm_parse_sa(&m, &info));
    assert_true(gh_addr_equal(&info.id.dst, &x.params.remote));
    assert_int_equal(info.sent_seq, 9);
    assert_false(attribute(&m, XFRMA_REPLAY_ESN_VAL, &r));
    assert_false(attribute(&m, XFRMA_ENCAP, &r));
}

static void algorithms_by_name(void **state)
{
    struct gh_nl_message m;
    struct gh_rd r;
    struct plan x;

    make_plan(&x, IPSEC_OUT);
    set_algs(&x, GH_ENC_AES_CBC, 128, GH_INTEG_HMAC_SHA2_256_128);
    m = put(&x);
    assert_alg(&m, XFRMA_ALG_CRYPT, "cbc(aes)", 16, 0);
    assert_alg(&m, XFRMA_ALG_AUTH_TRUNC, "hmac(sha256)", 32, 128);
    assert_false(attribute(&m, XFRMA_ALG_AEAD, &r));
    set_algs(&x, GH_ENC_AES_GCM_8, 128, GH_INTEG_NONE);
    m = put(&x);
    assert_alg(&m, XFRMA_ALG_AEAD, "rfc4106(gcm(aes))", 20, 64);
    x.params.protocol = IPSEC_AH;
    set_algs(&x, GH_ENC_NULL, 0, GH_INTEG_HMAC_SHA1_96);
    m = put(&x);
    assert_alg(&m, XFRMA_ALG_AUTH_TRUNC, "hmac(sha1)", 20, 96);
    assert_false(attribute(&m, XFRMA_ALG_CRYPT, &r));
    assert_true(info_of(&m).flags & XFRM_STATE_ALIGN4);
    x.params.local = addr("2001:db8::1");
    x.params.remote = addr("2001:db8::2");
    m = put(&x);
    assert_false(info_of(&m).flags & XFRM_STATE_ALIGN4);
    set_algs(&x, GH_ENC_NULL_AES_GMAC, 128, GH_INTEG_NONE);
    assert_refused(&x, "AES-GMAC");
    set_algs(&x, GH_ENC_AES_CBC, 128, GH_INTEG_HMAC_SHA1_96);
    assert_refused(&x, "AH does not encrypt");
    x.params.protocol = IPSEC_ESP;
    x.params.algs.enc_key.len--;
    assert_refused(&x, "length");
    set_algs(&x, GH_ENC_AES_CBC, 128, GH_INTEG_NONE);
    assert_refused(&x, "go together");
    set_algs(&x, GH_ENC_CAMELLIA_CTR, 128, GH_INTEG_HMAC_SHA1_96);
    assert_refused(&x, "no such encryption");
}

static void what_the_kernel_cannot(void **state)
{
    struct plan x;

    make_plan(&x, IPSEC_IN);
    x.params.window = 4096;
    (void)put(&x);
    x.params.window = 4097;
    assert_refused(&x, "4096");
    make_plan(&x, IPSEC_OUT);
    x.sa.tie.reqid = 5;
    assert_refused(&x, "not ours");
    make_plan(&x, IPSEC_OUT);
    x.params.tunnel.df = IPSEC_DF_SET;
    assert_refused(&x, "DF");
    x.params.tunnel = (struct ipsec_tunnel){.set_dscp = true, .dscp = 46};
    assert_refused(&x, "DSCP");
    x.params.tunnel = (struct ipsec_tunnel){.ttl = 63};
    assert_refused(&x, "TTL");
    x.params.tunnel = (struct ipsec_tunnel){.ttl = 64, .set_dscp = true};
    (void)put(&x);
    x.params.last_seq = 1ull << 32;
    assert_refused(&x, "used up");
}

/* Several selectors: the policies of its reqid restrict it; of both IP versions in a tunnel. */
static void selectors_of_sas(void **state)
{
    struct gh_nl_message m;
    struct plan x;

    make_plan(&x, IPSEC_OUT);
    x.params.selector_count = 2;
    x.selectors[1] = between("10.1.0.1", "10.1.0.2", "10.7.0.0", "10.7.0.1");
    m = put(&x);
    assert_int_equal(info_of(&m).sel.family, AF_INET);
    assert_int_equal(info_of(&m).sel.prefixlen_s, 0);
    x.selectors[1] = between("::", "::7", "fd00::", "fd00::");
    m = put(&x);
    assert_int_equal(info_of(&m).sel.family, AF_UNSPEC);
    assert_true(info_of(&m).flags & XFRM_STATE_AF_UNSPEC);
    x.params.mode = IPSEC_TRANSPORT;
    m = put(&x);
    assert_int_equal(info_of(&m).sel.family, AF_INET);
}

static void no_room(void **state)
{
    struct plan x;

    make_plan(&x, IPSEC_IN);
    for (size_t cap = 0; cap < 500; cap++) {
        struct gh_wr w = gh_wr_make(mem, cap);

        if (gh_xfrm_put_sa(&w, XFRM_MSG_NEWSA, 1, &x.sa, &why))
            assert_true(w.len <= cap && cap > 300);
    }
}

static void cut_anywhere(void **state)
{
    struct gh_xfrm_sa_info info;
    struct gh_nl_message m;
    struct plan x;
    size_t len;

    make_plan(&x, IPSEC_IN);
    m = put(&x);
    len = gh_rd_left(&m.body);
    for (size_t n = 0; n < len; n++) {
        uint8_t *exact = malloc(n + 1);
        struct gh_nl_message cut = m;

        assert_non_null(exact);
        memcpy(exact, m.body.p, n);
        cut.body = gh_rd_make(exact, n);
        if (gh_xfrm_parse_sa(&cut, &info)) /* between two attributes */
            assert_true(n >= sizeof(struct xfrm_usersa_info));
        free(exact);
    }
}

/* What the kernel would say of `x`, after two packets of 80 octets. */
static struct gh_nl_message told(struct plan *x, uint8_t *copy)
{
    const struct xfrm_lifetime_cur used = {.bytes = 160, .packets = 2, .add_time = 1000};
    struct gh_nl_message m = put(x);
    size_t len = gh_rd_left(&m.body);

    memcpy(copy, m.body.p, len);
    memcpy(copy + offsetof(struct xfrm_usersa_info, curlft), &used, sizeof(used));
    m.body = gh_rd_make(copy, len);
    return m;
}

static void to_another_place(void **state)
{
    const struct gh_xfrm_move to = {addr("2001:db8::1"), addr("2001:db8::2"), 4500, 4501};
    uint8_t copy[GH_XFRM_MESSAGE], moved[GH_XFRM_MESSAGE];
    struct gh_wr w = gh_wr_make(moved, sizeof(moved));
    struct gh_xfrm_sa_info info;
    struct gh_nl_message m;
    struct gh_rd r;
    struct plan x;
    size_t len;

    make_plan(&x, IPSEC_OUT);
    x.params.esn = true;
    x.params.last_seq = 0x1fffffff0;
    x.params.lifetime = (struct ipsec_lifetime){.soft_octets = 100, .hard_octets = 1000};
    x.sa.hard_seconds = 60;
    m = told(&x, copy);
    len = gh_rd_left(&m.body);
    assert_true(gh_xfrm_put_moved(&w, 3, &m, &to, 1010, &why));
    r = gh_rd_make(moved, w.len);
    assert_true(gh_nl_next(&r, &m));
    assert_true(gh_xfrm_parse_sa(&m, &info));
    assert_true(gh_addr_equal(&info.src, &to.local) && gh_addr_equal(&info.id.dst, &to.remote));
    assert_int_equal(info.dst_port, 4501);
    assert_int_equal(info.sent_seq, 0x1fffffff0 + GH_XFRM_LEFT_OUT);
    assert_int_equal(info.if_id, 8);
    assert_int_equal(info_of(&m).lft.soft_byte_limit, 1); /* told once more */
    assert_int_equal(info_of(&m).lft.hard_byte_limit, 840);
    assert_true(info_of(&m).lft.hard_packet_limit == XFRM_INF);
    assert_int_equal(info_of(&m).lft.hard_add_expires_seconds, 50);
    assert_int_equal(info_of(&m).lft.soft_add_expires_seconds, 0);
    assert_alg(&m, XFRMA_ALG_AEAD, "rfc4106(gcm(aes))", 36, 128);
    for (size_t n = 0; n < len; n++) {
        uint8_t *exact = malloc(n + 1);
        struct gh_nl_message cut = {.type = XFRM_MSG_NEWSA};

        assert_non_null(exact);
        memcpy(exact, copy, n);
        cut.body = gh_rd_make(exact, n);
        w.len = 0;
        if (gh_xfrm_put_moved(&w, 3, &cut, &to, 1010, &why)) /* between two attributes */
            assert_true(n >= sizeof(struct xfrm_usersa_info));
        free(exact);
    }
}

static void what_cannot_move(void **state)
{
    static const uint8_t zeroes[64];
    struct gh_xfrm_move to = {addr("192.0.2.1"), addr("192.0.2.3"), 0, 0};
    uint8_t copy[GH_XFRM_MESSAGE], moved[GH_XFRM_MESSAGE];
    struct gh_wr w = gh_wr_make(moved, sizeof(moved));
    struct gh_nl_message m;
    struct plan x;

    make_plan(&x, IPSEC_OUT);
    x.params.algs.enc_key.p = zeroes; /* as a kernel says that is locked down */
    m = told(&x, copy);
    assert_false(gh_xfrm_put_moved(&w, 3, &m, &to, 1010, &why));
    assert_non_null(strstr(why.text, "keys"));
    make_plan(&x, IPSEC_OUT);
    m = told(&x, copy);
    to.local_port = 4500;
    assert_false(gh_xfrm_put_moved(&w, 3, &m, &to, 1010, &why));
    x.params.mode = IPSEC_TRANSPORT;
    to.local_port = 0;
    m = told(&x, copy);
    assert_false(gh_xfrm_put_moved(&w, 3, &m, &to, 1010, &why));
}

/* ---- Policies ------------------------------------------------------------------------------- */

static void policies_and_back(void **state)
{
    const struct ipsec_selector s = between("10.1.0.0", "10.1.255.255", "10.2.0.0", "10.2.255.255");
    struct ipsec_policy policy = {.action = IPSEC_PROTECT, .selectors = &s, .selector_count = 1};
    struct gh_xfrm_policy x = {
        .policy = &policy,
        .tie = {.reqid = gh_xfrm_reqid(3), .if_id = 4, .mark = 5, .mark_mask = 0xff},
        .priority = 42,
        .templates = {{IPSEC_ESP, IPSEC_TUNNEL, addr("192.0.2.1"), addr("192.0.2.2")},
                      {.protocol = IPSEC_AH, .mode = IPSEC_TRANSPORT}},
        .template_count = 2};
    struct gh_wr w = gh_wr_make(mem, sizeof(mem));
    struct gh_xfrm_policy_info info;
    struct gh_nl_message m;
    struct gh_rd r;

    assert_int_equal(gh_xfrm_expand(&s, XFRM_POLICY_IN, pieces, &why), 1);
    assert_true(gh_xfrm_put_policy(&w, XFRM_MSG_NEWPOLICY, 1, &x, &pieces[0],
                                   gh_xfrm_index(6, XFRM_POLICY_IN), &why));
    r = gh_rd_make(mem, w.len);
    assert_true(gh_nl_next(&r, &m));
    assert_true(gh_xfrm_parse_policy(&m, &info));
    assert_true(gh_xfrm_index_is_ours(info.id.index));
    assert_int_equal(info.id.dir, XFRM_POLICY_IN);
    assert_int_equal(info.id.if_id, 4);
    assert_int_equal(info.id.mark_mask, 0xff);
    assert_int_equal(info.priority, 42);
    assert_int_equal(info.reqid, gh_xfrm_reqid(3));
    assert_int_equal(info.action, IPSEC_PROTECT);
    assert_memory_equal(&info.id.selector, &pieces[0], sizeof(pieces[0]));
    w.len = 0;
    policy.action = IPSEC_DISCARD;
    assert_false(gh_xfrm_put_policy(&w, XFRM_MSG_NEWPOLICY, 1, &x, &pieces[0], 1, &why));
    x.template_count = 0;
    assert_true(gh_xfrm_put_policy(&w, XFRM_MSG_NEWPOLICY, 1, &x, &pieces[0], 1, &why));
    r = gh_rd_make(mem, w.len);
    assert_true(gh_nl_next(&r, &m));
    assert_true(gh_xfrm_parse_policy(&m, &info));
    assert_int_equal(info.action, IPSEC_DISCARD);
    assert_false(gh_xfrm_index_is_ours(info.id.index));
    policy.action = IPSEC_PROTECT;
    assert_false(gh_xfrm_put_policy(&w, XFRM_MSG_NEWPOLICY, 1, &x, &pieces[0], 1, &why));
    x.template_count = 1;
    x.templates[0].remote.len = 0;
    assert_false(gh_xfrm_put_policy(&w, XFRM_MSG_NEWPOLICY, 1, &x, &pieces[0], 1, &why));
}

/* ---- Events --------------------------------------------------------------------------------- */

static bool event(uint16_t type, const void *body, size_t len, const struct xfrm_user_tmpl *tmpl,
                  struct gh_xfrm_event *out)
{
    struct gh_wr w = gh_wr_make(mem, sizeof(mem));
    size_t begin = gh_nl_begin(&w, type, 0, 0);
    struct gh_nl_message m;
    struct gh_rd r;

    gh_wr_bytes(&w, body, len);
    if (tmpl != NULL)
        gh_nl_put_attr(&w, XFRMA_TMPL, tmpl, sizeof(*tmpl));
    gh_nl_end(&w, begin);
    r = gh_rd_make(mem, w.len);
    assert_true(gh_nl_next(&r, &m));
    return gh_xfrm_parse_event(&m, out);
}

static void expiry(void **state)
{
    struct xfrm_user_expire x = {.state = {.id = {.spi = htonl(0x1000), .proto = IPPROTO_ESP},
                                           .reqid = gh_xfrm_reqid(3),
                                           .family = AF_INET}};
    struct gh_xfrm_event e;

    assert_true(event(XFRM_MSG_EXPIRE, &x, sizeof(x), NULL, &e));
    assert_int_equal(e.kind, GH_XFRM_SOFT);
    assert_int_equal(e.id.spi, 0x1000);
    x.hard = 1;
    assert_true(event(XFRM_MSG_EXPIRE, &x, sizeof(x), NULL, &e));
    assert_int_equal(e.kind, GH_XFRM_HARD);
    assert_false(event(XFRM_MSG_EXPIRE, &x, sizeof(x) - 1, NULL, &e));
    x.state.id.spi = 0; /* an acquire that nobody answered */
    assert_false(event(XFRM_MSG_EXPIRE, &x, sizeof(x), NULL, &e));
    x.state.id.spi = htonl(0x1000);
    x.state.reqid = 3; /* somebody else's */
    assert_false(event(XFRM_MSG_EXPIRE, &x, sizeof(x), NULL, &e));
    x.state.reqid = gh_xfrm_reqid(3);
    x.state.family = AF_UNIX;
    assert_false(event(XFRM_MSG_EXPIRE, &x, sizeof(x), NULL, &e));
}

static void acquires(void **state)
{
    struct xfrm_user_tmpl tmpl = {.id = {.proto = IPPROTO_ESP},
                                  .family = AF_INET6,
                                  .reqid = gh_xfrm_reqid(9),
                                  .mode = XFRM_MODE_TUNNEL};
    struct xfrm_user_acquire x = {.id = {.proto = IPPROTO_ESP},
                                  .sel = {.family = AF_INET,
                                          .saddr = {.a4 = htonl(0x0a010001)},
                                          .daddr = {.a4 = htonl(0x0a020001)},
                                          .sport = htons(3),
                                          .sport_mask = 0xffff,
                                          .dport = htons(1),
                                          .dport_mask = 0xffff,
                                          .proto = IPPROTO_ICMP},
                                  .policy = {.priority = 11},
                                  .seq = 12};
    struct gh_addr from = addr("10.1.0.1");
    struct gh_xfrm_event e;

    gh_xfrm_address(&(struct gh_addr){.octets = {0xfd, [15] = 2}, .len = 16}, &x.id.daddr);
    assert_true(event(XFRM_MSG_ACQUIRE, &x, sizeof(x), &tmpl, &e));
    assert_int_equal(e.kind, GH_XFRM_ACQUIRE);
    assert_int_equal(e.tie.reqid, gh_xfrm_reqid(9));
    assert_int_equal(e.id.dst.len, 16); /* of the tunnel, not of what is in it */
    assert_true(gh_addr_equal(&e.flow.local, &from));
    assert_int_equal(e.flow.local_port, 0x0301);
    assert_true(e.flow.one_sided);
    assert_int_equal(e.priority, 11);
    assert_int_equal(e.acquire, 12);
    tmpl.reqid = 9;
    assert_false(event(XFRM_MSG_ACQUIRE, &x, sizeof(x), &tmpl, &e));
    assert_false(event(XFRM_MSG_ACQUIRE, &x, sizeof(x), NULL, &e));
}

/* ---- Answers and counters ------------------------------------------------------------------- */

static void the_kernels_own_words(void **state)
{
    static const char words[] = "Requested AEAD algorithm not found";
    struct gh_wr w = gh_wr_make(mem, sizeof(mem));
    size_t begin = gh_nl_begin(&w, NLMSG_ERROR, NLM_F_CAPPED | NLM_F_ACK_TLVS, 5);
    struct gh_nl_message m;
    struct gh_rd r;
    int result;

    gh_nl_put_u32(&w, (uint32_t)-ENOSYS);
    gh_wr_zero(&w, GH_NL_HEADER);
    gh_nl_put_attr(&w, NLMSGERR_ATTR_MSG, words, sizeof(words));
    gh_nl_end(&w, begin);
    r = gh_rd_make(mem, w.len);
    assert_true(gh_nl_next(&r, &m));
    assert_true(gh_xfrm_parse_end(&m, &result, &why));
    assert_int_equal(result, -ENOSYS);
    assert_string_equal(why.text, "the kernel says: Requested AEAD algorithm not found");
    m.flags = 0;
    assert_true(gh_xfrm_parse_end(&m, &result, &why));
    assert_string_equal(why.text, "the kernel does not have this algorithm");
    m.body = gh_rd_make(mem, 3); /* cut: no success */
    assert_true(gh_xfrm_parse_end(&m, &result, &why));
    assert_true(result < 0);
}

static void drops_by_our_names(void **state)
{
    static const char text[] = "XfrmInError             \t1\nXfrmInNoStates          \t20\n"
                               "XfrmInStateProtoError   \t3\nXfrmInTmplMismatch \t4\n"
                               "XfrmOutNoStates 5\nXfrmOutBundleGenError 6\nXfrmNew 9\nnoise\n"
                               "XfrmOutPolBlock 7";
    struct gh_xfrm_stat s;

    gh_xfrm_stat_parse(text, strlen(text), &s);
    assert_int_equal(s.counts[IPSEC_IN][IPSEC_CRYPTO], 1);
    assert_int_equal(s.counts[IPSEC_IN][IPSEC_UNKNOWN_SPI], 20);
    assert_int_equal(s.counts[IPSEC_IN][IPSEC_ICV], 3);
    assert_int_equal(s.counts[IPSEC_IN][IPSEC_CLEAR], 4);
    assert_int_equal(s.counts[IPSEC_OUT][IPSEC_NO_SA], 11);
    assert_int_equal(s.counts[IPSEC_OUT][IPSEC_DISCARDED], 7);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ranges_are_prefixes),
        cmocka_unit_test(pieces_are_the_range),
        cmocka_unit_test(ports_that_the_kernel_has_not),
        cmocka_unit_test(types_and_codes),
        cmocka_unit_test(an_sa_and_back),
        cmocka_unit_test(a_packet_that_waits),
        cmocka_unit_test(algorithms_by_name),
        cmocka_unit_test(what_the_kernel_cannot),
        cmocka_unit_test(selectors_of_sas),
        cmocka_unit_test(no_room),
        cmocka_unit_test(cut_anywhere),
        cmocka_unit_test(to_another_place),
        cmocka_unit_test(what_cannot_move),
        cmocka_unit_test(policies_and_back),
        cmocka_unit_test(expiry),
        cmocka_unit_test(acquires),
        cmocka_unit_test(the_kernels_own_words),
        cmocka_unit_test(drops_by_our_names),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
