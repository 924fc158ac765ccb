/*
 * Capture files in the format pcapng (draft-ietf-opsawg-pcapng), written: IP packets of two
 * interfaces, what is in clear and what is encrypted, each packet with its direction and a comment.
 *
 * `gatectl capture` calls it. Pure: blocks as octets, one after the other they are the file.
 */
#ifndef GH_CAPTURE_PCAPNG_H
#define GH_CAPTURE_PCAPNG_H

#include "base/view.h"
#include "wire/wr.h"

enum cap_side { CAP_CLEAR, CAP_ENCRYPTED, CAP_SIDES };

enum {
    CAP_PCAPNG_HEAD = 512, /* octets of the head, at most */
    CAP_PCAPNG_COMMENT = 1024,
    CAP_PCAPNG_MORE = CAP_PCAPNG_COMMENT + 128 /* of a packet's block, beside the packet */
};

struct cap_pcapng_packet {
    enum cap_side side;
    bool outgoing;
    uint64_t time_us; /* since 1970-01-01T00:00:00Z */
    struct gh_view data;
    const char *comment; /* UTF-8, cut after CAP_PCAPNG_COMMENT octets; NULL or "": none */
};

/* Before all packets. program: who writes it. */
void cap_pcapng_head(struct gh_wr *w, const char *program);
void cap_pcapng_packet(struct gh_wr *w, const struct cap_pcapng_packet *p);
/* After all packets: how many of a side were lost before they could be written. */
void cap_pcapng_lost(struct gh_wr *w, enum cap_side side, uint64_t time_us, uint64_t lost);

#endif
