/*
 * Inside of esp_net: what its files share. esp_device.c is the side of the tunnel devices,
 * esp_receive.c and esp_send.c are the network's, esp_net.c has the places and whose turn it is.
 */
#ifndef GH_DAEMON_ESP_NET_PRIV_H
#define GH_DAEMON_ESP_NET_PRIV_H

#include <netinet/in.h>
#include <sys/socket.h>

#include "daemon/esp_batch.h"
#include "daemon/esp_net.h"
#include "daemon/esp_vnet.h"

enum {
    GH_ESP_MESSAGES = 64, /* of one call that receives */
    GH_ESP_CONTROL = 192
};

struct gh_esp_entry { /* of a place: one descriptor */
    uv_poll_t poll;   /* first: closing frees it */
    struct gh_esp_net *net;
    uint32_t place;
    enum gh_esp_socket kind;
    int fd;
    bool datagrams; /* a device: it takes those that are put together */
};

struct gh_esp_net_place {
    struct gh_esp_entry *entries[GH_ESP_SOCKETS];
};

union gh_esp_sockaddr {
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
};

/* What one message of recvmmsg() fills. Pages are used as datagrams grow. */
struct gh_esp_slot {
    union gh_esp_sockaddr peer;
    _Alignas(struct cmsghdr) char control[GH_ESP_CONTROL];
    struct iovec part;
    uint8_t mem[GH_ESP_PACKET_MAX + 1];
};

/* One message of sendmmsg(): packets that leave alike. */
struct gh_esp_train {
    union gh_esp_sockaddr peer;
    _Alignas(struct cmsghdr) char control[GH_ESP_CONTROL];
    const uint8_t *header; /* the IP header of the first */
    size_t size;           /* octets of each but the last */
    size_t len;            /* of all */
    bool closed;           /* the last is shorter */
};

struct gh_esp_net {
    uv_loop_t *loop;
    struct ipsec *engine;
    const struct gh_esp_outers *outers;
    const struct gh_esp_net_ops *ops;
    void *ctx;
    struct gh_esp_net_place *places;
    size_t place_count;
    bool started, drop_fragments;
    uint64_t counts[GH_ESP_NET_COUNT];
    struct gh_esp_batch batch;
    struct mmsghdr headers[GH_ESP_PACKETS];
    struct iovec parts[GH_ESP_PACKETS];
    struct gh_esp_train trains[GH_ESP_PACKETS];
    struct gh_esp_vnet_reader reader;
    struct gh_esp_vnet_writer writer;
    /* Apart from what leaves: a full batch goes on, and may have us send, while messages are left.
     */
    struct mmsghdr received[GH_ESP_MESSAGES];
    struct gh_esp_slot slots[GH_ESP_MESSAGES];
};

static inline bool gh_esp_is_v6(enum gh_esp_socket kind)
{
    return kind == GH_ESP_UDP6 || kind == GH_ESP_ESP6 || kind == GH_ESP_AH6;
}

static inline bool gh_esp_is_udp(enum gh_esp_socket kind)
{
    return kind == GH_ESP_UDP4 || kind == GH_ESP_UDP6;
}

/* NULL: there is none. */
struct gh_esp_entry *gh_esp_entry(const struct gh_esp_net *n, uint32_t place,
                                  enum gh_esp_socket kind);

/* Reads what is there, but not for ever. */
void gh_esp_from_device(struct gh_esp_net *n, struct gh_esp_entry *e);
/* ctx: the net; its batch came from the device of the place. */
void gh_esp_device_through(void *ctx, uint32_t place);
void gh_esp_from_network(struct gh_esp_net *n, struct gh_esp_entry *e);
/* The packets of the batch that are OK leave: for the network by the sockets of `place`, for the
 * device that each of them names. */
void gh_esp_send(struct gh_esp_net *n, uint32_t place);
void gh_esp_to_devices(struct gh_esp_net *n);

#endif
