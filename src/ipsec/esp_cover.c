#include "ipsec/esp.h"
#include "wire/wr.h"

enum { COUNTER_IV = 8 };

/* RFC 8750 4: the sequence number, extended or not, in network order. */
void ipsec_esp_iv(struct ipsec_work *w, uint8_t *esp)
{
    struct gh_wr out = gh_wr_make(w->iv, COUNTER_IV);

    w->job.iv = esp + IPSEC_ESP_HEADER;
    if (!w->sa->implicit_iv)
        return;
    gh_wr_u64(&out, w->seq);
    w->job.iv = w->iv;
}

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
