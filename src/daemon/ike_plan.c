#include "daemon/ike_plan.h"

#include <stdlib.h>
#include <string.h>

bool gh_ike_plan_make(const struct gh_config *config, struct gh_ike_plan *out)
{
    const struct gh_ike_config *ike = config->ike;
    struct gh_ike_plan plan = {.order = &config->keeper};

    if (ike != NULL && ike->policy_count > 0) {
        plan.octets = gh_ike_config_encode(ike, &plan.len);
        if (plan.octets == NULL)
            return false;
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
    *p = (struct gh_ike_plan){.peers = 0};
}
