/* getsockopt(): TCP_AO_GET_KEYS, TCP_AO_INFO, TCP_AO_REPAIR, with Linux's order of checks. */
#include "emulate/emulate_priv.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/socket.h>

#include "base/secret.h"

/* ---- TCP_AO_GET_KEYS: what is asked --------------------------------------------------------- */

static int filter_ipv4(const uint8_t addr[4], unsigned prefix)
{
    if (prefix > 32 || (prefix != 0 && gh_host_bits_clear(addr, 4, 0)))
        return EINVAL;
    return gh_host_bits_clear(addr, 4, prefix) ? 0 : EINVAL;
}

static int filter_ipv6(const uint8_t addr[16], unsigned prefix)
{
    if (prefix == 0)
        return gh_host_bits_clear(addr, 16, 0) ? 0 : EINVAL;
    if (gh_addr_is_mapped(addr))
        return filter_ipv4(addr + 12, prefix);
    if (gh_host_bits_clear(addr, 16, 0) || prefix > 128)
        return EINVAL;
    return gh_host_bits_clear(addr, 16, prefix) ? 0 : EINVAL;
}

static int check_address(const struct emu_filter *f, bool by_address)
{
    switch (f->addr.family) {
    case AF_INET:
        return filter_ipv4(f->addr.v4, f->prefix);
    case AF_INET6:
        return filter_ipv6(f->addr.v6, f->prefix);
    case AF_UNSPEC:
        return by_address ? EAFNOSUPPORT : 0;
    default:
        return EAFNOSUPPORT;
    }
}

static int check_filter(const struct emu_filter *f)
{
    bool by_address = !f->get_all && !f->is_current && !f->is_rnext;
    int error;

    if (f->counters_set || (f->flags & ~EMU_KEYF_IFINDEX) ||
        (f->ifindex != 0 && !(f->flags & EMU_KEYF_IFINDEX)) || f->reserved)
        return EINVAL;
    if (f->get_all && (f->is_current || f->is_rnext))
        return EINVAL;
    error = check_address(f, by_address);
    if (error != 0 || by_address)
        return error;
    return f->addr.family != AF_UNSPEC || f->prefix != 0 || f->send_id != 0 || f->recv_id != 0
               ? EINVAL
               : 0;
}

/* ---- TCP_AO_GET_KEYS: what is answered ------------------------------------------------------ */

struct search {
    const struct emu *e;
    const struct emu_table *t;
    struct emu_filter filter;
    struct gh_addr addr;
    int64_t vrf;
    const struct emu_key *current, *rnext;
};

static bool is_wanted(const struct search *s, const struct emu_key *k)
{
    const struct emu_filter *f = &s->filter;

    if (f->get_all)
        return true;
    if (f->is_current || f->is_rnext)
        return (f->is_current && k == s->current) || (f->is_rnext && k == s->rnext);
    return k->send_id == f->send_id && k->recv_id == f->recv_id &&
           emu_scope_matches(&k->scope, s->vrf, &s->addr, f->prefix);
}

static const char *alg_name(enum tcpao_alg alg)
{
    switch (alg) {
    case TCPAO_HMAC_SHA_1:
        return "hmac(sha1)";
    case TCPAO_HMAC_SHA_256:
        return "hmac(sha256)";
    default:
        return "cmac(aes)"; /* the name that Linux has for it here */
    }
}

static void write_key(const struct search *s, const struct emu_key *k, uint8_t *out, size_t len)
{
    uint8_t octets[EMU_GET_SIZE];
    struct emu_entry entry = {.addr = k->scope.addr,
                              .alg = alg_name(k->alg),
                              .key = k->key,
                              .is_current = k == s->current,
                              .is_rnext = k == s->rnext,
                              .send_id = k->send_id,
                              .recv_id = k->recv_id,
                              .prefix = k->scope.bits,
                              .mac_len = k->mac_len,
                              .flags = k->scope.flags,
                              .key_len = k->key_len,
                              .ifindex = k->scope.ifindex};

    emu_key_counters(s->e, s->t, k, &entry.good, &entry.bad);
    emu_write_entry(&entry, octets);
    memcpy(out, octets, len);
    gh_wipe(octets, sizeof(octets));
}

/* One element is `size` octets for the program; we know EMU_GET_SIZE of them. */
static size_t write_keys(const struct search *s, uint8_t *value, size_t room, size_t size)
{
    size_t known = size < EMU_GET_SIZE ? size : EMU_GET_SIZE, end = 0, at = 0;
    uint32_t matches = 0;

    for (const struct emu_key *k = s->t->keys; k != NULL; k = k->next) {
        if (!is_wanted(s, k))
            continue;
        matches++;
        if (matches > s->filter.nkeys || at > room || known > room - at)
            continue;
        write_key(s, k, value + at, known);
        end = at + known;
        at += size;
    }
    if (room >= EMU_GET_NKEYS + 4) {
        emu_write_nkeys(matches, value + EMU_GET_NKEYS);
        end = end > EMU_GET_NKEYS + 4 ? end : EMU_GET_NKEYS + 4;
    }
    return end;
}

static int get_keys(const struct emu *e, const struct emu_table *t, uint8_t *value, size_t room,
                    size_t size, size_t *len)
{
    struct search s = {.e = e, .t = t};
    uint8_t octets[EMU_GET_SIZE];
    int error;

    if (size == 0 || size > INT_MAX)
        return EINVAL;
    if (!emu_copy_struct(value, size < room ? size : room, EMU_GET_SIZE, octets))
        return E2BIG;
    emu_read_filter(octets, &s.filter);
    gh_wipe(octets, sizeof(octets));
    error = check_filter(&s.filter);
    if (error != 0)
        return error;
    s.addr = s.filter.addr.family == AF_INET ? gh_addr_from(s.filter.addr.v4, 4)
                                             : gh_addr_from_v6(s.filter.addr.v6);
    s.vrf = s.filter.flags & EMU_KEYF_IFINDEX ? (int64_t)(uint32_t)s.filter.ifindex : -1;
    s.current = emu_current(e, t);
    s.rnext = emu_rnext(e, t);
    *len = write_keys(&s, value, room, size);
    return 0;
}

/* ---- TCP_AO_INFO ---------------------------------------------------------------------------- */

/* Only the reserved fields of what the program gave count. */
static int check_info(const uint8_t *value, size_t len)
{
    uint8_t octets[EMU_INFO_SIZE];
    struct emu_info in;

    if (len == 0 || len > INT_MAX)
        return EINVAL;
    if (!emu_copy_struct(value, len, sizeof(octets), octets))
        return E2BIG;
    emu_read_info(octets, &in);
    return in.reserved ? EINVAL : 0;
}

static int get_info(const struct emu *e, const struct emu_table *t, uint8_t *value, size_t given,
                    size_t *len)
{
    struct emu_info info = {.ao_required = t->ao_required, .accept_icmps = t->accept_icmps};
    const struct emu_key *current = emu_current(e, t), *rnext = emu_rnext(e, t);
    uint8_t octets[EMU_INFO_SIZE];

    info.set_current = current != NULL;
    info.current = current != NULL ? current->send_id : 0;
    info.set_rnext = rnext != NULL;
    info.rnext = rnext != NULL ? rnext->recv_id : 0;
    emu_read_counters(e, t, info.counters);
    emu_write_info(&info, octets);
    *len = given < sizeof(octets) ? given : sizeof(octets);
    memcpy(value, octets, *len);
    return 0;
}

/* ---- TCP_AO_REPAIR -------------------------------------------------------------------------- */

static int get_repair(const struct emu *e, const struct emu_table *t, const struct emu_facts *f,
                      uint8_t *value, size_t given, size_t *len)
{
    uint8_t octets[EMU_REPAIR_SIZE];
    struct emu_repair image;

    emu_repair_get(e, t, f, &image);
    emu_write_repair(&image, octets);
    *len = given < sizeof(octets) ? given : sizeof(octets);
    memcpy(value, octets, *len);
    return 0;
}

/* ---- All ------------------------------------------------------------------------------------ */

/* What is refused before the socket's state matters. */
static int check_early(const struct emu_facts *f, int option, const uint8_t *value, size_t given)
{
    switch (option) {
    case EMU_TCP_AO_INFO:
        return check_info(value, given);
    case EMU_TCP_AO_REPAIR:
        if (f->state == EMU_LISTEN)
            return EPERM;
        if (given == 0 || given > INT_MAX)
            return EINVAL;
        return f->repair ? 0 : EPERM;
    case EMU_TCP_AO_GET_KEYS:
        return 0;
    default:
        return ENOPROTOOPT;
    }
}

int emu_get_ao(struct emu *e, struct gh_now now, const struct emu_facts *f, int option,
               uint8_t *value, size_t room, size_t *len, size_t *reported)
{
    size_t size = *len, given = size < room ? size : room;
    struct emu_table *t;
    int error = check_early(f, option, value, given);

    *len = 0;
    *reported = given;
    if (error != 0)
        return error;
    t = emu_table_of(e, now, f, &error);
    if (t == NULL || !t->has_ao)
        return error != 0 ? error : ENOENT;
    switch (option) {
    case EMU_TCP_AO_INFO:
        return get_info(e, t, value, given, len);
    case EMU_TCP_AO_REPAIR:
        return get_repair(e, t, f, value, given, len);
    default:
        *reported = EMU_GET_SIZE;
        return get_keys(e, t, value, room, size, len);
    }
}
