/*
 * Keys that operators agreed on by hand (RFC 4301 4.5): what a `manual-sa` section says of its SAs
 * beside what struct ike2_policy has, and its passage to the process that carries them.
 *
 * The value holds secrets, and so do its octets: whoever has either wipes it. It goes from the
 * parent, which reads the files, to the process of the first slot alone; `ike` has no part in it.
 */
#ifndef GH_CONFIG_MANUAL_H
#define GH_CONFIG_MANUAL_H

#include "base/secret.h"
#include "config/octets.h"
#include "crypto/cipher.h"

enum {
    GH_MANUAL_SAS = 16,
    /* SPIs of theirs alone: IKE draws none below GH_SPI_DRAWN (platform/spi.h). */
    GH_MANUAL_SPI_MIN = 256,
    GH_MANUAL_SPI_MAX = 16383,
    GH_MANUAL_KEY_MAX = 256,
    GH_MANUAL_WIRE_MAX = 32768
};
#define GH_MANUAL_CHILD "manual" /* what the one child of such a policy is called */

struct gh_manual_way {
    uint32_t spi;
    struct gh_secret key; /* the cipher's, and behind it that of integrity; both may be empty */
};

/* ESP or AH, both directions. */
struct gh_manual_part {
    bool there;
    enum gh_enc_alg enc; /* AH: GH_ENC_NULL */
    uint16_t enc_bits;
    enum gh_integ_alg integ;
    struct gh_manual_way in, out;
};

struct gh_manual_sa {
    char *name;                    /* owned; of the policy */
    struct gh_manual_part esp, ah; /* one of them, or AH around ESP */
};

struct gh_manual_list {
    struct gh_manual_sa *sas; /* owned */
    size_t count;
};
void gh_manual_clear(struct gh_manual_list *l); /* wipes */

/* With counter modes, two packets under one key and counter give both away, and a restart begins
 * the counters anew: no manual keys (RFC 8221 3, 4106 2, 3686 2.1, 4309 2, 4543 2, 7634 2). */
bool gh_manual_may_have(enum gh_enc_alg enc);

void gh_manual_put(struct gh_wr *w, const struct gh_manual_list *l);
/* False: nothing that gh_manual_put() would write, or no memory; *out is then empty. */
bool gh_manual_get(struct gh_view data, struct gh_manual_list *out);

#endif
