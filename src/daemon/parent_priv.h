/*
 * The parent's own state, shared by the files of the parent process. Not for others.
 */
#ifndef GH_DAEMON_PARENT_PRIV_H
#define GH_DAEMON_PARENT_PRIV_H

#include <jansson.h>
#include <uv.h>

#include "config/config.h"
#include "daemon/child.h"
#include "daemon/control_server.h"
#include "daemon/parent.h"
#include "daemon/rules_guard.h"
#include "daemon/rundir.h"
#include "daemon/zones.h"

struct gh_parent {
    const struct gh_parent_options *options;
    uv_loop_t loop;
    uint64_t began; /* monotonic milliseconds */
    uv_signal_t hup, term, interrupt;
    uv_timer_t tend; /* looks after zones and rules that could not be had */
    uv_timer_t watchdog;
    struct gh_child ao;
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

    bool ready;             /* all was up once */
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

/* parent_processes.c: the answer to show-processes. */
json_t *gh_parent_processes(const struct gh_parent *p);

/* parent_sockets.c: carries out the messages ABORT and LOOKUP. False: a bad one. */
bool gh_parent_abort(struct gh_parent *p, struct gh_rd *body);
bool gh_parent_lookup(struct gh_parent *p, struct gh_rd *body);

#endif
