/*
 * "Why is it not up?": a decision over what the configuration says and the engine has seen.
 *
 * Pure: the same facts give the same words. Findings come in order of likelihood; each says what
 * is probably wrong, what was seen that makes us think so, and what to check. When the session is
 * up it says so, with the key, and findings are what to keep an eye on.
 *
 * docs/operators/why-is-it-not-up.md explains every cause: a test compares the two lists.
 */
#ifndef GH_CONTROL_EXPLAIN_H
#define GH_CONTROL_EXPLAIN_H

#include "base/addr.h"
#include "base/clock.h"
#include "config/config.h"
#include "control/carrier.h"
#include "tcpao/engine.h"

/* What is known about one session. */
struct gh_evidence {
    const struct gh_session *session; /* as configured */
    const char *chain_name;           /* of a session with negotiated keys: its ike-peer's */
    const struct tcpao_chain *chain;
    const struct ao_session_view *view; /* NULL: the engine does not know the session */
    const struct ao_connection_view *connections;
    size_t connection_count;
    struct gh_addr peer; /* of a prefix of dynamic neighbours the one that is meant; len 0: all */
    enum gh_carrier carrier;
    int64_t warn_before; /* seconds before the chain's expiry in which to warn */
    struct gh_now now;
};

enum gh_verdict { GH_VERDICT_UP, GH_VERDICT_UNPROTECTED, GH_VERDICT_OPENING, GH_VERDICT_DOWN };
const char *gh_verdict_name(enum gh_verdict v); /* "up", "unprotected", "opening", "down" */

/* The causes, in one list: stable names of the control protocol. */
#define GH_CAUSES(X)                                                                               \
    X(NOT_LOADED, "not-loaded")                                                                    \
    X(KERNEL_WITHOUT_AO, "kernel-without-ao")                                                      \
    X(NO_SOCKET, "no-socket")                                                                      \
    X(NO_KEYS, "no-keys")                                                                          \
    X(KEYS_EXPIRED, "keys-expired")                                                                \
    X(KEYS_NOT_YET, "keys-not-yet-valid")                                                          \
    X(WRONG_KEY, "wrong-key")                                                                      \
    X(UNKNOWN_KEYID, "unknown-keyid")                                                              \
    X(KEY_NOT_VALID, "key-not-valid")                                                              \
    X(PEER_WITHOUT_AO, "peer-without-ao")                                                          \
    X(PEER_REFUSES, "peer-refuses")                                                                \
    X(MD5_CLASH, "md5-clash")                                                                      \
    X(MAC_LENGTH, "mac-length")                                                                    \
    X(DIRECTION, "direction")                                                                      \
    X(NO_HANDSHAKE, "no-handshake")                                                                \
    X(AO_CAME_LATER, "ao-came-later")                                                              \
    X(NO_SPACE, "no-space")                                                                        \
    X(FRAGMENTS, "fragments")                                                                      \
    X(MALFORMED, "malformed")                                                                      \
    X(OLD_SEQUENCE, "old-sequence")                                                                \
    X(TABLE_FULL, "table-full")                                                                    \
    X(CRYPTO, "crypto")                                                                            \
    X(SILENT_PEER, "silent-peer")                                                                  \
    X(SYN_ACK_REFUSED, "syn-ack-refused")                                                          \
    X(NO_LOCAL_ANSWER, "no-local-answer")                                                          \
    X(NOBODY_OPENS, "nobody-opens")                                                                \
    X(NO_PACKETS, "no-packets")                                                                    \
    X(ICMP, "icmp")                                                                                \
    X(NOT_TCP_AO, "not-tcp-ao")                                                                    \
    X(RUNS_UNPROTECTED, "runs-unprotected")                                                        \
    X(MISMATCH_ACCEPTED, "mismatch-accepted")                                                      \
    X(ROLLOVER_PENDING, "rollover-pending")                                                        \
    X(PEER_ON_OLD_KEY, "peer-on-old-key")                                                          \
    X(CHAIN_EXPIRING, "chain-expiring")                                                            \
    X(STRAY_SEGMENTS, "stray-segments")                                                            \
    X(IKE_NO_SOCKET, "ike-no-socket")                                                              \
    X(IKE_NOT_MOVED, "ike-not-moved")                                                              \
    X(IKE_ADMIN_DOWN, "ike-admin-down")                                                            \
    X(IKE_NO_WAY, "ike-no-way")                                                                    \
    X(IKE_NO_KEEPER, "ike-no-keeper")                                                              \
    X(IKE_LOCKED_OUT, "ike-locked-out")                                                            \
    X(IKE_NO_ANSWER, "ike-no-answer")                                                              \
    X(IKE_NO_PROPOSAL, "ike-no-proposal")                                                          \
    X(IKE_AUTHENTICATION, "ike-authentication")                                                    \
    X(IKE_SELECTORS, "ike-traffic-selectors")                                                      \
    X(IKE_CHILD_REFUSED, "ike-child-refused")                                                      \
    X(IKE_UNFINISHED, "ike-unfinished")                                                            \
    X(IKE_PEER_DEAD, "ike-peer-dead")                                                              \
    X(IKE_REDIRECT, "ike-redirect")                                                                \
    X(IKE_PUZZLE, "ike-puzzle")                                                                    \
    X(IKE_NO_MEMORY, "ike-no-memory")                                                              \
    X(IKE_NO_POLICY, "ike-no-policy")                                                              \
    X(IKE_NOBODY_BEGINS, "ike-nobody-begins")

enum gh_cause {
#define GH_CAUSE_ENUM(id, name) GH_CAUSE_##id,
    GH_CAUSES(GH_CAUSE_ENUM)
#undef GH_CAUSE_ENUM
        GH_CAUSE_COUNT
};
const char *gh_cause_name(enum gh_cause c);

enum { GH_FINDINGS_MAX = 16, GH_CHECKS_MAX = 5, GH_SENTENCE_MAX = 480, GH_HEADLINE_MAX = 640 };

struct gh_finding {
    enum gh_cause cause;
    int rank; /* higher is likelier; findings are sorted by it */
    char summary[GH_SENTENCE_MAX];
    char evidence[GH_SENTENCE_MAX]; /* may be empty */
    char checks[GH_CHECKS_MAX][GH_SENTENCE_MAX];
    size_t check_count;
};

struct gh_explanation {
    enum gh_verdict verdict;
    char headline[GH_HEADLINE_MAX];
    struct gh_finding findings[GH_FINDINGS_MAX];
    size_t count;
};

void gh_explain(const struct gh_evidence *e, struct gh_explanation *out);

#endif
