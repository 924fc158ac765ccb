/*
 * Two gateways and a network between them that loses, repeats, damages and reorders, while SAs are
 * rekeyed and sequence numbers pass 2^32: whatever was sent arrives at most once, and at least once
 * if the network brought a good copy in time.
 *
 *     GATEHOUSE_SIM_SEED=n    one run alone
 */
#include "../unit/ipsec_pair.h"

#include "wire/rd.h"

enum { RUNS = 12, PACKETS = 4000, FLYING = 256, WINDOW = 128, REKEY_EVERY = 700, LEN = 64 };

struct flying {
    struct buffer b;
    size_t number;
    unsigned due; /* steps until it arrives; 0: no packet */
    bool good;
};

struct net {
    unsigned random;
    struct pair x;
    struct flying flying[FLYING];
    uint8_t sent[PACKETS], good_copy[PACKETS], arrived[PACKETS];
    size_t generation;
    struct ipsec_sa_params first_out, first_in;
};

static struct net net;

static unsigned roll(unsigned n)
{
    net.random = net.random * 1103515245 + 12345;
    return (net.random >> 8) % n;
}

/* Both ends get a new pair; incoming SAs of earlier generations stay for what is on its way. */
static void rekey(void)
{
    struct ipsec_sa_params out = net.first_out, in = net.first_in;
    size_t g = ++net.generation;

    out.id = in.id = 100 + g;
    out.spi = in.spi = (uint32_t)(0x9000 + g);
    if (g % 2) {
        out.esn = in.esn = !out.esn;
        out.last_seq = in.last_seq = 0;
    }
    assert_true(ipsec_add_sa(net.x.b, &in)); /* the receiver first (RFC 7296 2.8) */
    assert_true(ipsec_add_sa(net.x.a, &out));
    if (g > 1)
        assert_true(ipsec_remove_sa(net.x.a, 100 + g - 1));
    if (g > 3)
        assert_true(ipsec_remove_sa(net.x.b, 100 + g - 3));
}

static void launch(const struct buffer *b, size_t number)
{
    for (size_t i = 0; i < FLYING; i++) {
        struct flying *f = &net.flying[i];

        if (f->due > 0)
            continue;
        copy_buffer(&f->b, b);
        f->number = number;
        f->good = roll(10) > 0;
        f->due = 1 + roll(WINDOW / 2);
        if (!f->good)
            octets_of(&f->b)[20 + roll((unsigned)f->b.p.len - 20)] ^= (uint8_t)(1 + roll(255));
        return;
    }
}

static void send_number(size_t number)
{
    static struct buffer b;
    struct gh_wr w;

    make_packet(&b, "10.0.0.1", "10.0.0.2", LEN, 0, true);
    w = gh_wr_make(octets_of(&b) + 40, 4);
    gh_wr_u32(&w, number);
    assert_int_equal(send_one(&net.x, &b), IPSEC_OK);
    net.sent[number] = 1;
    if (roll(10) > 0)
        launch(&b, number);
    while (roll(5) == 0)
        launch(&b, number);
}

static void arrive(struct ipsec_packet *p, const struct flying *f)
{
    struct gh_rd r = gh_rd_make(p->mem + p->at + 40, 4);

    if (!f->good) {
        assert_int_not_equal(p->result, IPSEC_OK);
        return;
    }
    if (net.good_copy[f->number]) {
        assert_int_equal(p->result, IPSEC_REPLAY);
        return;
    }
    net.good_copy[f->number] = 1;
    assert_int_equal(p->result, IPSEC_OK);
    assert_int_equal(gh_rd_u32(&r), f->number);
    net.arrived[f->number]++;
}

/* What is due now comes in one batch, in any order. */
static void step(void)
{
    struct ipsec_packet batch[FLYING];
    const struct flying *from[FLYING];
    size_t n = 0;

    for (size_t i = 0; i < FLYING; i++) {
        struct flying *f = &net.flying[i];

        if (f->due == 0 || --f->due > 0)
            continue;
        from[n] = f;
        batch[n++] = f->b.p;
    }
    ipsec_in(net.x.b, 1, batch, n);
    for (size_t i = 0; i < n; i++)
        arrive(&batch[i], from[i]);
}

static const struct ipsec_crypt_algs *algs_for(unsigned seed)
{
    static struct ipsec_crypt_algs algs;

    switch (seed % 3) {
    case 0:
        algs = algs_of(GH_ENC_AES_GCM_16, 256, GH_INTEG_NONE);
        break;
    case 1:
        algs = algs_of(GH_ENC_AES_CBC, 128, GH_INTEG_HMAC_SHA2_256_128);
        break;
    default:
        algs = algs_of(GH_ENC_AES_CTR, 128, GH_INTEG_HMAC_SHA1_96);
    }
    return &algs;
}

static void run(unsigned seed)
{
    size_t arrived = 0;

    memset(&net, 0, sizeof(net));
    net.random = seed;
    pair_plan(&net.x, *algs_for(seed), "192.0.2.1", "192.0.2.2");
    net.x.out.esn = net.x.in.esn = seed & 1;
    net.x.in.window = WINDOW;
    net.x.out.last_seq = net.x.in.last_seq = seed & 1 ? 0x5fffffe00 : seed & 2 ? 0xffff0000 : 0;
    net.first_out = net.x.out;
    net.first_in = net.x.in;
    pair_up(&net.x, seed % 2 ? "openssl" : NULL, seed % 2 ? NULL : "openssl");
    for (size_t i = 0; i < PACKETS; i++) {
        if (i % REKEY_EVERY == REKEY_EVERY - 1)
            rekey();
        send_number(i);
        step();
    }
    for (size_t i = 0; i < WINDOW; i++)
        step();
    for (size_t i = 0; i < PACKETS; i++) {
        assert_true(net.arrived[i] <= 1);
        assert_int_equal(net.arrived[i], net.good_copy[i]);
        arrived += net.arrived[i];
    }
    assert_true(arrived > PACKETS / 2);
    pair_down(&net.x);
}

static void a_bad_network(void **state)
{
    const char *seed = getenv("GATEHOUSE_SIM_SEED");

    for (unsigned i = 1; i <= RUNS; i++) {
        unsigned n = seed != NULL ? (unsigned)strtoul(seed, NULL, 10) : i;

        print_message("seed %u\n", n);
        run(n);
        if (seed != NULL)
            break;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_bad_network),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
