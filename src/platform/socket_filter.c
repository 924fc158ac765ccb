#include "platform/socket_filter.h"

#include <errno.h>
#include <linux/filter.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#include "platform/spi.h"

enum { BY_SPI = 10, BY_VRF = 2 };

struct program {
    struct sock_filter code[1 + GH_FILTER_VRFS * BY_VRF + BY_SPI];
    size_t len;
};

static void put(struct program *p, struct sock_filter step)
{
    p->code[p->len++] = step;
}

/* When a packet comes to a socket, its device is the VRF's. */
static void put_vrfs(struct program *p, const struct gh_socket_filter *f)
{
    if (f->vrf_count == 0)
        return;
    put(p, (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
                                        (uint32_t)(SKF_AD_OFF + SKF_AD_IFINDEX)));
    for (size_t i = 0; i < f->vrf_count && i < GH_FILTER_VRFS; i++) {
        put(p, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, f->vrfs[i], 0, 1));
        put(p, (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, 0));
    }
}

/* The SPI is at the beginning of ESP and four octets into AH; in IPv4 the socket sees the IP header
 * before it. */
static void put_spi(struct program *p, const struct gh_socket_filter *f)
{
    const uint32_t at = f->protocol == IPPROTO_AH ? 4 : 0;
    const uint8_t first = f->slot == 0, mine = first && !f->kernels;
    const struct sock_filter code[BY_SPI] = {
        f->v6 ? (struct sock_filter)BPF_STMT(BPF_LDX | BPF_IMM, 0)
              : (struct sock_filter)BPF_STMT(BPF_LDX | BPF_B | BPF_MSH, 0),
        BPF_STMT(BPF_LD | BPF_W | BPF_IND, at),
        BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, GH_SPI_KERNEL, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, mine ? UINT32_MAX : 0),
        BPF_STMT(BPF_ALU | BPF_RSH | BPF_K, GH_SPI_SLOT_SHIFT),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, f->slot, 2, 0),
        BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, f->slots, 0, 2),
        BPF_STMT(BPF_RET | BPF_K, first ? UINT32_MAX : 0),
        BPF_STMT(BPF_RET | BPF_K, UINT32_MAX),
        BPF_STMT(BPF_RET | BPF_K, 0)};

    memcpy(p->code + p->len, code, sizeof(code));
    p->len += BY_SPI;
}

bool gh_socket_filter_set(int fd, const struct gh_socket_filter *f)
{
    static struct program p;
    struct sock_fprog program = {.filter = p.code};
    int unused = 0;

    p.len = 0;
    put_vrfs(&p, f);
    if (f->by_spi)
        put_spi(&p, f);
    else if (p.len > 0)
        put(&p, (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, UINT32_MAX));
    if (p.len == 0)
        return setsockopt(fd, SOL_SOCKET, SO_DETACH_FILTER, &unused, sizeof(unused)) == 0 ||
               errno == ENOENT;
    program.len = (unsigned short)p.len;
    return setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program)) == 0;
}
