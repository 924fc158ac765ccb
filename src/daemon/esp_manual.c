#include "daemon/esp_manual.h"

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/log.h"
#include "crypto/hash.h"

bool gh_esp_manual_take(struct gh_manual_list *keys, struct gh_rd *body, int fd)
{
    uint64_t len = gh_rd_u64(body);
    void *data = len > 0 ? mmap(NULL, len, PROT_READ, MAP_PRIVATE, fd, 0) : MAP_FAILED;
    bool good;

    close(fd);
    gh_manual_clear(keys);
    if (data == MAP_FAILED)
        return false;
    good = gh_manual_get(gh_view_of(data, len), keys);
    munmap(data, len);
    return good;
}

/* Another than any peer's that IKE knows (ike_ipsec.c), which are digests of what they proved. */
static void name_tunnel(const struct ike2_policy *p, uint8_t out[GH_ESP_TUNNEL])
{
    const struct gh_view parts[] = {gh_view_of("manual-sa", 10),
                                    gh_view_of(p->name, strlen(p->name))};
    uint8_t digest[GH_HASH_MAX] = {0};

    (void)gh_hash(GH_HASH_SHA2_256, parts, 2, digest);
    memcpy(out, digest, GH_ESP_TUNNEL);
}

static struct gh_esp_child describe(const struct gh_ike_config *config, const struct ike2_policy *p,
                                    const struct gh_manual_part *keys)
{
    const struct ike2_child_policy *child = &p->children[0];
    const struct gh_ike_zone *zone = gh_ike_public_zone(config, p);
    struct gh_esp_child d = {.mode = child->mode == IKE2_TRANSPORT ? IPSEC_TRANSPORT : IPSEC_TUNNEL,
                             .protocol = IPSEC_ESP,
                             .spi_in = keys->in.spi,
                             .spi_out = keys->out.spi,
                             .enc = keys->enc,
                             .enc_bits = keys->enc_bits,
                             .integ = keys->integ,
                             .local = p->local,
                             .remote = p->gateway,
                             .ts_local = child->local,
                             .ts_remote = child->remote,
                             .traffic = child->traffic,
                             .key_in = gh_view_of(keys->in.key.data, keys->in.key.len),
                             .key_out = gh_view_of(keys->out.key.data, keys->out.key.len)};

    snprintf(d.netns, sizeof(d.netns), "%s",
             zone != NULL && zone->netns != NULL ? zone->netns : "");
    snprintf(d.vrf, sizeof(d.vrf), "%s", zone != NULL && zone->vrf != NULL ? zone->vrf : "");
    snprintf(d.peer, sizeof(d.peer), "%s", p->name);
    snprintf(d.name, sizeof(d.name), "%s", child->name);
    gh_addr_format(&p->gateway, d.who);
    name_tunnel(p, d.tunnel);
    return d;
}

static void host_alone(struct ike_ts_list *list, const struct gh_addr *host)
{
    *list = (struct ike_ts_list){.ts = {ike_ts_from_range(host, host)}, .count = 1};
}

/* AH, and ESP inside it if there are both. How many. */
static size_t describe_all(const struct gh_ike_config *config, const struct ike2_policy *p,
                           const struct gh_manual_sa *keys, struct gh_esp_child out[2])
{
    const bool both = keys->esp.there && keys->ah.there;
    size_t n = 0;

    if (keys->ah.there) {
        struct gh_esp_child *ah = &out[n++];

        *ah = describe(config, p, &keys->ah);
        ah->protocol = IPSEC_AH;
        if (both) {
            ah->bundle = GH_ESP_AROUND;
            ah->mode = IPSEC_TRANSPORT; /* what ESP made is between these two */
            host_alone(&ah->ts_local, &p->local);
            host_alone(&ah->ts_remote, &p->gateway);
        }
    }
    if (keys->esp.there) {
        out[n] = describe(config, p, &keys->esp);
        out[n++].bundle = both ? GH_ESP_INSIDE : GH_ESP_ALONE;
    }
    return n;
}

static const struct gh_manual_sa *keys_of(const struct gh_manual_list *keys, const char *name)
{
    for (size_t i = 0; i < keys->count; i++)
        if (strcmp(keys->sas[i].name, name) == 0)
            return &keys->sas[i];
    return NULL;
}

void gh_esp_manual_apply(struct gh_manual_list *keys, const struct gh_ike_config *config,
                         struct gh_esp_children *children, uint64_t now_ms)
{
    struct gh_esp_child list[GH_ESP_MANUAL_MAX];
    size_t count = 0;

    for (size_t i = 0; i < config->policy_count && count + 2 <= GH_ESP_MANUAL_MAX; i++) {
        const struct ike2_policy *p = config->policies[i];
        const struct gh_manual_sa *its = p->manual ? keys_of(keys, p->name) : NULL;

        if (its != NULL && p->child_count == 1 && p->local.len != 0 && p->gateway.len != 0)
            count += describe_all(config, p, its, &list[count]);
    }
    (void)gh_esp_children_manual(children, list, count, now_ms); /* it tells what fails */
    gh_manual_clear(keys);
}
