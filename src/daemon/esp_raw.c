#include "daemon/esp_raw.h"

#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "daemon/esp_batch.h"
#include "daemon/esp_net.h"
#include "ipsec/header.h"
#include "tunnel/gre.h"
#include "wire/wr.h"

enum {
    A_TURN = 64, /* then packets have a turn */
    BODY = 65536,
    CONTROL = 128
};

struct entry {
    uv_poll_t poll; /* first: closing frees it */
    struct gh_esp_raw *owner;
    struct entry *next;
    uint32_t place;
    int kind;
    bool v6;
    uint8_t protocol;
    int fd;
};

struct gh_esp_raw {
    uv_loop_t *loop;
    gh_esp_raw_fn fn;
    void *ctx;
    struct entry *list;
    struct gh_esp_batch batch;
    uint8_t mem[BODY];
};

bool gh_esp_raw_kind(int kind, bool *v6, uint8_t *protocol)
{
    static const struct {
        bool v6;
        uint8_t protocol;
    } kinds[] = {
        [GH_ESP_ICMP4 - GH_ESP_ICMP4] = {false, IPPROTO_ICMP},
        [GH_ESP_ICMP6 - GH_ESP_ICMP4] = {true, IPPROTO_ICMPV6},
        [GH_ESP_GRE4 - GH_ESP_ICMP4] = {false, TUNNEL_PROTO_GRE},
        [GH_ESP_GRE6 - GH_ESP_ICMP4] = {true, TUNNEL_PROTO_GRE},
        [GH_ESP_4_IN_4 - GH_ESP_ICMP4] = {false, IPSEC_PROTO_IPV4},
        [GH_ESP_6_IN_4 - GH_ESP_ICMP4] = {false, IPSEC_PROTO_IPV6},
        [GH_ESP_4_IN_6 - GH_ESP_ICMP4] = {true, IPSEC_PROTO_IPV4},
        [GH_ESP_6_IN_6 - GH_ESP_ICMP4] = {true, IPSEC_PROTO_IPV6},
    };

    if (kind < GH_ESP_ICMP4 || kind >= GH_ESP_SOCKETS)
        return false;
    *v6 = kinds[kind - GH_ESP_ICMP4].v6;
    *protocol = kinds[kind - GH_ESP_ICMP4].protocol;
    return true;
}

/* The kernel does not give the header of IPv6: this is what it told of it. */
static bool put_header(const struct entry *e, struct msghdr *h, const struct sockaddr_in6 *from,
                       uint8_t *header, size_t len)
{
    struct gh_wr w = gh_wr_make(header, IPSEC_IPV6_HEADER);
    struct in6_pktinfo info;
    bool known = false;
    int ds = 0, hops = 64;

    for (struct cmsghdr *c = CMSG_FIRSTHDR(h); c != NULL; c = CMSG_NXTHDR(h, c)) {
        if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO) {
            memcpy(&info, CMSG_DATA(c), sizeof(info));
            known = true;
        } else if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_TCLASS) {
            memcpy(&ds, CMSG_DATA(c), sizeof(ds));
        } else if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_HOPLIMIT) {
            memcpy(&hops, CMSG_DATA(c), sizeof(hops));
        }
    }
    if (!known)
        return false;
    gh_wr_u32(&w, UINT32_C(6) << 28 | (uint32_t)(ds & 255) << 20);
    gh_wr_u16(&w, len);
    gh_wr_u8(&w, e->protocol);
    gh_wr_u8(&w, (uint8_t)hops);
    gh_wr_bytes(&w, from->sin6_addr.s6_addr, 16);
    gh_wr_bytes(&w, info.ipi6_addr.s6_addr, 16);
    return gh_wr_ok(&w);
}

static void pass_on(const struct entry *e)
{
    struct gh_esp_raw *x = e->owner;

    if (x->batch.count > 0)
        x->fn(x->ctx, e->protocol, x->batch.packets, x->batch.count);
    gh_esp_batch_clear(&x->batch);
}

/* What is in x->mem. */
static void keep(const struct entry *e, size_t len)
{
    struct gh_esp_raw *x = e->owner;
    uint8_t *at = gh_esp_batch_add(&x->batch, len, e->place);

    if (at == NULL) {
        pass_on(e);
        at = gh_esp_batch_add(&x->batch, len, e->place);
    }
    if (at != NULL) /* else longer than any packet */
        memcpy(at, x->mem, len);
}

/* False: there is none. */
static bool read_one(const struct entry *e)
{
    _Alignas(struct cmsghdr) char control[CONTROL];
    struct gh_esp_raw *x = e->owner;
    size_t header = e->v6 ? IPSEC_IPV6_HEADER : 0;
    struct sockaddr_in6 from;
    struct iovec part = {.iov_base = x->mem + header, .iov_len = BODY - header};
    struct msghdr h = {.msg_name = &from,
                       .msg_namelen = sizeof(from),
                       .msg_iov = &part,
                       .msg_iovlen = 1,
                       .msg_control = control,
                       .msg_controllen = sizeof(control)};
    ssize_t len = recvmsg(e->fd, &h, MSG_DONTWAIT);

    if (len < 0)
        return false;
    if ((h.msg_flags & MSG_TRUNC) == 0 && (!e->v6 || put_header(e, &h, &from, x->mem, (size_t)len)))
        keep(e, header + (size_t)len);
    return true;
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
    const struct entry *e = (const struct entry *)poll;

    for (int i = 0; i < A_TURN && read_one(e); i++)
        ;
    pass_on(e);
}

static void on_closed(uv_handle_t *handle)
{
    struct entry *e = (struct entry *)handle;

    close(e->fd);
    free(e);
}

/* kind: -1: all of the place. */
static void drop(struct gh_esp_raw *x, uint32_t place, int kind)
{
    for (struct entry **at = &x->list; *at != NULL;) {
        struct entry *e = *at;

        if (e->place != place || (kind >= 0 && e->kind != kind)) {
            at = &e->next;
            continue;
        }
        *at = e->next;
        uv_poll_stop(&e->poll);
        uv_close((uv_handle_t *)&e->poll, on_closed);
    }
}

bool gh_esp_raw_open(struct gh_esp_raw *x, uint32_t place, int kind, int fd)
{
    struct entry *e = calloc(1, sizeof(*e));

    if (e == NULL || !gh_esp_raw_kind(kind, &e->v6, &e->protocol)) {
        free(e);
        close(fd);
        return false;
    }
    drop(x, place, kind);
    e->owner = x;
    e->place = place;
    e->kind = kind;
    e->fd = fd;
    e->next = x->list;
    x->list = e;
    uv_poll_init(x->loop, &e->poll, fd);
    uv_poll_start(&e->poll, UV_READABLE, on_poll);
    return true;
}

void gh_esp_raw_leave(struct gh_esp_raw *x, uint32_t place)
{
    drop(x, place, -1);
}

struct gh_esp_raw *gh_esp_raw_new(uv_loop_t *loop, gh_esp_raw_fn fn, void *ctx)
{
    struct gh_esp_raw *x = calloc(1, sizeof(*x));

    if (x == NULL)
        return NULL;
    x->loop = loop;
    x->fn = fn;
    x->ctx = ctx;
    return x;
}
