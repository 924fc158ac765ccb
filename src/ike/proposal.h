/*
 * Choosing among proposals (RFC 7296 2.7, 3.3.3, 3.3.6; RFC 9370 2.2.1): as responder one suite out
 * of what was offered, as initiator whether the answer is one of our suites.
 */
#ifndef IKE_PROPOSAL_H
#define IKE_PROPOSAL_H

#include "ike/sa.h"

struct ike_choice_rules {
    bool prefer_theirs; /* the offer's order decides among what both can; else ours */
    /* Child SA within IKE_AUTH (RFC 7296 1.2): key exchanges of either side count for nothing. */
    bool without_ke;
    /* IKE_INTERMEDIATE is agreed on, or CREATE_CHILD_SA: else ADDKE types are unknown types. */
    bool additional_ke;
};

/* Why a proposal did not do. */
#define IKE_MISMATCHES(X)                                                                          \
    X(IKE_MATCH, "match")                                                                          \
    X(IKE_MISMATCH_PROTOCOL, "another protocol")                                                   \
    X(IKE_MISMATCH_SPI, "an SPI of the wrong length")                                              \
    X(IKE_MISMATCH_UNKNOWN, "a transform type that we do not know")                                \
    X(IKE_MISMATCH_ABSENT, "a transform type is absent")                                           \
    X(IKE_MISMATCH_COMMON, "no transform in common")                                               \
    X(IKE_MISMATCH_REPEATED, "key exchanges that repeat each other")                               \
    X(IKE_MISMATCH_NUMBER, "a proposal that was not made")

#define IKE_MISMATCH_ENUM(constant, text) constant,
enum ike_mismatch { IKE_MISMATCHES(IKE_MISMATCH_ENUM) IKE_MISMATCH_COUNT };
#undef IKE_MISMATCH_ENUM

/* What came nearest: fewest transform types in the way. */
struct ike_choice_miss {
    enum ike_mismatch why;
    uint8_t number;  /* of the proposal that was offered; 0: there was none */
    uint8_t type;    /* transform type, where `why` speaks of one */
    size_t ours;     /* index into our list */
    unsigned misses; /* how many types did not fit */
};

/*
 * `ours` is what we would accept, in order. On success `chosen` is the answer: number, protocol and
 * SPI as offered (the caller puts its own SPI), exactly one transform per type that was offered,
 * key exchanges without repetition. Else false (NO_PROPOSAL_CHOSEN) and `miss` tells the reason.
 * `miss` may be NULL.
 */
bool ike_proposal_choose(const struct ike_sa *offered, const struct ike_sa *ours,
                         const struct ike_choice_rules *rules, struct ike_proposal *chosen,
                         struct ike_choice_miss *miss);

/*
 * As initiator: `answer` must be one of the proposals that we made (RFC 7296 3.3.6). `chosen` gets
 * the proposal with the peer's SPI and our view of the transforms.
 */
bool ike_proposal_confirm(const struct ike_sa *answer, const struct ike_sa *offered,
                          const struct ike_choice_rules *rules, struct ike_proposal *chosen,
                          struct ike_choice_miss *miss);

/* The group for the first KE payload: the first of our first proposal that is not NONE; 0: none. */
uint16_t ike_ke_guess(const struct ike_sa *ours);
/* Whether to repeat the request with the group that an INVALID_KE_PAYLOAD asks for: one that we
 * offered and have not tried. Anything else is a lie (RFC 7296 2.7, 3.10.1). */
bool ike_ke_retry(const struct ike_sa *ours, uint16_t tried, uint16_t asked);

const char *ike_mismatch_text(enum ike_mismatch why);

#endif
