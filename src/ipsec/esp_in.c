#include "ipsec/esp.h"

#include "ipsec/inner.h"
#include "wire/rd.h"

enum ipsec_result ipsec_esp_unwrap(struct ipsec_work *w)
{
    const struct ipsec_sa *sa = w->sa;
    struct ipsec_packet *p = w->packet;
    size_t around = w->data_at + IPSEC_ESP_HEADER + sa->iv_len + sa->icv_len;
    uint8_t *esp = ipsec_packet_data(p) + w->data_at;
    struct gh_rd r = gh_rd_make(esp, p->len - w->data_at);
    struct ipsec_crypt_job *j = &w->job;
    enum ipsec_result result;

    gh_rd_skip(&r, 4); /* the SPI found us */
    result = ipsec_inner_seq(w, gh_rd_u32(&r));
    if (r.bad || p->len < around + IPSEC_ESP_TRAILER || (p->len - around) % sa->block != 0)
        return IPSEC_TRUNCATED;
    if (result != IPSEC_OK)
        return result;
    ipsec_esp_cover(w);
    j->key = sa->key;
    ipsec_esp_iv(w, esp);
    j->data = esp + IPSEC_ESP_HEADER + sa->iv_len;
    j->len = p->len - around;
    j->icv = j->data + j->len;
    return IPSEC_OK;
}

/* RFC 4303 2.4: 1, 2, 3 … */
static bool padding_right(const uint8_t *padding, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (padding[i] != i + 1)
            return false;
    return true;
}

enum ipsec_result ipsec_esp_unwrapped(struct ipsec_work *w)
{
    const struct ipsec_crypt_job *j = &w->job;
    struct gh_rd trailer = gh_rd_make(j->data + j->len - IPSEC_ESP_TRAILER, IPSEC_ESP_TRAILER);
    size_t padding = gh_rd_u8(&trailer), sealed = j->len - IPSEC_ESP_TRAILER;
    uint8_t next = gh_rd_u8(&trailer);

    if (padding > sealed || !padding_right(j->data + sealed - padding, padding))
        return IPSEC_PADDING;
    return ipsec_inner(w, (size_t)(j->data - ipsec_packet_data(w->packet)), sealed - padding, next);
}
