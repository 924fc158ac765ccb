#include "daemon/zones.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "daemon/notify.h"
#include "platform/nfqueue.h"

enum {
    RETRY_MS = 20,
    LINGER_MS = 30000,  /* how long a zone stays open after its last socket */
    VACANT_MS = 60000,  /* after it, nobody speaks of the zone that was any more */
    DYNAMIC_MAX = 1024, /* zones, with those that were */
    NUMBER_STEP = 2048, /* between the queue numbers that are tried in a strange namespace */
    NUMBER_TRIES = 8
};

static bool same_text(const char *a, const char *b)
{
    return strcmp(a != NULL ? a : "", b != NULL ? b : "") == 0;
}

static char *copy_text(const char *text)
{
    return text != NULL ? strdup(text) : NULL;
}

static const char *netns_text(const struct gh_zone *zone)
{
    return zone->netns != NULL ? zone->netns : "(own)";
}

/* ---- Numbers -------------------------------------------------------------------------------- */

static struct gh_zone *find(const struct gh_zones *z, const struct gh_session *s)
{
    for (size_t i = 0; i < z->count; i++)
        if (!z->list[i]->vacant && same_text(z->list[i]->netns, s->netns) &&
            same_text(z->list[i]->vrf, s->vrf))
            return z->list[i];
    return NULL;
}

static struct gh_zone *find_dynamic(const struct gh_zones *z, const struct gh_netns_id *id)
{
    for (size_t i = 0; i < z->count; i++) {
        struct gh_zone *zone = z->list[i];

        if (zone->dynamic && !zone->vacant && gh_netns_same(&zone->id, id))
            return zone;
    }
    return NULL;
}

/* A dynamic zone whose namespace the session names: from here on it is the configured one. */
static struct gh_zone *find_unnamed(const struct gh_zones *z, const struct gh_session *s)
{
    struct gh_netns_id id;
    struct gh_zone *zone;
    char *name;

    if (s->vrf != NULL || gh_netns_identify(s->netns, &id) != 0 ||
        (zone = find_dynamic(z, &id)) == NULL)
        return NULL;
    name = copy_text(s->netns);
    if (s->netns != NULL && name == NULL)
        return NULL;
    free(zone->netns);
    zone->netns = name;
    return zone;
}

static void settle(struct gh_zone *zone)
{
    zone->dynamic = false;
    if (zone->netns_fd >= 0)
        close(zone->netns_fd);
    zone->netns_fd = -1;
}

static struct gh_zone *add(struct gh_zones *z, const char *netns, const char *vrf)
{
    struct gh_zone **list = realloc(z->list, (z->count + 1) * sizeof(*list));
    struct gh_zone *zone = calloc(1, sizeof(*zone));

    if (list != NULL)
        z->list = list;
    if (list == NULL || zone == NULL || z->base + z->count > UINT16_MAX) {
        free(zone);
        return NULL;
    }
    *zone = (struct gh_zone){.netns = copy_text(netns),
                             .vrf = copy_text(vrf),
                             .index = (uint16_t)z->count,
                             .number = (uint16_t)(z->base + z->count),
                             .netns_fd = -1,
                             .queue = -1,
                             .links = -1};
    z->list[z->count++] = zone;
    return zone;
}

bool gh_zones_assign(struct gh_zones *z, const struct gh_config *config, uint16_t *numbers)
{
    for (size_t i = 0; i < z->count; i++)
        z->list[i]->used = false;
    for (size_t i = 0; i < config->session_count; i++) {
        struct gh_zone *zone = find(z, &config->sessions[i]);

        if (zone == NULL)
            zone = find_unnamed(z, &config->sessions[i]);
        if (zone == NULL)
            zone = add(z, config->sessions[i].netns, config->sessions[i].vrf);
        if (zone == NULL)
            return false;
        settle(zone);
        zone->used = true;
        numbers[i] = zone->index;
    }
    return true;
}

struct gh_zone *gh_zones_find(const struct gh_zones *z, uint16_t index)
{
    return index < z->count && !z->list[index]->vacant ? z->list[index] : NULL;
}

/* ---- Interfaces ----------------------------------------------------------------------------- */

struct teller {
    struct gh_zones *zones;
    struct gh_zone *zone;
};

static void tell(void *ctx, const struct gh_link *link)
{
    struct teller *t = ctx;

    t->zones->ops->link(t->zones->ctx, t->zone, link);
}

static void on_links(uv_poll_t *poll, int status, int events)
{
    struct teller *t = poll->data;

    if (!gh_links_read(t->zone->links, tell, t))
        gh_links_ask(t->zone->links);
}

/* All of them, now: the kernel answers while it is asked, and whoever hears of a zone after this
 * knows its VRFs. */
static void tell_all(struct gh_zones *z, struct gh_zone *zone)
{
    struct teller t = {.zones = z, .zone = zone};

    gh_links_ask(zone->links);
    if (!gh_links_read(zone->links, tell, &t))
        gh_links_ask(zone->links);
}

static void on_links_closed(uv_handle_t *handle)
{
    free(handle->data);
    free(handle);
}

static void watch_links(struct gh_zones *z, struct gh_zone *zone)
{
    struct teller *t = calloc(1, sizeof(*t));

    zone->links = gh_links_open(zone->netns);
    zone->links_poll = calloc(1, sizeof(*zone->links_poll));
    if (t == NULL || zone->links < 0 || zone->links_poll == NULL) {
        gh_warning("namespace %s: cannot watch interfaces", netns_text(zone));
        free(t);
        free(zone->links_poll);
        zone->links_poll = NULL;
        return;
    }
    *t = (struct teller){.zones = z, .zone = zone};
    uv_poll_init(z->loop, zone->links_poll, zone->links);
    zone->links_poll->data = t;
    uv_poll_start(zone->links_poll, UV_READABLE, on_links);
    tell_all(z, zone);
}

void gh_zones_tell_links(struct gh_zones *z)
{
    for (size_t i = 0; i < z->count; i++)
        if (z->list[i]->links >= 0)
            tell_all(z, z->list[i]);
}

/* ---- Sockets -------------------------------------------------------------------------------- */

static void close_zone(struct gh_zones *z, struct gh_zone *zone)
{
    if (zone->links_poll != NULL) {
        uv_poll_stop(zone->links_poll);
        uv_close((uv_handle_t *)zone->links_poll, on_links_closed);
        zone->links_poll = NULL;
    }
    if (zone->links >= 0)
        close(zone->links);
    if (zone->queue >= 0) {
        close(zone->queue);
        if (zone->stored[0] != '\0')
            gh_notify_forget(zone->stored);
        z->ops->closed(z->ctx, zone);
    }
    zone->queue = zone->links = -1;
    free(zone->rules); /* where the sockets still are, the installed ones stay */
    zone->rules = NULL;
    zone->rule_count = 0;
    zone->rules_due = zone->has_rules = false;
}

static int take_stored(struct gh_zones *z, const char *name)
{
    for (size_t i = 0; i < z->stored_count; i++) {
        if (strcmp(z->stored[i].name, name) == 0) {
            int fd = z->stored[i].fd;

            z->stored[i] = z->stored[--z->stored_count];
            return fd;
        }
    }
    return -1;
}

static int open_queue(struct gh_zones *z, struct gh_zone *zone, unsigned patience)
{
    int fd = take_stored(z, zone->stored);

    if (fd >= 0)
        return fd;
    for (;;) {
        fd = gh_nfqueue_open(zone->netns, zone->number, z->length);
        if (fd != -EBUSY || patience < RETRY_MS)
            break;
        poll(NULL, 0, RETRY_MS); /* an earlier instance is just ending */
        patience -= RETRY_MS;
    }
    if (fd >= 0)
        gh_notify_store(zone->stored, fd);
    return fd;
}

static void complain(struct gh_zone *zone, int error)
{
    zone->taken = error == -EBUSY;
    if (zone->complained)
        return;
    zone->complained = true;
    if (error == -EBUSY)
        gh_error("queue %u in namespace %s belongs to another process: set queue-base to a free "
                 "range",
                 zone->number, netns_text(zone));
    else
        gh_error("namespace %s: %s; its sessions wait until it can be opened", netns_text(zone),
                 strerror(-error));
}

static bool open_zone(struct gh_zones *z, struct gh_zone *zone, unsigned patience)
{
    int result = gh_netns_identify(zone->netns, &zone->id);

    if (result == 0) {
        snprintf(zone->stored, sizeof(zone->stored), "queue-%u-%" PRIu64, zone->number,
                 zone->id.inode);
        result = open_queue(z, zone, patience);
    }
    if (result < 0) {
        complain(zone, result);
        return false;
    }
    zone->queue = result;
    zone->complained = zone->taken = false;
    z->ops->opened(z->ctx, zone);
    watch_links(z, zone);
    return true;
}

/* ---- Zones of programs' sockets ------------------------------------------------------------- */

static bool is_wanted(struct gh_zones *z, struct gh_zone *zone)
{
    uint64_t now = uv_now(z->loop);

    if (zone->rule_count > 0 || zone->watched > 0)
        zone->until = now + LINGER_MS;
    return zone->used || now < zone->until;
}

static void leave(struct gh_zones *z, struct gh_zone *zone)
{
    z->ops->leaving(z->ctx, zone);
    close_zone(z, zone);
    settle(zone);
    free(zone->netns);
    zone->netns = NULL;
    zone->dynamic = zone->vacant = true;
    zone->until = uv_now(z->loop);
}

/* A slot for one more: a vacant one that everybody has forgotten, or a new one. */
static struct gh_zone *slot(struct gh_zones *z)
{
    struct gh_zone *fresh = NULL;
    size_t dynamic = 0;

    for (size_t i = 0; i < z->count; i++) {
        struct gh_zone *zone = z->list[i];

        if (zone->vacant && uv_now(z->loop) - zone->until >= VACANT_MS)
            return zone;
        dynamic += zone->dynamic;
    }
    if (dynamic < DYNAMIC_MAX)
        fresh = add(z, NULL, NULL);
    if (fresh == NULL && !z->complained)
        gh_error("programs bring sockets of too many network namespaces, %zu", dynamic);
    z->complained = fresh == NULL;
    return fresh;
}

/* The own namespace goes by its name, which the note of rules on the disk can hold. */
static bool set_netns(struct gh_zone *zone, int netns)
{
    char name[GH_NETNS_DESCRIPTOR];
    struct gh_netns_id own;

    if (gh_netns_identify(NULL, &own) == 0 && gh_netns_same(&own, &zone->id))
        return true;
    zone->netns_fd = fcntl(netns, F_DUPFD_CLOEXEC, 0);
    if (zone->netns_fd < 0)
        return false;
    gh_netns_of_descriptor(zone->netns_fd, name);
    zone->netns = strdup(name);
    return zone->netns != NULL;
}

/* Somebody else may have queues in a strange namespace. The service manager is not given this
 * one: it would keep the namespace. */
static int open_strange_queue(struct gh_zones *z, struct gh_zone *zone)
{
    int fd = -EBUSY;

    for (uint32_t i = 0; i < NUMBER_TRIES && fd == -EBUSY; i++) {
        uint32_t number = z->base + zone->index + i * NUMBER_STEP;

        if (number > UINT16_MAX)
            break;
        zone->number = (uint16_t)number;
        fd = gh_nfqueue_open(zone->netns, zone->number, z->length);
    }
    return fd;
}

static struct gh_zone *make_dynamic(struct gh_zones *z, int netns, const struct gh_netns_id *id)
{
    struct gh_zone *zone = slot(z);
    int queue;

    if (zone == NULL)
        return NULL;
    *zone = (struct gh_zone){.index = zone->index,
                             .dynamic = true,
                             .vacant = true,
                             .netns_fd = -1,
                             .id = *id,
                             .queue = -1,
                             .links = -1};
    queue = set_netns(zone, netns) ? open_strange_queue(z, zone) : -EMFILE;
    if (queue < 0) {
        gh_error("network namespace %" PRIu64 ": a program's sockets cannot be served there: %s",
                 id->inode, strerror(-queue));
        settle(zone);
        free(zone->netns);
        zone->netns = NULL;
        zone->dynamic = true; /* and vacant: `ao` has not heard of it */
        return NULL;
    }
    zone->vacant = false;
    zone->queue = queue;
    gh_info("network namespace %" PRIu64 ": queue %u for sockets of programs", id->inode,
            zone->number);
    z->ops->opened(z->ctx, zone);
    watch_links(z, zone);
    return zone;
}

static struct gh_zone *find_named(const struct gh_zones *z, const struct gh_netns_id *id)
{
    for (size_t i = 0; i < z->count; i++) {
        struct gh_zone *zone = z->list[i];
        struct gh_netns_id its;

        if (!zone->dynamic && zone->vrf == NULL && gh_netns_identify(zone->netns, &its) == 0 &&
            gh_netns_same(&its, id))
            return zone;
    }
    return NULL;
}

struct gh_zone *gh_zones_of_netns(struct gh_zones *z, int netns, bool open)
{
    struct gh_zone *zone;
    struct gh_netns_id id;
    struct stat st;

    if (fstat(netns, &st) != 0)
        return NULL;
    id = (struct gh_netns_id){.device = st.st_dev, .inode = st.st_ino};
    zone = find_dynamic(z, &id);
    if (zone == NULL)
        zone = find_named(z, &id);
    if (zone == NULL && open)
        zone = make_dynamic(z, netns, &id);
    if (zone == NULL || (zone->queue < 0 && (!open || !open_zone(z, zone, 0))))
        return NULL;
    zone->until = uv_now(z->loop) + LINGER_MS;
    return zone;
}

/* ---- All zones ------------------------------------------------------------------------------ */

/* Is the namespace under this name still the one that the socket is in? */
static bool is_current(const struct gh_zone *zone)
{
    struct gh_netns_id id;

    return gh_netns_identify(zone->netns, &id) == 0 && gh_netns_same(&id, &zone->id);
}

bool gh_zones_open(struct gh_zones *z, unsigned patience)
{
    bool any = false;

    for (size_t i = 0; i < z->count; i++) {
        struct gh_zone *zone = z->list[i];

        bool wanted = !zone->vacant && is_wanted(z, zone);

        if (zone->dynamic) {
            if (!zone->vacant && !wanted)
                leave(z, zone);
            continue;
        }
        if (zone->queue >= 0 && (!wanted || !is_current(zone)))
            close_zone(z, zone);
        if (zone->used && zone->queue < 0)
            any = open_zone(z, zone, patience) || any;
    }
    return any;
}

/* ---- What the service manager kept ---------------------------------------------------------- */

static void adopt(void *ctx, const char *name, int fd)
{
    struct gh_zones *z = ctx;
    struct gh_stored_queue *list = realloc(z->stored, (z->stored_count + 1) * sizeof(*list));

    if (list == NULL) {
        close(fd);
        return;
    }
    z->stored = list;
    list[z->stored_count].fd = fd;
    snprintf(list[z->stored_count].name, sizeof(list->name), "%s", name);
    z->stored_count++;
}

void gh_zones_adopt(struct gh_zones *z)
{
    gh_notify_stored(adopt, z);
}

void gh_zones_drop_stored(struct gh_zones *z)
{
    for (size_t i = 0; i < z->stored_count; i++) {
        gh_notify_forget(z->stored[i].name);
        close(z->stored[i].fd);
    }
    free(z->stored);
    z->stored = NULL;
    z->stored_count = 0;
}
