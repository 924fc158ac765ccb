#include "base/addr.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};

bool gh_addr_parse(const char *text, struct gh_addr *out)
{
    struct gh_addr a = {.len = 0};

    if (inet_pton(AF_INET, text, a.octets) == 1)
        a.len = 4;
    else if (inet_pton(AF_INET6, text, a.octets) == 1)
        a.len = 16;
    else
        return false;
    *out = a;
    return true;
}

const char *gh_addr_format(const struct gh_addr *a, char buf[GH_ADDR_TEXT])
{
    if (a->len == 0 ||
        inet_ntop(a->len == 4 ? AF_INET : AF_INET6, a->octets, buf, GH_ADDR_TEXT) == NULL)
        snprintf(buf, GH_ADDR_TEXT, "any");
    return buf;
}

bool gh_addr_equal(const struct gh_addr *a, const struct gh_addr *b)
{
    return a->len == b->len && memcmp(a->octets, b->octets, a->len) == 0;
}

struct gh_addr gh_addr_from(const uint8_t *octets, uint8_t len)
{
    struct gh_addr a = {.len = len};

    memcpy(a.octets, octets, len);
    return a;
}

struct gh_addr gh_addr_from_v6(const uint8_t v6[16])
{
    return gh_addr_is_mapped(v6) ? gh_addr_from(v6 + sizeof(mapped), 4) : gh_addr_from(v6, 16);
}

bool gh_addr_is_mapped(const uint8_t v6[16])
{
    return memcmp(v6, mapped, sizeof(mapped)) == 0;
}

bool gh_addr_is_any(const struct gh_addr *a)
{
    return gh_host_bits_clear(a->octets, a->len, 0);
}

unsigned gh_addr_common_bits(const struct gh_addr *a, const struct gh_addr *b)
{
    unsigned bits = 0;

    for (unsigned i = 0; i < a->len; i++, bits += 8) {
        uint8_t differ = a->octets[i] ^ b->octets[i];

        if (differ != 0)
            return bits + (unsigned)__builtin_clz(differ) - 24;
    }
    return bits;
}

bool gh_bits_equal(const uint8_t *a, const uint8_t *b, unsigned bits)
{
    unsigned whole = bits / 8, rest = bits % 8;

    if (memcmp(a, b, whole) != 0)
        return false;
    return rest == 0 || ((a[whole] ^ b[whole]) >> (8 - rest)) == 0;
}

bool gh_host_bits_clear(const uint8_t *addr, size_t len, unsigned bits)
{
    for (unsigned bit = bits; bit < len * 8; bit++) {
        if (addr[bit / 8] & (0x80u >> (bit % 8)))
            return false;
    }
    return true;
}

bool gh_prefix_parse(const char *text, struct gh_prefix *out)
{
    char addr[GH_ADDR_TEXT];
    const char *slash = strchr(text, '/');
    size_t n = slash != NULL ? (size_t)(slash - text) : strlen(text);
    struct gh_prefix p;

    if (n >= sizeof(addr))
        return false;
    memcpy(addr, text, n);
    addr[n] = '\0';
    if (!gh_addr_parse(addr, &p.addr))
        return false;
    p.bits = (uint8_t)(p.addr.len * 8);
    if (slash != NULL) {
        char *end;
        unsigned long bits;

        if (slash[1] < '0' || slash[1] > '9')
            return false;
        errno = 0;
        bits = strtoul(slash + 1, &end, 10);
        if (errno != 0 || *end != '\0' || bits > p.bits)
            return false;
        p.bits = (uint8_t)bits;
    }
    if (!gh_host_bits_clear(p.addr.octets, p.addr.len, p.bits))
        return false;
    *out = p;
    return true;
}

const char *gh_prefix_format(const struct gh_prefix *p, char buf[GH_PREFIX_TEXT])
{
    char addr[GH_ADDR_TEXT];

    gh_addr_format(&p->addr, addr);
    if (gh_prefix_is_host(p) || p->addr.len == 0)
        snprintf(buf, GH_PREFIX_TEXT, "%s", addr);
    else
        snprintf(buf, GH_PREFIX_TEXT, "%s/%u", addr, p->bits);
    return buf;
}

int gh_prefix_compare(const struct gh_prefix *a, const struct gh_prefix *b)
{
    int order;

    if (a->addr.len != b->addr.len)
        return a->addr.len < b->addr.len ? -1 : 1;
    order = memcmp(a->addr.octets, b->addr.octets, a->addr.len);
    return order != 0 ? order : (int)a->bits - b->bits;
}

bool gh_prefix_equal(const struct gh_prefix *a, const struct gh_prefix *b)
{
    return a->bits == b->bits && gh_addr_equal(&a->addr, &b->addr);
}

bool gh_prefix_contains(const struct gh_prefix *p, const struct gh_addr *a)
{
    return p->addr.len == a->len && gh_bits_equal(p->addr.octets, a->octets, p->bits);
}

bool gh_prefix_overlaps(const struct gh_prefix *a, const struct gh_prefix *b)
{
    unsigned bits = a->bits < b->bits ? a->bits : b->bits;

    return a->addr.len == b->addr.len && gh_bits_equal(a->addr.octets, b->addr.octets, bits);
}

bool gh_prefix_is_host(const struct gh_prefix *p)
{
    return p->addr.len != 0 && p->bits == p->addr.len * 8;
}
