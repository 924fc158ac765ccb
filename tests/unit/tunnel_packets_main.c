/*
 * Tunnels, fragments and ICMP as a program, for oracle_tunnel.py. Reads lines, answers each with
 * one:
 *
 *   encap KIND LOCAL REMOTE KEY CHECKSUM SEQUENCE LIMIT PACKET     RESULT OCTETS; KEY, LIMIT "-":
 * none decap KIND LOCAL REMOTE KEY PACKET                             RESULT OCTETS cut MTU PACKET
 * RESULT OCTETS… join PACKET…                                                   RESULT OCTETS, of
 * the last one mss MSS PACKET                                                 whether it was
 * lowered, OCTETS too-big MTU FROM PACKET                                        RESULT OCTETS
 *   quote PACKET                                   RESULT KIND MTU LOCAL REMOTE PROTOCOL SPI SEQ
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tunnel/fragment.h"
#include "tunnel/icmp.h"
#include "tunnel/mss.h"
#include "tunnel/quote.h"
#include "tunnel/reassembly.h"
#include "tunnel/table.h"

enum { ROOM = 70000, AT = 200, LINE = 400000 };

static char line[LINE];
static uint8_t mem[ROOM], more[ROOM];
static const struct gh_hash_seed seed = {{9, 10}};

static char *word(void)
{
    char *w = strtok(NULL, " \n");

    if (w == NULL)
        exit(2);
    return w;
}

static unsigned long number(void)
{
    return strtoul(word(), NULL, 10);
}

static struct gh_addr address(void)
{
    struct gh_addr a;

    if (!gh_addr_parse(word(), &a))
        exit(2);
    return a;
}

static struct ipsec_packet room(uint8_t *at)
{
    return (struct ipsec_packet){.mem = at, .cap = ROOM, .at = AT};
}

static struct ipsec_packet packet_of(const char *hex)
{
    struct ipsec_packet p = room(mem);
    unsigned octet;

    for (p.len = 0; hex[2 * p.len] != '\0'; p.len++) {
        if (AT + p.len >= ROOM || sscanf(hex + 2 * p.len, "%2x", &octet) != 1)
            exit(2);
        mem[AT + p.len] = (uint8_t)octet;
    }
    return p;
}

static void answer(const char *result, const struct ipsec_packet *p)
{
    printf("%s ", result);
    for (size_t i = 0; i < p->len; i++)
        printf("%02x", ipsec_packet_data(p)[i]);
    printf("\n");
}

static struct tunnel_params params(void)
{
    struct tunnel_params p = {.id = 1};

    p.kind = strcmp(word(), "gre") == 0 ? TUNNEL_GRE : TUNNEL_IP_IP;
    p.local = address();
    p.remote = address();
    return p;
}

static void encap(void)
{
    struct tunnel_params params_ = params();
    const char *key = word(), *limit;
    struct ipsec_packet p;
    struct tunnel t;
    uint32_t pointer;
    const char *result;

    params_.private_place = 1;
    params_.has_send_key = strcmp(key, "-") != 0;
    params_.send_key = (uint32_t)strtoul(key, NULL, 10);
    params_.send_checksum = number();
    params_.send_sequence = number();
    limit = word();
    params_.has_encapsulation_limit = strcmp(limit, "-") != 0;
    params_.encapsulation_limit = (uint8_t)strtoul(limit, NULL, 10);
    if (!tunnel_params_valid(&params_))
        exit(2);
    tunnel_init(&t, &params_);
    p = packet_of(word());
    result = tunnel_result_name(tunnel_encapsulate(&t, 7, &p, &pointer));
    answer(result, &p);
}

static void decap(void)
{
    struct tunnel_table *table = tunnel_table_new(1, &seed);
    struct tunnel_params params_ = params();
    const char *key = word();
    enum tunnel_result result;
    struct ipsec_packet p;
    struct tunnel *t;

    params_.private_place = 1;
    params_.has_receive_key = strcmp(key, "-") != 0;
    params_.receive_key = (uint32_t)strtoul(key, NULL, 10);
    if (table == NULL || tunnel_table_add(table, &params_) != TUNNEL_ADDED)
        exit(2);
    p = packet_of(word());
    result = tunnel_table_find(table, &p, &t);
    if (result == TUNNEL_OK)
        result = tunnel_decapsulate(t, &p);
    answer(tunnel_result_name(result), &p);
    tunnel_table_free(table);
}

static void cut(void)
{
    size_t mtu = number();
    struct ipsec_packet p = packet_of(word()), part = room(more);
    struct tunnel_cut c;
    enum tunnel_result result = tunnel_cut_begin(&c, ipsec_packet_data(&p), p.len, mtu, 0x11223344);

    printf("%s", tunnel_result_name(result));
    while (result == TUNNEL_OK && tunnel_cut_more(&c)) {
        result = tunnel_cut_next(&c, &part);
        printf(" ");
        for (size_t i = 0; i < part.len; i++)
            printf("%02x", ipsec_packet_data(&part)[i]);
    }
    printf("\n");
}

static void join(void)
{
    struct tunnel_reassembly *r =
        tunnel_reassembly_new(&(struct tunnel_reassembly_limits){.smallest = 8}, &seed);
    struct ipsec_packet whole = room(more);
    enum tunnel_result result = TUNNEL_KEPT;
    char *w;

    if (r == NULL)
        exit(2);
    while ((w = strtok(NULL, " \n")) != NULL) {
        struct ipsec_packet p = packet_of(w);

        result = tunnel_reassemble(r, 1, &p, &whole);
    }
    answer(tunnel_result_name(result), &whole);
    tunnel_reassembly_free(r);
}

static void mss(void)
{
    uint16_t to = (uint16_t)number();
    struct ipsec_packet p = packet_of(word());

    answer(tunnel_mss_lower(ipsec_packet_data(&p), p.len, to) ? "lowered" : "same", &p);
}

static void too_big(void)
{
    uint16_t mtu = (uint16_t)number();
    struct gh_addr from = address();
    struct ipsec_packet p = packet_of(word()), out = room(more);
    enum tunnel_result result = tunnel_icmp_too_big(&p, mtu, &from, &out);

    answer(tunnel_result_name(result), &out);
}

static void quote(void)
{
    struct ipsec_packet p = packet_of(word());
    char local[GH_ADDR_TEXT], remote[GH_ADDR_TEXT];
    struct tunnel_quote q;
    enum tunnel_result result = tunnel_quote_read(ipsec_packet_data(&p), p.len, &q);

    printf("%s %d %u %s %s %u %u %u\n", tunnel_result_name(result), (int)q.kind, q.mtu,
           gh_addr_format(&q.local, local), gh_addr_format(&q.remote, remote), q.protocol, q.spi,
           q.seq);
}

int main(void)
{
    static const struct {
        const char *name;
        void (*run)(void);
    } commands[] = {{"encap", encap}, {"decap", decap},     {"cut", cut},    {"join", join},
                    {"mss", mss},     {"too-big", too_big}, {"quote", quote}};

    while (fgets(line, sizeof(line), stdin) != NULL) {
        char *name = strtok(line, " \n");
        size_t i = 0;

        while (i < sizeof(commands) / sizeof(commands[0]) &&
               (name == NULL || strcmp(commands[i].name, name) != 0))
            i++;
        if (i == sizeof(commands) / sizeof(commands[0]))
            return 2;
        commands[i].run();
        fflush(stdout);
    }
    return 0;
}
