/*
 * Zones: the pairs of network namespace and VRF that sessions live in, each with a queue of its
 * own.
 *
 * The parent owns the sockets and keeps them while `ao` is away, so that segments wait. A zone
 * whose namespace does not exist (yet, or any more) is opened when it appears.
 *
 * Programs may bring sockets (ZONE) of any namespace. Where no zone without VRF is configured, a
 * dynamic one is made, which has its namespace by descriptor and lets go of it, so that it can end,
 * some time after its last socket. When a configuration comes to name that namespace, the dynamic
 * zone becomes the configured one, with its index and queue: sessions and sockets of a namespace
 * share a zone. (A namespace that gets its configured name only after both exist has two until the
 * dynamic one goes: its programs stay there, and rules are installed for both together.)
 */
#ifndef GH_DAEMON_ZONES_H
#define GH_DAEMON_ZONES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "config/config.h"
#include "platform/links.h"
#include "platform/netns.h"
#include "platform/rules.h"

struct gh_zone {
    char *netns, *vrf;            /* or NULL */
    uint16_t index;               /* while it is open no other zone has it */
    uint16_t number;              /* of its queue */
    bool used;                    /* by a session of the configuration in force */
    bool dynamic;                 /* made for programs' sockets alone */
    bool vacant;                  /* a dynamic zone that was: its index may be had again */
    int netns_fd;                 /* keeps a dynamic zone's namespace; -1: none needed */
    uint64_t until;               /* stays for programs' sockets until then, or since then vacant */
    struct gh_socket_rule *rules; /* of its sockets; owned */
    size_t rule_count;
    bool rules_due;  /* they are not installed as they are */
    bool has_rules;  /* some have been installed for its sockets, perhaps none by now */
    size_t watched;  /* its sockets whose end is waited for */
    bool complained; /* that it could not be opened */
    bool taken;      /* its queue belongs to another process */
    struct gh_netns_id id;
    int queue, links; /* sockets, -1: not open */
    uv_poll_t *links_poll;
    char stored[64]; /* name under which the service manager keeps the queue's socket */
};

/* A zone has been opened, or its interfaces have changed. */
struct gh_zones_ops {
    void (*opened)(void *ctx, const struct gh_zone *zone);
    void (*closed)(void *ctx, const struct gh_zone *zone);
    /* A dynamic zone lets go of its namespace: its rules must go before. */
    void (*leaving)(void *ctx, const struct gh_zone *zone);
    void (*link)(void *ctx, const struct gh_zone *zone, const struct gh_link *link);
};

struct gh_stored_queue {
    char name[64];
    int fd;
};

struct gh_zones {
    uv_loop_t *loop;
    const struct gh_zones_ops *ops;
    void *ctx;
    uint16_t base; /* number of the first queue */
    uint32_t length;
    struct gh_zone **list;
    size_t count;
    struct gh_stored_queue *stored; /* kept by the service manager, not taken yet */
    size_t stored_count;
    bool complained; /* that there are too many dynamic zones */
};

/* Numbers the zones of a configuration: numbers[session_count]. False: no memory, or too many. */
bool gh_zones_assign(struct gh_zones *z, const struct gh_config *config, uint16_t *numbers);
/* Opens what is used and not open, or whose namespace was made anew; closes what neither sessions
 * nor programs' sockets use.
 * True if any zone was opened. Waits up to `patience` milliseconds for a queue that another process
 * still holds. */
bool gh_zones_open(struct gh_zones *z, unsigned patience);
/* Tells all interfaces of a zone once more. */
void gh_zones_tell_links(struct gh_zones *z);
/* NULL: there is none, or no more. */
struct gh_zone *gh_zones_find(const struct gh_zones *z, uint16_t index);
/* The open zone for programs' sockets of a namespace (a descriptor, which stays the caller's), and
 * it stays open for a while; with `open` it is opened or made if it is not there. NULL: none. */
struct gh_zone *gh_zones_of_netns(struct gh_zones *z, int netns, bool open);
/* Takes over what the service manager has kept; before the first gh_zones_open(). */
void gh_zones_adopt(struct gh_zones *z);
void gh_zones_drop_stored(struct gh_zones *z);

#endif
