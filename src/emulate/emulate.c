/* The emulation's life, and the moments of a socket's: connect, listen, accept, end. */
#include "emulate/emulate_priv.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct emu *emu_new(const struct emu_settings *s)
{
    struct emu *e = calloc(1, sizeof(*e));

    if (e != NULL)
        e->settings = *s;
    return e;
}

static void remove_table(void *ctx, struct emu_table *t)
{
    struct emu *e = ctx;

    t->role = EMU_IDLE; /* no one will ask whose its keys were */
    emu_table_remove(e, t);
}

void emu_free(struct emu *e)
{
    if (e == NULL)
        return;
    emu_each_table(e, remove_table, e);
    free(e->buckets);
    free(e->origins);
    free(e);
}

/* ---- Options -------------------------------------------------------------------------------- */

int emu_setsockopt(struct emu *e, struct gh_now now, const struct emu_facts *f, int option,
                   const uint8_t *value, size_t len)
{
    switch (option) {
    case EMU_TCP_MD5SIG:
    case EMU_TCP_MD5SIG_EXT:
        return emu_md5_set(e, now, f, option, value, len);
    case EMU_TCP_AO_ADD_KEY:
    case EMU_TCP_AO_DEL_KEY:
    case EMU_TCP_AO_INFO:
    case EMU_TCP_AO_REPAIR:
        return emu_set_ao(e, now, f, option, value, len);
    default:
        return ENOPROTOOPT;
    }
}

int emu_getsockopt(struct emu *e, struct gh_now now, const struct emu_facts *f, int option,
                   uint8_t *value, size_t room, size_t *len, size_t *reported)
{
    return emu_get_ao(e, now, f, option, value, room, len, reported);
}

bool emu_knows(const struct emu *e, const struct emu_facts *f)
{
    const struct emu_table *t = emu_find(e, f->cookie);
    struct ao_connection_keys keys;

    if (t != NULL)
        return t->has_ao;
    return f->state == EMU_CONNECTED && !f->opening && f->local.addr_len != 0 &&
           f->remote.addr_len != 0 &&
           ao_engine_get_keys(e->settings.engine, f->zone, &f->local, &f->remote, &keys) &&
           keys.keys != NULL;
}

bool emu_remembers(const struct emu *e, uint64_t cookie)
{
    return emu_find(e, cookie) != NULL;
}

void emu_note(struct emu *e, struct gh_now now, const struct emu_facts *f)
{
    int error;

    emu_table_of(e, now, f, &error);
}

/* ---- connect() ------------------------------------------------------------------------------ */

/* connect() to the any address goes to the host itself. */
static struct tcpao_endpoint real_peer(const struct emu_facts *f, const struct tcpao_endpoint *peer)
{
    struct tcpao_endpoint p = *peer;

    if (p.addr_len != 0)
        return p;
    if (f->ipv6 && f->local.addr_len != 4) {
        p.addr_len = 16;
        p.addr[15] = 1;
    } else {
        p.addr_len = 4;
        p.addr[0] = 127;
        p.addr[3] = 1;
    }
    return p;
}

enum side { SIDE_NONE, SIDE_MD5, SIDE_AO, SIDE_REFUSED };

static enum side choose(const struct emu_table *t, const struct gh_addr *peer)
{
    bool key = t->has_ao && emu_lookup(t, t->vrf, peer, UINT8_MAX, -1, -1) != NULL;
    bool ao = key || (t->has_ao && t->ao_required);
    bool md5 = emu_md5_lookup(t, t->vrf, peer);

    if (md5)
        return ao ? SIDE_REFUSED : SIDE_MD5;
    if (t->has_ao)
        return key ? SIDE_AO : SIDE_REFUSED;
    return SIDE_NONE;
}

static void drop_unmatched(struct emu *e, struct emu_table *t, const struct gh_addr *peer)
{
    for (struct emu_key *k = t->keys, *next; k != NULL; k = next) {
        next = k->next;
        if (!emu_scope_matches(&k->scope, t->vrf, peer, k->scope.bits))
            emu_key_drop(e, t, k);
    }
}

static int begin(struct emu *e, struct gh_now now, struct emu_table *t, const struct emu_facts *f,
                 const struct tcpao_endpoint *remote, const struct gh_addr *peer)
{
    t->role = EMU_CONNECTS;
    t->child = false;
    emu_place(t, f);
    t->remote = *remote;
    emu_md5_clear(t);
    drop_unmatched(e, t, peer);
    if (!t->current_known) {
        t->current_known = true;
        t->current = t->keys->number;
    }
    if (!t->rnext_known) {
        t->rnext_known = true;
        t->rnext = t->keys->number;
    }
    if (!emu_flows_update(e, now, t))
        return ENOMEM;
    emu_keep(e, t);
    return 0;
}

/* The peer has a TCP-MD5 key and no key of ours: the connection is the kernel's alone. */
static void leave_to_md5(struct emu *e, struct gh_now now, struct emu_table *t)
{
    t->role = EMU_IDLE;
    emu_table_clear_ao(e, t);
    emu_flows_update(e, now, t);
    emu_keep(e, t);
}

int emu_connect(struct emu *e, struct gh_now now, const struct emu_facts *f,
                const struct tcpao_endpoint *peer, bool *bind_first)
{
    struct tcpao_endpoint remote = real_peer(f, peer);
    struct gh_addr addr = gh_addr_from(remote.addr, remote.addr_len);
    struct emu_table *t = emu_find(e, f->cookie);

    *bind_first = false;
    if (t == NULL || f->state != EMU_CLOSED)
        return 0;
    emu_refresh(e, t, f);
    switch (choose(t, &addr)) {
    case SIDE_NONE:
        return 0;
    case SIDE_REFUSED:
        return EKEYREJECTED;
    case SIDE_MD5:
        if (t->has_ao)
            leave_to_md5(e, now, t);
        return 0;
    case SIDE_AO:
        break;
    }
    if (f->local.port == 0) {
        *bind_first = true;
        return 0;
    }
    return begin(e, now, t, f, &remote, &addr);
}

/* ---- listen(), close() ---------------------------------------------------------------------- */

int emu_listen(struct emu *e, struct gh_now now, const struct emu_facts *f, bool *bind_first)
{
    struct emu_table *t = emu_find(e, f->cookie);
    struct emu_facts listening = *f;
    int error;

    *bind_first = false;
    if (t == NULL || !t->has_ao || f->state != EMU_CLOSED)
        return 0;
    if (f->local.port == 0) {
        *bind_first = true;
        return 0;
    }
    listening.state = EMU_LISTEN;
    emu_table_of(e, now, &listening, &error);
    return error;
}

void emu_gone(struct emu *e, struct gh_now now, uint64_t cookie)
{
    struct emu_table *t = emu_find(e, cookie);

    if (t == NULL)
        return;
    if (t->repair_on && t->role == EMU_CONNECTS)
        ao_engine_release(e->settings.engine, t->zone, &t->local, &t->remote);
    if (t->flowing) {
        ao_engine_set_socket(e->settings.engine, now, cookie, NULL, 0);
        e->settings.flows_changed(e->settings.ctx, t->zone);
    }
    emu_table_remove(e, t);
    e->settings.keep(e->settings.ctx, cookie, NULL, 0);
}

/* ---- Counters ------------------------------------------------------------------------------- */

void emu_counters(const struct emu *e, uint16_t zone, uint64_t out[5])
{
    const uint64_t *counters = ao_engine_zone_counters(e->settings.engine, zone);

    memset(out, 0, 5 * sizeof(out[0]));
    if (counters != NULL)
        emu_linux_counters(counters, out);
}
