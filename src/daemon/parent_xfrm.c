/*
 * The kernel's IPsec in the parent: which children it carries, the process `xfrm`, and in each
 * namespace of theirs netlink sockets for it, port 4500 for what comes in UDP, and IKE's own
 * sockets beside all policies.
 *
 * What is in the kernel stays there when processes end, as firewall rules do; SAs go when the
 * daemon is stopped, policies when the configuration has no child for them, or by --remove-rules.
 */
#include "daemon/parent_priv.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "config/alloc.h"
#include "config/ike.h"
#include "config/kernel_plane.h"
#include "daemon/esp_children.h"
#include "ike/codes.h"
#include "ike/v2/core.h"
#include "platform/udp.h"
#include "platform/xfrm.h"
#include "platform/xfrm_select.h"
#include "platform/xfrm_stat.h"
#include "wire/wr.h"

/* ---- Which children the kernel carries ------------------------------------------------------ */

static const struct gh_xfrm_support *support(struct gh_parent *p)
{
    struct gh_parent_xfrm *x = &p->xfrm;

    if (!x->probed && gh_xfrm_probe(&x->support, &x->why) == 0)
        gh_notice("the kernel has IPsec");
    x->probed = true;
    return &x->support;
}

static bool has_suite(const struct gh_xfrm_support *s, const struct ike_proposal *p, uint16_t enc)
{
    enum ipsec_protocol protocol = p->protocol == IKE_PROTO_AH ? IPSEC_AH : IPSEC_ESP;
    bool any = false, good = true;

    for (size_t i = 0; i < p->count; i++) {
        if (p->transform[i].type != IKE_T_INTEG)
            continue;
        any = true;
        good = good && gh_xfrm_has(s, protocol, (enum gh_enc_alg)enc,
                                   (enum gh_integ_alg)p->transform[i].id);
    }
    return any ? good : gh_xfrm_has(s, protocol, (enum gh_enc_alg)enc, GH_INTEG_NONE);
}

/* All that may be agreed on. */
static bool has_algorithms(const struct gh_xfrm_support *s, const struct ike_proposals *proposals)
{
    struct ike_sa sa;

    ike_proposals_get(proposals, &sa);
    for (size_t i = 0; i < sa.count; i++) {
        const struct ike_proposal *p = &sa.proposal[i];

        if (p->protocol == IKE_PROTO_AH && !has_suite(s, p, GH_ENC_NULL))
            return false;
        for (size_t t = 0; t < p->count; t++)
            if (p->transform[t].type == IKE_T_ENCR && !has_suite(s, p, p->transform[t].id))
                return false;
    }
    return true;
}

static bool has_selectors(const struct ike_ts_list *local, const struct ike_ts_list *remote,
                          struct gh_xfrm_why *why)
{
    static struct xfrm_selector pieces[GH_XFRM_EXPANDED];
    static struct ipsec_selector all[IPSEC_SELECTORS_MAX];
    size_t count = gh_esp_selectors(local, remote, all);

    for (size_t i = 0; i < count; i++)
        if (gh_xfrm_expand(&all[i], XFRM_POLICY_OUT, pieces, why) == 0 ||
            gh_xfrm_expand(&all[i], XFRM_POLICY_IN, pieces, why) == 0)
            return false;
    return count > 0 || gh_xfrm_refuse(why, "its selectors have no pair of one kind");
}

static bool can_carry(struct gh_parent *p, const struct gh_ike_config *c,
                      const struct ike2_policy *policy, const struct ike2_child_policy *child,
                      struct gh_xfrm_why *why)
{
    const struct gh_xfrm_support *s = support(p);
    size_t len = policy->local.len != 0     ? policy->local.len
                 : policy->gateway.len != 0 ? policy->gateway.len
                                            : policy->remote.addr.len;
    const struct gh_kernel_lack *lack = gh_kernel_child_lacks(child);
    bool v6 = len == 16;

    if (!s->esp[0] && !s->esp[1]) {
        *why = p->xfrm.why;
        return false;
    }
    if (policy->zone > 0 && c->zones[policy->zone - 1].vrf != NULL)
        return gh_xfrm_refuse(why, "the kernel's policies know nothing of VRFs");
    if (!s->esp[v6])
        return gh_xfrm_refuse(why, "the kernel has no ESP for this IP version");
    if (!policy->no_nats && !s->encapsulation[v6])
        return gh_xfrm_refuse(why, "the kernel has no ESP in UDP for this IP version");
    if (lack != NULL)
        return gh_xfrm_refuse(why, lack->why);
    if (gh_parent_tunnels_need(c, policy, child))
        return gh_xfrm_refuse(why, "a tunnel's packets go by Gatehouse's own process");
    if (!has_algorithms(s, &child->proposals))
        return gh_xfrm_refuse(why, "the kernel does not have all of its algorithms");
    return has_selectors(&child->local, &child->remote, why);
}

/* Of a namespace where the kernel carries children, all entries are its, too. */
static void check_entries(const struct gh_parent *p, const struct gh_ike_config *c,
                          struct gh_problems *problems)
{
    for (size_t i = 0; i < c->spd_count; i++) {
        const struct gh_spd_entry *e = &c->spd[i];
        struct gh_xfrm_why why = {.text = ""};
        bool user, kernel;

        gh_spd_planes(c, e->zone, &user, &kernel);
        if (kernel && !has_selectors(&e->local, &e->remote, &why))
            gh_problem_add(problems, GH_PROBLEM_ERROR, p->options->config, e->line, "dataplane",
                           "change its selectors, or write dataplane = user for the peers there",
                           "the kernel cannot have the ipsec-policy \"%s\": %s", e->name, why.text);
    }
}

static bool is_asked(const struct ike2_policy *policy, const struct ike2_child_policy *child)
{
    return policy->plane != IKE2_PLANE_USER && child->mode != IKE2_TCP_AO;
}

static void choose(struct gh_parent *p, struct gh_ike_config *c)
{
    struct gh_xfrm_why why;

    for (size_t i = 0; i < c->policy_count; i++)
        for (size_t k = 0; k < c->policies[i]->child_count; k++) {
            struct ike2_child_policy *child = &c->policies[i]->children[k];

            if (is_asked(c->policies[i], child))
                child->kernel = can_carry(p, c, c->policies[i], child, &why);
        }
}

static void report_children(struct gh_parent *p, const struct gh_ike_config *c, size_t i,
                            struct gh_problems *problems)
{
    const struct ike2_policy *policy = c->policies[i];

    for (size_t k = 0; k < policy->child_count; k++) {
        const struct ike2_child_policy *child = &policy->children[k];
        struct gh_xfrm_why why = {.text = ""};

        if (!is_asked(policy, child) || can_carry(p, c, policy, child, &why))
            continue;
        if (policy->plane == IKE2_PLANE_KERNEL)
            gh_problem_add(problems, GH_PROBLEM_ERROR, p->options->config,
                           c->places[i].child_lines[k], "dataplane",
                           "write dataplane = auto or user, or change the child",
                           "the kernel cannot carry the child \"%s\" of \"%s\": %s", child->name,
                           policy->name, why.text);
        else
            gh_notice("%s: the child %s is not the kernel's: %s", policy->name, child->name,
                      why.text);
    }
}

void gh_parent_xfrm_choose(struct gh_parent *p, struct gh_ike_config *c,
                           struct gh_problems *problems)
{
    if (c == NULL)
        return;
    gh_parent_tunnels_choose(p, c);
    do
        choose(p, c);
    while (gh_parent_tunnels_yield(c));
    for (size_t i = 0; i < c->policy_count; i++)
        report_children(p, c, i, problems);
    gh_parent_tunnels_report(p, c, problems);
    check_entries(p, c, problems);
}

static bool is_wanted(const struct gh_parent *p, const struct gh_parent_place *place)
{
    const struct gh_ike_config *c = p->config->ike;

    for (size_t i = 0; p->ike.peers > 0 && i < c->policy_count; i++) {
        const struct ike2_policy *policy = c->policies[i];
        const struct gh_ike_zone *zone = policy->zone > 0 ? &c->zones[policy->zone - 1] : NULL;

        for (size_t k = 0; k < policy->child_count; k++)
            if (policy->children[k].kernel &&
                (place == NULL ||
                 (place->vrf == NULL &&
                  gh_config_text_equal(place->netns, zone != NULL ? zone->netns : NULL))))
                return true;
    }
    return false;
}

/* ---- What `xfrm` is told -------------------------------------------------------------------- */

static void tell_socket(struct gh_parent *p, const struct gh_parent_place *place, int kind)
{
    uint8_t body[300];
    struct gh_wr w = gh_wr_make(body, sizeof(body));

    gh_esp_put_string(&w, place->netns != NULL ? place->netns : "");
    gh_wr_u8(&w, (uint64_t)kind);
    if (p->xfrm.xfrm.channel != NULL && gh_wr_ok(&w) && place->xfrm.sockets[kind] >= 0)
        gh_channel_send(p->xfrm.xfrm.channel, GH_MESSAGE_XFRM_SOCKET, body, w.len,
                        place->xfrm.sockets[kind]);
}

/* That for events is the last: with it `xfrm` begins. */
static void tell_place(struct gh_parent *p, const struct gh_parent_place *place)
{
    tell_socket(p, place, GH_PLANE_ASK);
    tell_socket(p, place, GH_PLANE_STAT);
    tell_socket(p, place, GH_PLANE_HEARD);
}

static void tell_gone(struct gh_parent *p, const struct gh_parent_place *place)
{
    uint8_t body[300];
    struct gh_wr w = gh_wr_make(body, sizeof(body));

    gh_esp_put_string(&w, place->netns != NULL ? place->netns : "");
    if (p->xfrm.xfrm.channel != NULL && gh_wr_ok(&w))
        gh_channel_send(p->xfrm.xfrm.channel, GH_MESSAGE_XFRM_PLACE_GONE, body, w.len, -1);
}

void gh_parent_xfrm_link(struct gh_parent *p)
{
    int pair[2];

    struct gh_channel *esp = gh_parent_worker_channel(p, 0); /* the first one has to do with it */

    if (esp == NULL || p->xfrm.xfrm.channel == NULL)
        return;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) != 0) {
        gh_error("a socket between esp and xfrm: %s", strerror(errno));
        return;
    }
    gh_channel_send(p->xfrm.xfrm.channel, GH_MESSAGE_PLANE, NULL, 0, pair[0]);
    gh_channel_send(esp, GH_MESSAGE_PLANE, NULL, 0, pair[1]);
    close(pair[0]);
    close(pair[1]);
}

/* ---- Places --------------------------------------------------------------------------------- */

/* What an earlier instance, or this one until now, has in the kernel there. */
static void flush(const char *netns, bool policies)
{
    struct gh_xfrm x;
    int result = gh_xfrm_open(netns, &x);

    if (result == 0) {
        result = policies ? gh_xfrm_flush(&x) : gh_xfrm_flush_sas(&x);
        gh_xfrm_close(&x);
    }
    if (result != 0 && result != -EPROTONOSUPPORT)
        gh_warning("what the kernel's IPsec has of ours%s%s: %s", netns != NULL ? " in " : "",
                   netns != NULL ? netns : "", strerror(-result));
}

static bool is_open(const struct gh_xfrm_place *x)
{
    return x->sockets[GH_PLANE_ASK] >= 0;
}

static void report(struct gh_xfrm_place *x, const char *what, int result)
{
    if (result < 0 && x->error != result)
        gh_error("%s: %s", what, strerror(-result));
    if (result < 0)
        x->error = result;
}

static void open_place(struct gh_parent *p, struct gh_parent_place *place)
{
    struct gh_xfrm_place *x = &place->xfrm;
    struct gh_xfrm xfrm;
    int result = gh_xfrm_open(place->netns, &xfrm);

    if (result != 0) {
        report(x, "the kernel's IPsec", result);
        return;
    }
    x->error = 0;
    x->sockets[GH_PLANE_ASK] = xfrm.ask;
    x->sockets[GH_PLANE_HEARD] = xfrm.heard;
    result = gh_xfrm_stat_open(place->netns);
    x->sockets[GH_PLANE_STAT] = result >= 0 ? result : -1;
    tell_place(p, place);
}

/* IKE passes whatever policies say, and ESP of the kernel's SPIs is the kernel's alone. */
static void tend_sockets(struct gh_parent *p, struct gh_parent_place *place)
{
    struct gh_xfrm_place *x = &place->xfrm;

    for (size_t i = 0; i < GH_IKE_SOCKETS; i++) {
        int fd = place->sockets[i].fd;

        if (fd >= 0 && fd != x->bypassed[i] && !gh_xfrm_bypass_socket(fd))
            report(x, "IKE's sockets beside the kernel's policies", -errno);
        x->bypassed[i] = fd;
    }
    if (!x->filtered) { /* or it is counted as unknown-spi */
        x->filtered = true;
        gh_parent_filter_place(p, place);
    }
    for (int v6 = 0; v6 < 2; v6++) {
        int result;

        if (x->udp[v6] >= 0 || !gh_parent_esp_shares_all(p, place, v6))
            continue;
        result = gh_udp_open_kernel((unsigned)p->esp.slot_count, place->netns, place->vrf, v6,
                                    IKE2_PORT_NAT_T, p->ao.uid);
        if (result >= 0)
            x->udp[v6] = result;
        else
            report(x, "port 4500 for the kernel's ESP", result);
    }
}

void gh_parent_xfrm_init_place(struct gh_parent_place *place)
{
    struct gh_xfrm_place *x = &place->xfrm;

    *x = (struct gh_xfrm_place){.udp = {-1, -1}, .flushed = x->flushed};
    for (size_t i = 0; i < GH_PLANE_SOCKETS; i++)
        x->sockets[i] = -1;
    for (size_t i = 0; i < GH_IKE_SOCKETS; i++)
        x->bypassed[i] = -1;
}

static void close_sockets(struct gh_parent *p, struct gh_parent_place *place)
{
    struct gh_xfrm_place *x = &place->xfrm;

    tell_gone(p, place);
    for (size_t i = 0; i < GH_PLANE_SOCKETS; i++)
        if (x->sockets[i] >= 0)
            close(x->sockets[i]);
    for (int v6 = 0; v6 < 2; v6++)
        if (x->udp[v6] >= 0)
            close(x->udp[v6]);
}

void gh_parent_xfrm_close_place(struct gh_parent *p, struct gh_parent_place *place)
{
    bool open = is_open(&place->xfrm);

    if (open)
        close_sockets(p, place);
    if (open && !p->stopping) {
        flush(place->netns, true);
        gh_parent_xfrm_mss_remove(place->netns);
        place->xfrm.flushed = true;
    }
    gh_parent_xfrm_init_place(place);
}

void gh_parent_xfrm_tend_place(struct gh_parent *p, struct gh_parent_place *place)
{
    struct gh_xfrm_place *x = &place->xfrm;

    if (place->vrf != NULL)
        return;
    if (x->generation != p->generation) {
        x->wanted = is_wanted(p, place);
        if (x->wanted || !x->flushed)
            gh_parent_xfrm_mss_follow(p, place);
    }
    x->generation = p->generation;
    if (!x->wanted && is_open(x)) {
        gh_parent_xfrm_close_place(p, place);
    } else if (!x->wanted && !x->flushed) {
        flush(place->netns, true);
        x->flushed = true;
    }
    if (!x->wanted)
        return;
    x->flushed = false;
    if (!is_open(x))
        open_place(p, place);
    if (is_open(x))
        tend_sockets(p, place);
}

void gh_parent_xfrm_remove(const char *netns)
{
    gh_parent_xfrm_mss_remove(netns);
    flush(netns, true);
}

/* ---- The process ---------------------------------------------------------------------------- */

static void on_started(void *ctx)
{
    struct gh_parent *p = ctx;

    for (size_t i = 0; i < p->ike.place_count; i++)
        if (is_open(&p->ike.places[i]->xfrm))
            tell_place(p, p->ike.places[i]);
    gh_parent_xfrm_link(p);
}

static void on_ended(void *ctx, uint64_t wait)
{
    gh_warning("xfrm starts again %s; the kernel goes on", wait == 0 ? "at once" : "soon");
}

static void start_xfrm(struct gh_parent *p);

static void on_stopped(void *ctx)
{
    struct gh_parent *p = ctx;

    if (p->stopping)
        gh_parent_child_stopped(p);
    else if (p->xfrm.wanted)
        start_xfrm(p);
}

static bool on_message(void *ctx, struct gh_frame *frame, int fd)
{
    if (fd >= 0)
        close(fd);
    return frame->type == GH_MESSAGE_READY || frame->type == GH_MESSAGE_PONG;
}

static void start_xfrm(struct gh_parent *p)
{
    static const struct gh_child_ops ops = {
        .started = on_started, .ended = on_ended, .stopped = on_stopped, .message = on_message};

    gh_parent_start_child(p, &p->xfrm.xfrm, "xfrm", &ops);
}

void gh_parent_xfrm_apply(struct gh_parent *p)
{
    struct gh_child *child = &p->xfrm.xfrm;

    p->xfrm.wanted = is_wanted(p, NULL);
    if (!p->xfrm.wanted)
        (void)gh_child_stop(child);
    else if (!gh_child_is_there(child) && !gh_child_is_waiting(child))
        start_xfrm(p); /* else it comes by itself, and is told then */
}

void gh_parent_xfrm_stop(struct gh_parent *p)
{
    (void)gh_child_stop(&p->xfrm.xfrm);
    for (size_t i = 0; i < p->ike.place_count; i++)
        if (is_open(&p->ike.places[i]->xfrm))
            flush(p->ike.places[i]->netns, false);
}
