/*
 * Advice on IKE: certificates that end, secrets that are weak, children that are in each other's
 * way, what is defined and not used.
 */
#include <string.h>
#include <time.h>

#include "config/ike_slots.h"
#include "config/lint.h"
#include "ike/codes.h"
#include "ike/ts_set.h"
#include "pki/auth.h"

enum { DAY = 86400, SOON = 30 * DAY, PPK_SHORT = 32, DATE_TEXT = 32 };

/* ---- Definitions and secrets ---------------------------------------------------------------- */

static void lint_definitions(struct gh_lint *l)
{
    const struct gh_ike_config *c = l->config->ike;

    for (size_t i = 0; i < c->definition_count; i++) {
        const struct gh_ike_definition *d = &c->definitions[i];

        if (!d->used)
            gh_lint_warn(l, d->line, "unused-definition", "remove it, or name it where it is meant",
                         "nothing uses the %s \"%s\"", d->section, d->name);
    }
}

static void lint_secret(struct gh_lint *l, const struct gh_ike_secret *s)
{
    static const char remedy[] = "take one from openssl rand -base64 32, with 0s before it";

    if (s->len == 0)
        return; /* a private key, or not loaded */
    if (s->published)
        gh_lint_warn(l, s->line, "known-secret", remedy,
                     "the secret \"%s\" is an example from public documents", s->name);
    else if (s->len < GH_SECRET_SHORT)
        gh_lint_warn(l, s->line, "weak-secret", remedy,
                     "the secret \"%s\" is shorter than %d octets, so that one captured exchange "
                     "is enough to search for it",
                     s->name, (int)GH_SECRET_SHORT);
    else if (s->repeats)
        gh_lint_warn(l, s->line, "weak-secret", remedy,
                     "the secret \"%s\" repeats a few characters", s->name);
    else if (s->kind == GH_SECRET_PPK && s->len < PPK_SHORT)
        gh_lint_warn(l, s->line, "weak-secret", remedy,
                     "the PPK \"%s\" is shorter than %d octets, too short against a quantum "
                     "computer (RFC 8784 6)",
                     s->name, (int)PPK_SHORT);
}

/* ---- Certificates --------------------------------------------------------------------------- */

static const char *date(int64_t when, char buf[DATE_TEXT])
{
    time_t t = (time_t)when;
    struct tm tm;

    if (gmtime_r(&t, &tm) == NULL || strftime(buf, DATE_TEXT, "%Y-%m-%dT%H:%M:%SZ", &tm) == 0)
        strcpy(buf, "an impossible date");
    return buf;
}

static void lint_validity(struct gh_lint *l, const struct gh_cert *cert, const char *what, int line)
{
    int64_t left = gh_cert_not_after(cert) - l->now;
    char until[DATE_TEXT];
    struct gh_pki_error e;

    if (!gh_cert_valid_at(cert, l->now, &e))
        gh_lint_error(l, line, e.rule, e.remedy, "%s: %s", what, e.message);
    else if (left <= SOON)
        gh_lint_warn(l, line, "cert-expires", "renew it, and put the new one in its place",
                     "%s: the certificate of %s expires in %lld days, on %s", what,
                     gh_cert_subject(cert), (long long)(left / DAY),
                     date(gh_cert_not_after(cert), until));
}

static void lint_entry(struct gh_lint *l, const struct gh_cert_entry *e, const char *profile,
                       int line)
{
    struct gh_pki_error why;

    lint_validity(l, e->cert, profile, line);
    if (gh_cert_valid_at(e->cert, l->now, &why) && !gh_cert_may_sign(e->cert, l->now, &why))
        gh_lint_warn(l, line, why.rule, why.remedy, "%s: peers may refuse it: %s", profile,
                     why.message);
    for (size_t i = 0; i < e->send_count; i++) {
        lint_validity(l, e->send[i], profile, line);
        if (!gh_chain_has(&e->compare, e->send[i]))
            gh_lint_warn(l, line, "send-chain", "send the CAs above the certificate and no others",
                         "%s: %s is sent, but is not in the chain of %s", profile,
                         gh_cert_subject(e->send[i]), gh_cert_subject(e->cert));
    }
}

static void lint_certs(struct gh_lint *l)
{
    const struct gh_ike_config *c = l->config->ike;

    for (size_t p = 0; p < c->profile_count; p++) {
        const struct gh_ike_profile *profile = &c->profiles[p];

        for (size_t i = 0; i < gh_cert_profile_count(profile->profile); i++)
            lint_entry(l, gh_cert_profile_entry(profile->profile, i), profile->name,
                       profile->entry_lines[i]);
    }
    for (size_t t = 0; t < c->trust_count; t++) {
        const struct gh_ike_trust *trust = &c->trusts[t];

        for (size_t i = 0; i < trust->anchor_count; i++)
            lint_validity(l, trust->anchors[i], trust->name, trust->line);
        for (size_t i = 0; i < trust->known_count; i++)
            lint_validity(l, trust->known[i], trust->name, trust->line);
    }
}

/* ---- Peers and children --------------------------------------------------------------------- */

static bool offers(const struct ike_sa *sa, uint8_t type, uint16_t id)
{
    for (size_t i = 0; i < sa->count; i++) {
        for (size_t t = 0; t < sa->proposal[i].count; t++) {
            if (sa->proposal[i].transform[t].type == type && sa->proposal[i].transform[t].id == id)
                return true;
        }
    }
    return false;
}

static bool has_protocol(const struct ike_sa *sa, uint8_t protocol)
{
    for (size_t i = 0; i < sa->count; i++) {
        if (sa->proposal[i].protocol == protocol)
            return true;
    }
    return false;
}

static void lint_child(struct gh_lint *l, const struct ike2_policy *p,
                       const struct ike2_child_policy *c, int line)
{
    struct ike_sa proposals;

    ike_proposals_get(&c->proposals, &proposals);
    if (has_protocol(&proposals, IKE_PROTO_AH) || offers(&proposals, IKE_T_ENCR, IKE_ENCR_NULL) ||
        offers(&proposals, IKE_T_ENCR, IKE_ENCR_NULL_AES_GMAC))
        gh_lint_warn(l, line, "no-encryption", "take a cipher if nobody is to read it",
                     "the child \"%s\" of \"%s\" may come up without encryption", c->name, p->name);
    if (offers(&proposals, IKE_T_KE, IKE_KE_NONE))
        gh_lint_warn(l, line, "no-pfs", "remove none from \"ke\"",
                     "the child \"%s\" of \"%s\" may be rekeyed without a new key exchange: who "
                     "breaks the IKE SA's %s",
                     c->name, p->name,
                     c->mode == IKE2_TCP_AO ? "has all its keys" : "reads it all");
    if (c->lifetime.seconds > p->lifetime.seconds)
        gh_lint_warn(l, line, "child-lifetime", "make it shorter than that of the IKE SA",
                     "the child \"%s\" of \"%s\" is to live longer (%u s) than its IKE SA (%u s)",
                     c->name, p->name, c->lifetime.seconds, p->lifetime.seconds);
}

/* What a peer has and neither end authenticates by: an error in local-auth or remote-auth? */
static void lint_credentials(struct gh_lint *l, const struct ike2_policy *p, int line)
{
    unsigned used = p->remote_auths | GH_BIT(p->local_auth);
    const char *idle = NULL;

    if (p->cert_profile != NULL && p->local_auth != IKE2_AUTH_CERT)
        idle = "cert-profile";
    else if (p->trust != NULL && (p->remote_auths & GH_BIT(IKE2_AUTH_CERT)) == 0)
        idle = "trust-anchor-profile";
    else if (p->psk[0] != '\0' && (used & GH_BIT(IKE2_AUTH_PSK)) == 0)
        idle = "pre-shared key";
    if (idle != NULL)
        gh_lint_warn(l, line, "unused-credential",
                     "remove it, or look at local-auth and remote-auth",
                     "\"%s\" has a %s by which nobody authenticates", p->name, idle);
}

static void lint_peer(struct gh_lint *l, const struct ike2_policy *p,
                      const struct gh_ike_place *place)
{
    bool cert = (p->remote_auths & GH_BIT(IKE2_AUTH_CERT)) != 0;
    bool psk = (p->remote_auths & GH_BIT(IKE2_AUTH_PSK)) != 0;
    bool many = p->remote.addr.len == 0 || !gh_prefix_is_host(&p->remote);

    if (cert && !p->match_id_to_cert)
        gh_lint_warn(
            l, place->line, "identity-not-in-cert",
            "remove match-peer-id-to-cert = no, and have the name put into the certificate",
            "\"%s\" lets everybody with a certificate take any identity", p->name);
    if (psk && many && p->remote_id == NULL && p->client_db == NULL)
        gh_lint_warn(l, place->line, "shared-psk",
                     "name the peers in a client-db, each with a key of its own, or use "
                     "certificates",
                     "\"%s\" takes many peers with one pre-shared key: each can pretend to be "
                     "another, and to be us",
                     p->name);
    lint_credentials(l, p, place->line);
    for (size_t i = 0; i < p->child_count; i++)
        lint_child(l, p, &p->children[i], place->child_lines[i]);
}

static void lint_slots(struct gh_lint *l, size_t policy)
{
    const struct gh_ike_config *c = l->config->ike;
    const char *remedy, *why = gh_ike_why_together(c, policy, &remedy);

    if (why != NULL)
        gh_lint_warn(l, c->places[policy].line, "one-process", remedy,
                     "all clients of \"%s\" are carried by one process, for %s",
                     c->policies[policy]->name, why);
}

static bool lists_overlap(const struct ike_ts_list *a, const struct ike_ts_list *b)
{
    for (size_t i = 0; i < a->count; i++) {
        for (size_t k = 0; k < b->count; k++) {
            if (ike_ts_overlap(&a->ts[i], &b->ts[k]))
                return true;
        }
    }
    return false;
}

/* Is there an earlier child for the same packets? The selectors of those that only answer are
 * narrowed by each peer, so that they may be as wide as they like. */
static void lint_overlap(struct gh_lint *l, size_t policy, size_t child)
{
    const struct gh_ike_config *c = l->config->ike;
    const struct ike2_policy *p = c->policies[policy];
    const struct ike2_child_policy *mine = &p->children[child];

    if (mine->mode == IKE2_TCP_AO) /* keys, which are in no packet's way */
        return;
    for (size_t i = 0; i <= policy; i++) {
        const struct ike2_policy *other = c->policies[i];
        size_t end = i == policy ? child : other->child_count;

        for (size_t k = 0; !other->responder_only && k < end; k++) {
            if (other->children[k].mode == IKE2_TCP_AO ||
                gh_ike_private_zone(c, other) != gh_ike_private_zone(c, p) ||
                !lists_overlap(&mine->local, &other->children[k].local) ||
                !lists_overlap(&mine->remote, &other->children[k].remote))
                continue;
            gh_lint_warn(l, c->places[policy].child_lines[child], "child-overlap",
                         "cut the selectors so that each packet belongs to one child",
                         "the child \"%s\" of \"%s\" and \"%s\" of \"%s\" (line %d) are for the "
                         "same packets",
                         mine->name, p->name, other->children[k].name, other->name,
                         c->places[i].child_lines[k]);
            return;
        }
    }
}

void gh_lint_ike(struct gh_lint *l)
{
    const struct gh_ike_config *c = l->config->ike;

    if (c == NULL)
        return;
    lint_definitions(l);
    for (size_t i = 0; i < c->secret_count; i++)
        lint_secret(l, &c->secrets[i]);
    lint_certs(l);
    for (size_t i = 0; i < c->policy_count; i++) {
        if (!c->policies[i]->manual) {
            lint_peer(l, c->policies[i], &c->places[i]);
            lint_slots(l, i);
        }
        for (size_t k = 0; !c->policies[i]->responder_only && k < c->policies[i]->child_count; k++)
            lint_overlap(l, i, k);
    }
}
