/*
 * The parent process: reads the configuration, opens what needs privilege, keeps `ao` running and
 * answers the control socket.
 *
 * It touches no packet. What it holds open (queues, the state file) outlives its children.
 */
#ifndef GH_DAEMON_PARENT_H
#define GH_DAEMON_PARENT_H

#include <stdbool.h>

#include "base/log.h"

#define GH_RUN_DIRECTORY   "/run/gatehouse"
#define GH_STATE_DIRECTORY "/var/lib/gatehouse"

struct gh_parent_options {
    const char *config;          /* path of the configuration */
    const char *run_directory;   /* sockets, the lock and the state */
    const char *state_directory; /* what outlives a restart of the machine */
    enum gh_log_level log_level; /* of the children */
    bool emulate_ao;             /* TCP-AO of the kernel counts as absent; for tests */
    void (*ready)(void);         /* called once, when all is up; may be NULL */
};

/* The exit status. */
int gh_parent_main(const struct gh_parent_options *options);

/* Takes the firewall rules of the last instance away. The exit status. */
int gh_parent_remove_rules(const char *run_directory);

#endif
