#include "config/lint.h"

#include "config/problems.h"

static void lint_session(struct gh_lint *l, const struct gh_session *s)
{
    char text[GH_PREFIX_TEXT];

    if (!gh_prefix_is_host(&s->peer) && s->direction == GH_ACTIVE)
        gh_lint_warn(l, s->line, "active-prefix", "set direction = both, or name one peer",
                     "the session \"%s\" covers the prefix %s but only connections that this end "
                     "opens; dynamic neighbours open theirs themselves",
                     s->name, gh_prefix_format(&s->peer, text));
    if (s->peer.bits == 0)
        gh_lint_warn(l, s->line, "any-peer", "name the prefixes that your peers have",
                     "the session \"%s\" covers every address: whoever connects to port %u without "
                     "the key is dropped without a word",
                     s->name, s->port);
    if (s->fallback)
        gh_lint_warn(l, s->line, "fallback", "remove it once IKE works",
                     "whoever keeps IKE from \"%s\" holds it to the keys of its key chain",
                     s->name);
    if (s->accept_icmp)
        gh_lint_warn(l, s->line, "accept-icmp", "remove it unless you need it (RFC 5925 7.8)",
                     "forged ICMP messages can reset the connections of \"%s\"", s->name);
}

int gh_lint(const struct gh_config *config, const struct gh_config *peer, int64_t now,
            struct gh_problems *problems)
{
    struct gh_lint l = {.config = config, .now = now, .problems = problems};
    size_t first = problems->count;

    for (size_t i = 0; i < config->chain_count; i++) {
        const struct gh_key_chain *k = &config->chains[i];

        if (!gh_config_chain_used(config, i))
            gh_lint_warn(&l, k->line, "unused-chain", "remove it, or name it in a tcp-ao section",
                         "no session uses the key chain \"%s\"", k->name);
        gh_lint_chain(&l, k);
    }
    for (size_t i = 0; i < config->session_count; i++)
        lint_session(&l, &config->sessions[i]);
    gh_lint_secrets(&l);
    gh_lint_ike(&l);
    if (peer != NULL)
        gh_lint_pair(&l, peer);
    gh_problems_sort(problems, first);
    return (int)(problems->count - first);
}
