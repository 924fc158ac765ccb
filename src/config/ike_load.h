/*
 * What the readers of IKE's sections share. For load_ike*.c only.
 *
 * They run in the order of what refers to what: secrets, transforms, TS-lists, CAs, certificates,
 * clients, policies, peers. What is wrong is reported and left out; the configuration as a whole is
 * then refused.
 */
#ifndef GH_CONFIG_IKE_LOAD_H
#define GH_CONFIG_IKE_LOAD_H

#include "config/ike.h"
#include "config/schema.h"
#include "keeper/order.h"

enum { GH_IKE_PATH_MAX = 4095, GH_IKE_DESCRIPTION_MAX = 1024 };

struct gh_ike_loader {
    struct gh_loader *l;
    struct gh_ike_config *ike;
    struct gh_keeper_order *order;
    struct ike_proposal *ike_transforms, *ipsec_transforms;
    size_t ike_transform_count, ipsec_transform_count;
    struct ike2_policy **templates; /* of ike-policy sections */
    size_t template_count;
    struct gh_pubkey **keys; /* of ike-key sections; NULL: not looked at */
    size_t key_count;
};

/* ---- Names and references (load_ike_names.c) ------------------------------------------------ */

/* A section's title as a name, or "?" after an error. */
const char *gh_ike_name(struct gh_ike_loader *x, const struct gh_node *section);
/* Enters a name; `index` is where it stands among those of `section`. Twice is an error. */
void gh_ike_define(struct gh_ike_loader *x, const char *section, const char *name, int line,
                   size_t index);
/* The i-th value of a node as the name of something of `section`, which is then used. False: an
 * error was reported; the value is not in it where it may be a secret by mistake. */
bool gh_ike_refer(struct gh_ike_loader *x, const struct gh_node *n, size_t i, const char *section,
                  size_t *index);
/* The same for an option that may be absent (then false, without an error). */
bool gh_ike_refer_option(struct gh_ike_loader *x, const struct gh_node *n, const char *section,
                         size_t *index);

/* ---- Values (load_ike_values.c) ------------------------------------------------------------- */

/* Seconds or a duration. */
bool gh_ike_seconds(struct gh_ike_loader *x, const struct gh_node *n, uint32_t min, uint32_t max,
                    uint32_t *out);
bool gh_ike_u32(struct gh_ike_loader *x, const struct gh_node *n, uint32_t min, uint32_t max,
                uint32_t *out);
bool gh_ike_addr(struct gh_ike_loader *x, const struct gh_node *n, struct gh_addr *out);
/* The values of a list as traffic selectors, which must not overlap. */
void gh_ike_selectors(struct gh_ike_loader *x, const struct gh_node *n, struct ike_ts_list *out);
/* A file that is no secret: nobody but root or who reads it may be able to write it. */
bool gh_ike_read_file(struct gh_ike_loader *x, const char *path, int line, struct gh_secret *out);
void gh_ike_pki_error(struct gh_ike_loader *x, int line, const struct gh_pki_error *e);

/* `admin` of a peer or a child (load_ike_gateway.c). */
void gh_ike_admin(struct gh_ike_loader *x, const struct gh_node *n, enum ike2_admin *out);

/* ---- Paths (load_ike_path.c) ---------------------------------------------------------------- */

/* `netns` and `vrf` of a policy or peer; of what is not given, that of its zone before stays. */
void gh_ike_zone(struct gh_ike_loader *x, const struct gh_node *netns, const struct gh_node *vrf,
                 struct ike2_policy *p);
/* The number of such a zone, with `otherwise` for what is not given; 0: where the daemon is. */
uint16_t gh_ike_zone_number(struct gh_ike_loader *x, const struct gh_node *netns,
                            const struct gh_node *vrf, const struct gh_ike_zone *otherwise);

/* ---- Secrets (load_ike_secret.c) ------------------------------------------------------------ */

/* The nodes of one secret: at most one of them is set. */
struct gh_ike_secret_nodes {
    const struct gh_node *file, *credential, *text;
    const struct gh_node *pass_file, *pass_credential, *pass_text; /* a key's passphrase */
    const struct gh_node *uri, *pin_file, *pin_credential;         /* of a key in a token */
};
bool gh_ike_secret_given(const struct gh_ike_secret_nodes *n);
/* What a KEY tells of itself where it could be read: of a token nothing, for only the keeper opens
 * that. Zero-initialised is nothing. */
struct gh_ike_key_facts {
    struct gh_pubkey *public_key;            /* owned */
    struct gh_cert *certs[GH_CERT_FILE_MAX]; /* beside it in its file, its own first; owned */
    size_t cert_count;
};
/* Orders it from the keeper and looks at it. facts: of a KEY, else NULL. */
void gh_ike_secret(struct gh_ike_loader *x, enum gh_secret_kind kind, const char *name, int line,
                   const struct gh_ike_secret_nodes *n, struct gh_ike_key_facts *facts);
/* The public half of x->keys[index], whose private half is in a token: taken over if none is known
 * yet. Of other keys it does nothing. */
void gh_ike_token_public(struct gh_ike_loader *x, size_t index, const char *name, int line,
                         const struct gh_pubkey *public_key);
/* A public key's file, PEM or DER. NULL: an error was reported, or files are not read. */
struct gh_pubkey *gh_ike_public_key(struct gh_ike_loader *x, const struct gh_node *n);

/* ---- Sections ------------------------------------------------------------------------------- */

void gh_load_ike_globals(struct gh_ike_loader *x, const struct gh_node *section);
void gh_load_ike_psk(struct gh_ike_loader *x, const struct gh_node *section);
void gh_load_ike_ppk(struct gh_ike_loader *x, const struct gh_node *section);
void gh_load_ike_key(struct gh_ike_loader *x, const struct gh_node *section);
void gh_load_ike_transform(struct gh_ike_loader *x, const struct gh_node *section);
void gh_load_ipsec_transform(struct gh_ike_loader *x, const struct gh_node *section);
void gh_load_ike_ts_list(struct gh_ike_loader *x, const struct gh_node *section);
void gh_load_ike_trust(struct gh_ike_loader *x, const struct gh_node *section);
void gh_load_ike_profile(struct gh_ike_loader *x, const struct gh_node *section);
void gh_load_ike_clients(struct gh_ike_loader *x, const struct gh_node *section);
void gh_load_ike_policy(struct gh_ike_loader *x, const struct gh_node *section);
void gh_load_ike_peer(struct gh_ike_loader *x, const struct gh_node *section);
void gh_load_manual_sa(struct gh_ike_loader *x, const struct gh_node *section);
void gh_load_tunnel(struct gh_ike_loader *x, const struct gh_node *section);
void gh_load_ipsec_policy(struct gh_ike_loader *x, const struct gh_node *section);
/* After all peers: none has the name of one. */
void gh_check_manual_sas(struct gh_ike_loader *x);
/* After all peers: somebody protects something where they are. */
void gh_check_ipsec_policies(struct gh_ike_loader *x);

/* ---- Processes that carry packets (load_ike_group.c) ---------------------------------------- */

void gh_ike_default_group(struct gh_ike_loader *x); /* before all sections */
void gh_load_ike_group(struct gh_ike_loader *x, const struct gh_node *section);
/* `workers`, and `active` of a group. NULL: it stays as it is. */
void gh_load_ike_workers(struct gh_ike_loader *x, const struct gh_node *n,
                         struct gh_tunnel_group *g);
/* After all sections: each group has its slots, and what belongs together is in one. */
void gh_check_ike_groups(struct gh_ike_loader *x);

/* ---- Checks --------------------------------------------------------------------------------- */

/* After all peers: nothing else is where a private side is. */
void gh_check_ike_private(struct gh_ike_loader *x);
/* A `child` of a peer's section. */
void gh_load_ike_child(struct gh_ike_loader *x, const struct gh_node *section,
                       struct ike2_policy *policy, struct gh_ike_place *place);
/* The lists ke, additional-ke-1 … -7, each of which may be NULL, or its defaults, into a proposal.
 */
void gh_ike_key_exchanges(struct gh_ike_loader *x, const struct gh_node *const *lists,
                          struct ike_proposal *p);
/* The transforms that a node names, as proposals; NULL: `out` stays. */
void gh_ike_proposals(struct gh_ike_loader *x, const struct gh_node *n, const char *section,
                      struct ike_proposals *out);
void gh_ike_keep_proposals(struct ike_proposals *to, const struct ike_sa *sa);

#endif
