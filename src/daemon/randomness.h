/*
 * The kernel's randomness, many octets with one system call: an IKE handshake wants six small
 * pieces. What was given out is wiped here.
 */
#ifndef GH_DAEMON_RANDOMNESS_H
#define GH_DAEMON_RANDOMNESS_H

#include <stddef.h>
#include <stdint.h>

enum { GH_RANDOM_STORE = 512 };

/* Zero-initialised is empty. One owner; not to be had across a fork. */
struct gh_random {
    uint8_t octets[GH_RANDOM_STORE];
    size_t left; /* the last so many are fresh */
};

/* Aborts if the kernel has none: keys of something else than randomness must not be. */
void gh_random_take(struct gh_random *r, void *out, size_t len);

#endif
