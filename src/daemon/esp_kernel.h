/*
 * The kernel as a plane of the `esp` process: its SAs and policies as they should be, on their way
 * to the process `xfrm`, which gives them to the kernel, and what it tells of them.
 *
 * Each child of the configuration whose plane is the kernel has a policy there, with or without
 * SAs: what it protects does not leave in clear. SAs whose ends or selectors are others than the
 * configuration has (a peer that may be anywhere, MOBIKE) have policies of their own before it.
 */
#ifndef GH_DAEMON_ESP_KERNEL_H
#define GH_DAEMON_ESP_KERNEL_H

#include <stdbool.h>
#include <uv.h>

#include "config/ike.h"
#include "daemon/esp_children.h"
#include "daemon/plane_messages.h"

struct gh_esp_kernel;

struct gh_esp_kernel_ops {
    /* Call gh_esp_children_again(). */
    void (*again)(void *ctx);
    void (*refused)(void *ctx, uint64_t sa, const char *why);
    void (*worn)(void *ctx, uint64_t sa);
    void (*came)(void *ctx, uint64_t sa);
    void (*moved)(void *ctx, uint64_t sa, const struct gh_addr *from, uint16_t from_port);
    void (*wanted)(void *ctx, uint32_t policy, const struct ipsec_flow *flow);
    void (*marked)(void *ctx, uint64_t mark);
};

/* policies: as of esp_children.h. NULL: no memory. */
struct gh_esp_kernel *gh_esp_kernel_new(uv_loop_t *loop, struct gh_esp_names *policies,
                                        const struct gh_esp_kernel_ops *ops, void *ctx);
/* What is in the kernel stays there. Its memory goes when the loop has run once more. */
void gh_esp_kernel_free(struct gh_esp_kernel *k);
const struct gh_esp_plane *gh_esp_kernel_plane(const struct gh_esp_kernel *k);
/* The socket to `xfrm`. False: no memory. */
bool gh_esp_kernel_open(struct gh_esp_kernel *k, int fd);
/* Calls marked() with this number, greater than those before, once the kernel has all that it was
 * told until now; at once, if nobody is there to give it that. */
void gh_esp_kernel_mark(struct gh_esp_kernel *k, uint64_t mark);
/* Before it, nothing is told to `xfrm`. False: no memory. */
bool gh_esp_kernel_configure(struct gh_esp_kernel *k, const struct gh_ike_config *config);
/* Is this policy the kernel's? */
bool gh_esp_kernel_has(const struct gh_esp_kernel *k, uint32_t policy);

/* What the kernel dropped in all its namespaces, whoever's it was. NULL: it carries nothing. */
const struct gh_plane_counts *gh_esp_kernel_counts(const struct gh_esp_kernel *k);

#endif
