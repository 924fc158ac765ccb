/*
 * The SA payload on the wire (RFC 7296 3.3.1, 3.3.2, 3.3.5):
 *
 *     proposal    more (2) or last (0) | 0 | length | number | protocol | SPI size | transforms |
 * SPI transform   more (3) or last (0) | 0 | length | type | 0 | id | attributes attribute   AF |
 * type | value or length | value
 */
#include "ike/sa.h"

#include <stdio.h>

#include "wire/rd.h"

enum {
    MORE_PROPOSALS = 2,
    MORE_TRANSFORMS = 3,
    PROPOSAL_HEADER = 8,
    TRANSFORM_HEADER = 8,
    SHORT_FORM = 0x8000
};

/* Anything but one Key Length in the short form makes the transform odd: it is kept as it came. */
static enum ike_fault take_attributes(struct gh_rd r, struct ike_transform *t)
{
    struct gh_view all = gh_view_of(r.p, gh_rd_left(&r));
    bool odd = false;

    while (gh_rd_left(&r) > 0) {
        uint16_t head = gh_rd_u16(&r), value = gh_rd_u16(&r);

        if (head == (SHORT_FORM | IKE_ATTRIBUTE_KEY_LENGTH) && t->key_bits == 0 && value != 0) {
            t->key_bits = value;
            continue;
        }
        odd = true;
        if (!(head & SHORT_FORM))
            gh_rd_skip(&r, value);
    }
    if (!gh_rd_done(&r))
        return IKE_SYNTAX;
    if (odd) {
        t->odd = all;
        t->key_bits = 0;
    }
    return IKE_OK;
}

/* *more: another one follows. */
static enum ike_fault take_transform(struct gh_rd *r, struct ike_transform *t, bool *more)
{
    uint8_t follows = gh_rd_u8(r);
    struct gh_rd body;
    uint16_t len;

    gh_rd_skip(r, 1);
    len = gh_rd_u16(r);
    if (r->bad || len < TRANSFORM_HEADER || (follows != 0 && follows != MORE_TRANSFORMS))
        return IKE_SYNTAX;
    body = gh_rd_sub(r, len - 4u);
    *t = (struct ike_transform){.type = gh_rd_u8(&body)};
    gh_rd_skip(&body, 1);
    t->id = gh_rd_u16(&body);
    if (body.bad)
        return IKE_SYNTAX;
    *more = follows != 0;
    return take_attributes(body, t);
}

static enum ike_fault take_transforms(struct gh_rd r, size_t count, struct ike_proposal *p)
{
    bool more = count > 0;

    if (count > IKE_TRANSFORMS_MAX)
        return IKE_TOO_MANY;
    for (p->count = 0; p->count < count; p->count++) {
        enum ike_fault fault =
            more ? take_transform(&r, &p->transform[p->count], &more) : IKE_SYNTAX;

        if (fault != IKE_OK)
            return fault;
    }
    return more || !gh_rd_done(&r) ? IKE_SYNTAX : IKE_OK;
}

static enum ike_fault take_proposal(struct gh_rd *r, struct ike_proposal *p, bool *more)
{
    uint8_t follows = gh_rd_u8(r), count;
    struct gh_rd body;
    uint16_t len;

    gh_rd_skip(r, 1);
    len = gh_rd_u16(r);
    if (r->bad || len < PROPOSAL_HEADER || (follows != 0 && follows != MORE_PROPOSALS))
        return IKE_SYNTAX;
    body = gh_rd_sub(r, len - 4u);
    p->number = gh_rd_u8(&body);
    p->protocol = gh_rd_u8(&body);
    p->spi_len = gh_rd_u8(&body);
    count = gh_rd_u8(&body);
    if (p->spi_len > IKE_SA_SPI_MAX)
        return body.bad ? IKE_SYNTAX : IKE_TOO_MANY;
    memset(p->spi, 0, sizeof(p->spi));
    gh_rd_copy(&body, p->spi, p->spi_len);
    if (body.bad)
        return IKE_SYNTAX;
    *more = follows != 0;
    return take_transforms(body, count, p);
}

/* The first is 1 and each the next (RFC 7296 3.3.1); an answer has the one number that was chosen.
 */
static bool numbers_in_order(const struct ike_sa *sa)
{
    for (size_t i = 0; i < sa->count && sa->count > 1; i++)
        if (sa->proposal[i].number != i + 1)
            return false;
    return true;
}

enum ike_fault ike_sa_parse(struct gh_view body, struct ike_sa *out)
{
    struct gh_rd r = gh_rd_make(body.p, body.len);
    struct ike_sa sa;
    bool more = true;

    for (sa.count = 0; more; sa.count++) {
        enum ike_fault fault;

        if (sa.count == IKE_PROPOSALS_MAX)
            return IKE_TOO_MANY;
        fault = take_proposal(&r, &sa.proposal[sa.count], &more);
        if (fault != IKE_OK)
            return fault;
    }
    if (!gh_rd_done(&r) || !numbers_in_order(&sa))
        return IKE_SYNTAX;
    out->count = sa.count;
    memcpy(out->proposal, sa.proposal, sa.count * sizeof(sa.proposal[0]));
    return IKE_OK;
}

static void put_transform(struct ike_out *o, const struct ike_transform *t, bool more)
{
    size_t start = o->w.len;

    gh_wr_u8(&o->w, more ? MORE_TRANSFORMS : 0);
    gh_wr_u8(&o->w, 0);
    gh_wr_u16(&o->w, 0);
    gh_wr_u8(&o->w, t->type);
    gh_wr_u8(&o->w, 0);
    gh_wr_u16(&o->w, t->id);
    if (t->odd.len > 0) {
        ike_out_view(o, t->odd);
    } else if (t->key_bits != 0) {
        gh_wr_u16(&o->w, SHORT_FORM | IKE_ATTRIBUTE_KEY_LENGTH);
        gh_wr_u16(&o->w, t->key_bits);
    }
    gh_wr_put_u16(&o->w, start + 2, o->w.len - start);
}

static void put_proposal(struct ike_out *o, const struct ike_proposal *p, bool more)
{
    size_t start = o->w.len;

    gh_wr_u8(&o->w, more ? MORE_PROPOSALS : 0);
    gh_wr_u8(&o->w, 0);
    gh_wr_u16(&o->w, 0);
    gh_wr_u8(&o->w, p->number);
    gh_wr_u8(&o->w, p->protocol);
    gh_wr_u8(&o->w, p->spi_len);
    gh_wr_u8(&o->w, p->count);
    gh_wr_bytes(&o->w, p->spi, p->spi_len);
    for (size_t i = 0; i < p->count; i++)
        put_transform(o, &p->transform[i], i + 1 < p->count);
    gh_wr_put_u16(&o->w, start + 2, o->w.len - start);
}

void ike_sa_emit(struct ike_out *o, const struct ike_sa *sa)
{
    ike_out_open(o, IKE_P_SA, false);
    for (size_t i = 0; i < sa->count; i++)
        put_proposal(o, &sa->proposal[i], i + 1 < sa->count);
    ike_out_close(o);
}

void ike_sa_emit_one(struct ike_out *o, const struct ike_proposal *proposal)
{
    ike_out_open(o, IKE_P_SA, false);
    put_proposal(o, proposal, false);
    ike_out_close(o);
}

const struct ike_transform *ike_proposal_find(const struct ike_proposal *p, uint8_t type)
{
    for (size_t i = 0; i < p->count; i++)
        if (p->transform[i].type == type)
            return &p->transform[i];
    return NULL;
}

uint16_t ike_proposal_id(const struct ike_proposal *p, uint8_t type)
{
    const struct ike_transform *t = ike_proposal_find(p, type);

    return t == NULL ? 0 : t->id;
}

bool ike_proposal_add(struct ike_proposal *p, uint8_t type, uint16_t id, uint16_t key_bits)
{
    if (p->count == IKE_TRANSFORMS_MAX)
        return false;
    p->transform[p->count++] = (struct ike_transform){.type = type, .id = id, .key_bits = key_bits};
    return true;
}

const char *ike_transform_text(const struct ike_transform *t, char buf[IKE_TRANSFORM_TEXT])
{
    char number[IKE_CODE_TEXT];
    const char *name = ike_code_text(ike_transform_name(t->type, t->id), t->id, number);

    if (t->key_bits != 0)
        snprintf(buf, IKE_TRANSFORM_TEXT, "%s_%u", name, t->key_bits);
    else
        snprintf(buf, IKE_TRANSFORM_TEXT, "%s", name);
    return buf;
}

const char *ike_proposal_format(const struct ike_proposal *p, char *buf, size_t len)
{
    char number[IKE_CODE_TEXT], type[IKE_CODE_TEXT], text[IKE_TRANSFORM_TEXT];
    int n = snprintf(buf, len,
                     "%s:", ike_code_text(ike_protocol_name(p->protocol), p->protocol, number));
    size_t at = n < 0 ? 0 : (size_t)n;

    for (size_t i = 0; i < p->count && at < len; i++) {
        const struct ike_transform *t = &p->transform[i];
        const char *name = ike_transform_name(t->type, t->id);

        /* NONE and numbers say nothing without their type. */
        if (name == NULL || t->type >= IKE_T_ADDKE1 || t->id == 0)
            n = snprintf(buf + at, len - at, " %s=%s",
                         ike_code_text(ike_transform_type_name(t->type), t->type, type),
                         ike_transform_text(t, text));
        else
            n = snprintf(buf + at, len - at, " %s", ike_transform_text(t, text));
        at += n < 0 ? 0 : (size_t)n;
    }
    return buf;
}
