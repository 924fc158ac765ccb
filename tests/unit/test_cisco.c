/*
 * A capture of two IOS XR routers through tcpao_conn: ten signed segments. Of the first connection
 * the handshake is missing (five segments cannot be verified), the second is whole (five verify).
 */
#include "ao_ends.h"

#include <pcap/pcap.h>

#include "shared.h"

enum { ETHERNET = 14, CONNECTIONS = 2 };

struct counts {
    unsigned verified, incomplete, failed;
};

static struct tcpao_conn *conns[CONNECTIONS];
static uint16_t conn_ports[CONNECTIONS];

static struct tcpao_chain *cisco_chain(void)
{
    struct tcpao_mkt mkt = key_of(123);

    mkt.options_covered = false;
    mkt.secret = (const uint8_t *)"123";
    mkt.secret_len = 3;
    return chain_of(0, &mkt, 1);
}

static uint16_t get16(const uint8_t *p)
{
    return (uint16_t)(p[0] << 8 | p[1]);
}

static uint32_t get32(const uint8_t *p)
{
    return (uint32_t)get16(p) << 16 | get16(p + 2);
}

/*
 * One connection object for each connection, seen from 31.0.0.1. What it receives goes through
 * tcpao_conn_verify(); what it sends through tcpao_conn_sign(), which must give the same octets
 * and so is a verification too.
 */
static struct tcpao_conn *conn_for(uint16_t local_port, uint16_t remote_port)
{
    const struct tcpao_endpoint local = {{31, 0, 0, 1}, 4, local_port};
    const struct tcpao_endpoint remote = {{32, 0, 0, 2}, 4, remote_port};
    struct tcpao_chain *chain;

    for (size_t i = 0; i < CONNECTIONS; i++) {
        if (conns[i] != NULL && conn_ports[i] == local_port)
            return conns[i];
        if (conns[i] == NULL) {
            chain = cisco_chain();
            conns[i] = tcpao_conn_new(chain, &local, &remote);
            tcpao_chain_put(chain);
            assert_non_null(conns[i]);
            conn_ports[i] = local_port;
            return conns[i];
        }
    }
    fail();
    return NULL;
}

static enum tcpao_result verify_sent(struct tcpao_conn *c, const uint8_t *tcp, size_t hdr_len,
                                     size_t payload_len, const struct tcpao_option *o)
{
    uint8_t bare[TCPAO_TCP_HEADER_MAX], out[TCPAO_TCP_HEADER_MAX];
    size_t bare_len, out_len;
    enum tcpao_result r;

    assert_int_equal(tcpao_option_strip(tcp, hdr_len, bare, &bare_len), TCPAO_OK);
    r = tcpao_conn_sign(c, 0, bare, bare_len, tcp + hdr_len, payload_len, out, &out_len);
    if (r != TCPAO_OK)
        return r;
    assert_int_equal(out_len, hdr_len);
    return memcmp(out + o->offset, tcp + o->offset, TCPAO_OPTION_HEADER + o->mac_len) == 0
               ? TCPAO_OK
               : TCPAO_BAD_MAC;
}

static void count_packet(const uint8_t *packet, size_t len, struct counts *n)
{
    const uint8_t *ip = packet + ETHERNET, *tcp;
    size_t ip_len, hdr_len, payload_len;
    struct tcpao_option o;
    struct tcpao_seen seen;
    struct tcpao_conn *c;
    enum tcpao_result r;

    if (len < ETHERNET + 40 || get16(packet + 12) != 0x0800 || ip[9] != 6)
        return;
    ip_len = (ip[0] & 15) * 4u;
    tcp = ip + ip_len;
    hdr_len = (tcp[12] >> 4) * 4u;
    payload_len = get16(ip + 2) - ip_len - hdr_len;
    assert_true(len >= (size_t)ETHERNET + get16(ip + 2));
    assert_int_equal(tcpao_option_find(tcp, hdr_len, &o), TCPAO_OK);
    if (!o.ao)
        return;
    if (ip[12] == 31) {
        c = conn_for(get16(tcp), get16(tcp + 2));
        r = verify_sent(c, tcp, hdr_len, payload_len, &o);
    } else {
        c = conn_for(get16(tcp + 2), get16(tcp));
        r = tcpao_conn_verify(c, 0, tcp, hdr_len, tcp + hdr_len, payload_len, &seen);
        if (r == TCPAO_OK && (tcp[13] & (SYN | ACK)) == SYN)
            tcpao_conn_accept_syn(c, 0, get32(tcp + 4), &seen);
    }
    if (r == TCPAO_OK)
        n->verified++;
    else if (r == TCPAO_ISN_UNKNOWN)
        n->incomplete++;
    else
        n->failed++;
}

static void ten_segments(void **state)
{
    char path[512], error[PCAP_ERRBUF_SIZE];
    struct counts n = {0};
    struct pcap_pkthdr *header;
    const uint8_t *data;
    pcap_t *pcap;

    if (!shared_file("vectors/cisco.pcap", path, sizeof(path)))
        skip();
    pcap = pcap_open_offline(path, error);
    assert_non_null(pcap);
    assert_int_equal(pcap_datalink(pcap), DLT_EN10MB);
    while (pcap_next_ex(pcap, &header, &data) == 1)
        count_packet(data, header->caplen, &n);
    pcap_close(pcap);
    for (size_t i = 0; i < CONNECTIONS; i++)
        tcpao_conn_free(conns[i]);
    assert_int_equal(n.verified, 5);
    assert_int_equal(n.incomplete, 5);
    assert_int_equal(n.failed, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(ten_segments)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
