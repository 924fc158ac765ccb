/*
 * Tickets by value (RFC 5723 6): what a gateway has to know to resume an IKE SA, sealed by a key
 * that nobody else has. Called by resume.c.
 *
 *     key id | serial | AES-256-GCM(expiry, SPIs, suite, policy, identities, SK_d), ICV
 *
 * The serial is the IV, and by it a bit remembers what is spent: a ticket is good once. Two keys
 * are kept, so that a ticket outlives one change. All of that stands in one block of memory, which
 * may be the shell's: then the next core goes on where this one was killed, and no IV comes twice,
 * for a serial is counted before it is used.
 */
#include <stdlib.h>
#include <string.h>

#include "crypto/cipher.h"
#include "ike/v2/priv.h"
#include "ike/v2/tickets.h"
#include "wire/rd.h"

enum {
    HEAD_LEN = 8,
    ICV_LEN = 16,
    PLAIN_MAX = 2048,
    SERIALS = 1 << 20,         /* of one key */
    KEY_MS = 7 * 86400 * 1000, /* much longer than an IKE SA lives */
    KEY_LEN = 36               /* with the salt */
};

struct ike2_ticket_key {
    uint32_t id; /* 0: none */
    uint8_t octets[KEY_LEN];
    uint32_t serials;           /* given */
    uint8_t spent[SERIALS / 8]; /* a bit each */
};

/* In memory of the core's or of the shell's, which outlives the core. */
struct ike2_ticket_keys {
    struct ike2_ticket_key key[2]; /* the newer one first */
    uint64_t renew_ms;
};

size_t ike2_ticket_memory(void)
{
    return sizeof(struct ike2_ticket_keys);
}

void ike2_tickets_free(struct ike2 *c)
{
    if (c->ticket_keys == NULL)
        c->ticket_keys = c->settings.ticket_memory;
    if (c->ticket_keys == NULL)
        return;
    for (size_t i = 0; i < 2; i++) {
        c->ticket_keys->key[i].id = 0;
        gh_wipe(c->ticket_keys->key[i].octets, KEY_LEN);
    }
    if (c->ticket_keys != c->settings.ticket_memory)
        free(c->ticket_keys);
    c->ticket_keys = NULL;
}

void ike2_tickets_leave(struct ike2 *c)
{
    if (c->ticket_keys == c->settings.ticket_memory)
        c->ticket_keys = NULL;
    c->settings.ticket_memory = NULL;
}

static void renew(struct ike2 *c, struct ike2_ticket_keys *k)
{
    k->key[1] = k->key[0];
    memset(&k->key[0], 0, sizeof(k->key[0]));
    c->ops.random(c->ops.ctx, k->key[0].octets, KEY_LEN);
    do
        c->ops.random(c->ops.ctx, &k->key[0].id, sizeof(k->key[0].id));
    while (k->key[0].id == 0 || k->key[0].id == k->key[1].id);
    k->renew_ms = c->now.mono_ms + KEY_MS;
}

/* NULL: no memory, or (not `make`) nothing was ever given. */
static struct ike2_ticket_keys *keys_of(struct ike2 *c, bool make)
{
    if (c->ticket_keys == NULL)
        c->ticket_keys = c->settings.ticket_memory;
    if (c->ticket_keys == NULL && make)
        c->ticket_keys = calloc(1, sizeof(*c->ticket_keys));
    return c->ticket_keys;
}

/* The one that seals now. */
static struct ike2_ticket_key *sealing_key(struct ike2 *c)
{
    struct ike2_ticket_keys *k = keys_of(c, true);

    if (k != NULL &&
        (k->key[0].id == 0 || c->now.mono_ms >= k->renew_ms || k->key[0].serials >= SERIALS))
        renew(c, k);
    return k != NULL ? &k->key[0] : NULL;
}

static struct gh_cipher *cipher_of(const uint8_t octets[KEY_LEN])
{
    return gh_cipher_new(GH_ENC_AES_GCM_16, 256, GH_INTEG_NONE, gh_view_of(octets, KEY_LEN),
                         gh_view_of(NULL, 0));
}

static void put_identity(struct gh_wr *w, const struct gh_identity *id)
{
    uint8_t body[GH_ID_BODY];
    struct gh_wr b = gh_wr_make(body, sizeof(body));

    gh_identity_put(&b, id);
    gh_wr_u16(w, b.len);
    gh_wr_bytes(w, body, b.len);
}

static bool take_identity(struct gh_rd *r, struct gh_identity *id)
{
    size_t len = gh_rd_u16(r);
    const uint8_t *body = gh_rd_bytes(r, len);

    return body != NULL && gh_identity_parse(gh_view_of(body, len), id);
}

static void put_state(struct gh_wr *w, const struct ike2_ticket_state *s)
{
    size_t name = strlen(s->policy);

    gh_wr_u64(w, (uint64_t)s->expires);
    gh_wr_bytes(w, s->spi_i, IKE_SPI_LEN);
    gh_wr_bytes(w, s->spi_r, IKE_SPI_LEN);
    gh_wr_u16(w, s->suite.encr);
    gh_wr_u16(w, s->suite.encr_bits);
    gh_wr_u16(w, s->suite.prf);
    gh_wr_u16(w, s->suite.integ);
    gh_wr_u16(w, s->suite.ke);
    for (size_t i = 0; i < IKE2_ADDKES; i++)
        gh_wr_u16(w, s->suite.addke[i]);
    gh_wr_u8(w, s->ppk_used);
    gh_wr_u8(w, name);
    gh_wr_bytes(w, s->policy, name);
    put_identity(w, &s->client);
    put_identity(w, &s->gateway);
    gh_wr_u8(w, s->sk_d_len);
    gh_wr_bytes(w, s->sk_d, s->sk_d_len);
}

static bool take_state(struct gh_view plain, struct ike2_ticket_state *s)
{
    struct gh_rd r = gh_rd_make(plain.p, plain.len);
    size_t name;

    memset(s, 0, sizeof(*s));
    s->suite.protocol = IKE_PROTO_IKE;
    s->expires = (int64_t)gh_rd_u64(&r);
    gh_rd_copy(&r, s->spi_i, IKE_SPI_LEN);
    gh_rd_copy(&r, s->spi_r, IKE_SPI_LEN);
    s->suite.encr = gh_rd_u16(&r);
    s->suite.encr_bits = gh_rd_u16(&r);
    s->suite.prf = gh_rd_u16(&r);
    s->suite.integ = gh_rd_u16(&r);
    s->suite.ke = gh_rd_u16(&r);
    for (size_t i = 0; i < IKE2_ADDKES; i++)
        s->suite.addke[i] = gh_rd_u16(&r);
    s->ppk_used = gh_rd_u8(&r) != 0;
    name = gh_rd_u8(&r);
    if (name > IKE2_NAME)
        return false;
    gh_rd_copy(&r, s->policy, name);
    if (!take_identity(&r, &s->client) || !take_identity(&r, &s->gateway))
        return false;
    s->sk_d_len = gh_rd_u8(&r);
    if (s->sk_d_len > sizeof(s->sk_d))
        return false;
    gh_rd_copy(&r, s->sk_d, s->sk_d_len);
    return gh_rd_done(&r);
}

static void iv_of(uint32_t serial, uint8_t iv[8])
{
    struct gh_wr w = gh_wr_make(iv, 8);

    gh_wr_u64(&w, serial);
}

bool ike2_ticket_seal(struct ike2 *c, const struct ike2_ticket_state *s, struct gh_wr *out,
                      struct ike2_ticket_ref *ref)
{
    struct ike2_ticket_key *k = sealing_key(c);
    uint8_t head[HEAD_LEN], iv[8], octets[PLAIN_MAX + ICV_LEN];
    struct gh_wr h = gh_wr_make(head, sizeof(head)), w = gh_wr_make(octets, PLAIN_MAX);
    struct gh_cipher *cipher;
    bool good;

    if (k == NULL)
        return false;
    *ref = (struct ike2_ticket_ref){.key = k->id, .serial = k->serials++};
    gh_wr_u32(&h, ref->key);
    gh_wr_u32(&h, ref->serial);
    iv_of(ref->serial, iv);
    put_state(&w, s);
    cipher = cipher_of(k->octets);
    good = gh_wr_ok(&w) && cipher != NULL &&
           gh_cipher_seal(cipher, gh_view_of(head, HEAD_LEN), iv, octets, w.len, octets + w.len);
    gh_cipher_free(cipher);
    if (good) {
        gh_wr_bytes(out, head, HEAD_LEN);
        gh_wr_bytes(out, octets, w.len + ICV_LEN);
    }
    gh_wipe(octets, sizeof(octets));
    return good && gh_wr_ok(out);
}

/* The key of a ticket, where that is one of ours. */
static struct ike2_ticket_key *key_of(struct ike2 *c, const struct ike2_ticket_ref *ref)
{
    struct ike2_ticket_keys *k = keys_of(c, false);

    for (int i = 0; k != NULL && ref->key != 0 && i < 2; i++)
        if (k->key[i].id == ref->key && ref->serial < SERIALS)
            return &k->key[i];
    return NULL;
}

static bool is_spent(const struct ike2_ticket_key *k, uint32_t serial)
{
    return (k->spent[serial / 8] & 1u << serial % 8) != 0;
}

bool ike2_ticket_open(struct ike2 *c, struct gh_view ticket, struct ike2_ticket_state *s,
                      struct ike2_ticket_ref *ref)
{
    struct gh_rd r = gh_rd_make(ticket.p, ticket.len);
    uint8_t iv[8], octets[PLAIN_MAX];
    struct ike2_ticket_key *k;
    struct gh_cipher *cipher;
    bool good;
    size_t len;

    ref->key = gh_rd_u32(&r);
    ref->serial = gh_rd_u32(&r);
    k = r.bad ? NULL : key_of(c, ref);
    if (k == NULL || gh_rd_left(&r) < ICV_LEN || gh_rd_left(&r) - ICV_LEN > PLAIN_MAX ||
        is_spent(k, ref->serial))
        return false;
    len = gh_rd_left(&r) - ICV_LEN;
    gh_rd_copy(&r, octets, len);
    iv_of(ref->serial, iv);
    cipher = cipher_of(k->octets);
    good = cipher != NULL &&
           gh_cipher_open(cipher, gh_view_of(ticket.p, HEAD_LEN), iv, octets, len,
                          gh_rd_bytes(&r, ICV_LEN)) &&
           take_state(gh_view_of(octets, len), s) && c->now.wall < s->expires;
    gh_cipher_free(cipher);
    gh_wipe(octets, sizeof(octets));
    return good;
}

void ike2_ticket_spend(struct ike2 *c, const struct ike2_ticket_ref *ref)
{
    struct ike2_ticket_key *k = key_of(c, ref);

    if (k != NULL)
        k->spent[ref->serial / 8] |= (uint8_t)(1u << ref->serial % 8);
}
