/*
 * What the preload library says to gatehoused, and what it hears: one datagram each way over a
 * local SOCK_SEQPACKET socket, one request at a time.
 *
 * The library is thin: it passes the socket that a call is about (SCM_RIGHTS) and what the program
 * wrote; all knowledge of TCP-AO is in the `ao` process, which looks at the socket itself and
 * closes its copy before it answers. So a program cannot speak for sockets that it does not have.
 *
 * Request: u8 version, u8 op, u16 option (a TCP socket option's number, or 0), u32 room (GETOPT:
 * how large the program's buffer for the result is; SETOPT: net.core.optmem_max as the program's
 * namespace has it, 0: not known), then the body: for HELLO the program's name, for CONNECT
 * the sockaddr as the program gave it, for COUNTERS as below, for SETOPT and GETOPT the option's
 * value as it gave it. Answer: u8 version, u8 action, u16 zero, u32 error (an errno, 0: none), u32
 * length (what getsockopt() reports in *optlen), then the body: the option's value. All integers in
 * network byte order; values of socket options are the host's own layout.
 */
#ifndef GH_SHIM_PROTOCOL_H
#define GH_SHIM_PROTOCOL_H

#define GH_SHIM_SOCKET     "/run/gatehouse/shim.sock"
#define GH_SHIM_SOCKET_ENV "GATEHOUSE_SHIM_SOCKET" /* another path, for tests */

enum {
    GH_SHIM_VERSION = 1,
    GH_SHIM_REQUEST_HEADER = 8,
    GH_SHIM_ANSWER_HEADER = 12,
    GH_SHIM_BODY_MAX = 131072 /* TCP_AO_GET_KEYS: 304 octets a key */
};

enum gh_shim_op {
    GH_SHIM_HELLO = 1,    /* no descriptor; the answer's body: u8 1 if the kernel has TCP-AO */
    GH_SHIM_CONNECT = 2,  /* before connect(): may connect(), must bind() first, or fails */
    GH_SHIM_LISTEN = 3,   /* before listen() */
    GH_SHIM_ACCEPTED = 4, /* after accept(), before the program has the socket */
    GH_SHIM_SETOPT = 5,   /* TCP_AO_*, TCP_MD5SIG, TCP_MD5SIG_EXT */
    GH_SHIM_GETOPT = 6,   /* TCP_AO_* */
    GH_SHIM_COUNTERS = 7, /* descriptor: any socket of the network namespace; body: u64 nanoseconds
                             of CLOCK_MONOTONIC when the program called, or none: what was counted
                             later is no part of the answer, as it would not be of the kernel's,
                             which takes no time to ask; the answer's body: five u64: TCPAOGood,
                             TCPAOBad, TCPAOKeyNotFound, TCPAORequired, TCPAODroppedIcmps, to be
                             added to /proc/net/netstat */
    GH_SHIM_PREPARED = 8, /* a socket option other than these, after the kernel accepted it, that
                             matters to what we emulate: TCP_REPAIR (turned off) */
    GH_SHIM_FLUSH = 9     /* after close(), no descriptor: answered when the segments that wait for
                             us are on their way, so that a peer on this machine has the RST, as on
                             a kernel that signs it itself */
};

/* What the library does with the call. */
enum gh_shim_action {
    GH_SHIM_PASS = 0, /* not ours: the kernel answers */
    GH_SHIM_DONE = 1, /* ours: return `error` and the body; the kernel is not asked */
    GH_SHIM_BIND = 2  /* CONNECT only: bind() the socket to a free port (address as it is), ask
                         again; so the whole socket pair is known before the first SYN */
};

#endif
