/*
 * Stateless cookies (RFC 7296 2.6), with the puzzle that goes along (RFC 8019).
 *
 *     version | difficulty | prf | HMAC-SHA2-256(secret, these | Ni | SPIi | address | zone)
 *
 * The responder keeps two secrets, so that a cookie outlives one change. Ports are not in it: they
 * change with NAT and with TCP (RFC 9329 7.2). Secrets are the caller's randomness, and so is the
 * interval of their change.
 */
#ifndef IKE_COOKIE_H
#define IKE_COOKIE_H

#include "base/addr.h"
#include "base/view.h"
#include "ike/notify_data.h"

enum { IKE_COOKIE_SECRET_LEN = 32, IKE_COOKIE_LEN = 36, IKE_COOKIE_MAX = 64 };

/* Plain value; its owner wipes it. Zero-initialised knows no secret and accepts nothing. */
struct ike_cookie_secrets {
    uint8_t secret[2][IKE_COOKIE_SECRET_LEN];
    uint8_t version; /* of the newer one: version % 2 is its place */
    uint8_t known;   /* 0, 1, 2 */
};

/* What a cookie is bound to. */
struct ike_cookie_peer {
    struct gh_view nonce; /* Ni */
    const uint8_t *spi_i; /* 8 octets */
    const struct gh_addr *addr;
    uint16_t zone; /* ours: the same address in another network is another peer */
};

void ike_cookie_renew(struct ike_cookie_secrets *s, const uint8_t fresh[IKE_COOKIE_SECRET_LEN]);
/* puzzle: what is asked along with it; NULL: nothing. False: no secret yet. */
bool ike_cookie_make(const struct ike_cookie_secrets *s, const struct ike_cookie_peer *peer,
                     const struct ike_puzzle *puzzle, uint8_t out[IKE_COOKIE_LEN]);

enum ike_cookie_verdict { IKE_COOKIE_BAD, IKE_COOKIE_GOOD, IKE_COOKIE_GOOD_PUZZLE };

/* GOOD_PUZZLE: `puzzle` gets what was asked, and the solution must be checked too. */
enum ike_cookie_verdict ike_cookie_check(const struct ike_cookie_secrets *s,
                                         const struct ike_cookie_peer *peer, struct gh_view cookie,
                                         struct ike_puzzle *puzzle);

#endif
