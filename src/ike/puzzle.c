/* Client puzzles: looking for keys, and looking at those that came. */
#include "ike/puzzle.h"

#include "wire/rd.h"
#include "wire/wr.h"

unsigned ike_puzzle_zero_bits(struct gh_view octets)
{
    unsigned bits = 0;

    for (size_t i = octets.len; i > 0; i--) {
        uint8_t octet = octets.p[i - 1];

        if (octet != 0)
            return bits + (unsigned)__builtin_ctz(octet);
        bits += 8;
    }
    return bits;
}

enum ike_fault ike_puzzle_solution_parse(struct gh_view body, struct gh_view *out)
{
    if (body.len == 0 || body.len % IKE_PUZZLE_KEYS != 0)
        return IKE_SYNTAX;
    *out = body;
    return IKE_OK;
}

void ike_puzzle_solution_emit(struct ike_out *o, struct gh_view solution)
{
    ike_out_payload(o, IKE_P_PS, false, solution);
}

/* Zero bits of prf(key, cookie); 0 also where there is no prf. */
static unsigned bits_of(enum gh_prf_alg prf, struct gh_view key, struct gh_view cookie)
{
    uint8_t out[GH_PRF_MAX];

    if (!gh_prf(prf, key, &cookie, 1, out))
        return 0;
    return ike_puzzle_zero_bits(gh_view_of(out, gh_prf_len(prf)));
}

/* Enough octets to count that far: on the average 4 keys of 2^bits do, so 2^(bits + 6) keys leave
 * no doubt. */
static uint8_t key_len_for(enum gh_prf_alg prf, unsigned bits)
{
    size_t fixed = gh_prf_fixed_key(prf);

    return fixed > 0 ? (uint8_t)fixed : (uint8_t)((bits + 6 + 7) / 8);
}

bool ike_puzzle_begin(struct ike_puzzle_search *s, uint16_t prf, unsigned bits, unsigned bits_max)
{
    enum gh_prf_alg alg = (enum gh_prf_alg)prf;

    if (gh_prf_len(alg) == 0 || bits > bits_max || bits > 56)
        return false;
    *s = (struct ike_puzzle_search){.prf = alg, .bits = bits, .key_len = key_len_for(alg, bits)};
    return true;
}

/* The low octets of n, or n behind zeros. */
static void key_from(uint64_t n, uint8_t *key, size_t len)
{
    memset(key, 0, len);
    for (size_t i = len; i > 0 && n > 0; i--, n >>= 8)
        key[i - 1] = (uint8_t)n;
}

enum ike_puzzle_progress ike_puzzle_search(struct ike_puzzle_search *s, struct gh_view cookie,
                                           uint64_t budget, struct gh_view *solution)
{
    uint64_t last = s->key_len >= 8 ? UINT64_MAX : (UINT64_C(1) << 8 * s->key_len) - 1;

    while (s->found < IKE_PUZZLE_KEYS) {
        uint8_t *key = s->keys + (size_t)s->found * s->key_len;

        if (s->next > last)
            return IKE_PUZZLE_HOPELESS;
        if (budget-- == 0)
            return IKE_PUZZLE_MORE;
        key_from(s->next++, key, s->key_len);
        if (bits_of(s->prf, gh_view_of(key, s->key_len), cookie) >= s->bits)
            s->found++;
    }
    *solution = gh_view_of(s->keys, (size_t)IKE_PUZZLE_KEYS * s->key_len);
    return IKE_PUZZLE_SOLVED;
}

bool ike_puzzle_verify(uint16_t prf, struct gh_view cookie, struct gh_view solution, unsigned *bits)
{
    enum gh_prf_alg alg = (enum gh_prf_alg)prf;
    size_t len = solution.len / IKE_PUZZLE_KEYS, fixed = gh_prf_fixed_key(alg);
    struct gh_rd r = gh_rd_make(solution.p, solution.len);
    struct gh_view key[IKE_PUZZLE_KEYS];
    unsigned weakest = UINT32_MAX;

    if (gh_prf_len(alg) == 0 || len == 0 || solution.len % IKE_PUZZLE_KEYS != 0 ||
        len > gh_prf_len(alg) || (fixed > 0 && len != fixed))
        return false;
    for (unsigned i = 0; i < IKE_PUZZLE_KEYS; i++) {
        unsigned reached;

        key[i] = gh_view_of(gh_rd_bytes(&r, len), len);
        for (unsigned j = 0; j < i; j++)
            if (gh_view_equal(key[i], key[j]))
                return false;
        reached = bits_of(alg, key[i], cookie);
        if (reached < weakest)
            weakest = reached;
    }
    *bits = weakest;
    return true;
}
