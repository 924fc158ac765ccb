#include "ike_world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ike/codes.h"
#include "pki/auth.h"

struct world_packet {
    struct world_packet *next;
    uint64_t at;
    struct ike2_endpoint from, to;
    bool marker;
    size_t len;
    uint8_t data[];
};

struct world_answer {
    struct world_answer *next;
    uint64_t at;
    struct ike_host *host;
    struct ike2 *core; /* of that life */
    size_t len;
    uint8_t *data;
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

/* ---- The core's side ------------------------------------------------------------------------ */

static void on_random(void *ctx, void *out, size_t len)
{
    struct ike_host *h = ctx;
    uint8_t *p = out;

    for (size_t i = 0; i < len; i++)
        p[i] = (uint8_t)draw(h->world);
}

static bool is_second(const struct ike_host *h, const struct gh_addr *a)
{
    return h->second.len > 0 && gh_addr_equal(&h->second, a);
}

static struct ike_host *host_at(struct ike_world *w, const struct ike2_endpoint *e)
{
    for (size_t i = 0; i < w->host_count; i++) {
        struct ike_host *h = &w->hosts[i];

        if (h->behind_nat ? gh_addr_equal(&h->nat_addr, &e->addr)
                          : gh_addr_equal(&h->addr, &e->addr) || is_second(h, &e->addr))
            return h;
    }
    return NULL;
}

static void put_packet(struct ike_world *w, struct world_packet *p)
{
    struct world_packet **at = &w->packets;

    while (*at != NULL && (*at)->at <= p->at)
        at = &(*at)->next;
    p->next = *at;
    *at = p;
}

static void carry(struct ike_world *w, const struct ike_host *from, const struct ike2_datagram *d)
{
    struct world_packet *p = malloc(sizeof(*p) + d->len);

    if (p == NULL)
        abort();
    *p = (struct world_packet){.from = d->local,
                               .to = d->remote,
                               .marker = d->marker,
                               .len = d->len,
                               .at = w->now.mono_ms + w->delay_least +
                                     ike_world_random(w, w->delay_most - w->delay_least + 1)};
    if (from->behind_nat) {
        p->from.addr = from->nat_addr;
        p->from.port = (uint16_t)(from->nat_port + (d->local.port == IKE2_PORT_NAT_T));
    }
    memcpy(p->data, d->data, d->len);
    put_packet(w, p);
}

static void on_send(void *ctx, const struct ike2_datagram *sent)
{
    struct ike_host *h = ctx;
    struct ike_world *w = h->world;
    struct ike2_datagram changed = *sent, *d = &changed;

    if (h->dead || (d->len == 1 && d->data[0] == 0xff))
        return;
    /* Nothing leaves from an address that the host does not have. */
    if (!gh_addr_equal(&d->local.addr, &h->addr) && !is_second(h, &d->local.addr))
        return;
    if (w->filter != NULL && !w->filter(w->filter_ctx, h, d)) {
        w->lost++;
        return;
    }
    w->carried++;
    if (w->datagram_max != 0 && d->len + 28 + (d->marker ? 4 : 0) > w->datagram_max) {
        w->too_long++;
        return;
    }
    if (ike_world_random(w, 1000) < w->loss) {
        w->lost++;
        return;
    }
    carry(w, h, d);
    if (ike_world_random(w, 1000) < w->duplicated)
        carry(w, h, d);
}

static bool on_ask(void *ctx, const struct gh_keeper_request *r)
{
    struct ike_host *h = ctx;
    struct world_answer *a = calloc(1, sizeof(*a)), **at = &h->world->answers;
    uint8_t *octets = malloc(GH_KEEPER_REQUEST_MAX);
    struct gh_wr w = gh_wr_make(octets, GH_KEEPER_REQUEST_MAX);

    if (a == NULL || octets == NULL || !gh_keeper_request_put(&w, r))
        abort();
    a->data = gh_keeper_store_answer(h->keeper, gh_view_of(octets, w.len), &a->len);
    free(octets);
    if (a->data == NULL)
        abort();
    h->asked[r->kind]++;
    a->host = h;
    a->core = h->core;
    a->at = h->world->now.mono_ms + ike_world_random(h->world, 4);
    while (*at != NULL && (*at)->at <= a->at)
        at = &(*at)->next;
    a->next = *at;
    *at = a;
    return true;
}

static bool on_install(void *ctx, const struct ike2_child_view *v)
{
    struct ike_host *h = ctx;
    size_t i = 0;
    struct world_child *child;

    while (i < WORLD_CHILDREN && h->child[i].used)
        i++;
    if (i == WORLD_CHILDREN || v->key_in.len > WORLD_KEY || v->key_out.len > WORLD_KEY ||
        v->key_in.len == 0)
        return false;
    child = &h->child[i];
    *child = (struct world_child){.used = true,
                                  .id = v->id,
                                  .replaces = v->replaces,
                                  .sa = v->sa,
                                  .key_in_len = v->key_in.len,
                                  .key_out_len = v->key_out.len,
                                  .local = *v->ts_local,
                                  .remote = *v->ts_remote};
    memcpy(child->spi_in, v->spi_in.p, v->spi_in.len);
    memcpy(child->spi_out, v->spi_out.p, v->spi_out.len);
    memcpy(child->key_in, v->key_in.p, v->key_in.len);
    memcpy(child->key_out, v->key_out.p, v->key_out.len);
    h->installed++;
    return true;
}

static void on_remove(void *ctx, uint32_t id, enum ike2_removal why)
{
    struct ike_host *h = ctx;

    for (size_t i = 0; i < WORLD_CHILDREN; i++) {
        if (h->child[i].used && h->child[i].id == id) {
            h->child[i].used = false;
            h->removed++;
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

static void on_event(void *ctx, const struct ike2_event *e)
{
    struct ike_host *h = ctx;

    h->events[e->kind]++;
    snprintf(h->last[e->kind], sizeof(h->last[e->kind]), "%s", e->text);
    if (h->world->verbose)
        printf("%8llu host %zu %s %s: %s\n", (unsigned long long)h->world->now.mono_ms,
               (size_t)(h - h->world->hosts), ike2_event_name(e->kind), e->policy, e->text);
}

static void on_keys(void *ctx, const char *line)
{
    struct ike_host *h = ctx;

    snprintf(h->key_line, sizeof(h->key_line), "%s", line);
}

/* ---- Made ----------------------------------------------------------------------------------- */

static void start_core(struct ike_host *h)
{
    const struct ike2_ops ops = {.ctx = h,
                                 .random = on_random,
                                 .send = on_send,
                                 .ask = on_ask,
                                 .child_install = on_install,
                                 .child_update = on_update,
                                 .child_remove = on_remove,
                                 .event = on_event,
                                 .key_log = on_keys};

    h->core = ike2_new(&ops, &h->settings, h->world->now);
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
        h->settings = ike2_default_settings();
        h->addr = gh_addr_from(octets, 4);
        h->keeper = gh_keeper_store_new();
        if (!gh_secret_set(&secret, (const uint8_t *)psk, sizeof(psk) - 1) ||
            !gh_keeper_store_add_secret(h->keeper, GH_SECRET_PSK, "psk", &secret, NULL))
            abort();
        start_core(h);
    }
    return w;
}

static void drop_answers(struct ike_world *w)
{
    while (w->answers != NULL) {
        struct world_answer *a = w->answers;

        w->answers = a->next;
        free(a->data);
        free(a);
    }
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
    }
    while (w->packets != NULL) {
        struct world_packet *p = w->packets;

        w->packets = p->next;
        free(p);
    }
    drop_answers(w);
    free(w->hosts);
    free(w);
}

static struct ike_ts_list net_of(size_t i)
{
    const uint8_t octets[4] = {10, (uint8_t)(i >> 8), (uint8_t)i, 0};
    const struct gh_prefix p = {.addr = gh_addr_from(octets, 4), .bits = 24};
    struct ike_ts_list list = {.count = 1};

    list.ts[0] = ike_ts_from_prefix(&p);
    return list;
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
    if (p == NULL || more == NULL || (p->children = calloc(1, sizeof(*p->children))) == NULL)
        abort();
    h->policies = more;
    h->policies[h->policy_count++] = p;
    p->index = (unsigned)h->policy_count;
    p->local = h->addr;
    p->gateway = w->hosts[j].addr;
    p->remote = (struct gh_prefix){.addr = w->hosts[j].addr, .bits = 32};
    strcpy(p->psk, "psk");
    p->child_count = 1;
    strcpy(p->children[0].name, "net");
    ike2_default_proposals(IKE_PROTO_ESP, &p->children[0].proposals);
    p->children[0].local = net_of(i);
    p->children[0].remote = net_of(j);
    p->children[0].lifetime.seconds = 3600;
    return p;
}

void ike_world_configure(struct ike_world *w, size_t i)
{
    struct ike_host *h = &w->hosts[i];

    if (!ike2_set_policies(h->core, w->now, h->policies, h->policy_count))
        abort();
}

void ike_world_restart(struct ike_world *w, size_t i)
{
    struct ike_host *h = &w->hosts[i];

    ike2_free(h->core);
    memset(h->child, 0, sizeof(h->child));
    start_core(h);
    ike_world_configure(w, i);
}

/* ---- Time passes ----------------------------------------------------------------------------- */

void ike_world_inject(struct ike_world *w, size_t to, const struct ike2_datagram *d)
{
    uint8_t octets[2048];
    struct ike2_datagram copy = *d;

    if (d->len > sizeof(octets))
        abort();
    memcpy(octets, d->data, d->len);
    copy.data = octets;
    ike2_input(w->hosts[to].core, w->now, &copy);
}

/* The port at which it arrives; 0: nobody is there, or the NAT knows nothing of it. */
static uint16_t port_of(const struct ike_host *h, const struct world_packet *p)
{
    uint16_t port = p->to.port;

    if (h->behind_nat)
        port = port == h->nat_port ? IKE2_PORT : port == h->nat_port + 1 ? IKE2_PORT_NAT_T : 0;
    return port == IKE2_PORT || port == IKE2_PORT_NAT_T ? port : 0;
}

static void deliver(struct ike_world *w)
{
    struct world_packet *p = w->packets;
    struct ike_host *h = host_at(w, &p->to);
    struct ike2_datagram d = {.remote = p->from, .marker = p->marker, .len = p->len};

    w->packets = p->next;
    if (h != NULL && !h->dead && port_of(h, p) != 0 &&
        (port_of(h, p) == IKE2_PORT_NAT_T) == p->marker) {
        d.local = (struct ike2_endpoint){.addr = h->addr, .port = port_of(h, p)};
        if (is_second(h, &p->to.addr))
            d.local.addr = h->second;
        d.data = p->data;
        ike2_input(h->core, w->now, &d);
    }
    free(p);
}

static void answer(struct ike_world *w)
{
    struct world_answer *a = w->answers;
    struct gh_keeper_answer parsed;

    w->answers = a->next;
    if (a->core == a->host->core) {
        if (!gh_keeper_answer_parse(gh_view_of(a->data, a->len), &parsed))
            abort();
        ike2_complete(a->core, w->now, &parsed);
    }
    free(a->data);
    free(a);
}

void ike_world_run(struct ike_world *w, uint64_t ms)
{
    uint64_t end = w->now.mono_ms + ms, began = w->now.mono_ms;
    int64_t wall = w->now.wall;

    for (;;) {
        uint64_t next = end;
        struct ike_host *due = NULL;

        for (size_t i = 0; i < w->host_count; i++) {
            uint64_t at = ike2_next_deadline(w->hosts[i].core);

            if (!w->hosts[i].dead && at < next) {
                next = at;
                due = &w->hosts[i];
            }
        }
        if (w->answers != NULL && w->answers->at <= next) {
            next = w->answers->at;
            due = NULL;
        }
        if (w->packets != NULL && w->packets->at < next)
            next = w->packets->at;
        if (next >= end)
            break;
        if (next > w->now.mono_ms)
            w->now.mono_ms = next;
        w->now.wall = wall + (int64_t)((w->now.mono_ms - began) / 1000);
        if (w->packets != NULL && w->packets->at <= next)
            deliver(w);
        else if (w->answers != NULL && w->answers->at <= next)
            answer(w);
        else if (due != NULL)
            ike2_tick(due->core, w->now);
    }
    w->now.mono_ms = end;
    w->now.wall = wall + (int64_t)(ms / 1000);
}

/* ---- Looking --------------------------------------------------------------------------------- */

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
    size_t count = 0;

    for (size_t i = 0; i < WORLD_CHILDREN; i++)
        count += h->child[i].used;
    return count;
}

static const struct world_child *match(const struct ike_host *h, const struct world_child *c)
{
    for (size_t i = 0; i < WORLD_CHILDREN; i++)
        if (h->child[i].used && memcmp(h->child[i].spi_in, c->spi_out, 4) == 0 &&
            memcmp(h->child[i].spi_out, c->spi_in, 4) == 0)
            return &h->child[i];
    return NULL;
}

static const char *agree_one_way(const struct ike_host *a, const struct ike_host *b)
{
    for (size_t i = 0; i < WORLD_CHILDREN; i++) {
        const struct world_child *x = &a->child[i], *y;

        if (!x->used)
            continue;
        y = match(b, x);
        if (y == NULL)
            return "a Child SA that the other does not have";
        if (x->key_in_len != y->key_out_len || x->key_out_len != y->key_in_len ||
            memcmp(x->key_in, y->key_out, x->key_in_len) != 0 ||
            memcmp(x->key_out, y->key_in, x->key_out_len) != 0)
            return "keys that differ";
        if (memcmp(x->key_in, x->key_out, x->key_in_len) == 0)
            return "one key for both directions";
        if (x->local.count != y->remote.count || x->remote.count != y->local.count)
            return "selectors that differ";
    }
    return NULL;
}

const char *ike_world_agree(const struct ike_host *a, const struct ike_host *b)
{
    const char *wrong = agree_one_way(a, b);

    return wrong != NULL ? wrong : agree_one_way(b, a);
}
