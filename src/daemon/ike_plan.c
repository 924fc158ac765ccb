#include "daemon/ike_plan.h"

#include <stdlib.h>
#include <string.h>

#include "base/secret.h"

/* False: no memory. */
static bool put_manual(const struct gh_manual_list *keys, struct gh_ike_plan *plan)
{
    struct gh_wr w;

    plan->manual = malloc(GH_MANUAL_WIRE_MAX);
    w = gh_wr_make(plan->manual, plan->manual != NULL ? GH_MANUAL_WIRE_MAX : 0);
    gh_manual_put(&w, keys);
    plan->manual_len = w.len;
    return gh_wr_ok(&w);
}

bool gh_ike_plan_make(const struct gh_config *config, struct gh_ike_plan *out)
{
    const struct gh_ike_config *ike = config->ike;
    struct gh_ike_plan plan = {.order = &config->keeper};

    if (ike != NULL && ike->policy_count > 0) {
        plan.octets = gh_ike_config_encode(ike, &plan.len);
        if (plan.octets == NULL || !put_manual(&config->manual, &plan)) {
            gh_ike_plan_clear(&plan);
            return false;
        }
        plan.peers = ike->policy_count;
    }
    *out = plan;
    return true;
}

bool gh_ike_plan_knows(const struct gh_config *config, const char *target)
{
    const struct gh_ike_config *ike = config->ike;
    struct gh_addr addr;
    bool is_addr = gh_addr_parse(target, &addr);

    for (size_t i = 0; ike != NULL && i < ike->policy_count; i++) {
        const struct ike2_policy *p = ike->policies[i];

        if (p->manual)
            continue;
        if (strcmp(p->name, target) == 0 ||
            (is_addr && (ike2_gateway_is(p, &addr) ||
                         (p->remote.bits > 0 && gh_prefix_contains(&p->remote, &addr)))))
            return true;
    }
    return false;
}

void gh_ike_plan_clear(struct gh_ike_plan *p)
{
    free(p->octets);
    if (p->manual != NULL)
        gh_wipe(p->manual, GH_MANUAL_WIRE_MAX);
    free(p->manual);
    *p = (struct gh_ike_plan){.peers = 0};
}
