#include "keeper/order.h"

#include <stdlib.h>
#include <string.h>

#include "wire/rd.h"
#include "wire/wr.h"

static void clear_source(struct gh_order_source *s)
{
    free(s->where);
    gh_secret_clear(&s->text);
}

static void clear_item(struct gh_order_item *i)
{
    free(i->name);
    clear_source(&i->source);
    clear_source(&i->passphrase);
    free(i->spki);
    free(i->from);
}

void gh_keeper_order_clear(struct gh_keeper_order *o)
{
    for (size_t i = 0; i < o->count; i++)
        clear_item(&o->items[i]);
    free(o->items);
    *o = (struct gh_keeper_order){.items = NULL};
}

static bool is_place(unsigned place)
{
    return place <= GH_PLACE_TOKEN;
}

/* NULL: not such a text, or no memory. */
static char *copy_text(const void *data, size_t len)
{
    if (len == 0 || len > GH_ORDER_WHERE_MAX || memchr(data, '\0', len) != NULL)
        return NULL;
    return strndup(data, len);
}

static bool set_source(struct gh_order_source *s, enum gh_secret_place place, const void *data,
                       size_t len)
{
    *s = (struct gh_order_source){.place = place};
    if (place == GH_PLACE_NONE)
        return len == 0;
    if (place == GH_PLACE_TEXT)
        return len > 0 && gh_secret_set(&s->text, data, len);
    s->where = copy_text(data, len);
    return s->where != NULL;
}

static size_t count_tokens(const struct gh_keeper_order *o)
{
    size_t count = 0;

    for (size_t i = 0; i < o->count; i++)
        count += o->items[i].source.place == GH_PLACE_TOKEN;
    return count;
}

/* Tokens keep private keys for us, and nothing else. */
static bool fits(const struct gh_keeper_order *o, const struct gh_order_item *item)
{
    if (item->source.place == GH_PLACE_TOKEN && count_tokens(o) == GH_ORDER_TOKENS)
        return false;
    return o->count < GH_ORDER_ITEMS && item->source.place != GH_PLACE_NONE &&
           item->passphrase.place != GH_PLACE_TOKEN &&
           (item->source.place != GH_PLACE_TOKEN || item->kind == GH_SECRET_KEY) &&
           (item->source.place == GH_PLACE_TOKEN || item->spki_len == 0);
}

/* Takes the item in any case. */
static bool append(struct gh_keeper_order *o, struct gh_order_item *item)
{
    struct gh_order_item *more;

    if (fits(o, item)) {
        more = realloc(o->items, (o->count + 1) * sizeof(*more)); /* pointers, no secrets */
        if (more != NULL) {
            o->items = more;
            o->items[o->count++] = *item;
            return true;
        }
    }
    clear_item(item);
    return false;
}

bool gh_keeper_order_add(struct gh_keeper_order *o, enum gh_secret_kind kind, const char *name,
                         enum gh_secret_place place, const char *where,
                         enum gh_secret_place passphrase_place, const char *passphrase)
{
    struct gh_order_item item = {.kind = kind, .name = strdup(name)};
    const char *text = passphrase != NULL ? passphrase : "";

    if (item.name != NULL && gh_keeper_name_valid(gh_view_of(name, strlen(name))) &&
        set_source(&item.source, place, where, strlen(where)) &&
        set_source(&item.passphrase, passphrase_place, text, strlen(text)))
        return append(o, &item);
    clear_item(&item);
    return false;
}

static bool set_expected(struct gh_order_item *item, struct gh_view spki, const char *from,
                         size_t from_len)
{
    free(item->spki);
    free(item->from);
    item->spki_len = 0;
    item->spki = spki.len > 0 && spki.len <= UINT16_MAX ? malloc(spki.len) : NULL;
    item->from = copy_text(from, from_len);
    if (item->spki == NULL || item->from == NULL)
        return false;
    memcpy(item->spki, spki.p, spki.len);
    item->spki_len = spki.len;
    return true;
}

static struct gh_order_item *find_token(const struct gh_keeper_order *o, const char *name)
{
    for (size_t i = 0; i < o->count; i++)
        if (o->items[i].source.place == GH_PLACE_TOKEN && strcmp(o->items[i].name, name) == 0)
            return &o->items[i];
    return NULL;
}

bool gh_keeper_order_expect(struct gh_keeper_order *o, const char *name, struct gh_view spki,
                            const char *from)
{
    struct gh_order_item *item = find_token(o, name);

    return item != NULL && set_expected(item, spki, from, strlen(from));
}

bool gh_keeper_order_in_token(const struct gh_keeper_order *o, const char *name)
{
    return find_token(o, name) != NULL;
}

/* ---- As octets ------------------------------------------------------------------------------ */

static void put_source(struct gh_wr *w, const struct gh_order_source *s)
{
    bool text = s->place == GH_PLACE_TEXT;
    size_t len = text ? s->text.len : s->where != NULL ? strlen(s->where) : 0;

    gh_wr_u8(w, s->place);
    gh_wr_u16(w, len);
    gh_wr_bytes(w, text ? (const char *)s->text.data : s->where, len);
}

uint8_t *gh_keeper_order_encode(const struct gh_keeper_order *o, size_t *len)
{
    size_t room = 4;
    struct gh_wr w;

    for (size_t i = 0; i < o->count; i++) {
        const struct gh_order_item *item = &o->items[i];

        room += 12 + item->spki_len + (item->from != NULL ? strlen(item->from) : 0);
        room += strlen(item->name) + item->source.text.len + item->passphrase.text.len;
        room += item->source.where != NULL ? strlen(item->source.where) : 0;
        room += item->passphrase.where != NULL ? strlen(item->passphrase.where) : 0;
    }
    w = gh_wr_make(malloc(room), room);
    if (w.base == NULL)
        return NULL;
    gh_wr_u32(&w, o->count);
    for (size_t i = 0; i < o->count; i++) {
        const struct gh_order_item *item = &o->items[i];

        gh_wr_u8(&w, item->kind);
        gh_wr_u8(&w, strlen(item->name));
        gh_wr_bytes(&w, item->name, strlen(item->name));
        put_source(&w, &item->source);
        put_source(&w, &item->passphrase);
        gh_wr_u16(&w, item->spki_len);
        gh_wr_bytes(&w, item->spki, item->spki_len);
        if (item->spki_len == 0)
            continue;
        gh_wr_u16(&w, strlen(item->from));
        gh_wr_bytes(&w, item->from, strlen(item->from));
    }
    if (gh_wr_ok(&w)) {
        *len = w.len;
        return w.base;
    }
    gh_wipe(w.base, room);
    free(w.base);
    return NULL;
}

static bool take_source(struct gh_rd *r, struct gh_order_source *s)
{
    uint8_t place = gh_rd_u8(r);
    size_t len = gh_rd_u16(r);
    const uint8_t *data = gh_rd_bytes(r, len);

    return data != NULL && is_place(place) && set_source(s, place, data, len);
}

static bool take_expected(struct gh_rd *r, struct gh_order_item *item)
{
    size_t len = gh_rd_u16(r), from_len;
    struct gh_view spki = gh_view_of(gh_rd_bytes(r, len), len);
    const uint8_t *from;

    if (r->bad || len == 0)
        return !r->bad;
    from_len = gh_rd_u16(r);
    from = gh_rd_bytes(r, from_len);
    return from != NULL && set_expected(item, spki, (const char *)from, from_len);
}

static bool take_item(struct gh_rd *r, struct gh_keeper_order *o)
{
    struct gh_order_item item = {.kind = gh_rd_u8(r)};
    size_t len = gh_rd_u8(r);
    struct gh_view name = gh_view_of(gh_rd_bytes(r, len), len);

    if (r->bad || (unsigned)item.kind > GH_SECRET_PPK || !gh_keeper_name_valid(name))
        return false;
    item.name = strndup((const char *)name.p, name.len);
    if (item.name != NULL && take_source(r, &item.source) && take_source(r, &item.passphrase) &&
        take_expected(r, &item))
        return append(o, &item);
    clear_item(&item);
    return false;
}

bool gh_keeper_order_decode(struct gh_view data, struct gh_keeper_order *out)
{
    struct gh_rd r = gh_rd_make(data.p, data.len);
    struct gh_keeper_order o = {.items = NULL};
    uint32_t count = gh_rd_u32(&r);
    bool good = count <= GH_ORDER_ITEMS;

    for (uint32_t i = 0; good && i < count; i++)
        good = take_item(&r, &o);
    if (good && gh_rd_done(&r)) {
        *out = o;
        return true;
    }
    gh_keeper_order_clear(&o);
    return false;
}
