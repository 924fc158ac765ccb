/*
 * A whole IKEv2 core beside its peer with one established pair, and then whatever may happen: the
 * datagrams of both changed, cut, kept back, repeated; single payloads of sealed messages changed
 * and sealed again; datagrams of the fuzzer's own; ticks, commands, keepers that refuse, restarts.
 *
 * Input: records of [event, argument, …]. Beyond not crashing, the invariants of
 * tests/sim/ike_check.h hold after each step.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sim/ike_check.h"
#include "sim/ike_mutate.h"
#include "wire/rd.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

enum { RECORDS = 200, KEPT = 16, KEPT_LEN = 1500 };

/* What goes over the wire, for repetition; and what is to happen to the next datagrams. */
static struct {
    uint8_t data[KEPT][KEPT_LEN];
    size_t len[KEPT];
    struct ike2_endpoint from[KEPT], to[KEPT];
    bool marker[KEPT];
    size_t count;
    unsigned lose, change, alter;
    uint8_t at, value;
} wire;

static bool meddle(struct ike_world *w, struct ike_host *from, const struct ike2_datagram *d)
{
    static uint8_t octets[65536];
    size_t i = wire.count % KEPT, len = 0;

    if (d->len <= KEPT_LEN) {
        memcpy(wire.data[i], d->data, d->len);
        wire.len[i] = d->len;
        wire.from[i] = d->local;
        wire.to[i] = d->remote;
        wire.marker[i] = d->marker;
        wire.count++;
    }
    if (wire.lose > 0) {
        wire.lose--;
        return true;
    }
    if (wire.change > 0) {
        wire.change--;
        len = ike_mutate(w, from, d, octets, sizeof(octets));
    } else if (wire.alter > 0) {
        wire.alter--;
        memcpy(octets, d->data, d->len);
        octets[(size_t)wire.at * 4 % d->len] ^= wire.value;
        len = d->len;
    }
    if (len == 0)
        return false;
    ike_world_inject(w, &d->local, &d->remote, d->marker, gh_view_of(octets, len));
    return true;
}

/* One that went over the wire goes again, with an octet changed, or cut. */
static void repeat(struct ike_world *w, struct gh_rd *r)
{
    size_t kept = wire.count < KEPT ? wire.count : KEPT, i, len;
    uint8_t at, value, cut;

    if (kept == 0)
        return;
    i = gh_rd_u8(r) % kept;
    at = gh_rd_u8(r);
    value = gh_rd_u8(r);
    cut = gh_rd_u8(r);
    len = wire.len[i] - (cut < wire.len[i] ? cut : 0);
    wire.data[i][(size_t)at * 4 % wire.len[i]] ^= value;
    ike_world_inject(w, &wire.from[i], &wire.to[i], wire.marker[i], gh_view_of(wire.data[i], len));
}

/* Octets of the fuzzer's own, with the SPIs of the pair if it wants them. */
static void invent(struct ike_world *w, struct gh_rd *r)
{
    uint8_t octets[256], how = gh_rd_u8(r), len = gh_rd_u8(r);
    const uint8_t *given = gh_rd_bytes(r, len);
    struct ike2_endpoint from = {.addr = w->hosts[1].addr, .port = IKE2_PORT};
    struct ike2_endpoint to = {.addr = w->hosts[0].addr, .port = IKE2_PORT};
    struct ike2_sa_view v;

    if (given == NULL || len == 0)
        return;
    memcpy(octets, given, len);
    if ((how & 1) && len >= 2 * IKE_SPI_LEN && ike_world_sas(&w->hosts[0], &v) > 0) {
        memcpy(octets, v.spi_i, IKE_SPI_LEN);
        memcpy(octets + IKE_SPI_LEN, v.spi_r, IKE_SPI_LEN);
    }
    if (how & 2)
        from.addr.octets[3] ^= how;
    ike_world_inject(w, &from, &to, false, gh_view_of(octets, len));
}

static uint32_t child_of(const struct ike_host *h, uint8_t nth)
{
    for (size_t i = 0; i < h->child_room; i++)
        if (h->child[(i + nth) % h->child_room].used)
            return h->child[(i + nth) % h->child_room].id;
    return 0;
}

static void command(struct ike_host *h, uint8_t what, uint8_t which)
{
    struct gh_now now = ike_world_now(h);
    struct ike2_sa_view v = {.id = which};

    if (which < 128)
        ike_world_sas(h, &v);
    switch (what % 8) {
    case 0:
        ike2_rekey_child(h->core, now, child_of(h, which));
        break;
    case 1:
        ike2_rekey_ike(h->core, now, v.id);
        break;
    case 2:
        ike2_terminate_child(h->core, now, child_of(h, which));
        break;
    case 3:
        ike2_terminate_ike(h->core, now, v.id);
        break;
    case 4:
        ike2_initiate(h->core, now, h->policies[0]->name, which & 1 ? "net" : "net1");
        break;
    case 5:
        ike2_child_used(h->core, now, child_of(h, which), (uint64_t)which << 20, which, which & 1);
        break;
    case 6:
        ike_world_configure(h->world, (size_t)(h - h->world->hosts));
        break;
    default:
        if (which < 8)
            ike_world_restart(h->world, (size_t)(h - h->world->hosts));
        break;
    }
}

static void event(struct ike_world *w, struct gh_rd *r)
{
    uint8_t kind = gh_rd_u8(r), argument = gh_rd_u8(r);

    switch (kind % 10) {
    case 0:
        ike_world_run(w, argument);
        break;
    case 1:
        ike_world_run(w, 1000 * (uint64_t)argument);
        break;
    case 2:
    case 3:
        command(&w->hosts[kind % 2], argument, gh_rd_u8(r));
        break;
    case 4:
        wire.lose = argument % 8;
        break;
    case 5:
        wire.change = argument % 8;
        w->seed ^= gh_rd_u8(r); /* which payload, and how */
        break;
    case 6:
        wire.alter = argument % 4;
        wire.at = gh_rd_u8(r);
        wire.value = gh_rd_u8(r);
        break;
    case 7:
        repeat(w, r);
        break;
    case 8:
        invent(w, r);
        break;
    default: { /* a keeper's answer that nobody waits for, or one that is */
        struct gh_keeper_answer a = {.id = argument,
                                     .result = (enum gh_keeper_result)(gh_rd_u8(r) % 3),
                                     .value = gh_view_of((const uint8_t *)"reason", 6)};

        ike2_complete(w->hosts[argument % 2].core, ike_world_now(&w->hosts[argument % 2]), &a);
        break;
    }
    }
}

static struct ike_world *pair(void)
{
    struct ike_world *w = ike_world_new(1, 2);

    for (size_t i = 0; i < 2; i++) {
        struct ike2_policy *p = ike_world_policy(w, i, !i);

        ike_world_child(p, i, !i, 1);
        p->children[0].lifetime = (struct ike2_lifetime){600, 1u << 30, 100000};
        p->lifetime.seconds = 2000;
        p->mtu = 576;
        p->window = 8;
        ike_world_configure(w, i);
    }
    ike2_initiate(w->hosts[0].core, w->now, "to-1", "net");
    ike_world_run(w, 1000);
    if (ike_world_agree(&w->hosts[0], &w->hosts[1]) != NULL || w->hosts[0].child_count != 1)
        abort();
    return w;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct gh_rd r = gh_rd_make(data, len);
    struct ike_world *w = pair();

    memset(&wire, 0, sizeof(wire));
    w->after = ike_check_alone;
    w->meddle = meddle;
    for (unsigned i = 0; i < RECORDS && gh_rd_left(&r) >= 2; i++)
        event(w, &r);
    ike_world_run(w, 10000);
    if (w->wrong[0] != '\0') {
        fputs(w->wrong, stderr);
        abort();
    }
    ike_world_free(w);
    return 0;
}
