/* What the gatekeeper's files share. */
#ifndef GK_PRIV_H
#define GK_PRIV_H

#include "gatekeeper/gatekeeper.h"

enum {
    GK_ASK_AGAIN_MS = 1000, /* doubled with each failure */
    GK_ASK_AGAIN_MAX_MS = 30 * 1000,
    GK_PROMISE_MS = 120 * 1000,     /* longer than an exchange may take */
    GK_NEEDED_MS = 60 * 1000,       /* a SYN is asked for again within that, or nobody waits */
    GK_PEERS_DELETE_MS = 600 * 1000 /* for the Delete of whoever rekeyed */
};

/* A KeyID that an exchange under way offers to the peer. */
struct gk_promise {
    uint8_t id;
    uint64_t until; /* monotonic; 0: none */
};

struct gk_session {
    struct gk_session *next;
    struct gk_policy policy;
    struct gk_key *keys; /* newest first */
    struct gk_promise promises[8];
    unsigned next_promise;
    unsigned connections;
    uint64_t needed_until; /* monotonic; 0: nobody waits */
    uint64_t needed_since;
    uint64_t asked_at, ask_at; /* 0: not */
    unsigned failures;         /* in a row */
    bool fallback, told;       /* that it takes too long */
    struct gh_now steps[GK_STEP_COUNT];
    uint64_t installed, rekeyed, revoked, failed;
    int64_t failed_at;
    char failure[GK_TEXT];
};

struct gk {
    struct gk_ops ops;
    struct gk_session *sessions;
    uint32_t next_number;
    struct gh_now now; /* of the call */
};

void gk_tell(struct gk *g, const struct gk_session *s, enum gk_event_kind kind, uint32_t key,
             const char *format, ...) __attribute__((format(printf, 5, 6)));
void gk_reach(struct gk *g, struct gk_session *s, enum gk_step step);
struct gk_session *gk_session_named(const struct gk *g, const char *name); /* NULL: none */
/* A key, unless there is one or nobody waits for it. */
void gk_ask_if_needed(struct gk *g, struct gk_session *s);

/* ---- children.c: keys come and go ---- */
/* To the engine, for as long as its lifetime has left. */
void gk_install(struct gk *g, const struct gk_session *s, const struct gk_key *key);
void gk_end_lifetime(struct gk *g, struct gk_session *s, struct gk_key *key);

/* ---- keys.c: the keys of a session ---- */
struct gk_key *gk_live_key(const struct gk_session *s); /* the newest; NULL: none */
/* One that still signs. */
bool gk_has_key(const struct gk_session *s);
/* Of all sessions between the same hosts: a kernel's keys know no ports. */
bool gk_recv_id_is_free(const struct gk *g, const struct gk_session *s, uint8_t id);
/* … and not promised either. */
bool gk_recv_id_is_new(const struct gk *g, const struct gk_session *s, uint8_t id);
void gk_promise(struct gk *g, struct gk_session *s, uint8_t id);
void gk_keep_promise(struct gk_session *s, uint8_t id);
bool gk_send_id_is_free(const struct gk *g, const struct gk_session *s, uint8_t id);
struct gk_key *gk_key_numbered(const struct gk_session *s, uint32_t number);
struct gk_key *gk_key_of_child(struct gk *g, uint32_t child, struct gk_session **session);
void gk_drop_key(struct gk *g, struct gk_session *s, struct gk_key *key, const char *why);
/* No more for sending; late segments are verified for a while. */
void gk_let_go(struct gk *g, struct gk_session *s, struct gk_key *key, const char *why);
void gk_free_keys(struct gk_session *s);

#endif
