/*
 * A socket and what the engine has of it: its connection with keys, counters and sequence numbers,
 * or its flows. The engine moves the keys of a connection when the peer asks for it, so it is asked
 * each time; what the table has is for the time before and after.
 */
#include "emulate/emulate_priv.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool emu_connection(const struct emu *e, const struct emu_table *t, struct ao_connection_keys *out)
{
    return t->role == EMU_CONNECTS && t->remote.addr_len != 0 && t->local.addr_len != 0 &&
           ao_engine_get_keys(e->settings.engine, t->zone, &t->local, &t->remote, out) &&
           out->keys != NULL;
}

/* ---- An accepted child ---------------------------------------------------------------------- */

static void put_in_order(struct emu_table *t, struct emu_key *k)
{
    struct emu_key **at = &t->keys;

    while (*at != NULL && (*at)->number > k->number)
        at = &(*at)->next;
    emu_key_insert(t, at, k);
}

/* Its listener's keys were copied with numbers that tell whose they were. */
static bool copy_key(struct emu *e, struct emu_table *t, const struct tcpao_mkt *mkt)
{
    struct emu_key *k = calloc(1, sizeof(*k));
    const struct emu_key *listeners;
    struct emu_scope scope;

    if (k == NULL)
        return false;
    if (!emu_origin_find(e, mkt->number, &listeners, &scope)) {
        listeners = NULL;
        scope = (struct emu_scope){.addr = gh_addr_from(t->remote.addr, t->remote.addr_len),
                                   .bits = (uint8_t)(8 * t->remote.addr_len),
                                   .flags = mkt->options_covered ? 0 : EMU_KEYF_EXCLUDE_OPT};
    }
    if (listeners != NULL) {
        *k = *listeners;
        k->good = k->bad = 0;
    } else {
        k->scope = scope;
        k->send_id = mkt->send_id;
        k->recv_id = mkt->recv_id;
        k->mac_len = mkt->mac_len;
        k->alg = mkt->alg;
        k->key_len = (uint8_t)(mkt->secret_len < EMU_KEY_MAX ? mkt->secret_len : EMU_KEY_MAX);
        memcpy(k->key, mkt->secret, k->key_len);
    }
    k->number = mkt->number;
    put_in_order(t, k);
    return true;
}

static void inherit(void *ctx, struct emu_table *listener)
{
    struct emu_table *t = ctx;

    if (listener->role == EMU_LISTENS && listener->has_ao && listener->zone == t->zone &&
        listener->local.port == t->local.port)
        t->ao_required |= listener->ao_required;
}

void emu_refresh(struct emu *e, struct emu_table *t, const struct emu_facts *f)
{
    t->zone = f->zone;
    snprintf(t->zone_name, sizeof(t->zone_name), "%s", f->zone_name != NULL ? f->zone_name : "");
    snprintf(t->program, sizeof(t->program), "%s", f->program != NULL ? f->program : "?");
    t->ipv6 = f->ipv6;
    t->v6only = f->v6only;
    t->repair_on = f->repair;
    t->vrf = f->bound_ifindex != 0 && e->settings.is_vrf(e->settings.ctx, f->zone, f->bound_ifindex)
                 ? f->bound_ifindex
                 : 0;
}

void emu_place(struct emu_table *t, const struct emu_facts *f)
{
    t->local = f->local;
    t->remote = f->remote;
    t->flow_local = (struct gh_addr){.len = 0};
    if (f->local.addr_len != 0)
        t->flow_local = gh_addr_from(f->local.addr, f->local.addr_len);
}

struct end_search {
    const struct emu_facts *facts;
    uint64_t cookie; /* 0: none */
};

static void find_ends(void *ctx, struct emu_table *t)
{
    struct end_search *s = ctx;

    if (t->role == EMU_CONNECTS && t->zone == s->facts->zone &&
        ao_endpoint_equal(&t->local, &s->facts->local) &&
        ao_endpoint_equal(&t->remote, &s->facts->remote))
        s->cookie = t->cookie;
}

/* One that nobody accepted has its keys from its own program or none: what the engine has between
 * these ends is what is left of another socket, and its keys are that one's. */
static bool may_be_child(const struct emu_facts *f)
{
    return f->state == EMU_CONNECTED && !f->opening && f->local.addr_len != 0 &&
           f->remote.addr_len != 0;
}

/* Another socket had this connection: it can only be gone, though the shell may not have said so
 * yet. One under repair begins with a state of its own: an accepted child would be known. */
static void end_predecessor(struct emu *e, struct gh_now now, const struct emu_facts *f)
{
    struct end_search s = {.facts = f};

    emu_each_table(e, find_ends, &s);
    if (s.cookie != 0)
        emu_gone(e, now, s.cookie);
    if (f->repair)
        ao_engine_release(e->settings.engine, f->zone, &f->local, &f->remote);
}

static struct emu_table *adopt_child(struct emu *e, struct gh_now now, const struct emu_facts *f,
                                     int *error)
{
    struct ao_connection_keys keys;
    struct emu_table *t;
    bool ok = true;

    if (!may_be_child(f))
        return NULL;
    end_predecessor(e, now, f);
    if (!ao_engine_get_keys(e->settings.engine, f->zone, &f->local, &f->remote, &keys) ||
        keys.keys == NULL)
        return NULL;
    t = emu_table_add(e, f->cookie);
    if (t == NULL) {
        *error = ENOMEM;
        return NULL;
    }
    emu_refresh(e, t, f);
    t->role = EMU_CONNECTS;
    t->child = t->has_ao = true;
    emu_place(t, f);
    t->accept_icmps = keys.accept_icmp;
    emu_each_table(e, inherit, t);
    for (size_t i = 0; ok && i < tcpao_chain_count(keys.chain); i++)
        ok = copy_key(e, t, tcpao_chain_at(keys.chain, i));
    if (!ok) {
        *error = ENOMEM;
        emu_table_remove(e, t);
        return NULL;
    }
    emu_keep(e, t);
    return t;
}

static bool become_listener(struct emu *e, struct gh_now now, struct emu_table *t,
                            const struct emu_facts *f)
{
    t->role = EMU_LISTENS;
    t->child = false;
    emu_place(t, f);
    t->current_known = t->rnext_known = false;
    if (!t->has_ao)
        return true;
    if (!emu_flows_update(e, now, t)) {
        t->role = EMU_IDLE; /* tried again with the next call */
        return false;
    }
    emu_keep(e, t);
    return true;
}

struct emu_table *emu_table_of(struct emu *e, struct gh_now now, const struct emu_facts *f,
                               int *error)
{
    struct emu_table *t = emu_find(e, f->cookie);

    *error = 0;
    if (t == NULL)
        return adopt_child(e, now, f, error);
    emu_refresh(e, t, f);
    if (f->state == EMU_LISTEN && t->role != EMU_LISTENS) {
        *error = become_listener(e, now, t, f) ? 0 : ENOMEM;
    } else if (f->state == EMU_CONNECTED) {
        t->role = EMU_CONNECTS;
        t->local = f->local;
        t->remote = f->remote;
    }
    return t;
}

/* ---- Keys in use ---------------------------------------------------------------------------- */

struct emu_key *emu_current(const struct emu *e, const struct emu_table *t)
{
    struct ao_connection_keys keys;

    if (emu_connection(e, t, &keys) && keys.conn.current_known)
        return emu_key_by_number(t, keys.conn.current_key);
    return t->current_known ? emu_key_by_number(t, t->current) : NULL;
}

struct emu_key *emu_rnext(const struct emu *e, const struct emu_table *t)
{
    struct ao_connection_keys keys;

    if (emu_connection(e, t, &keys) && keys.conn.rnext_known)
        return emu_key_by_number(t, keys.conn.rnext_key);
    return t->rnext_known ? emu_key_by_number(t, t->rnext) : NULL;
}

static void change(struct emu *e, struct gh_now now, const struct emu_table *t,
                   const struct ao_keys_change *c)
{
    struct ao_connection_keys keys;

    if (emu_connection(e, t, &keys))
        ao_engine_change_keys(e->settings.engine, now, t->zone, &t->local, &t->remote, c);
}

void emu_set_current(struct emu *e, struct gh_now now, struct emu_table *t, struct emu_key *k)
{
    const struct ao_keys_change c = {.set_current = true, .current_key = k->number};

    t->current_known = true;
    t->current = k->number;
    change(e, now, t, &c);
}

void emu_set_rnext(struct emu *e, struct gh_now now, struct emu_table *t, struct emu_key *k)
{
    const struct ao_keys_change c = {.set_rnext = true, .rnext_key = k->number};

    t->rnext_known = true;
    t->rnext = k->number;
    change(e, now, t, &c);
}

void emu_set_accept_icmps(struct emu *e, struct gh_now now, struct emu_table *t, bool accept)
{
    const struct ao_keys_change c = {.set_accept_icmp = true, .accept_icmp = accept};

    t->accept_icmps = accept;
    change(e, now, t, &c);
}

bool emu_keys_changed(struct emu *e, struct gh_now now, struct emu_table *t)
{
    struct ao_connection_keys keys;
    struct ao_keys_change c = {.chain = NULL};
    bool ok = true;

    if (emu_connection(e, t, &keys)) {
        c.chain = emu_chain_of(t);
        ok = c.chain != NULL &&
             ao_engine_change_keys(e->settings.engine, now, t->zone, &t->local, &t->remote, &c);
        tcpao_chain_put(c.chain);
    }
    ok = ok && emu_flows_update(e, now, t);
    if (ok)
        emu_keep(e, t);
    return ok;
}

/* ---- Counters ------------------------------------------------------------------------------- */

void emu_linux_counters(const uint64_t *counters, uint64_t out[5])
{
    out[0] += counters[TCPAO_OK];
    out[1] += counters[TCPAO_BAD_MAC] + counters[TCPAO_BAD_LENGTH] + counters[TCPAO_OLD_SEQUENCE];
    out[2] += counters[TCPAO_UNKNOWN_KEYID] + counters[AO_COUNT_UNEXPECTED_AO];
    out[3] += counters[TCPAO_MISSING_AO];
    out[4] += counters[AO_COUNT_ICMP_IGNORED];
}

/* Adds up what the engine counted for a table; for one key, or (keys) for all. */
struct tally {
    struct emu_table *table; /* or NULL: not for all keys */
    const struct emu_key *key;
    uint64_t counters[5], good, bad;
    bool listener, minus;
};

static void tally_key(struct tally *a, uint32_t number, const struct ao_key_counters *counted)
{
    struct emu_key *k = a->table != NULL ? emu_key_by_number(a->table, number) : NULL;

    if (a->key != NULL && a->key->number == number) {
        a->good += counted->good_in;
        a->bad += counted->bad_in;
    }
    if (k != NULL) {
        k->good += a->minus ? 0 - counted->good_in : counted->good_in;
        k->bad += a->minus ? 0 - counted->bad_in : counted->bad_in;
    }
}

static void tally_flow(void *ctx, const struct ao_flow_counters *view)
{
    struct tally *a = ctx;

    emu_linux_counters(view->counters, a->counters);
    for (size_t i = 0; i < view->key_count; i++) {
        uint32_t number = tcpao_chain_at(view->chain, i)->number;

        tally_key(a, a->listener ? emu_turned(number) : number, &view->keys[i]);
    }
}

static void tally(const struct emu *e, const struct emu_table *t, struct tally *a)
{
    struct ao_connection_keys keys;

    a->listener = t->role == EMU_LISTENS;
    if (t->flowing) {
        ao_engine_each_flow(e->settings.engine, t->cookie, tally_flow, a);
    } else if (emu_connection(e, t, &keys)) {
        emu_linux_counters(keys.counters, a->counters);
        for (size_t i = 0; i < keys.key_count; i++)
            tally_key(a, tcpao_chain_at(keys.chain, i)->number, &keys.keys[i]);
    }
}

void emu_read_counters(const struct emu *e, const struct emu_table *t, uint64_t out[5])
{
    struct tally a = {.table = NULL};

    tally(e, t, &a);
    for (size_t i = 0; i < 5; i++)
        out[i] = t->counters[i] + a.counters[i];
}

void emu_write_counters(const struct emu *e, struct emu_table *t, const uint64_t values[5])
{
    struct tally a = {.table = NULL};

    tally(e, t, &a);
    for (size_t i = 0; i < 5; i++)
        t->counters[i] = values[i] - a.counters[i];
}

void emu_key_counters(const struct emu *e, const struct emu_table *t, const struct emu_key *k,
                      uint64_t *good, uint64_t *bad)
{
    struct tally a = {.key = k};

    tally(e, t, &a);
    *good = k->good + a.good;
    *bad = k->bad + a.bad;
}

static void fold(const struct emu *e, struct emu_table *t, bool minus)
{
    struct tally a = {.table = t, .minus = minus};

    tally(e, t, &a);
    for (size_t i = 0; i < 5; i++)
        t->counters[i] += minus ? 0 - a.counters[i] : a.counters[i];
}

void emu_fold_counters(const struct emu *e, struct emu_table *t)
{
    fold(e, t, false);
}

void emu_unfold_counters(const struct emu *e, struct emu_table *t)
{
    fold(e, t, true);
}

/* ---- Repair --------------------------------------------------------------------------------- */

int emu_repair_set(struct emu *e, struct gh_now now, struct emu_table *t, const struct emu_facts *f,
                   const struct emu_repair *image)
{
    const struct emu_key *current = emu_current(e, t), *rnext = emu_rnext(e, t);
    struct ao_adoption a = {.zone = t->zone,
                            .local = t->local,
                            .remote = t->remote,
                            .state = AO_STATE_ESTABLISHED,
                            .active = true,
                            .manual = true,
                            .conn = {.local_isn_known = true,
                                     .remote_isn_known = true,
                                     .local_isn = image->snt_isn,
                                     .remote_isn = image->rcv_isn,
                                     .snd.highest = (uint64_t)image->snd_sne << 32 | f->snd_una,
                                     .rcv.highest = (uint64_t)image->rcv_sne << 32 | f->rcv_nxt}};
    enum ao_adopt_result r;

    t->repair = *image;
    if (t->role != EMU_CONNECTS || current == NULL || rnext == NULL) {
        emu_keep(e, t);
        return 0;
    }
    a.conn.current_known = a.conn.rnext_known = true;
    a.conn.current_key = t->current = current->number;
    a.conn.rnext_key = t->rnext = rnext->number;
    t->current_known = t->rnext_known = true;
    a.chain = emu_chain_of(t);
    if (a.chain == NULL)
        return ENOMEM;
    t->child = false; /* the engine adopts it under a flow of its own */
    r = emu_flows_update(e, now, t) ? ao_engine_adopt(e->settings.engine, now, &a) : AO_ADOPT_FULL;
    tcpao_chain_put(a.chain);
    emu_keep(e, t);
    return r == AO_ADOPTED ? 0 : ENOMEM;
}

/* Linux extends SND.UNA and RCV.NXT, the engine the highest segments; they differ around a turn. */
static uint32_t extension(const struct tcpao_sne *s, bool known, uint32_t seq)
{
    uint64_t extended;

    if (known && tcpao_sne_extend(s, seq, &extended))
        return (uint32_t)(extended >> 32);
    return (uint32_t)(s->highest >> 32);
}

void emu_repair_get(const struct emu *e, const struct emu_table *t, const struct emu_facts *f,
                    struct emu_repair *image)
{
    bool ends_known = f->repair && f->state == EMU_CONNECTED;
    struct ao_connection_keys keys;

    *image = t->repair;
    if (!emu_connection(e, t, &keys))
        return;
    image->snt_isn = keys.conn.local_isn;
    image->rcv_isn = keys.conn.remote_isn;
    image->snd_sne = extension(&keys.conn.snd, ends_known, f->snd_una);
    image->rcv_sne = extension(&keys.conn.rcv, ends_known, f->rcv_nxt);
}
