/* The names of IKEv2's code points, made from the lists in codes.h. */
#include "ike/codes.h"

#include <stdio.h>

#define CODE_CASE(constant, number, name)                                                          \
    case number:                                                                                   \
        return name;
#define REGISTRY_DEFINE(list, tag, function)                                                       \
    const char *function(unsigned number)                                                          \
    {                                                                                              \
        switch (number) {                                                                          \
            list(CODE_CASE)                                                                        \
        }                                                                                          \
        return NULL;                                                                               \
    }
IKE_REGISTRIES(REGISTRY_DEFINE)

const char *ike_transform_name(unsigned type, unsigned number)
{
    switch (type) {
    case IKE_T_ENCR:
        return ike_encr_name(number);
    case IKE_T_PRF:
        return ike_prf_name(number);
    case IKE_T_INTEG:
        return ike_integ_name(number);
    case IKE_T_SN:
        return ike_sn_name(number);
    default:
        return ike_transform_is_ke(type) ? ike_ke_name(number) : NULL;
    }
}

const char *ike_code_text(const char *name, unsigned number, char buf[IKE_CODE_TEXT])
{
    if (name != NULL)
        return name;
    (void)snprintf(buf, IKE_CODE_TEXT, "%u", number);
    return buf;
}

bool ike_encr_is_aead(unsigned encr)
{
    return (encr >= IKE_ENCR_AES_CCM_8 && encr <= IKE_ENCR_AES_CCM_16) ||
           (encr >= IKE_ENCR_AES_GCM_8 && encr <= IKE_ENCR_NULL_AES_GMAC) ||
           (encr >= IKE_ENCR_CAMELLIA_CCM_8 && encr <= IKE_ENCR_MAGMA_MGM_MAC_KTREE);
}

bool ike_transform_is_ke(unsigned type)
{
    return type == IKE_T_KE || (type >= IKE_T_ADDKE1 && type <= IKE_T_ADDKE7);
}
