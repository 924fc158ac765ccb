/*
 * Why a segment of a capture does not verify, in words: the diagnosis of one key chain, asked of
 * the sessions that cover the flow and then of all others, with the addresses that a NAT may have
 * replaced. The verifier calls it for the first refused segments of a connection. Pure.
 */
#ifndef GH_CAPTURE_SUSPECT_H
#define GH_CAPTURE_SUSPECT_H

#include "capture/flow.h"
#include "config/config.h"
#include "tcpao/diagnose.h"

enum { CAP_SUSPECTS_MAX = 16, CAP_SESSIONS_ASKED_MAX = 16 };

/* Ends that could stand behind a NAT: the hosts of the configuration, and who else signs. */
struct cap_suspects {
    struct tcpao_endpoint list[CAP_SUSPECTS_MAX];
    size_t count;
};

void cap_suspects_from_config(struct cap_suspects *s, const struct gh_config *config);
/* Unless it is known already or there is no more room. */
void cap_suspects_add(struct cap_suspects *s, const struct tcpao_endpoint *e);

struct cap_refused {
    const struct gh_config *config;
    struct tcpao_chain *const *chains; /* by gh_session.chain */
    const struct cap_suspects *suspects;
    const struct cap_connection *connection;
    int from; /* the side that sent it */
    bool isns_known;
    uint8_t keyid;
    enum cap_verdict verdict;
    struct ao_specimen specimen; /* chain and from_peer are filled in here */
};

/* Always writes a sentence. */
void cap_explain(const struct cap_refused *r, char *text, size_t text_len);

#endif
