/*
 * A connection's insides, shared by conn.c (life cycle), conn_keys.c (which key, and its traffic
 * keys), conn_sign.c and conn_verify.c. Private to libtcpao.
 *
 * Signing and verifying work on a copy of the state and commit it last, so a refused segment
 * leaves no trace.
 */
#ifndef GH_TCPAO_CONN_H
#define GH_TCPAO_CONN_H

#include "crypto/mac.h"
#include "tcpao.h"

/* A precomputed traffic key of the connection's ISN pair. */
struct traffic_key {
    bool valid;
    uint32_t number; /* of its MKT */
    struct gh_mac_key key;
};

/* Rollovers overlap two keys; a peer whose segments are reordered may use a third. */
enum { SEND_KEYS = 2, RECV_KEYS = 4 };

struct tcpao_conn {
    struct tcpao_chain *chain;
    uint64_t generation; /* of the chain when the traffic keys were derived */
    struct tcpao_endpoint local, remote;
    struct tcpao_conn_state st;
    bool manual; /* lifetimes neither choose nor retire keys */
    /* A SYN that would begin another life of a connection with both ISNs: what `st` becomes when
     * our SYN-ACK answers it. */
    bool next_life_known;
    struct tcpao_conn_state next_life;
    struct traffic_key send[SEND_KEYS], recv[RECV_KEYS];
    unsigned send_victim, recv_victim; /* the slots to reuse next */
};

/* Replaces the state; drops traffic keys when the ISN pair changes. */
void conn_commit(struct tcpao_conn *c, const struct tcpao_conn_state *next);

/* ---- conn_keys.c ---------------------------------------------------------------------------- */

/* Wipes the cached traffic keys. */
void conn_drop_traffic_keys(struct tcpao_conn *c);
/* The same, if a key of the chain was added or removed since they were derived. */
void conn_check_generation(struct tcpao_conn *c);

/* The cached traffic key for segments to (send) or from the peer, derived when missing. NULL: the
 * cryptographic library failed. */
struct gh_mac_key *conn_send_key(struct tcpao_conn *c, const struct tcpao_mkt *mkt);
struct gh_mac_key *conn_recv_key(struct tcpao_conn *c, const struct tcpao_mkt *mkt);

/* These look at the chain and the mode of `c` and at the state `st`, which may be a copy of its own
 * that is not in force yet. */

/* Moves current and rnext by lifetime; of a manual connection only those whose key is no more. True
 * if one moved. */
bool conn_keys_by_time(const struct tcpao_conn *c, struct tcpao_conn_state *st, int64_t now);
/* RFC 5925 7.5 2e. True if current moved. */
bool conn_follow_rnext(const struct tcpao_conn *c, struct tcpao_conn_state *st, uint8_t rnext,
                       int64_t now);
/* The key of a received KeyID. NULL: none that is acceptable now. */
const struct tcpao_mkt *conn_key_of_keyid(const struct tcpao_conn *c, uint8_t keyid, int64_t now);
/* Both directions have left this key, its accept lifetime is over and late segments are in. */
bool conn_key_retired(const struct tcpao_conn *c, const struct tcpao_conn_state *st,
                      const struct tcpao_mkt *mkt, int64_t now);
/* The same by lifetimes alone, for connections that somebody else carries (kernel_plan.c). */
bool chain_keys_by_time(const struct tcpao_chain *chain, struct tcpao_conn_state *st, int64_t now);
bool chain_key_retired(const struct tcpao_conn_state *st, const struct tcpao_mkt *mkt, int64_t now);

#endif
