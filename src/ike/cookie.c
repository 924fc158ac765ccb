/* The responder's cookies: nothing is kept but two secrets. */
#include "ike/cookie.h"

#include "base/secret.h"
#include "crypto/prf.h"
#include "ike/header.h"
#include "wire/rd.h"
#include "wire/wr.h"

enum { HEAD_LEN = 4, MAC_LEN = IKE_COOKIE_LEN - HEAD_LEN };

void ike_cookie_renew(struct ike_cookie_secrets *s, const uint8_t fresh[IKE_COOKIE_SECRET_LEN])
{
    s->version++;
    memcpy(s->secret[s->version % 2], fresh, IKE_COOKIE_SECRET_LEN);
    if (s->known < 2)
        s->known++;
}

/* The whole cookie for what stands in its head. */
static bool compute(const struct ike_cookie_secrets *s, const struct ike_cookie_peer *peer,
                    uint8_t version, const struct ike_puzzle *puzzle, uint8_t out[IKE_COOKIE_LEN])
{
    struct gh_view key = gh_view_of(s->secret[version % 2], IKE_COOKIE_SECRET_LEN);
    const uint8_t zone[] = {(uint8_t)(peer->zone >> 8), (uint8_t)peer->zone};
    uint8_t mac[GH_PRF_MAX];
    struct gh_wr w = gh_wr_make(out, IKE_COOKIE_LEN);
    const struct gh_view parts[] = {
        gh_view_of(out, HEAD_LEN), peer->nonce, gh_view_of(peer->spi_i, IKE_SPI_LEN),
        gh_view_of(peer->addr->octets, peer->addr->len), gh_view_of(zone, sizeof(zone))};

    gh_wr_u8(&w, version);
    gh_wr_u8(&w, puzzle->difficulty);
    gh_wr_u16(&w, puzzle->prf);
    if (!gh_prf(GH_PRF_HMAC_SHA2_256, key, parts, sizeof(parts) / sizeof(parts[0]), mac))
        return false;
    gh_wr_bytes(&w, mac, MAC_LEN);
    return gh_wr_ok(&w);
}

bool ike_cookie_make(const struct ike_cookie_secrets *s, const struct ike_cookie_peer *peer,
                     const struct ike_puzzle *puzzle, uint8_t out[IKE_COOKIE_LEN])
{
    static const struct ike_puzzle none = {0};

    return s->known > 0 && compute(s, peer, s->version, puzzle == NULL ? &none : puzzle, out);
}

enum ike_cookie_verdict ike_cookie_check(const struct ike_cookie_secrets *s,
                                         const struct ike_cookie_peer *peer, struct gh_view cookie,
                                         struct ike_puzzle *puzzle)
{
    struct gh_rd r = gh_rd_make(cookie.p, cookie.len);
    uint8_t expected[IKE_COOKIE_LEN], version = gh_rd_u8(&r), age;
    struct ike_puzzle asked = {.difficulty = gh_rd_u8(&r)};

    asked.prf = gh_rd_u16(&r);
    age = (uint8_t)(s->version - version);
    if (cookie.len != IKE_COOKIE_LEN || age >= s->known)
        return IKE_COOKIE_BAD;
    if (!compute(s, peer, version, &asked, expected) ||
        !gh_ct_equal(cookie.p, expected, IKE_COOKIE_LEN))
        return IKE_COOKIE_BAD;
    if (asked.prf == 0)
        return IKE_COOKIE_GOOD;
    *puzzle = asked;
    return IKE_COOKIE_GOOD_PUZZLE;
}
