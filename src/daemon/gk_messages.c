#include "daemon/gk_messages.h"

#include <string.h>

void gh_gk_put_session(struct gh_wr *w, const char *session)
{
    size_t len = strlen(session);

    gh_wr_u16(w, len);
    gh_wr_bytes(w, session, len);
}

static void put_lifetime(struct gh_wr *w, const struct tcpao_lifetime *l)
{
    gh_wr_u64(w, (uint64_t)l->from);
    gh_wr_u64(w, (uint64_t)l->until);
}

void gh_gk_put_key(struct gh_wr *w, const char *session, const struct tcpao_mkt *mkt,
                   uint64_t left_ms, bool with_secret)
{
    size_t len = with_secret ? mkt->secret_len : 0;

    gh_gk_put_session(w, session);
    gh_wr_u32(w, mkt->number);
    gh_wr_u8(w, mkt->send_id);
    gh_wr_u8(w, mkt->recv_id);
    gh_wr_u8(w, mkt->alg);
    gh_wr_u8(w, mkt->mac_len);
    gh_wr_u8(w, mkt->options_covered);
    put_lifetime(w, &mkt->send);
    put_lifetime(w, &mkt->accept);
    gh_wr_u64(w, left_ms);
    gh_wr_u8(w, len);
    gh_wr_bytes(w, mkt->secret, len);
}

void gh_gk_put_number(struct gh_wr *w, const char *session, uint32_t number)
{
    gh_gk_put_session(w, session);
    gh_wr_u32(w, number);
}

void gh_gk_put_usage(struct gh_wr *w, const char *session, uint32_t number, uint64_t octets,
                     uint64_t segments)
{
    gh_gk_put_number(w, session, number);
    gh_wr_u64(w, octets);
    gh_wr_u64(w, segments);
}

void gh_gk_put_flag(struct gh_wr *w, const char *session, bool flag)
{
    gh_gk_put_session(w, session);
    gh_wr_u8(w, flag);
}

static bool take_name(struct gh_rd *r, struct gh_gk_message *out)
{
    size_t len = gh_rd_u16(r);
    const uint8_t *name = gh_rd_bytes(r, len);

    *out = (struct gh_gk_message){.number = 0};
    if (r->bad || len >= sizeof(out->session) || memchr(name, '\0', len) != NULL)
        return false;
    memcpy(out->session, name, len);
    return true;
}

bool gh_gk_take_session(struct gh_rd *r, struct gh_gk_message *out)
{
    return take_name(r, out) && gh_rd_done(r);
}

static struct tcpao_lifetime take_lifetime(struct gh_rd *r)
{
    struct tcpao_lifetime l = {.from = (int64_t)gh_rd_u64(r)};

    l.until = (int64_t)gh_rd_u64(r);
    return l;
}

bool gh_gk_take_key(struct gh_rd *r, bool with_secret, struct gh_gk_message *out)
{
    struct tcpao_mkt *mkt = &out->mkt;
    uint8_t alg, covered;

    if (!take_name(r, out))
        return false;
    mkt->number = gh_rd_u32(r);
    mkt->send_id = gh_rd_u8(r);
    mkt->recv_id = gh_rd_u8(r);
    alg = gh_rd_u8(r);
    mkt->alg = (enum tcpao_alg)alg;
    mkt->mac_len = gh_rd_u8(r);
    covered = gh_rd_u8(r);
    mkt->options_covered = covered == 1;
    mkt->send = take_lifetime(r);
    mkt->accept = take_lifetime(r);
    out->left_ms = gh_rd_u64(r);
    mkt->secret_len = gh_rd_u8(r);
    mkt->secret = gh_rd_bytes(r, mkt->secret_len);
    return gh_rd_done(r) && tcpao_traffic_key_len(mkt->alg) > 0 && covered <= 1 &&
           (mkt->secret_len > 0) == with_secret;
}

bool gh_gk_take_number(struct gh_rd *r, struct gh_gk_message *out)
{
    if (!take_name(r, out))
        return false;
    out->number = gh_rd_u32(r);
    return gh_rd_done(r);
}

bool gh_gk_take_usage(struct gh_rd *r, struct gh_gk_message *out)
{
    if (!take_name(r, out))
        return false;
    out->number = gh_rd_u32(r);
    out->octets = gh_rd_u64(r);
    out->segments = gh_rd_u64(r);
    return gh_rd_done(r);
}

bool gh_gk_take_flag(struct gh_rd *r, struct gh_gk_message *out)
{
    uint8_t flag;

    if (!take_name(r, out))
        return false;
    flag = gh_rd_u8(r);
    out->flag = flag == 1;
    return gh_rd_done(r) && flag <= 1;
}
