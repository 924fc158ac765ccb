#include "ike/lockout.h"

#include <stdlib.h>
#include <string.h>

enum {
    MINUTE = 60000,
    SLOTS = 4096, /* of the hash table: a power of two */
    LOOK_MAX =
        64, /* clients looked at for one that is not blocked, before the oldest is forgotten */
};

#define FOREVER UINT64_MAX

/* A client: one port of an address. */
struct client {
    struct client *next;          /* of the same host */
    struct client *older, *newer; /* by the last failure */
    struct host *host;
    uint16_t port;
    unsigned failures;
    bool blocked;
    uint64_t until; /* end of the block or of the duration */
};

struct host {
    struct host *next; /* of the same slot */
    uint16_t zone;
    struct gh_addr addr;
    struct client *clients;
    unsigned count;
    struct client whole; /* blocked: all ports of the address; in the list of ages, too */
};

struct gh_lockout {
    struct gh_lockout_settings s;
    struct host *slots[SLOTS];
    struct client *oldest, *newest;
    size_t count; /* of clients, whole addresses among them */
};

struct gh_lockout_settings gh_lockout_defaults(void)
{
    return (struct gh_lockout_settings){
        .attempts = 3, .duration = 5, .block = 10, .max_ports = 16, .clients = GH_LOCKOUT_CLIENTS};
}

static bool in(unsigned value, unsigned least, unsigned most)
{
    return value >= least && value <= most;
}

static bool in_range(const struct gh_lockout_settings *s)
{
    return in(s->attempts, GH_LOCKOUT_ATTEMPTS_MIN, GH_LOCKOUT_ATTEMPTS_MAX) &&
           in(s->duration, GH_LOCKOUT_DURATION_MIN, GH_LOCKOUT_DURATION_MAX) &&
           (s->block == 0 || in(s->block, GH_LOCKOUT_BLOCK_MIN, GH_LOCKOUT_BLOCK_MAX)) &&
           in(s->max_ports, GH_LOCKOUT_PORTS_MIN, GH_LOCKOUT_PORTS_MAX);
}

static void set(struct gh_lockout *l, const struct gh_lockout_settings *s)
{
    l->s = *s;
    if (l->s.clients == 0)
        l->s.clients = GH_LOCKOUT_CLIENTS;
}

struct gh_lockout *gh_lockout_new(const struct gh_lockout_settings *s)
{
    struct gh_lockout *l = in_range(s) ? calloc(1, sizeof(*l)) : NULL;

    if (l != NULL)
        set(l, s);
    return l;
}

bool gh_lockout_configure(struct gh_lockout *l, const struct gh_lockout_settings *s)
{
    uint64_t seed = l->s.seed;

    if (!in_range(s))
        return false;
    set(l, s);
    l->s.seed = seed;
    return true;
}

bool gh_lockout_counts(enum gh_lockout_method method, enum gh_lockout_failure failure)
{
    enum {
        HASH_I = 1 << GH_LOCKOUT_HASH_I,
        AUTH = 1 << GH_LOCKOUT_AUTH,
        CHAIN = 1 << GH_LOCKOUT_CHAIN,
        REJECT = 1 << GH_LOCKOUT_ACCESS_REJECT
    };
    static const int counting[] = {
        [GH_LOCKOUT_V1_PSK] = HASH_I,     [GH_LOCKOUT_V1_PSK_XAUTH] = HASH_I | REJECT,
        [GH_LOCKOUT_PSK] = AUTH,          [GH_LOCKOUT_PSK_RADIUS] = AUTH | REJECT,
        [GH_LOCKOUT_CERT] = AUTH | CHAIN, [GH_LOCKOUT_CERT_RADIUS] = AUTH | CHAIN | REJECT,
        [GH_LOCKOUT_EAP] = REJECT};

    return (size_t)method < sizeof(counting) / sizeof(counting[0]) &&
           (counting[method] & (1 << failure)) != 0;
}

/* ---- The table ------------------------------------------------------------------------------ */

/* FNV-1a from a secret start: peers choose addresses, and must not choose slots. */
static size_t slot_of(const struct gh_lockout *l, const struct gh_addr *addr)
{
    uint64_t hash = 14695981039346656037u ^ l->s.seed;

    for (size_t i = 0; i < addr->len; i++) {
        hash = (hash ^ addr->octets[i]) * 1099511628211u;
        hash ^= hash >> 29;
    }
    return hash % SLOTS;
}

static struct host *find_host(const struct gh_lockout *l, uint16_t zone, const struct gh_addr *addr)
{
    struct host *h = l->slots[slot_of(l, addr)];

    while (h != NULL && (h->zone != zone || !gh_addr_equal(&h->addr, addr)))
        h = h->next;
    return h;
}

static struct client *find_client(const struct host *h, uint16_t port)
{
    struct client *c = h->clients;

    while (c != NULL && c->port != port)
        c = c->next;
    return c;
}

static void unlink_age(struct gh_lockout *l, struct client *c)
{
    if (c->older != NULL)
        c->older->newer = c->newer;
    else
        l->oldest = c->newer;
    if (c->newer != NULL)
        c->newer->older = c->older;
    else
        l->newest = c->older;
    c->older = c->newer = NULL;
    l->count--;
}

static void link_newest(struct gh_lockout *l, struct client *c)
{
    c->older = l->newest;
    if (l->newest != NULL)
        l->newest->newer = c;
    else
        l->oldest = c;
    l->newest = c;
    l->count++;
}

static void drop_client(struct gh_lockout *l, struct client *c)
{
    struct client **at = &c->host->clients;

    while (*at != c)
        at = &(*at)->next;
    *at = c->next;
    c->host->count--;
    unlink_age(l, c);
    free(c);
}

/* An address of which nothing is known any more. */
static void drop_host_if_empty(struct gh_lockout *l, struct host *h)
{
    struct host **at = &l->slots[slot_of(l, &h->addr)];

    if (h->count > 0 || h->whole.blocked)
        return;
    while (*at != h)
        at = &(*at)->next;
    *at = h->next;
    free(h);
}

static void forget(struct gh_lockout *l, struct client *c)
{
    struct host *h = c->host;

    if (c == &h->whole) {
        unlink_age(l, c);
        c->blocked = false;
    } else {
        drop_client(l, c);
    }
    drop_host_if_empty(l, h);
}

static bool has_ended(const struct client *c, uint64_t now)
{
    return c->until != FOREVER && now >= c->until;
}

void gh_lockout_free(struct gh_lockout *l)
{
    if (l == NULL)
        return;
    while (l->oldest != NULL)
        forget(l, l->oldest);
    free(l);
}

/* Who failed longest ago and is not blocked; if the oldest are all blocked, the oldest. */
static void make_room(struct gh_lockout *l, uint64_t now)
{
    struct client *c = l->oldest;

    for (unsigned i = 0; c != NULL && c->blocked && !has_ended(c, now) && i < LOOK_MAX; i++)
        c = c->newer;
    forget(l, c != NULL && (!c->blocked || has_ended(c, now)) ? c : l->oldest);
}

/* ---- What happens --------------------------------------------------------------------------- */

static bool holds(const struct client *c, uint64_t now)
{
    return c != NULL && c->blocked && !has_ended(c, now);
}

bool gh_lockout_blocked(const struct gh_lockout *l, uint64_t now, uint16_t zone,
                        const struct gh_addr *addr, uint16_t port)
{
    const struct host *h = find_host(l, zone, addr);

    return h != NULL && (holds(&h->whole, now) || holds(find_client(h, port), now));
}

static uint64_t end_of_block(const struct gh_lockout *l, uint64_t now)
{
    return l->s.block == 0 ? FOREVER : now + (uint64_t)l->s.block * MINUTE;
}

/* More clients of one address than there may be: it is guessing, or a NAT full of guessers. */
static void block_address(struct gh_lockout *l, uint64_t now, struct host *h)
{
    while (h->clients != NULL)
        drop_client(l, h->clients);
    h->whole.blocked = true;
    h->whole.until = end_of_block(l, now);
    link_newest(l, &h->whole);
}

static void drop_ended(struct gh_lockout *l, struct host *h, uint64_t now)
{
    for (struct client *c = h->clients, *next; c != NULL; c = next) {
        next = c->next;
        if (has_ended(c, now))
            drop_client(l, c);
    }
    if (h->whole.blocked && has_ended(&h->whole, now)) {
        unlink_age(l, &h->whole);
        h->whole.blocked = false;
    }
}

static struct host *add_host(struct gh_lockout *l, uint16_t zone, const struct gh_addr *addr)
{
    struct host *h = calloc(1, sizeof(*h)), **slot = &l->slots[slot_of(l, addr)];

    if (h != NULL) {
        h->zone = zone;
        h->addr = *addr;
        h->whole.host = h;
        h->next = *slot;
        *slot = h;
    }
    return h;
}

static struct client *add_client(struct gh_lockout *l, struct host *h, uint64_t now, uint16_t port)
{
    struct client *c = calloc(1, sizeof(*c));

    if (c == NULL)
        return NULL;
    *c = (struct client){.next = h->clients,
                         .host = h,
                         .port = port,
                         .until = now + (uint64_t)l->s.duration * MINUTE};
    h->clients = c;
    h->count++;
    link_newest(l, c);
    return c;
}

static enum gh_lockout_verdict count(struct gh_lockout *l, uint64_t now, struct client *c)
{
    unlink_age(l, c);
    link_newest(l, c);
    if (c->blocked)
        return GH_LOCKOUT_COUNTED; /* was on its way when the block began, which does not grow */
    if (++c->failures < l->s.attempts)
        return GH_LOCKOUT_COUNTED;
    c->blocked = true;
    c->failures = 0;
    c->until = end_of_block(l, now);
    return GH_LOCKOUT_PORT_BLOCKED;
}

enum gh_lockout_verdict gh_lockout_failed(struct gh_lockout *l, uint64_t now, uint16_t zone,
                                          const struct gh_addr *addr, uint16_t port)
{
    struct host *h;
    struct client *c;

    while (l->count >= l->s.clients)
        make_room(l, now); /* first, for it may forget the host */
    h = find_host(l, zone, addr);
    if (h == NULL)
        h = add_host(l, zone, addr);
    if (h == NULL)
        return GH_LOCKOUT_COUNTED;
    drop_ended(l, h, now);
    if (h->whole.blocked)
        return GH_LOCKOUT_COUNTED;
    c = find_client(h, port);
    if (c == NULL && h->count >= l->s.max_ports) {
        block_address(l, now, h);
        return GH_LOCKOUT_ADDR_BLOCKED;
    }
    if (c == NULL)
        c = add_client(l, h, now, port);
    if (c != NULL)
        return count(l, now, c);
    drop_host_if_empty(l, h);
    return GH_LOCKOUT_COUNTED;
}

void gh_lockout_succeeded(struct gh_lockout *l, uint64_t now, uint16_t zone,
                          const struct gh_addr *addr, uint16_t port)
{
    struct host *h = find_host(l, zone, addr);
    struct client *c = h != NULL ? find_client(h, port) : NULL;

    if (c != NULL && !holds(c, now))
        forget(l, c);
}

/* ---- By hand -------------------------------------------------------------------------------- */

static bool is_meant(const struct client *c, const struct gh_addr *addr, uint16_t port)
{
    if (addr != NULL && !gh_addr_equal(&c->host->addr, addr))
        return false;
    return addr == NULL || port == 0 || (c != &c->host->whole && c->port == port);
}

size_t gh_lockout_clear(struct gh_lockout *l, const struct gh_addr *addr, uint16_t port)
{
    size_t n = 0;

    for (struct client *c = l->oldest, *newer; c != NULL; c = newer) {
        newer = c->newer;
        if (is_meant(c, addr, port)) {
            forget(l, c);
            n++;
        }
    }
    return n;
}

void gh_lockout_each(const struct gh_lockout *l, uint64_t now,
                     void (*each)(void *ctx, const struct gh_lockout_client *client), void *ctx)
{
    for (const struct client *c = l->oldest; c != NULL; c = c->newer) {
        struct gh_lockout_client shown = {.zone = c->host->zone,
                                          .addr = c->host->addr,
                                          .port = c->port,
                                          .failures = c->failures,
                                          .blocked = c->blocked,
                                          .until = c->until};

        if (!has_ended(c, now))
            each(ctx, &shown);
    }
}
