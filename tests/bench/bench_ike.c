/*
 * IKE_SA_INIT and IKE_AUTH with a Child SA, and what an established IKE SA with one takes: two
 * cores in one process, each with its keeper, the responder's share by the processor's clock. And
 * what a configured peer takes.
 *
 *     bench_ike [tunnels]
 *
 * Pre-shared keys, AES-128-GCM, HMAC-SHA2-256, X25519: as the figures of charon were taken.
 */
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "ike/codes.h"
#include "ike/v2/core.h"
#include "keeper/store.h"

struct end {
    struct ike2 *core;
    struct gh_keeper_store *keeper;
    struct ike2_endpoint at;
    struct end *other;
    uint8_t *datagram; /* to this end */
    size_t len;
    uint8_t *answer; /* of the keeper */
    size_t answer_len;
    double busy;
    size_t up;
    uint64_t seed;
};

static double cpu(void)
{
    struct timespec t;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void on_random(void *ctx, void *out, size_t len)
{
    struct end *e = ctx;
    uint8_t *p = out;

    for (size_t i = 0; i < len; i++) {
        uint64_t z = e->seed += 0x9e3779b97f4a7c15u;

        z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
        p[i] = (uint8_t)(z >> 40);
    }
}

static void on_send(void *ctx, const struct ike2_datagram *d)
{
    struct end *e = ctx;

    e->other->datagram = malloc(d->len);
    e->other->len = d->len;
    memcpy(e->other->datagram, d->data, d->len);
}

static bool on_ask(void *ctx, const struct gh_keeper_request *r)
{
    struct end *e = ctx;
    static uint8_t octets[GH_KEEPER_REQUEST_MAX];
    struct gh_wr w = gh_wr_make(octets, sizeof(octets));

    if (!gh_keeper_request_put(&w, r))
        return false;
    e->answer = gh_keeper_store_answer(e->keeper, gh_view_of(octets, w.len), &e->answer_len);
    return e->answer != NULL;
}

static bool on_install(void *ctx, const struct ike2_child_view *v)
{
    return true;
}

static void on_remove(void *ctx, uint32_t id, enum ike2_removal why)
{
}

/* As gatehoused without --verbose. */
static bool on_reads(void *ctx, enum ike2_event_kind kind)
{
    return kind != IKE2_EVENT_STORY;
}

static void on_event(void *ctx, const struct ike2_event *event)
{
    struct end *e = ctx;

    e->up += event->kind == IKE2_EVENT_CHILD_UP;
    if (event->kind == IKE2_EVENT_SA_FAILED || event->kind == IKE2_EVENT_CHILD_FAILED) {
        fprintf(stderr, "%s\n", event->text);
        exit(1);
    }
}

static void suite(struct ike_proposals *proposals, uint8_t protocol)
{
    struct ike_sa sa = {.count = 1};
    struct ike_proposal *p = &sa.proposal[0];

    *p = (struct ike_proposal){.number = 1, .protocol = protocol};
    ike_proposal_add(p, IKE_T_ENCR, IKE_ENCR_AES_GCM_16, 128);
    if (protocol == IKE_PROTO_IKE) {
        ike_proposal_add(p, IKE_T_PRF, IKE_PRF_HMAC_SHA2_256, 0);
        ike_proposal_add(p, IKE_T_KE, IKE_KE_CURVE25519, 0);
    } else {
        ike_proposal_add(p, IKE_T_SN, IKE_SN_32, 0);
    }
    if (!ike_proposals_set(proposals, &sa))
        exit(1);
}

static void set_up(struct end *e, struct end *other, uint8_t last, struct gh_now now)
{
    const uint8_t octets[4] = {192, 0, 2, last};
    const struct ike2_ops ops = {.ctx = e,
                                 .random = on_random,
                                 .send = on_send,
                                 .ask = on_ask,
                                 .child_install = on_install,
                                 .child_remove = on_remove,
                                 .event = on_event,
                                 .reads = on_reads};
    struct ike2_settings settings = ike2_default_settings();
    struct gh_secret secret = {.data = NULL};

    settings.half_open_cookie = SIZE_MAX;
    settings.sas_max = 1 << 20;
    *e = (struct end){.other = other, .seed = last};
    e->at = (struct ike2_endpoint){.addr = gh_addr_from(octets, 4), .port = IKE2_PORT};
    e->keeper = gh_keeper_store_new();
    if (!gh_secret_set(&secret, (const uint8_t *)"sixteen octets!!", 16) ||
        !gh_keeper_store_add_secret(e->keeper, GH_SECRET_PSK, "psk", &secret, NULL))
        exit(1);
    e->core = ike2_new(&ops, &settings, now);
}

static struct ike2_policy *policy_for(const struct end *e, const struct end *other)
{
    const struct gh_prefix all = {.addr = {.len = 4}};
    struct ike2_policy *p = ike2_policy_new("peer");

    p->local = e->at.addr;
    p->gateway = other->at.addr;
    p->remote = (struct gh_prefix){.addr = other->at.addr, .bits = 32};
    p->initial_contact = false;
    p->liveness_ms = 0;
    strcpy(p->psk, "psk");
    suite(&p->proposals, IKE_PROTO_IKE);
    p->child_count = 1;
    p->children = calloc(1, sizeof(*p->children));
    strcpy(p->children[0].name, "net");
    suite(&p->children[0].proposals, IKE_PROTO_ESP);
    p->children[0].local = p->children[0].remote = (struct ike_ts_list){.count = 1};
    p->children[0].local.ts[0] = p->children[0].remote.ts[0] = ike_ts_from_prefix(&all);
    p->children[0].lifetime.seconds = 3600;
    return p;
}

static bool step(struct end *e, struct gh_now now)
{
    double began = cpu();
    bool any = false;

    if (e->datagram != NULL) {
        struct ike2_datagram d = {
            .local = e->at, .remote = e->other->at, .data = e->datagram, .len = e->len};

        e->datagram = NULL;
        ike2_input(e->core, now, &d);
        free(d.data);
        any = true;
    }
    if (e->answer != NULL) {
        struct gh_keeper_answer a;
        uint8_t *octets = e->answer;

        e->answer = NULL;
        if (gh_keeper_answer_parse(gh_view_of(octets, e->answer_len), &a))
            ike2_complete(e->core, now, &a);
        free(octets);
        any = true;
    }
    e->busy += cpu() - began;
    return any;
}

/* Octets of a peer that is configured and has no SA. */
static size_t peer_size(const struct end *e, const struct end *other)
{
    enum { PEERS = 1000 };
    struct ike2_policy *list[PEERS];
    size_t before = mallinfo2().uordblks, size;

    for (size_t i = 0; i < PEERS; i++)
        list[i] = policy_for(e, other);
    size = (mallinfo2().uordblks - before) / PEERS;
    for (size_t i = 0; i < PEERS; i++)
        ike2_policy_free(list[i]);
    return size;
}

int main(int argc, char **argv)
{
    size_t tunnels = argc > 1 ? strtoul(argv[1], NULL, 10) : 2000, before, after;
    struct gh_now now = {.wall = 1800000000, .mono_ms = 1000};
    struct ike2_policy *list[1];
    struct end i, r;
    double began;

    set_up(&i, &r, 1, now);
    set_up(&r, &i, 2, now);
    list[0] = policy_for(&r, &i);
    ike2_set_policies(r.core, now, list, 1);
    before = mallinfo2().uordblks;
    began = cpu();
    for (size_t n = 0; n < tunnels; n++) {
        list[0] = policy_for(&i, &r); /* a peer of its own each, at the initiator */
        ike2_set_policies(i.core, now, list, 1);
        ike2_policy_free(list[0]);
        if (!ike2_initiate(i.core, now, "peer", "net"))
            return 1;
        while (step(&i, now) || step(&r, now))
            ;
        ike2_free(i.core); /* the responder's memory alone is looked at */
        gh_keeper_store_free(i.keeper);
        if (r.up != n + 1)
            return 1;
        set_up(&i, &r, 1, now);
        i.seed = n + 100;
    }
    after = mallinfo2().uordblks;
    printf(
        "tunnels %zu: responder %.0f a second (%.1f us each), both ends %.0f a second, %zu octets "
        "for each established tunnel\n",
        tunnels, (double)tunnels / r.busy, 1e6 * r.busy / (double)tunnels,
        (double)tunnels / (cpu() - began), (after - before) / tunnels);
    printf("a configured peer with a child: %zu octets\n", peer_size(&r, &i));
    return 0;
}
