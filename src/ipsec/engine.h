/*
 * Inside of the engine: what engine.c, outbound.c and inbound.c share.
 */
#ifndef IPSEC_ENGINE_H
#define IPSEC_ENGINE_H

#include "ipsec/classify.h"
#include "ipsec/fragments.h"
#include "ipsec/ipsec.h"
#include "ipsec/sad.h"
#include "ipsec/work.h"

enum { IPSEC_RANDOM_POOL = 4096 };

struct ipsec_policy_kept {
    uint32_t id, place;
    enum ipsec_action action;
    struct ipsec_policy_counts counts;
};

struct ipsec_spd {
    struct ipsec_classifier *way[2]; /* of struct ipsec_policy_kept, by their order */
    struct ipsec_policy_kept *kept;
    size_t count;
};

struct ipsec {
    struct ipsec_setup setup;
    const struct ipsec_tap *tap; /* NULL: nobody looks */
    struct ipsec_crypt *crypt;
    uint64_t seed;
    struct ipsec_spd spd;
    struct ipsec_classifier *outgoing; /* SAs by their selectors (RFC 4301: the SPD-S cache) */
    uint64_t next_order;               /* of the next outgoing SA: lower than all before */
    struct ipsec_sad sad;
    struct ipsec_fragments *fragments;
    uint64_t counts[2][IPSEC_RESULT_COUNT];
    uint16_t ip_id;
    uint8_t random[IPSEC_RANDOM_POOL];
    size_t random_left;
    struct ipsec_work works[IPSEC_BATCH];
};

/* The packet before, of a batch that comes in trains: nothing that it was decided by changes in a
 * batch. */
struct ipsec_before {
    struct ipsec_policy_kept *policy; /* of the flow; NULL: it has none */
    struct ipsec_sa *sa;              /* NULL: none was right */
    struct ipsec_flow flow;
    uint32_t place;
};

/* The packet is done for: sets and counts its result, with the SA too (NULL: none). */
void ipsec_conclude(struct ipsec *e, enum ipsec_way way, struct ipsec_packet *p,
                    struct ipsec_sa *sa, enum ipsec_result result);
/* OK, or EXPIRED, if `octets` more are more than the SA may carry. */
enum ipsec_result ipsec_check_lifetime(struct ipsec *e, struct ipsec_sa *sa, size_t octets);
/* A packet went through the SA. */
void ipsec_account(struct ipsec *e, struct ipsec_sa *sa, uint64_t now_ms, size_t octets);
void ipsec_tell(struct ipsec *e, const struct ipsec_event *event);
struct ipsec_policy_kept *ipsec_policy_for(const struct ipsec *e, enum ipsec_way way,
                                           uint32_t place, const struct ipsec_flow *f);
/* GH_CIPHER_IV_MAX octets for one IV, or NULL. Valid until the next call. */
const uint8_t *ipsec_random_iv(struct ipsec *e);

#endif
