#include "base/siphash.h"

#include <endian.h>
#include <string.h>

static uint64_t rotl(uint64_t x, unsigned n)
{
    return x << n | x >> (64 - n);
}

static void rounds(uint64_t v[4], unsigned n)
{
    while (n-- > 0) {
        v[0] += v[1];
        v[1] = rotl(v[1], 13) ^ v[0];
        v[0] = rotl(v[0], 32);
        v[2] += v[3];
        v[3] = rotl(v[3], 16) ^ v[2];
        v[0] += v[3];
        v[3] = rotl(v[3], 21) ^ v[0];
        v[2] += v[1];
        v[1] = rotl(v[1], 17) ^ v[2];
        v[2] = rotl(v[2], 32);
    }
}

static void take(uint64_t v[4], uint64_t word)
{
    v[3] ^= word;
    rounds(v, 2);
    v[0] ^= word;
}

uint64_t gh_siphash(const struct gh_hash_seed *seed, const void *data, size_t len)
{
    uint64_t v[4] = {
        UINT64_C(0x736f6d6570736575) ^ seed->k[0], UINT64_C(0x646f72616e646f6d) ^ seed->k[1],
        UINT64_C(0x6c7967656e657261) ^ seed->k[0], UINT64_C(0x7465646279746573) ^ seed->k[1]};
    uint64_t last = (uint64_t)len << 56, word;
    const uint8_t *p = data;

    for (; len >= 8; p += 8, len -= 8) {
        memcpy(&word, p, 8);
        take(v, le64toh(word));
    }
    for (size_t i = 0; i < len; i++)
        last |= (uint64_t)p[i] << (8 * i);
    take(v, last);
    v[2] ^= 0xff;
    rounds(v, 4);
    return v[0] ^ v[1] ^ v[2] ^ v[3];
}
