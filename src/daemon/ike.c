#include "daemon/ike.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>
#include <uv.h>

#include <openssl/crypto.h>

#include "base/log.h"
#include "base/secret.h"
#include "crypto/cipher.h"
#include "crypto/ke.h"
#include "crypto/prf.h"
#include "daemon/channel.h"
#include "daemon/child.h"
#include "daemon/ike_desk.h"
#include "daemon/ike_gatekeeper.h"
#include "daemon/ike_ipsec.h"
#include "daemon/ike_places.h"
#include "daemon/ike_priv.h"
#include "daemon/ike_udp.h"
#include "daemon/sandbox.h"

enum {
    TICK_MAX = 3600 * 1000,
    GROUP_MAX = 37 /* the last that crypto/ke.h knows */
};

/* ---- After each call of the core ------------------------------------------------------------ */

static void on_timer(uv_timer_t *timer);

/* Sends what the core said, and sets the timer by it. */
static void settle_now(struct ike *ike)
{
    struct gh_now at = gh_clock_now();
    uint64_t deadline, gatekeeper, ipsec, now = at.mono_ms, wait;

    gh_ike_gatekeeper_settle(ike->gatekeeper, at, ike->core);
    gh_ike_ipsec_settle(ike->ipsec, at, ike->core);
    deadline = ike2_next_deadline(ike->core);
    gatekeeper = gh_ike_gatekeeper_next_deadline(ike->gatekeeper);
    if (gatekeeper < deadline)
        deadline = gatekeeper;
    ipsec = gh_ike_ipsec_next_deadline(ike->ipsec);
    if (ipsec < deadline)
        deadline = ipsec;
    wait = deadline > now ? deadline - now : 0;
    for (size_t i = 0; i < ike->socket_count; i++)
        if (ike->sockets[i].udp != NULL)
            gh_ike_udp_flush(ike->sockets[i].udp, gh_ike_ipsec_reached(ike->ipsec));
    uv_timer_start(&ike->timer, on_timer, wait < TICK_MAX ? wait : TICK_MAX, 0);
    ike->unsettled = false;
}

void gh_ike_settle(struct ike *ike)
{
    ike->unsettled = true;
}

/* The loop is about to wait. */
static void on_prepare(uv_prepare_t *prepare)
{
    struct ike *ike = prepare->data;

    if (ike->unsettled)
        settle_now(ike);
    gh_ike_desk_flush(ike->desk);
    gh_channel_flush(ike->parent);
}

static void on_timer(uv_timer_t *timer)
{
    struct ike *ike = timer->data;

    ike2_tick(ike->core, gh_clock_now());
    gh_ike_notes_look(ike->notes, ike->core);
    gh_ike_forget_past(ike);
    gh_ike_settle(ike);
}

/* ---- The other processes -------------------------------------------------------------------- */

static void on_answer(void *asker, const struct gh_keeper_answer *a)
{
    struct ike *ike = asker;

    ike->now = gh_clock_now();
    ike2_complete(ike->core, ike->now, a);
    gh_ike_notes_look(ike->notes, ike->core);
    gh_ike_settle(ike);
}

static void on_desk_lost(void *ctx)
{
    struct ike *ike = ctx;

    gh_channel_send(ike->parent, GH_MESSAGE_DESK_LOST, NULL, 0, -1);
}

static bool open_desk(struct ike *ike, int fd)
{
    gh_ike_desk_open(ike->desk, fd);
    return true;
}

static uint16_t on_zone(void *ctx, const char *netns, const char *vrf)
{
    struct ike *ike = ctx;

    return gh_ike_place(ike->places, netns[0] != '\0' ? netns : NULL, vrf[0] != '\0' ? vrf : NULL);
}

static void on_stirred(void *ctx)
{
    struct ike *ike = ctx;

    ike->now = gh_clock_now();
    if (ike->core != NULL)
        gh_ike_settle(ike);
}

/* ---- The parent ----------------------------------------------------------------------------- */

static bool on_message(void *ctx, struct gh_frame *frame, int fd)
{
    struct ike *ike = ctx;

    switch (frame->type) {
    case GH_MESSAGE_CONFIG:
        return gh_ike_configure(ike, &frame->body, fd);
    case GH_MESSAGE_IKE_SOCKET:
        return gh_ike_add_socket(ike, &frame->body, fd);
    case GH_MESSAGE_IKE_SOCKET_FAILED:
        return gh_ike_note_failed_socket(ike, &frame->body);
    case GH_MESSAGE_IKE_ADDRESSES:
        return gh_ike_take_addresses(ike, &frame->body);
    case GH_MESSAGE_IKE_WAY:
        return gh_ike_take_way(ike, &frame->body);
    case GH_MESSAGE_DESK:
        return open_desk(ike, fd);
    case GH_MESSAGE_GATEKEEPER:
        gh_ike_gatekeeper_open(ike->gatekeeper, fd);
        return true;
    case GH_MESSAGE_CHILDREN:
        return gh_ike_ipsec_open(ike->ipsec, gh_rd_u8(&frame->body), fd, ike->core);
    case GH_MESSAGE_KEY_LOG:
        return gh_ike_take_key_log(ike, &frame->body, fd);
    case GH_MESSAGE_CRASH_SECRET:
        return gh_ike_take_crash_secret(ike, &frame->body);
    case GH_MESSAGE_IKE_ORDERS:
        return gh_ike_take_orders(ike, &frame->body);
    case GH_MESSAGE_TICKETS:
        return gh_ike_take_tickets(ike, fd);
    case GH_MESSAGE_REQUEST:
        return gh_ike_handle_request(ike, &frame->body);
    case GH_MESSAGE_MONITORS:
        ike->monitored = gh_rd_u8(&frame->body) == 1;
        return true;
    case GH_MESSAGE_PING:
        return gh_channel_send(ike->parent, GH_MESSAGE_PONG, NULL, 0, -1);
    default:
        return false;
    }
}

struct sa_ids {
    const uint16_t *zone; /* NULL: all */
    uint64_t *list;       /* NULL: only counted */
    size_t count;
};

static void add_id(void *ctx, const struct ike2_sa_view *v)
{
    struct sa_ids *ids = ctx;

    if (ids->zone != NULL && *ids->zone != v->local.zone)
        return;
    if (ids->list != NULL)
        ids->list[ids->count] = v->id;
    ids->count++;
}

void gh_ike_end_sas(struct ike *ike, const uint16_t *zone)
{
    struct sa_ids ids = {.zone = zone};

    ike->now = gh_clock_now();
    ike2_each_sa(ike->core, add_id, &ids);
    ids.list = calloc(ids.count + 1, sizeof(*ids.list));
    ids.count = 0;
    if (ids.list == NULL)
        return;
    ike2_each_sa(ike->core, add_id, &ids);
    for (size_t i = 0; i < ids.count; i++)
        ike2_terminate_ike(ike->core, ike->now, ids.list[i]);
    settle_now(ike);
    free(ids.list);
}

static void on_broken(void *ctx, const char *why)
{
    struct ike *ike = ctx;

    gh_notice("the parent: %s; ending", why);
    if (ike->core != NULL) {
        gh_ike_end_sas(ike, NULL);
        ike2_free(ike->core); /* wipes */
    }
    gh_wipe(ike->crash_secret, sizeof(ike->crash_secret));
    _exit(0);
}

/* ---- Life ----------------------------------------------------------------------------------- */

/* libcrypto and the C library open files when they are first used; inside the sandbox they may
 * not. */
static void warm_up(void)
{
    const struct gh_view octets = gh_view_of("warm-up", 7);
    uint8_t out[GH_PRF_MAX];

    tzset();
    json_object_seed(0);
    OPENSSL_init_crypto(OPENSSL_INIT_LOAD_CONFIG | OPENSSL_INIT_LOAD_CRYPTO_STRINGS, NULL);
    for (int prf = GH_PRF_NONE; prf <= GH_PRF_AES128_CMAC; prf++)
        if (gh_prf_len(prf) != 0 && !gh_prf(prf, octets, &octets, 1, out))
            gh_warning("libcrypto does not offer PRF %d", prf);
    for (unsigned enc = GH_ENC_DES; enc <= GH_ENC_CHACHA20_POLY1305_IIV; enc++)
        for (unsigned bits = 0; bits <= 256; bits += 64)
            if (gh_enc_known(enc, bits))
                gh_enc_available(enc, bits);
    for (unsigned group = 1; group <= GROUP_MAX; group++)
        if (gh_ke_known(group))
            gh_ke_available(group);
}

int gh_ike_main(uid_t uid, gid_t gid)
{
    static const struct gh_channel_ops ops = {.message = on_message, .broken = on_broken};
    static const struct gh_ike_desk_ops desk_ops = {.answer = on_answer, .lost = on_desk_lost};
    static const struct gh_ike_gatekeeper_ops gatekeeper_ops = {
        .random = gh_ike_random, .event = gh_ike_gatekeeper_event, .stirred = on_stirred};
    static const struct gh_ike_ipsec_ops ipsec_ops = {
        .stray = gh_ike_stray, .stirred = on_stirred, .zone = on_zone};
    static const struct gh_ike_places_ops places_ops = {.ask = gh_ike_ask_way};
    uint64_t epoch;
    struct ike ike = {.key_logs = {-1, -1},
                      .next_key_logs = {-1, -1},
                      .batch = gh_ike_batch_new(),
                      .notes = gh_ike_notes_new()};

    /* The parent says when to end, by closing the channel. */
    signal(SIGINT, SIG_IGN);
    signal(SIGTERM, SIG_IGN);
    signal(SIGHUP, SIG_IGN);
    signal(SIGPIPE, SIG_IGN);
    prctl(PR_SET_NAME, "gatehoused-ike");
    ike.places = gh_ike_places_new(&places_ops, &ike);
    if (ike.batch == NULL || ike.notes == NULL || ike.places == NULL ||
        uv_loop_init(&ike.loop) != 0 || uv_timer_init(&ike.loop, &ike.timer) != 0 ||
        uv_prepare_init(&ike.loop, &ike.prepare) != 0)
        return 1;
    ike.timer.data = &ike;
    ike.prepare.data = &ike;
    warm_up();
    if (!gh_sandbox_enter(GH_SANDBOX_IKE, uid, gid))
        return 1;
    ike.parent = gh_channel_new(&ike.loop, GH_CHILD_CHANNEL_FD, GH_TO_IKE, &ops, &ike);
    ike.desk = gh_ike_desk_new(&ike.loop, &desk_ops, &ike);
    ike.gatekeeper = gh_ike_gatekeeper_new(&ike.loop, &gatekeeper_ops, &ike);
    gh_ike_random(&ike, &epoch, sizeof(epoch));
    ike.ipsec = gh_ike_ipsec_new(&ike.loop, epoch, &ipsec_ops, &ike);
    if (ike.parent == NULL || ike.desk == NULL || ike.gatekeeper == NULL || ike.ipsec == NULL ||
        !gh_channel_send(ike.parent, GH_MESSAGE_READY, NULL, 0, -1))
        return 1;
    gh_channel_hold(ike.parent);
    uv_prepare_start(&ike.prepare, on_prepare);
    return uv_run(&ike.loop, UV_RUN_DEFAULT);
}
