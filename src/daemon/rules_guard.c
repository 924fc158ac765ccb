#include "daemon/rules_guard.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "platform/netns.h"
#include "platform/rules_watch.h"

struct post {
    uv_poll_t poll; /* first */
    struct gh_rules_guard *guard;
    struct post *next;
    struct gh_netns_id id;
    int fd;
    bool kept;
    char netns[];
};

struct gh_rules_guard {
    uv_loop_t *loop;
    gh_rules_lost_fn fn;
    void *ctx;
    struct post *posts;
};

struct gh_rules_guard *gh_rules_guard_new(uv_loop_t *loop, gh_rules_lost_fn fn, void *ctx)
{
    struct gh_rules_guard *g = calloc(1, sizeof(*g));

    if (g != NULL)
        *g = (struct gh_rules_guard){.loop = loop, .fn = fn, .ctx = ctx};
    return g;
}

static void on_heard(uv_poll_t *poll, int status, int events)
{
    struct post *post = (struct post *)poll;

    if (gh_rules_watch_read(post->fd))
        post->guard->fn(post->guard->ctx, post->netns);
}

static void on_closed(uv_handle_t *handle)
{
    free(handle);
}

static void remove_post(struct post *post)
{
    uv_poll_stop(&post->poll);
    uv_close((uv_handle_t *)&post->poll, on_closed);
    close(post->fd);
}

static void add_post(struct gh_rules_guard *g, const char *netns, const struct gh_netns_id *id)
{
    size_t len = strlen(netns) + 1;
    struct post *post = calloc(1, sizeof(*post) + len);
    int fd = gh_rules_watch_open(netns);

    if (post == NULL || fd < 0 || uv_poll_init(g->loop, &post->poll, fd) != 0) {
        gh_warning("namespace %s: cannot watch over the firewall rules",
                   netns[0] != '\0' ? netns : "(own)");
        free(post);
        if (fd >= 0)
            close(fd);
        return;
    }
    post->guard = g;
    post->id = *id;
    post->fd = fd;
    post->kept = true;
    memcpy(post->netns, netns, len);
    post->next = g->posts;
    g->posts = post;
    uv_poll_start(&post->poll, UV_READABLE, on_heard);
}

/* Goes on with a post that there is. */
static bool keep(struct gh_rules_guard *g, const char *netns, const struct gh_netns_id *id)
{
    for (struct post *post = g->posts; post != NULL; post = post->next) {
        if (strcmp(post->netns, netns) == 0 && gh_netns_same(&post->id, id)) {
            gh_rules_watch_read(post->fd);
            post->kept = true;
            return true;
        }
    }
    return false;
}

void gh_rules_guard_set(struct gh_rules_guard *g, const struct gh_rules_note *note)
{
    for (struct post *post = g->posts; post != NULL; post = post->next)
        post->kept = false;
    for (size_t i = 0; i < note->count; i++) {
        struct gh_netns_id id;

        if (gh_netns_identify(note->netns[i], &id) == 0 && !keep(g, note->netns[i], &id))
            add_post(g, note->netns[i], &id);
    }
    for (struct post **at = &g->posts; *at != NULL;) {
        struct post *post = *at;

        if (post->kept) {
            at = &post->next;
            continue;
        }
        *at = post->next;
        remove_post(post);
    }
}

void gh_rules_guard_replaced(struct gh_rules_guard *g, const char *netns)
{
    struct gh_netns_id id;

    if (gh_netns_identify(netns, &id) == 0 && !keep(g, netns, &id))
        add_post(g, netns, &id);
}

static bool is_named(const struct post *post, const char *netns)
{
    return strcmp(post->netns, netns != NULL ? netns : "") == 0;
}

void gh_rules_guard_drop(struct gh_rules_guard *g, const char *netns)
{
    for (struct post **at = &g->posts; *at != NULL; at = &(*at)->next) {
        struct post *post = *at;

        if (is_named(post, netns)) {
            *at = post->next;
            remove_post(post);
            return;
        }
    }
}
