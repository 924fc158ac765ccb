/* Whose peer a key is for: Linux's comparison of addresses, prefixes and VRFs. */
#include "emulate/emulate_priv.h"

#include <string.h>

static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};

bool emu_addr_is_any(const struct gh_addr *a)
{
    static const uint8_t zero[16];

    return memcmp(a->octets, zero, sizeof(zero)) == 0;
}

bool emu_addr_is_mapped(const uint8_t v6[16])
{
    return memcmp(v6, mapped, sizeof(mapped)) == 0;
}

struct gh_addr emu_addr_v6(const uint8_t v6[16])
{
    return emu_addr_is_mapped(v6) ? gh_addr_from(v6 + sizeof(mapped), 4) : gh_addr_from(v6, 16);
}

bool emu_bits_equal(const uint8_t *a, const uint8_t *b, unsigned bits)
{
    unsigned whole = bits / 8, rest = bits % 8;

    if (memcmp(a, b, whole) != 0)
        return false;
    return rest == 0 || ((a[whole] ^ b[whole]) & (0xff00 >> rest & 0xff)) == 0;
}

bool emu_host_bits_clear(const uint8_t *addr, size_t len, unsigned bits)
{
    for (unsigned i = bits; i < 8 * len; i++)
        if (addr[i / 8] & 0x80 >> i % 8)
            return false;
    return true;
}

bool emu_scope_matches(const struct emu_scope *s, int64_t vrf, const struct gh_addr *addr,
                       unsigned bits)
{
    if (vrf >= 0 && (s->flags & EMU_KEYF_IFINDEX) && s->ifindex != vrf)
        return false;
    if (s->addr.len != addr->len)
        return false;
    if (emu_addr_is_any(&s->addr) || emu_addr_is_any(addr))
        return true;
    return emu_bits_equal(s->addr.octets, addr->octets,
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
