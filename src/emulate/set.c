/*
 * setsockopt(): TCP_AO_ADD_KEY, TCP_AO_DEL_KEY, TCP_AO_INFO, TCP_AO_REPAIR. What is checked first
 * decides which error a program sees, so the order of the checks is Linux's.
 */
#include "emulate/emulate_priv.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "base/secret.h"

/* One call, and what it is about. */
struct call {
    struct emu *e;
    struct gh_now now;
    const struct emu_facts *f;
    struct emu_table *t; /* NULL: nothing is known of the socket */
};

static bool has_ao(const struct call *c)
{
    return c->t != NULL && c->t->has_ao;
}

/* There are no current and rnext keys on a listener. */
static bool sets_on_listener(const struct call *c, bool current, bool rnext)
{
    return (current || rnext) && c->f->state == EMU_LISTEN;
}

/* The table, with TCP-AO from now on. False: no memory. */
static bool open_ao(struct call *c)
{
    bool known = has_ao(c);

    if (c->t == NULL)
        c->t = emu_table_add(c->e, c->f->cookie);
    if (c->t == NULL)
        return false;
    emu_refresh(c->e, c->t, c->f);
    c->t->has_ao = true;
    if (c->f->state == EMU_LISTEN)
        c->t->role = EMU_LISTENS;
    else if (c->f->state == EMU_CONNECTED)
        c->t->role = EMU_CONNECTS;
    if (c->f->state != EMU_CLOSED && !known)
        emu_place(c->t, c->f);
    return true;
}

/* Undoes open_ao() of a call that failed. */
static void close_ao(struct call *c)
{
    c->t->has_ao = false;
    if (c->t->md5 == NULL)
        emu_table_remove(c->e, c->t);
    c->t = NULL;
}

/* ---- TCP_AO_ADD_KEY: the peer --------------------------------------------------------------- */

static bool good_ipv4(const uint8_t addr[4], unsigned prefix)
{
    return !gh_host_bits_clear(addr, 4, 0) && prefix <= 32 && gh_host_bits_clear(addr, 4, prefix);
}

/* The key must cover the peer of a connected socket. */
static bool covers_peer(const struct emu_facts *f, const struct gh_addr *addr, unsigned prefix)
{
    uint8_t remote[16] = {0};

    if (gh_host_bits_clear(f->remote.addr, f->remote.addr_len, 0)) /* any, or none */
        return true;
    if (f->remote.addr_len == addr->len)
        return gh_bits_equal(f->remote.addr, addr->octets, prefix);
    if (addr->len == 4)
        return false;
    remote[10] = remote[11] = 0xff; /* an IPv6 socket connected over IPv4 */
    memcpy(remote + 12, f->remote.addr, 4);
    return gh_bits_equal(remote, addr->octets, prefix);
}

static int add_ipv4(const struct emu_facts *f, const struct emu_add *cmd, struct emu_scope *out)
{
    if (cmd->addr.family != AF_INET || cmd->addr.port != 0)
        return EINVAL;
    out->addr = gh_addr_from(cmd->addr.v4, 4);
    if (cmd->prefix == 0)
        return gh_addr_is_any(&out->addr) ? 0 : EINVAL;
    return good_ipv4(cmd->addr.v4, cmd->prefix) && covers_peer(f, &out->addr, cmd->prefix) ? 0
                                                                                           : EINVAL;
}

static int add_ipv6(const struct emu_facts *f, const struct emu_add *cmd, struct emu_scope *out)
{
    bool mapped = gh_addr_is_mapped(cmd->addr.v6);

    if (cmd->addr.family != AF_INET6 || cmd->addr.port != 0)
        return EINVAL;
    out->addr = gh_addr_from(cmd->addr.v6, 16);
    if (cmd->prefix == 0)
        return gh_addr_is_any(&out->addr) ? 0 : EINVAL;
    if (mapped) {
        out->addr = gh_addr_from_v6(cmd->addr.v6);
        if (!good_ipv4(out->addr.octets, cmd->prefix))
            return EINVAL;
    } else if (gh_addr_is_any(&out->addr) || cmd->prefix > 128 ||
               !gh_host_bits_clear(cmd->addr.v6, 16, cmd->prefix)) {
        return EINVAL;
    }
    return covers_peer(f, &out->addr, cmd->prefix) ? 0 : EINVAL;
}

static int add_scope(const struct call *c, const struct emu_add *cmd, struct emu_scope *out)
{
    int error = c->f->ipv6 ? add_ipv6(c->f, cmd, out) : add_ipv4(c->f, cmd, out);

    if (error != 0)
        return error;
    out->bits = cmd->prefix;
    out->flags = cmd->flags;
    if (cmd->flags & ~(EMU_KEYF_IFINDEX | EMU_KEYF_EXCLUDE_OPT))
        return EINVAL;
    if (sets_on_listener(c, cmd->set_current, cmd->set_rnext))
        return EINVAL;
    if (cmd->ifindex == 0)
        return 0;
    out->ifindex = (uint32_t)cmd->ifindex;
    if (!(cmd->flags & EMU_KEYF_IFINDEX) ||
        !c->e->settings.is_vrf(c->e->settings.ctx, c->f->zone, out->ifindex))
        return EINVAL;
    return c->f->state == EMU_CONNECTED && c->f->bound_ifindex != out->ifindex ? EINVAL : 0;
}

/* ---- TCP_AO_ADD_KEY: the key ---------------------------------------------------------------- */

static bool find_alg(const struct emu_add *cmd, enum tcpao_alg *out)
{
    static const struct {
        const char *name;
        enum tcpao_alg alg;
    } algs[] = {{"hmac(sha1)", TCPAO_HMAC_SHA_1},
                {"hmac(sha256)", TCPAO_HMAC_SHA_256},
                {"cmac(aes128)", TCPAO_AES_128_CMAC}};

    if (strcmp(cmd->alg, "cmac(aes)") == 0 && cmd->key_len == GH_MAC_AES_KEY) {
        *out = TCPAO_AES_128_CMAC;
        return true;
    }
    for (size_t i = 0; i < sizeof(algs) / sizeof(algs[0]); i++) {
        if (strcmp(cmd->alg, algs[i].name) == 0) {
            *out = algs[i].alg;
            return true;
        }
    }
    return false;
}

/* RFC 5926 3.1.1.2: AES-128 takes 16 octets; others are condensed, and Linux keeps the result. */
static bool condense(const struct emu_add *cmd, struct emu_key *k)
{
    static const uint8_t zero[GH_MAC_AES_KEY];
    struct gh_mac_key extractor = {.alg = GH_MAC_NONE};
    uint8_t tag[GH_MAC_TAG_MAX];
    struct gh_mac m;
    bool ok = gh_mac_key_set(&extractor, GH_MAC_AES_128_CMAC, zero, sizeof(zero));

    if (ok) {
        gh_mac_init(&m, &extractor);
        gh_mac_update(&m, cmd->key, cmd->key_len);
        ok = gh_mac_final(&m, tag);
    }
    gh_mac_key_clear(&extractor);
    memcpy(k->key, tag, GH_MAC_AES_KEY);
    k->key_len = GH_MAC_AES_KEY;
    gh_wipe(tag, sizeof(tag));
    return ok;
}

static int fill_key(const struct emu_add *cmd, struct emu_key *k)
{
    k->send_id = cmd->send_id;
    k->recv_id = cmd->recv_id;
    k->mac_len = cmd->mac_len != 0 ? cmd->mac_len : 12;
    if (tcpao_option_space(k->mac_len) > EMU_SYN_ROOM)
        return EMSGSIZE;
    if (k->alg == TCPAO_AES_128_CMAC && cmd->key_len != GH_MAC_AES_KEY) {
        if (!condense(cmd, k))
            return ENOMEM;
    } else {
        memcpy(k->key, cmd->key, cmd->key_len);
        k->key_len = cmd->key_len;
    }
    return k->mac_len > tcpao_mac_len_max(k->alg) ? EINVAL : 0;
}

/* The same ids for an overlapping peer. */
static bool exists(const struct call *c, const struct emu_scope *s, const struct emu_add *cmd)
{
    return has_ao(c) &&
           (emu_lookup(c->t, s->ifindex, &s->addr, s->bits, -1, cmd->recv_id) != NULL ||
            emu_lookup(c->t, s->ifindex, &s->addr, s->bits, cmd->send_id, -1) != NULL);
}

/* The key is complete: it joins the table and the engine. */
static int join(struct call *c, struct emu_key *k, const struct emu_add *cmd)
{
    bool first = !has_ao(c);

    if (!open_ao(c))
        return ENOMEM;
    emu_key_link(c->t, k);
    if (first && c->f->state == EMU_CONNECTED) {
        c->t->current_known = c->t->rnext_known = true;
        c->t->current = c->t->rnext = k->number;
    }
    if (!emu_keys_changed(c->e, c->now, c->t)) {
        emu_key_unlink(c->t, k);
        if (first)
            close_ao(c);
        return ENOMEM;
    }
    if (cmd->set_current)
        emu_set_current(c->e, c->now, c->t, k);
    if (cmd->set_rnext)
        emu_set_rnext(c->e, c->now, c->t, k);
    if (cmd->set_current || cmd->set_rnext)
        emu_keep(c->e, c->t);
    return 0;
}

static int add_checked(struct call *c, const struct emu_add *cmd)
{
    struct emu_scope scope = {.bits = 0};
    int error = add_scope(c, cmd, &scope);
    enum tcpao_alg alg;
    struct emu_key *k;
    int64_t vrf;

    if (error != 0)
        return error;
    vrf = scope.flags & EMU_KEYF_IFINDEX ? (int64_t)scope.ifindex : -1;
    if (c->t != NULL && emu_md5_lookup(c->t, vrf, &scope.addr))
        return EKEYREJECTED;
    if (exists(c, &scope, cmd))
        return EEXIST;
    if (!find_alg(cmd, &alg))
        return ENOENT;
    k = emu_key_new(c->e);
    if (k == NULL)
        return ENOMEM;
    k->alg = alg;
    k->scope = scope;
    if ((c->t != NULL ? emu_table_charge(c->t) : 0) + emu_key_charge(k) >= c->f->optmem_left)
        error = ENOMEM;
    if (error == 0)
        error = fill_key(cmd, k);
    if (error == 0)
        error = join(c, k, cmd);
    if (error != 0)
        emu_key_free(k);
    return error;
}

static int add_key(struct call *c, const uint8_t *octets)
{
    struct emu_add cmd;
    int error;

    emu_read_add(octets, &cmd);
    error = cmd.key_len > EMU_KEY_MAX || cmd.reserved ? EINVAL : add_checked(c, &cmd);
    gh_wipe(&cmd, sizeof(cmd));
    return error;
}

/* ---- TCP_AO_DEL_KEY ------------------------------------------------------------------------- */

/* It goes from the engine first: a key that is no more must not be accepted. */
static int leave(struct call *c, struct emu_key *k)
{
    struct emu_key **at = &c->t->keys;

    while (*at != k)
        at = &(*at)->next;
    emu_key_unlink(c->t, k);
    if (!emu_keys_changed(c->e, c->now, c->t)) {
        emu_key_insert(c->t, at, k);
        return ENOMEM;
    }
    emu_key_retire(c->e, c->t, k);
    return 0;
}

static int delete_key(struct call *c, struct emu_key *k, bool async, struct emu_key *current,
                      struct emu_key *rnext)
{
    struct emu_table *t = c->t;

    if (!async && current != NULL)
        emu_set_current(c->e, c->now, t, current);
    if (!async && rnext != NULL)
        emu_set_rnext(c->e, c->now, t, rnext);
    if (!async && (emu_current(c->e, t) == k || emu_rnext(c->e, t) == k)) {
        emu_key_unlink(t, k); /* Linux puts it back as the first */
        emu_key_link(t, k);
        emu_keep(c->e, t);
        return EBUSY;
    }
    return leave(c, k);
}

static bool is_named(const struct emu_key *k, const struct emu_del *cmd, const struct gh_addr *addr)
{
    uint32_t ifindex = cmd->flags & EMU_KEYF_IFINDEX ? (uint32_t)cmd->ifindex : 0;

    return k->send_id == cmd->send_id && k->recv_id == cmd->recv_id &&
           k->scope.bits == cmd->prefix && gh_addr_equal(&k->scope.addr, addr) &&
           (k->scope.flags & EMU_KEYF_IFINDEX) == (cmd->flags & EMU_KEYF_IFINDEX) &&
           k->scope.ifindex == ifindex;
}

static int delete_named(struct call *c, const struct emu_del *cmd)
{
    struct gh_addr addr =
        c->f->ipv6 ? gh_addr_from_v6(cmd->addr.v6) : gh_addr_from(cmd->addr.v4, 4);
    struct emu_key *current = NULL, *rnext = NULL;

    if (cmd->set_current) {
        current = emu_key_by_ids(c->t, cmd->current, -1);
        if (current == NULL)
            return ENOENT;
    }
    if (cmd->set_rnext) {
        rnext = emu_key_by_ids(c->t, -1, cmd->rnext);
        if (rnext == NULL)
            return ENOENT;
    }
    if ((cmd->async && c->f->state != EMU_LISTEN) || cmd->addr.port != 0)
        return EINVAL;
    for (struct emu_key *k = c->t->keys; k != NULL; k = k->next)
        if (is_named(k, cmd, &addr) && k != current && k != rnext)
            return delete_key(c, k, cmd->async, current, rnext);
    return ENOENT;
}

static int del_key(struct call *c, const uint8_t *octets)
{
    struct emu_del cmd;

    emu_read_del(octets, &cmd);
    if (cmd.reserved || sets_on_listener(c, cmd.set_current, cmd.set_rnext) ||
        (cmd.flags & ~EMU_KEYF_IFINDEX) || (cmd.ifindex != 0 && !(cmd.flags & EMU_KEYF_IFINDEX)))
        return EINVAL;
    return has_ao(c) ? delete_named(c, &cmd) : ENOENT;
}

/* ---- TCP_AO_INFO ---------------------------------------------------------------------------- */

static int set_info_checked(struct call *c, const struct emu_info *cmd, bool first)
{
    struct emu_key *current = NULL, *rnext = NULL;
    struct emu_table *t = c->t;
    bool required = t->ao_required, icmps = t->accept_icmps;

    if (cmd->ao_required && t->md5 != NULL)
        return EKEYREJECTED;
    if (cmd->set_current) {
        current = emu_key_by_ids(t, cmd->current, -1);
        if (current == NULL)
            return ENOENT;
    }
    if (cmd->set_rnext) {
        rnext = emu_key_by_ids(t, -1, cmd->rnext);
        if (rnext == NULL)
            return ENOENT;
    }
    t->ao_required = cmd->ao_required;
    emu_set_accept_icmps(c->e, c->now, t, cmd->accept_icmps);
    if ((first || required != t->ao_required || icmps != t->accept_icmps) &&
        !emu_flows_update(c->e, c->now, t)) {
        t->ao_required = required;
        emu_set_accept_icmps(c->e, c->now, t, icmps);
        return ENOMEM;
    }
    if (cmd->set_counters)
        emu_write_counters(c->e, t, cmd->counters);
    if (current != NULL)
        emu_set_current(c->e, c->now, t, current);
    if (rnext != NULL)
        emu_set_rnext(c->e, c->now, t, rnext);
    emu_keep(c->e, t);
    return 0;
}

static int set_info(struct call *c, const uint8_t *octets)
{
    bool first = !has_ao(c);
    struct emu_info cmd;
    int error;

    emu_read_info(octets, &cmd);
    if (sets_on_listener(c, cmd.set_current, cmd.set_rnext) || cmd.reserved)
        return EINVAL;
    if (first && c->f->state == EMU_CONNECTED)
        return EINVAL;
    if (!open_ao(c))
        return ENOMEM;
    error = set_info_checked(c, &cmd, first);
    if (error != 0 && first)
        close_ao(c);
    return error;
}

/* ---- TCP_AO_REPAIR -------------------------------------------------------------------------- */

static int set_repair(struct call *c, const uint8_t *octets)
{
    struct emu_repair image;

    if (!c->f->repair)
        return EPERM;
    if (!has_ao(c))
        return ENOENT;
    emu_read_repair(octets, &image);
    return emu_repair_set(c->e, c->now, c->t, c->f, &image);
}

/* ---- All ------------------------------------------------------------------------------------ */

static size_t size_of(int option)
{
    switch (option) {
    case EMU_TCP_AO_ADD_KEY:
        return EMU_ADD_SIZE;
    case EMU_TCP_AO_DEL_KEY:
        return EMU_DEL_SIZE;
    case EMU_TCP_AO_INFO:
        return EMU_INFO_SIZE;
    default:
        return EMU_REPAIR_SIZE;
    }
}

/* Linux takes the first option of a connection's life only under repair. */
static int permitted(const struct call *c, int option)
{
    if (option == EMU_TCP_AO_REPAIR)
        return c->f->state == EMU_LISTEN ? EPERM : 0;
    return c->f->state == EMU_CONNECTED && !has_ao(c) && !c->f->repair ? EISCONN : 0;
}

static int run(struct call *c, int option, const uint8_t *octets)
{
    switch (option) {
    case EMU_TCP_AO_ADD_KEY:
        return add_key(c, octets);
    case EMU_TCP_AO_DEL_KEY:
        return del_key(c, octets);
    case EMU_TCP_AO_INFO:
        return set_info(c, octets);
    default:
        return set_repair(c, octets);
    }
}

int emu_set_ao(struct emu *e, struct gh_now now, const struct emu_facts *f, int option,
               const uint8_t *value, size_t len)
{
    struct call c = {.e = e, .now = now, .f = f};
    uint8_t octets[EMU_ADD_SIZE];
    size_t size = size_of(option);
    int error;

    c.t = emu_table_of(e, now, f, &error);
    if (error == 0)
        error = permitted(&c, option);
    if (error == 0 && len < size)
        error = EINVAL;
    if (error != 0)
        return error;
    error = emu_copy_struct(value, len, size, octets) ? run(&c, option, octets) : E2BIG;
    gh_wipe(octets, sizeof(octets));
    return error;
}
