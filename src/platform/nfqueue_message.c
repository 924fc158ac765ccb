#include "platform/nfqueue_message.h"

#include <arpa/inet.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_queue.h>
#include <linux/netlink.h>

static const uint16_t subsystem = NFNL_SUBSYS_QUEUE << 8;

bool gh_nfq_is_packet(uint16_t type)
{
    return type == (subsystem | NFQNL_MSG_PACKET);
}

static void parse_attr(struct gh_nl_attr *a, struct gh_nfq_message *out, uint32_t *whole)
{
    switch (a->type) {
    case NFQA_PACKET_HDR:
        out->id = gh_rd_u32(&a->body);
        gh_rd_skip(&a->body, 2);
        out->hook = gh_rd_u8(&a->body);
        out->has_id = !a->body.bad;
        break;
    case NFQA_IFINDEX_INDEV:
        out->indev = gh_rd_u32(&a->body);
        break;
    case NFQA_IFINDEX_OUTDEV:
        out->outdev = gh_rd_u32(&a->body);
        break;
    case NFQA_CAP_LEN:
        *whole = gh_rd_u32(&a->body);
        break;
    case NFQA_PAYLOAD:
        out->len = gh_rd_left(&a->body);
        out->data = gh_rd_bytes(&a->body, out->len);
        break;
    default:
        break;
    }
}

bool gh_nfq_parse(struct gh_rd body, struct gh_nfq_message *out)
{
    struct gh_nl_attr a;
    uint32_t whole = 0;
    bool good = true;

    *out = (struct gh_nfq_message){.has_id = false};
    gh_rd_skip(&body, sizeof(struct nfgenmsg));
    while (gh_nl_next_attr(&body, &a)) {
        parse_attr(&a, out, &whole);
        good = good && !a.body.bad;
    }
    out->truncated = whole > out->len;
    return good && !body.bad && out->has_id && out->data != NULL;
}

static size_t begin(struct gh_wr *w, uint16_t kind, uint16_t flags, uint16_t queue)
{
    size_t start = gh_nl_begin(w, subsystem | kind, NLM_F_REQUEST | flags, 0);

    gh_wr_u8(w, AF_UNSPEC);
    gh_wr_u8(w, NFNETLINK_V0);
    gh_wr_u16(w, queue);
    return start;
}

static void put_verdict_header(struct gh_wr *w, uint32_t verdict, uint32_t id)
{
    gh_nl_put_attr_header(w, NFQA_VERDICT_HDR, 8);
    gh_wr_u32(w, verdict);
    gh_wr_u32(w, id);
}

void gh_nfq_put_verdict(struct gh_wr *w, uint16_t queue, uint32_t id, uint32_t verdict,
                        size_t payload)
{
    size_t start = begin(w, NFQNL_MSG_VERDICT, 0, queue);

    put_verdict_header(w, verdict, id);
    if (payload > 0)
        gh_nl_put_attr_header(w, NFQA_PAYLOAD, payload);
    gh_nl_end_with(w, start, payload);
}

void gh_nfq_put_drop_until(struct gh_wr *w, uint16_t queue, uint32_t id)
{
    size_t start = begin(w, NFQNL_MSG_VERDICT_BATCH, 0, queue);

    put_verdict_header(w, NF_DROP, id);
    gh_nl_end(w, start);
}

void gh_nfq_put_bind(struct gh_wr *w, uint16_t queue)
{
    size_t start = begin(w, NFQNL_MSG_CONFIG, NLM_F_ACK, queue);

    gh_nl_put_attr_header(w, NFQA_CFG_CMD, sizeof(struct nfqnl_msg_config_cmd));
    gh_wr_u8(w, NFQNL_CFG_CMD_BIND);
    gh_wr_u8(w, 0);
    gh_wr_u16(w, AF_UNSPEC);
    gh_nl_end(w, start);
}

void gh_nfq_put_parameters(struct gh_wr *w, uint16_t queue, uint32_t length)
{
    size_t start = begin(w, NFQNL_MSG_CONFIG, NLM_F_ACK, queue);

    gh_nl_put_attr_header(w, NFQA_CFG_PARAMS, 5); /* struct nfqnl_msg_config_params */
    gh_wr_u32(w, UINT16_MAX);                     /* copy the whole packet */
    gh_wr_u8(w, NFQNL_COPY_PACKET);
    gh_wr_zero(w, gh_nl_padding(5));
    gh_nl_put_attr_header(w, NFQA_CFG_QUEUE_MAXLEN, 4);
    gh_wr_u32(w, length);
    /* No flags: never fail open, and let the kernel segment and checksum before it queues. */
    gh_nl_put_attr_header(w, NFQA_CFG_MASK, 4);
    gh_wr_u32(w, NFQA_CFG_F_FAIL_OPEN | NFQA_CFG_F_GSO);
    gh_nl_put_attr_header(w, NFQA_CFG_FLAGS, 4);
    gh_wr_u32(w, 0);
    gh_nl_end(w, start);
}
