/*
 * The ends of programs' sockets (WATCH), and what is kept until then for a new `ao` (KEEP).
 *
 * The kernel says of each TCP socket that it destroys. Where it cannot, or where some of that was
 * lost, the list of all sockets is looked through: one that was in it and is not any more, for
 * longer than a program takes to connect again, counts as gone. A socket that never listened or
 * connected is in no list; then only the end of its program tells, which `ao` sees by itself.
 */
#include "daemon/parent_priv.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "platform/socket_watch.h"
#include "wire/wr.h"

enum {
    SWEEP_MS = 2000,
    WHOLE_MS = 30000, /* between two lists while the kernel tells: they show who is in them */
    LOST_MS = 60000   /* how long lists are looked through after something was lost */
};

/* One for each zone with watched sockets. */
struct gh_watch_post {
    uv_poll_t poll; /* first; unused where fd < 0 */
    struct gh_parent *parent;
    struct gh_watch_post *next;
    uint16_t zone;
    int fd;          /* -1: the kernel does not tell */
    uint64_t lost;   /* monotonic milliseconds: until then, lists are looked through */
    uint64_t listed; /* when the last list was made */
};

/* ---- Ends ----------------------------------------------------------------------------------- */

static void tell_gone(struct gh_parent *p, struct gh_watched *watched)
{
    struct gh_zone *zone = gh_zones_find(&p->zones, watched->zone);
    uint64_t cookie = watched->cookie;
    uint8_t body[8];
    struct gh_wr w = gh_wr_make(body, sizeof(body));

    if (zone != NULL && zone->watched > 0)
        zone->watched--;
    gh_watches_remove(&p->watches, watched);
    p->orphans_changed = true;
    gh_keep_drop(&p->keep, cookie);
    gh_wr_u64(&w, cookie);
    gh_channel_send(p->ao.channel, GH_MESSAGE_SOCKET_GONE, body, w.len, -1);
}

static void on_gone(void *ctx, uint64_t cookie)
{
    struct gh_watch_post *post = ctx;
    struct gh_watched *watched = gh_watches_find(&post->parent->watches, cookie);

    if (watched != NULL && watched->zone == post->zone)
        tell_gone(post->parent, watched);
}

/* ---- Posts ---------------------------------------------------------------------------------- */

static void on_post_closed(uv_handle_t *handle)
{
    free(handle);
}

static void remove_post(struct gh_watch_post *post)
{
    struct gh_watch_post **at = &post->parent->watch_posts;

    while (*at != post)
        at = &(*at)->next;
    *at = post->next;
    if (post->fd < 0) {
        free(post);
        return;
    }
    uv_poll_stop(&post->poll);
    uv_close((uv_handle_t *)&post->poll, on_post_closed);
    close(post->fd);
}

static void on_heard(uv_poll_t *poll, int status, int events)
{
    struct gh_watch_post *post = (struct gh_watch_post *)poll;

    if (!gh_socket_watch_read(post->fd, on_gone, post))
        post->lost = uv_now(&post->parent->loop) + LOST_MS;
}

static struct gh_watch_post *post_of(const struct gh_parent *p, uint16_t zone)
{
    struct gh_watch_post *post = p->watch_posts;

    while (post != NULL && post->zone != zone)
        post = post->next;
    return post;
}

static bool add_post(struct gh_parent *p, const struct gh_zone *zone)
{
    struct gh_watch_post *post = calloc(1, sizeof(*post));

    if (post == NULL)
        return false;
    *post = (struct gh_watch_post){.parent = p, .zone = zone->index, .next = p->watch_posts};
    post->fd = gh_socket_watch_open(zone->netns);
    if (post->fd >= 0 && uv_poll_init(&p->loop, &post->poll, post->fd) == 0) {
        uv_poll_start(&post->poll, UV_READABLE, on_heard);
    } else {
        gh_info("the kernel does not tell of sockets' ends (%s): they are looked for",
                strerror(post->fd < 0 ? -post->fd : ENOMEM));
        if (post->fd >= 0)
            close(post->fd);
        post->fd = -1;
    }
    p->watch_posts = post;
    return true;
}

/* ---- Lists ---------------------------------------------------------------------------------- */

static void on_there(void *ctx, uint64_t cookie)
{
    gh_watches_there(ctx, cookie);
}

static void on_missing(void *ctx, struct gh_watched *watched)
{
    tell_gone(ctx, watched);
}

static void look_through(struct gh_watch_post *post, const struct gh_zone *zone)
{
    struct gh_watches *w = &post->parent->watches;
    uint64_t now = uv_now(&post->parent->loop);
    bool counts = post->fd < 0 || now < post->lost;

    if (!counts && now - post->listed < WHOLE_MS)
        return;
    post->listed = now;
    gh_watches_begin(w);
    if (gh_socket_watch_list(zone->netns, on_there, w) == 0)
        gh_watches_judge(w, post->zone, counts, on_missing, post->parent);
}

static void on_sweep(uv_timer_t *timer)
{
    struct gh_parent *p = timer->data;
    struct gh_watch_post *next;

    for (struct gh_watch_post *post = p->watch_posts; post != NULL; post = next) {
        const struct gh_zone *zone = gh_zones_find(&p->zones, post->zone);

        next = post->next;
        if (zone != NULL && zone->watched > 0)
            look_through(post, zone);
        else
            remove_post(post);
    }
    if (p->watch_posts == NULL)
        uv_timer_stop(timer);
}

/* ---- What `ao` and the zones say ------------------------------------------------------------ */

/* A socket that an earlier instance kept may have ended while nobody watched: the first list that
 * it is not in is enough. */
static void look_at_once(struct gh_parent *p, const struct gh_zone *zone, uint64_t cookie)
{
    struct gh_kept *kept = gh_keep_find(&p->keep, cookie);
    struct gh_watched *watched = gh_watches_find(&p->watches, cookie);

    if (kept == NULL || !kept->earlier)
        return;
    kept->earlier = false;
    watched->seen = true;
    watched->missing = GH_WATCHES_MISSING - 1;
    post_of(p, zone->index)->lost = uv_now(&p->loop) + LOST_MS;
}

bool gh_parent_watch(struct gh_parent *p, struct gh_rd *body)
{
    struct gh_zone *zone = gh_zones_find(&p->zones, gh_rd_u16(body));
    uint64_t cookie = gh_rd_u64(body);

    if (zone == NULL || zone->queue < 0 || gh_watches_find(&p->watches, cookie) != NULL)
        return true;
    if ((post_of(p, zone->index) == NULL && !add_post(p, zone)) ||
        !gh_watches_add(&p->watches, cookie, zone->index)) {
        gh_error("no room to watch one more socket");
        return true;
    }
    look_at_once(p, zone, cookie);
    zone->watched++;
    p->orphans_changed = true;
    if (!uv_is_active((uv_handle_t *)&p->watch_sweep))
        uv_timer_start(&p->watch_sweep, on_sweep, SWEEP_MS, SWEEP_MS);
    return true;
}

/* Nobody can say of its sockets any more whether they are there. */
void gh_parent_unwatch_zone(struct gh_parent *p, const struct gh_zone *zone)
{
    struct gh_watch_post *post = post_of(p, zone->index);

    for (size_t i = p->watches.count; i > 0; i--)
        if (p->watches.list[i - 1].zone == zone->index)
            tell_gone(p, &p->watches.list[i - 1]);
    if (post != NULL)
        remove_post(post);
}

bool gh_parent_keep(struct gh_parent *p, struct gh_rd *body)
{
    uint64_t cookie = gh_rd_u64(body);
    size_t len = gh_rd_left(body);

    if (!gh_keep_put(&p->keep, cookie, gh_rd_bytes(body, len), len))
        gh_error("no room to keep the keys of one more socket: if the engine ends, it is not known "
                 "to the next");
    return true;
}

bool gh_parent_forget(struct gh_parent *p, struct gh_rd *body)
{
    gh_keep_drop(&p->keep, gh_rd_u64(body));
    return true;
}

void gh_parent_tell_kept(struct gh_parent *p)
{
    for (size_t i = 0; i < p->keep.count; i++) {
        const struct gh_kept *kept = &p->keep.list[i];
        uint8_t *body = malloc(8 + kept->len);
        struct gh_wr w = gh_wr_make(body, body != NULL ? 8 + kept->len : 0);

        gh_wr_u64(&w, kept->cookie);
        gh_wr_bytes(&w, kept->data, kept->len);
        if (gh_wr_ok(&w))
            gh_channel_send(p->ao.channel, GH_MESSAGE_KEPT, body, w.len, -1);
        if (body != NULL)
            gh_wipe(body, 8 + kept->len);
        free(body);
    }
}
