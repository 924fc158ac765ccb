#include "daemon/ao_md5.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/secret.h"
#include "daemon/ao_facts.h"
#include "emulate/emulate.h"
#include "wire/rd.h"

enum { SOCKADDR = 128, FLAG_PREFIX = 1, FLAG_IFINDEX = 2, KEPT_MAX = 65536 };

bool gh_md5_parse(int option, const uint8_t *value, size_t len, struct gh_md5_request *out)
{
    struct gh_rd r = gh_rd_make(value, len);
    const uint8_t *addr = gh_rd_bytes(&r, SOCKADDR);
    uint8_t flags = gh_rd_u8(&r);
    uint16_t keylen = 0; /* in host order */

    *out = (struct gh_md5_request){.prefix = gh_rd_u8(&r)};
    gh_rd_copy(&r, &keylen, sizeof(keylen));
    if (option == EMU_TCP_MD5SIG_EXT && (flags & FLAG_IFINDEX) != 0)
        gh_rd_copy(&r, &out->vrf, sizeof(out->vrf));
    out->has_prefix = option == EMU_TCP_MD5SIG_EXT && (flags & FLAG_PREFIX) != 0;
    out->removes = keylen == 0;
    return !r.bad && len >= GH_MD5_VALUE && gh_facts_endpoint(addr, SOCKADDR, &out->peer);
}

static void drop(struct gh_md5_list *l, size_t i)
{
    l->list[i] = l->list[--l->count];
    gh_wipe(&l->list[l->count], sizeof(l->list[l->count]));
}

static bool same_peer(const struct gh_md5_request *a, const struct gh_md5_request *b)
{
    return a->peer.addr_len == b->peer.addr_len &&
           memcmp(a->peer.addr, b->peer.addr, sizeof(a->peer.addr)) == 0 &&
           a->has_prefix == b->has_prefix && (!a->has_prefix || a->prefix == b->prefix) &&
           a->vrf == b->vrf;
}

static bool grow(struct gh_md5_list *l)
{
    size_t cap = l->cap == 0 ? 16 : l->cap * 2;
    struct gh_md5_kept *list;

    if (l->count < l->cap)
        return true;
    list = cap <= KEPT_MAX ? calloc(cap, sizeof(*list)) : NULL;
    if (list == NULL)
        return false;
    if (l->count > 0) {
        memcpy(list, l->list, l->count * sizeof(*list));
        gh_wipe(l->list, l->count * sizeof(*list));
    }
    free(l->list);
    l->list = list;
    l->cap = cap;
    return true;
}

bool gh_md5_keep(struct gh_md5_list *l, uint64_t cookie, int option, const uint8_t *value,
                 const struct gh_md5_request *r)
{
    struct gh_md5_kept *k;

    for (size_t i = l->count; i-- > 0;)
        if (l->list[i].cookie == cookie && same_peer(&l->list[i].request, r))
            drop(l, i);
    if (r->removes)
        return true;
    if (!grow(l))
        return false;
    k = &l->list[l->count++];
    *k = (struct gh_md5_kept){.cookie = cookie, .option = option, .request = *r};
    memcpy(k->value, value, GH_MD5_VALUE);
    return true;
}

int gh_md5_give(struct gh_md5_list *l, uint64_t cookie, int fd,
                bool (*stays)(void *ctx, const struct gh_md5_request *r), void *ctx)
{
    int error = 0;

    for (size_t i = l->count; i-- > 0;) {
        const struct gh_md5_kept *k = &l->list[i];

        if (k->cookie != cookie || stays(ctx, &k->request))
            continue;
        if (setsockopt(fd, IPPROTO_TCP, k->option, k->value, GH_MD5_VALUE) != 0)
            error = errno;
        drop(l, i);
    }
    return error;
}

void gh_md5_forget(struct gh_md5_list *l, uint64_t cookie)
{
    for (size_t i = l->count; i-- > 0;)
        if (l->list[i].cookie == cookie)
            drop(l, i);
}
