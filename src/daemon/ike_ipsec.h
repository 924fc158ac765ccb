/*
 * Child SAs of ESP and AH in the `ike` process: between the IKE core's callbacks and the IPsec
 * engine's processes, one `esp` for each slot (platform/spi.h), each at the other end of a socket.
 *
 * What `esp` wants of the IKE core waits until that is not in the midst of something:
 * gh_ike_ipsec_settle(), after each call of the core. Owned by the `ike` process.
 */
#ifndef GH_DAEMON_IKE_IPSEC_H
#define GH_DAEMON_IKE_IPSEC_H

#include <stdbool.h>
#include <uv.h>

#include "daemon/esp_messages.h"
#include "ike/v2/core.h"

struct gh_ike_ipsec;

struct gh_ike_ipsec_ops {
    /* A datagram that came to `esp`; to be taken at once. */
    void (*stray)(void *ctx, const struct gh_esp_stray *x);
    /* `esp` has said something: time to settle. */
    void (*stirred)(void *ctx);
    /* The number of a place, as in struct ike2_policy; UINT16_MAX: none. "": the daemon's own,
     * none. */
    uint16_t (*zone)(void *ctx, const char *netns, const char *vrf);
};

/* epoch: a random number, by which `esp` tells this core's children from an earlier one's. */
struct gh_ike_ipsec *gh_ike_ipsec_new(uv_loop_t *loop, uint64_t epoch,
                                      const struct gh_ike_ipsec_ops *ops, void *ctx);

/* The socket to the `esp` of a slot; core: NULL if there is none yet. False: no such slot. */
bool gh_ike_ipsec_open(struct gh_ike_ipsec *g, uint8_t slot, int fd, const struct ike2 *core);

/* From the next child on. */
void gh_ike_ipsec_configure(struct gh_ike_ipsec *g, struct ike2_policy *const *policies,
                            size_t count);

/* Which slot a new child of ESP or AH is to be in: its SPI says so. */
uint8_t gh_ike_ipsec_slot(struct gh_ike_ipsec *g, const struct ike2_spi_wish *w, uint64_t now_ms);

/* Clients in this slot of peers that have several (ike_spread.h). */
size_t gh_ike_ipsec_clients(struct gh_ike_ipsec *g, uint8_t slot);

/* The core's callbacks. netns, vrf: where the child is, NULL as in config/ike.h. False: nobody is
 * there to carry packets. */
bool gh_ike_ipsec_install(struct gh_ike_ipsec *g, const struct ike2_child_view *c,
                          const char *netns, const char *vrf);
void gh_ike_ipsec_update(struct gh_ike_ipsec *g, const struct ike2_child_view *c);
void gh_ike_ipsec_remove(struct gh_ike_ipsec *g, uint32_t id, enum ike2_removal why);

/*
 * A peer may send by an SA as soon as it has our answer, and ends the old one when it has ours. So
 * what is said after a child was installed waits until its plane has it: for `esp` it is enough to
 * be told first, the kernel is at the end of a longer way. Each datagram takes the number of
 * gh_ike_ipsec_mark() when it is made, and leaves when gh_ike_ipsec_reached() is not below it;
 * which comes to that half a second later, whatever happened.
 */
uint64_t gh_ike_ipsec_mark(const struct gh_ike_ipsec *g);
uint64_t gh_ike_ipsec_reached(const struct gh_ike_ipsec *g);
/* When to look again; UINT64_MAX: nothing waits. */
uint64_t gh_ike_ipsec_next_deadline(const struct gh_ike_ipsec *g);

/* What `esp` wants of the core, and what it is told. Call it before datagrams leave. */
void gh_ike_ipsec_settle(struct gh_ike_ipsec *g, struct gh_now now, struct ike2 *core);

#endif
