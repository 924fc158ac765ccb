/*
 * Many IKEv2 initiators in one process, to load a responder: tests/bench/ike_responder.py
 * starts it in a namespace of its own.
 *
 *     ike_load RESPONDER FIRST TUNNELS CONCURRENT child|childless SECRET
 *
 * Each tunnel is a peer to the responder: an address of its own (FIRST and those after it, which
 * the namespace must take as its own), and so an identity of its own. AES-128-GCM, HMAC-SHA2-256,
 * X25519, one pre-shared key; AES-128-GCM for the Child SA. When all are up, or have failed, it
 * prints a line of JSON, goes on answering what the responder asks, and takes commands from its
 * standard input, each answered by a line of JSON:
 *
 *     probe    one more IKE SA, over which the responder is asked for a sign of life all the time
 *     stall    how long the answers to that took since the last `stall`
 *     rekey    Child SA and then IKE SA of each tunnel
 *
 * Its end is the end of the standard input. Nothing is said to the responder then.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "ike/codes.h"
#include "ike/v2/core.h"
#include "keeper/store.h"

enum {
    SHARD = 250, /* tunnels of one core */
    BATCH = 64,
    DATAGRAM = 2048,
    PROBE_MS = 10,
    NETWORK_INNER = 0x0a4f0000,  /* 10.79.0.0: a tunnel's inner address is its outer one there */
    NETWORK_BEHIND = 0x0a500000, /* 10.80.0.0/16 */
    RECEIVE_BUFFER = 8 << 20
};

struct answer {
    struct answer *next;
    uint8_t *octets;
    size_t len;
};

/* One core, with the tunnels [first, first + count). */
struct shard {
    struct load *load;
    struct ike2 *core;
    size_t first, count;
    struct answer *answers, **answers_end;
};

enum state { IDLE, GOING, UP, FAILED };

struct tunnel {
    enum state state;
    uint64_t sa;
    uint32_t child;
    bool child_rekeyed;
};

struct packet {
    struct sockaddr_in peer;
    struct iovec part;
    _Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(struct in_pktinfo))];
    uint8_t data[DATAGRAM];
};

/* Port 500, and 4500 for responders that see a NAT everywhere. */
struct port {
    int fd;
    uint16_t number;
    size_t skip; /* octets of the non-ESP marker */
    struct packet in[BATCH], out[BATCH];
    struct mmsghdr in_headers[BATCH], out_headers[BATCH];
    unsigned out_count;
};

enum { PORTS = 2, MARKER = 4 };

struct load {
    struct port ports[PORTS];
    uint32_t first;
    struct ike2_endpoint responder;
    size_t tunnels, concurrent;
    bool childless;
    struct gh_keeper_store *keeper;
    struct shard *shards; /* the last one has the probe alone */
    size_t shard_count;
    struct tunnel *tunnel; /* [tunnels + 1] */
    size_t next, going, up, failed;
    bool rekeying;
    size_t *ready, ready_count; /* whose Child SA is rekeyed: the IKE SA is next */
    double began, at_5, at_90;
    /* The probe's requests; 0: none is under way. */
    double asked;
    uint32_t asked_id;
    size_t probes;
    double longest, sum;
};

static double seconds(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void die(const char *what)
{
    perror(what);
    exit(1);
}

static size_t number_of(const struct load *l, const struct gh_addr *local)
{
    uint32_t address;

    memcpy(&address, local->octets, sizeof(address));
    return ntohl(address) - l->first;
}

static struct shard *shard_of(const struct load *l, size_t number)
{
    return &l->shards[number == l->tunnels ? l->shard_count - 1 : number / SHARD];
}

static struct gh_addr address_of(uint32_t address)
{
    uint32_t octets = htonl(address);

    return gh_addr_from((const uint8_t *)&octets, sizeof(octets));
}

/* ---- Datagrams ------------------------------------------------------------------------------ */

static void flush(struct port *p)
{
    for (unsigned sent = 0; sent < p->out_count;) {
        int n = sendmmsg(p->fd, p->out_headers + sent, p->out_count - sent, 0);

        if (n < 0)
            die("sendmmsg");
        sent += (unsigned)n;
    }
    p->out_count = 0;
}

/* Exchange type, flags and message id are at fixed places (RFC 7296 3.1). */
static bool is_probe(const uint8_t *data, bool response, uint32_t *id)
{
    memcpy(id, data + 20, sizeof(*id));
    return data[18] == IKE_X_INFORMATIONAL && ((data[19] & IKE_FLAG_RESPONSE) != 0) == response;
}

static void note_probe_out(struct load *l, const struct ike2_datagram *d)
{
    uint32_t id;

    if (number_of(l, &d->local.addr) == l->tunnels && is_probe(d->data, false, &id) &&
        l->asked == 0) {
        l->asked = seconds();
        l->asked_id = id;
    }
}

static void note_probe_in(struct load *l, const uint8_t *data)
{
    uint32_t id;
    double took;

    if (!is_probe(data, true, &id) || l->asked == 0 || id != l->asked_id)
        return;
    took = seconds() - l->asked;
    l->asked = 0;
    l->probes++;
    l->sum += took;
    if (took > l->longest)
        l->longest = took;
}

static void on_send(void *ctx, const struct ike2_datagram *d)
{
    struct load *l = ((struct shard *)ctx)->load;
    struct port *port = &l->ports[d->marker];
    struct packet *p = &port->out[port->out_count];
    struct msghdr *h = &port->out_headers[port->out_count].msg_hdr;
    struct in_pktinfo info = {.ipi_ifindex = 0};
    struct cmsghdr *c = (struct cmsghdr *)(void *)p->control;

    if (d->len == 0 || d->len + port->skip > sizeof(p->data)) {
        fprintf(stderr, "a datagram that was not expected: %zu octets\n", d->len);
        exit(1);
    }
    note_probe_out(l, d);
    memset(p->data, 0, port->skip);
    memcpy(p->data + port->skip, d->data, d->len);
    p->peer = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons(d->remote.port)};
    memcpy(&p->peer.sin_addr, d->remote.addr.octets, sizeof(p->peer.sin_addr));
    memcpy(&info.ipi_spec_dst, d->local.addr.octets, sizeof(info.ipi_spec_dst));
    c->cmsg_level = IPPROTO_IP;
    c->cmsg_type = IP_PKTINFO;
    c->cmsg_len = CMSG_LEN(sizeof(info));
    memcpy(CMSG_DATA(c), &info, sizeof(info));
    p->part = (struct iovec){.iov_base = p->data, .iov_len = d->len + port->skip};
    *h = (struct msghdr){.msg_name = &p->peer,
                         .msg_namelen = sizeof(p->peer),
                         .msg_iov = &p->part,
                         .msg_iovlen = 1,
                         .msg_control = &p->control,
                         .msg_controllen = sizeof(p->control)};
    if (++port->out_count == BATCH)
        flush(port);
}

static void settle(struct shard *s);

static void take(struct load *l, struct port *port, struct packet *p, size_t len, struct gh_now now)
{
    struct in_pktinfo info;
    struct ike2_datagram d = {.local.port = port->number, .marker = port->skip > 0};
    struct shard *s;
    size_t number;

    memcpy(&info, CMSG_DATA((struct cmsghdr *)(void *)p->control), sizeof(info));
    d.local.addr = gh_addr_from((const uint8_t *)&info.ipi_addr, 4);
    d.remote.addr = gh_addr_from((const uint8_t *)&p->peer.sin_addr, 4);
    d.remote.port = ntohs(p->peer.sin_port);
    number = number_of(l, &d.local.addr);
    if (number > l->tunnels || len < port->skip + IKE_HEADER_LEN)
        return;
    d.data = p->data + port->skip;
    d.len = len - port->skip;
    if (number == l->tunnels)
        note_probe_in(l, d.data);
    s = shard_of(l, number);
    ike2_input(s->core, now, &d);
    settle(s);
}

static void receive(struct load *l, struct port *port)
{
    struct gh_now now = gh_clock_now();
    int n;

    for (size_t i = 0; i < BATCH; i++) {
        struct packet *p = &port->in[i];

        p->part = (struct iovec){.iov_base = p->data, .iov_len = sizeof(p->data)};
        port->in_headers[i].msg_hdr = (struct msghdr){.msg_name = &p->peer,
                                                      .msg_namelen = sizeof(p->peer),
                                                      .msg_iov = &p->part,
                                                      .msg_iovlen = 1,
                                                      .msg_control = &p->control,
                                                      .msg_controllen = sizeof(p->control)};
    }
    n = recvmmsg(port->fd, port->in_headers, BATCH, MSG_DONTWAIT, NULL);
    for (int i = 0; i < n; i++)
        take(l, port, &port->in[i], port->in_headers[i].msg_len, now);
}

/* ---- What a core asks for ------------------------------------------------------------------- */

static void on_random(void *ctx, void *out, size_t len)
{
    if (getrandom(out, len, 0) != (ssize_t)len)
        die("getrandom");
}

static bool on_ask(void *ctx, const struct gh_keeper_request *r)
{
    struct shard *s = ctx;
    static uint8_t octets[GH_KEEPER_REQUEST_MAX];
    struct gh_wr w = gh_wr_make(octets, sizeof(octets));
    struct answer *a = calloc(1, sizeof(*a));

    if (a == NULL || !gh_keeper_request_put(&w, r))
        exit(1);
    a->octets = gh_keeper_store_answer(s->load->keeper, gh_view_of(octets, w.len), &a->len);
    *s->answers_end = a;
    s->answers_end = &a->next;
    return a->octets != NULL;
}

/* The keeper's answers: callbacks may not call the core back. */
static void settle(struct shard *s)
{
    while (s->answers != NULL) {
        struct answer *a = s->answers;
        struct gh_keeper_answer parsed;

        s->answers = a->next;
        if (s->answers == NULL)
            s->answers_end = &s->answers;
        if (gh_keeper_answer_parse(gh_view_of(a->octets, a->len), &parsed))
            ike2_complete(s->core, gh_clock_now(), &parsed);
        free(a->octets);
        free(a);
    }
}

static bool on_install(void *ctx, const struct ike2_child_view *v)
{
    return true;
}

static void on_remove(void *ctx, uint32_t id, enum ike2_removal why)
{
}

static void note_end(struct load *l, struct tunnel *t, enum state state)
{
    if (t->state != GOING)
        return;
    t->state = state;
    l->going--;
    if (state == FAILED)
        l->failed++;
    else if (++l->up == l->tunnels / 20)
        l->at_5 = seconds();
    else if (l->up == l->tunnels * 9 / 10)
        l->at_90 = seconds();
}

static void on_event(void *ctx, const struct ike2_event *e)
{
    struct load *l = ((struct shard *)ctx)->load;
    size_t number = strtoul(e->policy, NULL, 10);
    struct tunnel *t = &l->tunnel[number];

    switch (e->kind) {
    case IKE2_EVENT_SA_UP:
        t->sa = e->sa;
        if (l->childless)
            note_end(l, t, UP);
        break;
    case IKE2_EVENT_CHILD_UP:
        t->sa = e->sa;
        t->child = e->child;
        note_end(l, t, UP);
        break;
    case IKE2_EVENT_CHILD_REKEYED:
        if (l->rekeying && t->state == GOING && !t->child_rekeyed) {
            t->child_rekeyed = true;
            l->ready[l->ready_count++] = number;
        }
        break;
    case IKE2_EVENT_SA_REKEYED:
        note_end(l, t, UP);
        break;
    case IKE2_EVENT_SA_FAILED:
    case IKE2_EVENT_CHILD_FAILED:
    case IKE2_EVENT_SA_DOWN:
        if (t->state == GOING && l->failed < 3)
            fprintf(stderr, "%s: %s\n", e->policy, e->text);
        note_end(l, t, FAILED);
        break;
    default:
        break;
    }
}

/* ---- Policies ------------------------------------------------------------------------------- */

static void suite(struct ike_proposals *proposals, uint8_t protocol)
{
    struct ike_sa sa = {.count = 1};
    struct ike_proposal *p = &sa.proposal[0];

    *p = (struct ike_proposal){.number = 1, .protocol = protocol};
    ike_proposal_add(p, IKE_T_ENCR, IKE_ENCR_AES_GCM_16, 128);
    if (protocol == IKE_PROTO_IKE) {
        ike_proposal_add(p, IKE_T_PRF, IKE_PRF_HMAC_SHA2_256, 0);
        ike_proposal_add(p, IKE_T_KE, IKE_KE_CURVE25519, 0);
    } else {
        ike_proposal_add(p, IKE_T_SN, IKE_SN_32, 0);
    }
    if (!ike_proposals_set(proposals, &sa))
        die("ike_proposals_set");
}

static struct ike2_policy *policy_for(const struct load *l, size_t number)
{
    const struct gh_prefix inner = {
        .addr = address_of(NETWORK_INNER + ((l->first + (uint32_t)number) & 0xffff)), .bits = 32};
    const struct gh_prefix behind = {.addr = address_of(NETWORK_BEHIND), .bits = 16};
    char name[24];
    struct ike2_policy *p;

    (void)snprintf(name, sizeof(name), "%zu", number);
    p = ike2_policy_new(name);
    if (p == NULL)
        die("ike2_policy_new");
    p->local = address_of(l->first + (uint32_t)number);
    p->gateway = l->responder.addr;
    p->remote = (struct gh_prefix){.addr = l->responder.addr, .bits = 32};
    p->initial_contact = false;
    p->liveness_ms = number == l->tunnels ? PROBE_MS : 0;
    p->nat_keepalive_ms = 0;
    p->childless = l->childless;
    strcpy(p->psk, "psk");
    suite(&p->proposals, IKE_PROTO_IKE);
    if (l->childless)
        return p;
    p->child_count = 1;
    p->children = calloc(1, sizeof(*p->children));
    if (p->children == NULL)
        die("calloc");
    strcpy(p->children[0].name, "net");
    suite(&p->children[0].proposals, IKE_PROTO_ESP);
    p->children[0].local = p->children[0].remote = (struct ike_ts_list){.count = 1};
    p->children[0].local.ts[0] = ike_ts_from_prefix(&inner);
    p->children[0].remote.ts[0] = ike_ts_from_prefix(&behind);
    p->children[0].lifetime.seconds = 3600 * 8;
    return p;
}

static void set_up(struct load *l, struct shard *s, size_t first, size_t count)
{
    const struct ike2_ops ops = {.ctx = s,
                                 .random = on_random,
                                 .send = on_send,
                                 .ask = on_ask,
                                 .child_install = on_install,
                                 .child_remove = on_remove,
                                 .event = on_event};
    struct ike2_settings settings = ike2_default_settings();
    struct ike2_policy *list[SHARD];
    struct gh_now now = gh_clock_now();

    settings.sas_max = 4 * SHARD;
    *s = (struct shard){.load = l, .first = first, .count = count};
    s->answers_end = &s->answers;
    s->core = ike2_new(&ops, &settings, now);
    for (size_t i = 0; i < count; i++)
        list[i] = policy_for(l, first + i);
    if (s->core == NULL || !ike2_set_policies(s->core, now, list, count))
        die("ike2_set_policies");
    for (size_t i = 0; i < count; i++)
        ike2_policy_free(list[i]);
}

static int open_socket(uint16_t port)
{
    const struct sockaddr_in any = {.sin_family = AF_INET, .sin_port = htons(port)};
    int fd = socket(AF_INET, SOCK_DGRAM, 0), on = 1, room = RECEIVE_BUFFER;

    if (fd < 0 || setsockopt(fd, IPPROTO_IP, IP_PKTINFO, &on, sizeof(on)) != 0 ||
        bind(fd, (const struct sockaddr *)&any, sizeof(any)) != 0)
        die("UDP port");
    setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof(room));
    return fd;
}

/* ---- The load ------------------------------------------------------------------------------- */

static void begin(struct load *l, size_t number)
{
    struct shard *s = shard_of(l, number);
    struct tunnel *t = &l->tunnel[number];
    struct gh_now now = gh_clock_now();
    char name[24];
    bool good;

    t->state = GOING;
    l->going++;
    (void)snprintf(name, sizeof(name), "%zu", number);
    if (!l->rekeying || number == l->tunnels)
        good = ike2_initiate(s->core, now, name, l->childless ? NULL : "net");
    else if (l->childless || t->child_rekeyed)
        good = ike2_rekey_ike(s->core, now, t->sa);
    else
        good = ike2_rekey_child(s->core, now, t->child);
    if (!good)
        note_end(l, t, FAILED);
    settle(s);
}

static void go_on(struct load *l)
{
    for (size_t i = 0; i < l->ready_count; i++) {
        l->going--; /* begin() counts it again */
        begin(l, l->ready[i]);
    }
    l->ready_count = 0;
    for (; l->next < l->tunnels && l->going < l->concurrent; l->next++)
        if (!l->rekeying || l->tunnel[l->next].state == UP)
            begin(l, l->next);
}

static int wait_for(const struct load *l)
{
    uint64_t now = gh_clock_now().mono_ms, least = now + 1000;

    for (size_t i = 0; i < l->shard_count; i++) {
        uint64_t due = ike2_next_deadline(l->shards[i].core);

        if (due < least)
            least = due;
    }
    return least > now ? (int)(least - now) : 0;
}

static void flush_all(struct load *l)
{
    for (size_t i = 0; i < PORTS; i++)
        flush(&l->ports[i]);
}

/* One turn. True: a command waits. */
static bool turn(struct load *l, bool listen)
{
    struct pollfd fds[PORTS + 1] = {[PORTS] = {.fd = listen ? 0 : -1, .events = POLLIN}};
    struct gh_now now;

    flush_all(l);
    for (size_t i = 0; i < PORTS; i++)
        fds[i] = (struct pollfd){.fd = l->ports[i].fd, .events = POLLIN};
    if (poll(fds, PORTS + 1, wait_for(l)) < 0)
        die("poll");
    for (size_t i = 0; i < PORTS; i++)
        if (fds[i].revents != 0)
            receive(l, &l->ports[i]);
    now = gh_clock_now();
    for (size_t i = 0; i < l->shard_count; i++) {
        if (ike2_next_deadline(l->shards[i].core) > now.mono_ms)
            continue;
        ike2_tick(l->shards[i].core, now);
        settle(&l->shards[i]);
    }
    return fds[PORTS].revents != 0;
}

static uint64_t retransmitted(const struct load *l)
{
    uint64_t sum = 0;

    for (size_t i = 0; i < l->shard_count; i++)
        sum += ike2_counters(l->shards[i].core)[IKE2_COUNT_RETRANSMITTED];
    return sum;
}

/* All tunnels, at most `concurrent` under way. */
static void run_all(struct load *l)
{
    uint64_t before = retransmitted(l);

    l->next = l->up = l->failed = 0;
    l->at_5 = l->at_90 = 0;
    l->began = seconds();
    for (go_on(l); l->going > 0; go_on(l))
        turn(l, false);
    flush_all(l);
    printf("{\"up\": %zu, \"failed\": %zu, \"seconds\": %.3f, \"rate\": %.1f, "
           "\"retransmitted\": %llu}\n",
           l->up, l->failed, seconds() - l->began,
           l->at_90 > l->at_5 ? 0.85 * (double)l->tunnels / (l->at_90 - l->at_5) : 0,
           (unsigned long long)(retransmitted(l) - before));
    fflush(stdout);
}

static void rekey(struct load *l)
{
    l->rekeying = true;
    for (size_t i = 0; i < l->tunnels; i++)
        l->tunnel[i].child_rekeyed = false;
    run_all(l);
    l->rekeying = false;
}

static void probe(struct load *l)
{
    begin(l, l->tunnels);
    while (l->going > 0)
        turn(l, false);
    printf("{\"up\": %s}\n", l->tunnel[l->tunnels].state == UP ? "true" : "false");
}

static void tell_stall(struct load *l)
{
    double waiting = l->asked != 0 ? seconds() - l->asked : 0;

    if (waiting > l->longest)
        l->longest = waiting;
    printf("{\"answers\": %zu, \"mean_ms\": %.3f, \"longest_ms\": %.3f}\n", l->probes,
           l->probes > 0 ? 1000 * l->sum / (double)l->probes : 0, 1000 * l->longest);
    l->probes = 0;
    l->sum = l->longest = 0;
}

/* False: the end. */
static bool command(struct load *l)
{
    char line[32] = "";
    ssize_t n = read(0, line, sizeof(line) - 1);

    if (n <= 0)
        return false;
    if (strcmp(line, "probe\n") == 0)
        probe(l);
    else if (strcmp(line, "stall\n") == 0)
        tell_stall(l);
    else if (strcmp(line, "rekey\n") == 0)
        rekey(l);
    fflush(stdout);
    return true;
}

static void read_arguments(struct load *l, char **argv)
{
    struct gh_addr first;
    struct gh_secret secret = {.data = NULL};
    uint32_t octets;

    if (!gh_addr_parse(argv[1], &l->responder.addr) || !gh_addr_parse(argv[2], &first))
        exit(2);
    memcpy(&octets, first.octets, sizeof(octets));
    l->first = ntohl(octets);
    l->tunnels = strtoul(argv[3], NULL, 10);
    l->concurrent = strtoul(argv[4], NULL, 10);
    l->childless = strcmp(argv[5], "childless") == 0;
    l->keeper = gh_keeper_store_new();
    if (l->keeper == NULL || !gh_secret_set(&secret, (const uint8_t *)argv[6], strlen(argv[6])) ||
        !gh_keeper_store_add_secret(l->keeper, GH_SECRET_PSK, "psk", &secret, NULL))
        exit(1);
}

int main(int argc, char **argv)
{
    static struct load load;
    struct load *l = &load;

    if (argc != 7) {
        fprintf(stderr, "ike_load RESPONDER FIRST TUNNELS CONCURRENT child|childless SECRET\n");
        return 2;
    }
    read_arguments(l, argv);
    l->ports[0] = (struct port){.fd = open_socket(IKE2_PORT), .number = IKE2_PORT};
    l->ports[1] = (struct port){
        .fd = open_socket(IKE2_PORT_NAT_T), .number = IKE2_PORT_NAT_T, .skip = MARKER};
    l->shard_count = (l->tunnels + SHARD - 1) / SHARD + 1;
    l->shards = calloc(l->shard_count, sizeof(*l->shards));
    l->tunnel = calloc(l->tunnels + 1, sizeof(*l->tunnel));
    l->ready = calloc(l->tunnels + 1, sizeof(*l->ready));
    if (l->shards == NULL || l->tunnel == NULL || l->ready == NULL)
        die("calloc");
    for (size_t i = 0; i + 1 < l->shard_count; i++) {
        size_t left = l->tunnels - i * SHARD;

        set_up(l, &l->shards[i], i * SHARD, left < SHARD ? left : SHARD);
    }
    set_up(l, &l->shards[l->shard_count - 1], l->tunnels, 1);
    run_all(l);
    while (!turn(l, true) || command(l))
        ;
    return 0;
}
