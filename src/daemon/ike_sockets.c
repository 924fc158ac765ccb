/* The sockets that the parent opened in each place, and the datagrams that come and go by them. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/esp_messages.h"
#include "daemon/ike_ipsec.h"
#include "daemon/ike_places.h"
#include "daemon/ike_priv.h"
#include "daemon/ike_udp.h"

static void on_datagram(void *ctx, struct ike2_datagram *d)
{
    struct ike *ike = ctx;

    ike->now = gh_clock_now();
    ike2_input(ike->core, ike->now, d);
    gh_ike_notes_look(ike->notes, ike->core);
}

void gh_ike_stray(void *ctx, const struct gh_esp_stray *x)
{
    struct ike *ike = ctx;
    uint16_t zone = gh_ike_place(ike->places, x->netns, x->vrf);
    uint8_t *data = malloc(x->data.len + 1); /* the core writes into it */
    struct ike2_datagram d = {.local = {.addr = x->local, .port = IKE2_PORT_NAT_T, .zone = zone},
                              .remote = {.addr = x->remote, .port = x->port},
                              .marker = true,
                              .data = data,
                              .len = x->data.len};

    if (data != NULL && zone != UINT16_MAX && ike->core != NULL) {
        memcpy(data, x->data.p, x->data.len);
        on_datagram(ike, &d);
    }
    free(data);
}

static void on_batch(void *ctx)
{
    gh_ike_settle(ctx);
}

void gh_ike_send(void *ctx, const struct ike2_datagram *d)
{
    struct ike *ike = ctx;

    for (size_t i = 0; i < ike->socket_count; i++) {
        struct ike_socket *s = &ike->sockets[i];

        if (s->udp != NULL && s->zone == d->local.zone && s->port == d->local.port &&
            s->v6 == (d->remote.addr.len == 16)) {
            gh_ike_udp_send(s->udp, d, gh_ike_ipsec_mark(ike->ipsec));
            return;
        }
    }
    ike->udp[GH_IKE_UDP_NO_SOCKET]++;
}

/* NULL: no memory. */
static struct ike_socket *socket_at(struct ike *ike, uint16_t zone, uint16_t port, bool v6)
{
    struct ike_socket *more;

    for (size_t i = 0; i < ike->socket_count; i++) {
        struct ike_socket *s = &ike->sockets[i];

        if (s->zone == zone && s->port == port && s->v6 == v6)
            return s;
    }
    more = realloc(ike->sockets, (ike->socket_count + 1) * sizeof(*more));
    if (more == NULL)
        return NULL;
    ike->sockets = more;
    more[ike->socket_count] = (struct ike_socket){.zone = zone, .port = port, .v6 = v6};
    return &more[ike->socket_count++];
}

static void drop_socket(struct ike *ike, struct ike_socket *s)
{
    gh_ike_udp_close(s->udp);
    *s = ike->sockets[--ike->socket_count];
}

void gh_ike_read_sockets(struct ike *ike)
{
    for (size_t i = 0; i < ike->socket_count && ike->core != NULL; i++)
        if (ike->sockets[i].udp != NULL)
            gh_ike_udp_start(ike->sockets[i].udp);
}

/* The socket that a message is about. */
static struct ike_socket *get_socket(struct ike *ike, struct gh_rd *body)
{
    uint16_t zone, port;
    bool v6;

    if (!gh_ike_get_place(ike, body, &zone))
        return NULL;
    port = gh_rd_u16(body);
    v6 = gh_rd_u8(body) == 1;
    return body->bad ? NULL : socket_at(ike, zone, port, v6);
}

bool gh_ike_add_socket(struct ike *ike, struct gh_rd *body, int fd)
{
    static const struct gh_ike_udp_ops ops = {.datagram = on_datagram, .done = on_batch};
    struct ike_socket *s = get_socket(ike, body);

    if (s == NULL) {
        close(fd);
        return false;
    }
    gh_ike_udp_close(s->udp);
    s->udp = gh_ike_udp_new(fd, &(struct gh_ike_udp_settings){.loop = &ike->loop,
                                                              .batch = ike->batch,
                                                              .ops = &ops,
                                                              .ctx = ike,
                                                              .counters = ike->udp,
                                                              .port = s->port,
                                                              .zone = s->zone,
                                                              .nat_t = s->port == IKE2_PORT_NAT_T,
                                                              .v6 = s->v6});
    s->error = 0;
    gh_ike_read_sockets(ike);
    return s->udp != NULL;
}

bool gh_ike_note_failed_socket(struct ike *ike, struct gh_rd *body)
{
    struct ike_socket *s = get_socket(ike, body);
    uint32_t error = gh_rd_u32(body);

    if (s == NULL || body->bad)
        return false;
    if (error == 0) {
        if (ike->core != NULL) {
            gh_ike_end_sas(ike, &s->zone);
            ike2_leave_zone(ike->core, ike->now, s->zone);
        }
        drop_socket(ike, s);
        return true;
    }
    gh_ike_udp_close(s->udp);
    s->udp = NULL;
    s->error = (int)error;
    return true;
}
