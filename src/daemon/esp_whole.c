#include "daemon/esp_whole.h"

#include <stdlib.h>

#include "tunnel/mtu.h"
#include "tunnel/reassembly.h"

enum {
    HEAD = 256,
    DATAGRAMS = 1024, /* all of them may be of one source, which is this host */
    ALL_PORTS = 65535
};

struct gh_esp_whole {
    struct tunnel_reassembly *reassembly;
    uint8_t mem[HEAD + 65536 + 128];
};

struct gh_esp_whole *gh_esp_whole_new(const struct gh_hash_seed *seed)
{
    const struct tunnel_reassembly_limits limits = {.datagrams = DATAGRAMS,
                                                    .of_a_source = DATAGRAMS};
    struct gh_esp_whole *w = calloc(1, sizeof(*w));

    if (w == NULL)
        return NULL;
    w->reassembly = tunnel_reassembly_new(&limits, seed);
    if (w->reassembly != NULL)
        return w;
    free(w);
    return NULL;
}

void gh_esp_whole_free(struct gh_esp_whole *w)
{
    if (w == NULL)
        return;
    tunnel_reassembly_free(w->reassembly);
    free(w);
}

bool gh_esp_whole_is_due(const struct ipsec_packet *p)
{
    struct tunnel_fragment f;

    return tunnel_fragment_read(ipsec_packet_data(p), p->len, &f) == TUNNEL_OK && f.is_fragment;
}

bool gh_esp_whole_take(struct gh_esp_whole *w, uint64_t now_ms, const struct ipsec_packet *p,
                       struct ipsec_packet *out)
{
    *out = (struct ipsec_packet){.mem = w->mem, .cap = sizeof(w->mem), .at = HEAD};
    return tunnel_reassemble(w->reassembly, now_ms, p, out) == TUNNEL_OK;
}

void gh_esp_whole_tick(struct gh_esp_whole *w, uint64_t now_ms)
{
    tunnel_reassembly_tick(w->reassembly, now_ms);
}

static bool has_ports(const struct ike_ts_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        if (list->ts[i].start_port != 0 || list->ts[i].end_port != ALL_PORTS)
            return true;
    return false;
}

bool gh_esp_whole_by_ports(const struct gh_ike_config *config)
{
    for (size_t i = 0; i < config->policy_count; i++) {
        const struct ike2_policy *p = config->policies[i];

        for (size_t k = 0; k < p->child_count; k++)
            if (p->children[k].mode == IKE2_TRANSPORT &&
                (has_ports(&p->children[k].local) || has_ports(&p->children[k].remote)))
                return true;
    }
    return false;
}

enum tunnel_result gh_esp_whole_judge(struct ipsec_packet *p, uint16_t inner)
{
    struct tunnel_fragment f;

    if (tunnel_fragment_read(ipsec_packet_data(p), p->len, &f) != TUNNEL_OK)
        return TUNNEL_MALFORMED;
    p->mtu = f.version == 6 && inner < TUNNEL_IPV6_MTU_MIN ? TUNNEL_IPV6_MTU_MIN : inner;
    return f.total_len > p->mtu && (f.version == 6 || f.df) ? TUNNEL_TOO_BIG : TUNNEL_OK;
}
