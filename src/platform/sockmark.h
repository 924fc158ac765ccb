/*
 * The mark of packets that carry a tunnel or key it: they must not go into the tunnel themselves.
 *
 * Sockets for IKE, ESP and AH have it (udp.c, raw.c), rules that lead into tunnel devices leave it
 * out (ip_rules.h), and questions for the way to a peer ask by it (paths.c).
 */
#ifndef GH_PLATFORM_SOCKMARK_H
#define GH_PLATFORM_SOCKMARK_H

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

enum { GH_SOCKET_MARK = 0x4748 };

/* False, and errno: not set. Who may not set marks may not set rules either: then there are none
 * to be left out of. */
static inline bool gh_socket_mark(int fd)
{
    const uint32_t mark = GH_SOCKET_MARK;

    return setsockopt(fd, SOL_SOCKET, SO_MARK, &mark, sizeof(mark)) == 0 || errno == EPERM;
}

#endif
