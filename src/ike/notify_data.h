/*
 * The data of notifications that have a layout.
 *
 * read: from the data of a parsed notification, IKE_SYNTAX if it does not fit. put: the data into a
 * writer, to be sent by ike_notify_emit_data().
 */
#ifndef IKE_NOTIFY_DATA_H
#define IKE_NOTIFY_DATA_H

#include "base/addr.h"
#include "ike/notify.h"
#include "wire/wr.h"

/* INVALID_KE_PAYLOAD: the method that is wanted. */
enum ike_fault ike_invalid_ke_read(struct gh_view data, uint16_t *method);
/* SET_WINDOW_SIZE, AUTH_LIFETIME (seconds): one number. */
enum ike_fault ike_u32_read(struct gh_view data, uint32_t *out);
/* ADDITIONAL_IP4_ADDRESS, ADDITIONAL_IP6_ADDRESS (RFC 4555). */
enum ike_fault ike_address_read(struct gh_view data, struct gh_addr *out);

/* IPCOMP_SUPPORTED (RFC 7296 3.10.1). */
struct ike_ipcomp {
    uint16_t cpi;
    uint8_t transform;
};
enum ike_fault ike_ipcomp_read(struct gh_view data, struct ike_ipcomp *out);

/* SIGNATURE_HASH_ALGORITHMS (RFC 7427): bit n stands for hash n, numbers above 31 are left out. */
enum ike_fault ike_hashes_read(struct gh_view data, uint32_t *set);
void ike_hashes_put(struct gh_wr *w, uint32_t set);

/* REDIRECT, REDIRECTED_FROM (RFC 5685). */
enum { IKE_GATEWAY_IPV4 = 1, IKE_GATEWAY_IPV6 = 2, IKE_GATEWAY_FQDN = 3 };
struct ike_redirect {
    uint8_t type;
    struct gh_view gateway; /* address or name */
    struct gh_view nonce;   /* Ni; only in the answer to IKE_SA_INIT */
};
enum ike_fault ike_redirect_read(struct gh_view data, struct ike_redirect *out);
void ike_redirect_put(struct gh_wr *w, const struct ike_redirect *redirect);

/* TICKET_LT_OPAQUE (RFC 5723). */
struct ike_ticket {
    uint32_t lifetime; /* seconds */
    struct gh_view ticket;
};
enum ike_fault ike_ticket_read(struct gh_view data, struct ike_ticket *out);
void ike_ticket_put(struct gh_wr *w, const struct ike_ticket *ticket);

/* IKEV2_MESSAGE_ID_SYNC (RFC 6311). */
struct ike_id_sync {
    uint8_t nonce[4];
    uint32_t send, receive; /* EXPECTED_SEND_REQ_, EXPECTED_RECV_REQ_MESSAGE_ID */
};
enum ike_fault ike_id_sync_read(struct gh_view data, struct ike_id_sync *out);
void ike_id_sync_put(struct gh_wr *w, const struct ike_id_sync *sync);
/* IPSEC_REPLAY_COUNTER_SYNC: 4 octets, or 8 with extended sequence numbers. */
enum ike_fault ike_counter_sync_read(struct gh_view data, uint64_t *delta);

/* PPK_IDENTITY (RFC 8784). */
struct ike_ppk_id {
    uint8_t type; /* 1: opaque, 2: fixed */
    struct gh_view id;
};
enum ike_fault ike_ppk_id_read(struct gh_view data, struct ike_ppk_id *out);
void ike_ppk_id_put(struct gh_wr *w, const struct ike_ppk_id *id);

/* PUZZLE (RFC 8019 8.1). */
struct ike_puzzle {
    uint16_t prf;
    uint8_t difficulty; /* zero bits; 0: the initiator chooses */
};
enum ike_fault ike_puzzle_read(struct gh_view data, struct ike_puzzle *out);
void ike_puzzle_put(struct gh_wr *w, const struct ike_puzzle *puzzle);

#endif
