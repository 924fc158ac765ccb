/*
 * Values of Linux's TCP-AO socket options as programs write them: octets at the offsets of
 * <linux/tcp.h>, which Debian 12's lacks. Shared by the tests of the emulation; independent of the
 * code under test.
 */
#ifndef GH_TESTS_EMULATE_VALUES_H
#define GH_TESTS_EMULATE_VALUES_H

#include <arpa/inet.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>

enum {
    ADD_SIZE = 288,
    DEL_SIZE = 144,
    INFO_SIZE = 48,
    GET_SIZE = 304,
    REPAIR_SIZE = 16,
    MD5_SIZE = 216
};

/* struct tcp_ao_add */
enum {
    ADD_ALG = 128,
    ADD_IFINDEX = 192,
    ADD_BITS = 196,
    ADD_RESERVED2 = 200,
    ADD_PREFIX = 202,
    ADD_SNDID = 203,
    ADD_RCVID = 204,
    ADD_MACLEN = 205,
    ADD_KEYFLAGS = 206,
    ADD_KEYLEN = 207,
    ADD_KEY = 208
};
/* struct tcp_ao_del */
enum {
    DEL_IFINDEX = 128,
    DEL_BITS = 132,
    DEL_RESERVED2 = 136,
    DEL_PREFIX = 138,
    DEL_SNDID = 139,
    DEL_RCVID = 140,
    DEL_CURRENT = 141,
    DEL_RNEXT = 142,
    DEL_KEYFLAGS = 143
};
/* struct tcp_ao_info_opt */
enum { INFO_BITS = 0, INFO_RESERVED2 = 4, INFO_CURRENT = 6, INFO_RNEXT = 7, INFO_COUNTERS = 8 };
/* struct tcp_ao_getsockopt */
enum {
    GET_ALG = 128,
    GET_KEY = 192,
    GET_NKEYS = 272,
    GET_BITS = 276,
    GET_SNDID = 278,
    GET_RCVID = 279,
    GET_PREFIX = 280,
    GET_MACLEN = 281,
    GET_KEYFLAGS = 282,
    GET_KEYLEN = 283,
    GET_IFINDEX = 284,
    GET_GOOD = 288,
    GET_BAD = 296
};
/* struct tcp_md5sig */
enum { MD5_FLAGS = 128, MD5_PREFIX = 129, MD5_KEYLEN = 130, MD5_IFINDEX = 132, MD5_KEY = 136 };

enum { SET_CURRENT = 1, SET_RNEXT = 2, DEL_ASYNC = 4 };
enum { INFO_AO_REQUIRED = 4, INFO_SET_COUNTERS = 8, INFO_ACCEPT_ICMPS = 16 };
enum { GET_CURRENT = 1, GET_IS_RNEXT = 2, GET_ALL = 4 };
enum { KEYF_IFINDEX = 1, KEYF_EXCLUDE_OPT = 2 };

static inline void value_u16(uint8_t *value, size_t offset, uint16_t v)
{
    memcpy(value + offset, &v, sizeof(v));
}

static inline void value_u32(uint8_t *value, size_t offset, uint32_t v)
{
    memcpy(value + offset, &v, sizeof(v));
}

static inline void value_u64(uint8_t *value, size_t offset, uint64_t v)
{
    memcpy(value + offset, &v, sizeof(v));
}

static inline uint16_t value_at16(const uint8_t *value, size_t offset)
{
    uint16_t v;

    memcpy(&v, value + offset, sizeof(v));
    return v;
}

static inline uint32_t value_at32(const uint8_t *value, size_t offset)
{
    uint32_t v;

    memcpy(&v, value + offset, sizeof(v));
    return v;
}

static inline uint64_t value_at64(const uint8_t *value, size_t offset)
{
    uint64_t v;

    memcpy(&v, value + offset, sizeof(v));
    return v;
}

/* "any4" and "any6" are the any addresses; else text of an address. */
static inline void value_addr(uint8_t *value, const char *addr)
{
    bool v6 = strchr(addr, ':') != NULL || strcmp(addr, "any6") == 0;

    memset(value, 0, 128);
    value_u16(value, 0, v6 ? AF_INET6 : AF_INET);
    if (strncmp(addr, "any", 3) != 0)
        inet_pton(v6 ? AF_INET6 : AF_INET, addr, value + (v6 ? 8 : 4));
}

static inline void value_add(uint8_t value[ADD_SIZE], const char *addr, uint8_t prefix,
                             uint8_t sndid, uint8_t rcvid)
{
    static const char secret[] = "In the beginning";

    memset(value, 0, ADD_SIZE);
    value_addr(value, addr);
    strcpy((char *)value + ADD_ALG, "hmac(sha1)");
    value[ADD_PREFIX] = prefix;
    value[ADD_SNDID] = sndid;
    value[ADD_RCVID] = rcvid;
    value[ADD_KEYLEN] = sizeof(secret) - 1;
    memcpy(value + ADD_KEY, secret, sizeof(secret) - 1);
}

static inline void value_del(uint8_t value[DEL_SIZE], const char *addr, uint8_t prefix,
                             uint8_t sndid, uint8_t rcvid)
{
    memset(value, 0, DEL_SIZE);
    value_addr(value, addr);
    value[DEL_PREFIX] = prefix;
    value[DEL_SNDID] = sndid;
    value[DEL_RCVID] = rcvid;
}

static inline void value_md5(uint8_t value[MD5_SIZE], const char *addr, int prefix, int ifindex)
{
    memset(value, 0, MD5_SIZE);
    value_addr(value, addr);
    if (prefix >= 0) {
        value[MD5_FLAGS] |= 1;
        value[MD5_PREFIX] = (uint8_t)prefix;
    }
    if (ifindex >= 0) {
        value[MD5_FLAGS] |= 2;
        value_u32(value, MD5_IFINDEX, (uint32_t)ifindex);
    }
    value_u16(value, MD5_KEYLEN, 4);
    memcpy(value + MD5_KEY, "four", 4);
}

#endif
