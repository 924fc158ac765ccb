#include "platform/kernel_ao.h"

#include <errno.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/secret.h"
#include "tcpao/segment.h"

/* ---- <linux/tcp.h> of Linux 6.7 ------------------------------------------------------------- */

enum { AO_ADD_KEY = 38, AO_DEL_KEY = 39, AO_INFO = 40, AO_GET_KEYS = 41 };
enum { KEYF_EXCLUDE_OPT = 2 };
enum { SET_CURRENT = 1, SET_RNEXT = 2 };
enum { DEL_ASYNC = 4 };
enum { INFO_REQUIRED = 4, INFO_ACCEPT_ICMPS = 16 };
enum { GET_IS_CURRENT = 1, GET_IS_RNEXT = 2, GET_ALL = 4 };

struct ao_add {
    _Alignas(8) struct sockaddr_storage addr;
    char alg_name[64];
    int32_t ifindex;
    uint32_t bits;
    uint16_t reserved2;
    uint8_t prefix, sndid, rcvid, maclen, keyflags, keylen;
    uint8_t key[GH_KERNEL_SECRET_MAX];
};
_Static_assert(sizeof(struct ao_add) == 288, "struct tcp_ao_add");
_Static_assert(offsetof(struct ao_add, key) == 208, "struct tcp_ao_add");

struct ao_del {
    _Alignas(8) struct sockaddr_storage addr;
    int32_t ifindex;
    uint32_t bits;
    uint16_t reserved2;
    uint8_t prefix, sndid, rcvid, current_key, rnext, keyflags;
};
_Static_assert(sizeof(struct ao_del) == 144, "struct tcp_ao_del");

struct ao_info {
    _Alignas(8) uint32_t bits;
    uint16_t reserved2;
    uint8_t current_key, rnext;
    uint64_t pkt_good, pkt_bad, pkt_key_not_found, pkt_ao_required, pkt_dropped_icmp;
};
_Static_assert(sizeof(struct ao_info) == 48, "struct tcp_ao_info_opt");

struct ao_get {
    _Alignas(8) struct sockaddr_storage addr;
    char alg_name[64];
    uint8_t key[GH_KERNEL_SECRET_MAX];
    uint32_t nkeys;
    uint16_t bits;
    uint8_t sndid, rcvid, prefix, maclen, keyflags, keylen;
    int32_t ifindex;
    uint64_t pkt_good, pkt_bad;
};
_Static_assert(sizeof(struct ao_get) == 304, "struct tcp_ao_getsockopt");
_Static_assert(offsetof(struct ao_get, pkt_good) == 288, "struct tcp_ao_getsockopt");

static int set_option(int fd, int name, const void *value, socklen_t len)
{
    return setsockopt(fd, IPPROTO_TCP, name, value, len) == 0 ? 0 : -errno;
}

/* ---- Sockets -------------------------------------------------------------------------------- */

bool gh_kernel_ao_supported(void)
{
    struct ao_info info = {0};
    socklen_t len = sizeof(info);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool has;

    if (fd < 0)
        return false;
    /* "This socket has none", where an older kernel says that it knows no such option. */
    has = getsockopt(fd, IPPROTO_TCP, AO_INFO, &info, &len) == 0 || errno == ENOENT;
    close(fd);
    return has;
}

static bool flag_of(int fd, int level, int name)
{
    int value = 0;
    socklen_t len = sizeof(value);

    return getsockopt(fd, level, name, &value, &len) == 0 && value != 0;
}

struct gh_kernel_socket gh_kernel_socket_look(int fd)
{
    struct gh_kernel_socket s = {.fd = fd};
    int domain = AF_INET;
    socklen_t len = sizeof(domain);

    getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &len);
    s.ipv6 = domain == AF_INET6;
    s.v6only = s.ipv6 && flag_of(fd, IPPROTO_IPV6, IPV6_V6ONLY);
    s.listening = flag_of(fd, SOL_SOCKET, SO_ACCEPTCONN);
    return s;
}

uint64_t gh_kernel_cookie(const struct gh_kernel_socket *s)
{
    uint64_t cookie = 0;
    socklen_t len = sizeof(cookie);

    return getsockopt(s->fd, SOL_SOCKET, SO_COOKIE, &cookie, &len) == 0 ? cookie : 0;
}

/* ---- Addresses and algorithms --------------------------------------------------------------- */

/* IPv4 on an IPv6 socket is written as a mapped address; the prefix stays IPv4's. */
static bool put_peer(const struct gh_kernel_socket *s, const struct gh_prefix *peer,
                     struct sockaddr_storage *out)
{
    struct sockaddr_in v4 = {.sin_family = AF_INET};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};

    if (!s->ipv6) {
        if (peer->addr.len != 4)
            return false;
        memcpy(&v4.sin_addr, peer->addr.octets, 4);
        memcpy(out, &v4, sizeof(v4));
        return true;
    }
    if (peer->addr.len == 4 && (s->v6only || peer->bits == 0))
        return false; /* the kernel has no word for "any IPv4" there */
    if (peer->addr.len == 4) {
        memset(v6.sin6_addr.s6_addr + 10, 0xff, 2);
        memcpy(v6.sin6_addr.s6_addr + 12, peer->addr.octets, 4);
    } else {
        memcpy(&v6.sin6_addr, peer->addr.octets, 16);
    }
    memcpy(out, &v6, sizeof(v6));
    return true;
}

static struct gh_addr take_addr(const struct sockaddr_storage *from)
{
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;

    if (from->ss_family == AF_INET) {
        memcpy(&v4, from, sizeof(v4));
        return gh_addr_from((const uint8_t *)&v4.sin_addr, 4);
    }
    memcpy(&v6, from, sizeof(v6));
    return gh_addr_from_v6(v6.sin6_addr.s6_addr);
}

struct tcpao_endpoint gh_kernel_local(const struct gh_kernel_socket *s)
{
    union {
        struct sockaddr any;
        struct sockaddr_storage room;
    } name = {.room = {0}};
    socklen_t len = sizeof(name);
    struct tcpao_endpoint e = {.addr_len = 0};
    struct sockaddr_in v4;
    struct gh_addr a;

    if (getsockname(s->fd, &name.any, &len) != 0)
        return e;
    a = take_addr(&name.room);
    memcpy(&v4, &name.room, sizeof(v4)); /* the port is at the same place in both families */
    e.port = ntohs(v4.sin_port);
    if (gh_addr_is_any(&a))
        return e;
    e.addr_len = a.len;
    memcpy(e.addr, a.octets, sizeof(e.addr));
    return e;
}

/* The AES key is condensed by us, so that it reads back as it was written. */
static const struct {
    enum tcpao_alg alg;
    const char *name;
} algorithms[] = {{TCPAO_HMAC_SHA_1, "hmac(sha1)"},
                  {TCPAO_AES_128_CMAC, "cmac(aes)"},
                  {TCPAO_HMAC_SHA_256, "hmac(sha256)"}};

enum { ALGORITHMS = sizeof(algorithms) / sizeof(algorithms[0]) };

static const char *alg_name(enum tcpao_alg alg)
{
    for (size_t i = 0; i < ALGORITHMS; i++)
        if (algorithms[i].alg == alg)
            return algorithms[i].name;
    return "";
}

static enum tcpao_alg alg_from(const char *name)
{
    for (size_t i = 0; i < ALGORITHMS; i++)
        if (strncmp(algorithms[i].name, name, 64) == 0)
            return algorithms[i].alg;
    return strncmp(name, "cmac(aes128)", 64) == 0 ? TCPAO_AES_128_CMAC : 0;
}

/* What the kernel is given as the master key. False: it cannot be. */
static bool master_key(const struct tcpao_mkt *mkt, uint8_t key[GH_KERNEL_SECRET_MAX], uint8_t *len)
{
    if (mkt->alg == TCPAO_AES_128_CMAC && mkt->secret_len != GH_MAC_AES_KEY) {
        *len = GH_MAC_AES_KEY;
        return tcpao_condense(mkt->secret, mkt->secret_len, key);
    }
    if (mkt->secret_len > GH_KERNEL_SECRET_MAX)
        return false;
    memcpy(key, mkt->secret, mkt->secret_len);
    *len = (uint8_t)mkt->secret_len;
    return true;
}

/* ---- Keys ----------------------------------------------------------------------------------- */

int gh_kernel_ao_add(const struct gh_kernel_socket *s, const struct gh_prefix *peer,
                     const struct tcpao_mkt *mkt, bool current, bool rnext)
{
    struct ao_add add = {.prefix = peer->bits,
                         .sndid = mkt->send_id,
                         .rcvid = mkt->recv_id,
                         .maclen = mkt->mac_len,
                         .keyflags = mkt->options_covered ? 0 : KEYF_EXCLUDE_OPT};
    int error = -EINVAL;

    add.bits = (current ? SET_CURRENT : 0u) | (rnext ? SET_RNEXT : 0u);
    strncpy(add.alg_name, alg_name(mkt->alg), sizeof(add.alg_name) - 1);
    if (!put_peer(s, peer, &add.addr))
        error = -EAFNOSUPPORT;
    else if (master_key(mkt, add.key, &add.keylen))
        error = set_option(s->fd, AO_ADD_KEY, &add, sizeof(add));
    gh_wipe(&add, sizeof(add));
    return error;
}

int gh_kernel_ao_delete(const struct gh_kernel_socket *s, const struct gh_prefix *peer,
                        uint8_t send_id, uint8_t recv_id)
{
    struct ao_del del = {.prefix = peer->bits,
                         .sndid = send_id,
                         .rcvid = recv_id,
                         .bits = s->listening ? DEL_ASYNC : 0};

    if (!put_peer(s, peer, &del.addr))
        return -EAFNOSUPPORT;
    return set_option(s->fd, AO_DEL_KEY, &del, sizeof(del));
}

int gh_kernel_ao_info(const struct gh_kernel_socket *s, struct gh_kernel_info *out)
{
    struct ao_info info = {0};
    socklen_t len = sizeof(info);

    if (getsockopt(s->fd, IPPROTO_TCP, AO_INFO, &info, &len) != 0)
        return -errno;
    *out = (struct gh_kernel_info){.current_known = (info.bits & SET_CURRENT) != 0,
                                   .rnext_known = (info.bits & SET_RNEXT) != 0,
                                   .current = info.current_key,
                                   .rnext = info.rnext,
                                   .required = (info.bits & INFO_REQUIRED) != 0,
                                   .accept_icmps = (info.bits & INFO_ACCEPT_ICMPS) != 0,
                                   .good = info.pkt_good,
                                   .bad = info.pkt_bad,
                                   .key_not_found = info.pkt_key_not_found,
                                   .missing = info.pkt_ao_required,
                                   .dropped_icmps = info.pkt_dropped_icmp};
    return 0;
}

int gh_kernel_ao_set(const struct gh_kernel_socket *s, const struct gh_kernel_info *info)
{
    struct ao_info set = {.current_key = info->current, .rnext = info->rnext};

    set.bits = (info->current_known ? SET_CURRENT : 0u) | (info->rnext_known ? SET_RNEXT : 0u) |
               (info->required ? INFO_REQUIRED : 0u) |
               (info->accept_icmps ? INFO_ACCEPT_ICMPS : 0u);
    return set_option(s->fd, AO_INFO, &set, sizeof(set));
}

static struct gh_kernel_key take_key(const struct ao_get *g)
{
    struct gh_kernel_key k = {
        .peer = {.addr = take_addr(&g->addr), .bits = g->prefix},
        .send_id = g->sndid,
        .recv_id = g->rcvid,
        .alg = alg_from(g->alg_name),
        .mac_len = g->maclen,
        .options_covered = (g->keyflags & KEYF_EXCLUDE_OPT) == 0,
        .current = (g->bits & GET_IS_CURRENT) != 0,
        .rnext = (g->bits & GET_IS_RNEXT) != 0,
        .good = g->pkt_good,
        .bad = g->pkt_bad,
        .secret_len = g->keylen <= GH_KERNEL_SECRET_MAX ? g->keylen : 0,
    };

    memcpy(k.secret, g->key, sizeof(k.secret));
    return k;
}

static void free_found(struct ao_get *found, size_t count)
{
    if (found != NULL)
        gh_wipe(found, count * sizeof(*found));
    free(found);
}

int gh_kernel_ao_keys(const struct gh_kernel_socket *s, struct gh_kernel_key **keys, size_t *count)
{
    size_t room = 16, got = 0;
    struct ao_get *found = NULL;

    *keys = NULL;
    *count = 0;
    for (;;) {
        socklen_t size = sizeof(*found);

        found = calloc(room, sizeof(*found));
        if (found == NULL)
            return -ENOMEM;
        found->nkeys = (uint32_t)room;
        found->bits = GET_ALL;
        if (getsockopt(s->fd, IPPROTO_TCP, AO_GET_KEYS, found, &size) != 0) {
            int error = errno;

            free(found);
            return error == ENOENT ? 0 : -error;
        }
        got = found->nkeys;
        if (got <= room)
            break;
        free_found(found, room);
        room = got;
    }
    *keys = calloc(got + 1, sizeof(**keys));
    for (size_t i = 0; *keys != NULL && i < got; i++)
        (*keys)[(*count)++] = take_key(&found[i]);
    free_found(found, room);
    return *keys != NULL ? 0 : -ENOMEM;
}

void gh_kernel_ao_keys_free(struct gh_kernel_key *keys, size_t count)
{
    if (keys != NULL)
        gh_wipe(keys, count * sizeof(*keys));
    free(keys);
}

bool gh_kernel_ao_is(const struct gh_kernel_key *key, const struct tcpao_mkt *mkt)
{
    uint8_t master[GH_KERNEL_SECRET_MAX], len = 0;
    bool same = key->send_id == mkt->send_id && key->recv_id == mkt->recv_id &&
                key->alg == mkt->alg && key->mac_len == mkt->mac_len &&
                key->options_covered == mkt->options_covered && master_key(mkt, master, &len) &&
                len == key->secret_len && gh_ct_equal(master, key->secret, len);

    gh_wipe(master, sizeof(master));
    return same;
}

/* ---- Traffic -------------------------------------------------------------------------------- */

int gh_kernel_traffic(const struct gh_kernel_socket *s, struct gh_kernel_traffic *out)
{
    struct tcp_info info = {0};
    socklen_t len = sizeof(info);

    if (getsockopt(s->fd, IPPROTO_TCP, TCP_INFO, &info, &len) != 0)
        return -errno;
    *out = (struct gh_kernel_traffic){.state = info.tcpi_state,
                                      .segments_in = info.tcpi_segs_in,
                                      .segments_out = info.tcpi_segs_out,
                                      .octets_in = info.tcpi_bytes_received,
                                      .octets_out = info.tcpi_bytes_acked};
    return 0;
}
