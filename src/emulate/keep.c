/*
 * What a successor needs to carry a socket on: its table, with the keys' secrets. Ours alone, so
 * the integers are in network byte order; the version says how to read the rest.
 */
#include "emulate/emulate_priv.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/secret.h"
#include "wire/rd.h"
#include "wire/wr.h"

enum {
    VERSION = 1, /* never 0: that is the kernel backend's mark */
    KEY_ROOM = 256,
    MD5_ROOM = 32,
    TABLE_ROOM = 512
};

enum flag {
    HAS_AO = 1 << 0,
    AO_REQUIRED_FLAG = 1 << 1,
    ACCEPT_ICMPS = 1 << 2,
    IPV6 = 1 << 3,
    V6ONLY = 1 << 4,
    CURRENT_KNOWN = 1 << 5,
    RNEXT_KNOWN = 1 << 6
};

/* ---- Writing -------------------------------------------------------------------------------- */

static void put_addr(struct gh_wr *w, const struct gh_addr *a)
{
    gh_wr_u8(w, a->len);
    gh_wr_bytes(w, a->octets, a->len);
}

static void put_text(struct gh_wr *w, const char *text)
{
    size_t len = strlen(text);

    gh_wr_u8(w, len);
    gh_wr_bytes(w, text, len);
}

static void put_key(struct gh_wr *w, const struct emu_key *k)
{
    gh_wr_u32(w, k->number);
    put_addr(w, &k->scope.addr);
    gh_wr_u8(w, k->scope.bits);
    gh_wr_u8(w, k->scope.flags);
    gh_wr_u32(w, k->scope.ifindex);
    gh_wr_u8(w, k->send_id);
    gh_wr_u8(w, k->recv_id);
    gh_wr_u8(w, k->mac_len);
    gh_wr_u8(w, (uint64_t)k->alg);
    gh_wr_u8(w, k->key_len);
    gh_wr_bytes(w, k->key, k->key_len);
}

static void put_md5(struct gh_wr *w, const struct emu_md5_key *k)
{
    put_addr(w, &k->addr);
    gh_wr_u8(w, k->bits);
    gh_wr_u8(w, k->ifindex_meant);
    gh_wr_u32(w, k->ifindex);
}

static void put_table(struct gh_wr *w, const struct emu_table *t, size_t keys, size_t md5)
{
    gh_wr_u8(w, VERSION);
    gh_wr_u16(w, t->zone);
    put_text(w, t->zone_name);
    put_text(w, t->program);
    gh_wr_u8(w, (t->has_ao ? HAS_AO : 0) | (t->ao_required ? AO_REQUIRED_FLAG : 0) |
                    (t->accept_icmps ? ACCEPT_ICMPS : 0) | (t->ipv6 ? IPV6 : 0) |
                    (t->v6only ? V6ONLY : 0) | (t->current_known ? CURRENT_KNOWN : 0) |
                    (t->rnext_known ? RNEXT_KNOWN : 0));
    gh_wr_u8(w, (uint64_t)t->role);
    gh_wr_u32(w, t->vrf);
    ao_endpoint_put(w, &t->local);
    ao_endpoint_put(w, &t->remote);
    gh_wr_u32(w, t->current);
    gh_wr_u32(w, t->rnext);
    gh_wr_u32(w, t->repair.snt_isn);
    gh_wr_u32(w, t->repair.rcv_isn);
    gh_wr_u32(w, t->repair.snd_sne);
    gh_wr_u32(w, t->repair.rcv_sne);
    gh_wr_u32(w, keys);
    for (const struct emu_key *k = t->keys; k != NULL; k = k->next)
        put_key(w, k);
    gh_wr_u32(w, md5);
    for (const struct emu_md5_key *k = t->md5; k != NULL; k = k->next)
        put_md5(w, k);
}

void emu_keep(const struct emu *e, const struct emu_table *t)
{
    size_t keys = 0, md5 = 0, size;
    struct gh_wr w;
    uint8_t *mem;

    for (const struct emu_key *k = t->keys; k != NULL; k = k->next)
        keys++;
    for (const struct emu_md5_key *k = t->md5; k != NULL; k = k->next)
        md5++;
    if (!t->has_ao && md5 == 0) {
        e->settings.keep(e->settings.ctx, t->cookie, NULL, 0);
        return;
    }
    size = TABLE_ROOM + keys * KEY_ROOM + md5 * MD5_ROOM;
    mem = malloc(size);
    if (mem == NULL)
        return; /* a successor knows an earlier state */
    w = gh_wr_make(mem, size);
    put_table(&w, t, keys, md5);
    if (gh_wr_ok(&w))
        e->settings.keep(e->settings.ctx, t->cookie, mem, w.len);
    gh_wipe(mem, size);
    free(mem);
}

/* ---- Reading -------------------------------------------------------------------------------- */

static void take_addr(struct gh_rd *r, struct gh_addr *out)
{
    uint8_t len = gh_rd_u8(r);
    const uint8_t *octets = len == 4 || len == 16 ? gh_rd_bytes(r, len) : NULL;

    if (octets != NULL)
        *out = gh_addr_from(octets, len);
    else
        r->bad = true;
}

static void take_text(struct gh_rd *r, char out[EMU_TEXT])
{
    size_t len = gh_rd_u8(r);

    if (len >= EMU_TEXT) {
        r->bad = true;
        return;
    }
    gh_rd_copy(r, out, len);
    out[len] = '\0';
    r->bad |= strlen(out) != len;
}

static bool scope_sane(const struct emu_scope *s)
{
    return s->bits <= 8 * s->addr.len && gh_host_bits_clear(s->addr.octets, s->addr.len, s->bits);
}

static bool key_sane(const struct emu_key *k)
{
    size_t longest = tcpao_mac_len_max(k->alg);

    return longest != 0 && k->mac_len >= TCPAO_MAC_MIN && k->mac_len <= longest &&
           tcpao_option_space(k->mac_len) <= EMU_SYN_ROOM && scope_sane(&k->scope) &&
           (k->scope.bits == 0) == gh_addr_is_any(&k->scope.addr);
}

static bool take_key(struct gh_rd *r, struct emu_table *t, struct emu_key **at)
{
    struct emu_key *k = calloc(1, sizeof(*k));

    if (k == NULL)
        return false;
    k->number = gh_rd_u32(r);
    take_addr(r, &k->scope.addr);
    k->scope.bits = gh_rd_u8(r);
    k->scope.flags = gh_rd_u8(r);
    k->scope.ifindex = gh_rd_u32(r);
    k->send_id = gh_rd_u8(r);
    k->recv_id = gh_rd_u8(r);
    k->mac_len = gh_rd_u8(r);
    k->alg = (enum tcpao_alg)gh_rd_u8(r);
    k->key_len = gh_rd_u8(r);
    if (k->key_len <= EMU_KEY_MAX)
        gh_rd_copy(r, k->key, k->key_len);
    if (r->bad || k->key_len > EMU_KEY_MAX || !key_sane(k) ||
        emu_key_by_number(t, k->number) != NULL) {
        emu_key_free(k);
        return false;
    }
    emu_key_insert(t, at, k);
    return true;
}

static bool take_keys(struct gh_rd *r, struct emu_table *t)
{
    struct emu_key **at = &t->keys;

    for (uint32_t n = gh_rd_u32(r); n > 0; n--) {
        if (!take_key(r, t, at))
            return false;
        at = &(*at)->next;
    }
    return true;
}

static bool take_md5(struct gh_rd *r, struct emu_table *t)
{
    struct emu_md5_key **at = &t->md5, *k;

    for (uint32_t n = gh_rd_u32(r); n > 0; n--) {
        k = calloc(1, sizeof(*k));
        if (k == NULL)
            return false;
        take_addr(r, &k->addr);
        k->bits = gh_rd_u8(r);
        k->ifindex_meant = gh_rd_u8(r) != 0;
        k->ifindex = gh_rd_u32(r);
        if (r->bad || k->bits > 8 * k->addr.len) {
            free(k);
            return false;
        }
        *at = k;
        at = &k->next;
    }
    return true;
}

static bool take_table(struct gh_rd *r, struct emu_table *t)
{
    uint8_t version = gh_rd_u8(r), flags, role;

    if (version != VERSION)
        return false;
    t->zone = gh_rd_u16(r);
    take_text(r, t->zone_name);
    take_text(r, t->program);
    flags = gh_rd_u8(r);
    t->has_ao = (flags & HAS_AO) != 0;
    t->ao_required = (flags & AO_REQUIRED_FLAG) != 0;
    t->accept_icmps = (flags & ACCEPT_ICMPS) != 0;
    t->ipv6 = (flags & IPV6) != 0;
    t->v6only = (flags & V6ONLY) != 0;
    t->current_known = (flags & CURRENT_KNOWN) != 0;
    t->rnext_known = (flags & RNEXT_KNOWN) != 0;
    role = gh_rd_u8(r);
    if (role > EMU_CONNECTS)
        return false;
    t->role = (enum emu_role)role;
    t->vrf = gh_rd_u32(r);
    t->local = ao_endpoint_take(r);
    t->remote = ao_endpoint_take(r);
    t->current = gh_rd_u32(r);
    t->rnext = gh_rd_u32(r);
    t->repair.snt_isn = gh_rd_u32(r);
    t->repair.rcv_isn = gh_rd_u32(r);
    t->repair.snd_sne = gh_rd_u32(r);
    t->repair.rcv_sne = gh_rd_u32(r);
    if (!take_keys(r, t) || !take_md5(r, t) || !gh_rd_done(r))
        return false;
    t->current_known &= emu_key_by_number(t, t->current) != NULL;
    t->rnext_known &= emu_key_by_number(t, t->rnext) != NULL;
    return t->has_ao || t->keys == NULL;
}

/* New keys get numbers that none has. */
static void count_on(struct emu *e, const struct emu_table *t)
{
    for (const struct emu_key *k = t->keys; k != NULL; k = k->next) {
        uint32_t number = k->number <= UINT32_MAX / 2 ? k->number : emu_turned(k->number);

        if (number > e->last_number)
            e->last_number = number;
    }
}

bool emu_restore(struct emu *e, struct gh_now now, uint64_t cookie, const uint8_t *data, size_t len)
{
    struct gh_rd r = gh_rd_make(data, len);
    struct emu_table *t;

    if (emu_find(e, cookie) != NULL)
        return false;
    t = emu_table_add(e, cookie);
    if (t == NULL)
        return false;
    if (!take_table(&r, t)) {
        t->role = EMU_IDLE;
        emu_table_remove(e, t);
        return false;
    }
    count_on(e, t);
    if (t->local.addr_len != 0)
        t->flow_local = gh_addr_from(t->local.addr, t->local.addr_len);
    /* The engine finds its connection again, also a listener's child, by a flow of its own. */
    return emu_flows_update(e, now, t);
}
