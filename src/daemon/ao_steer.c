#include "daemon/ao_steer.h"

#include <stdlib.h>
#include <string.h>

static bool grow(struct gh_steer *s)
{
    size_t room = s->room == 0 ? 32 : s->room * 2;
    struct gh_socket_flow *more;

    if (s->count < s->room)
        return true;
    more = realloc(s->list, room * sizeof(*more));
    if (more == NULL)
        return false;
    s->list = more;
    s->room = room;
    return true;
}

void gh_steer_add(struct gh_steer *s, const struct emu_flow *flow)
{
    struct gh_socket_flow *f;

    if (!grow(s)) {
        s->failed = true;
        return;
    }
    f = &s->list[s->count++];
    memset(f, 0, sizeof(*f)); /* padding too: lists are compared */
    f->kind = GH_FLOW_QUEUE;
    f->peer = flow->peer;
    f->remote_port = flow->remote_port;
    if (flow->remote_port == 0) { /* a listener */
        f->local = flow->local;
        f->local_port = flow->local_port;
    }
}

/* All of one service stand together, by family. */
static int compare_service(const struct gh_socket_flow *a, const struct gh_socket_flow *b)
{
    int c = (int)a->peer.addr.len - b->peer.addr.len;

    if (c == 0)
        c = (int)a->local_port - b->local_port;
    return c != 0 ? c : (int)a->remote_port - b->remote_port;
}

static int compare(const void *x, const void *y)
{
    const struct gh_socket_flow *a = x, *b = y;
    int c = compare_service(a, b);

    if (c == 0)
        c = memcmp(a->peer.addr.octets, b->peer.addr.octets, sizeof(a->peer.addr.octets));
    if (c == 0)
        c = (int)a->peer.bits - b->peer.bits;
    if (c == 0)
        c = (int)a->local.len - b->local.len;
    return c != 0 ? c : memcmp(a->local.octets, b->local.octets, sizeof(a->local.octets));
}

static size_t drop_repeated(struct gh_socket_flow *list, size_t count)
{
    size_t kept = 0;

    for (size_t i = 0; i < count; i++)
        if (kept == 0 || compare(&list[kept - 1], &list[i]) != 0)
            list[kept++] = list[i];
    return kept;
}

/* One rule for any peer and local address of the family in place of a service's many. */
static void widen(struct gh_socket_flow *f)
{
    memset(f->peer.addr.octets, 0, sizeof(f->peer.addr.octets));
    f->peer.bits = 0;
    memset(&f->local, 0, sizeof(f->local));
}

bool gh_steer_finish(struct gh_steer *s)
{
    size_t kept = 0;

    if (s->count > 0)
        qsort(s->list, s->count, sizeof(*s->list), compare);
    s->count = drop_repeated(s->list, s->count);
    for (size_t i = 0, n; i < s->count; i += n) {
        for (n = 1; i + n < s->count && compare_service(&s->list[i], &s->list[i + n]) == 0;)
            n++;
        memmove(&s->list[kept], &s->list[i], n * sizeof(*s->list));
        if (n > GH_STEER_PEERS)
            widen(&s->list[kept]);
        kept += n > GH_STEER_PEERS ? 1 : n;
    }
    s->count = kept;
    return !s->failed;
}

void gh_steer_clear(struct gh_steer *s)
{
    free(s->list);
    *s = (struct gh_steer){.list = NULL};
}
