/*
 * What a reload may change while tunnels are up, and from when each change counts: nothing of it
 * takes a tunnel down, so the operator is told what is still to come (features N33 to N35).
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/alloc.h"
#include "config/config.h"
#include "config/ike.h"
#include "ike/ts_set.h"

enum { LIST = 600 };

struct change {
    const struct gh_ike_config *old, *next;
    const char *path;
    struct gh_problems *problems;
};

/* Names that differ, in words: "a, b". */
static void add(char list[LIST], bool differs, const char *name)
{
    size_t at = strlen(list);

    if (differs && at + strlen(name) + 3 < LIST)
        snprintf(list + at, LIST - at, "%s%s", at > 0 ? ", " : "", name);
}

static bool same_proposals(const struct ike_proposals *a, const struct ike_proposals *b)
{
    return a->len == b->len && (a->len == 0 || memcmp(a->octets, b->octets, a->len) == 0);
}

static bool same_pattern(const struct gh_pattern *a, const struct gh_pattern *b)
{
    return a == NULL || b == NULL ? a == b : strcmp(gh_pattern_text(a), gh_pattern_text(b)) == 0;
}

static const char *trust_name(const struct gh_ike_config *c, const struct gh_trust *t)
{
    for (size_t i = 0; i < c->trust_count; i++)
        if (c->trusts[i].trust == t)
            return c->trusts[i].name;
    return "";
}

static const char *profile_name(const struct gh_ike_config *c, const struct gh_cert_profile *p)
{
    for (size_t i = 0; i < c->profile_count; i++)
        if (c->profiles[i].profile == p)
            return c->profiles[i].name;
    return "";
}

static bool same_place(const struct change *x, const struct ike2_policy *a,
                       const struct ike2_policy *b)
{
    static const struct gh_ike_zone own = {.netns = NULL};
    const struct gh_ike_zone *p = a->zone > 0 ? &x->old->zones[a->zone - 1] : &own;
    const struct gh_ike_zone *q = b->zone > 0 ? &x->next->zones[b->zone - 1] : &own;

    return gh_config_text_equal(p->netns, q->netns) && gh_config_text_equal(p->vrf, q->vrf);
}

static void warn(const struct change *x, int line, const char *rule, const char *remedy,
                 const char *name, const char *what, const char *when)
{
    gh_problem_add(x->problems, GH_PROBLEM_WARNING, x->path, line, rule, remedy,
                   "the ike-peer \"%s\" stays up: %s %s", name, what, when);
}

/* ---- The IKE SA ----------------------------------------------------------------------------- */

static void check_next_sa(const struct change *x, const struct ike2_policy *a,
                          const struct ike2_policy *b, int line)
{
    char what[LIST] = "", remedy[LIST];

    add(what, !gh_addr_equal(&a->local, &b->local), "local");
    add(what, !gh_prefix_equal(&a->remote, &b->remote), "remote");
    add(what, !gh_addr_equal(&a->gateway, &b->gateway) && gh_prefix_equal(&a->remote, &b->remote),
        "gateway");
    add(what, a->port != b->port, "port");
    add(what, !same_place(x, a, b), "netns or vrf");
    add(what, a->local_auth != b->local_auth, "local-auth");
    add(what, a->remote_auths != b->remote_auths, "remote-auth");
    add(what, !gh_identity_equal(&a->local_id, &b->local_id), "local-id");
    add(what, !same_pattern(a->remote_id, b->remote_id), "remote-id");
    add(what, strcmp(a->psk, b->psk) != 0, "psk");
    add(what, strcmp(a->raw_key, b->raw_key) != 0, "raw-key");
    add(what, strcmp(a->ppk, b->ppk) != 0 || a->ppk_required != b->ppk_required, "ppk");
    add(what, strcmp(trust_name(x->old, a->trust), trust_name(x->next, b->trust)) != 0,
        "trust-anchor-profile");
    add(what,
        strcmp(profile_name(x->old, a->cert_profile), profile_name(x->next, b->cert_profile)) != 0,
        "cert-profile");
    add(what, a->mobike != b->mobike, "mobike");
    add(what, a->force_nat_t != b->force_nat_t, "force-nat-t");
    if (what[0] == '\0')
        return;
    snprintf(remedy, sizeof(remedy), "`gatectl ike terminate peer %s` begins it now", b->name);
    warn(x, line, "tunnel-next-ike-sa", remedy, b->name, what, "count from its next IKE SA on");
}

/* ---- Child SAs ------------------------------------------------------------------------------ */

static const struct ike2_child_policy *child_named(const struct ike2_policy *p, const char *name)
{
    for (size_t i = 0; i < p->child_count; i++)
        if (strcmp(p->children[i].name, name) == 0)
            return &p->children[i];
    return NULL;
}

static void add_traffic(char list[LIST], const struct ike2_child_traffic *was,
                        const struct ike2_child_traffic *is)
{
    add(list, was->window != is->window, "replay-window");
    add(list, was->tfc != is->tfc, "tfc-padding");
    add(list, was->set_dscp != is->set_dscp || was->dscp != is->dscp, "dscp");
    add(list, was->dscp_from_outer != is->dscp_from_outer, "copy-dscp-in");
    add(list, was->no_ecn != is->no_ecn, "ecn");
}

static void check_next_rekeying(const struct change *x, const struct ike2_policy *a,
                                const struct ike2_policy *b, const struct gh_ike_place *place)
{
    char what[LIST] = "";

    add(what, !same_proposals(&a->proposals, &b->proposals), "ike-transform");
    add(what, a->lifetime.seconds != b->lifetime.seconds, "lifetime");
    if (what[0] != '\0')
        warn(x, place->line, "tunnel-next-rekeying", "`gatectl ike rekey sa ID` makes it now",
             b->name, what, "count from the next rekeying of its IKE SA on");
    for (size_t i = 0; i < b->child_count; i++) {
        const struct ike2_child_policy *is = &b->children[i], *was = child_named(a, is->name);
        char child[LIST] = "", text[LIST + IKE2_NAME + 32];

        if (was == NULL || is->mode == IKE2_TCP_AO || was->mode == IKE2_TCP_AO)
            continue;
        add(child, was->mode != is->mode, "mode");
        add(child, !same_proposals(&was->proposals, &is->proposals), "ipsec-transform");
        add(child, was->lifetime.seconds != is->lifetime.seconds, "lifetime");
        add(child, !ike_ts_list_equal(&was->local, &is->local), "local-ts");
        add(child, !ike_ts_list_equal(&was->remote, &is->remote), "remote-ts");
        add_traffic(child, &was->traffic, &is->traffic);
        if (child[0] == '\0')
            continue;
        snprintf(text, sizeof(text), "%s of the child \"%s\"", child, is->name);
        warn(x, place->child_lines[i], "tunnel-next-rekeying",
             "`gatectl ike rekey child ID` makes it now", b->name, text,
             "count from the next Child SA on, and what may go through it at once");
    }
}

static bool is_tunnel(const struct ike2_policy *p)
{
    for (size_t i = 0; i < p->child_count; i++)
        if (p->children[i].mode != IKE2_TCP_AO)
            return true;
    return false;
}

static void check_gone(const struct change *x, const struct ike2_policy *a,
                       const struct ike2_policy *b, int line)
{
    for (size_t i = 0; i < a->child_count; i++) {
        const struct ike2_child_policy *was = &a->children[i];
        char remedy[LIST];

        if (was->mode == IKE2_TCP_AO || child_named(b, was->name) != NULL)
            continue;
        snprintf(remedy, sizeof(remedy), "`gatectl ike terminate peer %s` ends it now", b->name);
        gh_problem_add(x->problems, GH_PROBLEM_WARNING, x->path, line, "tunnel-gone", remedy,
                       "the child \"%s\" of \"%s\" is gone: its packets are dropped from now on, "
                       "and its Child SA ends with the IKE SA",
                       was->name, b->name);
    }
}

/* By name, in the order of the new ones: files keep their order mostly, so the search goes on from
 * where the last was found. */
static const struct ike2_policy *find(const struct gh_ike_config *c, const char *name, size_t *at)
{
    for (size_t tried = 0; tried < c->policy_count; tried++, ++*at) {
        const struct ike2_policy *p = c->policies[*at % c->policy_count];

        if (strcmp(p->name, name) == 0) {
            ++*at;
            return p;
        }
    }
    return NULL;
}

void gh_config_check_ike_change(const struct gh_ike_config *old, const struct gh_ike_config *next,
                                const char *path, struct gh_problems *problems)
{
    const struct change x = {.old = old, .next = next, .path = path, .problems = problems};
    size_t at = 0;

    for (size_t i = 0; old != NULL && next != NULL && i < next->policy_count; i++) {
        const struct ike2_policy *is = next->policies[i], *was = find(old, is->name, &at);

        if (was == NULL || !is_tunnel(was) || was->manual || is->manual)
            continue;
        check_next_sa(&x, was, is, next->places[i].line);
        check_next_rekeying(&x, was, is, &next->places[i]);
        check_gone(&x, was, is, next->places[i].line);
    }
}
