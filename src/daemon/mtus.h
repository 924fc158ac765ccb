/*
 * The MTUs of the interfaces of one zone, by index. The parent tells them, packets ask for them.
 */
#ifndef GH_DAEMON_MTUS_H
#define GH_DAEMON_MTUS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct gh_mtus {
    struct gh_mtu *list; /* sorted by interface */
    size_t count, capacity;
};

/* mtu 0 forgets the interface. False: no memory. */
bool gh_mtus_set(struct gh_mtus *m, uint32_t ifindex, uint32_t mtu);
/* 0: unknown. */
uint32_t gh_mtus_get(const struct gh_mtus *m, uint32_t ifindex);
void gh_mtus_clear(struct gh_mtus *m);

#endif
