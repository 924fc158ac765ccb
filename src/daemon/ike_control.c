/* Control requests, which the parent hands on: what `ike` knows, for control/ike.h. */
#include <stdlib.h>
#include <string.h>

#include "control/control.h"
#include "control/ike.h"
#include "daemon/channel.h"
#include "daemon/ike_desk.h"
#include "daemon/ike_gatekeeper.h"
#include "daemon/ike_places.h"
#include "daemon/ike_priv.h"
#include "platform/spi.h"

static struct gh_ike_place_view view_place(void *ctx, uint16_t zone)
{
    struct ike *ike = ctx;

    return (struct gh_ike_place_view){.netns = gh_ike_place_netns(ike->places, zone),
                                      .vrf = gh_ike_place_vrf(ike->places, zone)};
}

static enum ike2_way view_way(void *ctx, uint16_t zone, const struct gh_addr *remote,
                              struct gh_addr *out, int *error)
{
    struct ike *ike = ctx;

    return gh_ike_way(ike->places, zone, remote, out, error);
}

static json_t *answer_request(struct ike *ike, const char *line, size_t len)
{
    const struct gh_ike_places_view places = {.ctx = ike, .place = view_place, .way = view_way};
    struct gh_ike_socket_view *sockets = calloc(ike->socket_count + 1, sizeof(*sockets));
    size_t clients[GH_SPI_SLOTS];
    struct gh_ike_view view = {.core = ike->core,
                               .sockets = sockets,
                               .places = &places,
                               .udp = ike->udp,
                               .notes = ike->notes,
                               .keeper = gh_ike_desk_is_open(ike->desk),
                               .keeper_waiting = gh_ike_desk_waiting(ike->desk),
                               .gatekeeper = gh_ike_gatekeeper_core(ike->gatekeeper),
                               .engine = gh_ike_gatekeeper_is_open(ike->gatekeeper),
                               .clients = clients,
                               .slot_count = GH_SPI_SLOTS};
    json_t *refusal, *request = gh_control_parse(line, len, &refusal), *answer;

    if (request == NULL || sockets == NULL) {
        json_decref(request);
        free(sockets);
        return request == NULL ? refusal : NULL;
    }
    for (uint8_t i = 0; i < GH_SPI_SLOTS; i++)
        clients[i] = gh_ike_ipsec_clients(ike->ipsec, i);
    for (size_t i = 0; i < ike->socket_count; i++) {
        const struct ike_socket *s = &ike->sockets[i];

        sockets[view.socket_count++] = (struct gh_ike_socket_view){.zone = s->zone,
                                                                   .port = s->port,
                                                                   .v6 = s->v6,
                                                                   .open = s->udp != NULL,
                                                                   .error = s->error};
    }
    if (ike->core == NULL) {
        answer = gh_control_refusal("try again", "IKE has no configuration yet");
    } else {
        view.policies = ike->config->policies;
        view.policy_count = ike->config->policy_count;
        ike->now = gh_clock_now();
        answer = gh_ike_handle(&view, ike->now, request);
        if (gh_ike_changes_orders(request))
            gh_ike_keep_orders(ike);
        gh_ike_notes_look(ike->notes, ike->core);
        gh_ike_settle(ike);
    }
    json_decref(request);
    free(sockets);
    return answer;
}

bool gh_ike_handle_request(struct ike *ike, struct gh_rd *body)
{
    const uint8_t *client = gh_rd_bytes(body, 4);
    size_t len = gh_rd_left(body), answer_len = 0;
    json_t *answer = answer_request(ike, (const char *)gh_rd_bytes(body, len), len);
    char *line = answer != NULL ? gh_control_line(answer, &answer_len) : NULL;
    uint8_t *message = line != NULL ? malloc(4 + answer_len) : NULL;

    if (message != NULL) {
        memcpy(message, client, 4);
        memcpy(message + 4, line, answer_len);
        gh_channel_send(ike->parent, GH_MESSAGE_ANSWER, message, 4 + answer_len, -1);
    }
    free(message);
    free(line);
    json_decref(answer);
    return message != NULL;
}
