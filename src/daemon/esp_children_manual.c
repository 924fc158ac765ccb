/* SAs that are keyed by hand, among the children: they come from the configuration, all at once. */
#include <string.h>

#include "base/log.h"
#include "base/secret.h"
#include "daemon/esp_children_priv.h"

/* How far the SAs have got that one of the list takes the place of. */
struct went {
    uint64_t seq_out, top_in;
};

void gh_esp_child_join(struct gh_esp_children *c, size_t at)
{
    for (size_t i = 0; i < c->top; i++)
        if (c->list[i].there && c->list[i].around && c->list[i].policy == c->list[at].policy) {
            c->list[at].other = i + 1;
            c->list[i].other = at + 1;
            return;
        }
}

static bool same_key(struct gh_view a, struct gh_view b)
{
    return a.len == b.len && (a.len == 0 || gh_ct_equal(a.p, b.p, a.len));
}

static bool same_name(const struct gh_esp_child *a, const struct gh_esp_child *b)
{
    return strcmp(a->peer, b->peer) == 0 && strcmp(a->name, b->name) == 0;
}

/* Is this slot as one of the list says? */
static bool is_as_said(const struct slot *s, const struct gh_esp_child *list, size_t count)
{
    bool found = false;

    for (size_t i = 0; i < count && !found; i++) {
        uint8_t octets[GH_ESP_CHILD_MAX];
        struct gh_wr w = gh_wr_make(octets, sizeof(octets));

        gh_esp_put_child(&w, &list[i]);
        found = gh_wr_ok(&w) && w.len == s->len && gh_ct_equal(octets, s->body, w.len);
        gh_wipe(octets, sizeof(octets));
    }
    return found;
}

static size_t parts(const struct gh_esp_child *list, size_t count, const struct gh_esp_child *of)
{
    size_t n = 0;

    for (size_t i = 0; i < count; i++)
        n += same_name(&list[i], of);
    return n;
}

/* All parts of this one are there as they should be. */
static bool stays(const struct gh_esp_children *c, const struct gh_esp_child *list, size_t count,
                  const struct gh_esp_child *of)
{
    size_t good = 0, all = 0;

    for (size_t i = 0; i < c->top; i++) {
        struct gh_esp_child d;

        if (!c->list[i].there || !gh_esp_child_is_manual(c, i) ||
            !gh_esp_slot_decode(&c->slots[i], &d) || !same_name(&d, of))
            continue;
        all++;
        good += c->list[i].in && c->list[i].out && is_as_said(&c->slots[i], list, count);
    }
    return all > 0 && good == all && all == parts(list, count, of);
}

static struct went find_went(const struct gh_esp_children *c, const struct gh_esp_child *d)
{
    struct went went = {.seq_out = 0};

    for (size_t i = 0; i < c->top; i++) {
        struct gh_esp_child was;

        if (!c->list[i].there || !gh_esp_child_is_manual(c, i) ||
            !gh_esp_slot_decode(&c->slots[i], &was) || was.protocol != d->protocol)
            continue;
        if (was.spi_out == d->spi_out && same_key(was.key_out, d->key_out) &&
            gh_addr_equal(&was.remote, &d->remote))
            went.seq_out = c->slots[i].seq_out;
        if (was.spi_in == d->spi_in && same_key(was.key_in, d->key_in))
            went.top_in = c->slots[i].top_in;
    }
    return went;
}

static bool add(struct gh_esp_children *c, const struct gh_esp_child *d, const struct went *went,
                uint64_t now_ms)
{
    size_t at = gh_esp_slot_free(c);

    if (at >= GH_ESP_CHILDREN_MAX || c->slots == NULL)
        return false;
    gh_esp_slot_fill(c, at, d, now_ms);
    c->slots[at].epoch = GH_ESP_MANUAL;
    c->slots[at].seq_out = went->seq_out;
    c->slots[at].top_in = went->top_in;
    if (gh_esp_child_begin(c, at, d, false) && gh_esp_child_add_out(c, at))
        return true;
    gh_esp_child_drop(c, at);
    return false;
}

size_t gh_esp_children_manual(struct gh_esp_children *c, const struct gh_esp_child *list,
                              size_t count, uint64_t now_ms)
{
    struct went went[GH_ESP_MANUAL_MAX];
    bool there[GH_ESP_MANUAL_MAX];
    size_t failed = count > GH_ESP_MANUAL_MAX ? count - GH_ESP_MANUAL_MAX : 0;

    count -= failed;
    for (size_t i = 0; i < count; i++) {
        there[i] = stays(c, list, count, &list[i]);
        went[i] = find_went(c, &list[i]);
    }
    for (size_t i = c->top; i-- > 0;) {
        struct gh_esp_child d;

        if (c->list[i].there && gh_esp_child_is_manual(c, i) &&
            (!gh_esp_slot_decode(&c->slots[i], &d) || !stays(c, list, count, &d)))
            gh_esp_child_drop(c, i);
    }
    for (size_t i = 0; i < count; i++)
        if (!there[i] && !add(c, &list[i], &went[i], now_ms)) {
            gh_error("%s: the IPsec engine does not take its SAs", list[i].peer);
            failed++;
        }
    return failed;
}
