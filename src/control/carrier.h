/*
 * Who carries a session's connections now: what `backend` became on this host.
 */
#ifndef GH_CONTROL_CARRIER_H
#define GH_CONTROL_CARRIER_H

enum gh_carrier {
    GH_CARRIER_ENGINE,
    GH_CARRIER_KERNEL,   /* the kernel's TCP-AO, on sockets of programs */
    GH_CARRIER_NO_AO,    /* nobody: backend = kernel, but this kernel has no TCP-AO */
    GH_CARRIER_NO_SOCKET /* nobody: backend = kernel, but no program has brought a socket */
};
const char *gh_carrier_name(enum gh_carrier c); /* "engine", "kernel" or "none" */

#endif
