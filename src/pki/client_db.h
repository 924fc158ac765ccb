/*
 * The client database of a gateway: who a peer is, by the identity it claims and the address it
 * comes from, and what it gets. Several gateways may share one.
 *
 * Of several clients that match, the one with the smallest index is meant.
 */
#ifndef GH_PKI_CLIENT_DB_H
#define GH_PKI_CLIENT_DB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "pki/error.h"
#include "pki/identity.h"
#include "pki/pattern.h"

enum { GH_CLIENTS = 1000, GH_CLIENT_INDEX_MAX = 8000, GH_CLIENT_NAME = 64 };

/* What is matched (the match-list); each client states all of it. */
enum { GH_CLIENT_BY_IDENTITY = 1, GH_CLIENT_BY_ADDRESS = 2 };

struct ike_ts_list; /* IKE's: it is only carried here */

/* What the client gets; empty: as the gateway says. */
struct gh_client_gets {
    bool reject;
    char psk[GH_CLIENT_NAME + 1]; /* the keeper's name of its pre-shared key */
    char private_service[GH_CLIENT_NAME + 1], private_interface[GH_CLIENT_NAME + 1];
    char ts_list[GH_CLIENT_NAME + 1], tunnel_template[GH_CLIENT_NAME + 1];
    char address_pool[GH_CLIENT_NAME + 1];
    const struct ike_ts_list *ts_local, *ts_remote; /* of ts_list, borrowed; NULL: there is none */
};

struct gh_client {
    uint16_t index; /* 1 … GH_CLIENT_INDEX_MAX */
    char name[GH_CLIENT_NAME + 1];
    struct gh_pattern *identity; /* owned; NULL if it is not matched */
    bool has_prefix;
    struct gh_prefix prefix; /* of the peer's tunnel address */
    struct gh_client_gets gets;
};

struct gh_client_db;

/* match: GH_CLIENT_BY_… or both. fall_back: no match means the gateway's settings, else failure. */
struct gh_client_db *gh_client_db_new(const char *name, unsigned match, bool fall_back);
void gh_client_db_free(struct gh_client_db *db);

/* Takes the pattern in any case. */
bool gh_client_db_add(struct gh_client_db *db, const struct gh_client *client,
                      struct gh_pki_error *e);
size_t gh_client_db_count(const struct gh_client_db *db);

enum gh_client_found {
    GH_CLIENT_FOUND,     /* look at gets.reject */
    GH_CLIENT_FALL_BACK, /* none: the gateway's settings */
    GH_CLIENT_FAIL       /* none: the tunnel fails; also when matching itself failed */
};
enum gh_client_found gh_client_db_find(const struct gh_client_db *db, const struct gh_identity *idi,
                                       const struct gh_addr *peer, const struct gh_client **out);

#endif
