/*
 * Inside of the `ike` process: what the files of the shell around the core share. ike.c has its
 * life and the parent's messages, each other file one kind of them or of what the core asks for.
 */
#ifndef GH_DAEMON_IKE_PRIV_H
#define GH_DAEMON_IKE_PRIV_H

#include <uv.h>

#include "base/clock.h"
#include "config/ike.h"
#include "control/ike.h"
#include "daemon/channel.h"
#include "daemon/esp_messages.h"
#include "daemon/ike_desk.h"
#include "daemon/ike_gatekeeper.h"
#include "daemon/ike_ipsec.h"
#include "daemon/ike_places.h"
#include "daemon/ike_udp.h"
#include "daemon/randomness.h"

/* A configuration that was replaced; SAs of it may go on. */
struct ike_past {
    struct ike_past *next;
    struct gh_ike_config *config;
};

struct ike_socket {
    uint16_t zone;
    uint16_t port;
    bool v6;
    int error;              /* why there is none; 0: not heard of yet */
    struct gh_ike_udp *udp; /* NULL: none */
};

struct ike {
    uv_loop_t loop;
    uv_timer_t timer;
    uv_prepare_t prepare;
    bool unsettled; /* the core was called: see gh_ike_settle() */
    struct gh_channel *parent;
    bool monitored;    /* somebody wants to be told of events */
    struct gh_now now; /* frozen for a batch of datagrams */
    struct gh_random random;
    struct ike2 *core; /* NULL before the first configuration */
    struct gh_ike_config *config;
    struct ike_past *past;
    struct gh_ike_notes *notes;
    struct gh_ike_desk *desk;
    struct gh_ike_gatekeeper *gatekeeper;
    struct gh_ike_ipsec *ipsec;
    int key_logs[GH_KEY_LOGS];      /* -1: keys are told to nobody */
    int next_key_logs[GH_KEY_LOGS]; /* from the next configuration on */
    uint8_t crash_secret[IKE2_CRASH_SECRET];
    bool has_crash_secret;
    void *tickets, *next_tickets; /* memory of the parent's; NULL: none */
    uint8_t *orders;              /* of the `ike` before, until there is a core */
    size_t orders_len;
    struct gh_ike_batch *batch;
    struct gh_ike_places *places;
    struct ike_socket *sockets;
    size_t socket_count;
    uint64_t udp[GH_IKE_UDP_COUNT];
    uint64_t log_second; /* monotonic */
    unsigned log_lines, log_left_out;
};

/* ---- ike.c ---- */
/* The core was called: once for all that one turn of the loop brings, before the loop waits, what
 * it said leaves and the timer is set. */
void gh_ike_settle(struct ike *ike);
/* Nobody will have these SAs after us, or they lose their sockets: the peers are told once, and
 * need not wait until they find out. zone NULL: all. */
void gh_ike_end_sas(struct ike *ike, const uint16_t *zone);

/* ---- ike_ops.c ---- */
struct ike2_ops gh_ike_core_ops(struct ike *ike);
void gh_ike_random(void *ctx, void *out, size_t len); /* ctx: struct ike */

/* ---- ike_events.c ---- */
/* As in struct ike2_ops, and in struct gh_ike_gatekeeper_ops. */
bool gh_ike_reads(void *ctx, enum ike2_event_kind kind);
void gh_ike_event(void *ctx, const struct ike2_event *e);
void gh_ike_gatekeeper_event(void *ctx, const struct gk_event *e);

/* ---- ike_key_logs.c ---- */
void gh_ike_log_child_keys(struct ike *ike, const struct ike2_child_view *c);
/* A message of the parent's; the file counts when the configuration that it came with does. */
bool gh_ike_take_key_log(struct ike *ike, struct gh_rd *body, int fd);
void gh_ike_use_key_logs(struct ike *ike);

/* ---- ike_sockets.c ---- */
void gh_ike_send(void *ctx, const struct ike2_datagram *d); /* as in struct ike2_ops */
/* What came by port 4500 to `esp`, and is IKE's: as in struct gh_ike_ipsec_ops. */
void gh_ike_stray(void *ctx, const struct gh_esp_stray *x);
/* Sockets are read once there are policies. */
void gh_ike_read_sockets(struct ike *ike);
/* Messages of the parent's: a socket; one that could not be had, or that is to be left. */
bool gh_ike_add_socket(struct ike *ike, struct gh_rd *body, int fd);
bool gh_ike_note_failed_socket(struct ike *ike, struct gh_rd *body);

/* ---- ike_ways.c ---- */
/* The place that a message begins with. False: no memory, or a bad body. */
bool gh_ike_get_place(struct ike *ike, struct gh_rd *body, uint16_t *zone);
/* As in struct gh_ike_places_ops: the parent asks the kernel. */
void gh_ike_ask_way(void *ctx, const char *netns, const char *vrf, const struct gh_addr *remote);
/* Those that `show` or `explain` tells and that are begun with: asked for before anybody needs
 * them. */
void gh_ike_want_ways(struct ike *ike);
/* Messages of the parent's. */
bool gh_ike_take_addresses(struct ike *ike, struct gh_rd *body);
bool gh_ike_take_way(struct ike *ike, struct gh_rd *body);

/* ---- ike_config.c ---- */
/* Messages of the parent's: a configuration, and what is said before one. */
bool gh_ike_configure(struct ike *ike, struct gh_rd *body, int fd);
bool gh_ike_take_crash_secret(struct ike *ike, struct gh_rd *body);
bool gh_ike_take_orders(struct ike *ike, struct gh_rd *body);
bool gh_ike_take_tickets(struct ike *ike, int fd);
/* The operator's orders as they are now, to the parent: for the next `ike`. */
void gh_ike_keep_orders(struct ike *ike);
/* Frees the configurations that were replaced and of which no SA is left. */
void gh_ike_forget_past(struct ike *ike);

/* ---- ike_control.c ---- */
bool gh_ike_handle_request(struct ike *ike, struct gh_rd *body); /* a message of the parent's */

#endif
