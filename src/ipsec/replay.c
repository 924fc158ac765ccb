#include "ipsec/replay.h"

#include <stdlib.h>
#include <string.h>

enum { WORD_BITS = 64 };

/* One word more than the window needs, for the word that the top is in fills up as it goes. */
static uint32_t words_for(uint32_t window)
{
    uint32_t need = (window + WORD_BITS - 1) / WORD_BITS + 1, words = 2;

    while (words < need)
        words *= 2;
    return words;
}

bool ipsec_replay_init(struct ipsec_replay *r, uint32_t window, uint64_t top)
{
    uint32_t words = words_for(window);

    *r = (struct ipsec_replay){.top = top, .window = window, .mask = words - 1};
    if (window == 0)
        return true;
    if (window < IPSEC_WINDOW_MIN || window > IPSEC_WINDOW_MAX)
        return false;
    r->seen = calloc(words, sizeof(*r->seen));
    if (r->seen == NULL)
        return false;
    /* Whoever was here before may have seen all of them. The rest of the top's own word comes
     * later. */
    if (top > 0) {
        memset(r->seen, 0xff, words * sizeof(*r->seen));
        r->seen[top / WORD_BITS & r->mask] = UINT64_MAX >> (WORD_BITS - 1 - top % WORD_BITS);
    }
    return true;
}

void ipsec_replay_free(struct ipsec_replay *r)
{
    free(r->seen);
    *r = (struct ipsec_replay){0};
}

/*
 * Th, Tl: the halves of the top; Bl: the low half of the window's bottom.
 *
 *   Case A: Tl >= W - 1, the window is within one subspace.   Case B: it spans two.
 *
 *      |-------Bl=====Tl------|                        |==Tl-----------------Bl==|
 *      below Bl: the next one                          from Bl on: the one before
 */
bool ipsec_replay_infer(const struct ipsec_replay *r, uint32_t low, uint64_t *seq)
{
    uint32_t high = (uint32_t)(r->top >> 32), top_low = (uint32_t)r->top;
    uint32_t bottom_low = top_low - r->window + 1; /* modulo 2^32 */

    if (top_low >= r->window - 1) {
        if (low < bottom_low) {
            if (high == UINT32_MAX)
                return false;
            high++;
        }
    } else if (low >= bottom_low) {
        if (high == 0)
            return false;
        high--;
    }
    *seq = (uint64_t)high << 32 | low;
    return true;
}

enum ipsec_result ipsec_replay_check(const struct ipsec_replay *r, uint64_t seq)
{
    if (r->window == 0)
        return IPSEC_OK;
    if (seq == 0)
        return IPSEC_OLD; /* the first packet of an SA is number 1 */
    if (seq > r->top)
        return IPSEC_OK;
    if (r->top - seq >= r->window)
        return IPSEC_OLD;
    return r->seen[seq / WORD_BITS & r->mask] >> (seq % WORD_BITS) & 1 ? IPSEC_REPLAY : IPSEC_OK;
}

/* Empties the words between the old top and the new. */
static void move_top(struct ipsec_replay *r, uint64_t seq)
{
    uint64_t from = r->top / WORD_BITS, words = seq / WORD_BITS - from;

    if (words > (uint64_t)r->mask + 1)
        words = (uint64_t)r->mask + 1;
    for (uint64_t i = 1; i <= words; i++)
        r->seen[(seq / WORD_BITS - words + i) & r->mask] = 0;
    r->top = seq;
}

enum ipsec_result ipsec_replay_commit(struct ipsec_replay *r, uint64_t seq)
{
    enum ipsec_result result = ipsec_replay_check(r, seq);

    if (result != IPSEC_OK)
        return result;
    if (r->window == 0) {
        r->top = seq > r->top ? seq : r->top;
        return IPSEC_OK;
    }
    if (seq > r->top)
        move_top(r, seq);
    r->seen[seq / WORD_BITS & r->mask] |= UINT64_C(1) << (seq % WORD_BITS);
    return IPSEC_OK;
}
