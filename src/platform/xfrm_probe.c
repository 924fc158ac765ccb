#include "platform/xfrm_probe.h"

#include <errno.h>
#include <sched.h>
#include <string.h>
#include <unistd.h>

#include "platform/netns.h"
#include "platform/xfrm.h"
#include "platform/xfrm_ask.h"

enum { IPV4, IPV6, ENCS = 32, INTEGS = 32, KEY_MAX = 64 };

static const struct gh_addr ends[2][2] = {
    {{.octets = {192, 0, 2, 1}, .len = 4}, {.octets = {192, 0, 2, 2}, .len = 4}},
    {{.octets = {0x20, 1, 0xd, 0xb8, [15] = 1}, .len = 16},
     {.octets = {0x20, 1, 0xd, 0xb8, [15] = 2}, .len = 16}}};

/* Octets that are no weak key of any algorithm, and nobody's secret. */
static const uint8_t key[KEY_MAX] =
    "not a secret: this SA only asks what the kernel has, then goes.";

static unsigned some_bits(enum gh_enc_alg enc)
{
    return gh_enc_known(enc, 128) ? 128 : 0;
}

struct trial {
    struct gh_xfrm x;
    struct gh_xfrm_why *why;
    struct ipsec_selector all[2];
    uint32_t spi;
};

static struct ipsec_sa_params plan(struct trial *t, int version, enum ipsec_protocol protocol,
                                   enum gh_enc_alg enc, enum gh_integ_alg integ)
{
    unsigned bits = some_bits(enc);

    return (struct ipsec_sa_params){.id = 1,
                                    .spi = ++t->spi,
                                    .protocol = protocol,
                                    .mode = IPSEC_TUNNEL,
                                    .way = IPSEC_IN,
                                    .local = ends[version][0],
                                    .remote = ends[version][1],
                                    .algs = {enc,
                                             bits,
                                             integ,
                                             {key, gh_enc_key_len(enc, bits)},
                                             {key, gh_integ_key_len(integ)}},
                                    .window = IPSEC_WINDOW_MIN,
                                    .selectors = t->all,
                                    .selector_count = 2};
}

static bool try(struct trial *t, const struct ipsec_sa_params *p)
{
    const struct gh_xfrm_sa sa = {.params = p, .tie = {.reqid = gh_xfrm_reqid(0)}};

    return gh_xfrm_add_sa(&t->x, &sa, t->why);
}

static bool try_algs(struct trial *t, enum gh_enc_alg enc, enum gh_integ_alg integ)
{
    const struct ipsec_sa_params p = plan(t, IPV4, IPSEC_ESP, enc, integ);

    return gh_icv_len(enc, integ) != 0 && gh_enc_known(enc, some_bits(enc)) && try(t, &p);
}

static enum gh_integ_alg lowest(uint32_t bits)
{
    for (unsigned i = 0; i < INTEGS; i++)
        if (bits >> i & 1)
            return (enum gh_integ_alg)i;
    return GH_INTEG_NONE;
}

static void try_algorithms(struct trial *t, struct gh_xfrm_support *s)
{
    for (unsigned i = 1; i < INTEGS; i++)
        if (gh_integ_known((enum gh_integ_alg)i) &&
            (try_algs(t, GH_ENC_AES_CBC, (enum gh_integ_alg)i) ||
             try_algs(t, GH_ENC_NULL, (enum gh_integ_alg)i)))
            s->integ |= 1u << i;
    for (unsigned i = 1; i < ENCS; i++) {
        enum gh_enc_alg enc = (enum gh_enc_alg)i;

        if (try_algs(t, enc, gh_enc_is_aead(enc) ? GH_INTEG_NONE : lowest(s->integ)))
            s->enc |= 1u << i;
    }
}

/* With any algorithms that the kernel has. */
static bool some_algs(const struct gh_xfrm_support *s, enum gh_enc_alg *enc,
                      enum gh_integ_alg *integ)
{
    for (unsigned i = 1; i < ENCS; i++)
        if (s->enc >> i & 1) {
            *enc = (enum gh_enc_alg)i;
            *integ = gh_enc_is_aead(*enc) ? GH_INTEG_NONE : lowest(s->integ);
            return true;
        }
    return false;
}

static void note_if_id(void *ctx, const struct gh_xfrm_sa_info *sa)
{
    bool *found = ctx;

    *found |= sa->if_id == 1;
}

static void try_more(struct trial *t, struct gh_xfrm_support *s)
{
    struct ipsec_sa_params p;
    struct gh_xfrm_sa sa = {.params = &p, .tie = {.reqid = gh_xfrm_reqid(0), .if_id = 1}};
    enum gh_enc_alg enc;
    enum gh_integ_alg integ;

    if (!some_algs(s, &enc, &integ))
        return;
    for (int version = IPV4; version <= IPV6; version++) {
        p = plan(t, version, IPSEC_ESP, enc, integ);
        s->esp[version] = try(t, &p);
        p = plan(t, version, IPSEC_ESP, enc, integ);
        p.local_port = p.remote_port = 4500;
        s->encapsulation[version] = try(t, &p);
        p = plan(t, version, IPSEC_AH, GH_ENC_NULL, lowest(s->integ));
        s->ah[version] = s->integ != 0 && try(t, &p);
    }
    p = plan(t, IPV4, IPSEC_ESP, enc, integ);
    for (p.window = IPSEC_WINDOW_MAX; p.window > IPSEC_WINDOW_MIN && !try(t, &p); p.window /= 2)
        ;
    s->window = p.window;
    p = plan(t, IPV4, IPSEC_ESP, enc, integ);
    if (gh_xfrm_add_sa(&t->x, &sa, t->why)) /* an older kernel adds it without */
        (void)gh_xfrm_each_sa(&t->x, note_if_id, &s->interfaces);
}

int gh_xfrm_probe(struct gh_xfrm_support *out, struct gh_xfrm_why *why)
{
    static const struct gh_prefix any[2] = {{.addr = {.len = 4}}, {.addr = {.len = 16}}};
    struct trial t = {.x = {.ask = -1, .heard = -1}, .why = why, .spi = 256};
    int back, result = gh_netns_enter("/proc/self/ns/net", &back);

    *out = (struct gh_xfrm_support){.window = 0};
    *why = (struct gh_xfrm_why){.text = "no network namespace to try it in"};
    for (int i = 0; i < 2; i++)
        t.all[i] = ipsec_selector_between(&any[i], &any[i]);
    if (result != 0)
        return result;
    if (unshare(CLONE_NEWNET) != 0)
        result = -errno;
    if (result == 0 && (t.x.ask = gh_xfrm_ask_open()) < 0) {
        result = -errno;
        gh_xfrm_refuse(why, "the kernel has no XFRM");
    }
    if (result == 0) {
        try_algorithms(&t, out);
        try_more(&t, out);
    }
    gh_netns_leave(back);
    gh_xfrm_close(&t.x);
    if (result == 0 && !out->esp[IPV4] && !out->esp[IPV6])
        return -EPROTONOSUPPORT;
    return result;
}

bool gh_xfrm_has(const struct gh_xfrm_support *s, enum ipsec_protocol protocol, enum gh_enc_alg enc,
                 enum gh_integ_alg integ)
{
    bool has_integ = integ == GH_INTEG_NONE || s->integ >> (unsigned)integ & 1;

    if (protocol == IPSEC_AH)
        return (s->ah[IPV4] || s->ah[IPV6]) && enc == GH_ENC_NULL && integ != GH_INTEG_NONE &&
               has_integ;
    return gh_icv_len(enc, integ) != 0 && s->enc >> (unsigned)enc & 1 && has_integ;
}
