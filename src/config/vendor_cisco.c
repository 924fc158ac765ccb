/*
 * Cisco IOS XE (`key chain NAME tcp`) and IOS XR (`key chain` beside `tcp ao`).
 */
#include <time.h>

#include "base/secret.h"
#include "config/vendor.h"

/* "00:00:00 1 Dec 2026", UTC. XR wants the month first. */
static const char *clock_text(int64_t t, bool month_first, char buf[48])
{
    static const char *const months[] = {"January",   "February", "March",    "April",
                                         "May",       "June",     "July",     "August",
                                         "September", "October",  "November", "December"};
    time_t time = t;
    struct tm tm;

    gmtime_r(&time, &tm);
    if (month_first)
        snprintf(buf, 48, "%02d:%02d:%02d %s %02d %d", tm.tm_hour, tm.tm_min, tm.tm_sec,
                 months[tm.tm_mon], tm.tm_mday, tm.tm_year + 1900);
    else
        snprintf(buf, 48, "%02d:%02d:%02d %d %.3s %d", tm.tm_hour, tm.tm_min, tm.tm_sec, tm.tm_mday,
                 months[tm.tm_mon], tm.tm_year + 1900);
    return buf;
}

static void write_lifetime(const char *command, const struct gh_key *k, bool month_first, FILE *out)
{
    char text[48];

    fprintf(out, "  %s %s ", command, clock_text(gh_far_start(k), month_first, text));
    fprintf(out, "%s\n",
            k->mkt.send.until == TCPAO_TIME_MAX ? "infinite"
                                                : clock_text(k->mkt.send.until, month_first, text));
}

static void write_xe_key(const struct gh_far_end *e, const struct gh_key *k, FILE *out)
{
    static const char *const algorithms[] = {"", "hmac-sha-1", "aes-128-cmac", "hmac-sha-256"};
    struct gh_secret_text secret;

    gh_far_secret(e, k, &secret);
    fprintf(out, " key %u\n  send-id %u\n  recv-id %u\n  cryptographic-algorithm %s\n",
            k->mkt.number, k->mkt.recv_id, k->mkt.send_id, algorithms[k->mkt.alg]);
    fprintf(out, "  %sinclude-tcp-options\n", k->mkt.options_covered ? "" : "no ");
    write_lifetime("send-lifetime", k, false, out);
    fprintf(out, "  key-string %s\n", secret.text);
    gh_wipe(&secret, sizeof(secret));
}

void gh_write_ios_xe(const struct gh_far_end *e, FILE *out)
{
    const struct gh_key_chain *c = e->chain;
    char neighbour[GH_PREFIX_TEXT], as[16];
    const char *address = gh_far_neighbour(e, neighbour);

    fprintf(out, "! the times are UTC\nkey chain %s tcp\n", c->name);
    for (size_t i = 0; i < c->key_count; i++)
        write_xe_key(e, &c->keys[i], out);
    if (e->session == NULL)
        return;
    if (e->session->port == GH_PORT_BGP) {
        fprintf(out, "router bgp %s\n", gh_far_as(e->peer_as, "<its-as>", as));
        fprintf(out, " neighbor %s remote-as %s\n", address, gh_far_as(e->as, "<this-as>", as));
        fprintf(out,
                " ! for BGP the flag counts here, not in the key chain\n"
                " neighbor %s ao %s%s\n",
                address, c->name, c->keys[0].mkt.options_covered ? " include-tcp-options" : "");
    } else if (e->session->port == GH_PORT_LISP) {
        fprintf(out, "router lisp\n tcp auth-option %s\n  peer %s\n", c->name, address);
    } else {
        fprintf(out, "! attach the key chain to the session with %s, port %u\n", address,
                e->session->port);
    }
}

static void write_xr_key(const struct gh_far_end *e, const struct gh_key *k, FILE *out)
{
    struct gh_secret_text secret;

    gh_far_secret(e, k, &secret);
    fprintf(out, " key %u\n", k->mkt.number);
    write_lifetime("accept-lifetime", k, true, out);
    fprintf(out, "  key-string clear %s\n", secret.text);
    write_lifetime("send-lifetime", k, true, out);
    fprintf(out, "  cryptographic-algorithm %s\n !\n",
            k->mkt.alg == TCPAO_HMAC_SHA_1 ? "HMAC-SHA1-96" : "AES-128-CMAC-96");
    gh_wipe(&secret, sizeof(secret));
}

void gh_write_ios_xr(const struct gh_far_end *e, FILE *out)
{
    const struct gh_key_chain *c = e->chain;
    char neighbour[GH_PREFIX_TEXT], as[16];
    const char *address = gh_far_neighbour(e, neighbour);

    fprintf(out, "key chain %s\n timezone gmt\n", c->name);
    if (c->tolerance > 0)
        fprintf(out, " accept-tolerance %u\n", c->tolerance);
    for (size_t i = 0; i < c->key_count; i++)
        write_xr_key(e, &c->keys[i], out);
    fprintf(out, "!\ntcp ao\n keychain %s\n", c->name);
    for (size_t i = 0; i < c->key_count; i++) {
        const struct tcpao_mkt *m = &c->keys[i].mkt;

        fprintf(out, "  key %u SendID %u ReceiveID %u\n", m->number, m->recv_id, m->send_id);
    }
    fprintf(out, " !\n!\n");
    if (e->session == NULL)
        return;
    if (e->session->port != GH_PORT_BGP) {
        fprintf(out, "! attach the keychain to the session with %s, port %u\n", address,
                e->session->port);
        return;
    }
    fprintf(out, "router bgp %s\n", gh_far_as(e->peer_as, "<its-as>", as));
    fprintf(out, " neighbor %s\n  remote-as %s\n", address, gh_far_as(e->as, "<this-as>", as));
    fprintf(out, "  ao %s include-tcp-options %s\n !\n!\n", c->name,
            c->keys[0].mkt.options_covered ? "enable" : "disable");
}
