/*
 * The test vectors of RFC 9235 sections 4 to 7, through the stateless functions and through
 * connections of both ends.
 */
#include "unit.h"

#include <arpa/inet.h>
#include <jansson.h>
#include <string.h>

#include "shared.h"
#include "tcpao.h"

enum { VECTORS = 32, PACKET_MAX = 512 };

struct vector {
    const char *name;
    enum tcpao_alg alg;
    bool covered, from_client;
    uint8_t keyid, rnext;
    uint8_t secret[64];
    size_t secret_len;
    struct tcpao_endpoint client, server;
    uint32_t client_isn, server_isn, src_isn, dst_isn, sne;
    uint8_t packet[PACKET_MAX];
    size_t packet_len;
    uint8_t key[TCPAO_TRAFFIC_KEY_MAX];
    size_t key_len;
    uint8_t mac[TCPAO_MAC_MAX];
    size_t mac_len;
};

static struct vector vectors[VECTORS];
static bool loaded;

static const char *text(const json_t *v, const char *name)
{
    const char *s = json_string_value(json_object_get(v, name));

    assert_non_null(s);
    return s;
}

static size_t unhex(const char *hex, uint8_t *out, size_t size)
{
    size_t n = strlen(hex) / 2;

    assert_true(n <= size);
    for (size_t i = 0; i < n; i++) {
        unsigned octet;

        assert_int_equal(sscanf(hex + 2 * i, "%2x", &octet), 1);
        out[i] = (uint8_t)octet;
    }
    return n;
}

static struct tcpao_endpoint endpoint(const json_t *v, const char *ip, const char *port)
{
    struct tcpao_endpoint e = {.addr_len = 4};
    const char *address = text(v, ip);

    if (inet_pton(AF_INET, address, e.addr) != 1) {
        e.addr_len = 16;
        assert_int_equal(inet_pton(AF_INET6, address, e.addr), 1);
    }
    e.port = (uint16_t)json_integer_value(json_object_get(v, port));
    return e;
}

static uint32_t isn(const json_t *v, const char *name)
{
    return (uint32_t)strtoul(text(v, name), NULL, 16);
}

static void load_one(const json_t *j, struct vector *v)
{
    unsigned mac_len;

    v->name = strdup(text(j, "name"));
    assert_true(tcpao_alg_parse(text(j, "alg"), &v->alg, &mac_len));
    v->covered = json_is_true(json_object_get(j, "options_covered"));
    v->from_client = strcmp(text(j, "direction"), "client-to-server") == 0;
    v->keyid = (uint8_t)json_integer_value(json_object_get(j, "keyid"));
    v->rnext = (uint8_t)json_integer_value(json_object_get(j, "rnextkeyid"));
    v->secret_len = unhex(text(j, "master_key_hex"), v->secret, sizeof(v->secret));
    v->client = endpoint(j, "client_ip", "client_port");
    v->server = endpoint(j, "server_ip", "server_port");
    v->client_isn = isn(j, "client_isn");
    v->server_isn = isn(j, "server_isn");
    v->src_isn = isn(j, "kdf_src_isn");
    v->dst_isn = isn(j, "kdf_dst_isn");
    v->sne = (uint32_t)json_integer_value(json_object_get(j, "sne"));
    v->packet_len = unhex(text(j, "packet_hex"), v->packet, sizeof(v->packet));
    v->key_len = unhex(text(j, "traffic_key_hex"), v->key, sizeof(v->key));
    v->mac_len = unhex(text(j, "mac_hex"), v->mac, sizeof(v->mac));
    assert_int_equal(v->mac_len, mac_len);
}

static int load(void **state)
{
    char path[512];
    json_error_t error;
    json_t *root, *list;

    if (!shared_file("vectors/rfc9235.json", path, sizeof(path)))
        return 0;
    root = json_load_file(path, 0, &error);
    assert_non_null(root);
    list = json_object_get(root, "vectors");
    assert_int_equal(json_array_size(list), VECTORS);
    for (size_t i = 0; i < VECTORS; i++)
        load_one(json_array_get(list, i), &vectors[i]);
    json_decref(root);
    loaded = true;
    return 0;
}

static int unload(void **state)
{
    for (size_t i = 0; i < VECTORS; i++)
        free((void *)(uintptr_t)vectors[i].name);
    return 0;
}

#define NEED_VECTORS()                                                                             \
    do {                                                                                           \
        if (!loaded)                                                                               \
            skip();                                                                                \
    } while (0)

static const struct tcpao_endpoint *src(const struct vector *v)
{
    return v->from_client ? &v->client : &v->server;
}

static const struct tcpao_endpoint *dst(const struct vector *v)
{
    return v->from_client ? &v->server : &v->client;
}

static const uint8_t *tcp(const struct vector *v, size_t *hdr_len, size_t *payload_len)
{
    size_t ip = v->client.addr_len == 4 ? (v->packet[0] & 15) * 4u : 40u;

    *hdr_len = (v->packet[ip + 12] >> 4) * 4u;
    *payload_len = v->packet_len - ip - *hdr_len;
    return v->packet + ip;
}

static void traffic_keys(void **state)
{
    uint8_t key[TCPAO_TRAFFIC_KEY_MAX];

    NEED_VECTORS();
    for (size_t i = 0; i < VECTORS; i++) {
        const struct vector *v = &vectors[i];

        assert_int_equal(tcpao_kdf(v->alg, v->secret, v->secret_len, src(v), dst(v), v->src_isn,
                                   v->dst_isn, key),
                         TCPAO_OK);
        assert_int_equal(tcpao_traffic_key_len(v->alg), v->key_len);
        assert_memory_equal(key, v->key, v->key_len);
    }
}

static void macs(void **state)
{
    uint8_t mac[TCPAO_MAC_MAX];

    NEED_VECTORS();
    for (size_t i = 0; i < VECTORS; i++) {
        const struct vector *v = &vectors[i];
        size_t hdr_len, payload_len;
        const uint8_t *hdr = tcp(v, &hdr_len, &payload_len);

        assert_int_equal(tcpao_segment_mac(v->alg, v->key, v->covered, (unsigned)v->mac_len, src(v),
                                           dst(v), v->sne, hdr, hdr_len, hdr + hdr_len, payload_len,
                                           mac),
                         TCPAO_OK);
        assert_memory_equal(mac, v->mac, v->mac_len);
    }
}

/* ---- Connections: the four segments of a group pass in order between a client and a server ----
 */

static struct tcpao_conn *make_conn(const struct vector *v, bool client)
{
    const struct tcpao_mkt mkt = {.number = 1,
                                  .send_id = client ? 61 : 84,
                                  .recv_id = client ? 84 : 61,
                                  .alg = v->alg,
                                  .mac_len = (uint8_t)v->mac_len,
                                  .options_covered = v->covered,
                                  .send = {TCPAO_TIME_MIN, TCPAO_TIME_MAX},
                                  .accept = {TCPAO_TIME_MIN, TCPAO_TIME_MAX},
                                  .secret = v->secret,
                                  .secret_len = v->secret_len};
    struct tcpao_chain *chain = tcpao_chain_new(TCPAO_DEFAULT_TOLERANCE);
    struct tcpao_conn *c;

    assert_non_null(chain);
    assert_int_equal(tcpao_chain_add(chain, &mkt, NULL), TCPAO_CHAIN_OK);
    c = tcpao_conn_new(chain, client ? &v->client : &v->server, client ? &v->server : &v->client);
    assert_non_null(c);
    tcpao_chain_put(chain);
    return c;
}

/* Strips the option and signs again: the same MAC must come out, wherever the option now stands
 * when options are not covered. */
static void sign_again(struct tcpao_conn *c, const struct vector *v, const uint8_t *hdr,
                       size_t hdr_len, size_t payload_len)
{
    uint8_t bare[TCPAO_TCP_HEADER_MAX], out[TCPAO_TCP_HEADER_MAX];
    size_t bare_len, out_len;
    struct tcpao_option option;

    assert_int_equal(tcpao_option_strip(hdr, hdr_len, bare, &bare_len), TCPAO_OK);
    assert_int_equal(
        tcpao_conn_sign(c, 0, bare, bare_len, hdr + hdr_len, payload_len, out, &out_len), TCPAO_OK);
    assert_int_equal(out_len, hdr_len);
    assert_int_equal(tcpao_option_find(out, out_len, &option), TCPAO_OK);
    assert_int_equal(option.keyid, v->keyid);
    assert_int_equal(option.rnext, v->rnext);
    assert_memory_equal(out + option.offset + TCPAO_OPTION_HEADER, v->mac, v->mac_len);
}

static void connections(void **state)
{
    NEED_VECTORS();
    for (size_t i = 0; i < VECTORS; i += 4) {
        struct tcpao_conn *client = make_conn(&vectors[i], true);
        struct tcpao_conn *server = make_conn(&vectors[i], false);

        for (size_t k = i; k < i + 4; k++) {
            const struct vector *v = &vectors[k];
            size_t hdr_len, payload_len;
            const uint8_t *hdr = tcp(v, &hdr_len, &payload_len);
            struct tcpao_seen seen;

            sign_again(v->from_client ? client : server, v, hdr, hdr_len, payload_len);
            assert_int_equal(tcpao_conn_verify(v->from_client ? server : client, 0, hdr, hdr_len,
                                               hdr + hdr_len, payload_len, &seen),
                             TCPAO_OK);
            assert_false(seen.mismatch);
            if (k == i)
                tcpao_conn_accept_syn(server, 0, v->client_isn, &seen);
        }
        tcpao_conn_free(client);
        tcpao_conn_free(server);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(traffic_keys),
        cmocka_unit_test(macs),
        cmocka_unit_test(connections),
    };
    return cmocka_run_group_tests(tests, load, unload);
}
