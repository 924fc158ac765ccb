/*
 * The IPsec engine as a program, for oracle_ipsec.py. Reads lines, answers each with one:
 *
 *   sa WAY PROTOCOL MODE SPI ESN LAST_SEQ ENC BITS INTEG LOCAL REMOTE PORT ENC_KEY INTEG_KEY
 *   inner (the same)                      this one's packets are inside of those of
 *   around (the same)                     this one, with AH
 *   packet WAY ENCAPSULATED OCTETS        the result's name, and what became of the packet
 *
 * Numbers are decimal, algorithms IKEv2's; keys and packets hexadecimal, "-" for none.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ipsec/ipsec.h"

enum { ROOM = 8192, AT = 512, LINE = 3 * ROOM };

static bool some_octets(void *arg, uint8_t *out, size_t len)
{
    for (size_t i = 0; i < len; i++)
        out[i] = (uint8_t)rand();
    return true;
}

static size_t unhex(const char *hex, uint8_t *out, size_t room)
{
    size_t n = strcmp(hex, "-") == 0 ? 0 : strlen(hex) / 2;

    if (n > room)
        exit(2);
    for (size_t i = 0; i < n; i++) {
        unsigned octet;

        if (sscanf(hex + 2 * i, "%2x", &octet) != 1)
            exit(2);
        out[i] = (uint8_t)octet;
    }
    return n;
}

static const struct ipsec_selector *anything(void)
{
    static const struct gh_prefix any[2] = {{.addr = {.len = 4}}, {.addr = {.len = 16}}};
    static struct ipsec_selector s[2];

    for (int i = 0; i < 2; i++)
        s[i] = ipsec_selector_between(&any[i], &any[i]);
    return s;
}

enum { INNER = 1, OUTER = 2 };

/* False: not well-formed, or the engine does not want it. */
static bool add_sa(struct ipsec *e, const char *words, uint64_t id, uint64_t outer)
{
    static uint8_t enc_key[128], integ_key[128];
    unsigned way, protocol, mode, esn, enc, bits, integ, port;
    char local[64], remote[64], key[2][300];
    struct ipsec_sa_params p = {.id = id,
                                .policy = (uint32_t)id,
                                .outer = outer,
                                .window = 64,
                                .selectors = anything(),
                                .selector_count = 2};

    if (sscanf(words, "%u %u %u %u %u %lu %u %u %u %63s %63s %u %299s %299s", &way, &protocol,
               &mode, &p.spi, &esn, &p.last_seq, &enc, &bits, &integ, local, remote, &port, key[0],
               key[1]) != 14 ||
        !gh_addr_parse(local, &p.local) || !gh_addr_parse(remote, &p.remote))
        return false;
    p.way = way;
    p.protocol = protocol;
    p.mode = mode;
    p.esn = esn;
    p.local_port = p.remote_port = (uint16_t)port;
    p.algs = (struct ipsec_crypt_algs){.enc = enc, .bits = bits, .integ = integ};
    p.algs.enc_key = gh_view_of(enc_key, unhex(key[0], enc_key, sizeof(enc_key)));
    p.algs.integ_key = gh_view_of(integ_key, unhex(key[1], integ_key, sizeof(integ_key)));
    return ipsec_add_sa(e, &p);
}

static void pass_packet(struct ipsec *e, char *line)
{
    static uint8_t mem[ROOM];
    static char hex[LINE];
    unsigned way, encapsulated;
    struct ipsec_packet p = {.mem = mem, .cap = ROOM, .at = AT};

    if (sscanf(line, "packet %u %u %24575s", &way, &encapsulated, hex) != 3)
        exit(2);
    p.len = unhex(hex, mem + AT, ROOM - 2 * AT);
    p.encapsulated = encapsulated;
    if (way == IPSEC_OUT)
        ipsec_out(e, 1, &p, 1);
    else
        ipsec_in(e, 1, &p, 1);
    printf("%s ", ipsec_result_name(p.result));
    for (size_t i = 0; i < p.len; i++)
        printf("%02x", mem[p.at + i]);
    printf("\n");
}

int main(int argc, char **argv)
{
    static char line[LINE];
    const struct ipsec_policy policy = {.id = 1,
                                        .action = IPSEC_PROTECT,
                                        .out = true,
                                        .in = true,
                                        .selectors = anything(),
                                        .selector_count = 2};
    const struct ipsec_setup setup = {.back_end = argc > 1 ? argv[1] : NULL, .random = some_octets};
    struct ipsec *e = NULL;

    while (fgets(line, sizeof(line), stdin) != NULL) {
        bool inner = strncmp(line, "inner ", 6) == 0;

        if (inner || strncmp(line, "sa ", 3) == 0) { /* with a new engine */
            ipsec_free(e);
            e = ipsec_new(&setup);
            if (e == NULL || !ipsec_set_policies(e, &policy, 1))
                return 2;
            printf("%s\n",
                   add_sa(e, strchr(line, ' '), INNER, inner ? OUTER : 0) ? "ok" : "refused");
        } else if (e != NULL && strncmp(line, "around ", 7) == 0) {
            printf("%s\n", add_sa(e, strchr(line, ' '), OUTER, 0) ? "ok" : "refused");
        } else if (e != NULL) {
            pass_packet(e, line);
        }
        fflush(stdout);
    }
    ipsec_free(e);
    return 0;
}
