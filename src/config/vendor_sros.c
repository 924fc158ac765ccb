/*
 * Nokia SR OS, MD-CLI. The number of an entry is its KeyID on the wire: a key of ours is a send
 * entry with our recv-id and a receive entry with our send-id.
 */
#include <time.h>

#include "base/secret.h"
#include "config/vendor.h"

static const char *time_text(int64_t t, char buf[40])
{
    time_t time = t;
    struct tm tm;

    gmtime_r(&time, &tm);
    strftime(buf, 40, "%Y-%m-%dT%H:%M:%S.0Z", &tm);
    return buf;
}

static void write_entry(const struct gh_far_end *e, const struct gh_key *k, bool send, FILE *out)
{
    const struct tcpao_mkt *m = &k->mkt;
    struct gh_secret_text secret;
    char prefix[GH_NAME_MAX + 96], text[40];

    snprintf(prefix, sizeof(prefix),
             "/configure system security keychains keychain \"%s\" %s entry %u", e->chain->name,
             send ? "send" : "receive", send ? m->recv_id : m->send_id);
    gh_far_secret(e, k, &secret);
    fprintf(out, "%s authentication-key \"%s\"\n", prefix, secret.text);
    fprintf(out, "%s algorithm %s\n", prefix, tcpao_alg_name(m->alg, m->mac_len));
    fprintf(out, "%s begin-time %s\n", prefix, time_text(gh_far_start(k), text));
    gh_wipe(&secret, sizeof(secret));
    if (send)
        return;
    if (m->send.until != TCPAO_TIME_MAX)
        fprintf(out, "%s end-time %s\n", prefix, time_text(m->send.until, text));
    fprintf(out, "%s tolerance %u\n", prefix, e->chain->tolerance);
}

void gh_write_sr_os(const struct gh_far_end *e, FILE *out)
{
    const struct gh_key_chain *c = e->chain;
    char neighbour[GH_PREFIX_TEXT], as[16];
    const char *address = gh_far_neighbour(e, neighbour);

    fprintf(
        out,
        "/configure system security keychains keychain \"%s\" tcp-option-number receive tcp-ao\n"
        "/configure system security keychains keychain \"%s\" tcp-option-number send tcp-ao\n",
        c->name, c->name);
    for (size_t i = 0; i < c->key_count; i++) {
        write_entry(e, &c->keys[i], false, out);
        write_entry(e, &c->keys[i], true, out);
    }
    if (e->session == NULL)
        return;
    if (e->session->port != GH_PORT_BGP) {
        fprintf(out, "# attach the keychain to the session with %s, port %u\n", address,
                e->session->port);
        return;
    }
    fprintf(out, "/configure router \"Base\" bgp neighbor \"%s\" peer-as %s\n", address,
            gh_far_as(e->as, "<this-as>", as));
    fprintf(out, "/configure router \"Base\" bgp neighbor \"%s\" authentication-keychain \"%s\"\n",
            address, c->name);
}
