#include "daemon/keeper.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>
#include <uv.h>

#include <openssl/crypto.h>

#include "base/log.h"
#include "base/secret.h"
#include "daemon/channel.h"
#include "daemon/child.h"
#include "daemon/ike_desk.h"
#include "daemon/keeper_token.h"
#include "daemon/sandbox.h"
#include "daemon/sealed.h"

enum { UNREAD_MAX = 4 * GH_KEEPER_ANSWER_MAX }; /* octets: a client that asks but does not read */

struct keeper {
    uv_loop_t loop;
    uid_t uid;
    gid_t gid;
    struct gh_channel *parent;
    struct gh_keeper_store *store; /* NULL before the order */
    struct token *tokens;          /* a list */
};

/* A key in a token: another process signs with it. */
struct token {
    struct token *next;
    char name[GH_KEEPER_NAME_MAX + 1];
    struct gh_ike_desk *desk;
};

/* Where a client asks. */
struct desk {
    struct keeper *keeper;
    struct gh_channel *channel;
};

static const struct token *find_token(const struct keeper *k, struct gh_view name)
{
    const struct token *t = k->tokens;

    while (t != NULL && !gh_view_equal(gh_view_of(t->name, strlen(t->name)), name))
        t = t->next;
    return t;
}

/* ---- Clients -------------------------------------------------------------------------------- */

static bool answer(struct desk *desk, const struct gh_keeper_answer *a)
{
    size_t room = 5 + a->value.len;
    struct gh_wr w = gh_wr_make(malloc(room), room);
    bool sent = w.base != NULL && gh_keeper_answer_put(&w, a) &&
                gh_channel_send(desk->channel, GH_MESSAGE_KEEPER_ANSWER, w.base, w.len, -1);

    free(w.base);
    return sent;
}

static void on_token_answer(void *asker, const struct gh_keeper_answer *a)
{
    struct desk *desk = asker;

    if (!answer(desk, a))
        gh_warning("no memory for a token's answer");
    gh_channel_flush(desk->channel);
}

/* It does not end while its token fails or breaks: something has gone wrong that only a new keeper
 * mends. */
static void on_token_lost(void *ctx)
{
    const struct token *t = ctx;

    gh_error("%s: the process of the token has ended", t->name);
    _exit(1);
}

static bool ask_token(const struct token *t, struct desk *desk, const struct gh_keeper_request *q)
{
    static const char busy[] = "too many wait for the token";
    const struct gh_keeper_answer refusal = {
        .id = q->id, .result = GH_KEEPER_REFUSED, .value = gh_view_of(busy, sizeof(busy) - 1)};

    if (!gh_ike_desk_ask(t->desk, desk, q))
        return answer(desk, &refusal);
    gh_ike_desk_flush(t->desk);
    return true;
}

static bool on_ask(void *ctx, struct gh_frame *frame, int fd)
{
    struct desk *desk = ctx;
    size_t ask_len = gh_rd_left(&frame->body), len = 0;
    struct gh_view ask = gh_view_of(gh_rd_bytes(&frame->body, ask_len), ask_len);
    const struct token *token = NULL;
    struct gh_keeper_request q;
    uint8_t *octets;
    bool sent;

    if (desk->channel->out_len > UNREAD_MAX)
        return false;
    if (gh_keeper_request_parse(ask, &q) && q.kind == GH_KEEPER_SIGN)
        token = find_token(desk->keeper, q.name);
    if (token != NULL)
        return ask_token(token, desk, &q);
    octets = gh_keeper_store_answer(desk->keeper->store, ask, &len);
    if (octets == NULL)
        return false;
    sent = gh_channel_send(desk->channel, GH_MESSAGE_KEEPER_ANSWER, octets, len, -1);
    gh_wipe(octets, len);
    free(octets);
    return sent;
}

static void on_client_broken(void *ctx, const char *why)
{
    struct desk *desk = ctx;

    gh_info("a client: %s", why);
    for (struct token *t = desk->keeper->tokens; t != NULL; t = t->next)
        gh_ike_desk_forget(t->desk, desk);
    gh_channel_close(desk->channel);
    free(desk);
}

static bool open_desk(struct keeper *k, int fd)
{
    static const struct gh_channel_ops ops = {.message = on_ask, .broken = on_client_broken};
    struct desk *desk = k->store != NULL ? calloc(1, sizeof(*desk)) : NULL;

    if (desk == NULL) {
        close(fd);
        return false;
    }
    desk->keeper = k;
    desk->channel = gh_channel_new(&k->loop, fd, GH_TO_DESK, &ops, desk);
    if (desk->channel == NULL) {
        free(desk);
        return false;
    }
    gh_channel_hold(desk->channel); /* answers leave when all that was asked has been read */
    return true;
}

/* ---- The order ------------------------------------------------------------------------------ */

/* False: no memory, or no process. */
static bool add_token(struct keeper *k, struct gh_keeper_order *order, size_t item)
{
    static const struct gh_ike_desk_ops ops = {.answer = on_token_answer, .lost = on_token_lost};
    struct token *t = calloc(1, sizeof(*t));
    int fd = t != NULL ? gh_keeper_token_start(order, item, k->uid, k->gid) : -1;

    if (t != NULL)
        t->desk = gh_ike_desk_new(&k->loop, &ops, t);
    if (fd < 0 || t->desk == NULL) {
        if (t != NULL)
            gh_ike_desk_free(t->desk);
        free(t);
        if (fd >= 0)
            close(fd);
        return false;
    }
    snprintf(t->name, sizeof(t->name), "%s", order->items[item].name);
    gh_ike_desk_open(t->desk, fd);
    t->next = k->tokens;
    k->tokens = t;
    return true;
}

/* Before any secret is read: what they run is not to have it in its memory. */
static size_t start_tokens(struct keeper *k, struct gh_keeper_order *order)
{
    size_t count = 0;

    for (size_t i = 0; i < order->count; i++) {
        if (order->items[i].source.place != GH_PLACE_TOKEN || order->items[i].spki_len == 0)
            continue;
        if (add_token(k, order, i))
            count++;
        else
            gh_error("%s: there is no process for the token", order->items[i].name);
    }
    return count;
}

static size_t count_tokens(const struct gh_keeper_order *order)
{
    size_t count = 0;

    for (size_t i = 0; i < order->count; i++)
        count += order->items[i].source.place == GH_PLACE_TOKEN;
    return count;
}

static void on_problem(void *ctx, const char *name, const struct gh_pki_error *e)
{
    gh_error("%s: %s; %s", name, e->message, e->remedy);
}

/* libcrypto and the C library open files when they are first used; inside the sandbox they may
 * not. The store tries every key by itself. */
static void warm_up(void)
{
    const struct gh_view octets = gh_view_of("warm-up", 7);
    uint8_t out[GH_PRF_MAX];

    tzset();
    OPENSSL_init_crypto(OPENSSL_INIT_LOAD_CONFIG | OPENSSL_INIT_LOAD_CRYPTO_STRINGS, NULL);
    for (int prf = GH_PRF_NONE; prf <= GH_PRF_AES128_CMAC; prf++)
        if (gh_prf_len(prf) != 0 && !gh_prf(prf, octets, &octets, 1, out))
            gh_warning("libcrypto does not offer PRF %d", prf);
}

static bool load(struct keeper *k, struct gh_rd *body, int fd)
{
    uint64_t len = gh_rd_u64(body);
    struct gh_keeper_order order = {.items = NULL};
    size_t failed, count, tokens;
    void *data = len > 0 ? mmap(NULL, len, PROT_READ, MAP_PRIVATE, fd, 0) : MAP_FAILED;
    bool good;

    close(fd);
    if (data == MAP_FAILED)
        return false;
    good = gh_keeper_order_decode(gh_view_of(data, len), &order);
    munmap(data, len);
    k->store = good ? gh_keeper_store_new() : NULL;
    if (k->store == NULL) {
        gh_keeper_order_clear(&order);
        return false;
    }
    tokens = start_tokens(k, &order);
    count = order.count - count_tokens(&order);
    failed = gh_keeper_load(&order, k->store, on_problem, NULL);
    gh_keeper_order_clear(&order);
    gh_info("holds %zu secrets of %zu", count - failed, count);
    if (tokens > 0)
        gh_info("asks %zu processes for keys in tokens", tokens);
    return true;
}

static bool take_order(struct keeper *k, struct gh_rd *body, int fd)
{
    if (k->store != NULL) {
        close(fd);
        return false;
    }
    if (!load(k, body, fd))
        return false;
    warm_up();
    if (!gh_sandbox_enter(GH_SANDBOX_KEEPER, k->uid, k->gid))
        _exit(1);
    return gh_channel_send(k->parent, GH_MESSAGE_READY, NULL, 0, -1);
}

/* ---- The parent ----------------------------------------------------------------------------- */

static bool on_message(void *ctx, struct gh_frame *frame, int fd)
{
    struct keeper *k = ctx;

    switch (frame->type) {
    case GH_MESSAGE_KEEPER_ORDER:
        return take_order(k, &frame->body, fd);
    case GH_MESSAGE_KEEPER_CLIENT:
        return open_desk(k, fd);
    case GH_MESSAGE_PING:
        return gh_channel_send(k->parent, GH_MESSAGE_PONG, NULL, 0, -1);
    default:
        return false;
    }
}

static void on_broken(void *ctx, const char *why)
{
    struct keeper *k = ctx;

    gh_notice("the parent: %s; ending", why);
    gh_keeper_store_free(k->store); /* wipes */
    _exit(0);
}

/* From the first secret on, not only from the sandbox on. */
static void hide_memory(void)
{
    const struct rlimit none = {0, 0};

    if (setrlimit(RLIMIT_CORE, &none) != 0 || prctl(PR_SET_DUMPABLE, 0) != 0)
        gh_warning("cannot keep its memory out of core dumps");
}

int gh_keeper_main(uid_t uid, gid_t gid)
{
    static const struct gh_channel_ops ops = {.message = on_message, .broken = on_broken};
    struct keeper k = {.uid = uid, .gid = gid};

    /* The parent says when to end, by closing the channel. */
    signal(SIGINT, SIG_IGN);
    signal(SIGTERM, SIG_IGN);
    signal(SIGHUP, SIG_IGN);
    signal(SIGPIPE, SIG_IGN);
    prctl(PR_SET_NAME, "gatehoused-keep"); /* 15 characters are shown */
    hide_memory();
    if (uv_loop_init(&k.loop) != 0)
        return 1;
    k.parent = gh_channel_new(&k.loop, GH_CHILD_CHANNEL_FD, GH_TO_KEEPER, &ops, &k);
    if (k.parent == NULL)
        return 1;
    return uv_run(&k.loop, UV_RUN_DEFAULT);
}

int gh_keeper_order_seal(const struct gh_keeper_order *o, size_t *len)
{
    uint8_t *data = gh_keeper_order_encode(o, len);
    int fd;

    if (data == NULL)
        return -1;
    fd = gh_sealed_file("gatehouse-order", data, *len);
    gh_wipe(data, *len);
    free(data);
    return fd;
}
