/* The Vendor ID payload: nothing but the octets. */
#include "ike/vendor.h"

void ike_vendor_emit(struct ike_out *o, struct gh_view id)
{
    ike_out_payload(o, IKE_P_VENDOR, false, id);
}

bool ike_has_vendor(const struct ike_payloads *p, struct gh_view id)
{
    for (size_t i = 0; i < p->count; i++)
        if (p->payload[i].type == IKE_P_VENDOR && gh_view_equal(p->payload[i].body, id))
            return true;
    return false;
}
