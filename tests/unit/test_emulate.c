/*
 * Linux's TCP-AO socket options, emulated: which error for which value, what duplicates are, what
 * filters find, what stands in TCP-MD5's way. A closed or listening socket; connections are in
 * tests/sim/test_emulate.c.
 */
#include "unit.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "emulate/emulate.h"
#include "crypto/mac.h"
#include "emulate_values.h"
#include "tcpao/engine.h"

enum { VRF = 200, OPTMEM = 131072, COOKIE = 4711 };

static const struct gh_now now = {.wall = 1700000000, .mono_ms = 1000};

/* A host with its programs: engine, emulation, one socket. */
struct host {
    struct ao_engine *engine;
    struct emu *emu;
    struct emu_facts f;
    uint8_t kept[1 << 19];
    size_t kept_len;
    unsigned keeps, flow_changes;
};

static bool is_vrf(void *ctx, uint16_t zone, uint32_t ifindex)
{
    return ifindex == VRF;
}

static void keep(void *ctx, uint64_t cookie, const uint8_t *data, size_t len)
{
    struct host *h = ctx;

    assert_true(len <= sizeof(h->kept));
    if (cookie == h->f.cookie) {
        if (len > 0)
            memcpy(h->kept, data, len);
        h->kept_len = len;
    }
    h->keeps++;
}

static void flows_changed(void *ctx, uint16_t zone)
{
    struct host *h = ctx;

    h->flow_changes++;
}

static struct emu *new_emu(struct host *h)
{
    const struct emu_settings s = {.engine = h->engine,
                                   .is_vrf = is_vrf,
                                   .keep = keep,
                                   .flows_changed = flows_changed,
                                   .ctx = h};

    return emu_new(&s);
}

static struct host *host_new(bool v6)
{
    const struct ao_engine_settings s = {.max_connections = 64};
    struct host *h = calloc(1, sizeof(*h));

    assert_non_null(h);
    h->engine = ao_engine_new(&s);
    h->emu = new_emu(h);
    assert_non_null(h->engine);
    assert_non_null(h->emu);
    assert_true(ao_engine_set_policies(h->engine, now, NULL, 0));
    h->f = (struct emu_facts){
        .cookie = COOKIE, .zone_name = "", .ipv6 = v6, .optmem_left = OPTMEM, .program = "test[1]"};
    return h;
}

static void host_free(struct host *h)
{
    emu_free(h->emu);
    ao_engine_free(h->engine);
    free(h);
}

static void listen_on(struct host *h, uint16_t port)
{
    bool bind_first = true;

    h->f.local.port = port;
    assert_int_equal(emu_listen(h->emu, now, &h->f, &bind_first), 0);
    assert_false(bind_first);
    h->f.state = EMU_LISTEN;
}

static int set(struct host *h, int option, const uint8_t *value, size_t len)
{
    return emu_setsockopt(h->emu, now, &h->f, option, value, len);
}

static int add_value(struct host *h, const uint8_t value[ADD_SIZE])
{
    return set(h, EMU_TCP_AO_ADD_KEY, value, ADD_SIZE);
}

static int del_value(struct host *h, const uint8_t value[DEL_SIZE])
{
    return set(h, EMU_TCP_AO_DEL_KEY, value, DEL_SIZE);
}

static int info_value(struct host *h, const uint8_t value[INFO_SIZE])
{
    return set(h, EMU_TCP_AO_INFO, value, INFO_SIZE);
}

static int add(struct host *h, const char *addr, uint8_t prefix, uint8_t sndid, uint8_t rcvid)
{
    uint8_t value[ADD_SIZE];

    value_add(value, addr, prefix, sndid, rcvid);
    return add_value(h, value);
}

static int add_vrf(struct host *h, const char *addr, uint8_t prefix, int vrf)
{
    uint8_t value[ADD_SIZE];

    value_add(value, addr, prefix, 100, 100);
    if (vrf >= 0) {
        value[ADD_KEYFLAGS] = KEYF_IFINDEX;
        value_u32(value, ADD_IFINDEX, (uint32_t)vrf);
    }
    return add_value(h, value);
}

static int del(struct host *h, const char *addr, uint8_t prefix, uint8_t sndid, uint8_t rcvid)
{
    uint8_t value[DEL_SIZE];

    value_del(value, addr, prefix, sndid, rcvid);
    return del_value(h, value);
}

static int set_info(struct host *h, uint32_t bits, uint8_t current, uint8_t rnext)
{
    uint8_t value[INFO_SIZE] = {0};

    value_u32(value, INFO_BITS, bits);
    value[INFO_CURRENT] = current;
    value[INFO_RNEXT] = rnext;
    return info_value(h, value);
}

static int set_md5(struct host *h, const char *addr, int prefix, int ifindex)
{
    uint8_t value[MD5_SIZE];

    value_md5(value, addr, prefix, ifindex);
    return set(h, EMU_TCP_MD5SIG_EXT, value, sizeof(value));
}

static int get(struct host *h, int option, uint8_t *value, size_t optlen, size_t room, size_t *len)
{
    size_t reported = 0;
    int error;

    *len = optlen;
    error = emu_getsockopt(h->emu, now, &h->f, option, value, room, len, &reported);
    assert_true(*len <= room);
    if (error == 0 && option == EMU_TCP_AO_GET_KEYS)
        assert_int_equal(reported, GET_SIZE);
    return error;
}

static int get_info(struct host *h, uint8_t value[INFO_SIZE])
{
    size_t len;

    memset(value, 0, INFO_SIZE);
    return get(h, EMU_TCP_AO_INFO, value, INFO_SIZE, INFO_SIZE, &len);
}

/* A filter in the first of `count` elements. */
static int get_keys(struct host *h, uint8_t *value, uint32_t count)
{
    size_t len;

    value_u32(value, GET_NKEYS, count);
    return get(h, EMU_TCP_AO_GET_KEYS, value, GET_SIZE, (count > 0 ? count : 1) * GET_SIZE, &len);
}

static uint32_t count_keys(struct host *h)
{
    uint8_t value[GET_SIZE] = {0};

    value_u16(value, GET_BITS, GET_ALL);
    assert_int_equal(get_keys(h, value, 1), 0);
    return value_at32(value, GET_NKEYS);
}

static void assert_current(struct host *h, int current, int rnext)
{
    uint8_t info[INFO_SIZE];
    uint32_t bits;

    assert_int_equal(get_info(h, info), 0);
    bits = value_at32(info, INFO_BITS);
    assert_int_equal(bits & SET_CURRENT ? info[INFO_CURRENT] : -1, current);
    assert_int_equal(bits & SET_RNEXT ? info[INFO_RNEXT] : -1, rnext);
}

/* A host for each of IPv4 and IPv6, with the addresses of each. */
struct family {
    const char *peer, *other, *any, *net;
    uint8_t host, bits;
    bool v6;
};
static const struct family families[] = {
    {"10.0.254.1", "10.0.1.1", "any4", "10.0.0.0", 32, 16, false},
    {"2001:db8:254::1", "2001:db8:1::1", "any6", "2001:db8::", 128, 32, true},
};
#define EACH_FAMILY(fa) for (const struct family *fa = families; fa < families + 2; fa++)

/* ---- Sizes ---------------------------------------------------------------------------------- */

static void short_values_are_invalid_and_long_ones_must_end_in_zeros(void **state)
{
    static const struct {
        int option;
        size_t size;
    } options[] = {{EMU_TCP_AO_ADD_KEY, ADD_SIZE},
                   {EMU_TCP_AO_DEL_KEY, DEL_SIZE},
                   {EMU_TCP_AO_INFO, INFO_SIZE}};

    EACH_FAMILY(fa)
    {
        for (size_t i = 0; i < 3; i++) {
            struct host *h = host_new(fa->v6);
            uint8_t value[ADD_SIZE + 800] = {0};

            if (options[i].option != EMU_TCP_AO_ADD_KEY)
                assert_int_equal(add(h, fa->peer, fa->host, 100, 100), 0);
            if (options[i].option == EMU_TCP_AO_ADD_KEY)
                value_add(value, fa->peer, fa->host, 100, 100);
            if (options[i].option == EMU_TCP_AO_DEL_KEY)
                value_del(value, fa->peer, fa->host, 100, 100);
            assert_int_equal(set(h, options[i].option, value, options[i].size - 1), EINVAL);
            assert_int_equal(set(h, options[i].option, value, 0), EINVAL);
            value[options[i].size + 700] = 1;
            assert_int_equal(set(h, options[i].option, value, options[i].size + 800), E2BIG);
            value[options[i].size + 700] = 0;
            assert_int_equal(set(h, options[i].option, value, options[i].size + 800), 0);
            host_free(h);
        }
    }
}

static void getsockopt_takes_any_length_that_ends_in_zeros(void **state)
{
    struct host *h = host_new(false);
    uint8_t value[2 * GET_SIZE] = {0};
    size_t len;

    assert_int_equal(add(h, "10.0.254.1", 32, 100, 100), 0);
    assert_int_equal(get(h, EMU_TCP_AO_INFO, value, 0, 0, &len), EINVAL);
    assert_int_equal(get(h, EMU_TCP_AO_INFO, value, 8, 8, &len), 0);
    assert_int_equal(len, 8);
    memset(value, 0, sizeof(value));
    assert_int_equal(get(h, EMU_TCP_AO_INFO, value, 400, 400, &len), 0);
    assert_int_equal(len, INFO_SIZE);
    value[399] = 1;
    assert_int_equal(get(h, EMU_TCP_AO_INFO, value, 400, 400, &len), E2BIG);
    assert_int_equal(len, 0);
    memset(value, 0, sizeof(value));
    value_u32(value, INFO_BITS, 32);
    assert_int_equal(get(h, EMU_TCP_AO_INFO, value, INFO_SIZE, INFO_SIZE, &len), EINVAL);

    memset(value, 0, sizeof(value));
    assert_int_equal(get(h, EMU_TCP_AO_GET_KEYS, value, 0, 0, &len), EINVAL);
    value_u16(value, GET_BITS, GET_ALL);
    value_u32(value, GET_NKEYS, 1);
    assert_int_equal(get(h, EMU_TCP_AO_GET_KEYS, value, 2 * GET_SIZE, 2 * GET_SIZE, &len), 0);
    assert_int_equal(value_at32(value, GET_NKEYS), 1);
    memset(value, 0, sizeof(value));
    value_u16(value, GET_BITS, GET_ALL);
    value[GET_SIZE] = 1;
    assert_int_equal(get(h, EMU_TCP_AO_GET_KEYS, value, 2 * GET_SIZE, 2 * GET_SIZE, &len), E2BIG);
    host_free(h);
}

/* ---- TCP_AO_ADD_KEY ------------------------------------------------------------------------- */

/* A value that one change makes wrong; `listening`: on a listener. */
struct wrong {
    const char *what;
    size_t offset;
    uint32_t v;
    size_t width;
    int error;
    bool listening;
};

static void spoil(uint8_t *value, const struct wrong *w)
{
    if (w->width == 1)
        value[w->offset] = (uint8_t)w->v;
    else if (w->width == 2)
        value_u16(value, w->offset, (uint16_t)w->v);
    else
        value_u32(value, w->offset, w->v);
}

static void wrong_additions_are_refused(void **state)
{
    static const struct wrong list[] = {
        {"too long a key", ADD_KEYLEN, 81, 1, EINVAL, false},
        {"a reserved bit", ADD_BITS, 4, 4, EINVAL, false},
        {"reserved2", ADD_RESERVED2, 1, 2, EINVAL, false},
        {"another family", 0, AF_UNIX, 2, EINVAL, false},
        {"no family", 0, AF_UNSPEC, 2, EINVAL, false},
        {"a port", 2, 1234, 2, EINVAL, false},
        {"an address without prefix", ADD_PREFIX, 0, 1, EINVAL, false},
        {"too long a prefix", ADD_PREFIX, 129, 1, EINVAL, false},
        {"host bits", ADD_PREFIX, 2, 1, EINVAL, false},
        {"unknown flags", ADD_KEYFLAGS, 0xff, 1, EINVAL, false},
        {"a flag too many", ADD_KEYFLAGS, 4, 1, EINVAL, false},
        {"current on a listener", ADD_BITS, SET_CURRENT, 4, EINVAL, true},
        {"rnext on a listener", ADD_BITS, SET_RNEXT, 4, EINVAL, true},
        {"both on a listener", ADD_BITS, SET_CURRENT | SET_RNEXT, 4, EINVAL, true},
        {"an ifindex without its flag", ADD_IFINDEX, VRF, 4, EINVAL, false},
        {"a MAC beyond the header", ADD_MACLEN, 100, 1, EMSGSIZE, false},
        {"a MAC that leaves no room", ADD_MACLEN, 17, 1, EMSGSIZE, false},
        {"an unknown algorithm", ADD_ALG, 'x', 1, ENOENT, false},
    };

    EACH_FAMILY(fa)
    {
        for (size_t i = 0; i < sizeof(list) / sizeof(list[0]); i++) {
            struct host *h = host_new(fa->v6);
            uint8_t value[ADD_SIZE];
            size_t len;
            int error;

            if (list[i].listening)
                listen_on(h, 179);
            value_add(value, fa->peer, fa->host, 100, 100);
            spoil(value, &list[i]);
            error = add_value(h, value);
            if (error != list[i].error)
                print_error("%s: %d\n", list[i].what, error);
            assert_int_equal(error, list[i].error);
            /* A failed first key leaves nothing behind. */
            memset(value, 0, sizeof(value));
            if (h->f.state == EMU_CLOSED)
                assert_int_equal(get(h, EMU_TCP_AO_INFO, value, INFO_SIZE, INFO_SIZE, &len),
                                 ENOENT);
            assert_false(emu_knows(h->emu, &h->f));
            host_free(h);
        }
    }
}

static void addresses_and_prefixes_must_agree(void **state)
{
    static const struct {
        const char *addr;
        uint8_t prefix;
        bool v6;
        int error;
    } list[] = {
        {"any4", 0, false, 0},
        {"any4", 32, false, EINVAL},
        {"10.0.0.0", 8, false, 0},
        {"10.0.0.1", 31, false, EINVAL},
        {"10.0.0.1", 33, false, EINVAL},
        {"2001:db8::1", 128, false, EINVAL}, /* an IPv4 socket */
        {"any6", 0, true, 0},
        {"any6", 128, true, EINVAL},
        {"2001:db8::", 32, true, 0},
        {"2001:db8::1", 127, true, EINVAL},
        {"10.0.0.1", 32, true, EINVAL}, /* an IPv6 socket wants it mapped */
        {"::ffff:10.0.0.1", 32, true, 0},
        {"::ffff:10.0.0.0", 8, true, 0},
        {"::ffff:10.0.0.1", 8, true, EINVAL},
        {"::ffff:10.0.0.1", 33, true, EINVAL},
        {"::ffff:10.0.0.1", 128, true, EINVAL},
        {"::ffff:0.0.0.0", 0, true, EINVAL},
        {"::ffff:0.0.0.0", 16, true, EINVAL},
    };

    for (size_t i = 0; i < sizeof(list) / sizeof(list[0]); i++) {
        struct host *h = host_new(list[i].v6);
        int error = add(h, list[i].addr, list[i].prefix, 1, 1);

        if (error != list[i].error)
            print_error("%s/%u: %d\n", list[i].addr, list[i].prefix, error);
        assert_int_equal(error, list[i].error);
        host_free(h);
    }
}

static void a_key_may_become_current_and_rnext_at_once(void **state)
{
    for (uint32_t bits = 0; bits < 4; bits++) {
        struct host *h = host_new(false);
        uint8_t value[ADD_SIZE];

        value_add(value, "10.0.254.1", 32, 100, 200);
        value_u32(value, ADD_BITS, bits);
        assert_int_equal(add_value(h, value), 0);
        assert_current(h, bits & SET_CURRENT ? 100 : -1, bits & SET_RNEXT ? 200 : -1);
        host_free(h);
    }
}

static void only_vrfs_are_good_ifindexes(void **state)
{
    struct host *h = host_new(false);

    assert_int_equal(add_vrf(h, "10.0.254.1", 32, 42), EINVAL);
    assert_int_equal(add_vrf(h, "10.0.254.1", 32, VRF), 0);
    assert_int_equal(add_vrf(h, "10.0.254.1", 32, VRF), EEXIST);
    assert_int_equal(add_vrf(h, "10.0.254.1", 32, 0), 0); /* the default VRF is another one */
    host_free(h);

    h = host_new(false); /* without the flag a key is for any VRF */
    assert_int_equal(add_vrf(h, "10.0.254.1", 32, -1), 0);
    assert_int_equal(add_vrf(h, "10.0.254.1", 32, VRF), EEXIST);
    assert_int_equal(add_vrf(h, "10.0.254.1", 32, 0), EEXIST);
    host_free(h);
}

static void duplicates_are_refused(void **state)
{
    EACH_FAMILY(fa)
    {
        const struct {
            const char *first, *second;
            uint8_t bits1, bits2, sndid, rcvid;
            int error;
        } list[] = {
            {fa->peer, fa->peer, fa->host, fa->host, 100, 100, EEXIST},
            {fa->any, fa->peer, 0, fa->host, 100, 100, EEXIST},
            {fa->peer, fa->any, fa->host, 0, 100, 100, EEXIST},
            {fa->peer, fa->net, fa->host, fa->bits, 100, 100, EEXIST},
            {fa->net, fa->peer, fa->bits, fa->host, 100, 100, EEXIST},
            {fa->peer, fa->peer, fa->host, fa->host, 100, 101, EEXIST},
            {fa->peer, fa->peer, fa->host, fa->host, 101, 100, EEXIST},
            {fa->peer, fa->peer, fa->host, fa->host, 101, 101, 0},
            {fa->peer, fa->other, fa->host, fa->host, 100, 100, 0},
        };

        for (size_t i = 0; i < sizeof(list) / sizeof(list[0]); i++) {
            struct host *h = host_new(fa->v6);

            assert_int_equal(add(h, list[i].first, list[i].bits1, 100, 100), 0);
            assert_int_equal(add(h, list[i].second, list[i].bits2, list[i].sndid, list[i].rcvid),
                             list[i].error);
            assert_int_equal(count_keys(h), list[i].error == 0 ? 2 : 1);
            host_free(h);
        }
    }
}

static void ipv4_and_ipv6_peers_of_one_socket_do_not_overlap(void **state)
{
    struct host *h = host_new(true);

    assert_int_equal(add(h, "any6", 0, 1, 1), 0);
    assert_int_equal(add(h, "::ffff:10.0.0.0", 8, 1, 1), 0);
    assert_int_equal(add(h, "::ffff:10.0.0.1", 32, 1, 2), EEXIST);
    host_free(h);
}

static void memory_for_keys_is_limited_as_by_optmem_max(void **state)
{
    EACH_FAMILY(fa)
    {
        struct host *h = host_new(fa->v6);
        unsigned i;
        int error = 0;

        for (i = 0; error == 0 && i < 5000; i++) {
            uint8_t value[ADD_SIZE];

            value_add(value, fa->net, fa->host, 100, 100);
            strcpy((char *)value + ADD_ALG, "cmac(aes128)");
            value[fa->v6 ? 22 : 6] = (uint8_t)((i + 1) >> 8);
            value[fa->v6 ? 23 : 7] = (uint8_t)(i + 1);
            error = add_value(h, value);
        }
        assert_int_equal(error, ENOMEM);
        assert_int_equal(i - 1, 655); /* as on Linux 7.2 with its default of 128 KiB */
        assert_int_equal(count_keys(h), 655);
        host_free(h);
    }
}

/* ---- Algorithms ----------------------------------------------------------------------------- */

static int add_alg(struct host *h, const char *alg, uint8_t keylen, uint8_t maclen)
{
    uint8_t value[ADD_SIZE];

    value_add(value, "10.0.254.1", 32, 100, 100);
    memset(value + ADD_ALG, 0, 64);
    memcpy(value + ADD_ALG, alg, strlen(alg));
    value[ADD_KEYLEN] = keylen;
    value[ADD_MACLEN] = maclen;
    for (unsigned i = 0; i < 80; i++)
        value[ADD_KEY + i] = i < keylen ? (uint8_t)(i + 1) : 0;
    return add_value(h, value);
}

static void algorithms_are_linuxs(void **state)
{
    static const char long_name[] =
        "0123456789012345678901234567890123456789012345678901234567890123";
    static const struct {
        const char *name, *told;
        uint8_t keylen, maclen;
        int error;
    } list[] = {
        {"hmac(sha1)", "hmac(sha1)", 20, 0, 0},      {"hmac(sha1)", "hmac(sha1)", 80, 16, 0},
        {"hmac(sha1)", "hmac(sha1)", 1, 1, 0},       {"hmac(sha1)", "hmac(sha1)", 0, 0, 0},
        {"hmac(sha256)", "hmac(sha256)", 32, 16, 0}, {"cmac(aes128)", "cmac(aes)", 16, 16, 0},
        {"cmac(aes128)", "cmac(aes)", 10, 12, 0},    {"cmac(aes)", "cmac(aes)", 16, 12, 0},
        {"cmac(aes)", "", 10, 12, ENOENT},           {"hmac(md5)", "", 16, 12, ENOENT},
        {"imaginary hash algo", "", 16, 12, ENOENT}, {"", "", 16, 12, ENOENT},
        {"hmac(sha1) ", "", 16, 12, ENOENT},         {long_name, "", 16, 12, ENOENT},
    };

    for (size_t i = 0; i < sizeof(list) / sizeof(list[0]); i++) {
        struct host *h = host_new(false);
        uint8_t value[GET_SIZE] = {0};

        assert_int_equal(add_alg(h, list[i].name, list[i].keylen, list[i].maclen), list[i].error);
        if (list[i].error == 0) {
            bool cmac = strncmp(list[i].name, "cmac", 4) == 0;

            value_u16(value, GET_BITS, GET_ALL);
            assert_int_equal(get_keys(h, value, 1), 0);
            assert_string_equal((char *)value + GET_ALG, list[i].told);
            assert_int_equal(value[GET_KEYLEN], cmac ? 16 : list[i].keylen);
            assert_int_equal(value[GET_MACLEN], list[i].maclen != 0 ? list[i].maclen : 12);
            if (!cmac || list[i].keylen == 16)
                for (unsigned k = 0; k < list[i].keylen; k++)
                    assert_int_equal(value[GET_KEY + k], k + 1);
        }
        host_free(h);
    }
}

/* RFC 4615 condenses keys in the same way: its test vector with a key of 10 octets. */
static void other_keys_of_aes_are_condensed(void **state)
{
    static const uint8_t wanted_prf[16] = {0x29, 0x0d, 0x9e, 0x11, 0x2e, 0xdb, 0x09, 0xee,
                                           0x14, 0x1f, 0xcf, 0x64, 0xc0, 0xb7, 0x2f, 0x3d};
    static const uint8_t message[20] = {0x00, 0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x08, 0x09,
                                        0x0a, 0x0b, 0x0c, 0x0d, 0x0e, 0x0f, 0x10, 0x11, 0x12, 0x13};
    struct host *h = host_new(false);
    uint8_t value[ADD_SIZE], got[GET_SIZE] = {0}, tag[GH_MAC_TAG_MAX];
    struct gh_mac_key key = {.alg = GH_MAC_NONE};
    struct gh_mac mac;

    value_add(value, "10.0.254.1", 32, 100, 100);
    memset(value + ADD_ALG, 0, 64);
    strcpy((char *)value + ADD_ALG, "cmac(aes128)");
    value[ADD_KEYLEN] = 10;
    memset(value + ADD_KEY, 0, 80);
    memcpy(value + ADD_KEY, message, 10);
    assert_int_equal(add_value(h, value), 0);
    value_u16(got, GET_BITS, GET_ALL);
    assert_int_equal(get_keys(h, got, 1), 0);
    assert_true(gh_mac_key_set(&key, GH_MAC_AES_128_CMAC, got + GET_KEY, 16));
    gh_mac_init(&mac, &key);
    gh_mac_update(&mac, message, sizeof(message));
    assert_true(gh_mac_final(&mac, tag));
    assert_memory_equal(tag, wanted_prf, sizeof(wanted_prf));
    gh_mac_key_clear(&key);
    host_free(h);
}

/* ---- TCP_AO_DEL_KEY ------------------------------------------------------------------------- */

static void wrong_deletions_are_refused(void **state)
{
    static const struct wrong list[] = {
        {"a reserved bit", DEL_BITS, 8, 4, EINVAL, false},
        {"reserved2", DEL_RESERVED2, 1, 2, EINVAL, false},
        {"current on a listener", DEL_BITS, SET_CURRENT, 4, EINVAL, true},
        {"rnext on a listener", DEL_BITS, SET_RNEXT, 4, EINVAL, true},
        {"unknown flags", DEL_KEYFLAGS, 0xff, 1, EINVAL, false},
        {"EXCLUDE_OPT", DEL_KEYFLAGS, KEYF_EXCLUDE_OPT, 1, EINVAL, false},
        {"an ifindex without its flag", DEL_IFINDEX, 42, 4, EINVAL, false},
        {"an unknown current key", DEL_BITS, SET_CURRENT, 4, ENOENT, false},
        {"an unknown rnext key", DEL_BITS, SET_RNEXT, 4, ENOENT, false},
        {"async elsewhere than on a listener", DEL_BITS, DEL_ASYNC, 4, EINVAL, false},
        {"a port", 2, 1234, 2, EINVAL, false},
        {"another SendID", DEL_SNDID, 101, 1, ENOENT, false},
        {"another RecvID", DEL_RCVID, 101, 1, ENOENT, false},
        {"another prefix", DEL_PREFIX, 24, 1, ENOENT, false},
        {"with the flag of a VRF", DEL_KEYFLAGS, KEYF_IFINDEX, 1, ENOENT, false},
    };

    EACH_FAMILY(fa)
    {
        for (size_t i = 0; i < sizeof(list) / sizeof(list[0]); i++) {
            struct host *h = host_new(fa->v6);
            uint8_t value[DEL_SIZE];
            int error;

            assert_int_equal(add(h, fa->peer, fa->host, 100, 100), 0);
            if (list[i].listening)
                listen_on(h, 179);
            value_del(value, fa->peer, fa->host, 100, 100);
            spoil(value, &list[i]);
            error = del_value(h, value);
            if (error != list[i].error)
                print_error("%s: %d\n", list[i].what, error);
            assert_int_equal(error, list[i].error);
            assert_int_equal(count_keys(h), 1);
            assert_int_equal(del(h, fa->other, fa->host, 100, 100), ENOENT);
            assert_int_equal(del(h, fa->peer, fa->host, 100, 100), 0);
            assert_int_equal(count_keys(h), 0); /* TCP-AO stays */
            host_free(h);
        }
    }
}

static void deleting_needs_ao(void **state)
{
    struct host *h = host_new(false);

    assert_int_equal(del(h, "10.0.254.1", 32, 100, 100), ENOENT);
    assert_false(emu_knows(h->emu, &h->f));
    host_free(h);
}

static int del_and_set(struct host *h, uint8_t sndid, uint8_t rcvid, int current, int rnext)
{
    uint8_t value[DEL_SIZE];

    value_del(value, "10.0.254.1", 32, sndid, rcvid);
    value_u32(value, DEL_BITS, (current >= 0 ? SET_CURRENT : 0) | (rnext >= 0 ? SET_RNEXT : 0));
    value[DEL_CURRENT] = (uint8_t)(current >= 0 ? current : 0);
    value[DEL_RNEXT] = (uint8_t)(rnext >= 0 ? rnext : 0);
    return del_value(h, value);
}

static struct host *closed_with_keys(void)
{
    struct host *h = host_new(false);

    assert_int_equal(add(h, "10.0.254.1", 32, 100, 100), 0);
    assert_int_equal(add(h, "10.0.254.1", 32, 200, 200), 0);
    assert_int_equal(add(h, "10.0.254.1", 32, 10, 11), 0);
    assert_int_equal(add(h, "10.0.254.1", 32, 12, 13), 0);
    return h;
}

static void keys_in_use_are_busy_unless_others_take_their_place(void **state)
{
    struct host *h = closed_with_keys();

    assert_int_equal(set_info(h, SET_CURRENT | SET_RNEXT, 100, 200), 0);
    assert_current(h, 100, 200);
    assert_int_equal(del_and_set(h, 100, 100, -1, -1), EBUSY);
    assert_int_equal(del_and_set(h, 200, 200, -1, -1), EBUSY);
    assert_int_equal(count_keys(h), 4);
    /* Named as the new one and to be deleted: not found. */
    assert_int_equal(del_and_set(h, 100, 100, 100, -1), ENOENT);
    assert_int_equal(del_and_set(h, 200, 200, -1, 200), ENOENT);
    assert_int_equal(del_and_set(h, 100, 100, 10, 13), 0);
    assert_current(h, 10, 13);
    assert_int_equal(del_and_set(h, 10, 11, 200, -1), 0);
    assert_int_equal(del_and_set(h, 12, 13, -1, 200), 0);
    assert_current(h, 200, 200);
    assert_int_equal(del_and_set(h, 200, 200, -1, -1), EBUSY);
    assert_int_equal(count_keys(h), 1);
    host_free(h);
}

/* Linux sets the new current key before it finds that the old one is rnext as well. */
static void a_busy_key_may_still_lose_one_of_its_parts(void **state)
{
    struct host *h = closed_with_keys();

    assert_int_equal(set_info(h, SET_CURRENT | SET_RNEXT, 100, 100), 0);
    assert_int_equal(del_and_set(h, 100, 100, 10, -1), EBUSY);
    assert_current(h, 10, 100);
    host_free(h);
}

static void a_listener_has_no_current_key_and_deletes_any(void **state)
{
    struct host *h = closed_with_keys();
    uint8_t value[DEL_SIZE];

    assert_int_equal(set_info(h, SET_CURRENT | SET_RNEXT, 100, 200), 0);
    listen_on(h, 179);
    assert_current(h, -1, -1);
    assert_int_equal(set_info(h, SET_CURRENT, 100, 0), EINVAL);
    assert_int_equal(set_info(h, SET_RNEXT, 0, 200), EINVAL);
    assert_int_equal(del_and_set(h, 100, 100, 10, 13), EINVAL);
    assert_int_equal(del_and_set(h, 100, 100, -1, -1), 0);
    value_del(value, "10.0.254.1", 32, 200, 200);
    value_u32(value, DEL_BITS, DEL_ASYNC);
    assert_int_equal(del_value(h, value), 0);
    assert_int_equal(count_keys(h), 2);
    host_free(h);
}

static void a_key_of_a_vrf_is_deleted_by_its_ifindex(void **state)
{
    struct host *h = host_new(false);
    uint8_t value[DEL_SIZE];

    assert_int_equal(add_vrf(h, "10.0.254.1", 32, VRF), 0);
    assert_int_equal(del(h, "10.0.254.1", 32, 100, 100), ENOENT);
    value_del(value, "10.0.254.1", 32, 100, 100);
    value[DEL_KEYFLAGS] = KEYF_IFINDEX;
    assert_int_equal(del_value(h, value), ENOENT);
    value_u32(value, DEL_IFINDEX, VRF);
    assert_int_equal(del_value(h, value), 0);
    host_free(h);
}

/* ---- TCP_AO_INFO ---------------------------------------------------------------------------- */

static void wrong_infos_are_refused(void **state)
{
    static const struct wrong list[] = {
        {"current on a listener", INFO_BITS, SET_CURRENT, 4, EINVAL, true},
        {"rnext on a listener", INFO_BITS, SET_RNEXT, 4, EINVAL, true},
        {"a reserved bit", INFO_BITS, 32, 4, EINVAL, false},
        {"reserved2", INFO_RESERVED2, 1, 2, EINVAL, false},
        {"an unknown current key", INFO_BITS, SET_CURRENT, 4, ENOENT, false},
        {"an unknown rnext key", INFO_BITS, SET_RNEXT, 4, ENOENT, false},
    };

    for (size_t i = 0; i < sizeof(list) / sizeof(list[0]); i++) {
        struct host *h = host_new(false);
        uint8_t value[INFO_SIZE] = {0};

        assert_int_equal(add(h, "10.0.254.1", 32, 100, 100), 0);
        if (list[i].listening)
            listen_on(h, 179);
        spoil(value, &list[i]);
        assert_int_equal(info_value(h, value), list[i].error);
        host_free(h);
    }
}

static void info_overwrites_the_flags_and_sets_the_keys(void **state)
{
    struct host *h = host_new(false);
    uint8_t info[INFO_SIZE];

    assert_int_equal(get_info(h, info), ENOENT);
    assert_int_equal(set_info(h, INFO_ACCEPT_ICMPS, 0, 0), 0); /* the first word makes the state */
    assert_int_equal(count_keys(h), 0);
    assert_int_equal(add(h, "10.0.254.1", 32, 100, 200), 0);
    assert_int_equal(get_info(h, info), 0);
    assert_int_equal(value_at32(info, INFO_BITS), INFO_ACCEPT_ICMPS);
    assert_int_equal(set_info(h, INFO_AO_REQUIRED | SET_CURRENT, 100, 0), 0);
    assert_int_equal(get_info(h, info), 0);
    assert_int_equal(value_at32(info, INFO_BITS), INFO_AO_REQUIRED | SET_CURRENT);
    assert_int_equal(set_info(h, SET_RNEXT, 0, 200), 0);
    assert_current(h, 100, 200);
    assert_int_equal(set_info(h, 0, 0, 0), 0);
    assert_int_equal(get_info(h, info), 0);
    assert_int_equal(value_at32(info, INFO_BITS), SET_CURRENT | SET_RNEXT);
    host_free(h);
}

static void a_failed_first_info_leaves_nothing(void **state)
{
    struct host *h = host_new(false);

    assert_int_equal(set_info(h, SET_CURRENT, 100, 0), ENOENT);
    assert_false(emu_knows(h->emu, &h->f));
    host_free(h);
}

static void counters_can_be_set(void **state)
{
    static const uint64_t wanted[5] = {321, 888, 654, 987654, 10000};
    struct host *h = host_new(false);
    uint8_t value[INFO_SIZE] = {0};

    assert_int_equal(add(h, "10.0.254.1", 32, 100, 100), 0);
    for (size_t i = 0; i < 5; i++)
        value_u64(value, INFO_COUNTERS + 8 * i, wanted[i]);
    assert_int_equal(info_value(h, value), 0); /* without the flag: ignored */
    assert_int_equal(get_info(h, value), 0);
    assert_int_equal(value_at64(value, INFO_COUNTERS), 0);
    memset(value, 0, sizeof(value));
    value_u32(value, INFO_BITS, INFO_SET_COUNTERS);
    for (size_t i = 0; i < 5; i++)
        value_u64(value, INFO_COUNTERS + 8 * i, wanted[i]);
    assert_int_equal(info_value(h, value), 0);
    assert_int_equal(get_info(h, value), 0);
    for (size_t i = 0; i < 5; i++)
        assert_int_equal(value_at64(value, INFO_COUNTERS + 8 * i), wanted[i]);
    host_free(h);
}

/* ---- TCP_AO_GET_KEYS ------------------------------------------------------------------------ */

struct filter {
    uint16_t bits;
    const char *addr; /* NULL: none */
    uint8_t prefix, sndid, rcvid;
    int error;
};

static int try_filter(struct host *h, const struct filter *f)
{
    uint8_t value[GET_SIZE] = {0};

    if (f->addr != NULL)
        value_addr(value, f->addr);
    value_u16(value, GET_BITS, f->bits);
    value[GET_PREFIX] = f->prefix;
    value[GET_SNDID] = f->sndid;
    value[GET_RCVID] = f->rcvid;
    return get_keys(h, value, 1);
}

static void filters_that_contradict_themselves_are_refused(void **state)
{
    EACH_FAMILY(fa)
    {
        const struct filter list[] = {
            {GET_ALL, NULL, 0, 0, 0, 0},
            {0, NULL, 0, 0, 0, EAFNOSUPPORT},
            {8, NULL, 0, 0, 0, EINVAL},
            {GET_ALL, fa->peer, 0, 0, 0, EINVAL},
            {GET_ALL, fa->peer, fa->host, 0, 0, EINVAL},
            {GET_ALL, fa->any, 0, 0, 0, EINVAL},
            {GET_ALL, NULL, fa->host, 0, 0, EINVAL},
            {GET_ALL, NULL, 0, 1, 0, EINVAL},
            {GET_ALL, NULL, 0, 0, 1, EINVAL},
            {GET_ALL | GET_CURRENT, NULL, 0, 0, 0, EINVAL},
            {GET_ALL | GET_IS_RNEXT, NULL, 0, 0, 0, EINVAL},
            {GET_CURRENT, NULL, fa->host, 0, 0, EINVAL},
            {GET_CURRENT, fa->peer, fa->host, 0, 0, EINVAL},
            {GET_CURRENT, NULL, 0, 1, 0, EINVAL},
            {GET_IS_RNEXT, NULL, 0, 0, 1, EINVAL},
            {GET_CURRENT | GET_IS_RNEXT, NULL, 0, 0, 0, 0},
            {0, fa->peer, 0, 0, 0, EINVAL},
            {0, fa->any, 0, 0, 0, 0},
            {0, fa->any, 32, 0, 0, EINVAL},
            {0, fa->peer, 129, 0, 0, EINVAL},
            {0, fa->peer, 2, 0, 0, EINVAL},
            {0, fa->peer, fa->host, 0, 0, 0},
        };
        struct host *h = host_new(fa->v6);

        assert_int_equal(try_filter(h, &list[0]), ENOENT); /* no TCP-AO on the socket */
        assert_int_equal(add(h, fa->peer, fa->host, 100, 100), 0);
        for (size_t i = 0; i < sizeof(list) / sizeof(list[0]); i++) {
            int error = try_filter(h, &list[i]);

            if (error != list[i].error)
                print_error("filter %zu: %d\n", i, error);
            assert_int_equal(error, list[i].error);
        }
        host_free(h);
    }
}

static void fields_that_are_only_answered_must_be_zero(void **state)
{
    static const struct wrong list[] = {
        {"good packets", GET_GOOD, 643, 4, EINVAL, false},
        {"bad packets", GET_BAD, 94, 4, EINVAL, false},
        {"unknown flags", GET_KEYFLAGS, 0xff, 1, EINVAL, false},
        {"EXCLUDE_OPT", GET_KEYFLAGS, KEYF_EXCLUDE_OPT, 1, EINVAL, false},
        {"an ifindex without its flag", GET_IFINDEX, 42, 4, EINVAL, false},
        {"a strange family", 0, AF_UNIX, 2, EAFNOSUPPORT, false},
    };
    struct host *h = host_new(false);

    assert_int_equal(add(h, "10.0.254.1", 32, 100, 100), 0);
    for (size_t i = 0; i < sizeof(list) / sizeof(list[0]); i++) {
        uint8_t value[GET_SIZE] = {0};

        value_u16(value, GET_BITS, GET_ALL);
        spoil(value, &list[i]);
        assert_int_equal(get_keys(h, value, 1), list[i].error);
    }
    host_free(h);
}

/* 16 keys; the first is current, the second rnext, the third is for another peer with the ids of
 * the first. Each key's first octet is its index. */
static struct host *sixteen_keys(const struct family *fa)
{
    struct host *h = host_new(fa->v6);

    for (unsigned i = 0; i < 16; i++) {
        uint8_t value[ADD_SIZE];

        value_add(value, i == 2 ? fa->other : fa->peer, fa->host, (uint8_t)(i == 2 ? 100 : 100 + i),
                  (uint8_t)(i == 2 ? 100 : 100 + i));
        value[ADD_KEY] = (uint8_t)i;
        value_u32(value, ADD_BITS, i == 0 ? SET_CURRENT : i == 1 ? SET_RNEXT : 0);
        assert_int_equal(add_value(h, value), 0);
    }
    return h;
}

static void filters_find_what_they_say(void **state)
{
    EACH_FAMILY(fa)
    {
        struct host *h = sixteen_keys(fa);
        uint8_t keys[16 * GET_SIZE] = {0};

        value_addr(keys, fa->peer);
        keys[GET_PREFIX] = fa->host;
        keys[GET_SNDID] = keys[GET_RCVID] = 105;
        assert_int_equal(get_keys(h, keys, 16), 0);
        assert_int_equal(value_at32(keys, GET_NKEYS), 1);
        assert_int_equal(keys[GET_KEY], 5);

        memset(keys, 0, sizeof(keys));
        value_u16(keys, GET_BITS, GET_CURRENT);
        assert_int_equal(get_keys(h, keys, 16), 0);
        assert_int_equal(value_at32(keys, GET_NKEYS), 1);
        assert_int_equal(keys[GET_KEY], 0);
        assert_int_equal(value_at16(keys, GET_BITS), GET_CURRENT);

        memset(keys, 0, sizeof(keys));
        value_u16(keys, GET_BITS, GET_IS_RNEXT);
        assert_int_equal(get_keys(h, keys, 16), 0);
        assert_int_equal(value_at32(keys, GET_NKEYS), 1);
        assert_int_equal(keys[GET_KEY], 1);

        memset(keys, 0, sizeof(keys)); /* by ids, whatever the address; last added first */
        value_addr(keys, fa->any);
        keys[GET_SNDID] = keys[GET_RCVID] = 100;
        assert_int_equal(get_keys(h, keys, 16), 0);
        assert_int_equal(value_at32(keys, GET_NKEYS), 2);
        assert_int_equal(keys[GET_KEY], 2);
        assert_int_equal(keys[GET_SIZE + GET_KEY], 0);

        memset(keys, 0, sizeof(keys)); /* a net that covers both */
        value_addr(keys, fa->net);
        keys[GET_PREFIX] = fa->bits;
        keys[GET_SNDID] = keys[GET_RCVID] = 100;
        assert_int_equal(get_keys(h, keys, 16), 0);
        assert_int_equal(value_at32(keys, GET_NKEYS), 2);
        host_free(h);
    }
}

static void too_small_an_array_still_tells_how_many_there_are(void **state)
{
    for (uint32_t room = 0; room <= 16; room += 8) {
        struct host *h = sixteen_keys(&families[0]);
        uint8_t keys[17 * GET_SIZE];

        memset(keys, 0xee, sizeof(keys));
        memset(keys, 0, GET_SIZE);
        value_u16(keys, GET_BITS, GET_ALL);
        assert_int_equal(get_keys(h, keys, room), 0);
        assert_int_equal(value_at32(keys, GET_NKEYS), 16);
        for (uint32_t i = 0; i < room; i++)
            assert_int_equal(keys[i * GET_SIZE + GET_KEY], 15 - i);
        for (size_t i = (room > 0 ? room : 1) * GET_SIZE; i < sizeof(keys); i++)
            assert_int_equal(keys[i], 0xee);
        host_free(h);
    }
}

static void a_key_is_answered_as_it_was_given(void **state)
{
    struct host *h = host_new(true);
    uint8_t value[ADD_SIZE], keys[2 * GET_SIZE] = {0};
    size_t len;

    value_add(value, "2001:db8::", 32, 7, 9);
    value[ADD_KEYFLAGS] = KEYF_IFINDEX | KEYF_EXCLUDE_OPT;
    value_u32(value, ADD_IFINDEX, VRF);
    value[ADD_MACLEN] = 16;
    assert_int_equal(add_value(h, value), 0);
    value_u16(keys, GET_BITS, GET_ALL);
    assert_int_equal(get_keys(h, keys, 1), 0);
    assert_memory_equal(keys, value, 128 + 64);               /* address, algorithm */
    assert_memory_equal(keys + GET_KEY, value + ADD_KEY, 80); /* key */
    assert_int_equal(keys[GET_SNDID], 7);
    assert_int_equal(keys[GET_RCVID], 9);
    assert_int_equal(keys[GET_PREFIX], 32);
    assert_int_equal(keys[GET_MACLEN], 16);
    assert_int_equal(keys[GET_KEYFLAGS], KEYF_IFINDEX | KEYF_EXCLUDE_OPT);
    assert_int_equal(keys[GET_KEYLEN], value[ADD_KEYLEN]);
    assert_int_equal(value_at32(keys, GET_IFINDEX), VRF);
    assert_int_equal(value_at64(keys, GET_GOOD), 0);

    /* A mapped address comes back as IPv4. */
    assert_int_equal(add(h, "::ffff:10.0.0.0", 8, 1, 1), 0);
    memset(keys, 0, sizeof(keys));
    value_u16(keys, GET_BITS, GET_ALL);
    assert_int_equal(get_keys(h, keys, 1), 0);
    assert_int_equal(value_at16(keys, 0), AF_INET);
    assert_int_equal(keys[4], 10);

    /* An old program's shorter structure, which ends before the counters. */
    memset(keys, 0, sizeof(keys));
    value_u16(keys, GET_BITS, GET_ALL);
    value_u32(keys, GET_NKEYS, 2);
    assert_int_equal(get(h, EMU_TCP_AO_GET_KEYS, keys, GET_GOOD, 2 * GET_GOOD, &len), 0);
    assert_int_equal(len, 2 * GET_GOOD);
    assert_int_equal(keys[GET_GOOD + GET_SNDID], 7);
    host_free(h);
}

static void a_filter_by_vrf_finds_its_keys_and_those_of_any(void **state)
{
    struct host *h = host_new(false);
    uint8_t value[ADD_SIZE], keys[GET_SIZE] = {0};

    assert_int_equal(add_vrf(h, "10.0.254.1", 32, VRF), 0);
    value_add(value, "10.0.1.1", 32, 100, 100);
    assert_int_equal(add_value(h, value), 0);
    value_addr(keys, "any4");
    keys[GET_SNDID] = keys[GET_RCVID] = 100;
    keys[GET_KEYFLAGS] = KEYF_IFINDEX;
    assert_int_equal(get_keys(h, keys, 1), 0);
    assert_int_equal(value_at32(keys, GET_NKEYS), 1);
    memset(keys, 0, sizeof(keys));
    value_addr(keys, "any4");
    keys[GET_SNDID] = keys[GET_RCVID] = 100;
    keys[GET_KEYFLAGS] = KEYF_IFINDEX;
    value_u32(keys, GET_IFINDEX, VRF);
    assert_int_equal(get_keys(h, keys, 1), 0);
    assert_int_equal(value_at32(keys, GET_NKEYS), 2);
    host_free(h);
}

/* ---- TCP-MD5 -------------------------------------------------------------------------------- */

/* A socket that has sent its SYN between the ends of another one's connection: the program's own
 * connect() says nothing of keys, and so the keys stay whose they are. */
static void what_is_left_of_a_connection_is_not_the_next_sockets(void **state)
{
    struct host *h = host_new(false);
    const struct tcpao_endpoint peer = {.addr = {10, 0, 0, 1}, .addr_len = 4, .port = 179};
    struct ao_adoption a = {.state = AO_STATE_ESTABLISHED, .manual = true, .remote = peer};
    uint8_t value[GET_SIZE] = {0};
    bool bind_first;

    assert_int_equal(add(h, "10.0.0.1", 32, 1, 2), 0);
    h->f.local = a.local =
        (struct tcpao_endpoint){.addr = {10, 0, 0, 9}, .addr_len = 4, .port = 4000};
    assert_int_equal(emu_connect(h->emu, now, &h->f, &peer, &bind_first), 0);
    assert_int_equal(ao_engine_adopt(h->engine, now, &a), AO_ADOPTED);
    h->f.state = EMU_CONNECTED;
    h->f.remote = peer;
    assert_int_equal(count_keys(h), 1);

    h->f.cookie = COOKIE + 1;
    h->f.opening = true;
    value_u16(value, GET_BITS, GET_ALL);
    assert_int_equal(get_keys(h, value, 1), ENOENT);
    assert_false(emu_knows(h->emu, &h->f));
    emu_note(h->emu, now, &h->f);

    h->f.cookie = COOKIE; /* and the first one's are still there */
    h->f.opening = false;
    assert_int_equal(count_keys(h), 1);
    host_free(h);
}

static void ao_and_md5_for_one_peer_exclude_each_other(void **state)
{
    EACH_FAMILY(fa)
    {
        struct host *h = host_new(fa->v6);

        assert_int_equal(set_md5(h, fa->peer, fa->host, -1), 0);
        assert_int_equal(add(h, fa->peer, fa->host, 100, 100), EKEYREJECTED);
        assert_int_equal(add(h, fa->other, fa->host, 100, 100), 0);
        assert_int_equal(set_md5(h, fa->other, fa->host, -1), EKEYREJECTED);
        assert_int_equal(set_info(h, INFO_AO_REQUIRED, 0, 0), EKEYREJECTED);
        host_free(h);

        h = host_new(fa->v6);
        assert_int_equal(set_info(h, INFO_AO_REQUIRED, 0, 0), 0);
        assert_int_equal(set_md5(h, fa->peer, fa->host, -1), EKEYREJECTED);
        assert_int_equal(set_info(h, 0, 0, 0), 0);
        assert_int_equal(set_md5(h, fa->peer, fa->host, -1), 0);
        host_free(h);

        h = host_new(fa->v6); /* a net of TCP-MD5 covers the peer */
        assert_int_equal(set_md5(h, fa->net, fa->bits, -1), 0);
        assert_int_equal(add(h, fa->peer, fa->host, 100, 100), EKEYREJECTED);
        host_free(h);
    }
}

static void an_md5_key_that_is_taken_away_is_no_obstacle(void **state)
{
    struct host *h = host_new(false);
    uint8_t value[MD5_SIZE];

    assert_int_equal(set_md5(h, "10.0.254.1", 32, -1), 0);
    assert_int_equal(set_md5(h, "10.0.254.1", 32, -1), 0); /* another secret */
    value_md5(value, "10.0.254.1", -1, -1);
    value_u16(value, MD5_KEYLEN, 0);
    assert_int_equal(set(h, EMU_TCP_MD5SIG, value, sizeof(value)), 0);
    assert_int_equal(h->kept_len, 0);
    assert_int_equal(add(h, "10.0.254.1", 32, 100, 100), 0);
    host_free(h);
}

static void what_the_kernel_refuses_is_left_to_it(void **state)
{
    struct host *h = host_new(false);
    uint8_t value[MD5_SIZE];

    value_md5(value, "10.0.254.1", -1, -1);
    assert_int_equal(set(h, EMU_TCP_MD5SIG, value, sizeof(value) - 1), 0);
    value_u16(value, MD5_KEYLEN, 81);
    assert_int_equal(set(h, EMU_TCP_MD5SIG, value, sizeof(value)), 0);
    assert_int_equal(set_md5(h, "10.0.254.1", 33, -1), 0);
    assert_int_equal(set_md5(h, "10.0.254.1", 32, 42), 0); /* no VRF */
    assert_int_equal(set_md5(h, "2001:db8::1", 128, -1), 0);
    assert_int_equal(h->keeps, 0);
    assert_int_equal(add(h, "any4", 0, 100, 100), 0);
    host_free(h);
}

/* Linux: an AO key without a VRF refuses every TCP-MD5 key; those of different VRFs go together. */
static void md5_keys_of_a_socket_have_an_end(void **state)
{
    struct host *h = host_new(false);
    char peer[16];
    unsigned n = 0;
    int error = 0;

    for (; error == 0 && n < 9000; n++) {
        snprintf(peer, sizeof(peer), "10.1.%u.%u", n / 200, 1 + n % 200);
        error = set_md5(h, peer, -1, -1);
    }
    assert_int_equal(error, ENOMEM);
    assert_true(n > 8000);
    host_free(h);
}

static void md5_and_ao_of_different_vrfs_go_together(void **state)
{
    static const struct {
        int ao, md5;
        int error;
    } list[] = {
        {-1, -1, EKEYREJECTED},  {-1, 0, EKEYREJECTED}, {-1, VRF, EKEYREJECTED},
        {0, -1, EKEYREJECTED},   {0, 0, EKEYREJECTED},  {0, VRF, 0},
        {VRF, -1, EKEYREJECTED}, {VRF, 0, 0},           {VRF, VRF, EKEYREJECTED},
    };

    for (size_t i = 0; i < sizeof(list) / sizeof(list[0]); i++) {
        struct host *h = host_new(false);

        assert_int_equal(add_vrf(h, "10.0.254.1", 32, list[i].ao), 0);
        assert_int_equal(set_md5(h, "10.0.254.1", 32, list[i].md5), list[i].error);
        host_free(h);
        h = host_new(false);
        assert_int_equal(set_md5(h, "10.0.254.1", 32, list[i].md5), 0);
        assert_int_equal(add_vrf(h, "10.0.254.1", 32, list[i].ao), list[i].error);
        host_free(h);
    }
}

/* ---- States --------------------------------------------------------------------------------- */

static void a_connection_that_began_without_ao_stays_so(void **state)
{
    struct host *h = host_new(false);
    uint8_t repair[REPAIR_SIZE] = {0}, value[GET_SIZE] = {0};
    size_t len;

    h->f.state = EMU_CONNECTED;
    h->f.local = (struct tcpao_endpoint){.addr = {10, 0, 1, 1}, .addr_len = 4, .port = 5000};
    h->f.remote = (struct tcpao_endpoint){.addr = {10, 0, 254, 1}, .addr_len = 4, .port = 179};
    assert_int_equal(add(h, "10.0.254.1", 32, 100, 100), EISCONN);
    assert_int_equal(del(h, "10.0.254.1", 32, 100, 100), EISCONN);
    assert_int_equal(set_info(h, 0, 0, 0), EISCONN);
    assert_int_equal(set(h, EMU_TCP_AO_ADD_KEY, value, 1), EISCONN);
    value_u16(value, GET_BITS, GET_ALL);
    assert_int_equal(get_keys(h, value, 1), ENOENT);
    assert_int_equal(set(h, EMU_TCP_AO_REPAIR, repair, sizeof(repair)), EPERM);
    assert_int_equal(get(h, EMU_TCP_AO_REPAIR, repair, 16, 16, &len), EPERM);
    h->f.repair = true;
    assert_int_equal(set(h, EMU_TCP_AO_REPAIR, repair, sizeof(repair)), ENOENT);
    assert_int_equal(get(h, EMU_TCP_AO_REPAIR, repair, 16, 16, &len), ENOENT);
    assert_int_equal(set(h, EMU_TCP_AO_REPAIR, repair, 15), EINVAL);
    assert_int_equal(set_info(h, 0, 0, 0), EINVAL);
    assert_int_equal(del(h, "10.0.254.1", 32, 100, 100), ENOENT);
    /* Only for its peer, and (bound to none) of no single VRF. */
    assert_int_equal(add(h, "10.0.1.1", 32, 100, 100), EINVAL);
    assert_int_equal(add(h, "10.1.0.0", 16, 100, 100), EINVAL);
    assert_int_equal(add_vrf(h, "10.0.254.1", 32, VRF), EINVAL);
    assert_int_equal(add(h, "10.0.0.0", 16, 100, 200), 0);
    assert_current(h, 100, 200); /* the first key of a connection */
    assert_int_equal(add(h, "any4", 0, 101, 201), 0);
    assert_current(h, 100, 200);
    host_free(h);
}

static void repair_is_not_for_listeners(void **state)
{
    struct host *h = closed_with_keys();
    uint8_t repair[REPAIR_SIZE] = {0};
    size_t len;

    h->f.repair = true;
    assert_int_equal(set(h, EMU_TCP_AO_REPAIR, repair, sizeof(repair)), 0);
    listen_on(h, 179);
    h->f.repair = true;
    assert_int_equal(set(h, EMU_TCP_AO_REPAIR, repair, sizeof(repair)), EPERM);
    assert_int_equal(set(h, EMU_TCP_AO_REPAIR, repair, 1), EPERM);
    assert_int_equal(get(h, EMU_TCP_AO_REPAIR, repair, 16, 16, &len), EPERM);
    host_free(h);
}

static void the_image_of_a_closed_socket_is_kept(void **state)
{
    static const uint8_t isns[8] = {1, 2, 3, 4, 5, 6, 7, 8};
    struct host *h = closed_with_keys();
    uint8_t image[REPAIR_SIZE], got[REPAIR_SIZE] = {0};
    size_t len;

    memcpy(image, isns, sizeof(isns));
    value_u32(image, 8, 0x11223344);
    value_u32(image, 12, 0x55667788);
    assert_int_equal(set(h, EMU_TCP_AO_REPAIR, image, sizeof(image)), EPERM);
    h->f.repair = true;
    assert_int_equal(set(h, EMU_TCP_AO_REPAIR, image, sizeof(image)), 0);
    assert_int_equal(get(h, EMU_TCP_AO_REPAIR, got, 16, 16, &len), 0);
    assert_int_equal(len, 16);
    assert_memory_equal(got, image, sizeof(image));
    host_free(h);
}

static void other_options_are_unknown(void **state)
{
    struct host *h = host_new(false);
    uint8_t value[8] = {0};
    size_t len;

    assert_int_equal(set(h, 1, value, 8), ENOPROTOOPT);
    assert_int_equal(set(h, EMU_TCP_AO_GET_KEYS, value, 8), ENOPROTOOPT);
    assert_int_equal(get(h, EMU_TCP_AO_ADD_KEY, value, 8, 8, &len), ENOPROTOOPT);
    host_free(h);
}

/* ---- Flows and successors ------------------------------------------------------------------- */

struct flow_list {
    struct emu_flow flows[16];
    size_t count;
};

static void note_flow(void *ctx, const struct emu_flow *flow)
{
    struct flow_list *l = ctx;

    assert_true(l->count < 16);
    l->flows[l->count++] = *flow;
}

static struct flow_list flows_of(const struct host *h)
{
    struct flow_list l = {.count = 0};

    emu_each_flow(h->emu, 0, note_flow, &l);
    return l;
}

static void a_listener_has_a_flow_for_each_peer(void **state)
{
    struct host *h = host_new(true);
    struct flow_list l;

    assert_int_equal(add(h, "2001:db8::", 32, 1, 1), 0);
    assert_int_equal(add(h, "2001:db8::", 32, 2, 2), 0);
    assert_int_equal(add(h, "::ffff:10.0.0.1", 32, 1, 1), 0);
    l = flows_of(h);
    assert_int_equal(l.count, 0); /* not yet */
    assert_int_equal(h->flow_changes, 0);
    listen_on(h, 179);
    assert_int_equal(h->flow_changes, 1);
    l = flows_of(h);
    assert_int_equal(l.count, 2);
    for (size_t i = 0; i < l.count; i++) {
        assert_int_equal(l.flows[i].local_port, 179);
        assert_int_equal(l.flows[i].remote_port, 0);
        assert_int_equal(l.flows[i].local.len, 0);
    }
    /* Whoever is named by no key is refused as well, in both families. */
    assert_int_equal(set_info(h, INFO_AO_REQUIRED, 0, 0), 0);
    assert_int_equal(flows_of(h).count, 4);
    h->f.v6only = true;
    assert_int_equal(set_info(h, 0, 0, 0), 0);
    assert_int_equal(set_info(h, INFO_AO_REQUIRED, 0, 0), 0);
    assert_int_equal(flows_of(h).count, 3);
    emu_gone(h->emu, now, COOKIE);
    assert_int_equal(flows_of(h).count, 0);
    assert_int_equal(h->kept_len, 0);
    assert_false(emu_knows(h->emu, &h->f));
    host_free(h);
}

static void keys_of_other_vrfs_make_no_flows(void **state)
{
    struct host *h = host_new(false);

    assert_int_equal(add_vrf(h, "10.0.254.1", 32, VRF), 0);
    assert_int_equal(add_vrf(h, "10.0.1.1", 32, 0), 0);
    listen_on(h, 179);
    assert_int_equal(flows_of(h).count, 1);
    assert_int_equal(count_keys(h), 2);
    host_free(h);

    h = host_new(false);
    h->f.bound_ifindex = VRF;
    assert_int_equal(add_vrf(h, "10.0.254.1", 32, VRF), 0);
    assert_int_equal(add_vrf(h, "10.0.1.1", 32, 0), 0);
    assert_int_equal(add_vrf(h, "10.0.2.1", 32, -1), 0);
    listen_on(h, 179);
    assert_int_equal(flows_of(h).count, 2);
    host_free(h);
}

static void binding_comes_first(void **state)
{
    static const struct tcpao_endpoint peer = {.addr = {10, 0, 254, 1}, .addr_len = 4, .port = 179};
    struct host *h = host_new(false);
    bool bind_first = true;

    assert_int_equal(emu_connect(h->emu, now, &h->f, &peer, &bind_first), 0);
    assert_false(bind_first); /* none of our business */
    assert_int_equal(emu_listen(h->emu, now, &h->f, &bind_first), 0);
    assert_false(bind_first);
    assert_int_equal(add(h, "10.0.254.1", 32, 1, 1), 0);
    assert_int_equal(emu_listen(h->emu, now, &h->f, &bind_first), 0);
    assert_true(bind_first);
    bind_first = false;
    assert_int_equal(emu_connect(h->emu, now, &h->f, &peer, &bind_first), 0);
    assert_true(bind_first);
    assert_int_equal(flows_of(h).count, 0);
    h->f.local = (struct tcpao_endpoint){.addr = {10, 0, 1, 1}, .addr_len = 4, .port = 5000};
    assert_int_equal(emu_connect(h->emu, now, &h->f, &peer, &bind_first), 0);
    assert_false(bind_first);
    assert_int_equal(flows_of(h).count, 1);
    assert_int_equal(flows_of(h).flows[0].remote_port, 179);
    assert_int_equal(flows_of(h).flows[0].local_port, 5000);
    host_free(h);
}

static int connect_to(struct host *h, const char *addr)
{
    struct tcpao_endpoint peer = {.addr_len = 4, .port = 179};
    bool bind_first;

    inet_pton(AF_INET, addr, peer.addr);
    h->f.local = (struct tcpao_endpoint){.addr = {10, 0, 1, 1}, .addr_len = 4, .port = 5000};
    return emu_connect(h->emu, now, &h->f, &peer, &bind_first);
}

static void connect_needs_a_key_for_the_peer_and_no_md5(void **state)
{
    struct host *h = host_new(false); /* no key for it */

    assert_int_equal(add(h, "10.0.1.1", 32, 1, 1), 0);
    assert_int_equal(connect_to(h, "10.0.254.1"), EKEYREJECTED);
    assert_int_equal(count_keys(h), 1);
    host_free(h);

    h = host_new(false); /* required, but no key at all */
    assert_int_equal(set_info(h, INFO_AO_REQUIRED, 0, 0), 0);
    assert_int_equal(connect_to(h, "10.0.254.1"), EKEYREJECTED);
    host_free(h);

    h = host_new(false); /* both, by nets that overlap though their addresses did not */
    assert_int_equal(add(h, "10.0.254.0", 24, 1, 1), 0);
    assert_int_equal(set_md5(h, "10.0.254.0", 24, -1), EKEYREJECTED);
    assert_int_equal(set_md5(h, "10.0.0.0", 16, -1), 0);
    assert_int_equal(connect_to(h, "10.0.254.1"), EKEYREJECTED);
    host_free(h);

    h = host_new(false); /* TCP-MD5 alone: TCP-AO goes */
    assert_int_equal(add(h, "10.0.1.1", 32, 1, 1), 0);
    assert_int_equal(set_md5(h, "10.0.254.1", 32, -1), 0);
    assert_int_equal(connect_to(h, "10.0.254.1"), 0);
    assert_false(emu_knows(h->emu, &h->f));
    host_free(h);

    h = host_new(false); /* TCP-MD5 for another peer: it goes */
    assert_int_equal(add(h, "10.0.254.1", 32, 1, 1), 0);
    assert_int_equal(set_md5(h, "10.0.1.1", 32, -1), 0);
    assert_int_equal(connect_to(h, "10.0.254.1"), 0);
    assert_int_equal(set_info(h, INFO_AO_REQUIRED, 0, 0), 0);
    host_free(h);
}

static void connect_keeps_the_keys_of_the_peer(void **state)
{
    struct host *h = host_new(false);

    assert_int_equal(add(h, "10.0.254.1", 32, 1, 11), 0);
    assert_int_equal(add(h, "10.0.0.0", 16, 2, 12), 0);
    assert_int_equal(add(h, "10.0.1.1", 32, 3, 13), 0);
    assert_int_equal(add_vrf(h, "10.0.254.1", 32, VRF), 0);
    assert_int_equal(connect_to(h, "10.0.254.1"), 0);
    assert_int_equal(count_keys(h), 2);
    assert_current(h, 2, 12); /* the one added last */
    host_free(h);

    h = host_new(false); /* a current key that does not match is forgotten */
    assert_int_equal(add(h, "10.0.254.1", 32, 1, 11), 0);
    assert_int_equal(add(h, "10.0.254.1", 32, 2, 12), 0);
    assert_int_equal(add(h, "10.0.1.1", 32, 3, 13), 0);
    assert_int_equal(set_info(h, SET_CURRENT | SET_RNEXT, 3, 11), 0);
    assert_int_equal(connect_to(h, "10.0.254.1"), 0);
    assert_current(h, 2, 11);
    host_free(h);
}

static void a_successor_knows_the_socket(void **state)
{
    struct host *h = host_new(false);
    uint8_t before[4 * GET_SIZE] = {0}, after[4 * GET_SIZE] = {0}, kept[sizeof(h->kept)];
    size_t kept_len;

    assert_int_equal(add(h, "10.0.254.1", 32, 1, 11), 0);
    assert_int_equal(add_vrf(h, "10.0.1.1", 32, VRF), 0);
    assert_int_equal(add_alg(h, "cmac(aes128)", 80, 16), 0);
    assert_int_equal(set_info(h, SET_CURRENT | SET_RNEXT | INFO_ACCEPT_ICMPS, 1, 100), 0);
    assert_int_equal(set_md5(h, "10.0.3.1", 32, -1), 0);
    value_u16(before, GET_BITS, GET_ALL);
    assert_int_equal(get_keys(h, before, 4), 0);
    kept_len = h->kept_len;
    assert_true(kept_len > 0 && h->kept[0] != 0);
    memcpy(kept, h->kept, kept_len);
    emu_free(h->emu);
    h->emu = new_emu(h);
    assert_true(emu_restore(h->emu, now, COOKIE, kept, kept_len));
    assert_false(emu_restore(h->emu, now, COOKIE, kept, kept_len));
    value_u16(after, GET_BITS, GET_ALL);
    assert_int_equal(get_keys(h, after, 4), 0);
    assert_memory_equal(before, after, sizeof(before));
    assert_current(h, 1, 100);
    assert_int_equal(set_info(h, INFO_AO_REQUIRED, 0, 0), EKEYREJECTED);
    assert_int_equal(add(h, "10.0.254.1", 32, 1, 11), EEXIST);
    /* Anything shorter, longer or of another version is not taken. */
    for (size_t len = 0; len < kept_len; len++)
        assert_false(emu_restore(h->emu, now, 1, kept, len));
    kept[kept_len] = 0;
    assert_false(emu_restore(h->emu, now, 1, kept, kept_len + 1));
    kept[0]++;
    assert_false(emu_restore(h->emu, now, 1, kept, kept_len));
    assert_true(kept_len < sizeof(kept));
    host_free(h);
}

static void a_restored_listener_listens(void **state)
{
    struct host *h = host_new(false);
    uint8_t kept[1024];
    size_t kept_len;

    assert_int_equal(add(h, "10.0.254.1", 32, 1, 11), 0);
    listen_on(h, 179);
    kept_len = h->kept_len;
    assert_true(kept_len <= sizeof(kept));
    memcpy(kept, h->kept, kept_len);
    emu_free(h->emu);
    h->emu = new_emu(h);
    assert_int_equal(flows_of(h).count, 0);
    assert_true(emu_restore(h->emu, now, COOKIE, kept, kept_len));
    assert_int_equal(flows_of(h).count, 1);
    assert_int_equal(add(h, "10.0.254.1", 32, 2, 12), 0);
    assert_int_equal(count_keys(h), 2);
    host_free(h);
}

static void many_sockets_keep_their_own_keys(void **state)
{
    struct host *h = host_new(false);

    for (uint64_t i = 1; i <= 1000; i++) {
        h->f.cookie = i;
        assert_int_equal(add(h, "10.0.254.1", 32, (uint8_t)i, (uint8_t)(i >> 8)), 0);
    }
    for (uint64_t i = 1; i <= 1000; i += 2)
        emu_gone(h->emu, now, i);
    for (uint64_t i = 1; i <= 1000; i++) {
        h->f.cookie = i;
        assert_int_equal(emu_knows(h->emu, &h->f), i % 2 == 0);
        if (i % 2 == 0)
            assert_int_equal(del(h, "10.0.254.1", 32, (uint8_t)i, (uint8_t)(i >> 8)), 0);
    }
    host_free(h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(short_values_are_invalid_and_long_ones_must_end_in_zeros),
        cmocka_unit_test(getsockopt_takes_any_length_that_ends_in_zeros),
        cmocka_unit_test(wrong_additions_are_refused),
        cmocka_unit_test(addresses_and_prefixes_must_agree),
        cmocka_unit_test(a_key_may_become_current_and_rnext_at_once),
        cmocka_unit_test(only_vrfs_are_good_ifindexes),
        cmocka_unit_test(duplicates_are_refused),
        cmocka_unit_test(ipv4_and_ipv6_peers_of_one_socket_do_not_overlap),
        cmocka_unit_test(memory_for_keys_is_limited_as_by_optmem_max),
        cmocka_unit_test(algorithms_are_linuxs),
        cmocka_unit_test(other_keys_of_aes_are_condensed),
        cmocka_unit_test(wrong_deletions_are_refused),
        cmocka_unit_test(deleting_needs_ao),
        cmocka_unit_test(keys_in_use_are_busy_unless_others_take_their_place),
        cmocka_unit_test(a_busy_key_may_still_lose_one_of_its_parts),
        cmocka_unit_test(a_listener_has_no_current_key_and_deletes_any),
        cmocka_unit_test(a_key_of_a_vrf_is_deleted_by_its_ifindex),
        cmocka_unit_test(wrong_infos_are_refused),
        cmocka_unit_test(info_overwrites_the_flags_and_sets_the_keys),
        cmocka_unit_test(a_failed_first_info_leaves_nothing),
        cmocka_unit_test(counters_can_be_set),
        cmocka_unit_test(filters_that_contradict_themselves_are_refused),
        cmocka_unit_test(fields_that_are_only_answered_must_be_zero),
        cmocka_unit_test(filters_find_what_they_say),
        cmocka_unit_test(too_small_an_array_still_tells_how_many_there_are),
        cmocka_unit_test(a_key_is_answered_as_it_was_given),
        cmocka_unit_test(a_filter_by_vrf_finds_its_keys_and_those_of_any),
        cmocka_unit_test(what_is_left_of_a_connection_is_not_the_next_sockets),
        cmocka_unit_test(ao_and_md5_for_one_peer_exclude_each_other),
        cmocka_unit_test(an_md5_key_that_is_taken_away_is_no_obstacle),
        cmocka_unit_test(what_the_kernel_refuses_is_left_to_it),
        cmocka_unit_test(md5_keys_of_a_socket_have_an_end),
        cmocka_unit_test(md5_and_ao_of_different_vrfs_go_together),
        cmocka_unit_test(a_connection_that_began_without_ao_stays_so),
        cmocka_unit_test(repair_is_not_for_listeners),
        cmocka_unit_test(the_image_of_a_closed_socket_is_kept),
        cmocka_unit_test(other_options_are_unknown),
        cmocka_unit_test(a_listener_has_a_flow_for_each_peer),
        cmocka_unit_test(keys_of_other_vrfs_make_no_flows),
        cmocka_unit_test(binding_comes_first),
        cmocka_unit_test(connect_needs_a_key_for_the_peer_and_no_md5),
        cmocka_unit_test(connect_keeps_the_keys_of_the_peer),
        cmocka_unit_test(a_successor_knows_the_socket),
        cmocka_unit_test(a_restored_listener_listens),
        cmocka_unit_test(many_sockets_keep_their_own_keys),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
