/* The order carried out: the only part of the keeper that reads files. */
#include "keeper/order.h"

#include <stdio.h>

#include "config/secret_source.h"

enum { KEY_FILE_MAX = 1048576 };

static bool fail(const struct gh_secret_error *from, struct gh_pki_error *e)
{
    return gh_pki_fail(e, from->rule, from->remedy, "%s", from->message);
}

/* A secret of one line, as its source has it. */
static bool read_line(const struct gh_order_source *s, enum gh_secret_format format,
                      struct gh_secret *out, struct gh_pki_error *e)
{
    struct gh_secret_error why;
    bool good = false;

    switch (s->place) {
    case GH_PLACE_NONE:
    case GH_PLACE_TOKEN: /* what it keeps is no line */
        return true;
    case GH_PLACE_FILE:
        good = gh_secret_from_file(s->where, format, out, &why);
        break;
    case GH_PLACE_CREDENTIAL:
        good = gh_secret_from_credential(s->where, format, out, &why);
        break;
    case GH_PLACE_TEXT:
        good = gh_secret_from_text((const char *)s->text.data, s->text.len, format, out, &why);
        break;
    }
    return good || fail(&why, e);
}

bool gh_keeper_read_line(const struct gh_order_source *s, struct gh_secret *out,
                         struct gh_pki_error *e)
{
    return read_line(s, GH_SECRET_ASCII, out, e);
}

static bool read_octets(const struct gh_order_source *s, struct gh_secret *out,
                        struct gh_pki_error *e)
{
    struct gh_secret_error why = {
        .rule = "no-memory", .message = "out of memory", .remedy = "free some memory"};
    bool good;

    if (s->place == GH_PLACE_FILE)
        good = gh_secret_octets_from_file(s->where, KEY_FILE_MAX, out, &why);
    else if (s->place == GH_PLACE_CREDENTIAL)
        good = gh_secret_octets_from_credential(s->where, KEY_FILE_MAX, out, &why);
    else
        good = gh_secret_set(out, s->text.data, s->text.len);
    return good || fail(&why, e);
}

static bool load_key(const struct gh_order_item *item, struct gh_keeper_store *s,
                     struct gh_pki_error *e)
{
    struct gh_secret file = {.data = NULL}, passphrase = {.data = NULL};
    struct gh_bundle bundle = {.key = NULL};
    bool good = read_octets(&item->source, &file, e) &&
                gh_keeper_read_line(&item->passphrase, &passphrase, e) &&
                gh_bundle_parse(gh_view_of(file.data, file.len),
                                gh_view_of(passphrase.data, passphrase.len), &bundle, e);

    gh_secret_clear(&file);
    gh_secret_clear(&passphrase);
    return good && gh_keeper_store_add_key(s, item->name, &bundle, e);
}

static bool load(const struct gh_order_item *item, struct gh_keeper_store *s,
                 struct gh_pki_error *e)
{
    struct gh_secret secret = {.data = NULL};

    if (item->kind == GH_SECRET_KEY)
        return load_key(item, s, e);
    return read_line(&item->source, GH_SECRET_PREFIXED, &secret, e) &&
           gh_keeper_store_add_secret(s, item->kind, item->name, &secret, e);
}

size_t gh_keeper_load(const struct gh_keeper_order *o, struct gh_keeper_store *s,
                      void (*problem)(void *ctx, const char *name, const struct gh_pki_error *e),
                      void *ctx)
{
    size_t failed = 0;

    for (size_t i = 0; i < o->count; i++) {
        struct gh_pki_error e;

        if (o->items[i].source.place == GH_PLACE_TOKEN || load(&o->items[i], s, &e))
            continue;
        failed++;
        problem(ctx, o->items[i].name, &e);
    }
    return failed;
}
