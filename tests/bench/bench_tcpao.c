/*
 * How fast libtcpao signs and verifies, beside the bare OpenSSL primitive over as many bytes in
 * the same run: EVP_MAC, re-initialised with the key it has.
 *
 *   bench_tcpao            prints a table
 *   bench_tcpao --check    the same; status 1 if a segment costs an allocation, or if one of
 *                          1460 octets is signed or verified at less than 0.8 of the primitive
 *
 * The three take turns in short rounds of processor time and the best round of each counts, so that
 * a busy machine disturbs all alike; where it still did, the rounds go on for a while. The segment
 * has the usual timestamps beside the option.
 */
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <openssl/core_names.h>
#include <openssl/evp.h>

#include "tcpao.h"

enum {
    ROUNDS = 15,
    PATIENCE = 60,
    ROUND_NS = 10000000,
    PAYLOAD_MAX = 8960,
    HEADER = 32,
    MAC_LEN = 12
};

static const size_t payloads[] = {40, 576, 1460, 8960};
static const uint8_t header_of_data[HEADER] = {0,   179,  0xc3, 0x50, 0, 0, 0, 101, 0, 0, 0,
                                               201, 0x80, 0x18, 1,    0, 0, 0, 0,   0, 1, 1,
                                               8,   10,   0,    0,    1, 2, 0, 0,   3, 4};

/* ---- Allocations are counted by standing in front of the C library's ------------------------ */

extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t count, size_t size);
extern void *__libc_realloc(void *p, size_t size);
static uint64_t allocations;

#pragma GCC visibility push(default) /* so that libcrypto finds these */

void *malloc(size_t size)
{
    allocations++;
    return __libc_malloc(size);
}

void *calloc(size_t count, size_t size)
{
    allocations++;
    return __libc_calloc(count, size);
}

void *realloc(void *p, size_t size)
{
    allocations++;
    return __libc_realloc(p, size);
}

#pragma GCC visibility pop

/* ---- What is measured ----------------------------------------------------------------------- */

static void fail(const char *what)
{
    fprintf(stderr, "bench_tcpao: %s failed\n", what);
    exit(2);
}

struct bench {
    struct tcpao_conn *local, *remote; /* the two ends of one connection */
    EVP_MAC_CTX *primitive;
    uint8_t payload[PAYLOAD_MAX];
    size_t payload_len;
    uint8_t hdr[TCPAO_TCP_HEADER_MAX]; /* signed, for verification */
    size_t hdr_len;
};

static void sign(struct bench *b)
{
    uint8_t out[TCPAO_TCP_HEADER_MAX];
    size_t out_len;

    if (tcpao_conn_sign(b->local, 0, header_of_data, HEADER, b->payload, b->payload_len, out,
                        &out_len) != TCPAO_OK)
        fail("sign");
}

static void verify(struct bench *b)
{
    struct tcpao_seen seen;

    if (tcpao_conn_verify(b->remote, 0, b->hdr, b->hdr_len, b->payload, b->payload_len, &seen) !=
        TCPAO_OK)
        fail("verify");
}

/* Octets that the MAC of one segment covers: SNE, pseudo-header, header, payload. */
static size_t covered(const struct bench *b)
{
    return 4 + 12 + b->hdr_len + b->payload_len;
}

static void primitive(struct bench *b)
{
    static uint8_t message[4 + 12 + TCPAO_TCP_HEADER_MAX + PAYLOAD_MAX];
    uint8_t tag[EVP_MAX_MD_SIZE];
    size_t len;

    if (!EVP_MAC_init(b->primitive, NULL, 0, NULL) ||
        !EVP_MAC_update(b->primitive, message, covered(b)) ||
        !EVP_MAC_final(b->primitive, tag, &len, sizeof(tag)))
        fail("EVP_MAC");
}

/* ---- Setting up ----------------------------------------------------------------------------- */

static EVP_MAC_CTX *make_primitive(enum tcpao_alg alg)
{
    static const uint8_t key[TCPAO_TRAFFIC_KEY_MAX];
    static char sha1[] = "SHA1", sha256[] = "SHA256", aes[] = "AES-128-CBC";
    bool cmac = alg == TCPAO_AES_128_CMAC;
    EVP_MAC *mac = EVP_MAC_fetch(NULL, cmac ? "CMAC" : "HMAC", NULL);
    EVP_MAC_CTX *ctx = EVP_MAC_CTX_new(mac);
    OSSL_PARAM params[] = {
        cmac ? OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_CIPHER, aes, 0)
             : OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST,
                                                alg == TCPAO_HMAC_SHA_1 ? sha1 : sha256, 0),
        OSSL_PARAM_construct_end()};

    if (ctx == NULL || !EVP_MAC_init(ctx, key, tcpao_traffic_key_len(alg), params))
        fail("EVP_MAC");
    EVP_MAC_free(mac);
    return ctx;
}

static struct tcpao_conn *make_conn(enum tcpao_alg alg, bool local)
{
    static const struct tcpao_endpoint ends[] = {
        {.addr = {192, 0, 2, 1}, .addr_len = 4, .port = 179},
        {.addr = {192, 0, 2, 2}, .addr_len = 4, .port = 50000}};
    const struct tcpao_mkt mkt = {.number = 1,
                                  .send_id = 1,
                                  .recv_id = 1,
                                  .alg = alg,
                                  .mac_len = MAC_LEN,
                                  .options_covered = true,
                                  .send = {TCPAO_TIME_MIN, TCPAO_TIME_MAX},
                                  .accept = {TCPAO_TIME_MIN, TCPAO_TIME_MAX},
                                  .secret = (const uint8_t *)"benchmark",
                                  .secret_len = 9};
    const struct tcpao_conn_state st = {.local_isn_known = true,
                                        .remote_isn_known = true,
                                        .local_isn = local ? 100 : 200,
                                        .remote_isn = local ? 200 : 100,
                                        .snd = {local ? 100 : 200},
                                        .rcv = {local ? 200 : 100}};
    struct tcpao_chain *chain = tcpao_chain_new(0);
    struct tcpao_conn *c;

    if (chain == NULL || tcpao_chain_add(chain, &mkt, NULL) != TCPAO_CHAIN_OK)
        fail("tcpao_chain_add");
    c = tcpao_conn_new(chain, &ends[local ? 0 : 1], &ends[local ? 1 : 0]);
    if (c == NULL)
        fail("tcpao_conn_new");
    tcpao_conn_import(c, &st);
    tcpao_chain_put(chain);
    return c;
}

/* ---- Measuring ------------------------------------------------------------------------------ */

static uint64_t now_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* Calls a second in one round. */
static double round_of(void (*fn)(struct bench *), struct bench *b)
{
    uint64_t start = now_ns(), elapsed, calls = 0;

    do {
        for (int i = 0; i < 64; i++)
            fn(b);
        calls += 64;
        elapsed = now_ns() - start;
    } while (elapsed < ROUND_NS);
    return (double)calls * 1e9 / (double)elapsed;
}

static double max(double a, double b)
{
    return a > b ? a : b;
}

static double allocations_of(void (*fn)(struct bench *), struct bench *b)
{
    uint64_t before = allocations;

    for (int i = 0; i < 1000; i++)
        fn(b);
    return (double)(allocations - before) / 1000;
}

static void print_line(const struct bench *b, const char *what, double rate, double bare,
                       double mallocs)
{
    printf("  %-8s %10.0f segments/s %9.1f MB/s   ratio %.2f   %.0f mallocs/segment\n", what, rate,
           rate * (double)b->payload_len / 1e6, rate / bare, mallocs);
}

/* Missed the target, which is set for segments of 1460 octets. */
static bool too_slow(const struct bench *b, double signing, double verifying, double bare)
{
    return b->payload_len == 1460 && (signing < 0.8 * bare || verifying < 0.8 * bare);
}

/* False: an allocation, or too slow. */
static bool measure(struct bench *b, const char *name)
{
    double bare = 0, signing = 0, verifying = 0, mallocs[2];

    if (tcpao_conn_sign(b->local, 0, header_of_data, HEADER, b->payload, b->payload_len, b->hdr,
                        &b->hdr_len) != TCPAO_OK)
        fail("sign");
    verify(b);
    for (int i = 0; i < ROUNDS || (i < PATIENCE && too_slow(b, signing, verifying, bare)); i++) {
        bare = max(bare, round_of(primitive, b));
        signing = max(signing, round_of(sign, b));
        verifying = max(verifying, round_of(verify, b));
    }
    mallocs[0] = allocations_of(sign, b);
    mallocs[1] = allocations_of(verify, b);
    printf("%s, payload %zu (MAC over %zu octets)\n", name, b->payload_len, covered(b));
    printf("  %-8s %10.0f messages/s %9.1f MB/s\n", "OpenSSL", bare,
           bare * (double)covered(b) / 1e6);
    print_line(b, "sign", signing, bare, mallocs[0]);
    print_line(b, "verify", verifying, bare, mallocs[1]);
    return mallocs[0] + mallocs[1] == 0 && !too_slow(b, signing, verifying, bare);
}

int main(int argc, char **argv)
{
    static const enum tcpao_alg algs[] = {TCPAO_HMAC_SHA_1, TCPAO_AES_128_CMAC, TCPAO_HMAC_SHA_256};
    static struct bench b;
    uint64_t before;
    bool ok = true;

    for (size_t a = 0; a < sizeof(algs) / sizeof(algs[0]); a++) {
        b.local = make_conn(algs[a], true);
        b.remote = make_conn(algs[a], false);
        before = allocations;
        b.primitive = make_primitive(algs[a]);
        if (allocations == before)
            fail("counting allocations");
        for (size_t p = 0; p < sizeof(payloads) / sizeof(payloads[0]); p++) {
            b.payload_len = payloads[p];
            ok = measure(&b, tcpao_alg_name(algs[a], MAC_LEN)) && ok;
        }
        tcpao_conn_free(b.local);
        tcpao_conn_free(b.remote);
        EVP_MAC_CTX_free(b.primitive);
    }
    if (argc > 1 && strcmp(argv[1], "--check") == 0 && !ok) {
        fprintf(stderr, "bench_tcpao: an allocation per segment, or below 0.8 at 1460 octets\n");
        return 1;
    }
    return 0;
}
