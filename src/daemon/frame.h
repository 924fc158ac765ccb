/*
 * The messages between Gatehouse's processes as bytes: typed, length-checked frames on a stream.
 *
 * Pure: channel.c moves the bytes. Each end states which messages it may be sent; anything else,
 * or a length that the type does not allow, is a bad frame, and the other process is not trusted
 * any more.
 */
#ifndef GH_DAEMON_FRAME_H
#define GH_DAEMON_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "keeper/request.h"
#include "wire/rd.h"

/* Bits: a message may have several receivers, an end is one. */
enum gh_receiver {
    GH_TO_AO = 1,
    GH_TO_PARENT = 2,
    GH_TO_KEEPER = 4, /* from the parent */
    GH_TO_DESK = 8,   /* the keeper again, from who may ask it */
    GH_TO_ASKER = 16, /* who asks the keeper */
    GH_TO_IKE = 32,
    GH_TO_ENGINE = 64,      /* `ao`, from the gatekeeper in `ike` */
    GH_TO_GATEKEEPER = 128, /* the other way round */
    GH_TO_ESP = 256,        /* from the parent */
    GH_TO_CARRIER = 512,    /* `esp` again, from `ike`, which keys it */
    GH_TO_KEYER = 1024,     /* the other way round */
    GH_TO_XFRM = 2048,      /* from the parent */
    GH_TO_PLANE = 4096,     /* `xfrm` again, from `esp`, whose SAs the kernel carries */
    GH_TO_PLANNER = 8192    /* the other way round */
};

enum {
    GH_FRAME_HEADER = 8,
    GH_FRAME_BODY_MAX = 64 * 1048576,
    GH_REQUEST_MAX = 8192,
    GH_KEEP_MAX = 4 * 1048576,
    GH_IKE_ADDRESSES_MAX = 131072,
    GH_ESP_CHILD_MAX = 3968, /* a child as octets: fits into its place in esp_memory.h */
    GH_ESP_HELLO_MAX = 1048576,
    GH_IKE_ORDERS_MAX = 4 * 1048576,
    GH_ESP_STRAY_MAX = 66560,
    GH_PLANE_SA_MAX = GH_ESP_CHILD_MAX + 32
};

/* id, receiver, least and most octets of body, descriptors beside it, what it says. */
#define GH_MESSAGES(X)                                                                             \
    X(STATE, GH_TO_AO | GH_TO_ESP, 8, 8, 1) /* u64 octets for the engine; the state file */        \
    X(CONFIG, GH_TO_AO | GH_TO_IKE | GH_TO_ESP, 12, 12,                                            \
      1)                              /* u64 octets, u32 generation; its setup's file */           \
    X(QUEUE, GH_TO_AO, 4, 4, 1)       /* u16 zone, u16 queue number; its socket */                 \
    X(QUEUE_CLOSE, GH_TO_AO, 2, 2, 0) /* u16 zone */                                               \
    X(LINK, GH_TO_AO, 11, 11, 0) /* u16 zone, u32 interface, u32 MTU (0: gone), u8 is a VRF */     \
    X(REQUEST, GH_TO_AO | GH_TO_IKE | GH_TO_ESP, 5, 4 + GH_REQUEST_MAX,                            \
      0) /* u32 client; control request */                                                         \
    X(PING, GH_TO_AO | GH_TO_KEEPER | GH_TO_IKE | GH_TO_ESP | GH_TO_XFRM, 0, 0,                    \
      0)                                 /* are you there? */                                      \
    X(GONE, GH_TO_AO, 17, 41, 0)         /* u8 closing; as ABORT */                                \
    X(SHIM, GH_TO_AO, 8, 8, 1)           /* u32 pid, u32 uid; a preloaded program's connection */  \
    X(ZONED, GH_TO_AO, 6, 6, 0)          /* u32 id, u16 zone (65535: none): answers ZONE */        \
    X(FLOWED, GH_TO_AO, 5, 5, 0)         /* u32 id, u8 done: answers FLOWS */                      \
    X(FETCHED, GH_TO_AO, 4, 4, 1)        /* u32 id; the socket: answers FETCH */                   \
    X(FETCH_FAILED, GH_TO_AO, 8, 8, 0)   /* u32 id, u32 errno: answers FETCH */                    \
    X(KEPT, GH_TO_AO, 9, GH_KEEP_MAX, 0) /* u64 cookie; what KEEP said, after STATE at a start */  \
    X(SOCKET_GONE, GH_TO_AO, 8, 8, 0)    /* u64 cookie of a watched socket that is no more */      \
    X(READY, GH_TO_PARENT, 0, 0, 0)      /* started and locked in */                               \
    X(CONFIGURED, GH_TO_PARENT, 5, 5, 0) /* u32 generation, u8 done */                             \
    X(ANSWER, GH_TO_PARENT, 5, GH_FRAME_BODY_MAX, 0) /* u32 client; one line */                    \
    X(EVENT, GH_TO_PARENT, 1, 65536, 0)              /* one line for monitors */                   \
    X(ABORT, GH_TO_PARENT, 16, 40, 0)     /* u16 zone; two ends: u8 octets, address, u16 port */   \
    X(LOOKUP, GH_TO_PARENT, 16, 40, 0)    /* as ABORT: is it there? */                             \
    X(ZONE, GH_TO_PARENT, 5, 5, 1)        /* u32 id, u8 open a queue there; a socket of it */      \
    X(FLOWS, GH_TO_PARENT, 6, 1048576, 0) /* u32 id, u16 zone, flows: socket_flows.h */            \
    X(FETCH, GH_TO_PARENT, 24, 24, 0)     /* u32 id, u32 pid, u64 cookie, u64 inode of a socket */ \
    X(WATCH, GH_TO_PARENT, 10, 10, 0)     /* u16 zone, u64 cookie: tell when it is gone */         \
    X(KEEP, GH_TO_PARENT, 9, GH_KEEP_MAX,                                                          \
      0)                                /* u64 cookie; holds secrets: kept while we are away */    \
    X(FORGET, GH_TO_PARENT, 8, 8, 0)    /* u64 cookie: keep it no more */                          \
    X(DESK_LOST, GH_TO_PARENT, 0, 0, 0) /* another socket to the keeper, please */                 \
    X(PONG, GH_TO_PARENT, 0, 0, 0)                                                                 \
    X(KEEPER_ORDER, GH_TO_KEEPER, 8, 8, 1)  /* u64 octets; a file with what to load */             \
    X(KEEPER_CLIENT, GH_TO_KEEPER, 0, 0, 1) /* the socket of one who may ask */                    \
    X(KEEPER_ASK, GH_TO_DESK, 5, GH_KEEPER_REQUEST_MAX, 0)    /* keeper/request.h */               \
    X(KEEPER_ANSWER, GH_TO_ASKER, 5, GH_KEEPER_ANSWER_MAX, 0) /* keeper/request.h */               \
    X(DESK, GH_TO_IKE, 0, 0, 1)           /* where to ask the keeper from now on */                \
    X(KEY_LOG, GH_TO_IKE, 1, 1, 1)        /* u8 enum gh_key_log: where keys are written, from the  \
                                             next CONFIG on */                                     \
    X(CRASH_SECRET, GH_TO_IKE, 32, 32, 0) /* of tokens for peers: RFC 6290 */                      \
    X(TICKETS, GH_TO_IKE, 0, 0, 1)        /* memory for their keys, from the next CONFIG on */     \
    /* of IKE's places: netns and vrf as texts of config/octets.h, addresses as there */           \
    X(IKE_SOCKET, GH_TO_IKE, 9, 600, 1)         /* place, u16 port, u8 IPv6; the socket */         \
    X(IKE_SOCKET_FAILED, GH_TO_IKE, 13, 600, 0) /* as IKE_SOCKET, u32 errno: there is none; 0: it  \
                                                   is to be closed, with the SAs there */          \
    X(IKE_ADDRESSES, GH_TO_IKE, 9, GH_IKE_ADDRESSES_MAX, 0) /* place, u8 known, u16 how many,      \
        each: u8 fit for a peer to know, address; those or routes changed */                       \
    X(IKE_WAY, GH_TO_IKE, 12, 700, 0)        /* place, peer's address, u32 errno, ours or none */  \
    X(IKE_ASK_WAY, GH_TO_PARENT, 11, 700, 0) /* place, peer's address: answered by IKE_WAY */      \
    X(IKE_ORDERS, GH_TO_IKE | GH_TO_PARENT, 0, GH_IKE_ORDERS_MAX,                                  \
      0)                            /* ike_orders.h; the parent keeps them for the next `ike` */   \
    X(MONITORS, GH_TO_IKE, 1, 1, 0) /* u8: does anybody want to be told EVENTs? */                 \
    X(GATEKEEPER, GH_TO_AO | GH_TO_IKE, 0, 0, 1) /* the socket between engine and gatekeeper */    \
    X(KEY_INSTALL, GH_TO_ENGINE, 10, 512, 0)     /* gk_messages.h; holds a secret */               \
    X(KEY_RANK, GH_TO_ENGINE, 10, 512, 0)        /* as KEY_INSTALL, without one */                 \
    X(KEY_REMOVE, GH_TO_ENGINE, 6, 512, 0)       /* session; u32 number */                         \
    X(FALLBACK, GH_TO_ENGINE, 3, 512, 0)         /* session; u8: its key chain is used */          \
    X(KEY_KNOWN, GH_TO_GATEKEEPER, 10, 512, 0)   /* as KEY_INSTALL: the engine has it already */   \
    X(ENGINE_STARTED, GH_TO_GATEKEEPER, 0, 0, 0) /* after all KEY_KNOWN and CONNECTION */          \
    X(KEY_NEEDED, GH_TO_GATEKEEPER, 2, 512, 0)   /* session */                                     \
    X(KEY_UNUSED, GH_TO_GATEKEEPER, 6, 512, 0)   /* session; u32 number */                         \
    X(KEY_USED, GH_TO_GATEKEEPER, 22, 512, 0)    /* session; u32 number; u64 octets, segments */   \
    X(SIGNED, GH_TO_GATEKEEPER, 2, 512, 0)       /* session: a SYN that waited has left */         \
    X(CONNECTION, GH_TO_GATEKEEPER, 3, 512, 0)   /* session; u8: up, or ended */                   \
    /* IPsec. Places are those of IKE, as there */                                                 \
    X(ESP_SOCKET, GH_TO_ESP, 5, 600, 1)       /* place, u8 kind (esp_net.h); the socket */         \
    X(ESP_PLACE_GONE, GH_TO_ESP, 4, 600, 0)   /* place */                                          \
    X(ESP_ROUTE, GH_TO_PARENT, 11, 512, 0)    /* esp_messages.h */                                 \
    X(ESP_ROUTES_TOLD, GH_TO_PARENT, 0, 0, 0) /* after a start: those are all by now */            \
    X(DROPS, GH_TO_PARENT, 7, 512, 0)         /* esp_drops.h */                                    \
    X(TUNNEL_DEVICE, GH_TO_ESP, 4, 101, 1)    /* a tunnel's name, u8 datagrams; its device */      \
    X(TUNNEL_GONE, GH_TO_ESP, 3, 100, 0)      /* a tunnel's name: its device is no more */         \
    X(TUNNEL_REACH, GH_TO_ESP, 4, 100, 0)     /* esp_messages.h */                                 \
    X(ESP_KEYS, GH_TO_ESP, 8, 8, 1)           /* u64 length; keys by hand, for the next CONFIG */  \
    X(ESP_SLOT, GH_TO_ESP, 2, 2, 0)           /* u8 which it is from now on, u8 of how many */     \
    X(CHILDREN, GH_TO_IKE | GH_TO_ESP, 1, 1, 1) /* u8 slot; the socket between the two */          \
    X(CHILD_HELLO, GH_TO_CARRIER, 12, GH_ESP_HELLO_MAX, 0)   /* esp_messages.h, here and below */  \
    X(CHILD_INSTALL, GH_TO_CARRIER, 64, GH_ESP_CHILD_MAX, 0) /* holds keys */                      \
    X(CHILD_MOVE, GH_TO_CARRIER, 10, 64, 0)                                                        \
    X(CHILD_REMOVE, GH_TO_CARRIER, 5, 5, 0)  /* u32 id, u8 enum ike2_removal */                    \
    X(CHILD_USED, GH_TO_KEYER, 21, 21, 0)    /* u32 id, u64 octets, packets more, u8 incoming */   \
    X(CHILD_WANTED, GH_TO_KEYER, 4, 512, 0)  /* a packet met no SA */                              \
    X(CHILD_WORN, GH_TO_KEYER, 4, 4, 0)      /* u32 id: wants to be rekeyed at once */             \
    X(CHILD_REFUSED, GH_TO_KEYER, 5, 260, 0) /* is not carried, and why */                         \
    X(CHILD_STRAY, GH_TO_KEYER, 16, GH_ESP_STRAY_MAX, 0)    /* a message of IKE's among ESP's */   \
    X(CHILD_STRANGER, GH_TO_KEYER, 12, 512, 0)              /* a packet's SPI is nobody's */       \
    X(CHILD_HELD, GH_TO_KEYER, 68, GH_ESP_CHILD_MAX + 4, 0) /* u32 its number here, a child        \
        without keys that no `ike` has */                                                          \
    X(CHILD_YIELD, GH_TO_CARRIER, 4, 4, 0) /* u32 that number: its client is in another slot */    \
    X(CHILD_LEFT, GH_TO_KEYER, 4, 4, 0)    /* u32 number: that is no more */                       \
    X(CHILD_MARK, GH_TO_CARRIER, 8, 8, 0)  /* u64: tell when all until now is in its plane */      \
    X(CHILD_MARKED, GH_TO_KEYER, 8, 8, 0)  /* u64: it is */                                        \
    /* IPsec in the kernel: plane_messages.h */                                                    \
    X(XFRM_SOCKET, GH_TO_XFRM, 2, 300, 1)     /* namespace, u8 kind; the socket */                 \
    X(XFRM_PLACE_GONE, GH_TO_XFRM, 1, 300, 0) /* namespace */                                      \
    X(PLANE, GH_TO_XFRM | GH_TO_ESP, 0, 0, 1) /* the socket between the two */                     \
    X(PLANE_BEGIN, GH_TO_PLANE, 0, 0, 0)      /* now comes all that there is to be */              \
    X(PLANE_END, GH_TO_PLANE, 0, 0, 0)        /* that was all */                                   \
    X(PLANE_POLICIES, GH_TO_PLANE, 5, GH_FRAME_BODY_MAX, 0) /* of one namespace, in their order */ \
    X(PLANE_SA, GH_TO_PLANE, 64, GH_PLANE_SA_MAX, 0)        /* holds keys */                       \
    X(PLANE_MOVE, GH_TO_PLANE, 64, GH_PLANE_SA_MAX, 0)      /* the same, with other ends */        \
    X(PLANE_REMOVE, GH_TO_PLANE, 8, 8, 0)                   /* u64 SA */                           \
    X(PLANE_MARK, GH_TO_PLANE, 8, 8, 0)                     /* u64: as CHILD_MARK */               \
    X(PLANE_MARKED, GH_TO_PLANNER, 8, 8, 0)                                                        \
    X(PLANE_PLACED, GH_TO_PLANNER, 0, 0, 0) /* a namespace more: policies, please */               \
    X(PLANE_USED, GH_TO_PLANNER, 65, 65, 0)                                                        \
    X(PLANE_WANTED, GH_TO_PLANNER, 12, 64, 0)   /* a packet met no SA */                           \
    X(PLANE_WORN, GH_TO_PLANNER, 8, 8, 0)       /* u64 SA: wants to be rekeyed at once */          \
    X(PLANE_ENDED, GH_TO_PLANNER, 8, 8, 0)      /* u64 SA: the kernel has removed it */            \
    X(PLANE_MOVED, GH_TO_PLANNER, 12, 32, 0)    /* an SA's peer has another address */             \
    X(PLANE_REFUSED, GH_TO_PLANNER, 13, 300, 0) /* an SA or a policy, and why */                   \
    X(PLANE_COUNTS, GH_TO_PLANNER, 2, 4096, 0)  /* of all namespaces, by reason */

/* Whose keys. */
enum gh_key_log { GH_KEY_LOG_IKE, GH_KEY_LOG_ESP, GH_KEY_LOGS };

enum gh_message {
#define GH_MESSAGE_ENUM(id, to, min, max, fds) GH_MESSAGE_##id,
    GH_MESSAGES(GH_MESSAGE_ENUM)
#undef GH_MESSAGE_ENUM
        GH_MESSAGE_COUNT
};
const char *gh_message_name(enum gh_message m);
unsigned gh_message_fds(enum gh_message m);

/* Writes a frame's header for a body of `len` octets. False: the type does not allow it. */
bool gh_frame_header(enum gh_message type, size_t len, uint8_t header[GH_FRAME_HEADER]);

struct gh_frame {
    enum gh_message type;
    struct gh_rd body;
};

enum gh_frame_result { GH_FRAME_WHOLE, GH_FRAME_MORE, GH_FRAME_BAD };

/* Takes the next frame off the reader, which borrows the bytes. MORE: it is not all there, and the
 * reader is where it was. */
enum gh_frame_result gh_frame_next(enum gh_receiver self, struct gh_rd *r, struct gh_frame *out);

#endif
