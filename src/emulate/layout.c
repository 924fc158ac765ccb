#include "emulate/layout.h"

#include <string.h>
#include <sys/socket.h>

#include "wire/rd.h"
#include "wire/wr.h"

enum { SOCKADDR = 128 };

bool emu_copy_struct(const uint8_t *value, size_t len, size_t size, uint8_t *out)
{
    size_t given = len < size ? len : size;

    memset(out, 0, size);
    memcpy(out, value, given);
    for (size_t i = size; i < len; i++)
        if (value[i] != 0)
            return false;
    return true;
}

/* ---- Reading -------------------------------------------------------------------------------- */

static uint16_t host_u16(struct gh_rd *r)
{
    uint16_t v;

    gh_rd_copy(r, &v, sizeof(v));
    return v;
}

static uint32_t host_u32(struct gh_rd *r)
{
    uint32_t v;

    gh_rd_copy(r, &v, sizeof(v));
    return v;
}

static uint64_t host_u64(struct gh_rd *r)
{
    uint64_t v;

    gh_rd_copy(r, &v, sizeof(v));
    return v;
}

/* C's bit-fields begin at the least significant bit on little-endian machines, at the most
 * significant one on big-endian machines. Bit 0 is the first one declared. */
static uint32_t in_order(uint32_t v, unsigned width)
{
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    uint32_t turned = 0;

    for (unsigned i = 0; i < width; i++)
        turned |= (v >> i & 1) << (width - 1 - i);
    return turned;
#else
    (void)width;
    return v;
#endif
}

static void read_sockaddr(struct gh_rd *r, struct emu_sockaddr *out)
{
    struct gh_rd s = gh_rd_sub(r, SOCKADDR), v6;

    out->family = host_u16(&s);
    out->port = gh_rd_u16(&s);
    v6 = s;
    gh_rd_skip(&v6, 4); /* flow label */
    gh_rd_copy(&v6, out->v6, sizeof(out->v6));
    gh_rd_copy(&s, out->v4, sizeof(out->v4));
}

void emu_read_add(const uint8_t value[EMU_ADD_SIZE], struct emu_add *out)
{
    struct gh_rd r = gh_rd_make(value, EMU_ADD_SIZE);
    uint32_t bits;

    read_sockaddr(&r, &out->addr);
    gh_rd_copy(&r, out->alg, sizeof(out->alg));
    out->alg[sizeof(out->alg) - 1] = '\0';
    out->ifindex = (int32_t)host_u32(&r);
    bits = in_order(host_u32(&r), 32);
    out->set_current = (bits & 1) != 0;
    out->set_rnext = (bits & 2) != 0;
    out->reserved = bits >> 2 != 0;
    out->reserved |= host_u16(&r) != 0;
    out->prefix = gh_rd_u8(&r);
    out->send_id = gh_rd_u8(&r);
    out->recv_id = gh_rd_u8(&r);
    out->mac_len = gh_rd_u8(&r);
    out->flags = gh_rd_u8(&r);
    out->key_len = gh_rd_u8(&r);
    gh_rd_copy(&r, out->key, sizeof(out->key));
}

void emu_read_del(const uint8_t value[EMU_DEL_SIZE], struct emu_del *out)
{
    struct gh_rd r = gh_rd_make(value, EMU_DEL_SIZE);
    uint32_t bits;

    read_sockaddr(&r, &out->addr);
    out->ifindex = (int32_t)host_u32(&r);
    bits = in_order(host_u32(&r), 32);
    out->set_current = (bits & 1) != 0;
    out->set_rnext = (bits & 2) != 0;
    out->async = (bits & 4) != 0;
    out->reserved = bits >> 3 != 0;
    out->reserved |= host_u16(&r) != 0;
    out->prefix = gh_rd_u8(&r);
    out->send_id = gh_rd_u8(&r);
    out->recv_id = gh_rd_u8(&r);
    out->current = gh_rd_u8(&r);
    out->rnext = gh_rd_u8(&r);
    out->flags = gh_rd_u8(&r);
}

void emu_read_info(const uint8_t value[EMU_INFO_SIZE], struct emu_info *out)
{
    struct gh_rd r = gh_rd_make(value, EMU_INFO_SIZE);
    uint32_t bits = in_order(host_u32(&r), 32);

    out->set_current = (bits & 1) != 0;
    out->set_rnext = (bits & 2) != 0;
    out->ao_required = (bits & 4) != 0;
    out->set_counters = (bits & 8) != 0;
    out->accept_icmps = (bits & 16) != 0;
    out->reserved = bits >> 5 != 0;
    out->reserved |= host_u16(&r) != 0;
    out->current = gh_rd_u8(&r);
    out->rnext = gh_rd_u8(&r);
    for (size_t i = 0; i < 5; i++)
        out->counters[i] = host_u64(&r);
}

void emu_read_filter(const uint8_t value[EMU_GET_SIZE], struct emu_filter *out)
{
    struct gh_rd r = gh_rd_make(value, EMU_GET_SIZE);
    uint32_t bits;

    read_sockaddr(&r, &out->addr);
    gh_rd_skip(&r, EMU_ALG_NAME + EMU_KEY_MAX);
    out->nkeys = host_u32(&r);
    bits = in_order(host_u16(&r), 16);
    out->is_current = (bits & 1) != 0;
    out->is_rnext = (bits & 2) != 0;
    out->get_all = (bits & 4) != 0;
    out->reserved = bits >> 3 != 0;
    out->send_id = gh_rd_u8(&r);
    out->recv_id = gh_rd_u8(&r);
    out->prefix = gh_rd_u8(&r);
    gh_rd_skip(&r, 1); /* MAC length */
    out->flags = gh_rd_u8(&r);
    gh_rd_skip(&r, 1); /* key length */
    out->ifindex = (int32_t)host_u32(&r);
    out->counters_set = host_u64(&r) != 0;
    out->counters_set |= host_u64(&r) != 0;
}

void emu_read_repair(const uint8_t value[EMU_REPAIR_SIZE], struct emu_repair *out)
{
    struct gh_rd r = gh_rd_make(value, EMU_REPAIR_SIZE);

    out->snt_isn = gh_rd_u32(&r);
    out->rcv_isn = gh_rd_u32(&r);
    out->snd_sne = host_u32(&r);
    out->rcv_sne = host_u32(&r);
}

void emu_read_md5(const uint8_t value[EMU_MD5_SIZE], struct emu_md5 *out)
{
    struct gh_rd r = gh_rd_make(value, EMU_MD5_SIZE);

    read_sockaddr(&r, &out->addr);
    out->flags = gh_rd_u8(&r);
    out->prefix = gh_rd_u8(&r);
    out->key_len = host_u16(&r);
    out->ifindex = (int32_t)host_u32(&r);
}

/* ---- Writing -------------------------------------------------------------------------------- */

static void put_u16(struct gh_wr *w, uint16_t v)
{
    gh_wr_bytes(w, &v, sizeof(v));
}

static void put_u32(struct gh_wr *w, uint32_t v)
{
    gh_wr_bytes(w, &v, sizeof(v));
}

static void put_u64(struct gh_wr *w, uint64_t v)
{
    gh_wr_bytes(w, &v, sizeof(v));
}

void emu_write_info(const struct emu_info *in, uint8_t out[EMU_INFO_SIZE])
{
    struct gh_wr w = gh_wr_make(out, EMU_INFO_SIZE);

    put_u32(&w, in_order((in->set_current ? 1 : 0) | (in->set_rnext ? 2 : 0) |
                             (in->ao_required ? 4 : 0) | (in->accept_icmps ? 16 : 0),
                         32));
    gh_wr_zero(&w, 2);
    gh_wr_u8(&w, in->current);
    gh_wr_u8(&w, in->rnext);
    for (size_t i = 0; i < 5; i++)
        put_u64(&w, in->counters[i]);
}

void emu_write_entry(const struct emu_entry *in, uint8_t out[EMU_GET_SIZE])
{
    struct gh_wr w = gh_wr_make(out, EMU_GET_SIZE);
    size_t name = strlen(in->alg);

    put_u16(&w, in->addr.len == 4 ? AF_INET : AF_INET6);
    gh_wr_zero(&w, in->addr.len == 4 ? 2 : 6);
    gh_wr_bytes(&w, in->addr.octets, in->addr.len);
    gh_wr_zero(&w, SOCKADDR - w.len);
    gh_wr_bytes(&w, in->alg, name);
    gh_wr_zero(&w, EMU_ALG_NAME - name);
    gh_wr_bytes(&w, in->key, in->key_len);
    gh_wr_zero(&w, EMU_KEY_MAX - in->key_len);
    gh_wr_zero(&w, 4); /* nkeys */
    put_u16(&w, (uint16_t)in_order((in->is_current ? 1 : 0) | (in->is_rnext ? 2 : 0), 16));
    gh_wr_u8(&w, in->send_id);
    gh_wr_u8(&w, in->recv_id);
    gh_wr_u8(&w, in->prefix);
    gh_wr_u8(&w, in->mac_len);
    gh_wr_u8(&w, in->flags);
    gh_wr_u8(&w, in->key_len);
    put_u32(&w, in->ifindex);
    put_u64(&w, in->good);
    put_u64(&w, in->bad);
}

void emu_write_nkeys(uint32_t nkeys, uint8_t out[4])
{
    struct gh_wr w = gh_wr_make(out, 4);

    put_u32(&w, nkeys);
}

void emu_write_repair(const struct emu_repair *in, uint8_t out[EMU_REPAIR_SIZE])
{
    struct gh_wr w = gh_wr_make(out, EMU_REPAIR_SIZE);

    gh_wr_u32(&w, in->snt_isn);
    gh_wr_u32(&w, in->rcv_isn);
    put_u32(&w, in->snd_sne);
    put_u32(&w, in->rcv_sne);
}
