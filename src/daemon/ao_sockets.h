/*
 * Sockets that programs bring to the `ao` process through the preload library: who answers for
 * them, the emulation or the kernel backend.
 *
 *   ao_shim.c      the library's connections: requests in, answers out
 *   ao_facts.c     what a socket is, asked of the socket itself
 *   ao_sockets.c   this dispatcher (ao_sockets_priv.h is its map): zones, flows, watched sockets
 *   ao_kernel.c    the kernel backend: keys of our chains on programs' sockets, moved by lifetime
 *   src/emulate    the emulation of Linux's socket options
 *
 * Many answers need the parent first (a zone opened, rules installed): then the request waits and
 * its program with it.
 */
#ifndef GH_DAEMON_AO_SOCKETS_H
#define GH_DAEMON_AO_SOCKETS_H

#include <uv.h>

#include "control/control.h"
#include "daemon/channel.h"
#include "daemon/setup.h"
#include "emulate/emulate.h"
#include "shim/protocol.h"

struct ao_engine;
struct gh_socket_flow;

/* What ao_facts.c sees; the first part is the emulation's. */
struct gh_socket_facts {
    struct emu_facts emu;
    uint64_t netns_cookie; /* SO_NETNS_COOKIE */
    uint64_t inode;        /* of the socket: where to find it again */
    uint32_t optmem_used;  /* octets that the kernel has charged to net.core.optmem_max */
    uint32_t pid;          /* of the program */
};

/* ---- The kernel backend (ao_kernel.c) -------------------------------------------------------- */

struct gh_kernel;

/* What it needs of its surroundings. */
struct gh_kernel_ops {
    /* Asks the parent for a program's socket; gh_kernel_fetched() is the answer. */
    void (*fetch)(void *ctx, uint32_t id, uint32_t pid, uint64_t cookie, uint64_t inode);
    void (*watch)(void *ctx, uint16_t zone, uint64_t cookie);
    void (*keep)(void *ctx, uint64_t cookie, const uint8_t *data, size_t len); /* len 0: forget */
    /* GUARD flows of a zone have changed; gh_kernel_each_flow() has them. */
    void (*flows_changed)(void *ctx, uint16_t zone);
    /* All sockets of a session have the keys that gh_kernel_keys_changed() spoke of. */
    void (*in_line)(void *ctx, const char *session);
    void *ctx;
};

/* Does the running kernel have TCP-AO? Before the sandbox: it opens a socket. */
bool gh_kernel_has_ao(void);
/* has_ao: as gh_kernel_has_ao() said. Without, sessions with backend = kernel are guarded. */
struct gh_kernel *gh_kernel_new(struct ao_engine *engine, bool has_ao,
                                const struct gh_kernel_ops *ops);
void gh_kernel_free(struct gh_kernel *k); /* sockets stay as they are, and what was kept */
/* The configuration in force; borrowed. When the next call comes, the one before may be gone. */
void gh_kernel_configure(struct gh_kernel *k, struct gh_now now, const struct gh_setup *setup);
/* The negotiated chain of a session has others now: brought to its sockets. */
void gh_kernel_keys_changed(struct gh_kernel *k, struct gh_now now, const char *session);
/* Each: PASS when no session of the kernel's covers the socket. DONE with *error 0: keys were put
 * on it, and the program's call goes on in the kernel; else *error says why it must fail. The
 * descriptor stays the caller's. */
enum gh_shim_action gh_kernel_connect(struct gh_kernel *k, struct gh_now now, int fd,
                                      const struct gh_socket_facts *f,
                                      const struct tcpao_endpoint *peer, int *error);
enum gh_shim_action gh_kernel_listen(struct gh_kernel *k, struct gh_now now, int fd,
                                     const struct gh_socket_facts *f, int *error);
enum gh_shim_action gh_kernel_accepted(struct gh_kernel *k, struct gh_now now, int fd,
                                       const struct gh_socket_facts *f, int *error);
/* fd: the socket, now the callee's; or -1 and an errno. */
void gh_kernel_fetched(struct gh_kernel *k, struct gh_now now, uint32_t id, int fd, int error);
void gh_kernel_gone(struct gh_kernel *k, struct gh_now now, uint64_t cookie);
/* The zone's number may be another one's from here on: its sockets are forgotten. */
void gh_kernel_zone_closed(struct gh_kernel *k, struct gh_now now, uint16_t zone);
void gh_kernel_restore(struct gh_kernel *k, uint64_t cookie, const uint8_t *data, size_t len);
void gh_kernel_tick(struct gh_kernel *k, struct gh_now now);
uint64_t gh_kernel_next_deadline(const struct gh_kernel *k, struct gh_now now); /* mono ms */
/* For show and explain: gh_control_view.carrier. */
enum gh_carrier gh_kernel_carrier(const struct gh_kernel *k, const struct gh_session *session);
void gh_kernel_each_flow(const struct gh_kernel *k, uint16_t zone,
                         void (*fn)(void *ctx, const struct gh_socket_flow *flow), void *ctx);

/* ---- The dispatcher -------------------------------------------------------------------------- */

struct gh_ao_sockets;

struct gh_ao_sockets_ops {
    /* Reads the queues until they are empty, within reason. */
    void (*flush)(void *ctx);
    /* After gh_ao_sockets_keys_changed(): no socket lacks a key of the session any more. */
    void (*in_line)(void *ctx, const char *session);
    void *ctx;
};

/* The loop and the channel are borrowed. NULL: no memory. */
struct gh_ao_sockets *gh_ao_sockets_new(uv_loop_t *loop, struct gh_channel *parent,
                                        bool kernel_has_ao, const struct gh_ao_sockets_ops *ops);
/* Once, when there is an engine: restores what KEPT brought. Before the engine's first policies, so
 * that the connections in its memory find their sockets' flows. False: no memory. */
bool gh_ao_sockets_start(struct gh_ao_sockets *s, struct gh_now now, struct ao_engine *engine);
/* The configuration in force, borrowed until the next call. Requests are read from the first on. */
void gh_ao_sockets_configure(struct gh_ao_sockets *s, struct gh_now now,
                             const struct gh_setup *setup);
/* The messages SHIM, ZONED, FLOWED, FETCHED, FETCH_FAILED, KEPT, SOCKET_GONE. False: a bad body. */
bool gh_ao_sockets_message(struct gh_ao_sockets *s, struct gh_frame *frame, int fd);
/* The parent opened a zone's queue. */
void gh_ao_sockets_zone_opened(struct gh_ao_sockets *s, uint16_t zone);
/* The parent closed a zone: its index may name another one from here on. */
void gh_ao_sockets_zone_closed(struct gh_ao_sockets *s, uint16_t zone);
/* An interface of a zone came, changed or (mtu 0) went. */
void gh_ao_sockets_link(struct gh_ao_sockets *s, uint16_t zone, uint32_t ifindex, uint32_t mtu,
                        bool vrf);
/* The negotiated chain of a session has changed. */
void gh_ao_sockets_keys_changed(struct gh_ao_sockets *s, struct gh_now now, const char *session);
/* For show and explain (gh_control_view.carrier); `sockets` is a struct gh_ao_sockets. */
enum gh_carrier gh_ao_sockets_carrier(void *sockets, const struct gh_session *session);
/* After the verdicts on packets of a zone are given: what they changed counts since ns of
 * CLOCK_MONOTONIC, just before the first of them. Whom a verdict wakes asks later. */
void gh_ao_sockets_counted(struct gh_ao_sockets *s, uint16_t zone, struct gh_now now, uint64_t ns);
void gh_ao_sockets_tick(struct gh_ao_sockets *s, struct gh_now now);
uint64_t gh_ao_sockets_next_deadline(const struct gh_ao_sockets *s, struct gh_now now);

#endif
