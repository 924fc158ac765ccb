/*
 * libtcpao: the TCP Authentication Option (RFC 5925, RFC 5926, RFC 9187).
 *
 * For authors of TCP stacks, of routing daemons and of engines that sign the segments of other
 * people's sockets. The library is pure: it reads no clock, no randomness, no file and no socket.
 * TCP headers and the time go in; a signed header, or a verdict, comes out. It is not thread-safe
 * for one object, but different objects may be used by different threads.
 *
 * The pieces, bottom up:
 *   tcpao_kdf, tcpao_mac_*   RFC 5926: traffic keys and MACs
 *   tcpao_option_*           RFC 5925 2.2: the option on the wire
 *   tcpao_sne                RFC 9187: the sequence number extension
 *   tcpao_chain              MKTs (RFC 5925 3.1) with lifetimes; which one to use at a given time
 *   tcpao_conn               RFC 5925 4: one connection: sign and verify its segments
 *
 * Time is in seconds since 1970-01-01T00:00:00Z (UTC), always given by the caller.
 * All byte strings on the wire are in network byte order; all integers here in host byte order.
 */
#ifndef TCPAO_H
#define TCPAO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define TCPAO_API __attribute__((visibility("default")))

enum tcpao_limits {
    TCPAO_OPTION_KIND = 29,     /* RFC 5925 2.2 */
    TCPAO_MD5_OPTION_KIND = 19, /* RFC 2385 */
    TCPAO_OPTION_HEADER = 4,    /* kind, length, KeyID, RNextKeyID */
    TCPAO_MAC_MIN = 1,          /* shortest MAC that can be told from none; 12 is what RFCs use */
    TCPAO_MAC_MAX = 32,         /* longest: HMAC-SHA-256 in full */
    TCPAO_TRAFFIC_KEY_MAX = 32,
    TCPAO_SECRET_MAX = 255,     /* octets of a master key */
    TCPAO_CHAIN_KEYS_MAX = 256, /* MKTs in one chain: ids are octets */
    TCPAO_TCP_HEADER_MIN = 20,
    TCPAO_TCP_HEADER_MAX = 60,
    TCPAO_DEFAULT_TOLERANCE = 3600, /* seconds, as in Junos */
    TCPAO_DRAIN = 120 /* seconds (RFC 9293's MSL) that late segments of an old key may take */
};

/* ---- Algorithms (RFC 5926, and HMAC-SHA-256 as vendors and Linux do it) -------------------- */

enum tcpao_alg {
    TCPAO_HMAC_SHA_1 = 1,   /* KDF_HMAC_SHA1 and HMAC-SHA-1; default MAC 12 octets (-96) */
    TCPAO_AES_128_CMAC = 2, /* KDF_AES_128_CMAC and AES-128-CMAC; default MAC 12 octets (-96) */
    TCPAO_HMAC_SHA_256 = 3  /* no RFC: KDF and MAC by HMAC-SHA-256; MAC of 12, 16 or 32 octets */
};

/* Text of an algorithm, with MAC bits: "hmac-sha-1-96", "aes-128-cmac-96", "hmac-sha-256-128" … */
TCPAO_API const char *tcpao_alg_name(enum tcpao_alg alg, unsigned mac_len);

/*
 * The reverse: RFC, IOS XE/XR, Junos, SR OS and Linux spellings ("hmac-sha-1", "HMAC-SHA1-96",
 * "aes-128-cmac", "cmac(aes128)", "hmac(sha256)", "hmac-sha-256-96" …), any case. A name without a
 * length gives *mac_len its default (12), so that "hmac-sha-256" alone is 12: say the length when
 * the peer is a Cisco (32). Returns false for an unknown name, and for a MAC of less than 4 octets:
 * names of such are only printed.
 */
TCPAO_API bool tcpao_alg_parse(const char *name, enum tcpao_alg *alg, unsigned *mac_len);

/* Octets of a traffic key: 20, 16 or 32. 0 for an unknown algorithm. */
TCPAO_API size_t tcpao_traffic_key_len(enum tcpao_alg alg);

/* Longest MAC of the algorithm: 20, 16 or 32. */
TCPAO_API size_t tcpao_mac_len_max(enum tcpao_alg alg);

/* ---- Results --------------------------------------------------------------------------------
 * One list yields the enum, the counter name and the text. Anything but TCPAO_OK means: do not
 * pass the segment on (fail closed), count it under this name. */

#define TCPAO_RESULTS(X)                                                                           \
    X(OK, "ok", "verified or signed")                                                              \
    X(BAD_MAC, "bad-mac", "the MAC does not match")                                                \
    X(BAD_LENGTH, "bad-length", "the option's length is not the MKT's (RFC 5925 7.5 2a)")          \
    X(UNKNOWN_KEYID, "unknown-keyid", "no MKT with this RecvID")                                   \
    X(KEY_NOT_VALID, "key-not-valid", "the MKT exists but is outside its accept lifetime")         \
    X(MISSING_AO, "missing-ao", "a segment without the option where it is required")               \
    X(MD5_CLASH, "md5-clash", "TCP-MD5 on a connection that TCP-AO protects (RFC 5925 8)")         \
    X(DUPLICATE_OPTION, "duplicate-option", "more than one authentication option")                 \
    X(MALFORMED, "malformed", "TCP header or options that cannot be parsed")                       \
    X(OLD_SEQUENCE, "old-sequence", "a sequence number before the connection's first")             \
    X(ISN_UNKNOWN, "isn-unknown", "the handshake was not seen, so there is no traffic key")        \
    X(NO_SEND_KEY, "no-send-key", "no MKT has a send lifetime that includes now")                  \
    X(NO_SPACE, "no-space", "the option does not fit beside the other TCP options")                \
    X(CRYPTO_FAILED, "crypto-failed", "the cryptographic library reported an error")

enum tcpao_result {
#define TCPAO_RESULT_ENUM(id, name, text) TCPAO_##id,
    TCPAO_RESULTS(TCPAO_RESULT_ENUM)
#undef TCPAO_RESULT_ENUM
        TCPAO_RESULT_COUNT
};

TCPAO_API const char *tcpao_result_name(enum tcpao_result r); /* "bad-mac" */
TCPAO_API const char *tcpao_result_text(enum tcpao_result r); /* a sentence's worth */

/* ---- Master key tuples and chains ----------------------------------------------------------- */

#define TCPAO_TIME_MIN INT64_MIN /* since ever */
#define TCPAO_TIME_MAX INT64_MAX /* infinite */

/* Half-open: valid from `from` until just before `until`. Empty when from >= until. */
struct tcpao_lifetime {
    int64_t from;
    int64_t until;
};

/* An MKT (RFC 5925 3.1) with the lifetimes of a key chain entry. */
struct tcpao_mkt {
    uint32_t number; /* local name of the key, not on the wire; unique in its chain */
    uint8_t send_id; /* SendID: KeyID of segments we sign; the peer's recv-id */
    uint8_t recv_id; /* RecvID: KeyID of segments we accept; the peer's send-id */
    enum tcpao_alg alg;
    uint8_t mac_len;      /* octets of MAC on the wire; 12 is every RFC's default */
    bool options_covered; /* RFC 5925's TCP option flag: other options are in the MAC */
    bool accept_mismatch; /* Cisco accept-ao-mismatch: a wrong MAC is counted and accepted */
    struct tcpao_lifetime send;
    struct tcpao_lifetime accept;
    const uint8_t *secret; /* master key; in a chain it points to the chain's own copy */
    size_t secret_len;     /* 1 … TCPAO_SECRET_MAX */
};

/* An owning, growable set of MKTs with a tolerance; wipes its secrets. Reference-counted, so that
 * connections may outlive the holder that made it. Pointers to its MKTs are good until a key is
 * added or removed. */
struct tcpao_chain;

/* tolerance: seconds by which accept lifetimes are widened at both ends (clock skew and drain). */
TCPAO_API struct tcpao_chain *tcpao_chain_new(uint32_t tolerance);    /* NULL: no memory */
TCPAO_API struct tcpao_chain *tcpao_chain_get(struct tcpao_chain *c); /* one more reference */
TCPAO_API void tcpao_chain_put(struct tcpao_chain *c);                /* one less; NULL is fine */
TCPAO_API void tcpao_chain_set_tolerance(struct tcpao_chain *c, uint32_t tolerance);
TCPAO_API uint32_t tcpao_chain_tolerance(const struct tcpao_chain *c);

enum tcpao_chain_result {
    TCPAO_CHAIN_OK = 0,
    TCPAO_CHAIN_FULL,           /* TCPAO_CHAIN_KEYS_MAX reached */
    TCPAO_CHAIN_DUPLICATE,      /* this key number exists */
    TCPAO_CHAIN_SEND_ID_IN_USE, /* same send-id as a key with an overlapping send lifetime */
    TCPAO_CHAIN_RECV_ID_IN_USE, /* same recv-id as a key with an overlapping accept lifetime */
    TCPAO_CHAIN_BAD_MAC_LEN,    /* below TCPAO_MAC_MIN or above the algorithm's */
    TCPAO_CHAIN_BAD_SECRET,     /* empty or too long */
    TCPAO_CHAIN_BAD_ALG,
    TCPAO_CHAIN_NOT_FOUND,
    TCPAO_CHAIN_NO_MEMORY
};
TCPAO_API const char *tcpao_chain_result_text(enum tcpao_chain_result r);

/* Copies the MKT and its secret. *other (may be NULL) gets the number of the key in the way. Ids
 * may be used again by a later key; leave twice the tolerance between the two, or a segment that is
 * late is verified with the wrong one. */
TCPAO_API enum tcpao_chain_result tcpao_chain_add(struct tcpao_chain *c,
                                                  const struct tcpao_mkt *mkt, uint32_t *other);
/* Removes and wipes. Connections stop using it with their next segment. */
TCPAO_API enum tcpao_chain_result tcpao_chain_remove(struct tcpao_chain *c, uint32_t number);
TCPAO_API enum tcpao_chain_result tcpao_chain_set_lifetimes(struct tcpao_chain *c, uint32_t number,
                                                            struct tcpao_lifetime send,
                                                            struct tcpao_lifetime accept);
TCPAO_API size_t tcpao_chain_count(const struct tcpao_chain *c);
TCPAO_API const struct tcpao_mkt *tcpao_chain_at(const struct tcpao_chain *c, size_t i);
TCPAO_API const struct tcpao_mkt *tcpao_chain_find(const struct tcpao_chain *c, uint32_t number);

/* The MKT to send with at `now`: of those whose send lifetime includes now the one that started
 * last (ties: the higher number). NULL: none, so nothing may be sent. */
TCPAO_API const struct tcpao_mkt *tcpao_chain_preferred(const struct tcpao_chain *c, int64_t now);

/* The MKT with this RecvID that is acceptable at `now` (accept lifetime widened by the tolerance);
 * among several the one whose unwidened lifetime includes now, then the one that started last. */
TCPAO_API const struct tcpao_mkt *tcpao_chain_by_recv_id(const struct tcpao_chain *c,
                                                         uint8_t recv_id, int64_t now);
/* The same by SendID and send lifetime widened by the tolerance: what RNextKeyID asks for. */
TCPAO_API const struct tcpao_mkt *tcpao_chain_by_send_id(const struct tcpao_chain *c,
                                                         uint8_t send_id, int64_t now);
/* Is any MKT (valid or not) known under this RecvID? Tells KEY_NOT_VALID from UNKNOWN_KEYID. */
TCPAO_API bool tcpao_chain_knows_recv_id(const struct tcpao_chain *c, uint8_t recv_id);

/* The next instant after `now` at which any of the answers above may change; TCPAO_TIME_MAX: never.
 */
TCPAO_API int64_t tcpao_chain_next_change(const struct tcpao_chain *c, int64_t now);

/* The last instant at which a key may be sent with, given no more keys: the day the sessions die.
 * TCPAO_TIME_MAX: never; TCPAO_TIME_MIN: there is no key. Gaps before it do not count. */
TCPAO_API int64_t tcpao_chain_expiry(const struct tcpao_chain *c);

/* ---- Traffic keys and MACs (RFC 5926) ------------------------------------------------------- */

/* One end of a connection. */
struct tcpao_endpoint {
    uint8_t addr[16]; /* network byte order; the first addr_len octets count */
    uint8_t addr_len; /* 4 or 16 */
    uint16_t port;
};

/*
 * RFC 5925 5.2 and RFC 5926 3.1: the traffic key of the direction src → dst. In a SYN without ACK
 * dst_isn is 0. Writes tcpao_traffic_key_len(alg) octets. Returns CRYPTO_FAILED or OK.
 */
TCPAO_API enum tcpao_result tcpao_kdf(enum tcpao_alg alg, const uint8_t *secret, size_t secret_len,
                                      const struct tcpao_endpoint *src,
                                      const struct tcpao_endpoint *dst, uint32_t src_isn,
                                      uint32_t dst_isn, uint8_t key[TCPAO_TRAFFIC_KEY_MAX]);

/*
 * RFC 5925 5.1: the MAC of one segment under a traffic key. `hdr` is the TCP header with its
 * options (20 … 60 octets, AO option with a MAC of mac_len present); its checksum and MAC octets
 * count as zero whatever they hold. Slow and stateless: for tools and tests; connections use
 * precomputed keys.
 */
TCPAO_API enum tcpao_result tcpao_segment_mac(enum tcpao_alg alg, const uint8_t *traffic_key,
                                              bool options_covered, unsigned mac_len,
                                              const struct tcpao_endpoint *src,
                                              const struct tcpao_endpoint *dst, uint32_t sne,
                                              const uint8_t *hdr, size_t hdr_len,
                                              const uint8_t *payload, size_t payload_len,
                                              uint8_t mac[TCPAO_MAC_MAX]);

/* ---- The option (RFC 5925 2.2) -------------------------------------------------------------- */

struct tcpao_option {
    bool ao;  /* an AO option was found */
    bool md5; /* a TCP-MD5 option was found */
    uint8_t keyid;
    uint8_t rnext; /* RNextKeyID */
    uint8_t mac_len;
    uint8_t offset; /* of the option's kind octet from the start of the TCP header */
};

/* Finds the option in a TCP header (20 … 60 octets, data offset equal to hdr_len). OK also when
 * there is none. MALFORMED or DUPLICATE_OPTION otherwise. */
TCPAO_API enum tcpao_result tcpao_option_find(const uint8_t *hdr, size_t hdr_len,
                                              struct tcpao_option *out);

/* Octets that the option takes in the header, rounded up to four: 16 for a MAC of 12. */
TCPAO_API size_t tcpao_option_space(unsigned mac_len);

/*
 * Copies a header without its AO option (NOPs after it that only padded it go too); sets the data
 * offset; leaves the checksum as it is. *out_len is a multiple of 4.
 */
TCPAO_API enum tcpao_result tcpao_option_strip(const uint8_t *hdr, size_t hdr_len,
                                               uint8_t out[TCPAO_TCP_HEADER_MAX], size_t *out_len);

/*
 * How much room a MAC of mac_len leaves for other options in a SYN (0 … 40), and for SACK blocks
 * in other segments (with or without timestamps). For calculators and lint.
 */
TCPAO_API size_t tcpao_syn_option_room(unsigned mac_len);
TCPAO_API size_t tcpao_sack_blocks_room(unsigned mac_len, bool timestamps);

/* ---- Sequence number extension (RFC 9187) --------------------------------------------------- */

/* 64-bit position of the highest segment seen in one direction. */
struct tcpao_sne {
    uint64_t highest; /* SNE in the upper, SEQ in the lower half */
};

TCPAO_API void tcpao_sne_init(struct tcpao_sne *s, uint32_t isn);
/* The extended sequence number of a segment, without remembering it. False: it would lie before
 * the start of the number space (an old or forged segment). */
TCPAO_API bool tcpao_sne_extend(const struct tcpao_sne *s, uint32_t seq, uint64_t *extended);
/* Remembers a segment that was sent, or that was verified. */
TCPAO_API void tcpao_sne_commit(struct tcpao_sne *s, uint64_t extended);

/* ---- A connection (RFC 5925 4) -------------------------------------------------------------- */

struct tcpao_conn;

/* What an operator wants to see, and what survives a restart (ISNs, SNEs, key ids; no secret). */
struct tcpao_conn_state {
    bool local_isn_known, remote_isn_known;
    uint32_t local_isn, remote_isn;
    struct tcpao_sne snd, rcv;
    bool current_known, rnext_known; /* key numbers of the chain */
    uint32_t current_key, rnext_key;
    bool last_recv_known; /* the MKT that the peer's latest good segment used */
    uint32_t last_recv_key;
    uint8_t last_keyid, last_rnext; /* octets of the latest good segment (RFC 5925 7.1) */
    int64_t last_recv_since;        /* when the peer began to use last_recv_key */
};

/* Takes a reference to the chain. NULL: no memory. */
TCPAO_API struct tcpao_conn *tcpao_conn_new(struct tcpao_chain *chain,
                                            const struct tcpao_endpoint *local,
                                            const struct tcpao_endpoint *remote);
TCPAO_API void tcpao_conn_free(struct tcpao_conn *c); /* wipes traffic keys */

/* Points the connection to another generation of its chain; key numbers name the same keys.
 * Cached traffic keys are dropped. */
TCPAO_API void tcpao_conn_set_chain(struct tcpao_conn *c, struct tcpao_chain *chain);

TCPAO_API void tcpao_conn_export(const struct tcpao_conn *c, struct tcpao_conn_state *out);
TCPAO_API void tcpao_conn_import(struct tcpao_conn *c, const struct tcpao_conn_state *in);

/*
 * Signs one outgoing segment. `hdr` is the TCP header as the stack made it (no AO option); the
 * signed header goes to `out` with the option appended, data offset set, checksum field zero
 * (the caller fills it). The payload is only read.
 *
 * The connection learns from its own segments: a SYN sets the local ISN (and starts a new life of
 * the connection), a SYN-ACK sets both (the remote from its ACK number).
 * Errors: NO_SEND_KEY, NO_SPACE, ISN_UNKNOWN, MD5_CLASH, DUPLICATE_OPTION (there is one already),
 * OLD_SEQUENCE, MALFORMED, CRYPTO_FAILED: then the connection is as before and *out_len is 0.
 */
TCPAO_API enum tcpao_result tcpao_conn_sign(struct tcpao_conn *c, int64_t now, const uint8_t *hdr,
                                            size_t hdr_len, const uint8_t *payload,
                                            size_t payload_len, uint8_t out[TCPAO_TCP_HEADER_MAX],
                                            size_t *out_len);

/* What verification saw; filled as far as it got, also on failure. */
struct tcpao_seen {
    struct tcpao_option option;
    bool key_known;
    uint32_t key_number; /* of the MKT that matched the KeyID */
    bool mismatch;       /* MAC wrong, but accept_mismatch let it through */
    bool current_moved;  /* RNextKeyID moved our current key (RFC 5925 7.5 2e) */
};

/*
 * Verifies one incoming segment of this connection. A SYN-ACK sets the remote ISN once its MAC is
 * right. A plain SYN is verified by tcpao_verify_syn() instead, and then told to the connection by
 * tcpao_conn_accept_syn(). Nothing of the connection changes unless the result is OK.
 */
TCPAO_API enum tcpao_result tcpao_conn_verify(struct tcpao_conn *c, int64_t now, const uint8_t *hdr,
                                              size_t hdr_len, const uint8_t *payload,
                                              size_t payload_len, struct tcpao_seen *seen);

/* Verifies a SYN without ACK from remote to local: needs no connection and remembers nothing. */
TCPAO_API enum tcpao_result tcpao_verify_syn(const struct tcpao_chain *chain,
                                             const struct tcpao_endpoint *local,
                                             const struct tcpao_endpoint *remote, int64_t now,
                                             const uint8_t *hdr, size_t hdr_len,
                                             const uint8_t *payload, size_t payload_len,
                                             struct tcpao_seen *seen);

/* Tells a connection of a verified SYN: remote ISN, and which keys its SYN-ACK uses (current: the
 * MKT whose SendID is the SYN's RNextKeyID; rnext: the MKT of its KeyID). For a passive open and
 * for a simultaneous open (the local ISN then stays). A SYN can be replayed, so one that meets a
 * connection with both ISNs takes effect only when a SYN-ACK that answers it is signed. */
TCPAO_API void tcpao_conn_accept_syn(struct tcpao_conn *c, int64_t now, uint32_t seq,
                                     const struct tcpao_seen *seen);

/*
 * Moves keys by lifetime: rnext to the preferred MKT once it is valid, current when its send
 * lifetime is over. sign and verify do the same by themselves; call it at
 * tcpao_chain_next_change() so that status is true without traffic. Returns true if one moved.
 */
TCPAO_API bool tcpao_conn_tick(struct tcpao_conn *c, int64_t now);

/*
 * Makes a key current at once, without waiting for the peer to ask for it (RFC 5925 7.1: what SEND
 * may indicate). False, and nothing changes, unless its send lifetime includes `now`. Which key to
 * ask the peer for (rnext) is told by lifetimes: the preferred one.
 */
TCPAO_API bool tcpao_conn_use_key(struct tcpao_conn *c, uint32_t key_number, int64_t now);

/*
 * Keys moved by hand and by the peer alone, as with Linux's socket options: lifetimes neither
 * choose nor retire keys, and any key of the chain is accepted. Where nothing was set, current and
 * rnext are the key with the highest number. The SYN of a passive open sets current to the key
 * whose SendID is its RNextKeyID and rnext to the key of its KeyID, or to the highest where there
 * is none; a SYN that crosses our own leaves both. A good segment with another RNextKeyID moves
 * current if there is a key with this SendID. Nothing else moves them. tcpao_conn_state does not
 * say whether a connection is manual: say it again after tcpao_conn_import(). tcpao_verify_syn()
 * knows no connection and minds accept lifetimes: chains of manual connections have infinite ones.
 */
TCPAO_API void tcpao_conn_set_manual(struct tcpao_conn *c, bool manual);

/* Manual connections only. False, and nothing changes: the chain has no such key. */
TCPAO_API bool tcpao_conn_set_current(struct tcpao_conn *c, uint32_t key_number);
TCPAO_API bool tcpao_conn_set_rnext(struct tcpao_conn *c, uint32_t key_number);

/*
 * Would a segment signed with this key be accepted at `now`? An old key is while its accept
 * lifetime, widened by the tolerance, lasts; but when that lifetime itself is over and both
 * directions have used another key for TCPAO_DRAIN seconds, it no longer is.
 */
TCPAO_API bool tcpao_conn_accepts(const struct tcpao_conn *c, uint32_t key_number, int64_t now);

#ifdef __cplusplus
}
#endif
#endif
