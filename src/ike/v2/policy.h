/*
 * What an IKEv2 peer may do and get: the configuration as the core sees it.
 *
 * Plain values, made once by the configuration, shared by reference count and never changed: an IKE
 * SA keeps the policy under which it was made. Secrets are named, never held: the keeper has them.
 */
#ifndef IKE2_POLICY_H
#define IKE2_POLICY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "ike/proposals.h"
#include "ike/tcp_ao.h"
#include "ike/ts.h"
#include "ike/v2/child_path.h"
#include "ike/v2/child_traffic.h"
#include "pki/client_db.h"
#include "pki/identity.h"
#include "pki/pattern.h"
#include "pki/profile.h"
#include "pki/trust.h"

enum {
    IKE2_NAME = 64,
    IKE2_CHILDREN = 32, /* that one peer may have configured */
    IKE2_PSKS = 4,
    IKE2_WINDOW_MAX = 64,
    IKE2_DOUBLINGS = 6, /* of the interval between transmissions; then it stays */
    IKE2_ADDRESSES = 8, /* beside the one in use */
    IKE2_BACKUPS = 7    /* gateways beside the primary */
};

/* When a gateway sends a client elsewhere (RFC 5685): as it begins, or when it is known. */
enum ike2_redirect_at { IKE2_REDIRECT_NEVER, IKE2_REDIRECT_INIT, IKE2_REDIRECT_AUTH };

enum ike2_auth { IKE2_AUTH_PSK, IKE2_AUTH_CERT, IKE2_AUTH_RAW_KEY, IKE2_AUTH_NULL };

/* What the configuration says of the administrative state (admin.c). */
enum ike2_admin { IKE2_ADMIN_UNSAID, IKE2_ADMIN_UP, IKE2_ADMIN_DOWN };
/* Who carries packets through Child SAs: our own process, the kernel, or the kernel if it can. */
enum ike2_plane { IKE2_PLANE_USER, IKE2_PLANE_KERNEL, IKE2_PLANE_AUTO };

/* What a Child SA is for: who installs it. */
enum ike2_mode { IKE2_TUNNEL, IKE2_TRANSPORT, IKE2_TCP_AO };

struct ike2_lifetime {
    uint32_t seconds;         /* 0: no limit */
    uint64_t octets, packets; /* of a Child SA; 0: no limit */
};

struct ike2_child_policy {
    char name[IKE2_NAME + 1];
    enum ike2_mode mode;
    struct ike_proposals proposals; /* owned; of ESP, AH or TCP-AO, best first */
    struct ike_ts_list local, remote;
    struct ike2_lifetime lifetime; /* hard; rekeying begins earlier by a random part of it */
    struct ike_tcp_ao tcp_ao;      /* of IKE2_TCP_AO */
    bool start;                    /* as soon as the peer is known, and again when it is lost */
    enum ike2_admin admin;
    uint32_t idle_seconds; /* without a packet either way, and it ends; 0: never */

    bool stands_down; /* the core's alone: it is, by the configuration or an order */
    bool kernel;      /* what the policy's `plane` comes to on this machine */
    /* Whose process carries it, for the shell alone; of all of a policy the same. If the last is
     * another than the first, each client has one from the first to the last. */
    uint8_t slot, last_slot;

    /* Routes to what is negotiated, while it is, instead of routes to `remote`. */
    bool reverse_route;
    bool route_overlap; /* what another tunnel has, too, may be routed */
    uint16_t route_metric;
    struct ike2_child_path path; /* of tunnel and transport mode, and so is: */
    struct ike2_child_traffic traffic;

    bool single;         /* the peer gets no second Child SA of it beside the first */
    bool icmp_header;    /* ICMP errors may quote what the selectors have not (RFC 4301 6.2) */
    bool fragments_also; /* tunnel mode: later fragments follow their first one, if the peer agrees
                            (NON_FIRST_FRAGMENTS_ALSO) */
};

struct ike2_policy {
    unsigned refs;
    char name[IKE2_NAME + 1];
    unsigned index; /* of equal matches the smallest wins */

    /* Which messages are this peer's. */
    uint16_t zone; /* a network namespace and VRF, by the shell's number; 0: where the daemon is */
    uint16_t private_zone;   /* of what is protected, for the shell alone; 0: the same one */
    struct gh_addr local;    /* len 0: any of ours; we begin from where the system would send */
    struct gh_prefix remote; /* 0 bits: anybody, as responder only */
    struct gh_addr gateway;  /* where to begin; len 0: responder only */
    struct gh_addr backups[IKE2_BACKUPS]; /* gateways when that does not answer, in order */
    uint8_t backup_count;
    uint32_t revert_ms; /* at a backup for so long: is the primary there again? 0: never asked */
    uint16_t port;      /* 500 */
    bool responder_only;
    enum ike2_admin admin;

    /* IKE_SA_INIT */
    struct ike_proposals proposals; /* owned; of IKE, best first */
    bool prefer_theirs;
    uint16_t mtu; /* 512 … 9000: of the IP datagrams of fragmented messages; 1500 */
    bool fragmentation;
    bool force_nat_t;          /* UDP encapsulation also where there is no NAT */
    uint32_t nat_keepalive_ms; /* 20 s (RFC 3948) */
    bool force_keepalive; /* also who is not behind the NAT, wherever UDP encapsulation is used */
    uint8_t puzzle_bits;  /* hardest puzzle that we solve (RFC 8019); 0: none; 20 */
    bool childless; /* RFC 6023: the peer need not ask for a Child SA in IKE_AUTH; nor do we, if it
                     * allows that: each is made by an exchange of its own, with fresh keys */
    bool intermediate; /* RFC 9242, for additional key exchanges */

    /* Authentication, each side by its own method. */
    enum ike2_auth local_auth;
    unsigned remote_auths; /* GH_BIT(enum ike2_auth): what we take */
    /* NONE: the address, or the certificate's subject; a type without octets: what our certificate
     * has of that type beside its subject. */
    struct gh_identity local_id;
    struct gh_pattern *remote_id;         /* owned; NULL: any */
    bool match_id_to_cert;                /* the identity must be in the certificate */
    char psk[IKE2_NAME + 1];              /* the keeper's name; may be a client's of the database */
    struct gh_cert_profile *cert_profile; /* borrowed */
    struct gh_trust *trust;               /* borrowed */
    char raw_key[IKE2_NAME + 1];          /* the keeper's name of our raw key */
    struct gh_view raw_key_spki;          /* borrowed: what we show */
    struct gh_pubkey *peer_raw_key;       /* borrowed */
    const struct gh_client_db *client_db; /* borrowed; NULL: none */
    char ppk[IKE2_NAME + 1];              /* RFC 8784; empty: none. The name is the PPK_ID */
    bool ppk_required;

    /* Life */
    struct ike2_lifetime lifetime; /* of the IKE SA: seconds */
    bool reauthenticate;           /* instead of rekeying the IKE SA */
    uint32_t liveness_ms;          /* silence after which we ask; 0: only answer */
    unsigned liveness_retries;     /* transmissions of a request without an answer */
    uint32_t retransmit_ms;        /* first interval; each next is twice as long, up to 64 times */
    unsigned retransmits;
    uint32_t half_open_ms; /* of an IKE SA that is not established */
    uint8_t window; /* requests at a time that we take of the peer, and send if it takes them: 1 …
                     * IKE2_WINDOW_MAX */

    /* MOBIKE (RFC 4555) */
    bool mobike;
    struct gh_addr others[IKE2_ADDRESSES]; /* ours beside `local`, that the peer may try */
    size_t other_count;
    bool others_all;           /* instead: all that the zone has */
    struct gh_prefix moves_to; /* where the peer may move; no address: anywhere */
    bool routability; /* Child SAs follow a peer only when it answers where it went; true */
    bool no_nats;     /* no NAT traversal: whoever changes addresses on the way is refused */

    bool initial_contact;
    bool redirects;                    /* RFC 5685: as client we go where the gateway sends us */
    struct gh_prefix follows_to;       /* … if it is there; no address: anywhere */
    enum ike2_redirect_at redirect_at; /* as gateway: when clients that can go are sent … */
    struct gh_addr redirect_to;        /* … there; len 0: nowhere */
    bool resumption;   /* RFC 5723: tickets, asked for by us and given to the peer */
    bool crash_tokens; /* RFC 6290: the peer gets one, if the core has a secret for them; true */

    bool manual; /* for the shell alone: keyed by hand (config/manual.h); the core has none such */
    enum ike2_plane plane;              /* of all children */
    struct ike2_child_policy *children; /* owned, and so are their proposals */
    size_t child_count;

    /* The core's alone: the IKE SAs under it, its place among the policies, … */
    struct ike2_sa *sas;
    size_t place;
    bool stands_down;
    uint8_t gateway_now;   /* … which gateway is in use (ike2_gateway()), */
    int64_t gateway_since; /* since when (wall time; 0: the beginning), */
    unsigned failovers;    /* and how often one did not answer */
};

/* With the defaults and no children. NULL: no memory. */
struct ike2_policy *ike2_policy_new(const char *name);
/* A copy, by another name, of one that has neither pattern nor children. NULL: no memory. */
struct ike2_policy *ike2_policy_like(const struct ike2_policy *from, const char *name);
struct ike2_policy *ike2_policy_ref(struct ike2_policy *p);
void ike2_policy_free(struct ike2_policy *p); /* gives a reference back; NULL is fine */

/* The n-th gateway: 0 is the primary. */
const struct gh_addr *ike2_gateway(const struct ike2_policy *p, size_t n);
size_t ike2_gateway_count(const struct ike2_policy *p); /* 0: it cannot be called */
bool ike2_gateway_is(const struct ike2_policy *p, const struct gh_addr *addr);

/* Does it make keys of TCP-AO? */
bool ike2_policy_has_tcp_ao(const struct ike2_policy *p);

/* From the first transmission of a request until it is given up, at most a day. */
uint64_t ike2_policy_patience_ms(const struct ike2_policy *p);

/* AES-256-GCM, HMAC-SHA2-256 or -384, groups 31 and 19; the same for ESP with `protocol`. AH:
 * HMAC-SHA2-256-128. TCP-AO (IKE_PROTO_TCP_AO): AES-128-CMAC, HMAC-SHA-1. Of any other none. */
void ike2_default_proposals(uint8_t protocol, struct ike_sa *out);

#endif
