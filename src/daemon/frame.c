#include "daemon/frame.h"

#include "wire/wr.h"

static const struct {
    const char *name;
    unsigned to;
    size_t min, max;
    unsigned fds;
} messages[] = {
#define GH_MESSAGE_ROW(id, to, min, max, fds) {#id, to, min, max, fds},
    GH_MESSAGES(GH_MESSAGE_ROW)
#undef GH_MESSAGE_ROW
};

const char *gh_message_name(enum gh_message m)
{
    return (unsigned)m < GH_MESSAGE_COUNT ? messages[m].name : "?";
}

unsigned gh_message_fds(enum gh_message m)
{
    return (unsigned)m < GH_MESSAGE_COUNT ? messages[m].fds : 0;
}

bool gh_frame_header(enum gh_message type, size_t len, uint8_t header[GH_FRAME_HEADER])
{
    struct gh_wr w = gh_wr_make(header, GH_FRAME_HEADER);

    if ((unsigned)type >= GH_MESSAGE_COUNT || len < messages[type].min || len > messages[type].max)
        return false;
    gh_wr_u16(&w, type);
    gh_wr_u16(&w, 0);
    gh_wr_u32(&w, len);
    return gh_wr_ok(&w);
}

enum gh_frame_result gh_frame_next(enum gh_receiver self, struct gh_rd *r, struct gh_frame *out)
{
    struct gh_rd try = *r;
    uint16_t type, zero;
    uint32_t len;

    if (gh_rd_left(r) < GH_FRAME_HEADER)
        return GH_FRAME_MORE;
    type = gh_rd_u16(&try);
    zero = gh_rd_u16(&try);
    len = gh_rd_u32(&try);
    if (type >= GH_MESSAGE_COUNT || zero != 0 || (messages[type].to & self) == 0 ||
        len < messages[type].min || len > messages[type].max)
        return GH_FRAME_BAD;
    if (len > gh_rd_left(&try))
        return GH_FRAME_MORE;
    out->type = type;
    out->body = gh_rd_sub(&try, len);
    *r = try;
    return GH_FRAME_WHOLE;
}
