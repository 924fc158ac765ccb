/*
 * Hostile TCP headers: finding and stripping the option, and a connection that verifies and signs
 * them. Invariants are checked with abort(): a parser may refuse, but what it accepts must hold.
 *
 * Input: octet 0 chooses the key (algorithm, MAC length, option flag), octet 1 the header's length
 * in words, then header and payload. The data offset is made to agree in half of the cases, so
 * that the fuzzer gets past it.
 */
#include <stdlib.h>
#include <string.h>

#include "tcpao.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds)
{
    if (!holds)
        abort();
}

static struct tcpao_conn *make_conn(uint8_t choice)
{
    static const struct tcpao_endpoint local = {.addr = {192, 0, 2, 1}, .addr_len = 4, .port = 179};
    static const struct tcpao_endpoint remote = {.addr = {192, 0, 2, 2}, .addr_len = 4, .port = 5};
    static const struct tcpao_conn_state st = {.local_isn_known = true,
                                               .remote_isn_known = true,
                                               .local_isn = 100,
                                               .remote_isn = 200,
                                               .snd = {100},
                                               .rcv = {200}};
    const struct tcpao_mkt mkt = {.number = 1,
                                  .send_id = 3,
                                  .recv_id = 8,
                                  .alg = (enum tcpao_alg)(1 + choice % 3),
                                  .mac_len = choice & 4 ? 16 : 12,
                                  .options_covered = (choice & 8) != 0,
                                  .send = {TCPAO_TIME_MIN, TCPAO_TIME_MAX},
                                  .accept = {TCPAO_TIME_MIN, TCPAO_TIME_MAX},
                                  .secret = (const uint8_t *)"fuzz",
                                  .secret_len = 4};
    struct tcpao_chain *chain = tcpao_chain_new(0);
    struct tcpao_conn *c;

    require(chain != NULL && tcpao_chain_add(chain, &mkt, NULL) == TCPAO_CHAIN_OK);
    c = tcpao_conn_new(chain, &local, &remote);
    require(c != NULL);
    tcpao_chain_put(chain);
    tcpao_conn_import(c, &st);
    return c;
}

/* What find() reports lies inside the header; strip() takes exactly that away. */
static void find_and_strip(const uint8_t *hdr, size_t hdr_len)
{
    uint8_t out[TCPAO_TCP_HEADER_MAX];
    size_t out_len = 0;
    struct tcpao_option o, again;
    enum tcpao_result r = tcpao_option_find(hdr, hdr_len, &o);

    require(tcpao_option_strip(hdr, hdr_len, out, &out_len) == r);
    if (r != TCPAO_OK)
        return;
    require(!(o.ao && o.md5));
    if (o.ao)
        require(o.offset >= 20 && o.offset + 4u + o.mac_len <= hdr_len && hdr[o.offset] == 29);
    require(out_len >= 20 && out_len <= hdr_len && out_len % 4 == 0);
    require(tcpao_option_find(out, out_len, &again) == TCPAO_OK);
    require(!again.ao && again.md5 == o.md5);
}

/* A guess must not verify; what we sign ourselves must parse and strip. */
static void through_a_connection(struct tcpao_conn *c, const uint8_t *hdr, size_t hdr_len,
                                 const uint8_t *payload, size_t payload_len)
{
    struct tcpao_seen seen;
    struct tcpao_conn_state before, after;
    struct tcpao_option o;
    uint8_t out[TCPAO_TCP_HEADER_MAX];
    size_t out_len;

    tcpao_conn_export(c, &before);
    require(tcpao_conn_verify(c, 0, hdr, hdr_len, payload, payload_len, &seen) != TCPAO_OK);
    tcpao_conn_export(c, &after);
    require(after.rcv.highest == before.rcv.highest && after.current_known == before.current_known);
    if (tcpao_conn_sign(c, 0, hdr, hdr_len, payload, payload_len, out, &out_len) != TCPAO_OK)
        return;
    require(out_len % 4 == 0 && out_len <= TCPAO_TCP_HEADER_MAX);
    require(tcpao_option_find(out, out_len, &o) == TCPAO_OK && o.ao && o.keyid == 3 &&
            o.rnext == 8);
    find_and_strip(out, out_len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t *hdr;
    size_t hdr_len;
    struct tcpao_conn *c;

    if (size < 2)
        return 0;
    c = make_conn(data[0]);
    hdr_len = (data[1] & 31) * 4u;
    if (hdr_len > size - 2)
        hdr_len = size - 2;
    hdr = malloc(hdr_len > 0 ? hdr_len : 1); /* of its own: reading past it is seen */
    require(hdr != NULL);
    memcpy(hdr, data + 2, hdr_len);
    if ((data[1] & 32) && hdr_len > 12)
        hdr[12] = (uint8_t)(hdr_len / 4 << 4);
    find_and_strip(hdr, hdr_len);
    through_a_connection(c, hdr, hdr_len, data + 2 + hdr_len, size - 2 - hdr_len);
    free(hdr);
    tcpao_conn_free(c);
    return 0;
}
