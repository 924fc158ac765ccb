#include "capture/match.h"

#include <string.h>

static bool opens(const struct gh_session *s, uint16_t service, uint16_t source)
{
    return service == s->port &&
           (s->source_last == 0 || (source >= s->source_first && source <= s->source_last));
}

/* How closely this orientation fits: -1 not at all, else the bits that the prefixes fix, twice, and
 * one for the ports of the side that opens. */
static int closeness(const struct gh_session *s, const struct tcpao_endpoint *local,
                     const struct tcpao_endpoint *remote)
{
    struct gh_addr local_addr = gh_addr_from(local->addr, local->addr_len);
    struct gh_addr remote_addr = gh_addr_from(remote->addr, remote->addr_len);

    int sources = s->source_last != 0;

    if (!opens(s, local->port, remote->port) && !opens(s, remote->port, local->port))
        return -1;
    if (!gh_prefix_contains(&s->peer, &remote_addr))
        return -1;
    if (s->local.addr.len == 0)
        return 2 * s->peer.bits + sources;
    return gh_prefix_contains(&s->local, &local_addr) ? 2 * (s->peer.bits + s->local.bits) + sources
                                                      : -1;
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
            continue;
        for (int local = 0; local <= 1; local++) {
            int rank = closeness(s, &end[local], &end[!local]);

            if (rank >= 0)
                insert(out, ranks, (struct cap_match){.session = s, .local = local}, rank);
        }
    }
}
