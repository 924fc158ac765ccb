/* The policies of a namespace, from `esp` to the kernel. */
#include <netinet/in.h>
#include <stdlib.h>

#include "base/log.h"
#include "daemon/esp_children.h"
#include "daemon/esp_messages.h"
#include "daemon/plane_messages.h"
#include "daemon/xfrm_priv.h"
#include "platform/xfrm.h"
#include "platform/xfrm_message.h"

enum {
    PRIORITY = 4096, /* of our first policy: before what other programs install */
    NEIGHBOUR_SOLICITATION = 135,
    NEIGHBOUR_ADVERTISEMENT = 136
};

/* Of one namespace. All arrays have `count` elements; selectors are of all. */
struct policies {
    size_t count;
    uint32_t *numbers;
    struct gh_xfrm_policy *list;
    struct ipsec_policy *cores;
    struct ipsec_selector *selectors;
};

static void policies_free(struct policies *p)
{
    free(p->numbers);
    free(p->list);
    free(p->cores);
    free(p->selectors);
}

static bool policies_alloc(struct policies *p, size_t count, size_t selectors)
{
    *p = (struct policies){.numbers = calloc(count + 2, sizeof(*p->numbers)),
                           .list = calloc(count + 2, sizeof(*p->list)),
                           .cores = calloc(count + 2, sizeof(*p->cores)),
                           .selectors =
                               calloc(selectors + IPSEC_SELECTORS_MAX + 1, sizeof(*p->selectors))};
    return p->numbers != NULL && p->list != NULL && p->cores != NULL && p->selectors != NULL;
}

/* Neighbour discovery of both addresses, which is between hosts of one link: else a peer on the
 * same link could not be found, once what is for it is to be protected. Others have no say in it:
 * it is not forwarded (RFC 4861 7.1). */
static void pass_neighbours(struct policies *p, struct ipsec_selector *selector)
{
    static const struct gh_prefix all = {.addr = {.len = 16}};
    size_t i = p->count++;

    *selector = ipsec_selector_between(&all, &all);
    selector->protocol = IPPROTO_ICMPV6;
    selector->local.start_port = selector->remote.start_port = NEIGHBOUR_SOLICITATION << 8;
    selector->local.end_port = selector->remote.end_port = NEIGHBOUR_ADVERTISEMENT << 8 | 0xff;
    p->cores[i] = (struct ipsec_policy){
        .action = IPSEC_PASS, .out = true, .in = true, .selectors = selector, .selector_count = 1};
    p->list[i] = (struct gh_xfrm_policy){.policy = &p->cores[i], .priority = PRIORITY - 1};
    p->numbers[i] = UINT32_MAX;
}

static void add_policy(struct policies *p, const struct gh_plane_policy *from,
                       struct ipsec_selector *selectors, size_t n)
{
    size_t i = p->count++;

    p->numbers[i] = from->number;
    p->cores[i] = (struct ipsec_policy){.action = from->action,
                                        .out = from->out,
                                        .in = from->in,
                                        .selectors = selectors,
                                        .selector_count = n};
    p->list[i] =
        (struct gh_xfrm_policy){.policy = &p->cores[i], .priority = PRIORITY + (uint32_t)i};
    if (from->action != IPSEC_PROTECT)
        return;
    p->list[i].tie.reqid = gh_xfrm_reqid(from->tie);
    p->list[i].template_count = 1;
    p->list[i].templates[0] =
        (struct gh_xfrm_template){.protocol = from->protocol, .mode = from->mode};
    if (from->mode == IPSEC_TUNNEL) {
        p->list[i].templates[0].local = from->local;
        p->list[i].templates[0].remote = from->remote;
    }
}

/* False: malformed, or no memory. */
static bool policies_read(struct gh_rd body, struct policies *out)
{
    struct gh_rd first = body;
    struct gh_plane_policy p;
    size_t count = gh_rd_u32(&first), selectors = 0, at = 0;

    *out = (struct policies){.count = 0};
    gh_rd_skip(&body, 4);
    for (size_t i = 0; i < count; i++) {
        if (!gh_plane_take_policy(&first, &p))
            return false;
        selectors += p.ts_local.count * p.ts_remote.count;
    }
    if (!gh_rd_done(&first) || !policies_alloc(out, count, selectors))
        return false;
    if (count > 0)
        pass_neighbours(out, &out->selectors[at++]);
    for (size_t i = 0; i < count; i++) {
        size_t n;

        gh_plane_take_policy(&body, &p);
        n = gh_esp_selectors(&p.ts_local, &p.ts_remote, out->selectors + at);
        if (n > 0)
            add_policy(out, &p, out->selectors + at, n);
        at += n;
    }
    return true;
}

/* Those that the kernel does not take are told of and left out. */
static void leave_out(struct xfrm *x, struct gh_xfrm *xfrm, struct policies *p)
{
    size_t good = 0;

    for (size_t i = 0; i < p->count; i++) {
        struct gh_xfrm_why why;

        if (gh_xfrm_add_policy(xfrm, &p->list[i], &why))
            p->list[good++] = p->list[i];
        else
            xfrm_refuse(x, 0, p->numbers[i], why.text);
    }
    p->count = good;
}

bool xfrm_set_policies(struct xfrm *x, struct gh_rd *body)
{
    char netns[GH_ESP_NETNS];
    struct gh_xfrm_why why;
    struct policies p = {.count = 0};
    uint32_t place;
    bool good;

    gh_esp_take_string(body, netns, sizeof(netns));
    good = !body->bad && policies_read(*body, &p);
    place = good ? xfrm_find_place(x, netns) : UINT32_MAX;
    if (place != UINT32_MAX && x->places[place]->open) {
        struct gh_xfrm *xfrm = &x->places[place]->xfrm;

        x->places[place]->given = true;
        if (!gh_xfrm_set_policies(xfrm, p.list, p.count, &why)) {
            leave_out(x, xfrm, &p);
            if (!gh_xfrm_set_policies(xfrm, p.list, p.count, &why))
                gh_error("policies for the kernel: %s", why.text);
        }
        x->places[place]->policies = 0;
        (void)gh_xfrm_each_policy(xfrm, xfrm_count_policy, &x->places[place]->policies);
    }
    policies_free(&p);
    return good;
}
