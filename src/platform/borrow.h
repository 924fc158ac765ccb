/*
 * A program's own socket, fetched from the program: for what only whoever has the socket can do.
 *
 * The parent calls it; it needs CAP_SYS_PTRACE, and sees the processes of its own PID namespace and
 * those below. A borrowed socket cannot close while we have it, so it goes back at once.
 */
#ifndef GH_PLATFORM_BORROW_H
#define GH_PLATFORM_BORROW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    GH_BORROW_KNOWN = 64,     /* programs whose sockets another process has */
    GH_BORROW_LINKS = 1 << 18 /* descriptors that one search looks at */
};

/* Where sockets were found that the process asked for did not have (workers of a daemon). */
struct gh_borrower {
    struct {
        uint32_t asked, holder;
    } known[GH_BORROW_KNOWN];
    size_t next;
};

/* A copy of the TCP socket with this inode and SO_COOKIE, close-on-exec: from `pid`, else from its
 * children, else from any process. Or a negative errno: -ENOENT, nobody has it; -E2BIG, too many
 * descriptors to look at; else why it could not be taken. */
int gh_borrow_socket(struct gh_borrower *b, uint32_t pid, uint64_t cookie, uint64_t inode);

/* The inode in the target of a link in /proc/PID/fd, "socket:[123]"; 0: it is no socket. Pure. */
uint64_t gh_borrow_inode(const char *link);

/* Closes a descriptor that a program passed. It may be the last one of its file, and must not wait
 * then: a socket that would (SO_LINGER) forgets that. False: it is no socket and stays open, for
 * its end could wait for a file system that is the program's own. */
bool gh_borrow_return(int fd);

#endif
