#include "config/ike.h"

#include <stdlib.h>
#include <string.h>

#include "config/alloc.h"
#include "ike/codes.h"
#include "ike/v2/core.h"
#include "tunnel/pmtu.h"
#include "tunnel/rate.h"

struct gh_ike_settings gh_ike_default_settings(void)
{
    struct ike2_settings core = ike2_default_settings();

    return (struct gh_ike_settings){.sas_max = (uint32_t)core.sas_max,
                                    .half_open_max = (uint32_t)core.half_open_max,
                                    .half_open_cookie = (uint32_t)core.half_open_cookie,
                                    .half_open_puzzle = (uint32_t)core.half_open_puzzle,
                                    .puzzle_bits = core.puzzle_bits,
                                    .puzzle_legacy = core.puzzle_legacy,
                                    .puzzle_budget = core.puzzle_budget,
                                    .children_max = (uint32_t)core.children_max,
                                    .reassembly_ms = core.reassembly_ms,
                                    .reduced_exchange_ms = core.reduced_exchange_ms,
                                    .ticket_seconds = core.ticket_seconds,
                                    .strays_per_second = core.strays_per_second,
                                    .path_mtu_seconds = TUNNEL_PMTU_AGE_S,
                                    .prohibited_seconds = TUNNEL_RATE_SECONDS,
                                    .tcp_ao_protocol = IKE_PROTO_TCP_AO,
                                    .lockout = gh_lockout_defaults()};
}

uint32_t gh_ike_sas_high(const struct gh_ike_settings *s)
{
    uint32_t high = s->sas_max - s->sas_max / 10;

    return s->sas_high > 0 ? s->sas_high : high;
}

uint32_t gh_ike_sas_low(const struct gh_ike_settings *s)
{
    uint32_t high = gh_ike_sas_high(s), low = high - high / 9;

    return s->sas_low > 0 ? s->sas_low : low;
}

struct gh_ike_config *gh_ike_config_new(void)
{
    struct gh_ike_config *c = gh_config_alloc(1, sizeof(*c));

    c->settings = gh_ike_default_settings();
    return c;
}

static void free_trust(struct gh_ike_trust *t)
{
    for (size_t i = 0; i < t->anchor_count; i++)
        gh_cert_free(t->anchors[i]);
    for (size_t i = 0; i < t->known_count; i++)
        gh_cert_free(t->known[i]);
    free(t->known);
    gh_trust_free(t->trust);
    free(t->name);
}

void gh_ike_config_free(struct gh_ike_config *c)
{
    if (c == NULL)
        return;
    for (size_t i = 0; i < c->policy_count; i++)
        ike2_policy_free(c->policies[i]);
    for (size_t i = 0; i < c->profile_count; i++) {
        gh_cert_profile_free(c->profiles[i].profile);
        free(c->profiles[i].name);
    }
    for (size_t i = 0; i < c->trust_count; i++)
        free_trust(&c->trusts[i]);
    for (size_t i = 0; i < c->client_db_count; i++) {
        gh_client_db_free(c->client_dbs[i].db);
        free(c->client_dbs[i].clients);
        free(c->client_dbs[i].name);
    }
    for (size_t i = 0; i < c->ts_list_count; i++)
        free(c->ts_lists[i].name);
    for (size_t i = 0; i < c->raw_key_count; i++)
        gh_pubkey_free(c->raw_keys[i]);
    for (size_t i = 0; i < c->definition_count; i++)
        free(c->definitions[i].name);
    for (size_t i = 0; i < c->secret_count; i++)
        free(c->secrets[i].name);
    for (size_t i = 0; i < c->zone_count; i++) {
        free(c->zones[i].netns);
        free(c->zones[i].vrf);
    }
    for (size_t i = 0; i < c->tunnel_count; i++)
        gh_tunnel_free(&c->tunnels[i]);
    gh_spd_free(c->spd, c->spd_count);
    for (size_t i = 0; i < c->group_count; i++)
        free(c->groups[i].name);
    free(c->groups);
    free(c->tunnels);
    free(c->zones);
    free(c->policies);
    free(c->profiles);
    free(c->trusts);
    free(c->client_dbs);
    free(c->ts_lists);
    free(c->sessions);
    free(c->raw_keys);
    free(c->places);
    free(c->definitions);
    free(c->secrets);
    free(c->settings.key_log);
    free(c->settings.esp_key_log);
    free(c);
}

void gh_ike_config_drop_manual(struct gh_ike_config *c)
{
    size_t kept = 0;

    for (size_t i = 0; i < c->policy_count; i++) {
        if (c->policies[i]->manual)
            ike2_policy_free(c->policies[i]);
        else
            c->policies[kept++] = c->policies[i];
    }
    c->policy_count = kept;
}

bool gh_ike_config_idle(const struct gh_ike_config *c)
{
    for (size_t i = 0; i < c->policy_count; i++) {
        if (c->policies[i]->refs > 1)
            return false;
    }
    return true;
}

const struct gh_ike_zone *gh_ike_public_zone(const struct gh_ike_config *c,
                                             const struct ike2_policy *p)
{
    return p->zone > 0 ? &c->zones[p->zone - 1] : NULL;
}

const struct gh_ike_zone *gh_ike_private_zone(const struct gh_ike_config *c,
                                              const struct ike2_policy *p)
{
    return p->private_zone > 0 ? &c->zones[p->private_zone - 1] : gh_ike_public_zone(c, p);
}

const struct gh_ike_ts_list *gh_ike_ts_list(const struct gh_ike_config *c, const char *name)
{
    for (size_t i = 0; i < c->ts_list_count; i++) {
        if (strcmp(c->ts_lists[i].name, name) == 0)
            return &c->ts_lists[i];
    }
    return NULL;
}

struct gh_cert **gh_ike_known_cas(const struct gh_ike_config *c, size_t *count)
{
    size_t room = 0;
    struct gh_cert **all;

    *count = 0;
    for (size_t t = 0; t < c->trust_count; t++)
        room += c->trusts[t].anchor_count + c->trusts[t].known_count;
    all = gh_config_alloc(room, sizeof(struct gh_cert *));
    for (size_t t = 0; t < c->trust_count; t++) {
        for (size_t i = 0; i < c->trusts[t].anchor_count; i++)
            all[(*count)++] = c->trusts[t].anchors[i];
        for (size_t i = 0; i < c->trusts[t].known_count; i++)
            all[(*count)++] = c->trusts[t].known[i];
    }
    return all;
}
