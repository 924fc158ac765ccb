/*
 * TCP-MD5 keys: the kernel has them, but Linux refuses them beside TCP-AO for the same peer, and
 * the reverse. So they are remembered here: peer and VRF, never the key.
 */
#include "emulate/emulate_priv.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>

/* False: the kernel will refuse it by itself. */
static bool read_peer(const struct emu *e, const struct emu_facts *f, int option,
                      const struct emu_md5 *cmd, struct emu_md5_key *out)
{
    bool ext = option == EMU_TCP_MD5SIG_EXT;
    uint16_t family = f->ipv6 ? AF_INET6 : AF_INET;

    if (cmd->addr.family != family)
        return false;
    out->addr = f->ipv6 ? gh_addr_from_v6(cmd->addr.v6) : gh_addr_from(cmd->addr.v4, 4);
    out->bits = 8 * out->addr.len;
    out->ifindex_meant = (cmd->flags & EMU_MD5F_IFINDEX) != 0;
    if (ext && (cmd->flags & EMU_MD5F_PREFIX)) {
        if (cmd->prefix > 8 * out->addr.len)
            return false;
        out->bits = cmd->prefix;
    }
    if (ext && out->ifindex_meant && cmd->ifindex != 0) {
        out->ifindex = (uint32_t)cmd->ifindex;
        return e->settings.is_vrf(e->settings.ctx, f->zone, out->ifindex);
    }
    return true;
}

static struct emu_md5_key **find_exact(struct emu_table *t, const struct emu_md5_key *k)
{
    struct emu_md5_key **at = &t->md5;

    while (*at != NULL &&
           !(gh_addr_equal(&(*at)->addr, &k->addr) && (*at)->bits == k->bits &&
             (*at)->ifindex_meant == k->ifindex_meant && (*at)->ifindex == k->ifindex))
        at = &(*at)->next;
    return at;
}

static size_t count(const struct emu_table *t)
{
    size_t n = 0;

    for (const struct emu_md5_key *k = t != NULL ? t->md5 : NULL; k != NULL; k = k->next)
        n++;
    return n;
}

static void forget(struct emu *e, struct emu_table *t, const struct emu_md5_key *k)
{
    struct emu_md5_key **at = find_exact(t, k), *found = *at;

    if (found == NULL)
        return;
    *at = found->next;
    free(found);
    emu_keep(e, t);
    if (t->md5 == NULL && !t->has_ao)
        emu_table_remove(e, t);
}

int emu_md5_set(struct emu *e, struct gh_now now, const struct emu_facts *f, int option,
                const uint8_t *value, size_t len)
{
    struct emu_table *t;
    struct emu_md5_key key = {.next = NULL}, *more;
    struct emu_md5 cmd;
    int64_t vrf;
    int error;

    if (len < EMU_MD5_SIZE)
        return 0;
    emu_read_md5(value, &cmd);
    if (cmd.key_len > EMU_KEY_MAX || !read_peer(e, f, option, &cmd, &key))
        return 0;
    t = emu_table_of(e, now, f, &error);
    if (error != 0)
        return error;
    if (cmd.key_len == 0) {
        if (t != NULL)
            forget(e, t, &key);
        return 0;
    }
    vrf = key.ifindex_meant ? (int64_t)key.ifindex : -1;
    if (t != NULL && t->has_ao &&
        (t->ao_required || emu_lookup(t, vrf, &key.addr, UINT8_MAX, -1, -1) != NULL))
        return EKEYREJECTED;
    if (t != NULL && *find_exact(t, &key) != NULL)
        return 0;
    if (count(t) >= EMU_MD5_MAX)
        return ENOMEM;
    more = malloc(sizeof(*more));
    if (t == NULL && more != NULL)
        t = emu_table_add(e, f->cookie);
    if (t == NULL || more == NULL) {
        free(more);
        return ENOMEM;
    }
    *more = key;
    more->next = t->md5;
    t->md5 = more;
    emu_refresh(e, t, f);
    emu_keep(e, t);
    return 0;
}

bool emu_md5_lookup(const struct emu_table *t, int64_t vrf, const struct gh_addr *addr)
{
    for (const struct emu_md5_key *k = t->md5; k != NULL; k = k->next)
        if (k->addr.len == addr->len && (vrf < 0 || !k->ifindex_meant || k->ifindex == vrf) &&
            gh_bits_equal(k->addr.octets, addr->octets, k->bits))
            return true;
    return false;
}

void emu_md5_clear(struct emu_table *t)
{
    for (struct emu_md5_key *k = t->md5, *next; k != NULL; k = next) {
        next = k->next;
        free(k);
    }
    t->md5 = NULL;
}
