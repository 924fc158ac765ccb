/*
 * The pieces of one datagram, in order, and putting them together. What reassembly.c keeps for each
 * datagram; it does the accounting. Owns copies of the fragments.
 */
#ifndef TUNNEL_PIECES_H
#define TUNNEL_PIECES_H

#include "tunnel/fragment.h"

struct tunnel_piece;

struct tunnel_pieces {
    struct tunnel_piece *first, *last;
    uint32_t count;
    size_t here;  /* octets of data */
    size_t total; /* of the datagram's data, once its last fragment is here; or 0 */
    uint8_t ecn;  /* bit n: a fragment had this field */
};

/* Memory that a fragment takes. */
size_t tunnel_piece_octets(const struct tunnel_fragment *f);
/* OK: may be added. FRAGMENT_DUPLICATE: of the fragment alone. Else the whole datagram is to be
 * dropped. */
enum tunnel_result tunnel_pieces_check(const struct tunnel_pieces *p,
                                       const struct tunnel_fragment *f, const uint8_t *packet);
/* After OK. False: no memory; nothing changed. */
bool tunnel_pieces_add(struct tunnel_pieces *p, const struct tunnel_fragment *f,
                       const uint8_t *packet);
static inline bool tunnel_pieces_whole(const struct tunnel_pieces *p)
{
    return p->total != 0 && p->here == p->total;
}
/* The datagram, to out->mem + out->at. */
enum tunnel_result tunnel_pieces_join(const struct tunnel_pieces *p, struct ipsec_packet *out);
/* Frees all; the memory that it was. */
size_t tunnel_pieces_clear(struct tunnel_pieces *p);

/* A first IPv6 fragment has all extension headers, and the beginning of what is behind them
 * (RFC 7112), and no second Fragment header. */
bool tunnel_chain_is_whole(const struct tunnel_fragment *f, const uint8_t *packet);

#endif
