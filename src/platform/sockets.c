#include "platform/sockets.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/addr.h"
#include "platform/netlink.h"
#include "platform/netns.h"

/* All states of a connection; a request for one socket is answered whatever is asked here. */
enum { ALIVE = ((1 << (TCP_CLOSING + 2)) - 1) & ~(1 << TCP_LISTEN), REQUEST = 1, WAIT_MS = 2000 };

static struct inet_diag_req_v2 describe(const struct tcpao_endpoint *local,
                                        const struct tcpao_endpoint *remote, unsigned device)
{
    struct inet_diag_req_v2 r = {.sdiag_family = local->addr_len == 4 ? AF_INET : AF_INET6,
                                 .sdiag_protocol = IPPROTO_TCP,
                                 .idiag_states = ALIVE,
                                 .id = {.idiag_sport = htons(local->port),
                                        .idiag_dport = htons(remote->port),
                                        .idiag_if = device,
                                        .idiag_cookie = {INET_DIAG_NOCOOKIE, INET_DIAG_NOCOOKIE}}};

    memcpy(r.id.idiag_src, local->addr, local->addr_len);
    memcpy(r.id.idiag_dst, remote->addr, remote->addr_len);
    return r;
}

static int ask_to_destroy(const struct inet_diag_req_v2 *request)
{
    uint8_t mem[GH_NL_HEADER + sizeof(*request)];
    struct gh_wr w = gh_wr_make(mem, sizeof(mem));
    size_t start = gh_nl_begin(&w, SOCK_DESTROY, NLM_F_REQUEST | NLM_F_ACK, 1);
    int fd = gh_nl_open(NETLINK_SOCK_DIAG, 0), result;

    if (fd < 0)
        return -errno;
    gh_wr_bytes(&w, request, sizeof(*request));
    gh_nl_end(&w, start);
    result = gh_nl_request(fd, &w);
    close(fd);
    return result;
}

int gh_socket_abort(const char *netns, const char *vrf, const struct tcpao_endpoint *local,
                    const struct tcpao_endpoint *remote)
{
    struct inet_diag_req_v2 request;
    unsigned device = 0;
    int back, result = gh_netns_enter(netns, &back);

    if (result != 0)
        return result;
    if (vrf != NULL && (device = if_nametoindex(vrf)) == 0) {
        result = -errno;
    } else {
        request = describe(local, remote, device);
        result = ask_to_destroy(&request);
    }
    gh_netns_leave(back);
    return result;
}

/* ---- Is it still there? --------------------------------------------------------------------- */

static bool is_end(const uint8_t addr[16], uint8_t family, uint16_t port,
                   const struct tcpao_endpoint *end)
{
    struct gh_addr here, there = gh_addr_from(end->addr, end->addr_len);

    if (port != end->port || (family != AF_INET && family != AF_INET6))
        return false;
    here = family == AF_INET6 ? gh_addr_from_v6(addr) : gh_addr_from(addr, 4);
    return gh_addr_equal(&here, &there);
}

static enum gh_socket_use use_of(uint8_t state)
{
    switch (state) {
    case TCP_LISTEN: /* found in place of what was looked for */
    case TCP_CLOSE:
        return GH_SOCKET_GONE;
    case TCP_FIN_WAIT1:
    case TCP_FIN_WAIT2:
    case TCP_CLOSING:
    case TCP_LAST_ACK:
    case TCP_TIME_WAIT:
        return GH_SOCKET_CLOSING;
    default:
        return GH_SOCKET_USED;
    }
}

enum gh_socket_use gh_socket_parse(struct gh_rd message, const struct tcpao_endpoint *local,
                                   const struct tcpao_endpoint *remote)
{
    uint8_t family = gh_rd_u8(&message), state = gh_rd_u8(&message);
    uint8_t source[16], destination[16];
    uint16_t source_port, destination_port;

    gh_rd_skip(&message, 2); /* timer, retransmissions */
    source_port = gh_rd_u16(&message);
    destination_port = gh_rd_u16(&message);
    gh_rd_copy(&message, source, sizeof(source));
    gh_rd_copy(&message, destination, sizeof(destination));
    if (message.bad)
        return GH_SOCKET_UNKNOWN;
    if (!is_end(source, family, source_port, local) ||
        !is_end(destination, family, destination_port, remote))
        return GH_SOCKET_GONE;
    return use_of(state);
}

struct search {
    const struct tcpao_endpoint *local, *remote;
    enum gh_socket_use found; /* the one most in use */
    bool dump, over;
};

static void note(struct search *s, enum gh_socket_use use)
{
    if (use > s->found)
        s->found = use;
}

static void take_answers(struct search *s, const uint8_t *data, size_t len)
{
    struct gh_rd r = gh_rd_make(data, len);
    struct gh_nl_message m;

    while (!s->over && gh_nl_next(&r, &m)) {
        if (m.seq != REQUEST)
            continue;
        if (m.type == SOCK_DIAG_BY_FAMILY)
            note(s, gh_socket_parse(m.body, s->local, s->remote));
        /* Both carry an error code. Of one socket ENOENT says that there is none, or that there is
         * no inet_diag: the dump that follows tells. */
        else if ((m.type == NLMSG_DONE || m.type == NLMSG_ERROR) && gh_nl_u32(&m.body) != 0 &&
                 s->dump)
            note(s, GH_SOCKET_UNKNOWN);
        s->over = !s->dump || m.type == NLMSG_DONE || m.type == NLMSG_ERROR;
    }
    if (r.bad)
        note(s, GH_SOCKET_UNKNOWN);
}

static void read_answers(int fd, struct search *s)
{
    static uint8_t data[32768];

    while (!s->over) {
        struct pollfd p = {.fd = fd, .events = POLLIN};
        ssize_t n = poll(&p, 1, WAIT_MS) > 0 ? recv(fd, data, sizeof(data), MSG_DONTWAIT) : -1;

        if (n <= 0) {
            note(s, GH_SOCKET_UNKNOWN);
            return;
        }
        take_answers(s, data, (size_t)n);
    }
}

static enum gh_socket_use ask(const struct inet_diag_req_v2 *request, bool dump,
                              const struct tcpao_endpoint *local,
                              const struct tcpao_endpoint *remote)
{
    struct search s = {.local = local, .remote = remote, .found = GH_SOCKET_GONE, .dump = dump};
    uint8_t mem[GH_NL_HEADER + sizeof(*request)];
    struct gh_wr w = gh_wr_make(mem, sizeof(mem));
    size_t start =
        gh_nl_begin(&w, SOCK_DIAG_BY_FAMILY, NLM_F_REQUEST | (dump ? NLM_F_DUMP : 0), REQUEST);
    int fd = gh_nl_open(NETLINK_SOCK_DIAG, 0);

    if (fd < 0)
        return GH_SOCKET_UNKNOWN;
    gh_wr_bytes(&w, request, sizeof(*request));
    gh_nl_end(&w, start);
    if (send(fd, w.base, w.len, 0) < 0)
        s.found = GH_SOCKET_UNKNOWN;
    else
        read_answers(fd, &s);
    close(fd);
    return s.found;
}

/* All sockets with these ports, of both families where the connection is IPv4: a program may have
 * bound its socket to a device, or use an IPv6 socket for both. */
static enum gh_socket_use ask_widely(struct inet_diag_req_v2 request,
                                     const struct tcpao_endpoint *local,
                                     const struct tcpao_endpoint *remote)
{
    enum gh_socket_use use = GH_SOCKET_GONE, other;

    request.id.idiag_if = 0;
    if (request.sdiag_family == AF_INET)
        use = ask(&request, true, local, remote);
    request.sdiag_family = AF_INET6;
    other = ask(&request, true, local, remote);
    return other > use ? other : use;
}

enum gh_socket_use gh_socket_find(const char *netns, const char *vrf,
                                  const struct tcpao_endpoint *local,
                                  const struct tcpao_endpoint *remote)
{
    enum gh_socket_use use = GH_SOCKET_UNKNOWN;
    unsigned device = 0;
    int back;

    if (gh_netns_enter(netns, &back) != 0)
        return GH_SOCKET_UNKNOWN;
    if (vrf == NULL || (device = if_nametoindex(vrf)) != 0) {
        struct inet_diag_req_v2 request = describe(local, remote, device);

        use = ask(&request, false, local, remote);
        if (use == GH_SOCKET_GONE)
            use = ask_widely(request, local, remote);
    }
    gh_netns_leave(back);
    return use;
}
