/*
 * How fast the engine's core judges packets, without a kernel around it: two engines in one
 * process, an established connection, and data segments that one signs and the other verifies and
 * strips. What it costs beyond libtcpao's bench_tcpao is parsing, tables, counters, the saved
 * state and the rewriting of headers.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tcpao/engine.h"
#include "wire/ip.h"
#include "wire/wr.h"

enum { ROUNDS = 20, SEGMENTS = 20000, CONNECTIONS = 16, MTU = 1500, HEADERS = 20 + 32 };

static const struct gh_now now = {.wall = 1800000000, .mono_ms = 1000};
static const uint8_t address[2][4] = {{192, 0, 2, 1}, {192, 0, 2, 2}};
static const uint16_t port[2] = {50000, 179};

struct packet {
    uint8_t data[MTU + 64];
    size_t len;
};

static void fail(const char *what)
{
    fprintf(stderr, "bench_engine: %s failed\n", what);
    exit(2);
}

/* An IPv4 packet from end `from` with timestamps; the checksum is one that the engine updates. */
static void make(struct packet *p, int from, uint32_t seq, uint32_t ack, uint8_t flags,
                 size_t payload)
{
    struct gh_wr w = gh_wr_make(p->data, sizeof(p->data));

    gh_wr_u16(&w, 0x4500);
    gh_wr_u16(&w, HEADERS + payload);
    gh_wr_u32(&w, 0x4000); /* id 0, don't fragment */
    gh_wr_u16(&w, 64 << 8 | GH_IP_TCP);
    gh_wr_u16(&w, 0);
    gh_wr_bytes(&w, address[from], 4);
    gh_wr_bytes(&w, address[!from], 4);
    gh_wr_u16(&w, port[from]);
    gh_wr_u16(&w, port[!from]);
    gh_wr_u32(&w, seq);
    gh_wr_u32(&w, ack);
    gh_wr_u16(&w, 8 << 12 | flags);
    gh_wr_u16(&w, 1024);
    gh_wr_u32(&w, 0);
    gh_wr_u32(&w, 0x0101080a);
    gh_wr_u64(&w, 1);
    gh_wr_zero(&w, payload);
    p->len = w.len;
}

static void judge(struct ao_engine *e, enum ao_way way, const struct packet *p,
                  struct ao_result *result)
{
    const struct ao_packet packet = {.way = way, .mtu = MTU, .data = p->data, .len = p->len};

    ao_engine_packet(e, now, &packet, result);
    if (result->verdict != AO_REPLACE)
        fail(ao_counter_name((unsigned)result->counter));
}

static void take(struct packet *to, const struct packet *from, const struct ao_result *r)
{
    memcpy(to->data, r->head, r->head_len);
    memcpy(to->data + r->head_len, from->data + r->tail, from->len - r->tail);
    to->len = r->head_len + from->len - r->tail;
}

/* Through the sender's engine and the receiver's. */
static void travel(struct ao_engine *const e[2], int from, const struct packet *p)
{
    static struct ao_result result;
    struct packet on_the_wire;

    judge(e[from], AO_OUT, p, &result);
    take(&on_the_wire, p, &result);
    judge(e[!from], AO_IN, &on_the_wire, &result);
}

static struct ao_engine *make_engine(enum tcpao_alg alg, int end)
{
    struct ao_engine_settings settings = {.max_connections = CONNECTIONS,
                                          .memory_len = ao_engine_memory_size(CONNECTIONS)};
    const struct tcpao_mkt mkt = {.number = 1,
                                  .send_id = 1,
                                  .recv_id = 1,
                                  .alg = alg,
                                  .mac_len = 12,
                                  .options_covered = true,
                                  .send = {TCPAO_TIME_MIN, TCPAO_TIME_MAX},
                                  .accept = {TCPAO_TIME_MIN, TCPAO_TIME_MAX},
                                  .secret = (const uint8_t *)"benchmark",
                                  .secret_len = 9};
    struct ao_policy policy = {.name = "peer", .chain_name = "chain", .port = 179};
    struct ao_engine *e;

    settings.memory = calloc(1, settings.memory_len); /* as long as the process */
    e = ao_engine_new(&settings);
    policy.chain = tcpao_chain_new(0);
    policy.peer.addr = gh_addr_from(address[!end], 4);
    policy.peer.bits = 32;
    if (e == NULL || tcpao_chain_add(policy.chain, &mkt, NULL) != TCPAO_CHAIN_OK ||
        !ao_engine_set_policies(e, now, &policy, 1))
        fail("setting up");
    tcpao_chain_put(policy.chain);
    return e;
}

static void handshake(struct ao_engine *const e[2])
{
    struct packet p;

    make(&p, 0, 100, 0, GH_TCP_SYN, 0);
    travel(e, 0, &p);
    make(&p, 1, 200, 101, GH_TCP_SYN | GH_TCP_ACK, 0);
    travel(e, 1, &p);
    make(&p, 0, 101, 201, GH_TCP_ACK, 0);
    travel(e, 0, &p);
}

static double seconds_now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* Nanoseconds a packet of one engine, in its best round: out, then in. */
static void measure(enum tcpao_alg alg, size_t payload)
{
    struct ao_engine *const e[2] = {make_engine(alg, 0), make_engine(alg, 1)};
    double best[2] = {1e9, 1e9};
    static struct ao_result result;
    struct packet p, on_the_wire;

    handshake(e);
    make(&p, 0, 101, 201, GH_TCP_ACK, payload);
    judge(e[0], AO_OUT, &p, &result);
    take(&on_the_wire, &p, &result);
    for (int way = 0; way < 2; way++) {
        for (int i = 0; i < ROUNDS; i++) {
            double start = seconds_now(), ns;

            for (int k = 0; k < SEGMENTS; k++)
                judge(e[way], way == 0 ? AO_OUT : AO_IN, way == 0 ? &p : &on_the_wire, &result);
            ns = (seconds_now() - start) * 1e9 / SEGMENTS;
            best[way] = ns < best[way] ? ns : best[way];
        }
    }
    printf("  %-18s payload %4zu   out %5.0f ns   in %5.0f ns\n", tcpao_alg_name(alg, 12), payload,
           best[0], best[1]);
    ao_engine_free(e[0]);
    ao_engine_free(e[1]);
}

int main(void)
{
    static const enum tcpao_alg algs[] = {TCPAO_HMAC_SHA_1, TCPAO_AES_128_CMAC, TCPAO_HMAC_SHA_256};
    static const size_t payloads[] = {0, 1432};

    for (size_t a = 0; a < sizeof(algs) / sizeof(algs[0]); a++)
        for (size_t i = 0; i < sizeof(payloads) / sizeof(payloads[0]); i++)
            measure(algs[a], payloads[i]);
    return 0;
}
