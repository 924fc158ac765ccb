/*
 * Where a key chain stands now and what happens to it next: Junos' Active-ID, Next-ID and
 * Transition, computed from a chain and the time. Pure; used by `show key-chain` and `explain`.
 */
#ifndef GH_CONTROL_OUTLOOK_H
#define GH_CONTROL_OUTLOOK_H

#include <stdbool.h>
#include <stdint.h>

#include "tcpao.h"

struct gh_outlook {
    const struct tcpao_mkt *send;      /* NULL: nothing may be sent now */
    const struct tcpao_mkt *send_next; /* after send_change; NULL: none */
    int64_t send_change;               /* when `send` changes next; TCPAO_TIME_MAX: never */
    const struct tcpao_mkt *receive;   /* the accepted key that started last; NULL: none */
    const struct tcpao_mkt *receive_next;
    int64_t receive_change; /* when receive_next is accepted; TCPAO_TIME_MAX: no such key */
    int64_t expiry;         /* tcpao_chain_expiry() */
};

struct gh_outlook gh_outlook(const struct tcpao_chain *chain, int64_t now);

bool gh_key_sends(const struct tcpao_mkt *k, int64_t now);
/* Its accept lifetime, widened by the tolerance at both ends, includes now. */
bool gh_key_accepts(const struct tcpao_mkt *k, uint32_t tolerance, int64_t now);
/* The widened accept lifetime. */
struct tcpao_lifetime gh_key_accept_widened(const struct tcpao_mkt *k, uint32_t tolerance);

/* Junos' states: "send-receive", "send", "receive", "inactive". */
const char *gh_key_state(const struct tcpao_mkt *k, uint32_t tolerance, int64_t now);
/* Which directions its lifetimes provide for at all: the same words. */
const char *gh_key_mode(const struct tcpao_mkt *k);

#endif
