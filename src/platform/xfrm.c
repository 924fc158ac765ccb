#include "platform/xfrm.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/udp.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/secret.h"
#include "platform/netns.h"
#include "platform/xfrm_ask.h"

#define GROUP(g) (1u << ((g)-1))

/* ---- SAs ------------------------------------------------------------------------------------ */

static bool give_sa(struct gh_xfrm *x, uint16_t type, const struct gh_xfrm_sa *sa,
                    struct gh_xfrm_why *why)
{
    uint8_t mem[GH_XFRM_MESSAGE];
    struct gh_wr w = gh_wr_make(mem, sizeof(mem));
    bool good = gh_xfrm_put_sa(&w, type, ++x->seq, sa, why) &&
                gh_xfrm_ask(x->ask, &w, NULL, NULL, why) == 0;

    gh_wipe(mem, sizeof(mem));
    return good;
}

bool gh_xfrm_add_sa(struct gh_xfrm *x, const struct gh_xfrm_sa *sa, struct gh_xfrm_why *why)
{
    return give_sa(x, XFRM_MSG_NEWSA, sa, why);
}

bool gh_xfrm_update_sa(struct gh_xfrm *x, const struct gh_xfrm_sa *sa, struct gh_xfrm_why *why)
{
    const struct gh_xfrm_sa_id id = gh_xfrm_sa_id_of(sa);
    struct gh_xfrm_sa_info info;

    if (!gh_xfrm_get_sa(x, &id, &info))
        return gh_xfrm_refuse(why, "there is none of ours");
    return give_sa(x, XFRM_MSG_UPDSA, sa, why);
}

struct found_sa {
    struct gh_xfrm_sa_info *out;
    bool found;
};

static void on_found_sa(void *ctx, const struct gh_nl_message *m)
{
    struct found_sa *f = ctx;

    f->found = gh_xfrm_parse_sa(m, f->out) && gh_xfrm_reqid_is_ours(f->out->reqid);
}

bool gh_xfrm_get_sa(struct gh_xfrm *x, const struct gh_xfrm_sa_id *id, struct gh_xfrm_sa_info *out)
{
    uint8_t mem[GH_XFRM_MESSAGE];
    struct gh_wr w = gh_wr_make(mem, sizeof(mem));
    struct found_sa f = {.out = out};
    struct gh_xfrm_why why;

    gh_xfrm_put_sa_id(&w, XFRM_MSG_GETSA, ++x->seq, id);
    return gh_xfrm_ask(x->ask, &w, on_found_sa, &f, &why) == 0 && f.found;
}

bool gh_xfrm_remove_sa(struct gh_xfrm *x, const struct gh_xfrm_sa_id *id)
{
    uint8_t mem[GH_XFRM_MESSAGE];
    struct gh_wr w = gh_wr_make(mem, sizeof(mem));
    struct gh_xfrm_sa_info info;
    struct gh_xfrm_why why;

    if (!gh_xfrm_get_sa(x, id, &info))
        return false;
    gh_xfrm_put_sa_id(&w, XFRM_MSG_DELSA, ++x->seq, id);
    return gh_xfrm_ask(x->ask, &w, NULL, NULL, &why) == 0;
}

struct moving {
    const struct gh_xfrm_move *to;
    struct gh_wr *out;
    uint32_t seq;
    struct gh_xfrm_why *why;
    bool good;
};

static void on_moving(void *ctx, const struct gh_nl_message *m)
{
    struct moving *x = ctx;
    struct gh_xfrm_sa_info info;

    if (gh_xfrm_parse_sa(m, &info) && gh_xfrm_reqid_is_ours(info.reqid))
        x->good = gh_xfrm_put_moved(x->out, x->seq, m, x->to, (uint64_t)time(NULL), x->why);
}

bool gh_xfrm_move_sa(struct gh_xfrm *x, const struct gh_xfrm_sa_id *id,
                     const struct gh_xfrm_move *to, struct gh_xfrm_why *why)
{
    uint8_t asking[GH_XFRM_MESSAGE], mem[GH_XFRM_MESSAGE];
    struct gh_wr ask = gh_wr_make(asking, sizeof(asking)), w = gh_wr_make(mem, sizeof(mem));
    struct moving m = {.to = to, .out = &w, .seq = ++x->seq, .why = why};
    bool good;

    gh_xfrm_refuse(why, "there is none of ours");
    gh_xfrm_put_sa_id(&ask, XFRM_MSG_GETSA, ++x->seq, id);
    good = gh_xfrm_ask(x->ask, &ask, on_moving, &m, why) == 0 && m.good && gh_xfrm_remove_sa(x, id);
    good = good && gh_xfrm_ask(x->ask, &w, NULL, NULL, why) == 0;
    gh_wipe(mem, sizeof(mem));
    return good;
}

static int dump(struct gh_xfrm *x, uint16_t type, gh_xfrm_message_fn fn, void *ctx)
{
    uint8_t mem[GH_NL_HEADER];
    struct gh_wr w = gh_wr_make(mem, sizeof(mem));
    struct gh_xfrm_why why;

    gh_xfrm_put_dump(&w, type, ++x->seq);
    return gh_xfrm_ask(x->ask, &w, fn, ctx, &why);
}

struct each_sa {
    gh_xfrm_sa_fn fn;
    void *ctx;
};

static void on_sa(void *ctx, const struct gh_nl_message *m)
{
    const struct each_sa *each = ctx;
    struct gh_xfrm_sa_info info;

    if (gh_xfrm_parse_sa(m, &info) && gh_xfrm_reqid_is_ours(info.reqid))
        each->fn(each->ctx, &info);
}

int gh_xfrm_each_sa(struct gh_xfrm *x, gh_xfrm_sa_fn fn, void *ctx)
{
    struct each_sa each = {fn, ctx};

    return dump(x, XFRM_MSG_GETSA, on_sa, &each);
}

/* ---- What is there of ours ------------------------------------------------------------------ */

struct listed_sas {
    struct gh_xfrm_sa_id *list;
    size_t count, room;
    bool no_memory;
};

static void list_sa(void *ctx, const struct gh_xfrm_sa_info *sa)
{
    struct listed_sas *l = ctx;

    if (l->count == l->room) {
        size_t room = l->room == 0 ? 64 : 2 * l->room;
        struct gh_xfrm_sa_id *list = reallocarray(l->list, room, sizeof(*list));

        l->no_memory |= list == NULL;
        if (list == NULL)
            return;
        l->list = list;
        l->room = room;
    }
    l->list[l->count++] = sa->id;
}

int gh_xfrm_flush_sas(struct gh_xfrm *x)
{
    struct listed_sas l = {.list = NULL};
    int result = gh_xfrm_each_sa(x, list_sa, &l);

    for (size_t i = 0; i < l.count; i++)
        (void)gh_xfrm_remove_sa(x, &l.list[i]); /* or it has expired meanwhile */
    free(l.list);
    return l.no_memory ? -ENOMEM : result;
}

int gh_xfrm_flush(struct gh_xfrm *x)
{
    struct gh_xfrm_why why;
    bool policies = gh_xfrm_set_policies(x, NULL, 0, &why);
    int result = gh_xfrm_flush_sas(x);

    return result != 0 ? result : policies ? 0 : -EIO;
}

/* ---- Events and sockets --------------------------------------------------------------------- */

static void tell(const uint8_t *data, size_t len, gh_xfrm_event_fn fn, void *ctx)
{
    struct gh_rd r = gh_rd_make(data, len);
    struct gh_xfrm_event event;
    struct gh_nl_message m;

    while (gh_nl_next(&r, &m))
        if (gh_xfrm_parse_event(&m, &event))
            fn(ctx, &event);
}

void gh_xfrm_hear(const struct gh_xfrm *x, gh_xfrm_event_fn fn, void *ctx)
{
    static uint8_t data[65536];
    const struct gh_xfrm_event lost = {.kind = GH_XFRM_LOST};
    ssize_t n;

    while ((n = recv(x->heard, data, sizeof(data), MSG_DONTWAIT)) >= 0 || errno == EINTR ||
           errno == ENOBUFS) {
        if (n >= 0)
            tell(data, (size_t)n, fn, ctx);
        else if (errno == ENOBUFS)
            fn(ctx, &lost);
    }
}

static int family_of(int fd)
{
    int domain = 0;
    socklen_t len = sizeof(domain);

    return getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &len) == 0 ? domain : 0;
}

static bool bypass(int fd, int level, int option, uint16_t family, uint8_t dir)
{
    struct xfrm_userpolicy_info info;

    memset(&info, 0, sizeof(info));
    info.sel.family = family;
    info.dir = dir;
    info.action = XFRM_POLICY_ALLOW;
    return setsockopt(fd, level, option, &info, sizeof(info)) == 0;
}

bool gh_xfrm_bypass_socket(int fd)
{
    static const uint8_t dirs[] = {XFRM_POLICY_OUT, XFRM_POLICY_IN};
    bool v6 = family_of(fd) == AF_INET6, good = true;

    for (size_t i = 0; i < sizeof(dirs); i++) {
        if (v6)
            good &= bypass(fd, IPPROTO_IPV6, IPV6_XFRM_POLICY, AF_INET6, dirs[i]);
        else
            good &= bypass(fd, IPPROTO_IP, IP_XFRM_POLICY, AF_INET, dirs[i]);
    }
    return good;
}

bool gh_xfrm_encapsulate_socket(int fd)
{
    const int kind = UDP_ENCAP_ESPINUDP;

    return setsockopt(fd, IPPROTO_UDP, UDP_ENCAP, &kind, sizeof(kind)) == 0;
}

/* ---- Life ----------------------------------------------------------------------------------- */

void gh_xfrm_close(struct gh_xfrm *x)
{
    if (x->ask >= 0)
        close(x->ask);
    if (x->heard >= 0)
        close(x->heard);
    *x = (struct gh_xfrm){.ask = -1, .heard = -1};
}

static void next_after(void *ctx, const struct gh_xfrm_policy_info *policy)
{
    struct gh_xfrm *x = ctx;
    uint32_t n = (policy->id.index >> 3) & (GH_XFRM_POLICIES - 1);

    if (n >= x->next_policy)
        x->next_policy = n + 1;
}

bool gh_xfrm_take(int ask, int heard, struct gh_xfrm *out)
{
    /* An answer that another process did not wait for is not taken for one of ours. */
    *out = (struct gh_xfrm){.ask = ask, .heard = heard, .seq = (uint32_t)time(NULL) << 12};
    return gh_xfrm_each_policy(out, next_after, out) == 0;
}

int gh_xfrm_open(const char *netns, struct gh_xfrm *out)
{
    struct gh_xfrm x = {.ask = -1, .heard = -1};
    int back, result = gh_netns_enter(netns, &back);

    if (result != 0)
        return result;
    x.ask = gh_xfrm_ask_open();
    if (x.ask >= 0)
        x.heard = gh_nl_open(NETLINK_XFRM, GROUP(XFRMNLGRP_ACQUIRE) | GROUP(XFRMNLGRP_EXPIRE) |
                                               GROUP(XFRMNLGRP_MAPPING));
    if (x.heard < 0 || fcntl(x.heard, F_SETFL, O_NONBLOCK) != 0)
        result = -errno;
    gh_netns_leave(back);
    if (result == 0)
        result = gh_xfrm_each_policy(&x, next_after, &x);
    if (result != 0)
        gh_xfrm_close(&x);
    else
        *out = x;
    return result;
}
