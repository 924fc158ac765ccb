/*
 * The parent's own state, shared by the files of the parent process. Not for others.
 */
#ifndef GH_DAEMON_PARENT_PRIV_H
#define GH_DAEMON_PARENT_PRIV_H

#include <jansson.h>
#include <uv.h>

#include "config/config.h"
#include "config/ike.h"
#include "daemon/child.h"
#include "daemon/control_server.h"
#include "daemon/esp_net.h"
#include "daemon/esp_route_table.h"
#include "daemon/ike_kept.h"
#include "daemon/ike_plan.h"
#include "daemon/keep.h"
#include "daemon/parent.h"
#include "daemon/plane_messages.h"
#include "daemon/rules_guard.h"
#include "daemon/orphans.h"
#include "daemon/rundir.h"
#include "daemon/watches.h"
#include "daemon/zones.h"
#include "platform/borrow.h"
#include "platform/paths.h"
#include "platform/tunnel_device.h"
#include "platform/xfrm_probe.h"

/* Who may connect to shim.sock beside root. */
struct gh_shim_id {
    bool is_group;
    uint32_t number;
};

struct gh_shim_door {
    uv_poll_t poll;
    int fd;
    struct gh_shim_id *ids;
    size_t id_count;
    struct gh_shim_connection *connections;
    uint64_t refused; /* monotonic milliseconds: when that was last logged; 0: never */
};

/* One of the UDP sockets that IKE needs. */
struct gh_ike_socket {
    uint16_t port;
    bool v6;
    int fd; /* -1: none */
    int error;
};
enum { GH_IKE_SOCKETS = 4 };

/* What the process of one slot has of a place: a tunnel device and sockets; all -1 or zero: not
 * there. */
struct gh_esp_share {
    int sockets[GH_ESP_SOCKETS];
    int errors[GH_ESP_SOCKETS]; /* why there is none */
    uint32_t ifindex;           /* of the device */
    bool datagrams;             /* it takes those that are put together */
    uint32_t mtu;               /* that it was set to; 0: not yet */
};

/* IPsec in one place. */
struct gh_esp_place {
    struct gh_esp_share shares[GH_SLOTS];
    int routes_fd;
    int routes_error; /* why there is none: a negative errno */
    uint32_t table;   /* of the routes; 0: the main one */
    struct gh_esp_routes routes;
    uint32_t generation; /* of the configuration that they are for */
    bool rules_due;      /* rules that choose a table are not as the routes are */
    int rules_error;     /* of the last try */
    bool guarded;        /* parent_esp_clear.c: it is to have rules */
};

/* The kernel's IPsec in one place; all -1 or zero: not there. */
struct gh_xfrm_place {
    int sockets[GH_PLANE_SOCKETS];
    int udp[2];                   /* port 4500 for what the kernel opens; IPv4, IPv6 */
    int bypassed[GH_IKE_SOCKETS]; /* those of IKE's that policies do not concern */
    bool filtered;                /* the raw sockets have nothing of the kernel's */
    bool wanted;                  /* by the configuration of `generation` */
    bool flushed;                 /* nothing of ours is there */
    uint32_t generation;
    int error; /* the last that was told: a negative errno */
};

/* A network namespace and VRF: where IKE peers are, or a private side of theirs. */
struct gh_parent_place {
    char *netns, *vrf; /* or NULL */
    bool is_private;   /* no sockets, and `ike` knows nothing of it: a device and routes alone */
    bool used;         /* by the configuration in force */
    struct gh_netns_id id;
    struct gh_ike_socket sockets[GH_IKE_SOCKETS];
    struct gh_paths paths;
    int paths_error;           /* why they are not open */
    uv_poll_t *poll;           /* of paths.heard */
    struct gh_paths_vrfs vrfs; /* of its namespace, where it is in none */
    bool changed;              /* and `ike` was not told */
    struct gh_esp_place esp;
    struct gh_xfrm_place xfrm;
};

/* IKE: two children that are there only while the configuration has IKE peers. */
struct gh_parent_ike {
    struct gh_child keeper, ike;
    size_t peers;             /* of the configuration in force */
    int setup, order, manual; /* descriptors of sealed files; -1: none */
    size_t setup_len, order_len, manual_len;
    struct gh_parent_place **places;
    size_t place_count;
    uv_timer_t tell; /* of places that changed: many changes are told once */
    uint64_t told;   /* when that was, by the loop */
    bool keeper_ready;
    struct gh_ike_kept kept;
    uint8_t *orders; /* of `ike`, for the next one (ike_orders.h) */
    size_t orders_len;
};

/* Of a tunnel whose device is the kernel's (parent_devices.c). */
struct gh_parent_device {
    bool wanted; /* else the device is ours, and all else here is not set */
    bool made, up;
    bool is_protected;
    char *outer_netns, *outer_vrf; /* where its packets leave */
    struct gh_netns_id outer;
    struct tunnel_params p; /* as it is */
};

/* A device of a tunnel of the configuration. */
struct gh_parent_tunnel {
    char *name, *device, *netns, *vrf;
    struct gh_parent_device kernel;
    int fd;         /* -1: none */
    bool datagrams; /* the device takes those that are put together */
    int error;      /* why there is none */
    struct gh_netns_id id;
    uint32_t ifindex, mtu;
    struct gh_prefix addresses[GH_TUNNEL_ADDRESSES];
    size_t address_count;
    uint32_t generation;  /* of the configuration that it is as wanted by */
    bool primary, backup; /* has the host a route? */
};

/* A process that carries packets, or could. */
struct gh_parent_worker {
    struct gh_parent *parent;
    struct gh_child child;
    bool used;    /* by the configuration in force */
    size_t group; /* its tunnel group */
    int slot;     /* that it has; -1: none, it stands by */
};
enum { GH_WORKERS = GH_SLOTS + GH_SPARES };

/* What a process has that carries packets, and the next one has after it. */
struct gh_parent_slot {
    size_t group;
    int memory;    /* of its SAs (esp_children.h); -1: none */
    size_t worker; /* who has it */
    bool lost;     /* its process cannot be kept running, and none stood by */
};

/* IPsec: children that are there only while IKE peers have children of ESP or AH. */
struct gh_parent_esp {
    struct gh_parent_worker workers[GH_WORKERS];
    struct gh_parent_slot slots[GH_SLOTS];
    size_t slot_count; /* while wanted: at least one */
    bool wanted;       /* by the configuration in force */
    struct gh_parent_tunnel *tunnels;
    size_t tunnel_count;
    struct gh_esp_clear *clear; /* parent_esp_clear.c: each namespace */
    bool kinds_probed;          /* … and then: */
    struct gh_tunnel_kinds kinds;
};

/* IPsec in the kernel: a child that is there only while IKE peers have children of it. */
struct gh_parent_xfrm {
    struct gh_child xfrm;
    bool wanted; /* by the configuration in force */
    bool probed; /* … and then: */
    struct gh_xfrm_support support;
    struct gh_xfrm_why why; /* it has none */
};

struct gh_parent {
    const struct gh_parent_options *options;
    uv_loop_t loop;
    uint64_t began; /* monotonic milliseconds */
    uv_signal_t hup, term, interrupt;
    uv_timer_t tend; /* looks after zones and rules that could not be had */
    uv_timer_t watchdog;
    struct gh_child ao;
    struct gh_parent_ike ike;
    struct gh_parent_esp esp;
    struct gh_parent_xfrm xfrm;
    struct gh_control_server *control;
    int lock, state;
    size_t state_size;

    /* The configuration in force. Its secrets are in the sealed file alone. */
    struct gh_config *config;
    uint16_t *session_zones;
    int setup; /* descriptor of the sealed file */
    size_t setup_len;
    uint32_t generation;

    struct gh_zones zones;
    enum gh_rules_backend backend;
    struct gh_rules_note note; /* where rules of ours are */
    bool rules_due, rules_failed;
    struct gh_rules_guard *guard;
    uint64_t rules_restored; /* monotonic milliseconds of the last time that they had to be */

    /* Programs' sockets */
    struct gh_shim_door shim;
    struct gh_asked *asked; /* FLOWS to be answered */
    size_t asked_count;
    uv_timer_t flows_due;
    struct gh_watches watches;
    struct gh_watch_post *watch_posts;
    uv_timer_t watch_sweep;
    struct gh_keep keep;
    struct gh_borrower borrower;
    struct gh_orphan_list orphans; /* of an earlier instance */
    bool orphans_changed;          /* what the file has of them and of our sockets is old */

    bool ready; /* all was up once */
    bool stopping;
    uint32_t reload_client; /* who waits for the end of a reload; 0: none */
    json_t *reload_answer;
    bool reload_again; /* a SIGHUP came while one was under way */
    int status;        /* to exit with */
};

/* parent_config.c: reads and checks the configuration; if all is well it is in force from here on,
 * and `ao` must be told. False: nothing changed, and the problems say why. */
bool gh_parent_load(struct gh_parent *p, struct gh_problems *problems);
void gh_parent_log_problems(const struct gh_problems *problems);
/* Who the children run as. */
bool gh_parent_find_user(const struct gh_config *config, uid_t *uid, gid_t *gid);

/* parent_rules.c: which of the firewall programs is used. False: none can. */
bool gh_parent_choose_rules(struct gh_parent *p);
/* Installs the rules of the configuration in force where they are due, and takes those away that
 * are not needed any more. False: it failed somewhere (which is tried again). */
bool gh_parent_install_rules(struct gh_parent *p);
/* Somebody took rules away: installs them again, at once but not more often than once a second. */
void gh_parent_restore_rules(void *parent, const char *netns);

/* Those of a zone's namespace, for its sockets. False: it failed (which is tried again). */
bool gh_parent_install_zone(struct gh_parent *p, struct gh_zone *zone);
/* Are there rules in a zone's namespace on others' account? */
bool gh_parent_has_other_rules(const struct gh_parent *p, const struct gh_zone *zone);

/* parent.c: one line for all monitors; sends an answer of a child's to its client. */
void gh_parent_publish(struct gh_parent *p, const char *event, const char *text);
bool gh_parent_answer(struct gh_parent *p, enum gh_answerer from, struct gh_rd *body);
/* Hands a request on to a child, or refuses it where that is away. */
void gh_parent_forward(struct gh_parent *p, struct gh_child *child, uint32_t client,
                       enum gh_answerer from, const char *line, size_t len);
bool gh_parent_tell_monitors(struct gh_parent *p, struct gh_rd *body);
/* A child has ended after gh_child_stop(). */
void gh_parent_child_stopped(struct gh_parent *p);

/* parent_ike.c */
/* Tells `ike` whether anybody listens to its events. */
void gh_parent_tell_ike_of_monitors(struct gh_parent *p);
/* A new socket between engine and gatekeeper, where both are there. */
void gh_parent_open_gatekeeper(struct gh_parent *p);
void gh_parent_ike_init(struct gh_parent *p);
/* Takes a plan over, before or after the start; *plan is empty afterwards. False: no memory, and
 * nothing changed. */
bool gh_parent_ike_take(struct gh_parent *p, struct gh_ike_plan *plan);
/* Starts, tells or stops the children by the plan in force. */
void gh_parent_ike_apply(struct gh_parent *p);
void gh_parent_ike_tend(struct gh_parent *p); /* sockets that could not be had */
/* Is this request for `ike`? Then it is handled. */
bool gh_parent_ike_request(struct gh_parent *p, uint32_t client, const json_t *request,
                           const char *line, size_t len);
void gh_parent_ike_stop(struct gh_parent *p);
void gh_parent_ike_end(struct gh_parent *p); /* wipes, at the very end */
bool gh_parent_ike_runs(const struct gh_parent *p);

/* Fills in what all children of IKE share, and starts it. */
void gh_parent_start_child(struct gh_parent *p, struct gh_child *child, const char *role,
                           const struct gh_child_ops *ops);
/* ctx: of its ops, if not the parent. */
void gh_parent_start_child_of(struct gh_parent *p, struct gh_child *child, const char *role,
                              const struct gh_child_ops *ops, void *ctx);

/* parent_workers.c: the processes that carry packets */
void gh_parent_workers_init(struct gh_parent *p);
/* Starts, tells or stops them by the plan in force. */
void gh_parent_workers_apply(struct gh_parent *p);
void gh_parent_workers_tend(struct gh_parent *p); /* once a second or so */
/* To the process of a slot; NULL: it is away. */
struct gh_channel *gh_parent_worker_channel(const struct gh_parent *p, size_t slot);
void gh_parent_workers_stop(struct gh_parent *p);
bool gh_parent_workers_run(const struct gh_parent *p);
/* A new socket between `ike` and each `esp`, where both are there. */
void gh_parent_open_children(struct gh_parent *p);
/* The child that is to answer this request for `esp`: the first that is there, if it names none;
 * what is about tunnels, the first. */
struct gh_child *gh_parent_worker_for(struct gh_parent *p, const json_t *request);
const char *gh_parent_worker_name(const struct gh_parent_worker *w, char out[16]);
json_t *gh_parent_workers_show(const struct gh_parent *p); /* the answer to show-ipsec-group */

/* parent_esp.c */
/* By the plan in force: is there something to carry? Then by whom. */
void gh_parent_esp_apply(struct gh_parent *p);
/* All sockets and devices of a slot, to its new process. */
void gh_parent_esp_tell_sockets(struct gh_parent *p, size_t slot);
/* Makes routes and rules of a place as they are wanted. */
void gh_parent_esp_change_routes(struct gh_parent_place *place);
/* One of them alone; it may be gone afterwards. */
void gh_parent_esp_change_route(struct gh_parent_place *place, struct gh_esp_route *r);
/* parent_esp_routes.c: what `esp` says of routes that were negotiated. False: malformed. */
bool gh_parent_esp_route(struct gh_parent *p, size_t slot, struct gh_rd *body);
/* A new `esp` is to say all of its slot … */
void gh_parent_esp_routes_forget(struct gh_parent *p, size_t slot);
void gh_parent_esp_routes_told(struct gh_parent *p, size_t slot); /* … and has */
/* Calls fn() with each child of a place whose packets come by the device; true from it ends that,
 * and is the answer. */
bool gh_parent_esp_each_child(const struct gh_parent *p, struct gh_parent_place *place,
                              bool (*fn)(void *ctx, struct gh_parent_place *place,
                                         const struct ike2_policy *policy,
                                         const struct ike2_child_policy *child),
                              void *ctx);
/* parent_filters.c: a socket for `esp` (false: it cannot be, and errno), one of IKE's, if it is
 * open, or all of a place hear what is for them. */
bool gh_parent_filter_socket(const struct gh_parent *p, const struct gh_parent_place *place,
                             size_t slot, int kind, int fd);
void gh_parent_filter_ike(const struct gh_parent_place *place, const struct gh_ike_socket *s);
void gh_parent_filter_place(const struct gh_parent *p, const struct gh_parent_place *place);
/* Looks which VRFs there are, and what is in them. */
void gh_parent_filter_vrfs(struct gh_parent *p, struct gh_parent_place *place);
/* parent_esp_clear.c: a place is to have rules as the configuration has it, from the next tending
 * on; it has none any more; the answer to show-ipsec-unprotected */
void gh_parent_esp_clear_follow(struct gh_parent *p, struct gh_parent_place *place);
void gh_parent_esp_clear_tend(struct gh_parent *p);
void gh_parent_esp_clear_leave(struct gh_parent *p, struct gh_parent_place *place);
json_t *gh_parent_esp_clear_show(const struct gh_parent *p);
/* By the configuration, also what was negotiated before. */
void gh_parent_esp_want_routes(const struct gh_parent *p, struct gh_parent_place *place);
bool gh_parent_esp_request(struct gh_parent *p, uint32_t client, const json_t *request,
                           const char *line, size_t len);
void gh_parent_esp_stop(struct gh_parent *p);
bool gh_parent_esp_runs(const struct gh_parent *p);
/* Takes away what routes a daemon left that is no more. False: it cannot, and the log says why. */
bool gh_parent_esp_remove_routes(const char *run_directory);
/* Are the devices of all slots there, and can routes into them be made? */
bool gh_parent_esp_has_routes(const struct gh_parent *p, const struct gh_parent_place *place);
/* For parent_ike_places.c: its part of a place. */
void gh_parent_esp_init_place(struct gh_parent_place *place);
void gh_parent_esp_tend_place(struct gh_parent *p, struct gh_parent_place *place);
void gh_parent_esp_close_place(struct gh_parent *p, struct gh_parent_place *place);
/* Is what the policy's children protect in this place? */
bool gh_parent_esp_is_protected_in(const struct gh_parent_place *place,
                                   const struct gh_ike_config *c, const struct ike2_policy *policy);
/* parent_esp_mtu.c: the device of a place has the MTU that the configuration in force wants. */
void gh_parent_esp_set_mtu(struct gh_parent *p, struct gh_parent_place *place);
/* parent_tunnels.c: devices of tunnels, as the configuration in force wants them. */
void gh_parent_tunnels_tend(struct gh_parent *p);
void gh_parent_tunnels_drop(struct gh_parent *p); /* those not wanted; all when it is stopping */
/* Is a socket of this kind (esp_net.h) wanted there? Those of unprotected tunnels only if there
 * are. */
bool gh_parent_tunnels_want(const struct gh_parent *p, const struct gh_parent_place *place,
                            int kind);
/* The child is for a tunnel's packets alone, which come by the tunnel's device: it needs no route,
 * and one to the other end would lead astray what is not the tunnel's. */
bool gh_parent_tunnels_carry(const struct gh_ike_config *c, const struct ike2_policy *peer,
                             const struct ike2_child_policy *child);
/* parent_tunnel_planes.c; parent_xfrm.c calls them. All tunnels that may and could have a device of
 * the kernel's have one; then those have not whose peers' children are not the kernel's (true: some
 * have lost it, so ask for the children again); what came of it. */
void gh_parent_tunnels_choose(struct gh_parent *p, struct gh_ike_config *c);
bool gh_parent_tunnels_yield(struct gh_ike_config *c);
void gh_parent_tunnels_report(const struct gh_parent *p, const struct gh_ike_config *c,
                              struct gh_problems *problems);
/* Is the child for the packets of a tunnel that `esp` carries? */
bool gh_parent_tunnels_need(const struct gh_ike_config *c, const struct ike2_policy *peer,
                            const struct ike2_child_policy *child);
/* parent_devices.c; parent_tunnels.c calls those for one device. */
void gh_parent_device_init(const struct gh_parent *p, struct gh_parent_device *d,
                           const struct gh_tunnel *want);
void gh_parent_device_clear(struct gh_parent_device *d);
bool gh_parent_device_is_same(const struct gh_parent *p, const struct gh_parent_device *d,
                              const struct gh_tunnel *want);
/* True: it is up, and as wanted but for its addresses. */
bool gh_parent_device_tend(const struct gh_parent *p, struct gh_parent_tunnel *t,
                           const struct gh_tunnel *want);
void gh_parent_device_close(const struct gh_parent *p, struct gh_parent_tunnel *t);
/* Those of an earlier instance in a namespace; for gh_noted_namespaces(). */
bool gh_parent_devices_remove(void *run_directory, const char *netns);
json_t *gh_parent_devices_show(const struct gh_parent *p, const char *name);
void gh_parent_tunnels_tell(struct gh_parent *p);  /* all, to a new `esp` */
void gh_parent_tunnels_reach(struct gh_parent *p); /* routes may have changed */
/* Does IKE's socket share port 4500 with one for ESP? With one of each slot? */
bool gh_parent_esp_shares(const struct gh_parent_place *place, bool v6);
bool gh_parent_esp_shares_all(const struct gh_parent *p, const struct gh_parent_place *place,
                              bool v6);

/* parent_xfrm.c; parent_esp.c calls all but the first. */
/* Which children the kernel carries; a problem for each that it should and cannot. */
void gh_parent_xfrm_choose(struct gh_parent *p, struct gh_ike_config *c,
                           struct gh_problems *problems);
void gh_parent_xfrm_apply(struct gh_parent *p);
/* A new socket between `esp` and `xfrm`, where both are there. */
void gh_parent_xfrm_link(struct gh_parent *p);
void gh_parent_xfrm_init_place(struct gh_parent_place *place);
void gh_parent_xfrm_tend_place(struct gh_parent *p, struct gh_parent_place *place);
void gh_parent_xfrm_close_place(struct gh_parent *p, struct gh_parent_place *place);
void gh_parent_xfrm_stop(struct gh_parent *p);
/* `mss` of what the kernel carries there, as the configuration has it. */
void gh_parent_xfrm_mss_follow(const struct gh_parent *p, const struct gh_parent_place *place);
void gh_parent_xfrm_mss_remove(const char *netns);
void gh_parent_xfrm_remove(
    const char *netns); /* what a daemon left in the kernel that is no more */

/* parent_ike_places.c: sockets in all places of the configuration in force, and what paths there
 * are from there. */
/* Opens what is needed and not open, or whose namespace was made anew, and closes the rest; `ike`
 * is told. */
void gh_parent_ike_places_tend(struct gh_parent *p);
void gh_parent_ike_places_tell(struct gh_parent *p); /* all, to a new `ike` */
/* The message IKE_ASK_WAY. False: a bad one. */
bool gh_parent_ike_ask_way(struct gh_parent *p, struct gh_rd *body);

/* parent_processes.c: the answer to show-processes. */
json_t *gh_parent_processes(const struct gh_parent *p);

/* parent_sockets.c: carries out the messages ABORT, LOOKUP and FETCH. False: a bad one. */
bool gh_parent_abort(struct gh_parent *p, struct gh_rd *body);
bool gh_parent_lookup(struct gh_parent *p, struct gh_rd *body);
bool gh_parent_fetch(struct gh_parent *p, struct gh_rd *body);

/* parent_shim.c: the socket of the preload library. */
bool gh_parent_shim_open(struct gh_parent *p);
void gh_parent_shim_configure(struct gh_parent *p); /* the users of the configuration in force */
void gh_parent_shim_end_all(struct gh_parent *p);   /* `ao` has ended: the library comes again */
void gh_parent_shim_close(struct gh_parent *p);

/* parent_flows.c: the messages ZONE and FLOWS. False: a bad one. */
bool gh_parent_zone(struct gh_parent *p, struct gh_rd *body, int fd);
bool gh_parent_flows(struct gh_parent *p, struct gh_rd *body);
void gh_parent_forget_asked(struct gh_parent *p); /* `ao` has ended */
/* A dynamic zone goes: its rules too. */
void gh_parent_leave_zone(struct gh_parent *p, const struct gh_zone *zone);

/* parent_watch.c: the messages WATCH, KEEP and FORGET. False: a bad one. */
bool gh_parent_watch(struct gh_parent *p, struct gh_rd *body);
bool gh_parent_keep(struct gh_parent *p, struct gh_rd *body);
bool gh_parent_forget(struct gh_parent *p, struct gh_rd *body);
void gh_parent_tell_kept(struct gh_parent *p);                                /* to a new `ao` */
void gh_parent_unwatch_zone(struct gh_parent *p, const struct gh_zone *zone); /* it is closed */

/* parent_orphans.c */
void gh_parent_load_orphans(struct gh_parent *p);
void gh_parent_save_orphans(struct gh_parent *p); /* if something changed */
void gh_parent_look_after_orphans(struct gh_parent *p);

#endif
