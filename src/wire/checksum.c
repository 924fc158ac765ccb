#include "wire/checksum.h"

#include <arpa/inet.h>
#include <string.h>

/* The sum is the same in either byte order but for a final swap (RFC 1071 2 (B)), so that whole
 * machine words are added here. */
uint32_t gh_sum(const void *data, size_t len, uint32_t start)
{
    const uint8_t *p = data;
    uint64_t sum = 0;

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
