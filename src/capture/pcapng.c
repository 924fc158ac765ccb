#include "capture/pcapng.h"

#include <string.h>

enum {
    SECTION = 0x0A0D0D0A,
    INTERFACE = 1,
    STATISTICS = 5,
    PACKET = 6,
    ORDER = 0x1A2B3C4D,
    /* An address family before each packet. LINKTYPE_RAW, without it, is nothing that libpcap 1.10
     * reads from a file with two interfaces. */
    LINKTYPE_NULL = 0,
    FAMILY = 4,
    FAMILY_IPV4 = 2,
    FAMILY_IPV6 = 30,
    OPT_COMMENT = 1,
    SHB_USERAPPL = 4,
    IF_NAME = 2,
    IF_DESCRIPTION = 3,
    EPB_FLAGS = 2,
    ISB_IFDROP = 5,
    INBOUND = 1,
    OUTBOUND = 2
};

static void pad(struct gh_wr *w, size_t len)
{
    gh_wr_zero(w, (4 - len % 4) % 4);
}

static void option(struct gh_wr *w, uint16_t code, const void *data, size_t len)
{
    gh_wr_u16(w, code);
    gh_wr_u16(w, len);
    gh_wr_bytes(w, data, len);
    pad(w, len);
}

static void text_option(struct gh_wr *w, uint16_t code, const char *text)
{
    size_t len = text != NULL ? strnlen(text, CAP_PCAPNG_COMMENT) : 0;

    while (len == CAP_PCAPNG_COMMENT && ((uint8_t)text[len - 1] & 0x80) != 0)
        len--; /* no half of a character, and rather less than half of a text */
    if (len > 0)
        option(w, code, text, len);
}

/* Returns where its length is to be. */
static size_t begin(struct gh_wr *w, uint32_t type)
{
    gh_wr_u32(w, type);
    gh_wr_u32(w, 0);
    return w->len - 4;
}

/* Ends options, too. */
static void end(struct gh_wr *w, size_t at)
{
    const size_t len = w->len - at + 4 + 8;

    gh_wr_u32(w, 0);
    gh_wr_u32(w, len);
    gh_wr_put_u32(w, at, len);
}

void cap_pcapng_head(struct gh_wr *w, const char *program)
{
    static const struct {
        const char *name, *description;
    } sides[CAP_SIDES] = {
        [CAP_CLEAR] = {"clear", "IP packets inside of IPsec: before sealing, after opening"},
        [CAP_ENCRYPTED] = {"encrypted", "IPsec: after sealing, before opening"}};
    size_t at = begin(w, SECTION);

    gh_wr_u32(w, ORDER);
    gh_wr_u16(w, 1);
    gh_wr_u16(w, 0);
    gh_wr_u64(w, UINT64_MAX); /* how long the section is: not said */
    text_option(w, SHB_USERAPPL, program);
    end(w, at);
    for (int i = 0; i < CAP_SIDES; i++) {
        at = begin(w, INTERFACE);
        gh_wr_u16(w, LINKTYPE_NULL);
        gh_wr_u16(w, 0);
        gh_wr_u32(w, 0); /* whole packets */
        text_option(w, IF_NAME, sides[i].name);
        text_option(w, IF_DESCRIPTION, sides[i].description);
        end(w, at);
    }
}

static void put_time(struct gh_wr *w, uint64_t time_us)
{
    gh_wr_u32(w, time_us >> 32);
    gh_wr_u32(w, time_us & UINT32_MAX);
}

void cap_pcapng_packet(struct gh_wr *w, const struct cap_pcapng_packet *p)
{
    const uint8_t flags[4] = {0, 0, 0, p->outgoing ? OUTBOUND : INBOUND};
    const size_t len = FAMILY + p->data.len;
    size_t at = begin(w, PACKET);

    gh_wr_u32(w, p->side);
    put_time(w, p->time_us);
    gh_wr_u32(w, len);
    gh_wr_u32(w, len);
    gh_wr_u32(w, p->data.len > 0 && p->data.p[0] >> 4 == 6 ? FAMILY_IPV6 : FAMILY_IPV4);
    gh_wr_bytes(w, p->data.p, p->data.len);
    pad(w, len);
    text_option(w, OPT_COMMENT, p->comment);
    option(w, EPB_FLAGS, flags, sizeof(flags));
    end(w, at);
}

void cap_pcapng_lost(struct gh_wr *w, enum cap_side side, uint64_t time_us, uint64_t lost)
{
    size_t at = begin(w, STATISTICS);

    gh_wr_u32(w, side);
    put_time(w, time_us);
    gh_wr_u16(w, ISB_IFDROP);
    gh_wr_u16(w, 8);
    gh_wr_u64(w, lost);
    end(w, at);
}
