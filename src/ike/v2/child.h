/*
 * Child SAs: what is asked for, judged, made and dropped (child.c), in IKE_AUTH and
 * CREATE_CHILD_SA.
 */
#ifndef IKE2_CHILD_H
#define IKE2_CHILD_H

#include "ike/proposal.h"
#include "ike/v2/priv.h"

/* What a request for a Child SA asks for and what we make of it. */
struct ike2_wish {
    const struct ike2_child_policy *policy;
    struct ike_proposal chosen; /* the SPI is the peer's */
    struct ike_ts_list local, remote;
    bool transport;
    bool no_tfc; /* as in struct ike2_child_view */
    bool narrowed;
    bool fragments_also; /* both ends say so */
    bool redundant;      /* both ends made one, and this is one too many */
    struct gh_view more; /* SK(1) | … of additional key exchanges */
};

/* What a Child SA may have at each end: what the client database has for the peer, else what the
 * child says. */
const struct ike_ts_list *ike2_child_local(const struct ike2_sa *sa,
                                           const struct ike2_child_policy *p);
const struct ike_ts_list *ike2_child_remote(const struct ike2_sa *sa,
                                            const struct ike2_child_policy *p);
/* That we ask for one, for the story. */
void ike2_child_tell_wish(struct ike2 *c, const struct ike2_sa *sa,
                          const struct ike2_child_policy *p);
/* As responder. 0, or the notification to answer with; `why` says more. `old`: the one that is
 * rekeyed, NULL: any of the SA's policies. */
uint16_t ike2_child_judge(struct ike2 *c, struct ike2_sa *sa, const struct ike_payloads *in,
                          bool without_ke, const struct ike2_child *old, struct ike2_wish *out,
                          char why[160]);
/* As initiator: the response must be a part of what we asked for. */
uint16_t ike2_child_confirm(struct ike2 *c, struct ike2_sa *sa, const struct ike_payloads *in,
                            bool without_ke, const struct ike2_child_policy *policy,
                            struct ike2_wish *out, char why[160]);
/* NULL: it could not be installed. */
struct ike2_child *ike2_child_make(struct ike2 *c, struct ike2_sa *sa, const struct ike2_wish *w,
                                   bool initiator, const uint8_t *spi_in,
                                   const struct gh_secret *shared, struct gh_view ni,
                                   struct gh_view nr, uint32_t replaces);
void ike2_child_drop(struct ike2 *c, struct ike2_sa *sa, struct ike2_child *child,
                     enum ike2_removal why);
/* The peer has a Child SA with this SPI of ours, and we do not (any more): it is told to go. */
void ike2_child_disown(struct ike2 *c, struct ike2_sa *sa, uint8_t protocol, const uint8_t *spi,
                       uint8_t spi_len);
struct ike2_child *ike2_child_by_id(const struct ike2_sa *sa, uint32_t id);
struct ike2_child *ike2_child_by_out(const struct ike2_sa *sa, uint8_t protocol,
                                     struct gh_view spi);
/* replaces: the one that is rekeyed; 0: none. */
bool ike2_child_spi(struct ike2 *c, const struct ike2_sa *sa, const struct ike2_child_policy *p,
                    uint32_t replaces, uint8_t *spi, uint8_t *len);
void ike2_child_view_of(const struct ike2_sa *sa, const struct ike2_child *child,
                        struct ike2_child_view *v, struct ike_proposal *suite,
                        struct ike_ts_list *local, struct ike_ts_list *remote);
/* Nonce and key exchange of CREATE_CHILD_SA; they stand between SA and TSi. */
struct ike2_fresh {
    struct gh_view nonce, value;
    uint16_t group; /* 0: none */
};
/* USE_TRANSPORT_MODE, SA, TSi, TSr of a request; `fresh` NULL: in IKE_AUTH. */
void ike2_child_put(struct ike_out *o, const struct ike2_child_policy *p,
                    const struct ike_ts_list *local, const struct ike_ts_list *remote,
                    const uint8_t *spi, uint8_t spi_len, const struct ike2_fresh *fresh);
/* without_ke: in IKE_AUTH. */
struct ike_choice_rules ike2_child_rules(bool without_ke);
void ike2_child_put_answer(struct ike_out *o, const struct ike2_wish *w, const uint8_t *spi,
                           uint8_t spi_len, const struct ike2_fresh *fresh);

#endif
