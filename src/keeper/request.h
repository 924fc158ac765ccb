/*
 * What is asked of the keeper, as octets: requests and answers between `ike` and it.
 *
 * Pure. A request names a secret and says what to do with it; no answer ever holds one. Both ends
 * are of one build, so there is no version. Whoever sends something malformed is not believed any
 * more.
 */
#ifndef GH_KEEPER_REQUEST_H
#define GH_KEEPER_REQUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/view.h"
#include "crypto/prf.h"
#include "pki/auth.h"
#include "wire/wr.h"

enum {
    GH_KEEPER_NAME_MAX = 64,           /* octets of a name, printable ASCII */
    GH_KEEPER_OCTETS_MAX = 128 * 1024, /* to be signed: an IKE message, a nonce, a MAC */
    GH_KEEPER_PPK_OUT_MAX = 255,
    GH_KEEPER_REQUEST_MAX = 16 + GH_KEEPER_NAME_MAX + 2 * GH_KEEPER_OCTETS_MAX,
    GH_KEEPER_ANSWER_MAX = 4 * 1048576
};

enum gh_keeper_kind {
    GH_KEEPER_SIGN, /* → the AUTH payload's body */
    GH_KEEPER_PSK,  /* → prf(prf(PSK, "Key Pad for IKEv2"), octets), then the same of `also` */
    GH_KEEPER_PPK,  /* → prf+(PPK, octets), `len` octets of it (RFC 8784) */
    GH_KEEPER_LIST  /* → what it holds: names, and the certificates beside keys */
};

struct gh_keeper_request {
    enum gh_keeper_kind kind;
    uint32_t id; /* the caller's: comes back in the answer */
    struct gh_view name;
    struct gh_sign_params params; /* SIGN */
    enum gh_prf_alg prf;          /* PSK, PPK */
    uint8_t len;                  /* PPK */
    struct gh_view octets;
    struct gh_view also; /* PSK: a second value is wanted, of these; empty: none is */
};

/* False: what gh_keeper_request_parse() would not take. */
bool gh_keeper_request_put(struct gh_wr *w, const struct gh_keeper_request *r);
/* Views into `data`. False: malformed. One encoding for each value. */
bool gh_keeper_request_parse(struct gh_view data, struct gh_keeper_request *out);

enum gh_keeper_result {
    GH_KEEPER_OK,
    GH_KEEPER_NO_NAME, /* no secret of that name and kind */
    GH_KEEPER_REFUSED /* the key cannot do that, or libcrypto failed: `value` is the reason, text */
};

struct gh_keeper_answer {
    uint32_t id;
    enum gh_keeper_result result;
    struct gh_view value;
};
bool gh_keeper_answer_put(struct gh_wr *w, const struct gh_keeper_answer *a);
bool gh_keeper_answer_parse(struct gh_view data, struct gh_keeper_answer *out);

/* ---- The value of a LIST's answer ----------------------------------------------------------- */

enum gh_secret_kind { GH_SECRET_KEY, GH_SECRET_PSK, GH_SECRET_PPK };

struct gh_keeper_entry {
    enum gh_secret_kind kind;
    struct gh_view name;
    uint8_t key_type; /* enum gh_key_type, of a KEY */
    uint16_t bits;
    struct gh_view spki;  /* its public key */
    size_t cert_count;    /* certificates that came in the key's file */
    struct gh_view certs; /* for gh_keeper_entry_cert() */
};
/* The next entry of a list; false at its end and for a malformed one (then *rest is not empty). */
bool gh_keeper_entry_next(struct gh_view *rest, struct gh_keeper_entry *out);
/* The i-th certificate in DER, the key's own first. */
struct gh_view gh_keeper_entry_cert(const struct gh_keeper_entry *e, size_t i);

#endif
