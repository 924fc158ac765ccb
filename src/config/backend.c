/*
 * What the kernel's own TCP-AO can do of what a session asks for.
 */
#include "config/backend.h"

#include <stdio.h>

enum { KERNEL_MAC_MAX = 16, KERNEL_SECRET_MAX = 80 };

static bool key_fits(const struct gh_key_chain *chain, const struct gh_key *key, char *why,
                     size_t size)
{
    const char *what = NULL;

    if (key->mkt.mac_len > KERNEL_MAC_MAX)
        what = "has a MAC of more than 16 octets";
    else if (key->mkt.accept_mismatch)
        what = "has accept-ao-mismatch";
    else if (key->mkt.alg != TCPAO_AES_128_CMAC && key->secret.len > KERNEL_SECRET_MAX)
        what = "has a secret of more than 80 octets";
    if (what != NULL)
        snprintf(why, size, "key %u of chain \"%s\" %s", key->mkt.number, chain->name, what);
    return what == NULL;
}

/* The kernel's keys are for addresses alone: two sessions with one peer cannot be told apart. Where
 * one of two must be the kernel's, the other gives way. And the guard of a kernel's session comes
 * before the engine's rules: no engine's session may lie inside its prefix, only around it. */
static bool in_the_way(const struct gh_session *s, const struct gh_session *other)
{
    bool claims = other->backend == GH_BACKEND_KERNEL ||
                  (other->backend == GH_BACKEND_AUTO && s->backend == GH_BACKEND_AUTO) ||
                  other->peer.bits >= s->peer.bits;

    return claims && other->port == s->port && gh_config_text_equal(other->netns, s->netns) &&
           gh_config_text_equal(other->vrf, s->vrf) && other->peer.addr.len == s->peer.addr.len &&
           gh_prefix_overlaps(&other->peer, &s->peer);
}

bool gh_backend_kernel_can(const struct gh_config *c, const struct gh_session *s, char *why,
                           size_t size)
{
    const struct gh_key_chain *chain = gh_config_chain(c, s);

    if (s->ike_mac_len > KERNEL_MAC_MAX) {
        snprintf(why, size, "IKE is to make keys with a MAC of more than 16 octets");
        return false;
    }
    if (s->source_last != 0) {
        snprintf(why, size, "it knows no source-port");
        return false;
    }
    if (s->mode != GH_REQUIRED) {
        snprintf(why, size, "it knows no mode = %s", gh_config_mode_name(s->mode));
        return false;
    }
    for (size_t i = 0; chain != NULL && i < chain->key_count; i++)
        if (!key_fits(chain, &chain->keys[i], why, size))
            return false;
    for (size_t i = 0; i < c->session_count; i++) {
        const struct gh_session *other = &c->sessions[i];

        if (other != s && in_the_way(s, other)) {
            snprintf(why, size, "it tells sessions apart by the peer alone, and \"%s\" has it too",
                     other->name);
            return false;
        }
    }
    return true;
}
