#include "ike_mutate.h"

#include <stdlib.h>
#include <string.h>

#include "crypto/cipher.h"
#include "ike/sk.h"
#include "ike/v2/keys.h"
#include "ike/v2/priv.h"
#include "ike/v2/tables.h"

enum { OMIT, REPEAT, CORRUPT, SWAP, SHORTEN, STRANGE, CRITICAL, RETYPE, KINDS };

static uint8_t scratch[2][IKE2_SCRATCH];

/* ---- Payloads -------------------------------------------------------------------------------- */

static void put(struct ike_out *o, const struct ike_payload *p)
{
    ike_out_payload(o, p->type, p->critical, p->body);
}

static void put_corrupt(struct ike_world *w, struct ike_out *o, const struct ike_payload *p)
{
    uint8_t *body = malloc(p->body.len + 1);

    if (body == NULL)
        abort();
    memcpy(body, p->body.p, p->body.len);
    for (unsigned n = 1 + ike_world_random(w, 3); n > 0 && p->body.len > 0; n--)
        body[ike_world_random(w, (uint32_t)p->body.len)] = (uint8_t)ike_world_random(w, 256);
    ike_out_payload(o, p->type, p->critical, gh_view_of(body, p->body.len));
    free(body);
}

static void change_one(struct ike_world *w, struct ike_out *o, const struct ike_payloads *in)
{
    uint32_t at = ike_world_random(w, (uint32_t)in->count), kind = ike_world_random(w, KINDS);
    static const uint8_t strange[3] = {1, 2, 3};

    for (size_t i = 0; i < in->count; i++) {
        const struct ike_payload *p = &in->payload[i];

        if (i != at) {
            put(o, p);
            continue;
        }
        switch (kind) {
        case OMIT:
            break;
        case REPEAT:
            put(o, p);
            put(o, p);
            break;
        case CORRUPT:
            put_corrupt(w, o, p);
            break;
        case SWAP:
            if (i + 1 < in->count)
                put(o, &in->payload[++i]);
            put(o, p);
            break;
        case SHORTEN:
            ike_out_payload(o, p->type, p->critical,
                            gh_view_of(p->body.p, ike_world_random(w, (uint32_t)p->body.len + 1)));
            break;
        case STRANGE:
        case CRITICAL:
            ike_out_payload(o, 200, kind == CRITICAL, gh_view_of(strange, sizeof(strange)));
            put(o, p);
            break;
        default:
            ike_out_payload(o, (uint8_t)(IKE_P_SA + ike_world_random(w, 20)), false, p->body);
            break;
        }
    }
}

/* ---- Messages -------------------------------------------------------------------------------- */

static size_t reseal(struct ike_world *w, const struct ike_host *from, const struct ike_message *m,
                     ike_change_fn *change, uint8_t *datagram, uint8_t *out, size_t cap)
{
    const struct ike2_sa *sa =
        ike2_by_spi(from->core, ike_header_from_initiator(&m->h) ? m->h.spi_i : m->h.spi_r);
    struct ike_payloads in = {.count = 0};
    uint8_t iv[GH_CIPHER_IV_MAX];
    struct gh_view inner, result = {.len = 0};
    struct ike_out o = ike_out_inner(scratch[1], sizeof(scratch[1]));
    struct ike2_sa copy;

    if (sa == NULL || m->sealed.type != IKE_P_SK)
        return 0;
    copy = *sa;
    copy.in = copy.out = NULL;
    for (size_t i = 0; i < sizeof(iv); i++)
        iv[i] = (uint8_t)ike_world_random(w, 256);
    if (ike2_ciphers(&copy) && ike_sk_open(copy.out, datagram, m, &inner) == IKE_OK &&
        ike_payloads_parse(m->sealed.first, inner, &in) == IKE_OK && in.count > 0) {
        change(w, &o, &in);
        if (!ike_out_done(&o, &inner) ||
            !ike_sk_seal(copy.out, &m->h, o.first, inner,
                         gh_view_of(iv, gh_cipher_iv_len(copy.out)), out, cap, &result))
            result.len = 0;
    }
    ike2_ciphers_drop(&copy);
    return result.len;
}

size_t ike_change(struct ike_world *w, const struct ike_host *from, const struct ike2_datagram *d,
                  ike_change_fn *change, uint8_t *out, size_t cap)
{
    struct ike_message m;
    struct gh_view result;
    struct ike_out o;

    memcpy(scratch[0], d->data, d->len);
    if (ike_message_parse(gh_view_of(scratch[0], d->len), &m) != IKE_OK)
        return 0;
    if (m.sealed.type != 0)
        return reseal(w, from, &m, change, scratch[0], out, cap);
    o = ike_out_message(out, cap, &m.h);
    if (m.clear.count > 0)
        change(w, &o, &m.clear);
    return ike_out_done(&o, &result) ? result.len : 0;
}

size_t ike_mutate(struct ike_world *w, const struct ike_host *from, const struct ike2_datagram *d,
                  uint8_t *out, size_t cap)
{
    return ike_change(w, from, d, change_one, out, cap);
}

bool ike_mutate_some(struct ike_world *w, struct ike_host *from, const struct ike2_datagram *d)
{
    static uint8_t out[IKE2_SCRATCH];
    size_t len = ike_world_random(w, 6) == 0 ? ike_mutate(w, from, d, out, sizeof(out)) : 0;

    if (len == 0)
        return false;
    w->mutated++;
    ike_world_inject(w, &d->local, &d->remote, d->marker, gh_view_of(out, len));
    return true;
}
