#include "pki/client_db.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct gh_client_db {
    char name[GH_CLIENT_NAME + 1];
    unsigned match;
    bool fall_back;
    struct gh_client *clients; /* by index, ascending */
    size_t count, room;
};

struct gh_client_db *gh_client_db_new(const char *name, unsigned match, bool fall_back)
{
    struct gh_client_db *db;

    if ((match & (GH_CLIENT_BY_IDENTITY | GH_CLIENT_BY_ADDRESS)) == 0)
        return NULL;
    db = calloc(1, sizeof(*db));
    if (db != NULL) {
        snprintf(db->name, sizeof(db->name), "%s", name);
        db->match = match;
        db->fall_back = fall_back;
    }
    return db;
}

void gh_client_db_free(struct gh_client_db *db)
{
    if (db == NULL)
        return;
    for (size_t i = 0; i < db->count; i++)
        gh_pattern_free(db->clients[i].identity);
    free(db->clients);
    free(db);
}

size_t gh_client_db_count(const struct gh_client_db *db)
{
    return db->count;
}

static bool check(const struct gh_client_db *db, const struct gh_client *c, struct gh_pki_error *e)
{
    if (c->index < 1 || c->index > GH_CLIENT_INDEX_MAX)
        return gh_pki_fail(e, "client-index", "number it 1 to 8000",
                           "client-db %s: %u is no index of a client", db->name,
                           (unsigned)c->index);
    for (size_t i = 0; i < db->count; i++)
        if (db->clients[i].index == c->index)
            return gh_pki_fail(e, "client-index", "give each client an index of its own",
                               "client-db %s: the index %u is twice (%s and %s)", db->name,
                               (unsigned)c->index, db->clients[i].name, c->name);
    if (db->count == GH_CLIENTS)
        return gh_pki_fail(e, "client-db", "use a second client-db for another gateway",
                           "client-db %s has %d clients already", db->name, (int)GH_CLIENTS);
    if ((db->match & GH_CLIENT_BY_IDENTITY) != 0 && c->identity == NULL)
        return gh_pki_fail(e, "client-match", "write one, or any",
                           "client-db %s matches identities, but client %u has none", db->name,
                           (unsigned)c->index);
    if ((db->match & GH_CLIENT_BY_ADDRESS) != 0 && !c->has_prefix)
        return gh_pki_fail(e, "client-match", "write one, or 0.0.0.0/0 or ::/0",
                           "client-db %s matches peers' addresses, but client %u has no prefix",
                           db->name, (unsigned)c->index);
    return true;
}

static bool insert(struct gh_client_db *db, const struct gh_client *c)
{
    size_t at = db->count;

    if (db->count == db->room) {
        size_t room = db->room * 2 + 8;
        struct gh_client *more = realloc(db->clients, room * sizeof(*more));

        if (more == NULL)
            return false;
        db->clients = more;
        db->room = room;
    }
    while (at > 0 && db->clients[at - 1].index > c->index)
        at--;
    memmove(db->clients + at + 1, db->clients + at, (db->count - at) * sizeof(*c));
    db->clients[at] = *c;
    db->count++;
    return true;
}

bool gh_client_db_add(struct gh_client_db *db, const struct gh_client *client,
                      struct gh_pki_error *e)
{
    bool good = check(db, client, e);

    if (good && !insert(db, client))
        good = gh_pki_fail(e, "no-memory", "free some memory", "out of memory");
    if (!good)
        gh_pattern_free(client->identity);
    return good;
}

static enum gh_match matches(const struct gh_client_db *db, const struct gh_client *c,
                             const struct gh_identity *idi, const struct gh_addr *peer)
{
    if ((db->match & GH_CLIENT_BY_ADDRESS) != 0 && !gh_prefix_contains(&c->prefix, peer))
        return GH_MATCH_NO;
    if ((db->match & GH_CLIENT_BY_IDENTITY) == 0)
        return GH_MATCH_YES;
    return gh_pattern_match(c->identity, idi);
}

enum gh_client_found gh_client_db_find(const struct gh_client_db *db, const struct gh_identity *idi,
                                       const struct gh_addr *peer, const struct gh_client **out)
{
    for (size_t i = 0; i < db->count; i++) {
        switch (matches(db, &db->clients[i], idi, peer)) {
        case GH_MATCH_YES:
            *out = &db->clients[i];
            return GH_CLIENT_FOUND;
        case GH_MATCH_FAILED: /* who knows whether a rejected client is meant */
            return GH_CLIENT_FAIL;
        case GH_MATCH_NO:
            break;
        }
    }
    return db->fall_back ? GH_CLIENT_FALL_BACK : GH_CLIENT_FAIL;
}
