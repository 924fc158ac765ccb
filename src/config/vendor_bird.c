/*
 * BIRD 2.17 and newer on a kernel with TCP-AO. Its keys have no lifetimes: the operator moves
 * `preferred` from key to key.
 */
#include "base/clock.h"
#include "base/secret.h"
#include "config/lifetime.h"
#include "config/vendor.h"

/* The key to prefer now: as Gatehouse would, the one that started last. */
static const struct gh_key *preferred(const struct gh_far_end *e)
{
    const struct gh_key *best = NULL;

    for (size_t i = 0; i < e->chain->key_count; i++) {
        const struct gh_key *k = &e->chain->keys[i];

        if (gh_lifetime_includes(&k->mkt.send, e->now) &&
            (best == NULL || k->mkt.send.from >= best->mkt.send.from))
            best = k;
    }
    return best != NULL ? best : &e->chain->keys[0];
}

static void write_key(const struct gh_far_end *e, const struct gh_key *k, bool prefer, FILE *out)
{
    static const char *const algorithms[] = {"", "hmac sha1", "cmac aes128", "hmac sha256"};
    char from[32], until[32];
    struct gh_secret_text secret;

    gh_far_secret(e, k, &secret);
    fprintf(out, "\t\tkey {\n");
    if (k->mkt.send.from != TCPAO_TIME_MIN || k->mkt.send.until != TCPAO_TIME_MAX)
        fprintf(out, "\t\t\t# from %s to %s\n",
                gh_time_format(k->mkt.send.from, from, sizeof(from)),
                gh_time_format(k->mkt.send.until, until, sizeof(until)));
    fprintf(out, "\t\t\tsend id %u;\n\t\t\trecv id %u;\n", k->mkt.recv_id, k->mkt.send_id);
    fprintf(out, "\t\t\tsecret \"%s\";\n\t\t\talgorithm %s;\n", secret.text,
            algorithms[k->mkt.alg]);
    if (prefer)
        fprintf(out, "\t\t\tpreferred;\n");
    fprintf(out, "\t\t};\n");
    gh_wipe(&secret, sizeof(secret));
}

static void write_authentication(const struct gh_far_end *e, FILE *out)
{
    const struct gh_key *best = preferred(e);

    fprintf(out, "\tauthentication ao;\n\tkeys {\n");
    for (size_t i = 0; i < e->chain->key_count; i++)
        write_key(e, &e->chain->keys[i], &e->chain->keys[i] == best, out);
    fprintf(out, "\t};\n");
}

void gh_write_bird(const struct gh_far_end *e, FILE *out)
{
    const struct gh_session *s = e->session;
    char neighbour[GH_PREFIX_TEXT], own[GH_PREFIX_TEXT];

    if (e->chain->key_count > 1)
        fprintf(out,
                "# BIRD's keys have no lifetimes: move \"preferred\" to the next key when its\n"
                "# time has come, and let birdc configure it\n");
    if (s == NULL || s->port == 0 || !gh_far_knows_neighbour(e) || e->as == 0 || e->peer_as == 0) {
        fprintf(out, "# for the protocol bgp of this session\n");
        write_authentication(e, out);
        return;
    }
    fprintf(out, "protocol bgp {\n\tdescription \"%s\";\n", e->chain->name);
    if (gh_prefix_is_host(&s->peer))
        fprintf(out, "\tlocal %s as %u;\n", gh_prefix_format(&s->peer, own), e->peer_as);
    else
        fprintf(out, "\tlocal as %u;\n", e->peer_as);
    fprintf(out, "\tneighbor %s", gh_far_neighbour(e, neighbour));
    if (s->port != GH_PORT_BGP)
        fprintf(out, " port %u", s->port);
    fprintf(out, " as %u;\n", e->as);
    if (s->direction == GH_ACTIVE)
        fprintf(out, "\tpassive;\n");
    write_authentication(e, out);
    fprintf(out, "\tipv%d {\n\t\timport none; # your filters\n\t\texport none;\n\t};\n}\n",
            s->local.addr.len == 4 ? 4 : 6);
}
