#include "daemon/esp_kernel.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/secret.h"
#include "daemon/channel.h"
#include "daemon/esp_kernel_entries.h"
#include "ike/ts_set.h"
#include "platform/xfrm_message.h"

enum { SAS_MAX = 2 * GH_ESP_CHILDREN_MAX + 1 };

/* One direction of a child. */
struct sa {
    bool sent;
    bool past; /* the configuration does not want all of it any more: no policy leads to it */
    uint32_t policy, tie;
    uint64_t order; /* of its coming */
    char netns[GH_ESP_NETNS];
    enum ipsec_protocol protocol;
    enum ipsec_mode mode;
    struct gh_addr local, remote;
    uint16_t remote_port;
    struct ike_ts_list ts_local, ts_remote;
    struct ipsec_sa mirror;
};

struct gh_esp_kernel {
    uv_timer_t due; /* policies are to be told */
    struct gh_channel *channel;
    uv_loop_t *loop;
    struct gh_esp_names *policies;
    const struct gh_esp_kernel_ops *ops;
    void *ctx;
    struct gh_esp_plane plane;
    struct sa **sas; /* [SAS_MAX] by number */
    uint64_t top;    /* numbers from here on are free */
    uint64_t order;
    uint32_t *ties; /* [tie_count] by policy; 0: none yet */
    size_t tie_count;
    uint32_t last_tie;
    struct gh_kernel_entry *entries; /* in the order of the configuration */
    size_t entry_count;
    char (*told)[GH_ESP_NETNS]; /* namespaces that have policies */
    size_t told_count;
    bool configured;
    uint64_t mark; /* the last that was asked for */
    struct gh_plane_counts counts;
};

/* ---- Ties ----------------------------------------------------------------------------------- */

/* *tie is written if it is 0. False: no memory. */
static bool tie_up(struct gh_esp_kernel *k, uint32_t policy, uint32_t *tie)
{
    if (policy == UINT32_MAX)
        return false;
    if (policy >= k->tie_count) {
        size_t count = k->policies->count > policy ? k->policies->count : (size_t)policy + 1;
        uint32_t *ties = reallocarray(k->ties, count, sizeof(*ties));

        if (ties == NULL)
            return false;
        memset(ties + k->tie_count, 0, (count - k->tie_count) * sizeof(*ties));
        k->ties = ties;
        k->tie_count = count;
    }
    if (*tie != 0)
        k->ties[policy] = *tie;
    else if (k->ties[policy] == 0)
        k->ties[policy] = k->last_tie + 1;
    *tie = k->ties[policy];
    if (*tie > k->last_tie)
        k->last_tie = *tie;
    return *tie < GH_XFRM_REQIDS;
}

static uint32_t policy_of(const struct gh_esp_kernel *k, uint32_t reqid)
{
    for (size_t i = 0; i < k->tie_count; i++)
        if (k->ties[i] != 0 && gh_xfrm_reqid(k->ties[i]) == reqid)
            return (uint32_t)i;
    return UINT32_MAX;
}

/* ---- Policies ------------------------------------------------------------------------------- */

static const struct gh_kernel_entry *entry_of(const struct gh_esp_kernel *k, uint32_t policy)
{
    for (size_t i = 0; i < k->entry_count; i++)
        if (k->entries[i].policy.number == policy)
            return &k->entries[i];
    return NULL;
}

/* Does the configuration's policy lead to this SA? */
static bool led_to(const struct gh_kernel_entry *e, const struct sa *sa)
{
    const struct gh_plane_policy p = {.protocol = sa->protocol,
                                      .local = sa->local,
                                      .remote = sa->remote,
                                      .ts_local = sa->ts_local,
                                      .ts_remote = sa->ts_remote};

    return gh_kernel_entry_leads(e, &p);
}

static void policies_are_due(struct gh_esp_kernel *k);

/* Its coming, going or moving wants another policy. */
static void consider(struct gh_esp_kernel *k, const struct sa *sa)
{
    const struct gh_kernel_entry *e = entry_of(k, sa->policy);

    if (sa->mirror.p.way == IPSEC_OUT && e != NULL && !led_to(e, sa))
        policies_are_due(k);
}

struct writing {
    struct gh_wr w;
    uint32_t count;
};

static void put_own(struct gh_esp_kernel *k, struct writing *x, const struct gh_kernel_entry *e,
                    const char *netns)
{
    const struct sa *list[64];
    size_t count = 0;

    /* The newest first: of the same selectors it counts. */
    for (uint64_t i = 1; i < k->top; i++) {
        const struct sa *sa = k->sas[i];
        size_t at = count;

        if (sa == NULL || sa->mirror.p.way != IPSEC_OUT || sa->policy != e->policy.number ||
            strcmp(sa->netns, netns) != 0 || sa->past || led_to(e, sa))
            continue;
        if (count == sizeof(list) / sizeof(list[0])) {
            count--; /* the oldest goes without: its traffic waits for a newer one */
            at--;
        }
        while (at > 0 && list[at - 1]->order < sa->order) {
            list[at] = list[at - 1];
            at--;
        }
        list[at] = sa;
        count++;
    }
    for (size_t i = 0; i < count; i++) {
        const struct gh_plane_policy p = {.number = list[i]->policy,
                                          .action = IPSEC_PROTECT,
                                          .out = true,
                                          .in = true,
                                          .tie = list[i]->tie,
                                          .protocol = list[i]->protocol,
                                          .mode = list[i]->mode,
                                          .local = list[i]->local,
                                          .remote = list[i]->remote,
                                          .ts_local = list[i]->ts_local,
                                          .ts_remote = list[i]->ts_remote};

        gh_plane_put_policy(&x->w, &p);
        x->count++;
    }
}

static void tell_namespace(struct gh_esp_kernel *k, const char *netns, uint8_t *mem, size_t size)
{
    struct writing x = {.w = gh_wr_make(mem, size)};
    size_t at;

    gh_esp_put_string(&x.w, netns);
    at = x.w.len;
    gh_wr_u32(&x.w, 0);
    for (size_t i = 0; i < k->entry_count; i++) {
        if (strcmp(k->entries[i].netns, netns) != 0)
            continue;
        put_own(k, &x, &k->entries[i], netns);
        gh_plane_put_policy(&x.w, &k->entries[i].policy);
        x.count++;
    }
    if (!gh_wr_ok(&x.w)) {
        gh_error("policies for the kernel: more than can be");
        return;
    }
    gh_wr_put_u32(&x.w, at, x.count);
    gh_channel_send(k->channel, GH_MESSAGE_PLANE_POLICIES, mem, x.w.len, -1);
}

static bool note_told(struct gh_esp_kernel *k, const char *netns)
{
    void *more;

    for (size_t i = 0; i < k->told_count; i++)
        if (strcmp(k->told[i], netns) == 0)
            return true;
    more = reallocarray(k->told, k->told_count + 1, sizeof(*k->told));
    if (more == NULL)
        return false;
    k->told = more;
    (void)snprintf(k->told[k->told_count++], sizeof(*k->told), "%s", netns);
    return true;
}

static void tell_policies(struct gh_esp_kernel *k)
{
    const size_t each = 64 + 2 * IKE_TS_MAX * 48;
    size_t size = 1024 + each * k->entry_count;
    uint8_t *mem;

    for (uint64_t i = 1; i < k->top; i++)
        size += k->sas[i] != NULL ? each : 0;
    if (size > GH_FRAME_BODY_MAX)
        size = GH_FRAME_BODY_MAX;
    mem = malloc(size);
    for (size_t i = 0; i < k->entry_count; i++)
        if (!note_told(k, k->entries[i].netns))
            gh_error("policies for the kernel: no memory");
    for (size_t i = 0; mem != NULL && i < k->told_count; i++)
        tell_namespace(k, k->told[i], mem, size);
    if (mem == NULL)
        gh_error("policies for the kernel: no memory");
    free(mem);
}

static void on_due(uv_timer_t *timer)
{
    struct gh_esp_kernel *k = timer->data;

    if (k->channel != NULL && k->configured)
        tell_policies(k);
}

/* Many changes at a time are told once. */
static void policies_are_due(struct gh_esp_kernel *k)
{
    uv_timer_start(&k->due, on_due, 0, 0);
}

static void begin(struct gh_esp_kernel *k);

/* Those that were agreed on under an earlier configuration. */
static void look_over_sas(struct gh_esp_kernel *k)
{
    for (uint64_t i = 1; i < k->top; i++) {
        struct sa *sa = k->sas[i];
        const struct gh_kernel_entry *e = sa != NULL ? entry_of(k, sa->policy) : NULL;

        if (e != NULL)
            sa->past = !e->clients && !(ike_ts_list_contains(&e->policy.ts_local, &sa->ts_local) &&
                                        ike_ts_list_contains(&e->policy.ts_remote, &sa->ts_remote));
    }
}

bool gh_esp_kernel_configure(struct gh_esp_kernel *k, const struct gh_ike_config *config)
{
    bool first = !k->configured, good;

    free(k->entries);
    k->entries = gh_kernel_entries(config, k->policies, &k->entry_count);
    good = k->entries != NULL;
    for (size_t i = 0; good && i < k->entry_count; i++)
        if (k->entries[i].child)
            good = tie_up(k, k->entries[i].policy.number, &k->entries[i].policy.tie);
    k->configured = good;
    look_over_sas(k);
    if (good && first)
        begin(k);
    else if (good)
        on_due(&k->due);
    return good;
}

bool gh_esp_kernel_has(const struct gh_esp_kernel *k, uint32_t policy)
{
    return entry_of(k, policy) != NULL;
}

/* ---- SAs ------------------------------------------------------------------------------------ */

static struct sa *find(const struct gh_esp_kernel *k, uint64_t id)
{
    return id < k->top ? k->sas[id] : NULL;
}

static void send_sa(struct gh_esp_kernel *k, enum gh_message type, const struct gh_esp_plane_sa *sa,
                    bool there)
{
    struct gh_plane_sa message = {
        .id = sa->id, .way = sa->way, .tie = *sa->tie, .there = there, .child = *sa->child};
    uint8_t body[GH_PLANE_SA_MAX];
    struct gh_wr w = gh_wr_make(body, sizeof(body));

    if (sa->way == IPSEC_IN)
        message.child.key_out = gh_view_of(NULL, 0);
    else
        message.child.key_in = gh_view_of(NULL, 0);
    gh_plane_put_sa(&w, &message);
    if (gh_wr_ok(&w))
        gh_channel_send(k->channel, type, body, w.len, -1);
    gh_wipe(body, sizeof(body));
}

static void describe(struct gh_esp_kernel *k, struct sa *own, const struct gh_esp_plane_sa *sa)
{
    const struct gh_esp_child *d = sa->child;

    own->policy = sa->policy;
    own->tie = *sa->tie;
    own->protocol = d->protocol;
    own->mode = d->mode;
    own->local = d->local;
    own->remote = d->remote;
    own->remote_port = d->remote_port;
    own->ts_local = d->ts_local;
    own->ts_remote = d->ts_remote;
    (void)snprintf(own->netns, sizeof(own->netns), "%s", d->netns);
    own->mirror.p.way = sa->way;
}

static bool on_add(void *ctx, const struct gh_esp_plane_sa *sa)
{
    struct gh_esp_kernel *k = ctx;
    struct sa *own = find(k, sa->id);
    bool there;

    if (sa->id >= SAS_MAX || !tie_up(k, sa->policy, sa->tie))
        return false;
    if (own == NULL) {
        own = k->sas[sa->id] = calloc(1, sizeof(*own));
        if (own == NULL)
            return false;
        own->order = ++k->order;
        own->sent = sa->there;
    }
    if (k->top <= sa->id)
        k->top = sa->id + 1;
    describe(k, own, sa);
    there = own->sent;
    if (k->channel == NULL || !k->configured)
        return true; /* it is told when `xfrm` is there */
    own->sent = true;
    send_sa(k, GH_MESSAGE_PLANE_SA, sa, there);
    consider(k, own);
    return true;
}

static void on_move(void *ctx, const struct gh_esp_plane_sa *sa)
{
    struct gh_esp_kernel *k = ctx;
    struct sa *own = find(k, sa->id);

    if (own == NULL)
        return;
    consider(k, own);
    describe(k, own, sa);
    if (k->channel == NULL || !k->configured)
        return;
    send_sa(k, GH_MESSAGE_PLANE_MOVE, sa, true);
    consider(k, own);
}

static void on_remove(void *ctx, uint64_t id)
{
    struct gh_esp_kernel *k = ctx;
    struct sa *own = find(k, id);
    uint8_t body[8];
    struct gh_wr w = gh_wr_make(body, sizeof(body));

    if (own == NULL)
        return;
    consider(k, own);
    free(own);
    k->sas[id] = NULL;
    while (k->top > 1 && k->sas[k->top - 1] == NULL)
        k->top--;
    gh_wr_u64(&w, id);
    if (k->channel != NULL)
        gh_channel_send(k->channel, GH_MESSAGE_PLANE_REMOVE, body, w.len, -1);
}

static const struct ipsec_sa *on_get(void *ctx, uint64_t id)
{
    const struct sa *own = find(ctx, id);

    return own != NULL ? &own->mirror : NULL;
}

/* ---- What `xfrm` tells ---------------------------------------------------------------------- */

static bool take_used(struct gh_esp_kernel *k, struct gh_rd *body)
{
    struct gh_now now = gh_clock_now();
    struct gh_plane_used u;
    struct sa *own;
    struct ipsec_sa *m;
    uint64_t idle;
    bool came;

    if (!gh_plane_take_used(body, &u))
        return false;
    own = find(k, u.id);
    if (own == NULL)
        return true;
    m = &own->mirror;
    came = u.incoming && u.packets > m->counts.packets;
    m->counts.packets = m->counts.results[IPSEC_OK] = u.packets;
    m->counts.octets = u.octets;
    m->counts.results[IPSEC_OLD] = u.old;
    m->counts.results[IPSEC_REPLAY] = u.replay;
    m->counts.results[IPSEC_ICV] = u.icv;
    *(u.incoming ? &m->replay.top : &m->seq) = u.sequence;
    idle = (uint64_t)now.wall > u.last_used ? 1000 * ((uint64_t)now.wall - u.last_used) : 0;
    m->last_used_ms = u.last_used != 0 && idle < now.mono_ms ? now.mono_ms - idle : 0;
    if (came)
        k->ops->came(k->ctx, u.id);
    return true;
}

static bool take_wanted(struct gh_esp_kernel *k, struct gh_rd *body)
{
    struct gh_plane_wanted x;
    uint32_t policy;

    if (!gh_plane_take_wanted(body, &x))
        return false;
    policy = policy_of(k, x.tie);
    if (policy != UINT32_MAX)
        k->ops->wanted(k->ctx, policy, &x.flow);
    return true;
}

static bool take_moved(struct gh_esp_kernel *k, struct gh_rd *body)
{
    struct gh_plane_moved m;
    const struct sa *own;

    if (!gh_plane_take_moved(body, &m))
        return false;
    own = find(k, m.id);
    /* The kernel goes on telling, for it keeps the old address of what comes in. */
    if (own != NULL && !(gh_addr_equal(&own->remote, &m.from) && own->remote_port == m.from_port))
        k->ops->moved(k->ctx, m.id, &m.from, m.from_port);
    return true;
}

static bool take_refused(struct gh_esp_kernel *k, struct gh_rd *body)
{
    struct gh_plane_refused x;

    if (!gh_plane_take_refused(body, &x))
        return false;
    if (x.id != 0 && find(k, x.id) != NULL)
        k->ops->refused(k->ctx, x.id, x.why);
    else if (x.id == 0 && x.number < k->policies->count &&
             k->policies->list[x.number].first[0] == '\0')
        gh_error("the kernel does not take the ipsec-policy %s: %s",
                 k->policies->list[x.number].second, x.why);
    else if (x.id == 0 && x.number < k->policies->count)
        gh_error("%s: the kernel does not take the policy of the child %s: %s",
                 k->policies->list[x.number].first, k->policies->list[x.number].second, x.why);
    return true;
}

static bool take_id(struct gh_esp_kernel *k, struct gh_rd *body, enum gh_message type)
{
    uint64_t id = gh_rd_u64(body);

    if (find(k, id) == NULL)
        return true;
    if (type == GH_MESSAGE_PLANE_WORN)
        k->ops->worn(k->ctx, id);
    else
        k->ops->refused(k->ctx, id, "its lifetime has ended");
    return true;
}

static bool on_message(void *ctx, struct gh_frame *frame, int fd)
{
    struct gh_esp_kernel *k = ctx;

    switch (frame->type) {
    case GH_MESSAGE_PLANE_MARKED:
        k->ops->marked(k->ctx, gh_rd_u64(&frame->body));
        return true;
    case GH_MESSAGE_PLANE_PLACED:
        policies_are_due(k);
        return true;
    case GH_MESSAGE_PLANE_USED:
        return take_used(k, &frame->body);
    case GH_MESSAGE_PLANE_WANTED:
        return take_wanted(k, &frame->body);
    case GH_MESSAGE_PLANE_WORN:
    case GH_MESSAGE_PLANE_ENDED:
        return take_id(k, &frame->body, frame->type);
    case GH_MESSAGE_PLANE_MOVED:
        return take_moved(k, &frame->body);
    case GH_MESSAGE_PLANE_REFUSED:
        return take_refused(k, &frame->body);
    case GH_MESSAGE_PLANE_COUNTS:
        return gh_plane_take_counts(&frame->body, &k->counts);
    default:
        return false;
    }
}

static void on_broken(void *ctx, const char *why)
{
    struct gh_esp_kernel *k = ctx;

    gh_notice("xfrm: %s; the kernel goes on", why);
    gh_channel_close(k->channel);
    k->channel = NULL;
    k->ops->marked(k->ctx, k->mark);
}

void gh_esp_kernel_mark(struct gh_esp_kernel *k, uint64_t mark)
{
    uint8_t body[8];
    struct gh_wr w = gh_wr_make(body, sizeof(body));

    k->mark = mark;
    gh_wr_u64(&w, mark);
    if (uv_is_active((uv_handle_t *)&k->due)) {
        uv_timer_stop(&k->due);
        on_due(&k->due);
    }
    if (k->channel == NULL || !k->configured ||
        !gh_channel_send(k->channel, GH_MESSAGE_PLANE_MARK, body, w.len, -1))
        k->ops->marked(k->ctx, mark);
}

/* All that there is to be, at once: what the kernel has of ours besides is nobody's. */
static void begin(struct gh_esp_kernel *k)
{
    if (k->channel == NULL || !k->configured)
        return;
    gh_channel_send(k->channel, GH_MESSAGE_PLANE_BEGIN, NULL, 0, -1);
    tell_policies(k);
    k->ops->again(k->ctx);
    gh_channel_send(k->channel, GH_MESSAGE_PLANE_END, NULL, 0, -1);
}

bool gh_esp_kernel_open(struct gh_esp_kernel *k, int fd)
{
    static const struct gh_channel_ops ops = {.message = on_message, .broken = on_broken};

    gh_channel_close(k->channel);
    k->channel = gh_channel_new(k->loop, fd, GH_TO_PLANNER, &ops, k);
    begin(k);
    return k->channel != NULL;
}

/* ---- Life ----------------------------------------------------------------------------------- */

const struct gh_esp_plane *gh_esp_kernel_plane(const struct gh_esp_kernel *k)
{
    return &k->plane;
}

const struct gh_plane_counts *gh_esp_kernel_counts(const struct gh_esp_kernel *k)
{
    return k->entry_count > 0 ? &k->counts : NULL;
}

static void on_due_closed(uv_handle_t *handle)
{
    free(handle->data);
}

void gh_esp_kernel_free(struct gh_esp_kernel *k)
{
    gh_channel_close(k->channel);
    for (uint64_t i = 1; i < k->top; i++)
        free(k->sas[i]);
    free(k->sas);
    free(k->ties);
    free(k->entries);
    free(k->told);
    uv_close((uv_handle_t *)&k->due, on_due_closed);
}

struct gh_esp_kernel *gh_esp_kernel_new(uv_loop_t *loop, struct gh_esp_names *policies,
                                        const struct gh_esp_kernel_ops *ops, void *ctx)
{
    struct gh_esp_kernel *k = calloc(1, sizeof(*k));

    if (k == NULL)
        return NULL;
    k->sas = calloc(SAS_MAX, sizeof(struct sa *));
    if (k->sas == NULL || uv_timer_init(loop, &k->due) != 0) {
        free(k->sas);
        free(k);
        return NULL;
    }
    k->due.data = k;
    k->loop = loop;
    k->policies = policies;
    k->ops = ops;
    k->ctx = ctx;
    k->top = 1;
    k->plane = (struct gh_esp_plane){
        .add = on_add, .move = on_move, .remove = on_remove, .get = on_get, .ctx = k};
    return k;
}
