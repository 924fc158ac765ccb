#include "ike/tcp_ao.h"

#include "ike/codes.h"

static const struct {
    uint16_t prf, integ;
    size_t key_len;
} pairs[] = {
    {IKE_PRF_HMAC_SHA1, IKE_INTEG_HMAC_SHA1_96, 20},
    {IKE_PRF_AES128_CMAC, IKE_INTEG_AES_CMAC_96, 16},
    {IKE_PRF_HMAC_SHA2_256, IKE_INTEG_HMAC_SHA2_256_128, 32},
};

enum { PAIRS = sizeof(pairs) / sizeof(pairs[0]) };

size_t ike_tcp_ao_key_len(uint16_t prf, uint16_t integ)
{
    for (size_t i = 0; i < PAIRS; i++)
        if (pairs[i].prf == prf && pairs[i].integ == integ)
            return pairs[i].key_len;
    return 0;
}

uint16_t ike_tcp_ao_integ(uint16_t prf)
{
    for (size_t i = 0; i < PAIRS; i++)
        if (pairs[i].prf == prf)
            return pairs[i].integ;
    return 0;
}
