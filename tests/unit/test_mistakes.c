/*
 * The mistakes that RFC 9235 section 8 lists. Each is made here on purpose, with OpenSSL alone, on
 * the RFC's first data segment (4.1.3): it must give another traffic key or another MAC than the
 * RFC, and what libtcpao computes must be the RFC's. So a library that makes one of them fails.
 */
#include "unit.h"

#include <string.h>

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "tcpao.h"

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

enum { KEY_LEN = 20, MAC_LEN = 12, HDR_LEN = 48, PAYLOAD_LEN = 67, MAC_OFFSET = 36 };

static const struct tcpao_endpoint client = {{10, 11, 12, 13}, 4, 59863};
static const struct tcpao_endpoint server = {{172, 27, 28, 29}, 4, 179};
static const uint32_t client_isn = 0xfbfbab5a, server_isn = 0x11c14261;

/* RFC 9235 4.1.3: the TCP segment, its key and its MAC. */
static const uint8_t segment[HDR_LEN + PAYLOAD_LEN] = {
    0xe9, 0xd7, 0x00, 0xb3, 0xfb, 0xfb, 0xab, 0x5b, 0x11, 0xc1, 0x42, 0x62, 0xc0, 0x18, 0x01,
    0x04, 0xa1, 0x62, 0x00, 0x00, 0x01, 0x01, 0x08, 0x0a, 0x00, 0x15, 0x5a, 0xc1, 0x84, 0xa5,
    0x0b, 0xeb, 0x1d, 0x10, 0x3d, 0x54, 0x70, 0x64, 0xcf, 0x99, 0x8c, 0xc6, 0xc3, 0x15, 0xc2,
    0xc2, 0xe2, 0xbf, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
    0xff, 0xff, 0xff, 0xff, 0x00, 0x43, 0x01, 0x04, 0xda, 0xbf, 0x00, 0xb4, 0x0a, 0x0b, 0x0c,
    0x0d, 0x26, 0x02, 0x06, 0x01, 0x04, 0x00, 0x01, 0x00, 0x01, 0x02, 0x02, 0x80, 0x00, 0x02,
    0x02, 0x02, 0x00, 0x02, 0x02, 0x42, 0x00, 0x02, 0x06, 0x41, 0x04, 0x00, 0x00, 0xda, 0xbf,
    0x02, 0x08, 0x40, 0x06, 0x00, 0x64, 0x00, 0x01, 0x01, 0x00};
static const uint8_t right_key[KEY_LEN] = {0xd2, 0xe5, 0x9c, 0x65, 0xff, 0xc7, 0xb1,
                                           0xa3, 0x93, 0x47, 0x65, 0x64, 0x63, 0xb7,
                                           0x0e, 0xdc, 0x24, 0xa1, 0x3d, 0x71};
static const uint8_t right_mac[MAC_LEN] = {0x70, 0x64, 0xcf, 0x99, 0x8c, 0xc6,
                                           0xc3, 0x15, 0xc2, 0xc2, 0xe2, 0xbf};

struct bytes {
    uint8_t data[512];
    size_t len;
};

static void add(struct bytes *b, const void *data, size_t len)
{
    assert_true(b->len + len <= sizeof(b->data));
    memcpy(b->data + b->len, data, len);
    b->len += len;
}

static void add_number(struct bytes *b, uint64_t v, size_t octets)
{
    uint8_t be[8];

    for (size_t i = 0; i < octets; i++)
        be[i] = (uint8_t)(v >> 8 * (octets - 1 - i));
    add(b, be, octets);
}

static void hmac_sha1(const void *key, size_t key_len, const struct bytes *b, uint8_t out[KEY_LEN])
{
    unsigned len;

    assert_non_null(HMAC(EVP_sha1(), key, (int)key_len, b->data, b->len, out, &len));
    assert_int_equal(len, KEY_LEN);
}

/* ---- The KDF -------------------------------------------------------------------------------- */

/* How the KDF's input is made; all zero is right. */
struct kdf_mistake {
    const char *what;
    bool counter_from_zero, no_length, length_in_octets, length_in_one_octet, length_swapped;
    bool seq_for_isn, label_with_nul, tcp_length_in_context, ports_swapped;
    bool dst_isn_zero;
};

static const struct kdf_mistake kdf_mistakes[] = {
    {"the counter starts at 0", .counter_from_zero = true},
    {"the output length is left out", .no_length = true},
    {"the output length is in octets", .length_in_octets = true},
    {"the output length is one octet long", .length_in_one_octet = true},
    {"the output length is little-endian", .length_swapped = true},
    {"the segment's SEQ and ACK stand for the ISNs", .seq_for_isn = true},
    {"the label ends in NUL", .label_with_nul = true},
    {"the context holds the TCP length", .tcp_length_in_context = true},
    {"ports in host order", .ports_swapped = true},
    {"the SYN's key (destination ISN 0) for a data segment", .dst_isn_zero = true},
};

static uint16_t swap(uint16_t v)
{
    return (uint16_t)(v << 8 | v >> 8);
}

static void derive(const struct kdf_mistake *m, uint8_t key[KEY_LEN])
{
    struct bytes in = {.len = 0};
    uint32_t one = m->seq_for_isn ? 1 : 0;

    add_number(&in, m->counter_from_zero ? 0 : 1, 1);
    add(&in, "TCP-AO", m->label_with_nul ? 7 : 6);
    add(&in, client.addr, 4);
    add(&in, server.addr, 4);
    add_number(&in, m->ports_swapped ? swap(client.port) : client.port, 2);
    add_number(&in, m->ports_swapped ? swap(server.port) : server.port, 2);
    add_number(&in, client_isn + one, 4);
    add_number(&in, m->dst_isn_zero ? 0 : server_isn + one, 4);
    if (m->tcp_length_in_context)
        add_number(&in, HDR_LEN + PAYLOAD_LEN, 2);
    if (!m->no_length)
        add_number(&in,
                   m->length_in_octets ? 20
                   : m->length_swapped ? swap(160)
                                       : 160,
                   m->length_in_one_octet ? 1 : 2);
    hmac_sha1("testvector", 10, &in, key);
}

static void mistakes_in_the_kdf(void **state)
{
    static const struct kdf_mistake none;
    uint8_t key[TCPAO_TRAFFIC_KEY_MAX];

    derive(&none, key);
    assert_memory_equal(key, right_key, KEY_LEN);
    assert_int_equal(tcpao_kdf(TCPAO_HMAC_SHA_1, (const uint8_t *)"testvector", 10, &client,
                               &server, client_isn, server_isn, key),
                     TCPAO_OK);
    assert_memory_equal(key, right_key, KEY_LEN);
    for (size_t i = 0; i < ARRAY_LEN(kdf_mistakes); i++) {
        print_message("  %s\n", kdf_mistakes[i].what);
        derive(&kdf_mistakes[i], key);
        assert_memory_not_equal(key, right_key, KEY_LEN);
    }
}

/* ---- The MAC -------------------------------------------------------------------------------- */

struct mac_mistake {
    const char *what;
    bool no_sne, checksum_kept, mac_kept, no_header, no_options, no_payload;
    bool header_length_for_tcp_length, length_swapped, addresses_swapped, wrong_end;
};

static const struct mac_mistake mac_mistakes[] = {
    {"the SNE is left out", .no_sne = true},
    {"the checksum is not zeroed", .checksum_kept = true},
    {"the MAC is not zeroed", .mac_kept = true},
    {"the TCP header is left out", .no_header = true},
    {"options are not covered by default", .no_options = true},
    {"the payload is left out", .no_payload = true},
    {"the pseudo-header has the length of the header alone", .header_length_for_tcp_length = true},
    {"the pseudo-header's length is in host order", .length_swapped = true},
    {"source and destination change places", .addresses_swapped = true},
    {"the last octets of the MAC instead of the first", .wrong_end = true},
};

static void add_header(const struct mac_mistake *m, struct bytes *in)
{
    uint8_t hdr[HDR_LEN];

    memcpy(hdr, segment, HDR_LEN);
    if (!m->checksum_kept)
        hdr[16] = hdr[17] = 0;
    if (!m->mac_kept)
        memset(hdr + MAC_OFFSET, 0, MAC_LEN);
    add(in, hdr, 20);
    if (m->no_options)
        add(in, hdr + MAC_OFFSET - 4, 4 + MAC_LEN);
    else
        add(in, hdr + 20, HDR_LEN - 20);
}

static void authenticate(const struct mac_mistake *m, uint8_t mac[MAC_LEN])
{
    struct bytes in = {.len = 0};
    uint16_t len = m->header_length_for_tcp_length ? HDR_LEN : HDR_LEN + PAYLOAD_LEN;
    uint8_t full[KEY_LEN];

    if (!m->no_sne)
        add_number(&in, 0, 4);
    add(&in, m->addresses_swapped ? server.addr : client.addr, 4);
    add(&in, m->addresses_swapped ? client.addr : server.addr, 4);
    add_number(&in, 6, 2);
    add_number(&in, m->length_swapped ? swap(len) : len, 2);
    if (!m->no_header)
        add_header(m, &in);
    if (!m->no_payload)
        add(&in, segment + HDR_LEN, PAYLOAD_LEN);
    hmac_sha1(right_key, KEY_LEN, &in, full);
    memcpy(mac, m->wrong_end ? full + KEY_LEN - MAC_LEN : full, MAC_LEN);
}

static void mistakes_in_the_mac(void **state)
{
    static const struct mac_mistake none;
    uint8_t mac[TCPAO_MAC_MAX];

    authenticate(&none, mac);
    assert_memory_equal(mac, right_mac, MAC_LEN);
    assert_int_equal(tcpao_segment_mac(TCPAO_HMAC_SHA_1, right_key, true, MAC_LEN, &client, &server,
                                       0, segment, HDR_LEN, segment + HDR_LEN, PAYLOAD_LEN, mac),
                     TCPAO_OK);
    assert_memory_equal(mac, right_mac, MAC_LEN);
    for (size_t i = 0; i < ARRAY_LEN(mac_mistakes); i++) {
        print_message("  %s\n", mac_mistakes[i].what);
        authenticate(&mac_mistakes[i], mac);
        assert_memory_not_equal(mac, right_mac, MAC_LEN);
    }
}

/* With HMAC a NUL at the end of a short password changes nothing, because HMAC pads its key with
 * zeros; CMAC shows the mistake. The key is that of RFC 9235 5.1.1. */
static void the_password_ends_in_nul(void **state)
{
    static const uint8_t syn_key[16] = {0xf5, 0xb8, 0xb3, 0xd5, 0xf3, 0x4f, 0xdb, 0xb6,
                                        0xeb, 0x8d, 0x4a, 0xb9, 0x66, 0x0e, 0x60, 0xe3};
    const struct tcpao_endpoint from = {{10, 11, 12, 13}, 4, 50426};
    const uint8_t *password = (const uint8_t *)"testvector";
    uint8_t key[TCPAO_TRAFFIC_KEY_MAX];

    assert_int_equal(
        tcpao_kdf(TCPAO_AES_128_CMAC, password, 10, &from, &server, 0x787a1ddf, 0, key), TCPAO_OK);
    assert_memory_equal(key, syn_key, 16);
    assert_int_equal(
        tcpao_kdf(TCPAO_AES_128_CMAC, password, 11, &from, &server, 0x787a1ddf, 0, key), TCPAO_OK);
    assert_memory_not_equal(key, syn_key, 16);
}

/* RFC 5926 3.1.1.2: a master key of 16 octets is used as it is, not condensed. */
static void a_password_of_sixteen_octets_is_condensed(void **state)
{
    static const uint8_t password[] = "0123456789abcdef";
    struct bytes in = {.len = 0};
    uint8_t expected[16], key[TCPAO_TRAFFIC_KEY_MAX];
    size_t len;

    add_number(&in, 1, 1);
    add(&in, "TCP-AO", 6);
    add(&in, client.addr, 4);
    add(&in, server.addr, 4);
    add_number(&in, client.port, 2);
    add_number(&in, server.port, 2);
    add_number(&in, 1, 4);
    add_number(&in, 2, 4);
    add_number(&in, 128, 2);
    assert_non_null(EVP_Q_mac(NULL, "CMAC", NULL, "AES-128-CBC", NULL, password, 16, in.data,
                              in.len, expected, sizeof(expected), &len));
    assert_int_equal(tcpao_kdf(TCPAO_AES_128_CMAC, password, 16, &client, &server, 1, 2, key),
                     TCPAO_OK);
    assert_memory_equal(key, expected, 16);
}

static void an_unknown_algorithm_gives_no_key(void **state)
{
    uint8_t key[TCPAO_TRAFFIC_KEY_MAX];

    assert_int_equal(tcpao_kdf((enum tcpao_alg)99, (const uint8_t *)"testvector", 10, &client,
                               &server, 1, 2, key),
                     TCPAO_CRYPTO_FAILED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mistakes_in_the_kdf),
        cmocka_unit_test(mistakes_in_the_mac),
        cmocka_unit_test(the_password_ends_in_nul),
        cmocka_unit_test(a_password_of_sixteen_octets_is_condensed),
        cmocka_unit_test(an_unknown_algorithm_gives_no_key),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
