/*
 * Packets of strangers on their way to a device, and notes of a device that may say anything.
 *
 * Input: records of [u16 length, octets]: packets to be merged, mended at random so that their
 * checksums are right; the first octet of all says whether, and what a note says of the first
 * packet. Beyond not crashing: offload_check.h, and whatever is cut stays within the packet.
 */
#include <stdlib.h>
#include <string.h>

#include "../offload_check.h"
#include "wire/checksum.h"
#include "wire/rd.h"
#include "wire/wr.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

enum { UDP = 17 };

static void mend(uint8_t *packet, size_t len)
{
    struct gh_ip_packet ip;
    struct gh_wr w = {.base = packet, .cap = len, .len = len};
    size_t at;

    if (gh_ip_parse(packet, len, &ip) != GH_IP_OK)
        return;
    if (ip.version == 4) {
        gh_wr_put_u16(&w, 10, 0);
        gh_wr_put_u16(&w, 10, gh_sum_fold(gh_sum(packet, ip.header_len, 0)));
    }
    at = ip.header_len + (ip.protocol == UDP ? OFFLOAD_UDP_SUM : OFFLOAD_TCP_SUM);
    if ((ip.protocol != UDP && ip.protocol != GH_IP_TCP) || ip.l4_len < 20)
        return;
    gh_wr_put_u16(&w, at, 0);
    gh_wr_put_u16(
        &w, at,
        gh_sum_fold(gh_sum(packet + ip.header_len, ip.l4_len,
                           gh_sum_pseudo(&ip.src, &ip.dst, ip.protocol, (uint32_t)ip.l4_len))));
}

static void cut(const struct offload_note *note, const uint8_t *packet, size_t len)
{
    uint8_t *copy = malloc(len + 1);
    struct offload_split s;

    offload_must(copy != NULL);
    memcpy(copy, packet, len);
    offload_complete(note, copy, len);
    if (offload_split(&s, note, copy, len)) {
        size_t total = 0;

        for (size_t i = 0; i < s.count; i++) {
            size_t n = offload_segment_len(&s, i);
            uint8_t *out = malloc(n);

            offload_must(out != NULL);
            offload_segment(&s, i, out);
            total += n - s.header;
            free(out);
        }
        offload_must(total == len - s.header);
    }
    free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    static struct offload_check check;
    struct gh_rd r = gh_rd_make(data, len);
    uint8_t how = gh_rd_u8(&r);
    struct offload_note note = {.cut = (enum offload_cut)(how >> 2 & 3),
                                .checksum_due = how >> 4 & 1,
                                .size = gh_rd_u16(&r),
                                .sum_start = gh_rd_u8(&r),
                                .sum_offset = how >> 5};
    size_t count = 0;

    while (gh_rd_left(&r) >= 2 && count < OFFLOAD_MERGE_MAX) {
        size_t n = gh_rd_u16(&r);
        const uint8_t *p;
        uint8_t *mine;

        if (n > gh_rd_left(&r))
            n = gh_rd_left(&r);
        if (n == 0)
            break;
        p = gh_rd_bytes(&r, n);
        mine = malloc(n); /* of its own, so that reading on is seen */
        offload_must(mine != NULL);
        memcpy(mine, p, n);
        if ((how & 1) != 0)
            mend(mine, n);
        if (count == 0)
            cut(&note, mine, n);
        check.packets[count++] = (struct offload_packet){.data = mine, .len = n};
    }
    offload_check_merge(&check, count, (how & 2) != 0);
    for (size_t i = 0; i < count; i++)
        free(check.packets[i].data);
    return 0;
}
