#include "daemon/xfrm.h"

#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>
#include <uv.h>

#include "base/log.h"
#include "base/secret.h"
#include "daemon/channel.h"
#include "daemon/child.h"
#include "daemon/esp_children.h"
#include "daemon/plane_messages.h"
#include "daemon/sandbox.h"
#include "daemon/xfrm_sas.h"
#include "platform/xfrm.h"
#include "platform/xfrm_stat.h"

enum {
    TICK_MS = 1000,
    PLACES_MAX = 1024,
    PRIORITY = 4096, /* of our first policy: before what other programs install */
    NEIGHBOUR_SOLICITATION = 135,
    NEIGHBOUR_ADVERTISEMENT = 136
};

/* Without ESN the kernel has so many packets, and stops; it is rekeyed well before. */
#define SOFT_PACKETS (UINT32_MAX - (UINT32_MAX >> 3))

/* A network namespace. */
struct place {
    char netns[GH_ESP_NETNS];
    int sockets[GH_PLANE_SOCKETS]; /* arrived and not taken yet, or -1 */
    bool open;                     /* xfrm and poll are */
    bool given;                    /* policies, since PLANE_BEGIN */
    struct gh_xfrm xfrm;
    int stat; /* -1: this kernel does not count */
    uv_poll_t *poll;
};

struct xfrm {
    uv_loop_t loop;
    uv_timer_t timer;
    struct gh_channel *parent, *esp; /* esp NULL: it is away */
    struct place *places[PLACES_MAX];
    size_t place_count;
    struct gh_kernel_sas sas;
    bool whole; /* all was said that there is to be */
    struct gh_plane_counts counts;
};

/* ---- What `esp` is told --------------------------------------------------------------------- */

static void tell(struct xfrm *x, enum gh_message type, const struct gh_wr *w)
{
    if (x->esp != NULL && gh_wr_ok(w))
        gh_channel_send(x->esp, type, w->base, w->len, -1);
}

static void tell_id(struct xfrm *x, enum gh_message type, uint64_t id)
{
    uint8_t body[8];
    struct gh_wr w = gh_wr_make(body, sizeof(body));

    gh_wr_u64(&w, id);
    tell(x, type, &w);
}

static void refuse(struct xfrm *x, uint64_t id, uint32_t number, const char *why)
{
    struct gh_plane_refused r = {.id = id, .number = number};
    uint8_t body[300];
    struct gh_wr w = gh_wr_make(body, sizeof(body));

    (void)snprintf(r.why, sizeof(r.why), "%s", why);
    gh_plane_put_refused(&w, &r);
    tell(x, GH_MESSAGE_PLANE_REFUSED, &w);
}

/* ---- What the kernel tells ------------------------------------------------------------------ */

struct hearing {
    struct xfrm *x;
    uint32_t place;
};

static void want(struct xfrm *x, const struct gh_xfrm_event *e)
{
    const struct gh_plane_wanted wanted = {.tie = e->tie.reqid, .flow = e->flow};
    uint8_t body[64];
    struct gh_wr w = gh_wr_make(body, sizeof(body));

    gh_plane_put_wanted(&w, &wanted);
    tell(x, GH_MESSAGE_PLANE_WANTED, &w);
}

static void moved(struct xfrm *x, const struct gh_kernel_sa *sa, const struct gh_xfrm_event *e)
{
    const struct gh_plane_moved m = {.id = sa->id, .from = e->from, .from_port = e->from_port};
    uint8_t body[32];
    struct gh_wr w = gh_wr_make(body, sizeof(body));

    gh_plane_put_moved(&w, &m);
    tell(x, GH_MESSAGE_PLANE_MOVED, &w);
}

static void on_event(void *ctx, const struct gh_xfrm_event *e)
{
    const struct hearing *h = ctx;
    struct gh_kernel_sa *sa = gh_kernel_sas_named(&h->x->sas, h->place, &e->id);

    if (e->kind == GH_XFRM_ACQUIRE)
        want(h->x, e);
    if (sa == NULL)
        return;
    switch (e->kind) {
    case GH_XFRM_SOFT:
        tell_id(h->x, GH_MESSAGE_PLANE_WORN, sa->id);
        break;
    case GH_XFRM_HARD:
        tell_id(h->x, GH_MESSAGE_PLANE_ENDED, sa->id);
        gh_kernel_sas_remove(&h->x->sas, sa);
        break;
    case GH_XFRM_MOVED:
        moved(h->x, sa, e);
        break;
    case GH_XFRM_ACQUIRE:
    case GH_XFRM_LOST: /* lifetimes are `esp`'s, too; who wants an SA asks again */
        break;
    }
}

static void on_heard(uv_poll_t *poll, int status, int events)
{
    struct hearing *h = poll->data;

    gh_xfrm_hear(&h->x->places[h->place]->xfrm, on_event, h);
}

struct counting {
    struct xfrm *x;
    uint32_t place;
};

static void count_sa(void *ctx, const struct gh_xfrm_sa_info *info)
{
    const struct counting *c = ctx;
    struct gh_kernel_sa *sa = gh_kernel_sas_named(&c->x->sas, c->place, &info->id);
    const uint64_t *results = info->counts.results;
    uint64_t sum =
        info->counts.packets + results[IPSEC_OLD] + results[IPSEC_REPLAY] + results[IPSEC_ICV];
    uint8_t body[80];
    struct gh_wr w = gh_wr_make(body, sizeof(body));

    if (sa == NULL || sum == sa->told)
        return;
    sa->told = sum;
    gh_plane_put_used(&w, &(struct gh_plane_used){
                              .id = sa->id,
                              .packets = info->counts.packets,
                              .octets = info->counts.octets,
                              .sequence = sa->way == IPSEC_IN ? info->received_seq : info->sent_seq,
                              .old = results[IPSEC_OLD],
                              .replay = results[IPSEC_REPLAY],
                              .icv = results[IPSEC_ICV],
                              .last_used = info->last_used,
                              .incoming = sa->way == IPSEC_IN});
    tell(c->x, GH_MESSAGE_PLANE_USED, &w);
}

static void count_drops(struct xfrm *x)
{
    struct gh_plane_counts all = {0};
    uint8_t body[sizeof(all)];
    struct gh_wr w = gh_wr_make(body, sizeof(body));

    for (size_t i = 0; i < x->place_count; i++) {
        struct gh_xfrm_stat stat;

        if (!x->places[i]->open || x->places[i]->stat < 0 ||
            !gh_xfrm_stat_again(x->places[i]->stat, &stat))
            continue;
        for (int way = IPSEC_OUT; way <= IPSEC_IN; way++)
            for (int k = 0; k < IPSEC_RESULT_COUNT; k++)
                all.counts[way][k] += stat.counts[way][k];
    }
    if (memcmp(&all, &x->counts, sizeof(all)) == 0)
        return;
    x->counts = all;
    gh_plane_put_counts(&w, &all);
    tell(x, GH_MESSAGE_PLANE_COUNTS, &w);
}

static void on_timer(uv_timer_t *timer)
{
    struct xfrm *x = timer->data;

    if (x->esp == NULL)
        return;
    for (size_t i = 0; i < x->place_count; i++)
        if (x->places[i]->open)
            (void)gh_xfrm_each_sa(&x->places[i]->xfrm, count_sa,
                                  &(struct counting){x, (uint32_t)i}); /* or in a second */
    count_drops(x);
}

/* ---- SAs ------------------------------------------------------------------------------------ */

static uint32_t find_place(const struct xfrm *x, const char *netns)
{
    for (size_t i = 0; i < x->place_count; i++)
        if (strcmp(x->places[i]->netns, netns) == 0)
            return (uint32_t)i;
    return UINT32_MAX;
}

/* Both as the kernel takes it; `selectors` and `params` are borrowed by *out. */
static bool plan(const struct gh_plane_sa *sa, struct ipsec_selector *selectors,
                 struct ipsec_sa_params *params, struct gh_xfrm_sa *out)
{
    if (!gh_esp_child_params(&sa->child, sa->way, selectors, params))
        return false;
    params->id = sa->id;
    if (sa->way == IPSEC_OUT && !sa->child.esn)
        params->lifetime.soft_packets = SOFT_PACKETS;
    *out = (struct gh_xfrm_sa){.params = params,
                               .tie = {.reqid = gh_xfrm_reqid(sa->tie)},
                               .hard_seconds = sa->child.seconds};
    return true;
}

static void know(struct xfrm *x, uint32_t place, const struct gh_plane_sa *sa,
                 const struct gh_xfrm_sa *kernel)
{
    const struct gh_kernel_sa known = {.id = sa->id,
                                       .place = place,
                                       .name = gh_xfrm_sa_id_of(kernel),
                                       .way = sa->way,
                                       .mode = sa->child.mode,
                                       .local = sa->child.local,
                                       .remote = sa->child.remote,
                                       .local_port = sa->child.local_port,
                                       .remote_port = sa->child.remote_port};

    if (gh_kernel_sas_add(&x->sas, &known) == NULL)
        refuse(x, sa->id, 0, "no memory");
}

static bool is_there(struct gh_xfrm *xfrm, const struct gh_xfrm_sa *sa, struct gh_xfrm_why *why)
{
    const struct gh_xfrm_sa_id name = gh_xfrm_sa_id_of(sa);
    struct gh_xfrm_sa_info info;

    return (gh_xfrm_get_sa(xfrm, &name, &info) && info.reqid == sa->tie.reqid) ||
           gh_xfrm_refuse(why, "it is not in the kernel any more");
}

static void take_over(struct xfrm *x, const struct gh_plane_sa *sa)
{
    struct ipsec_selector selectors[IPSEC_SELECTORS_MAX];
    struct gh_xfrm_why why = {.text = "it is malformed"};
    uint32_t place = find_place(x, sa->child.netns);
    struct gh_kernel_sa *old = gh_kernel_sas_find(&x->sas, sa->id);
    struct ipsec_sa_params params;
    struct gh_xfrm_sa kernel;
    bool good = plan(sa, selectors, &params, &kernel);

    if (old != NULL)
        gh_kernel_sas_remove(&x->sas, old);
    if (place == UINT32_MAX || !x->places[place]->open)
        good = gh_xfrm_refuse(&why, "the kernel's IPsec is not open there");
    else if (good && sa->there)
        good = is_there(&x->places[place]->xfrm, &kernel, &why);
    else if (good)
        good = gh_xfrm_add_sa(&x->places[place]->xfrm, &kernel, &why);
    if (good)
        know(x, place, sa, &kernel);
    else
        refuse(x, sa->id, 0, why.text);
}

/* What comes in goes to another address of ours: with what it has received so far, but without its
 * window. */
static bool move_in(struct gh_xfrm *xfrm, const struct gh_kernel_sa *old, struct gh_xfrm_sa *sa,
                    struct ipsec_sa_params *params, struct gh_xfrm_why *why)
{
    struct gh_xfrm_sa_info info;

    if (!gh_xfrm_get_sa(xfrm, &old->name, &info))
        return gh_xfrm_refuse(why, "it is not in the kernel any more");
    params->last_seq = info.received_seq;
    (void)gh_xfrm_remove_sa(xfrm, &old->name);
    return gh_xfrm_add_sa(xfrm, sa, why);
}

static bool move_one(struct gh_xfrm *xfrm, const struct gh_kernel_sa *old, struct gh_xfrm_sa *sa,
                     struct ipsec_sa_params *params, struct gh_xfrm_why *why)
{
    const struct gh_xfrm_move to = {.local = params->local,
                                    .remote = params->remote,
                                    .local_port = params->local_port,
                                    .remote_port = params->remote_port};
    bool same_local = gh_addr_equal(&old->local, &params->local);
    bool same_remote = gh_addr_equal(&old->remote, &params->remote);
    bool same_kind = (old->local_port == 0) == (params->local_port == 0);

    if (same_local && same_remote && old->local_port == params->local_port &&
        old->remote_port == params->remote_port)
        return true;
    if (same_kind && same_local && (same_remote || old->way == IPSEC_IN))
        return gh_xfrm_update_sa(xfrm, sa, why);
    if (old->mode == IPSEC_TRANSPORT)
        return gh_xfrm_refuse(why, "in transport mode its addresses are those of the packets");
    return old->way == IPSEC_IN ? move_in(xfrm, old, sa, params, why)
                                : gh_xfrm_move_sa(xfrm, &old->name, &to, why);
}

static void move(struct xfrm *x, const struct gh_plane_sa *sa)
{
    struct ipsec_selector selectors[IPSEC_SELECTORS_MAX];
    struct gh_xfrm_why why = {.text = "it is malformed"};
    struct gh_kernel_sa *old = gh_kernel_sas_find(&x->sas, sa->id);
    struct ipsec_sa_params params;
    struct gh_xfrm_sa kernel;
    uint32_t place;

    if (old == NULL)
        return;
    place = old->place;
    if (!x->places[place]->open || !plan(sa, selectors, &params, &kernel) ||
        !move_one(&x->places[place]->xfrm, old, &kernel, &params, &why)) {
        refuse(x, sa->id, 0, why.text);
        return;
    }
    gh_kernel_sas_remove(&x->sas, old);
    know(x, place, sa, &kernel);
}

static void remove_sa(struct xfrm *x, uint64_t id)
{
    struct gh_kernel_sa *sa = gh_kernel_sas_find(&x->sas, id);

    if (sa == NULL)
        return;
    if (x->places[sa->place]->open)
        (void)gh_xfrm_remove_sa(&x->places[sa->place]->xfrm, &sa->name); /* or it has expired */
    gh_kernel_sas_remove(&x->sas, sa);
}

/* ---- What is nobody's ----------------------------------------------------------------------- */

struct sweep {
    const struct xfrm *x;
    uint32_t place;
    struct gh_xfrm_sa_id *list;
    size_t count;
};

static void note_stray(void *ctx, const struct gh_xfrm_sa_info *info)
{
    struct sweep *s = ctx;
    struct gh_xfrm_sa_id *list;

    if (gh_kernel_sas_named(&s->x->sas, s->place, &info->id) != NULL)
        return;
    list = reallocarray(s->list, s->count + 1, sizeof(*list));
    if (list == NULL)
        return;
    s->list = list;
    list[s->count++] = info->id;
}

static void sweep(struct xfrm *x, uint32_t place)
{
    struct sweep s = {.x = x, .place = place};
    struct place *p = x->places[place];
    struct gh_xfrm_why why;

    if (!p->open || !x->whole)
        return;
    (void)gh_xfrm_each_sa(&p->xfrm, note_stray, &s); /* what is left expires */
    for (size_t i = 0; i < s.count; i++)
        (void)gh_xfrm_remove_sa(&p->xfrm, &s.list[i]);
    if (s.count > 0)
        gh_notice("%zu SAs of an earlier instance are gone from the kernel", s.count);
    free(s.list);
    if (!p->given && !gh_xfrm_set_policies(&p->xfrm, NULL, 0, &why))
        gh_warning("policies of an earlier instance: %s", why.text);
}

/* ---- Policies ------------------------------------------------------------------------------- */

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
    p->cores[i] = (struct ipsec_policy){.action = from->block ? IPSEC_DISCARD : IPSEC_PROTECT,
                                        .out = true,
                                        .in = true,
                                        .selectors = selectors,
                                        .selector_count = n};
    p->list[i] = (struct gh_xfrm_policy){.policy = &p->cores[i],
                                         .tie = {.reqid = gh_xfrm_reqid(from->tie)},
                                         .priority = PRIORITY + (uint32_t)i};
    if (from->block)
        return;
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
            refuse(x, 0, p->numbers[i], why.text);
    }
    p->count = good;
}

static bool set_policies(struct xfrm *x, struct gh_rd *body)
{
    char netns[GH_ESP_NETNS];
    struct gh_xfrm_why why;
    struct policies p = {.count = 0};
    uint32_t place;
    bool good;

    gh_esp_take_string(body, netns, sizeof(netns));
    good = !body->bad && policies_read(*body, &p);
    place = good ? find_place(x, netns) : UINT32_MAX;
    if (place != UINT32_MAX && x->places[place]->open) {
        struct gh_xfrm *xfrm = &x->places[place]->xfrm;

        x->places[place]->given = true;
        if (!gh_xfrm_set_policies(xfrm, p.list, p.count, &why)) {
            leave_out(x, xfrm, &p);
            if (!gh_xfrm_set_policies(xfrm, p.list, p.count, &why))
                gh_error("policies for the kernel: %s", why.text);
        }
    }
    policies_free(&p);
    return good;
}

/* ---- `esp` ---------------------------------------------------------------------------------- */

static bool take_sa(struct xfrm *x, struct gh_rd *body,
                    void (*fn)(struct xfrm *, const struct gh_plane_sa *))
{
    struct gh_plane_sa sa;

    if (!gh_plane_take_sa(body, &sa))
        return false;
    fn(x, &sa);
    return true;
}

static void begin(struct xfrm *x)
{
    gh_kernel_sas_clear(&x->sas);
    x->whole = false;
    x->counts = (struct gh_plane_counts){0};
    for (size_t i = 0; i < x->place_count; i++)
        x->places[i]->given = false;
}

static void end(struct xfrm *x)
{
    x->whole = true;
    for (size_t i = 0; i < x->place_count; i++)
        sweep(x, (uint32_t)i);
}

static bool on_esp_message(void *ctx, struct gh_frame *frame, int fd)
{
    struct xfrm *x = ctx;

    switch (frame->type) {
    case GH_MESSAGE_PLANE_BEGIN:
        begin(x);
        return true;
    case GH_MESSAGE_PLANE_END:
        end(x);
        return true;
    case GH_MESSAGE_PLANE_POLICIES:
        return set_policies(x, &frame->body);
    case GH_MESSAGE_PLANE_SA:
        return take_sa(x, &frame->body, take_over);
    case GH_MESSAGE_PLANE_MOVE:
        return take_sa(x, &frame->body, move);
    case GH_MESSAGE_PLANE_REMOVE:
        remove_sa(x, gh_rd_u64(&frame->body));
        return true;
    default:
        return false;
    }
}

static void on_esp_broken(void *ctx, const char *why)
{
    struct xfrm *x = ctx;

    gh_notice("esp: %s; the kernel goes on", why);
    gh_channel_close(x->esp);
    x->esp = NULL;
}

static bool open_esp(struct xfrm *x, int fd)
{
    static const struct gh_channel_ops ops = {.message = on_esp_message, .broken = on_esp_broken};

    gh_channel_close(x->esp);
    x->esp = gh_channel_new(&x->loop, fd, GH_TO_PLANE, &ops, x);
    return x->esp != NULL;
}

/* ---- Places --------------------------------------------------------------------------------- */

static void on_poll_closed(uv_handle_t *handle)
{
    free(handle->data);
    free(handle);
}

static void close_place(struct place *p)
{
    for (size_t i = 0; i < GH_PLANE_SOCKETS; i++) {
        if (p->sockets[i] >= 0)
            close(p->sockets[i]);
        p->sockets[i] = -1;
    }
    if (!p->open)
        return;
    uv_poll_stop(p->poll);
    uv_close((uv_handle_t *)p->poll, on_poll_closed);
    gh_xfrm_close(&p->xfrm);
    if (p->stat >= 0)
        close(p->stat);
    p->open = p->given = false;
}

static struct place *make_place(struct xfrm *x, const char *netns)
{
    uint32_t at = find_place(x, netns);
    struct place *p;

    if (at != UINT32_MAX)
        return x->places[at];
    p = x->place_count < PLACES_MAX ? calloc(1, sizeof(*p)) : NULL;
    if (p == NULL)
        return NULL;
    (void)snprintf(p->netns, sizeof(p->netns), "%s", netns);
    p->stat = -1;
    for (size_t i = 0; i < GH_PLANE_SOCKETS; i++)
        p->sockets[i] = -1;
    x->places[x->place_count++] = p;
    return p;
}

static bool open_place(struct xfrm *x, struct place *p)
{
    struct hearing *h = malloc(sizeof(*h));

    p->poll = calloc(1, sizeof(*p->poll));
    p->open = gh_xfrm_take(p->sockets[GH_PLANE_ASK], p->sockets[GH_PLANE_HEARD], &p->xfrm);
    p->stat = p->sockets[GH_PLANE_STAT];
    for (size_t i = 0; i < GH_PLANE_SOCKETS; i++)
        p->sockets[i] = -1;
    if (!p->open || h == NULL || p->poll == NULL) {
        gh_error("the kernel's IPsec does not answer%s%s", p->netns[0] != '\0' ? " in " : "",
                 p->netns);
        free(h);
        return false;
    }
    *h = (struct hearing){.x = x, .place = find_place(x, p->netns)};
    uv_poll_init(&x->loop, p->poll, p->xfrm.heard);
    p->poll->data = h;
    uv_poll_start(p->poll, UV_READABLE, on_heard);
    sweep(x, h->place);
    if (x->esp != NULL)
        gh_channel_send(x->esp, GH_MESSAGE_PLANE_PLACED, NULL, 0, -1);
    return true;
}

/* The last of a place's sockets is that for events. */
static bool take_socket(struct xfrm *x, struct gh_rd *body, int fd)
{
    char netns[GH_ESP_NETNS];
    struct place *p;
    uint8_t kind;

    gh_esp_take_string(body, netns, sizeof(netns));
    kind = gh_rd_u8(body);
    p = gh_rd_done(body) && kind < GH_PLANE_SOCKETS ? make_place(x, netns) : NULL;
    if (p == NULL) {
        close(fd);
        return false;
    }
    if (p->open)
        close_place(p);
    p->sockets[kind] = fd;
    return kind != GH_PLANE_HEARD || open_place(x, p);
}

static bool leave_place(struct xfrm *x, struct gh_rd *body)
{
    char netns[GH_ESP_NETNS];
    uint32_t at;

    gh_esp_take_string(body, netns, sizeof(netns));
    at = find_place(x, netns);
    if (at != UINT32_MAX)
        close_place(x->places[at]);
    return gh_rd_done(body);
}

/* ---- The parent ----------------------------------------------------------------------------- */

static bool on_message(void *ctx, struct gh_frame *frame, int fd)
{
    struct xfrm *x = ctx;

    switch (frame->type) {
    case GH_MESSAGE_XFRM_SOCKET:
        return take_socket(x, &frame->body, fd);
    case GH_MESSAGE_XFRM_PLACE_GONE:
        return leave_place(x, &frame->body);
    case GH_MESSAGE_PLANE:
        return open_esp(x, fd);
    case GH_MESSAGE_PING:
        return gh_channel_send(x->parent, GH_MESSAGE_PONG, NULL, 0, -1);
    default:
        if (fd >= 0)
            close(fd);
        return false;
    }
}

static void on_broken(void *ctx, const char *why)
{
    gh_notice("the parent: %s; ending", why);
    _exit(0);
}

/* ---- Life ----------------------------------------------------------------------------------- */

int gh_xfrm_main(uid_t uid, gid_t gid)
{
    static const struct gh_channel_ops ops = {.message = on_message, .broken = on_broken};
    static struct xfrm x;

    /* The parent says when to end, by closing the channel. */
    signal(SIGINT, SIG_IGN);
    signal(SIGTERM, SIG_IGN);
    signal(SIGHUP, SIG_IGN);
    signal(SIGPIPE, SIG_IGN);
    prctl(PR_SET_NAME, "gatehoused-xfrm");
    tzset();
    if (uv_loop_init(&x.loop) != 0 || uv_timer_init(&x.loop, &x.timer) != 0)
        return 1;
    x.timer.data = &x;
    if (!gh_sandbox_enter(GH_SANDBOX_XFRM, uid, gid))
        return 1;
    x.parent = gh_channel_new(&x.loop, GH_CHILD_CHANNEL_FD, GH_TO_XFRM, &ops, &x);
    if (x.parent == NULL || !gh_channel_send(x.parent, GH_MESSAGE_READY, NULL, 0, -1))
        return 1;
    uv_timer_start(&x.timer, on_timer, TICK_MS, TICK_MS);
    return uv_run(&x.loop, UV_RUN_DEFAULT);
}
