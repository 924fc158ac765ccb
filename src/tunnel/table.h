/*
 * The tunnels, by id, by the addresses and key of what comes in, and by next hop.
 *
 * Of several tunnels between the same two addresses, the GRE key tells them apart; one without a
 * key to receive takes what none of the others does. Both the primary and the backup remote address
 * find a tunnel, for the other end may switch before we do. Owns the tunnels; bounded. For one
 * thread.
 */
#ifndef TUNNEL_TABLE_H
#define TUNNEL_TABLE_H

#include "base/siphash.h"
#include "tunnel/tunnel.h"

struct tunnel_table;

/* max: tunnels. NULL: no memory. */
struct tunnel_table *tunnel_table_new(size_t max, const struct gh_hash_seed *seed);
void tunnel_table_free(struct tunnel_table *t); /* NULL is fine */

/* Why a tunnel was not added. */
enum tunnel_added {
    TUNNEL_ADDED,
    TUNNEL_ADD_INVALID, /* tunnel_params_valid() */
    TUNNEL_ADD_ID,      /* the id is taken */
    TUNNEL_ADD_SAME,    /* another one has the same addresses and key to receive */
    TUNNEL_ADD_DEST,    /* another one has a dest of it, in the same private place */
    TUNNEL_ADD_FULL,    /* max is reached */
    TUNNEL_ADD_NO_MEMORY
};
enum tunnel_added tunnel_table_add(struct tunnel_table *t, const struct tunnel_params *params);
bool tunnel_table_remove(struct tunnel_table *t, uint64_t id); /* false: not there */

struct tunnel *tunnel_table_get(const struct tunnel_table *t, uint64_t id);
/* The next hop of a route on the private side. */
struct tunnel *tunnel_table_by_dest(const struct tunnel_table *t, uint32_t private_place,
                                    const struct gh_addr *dest);

/* What comes in is for this tunnel. OK: *out; for a fragment, one that has these addresses and
 * reassembles. REASSEMBLY_OFF: a fragment, and none does. NO_TUNNEL: neither, also for what is
 * neither GRE nor IP in IP. Or MALFORMED, or what is wrong with a GRE header. */
enum tunnel_result tunnel_table_find(const struct tunnel_table *t, const struct ipsec_packet *p,
                                     struct tunnel **out);
/* The tunnel whose packet an ICMP error quotes, by its addresses and, if it can be seen, the key
 * that it sends. NULL: none. */
struct tunnel *tunnel_table_quoted(const struct tunnel_table *t, uint32_t place,
                                   const struct gh_addr *local, const struct gh_addr *remote,
                                   uint8_t protocol, const uint32_t *key);

size_t tunnel_table_count(const struct tunnel_table *t);
void tunnel_table_each(const struct tunnel_table *t, void (*each)(void *arg, struct tunnel *tunnel),
                       void *arg);

#endif
