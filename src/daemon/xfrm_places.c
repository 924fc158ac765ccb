/* The namespaces, with the sockets that the parent opened in each. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>

#include "base/log.h"
#include "daemon/channel.h"
#include "daemon/esp_messages.h"
#include "daemon/plane_messages.h"
#include "daemon/xfrm_priv.h"
#include "platform/xfrm.h"

uint32_t xfrm_find_place(const struct xfrm *x, const char *netns)
{
    for (size_t i = 0; i < x->place_count; i++)
        if (strcmp(x->places[i]->netns, netns) == 0)
            return (uint32_t)i;
    return UINT32_MAX;
}

static void on_poll_closed(uv_handle_t *handle)
{
    free(handle->data);
    free(handle);
}

static void close_place(struct xfrm_place *p)
{
    for (size_t i = 0; i < GH_PLANE_SOCKETS; i++) {
        if (p->sockets[i] >= 0)
            close(p->sockets[i]);
        p->sockets[i] = -1;
    }
    if (!p->open)
        return;
    uv_poll_stop(p->poll);
    uv_close((uv_handle_t *)p->poll, on_poll_closed);
    gh_xfrm_close(&p->xfrm);
    if (p->stat >= 0)
        close(p->stat);
    p->open = p->given = false;
}

static struct xfrm_place *make_place(struct xfrm *x, const char *netns)
{
    uint32_t at = xfrm_find_place(x, netns);
    struct xfrm_place *p;

    if (at != UINT32_MAX)
        return x->places[at];
    p = x->place_count < XFRM_PLACES_MAX ? calloc(1, sizeof(*p)) : NULL;
    if (p == NULL)
        return NULL;
    (void)snprintf(p->netns, sizeof(p->netns), "%s", netns);
    p->stat = -1;
    for (size_t i = 0; i < GH_PLANE_SOCKETS; i++)
        p->sockets[i] = -1;
    x->places[x->place_count++] = p;
    return p;
}

static bool open_place(struct xfrm *x, struct xfrm_place *p)
{
    struct xfrm_hearing *h = malloc(sizeof(*h));

    p->poll = calloc(1, sizeof(*p->poll));
    p->open = gh_xfrm_take(p->sockets[GH_PLANE_ASK], p->sockets[GH_PLANE_HEARD], &p->xfrm);
    p->stat = p->sockets[GH_PLANE_STAT];
    for (size_t i = 0; i < GH_PLANE_SOCKETS; i++)
        p->sockets[i] = -1;
    if (!p->open || h == NULL || p->poll == NULL) {
        gh_error("the kernel's IPsec does not answer%s%s", p->netns[0] != '\0' ? " in " : "",
                 p->netns);
        free(h);
        return false;
    }
    *h = (struct xfrm_hearing){.x = x, .place = xfrm_find_place(x, p->netns)};
    uv_poll_init(&x->loop, p->poll, p->xfrm.heard);
    p->poll->data = h;
    uv_poll_start(p->poll, UV_READABLE, xfrm_hear);
    xfrm_sweep(x, h->place);
    if (x->esp != NULL)
        gh_channel_send(x->esp, GH_MESSAGE_PLANE_PLACED, NULL, 0, -1);
    return true;
}

/* The last of a place's sockets is that for events. */
bool xfrm_take_socket(struct xfrm *x, struct gh_rd *body, int fd)
{
    char netns[GH_ESP_NETNS];
    struct xfrm_place *p;
    uint8_t kind;

    gh_esp_take_string(body, netns, sizeof(netns));
    kind = gh_rd_u8(body);
    p = gh_rd_done(body) && kind < GH_PLANE_SOCKETS ? make_place(x, netns) : NULL;
    if (p == NULL) {
        close(fd);
        return false;
    }
    if (p->open)
        close_place(p);
    p->sockets[kind] = fd;
    return kind != GH_PLANE_HEARD || open_place(x, p);
}

bool xfrm_leave_place(struct xfrm *x, struct gh_rd *body)
{
    char netns[GH_ESP_NETNS];
    uint32_t at;

    gh_esp_take_string(body, netns, sizeof(netns));
    at = xfrm_find_place(x, netns);
    if (at != UINT32_MAX)
        close_place(x->places[at]);
    return gh_rd_done(body);
}
