/*
 * What of all that comes is for the sockets of a place (platform/socket_filter.h): of raw ones of
 * ESP and AH what is their slot's, and where the place is in no VRF, nothing that came in one.
 */
#include "daemon/parent_priv.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#include "base/log.h"
#include "platform/socket_filter.h"

static bool is_spi_kind(int kind, struct gh_socket_filter *f)
{
    f->v6 = kind == GH_ESP_ESP6 || kind == GH_ESP_AH6;
    f->protocol = kind == GH_ESP_AH4 || kind == GH_ESP_AH6 ? IPPROTO_AH : IPPROTO_ESP;
    return kind == GH_ESP_ESP4 || kind == GH_ESP_AH4 || f->v6;
}

static struct gh_socket_filter filter_of(const struct gh_parent *p,
                                         const struct gh_parent_place *place, size_t slot, int kind)
{
    struct gh_socket_filter f = {.vrfs = place->vrfs.devices,
                                 .vrf_count = place->vrfs.count,
                                 .slot = (unsigned)slot,
                                 .slots = (unsigned)p->esp.slot_count,
                                 .kernels = place->xfrm.filtered};

    f.by_spi = is_spi_kind(kind, &f) && (f.slots > 1 || f.kernels);
    return f;
}

bool gh_parent_filter_socket(const struct gh_parent *p, const struct gh_parent_place *place,
                             size_t slot, int kind, int fd)
{
    const struct gh_socket_filter f = filter_of(p, place, slot, kind);

    return gh_socket_filter_set(fd, &f);
}

static bool filter_ike(const struct gh_parent_place *place, int fd)
{
    const struct gh_socket_filter f = {.vrfs = place->vrfs.devices, .vrf_count = place->vrfs.count};

    return fd < 0 || gh_socket_filter_set(fd, &f);
}

void gh_parent_filter_ike(const struct gh_parent_place *place, const struct gh_ike_socket *s)
{
    if (!filter_ike(place, s->fd))
        gh_warning("port %u hears what comes in VRFs: %s", s->port, strerror(errno));
}

void gh_parent_filter_place(const struct gh_parent *p, const struct gh_parent_place *place)
{
    bool good = true;

    for (size_t i = 0; i < GH_IKE_SOCKETS; i++)
        good &= filter_ike(place, place->sockets[i].fd);
    for (size_t slot = 0; slot < p->esp.slot_count; slot++)
        for (int kind = 0; kind < GH_ESP_SOCKETS; kind++) {
            int fd = place->esp.shares[slot].sockets[kind];

            if (fd >= 0 && kind != GH_ESP_TUN)
                good &= gh_parent_filter_socket(p, place, slot, kind, fd);
        }
    if (!good)
        gh_warning("sockets hear what is not for them: %s", strerror(errno));
}

void gh_parent_filter_vrfs(struct gh_parent *p, struct gh_parent_place *place)
{
    struct gh_paths_vrfs now;

    if (place->vrf != NULL || place->is_private || place->paths.ask < 0 ||
        gh_paths_read_vrfs(&place->paths, &now) != 0)
        return;
    if (gh_paths_same_vrfs(&now, &place->vrfs)) {
        gh_paths_free_vrfs(&now);
        return;
    }
    gh_paths_free_vrfs(&place->vrfs);
    place->vrfs = now;
    gh_parent_filter_place(p, place);
    if (place->esp.guarded && p->config->ike->spd_count > 0)
        gh_parent_esp_clear_follow(p, place);
}
