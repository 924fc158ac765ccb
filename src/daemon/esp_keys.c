#include "daemon/esp_keys.h"

#include <stdio.h>
#include <string.h>

#include "crypto/cipher.h"
#include "wire/wr.h"

/* As Wireshark spells them; NULL: it would refuse the whole table. */
static const char *enc_name(enum gh_enc_alg enc)
{
    switch (enc) {
    case GH_ENC_AES_CBC:
        return "AES-CBC [RFC3602]";
    case GH_ENC_AES_CTR:
        return "AES-CTR [RFC3686]";
    case GH_ENC_AES_GCM_8:
        return "AES-GCM with 8 octet ICV [RFC4106]";
    case GH_ENC_AES_GCM_12:
        return "AES-GCM with 12 octet ICV [RFC4106]";
    case GH_ENC_AES_GCM_16:
        return "AES-GCM with 16 octet ICV [RFC4106]";
    case GH_ENC_3DES:
        return "TripleDES-CBC [RFC2451]";
    case GH_ENC_DES:
        return "DES-CBC [RFC2405]";
    case GH_ENC_NULL:
        return "NULL";
    default:
        return NULL;
    }
}

/* With extended sequence numbers the ICV covers 32 bits that no packet has, so Wireshark is told
 * how long it is, not how to check it. */
static const char *integ_name(enum gh_integ_alg integ)
{
    switch (integ) {
    case GH_INTEG_NONE:
        return "NULL";
    case GH_INTEG_HMAC_SHA2_256_128:
        return "ANY 128 bit authentication [no checking]";
    case GH_INTEG_HMAC_SHA2_384_192:
        return "ANY 192 bit authentication [no checking]";
    case GH_INTEG_HMAC_SHA2_512_256:
        return "ANY 256 bit authentication [no checking]";
    default:
        return "ANY 96 bit authentication [no checking]";
    }
}

static void put_text(struct gh_wr *w, const char *text)
{
    gh_wr_bytes(w, text, strlen(text));
}

static void put_field(struct gh_wr *w, const char *text)
{
    put_text(w, ",\"");
    put_text(w, text);
    put_text(w, "\"");
}

static void put_hex(struct gh_wr *w, const uint8_t *octets, size_t len)
{
    put_text(w, len > 0 ? ",\"0x" : ",\"");
    for (size_t i = 0; i < len; i++) {
        const uint8_t nibbles[2] = {octets[i] >> 4, octets[i] & 15};

        for (int k = 0; k < 2; k++)
            gh_wr_u8(w, nibbles[k] < 10 ? '0' + nibbles[k] : 'a' + nibbles[k] - 10);
    }
    put_text(w, "\"");
}

bool gh_esp_keys_line(const struct ike2_child_view *c, bool outgoing, char line[GH_ESP_KEYS_LINE])
{
    const struct ike_transform *encr = ike_proposal_find(c->suite, IKE_T_ENCR);
    const struct gh_view *key = outgoing ? &c->key_out : &c->key_in;
    const struct gh_view *spi = outgoing ? &c->spi_out : &c->spi_in;
    struct gh_wr w = gh_wr_make(line, GH_ESP_KEYS_LINE);
    const char *enc;
    size_t len;

    if (c->protocol != IKE_PROTO_ESP || encr == NULL)
        return false;
    enc = enc_name((enum gh_enc_alg)encr->id);
    len = gh_enc_key_len((enum gh_enc_alg)encr->id, encr->key_bits);
    if (enc == NULL || key->len < len)
        return false;
    put_text(&w, c->local.addr.len == 4 ? "\"IPv4\"" : "\"IPv6\"");
    put_field(&w, "*"); /* either end may move */
    put_field(&w, "*");
    put_hex(&w, spi->p, spi->len);
    put_field(&w, enc);
    put_hex(&w, key->p, len);
    put_field(&w, integ_name((enum gh_integ_alg)ike_proposal_id(c->suite, IKE_T_INTEG)));
    put_field(&w, "");
    gh_wr_zero(&w, 1);
    return gh_wr_ok(&w);
}
