#include "cli/tunnel.h"

#include <string.h>

#include "cli/ask.h"
#include "cli/render.h"
#include "cli/slots.h"

static bool is_of(const json_t *sa, const json_t *tunnel)
{
    return strcmp(cli_text(sa, "peer"), cli_text(tunnel, "peer")) == 0 &&
           strcmp(cli_text(sa, "child"), cli_text(tunnel, "child")) == 0;
}

/* By peer, so that thousands of tunnels do not each look at thousands of SAs. */
static json_t *by_peer(const json_t *sas)
{
    json_t *peers = json_object(), *sa, *list;
    size_t i;

    json_array_foreach(sas, i, sa)
    {
        list = json_object_get(peers, cli_text(sa, "peer"));
        if (list == NULL) {
            list = json_array();
            json_object_set_new_nocheck(peers, cli_text(sa, "peer"), list);
        }
        json_array_append(list, sa);
    }
    return peers;
}

void cli_tunnels_join(json_t *answer, const json_t *of_engine)
{
    json_t *peers = by_peer(json_object_get(of_engine, "sas")), *tunnel, *sa;
    size_t i, k;

    json_array_foreach(json_object_get(answer, "tunnels"), i, tunnel)
    {
        json_t *list = json_array();

        json_array_foreach(json_object_get(peers, cli_text(tunnel, "peer")), k, sa)
        {
            if (is_of(sa, tunnel))
                json_array_append(list, sa);
        }
        json_object_set_new(tunnel, "sas", list);
    }
    json_decref(peers);
}

static json_t *carried(const json_t *sas, const char *way)
{
    json_int_t packets = 0, octets = 0;
    const json_t *sa;
    size_t i;

    json_array_foreach(sas, i, sa)
    {
        packets += cli_integer(json_object_get(sa, way), "packets");
        octets += cli_integer(json_object_get(sa, way), "octets");
    }
    return json_pack("{s:I, s:I}", "packets", packets, "octets", octets);
}

void cli_gateways_join(json_t *answer, const json_t *of_engine)
{
    json_t *peers = by_peer(json_object_get(of_engine, "sas")), *gateway;
    size_t i;

    json_array_foreach(json_object_get(answer, "gateways"), i, gateway)
    {
        const json_t *sas = json_object_get(peers, cli_text(gateway, "peer"));

        json_object_set_new(gateway, "in", carried(sas, "in"));
        json_object_set_new(gateway, "out", carried(sas, "out"));
    }
    json_decref(peers);
}

/* NULL: nobody tells. */
static json_t *ask_for_sas(const struct cli *cli)
{
    json_t *request = json_pack("{s:s}", "op", "show-ipsec-sa");
    json_t *answer = request != NULL ? cli_converse(cli, request) : NULL;

    if (answer != NULL)
        cli_join_slots(cli, request, answer);
    json_decref(request);
    return answer;
}

void cli_join_traffic(const struct cli *cli, json_t *answer)
{
    json_t *of_engine = ask_for_sas(cli);

    if (json_is_true(json_object_get(of_engine, "ok")))
        cli_gateways_join(answer, of_engine);
    json_decref(of_engine);
}

void cli_join_sas(const struct cli *cli, json_t *answer)
{
    json_t *request, *of_engine, *groups;

    if (json_array_size(json_object_get(answer, "tunnels")) == 0)
        return;
    of_engine = ask_for_sas(cli);
    cli_tunnels_join(answer, of_engine);
    json_decref(of_engine);
    request = json_pack("{s:s}", "op", "show-ipsec-group");
    groups = request != NULL ? cli_converse(cli, request) : NULL;
    cli_slots_mark(json_object_get(answer, "tunnels"), groups);
    json_decref(groups);
    json_decref(request);
}

void cli_devices_join(json_t *answer, const json_t *of_parent)
{
    json_t *tunnels = json_object_get(answer, "tunnels"), *tunnel;
    size_t i;

    json_array_foreach(tunnels, i, tunnel)
    {
        const json_t *why =
            json_object_get(json_object_get(of_parent, "not_kernel"), cli_text(tunnel, "name"));

        json_object_set_new(tunnel, "why", why != NULL ? json_deep_copy(why) : json_null());
    }
    if (tunnels != NULL)
        json_array_extend(tunnels, json_object_get(of_parent, "tunnels"));
}

void cli_join_devices(const struct cli *cli, const json_t *request, json_t *answer)
{
    json_t *again = json_deep_copy(request), *of_parent;

    if (again == NULL)
        return;
    json_object_set_new(again, "op", json_string("show-tunnel-kernel"));
    of_parent = cli_converse(cli, again);
    cli_devices_join(answer, of_parent);
    json_decref(of_parent);
    json_decref(again);
}
