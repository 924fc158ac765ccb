#include "daemon/ike_desk.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/secret.h"
#include "daemon/channel.h"

struct request {
    struct request *next; /* in the order in which they came */
    void *asker;          /* NULL: forgotten */
    uint32_t number;      /* ours, on the wire */
    uint32_t id;          /* the asker's */
    unsigned tries;       /* desks that it was sent to */
    size_t len;
    uint8_t octets[];
};

struct gh_ike_desk {
    uv_loop_t *loop;
    const struct gh_ike_desk_ops *ops;
    void *ctx;
    struct gh_channel *channel; /* NULL: none now */
    struct request *waiting, **end;
    size_t count;
    uint32_t last_number;
};

static void drop(struct gh_ike_desk *d, struct request **at)
{
    struct request *r = *at;

    *at = r->next;
    if (r->next == NULL)
        d->end = at;
    d->count--;
    gh_wipe(r->octets, r->len);
    free(r);
}

static void give(struct gh_ike_desk *d, struct request **at, struct gh_keeper_answer a)
{
    void *asker = (*at)->asker;

    a.id = (*at)->id;
    drop(d, at); /* first: the asker may ask again */
    if (asker != NULL)
        d->ops->answer(asker, &a);
}

static void transmit(struct gh_ike_desk *d, struct request *r)
{
    if (gh_channel_send(d->channel, GH_MESSAGE_KEEPER_ASK, r->octets, r->len, -1))
        r->tries++;
}

/* ---- Answers -------------------------------------------------------------------------------- */

static bool on_message(void *ctx, struct gh_frame *frame, int fd)
{
    struct gh_ike_desk *d = ctx;
    size_t len = gh_rd_left(&frame->body);
    struct gh_keeper_answer a;

    if (!gh_keeper_answer_parse(gh_view_of(gh_rd_bytes(&frame->body, len), len), &a))
        return false;
    for (struct request **at = &d->waiting; *at != NULL; at = &(*at)->next) {
        if ((*at)->number == a.id && (*at)->tries > 0) {
            give(d, at, a);
            return true;
        }
    }
    return false;
}

static void on_broken(void *ctx, const char *why)
{
    struct gh_ike_desk *d = ctx;

    gh_notice("the keeper: %s; %zu requests wait for it", why, d->count);
    gh_channel_close(d->channel);
    d->channel = NULL;
    d->ops->lost(d->ctx);
}

/* ---- Requests ------------------------------------------------------------------------------- */

static struct request **find_tired(struct gh_ike_desk *d)
{
    for (struct request **at = &d->waiting; *at != NULL; at = &(*at)->next)
        if ((*at)->tries >= GH_DESK_TRIES)
            return at;
    return NULL;
}

static void refuse_tired(struct gh_ike_desk *d)
{
    static const char why[] = "the keeper does not answer";
    const struct gh_keeper_answer a = {.result = GH_KEEPER_REFUSED,
                                       .value = gh_view_of(why, sizeof(why) - 1)};
    struct request **at;

    while ((at = find_tired(d)) != NULL)
        give(d, at, a);
}

void gh_ike_desk_open(struct gh_ike_desk *d, int fd)
{
    static const struct gh_channel_ops ops = {.message = on_message, .broken = on_broken};

    gh_channel_close(d->channel);
    refuse_tired(d);
    d->channel = gh_channel_new(d->loop, fd, GH_TO_ASKER, &ops, d);
    if (d->channel == NULL)
        gh_error("no memory for the keeper's socket");
    else
        gh_channel_hold(d->channel);
    for (struct request *r = d->waiting; d->channel != NULL && r != NULL; r = r->next)
        transmit(d, r);
    gh_channel_flush(d->channel);
}

bool gh_ike_desk_is_open(const struct gh_ike_desk *d)
{
    return d->channel != NULL;
}

size_t gh_ike_desk_waiting(const struct gh_ike_desk *d)
{
    return d->count;
}

bool gh_ike_desk_ask(struct gh_ike_desk *d, void *asker, const struct gh_keeper_request *q)
{
    struct gh_keeper_request numbered = *q;
    size_t cap = 32 + q->name.len + q->octets.len + q->also.len;
    struct request *r = d->count < GH_DESK_WAITING_MAX ? malloc(sizeof(*r) + cap) : NULL;
    struct gh_wr w;

    if (r == NULL)
        return false;
    *r = (struct request){.asker = asker, .number = ++d->last_number, .id = q->id};
    numbered.id = r->number;
    w = gh_wr_make(r->octets, cap);
    if (!gh_keeper_request_put(&w, &numbered)) {
        free(r);
        return false;
    }
    r->len = w.len;
    *d->end = r;
    d->end = &r->next;
    d->count++;
    if (d->channel != NULL)
        transmit(d, r);
    return true;
}

void gh_ike_desk_flush(struct gh_ike_desk *d)
{
    gh_channel_flush(d->channel);
}

void gh_ike_desk_forget(struct gh_ike_desk *d, const void *asker)
{
    for (struct request *r = d->waiting; r != NULL; r = r->next)
        if (r->asker == asker)
            r->asker = NULL;
}

/* ---- Life ----------------------------------------------------------------------------------- */

struct gh_ike_desk *gh_ike_desk_new(uv_loop_t *loop, const struct gh_ike_desk_ops *ops, void *ctx)
{
    struct gh_ike_desk *d = calloc(1, sizeof(*d));

    if (d == NULL)
        return NULL;
    *d = (struct gh_ike_desk){.loop = loop, .ops = ops, .ctx = ctx};
    d->end = &d->waiting;
    return d;
}

void gh_ike_desk_free(struct gh_ike_desk *d)
{
    if (d == NULL)
        return;
    gh_channel_close(d->channel);
    while (d->waiting != NULL)
        drop(d, &d->waiting);
    free(d);
}
