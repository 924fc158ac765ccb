/*
 * Numbers that both directions of a setup's encoding share. For setup_*.c only.
 */
#ifndef GH_DAEMON_SETUP_WIRE_H
#define GH_DAEMON_SETUP_WIRE_H

enum {
    GH_SETUP_MAGIC = 0x67683035, /* "gh05": changes with the encoding */
    GH_SETUP_MAX = 256 * 1048576,
    /* Least octets of one element: no count may promise more than the bytes can hold. */
    GH_SETUP_KEY_MIN = 48,
    GH_SETUP_CHAIN_MIN = 17,
    GH_SETUP_SESSION_MIN = 42
};

#endif
