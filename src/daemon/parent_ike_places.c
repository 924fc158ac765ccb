/*
 * The places where IKE peers are, and their private sides, which have nothing of what follows: UDP
 * sockets there, the host's addresses, and from which of them a peer would be reached. The parent
 * opens and asks; `ike` is told by name and may do neither.
 *
 * The sockets outlive `ike`: what comes while it is away waits. There is one for each family, port
 * and place, bound to all addresses: it tells where each datagram came to, and that address is
 * given back with the answer, so that no other one ever answers. A socket for each address would
 * have to come and go with the addresses, and a peer that calls between the two would hear nobody.
 */
#include "daemon/parent_priv.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "config/alloc.h"
#include "config/octets.h"
#include "ike/v2/core.h"
#include "platform/udp.h"
#include "wire/wr.h"

enum {
    SOON_MS = 50,    /* after the first of many changes */
    APART_MS = 1000, /* at least, between two times that `ike` is told: routes may change all day */
    PLACE_TEXT = 300
};

static const char *text_of(const struct gh_parent_place *place, char buf[PLACE_TEXT])
{
    const char *netns = place->netns, *vrf = place->vrf;

    (void)snprintf(buf, PLACE_TEXT, "%s%s%s%s", netns != NULL ? " in namespace " : "",
                   netns != NULL ? netns : "", vrf != NULL ? " in VRF " : "",
                   vrf != NULL ? vrf : "");
    return buf;
}

static struct gh_wr begin(const struct gh_parent_place *place, uint8_t *body, size_t cap)
{
    struct gh_wr w = gh_wr_make(body, cap);

    gh_put_text(&w, place->netns);
    gh_put_text(&w, place->vrf);
    return w;
}

static void tell(struct gh_parent *p, enum gh_message type, const struct gh_wr *w, int fd)
{
    if (p->ike.ike.channel != NULL && gh_wr_ok(w))
        gh_channel_send(p->ike.ike.channel, type, w->base, w->len, fd);
}

/* ---- Sockets -------------------------------------------------------------------------------- */

static void tell_socket(struct gh_parent *p, const struct gh_parent_place *place,
                        const struct gh_ike_socket *s)
{
    uint8_t body[700];
    struct gh_wr w = begin(place, body, sizeof(body));

    if (place->is_private)
        return;
    gh_wr_u16(&w, s->port);
    gh_wr_u8(&w, s->v6);
    if (s->fd < 0)
        gh_wr_u32(&w, (uint32_t)s->error);
    tell(p, s->fd >= 0 ? GH_MESSAGE_IKE_SOCKET : GH_MESSAGE_IKE_SOCKET_FAILED, &w, s->fd);
}

/* The same port in other VRFs of a namespace is ours, too. */
static void share(struct gh_parent *p, const struct gh_parent_place *place, bool on)
{
    for (size_t i = 0; i < p->ike.place_count; i++) {
        const struct gh_parent_place *other = p->ike.places[i];

        for (size_t k = 0; k < GH_IKE_SOCKETS; k++) {
            const struct gh_ike_socket *s = &other->sockets[k];
            bool always = s->port == IKE2_PORT_NAT_T && gh_parent_esp_shares(other, s->v6);

            if (s->fd >= 0 && !always && gh_netns_same(&other->id, &place->id))
                gh_udp_share(s->fd, on);
        }
    }
}

static void open_socket(struct gh_parent *p, struct gh_parent_place *place, struct gh_ike_socket *s)
{
    int result, before = s->error;
    char where[PLACE_TEXT];

    share(p, place, true);
    result = gh_udp_open(place->netns, place->vrf, s->v6, s->port, p->ao.uid);
    share(p, place, false);
    s->fd = result >= 0 ? result : -1;
    s->error = result >= 0 ? 0 : -result;
    gh_parent_filter_ike(place, s);
    if (s->error != 0 && s->error != before)
        gh_error("UDP port %u for IPv%c%s: %s; IKE does not work there until it can be opened",
                 s->port, s->v6 ? '6' : '4', text_of(place, where), strerror(s->error));
    else if (s->error == 0 && before != 0)
        gh_notice("UDP port %u for IPv%c%s is open now", s->port, s->v6 ? '6' : '4',
                  text_of(place, where));
    if (s->error != before || s->error == 0)
        tell_socket(p, place, s);
}

/* ---- Paths ---------------------------------------------------------------------------------- */

/* What cannot be known is told, too: it says that ways are to be asked for anew. */
static void tell_addresses(struct gh_parent *p, const struct gh_parent_place *place)
{
    static struct gh_paths_address list[GH_PATHS_ADDRESSES];
    static uint8_t body[GH_IKE_ADDRESSES_MAX];
    struct gh_wr w = begin(place, body, sizeof(body));
    bool open = place->paths.ask >= 0;
    size_t count = 0;
    int result = open ? gh_paths_addresses(&place->paths, list, &count) : 0;
    char where[PLACE_TEXT];

    if (place->is_private)
        return;
    if (result != 0)
        gh_warning("addresses%s: %s", text_of(place, where), strerror(-result));
    gh_wr_u8(&w, open && result == 0);
    gh_wr_u16(&w, count);
    for (size_t i = 0; i < count; i++) {
        gh_wr_u8(&w, list[i].fit);
        gh_put_addr(&w, &list[i].addr);
    }
    tell(p, GH_MESSAGE_IKE_ADDRESSES, &w, -1);
}

static void close_place(struct gh_parent *p, struct gh_parent_place *place);

static void on_tell(uv_timer_t *timer)
{
    struct gh_parent *p = timer->data;

    p->ike.told = uv_now(&p->loop);
    for (size_t i = 0; i < p->ike.place_count; i++) {
        struct gh_parent_place *place = p->ike.places[i];

        if (!place->changed || place->paths.ask < 0)
            continue;
        place->changed = false;
        if (gh_paths_is_there(&place->paths, place->vrf)) {
            gh_parent_filter_vrfs(p, place);
            tell_addresses(p, place);
        } else {
            close_place(p, place); /* opened again when it is there again */
        }
    }
    gh_parent_esp_clear_tend(p);
    gh_parent_tunnels_reach(p);
}

static void changed(struct gh_parent *p, struct gh_parent_place *place)
{
    uint64_t now = uv_now(&p->loop), next = p->ike.told + APART_MS;

    place->changed = true;
    if (!uv_is_active((uv_handle_t *)&p->ike.tell))
        uv_timer_start(&p->ike.tell, on_tell, next > now + SOON_MS ? next - now : SOON_MS, 0);
}

struct watching {
    struct gh_parent *p;
    struct gh_parent_place *place;
};

static void on_heard(uv_poll_t *poll, int status, int events)
{
    struct watching *w = poll->data;

    if (gh_paths_heard(&w->place->paths))
        changed(w->p, w->place);
}

static void on_poll_closed(uv_handle_t *handle)
{
    free(handle->data);
    free(handle);
}

static void open_paths(struct gh_parent *p, struct gh_parent_place *place)
{
    struct watching *w = malloc(sizeof(*w));
    int result, before = place->paths_error;
    char where[PLACE_TEXT];

    place->poll = calloc(1, sizeof(*place->poll));
    result = w != NULL && place->poll != NULL
                 ? gh_paths_open(place->netns, place->vrf, &place->paths)
                 : -ENOMEM;
    place->paths_error = -result;
    if (result != 0) {
        if (place->paths_error != before) {
            gh_error("routes%s: %s%s", text_of(place, where), strerror(-result),
                     place->is_private ? ""
                                       : "; peers without \"local\" are not called from there");
            tell_addresses(p, place);
        }
        free(w);
        free(place->poll);
        place->poll = NULL;
        return;
    }
    *w = (struct watching){.p = p, .place = place};
    uv_poll_init(&p->loop, place->poll, place->paths.heard);
    place->poll->data = w;
    uv_poll_start(place->poll, UV_READABLE, on_heard);
    tell_addresses(p, place);
}

bool gh_parent_ike_ask_way(struct gh_parent *p, struct gh_rd *body)
{
    char *netns = gh_get_text(body, false), *vrf = gh_get_text(body, false);
    struct gh_parent_place nowhere = {.netns = netns, .vrf = vrf, .paths = {.ask = -1}};
    const struct gh_parent_place *place = &nowhere;
    struct gh_addr remote, local = {.len = 0};
    uint8_t answer[700];
    struct gh_wr w;
    int result = -ENOENT;

    gh_get_addr(body, true, &remote);
    if (!body->bad) {
        for (size_t i = 0; i < p->ike.place_count; i++)
            if (gh_config_text_equal(p->ike.places[i]->netns, netns) &&
                gh_config_text_equal(p->ike.places[i]->vrf, vrf))
                place = p->ike.places[i];
        if (place->paths.ask >= 0)
            result = gh_paths_source(&place->paths, &remote, &local);
        else if (place->paths_error != 0)
            result = -place->paths_error;
        if (result != 0)
            local = (struct gh_addr){.len = 0};
        w = begin(place, answer, sizeof(answer));
        gh_put_addr(&w, &remote);
        gh_wr_u32(&w, (uint32_t)-result);
        gh_put_addr(&w, &local);
        tell(p, GH_MESSAGE_IKE_WAY, &w, -1);
    }
    free(netns);
    free(vrf);
    return !body->bad;
}

/* ---- Places --------------------------------------------------------------------------------- */

/* Its end is told as what is left of it: who has no socket any more ends its SAs. */
static void close_place(struct gh_parent *p, struct gh_parent_place *place)
{
    gh_parent_esp_close_place(p, place);
    for (size_t i = 0; i < GH_IKE_SOCKETS; i++) {
        struct gh_ike_socket *s = &place->sockets[i];

        if (s->fd >= 0)
            close(s->fd);
        s->fd = -1;
        s->error = 0;
        tell_socket(p, place, s);
    }
    if (place->poll != NULL) {
        uv_poll_stop(place->poll);
        uv_close((uv_handle_t *)place->poll, on_poll_closed);
        place->poll = NULL;
    }
    gh_paths_close(&place->paths);
    place->paths_error = 0;
    tell_addresses(p, place);
}

static void drop_place(struct gh_parent *p, size_t i)
{
    struct gh_parent_place *place = p->ike.places[i];

    close_place(p, place);
    gh_paths_free_vrfs(&place->vrfs);
    free(place->netns);
    free(place->vrf);
    free(place);
    p->ike.places[i] = p->ike.places[--p->ike.place_count];
}

static void use_place(struct gh_parent *p, const struct gh_ike_zone *zone, bool is_private)
{
    static const struct gh_ike_socket sockets[GH_IKE_SOCKETS] = {
        {.port = IKE2_PORT, .fd = -1},
        {.port = IKE2_PORT, .v6 = true, .fd = -1},
        {.port = IKE2_PORT_NAT_T, .fd = -1},
        {.port = IKE2_PORT_NAT_T, .v6 = true, .fd = -1}};
    const char *netns = zone != NULL ? zone->netns : NULL, *vrf = zone != NULL ? zone->vrf : NULL;
    struct gh_parent_place *place;

    for (size_t i = 0; i < p->ike.place_count; i++) {
        place = p->ike.places[i];
        if (place->is_private == is_private && gh_config_text_equal(place->netns, netns) &&
            gh_config_text_equal(place->vrf, vrf)) {
            place->used = true;
            return;
        }
    }
    place = gh_config_alloc(1, sizeof(*place));
    *place = (struct gh_parent_place){.netns = netns != NULL ? gh_config_strdup(netns) : NULL,
                                      .vrf = vrf != NULL ? gh_config_strdup(vrf) : NULL,
                                      .is_private = is_private,
                                      .used = true,
                                      .paths = {.ask = -1, .heard = -1}};
    memcpy(place->sockets, sockets, sizeof(sockets));
    gh_parent_esp_init_place(place);
    p->ike.places = gh_config_grow(p->ike.places, p->ike.place_count, sizeof(*p->ike.places));
    p->ike.places[p->ike.place_count++] = place;
}

static void use_places(struct gh_parent *p)
{
    const struct gh_ike_config *c = p->config->ike;

    for (size_t i = 0; i < p->ike.place_count; i++)
        p->ike.places[i]->used = false;
    for (size_t i = 0; p->ike.peers > 0 && i < c->policy_count; i++) {
        use_place(p, gh_ike_public_zone(c, c->policies[i]), false);
        if (c->policies[i]->private_zone > 0)
            use_place(p, gh_ike_private_zone(c, c->policies[i]), true);
    }
}

/* What is open is of a namespace, not of its name. */
static void check_place(struct gh_parent *p, struct gh_parent_place *place)
{
    struct gh_netns_id id = {.inode = 0};
    bool known = gh_netns_identify(place->netns, &id) == 0;

    if (place->id.inode != 0 && (!known || !gh_netns_same(&id, &place->id)))
        close_place(p, place);
    place->id = id;
}

void gh_parent_ike_places_tend(struct gh_parent *p)
{
    if (p->ike.tell.data == NULL) {
        uv_timer_init(&p->loop, &p->ike.tell);
        p->ike.tell.data = p;
    }
    use_places(p);
    for (size_t i = p->ike.place_count; i-- > 0;)
        if (!p->ike.places[i]->used)
            drop_place(p, i);
    for (size_t i = 0; i < p->ike.place_count; i++) {
        struct gh_parent_place *place = p->ike.places[i];

        check_place(p, place);
        for (size_t k = 0; k < GH_IKE_SOCKETS; k++)
            if (!place->is_private && place->sockets[k].fd < 0)
                open_socket(p, place, &place->sockets[k]);
        if (place->paths.ask < 0) {
            open_paths(p, place);
            gh_parent_filter_vrfs(p, place);
        }
        gh_parent_esp_tend_place(p, place);
    }
    gh_parent_esp_clear_tend(p);
    gh_parent_tunnels_tend(p);
}

void gh_parent_ike_places_tell(struct gh_parent *p)
{
    for (size_t i = 0; i < p->ike.place_count; i++) {
        struct gh_parent_place *place = p->ike.places[i];

        for (size_t k = 0; k < GH_IKE_SOCKETS; k++)
            tell_socket(p, place, &place->sockets[k]);
        tell_addresses(p, place);
    }
}
