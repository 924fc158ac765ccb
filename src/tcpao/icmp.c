/*
 * RFC 5925 7.8: ICMP hard errors for protected connections are ignored.
 *
 * What passes is the error that a policy accepts, and ICMPv6 "packet too big" whose quoted sequence
 * number the connection really has in flight; its MTU is lowered by the option's size, which the
 * local stack does not know of.
 */
#include "tcpao/engine_priv.h"

#include "wire/checksum.h"
#include "wire/rd.h"
#include "wire/wr.h"

enum { V4_UNREACHABLE = 3, V4_FRAG_NEEDED = 4, V6_UNREACHABLE = 1, V6_TOO_BIG = 2 };
enum { MAX_IN_FLIGHT = 1 << 30 };

static bool is_hard_error(const struct ao_transit *t, const struct gh_icmp_error *e)
{
    if (t->ip.version == 4)
        return e->type == V4_UNREACHABLE && e->code >= 2 && e->code <= 4;
    return e->type == V6_UNREACHABLE && (e->code == 1 || e->code == 4);
}

static bool is_too_big(const struct ao_transit *t, const struct gh_icmp_error *e)
{
    return t->ip.version == 4 ? e->type == V4_UNREACHABLE && e->code == V4_FRAG_NEEDED
                              : e->type == V6_TOO_BIG;
}

static bool in_flight(const struct ao_connection *c, uint32_t seq)
{
    struct tcpao_conn_state state;
    uint64_t at;

    tcpao_conn_export(c->conn, &state);
    return tcpao_sne_extend(&state.snd, seq, &at) && at <= state.snd.highest &&
           state.snd.highest - at < MAX_IN_FLIGHT;
}

/* "Packet too big" with room for the option taken off its MTU. */
static void lower_mtu(struct ao_transit *t, uint32_t mtu)
{
    struct gh_wr w = gh_wr_make(t->result->head, sizeof(t->result->head));
    size_t icmp = t->ip.header_len, at = icmp + (t->ip.version == 4 ? 6u : 4u);
    size_t copied = icmp + 8;
    struct gh_rd r = gh_rd_make(t->packet->data + icmp, t->ip.l4_len);
    uint32_t lower = mtu - (uint32_t)ao_option_reserve(t);
    uint32_t sum;
    uint16_t old;

    gh_rd_skip(&r, 2);
    old = gh_rd_u16(&r);
    if (mtu <= ao_option_reserve(t) || r.bad || copied > t->packet->len) {
        ao_refuse(t, AO_COUNT_NOT_TCP);
        return;
    }
    sum = (uint16_t)~old + (uint32_t)(uint16_t) ~(mtu >> 16) + (uint16_t)~mtu + (lower >> 16) +
          (lower & 0xffff);
    gh_wr_bytes(&w, t->packet->data, copied);
    if (t->ip.version == 4)
        gh_wr_put_u16(&w, at, lower);
    else
        gh_wr_put_u32(&w, at, lower);
    gh_wr_put_u16(&w, icmp + 2, gh_sum_fold(sum));
    if (!gh_wr_ok(&w)) {
        ao_refuse(t, AO_COUNT_NOT_TCP);
        return;
    }
    t->result->verdict = AO_REPLACE;
    t->result->head_len = w.len;
    t->result->tail = copied;
}

/* Linux counts an error before TCP ignores it, so a socket's own peer must not stop it on its way:
 * it arrives, but names no connection. */
static void blind(struct ao_transit *t)
{
    struct gh_wr w = gh_wr_make(t->result->head, sizeof(t->result->head));
    size_t icmp = t->ip.header_len, quoted = icmp + 8, ports;
    struct gh_rd r = gh_rd_make(t->packet->data, t->packet->len);
    uint16_t source, sum;

    gh_rd_skip(&r, icmp + 2);
    sum = gh_rd_u16(&r);
    gh_rd_skip(&r, 4);
    ports = quoted + (t->ip.version == 4 ? 4u * (gh_rd_u8(&r) & 15u) : 40u);
    gh_rd_skip(&r, ports - quoted - (t->ip.version == 4 ? 1 : 0));
    source = gh_rd_u16(&r);
    if (r.bad || ports + 2 > sizeof(t->result->head))
        return;
    gh_wr_bytes(&w, t->packet->data, ports);
    gh_wr_u16(&w, 0);
    gh_wr_put_u16(&w, icmp + 2, gh_sum_fold((uint32_t)(uint16_t)~sum + (uint16_t)~source));
    t->result->verdict = AO_REPLACE;
    t->result->head_len = w.len;
    t->result->tail = w.len;
}

static void ignore(struct ao_transit *t)
{
    ao_refuse(t, AO_COUNT_ICMP_IGNORED);
    if (t->connection->own_keys)
        blind(t);
}

static bool synchronized(const struct ao_connection *c)
{
    return c->state == AO_STATE_ESTABLISHED || c->state == AO_STATE_CLOSING ||
           c->state == AO_STATE_CLOSED;
}

void ao_icmp(struct ao_transit *t)
{
    struct ao_connection *c;
    struct gh_icmp_error error;
    enum gh_ip_result r =
        gh_icmp_embedded(t->ip.version, t->packet->data + t->ip.header_len, t->ip.l4_len, &error);

    t->result->verdict = AO_PASS;
    if (t->packet->way != AO_IN || r == GH_IP_NOT_ERROR ||
        (!is_hard_error(t, &error) && !is_too_big(t, &error)))
        return;
    /* A stack looks less closely at what is quoted: what hides its ports from us does not pass. */
    if (r != GH_IP_OK || (error.protocol == GH_IP_TCP && error.src_port == 0)) {
        ao_refuse(t, AO_COUNT_NOT_TCP);
        return;
    }
    if (error.protocol != GH_IP_TCP)
        return;
    t->local = ao_endpoint_of(&error.src, error.src_port);
    t->remote = ao_endpoint_of(&error.dst, error.dst_port);
    c = ao_table_find(t->engine, t->packet->zone, &t->local, &t->remote);
    if (c == NULL || c->in_kernel || c->without_ao || !synchronized(c))
        return;
    t->connection = c;
    t->session = c->session;
    if (is_hard_error(t, &error) && !c->accept_icmp) {
        ignore(t);
    } else if (is_too_big(t, &error)) {
        if (in_flight(c, error.seq))
            lower_mtu(t, error.mtu);
        else if (!c->own_keys || !c->accept_icmp) /* else the stack compares it with its window */
            ignore(t);
    }
}
