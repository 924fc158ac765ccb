/*
 * "Why does the MAC not match?": tries the usual suspects on one refused segment.
 *
 * A wrong option flag, swapped ids, another algorithm or MAC length, another key of the chain, or
 * an address that NAT changed all look like a wrong key from outside. Given the segment, the
 * chain and the ISNs this tries each and names the one whose MAC fits. The engine calls it (rarely,
 * rate-limited) and verify-pcap per failing segment. Pure.
 *
 * Work is bounded: at most AO_DIAGNOSE_TRIALS MACs over the segment, whatever the chain and the
 * suspects hold.
 */
#ifndef GH_TCPAO_DIAGNOSE_H
#define GH_TCPAO_DIAGNOSE_H

#include "tcpao.h"

enum { AO_DIAGNOSE_TRIALS = 600 };

/* What was refused. Endpoints as on the wire: src sent it. */
struct ao_specimen {
    const struct tcpao_chain *chain;
    struct tcpao_endpoint src, dst;
    uint32_t src_isn, dst_isn; /* dst_isn 0 for a SYN */
    uint32_t sne;
    bool from_peer; /* the segment's KeyID is compared with our recv-ids (else with send-ids) */
    const uint8_t *hdr;
    size_t hdr_len;
    const uint8_t *payload;
    size_t payload_len;
};

/* Addresses to try in place of src or dst (a NAT's other side); may be empty. */
struct ao_suspects {
    const struct tcpao_endpoint *addresses;
    size_t count;
};

/* True when a suspect fits: `text` then says which, and what to change ("options are not covered
 * at the peer: set include-tcp-options = false for key 1"). */
bool ao_diagnose(const struct ao_specimen *s, const struct ao_suspects *suspects, char *text,
                 size_t text_len);

#endif
