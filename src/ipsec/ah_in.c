#include <string.h>

#include "ipsec/ah.h"
#include "ipsec/inner.h"
#include "wire/rd.h"

enum { PADDING_MAX = 4 };

/* Some pad to eight octets over IPv4 too, where four are enough. */
static bool length_fits(const struct ipsec_sa *sa, size_t len)
{
    size_t least = IPSEC_AH_FIXED + sa->iv_len + sa->icv_len;

    return len >= least && len <= least + PADDING_MAX;
}

enum ipsec_result ipsec_ah_unwrap(struct ipsec_work *w)
{
    struct ipsec_packet *p = w->packet;
    uint8_t *ah = ipsec_packet_data(p) + w->data_at;
    struct gh_rd r = gh_rd_make(ah, p->len - w->data_at);
    enum ipsec_result result;

    gh_rd_skip(&r, 1);
    w->ah_len = ((size_t)gh_rd_u8(&r) + 2) * 4;
    gh_rd_skip(&r, 6); /* reserved; the SPI found us */
    result = ipsec_inner_seq(w, gh_rd_u32(&r));
    if (r.bad || w->ah_len > p->len - w->data_at || !length_fits(w->sa, w->ah_len))
        return IPSEC_TRUNCATED;
    if (w->layout.source_routed)
        return IPSEC_OPTIONS;
    if (result != IPSEC_OK)
        return result;
    memcpy(w->icv, ah + IPSEC_AH_FIXED + w->sa->iv_len, w->sa->icv_len);
    return ipsec_ah_cover(w, w->data_at);
}

enum ipsec_result ipsec_ah_unwrapped(struct ipsec_work *w)
{
    size_t at = w->data_at + w->ah_len;

    return ipsec_inner(w, at, w->packet->len - at, ipsec_packet_data(w->packet)[w->data_at]);
}
