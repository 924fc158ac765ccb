/*
 * An IKE core that only echoes, in place of the real one: for tests of the processes around it
 * (test_ike_shell.py). Linked in front of the core's library, it is taken instead.
 *
 * A datagram goes back to its sender as it came. One that begins with "ask NAME " is authenticated
 * by the keeper with the pre-shared key NAME, and the result goes back, in hexadecimal digits. An
 * IKE SA is nothing but a number that ike2_initiate() makes.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ike/v2/core.h"

enum { ASKING_MAX = 64, SAS_MAX = 64, NAME_AT = 4 };

struct asking {
    bool used;
    struct ike2_datagram d;
};

struct ike2 {
    struct ike2_ops ops;
    struct ike2_policy **policies;
    size_t count;
    struct asking asking[ASKING_MAX];
    struct ike2_sa_view sas[SAS_MAX];
    size_t sa_count;
    uint64_t counters[IKE2_COUNT_COUNT];
    char failure[100];
    int64_t failed;
    struct gh_lockout *lockout;
};

struct ike2_settings ike2_default_settings(void)
{
    return (struct ike2_settings){.sas_max = SAS_MAX};
}

struct ike2 *ike2_new(const struct ike2_ops *ops, const struct ike2_settings *settings,
                      struct gh_now now)
{
    struct ike2 *c = calloc(1, sizeof(*c));

    c->ops = *ops;
    if (settings->lockout != NULL)
        c->lockout = gh_lockout_new(settings->lockout);
    return c;
}

static void drop_policies(struct ike2 *c)
{
    for (size_t i = 0; i < c->count; i++)
        ike2_policy_free(c->policies[i]);
    free(c->policies);
}

void ike2_free(struct ike2 *c)
{
    drop_policies(c);
    gh_lockout_free(c->lockout);
    free(c);
}

bool ike2_set_policies(struct ike2 *c, struct gh_now now, struct ike2_policy *const *policies,
                       size_t count)
{
    struct ike2_policy **copy = calloc(count + 1, sizeof(*copy));

    for (size_t i = 0; i < count; i++)
        copy[i] = ike2_policy_ref(policies[i]);
    drop_policies(c);
    c->policies = copy;
    c->count = count;
    return true;
}

/* ---- Datagrams ------------------------------------------------------------------------------ */

static void ask(struct ike2 *c, const struct ike2_datagram *d)
{
    const uint8_t *name = d->data + NAME_AT, *space = memchr(name, ' ', d->len - NAME_AT);

    for (uint32_t i = 0; space != NULL && i < ASKING_MAX; i++) {
        struct gh_keeper_request r = {.kind = GH_KEEPER_PSK,
                                      .id = i,
                                      .name = gh_view_of(name, (size_t)(space - name)),
                                      .prf = GH_PRF_HMAC_SHA2_256,
                                      .octets = gh_view_of(d->data, d->len)};

        if (c->asking[i].used)
            continue;
        c->asking[i] = (struct asking){.used = true, .d = *d};
        c->asking[i].used = c->ops.ask(c->ops.ctx, &r);
        return;
    }
}

void ike2_input(struct ike2 *c, struct gh_now now, const struct ike2_datagram *d)
{
    c->counters[IKE2_COUNT_IN]++;
    if (d->len > NAME_AT && memcmp(d->data, "ask ", NAME_AT) == 0) {
        ask(c, d);
        return;
    }
    c->counters[IKE2_COUNT_OUT]++;
    c->ops.send(c->ops.ctx, d);
}

void ike2_complete(struct ike2 *c, struct gh_now now, const struct gh_keeper_answer *a)
{
    struct ike2_datagram d;
    char text[200];

    if (a->id >= ASKING_MAX || !c->asking[a->id].used)
        return;
    c->asking[a->id].used = false;
    d = c->asking[a->id].d;
    d.len = (size_t)snprintf(text, sizeof(text), "result %d ", (int)a->result);
    for (size_t i = 0; a->result == GH_KEEPER_OK && i < a->value.len && d.len < 190; i++)
        d.len += (size_t)snprintf(text + d.len, sizeof(text) - d.len, "%02x", a->value.p[i]);
    d.data = (uint8_t *)text;
    c->ops.send(c->ops.ctx, &d);
}

void ike2_tick(struct ike2 *c, struct gh_now now)
{
}

uint64_t ike2_next_deadline(const struct ike2 *c)
{
    return UINT64_MAX;
}

/* ---- Commands ------------------------------------------------------------------------------- */

bool ike2_initiate(struct ike2 *c, struct gh_now now, const char *policy, const char *child)
{
    for (size_t i = 0; i < c->count && c->sa_count < SAS_MAX; i++) {
        struct ike2_policy *p = c->policies[i];
        struct ike2_event e = {.kind = IKE2_EVENT_SA_UP, .policy = p->name, .text = "it is up"};

        if (strcmp(p->name, policy) != 0 || p->gateway.len == 0)
            continue;
        c->sas[c->sa_count++] =
            (struct ike2_sa_view){.id = c->sa_count + 1,
                                  .initiator = true,
                                  .state = IKE2_STATE_ESTABLISHED,
                                  .policy = ike2_policy_ref(p),
                                  .local = {.addr = p->local, .port = IKE2_PORT},
                                  .remote = {.addr = p->gateway, .port = IKE2_PORT},
                                  .established_ms = now.mono_ms};
        e.sa = c->sa_count;
        e.remote = &c->sas[c->sa_count - 1].remote;
        c->counters[IKE2_COUNT_SA_UP]++;
        c->ops.event(c->ops.ctx, &e);
        return true;
    }
    snprintf(c->failure, sizeof(c->failure), "%s: ENCR has nothing in common", policy);
    c->failed = now.wall;
    c->counters[IKE2_COUNT_NO_PROPOSAL]++;
    return false;
}

static struct ike2_sa_view *find(struct ike2 *c, uint64_t id)
{
    for (size_t i = 0; i < c->sa_count; i++)
        if (c->sas[i].id == id && c->sas[i].state == IKE2_STATE_ESTABLISHED)
            return &c->sas[i];
    return NULL;
}

bool ike2_rekey_ike(struct ike2 *c, struct gh_now now, uint64_t sa)
{
    return find(c, sa) != NULL;
}

bool ike2_rekey_child(struct ike2 *c, struct gh_now now, uint32_t child)
{
    return false;
}

/* Says it to the peer. */
bool ike2_terminate_ike(struct ike2 *c, struct gh_now now, uint64_t sa)
{
    struct ike2_sa_view *v = find(c, sa);
    uint8_t text[] = "delete";
    struct ike2_datagram d = {.data = text, .len = sizeof(text) - 1};

    if (v == NULL)
        return false;
    v->state = IKE2_STATE_DELETING;
    d.local = v->local;
    d.remote = v->remote;
    c->ops.send(c->ops.ctx, &d);
    return true;
}

bool ike2_terminate_child(struct ike2 *c, struct gh_now now, uint32_t child)
{
    return false;
}

/* ---- Looking -------------------------------------------------------------------------------- */

void ike2_each_sa(const struct ike2 *c, void (*fn)(void *ctx, const struct ike2_sa_view *v),
                  void *ctx)
{
    for (size_t i = 0; i < c->sa_count; i++)
        fn(ctx, &c->sas[i]);
}

void ike2_each_child(const struct ike2 *c, uint64_t sa,
                     void (*fn)(void *ctx, const struct ike2_child_view *v), void *ctx)
{
}

const uint64_t *ike2_counters(const struct ike2 *c)
{
    return c->counters;
}

const char *ike2_last_failure(const struct ike2 *c, enum ike2_count reason, int64_t *when)
{
    *when = c->failed;
    return reason == IKE2_COUNT_NO_PROPOSAL && c->failed != 0 ? c->failure : NULL;
}

struct gh_lockout *ike2_lockout(struct ike2 *c)
{
    return c->lockout;
}

size_t ike2_memory(const struct ike2 *c)
{
    return sizeof(*c);
}

#define NAME(constant, name) name,
const char *ike2_event_name(enum ike2_event_kind kind)
{
    static const char *const names[] = {IKE2_EVENTS(NAME)};

    return names[kind];
}

const char *ike2_count_name(enum ike2_count count)
{
    static const char *const names[] = {IKE2_COUNTS(NAME)};

    return names[count];
}

const char *ike2_state_name(enum ike2_state state)
{
    static const char *const names[] = {IKE2_STATES(NAME)};

    return names[state];
}
