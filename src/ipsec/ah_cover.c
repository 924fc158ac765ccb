#include <string.h>

#include "ipsec/ah.h"
#include "wire/wr.h"

/*
 * The job: aad is the header without what is mutable; GMAC's goes on over the AH as far as the IV
 * (RFC 4543 4), then IV and the rest follow. Other algorithms have the AH in their data. Behind the
 * packet stands the high half of an extended sequence number (2.5.1).
 */
enum ipsec_result ipsec_ah_cover(struct ipsec_work *w, size_t at)
{
    struct ipsec_packet *p = w->packet;
    const struct ipsec_sa *sa = w->sa;
    struct ipsec_crypt_job *j = &w->job;
    uint8_t *ah = ipsec_packet_data(p) + at;
    size_t begin = sa->aead ? IPSEC_AH_FIXED : 0, data_at = at + begin + sa->iv_len;
    struct gh_wr high = gh_wr_make(p->mem + p->at + p->len, ipsec_packet_tailroom(p));

    if (at + begin > sizeof(j->aad))
        return IPSEC_OPTIONS;
    memcpy(j->aad, ipsec_packet_data(p), at + begin);
    if (!ipsec_ah_zero_mutable(j->aad, at))
        return IPSEC_OPTIONS;
    if (sa->p.esn)
        gh_wr_u32(&high, w->seq >> 32);
    if (!gh_wr_ok(&high))
        return IPSEC_NO_ROOM;
    memset(ah + IPSEC_AH_FIXED + sa->iv_len, 0, sa->icv_len);
    j->aad_len = at + begin;
    j->key = sa->key;
    j->iv = ah + IPSEC_AH_FIXED;
    j->data = ipsec_packet_data(p) + data_at;
    j->len = p->len - data_at + high.len;
    j->tail_len = 0;
    j->icv = w->icv;
    return IPSEC_OK;
}
