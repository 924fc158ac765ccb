#include "capture/match.h"

#include <string.h>

/* How closely this orientation fits: -1 not at all, else the bits that the prefixes fix. */
static int closeness(const struct gh_session *s, const struct tcpao_endpoint *local,
                     const struct tcpao_endpoint *remote)
{
    struct gh_addr local_addr = gh_addr_from(local->addr, local->addr_len);
    struct gh_addr remote_addr = gh_addr_from(remote->addr, remote->addr_len);

    if (local->port != s->port && remote->port != s->port)
        return -1;
    if (!gh_prefix_contains(&s->peer, &remote_addr))
        return -1;
    if (s->local.addr.len == 0)
        return s->peer.bits;
    return gh_prefix_contains(&s->local, &local_addr) ? s->peer.bits + s->local.bits : -1;
}

/* Keeps the list sorted by rank, and equal ranks in the order of the configuration. */
static void insert(struct cap_matches *out, int *ranks, struct cap_match match, int rank)
{
    size_t at = out->count;

    while (at > 0 && ranks[at - 1] < rank)
        at--;
    if (at == CAP_MATCHES_MAX)
        return;
    if (out->count < CAP_MATCHES_MAX)
        out->count++;
    for (size_t i = out->count - 1; i > at; i--) {
        out->list[i] = out->list[i - 1];
        ranks[i] = ranks[i - 1];
    }
    out->list[at] = match;
    ranks[at] = rank;
}

void cap_match_sessions(const struct gh_config *config, const char *only,
                        const struct tcpao_endpoint end[2], struct cap_matches *out)
{
    int ranks[CAP_MATCHES_MAX];

    out->count = 0;
    for (size_t i = 0; i < config->session_count; i++) {
        const struct gh_session *s = &config->sessions[i];

        if (s->chain == GH_NO_CHAIN || (only != NULL && strcmp(only, s->name) != 0))
            continue; /* negotiated keys are in no configuration */
        for (int local = 0; local <= 1; local++) {
            int rank = closeness(s, &end[local], &end[!local]);

            if (rank >= 0)
                insert(out, ranks, (struct cap_match){.session = s, .local = local}, rank);
        }
    }
}
