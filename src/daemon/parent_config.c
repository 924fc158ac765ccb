#include "daemon/parent_priv.h"

#include <grp.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "config/ike_slots.h"
#include "daemon/setup.h"
#include "platform/kernel_ao.h"

void gh_parent_log_problems(const struct gh_problems *problems)
{
    for (size_t i = 0; i < problems->count; i++) {
        const struct gh_problem *x = &problems->list[i];

        gh_log(x->severity == GH_PROBLEM_ERROR ? GH_LOG_ERROR : GH_LOG_WARNING,
               "%s:%d: %s%s%s [%s]", x->file, x->line, x->message, x->remedy != NULL ? "; " : "",
               x->remedy != NULL ? x->remedy : "", x->rule);
    }
}

bool gh_parent_find_user(const struct gh_config *config, uid_t *uid, gid_t *gid)
{
    const char *name = config->user != NULL ? config->user : "gatehouse";
    const struct passwd *user = getpwnam(name);

    if (user == NULL && strcmp(name, "gatehouse") == 0)
        user = getpwnam("nobody");
    if (user == NULL || user->pw_uid == 0) {
        gh_error("user %s: %s", name,
                 user == NULL ? "there is none of this name" : "root is not what it is for");
        return false;
    }
    *uid = user->pw_uid;
    *gid = user->pw_gid;
    return true;
}

/* The change from the configuration in force, whose secrets are in the sealed file. */
static void check_change(const struct gh_parent *p, const struct gh_config *next,
                         struct gh_problems *problems)
{
    struct gh_setup current;

    if (!gh_setup_open(p->setup, p->setup_len, &current)) {
        gh_problem_add(problems, GH_PROBLEM_ERROR, next->path, 0, "memory", NULL,
                       "cannot look at the configuration in force");
        return;
    }
    gh_config_check_change(current.config, next, gh_clock_now().wall, problems);
    gh_config_check_ike_change(p->config->ike, next->ike, next->path, problems);
    if (next->queue_base != p->config->queue_base ||
        next->queue_length != p->config->queue_length ||
        next->max_connections != p->config->max_connections ||
        next->firewall != p->config->firewall)
        gh_problem_add(problems, GH_PROBLEM_WARNING, next->path, 0, "needs-restart",
                       "restart the daemon when convenient",
                       "queue-base, queue-length, max-connections and firewall take effect at the "
                       "next start");
    gh_setup_clear(&current);
}

/* Not refused: other sessions shall run. This one is guarded (ao_kernel.c). */
static void warn_of_backends(const struct gh_config *config, struct gh_problems *problems)
{
    for (size_t i = 0; i < config->session_count; i++) {
        const struct gh_session *s = &config->sessions[i];

        if (s->backend == GH_BACKEND_KERNEL && !gh_kernel_ao_supported())
            gh_problem_add(problems, GH_PROBLEM_WARNING, config->path, s->line, "kernel-without-ao",
                           "set backend = engine, or leave it out",
                           "the session \"%s\" is for the kernel's TCP-AO, which this kernel does "
                           "not have: NOTHING OF IT PASSES",
                           s->name);
    }
}

static void wipe_secrets(struct gh_config *config)
{
    for (size_t i = 0; i < config->chain_count; i++) {
        for (size_t k = 0; k < config->chains[i].key_count; k++) {
            struct gh_key *key = &config->chains[i].keys[k];

            gh_secret_clear(&key->secret);
            key->mkt.secret = NULL;
            key->mkt.secret_len = 0;
        }
    }
    gh_keeper_order_clear(&config->keeper);
    gh_manual_clear(&config->manual);
}

/* What was fixed at the start stays. */
static void keep_fixed(struct gh_config *next, const struct gh_config *current)
{
    next->queue_base = current->queue_base;
    next->queue_length = current->queue_length;
    next->max_connections = current->max_connections;
    next->firewall = current->firewall;
}

static void commit(struct gh_parent *p, const struct gh_setup *next, int setup, size_t len)
{
    if (p->setup >= 0)
        close(p->setup);
    p->setup = setup;
    p->setup_len = len;
    gh_config_free(p->config);
    free(p->session_zones);
    p->config = next->config;
    p->session_zones = next->zones;
    wipe_secrets(p->config);
    p->generation++;
    p->rules_due = true;
}

/* Who carries which peer's packets; after it is known what the kernel carries. */
static void choose_slots(const struct gh_parent *p, struct gh_config *next,
                         struct gh_problems *problems)
{
    const struct gh_ike_config *current = p->esp.wanted ? p->config->ike : NULL;
    size_t a, b;

    if (problems->errors > 0 || next->ike == NULL)
        return;
    if (current != NULL)
        gh_ike_keep_slots(next->ike, current, next->path, problems);
    if (problems->errors == 0)
        (void)gh_ike_assign_slots(next->ike, current, &a, &b); /* the reader has looked at groups */
}

bool gh_parent_load(struct gh_parent *p, struct gh_problems *problems)
{
    struct gh_setup next = {
        .config = gh_config_load(p->options->config, &(struct gh_config_options){0}, problems)};
    struct gh_ike_plan plan = {.peers = 0};
    size_t len;
    int setup = -1;

    if (next.config == NULL)
        return false;
    if (p->config != NULL) {
        check_change(p, next.config, problems);
        keep_fixed(next.config, p->config);
    } else {
        p->zones.base = next.config->queue_base;
    }
    warn_of_backends(next.config, problems);
    gh_parent_xfrm_choose(p, next.config->ike, problems);
    choose_slots(p, next.config, problems);
    next.zones = calloc(next.config->session_count + 1, sizeof(*next.zones));
    if (problems->errors == 0 && next.zones != NULL &&
        gh_zones_assign(&p->zones, next.config, next.zones))
        setup = gh_setup_seal(&next, &len);
    if (setup >= 0 && gh_ike_plan_make(next.config, &plan) && gh_parent_ike_take(p, &plan)) {
        commit(p, &next, setup, len);
        return true;
    }
    if (setup >= 0)
        close(setup);
    gh_ike_plan_clear(&plan);
    if (problems->errors == 0)
        gh_problem_add(problems, GH_PROBLEM_ERROR, p->options->config, 0, "memory", NULL,
                       "not enough memory for it");
    if (p->config != NULL)
        gh_zones_assign(&p->zones, p->config, p->session_zones);
    gh_setup_clear(&next);
    return false;
}
