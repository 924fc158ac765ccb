/*
 * What the engine's process and the gatekeeper's tell each other (frame.h: KEY_INSTALL …), as
 * octets. Pure.
 */
#ifndef GH_DAEMON_GK_MESSAGES_H
#define GH_DAEMON_GK_MESSAGES_H

#include <stdbool.h>
#include <stdint.h>

#include "tcpao.h"
#include "wire/rd.h"
#include "wire/wr.h"

enum { GH_GK_NAME = 256, GH_GK_MESSAGE = 512 };

/* A session's name, and what else there may be. */
struct gh_gk_message {
    char session[GH_GK_NAME];
    struct tcpao_mkt mkt; /* secret: borrowed from the message; NULL: none */
    uint64_t left_ms;     /* of its hard lifetime; 0: no limit */
    uint32_t number;
    uint64_t octets, segments; /* KEY_USED: so far */
    bool flag;
};

void gh_gk_put_session(struct gh_wr *w, const char *session);
/* with_secret: not for KEY_RANK. */
void gh_gk_put_key(struct gh_wr *w, const char *session, const struct tcpao_mkt *mkt,
                   uint64_t left_ms, bool with_secret);
void gh_gk_put_number(struct gh_wr *w, const char *session, uint32_t number);
void gh_gk_put_usage(struct gh_wr *w, const char *session, uint32_t number, uint64_t octets,
                     uint64_t segments);
void gh_gk_put_flag(struct gh_wr *w, const char *session, bool flag);

/* The reverse. False: malformed, as a whole. */
bool gh_gk_take_session(struct gh_rd *r, struct gh_gk_message *out);
bool gh_gk_take_key(struct gh_rd *r, bool with_secret, struct gh_gk_message *out);
bool gh_gk_take_number(struct gh_rd *r, struct gh_gk_message *out);
bool gh_gk_take_usage(struct gh_rd *r, struct gh_gk_message *out);
bool gh_gk_take_flag(struct gh_rd *r, struct gh_gk_message *out);

#endif
