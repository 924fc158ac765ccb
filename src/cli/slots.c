#include "cli/slots.h"

#include <string.h>

#include "cli/ask.h"
#include "cli/render.h"

/* What has a name of its own is in all processes: an entry of the SPD that is no peer's. */
static json_t *find_named(const json_t *list, const json_t *item)
{
    static const char *const same[] = {"name", "netns", "vrf"};
    json_t *other;
    size_t i, k;

    if (!json_is_string(json_object_get(item, "name")))
        return NULL;
    json_array_foreach(list, i, other)
    {
        for (k = 0; k < 3; k++)
            if (strcmp(cli_text(item, same[k]), cli_text(other, same[k])) != 0)
                break;
        if (k == 3)
            return other;
    }
    return NULL;
}

static void merge_list(json_t *into, const json_t *from)
{
    static const char *const counts[] = {"hits", "without_sa", "clear_in"};
    json_t *item;
    size_t i;

    json_array_foreach(from, i, item)
    {
        json_t *mine = find_named(into, item);

        for (size_t k = 0; mine != NULL && k < 3; k++)
            if (json_is_integer(json_object_get(mine, counts[k])))
                json_integer_set(json_object_get(mine, counts[k]),
                                 cli_integer(mine, counts[k]) + cli_integer(item, counts[k]));
        if (mine == NULL)
            json_array_append(into, item);
    }
}

static void merge_member(json_t *into, const char *name, json_t *value)
{
    json_t *mine = json_object_get(into, name);

    if (json_is_array(mine) && json_is_array(value))
        merge_list(mine, value);
    else if (json_is_object(mine) && json_is_object(value))
        cli_slots_merge(mine, value);
    else if (json_is_integer(mine) && json_is_integer(value))
        json_integer_set(mine, json_integer_value(mine) + json_integer_value(value));
}

void cli_slots_merge(json_t *into, json_t *from)
{
    const char *name;
    json_t *value;

    json_object_foreach(from, name, value)
    {
        if (strcmp(name, "slot") != 0 && strcmp(name, "slots") != 0)
            merge_member(into, name, value);
    }
}

/* An ICMP error is heard by all: of one about a packet of ours all others but one say that they do
 * not know it. */
void cli_slots_settle(json_t *answer, json_int_t slots)
{
    json_t *sizes = json_object_get(answer, "sizes");
    json_t *heard = json_object_get(sizes, "icmp-received");
    json_t *unknown = json_object_get(sizes, "icmp-unknown");
    json_int_t each, rest;

    if (!json_is_integer(heard) || !json_is_integer(unknown) || slots < 2)
        return;
    each = json_integer_value(heard) / slots;
    rest = json_integer_value(unknown) - (slots - 1) * each;
    json_integer_set(heard, each);
    json_integer_set(unknown, rest > 0 ? rest : 0);
}

void cli_join_slots(const struct cli *cli, json_t *request, json_t *answer)
{
    const json_int_t slots = cli_integer(answer, "slots"), first = cli_integer(answer, "slot");
    json_int_t heard = 1;
    json_t *away = json_array();

    for (json_int_t slot = 0; slot < slots; slot++) {
        json_t *again = slot != first ? json_copy(request) : NULL, *other;

        if (again == NULL)
            continue;
        json_object_set_new(again, "slot", json_integer(slot));
        other = cli_converse(cli, again);
        if (json_is_true(json_object_get(other, "ok"))) {
            cli_slots_merge(answer, other);
            heard++;
        } else {
            json_array_append_new(away, json_integer(slot));
        }
        json_decref(other);
        json_decref(again);
    }
    if (slots > 1)
        cli_slots_settle(answer, heard);
    if (json_array_size(away) > 0)
        json_object_set(answer, "away", away);
    json_decref(away);
}

static const char *lost_group(const json_t *groups, const char *peer)
{
    const json_t *group, *slot, *name;
    size_t i, k, n;

    json_array_foreach(json_object_get(groups, "groups"), i, group)
    {
        json_array_foreach(json_object_get(group, "slots"), k, slot)
        {
            json_array_foreach(json_object_get(slot, "down"), n, name)
            {
                if (strcmp(json_string_value(name), peer) == 0)
                    return cli_text(group, "name");
            }
        }
    }
    return NULL;
}

void cli_slots_mark(json_t *tunnels, const json_t *groups)
{
    json_t *tunnel;
    size_t i;

    json_array_foreach(tunnels, i, tunnel)
    {
        const char *group = lost_group(groups, cli_text(tunnel, "peer"));

        if (group != NULL)
            json_object_set_new(tunnel, "stopped", json_string(group));
    }
}
