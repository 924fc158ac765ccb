/*
 * Sequence number extension (RFC 5925 6.2, RFC 9187).
 *
 * RFC 9187 keeps an SNE, a previous SEQ and a flag; with 64-bit arithmetic the same is one number:
 * the highest position seen. A segment lies where its SEQ is nearest to it, at most 2^31 - 1 ahead
 * or 2^31 behind.
 */
#include "tcpao.h"

void tcpao_sne_init(struct tcpao_sne *s, uint32_t isn)
{
    s->highest = isn; /* RFC 5925 6.2: the SNE starts at zero */
}

bool tcpao_sne_extend(const struct tcpao_sne *s, uint32_t seq, uint64_t *extended)
{
    int64_t step = (int32_t)(seq - (uint32_t)s->highest);

    if (step < 0 && (uint64_t)-step > s->highest)
        return false;
    *extended = s->highest + (uint64_t)step;
    return true;
}

void tcpao_sne_commit(struct tcpao_sne *s, uint64_t extended)
{
    if (extended > s->highest)
        s->highest = extended;
}
