#include "ipsec/ecn.h"

enum { DROP = 0xff };

/* RFC 6040 figure 4: by the arriving inner field, then the arriving outer field. */
static const uint8_t forwarded[4][4] = {
    [IPSEC_NOT_ECT] = {[IPSEC_NOT_ECT] = IPSEC_NOT_ECT,
                       [IPSEC_ECT_0] = IPSEC_NOT_ECT,
                       [IPSEC_ECT_1] = IPSEC_NOT_ECT,
                       [IPSEC_CE] = DROP},
    [IPSEC_ECT_0] = {[IPSEC_NOT_ECT] = IPSEC_ECT_0,
                     [IPSEC_ECT_0] = IPSEC_ECT_0,
                     [IPSEC_ECT_1] = IPSEC_ECT_1,
                     [IPSEC_CE] = IPSEC_CE},
    [IPSEC_ECT_1] = {[IPSEC_NOT_ECT] = IPSEC_ECT_1,
                     [IPSEC_ECT_0] = IPSEC_ECT_1,
                     [IPSEC_ECT_1] = IPSEC_ECT_1,
                     [IPSEC_CE] = IPSEC_CE},
    [IPSEC_CE] = {[IPSEC_NOT_ECT] = IPSEC_CE,
                  [IPSEC_ECT_0] = IPSEC_CE,
                  [IPSEC_ECT_1] = IPSEC_CE,
                  [IPSEC_CE] = IPSEC_CE},
};

bool ipsec_ecn_inner(uint8_t inner, uint8_t outer, uint8_t *result)
{
    *result = forwarded[inner & 3][outer & 3];
    return *result != DROP;
}
