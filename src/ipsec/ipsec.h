/*
 * The IPsec engine: policies, security associations, and packets in batches (RFC 4301).
 *
 * Called by the process that has the packets. Pure: no input or output, no clock and no randomness
 * of its own, no threads; an engine and all that is in it is for one thread. Packets are changed in
 * place (packet.h). What a packet's result means is in result.h; every result is counted.
 *
 *   going out                                        coming in
 *   policy of the flow: none or DISCARD: drop        ESP, AH, or UDP around ESP: the SA by its SPI,
 *     BYPASS: goes as it is                             window, ICV, window again, what is inside
 *     PROTECT: the newest SA of the policy whose        against the SA's selectors
 *     selectors fit; none: ACQUIRE                    else, its policy: PROTECT means it should not
 *                                                       have come clear: drop
 *
 * Not here: fragmentation and reassembly (the caller reassembles before ipsec_in()), forwarding
 * (the TTL of what is inside is the forwarder's), multicast SAs, and time.
 */
#ifndef IPSEC_IPSEC_H
#define IPSEC_IPSEC_H

#include "ipsec/packet.h"
#include "ipsec/sa.h"

enum ipsec_action { IPSEC_DISCARD, IPSEC_PASS, IPSEC_PROTECT };

/* An entry of the SPD (RFC 4301 4.4.1). Their order is that of the array; the first that matches
 * counts. */
struct ipsec_policy {
    uint32_t id; /* the caller's; several entries may share one */
    uint32_t place;
    enum ipsec_action action;
    bool out, in; /* the directions that it is for; PROTECT: usually both */
    const struct ipsec_selector *selectors; /* copied; a packet matches if one of them does */
    size_t selector_count;
};

enum ipsec_event_kind {
    IPSEC_ACQUIRE, /* policy, flow, place: a packet wants an SA; told for each packet */
    IPSEC_SOFT,    /* sa: reached a soft lifetime; once */
    IPSEC_HARD,    /* sa: reached a hard lifetime, refuses; once */
    IPSEC_SEQ_LOW, /* sa: seven eighths of its sequence numbers are used; once */
    IPSEC_MOVED    /* sa, from, from_port: an authentic packet came from elsewhere (RFC 7296 2.23);
                      once until ipsec_move_sa() */
};

struct ipsec_event {
    enum ipsec_event_kind kind;
    uint64_t sa;
    uint32_t policy, place;
    const struct ipsec_flow *flow;
    struct gh_addr from;
    uint16_t from_port;
};

struct ipsec_setup {
    const char *back_end; /* as ipsec_crypt_new() */
    /* Fills `out` with octets that nobody can foretell; asked for some thousand at a time. False:
     * none; what needs them is then refused. */
    bool (*random)(void *arg, uint8_t *out, size_t len);
    /* Within a call of the engine, which it must not call itself. NULL: nobody listens. */
    void (*event)(void *arg, const struct ipsec_event *e);
    void *arg;
};

struct ipsec;

/* NULL: no such back end, no randomness, or no memory. Without policies, all is dropped. */
struct ipsec *ipsec_new(const struct ipsec_setup *setup);
void ipsec_free(struct ipsec *e); /* wipes all keys; NULL is fine */
const char *ipsec_back_end(const struct ipsec *e);

/* What became of the packets that a policy was for. */
struct ipsec_policy_counts {
    uint64_t out, in; /* that matched; in: what came in clear */
    uint64_t no_sa;   /* of those going out: nothing to protect them with */
};
/* Of the policy in this place of the array; false: there are not so many. */
bool ipsec_policy_look(const struct ipsec *e, size_t order, struct ipsec_policy_counts *out);

/* Replaces all policies at once. Counts of those that stay (id, place and action) go on. False: a
 * selector is not valid, or no memory; nothing changed. */
bool ipsec_set_policies(struct ipsec *e, const struct ipsec_policy *policies, size_t count);

/* False: as ipsec_sa_new(), or its id, or as an incoming SA its SPI, is taken. Of outgoing SAs, the
 * one added last goes first: a rekeyed one takes the traffic over from when it is added. But what
 * is longer as a prefix of the peer's side goes before all wider ones of the policy. */
bool ipsec_add_sa(struct ipsec *e, const struct ipsec_sa_params *params);
/* False: not there. */
bool ipsec_remove_sa(struct ipsec *e, uint64_t id);
/* To read, until the next call that changes SAs. NULL: not there. */
const struct ipsec_sa *ipsec_get_sa(const struct ipsec *e, uint64_t id);
/* New addresses and ports of the outer header (MOBIKE, a NAT that changed). False: not there, or
 * they do not go with the SA. */
bool ipsec_move_sa(struct ipsec *e, uint64_t id, const struct gh_addr *local, uint16_t local_port,
                   const struct gh_addr *remote, uint16_t remote_port);
/* What the path of an outgoing SA takes, outer header included; 0: not known. */
bool ipsec_set_sa_mtu(struct ipsec *e, uint64_t id, uint16_t mtu);
/* How its outer headers come about from now on, and what is put aside. False: not there, or not in
 * the ranges. */
bool ipsec_set_sa_tunnel(struct ipsec *e, uint64_t id, const struct ipsec_tunnel *tunnel);
bool ipsec_set_sa_aside(struct ipsec *e, uint64_t id, const struct ipsec_aside *aside);
/* An outgoing SA by what others see of it, as ICMP errors quote it. NULL: none. */
const struct ipsec_sa *ipsec_get_sa_out(const struct ipsec *e, uint32_t place,
                                        enum ipsec_protocol protocol, uint32_t spi,
                                        const struct gh_addr *remote);

/* Sets `result` in each, and changes those that are OK. now_ms: any clock that does not go back;
 * for ipsec_sa.last_used_ms only. */
void ipsec_out(struct ipsec *e, uint64_t now_ms, struct ipsec_packet *packets, size_t count);
void ipsec_in(struct ipsec *e, uint64_t now_ms, struct ipsec_packet *packets, size_t count);
/* For who wants to see the packets: as they come into ipsec_out() and ipsec_in(), and as they
 * leave. At most IPSEC_BATCH at a time, after each before(); neither calls the engine but to look.
 */
struct ipsec_tap {
    void (*before)(void *arg, enum ipsec_way way, const struct ipsec_packet *packets, size_t count);
    void (*after)(void *arg, enum ipsec_way way, const struct ipsec_packet *packets, size_t count);
    void *arg;
};
/* Borrowed. NULL, as in the beginning: nobody looks. */
void ipsec_set_tap(struct ipsec *e, const struct ipsec_tap *tap);

/* Makes a dummy packet with `len` octets inside (RFC 4303 2.6) of an outgoing tunnel-mode ESP SA,
 * at packet->at. */
void ipsec_dummy(struct ipsec *e, uint64_t now_ms, uint64_t sa, struct ipsec_packet *packet,
                 size_t len);

/* Packets with this result since the beginning. */
uint64_t ipsec_count(const struct ipsec *e, enum ipsec_way way, enum ipsec_result result);

#endif
