/*
 * What the files of the emulation share; nobody else includes it.
 *
 *   emulate.c     life, connect, listen, counters
 *   table.c       the sockets and their keys
 *   set.c         setsockopt()
 *   get.c         getsockopt()
 *   layout.c      the options' octets
 *   match.c       whose peer a key is for
 *   flows.c       tables as the engine's flows
 *   connection.c  the engine's connection of a socket: keys, counters, repair
 *   md5.c         TCP-MD5 keys that stand in the way
 *   keep.c        what a successor needs
 */
#ifndef GH_EMULATE_PRIV_H
#define GH_EMULATE_PRIV_H

#include "crypto/mac.h"
#include "emulate/emulate.h"
#include "emulate/layout.h"
#include "tcpao/endpoint.h"
#include "tcpao/engine.h"

enum emu_limits {
    EMU_TEXT = 64,
    /* net.core.optmem_max is charged with Linux's struct tcp_ao_key and its two traffic keys. */
    EMU_KEY_CHARGE = 168,
    /* TCP-MD5 keys of one socket: Linux has room for some 1000 with its default optmem_max. */
    EMU_MD5_MAX = 8192,
    /* TCP options of a SYN beside ours: MSS, timestamps, window scaling. */
    EMU_SYN_ROOM = 20
};

/* Numbers of keys in the engine's chains. Without a choice the engine takes the highest number;
 * Linux takes the key added last when it connects, and (children's lists are turned around) the one
 * added first when it accepts. So a listener's chains count downwards. */
static inline uint32_t emu_turned(uint32_t number)
{
    return UINT32_MAX - number;
}

/* For whom a key is. */
struct emu_scope {
    struct gh_addr addr; /* of the family; all zero: any */
    uint8_t bits;
    uint8_t flags;    /* EMU_KEYF_* */
    uint32_t ifindex; /* with EMU_KEYF_IFINDEX: of the VRF, 0: none */
};

struct emu_key {
    struct emu_key *next;
    uint32_t number; /* in the engine's chains (see emu_turned()) */
    struct emu_scope scope;
    uint8_t send_id, recv_id, mac_len;
    enum tcpao_alg alg;
    uint8_t key_len;
    uint8_t key[EMU_KEY_MAX];
    uint64_t good, bad; /* beside what the engine counts now */
    bool newest;        /* none before it in the list is for the same peer */
};

/* The chain of one peer of a listener, as the engine was told it: the same as long as no key that
 * covers the peer comes or goes, so that the engine finds its flow unchanged. */
struct emu_chain {
    struct emu_chain *next;
    struct gh_prefix peer;
    struct tcpao_chain *chain;
};

/* A TCP-MD5 key that the kernel has. */
struct emu_md5_key {
    struct emu_md5_key *next;
    struct gh_addr addr;
    uint8_t bits;
    bool ifindex_meant;
    uint32_t ifindex;
};

enum emu_role { EMU_IDLE, EMU_LISTENS, EMU_CONNECTS };

/* A socket of which something is known. */
struct emu_table {
    struct emu_table *next; /* in its hash bucket */
    uint64_t cookie;
    uint16_t zone;
    char zone_name[EMU_TEXT], program[EMU_TEXT];
    bool ipv6, v6only;
    enum emu_role role;
    bool child;     /* accepted: the flow is its listener's */
    bool flowing;   /* the engine has flows of it */
    bool repair_on; /* when last looked: closing it then ends the connection without a segment */
    uint32_t vrf;   /* the VRF that the socket is bound to, or 0 */
    struct tcpao_endpoint local, remote;
    struct gh_addr flow_local; /* as the flow says it: stays when the address becomes known */

    bool has_ao; /* what Linux calls ao_info exists; without: only TCP-MD5 keys are known */
    bool ao_required, accept_icmps;
    struct emu_key *keys;      /* added last comes first */
    struct emu_chain **chains; /* by peer; NULL before the first */
    size_t chain_mask, chain_count;
    size_t vrf_keys;      /* that name a VRF */
    uint32_t chain_vrf;   /* for which they were made, … */
    uint8_t chain_family; /* and for a local address of this length */
    bool current_known, rnext_known;
    uint32_t current, rnext;  /* numbers of keys; the engine's connection knows better */
    uint64_t counters[5];     /* beside what the engine counts now */
    struct emu_repair repair; /* where the engine has no connection */
    struct emu_md5_key *md5;
};

/* Whose a key was that is on no listener any more, but perhaps on a child that has not spoken yet.
 */
struct emu_origin {
    uint32_t number;
    struct emu_scope scope;
    bool used; /* while sweeping: a connection has it */
};

struct emu {
    struct emu_settings settings;
    struct emu_table **buckets;
    size_t mask, count;
    uint32_t last_number;
    struct emu_origin *origins;
    size_t origin_count, origin_room, origin_limit;
};

/* table.c */
struct emu_table *emu_find(const struct emu *e, uint64_t cookie);
struct emu_table *emu_table_add(struct emu *e, uint64_t cookie); /* NULL: no memory */
/* Wipes its keys; knows nothing of the engine. */
void emu_table_remove(struct emu *e, struct emu_table *t);
void emu_each_table(const struct emu *e, void (*fn)(void *ctx, struct emu_table *t), void *ctx);
void emu_table_clear_ao(struct emu *e, struct emu_table *t);
struct emu_key *emu_key_new(struct emu *e); /* with a number; NULL: no memory */
void emu_key_free(struct emu_key *k);       /* wipes */
/* Takes it from the list and frees it; remembers whose it was if children may have copies. */
void emu_key_drop(struct emu *e, struct emu_table *t, struct emu_key *k);
void emu_key_retire(struct emu *e, struct emu_table *t, struct emu_key *k); /* already unlinked */
void emu_key_unlink(struct emu_table *t, struct emu_key *k);
void emu_key_link(struct emu_table *t, struct emu_key *k); /* as the first */
/* At any place: `at` is &t->keys or the `next` of a key in the list. */
void emu_key_insert(struct emu_table *t, struct emu_key **at, struct emu_key *k);
struct emu_key *emu_key_by_number(const struct emu_table *t, uint32_t number);
/* The first with this SendID and RecvID; -1: whatever. NULL: none. */
struct emu_key *emu_key_by_ids(const struct emu_table *t, int send_id, int recv_id);
/* Whose a key of a child is, by the number in its chain. The listener's key itself where there is
 * one, else *scope alone. False: nobody knows. */
bool emu_origin_find(const struct emu *e, uint32_t number, const struct emu_key **key,
                     struct emu_scope *scope);
size_t emu_key_charge(const struct emu_key *k);
size_t emu_table_charge(const struct emu_table *t);

/* match.c */
/* Linux's comparison: vrf -1: any VRF; an "any" address on either side equals all of its family. */
bool emu_scope_matches(const struct emu_scope *s, int64_t vrf, const struct gh_addr *addr,
                       unsigned bits);
/* The first key for this peer. bits: those of a prefix that is asked for, 255 for an address. */
struct emu_key *emu_lookup(const struct emu_table *t, int64_t vrf, const struct gh_addr *addr,
                           unsigned bits, int send_id, int recv_id);

/* md5.c */
/* 0: the kernel may be asked; or EKEYREJECTED. */
int emu_md5_set(struct emu *e, struct gh_now now, const struct emu_facts *f, int option,
                const uint8_t *value, size_t len);
/* Is there a TCP-MD5 key for this peer? vrf -1: of any VRF. */
bool emu_md5_lookup(const struct emu_table *t, int64_t vrf, const struct gh_addr *addr);
void emu_md5_clear(struct emu_table *t);

/* flows.c */
/* Before a key for these peers comes or goes: chains that it is or would be in are made anew. */
void emu_chains_forget(struct emu_table *t, const struct emu_scope *scope);
void emu_chains_clear(struct emu_table *t);
/* Tells the engine the table's flows and the shell that they changed. False: no memory; the engine
 * has the earlier ones. */
bool emu_flows_update(struct emu *e, struct gh_now now, struct emu_table *t);
/* The chain of a connection: all keys of the table. NULL: no memory. */
struct tcpao_chain *emu_chain_of(const struct emu_table *t);
/* Each peer (a prefix) of which the table's flows take segments. */
void emu_each_peer(const struct emu_table *t, void (*fn)(void *ctx, const struct gh_prefix *peer),
                   void *ctx);

/* connection.c */
/* The socket's table, brought up to date with what the socket is now; an accepted child gets its
 * own here. NULL: it has none, or (*error) no memory. */
struct emu_table *emu_table_of(struct emu *e, struct gh_now now, const struct emu_facts *f,
                               int *error);
/* What does not depend on the socket's state. */
void emu_refresh(struct emu *e, struct emu_table *t, const struct emu_facts *f);
/* Its ends, from here on also those of its flow. */
void emu_place(struct emu_table *t, const struct emu_facts *f);
/* What the engine's connection of this socket has. False: there is none. */
bool emu_connection(const struct emu *e, const struct emu_table *t, struct ao_connection_keys *out);
struct emu_key *emu_current(const struct emu *e, const struct emu_table *t);
struct emu_key *emu_rnext(const struct emu *e, const struct emu_table *t);
void emu_set_current(struct emu *e, struct gh_now now, struct emu_table *t, struct emu_key *k);
void emu_set_rnext(struct emu *e, struct gh_now now, struct emu_table *t, struct emu_key *k);
void emu_set_accept_icmps(struct emu *e, struct gh_now now, struct emu_table *t, bool accept);
/* After its list of keys changed: engine, firewall and successor know. False: no memory. */
bool emu_keys_changed(struct emu *e, struct gh_now now, struct emu_table *t);
void emu_read_counters(const struct emu *e, const struct emu_table *t, uint64_t out[5]);
void emu_write_counters(const struct emu *e, struct emu_table *t, const uint64_t values[5]);
void emu_key_counters(const struct emu *e, const struct emu_table *t, const struct emu_key *k,
                      uint64_t *good, uint64_t *bad);
/* What the engine has counted until now is added to what the table has; and the reverse. Around a
 * change that makes the engine forget counters. */
void emu_fold_counters(const struct emu *e, struct emu_table *t);
void emu_unfold_counters(const struct emu *e, struct emu_table *t);
/* Linux's five of the engine's. */
void emu_linux_counters(const uint64_t *counters, uint64_t out[5]);
int emu_repair_set(struct emu *e, struct gh_now now, struct emu_table *t, const struct emu_facts *f,
                   const struct emu_repair *image);
void emu_repair_get(const struct emu *e, const struct emu_table *t, const struct emu_facts *f,
                    struct emu_repair *image);

/* set.c, get.c */
int emu_set_ao(struct emu *e, struct gh_now now, const struct emu_facts *f, int option,
               const uint8_t *value, size_t len);
int emu_get_ao(struct emu *e, struct gh_now now, const struct emu_facts *f, int option,
               uint8_t *value, size_t room, size_t *len, size_t *reported);

/* keep.c */
void emu_keep(const struct emu *e, const struct emu_table *t);

#endif
