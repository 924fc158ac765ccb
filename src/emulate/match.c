/* Whose peer a key is for: Linux's comparison of addresses, prefixes and VRFs. */
#include "emulate/emulate_priv.h"

bool emu_scope_matches(const struct emu_scope *s, int64_t vrf, const struct gh_addr *addr,
                       unsigned bits)
{
    if (vrf >= 0 && (s->flags & EMU_KEYF_IFINDEX) && s->ifindex != vrf)
        return false;
    if (s->addr.len != addr->len)
        return false;
    if (gh_addr_is_any(&s->addr) || gh_addr_is_any(addr))
        return true;
    return gh_bits_equal(s->addr.octets, addr->octets,
                         bits < 8U * addr->len ? bits : 8U * addr->len);
}

struct emu_key *emu_lookup(const struct emu_table *t, int64_t vrf, const struct gh_addr *addr,
                           unsigned bits, int send_id, int recv_id)
{
    for (struct emu_key *k = t->keys; k != NULL; k = k->next) {
        unsigned shorter = bits < k->scope.bits ? bits : k->scope.bits;

        if ((send_id < 0 || k->send_id == send_id) && (recv_id < 0 || k->recv_id == recv_id) &&
            emu_scope_matches(&k->scope, vrf, addr, shorter))
            return k;
    }
    return NULL;
}
