/*
 * Netlink messages as bytes: a bounds-checked reader and writer for their host-endian headers and
 * attributes, and a socket that asks the kernel and waits for its answer.
 *
 * nfqueue.c and links.c use it. The reader and the writer are pure and borrow their memory.
 */
#ifndef GH_PLATFORM_NETLINK_H
#define GH_PLATFORM_NETLINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "wire/rd.h"
#include "wire/wr.h"

enum { GH_NL_HEADER = 16, GH_NL_ATTR_HEADER = 4 };

struct gh_nl_message {
    uint16_t type, flags;
    uint32_t seq, portid;
    struct gh_rd body; /* after the header */
};

/* The next message of a datagram; false at its end or at what is no message (then r->bad). */
bool gh_nl_next(struct gh_rd *r, struct gh_nl_message *out);

struct gh_nl_attr {
    uint16_t type; /* without the nested and byte-order flags */
    struct gh_rd body;
};

/* The next attribute; false at the end or at a malformed one (then r->bad). */
bool gh_nl_next_attr(struct gh_rd *r, struct gh_nl_attr *out);

uint16_t gh_nl_u16(struct gh_rd *r); /* host byte order, as netlink's own fields are */
uint32_t gh_nl_u32(struct gh_rd *r);

/* Writing: begin a message, put its parts, end it (which fills in its length). */
size_t gh_nl_begin(struct gh_wr *w, uint16_t type, uint16_t flags, uint32_t seq);
void gh_nl_end(struct gh_wr *w, size_t begin);
/* The same for a message that goes on for `more` octets which are not in the writer. */
void gh_nl_end_with(struct gh_wr *w, size_t begin, size_t more);
void gh_nl_put_u16(struct gh_wr *w, uint16_t v); /* host byte order */
void gh_nl_put_u32(struct gh_wr *w, uint32_t v);
void gh_nl_put_attr(struct gh_wr *w, uint16_t type, const void *data, size_t len);
/* An attribute's header alone, for a body of len octets that follows from elsewhere. */
void gh_nl_put_attr_header(struct gh_wr *w, uint16_t type, size_t len);
/* Octets of padding after n octets. */
size_t gh_nl_padding(size_t n);

/* ---- Sockets -------------------------------------------------------------------------------- */

/* A close-on-exec netlink socket with its own port id in the current namespace, that hears nobody
 * but the kernel; -1 and errno. */
int gh_nl_open(int protocol, uint32_t groups);

/* Sends a request that asks for an acknowledgement and waits for it (2 seconds at most).
 * 0, or the kernel's error as a negative errno. Other messages are thrown away. */
int gh_nl_request(int fd, const struct gh_wr *request);

/* Sends a question; fn() is called with each message of the answer, and false from it ends that. 0,
 * or a negative errno. */
int gh_nl_ask(int fd, const struct gh_wr *request,
              bool (*fn)(void *ctx, const struct gh_nl_message *m), void *ctx);

#endif
