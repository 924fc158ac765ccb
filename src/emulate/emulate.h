/*
 * Linux's TCP-AO socket options on a kernel that has none: what setsockopt() and getsockopt() of
 * TCP_AO_ADD_KEY, TCP_AO_DEL_KEY, TCP_AO_INFO, TCP_AO_GET_KEYS and TCP_AO_REPAIR answer, with
 * Linux's layouts, limits, semantics and error numbers, carried out by the engine.
 *
 * Pure: what is known of a socket (facts), the option's octets and the time go in; an errno and
 * octets come out, and the engine's socket flows are kept in step. The `ao` process is its shell.
 * It owns the sockets' key tables and wipes them.
 */
#ifndef GH_EMULATE_EMULATE_H
#define GH_EMULATE_EMULATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/clock.h"
#include "tcpao.h"
#include "wire/wr.h"

struct ao_engine;
struct emu;

/* Numbers of <linux/tcp.h>, which Debian 12's does not have. */
enum emu_option {
    EMU_TCP_MD5SIG = 14,
    EMU_TCP_MD5SIG_EXT = 32,
    EMU_TCP_AO_ADD_KEY = 38,
    EMU_TCP_AO_DEL_KEY = 39,
    EMU_TCP_AO_INFO = 40,
    EMU_TCP_AO_GET_KEYS = 41,
    EMU_TCP_AO_REPAIR = 42
};

enum emu_tcp_state { EMU_CLOSED, EMU_LISTEN, EMU_CONNECTED };

/* A socket as it is now; its shell looks. */
struct emu_facts {
    uint64_t cookie; /* SO_COOKIE: names the socket for good */
    uint16_t zone;
    const char *zone_name;
    bool ipv6; /* an AF_INET6 socket; local and remote of IPv4 connections on it are 4 octets */
    enum emu_tcp_state state;            /* EMU_CONNECTED: SYN-SENT to CLOSING */
    bool opening;                        /* SYN-SENT: nobody has accepted it */
    bool repair;                         /* TCP_REPAIR is on */
    struct tcpao_endpoint local, remote; /* addr_len 0: any address, or none */
    uint32_t bound_ifindex;              /* SO_BINDTOIFINDEX, 0: none */
    uint32_t snd_una, rcv_nxt;           /* in repair: the ends of the queues, for TCP_AO_REPAIR */
    uint32_t optmem_left; /* octets that net.core.optmem_max allows the socket's keys */
    const char *program;  /* "bird[812]" */
    bool v6only;          /* IPV6_V6ONLY: matters to a listener with ao_required */
};

struct emu_settings {
    struct ao_engine *engine;
    /* Is this interface of the zone a VRF device? */
    bool (*is_vrf)(void *ctx, uint16_t zone, uint32_t ifindex);
    /* What the shell must keep so that a successor can carry on (emu_restore()): called after each
     * change of a socket's table; len 0: nothing any more. Holds secrets. */
    void (*keep)(void *ctx, uint64_t cookie, const uint8_t *data, size_t len);
    /* The flows of a zone have changed: the shell brings the firewall rules in step before the
     * program goes on (emu_each_flow()). */
    void (*flows_changed)(void *ctx, uint16_t zone);
    void *ctx;
};

struct emu *emu_new(const struct emu_settings *s); /* NULL: no memory */
void emu_free(struct emu *e);                      /* wipes; the engine stays as it is */

/* setsockopt(). 0 or a positive errno. With TCP_MD5SIG*: 0 means that nothing of TCP-AO is in the
 * way and the kernel is to be asked; what it is told is remembered. */
int emu_setsockopt(struct emu *e, struct gh_now now, const struct emu_facts *f, int option,
                   const uint8_t *value, size_t len);

/* getsockopt(): `value` holds what the program gave and has room octets; *len is on entry what it
 * gave as *optlen, on return how many octets are the answer; *reported is what goes to *optlen. 0
 * or a positive errno (then *len is 0).
 *
 * TCP_AO_GET_KEYS has an array, and *optlen is the size of one element: `room` is for all of them.
 * Where that is less than the program has, keys are missing at the end of the answer. */
int emu_getsockopt(struct emu *e, struct gh_now now, const struct emu_facts *f, int option,
                   uint8_t *value, size_t room, size_t *len, size_t *reported);

/* Does the socket, or the connection that it is, have TCP-AO state here? */
bool emu_knows(const struct emu *e, const struct emu_facts *f);

/* Is anything of the socket remembered, if only that it has TCP-MD5 keys? Then emu_gone() is to be
 * called at its end. */
bool emu_remembers(const struct emu *e, uint64_t cookie);

/* Takes note of what a socket is now. After accept(): the child gets its own copy of what its
 * listener had for it, so that a successor carries it on. After TCP_REPAIR was turned off: closing
 * the socket is a farewell again, and not the end of one side of a move. */
void emu_note(struct emu *e, struct gh_now now, const struct emu_facts *f);

/* Before connect(): facts.local.port 0 for an AO socket: *bind_first, and nothing is done. 0 or the
 * errno that connect() fails with (EKEYREJECTED …). A socket that knows nothing of TCP-AO: 0. */
int emu_connect(struct emu *e, struct gh_now now, const struct emu_facts *f,
                const struct tcpao_endpoint *peer, bool *bind_first);
/* Before listen(); facts.local as bound. A socket that binds by itself in listen() gets
 * *bind_first. */
int emu_listen(struct emu *e, struct gh_now now, const struct emu_facts *f, bool *bind_first);
/* The socket is no more: its table goes, flows go with it. Its connection lives on for late
 * segments, unless the socket was under repair: then it vanished, and the engine forgets it. */
void emu_gone(struct emu *e, struct gh_now now, uint64_t cookie);

/* What keep() was told by an earlier instance: before the engine reads its saved connections.
 * False: it is malformed, and ignored. */
bool emu_restore(struct emu *e, struct gh_now now, uint64_t cookie, const uint8_t *data,
                 size_t len);

/* Linux's counters of a network namespace: Good, Bad, KeyNotFound, Required, DroppedIcmps. */
void emu_counters(const struct emu *e, uint16_t zone, uint64_t out[5]);

/* The flows for the firewall. `peer.addr.len` is 4 or 16. */
struct emu_flow {
    struct gh_prefix peer;            /* bits 0: any of the family */
    struct gh_addr local;             /* len 0: any */
    uint16_t local_port, remote_port; /* remote 0: any */
};
void emu_each_flow(const struct emu *e, uint16_t zone,
                   void (*fn)(void *ctx, const struct emu_flow *flow), void *ctx);

#endif
