/*
 * Client puzzles (RFC 8019): four keys K for which prf(K, cookie) ends with enough zero bits.
 *
 * Solving takes long on purpose, so it is done in portions: each call tries at most `budget` keys
 * and goes on where the last one stopped.
 */
#ifndef IKE_PUZZLE_H
#define IKE_PUZZLE_H

#include "crypto/prf.h"
#include "ike/out.h"
#include "ike/payload.h"

enum { IKE_PUZZLE_KEYS = 4, IKE_PUZZLE_KEY_MAX = 16, IKE_PUZZLE_SOLUTION_MAX = 64 };

/* Trailing zero bits. */
unsigned ike_puzzle_zero_bits(struct gh_view octets);

/* The Puzzle Solution payload: not empty and a multiple of 4, else IKE_SYNTAX. */
enum ike_fault ike_puzzle_solution_parse(struct gh_view body, struct gh_view *out);
void ike_puzzle_solution_emit(struct ike_out *o, struct gh_view solution);

/* A search; set up by ike_puzzle_begin(). */
struct ike_puzzle_search {
    enum gh_prf_alg prf;
    unsigned bits;
    uint8_t key_len;
    uint8_t found; /* of the four */
    uint64_t next; /* the key that is tried next, as a number */
    uint8_t keys[IKE_PUZZLE_SOLUTION_MAX];
};

/* False: a prf that we do not have, or more than `bits_max` bits, which the caller would never wait
 * for (RFC 8019 9). `bits` 0 is the caller's to replace by what it can afford. */
bool ike_puzzle_begin(struct ike_puzzle_search *s, uint16_t prf, unsigned bits, unsigned bits_max);

enum ike_puzzle_progress { IKE_PUZZLE_MORE, IKE_PUZZLE_SOLVED, IKE_PUZZLE_HOPELESS };

/* SOLVED: `solution` is the payload's data, held by `s`. HOPELESS: no keys are left. */
enum ike_puzzle_progress ike_puzzle_search(struct ike_puzzle_search *s, struct gh_view cookie,
                                           uint64_t budget, struct gh_view *solution);

/* The zero bits that the weakest of the four keys reaches. False: malformed for this prf, or two
 * keys are the same. */
bool ike_puzzle_verify(uint16_t prf, struct gh_view cookie, struct gh_view solution,
                       unsigned *bits);

#endif
