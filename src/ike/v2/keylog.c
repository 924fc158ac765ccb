/*
 * A line of Wireshark's ikev2_decryption_table for an IKE SA whose keys have just been made. Only
 * where the shell asks for it: whoever has the line can read all that the SA protects.
 */
#include <stdio.h>
#include <string.h>

#include "crypto/cipher.h"
#include "ike/v2/keys.h"
#include "ike/v2/priv.h"

enum { LINE = 1024, NAME = 64 };

/* As Wireshark spells them. Those that it does not know (ChaCha20-Poly1305, Camellia, AES-XCBC and
 * -CMAC) have no line: it would refuse the whole table. */
static bool encr_name(uint16_t encr, unsigned bits, char out[NAME])
{
    switch (encr) {
    case GH_ENC_AES_CBC:
        snprintf(out, NAME, "AES-CBC-%u [RFC3602]", bits);
        return true;
    case GH_ENC_AES_CTR:
        snprintf(out, NAME, "AES-CTR-%u [RFC5930]", bits);
        return true;
    case GH_ENC_AES_GCM_8:
    case GH_ENC_AES_GCM_12:
    case GH_ENC_AES_GCM_16:
        snprintf(out, NAME, "AES-GCM-%u with %u octet ICV [RFC5282]", bits,
                 8 + 4 * (unsigned)(encr - GH_ENC_AES_GCM_8));
        return true;
    case GH_ENC_AES_CCM_8:
    case GH_ENC_AES_CCM_12:
    case GH_ENC_AES_CCM_16:
        snprintf(out, NAME, "AES-CCM-%u with %u octet ICV [RFC5282]", bits,
                 8 + 4 * (unsigned)(encr - GH_ENC_AES_CCM_8));
        return true;
    case GH_ENC_3DES:
        snprintf(out, NAME, "3DES [RFC2451]");
        return true;
    case GH_ENC_NULL:
        snprintf(out, NAME, "NULL [RFC2410]");
        return true;
    default:
        return false;
    }
}

static const char *integ_name(uint16_t integ)
{
    switch (integ) {
    case GH_INTEG_NONE:
        return "NONE [RFC4306]";
    case GH_INTEG_HMAC_MD5_96:
        return "HMAC_MD5_96 [RFC2403]";
    case GH_INTEG_HMAC_SHA1_96:
        return "HMAC_SHA1_96 [RFC2404]";
    case GH_INTEG_HMAC_SHA2_256_128:
        return "HMAC_SHA2_256_128 [RFC4868]";
    case GH_INTEG_HMAC_SHA2_384_192:
        return "HMAC_SHA2_384_192 [RFC4868]";
    case GH_INTEG_HMAC_SHA2_512_256:
        return "HMAC_SHA2_512_256 [RFC4868]";
    default:
        return NULL;
    }
}

static void put_hex(struct gh_wr *w, const uint8_t *octets, size_t len)
{
    static const char digits[] = "0123456789abcdef";

    for (size_t i = 0; i < len; i++) {
        const char pair[2] = {digits[octets[i] >> 4], digits[octets[i] & 15]};

        gh_wr_bytes(w, pair, 2);
    }
    gh_wr_bytes(w, ",", 1);
}

static void put_name(struct gh_wr *w, const char *name, const char *end)
{
    gh_wr_bytes(w, "\"", 1);
    gh_wr_bytes(w, name, strlen(name));
    gh_wr_bytes(w, end, strlen(end));
}

void ike2_log_keys(struct ike2 *c, const struct ike2_sa *sa)
{
    size_t prf = gh_prf_len((enum gh_prf_alg)sa->suite.prf);
    size_t a = gh_integ_key_len((enum gh_integ_alg)sa->suite.integ);
    size_t e = gh_enc_key_len((enum gh_enc_alg)sa->suite.encr, sa->suite.encr_bits);
    const uint8_t *keys = sa->sk.data + prf;
    const char *integ = integ_name(sa->suite.integ);
    char line[LINE], encr[NAME];
    struct gh_wr w = gh_wr_make(line, sizeof(line));

    if (c->ops.key_log == NULL || integ == NULL ||
        !encr_name(sa->suite.encr, sa->suite.encr_bits, encr))
        return;
    put_hex(&w, sa->spi_i, IKE_SPI_LEN);
    put_hex(&w, sa->spi_r, IKE_SPI_LEN);
    put_hex(&w, keys + 2 * a, e);
    put_hex(&w, keys + 2 * a + e, e);
    put_name(&w, encr, "\",");
    put_hex(&w, keys, a);
    put_hex(&w, keys + a, a);
    put_name(&w, integ, "\"");
    gh_wr_zero(&w, 1);
    if (gh_wr_ok(&w))
        c->ops.key_log(c->ops.ctx, line);
    gh_wipe(line, sizeof(line));
}
