#include "daemon/xfrm.h"

#include <signal.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>
#include <uv.h>

#include "base/log.h"
#include "daemon/channel.h"
#include "daemon/child.h"
#include "daemon/plane_messages.h"
#include "daemon/sandbox.h"
#include "daemon/xfrm_priv.h"
#include "daemon/xfrm_sas.h"

enum { TICK_MS = 1000 };

/* ---- `esp` ---------------------------------------------------------------------------------- */

static bool take_sa(struct xfrm *x, struct gh_rd *body,
                    void (*fn)(struct xfrm *, const struct gh_plane_sa *))
{
    struct gh_plane_sa sa;

    if (!gh_plane_take_sa(body, &sa))
        return false;
    fn(x, &sa);
    return true;
}

static void begin(struct xfrm *x)
{
    gh_kernel_sas_clear(&x->sas);
    x->whole = false;
    x->counts = (struct gh_plane_counts){0};
    for (size_t i = 0; i < x->place_count; i++)
        x->places[i]->given = false;
}

static void end(struct xfrm *x)
{
    x->whole = true;
    for (size_t i = 0; i < x->place_count; i++)
        xfrm_sweep(x, (uint32_t)i);
}

static bool on_esp_message(void *ctx, struct gh_frame *frame, int fd)
{
    struct xfrm *x = ctx;

    switch (frame->type) {
    case GH_MESSAGE_PLANE_BEGIN:
        begin(x);
        return true;
    case GH_MESSAGE_PLANE_END:
        end(x);
        return true;
    case GH_MESSAGE_PLANE_POLICIES:
        return xfrm_set_policies(x, &frame->body);
    case GH_MESSAGE_PLANE_SA:
        return take_sa(x, &frame->body, xfrm_take_over);
    case GH_MESSAGE_PLANE_MOVE:
        return take_sa(x, &frame->body, xfrm_move);
    case GH_MESSAGE_PLANE_MARK: /* the kernel answers each request before it is asked the next */
        return gh_channel_send(x->esp, GH_MESSAGE_PLANE_MARKED, frame->body.p,
                               gh_rd_left(&frame->body), -1);
    case GH_MESSAGE_PLANE_REMOVE:
        xfrm_remove(x, gh_rd_u64(&frame->body));
        return true;
    default:
        return false;
    }
}

static void on_esp_broken(void *ctx, const char *why)
{
    struct xfrm *x = ctx;

    gh_notice("esp: %s; the kernel goes on", why);
    gh_channel_close(x->esp);
    x->esp = NULL;
}

static bool open_esp(struct xfrm *x, int fd)
{
    static const struct gh_channel_ops ops = {.message = on_esp_message, .broken = on_esp_broken};

    gh_channel_close(x->esp);
    x->esp = gh_channel_new(&x->loop, fd, GH_TO_PLANE, &ops, x);
    return x->esp != NULL;
}

/* ---- The parent ----------------------------------------------------------------------------- */

static bool on_message(void *ctx, struct gh_frame *frame, int fd)
{
    struct xfrm *x = ctx;

    switch (frame->type) {
    case GH_MESSAGE_XFRM_SOCKET:
        return xfrm_take_socket(x, &frame->body, fd);
    case GH_MESSAGE_XFRM_PLACE_GONE:
        return xfrm_leave_place(x, &frame->body);
    case GH_MESSAGE_PLANE:
        return open_esp(x, fd);
    case GH_MESSAGE_PING:
        return gh_channel_send(x->parent, GH_MESSAGE_PONG, NULL, 0, -1);
    default:
        if (fd >= 0)
            close(fd);
        return false;
    }
}

static void on_broken(void *ctx, const char *why)
{
    gh_notice("the parent: %s; ending", why);
    _exit(0);
}

/* ---- Life ----------------------------------------------------------------------------------- */

int gh_xfrm_main(uid_t uid, gid_t gid)
{
    static const struct gh_channel_ops ops = {.message = on_message, .broken = on_broken};
    static struct xfrm x;

    /* The parent says when to end, by closing the channel. */
    signal(SIGINT, SIG_IGN);
    signal(SIGTERM, SIG_IGN);
    signal(SIGHUP, SIG_IGN);
    signal(SIGPIPE, SIG_IGN);
    prctl(PR_SET_NAME, "gatehoused-xfrm");
    tzset();
    if (uv_loop_init(&x.loop) != 0 || uv_timer_init(&x.loop, &x.timer) != 0)
        return 1;
    x.timer.data = &x;
    if (!gh_sandbox_enter(GH_SANDBOX_XFRM, uid, gid))
        return 1;
    x.parent = gh_channel_new(&x.loop, GH_CHILD_CHANNEL_FD, GH_TO_XFRM, &ops, &x);
    if (x.parent == NULL || !gh_channel_send(x.parent, GH_MESSAGE_READY, NULL, 0, -1))
        return 1;
    uv_timer_start(&x.timer, xfrm_look, TICK_MS, TICK_MS);
    return uv_run(&x.loop, UV_RUN_DEFAULT);
}
