/* The parts of gh_ike_handle(), each in its own file. Not for others. */
#ifndef GH_CONTROL_IKE_PARTS_H
#define GH_CONTROL_IKE_PARTS_H

#include "control/answer.h"
#include "control/ike.h"

typedef json_t *gh_ike_answer_fn(const struct gh_ike_view *view, struct gh_now now,
                                 const json_t *request);

/* ike_show.c, ike_statistics.c, ike_command.c, ike_admin.c, ike_tunnel.c, ike_explain.c,
 * gatekeeper.c */
gh_ike_answer_fn gh_ike_show_peers, gh_ike_show_sas, gh_ike_show_children, gh_ike_show_statistics,
    gh_ike_show_lockout, gh_ike_initiate, gh_ike_rekey_sa, gh_ike_rekey_child, gh_ike_terminate_sa,
    gh_ike_terminate_child, gh_ike_terminate_peer, gh_ike_redirect_sa, gh_ike_redirect_peer,
    gh_ike_show_tunnels, gh_ike_show_gateways, gh_ike_show_clients, gh_ike_take_down,
    gh_ike_bring_up, gh_ike_revert, gh_ike_clear_lockout, gh_ike_explain, gh_ike_show_gatekeeper,
    gh_ike_revoke;

json_t *gh_ike_endpoint_json(const struct ike2_endpoint *e); /* null without an address */

/* Which peers are meant: all, that of a name, or those with an address. */
struct gh_ike_target {
    const char *name; /* NULL: any */
    struct gh_addr addr;
};
/* From "name". False: *refusal. */
bool gh_ike_target_parse(const struct gh_ike_view *view, const json_t *request, bool needed,
                         struct gh_ike_target *out, json_t **refusal);
bool gh_ike_target_covers(const struct gh_ike_target *t, const struct ike2_policy *p);
/* An SA may have no policy yet. */
bool gh_ike_target_covers_sa(const struct gh_ike_target *t, const struct ike2_sa_view *v);

/* Parts of answers (ike_show.c). */
json_t *gh_ike_sa_json(const struct ike2_sa_view *v, struct gh_now now, bool detail);
json_t *gh_ike_child_json(const struct ike2_child_view *c); /* not its keys */
json_t *gh_ike_ts_json(const struct ike_ts_list *list);
json_t *gh_ike_failure_json(const struct gh_ike_note *note); /* the latest; null: none */

/* From where we call a peer: what the policy says, or the system. *error as in ike.h. */
enum ike2_way gh_ike_source_of(const struct gh_ike_view *view, const struct ike2_policy *p,
                               struct gh_addr *out, int *error);
/* "netns" and "vrf" (null: the daemon's own, none). */
void gh_ike_put_place(const struct gh_ike_view *view, uint16_t zone, json_t *object);
/* Peers in several places have the address that is meant, so that it names none: *refusal. */
bool gh_ike_target_is_one(const struct gh_ike_view *view, const struct gh_ike_target *t,
                          json_t **refusal);

/* What the SAs of one peer come to. */
struct gh_ike_tally {
    size_t up, opening, ending, children;
};
struct gh_ike_tally gh_ike_tally_of(const struct gh_ike_view *view, const char *policy);

#endif
