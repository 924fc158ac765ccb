/*
 * A TCP of the simplest kind, for tests of the engine: handshake, cumulative ACKs, go-back-N
 * retransmission, FIN. It knows nothing of TCP-AO. It makes and takes whole IP packets; the octet
 * at sequence number s is a function of s, so that the receiver checks all that it gets.
 */
#ifndef GH_TESTS_TOY_TCP_H
#define GH_TESTS_TOY_TCP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tcpao.h"

enum toy_state { TOY_CLOSED, TOY_LISTEN, TOY_SYN_SENT, TOY_SYN_RECEIVED, TOY_ESTABLISHED };

enum { TOY_PACKET_MAX = 65535, TOY_RTO_MS = 2000 };

typedef void (*toy_send_fn)(void *ctx, const uint8_t *packet, size_t len);

struct toy {
    enum toy_state state;
    struct tcpao_endpoint me, peer;
    uint32_t iss, irs;
    uint32_t snd_una, snd_nxt, rcv_nxt;
    uint32_t segment;  /* payload octets a segment */
    uint16_t peer_mss; /* as the local stack saw it */
    bool stamps;       /* the peer's SYN had timestamps */
    uint64_t rto_at;   /* 0: no timer */
    uint64_t received; /* octets of data, in order */
    uint64_t resets, broken;
    toy_send_fn send;
    void *ctx;
};

void toy_connect(struct toy *t, uint64_t now_ms);
void toy_input(struct toy *t, uint64_t now_ms, const uint8_t *packet, size_t len);
/* Sends new data, and keeps it until it is acknowledged. */
void toy_write(struct toy *t, uint64_t now_ms, uint32_t len);
void toy_timer(struct toy *t, uint64_t now_ms);
/* One packet with these flags as of now: for RSTs, keepalives and forgeries. */
void toy_emit(struct toy *t, uint8_t flags, uint32_t seq, uint32_t payload);

#endif
