#include "config/octets.h"

#include <stdlib.h>
#include <string.h>

void gh_put_text(struct gh_wr *w, const char *text)
{
    size_t len = text != NULL ? strlen(text) : 0;

    gh_wr_u8(w, text != NULL);
    gh_wr_u16(w, len);
    gh_wr_bytes(w, text, len);
}

void gh_put_addr(struct gh_wr *w, const struct gh_addr *a)
{
    gh_wr_u8(w, a->len);
    gh_wr_bytes(w, a->octets, a->len);
}

void gh_put_prefix(struct gh_wr *w, const struct gh_prefix *p)
{
    gh_put_addr(w, &p->addr);
    gh_wr_u8(w, p->bits);
}

bool gh_get_flag(struct gh_rd *r)
{
    uint8_t v = gh_rd_u8(r);

    if (v > 1)
        r->bad = true;
    return v == 1;
}

uint32_t gh_get_below(struct gh_rd *r, uint32_t value, size_t end)
{
    if (value >= end)
        r->bad = true;
    return r->bad ? 0 : value;
}

char *gh_get_text(struct gh_rd *r, bool needed)
{
    bool present = gh_get_flag(r);
    size_t len = gh_rd_u16(r);
    const uint8_t *p = gh_rd_bytes(r, len);
    char *text;

    if ((!present && (needed || len > 0)) || (p != NULL && memchr(p, 0, len) != NULL))
        r->bad = true;
    if (r->bad || !present)
        return NULL;
    text = strndup(len > 0 ? (const char *)p : "", len);
    if (text == NULL)
        r->bad = true;
    return text;
}

void gh_get_addr(struct gh_rd *r, bool needed, struct gh_addr *out)
{
    uint8_t len = gh_rd_u8(r);

    if (len != 4 && len != 16 && (len != 0 || needed))
        r->bad = true;
    if (r->bad)
        return;
    *out = (struct gh_addr){.len = len};
    gh_rd_copy(r, out->octets, len);
}

void gh_get_prefix(struct gh_rd *r, bool needed, struct gh_prefix *out)
{
    gh_get_addr(r, needed, &out->addr);
    out->bits = gh_rd_u8(r);
    if (out->bits > out->addr.len * 8 ||
        !gh_host_bits_clear(out->addr.octets, out->addr.len, out->bits))
        r->bad = true;
}

void *gh_get_array(struct gh_rd *r, size_t count, size_t min, size_t size)
{
    void *array;

    if (r->bad || count > gh_rd_left(r) / min) {
        r->bad = true;
        return NULL;
    }
    array = calloc(count + 1, size);
    if (array == NULL)
        r->bad = true;
    return array;
}
