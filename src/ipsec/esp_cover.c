#include "ipsec/esp.h"
#include "wire/wr.h"

/* Of an extended sequence number, the high half is not in the packet. Integrity algorithms have it
 * behind the packet (RFC 4303 2.2.1), AEAD before the low half (RFC 4106 5, RFC 4543 3.3, RFC 7634
 * 2.1). */
void ipsec_esp_cover(struct ipsec_work *w)
{
    struct ipsec_crypt_job *j = &w->job;
    struct gh_wr aad = gh_wr_make(j->aad, sizeof(j->aad));
    struct gh_wr tail = gh_wr_make(j->tail, sizeof(j->tail));

    gh_wr_u32(&aad, w->sa->p.spi);
    if (w->sa->p.esn)
        gh_wr_u32(w->sa->aead ? &aad : &tail, w->seq >> 32);
    gh_wr_u32(&aad, w->seq & UINT32_MAX);
    j->aad_len = aad.len;
    j->tail_len = tail.len;
}
