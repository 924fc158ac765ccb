/* What holds for all peers, when the core is made and later. */
#include <string.h>

#include "ike/v2/priv.h"
#include "ike/v2/tickets.h"

struct ike2_settings ike2_default_settings(void)
{
    return (struct ike2_settings){.sas_max = 65536,
                                  .half_open_max = 4096,
                                  .half_open_cookie = 64,
                                  .half_open_puzzle = 1024,
                                  .puzzle_bits = 16,
                                  .puzzle_legacy = 30,
                                  .puzzle_budget = 1024,
                                  .children_max = 64,
                                  .reassembly_ms = 2000,
                                  .reduced_exchange_ms = 2000,
                                  .ticket_seconds = 8 * 3600,
                                  .strays_per_second = 20};
}

static bool set_lockout(struct ike2 *c, const struct gh_lockout_settings *s)
{
    if (s == NULL) {
        gh_lockout_free(c->lockout);
        c->lockout = NULL;
        return true;
    }
    if (c->lockout != NULL)
        return gh_lockout_configure(c->lockout, s);
    c->lockout = gh_lockout_new(s);
    return c->lockout != NULL;
}

bool ike2_configure(struct ike2 *c, struct gh_now now, const struct ike2_settings *settings)
{
    if (!set_lockout(c, settings->lockout))
        return false;
    c->now = now;
    if (settings->ticket_memory != c->settings.ticket_memory)
        ike2_tickets_free(c);
    if (settings->crash_secret != NULL)
        memcpy(c->crash_secret, settings->crash_secret, IKE2_CRASH_SECRET);
    c->has_crash_secret = settings->crash_secret != NULL;
    c->settings = *settings;
    c->settings.crash_secret = NULL; /* borrowed, as is the next */
    c->settings.lockout = NULL;
    return true;
}

void ike2_set_key_log(struct ike2 *c, void (*key_log)(void *ctx, const char *line))
{
    c->ops.key_log = key_log;
}
