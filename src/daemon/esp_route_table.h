/*
 * The routes that the parent has in one place for IPsec, found by their table and prefix: peers
 * that may be anywhere bring thousands, each with a message of its own. Pure.
 *
 * Running out of memory ends the program, as in config/alloc.h.
 */
#ifndef GH_DAEMON_ESP_ROUTE_TABLE_H
#define GH_DAEMON_ESP_ROUTE_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/siphash.h"

/* A route into a tunnel device, and the one to nowhere behind it. */
struct gh_esp_route {
    struct gh_prefix to;
    uint32_t table;        /* 0: the main one */
    uint8_t slot;          /* whose device it leads into */
    uint32_t ifindex;      /* open: of that */
    struct gh_addr source; /* as in struct gh_route */
    uint16_t metric;
    bool configured, negotiated; /* why it is wanted */
    bool known;                  /* negotiated: the `esp` that is there has said it */
    bool holds_peer;             /* negotiated: and said this of it */
    bool wanted, open, closed;
    bool stale;    /* open, but from another source */
    int error;     /* of the last try: a negative errno, or 0 */
    uint32_t next; /* the table's own */
};

/* Zeroed: empty. */
struct gh_esp_routes {
    struct gh_esp_route *list; /* in no order */
    size_t count;
    size_t room;
    uint32_t *buckets; /* [bucket_count], positions in the list */
    size_t bucket_count;
    struct gh_hash_seed seed;
};

void gh_esp_routes_free(struct gh_esp_routes *t); /* empty again */

/* NULL: none. Until the next one is made or removed. */
struct gh_esp_route *gh_esp_routes_find(const struct gh_esp_routes *t, uint32_t table,
                                        const struct gh_prefix *to);
/* The one that is there, or a new one. */
struct gh_esp_route *gh_esp_routes_make(struct gh_esp_routes *t, uint32_t table,
                                        const struct gh_prefix *to);
/* The last of the list takes its place. */
void gh_esp_routes_remove(struct gh_esp_routes *t, struct gh_esp_route *r);

#endif
