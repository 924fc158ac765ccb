#include "config/manual.h"

#include <stdlib.h>
#include <string.h>

enum { SA_MIN = 4 };

static void clear_part(struct gh_manual_part *p)
{
    gh_secret_clear(&p->in.key);
    gh_secret_clear(&p->out.key);
}

void gh_manual_clear(struct gh_manual_list *l)
{
    for (size_t i = 0; i < l->count; i++) {
        clear_part(&l->sas[i].esp);
        clear_part(&l->sas[i].ah);
        free(l->sas[i].name);
    }
    free(l->sas);
    *l = (struct gh_manual_list){.sas = NULL};
}

bool gh_manual_may_have(enum gh_enc_alg enc)
{
    return enc == GH_ENC_NULL || enc == GH_ENC_AES_CBC || enc == GH_ENC_CAMELLIA_CBC ||
           enc == GH_ENC_3DES || enc == GH_ENC_DES;
}

static void put_way(struct gh_wr *w, const struct gh_manual_way *way)
{
    gh_wr_u32(w, way->spi);
    gh_wr_u16(w, way->key.len);
    if (way->key.len > 0)
        gh_wr_bytes(w, way->key.data, way->key.len);
}

static void put_part(struct gh_wr *w, const struct gh_manual_part *p)
{
    gh_wr_u8(w, p->there);
    if (!p->there)
        return;
    gh_wr_u16(w, p->enc);
    gh_wr_u16(w, p->enc_bits);
    gh_wr_u16(w, p->integ);
    put_way(w, &p->in);
    put_way(w, &p->out);
}

void gh_manual_put(struct gh_wr *w, const struct gh_manual_list *l)
{
    gh_wr_u8(w, l->count);
    for (size_t i = 0; i < l->count; i++) {
        gh_put_text(w, l->sas[i].name);
        put_part(w, &l->sas[i].esp);
        put_part(w, &l->sas[i].ah);
    }
}

static void get_way(struct gh_rd *r, struct gh_manual_way *way)
{
    size_t len;
    const uint8_t *key;

    way->spi = gh_rd_u32(r);
    len = gh_get_below(r, gh_rd_u16(r), GH_MANUAL_KEY_MAX + 1);
    key = gh_rd_bytes(r, len);
    if (!r->bad && len > 0 && !gh_secret_set(&way->key, key, len))
        r->bad = true;
    if (way->spi < GH_MANUAL_SPI_MIN || way->spi > GH_MANUAL_SPI_MAX)
        r->bad = true;
}

static void get_part(struct gh_rd *r, struct gh_manual_part *p, bool ah)
{
    p->there = gh_get_flag(r);
    if (!p->there || r->bad)
        return;
    p->enc = (enum gh_enc_alg)gh_rd_u16(r);
    p->enc_bits = (uint16_t)gh_rd_u16(r);
    p->integ = (enum gh_integ_alg)gh_rd_u16(r);
    get_way(r, &p->in);
    get_way(r, &p->out);
    if (!gh_manual_may_have(p->enc) || (ah && p->enc != GH_ENC_NULL) ||
        gh_icv_len(p->enc, p->integ) == 0)
        r->bad = true;
}

bool gh_manual_get(struct gh_view data, struct gh_manual_list *out)
{
    struct gh_rd r = gh_rd_make(data.p, data.len);
    size_t count = gh_get_below(&r, gh_rd_u8(&r), GH_MANUAL_SAS + 1);

    *out = (struct gh_manual_list){.sas = gh_get_array(&r, count, SA_MIN, sizeof(*out->sas))};
    while (!r.bad && out->count < count) {
        struct gh_manual_sa *sa = &out->sas[out->count++];

        sa->name = gh_get_text(&r, true);
        get_part(&r, &sa->esp, false);
        get_part(&r, &sa->ah, true);
        if (!sa->esp.there && !sa->ah.there)
            r.bad = true;
    }
    if (gh_rd_done(&r))
        return true;
    gh_manual_clear(out);
    return false;
}
