/* A configuration comes into force: policies, settings, and what came with it from the parent. */
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/log.h"
#include "config/ike.h"
#include "daemon/channel.h"
#include "daemon/ike_gatekeeper.h"
#include "daemon/ike_ipsec.h"
#include "daemon/ike_orders.h"
#include "daemon/ike_places.h"
#include "daemon/ike_priv.h"
#include "wire/wr.h"

void gh_ike_forget_past(struct ike *ike)
{
    struct ike_past **at = &ike->past;

    while (*at != NULL) {
        struct ike_past *p = *at;

        if (!gh_ike_config_idle(p->config)) {
            at = &p->next;
            continue;
        }
        *at = p->next;
        gh_ike_config_free(p->config);
        free(p);
    }
}

bool gh_ike_take_crash_secret(struct ike *ike, struct gh_rd *body)
{
    gh_rd_copy(body, ike->crash_secret, sizeof(ike->crash_secret));
    ike->has_crash_secret = true;
    return true;
}

bool gh_ike_take_orders(struct ike *ike, struct gh_rd *body)
{
    size_t len = gh_rd_left(body);

    if (ike->core != NULL)
        return false;
    free(ike->orders);
    ike->orders = malloc(len + 1);
    ike->orders_len = ike->orders != NULL ? len : 0;
    gh_rd_copy(body, ike->orders, ike->orders_len);
    return true;
}

static void use_orders(struct ike *ike)
{
    if (ike->orders != NULL &&
        !gh_ike_orders_take(ike->core, gh_view_of(ike->orders, ike->orders_len)))
        gh_error("orders of what is to be down could not be taken over");
    free(ike->orders);
    ike->orders = NULL;
}

void gh_ike_keep_orders(struct ike *ike)
{
    size_t len = 0;
    uint8_t *octets = gh_ike_orders_encode(ike->core, &len);

    if (octets != NULL)
        gh_channel_send(ike->parent, GH_MESSAGE_IKE_ORDERS, octets, len, -1);
    free(octets);
}

bool gh_ike_take_tickets(struct ike *ike, int fd)
{
    void *memory = mmap(NULL, ike2_ticket_memory(), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

    close(fd);
    if (ike->next_tickets != NULL)
        munmap(ike->next_tickets, ike2_ticket_memory());
    ike->next_tickets = memory != MAP_FAILED ? memory : NULL;
    return true;
}

static void use_tickets(struct ike *ike)
{
    if (ike->tickets != NULL)
        munmap(ike->tickets, ike2_ticket_memory());
    ike->tickets = ike->next_tickets;
    ike->next_tickets = NULL;
}

static struct ike2_settings settings_of(const struct ike *ike, const struct gh_ike_settings *config,
                                        const struct gh_lockout_settings *lockout)
{
    struct ike2_settings s = ike2_default_settings();

    s.sas_max = config->sas_max;
    s.sas_high = gh_ike_sas_high(config);
    s.sas_low = gh_ike_sas_low(config);
    s.half_open_max = config->half_open_max;
    s.half_open_cookie = config->half_open_cookie;
    s.half_open_puzzle =
        config->half_open_puzzle == GH_PUZZLES_NEVER ? SIZE_MAX : config->half_open_puzzle;
    s.puzzle_bits = config->puzzle_bits;
    s.puzzle_legacy = config->puzzle_legacy;
    s.puzzle_budget = config->puzzle_budget;
    s.reassembly_ms = config->reassembly_ms;
    s.reduced_exchange_ms = config->reduced_exchange_ms;
    s.children_max = config->children_max;
    s.ticket_seconds = config->ticket_seconds;
    s.strays_per_second = config->strays_per_second;
    s.lockout = config->lock_out ? lockout : NULL;
    s.crash_secret = ike->has_crash_secret ? ike->crash_secret : NULL;
    s.ticket_memory = ike->next_tickets;
    return s;
}

/* Makes the core, or tells it what holds from now on. */
static bool set_core(struct ike *ike, const struct gh_ike_settings *config)
{
    const struct ike2_ops ops = gh_ike_core_ops(ike);
    struct gh_lockout_settings lockout = config->lockout;
    struct ike2_settings settings = settings_of(ike, config, &lockout);

    gh_ike_random(ike, &lockout.seed, sizeof(lockout.seed));
    if (ike->core != NULL && !ike2_configure(ike->core, ike->now, &settings))
        return false;
    if (ike->core == NULL)
        ike->core = ike2_new(&ops, &settings, ike->now);
    if (ike->core == NULL)
        return false;
    use_tickets(ike);
    gh_ike_use_key_logs(ike);
    use_orders(ike);
    return true;
}

static void count_one(void *ctx, const struct ike2_sa_view *v)
{
    ++*(size_t *)ctx;
}

/* The one limit that does not take effect at once. */
static void tell_of_limit(const struct ike *ike)
{
    size_t count = 0;

    ike2_each_sa(ike->core, count_one, &count);
    if (count > ike->config->settings.sas_max)
        gh_notice("sa-limit is %u: the %zu IKE SAs that are there stay, and nobody else comes in",
                  ike->config->settings.sas_max, count);
}

/* From the places of the configuration to ours, which have their numbers for good. False: no
 * memory. */
static bool number_places(struct ike *ike, struct gh_ike_config *c)
{
    for (size_t i = 0; i < c->policy_count; i++) {
        struct ike2_policy *p = c->policies[i];
        const struct gh_ike_zone *zone = gh_ike_public_zone(c, p),
                                 *behind = p->private_zone > 0 ? gh_ike_private_zone(c, p) : NULL;

        if (zone != NULL)
            p->zone = gh_ike_place(ike->places, zone->netns, zone->vrf);
        if (behind != NULL)
            p->private_zone = gh_ike_place(ike->places, behind->netns, behind->vrf);
        if (p->zone == UINT16_MAX || p->private_zone == UINT16_MAX)
            return false;
    }
    return true;
}

/* Takes it, whatever happens. */
static bool put_in_force(struct ike *ike, struct gh_ike_config *next)
{
    struct ike_past *past = calloc(1, sizeof(*past));

    if (past == NULL || !number_places(ike, next) || !set_core(ike, &next->settings) ||
        !ike2_set_policies(ike->core, ike->now, next->policies, next->policy_count)) {
        free(past);
        gh_ike_config_free(next);
        return false;
    }
    if (ike->config != NULL) {
        *past = (struct ike_past){.next = ike->past, .config = ike->config};
        ike->past = past;
    } else {
        free(past);
    }
    ike->config = next;
    gh_ike_ipsec_configure(ike->ipsec, next->policies, next->policy_count);
    tell_of_limit(ike);
    gh_ike_keep_orders(ike);
    if (!gk_set_policies(gh_ike_gatekeeper_core(ike->gatekeeper), ike->now, next->sessions,
                         next->session_count))
        gh_error("no memory for sessions with negotiated keys");
    gh_ike_notes_keep(ike->notes, next->policies, next->policy_count);
    gh_ike_notes_look(ike->notes, ike->core);
    gh_ike_forget_past(ike);
    return true;
}

static struct gh_ike_config *open_config(int fd, uint64_t len)
{
    void *data = len > 0 ? mmap(NULL, len, PROT_READ, MAP_PRIVATE, fd, 0) : MAP_FAILED;
    struct gh_ike_config *config;

    close(fd);
    if (data == MAP_FAILED)
        return NULL;
    config = gh_ike_config_decode(gh_view_of(data, len));
    munmap(data, len);
    return config;
}

bool gh_ike_configure(struct ike *ike, struct gh_rd *body, int fd)
{
    uint64_t len = gh_rd_u64(body);
    uint32_t generation = gh_rd_u32(body);
    struct gh_ike_config *next = open_config(fd, len);
    uint8_t answer[5];
    struct gh_wr w = gh_wr_make(answer, sizeof(answer));
    bool good;

    ike->now = gh_clock_now();
    if (next != NULL)
        gh_ike_config_drop_manual(next);
    good = next != NULL && put_in_force(ike, next);
    if (good) {
        gh_ike_read_sockets(ike);
        gh_ike_want_ways(ike);
        gh_ike_settle(ike);
    }
    gh_wr_u32(&w, generation);
    gh_wr_u8(&w, good);
    return gh_channel_send(ike->parent, GH_MESSAGE_CONFIGURED, answer, w.len, -1);
}
