/*
 * What a packet through the IPsec engine costs on one core: policy, SA, headers and cryptography,
 * out and in, by algorithm, back end, packet length and number of tunnels.
 *
 *   bench_ipsec [SECONDS [ALGORITHM]]   per figure (default 0.2); all, or those whose name begins
 * so bench_ipsec scaling [SECONDS]       AES-128-GCM by number of tunnels and order, as JSON
 *
 * Each tunnel has a policy and an SA each way of its own; packets take them in no order, in batches
 * of 64. In "scaling" they take them in turns, or all the same one: what the latter costs more than
 * with one tunnel alone is finding policy and SA; what the former costs more than the latter is
 * memory, for nothing of a tunnel is in a cache when its turn comes.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "ipsec/ipsec.h"
#include "wire/wr.h"

enum { BATCH = 64, ROOM = 2048, AT = 128, IN_SPI = 4096 };

static const struct {
    const char *name;
    enum gh_enc_alg enc;
    unsigned bits;
    enum gh_integ_alg integ;
} algs[] = {
    {"aes128gcm16", GH_ENC_AES_GCM_16, 128, GH_INTEG_NONE},
    {"aes256gcm16", GH_ENC_AES_GCM_16, 256, GH_INTEG_NONE},
    {"chacha20poly1305", GH_ENC_CHACHA20_POLY1305, 0, GH_INTEG_NONE},
    {"aes128ccm16", GH_ENC_AES_CCM_16, 128, GH_INTEG_NONE},
    {"aes128-sha256", GH_ENC_AES_CBC, 128, GH_INTEG_HMAC_SHA2_256_128},
    {"aes256-sha512", GH_ENC_AES_CBC, 256, GH_INTEG_HMAC_SHA2_512_256},
    {"aes128-sha1", GH_ENC_AES_CBC, 128, GH_INTEG_HMAC_SHA1_96},
    {"aes128-aesxcbc", GH_ENC_AES_CBC, 128, GH_INTEG_AES_XCBC_96},
    {"aes128ctr-sha256", GH_ENC_AES_CTR, 128, GH_INTEG_HMAC_SHA2_256_128},
    {"null-sha256", GH_ENC_NULL, 0, GH_INTEG_HMAC_SHA2_256_128},
    {"gmac128", GH_ENC_NULL_AES_GMAC, 128, GH_INTEG_NONE},
    {"3des-sha1", GH_ENC_3DES, 0, GH_INTEG_HMAC_SHA1_96},
};

enum order { NO_ORDER, IN_TURNS, ONE };

static uint8_t mem[BATCH][ROOM], secret[64];
static struct ipsec_packet packets[BATCH];

/* Of this thread's processor time: what else runs on the machine counts less. */
static double seconds(void)
{
    struct timespec t;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static bool some_octets(void *arg, uint8_t *out, size_t len)
{
    for (size_t i = 0; i < len; i++)
        out[i] = (uint8_t)rand();
    return true;
}

static struct gh_addr site(size_t i)
{
    const uint8_t octets[4] = {10, (uint8_t)(i >> 16), (uint8_t)(i >> 8), (uint8_t)i};

    return gh_addr_from(octets, 4);
}

static struct ipsec_selector selector(size_t i, bool turned)
{
    const struct gh_prefix one = {.addr = site(i), .bits = 32}, all = {.addr = {.len = 4}};

    return turned ? ipsec_selector_between(&one, &all) : ipsec_selector_between(&all, &one);
}

/* One engine that sends through each tunnel to itself. */
static struct ipsec *engine(const char *back_end, size_t alg, size_t tunnels)
{
    const struct ipsec_setup setup = {.back_end = back_end, .random = some_octets};
    struct ipsec_policy *policies = calloc(tunnels, sizeof(*policies));
    struct ipsec_selector *selectors = calloc(tunnels, sizeof(*selectors));
    struct ipsec *e = ipsec_new(&setup);
    bool ok = policies != NULL && selectors != NULL && e != NULL;

    for (size_t i = 0; ok && i < tunnels; i++) {
        const struct ipsec_selector turned = selector(i, true);
        struct ipsec_sa_params p = {
            .id = 2 * i + 1,
            .spi = (uint32_t)(IN_SPI + i),
            .protocol = IPSEC_ESP,
            .way = IPSEC_OUT,
            .policy = (uint32_t)i,
            .local = site(1),
            .remote = site(1),
            .algs = {.enc = algs[alg].enc,
                     .bits = algs[alg].bits,
                     .integ = algs[alg].integ,
                     .enc_key = {secret, gh_enc_key_len(algs[alg].enc, algs[alg].bits)},
                     .integ_key = {secret, gh_integ_key_len(algs[alg].integ)}},
            .esn = true,
            .selectors = &selectors[i],
            .selector_count = 1};

        selectors[i] = selector(i, false);
        policies[i] = (struct ipsec_policy){.id = (uint32_t)i,
                                            .action = IPSEC_PROTECT,
                                            .out = true,
                                            .in = true,
                                            .selectors = &selectors[i],
                                            .selector_count = 1};
        secret[0] = (uint8_t)i;
        ok = ipsec_add_sa(e, &p);
        p.id++;
        p.way = IPSEC_IN;
        p.window = 64;
        p.selectors = &turned;
        ok = ok && ipsec_add_sa(e, &p);
    }
    if (!ok || !ipsec_set_policies(e, policies, tunnels)) {
        fprintf(stderr, "bench_ipsec: no engine\n");
        exit(1);
    }
    free(policies);
    free(selectors);
    return e;
}

static size_t next_tunnel(size_t tunnels, enum order order)
{
    static size_t turn;

    switch (order) {
    case NO_ORDER:
        return (size_t)rand() % tunnels;
    case IN_TURNS:
        return turn++ % tunnels;
    case ONE:
        break;
    }
    return tunnels / 2;
}

static void fill(size_t len, size_t tunnels, enum order order)
{
    for (size_t i = 0; i < BATCH; i++) {
        struct gh_wr w = gh_wr_make(mem[i] + AT, ROOM - AT);
        const struct gh_addr src = site(3), dst = site(next_tunnel(tunnels, order));

        gh_wr_u16(&w, 0x4500);
        gh_wr_u16(&w, len);
        gh_wr_u32(&w, 0x4000);
        gh_wr_u16(&w, 0x4011);
        gh_wr_u16(&w, 0);
        gh_wr_bytes(&w, src.octets, 4);
        gh_wr_bytes(&w, dst.octets, 4);
        packets[i] = (struct ipsec_packet){.mem = mem[i], .cap = ROOM, .at = AT, .len = len};
    }
}

static void all_ok(void)
{
    for (size_t i = 0; i < BATCH; i++)
        if (packets[i].result != IPSEC_OK) {
            fprintf(stderr, "bench_ipsec: %s\n", ipsec_result_text(packets[i].result));
            exit(1);
        }
}

/* Nanoseconds a packet. */
struct cost {
    double out, in;
};

static struct cost measure(struct ipsec *e, size_t len, size_t tunnels, enum order order,
                           double duration)
{
    struct cost cost = {0};
    double began, until = seconds() + duration;
    size_t n = 0;

    do {
        fill(len, tunnels, order);
        began = seconds();
        ipsec_out(e, 1, packets, BATCH);
        cost.out += seconds() - began;
        all_ok();
        began = seconds();
        ipsec_in(e, 1, packets, BATCH);
        cost.in += seconds() - began;
        all_ok();
        n += BATCH;
    } while (seconds() < until || n < tunnels);
    cost.out *= 1e9 / (double)n;
    cost.in *= 1e9 / (double)n;
    return cost;
}

static const char *const back_ends[] = {"openssl", "ipsec-mb"};
static const size_t tunnels[] = {1, 1000, 32000}, lengths[] = {64, 1400};

static size_t back_end_count(void)
{
    struct ipsec_crypt *mb = ipsec_crypt_new("ipsec-mb");
    const bool there = mb != NULL;

    ipsec_crypt_free(mb);
    return there ? 2 : 1;
}

static int scaling(double duration)
{
    static const struct {
        enum order order;
        const char *name;
    } orders[] = {{IN_TURNS, "turns"}, {ONE, "one"}};
    const char *comma = "[";

    for (size_t b = 0; b < back_end_count(); b++)
        for (size_t t = 0; t < 3; t++) {
            struct ipsec *e = engine(back_ends[b], 0, tunnels[t]);

            for (size_t o = 0; o < (tunnels[t] > 1 ? 2 : 1); o++)
                for (size_t l = 0; l < 2; l++) {
                    const struct cost c =
                        measure(e, lengths[l], tunnels[t], orders[o].order, duration);

                    printf("%s{\"back_end\": \"%s\", \"octets\": %zu, \"tunnels\": %zu, "
                           "\"order\": \"%s\", \"out\": %.1f, \"in\": %.1f}",
                           comma, back_ends[b], lengths[l], tunnels[t], orders[o].name, c.out,
                           c.in);
                    comma = ",\n ";
                }
            ipsec_free(e);
        }
    puts("]");
    return 0;
}

int main(int argc, char **argv)
{
    double duration = argc > 1 ? strtod(argv[1], NULL) : 0.2;
    const size_t count = back_end_count();

    if (argc > 1 && strcmp(argv[1], "scaling") == 0)
        return scaling(argc > 2 ? strtod(argv[2], NULL) : 0.2);
    printf("ns per packet, out and in         %16s%32s%32s\n", "1 tunnel", "1000 tunnels",
           "32000 tunnels");
    printf("%-18s %-9s%17s%15s", "", "", "64 octets", "1400");
    printf("%17s%15s%17s%15s\n", "64 octets", "1400", "64 octets", "1400");
    for (size_t a = 0; a < sizeof(algs) / sizeof(algs[0]); a++)
        for (size_t b = 0; b < count; b++) {
            if (argc > 2 && strncmp(algs[a].name, argv[2], strlen(argv[2])) != 0)
                continue;
            printf("%-18s %-9s ", algs[a].name, back_ends[b]);
            for (size_t t = 0; t < 3; t++) {
                struct ipsec *e = engine(back_ends[b], a, tunnels[t]);

                for (size_t l = 0; l < 2; l++) {
                    const struct cost c = measure(e, lengths[l], tunnels[t], NO_ORDER, duration);

                    printf(" %7.0f %7.0f", c.out, c.in);
                }
                fflush(stdout);
                ipsec_free(e);
            }
            printf("\n");
        }
    return 0;
}
