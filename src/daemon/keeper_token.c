#include "daemon/keeper_token.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/log.h"
#include "daemon/frame.h"
#include "daemon/sandbox.h"
#include "keeper/token.h"
#include "wire/wr.h"

/* How a worker ended: its module broke down, another worker is to go on, or the keeper is gone. */
enum worker_end { BROKE_DOWN, AGAIN, ENDED };

/* What outlives a worker, in memory that both share. */
struct kept {
    bool pin_refused; /* it was given and there was no key: never again */
    enum { TOLD_NOTHING, TOLD_USABLE, TOLD_UNUSABLE } told; /* what the log says of the key */
    enum worker_end end; /* no exit status: a module may choose that */
    size_t len;          /* of the request that has no answer yet; 0: there is none */
    bool tried;          /* a worker began with it */
    uint8_t request[GH_KEEPER_REQUEST_MAX];
};

struct token {
    const struct gh_order_item *item;
    struct gh_secret pin;
    bool has_pin;            /* or needs none; false: it cannot be read, `why` says it */
    struct gh_pki_error why; /* of no PIN, and of no key */
    struct gh_keeper_store *store;
    struct kept *kept;
    int fd;
};

/* ---- The socket ----------------------------------------------------------------------------- */

static bool read_all(int fd, uint8_t *to, size_t len)
{
    while (len > 0) {
        ssize_t n = read(fd, to, len);

        if (n == 0 || (n < 0 && errno != EINTR))
            return false;
        if (n > 0) {
            to += n;
            len -= (size_t)n;
        }
    }
    return true;
}

static bool send_all(int fd, const uint8_t *from, size_t len)
{
    while (len > 0) {
        ssize_t n = send(fd, from, len, MSG_NOSIGNAL);

        if (n < 0 && errno != EINTR)
            return false;
        if (n > 0) {
            from += n;
            len -= (size_t)n;
        }
    }
    return true;
}

/* False: the keeper is gone. */
static bool read_request(struct token *t)
{
    uint8_t header[GH_FRAME_HEADER];
    struct gh_rd r;
    size_t len;

    if (!read_all(t->fd, header, sizeof(header)))
        return false;
    r = gh_rd_make(header, sizeof(header));
    gh_rd_skip(&r, 4);
    len = gh_rd_u32(&r);
    if (len > sizeof(t->kept->request) || !read_all(t->fd, t->kept->request, len))
        return false;
    t->kept->len = len;
    t->kept->tried = false;
    return true;
}

/* To the request that waits. */
static bool send_answer(struct token *t, const uint8_t *answer, size_t len)
{
    uint8_t header[GH_FRAME_HEADER];

    t->kept->len = 0;
    return gh_frame_header(GH_MESSAGE_KEEPER_ANSWER, len, header) &&
           send_all(t->fd, header, sizeof(header)) && send_all(t->fd, answer, len);
}

static bool refuse(struct token *t, const char *why)
{
    struct gh_keeper_request q;
    struct gh_keeper_answer a = {.result = GH_KEEPER_REFUSED,
                                 .value = gh_view_of(why, strlen(why))};
    uint8_t out[5 + sizeof(t->why.message)];
    struct gh_wr w = gh_wr_make(out, sizeof(out));

    if (!gh_keeper_request_parse(gh_view_of(t->kept->request, t->kept->len), &q))
        return false;
    a.id = q.id;
    return gh_keeper_answer_put(&w, &a) && send_answer(t, out, w.len);
}

/* ---- The worker ----------------------------------------------------------------------------- */

static void tell(struct token *t, bool usable)
{
    if (!usable && t->kept->told != TOLD_UNUSABLE)
        gh_error("%s: %s: %s; %s", t->item->from, t->item->name, t->why.message, t->why.remedy);
    else if (usable && t->kept->told != TOLD_USABLE)
        gh_notice("%s: the key in the token can be used", t->item->name);
    t->kept->told = usable ? TOLD_USABLE : TOLD_UNUSABLE;
}

static bool open_key(struct token *t)
{
    struct gh_view spki = gh_view_of(t->item->spki, t->item->spki_len);
    struct gh_bundle bundle = {.key = NULL};
    bool pin_given = false;

    if (!t->has_pin)
        return false;
    if (t->kept->pin_refused)
        return gh_pki_fail(&t->why, "token-pin", "correct it, then `gatectl reload`",
                           "the token has not taken the PIN, which is not given to it again");
    t->kept->pin_refused = t->pin.len > 0; /* should the module break down meanwhile */
    bundle.key = gh_token_open(t->item->source.where, gh_view_of(t->pin.data, t->pin.len), spki,
                               &pin_given, &t->why);
    t->kept->pin_refused = bundle.key == NULL && pin_given;
    return bundle.key != NULL && gh_keeper_store_add_key(t->store, t->item->name, &bundle, &t->why);
}

static bool is_refusal(const uint8_t *answer, size_t len)
{
    struct gh_keeper_answer a;

    return !gh_keeper_answer_parse(gh_view_of(answer, len), &a) || a.result == GH_KEEPER_REFUSED;
}

/* Answers requests until one fails. What fails with a key that was opened before it came is left to
 * the next worker: the token may have come back meanwhile. */
static enum worker_end work(struct token *t)
{
    bool before = t->kept->len == 0, usable = open_key(t);

    tell(t, usable);
    if (!usable && t->kept->len == 0)
        return AGAIN;
    while (t->kept->len > 0 || read_request(t)) {
        size_t len = 0;
        uint8_t *answer;

        if (!usable)
            return refuse(t, t->why.message) ? AGAIN : ENDED;
        answer = gh_keeper_store_answer(t->store, gh_view_of(t->kept->request, t->kept->len), &len);
        if (answer == NULL)
            return ENDED;
        if (is_refusal(answer, len) && before)
            return AGAIN;
        if (!send_answer(t, answer, len))
            return ENDED;
        if (is_refusal(answer, len))
            return AGAIN;
        before = true;
        free(answer);
    }
    return ENDED;
}

/* ---- The process that stays ----------------------------------------------------------------- */

/* With whoever made us we end. False: that one is gone already. */
static bool tie_to(pid_t maker)
{
    return prctl(PR_SET_PDEATHSIG, SIGKILL) == 0 && getppid() == maker;
}

static bool refuse_if(struct token *t, bool pending, const char *why)
{
    return !pending || refuse(t, why);
}

static void tell_end(const struct token *t, int status)
{
    if (WIFEXITED(status))
        gh_error("%s: the token's module ended its process with status %d", t->item->name,
                 WEXITSTATUS(status));
    else
        gh_error("%s: the token's module ended its process by signal %d (%s)", t->item->name,
                 WTERMSIG(status), strsignal(WTERMSIG(status)));
}

/* False: it is time to end. */
static bool run_worker(struct token *t)
{
    pid_t self = getpid(), worker;
    int status = 0;

    t->kept->tried = t->kept->len > 0;
    t->kept->end = BROKE_DOWN;
    worker = fork();
    if (worker == 0) {
        t->kept->end = tie_to(self) ? work(t) : ENDED;
        _exit(0);
    }
    if (worker < 0) {
        gh_error("%s: fork: %s", t->item->name, strerror(errno));
        return refuse_if(t, t->kept->len > 0, "there is no process for the token");
    }
    while (waitpid(worker, &status, 0) < 0 && errno == EINTR)
        ;
    if (t->kept->end == ENDED)
        return false;
    if (t->kept->end == BROKE_DOWN)
        tell_end(t, status);
    return refuse_if(t, t->kept->len > 0 && t->kept->tried, "the token's module broke down");
}

static void serve(struct token *t)
{
    do {
        if (!run_worker(t))
            return;
    } while (t->kept->len > 0 || read_request(t)); /* no worker before there is work */
}

static void read_pin(struct token *t)
{
    t->has_pin = gh_keeper_read_line(&t->item->passphrase, &t->pin, &t->why);
}

/* The new process: of the keeper's descriptors and secrets it keeps its own. */
static int run(struct gh_keeper_order *order, size_t item, int fd, uid_t uid, gid_t gid)
{
    struct gh_order_item own = order->items[item];
    struct token t = {.item = &own, .fd = fd};

    order->items[item] = (struct gh_order_item){.kind = own.kind};
    gh_keeper_order_clear(order);
    if ((fd > 3 && close_range(3, (unsigned)fd - 1, 0) != 0) ||
        close_range((unsigned)fd + 1, ~0u, 0) != 0)
        return 1;
    prctl(PR_SET_NAME, "gatehoused-tok");
    t.store = gh_keeper_store_new();
    t.kept = mmap(NULL, sizeof(*t.kept), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (t.store == NULL || t.kept == MAP_FAILED)
        return 1;
    read_pin(&t);
    if (!gh_sandbox_enter(GH_SANDBOX_TOKEN, uid, gid))
        return 1;
    serve(&t);
    gh_secret_clear(&t.pin);
    return 0;
}

int gh_keeper_token_start(struct gh_keeper_order *order, size_t item, uid_t uid, gid_t gid)
{
    const char *name = order->items[item].name;
    pid_t self = getpid(), child;
    int pair[2];

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0) {
        gh_error("%s: socketpair: %s", name, strerror(errno));
        return -1;
    }
    child = fork();
    if (child == 0)
        _exit(tie_to(self) ? run(order, item, pair[1], uid, gid) : 1);
    close(pair[1]);
    if (child > 0)
        return pair[0];
    gh_error("%s: fork: %s", name, strerror(errno));
    close(pair[0]);
    return -1;
}
