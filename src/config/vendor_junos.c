/*
 * Juniper Junos: `security authentication-key-chains`, for BGP and LDP.
 */
#include <time.h>

#include "base/secret.h"
#include "config/vendor.h"

static void write_key(const struct gh_far_end *e, const struct gh_key *k, FILE *out)
{
    const struct tcpao_mkt *m = &k->mkt;
    time_t start = gh_far_start(k);
    struct gh_secret_text secret;
    char prefix[GH_NAME_MAX + 96];
    struct tm tm;

    snprintf(prefix, sizeof(prefix), "set security authentication-key-chains key-chain %s key %u",
             e->chain->name, m->number);
    gh_far_secret(e, k, &secret);
    gmtime_r(&start, &tm);
    fprintf(out, "%s secret \"%s\"\n", prefix, secret.text);
    fprintf(out, "%s start-time \"%d-%d-%d.%02d:%02d:%02d +0000\"\n", prefix, tm.tm_year + 1900,
            tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec);
    fprintf(out, "%s algorithm ao\n", prefix);
    fprintf(out, "%s ao-attribute send-id %u\n", prefix, m->recv_id);
    fprintf(out, "%s ao-attribute recv-id %u\n", prefix, m->send_id);
    fprintf(out, "%s ao-attribute cryptographic-algorithm %s\n", prefix,
            tcpao_alg_name(m->alg, m->mac_len));
    fprintf(out, "%s ao-attribute tcp-ao-option %s\n", prefix,
            m->options_covered ? "enabled" : "disabled");
    gh_wipe(&secret, sizeof(secret));
}

/* Junos keys have no end; say so where ours has one that no later key brings about. */
static void note_ends(const struct gh_key_chain *c, FILE *out)
{
    int64_t last_start = TCPAO_TIME_MIN, end = TCPAO_TIME_MIN;

    for (size_t i = 0; i < c->key_count; i++) {
        if (c->keys[i].mkt.send.from > last_start)
            last_start = c->keys[i].mkt.send.from;
        if (c->keys[i].mkt.send.until > end)
            end = c->keys[i].mkt.send.until;
    }
    if (end != TCPAO_TIME_MAX)
        fprintf(out,
                "# Junos ends a key only when the next one starts: the last one goes on here,\n"
                "# though this end stops using it\n");
}

/* RPKI-RTR: the router opens, so the end that only opens is the router and the other one the cache.
 */
static void write_validation(const struct gh_far_end *e, const char *where, FILE *out)
{
    const struct gh_session *s = e->session;
    char local[GH_PREFIX_TEXT];

    if (s->direction != GH_ACTIVE) {
        fprintf(out, "%s port %u\n", where, s->port);
        return;
    }
    fprintf(out, "set routing-options validation local-cache listen-port %u\n", s->port);
    fprintf(out, "%s local-cache\n", where);
    if (gh_prefix_is_host(&s->peer))
        fprintf(out, "%s local-address %s\n", where, gh_prefix_format(&s->peer, local));
}

void gh_write_junos(const struct gh_far_end *e, FILE *out)
{
    const struct gh_key_chain *c = e->chain;
    char neighbour[GH_PREFIX_TEXT], as[16], where[GH_PREFIX_TEXT + 80];
    const char *address = gh_far_neighbour(e, neighbour);

    note_ends(c, out);
    fprintf(out, "set security authentication-key-chains key-chain %s tolerance %u\n", c->name,
            c->tolerance);
    for (size_t i = 0; i < c->key_count; i++)
        write_key(e, &c->keys[i], out);
    if (e->session == NULL)
        return;
    if (e->session->port == GH_PORT_LDP) {
        snprintf(where, sizeof(where), "set protocols ldp session %s", address);
    } else if (e->session->port == GH_PORT_BGP) {
        snprintf(where, sizeof(where), "set protocols bgp group gatehouse neighbor %s", address);
        fprintf(out, "%s peer-as %s\n", where, gh_far_as(e->as, "<this-as>", as));
    } else {
        snprintf(where, sizeof(where), "set routing-options validation group gatehouse session %s",
                 address);
        write_validation(e, where, out);
    }
    fprintf(out, "%s authentication-algorithm ao\n", where);
    fprintf(out, "%s authentication-key-chain %s\n", where, c->name);
}
