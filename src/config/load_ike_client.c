/*
 * `client-db NAME { … }`: who a peer is, and what it gets.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/alloc.h"
#include "config/ike_load.h"

enum { DB_MATCH, DB_NO_MATCH, DB_CLIENT, DB_ITEMS };

static const struct gh_item db_items[DB_ITEMS] = {
    [DB_MATCH] = {"match", GH_ITEM_LIST},
    [DB_NO_MATCH] = {"no-match", GH_ITEM_VALUE},
    [DB_CLIENT] = {"client", GH_ITEM_TITLED_SECTION},
};

enum {
    CLIENT_DESCRIPTION,
    CLIENT_ID,
    CLIENT_ADDRESS,
    CLIENT_REJECT,
    CLIENT_PSK,
    CLIENT_PSK_FILE,
    CLIENT_PSK_CREDENTIAL,
    CLIENT_PSK_SECRET,
    CLIENT_TS_LIST,
    CLIENT_ITEMS
};

static const struct gh_item client_items[CLIENT_ITEMS] = {
    [CLIENT_DESCRIPTION] = {"description", GH_ITEM_VALUE},
    [CLIENT_ID] = {"id", GH_ITEM_VALUE},
    [CLIENT_ADDRESS] = {"address", GH_ITEM_VALUE},
    [CLIENT_REJECT] = {"reject", GH_ITEM_VALUE},
    [CLIENT_PSK] = {"psk", GH_ITEM_VALUE},
    [CLIENT_PSK_FILE] = {"psk-file", GH_ITEM_VALUE},
    [CLIENT_PSK_CREDENTIAL] = {"psk-credential", GH_ITEM_VALUE},
    [CLIENT_PSK_SECRET] = {"psk-secret", GH_ITEM_VALUE},
    [CLIENT_TS_LIST] = {"ts-list", GH_ITEM_VALUE},
};

static unsigned read_match(struct gh_ike_loader *x, const struct gh_node *n)
{
    unsigned match = 0;

    if (n == NULL)
        return GH_CLIENT_BY_IDENTITY;
    for (size_t i = 0; i < n->value_count; i++) {
        if (strcmp(n->values[i], "id") == 0)
            match |= GH_CLIENT_BY_IDENTITY;
        else if (strcmp(n->values[i], "address") == 0)
            match |= GH_CLIENT_BY_ADDRESS;
        else
            gh_load_error(x->l, n->value_lines[i], "range", "write id, address or both",
                          "\"match\" does not know \"%.64s\"", n->values[i]);
    }
    if (match == 0)
        gh_load_error(x->l, n->line, "range", "write id, address or both",
                      "\"match\" names nothing to match");
    return match != 0 ? match : GH_CLIENT_BY_IDENTITY;
}

static void read_psk(struct gh_ike_loader *x, const struct gh_node *section,
                     const struct gh_node **got, const char *db, struct gh_client *c)
{
    struct gh_ike_secret_nodes nodes = {.file = got[CLIENT_PSK_FILE],
                                        .credential = got[CLIENT_PSK_CREDENTIAL],
                                        .text = got[CLIENT_PSK_SECRET]};
    size_t index;

    if (got[CLIENT_PSK] != NULL && gh_ike_secret_given(&nodes))
        gh_load_error(x->l, got[CLIENT_PSK]->line, "duplicate", "keep one of them",
                      "client %u of \"%s\" has two keys", c->index, db);
    if (gh_ike_refer_option(x, got[CLIENT_PSK], "ike-psk", &index)) {
        (void)snprintf(c->gets.psk, sizeof(c->gets.psk), "%s", got[CLIENT_PSK]->values[0]);
    } else if (gh_ike_secret_given(&nodes)) {
        (void)snprintf(c->gets.psk, sizeof(c->gets.psk), "%.58s/%u", db, c->index);
        gh_ike_define(x, "ike-psk", c->gets.psk, section->line, 0);
        x->ike->definitions[x->ike->definition_count - 1].used = true;
        gh_ike_secret(x, GH_SECRET_PSK, c->gets.psk, section->line, &nodes, NULL);
    }
}

static void read_identity(struct gh_ike_loader *x, const struct gh_node *n, struct gh_client *c)
{
    struct gh_pki_error e;

    if (n == NULL)
        return;
    c->identity = gh_pattern_new(n->values[0], &e);
    if (c->identity == NULL)
        gh_ike_pki_error(x, n->line, &e);
}

static void read_address(struct gh_ike_loader *x, const struct gh_node *n, struct gh_client *c)
{
    if (n == NULL)
        return;
    c->has_prefix = gh_prefix_parse(n->values[0], &c->prefix);
    if (!c->has_prefix)
        gh_load_error(x->l, n->line, "address", "write such as 192.0.2.0/24",
                      "\"%s\" is not an address or prefix", n->name);
}

/* All of them are read before the first client-db, so that the address is the list's last. */
static void give_ts_list(const struct gh_ike_ts_list *list, struct gh_client *c)
{
    (void)snprintf(c->gets.ts_list, sizeof(c->gets.ts_list), "%s", list->name);
    c->gets.ts_local = &list->local;
    c->gets.ts_remote = &list->remote;
}

static void read_client(struct gh_ike_loader *x, const struct gh_node *section,
                        struct gh_ike_client_db *db)
{
    const struct gh_node title = {.name = section->name,
                                  .line = section->line,
                                  .values = (char *[]){section->title},
                                  .value_count = 1};
    const struct gh_node *got[CLIENT_ITEMS];
    struct gh_client c = {.index = 0};
    struct gh_pki_error e;
    uint32_t number = 0;
    const char *text;
    size_t index;
    size_t errors = x->l->problems->errors;

    gh_items_collect(x->l, section, client_items, CLIENT_ITEMS, got);
    gh_ike_u32(x, &title, 1, GH_CLIENT_INDEX_MAX, &number);
    c.index = (uint16_t)number;
    (void)snprintf(c.name, sizeof(c.name), "%.58s/%u", db->name, c.index);
    gh_node_text(x->l, got[CLIENT_DESCRIPTION], GH_IKE_DESCRIPTION_MAX, &text);
    read_identity(x, got[CLIENT_ID], &c);
    read_address(x, got[CLIENT_ADDRESS], &c);
    gh_node_bool(x->l, got[CLIENT_REJECT], &c.gets.reject);
    read_psk(x, section, got, db->name, &c);
    if (gh_ike_refer_option(x, got[CLIENT_TS_LIST], "ts-list", &index))
        give_ts_list(&x->ike->ts_lists[index], &c);
    if (x->l->problems->errors > errors) {
        gh_pattern_free(c.identity);
        return;
    }
    if (!gh_client_db_add(db->db, &c, &e)) {
        gh_ike_pki_error(x, section->line, &e);
        return;
    }
    db->clients = gh_config_grow(db->clients, db->count, sizeof(*db->clients));
    db->clients[db->count++] = c;
}

void gh_load_ike_clients(struct gh_ike_loader *x, const struct gh_node *section)
{
    static const char *const outcomes[] = {"gateway", "fail", NULL};
    const struct gh_node *got[DB_ITEMS];
    struct gh_ike_config *c = x->ike;
    const char *name = gh_ike_name(x, section);
    struct gh_ike_client_db db = {.line = section->line};
    unsigned outcome = 0;

    gh_items_collect(x->l, section, db_items, DB_ITEMS, got);
    db.name = gh_config_strdup(name);
    db.match = read_match(x, got[DB_MATCH]);
    gh_node_choice(x->l, got[DB_NO_MATCH], outcomes, &outcome);
    db.fall_back = outcome == 0;
    db.db = gh_config_must(gh_client_db_new(name, db.match, db.fall_back));
    for (size_t i = 0; i < section->child_count; i++) {
        const struct gh_node *n = &section->children[i];

        if (n->section && n->title != NULL && strcmp(n->name, "client") == 0)
            read_client(x, n, &db);
    }
    gh_ike_define(x, "client-db", name, section->line, c->client_db_count);
    c->client_dbs = gh_config_grow(c->client_dbs, c->client_db_count, sizeof(*c->client_dbs));
    c->client_dbs[c->client_db_count++] = db;
}
