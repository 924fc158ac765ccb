#include "daemon/child.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"

enum {
    PING_MS = 1000,
    UNANSWERED_MAX = 10, /* then it hangs */
    SETTLED_MS = 10000,  /* who lives that long did not fail at once */
    WAIT_FIRST_MS = 100,
    WAIT_MAX_MS = 5000
};

/* The first restart is immediate: segments wait. Then ever slower. */
static uint64_t wait_before_restart(unsigned failures)
{
    uint64_t wait = WAIT_FIRST_MS;

    if (failures <= 1)
        return 0;
    for (unsigned i = 2; i < failures && wait < WAIT_MAX_MS; i++)
        wait *= 2;
    return wait < WAIT_MAX_MS ? wait : WAIT_MAX_MS;
}

static const char *name_of(const struct gh_child *c)
{
    return c->name[0] != '\0' ? c->name : c->role;
}

static bool on_message(void *ctx, struct gh_frame *frame, int fd)
{
    struct gh_child *c = ctx;

    c->unanswered = 0;
    return c->ops->message(c->ctx, frame, fd);
}

static void on_broken(void *ctx, const char *why)
{
    struct gh_child *c = ctx;

    gh_warning("%s: %s", name_of(c), why);
    if (c->running)
        uv_process_kill(&c->process, SIGKILL);
}

static void on_restart(uv_timer_t *timer)
{
    struct gh_child *c = timer->data;

    if (!gh_child_start(c)) {
        c->failures++;
        uv_timer_start(&c->restart, on_restart, wait_before_restart(c->failures), 0);
    }
}

static void on_process_closed(uv_handle_t *handle)
{
    struct gh_child *c = handle->data;
    uint64_t wait;

    c->closing = false;
    if (c->stopping) {
        c->stopping = false;
        c->ops->stopped(c->ctx);
        return;
    }
    c->failures = uv_now(c->loop) - c->began < SETTLED_MS ? c->failures + 1 : 1;
    wait = wait_before_restart(c->failures);
    c->ops->ended(c->ctx, wait);
    uv_timer_start(&c->restart, on_restart, wait, 0);
}

static void on_exit(uv_process_t *process, int64_t status, int signal)
{
    struct gh_child *c = process->data;

    c->running = false;
    c->closing = true;
    uv_timer_stop(&c->watch);
    gh_channel_close(c->channel);
    c->channel = NULL;
    if (!c->stopping && signal != 0)
        gh_error("%s ended by signal %d (%s)", name_of(c), signal, strsignal(signal));
    else if (!c->stopping)
        gh_error("%s ended with status %d", name_of(c), (int)status);
    uv_close((uv_handle_t *)process, on_process_closed);
}

static void on_watch(uv_timer_t *timer)
{
    struct gh_child *c = timer->data;

    if (c->unanswered++ < UNANSWERED_MAX) {
        gh_channel_send(c->channel, GH_MESSAGE_PING, NULL, 0, -1);
        return;
    }
    gh_error("%s does not answer: killed", name_of(c));
    uv_process_kill(&c->process, SIGKILL);
}

static int spawn(struct gh_child *c, int fd)
{
    char self[] = "/proc/self/exe", name[] = "gatehoused", flag[] = "--role", role[16], user[64];
    char emulate[] = "--emulate-ao";
    char log[16], *args[] = {name, log, user, flag, role, c->emulate_ao ? emulate : NULL, NULL};
    uv_stdio_container_t stdio[] = {{.flags = UV_IGNORE},
                                    {.flags = UV_IGNORE},
                                    {.flags = UV_INHERIT_FD, .data.fd = 2},
                                    {.flags = UV_INHERIT_FD, .data.fd = fd},
                                    {.flags = UV_INHERIT_FD, .data.fd = c->lock}};
    uv_process_options_t options = {.file = self,
                                    .args = args,
                                    .exit_cb = on_exit,
                                    .stdio = stdio,
                                    .stdio_count = sizeof(stdio) / sizeof(stdio[0])};

    snprintf(log, sizeof(log), "--log=%d", (int)c->log_level);
    snprintf(role, sizeof(role), "%s", c->role);
    snprintf(user, sizeof(user), "--ids=%u:%u", (unsigned)c->uid, (unsigned)c->gid);
    return uv_spawn(c->loop, &c->process, &options);
}

bool gh_child_start(struct gh_child *c)
{
    static const struct gh_channel_ops ops = {.message = on_message, .broken = on_broken};
    int pair[2], error;

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0) {
        gh_error("%s: socketpair: %s", name_of(c), strerror(errno));
        return false;
    }
    if (c->restart.data == NULL) {
        uv_timer_init(c->loop, &c->restart);
        uv_timer_init(c->loop, &c->watch);
        c->restart.data = c->watch.data = c;
    }
    error = spawn(c, pair[1]);
    close(pair[1]);
    c->process.data = c;
    if (error == 0)
        c->channel = gh_channel_new(c->loop, pair[0], GH_TO_PARENT, &ops, c);
    else
        close(pair[0]);
    if (error != 0) {
        gh_error("%s: cannot start: %s", name_of(c), uv_strerror(error));
        uv_close((uv_handle_t *)&c->process, NULL);
        return false;
    }
    c->running = true;
    c->began = uv_now(c->loop);
    c->starts++;
    c->unanswered = 0;
    uv_timer_start(&c->watch, on_watch, PING_MS, PING_MS);
    c->ops->started(c->ctx);
    return true;
}

bool gh_child_settled(const struct gh_child *c)
{
    return c->running && uv_now(c->loop) - c->began >= SETTLED_MS;
}

bool gh_child_is_there(const struct gh_child *c)
{
    return c->running || c->closing;
}

bool gh_child_is_waiting(const struct gh_child *c)
{
    return c->restart.data != NULL && uv_is_active((const uv_handle_t *)&c->restart);
}

bool gh_child_stop(struct gh_child *c)
{
    c->stopping = gh_child_is_there(c);
    if (c->restart.data != NULL) {
        uv_timer_stop(&c->restart);
        uv_timer_stop(&c->watch);
    }
    gh_channel_close(c->channel); /* which it takes as the word to end */
    c->channel = NULL;
    return c->stopping;
}
