#include "platform/sockets.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <net/if.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "platform/netlink.h"
#include "platform/netns.h"

static struct inet_diag_req_v2 describe(const struct tcpao_endpoint *local,
                                        const struct tcpao_endpoint *remote, unsigned device)
{
    struct inet_diag_req_v2 r = {.sdiag_family = local->addr_len == 4 ? AF_INET : AF_INET6,
                                 .sdiag_protocol = IPPROTO_TCP,
                                 .idiag_states = UINT32_MAX,
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
