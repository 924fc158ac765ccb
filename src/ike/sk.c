/*
 * The envelope:
 *
 *     header | … | next, C, length | (number, total) | IV | content, padding, pad length | ICV
 *     authenticated ------------------------------------------------------------------->
 *                                                         encrypted ------------------>
 */
#include "ike/sk_priv.h"

#include "base/secret.h"
#include "ike/out.h"

enum { PAD_LENGTH = 1 };

/* Content, padding and pad length: whole blocks. */
static size_t padded_len(const struct gh_cipher *c, size_t inner_len)
{
    size_t block = gh_cipher_block(c);

    return (inner_len + PAD_LENGTH + block - 1) / block * block;
}

size_t ike_envelope_len(const struct gh_cipher *c, size_t prefix_len, size_t inner_len)
{
    return IKE_HEADER_LEN + IKE_PAYLOAD_HEADER_LEN + prefix_len + gh_cipher_iv_len(c) +
           padded_len(c, inner_len) + gh_cipher_icv_len(c);
}

size_t ike_sk_message_len(const struct gh_cipher *c, size_t inner_len)
{
    return ike_envelope_len(c, 0, inner_len);
}

bool ike_envelope_seal(struct gh_cipher *c, const struct ike_header *h,
                       const struct ike_payload *beside, uint8_t type, uint8_t first,
                       struct gh_view prefix, struct gh_view inner, struct gh_view iv, uint8_t *mem,
                       size_t cap, struct gh_view *datagram)
{
    struct ike_out o = ike_out_message(mem, cap, h);
    size_t padded = padded_len(c, inner.len), data_at, aad_len;
    struct gh_view all;

    if (iv.len != gh_cipher_iv_len(c))
        return false;
    if (beside != NULL)
        ike_out_payload(&o, beside->type, beside->critical, beside->body);
    ike_out_open(&o, type, false);
    gh_wr_put_u8(&o.w, o.start_at, first);
    ike_out_view(&o, prefix);
    aad_len = o.w.len;
    ike_out_view(&o, iv);
    data_at = o.w.len;
    ike_out_view(&o, inner);
    gh_wr_zero(&o.w, padded - inner.len - PAD_LENGTH);
    gh_wr_u8(&o.w, padded - inner.len - PAD_LENGTH);
    gh_wr_zero(&o.w, gh_cipher_icv_len(c));
    ike_out_close(&o);
    if (!ike_out_done(&o, &all) || !gh_cipher_seal(c, gh_view_of(mem, aad_len), mem + aad_len,
                                                   mem + data_at, padded, mem + data_at + padded)) {
        gh_wipe(mem, cap);
        return false;
    }
    *datagram = all;
    return true;
}

bool ike_sk_seal(struct gh_cipher *c, const struct ike_header *h, uint8_t first,
                 struct gh_view inner, struct gh_view iv, uint8_t *mem, size_t cap,
                 struct gh_view *datagram)
{
    return ike_envelope_seal(c, h, NULL, IKE_P_SK, first, (struct gh_view){0}, inner, iv, mem, cap,
                             datagram);
}

bool ike_sk_seal_beside(struct gh_cipher *c, const struct ike_header *h,
                        const struct ike_payload *beside, uint8_t first, struct gh_view inner,
                        struct gh_view iv, uint8_t *mem, size_t cap, struct gh_view *datagram)
{
    return ike_envelope_seal(c, h, beside, IKE_P_SK, first, (struct gh_view){0}, inner, iv, mem,
                             cap, datagram);
}

enum ike_fault ike_envelope_open(struct gh_cipher *c, uint8_t *datagram,
                                 const struct ike_message *m, size_t prefix_len,
                                 struct gh_view *inner)
{
    size_t fixed = prefix_len + gh_cipher_iv_len(c) + gh_cipher_icv_len(c);
    size_t aad_len = m->sealed.offset + IKE_PAYLOAD_HEADER_LEN + prefix_len;
    uint8_t *iv = datagram + aad_len, *data = iv + gh_cipher_iv_len(c);
    size_t len;
    uint8_t padding;

    if (m->sealed.body.len < fixed + PAD_LENGTH)
        return IKE_NOT_AUTHENTIC;
    len = m->sealed.body.len - fixed;
    if (len % gh_cipher_block(c) != 0 ||
        !gh_cipher_open(c, gh_view_of(datagram, aad_len), iv, data, len, data + len))
        return IKE_NOT_AUTHENTIC;
    padding = data[len - PAD_LENGTH];
    if (padding > len - PAD_LENGTH)
        return IKE_PADDING;
    *inner = gh_view_of(data, len - PAD_LENGTH - padding);
    return IKE_OK;
}

enum ike_fault ike_sk_open(struct gh_cipher *c, uint8_t *datagram, const struct ike_message *m,
                           struct gh_view *inner)
{
    if (m->sealed.type != IKE_P_SK)
        return IKE_NOT_SEALED;
    return ike_envelope_open(c, datagram, m, 0, inner);
}
