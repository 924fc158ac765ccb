/*
 * The inside of the dispatcher of programs' sockets, shared by its files:
 *
 *     ao_sockets.c       the parent's messages, time, life
 *     ao_sockets_ask.c   what the parent is asked for and told: zones, flows, what is kept
 *     ao_sockets_for.c   which session a socket is for, and the TCP-MD5 that its TCP-AO replaces
 *     ao_requests.c      a program's request and its answer
 */
#ifndef GH_DAEMON_AO_SOCKETS_PRIV_H
#define GH_DAEMON_AO_SOCKETS_PRIV_H

#include "daemon/ao_cookies.h"
#include "daemon/ao_md5.h"
#include "daemon/ao_shim.h"
#include "daemon/ao_sockets.h"
#include "daemon/ao_zones.h"
#include "daemon/keep.h"

enum { GH_SOCKETS_FLOWS_ROOM = 1024 * 1024 /* octets of one FLOWS */ };

/* What a request will be answered once the parent has done its part. */
struct gh_sockets_outcome {
    enum gh_shim_action action;
    int error;
    uint8_t *body; /* owned; wiped */
    size_t len, reported;
};

enum gh_sockets_wait_kind { GH_WAIT_ZONE, GH_WAIT_FLOWS, GH_WAIT_WATCH };

struct gh_sockets_wait {
    struct gh_sockets_wait *next;
    enum gh_sockets_wait_kind kind;
    uint32_t id;
    uint32_t client;
    uint64_t netns; /* GH_WAIT_ZONE: of the socket */
    uint16_t zone;  /* GH_WAIT_FLOWS: whose */
    struct gh_sockets_outcome outcome;
};

struct gh_sockets_kept {
    struct gh_sockets_kept *next;
    uint64_t cookie;
    size_t len;
    uint8_t data[];
};

struct gh_ao_sockets {
    uv_loop_t *loop;
    struct gh_channel *parent;
    bool kernel_has_ao;
    struct gh_ao_sockets_ops ops;
    struct ao_engine *engine;
    struct emu *emu;
    struct gh_kernel *kernel;
    const struct gh_setup *setup;
    struct gh_shim_server *server;
    struct gh_ao_zones zones;
    struct gh_md5_list md5;
    struct gh_cookies watched;
    struct gh_sockets_wait *waits;
    uint32_t next_id;
    bool watching;                /* the request under way has made the parent watch its socket */
    struct gh_sockets_kept *kept; /* until there is an engine */
    struct gh_keep pending;       /* to be told to the parent */
    uv_timer_t pending_timer;
    uint8_t *flows; /* [GH_SOCKETS_FLOWS_ROOM] */
};

/* ---- ao_sockets_ask.c ---- */
/* Somebody waits for the parent; NULL: no memory. */
struct gh_sockets_wait *gh_sockets_wait(struct gh_ao_sockets *s, enum gh_sockets_wait_kind kind,
                                        uint32_t client);
/* Not any more: the caller's now; NULL: nobody waited. */
struct gh_sockets_wait *gh_sockets_wait_over(struct gh_ao_sockets *s,
                                             enum gh_sockets_wait_kind kind, uint32_t id);
/* What the emulation and the kernel backend call; ctx is the dispatcher. */
void gh_sockets_fetch(void *ctx, uint32_t id, uint32_t pid, uint64_t cookie, uint64_t inode);
void gh_sockets_watch(void *ctx, uint16_t zone, uint64_t cookie);
void gh_sockets_keep(void *ctx, uint64_t cookie, const uint8_t *data, size_t len);
void gh_sockets_flows_changed(void *ctx, uint16_t zone);
bool gh_sockets_is_vrf(void *ctx, uint16_t zone, uint32_t ifindex);
/* Tells the parent a zone's flows. id 0: nobody waits. False: it could not be told. */
bool gh_sockets_send_flows(struct gh_ao_sockets *s, struct gh_ao_zone *z, uint32_t id,
                           uint64_t mono);

/* ---- ao_sockets_for.c ---- */
uint16_t gh_sockets_session_zone(const struct gh_ao_sockets *s, const struct gh_socket_facts *f);
/* bits: of the peer if it is a prefix, which must all be the session's. */
const struct gh_session *gh_sockets_session_for(const struct gh_ao_sockets *s, uint16_t zone,
                                                const struct tcpao_endpoint *peer, uint8_t bits,
                                                uint16_t port);
void gh_sockets_replace_md5(struct gh_ao_sockets *s, const struct gh_shim_request *r,
                            const struct gh_socket_facts *f, struct gh_sockets_outcome *o);
int gh_sockets_give_back_md5(struct gh_ao_sockets *s, const struct gh_socket_facts *f, int fd,
                             uint16_t port);

/* ---- ao_requests.c ---- */
void gh_sockets_on_request(void *ctx, const struct gh_shim_request *r);
/* The zone is known. */
void gh_sockets_handle(struct gh_ao_sockets *s, const struct gh_shim_request *r, uint16_t zone);
void gh_sockets_answer(struct gh_ao_sockets *s, uint32_t client, struct gh_sockets_outcome *o);

#endif
