#include "cli/slots.h"

#include <stdio.h>
#include <string.h>

#include "cli/ask.h"
#include "cli/render.h"

enum { KEY = 300 };

/* What an entry is called in all of them: by its own name, or its peer's and child's. */
static const char *key_of(const json_t *policy, char out[KEY])
{
    if (cli_has(policy, "name"))
        snprintf(out, KEY, "%s", cli_text(policy, "name"));
    else
        snprintf(out, KEY, "\"%s\" \"%s\"", cli_text(policy, "peer"), cli_text(policy, "child"));
    return out;
}

static json_t *keys_of(const json_t *list)
{
    json_t *keys = json_object(), *item;
    char key[KEY];
    size_t i;

    json_array_foreach(list, i, item)
    {
        json_object_set_new_nocheck(keys, key_of(item, key), json_true());
    }
    return keys;
}

static size_t find_key(const json_t *list, const char *key)
{
    char other[KEY];
    json_t *item;
    size_t i;

    json_array_foreach(list, i, item)
    {
        if (strcmp(key_of(item, other), key) == 0)
            return i;
    }
    return SIZE_MAX;
}

static void add_counts(json_t *mine, const json_t *theirs)
{
    static const char *const counts[] = {"hits", "without_sa", "clear_in"};

    for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
        json_t *count = json_object_get(mine, counts[i]);

        if (json_is_integer(count))
            json_integer_set(count, json_integer_value(count) + cli_integer(theirs, counts[i]));
    }
}

/* Entries that belong to no child are in the SPD of each process, and so are children of peers
 * whose clients are spread: they are one. What stood between two of them stands there in the whole,
 * too. */
static void merge_policies(json_t *mine, json_t *theirs)
{
    json_t *keys = keys_of(mine), *policy;
    size_t i, at = 0;
    char key[KEY];

    json_array_foreach(theirs, i, policy)
    {
        size_t same =
            json_object_get(keys, key_of(policy, key)) != NULL ? find_key(mine, key) : SIZE_MAX;

        if (same == SIZE_MAX) {
            json_array_insert(mine, at++, policy);
            continue;
        }
        add_counts(json_array_get(mine, same), policy);
        at = same + 1;
    }
    json_decref(keys);
    json_array_foreach(mine, i, policy)
    {
        json_object_set_new(policy, "order", json_integer((json_int_t)i + 1));
    }
}

static void merge_member(json_t *into, const char *name, json_t *value)
{
    json_t *mine = json_object_get(into, name);

    if (strcmp(name, "policies") == 0 && json_is_array(mine))
        merge_policies(mine, value);
    else if (json_is_array(mine) && json_is_array(value))
        json_array_extend(mine, value);
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

void cli_slots_count(json_t *answer, const json_t *clients)
{
    json_t *group, *slot;
    size_t i, k;

    json_array_foreach(json_object_get(answer, "groups"), i, group)
    {
        json_array_foreach(json_object_get(group, "slots"), k, slot)
        {
            json_t *count = json_array_get(clients, (size_t)cli_integer(slot, "slot"));

            json_object_set_new(slot, "clients",
                                count != NULL ? json_integer(json_integer_value(count))
                                              : json_null());
        }
    }
}

void cli_join_clients(const struct cli *cli, json_t *answer)
{
    json_t *request = json_pack("{s:s}", "op", "show-ipsec-clients");
    json_t *of_ike = request != NULL ? cli_converse(cli, request) : NULL;

    cli_slots_count(answer, json_object_get(of_ike, "clients"));
    json_decref(of_ike);
    json_decref(request);
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
