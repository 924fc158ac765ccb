#include "wire/checksum.h"

#include <arpa/inet.h>
#include <string.h>

enum { BLOCK = 64 };

/* Two words that a processor adds at a time. */
typedef uint64_t pair __attribute__((vector_size(16)));

/* The 32-bit halves of all words, added up: none of these sums can overflow. */
static uint64_t sum_blocks(const uint8_t *p, size_t len)
{
    pair low[2] = {0}, high[2] = {0}, all;

    for (; len >= BLOCK; p += BLOCK, len -= BLOCK) {
        pair w[4];

        memcpy(w, p, BLOCK);
        low[0] += (w[0] & UINT32_MAX) + (w[1] & UINT32_MAX);
        low[1] += (w[2] & UINT32_MAX) + (w[3] & UINT32_MAX);
        high[0] += (w[0] >> 32) + (w[1] >> 32);
        high[1] += (w[2] >> 32) + (w[3] >> 32);
    }
    all = low[0] + low[1] + high[0] + high[1];
    return all[0] + all[1];
}

/* The sum is the same in either byte order but for a final swap (RFC 1071 2 (B)), so that whole
 * machine words are added here. */
uint32_t gh_sum(const void *data, size_t len, uint32_t start)
{
    const uint8_t *p = data;
    size_t blocks = len / BLOCK * BLOCK;
    uint64_t sum = sum_blocks(p, blocks);

    p += blocks;
    len -= blocks;
    for (; len >= 4; p += 4, len -= 4) {
        uint32_t word;

        memcpy(&word, p, 4);
        sum += word;
    }
    if (len > 0) {
        uint32_t word = 0;

        memcpy(&word, p, len);
        sum += word;
    }
    while (sum >> 16 != 0)
        sum = (sum & 0xffff) + (sum >> 16);
    return start + ntohs((uint16_t)sum);
}

uint32_t gh_sum_pseudo(const struct gh_addr *src, const struct gh_addr *dst, uint8_t protocol,
                       uint32_t l4_len)
{
    uint32_t sum = gh_sum(src->octets, src->len, 0);

    sum = gh_sum(dst->octets, dst->len, sum);
    return sum + protocol + (l4_len >> 16) + (l4_len & 0xffff);
}

uint16_t gh_sum_fold(uint32_t sum)
{
    while (sum >> 16 != 0)
        sum = (sum & 0xffff) + (sum >> 16);
    return (uint16_t)~sum;
}
