#include "tunnel/pieces.h"

#include <stdlib.h>
#include <string.h>

#include "ipsec/ecn.h"
#include "ipsec/header.h"
#include "wire/rd.h"

enum { HOP_BY_HOP = 0, ROUTING = 43, FRAGMENT = 44, AUTHENTICATION = 51, DESTINATION = 60 };
enum { L4_BEGINNING = 8, IPV4_FLAGS_AT = 6, IPV4_DF_FLAG = 0x40 };

struct tunnel_piece {
    struct tunnel_piece *next;
    struct tunnel_fragment fragment;
    size_t header_len; /* of the first only: what goes before the data */
    uint8_t octets[];  /* header, data */
};

static size_t kept_header(const struct tunnel_fragment *f)
{
    return f->offset == 0 ? f->header_len : 0;
}

size_t tunnel_piece_octets(const struct tunnel_fragment *f)
{
    return sizeof(struct tunnel_piece) + kept_header(f) + f->data_len;
}

static uint32_t end_of(const struct tunnel_fragment *f)
{
    return f->offset + (uint32_t)f->data_len;
}

static bool same(const struct tunnel_piece *a, const struct tunnel_fragment *f,
                 const uint8_t *packet)
{
    return a->fragment.offset == f->offset && a->fragment.data_len == f->data_len &&
           a->fragment.more == f->more &&
           memcmp(a->octets + a->header_len, packet + f->data_at, f->data_len) == 0;
}

/* The last piece that begins before this; NULL: it is the first. Mostly they come in order. */
static struct tunnel_piece *before(const struct tunnel_pieces *p, uint32_t offset)
{
    struct tunnel_piece *at = NULL;

    if (p->last != NULL && p->last->fragment.offset < offset)
        return p->last;
    for (struct tunnel_piece *i = p->first; i != NULL && i->fragment.offset < offset; i = i->next)
        at = i;
    return at;
}

enum tunnel_result tunnel_pieces_check(const struct tunnel_pieces *p,
                                       const struct tunnel_fragment *f, const uint8_t *packet)
{
    const struct tunnel_piece *prev = before(p, f->offset);
    const struct tunnel_piece *next = prev != NULL ? prev->next : p->first;

    if (next != NULL && same(next, f, packet))
        return TUNNEL_FRAGMENT_DUPLICATE;
    if ((prev != NULL && end_of(&prev->fragment) > f->offset) ||
        (next != NULL && next->fragment.offset < end_of(f)))
        return TUNNEL_FRAGMENT_OVERLAP;
    /* Behind the end, or another end. */
    if (p->total != 0 && (!f->more || end_of(f) > p->total))
        return TUNNEL_FRAGMENT_LENGTH;
    if (!f->more && next != NULL)
        return TUNNEL_FRAGMENT_LENGTH;
    return TUNNEL_OK;
}

bool tunnel_pieces_add(struct tunnel_pieces *p, const struct tunnel_fragment *f,
                       const uint8_t *packet)
{
    struct tunnel_piece *prev = before(p, f->offset), *piece = malloc(tunnel_piece_octets(f));

    if (piece == NULL)
        return false;
    piece->fragment = *f;
    piece->header_len = kept_header(f);
    memcpy(piece->octets, packet, piece->header_len);
    memcpy(piece->octets + piece->header_len, packet + f->data_at, f->data_len);
    piece->next = prev != NULL ? prev->next : p->first;
    *(prev != NULL ? &prev->next : &p->first) = piece;
    if (piece->next == NULL)
        p->last = piece;
    p->count++;
    p->here += f->data_len;
    p->ecn |= (uint8_t)(1 << (f->ds & 3));
    if (!f->more)
        p->total = end_of(f);
    return true;
}

/* RFC 3168 5.3: congestion that one fragment met, all met; but not where the sender cannot be told.
 */
static bool agree_on_ecn(const struct tunnel_pieces *p, uint8_t *ds)
{
    if (!(p->ecn & 1 << IPSEC_CE))
        return true;
    if (p->ecn & 1 << IPSEC_NOT_ECT)
        return false;
    *ds |= IPSEC_CE;
    return true;
}

enum tunnel_result tunnel_pieces_join(const struct tunnel_pieces *p, struct ipsec_packet *out)
{
    const struct tunnel_fragment *f = &p->first->fragment;
    size_t len = p->first->header_len + p->total;
    uint8_t *at = out->mem + out->at, ds = f->ds;

    if (len - (f->version == 6 ? IPSEC_IPV6_HEADER : 0) > UINT16_MAX)
        return TUNNEL_FRAGMENT_LENGTH;
    if (!agree_on_ecn(p, &ds))
        return TUNNEL_FRAGMENT_ECN;
    if (out->at > out->cap || len > out->cap - out->at)
        return TUNNEL_NO_ROOM;
    memcpy(at, p->first->octets, p->first->header_len);
    for (const struct tunnel_piece *i = p->first; i != NULL; i = i->next)
        memcpy(at + p->first->header_len + i->fragment.offset, i->octets + i->header_len,
               i->fragment.data_len);
    out->len = len;
    if (f->version == 4)
        at[IPV4_FLAGS_AT] &= IPV4_DF_FLAG;
    ipsec_header_set_ds(at, ds);
    return ipsec_header_fix(at, len, f->version == 4 ? 9 : f->next_at, f->protocol)
               ? TUNNEL_OK
               : TUNNEL_FRAGMENT_LENGTH;
}

size_t tunnel_pieces_clear(struct tunnel_pieces *p)
{
    size_t octets = 0;

    for (struct tunnel_piece *i = p->first, *next; i != NULL; i = next) {
        next = i->next;
        octets += tunnel_piece_octets(&i->fragment);
        free(i);
    }
    memset(p, 0, sizeof(*p));
    return octets;
}

bool tunnel_chain_is_whole(const struct tunnel_fragment *f, const uint8_t *packet)
{
    struct gh_rd r = gh_rd_make(packet + f->data_at, f->data_len);
    uint8_t next = f->protocol, len;

    while (!r.bad && (next == HOP_BY_HOP || next == ROUTING || next == AUTHENTICATION ||
                      next == DESTINATION)) {
        bool words = next == AUTHENTICATION;

        next = gh_rd_u8(&r);
        len = gh_rd_u8(&r);
        gh_rd_skip(&r, 6 + (size_t)len * (words ? 4 : 8));
    }
    return !r.bad && next != FRAGMENT &&
           (next == IPSEC_PROTO_NONE || gh_rd_left(&r) >= L4_BEGINNING);
}
