#include "ike_world.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ike/codes.h"
#include "ike_check.h"
#include "pki/auth.h"

/* A datagram under way, or an answer of a keeper. */
struct world_event {
    uint64_t at, seq;
    struct ike_host *host; /* who is answered; NULL: a datagram */
    unsigned life;         /* of that host */
    struct ike2_endpoint from, to;
    bool marker;
    size_t len;
    uint8_t data[];
};

/* ---- Chance --------------------------------------------------------------------------------- */

static uint64_t draw(struct ike_world *w)
{
    uint64_t z = w->seed += 0x9e3779b97f4a7c15u;

    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

uint32_t ike_world_random(struct ike_world *w, uint32_t bound)
{
    return bound == 0 ? 0 : (uint32_t)(draw(w) % bound);
}

/* ---- Events to come -------------------------------------------------------------------------- */

static struct world_event *new_event(struct ike_world *w, const void *data, size_t len)
{
    struct world_event *e = calloc(1, sizeof(*e) + len);

    if (e == NULL)
        abort();
    e->len = len;
    memcpy(e->data, data, len);
    return e;
}

static bool is_before(const struct world_event *a, const struct world_event *b)
{
    return a->at != b->at ? a->at < b->at : a->seq < b->seq;
}

static void put_event(struct ike_world *w, struct world_event *e, uint64_t at)
{
    size_t i = w->event_count++;

    e->at = at;
    e->seq = w->event_seq++;
    if (w->event_count > w->event_room) {
        w->event_room = 2 * w->event_room + 64;
        w->events = realloc(w->events, w->event_room * sizeof(struct world_event *));
        if (w->events == NULL)
            abort();
    }
    for (; i > 0 && is_before(e, w->events[(i - 1) / 2]); i = (i - 1) / 2)
        w->events[i] = w->events[(i - 1) / 2];
    w->events[i] = e;
}

static struct world_event *take_event(struct ike_world *w)
{
    struct world_event *first = w->events[0], *last = w->events[--w->event_count];
    size_t i = 0, child;

    for (; (child = 2 * i + 1) < w->event_count; i = child) {
        if (child + 1 < w->event_count && is_before(w->events[child + 1], w->events[child]))
            child++;
        if (!is_before(w->events[child], last))
            break;
        w->events[i] = w->events[child];
    }
    w->events[i] = last;
    return first;
}

/* ---- The network ----------------------------------------------------------------------------- */

static bool is_second(const struct ike_host *h, const struct gh_addr *a)
{
    return h->second.len > 0 && gh_addr_equal(&h->second, a);
}

static bool is_at(const struct ike_host *h, const struct ike2_endpoint *e)
{
    return gh_addr_equal(h->behind_nat ? &h->nat_addr : &h->addr, &e->addr) ||
           (!h->behind_nat && is_second(h, &e->addr));
}

struct ike_host *ike_world_host_at(struct ike_world *w, const struct ike2_endpoint *e)
{
    size_t guess = (size_t)(e->addr.octets[2] - 2) * 250 + e->addr.octets[3] - 1;

    if (guess < w->host_count && is_at(&w->hosts[guess], e))
        return &w->hosts[guess];
    for (size_t i = 0; i < w->host_count; i++)
        if (is_at(&w->hosts[i], e)) /* behind a NAT, or it moved */
            return &w->hosts[i];
    return NULL;
}

/* The port at which it arrives; 0: nobody is there, or the NAT does not have it open at present. */
static uint16_t port_of(const struct ike_host *h, const struct world_event *e)
{
    uint16_t port = e->to.port;

    if (h->behind_nat && !h->nat_is_static)
        port = port == h->nat_port ? IKE2_PORT : port == h->nat_port + 1 ? IKE2_PORT_NAT_T : 0;
    return port == (e->marker ? IKE2_PORT_NAT_T : IKE2_PORT) ? port : 0;
}

void ike_world_inject(struct ike_world *w, const struct ike2_endpoint *from,
                      const struct ike2_endpoint *to, bool marker, struct gh_view octets)
{
    struct world_event *e = new_event(w, octets.p, octets.len);

    e->from = *from;
    e->to = *to;
    e->marker = marker;
    put_event(w, e,
              w->now.mono_ms + w->delay_least +
                  ike_world_random(w, w->delay_most - w->delay_least + 1));
}

static void tap(struct ike_world *w, const struct ike2_endpoint *from,
                const struct ike2_datagram *d)
{
    struct world_event **at = &w->tap[w->tapped++ % WORLD_TAP];

    free(*at);
    *at = new_event(w, d->data, d->len);
    (*at)->from = *from;
    (*at)->to = d->remote;
    (*at)->marker = d->marker;
}

/* ---- Somebody on the path who forges ----------------------------------------------------------
 */

static size_t forge_answer(struct ike_world *w, const struct world_event *seen, uint8_t *out,
                           size_t cap)
{
    static const uint16_t lies[] = {IKE_N_COOKIE, IKE_N_INVALID_KE_PAYLOAD,
                                    IKE_N_NO_PROPOSAL_CHOSEN, IKE_N_INVALID_SYNTAX};
    struct ike_header h;
    struct gh_view octets;
    struct ike_out o;
    uint8_t data[16];

    if (ike_header_parse(gh_view_of(seen->data, seen->len), &h) != IKE_OK ||
        h.exchange != IKE_X_SA_INIT)
        return 0;
    h.flags = IKE_FLAG_RESPONSE;
    for (size_t i = 0; i < sizeof(data); i++)
        data[i] = (uint8_t)draw(w);
    o = ike_out_message(out, cap, &h);
    ike_notify_emit_data(&o, lies[ike_world_random(w, 4)],
                         gh_view_of(data, ike_world_random(w, 2) ? 2 : sizeof(data)));
    return ike_out_done(&o, &octets) ? octets.len : 0;
}

/* One datagram made of what was heard: as it was, from elsewhere, changed, cut, or a lie. */
static void forge(struct ike_world *w)
{
    static uint8_t octets[IKE2_DATAGRAM_MAX + 64];
    size_t heard = w->tapped < WORLD_TAP ? w->tapped : WORLD_TAP;
    const struct world_event *seen = w->tap[ike_world_random(w, (uint32_t)heard)];
    struct ike2_endpoint from = seen->from, to = seen->to;
    size_t len = seen->len;

    memcpy(octets, seen->data, len);
    switch (ike_world_random(w, 8)) {
    case 0:
        break;
    case 1:
        from.port = (uint16_t)draw(w);
        break;
    case 2:
        from.addr.octets[0] = 198;
        break;
    case 3:
        for (unsigned n = 1 + ike_world_random(w, 8); n > 0; n--)
            octets[ike_world_random(w, (uint32_t)len)] ^= (uint8_t)(1u << ike_world_random(w, 8));
        break;
    case 4:
        len = ike_world_random(w, (uint32_t)len);
        break;
    case 5: /* SPIs, exchange, flags, Message ID */
        octets[ike_world_random(w, IKE_HEADER_LEN < len ? IKE_HEADER_LEN : (uint32_t)len)] =
            (uint8_t)draw(w);
        break;
    case 6: /* reflected */
        from = seen->to;
        to = seen->from;
        break;
    default:
        len = forge_answer(w, seen, octets, sizeof(octets));
        from = seen->to;
        to = seen->from;
        break;
    }
    if (len == 0)
        return;
    w->injected++;
    ike_world_inject(w, &from, &to, seen->marker, gh_view_of(octets, len));
}

/* ---- The core's side ------------------------------------------------------------------------ */

static void on_random(void *ctx, void *out, size_t len)
{
    struct ike_host *h = ctx;
    uint8_t *p = out;

    for (size_t i = 0; i < len; i++)
        p[i] = (uint8_t)draw(h->world);
}

static void on_send(void *ctx, const struct ike2_datagram *sent)
{
    struct ike_host *h = ctx;
    struct ike_world *w = h->world;
    struct ike2_datagram filtered = *sent, *d = &filtered;
    struct ike2_endpoint from;
    struct gh_view octets;
    uint8_t changed[WORLD_DATAGRAM];

    if (h->dead)
        return;
    if (d->len == 1 && d->data[0] == 0xff && !d->marker) {
        h->keepalives++;
        return;
    }
    /* Nothing leaves from an address that the host does not have. */
    if (!gh_addr_equal(&d->local.addr, &h->addr) && !is_second(h, &d->local.addr))
        return;
    if (w->filter != NULL && !w->filter(w->filter_ctx, h, d)) {
        w->lost++;
        return;
    }
    w->carried++;
    from = d->local;
    octets = gh_view_of(d->data, d->len);
    if (h->behind_nat) {
        from.addr = h->nat_addr;
        from.port = h->nat_is_static ? d->local.port
                                     : (uint16_t)(h->nat_port + (d->local.port == IKE2_PORT_NAT_T));
    }
    h->said = *d;
    h->said.data = NULL;
    h->said_count++;
    memcpy(h->said_octets, d->data,
           d->len < sizeof(h->said_octets) ? d->len : sizeof(h->said_octets));
    if (w->attack > 0) {
        tap(w, &from, d);
        if (ike_world_random(w, 1000) < w->attack)
            forge(w);
    }
    if (w->datagram_max != 0 && d->len + 28 + (d->marker ? 4 : 0) > w->datagram_max) {
        w->too_long++;
        return;
    }
    if (ike_world_random(w, 1000) < w->loss) {
        w->lost++;
        return;
    }
    if (w->meddle != NULL && w->meddle(w, h, d))
        return;
    if (w->tamper != NULL && d->len < sizeof(changed)) {
        memcpy(changed, d->data, d->len);
        octets = gh_view_of(changed, w->tamper(w, h, changed, d->len));
    }
    ike_world_inject(w, &from, &d->remote, d->marker, octets);
    if (ike_world_random(w, 1000) < w->duplicated)
        ike_world_inject(w, &from, &d->remote, d->marker, octets);
}

static bool on_ask(void *ctx, const struct gh_keeper_request *r)
{
    static uint8_t octets[GH_KEEPER_REQUEST_MAX];
    struct ike_host *h = ctx;
    struct gh_wr w = gh_wr_make(octets, sizeof(octets));
    struct world_event *e;
    uint8_t *data;
    size_t len;

    if (!gh_keeper_request_put(&w, r))
        abort();
    data = gh_keeper_store_answer(h->keeper, gh_view_of(octets, w.len), &len);
    if (data == NULL)
        abort();
    h->asked[r->kind]++;
    e = new_event(h->world, data, len);
    free(data);
    e->host = h;
    e->life = h->lives;
    put_event(h->world, e, h->world->now.mono_ms + ike_world_random(h->world, 4));
    return true;
}

static bool on_install(void *ctx, const struct ike2_child_view *v)
{
    struct ike_host *h = ctx;
    size_t i = 0;
    struct world_child *child;

    while (i < h->child_room && h->child[i].used)
        i++;
    if (h->refuses || v->key_in.len > WORLD_KEY || v->key_out.len > WORLD_KEY || v->key_in.len == 0)
        return false;
    if (h->installs != NULL && !h->installs(h, v))
        return false;
    if (i == h->child_room) {
        size_t room = 2 * h->child_room + 4;

        h->child = realloc(h->child, room * sizeof(*h->child));
        if (h->child == NULL)
            abort();
        memset(h->child + i, 0, (room - i) * sizeof(*h->child));
        h->child_room = room;
    }
    child = &h->child[i];
    *child = (struct world_child){.used = true,
                                  .fragments_also = v->fragments_also,
                                  .id = v->id,
                                  .replaces = v->replaces,
                                  .sa = v->sa,
                                  .key_in_len = v->key_in.len,
                                  .key_out_len = v->key_out.len,
                                  .local = *v->ts_local,
                                  .remote = *v->ts_remote,
                                  .seconds = v->lifetime.seconds,
                                  .sa_seconds = v->policy->lifetime.seconds,
                                  .mode = v->mode,
                                  .tcp_ao = v->tcp_ao,
                                  .peer = v->remote,
                                  .since = h->world->now.mono_ms + h->mono_ahead};
    snprintf(child->policy, sizeof(child->policy), "%s", v->policy->name);
    snprintf(child->wanted, sizeof(child->wanted), "%s", v->child->name);
    memcpy(child->spi_in, v->spi_in.p, v->spi_in.len);
    memcpy(child->spi_out, v->spi_out.p, v->spi_out.len);
    memcpy(child->key_in, v->key_in.p, v->key_in.len);
    memcpy(child->key_out, v->key_out.p, v->key_out.len);
    for (size_t k = 0; k < h->child_room; k++) {
        if (k == i || !h->child[k].used || strcmp(h->child[k].policy, child->policy) != 0 ||
            strcmp(h->child[k].wanted, child->wanted) != 0)
            continue;
        h->child[k].accompanied = child->accompanied = true;
    }
    h->installed++;
    h->child_count++;
    return true;
}

/* KeyIDs are few: none that is in use. */
static bool on_spi(void *ctx, const struct ike2_spi_wish *w, uint8_t *spi, size_t len)
{
    struct ike_host *h = ctx;
    bool taken;

    if (h->spi != NULL)
        return h->spi(h, w->child, spi, len);

    do {
        on_random(ctx, spi, len);
        taken = false;
        for (size_t i = 0; i < h->child_room; i++)
            taken = taken || (h->child[i].used && memcmp(h->child[i].spi_in, spi, len) == 0);
    } while (taken || (len == 4 && spi[0] == 0));
    return true;
}

static void on_remove(void *ctx, uint32_t id, enum ike2_removal why)
{
    struct ike_host *h = ctx;

    for (size_t i = 0; i < h->child_room; i++) {
        if (h->child[i].used && h->child[i].id == id) {
            h->child[i].used = false;
            if (h->removes != NULL)
                h->removes(h, id, why);
            h->removed++;
            h->child_count--;
            if (h->world->after != NULL)
                ike_check_removal(h, &h->child[i], why);
            return;
        }
    }
    abort(); /* removed what was never there */
}

static void on_update(void *ctx, const struct ike2_child_view *v)
{
    struct ike_host *h = ctx;

    h->updated++;
    h->child_local = v->local;
    h->child_remote = v->remote;
    h->child_udp = v->udp_encapsulation;
}

static bool begins(const char *text, const char *with)
{
    return strncmp(text, with, strlen(with)) == 0;
}

/* What loses goes although by then nothing may be left that won. */
static void note_loser(struct ike_host *h, uint32_t id)
{
    for (size_t i = 0; i < h->child_room; i++)
        if (h->child[i].used && h->child[i].id == id)
            h->child[i].accompanied = true;
}

static void on_event(void *ctx, const struct ike2_event *e)
{
    struct ike_host *h = ctx;

    h->events[e->kind]++;
    snprintf(h->last[e->kind], sizeof(h->last[e->kind]), "%s", e->text);
    if (h->hears != NULL)
        h->hears(h, e);
    if (begins(e->text, "the peer answers no more"))
        h->causes |= WORLD_PEER_DEAD;
    if (begins(e->text, "the peer says that it begins anew"))
        h->causes |= WORLD_PEER_ANEW;
    if (begins(e->text, "both ends rekeyed: the peer's stays"))
        note_loser(h, e->child);
    if (h->world->verbose)
        printf("%8llu host %zu %s %s %llu/%u: %s\n", (unsigned long long)h->world->now.mono_ms,
               (size_t)(h - h->world->hosts), ike2_event_name(e->kind), e->policy,
               (unsigned long long)e->sa, e->child, e->text);
}

static bool on_reads(void *ctx, enum ike2_event_kind kind)
{
    const struct ike_host *h = ctx;

    return !h->unread;
}

static void on_keys(void *ctx, const char *line)
{
    struct ike_host *h = ctx;

    snprintf(h->key_line, sizeof(h->key_line), "%s", line);
}

/* ---- Time ----------------------------------------------------------------------------------- */

struct gh_now ike_world_now(const struct ike_host *h)
{
    return (struct gh_now){.wall = h->world->now.wall + h->wall_ahead,
                           .mono_ms = h->world->now.mono_ms + h->mono_ahead};
}

/* ---- Paths ---------------------------------------------------------------------------------- */

static enum ike2_way on_source(void *ctx, uint16_t zone, const struct gh_addr *remote,
                               struct gh_addr *out)
{
    struct ike_host *h = ctx;

    *out = h->addr;
    return h->way;
}

static const struct gh_addr *on_addresses(void *ctx, uint16_t zone, size_t *count, size_t *fit)
{
    struct ike_host *h = ctx;

    h->list[0] = h->addr;
    h->list[1] = h->second;
    *count = *fit = h->second.len > 0 ? 2 : 1;
    return h->list;
}

/* ---- Made ----------------------------------------------------------------------------------- */

static void start_core(struct ike_host *h)
{
    const struct ike2_ops ops = {.ctx = h,
                                 .random = on_random,
                                 .send = on_send,
                                 .ask = on_ask,
                                 .child_install = on_install,
                                 .child_spi = on_spi,
                                 .child_update = on_update,
                                 .child_remove = on_remove,
                                 .event = on_event,
                                 .source = h->knows_paths ? on_source : NULL,
                                 .addresses = h->knows_paths ? on_addresses : NULL,
                                 .reads = on_reads,
                                 .key_log = on_keys};

    h->lives++;
    h->core = ike2_new(&ops, &h->settings, ike_world_now(h));
    if (h->core == NULL)
        abort();
}

struct ike_world *ike_world_new(uint64_t seed, size_t hosts)
{
    static const char psk[] = "a pre-shared key of the simulation";
    struct ike_world *w = calloc(1, sizeof(*w));

    if (w == NULL || (w->hosts = calloc(hosts, sizeof(*w->hosts))) == NULL)
        abort();
    w->seed = seed;
    w->now = (struct gh_now){.wall = 1800000000, .mono_ms = 1000};
    w->host_count = hosts;
    w->delay_least = 1;
    w->delay_most = 5;
    for (size_t i = 0; i < hosts; i++) {
        struct ike_host *h = &w->hosts[i];
        const uint8_t octets[4] = {192, 0, (uint8_t)(2 + i / 250), (uint8_t)(1 + i % 250)};
        struct gh_secret secret = {.data = NULL};

        h->world = w;
        h->addr = gh_addr_from(octets, 4);
        h->keeper = gh_keeper_store_new();
        h->settings = ike2_default_settings();
        if (!gh_secret_set(&secret, (const uint8_t *)psk, sizeof(psk) - 1) ||
            !gh_keeper_store_add_secret(h->keeper, GH_SECRET_PSK, "psk", &secret, NULL))
            abort();
        start_core(h);
    }
    return w;
}

void ike_world_free(struct ike_world *w)
{
    for (size_t i = 0; i < w->host_count; i++) {
        struct ike_host *h = &w->hosts[i];

        ike2_free(h->core);
        gh_keeper_store_free(h->keeper);
        for (size_t j = 0; j < h->policy_count; j++)
            ike2_policy_free(h->policies[j]);
        free(h->policies);
        free(h->child);
    }
    for (size_t i = 0; i < w->event_count; i++)
        free(w->events[i]);
    for (size_t i = 0; i < WORLD_TAP; i++)
        free(w->tap[i]);
    free(w->events);
    free(w->hosts);
    free(w);
}

static struct ike_ts_list net_of(size_t i, size_t part, uint8_t bits)
{
    const uint8_t octets[4] = {10, (uint8_t)(i >> 8), (uint8_t)i, (uint8_t)(part * 16)};
    const struct gh_prefix p = {.addr = gh_addr_from(octets, 4), .bits = bits};
    struct ike_ts_list list = {.count = 1};

    list.ts[0] = ike_ts_from_prefix(&p);
    return list;
}

struct ike2_child_policy *ike_world_child(struct ike2_policy *p, size_t i, size_t j, size_t k)
{
    struct ike2_child_policy *child;
    struct ike_sa sa;

    p->children = realloc(p->children, (p->child_count + 1) * sizeof(*child));
    if (p->children == NULL)
        abort();
    child = &p->children[p->child_count++];
    memset(child, 0, sizeof(*child));
    snprintf(child->name, sizeof(child->name), k == 0 ? "net" : "net%zu", k);
    ike2_default_proposals(IKE_PROTO_ESP, &sa);
    if (!ike_proposals_set(&child->proposals, &sa))
        abort();
    child->local = net_of(i, k, k == 0 ? 24 : 28);
    child->remote = net_of(j, k, k == 0 ? 24 : 28);
    child->lifetime.seconds = 3600;
    return child;
}

void ike_world_add_transform(struct ike_proposals *proposals, uint8_t type, uint16_t id)
{
    struct ike_sa sa;

    ike_proposals_get(proposals, &sa);
    if (!ike_proposal_add(&sa.proposal[0], type, id, 0) || !ike_proposals_set(proposals, &sa))
        abort();
}

struct ike2_policy *ike_world_policy(struct ike_world *w, size_t i, size_t j)
{
    struct ike_host *h = &w->hosts[i];
    char name[32];
    struct ike2_policy *p;
    struct ike2_policy **more;

    snprintf(name, sizeof(name), "to-%zu", j);
    p = ike2_policy_new(name);
    more = realloc(h->policies, (h->policy_count + 1) * sizeof(*more));
    if (p == NULL || more == NULL)
        abort();
    h->policies = more;
    h->policies[h->policy_count++] = p;
    p->index = (unsigned)h->policy_count;
    p->local = h->addr;
    p->gateway = w->hosts[j].addr;
    p->remote = (struct gh_prefix){.addr = w->hosts[j].addr, .bits = 32};
    strcpy(p->psk, "psk");
    ike_world_child(p, i, j, 0);
    return p;
}

void ike_world_configure(struct ike_world *w, size_t i)
{
    struct ike_host *h = &w->hosts[i];

    if (!ike2_set_policies(h->core, ike_world_now(h), h->policies, h->policy_count))
        abort();
}

void ike_world_restart(struct ike_world *w, size_t i)
{
    struct ike_host *h = &w->hosts[i];

    ike2_free(h->core);
    if (h->child != NULL)
        memset(h->child, 0, h->child_room * sizeof(*h->child));
    h->child_count = 0;
    start_core(h);
    ike_world_configure(w, i);
}

/* ---- Time passes ----------------------------------------------------------------------------- */

static void look_at_deadline(struct ike_host *h)
{
    uint64_t at = ike2_next_deadline(h->core);

    h->deadline = h->dead || at == UINT64_MAX ? UINT64_MAX
                  : at > h->mono_ahead        ? at - h->mono_ahead
                                              : 0;
}

void ike_world_push(struct ike_world *w, size_t to, const struct ike2_datagram *d)
{
    uint8_t octets[2048];
    struct ike2_datagram copy = *d;

    if (d->len > sizeof(octets))
        abort();
    memcpy(octets, d->data, d->len);
    copy.data = octets;
    ike2_input(w->hosts[to].core, ike_world_now(&w->hosts[to]), &copy);
    look_at_deadline(&w->hosts[to]);
}

static struct ike_host *deliver(struct ike_world *w, struct world_event *e)
{
    struct ike_host *h = ike_world_host_at(w, &e->to);
    struct ike2_datagram d = {
        .remote = e->from, .marker = e->marker, .data = e->data, .len = e->len};
    struct ike_check_awaited awaited;

    if (h == NULL || h->dead || port_of(h, e) == 0)
        return NULL;
    d.local = (struct ike2_endpoint){.addr = h->addr, .port = port_of(h, e)};
    if (is_second(h, &e->to.addr))
        d.local.addr = h->second;
    awaited = ike_check_awaited(h->core, gh_view_of(e->data, e->len));
    ike2_input(h->core, ike_world_now(h), &d);
    w->exchanges += ike_check_answered(h->core, &awaited);
    return h;
}

static struct ike_host *answer(struct world_event *e)
{
    struct gh_keeper_answer parsed;

    if (e->life != e->host->lives)
        return NULL;
    if (!gh_keeper_answer_parse(gh_view_of(e->data, e->len), &parsed))
        abort();
    ike2_complete(e->host->core, ike_world_now(e->host), &parsed);
    return e->host;
}

static struct ike_host *first_due(struct ike_world *w)
{
    struct ike_host *due = &w->hosts[0];

    for (size_t i = 1; i < w->host_count; i++)
        if (w->hosts[i].deadline < due->deadline)
            due = &w->hosts[i];
    return due;
}

static struct ike_host *step(struct ike_world *w, struct ike_host *due)
{
    struct world_event *e;
    struct ike_host *h;

    if (w->event_count == 0 || w->events[0]->at > w->now.mono_ms) {
        ike2_tick(due->core, ike_world_now(due));
        return due;
    }
    e = take_event(w);
    h = e->host != NULL ? answer(e) : deliver(w, e);
    free(e);
    return h;
}

void ike_world_run(struct ike_world *w, uint64_t ms)
{
    uint64_t end = w->now.mono_ms + ms, began = w->now.mono_ms;
    int64_t wall = w->now.wall;

    for (size_t i = 0; i < w->host_count; i++) /* the caller may have given commands */
        look_at_deadline(&w->hosts[i]);
    for (;;) {
        struct ike_host *due = first_due(w), *h;
        uint64_t next = due->deadline;

        if (w->event_count > 0 && w->events[0]->at <= next)
            next = w->events[0]->at;
        if (next >= end)
            break;
        if (next > w->now.mono_ms)
            w->now.mono_ms = next;
        w->now.wall = wall + (int64_t)((w->now.mono_ms - began) / 1000);
        h = step(w, due);
        if (h == NULL)
            continue;
        look_at_deadline(h);
        w->steps++;
        h->steps++;
        if (w->after != NULL && w->wrong[0] == '\0')
            w->after(w, h);
        h->causes = 0;
    }
    w->now.mono_ms = end;
    w->now.wall = wall + (int64_t)(ms / 1000);
}

void ike_world_hand(struct ike_world *w, const struct ike_host *from, struct ike_host *to,
                    const uint8_t *octets, size_t len)
{
    struct ike2_datagram d = {.local = {to->addr, IKE2_PORT},
                              .remote = {from->addr, IKE2_PORT},
                              .data = malloc(len),
                              .len = len};

    if (d.data == NULL)
        abort();
    memcpy(d.data, octets, len);
    ike2_input(to->core, ike_world_now(to), &d);
    free(d.data);
}

/* ---- Looking --------------------------------------------------------------------------------- */

void ike_world_broken(struct ike_world *w, const struct ike_host *h, const char *format, ...)
{
    int used;
    va_list args;

    if (w->wrong[0] != '\0')
        return;
    used = snprintf(w->wrong, sizeof(w->wrong),
                    "at %llu ms, host %zu: ", (unsigned long long)w->now.mono_ms,
                    (size_t)(h - w->hosts));
    va_start(args, format);
    vsnprintf(w->wrong + used, sizeof(w->wrong) - (size_t)used, format, args);
    va_end(args);
    if (w->verbose)
        printf("BROKEN %s\n", w->wrong);
}

struct sa_search {
    size_t count;
    struct ike2_sa_view *one;
};

static void note_sa(void *ctx, const struct ike2_sa_view *v)
{
    struct sa_search *s = ctx;

    if (v->state != IKE2_STATE_ESTABLISHED)
        return;
    s->count++;
    if (s->one != NULL)
        *s->one = *v;
}

size_t ike_world_sas(const struct ike_host *h, struct ike2_sa_view *one)
{
    struct sa_search s = {.one = one};

    ike2_each_sa(h->core, note_sa, &s);
    return s.count;
}

size_t ike_world_children(const struct ike_host *h)
{
    return h->child_count;
}

const struct world_child *ike_world_match(const struct ike_host *h, const struct world_child *c)
{
    for (size_t i = 0; i < h->child_room; i++)
        if (h->child[i].used && memcmp(h->child[i].spi_in, c->spi_out, 4) == 0 &&
            memcmp(h->child[i].spi_out, c->spi_in, 4) == 0)
            return &h->child[i];
    return NULL;
}

static bool same_selectors(const struct ike_ts_list *a, const struct ike_ts_list *b)
{
    return a->count == b->count && memcmp(a->ts, b->ts, a->count * sizeof(a->ts[0])) == 0;
}

const char *ike_world_mirrors(const struct world_child *x, const struct world_child *y)
{
    if (x->key_in_len != y->key_out_len || x->key_out_len != y->key_in_len ||
        memcmp(x->key_in, y->key_out, x->key_in_len) != 0 ||
        memcmp(x->key_out, y->key_in, x->key_out_len) != 0)
        return "keys that differ";
    if (x->mode != IKE2_TCP_AO && memcmp(x->key_in, x->key_out, x->key_in_len) == 0)
        return "one key for both directions";
    if (!same_selectors(&x->local, &y->remote) || !same_selectors(&x->remote, &y->local))
        return "selectors that differ";
    return x->mode != y->mode ? "modes that differ" : NULL;
}

static const char *agree_one_way(const struct ike_host *a, const struct ike_host *b)
{
    for (size_t i = 0; i < a->child_room; i++) {
        const struct world_child *x = &a->child[i], *y;
        const char *wrong;

        if (!x->used)
            continue;
        y = ike_world_match(b, x);
        wrong = y != NULL ? ike_world_mirrors(x, y) : "a Child SA that the other does not have";
        if (wrong != NULL)
            return wrong;
    }
    return NULL;
}

const char *ike_world_agree(const struct ike_host *a, const struct ike_host *b)
{
    const char *wrong = agree_one_way(a, b);

    return wrong != NULL ? wrong : agree_one_way(b, a);
}
