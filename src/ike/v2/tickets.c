/*
 * Tickets by value (RFC 5723 6): what a gateway has to know to resume an IKE SA, sealed by a key
 * that never leaves this core. Called by resume.c.
 *
 *     key id | serial | AES-256-GCM(expiry, SPIs, suite, policy, identities, SK_d), ICV
 *
 * The serial is the IV, and by it a bit remembers what is spent: a ticket is good once. Two keys
 * are kept, so that a ticket outlives one change.
 */
#include <stdlib.h>
#include <string.h>

#include "ike/v2/priv.h"

enum {
    HEAD_LEN = 8,
    ICV_LEN = 16,
    PLAIN_MAX = 2048,
    SERIALS = 1 << 20,         /* of one key */
    KEY_MS = 7 * 86400 * 1000, /* much longer than an IKE SA lives */
    KEY_LEN = 36               /* with the salt */
};

struct ike2_ticket_keys {
    struct {
        uint32_t id; /* 0: none */
        uint8_t octets[KEY_LEN];
        uint32_t serials; /* given */
        uint8_t *spent;   /* a bit each */
        size_t spent_len;
    } key[2]; /* the newer one first */
    uint64_t renew_ms;
};

void ike2_tickets_free(struct ike2 *c)
{
    if (c->ticket_keys == NULL)
        return;
    for (size_t i = 0; i < 2; i++)
        free(c->ticket_keys->key[i].spent);
    gh_wipe(c->ticket_keys, sizeof(*c->ticket_keys));
    free(c->ticket_keys);
    c->ticket_keys = NULL;
}

static void renew(struct ike2 *c, struct ike2_ticket_keys *k)
{
    free(k->key[1].spent);
    k->key[1] = k->key[0];
    memset(&k->key[0], 0, sizeof(k->key[0]));
    c->ops.random(c->ops.ctx, k->key[0].octets, KEY_LEN);
    do
        c->ops.random(c->ops.ctx, &k->key[0].id, sizeof(k->key[0].id));
    while (k->key[0].id == 0 || k->key[0].id == k->key[1].id);
    k->renew_ms = c->now.mono_ms + KEY_MS;
}

static struct ike2_ticket_keys *keys_of(struct ike2 *c)
{
    if (c->ticket_keys == NULL)
        c->ticket_keys = calloc(1, sizeof(*c->ticket_keys));
    if (c->ticket_keys != NULL &&
        (c->ticket_keys->key[0].id == 0 || c->now.mono_ms >= c->ticket_keys->renew_ms ||
         c->ticket_keys->key[0].serials == SERIALS))
        renew(c, c->ticket_keys);
    return c->ticket_keys;
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
    struct ike2_ticket_keys *k = keys_of(c);
    uint8_t head[HEAD_LEN], iv[8], octets[PLAIN_MAX + ICV_LEN];
    struct gh_wr h = gh_wr_make(head, sizeof(head)), w = gh_wr_make(octets, PLAIN_MAX);
    struct gh_cipher *cipher;
    bool good;

    if (k == NULL)
        return false;
    *ref = (struct ike2_ticket_ref){.key = k->key[0].id, .serial = k->key[0].serials++};
    gh_wr_u32(&h, ref->key);
    gh_wr_u32(&h, ref->serial);
    iv_of(ref->serial, iv);
    put_state(&w, s);
    cipher = cipher_of(k->key[0].octets);
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

static int key_numbered(const struct ike2 *c, uint32_t id)
{
    for (int i = 0; c->ticket_keys != NULL && id != 0 && i < 2; i++)
        if (c->ticket_keys->key[i].id == id)
            return i;
    return -1;
}

static bool is_spent(const struct ike2 *c, int i, uint32_t serial)
{
    return serial / 8 < c->ticket_keys->key[i].spent_len &&
           (c->ticket_keys->key[i].spent[serial / 8] & 1u << serial % 8) != 0;
}

bool ike2_ticket_open(struct ike2 *c, struct gh_view ticket, struct ike2_ticket_state *s,
                      struct ike2_ticket_ref *ref)
{
    struct gh_rd r = gh_rd_make(ticket.p, ticket.len);
    uint8_t iv[8], octets[PLAIN_MAX];
    struct gh_cipher *cipher;
    bool good;
    size_t len;
    int i;

    ref->key = gh_rd_u32(&r);
    ref->serial = gh_rd_u32(&r);
    i = r.bad ? -1 : key_numbered(c, ref->key);
    if (i < 0 || gh_rd_left(&r) < ICV_LEN || gh_rd_left(&r) - ICV_LEN > PLAIN_MAX ||
        is_spent(c, i, ref->serial))
        return false;
    len = gh_rd_left(&r) - ICV_LEN;
    gh_rd_copy(&r, octets, len);
    iv_of(ref->serial, iv);
    cipher = cipher_of(c->ticket_keys->key[i].octets);
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
    int i = key_numbered(c, ref->key);

    if (i < 0)
        return;
    if (ref->serial / 8 >= c->ticket_keys->key[i].spent_len) {
        size_t len = 2 * (ref->serial / 8) + 64;
        uint8_t *more = realloc(c->ticket_keys->key[i].spent, len);

        if (more == NULL) { /* what cannot be remembered as spent must not be good */
            c->ticket_keys->key[i].id = 0;
            return;
        }
        memset(more + c->ticket_keys->key[i].spent_len, 0, len - c->ticket_keys->key[i].spent_len);
        c->ticket_keys->key[i].spent = more;
        c->ticket_keys->key[i].spent_len = len;
    }
    c->ticket_keys->key[i].spent[ref->serial / 8] |= (uint8_t)(1u << ref->serial % 8);
}
