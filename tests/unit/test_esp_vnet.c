/* A device as the process `esp` reads and writes it: a socket pair that keeps records in its
 * place, whose other end plays the kernel. */
#include "unit.h"

#include <linux/virtio_net.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "daemon/esp_vnet.h"
#include "wire/checksum.h"
#include "wire/ip.h"
#include "wire/wr.h"

enum { HEADER = 20 + 20, SIZE = 1326, NUMBER = 7, SUM_AT = 20 + OFFLOAD_TCP_SUM };

struct kernel {
    int ends[2]; /* ours, and the kernel's */
    struct gh_esp_batch batch;
    struct gh_esp_vnet_reader reader;
    struct gh_esp_vnet_writer writer;
    size_t calls, counts[8]; /* of through(), and what each was given */
    size_t longest;
    uint8_t kept[GH_ESP_PACKETS][2048];
    size_t lens[GH_ESP_PACKETS], count;
};

static void keep(void *ctx, uint32_t which)
{
    struct kernel *k = ctx;

    assert_int_equal(which, NUMBER);
    assert_true(k->batch.count > 0 && k->calls < 8);
    k->counts[k->calls++] = k->batch.count;
    for (size_t i = 0; i < k->batch.count; i++) {
        const struct ipsec_packet *p = &k->batch.packets[i];

        assert_true(p->at >= GH_ESP_HEAD && ipsec_packet_tailroom(p) >= GH_ESP_TAIL);
        k->longest = p->len > k->longest ? p->len : k->longest;
        if (k->count == GH_ESP_PACKETS)
            continue;
        assert_true(p->len <= sizeof(k->kept[0]));
        memcpy(k->kept[k->count], ipsec_packet_data(p), p->len);
        k->lens[k->count++] = p->len;
    }
    gh_esp_batch_clear(&k->batch);
}

static struct kernel *begin(void)
{
    static struct kernel k;
    int room = 1 << 20;

    memset(&k, 0, sizeof(k));
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, k.ends), 0);
    for (int i = 0; i < 2; i++)
        assert_int_equal(setsockopt(k.ends[i], SOL_SOCKET, SO_SNDBUF, &room, sizeof(room)), 0);
    k.reader.batch = &k.batch;
    k.reader.through = keep;
    k.reader.ctx = &k;
    return &k;
}

static void end(const struct kernel *k)
{
    close(k->ends[0]);
    close(k->ends[1]);
}

static uint32_t pseudo_sum(const uint8_t *packet, size_t l4_len)
{
    struct gh_addr src = gh_addr_from(packet + 12, 4), dst = gh_addr_from(packet + 16, 4);

    return gh_sum_pseudo(&src, &dst, GH_IP_TCP, (uint32_t)l4_len);
}

/* A stretch of a stream as the kernel leaves it: the checksum is due. Its octets in all. */
static size_t make(uint8_t *out, size_t payload, uint32_t seq)
{
    static const struct virtio_net_hdr note = {.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
                                               .gso_type = VIRTIO_NET_HDR_GSO_TCPV4,
                                               .hdr_len = HEADER,
                                               .gso_size = SIZE,
                                               .csum_start = 20,
                                               .csum_offset = OFFLOAD_TCP_SUM};
    uint8_t *packet = out + GH_ESP_VNET;
    struct gh_wr w = gh_wr_make(packet, HEADER + payload);

    memcpy(out, &note, sizeof(note));
    gh_wr_u32(&w, UINT32_C(0x45000000) | (uint32_t)(HEADER + payload));
    gh_wr_u32(&w, 0x4000); /* Identification 0, DF */
    gh_wr_u32(&w, 64u << 24 | (uint32_t)GH_IP_TCP << 16);
    gh_wr_u32(&w, 0x0a630001);
    gh_wr_u32(&w, 0x0a630002);
    gh_wr_put_u16(&w, 10, gh_sum_fold(gh_sum(packet, 20, 0)));
    gh_wr_u32(&w, 1000u << 16 | 179);
    gh_wr_u32(&w, seq);
    gh_wr_u32(&w, 5);
    gh_wr_u32(&w, UINT32_C(0x50100000) | 500); /* ACK; window */
    gh_wr_u32(&w, 0);
    for (size_t i = 0; i < payload; i++)
        gh_wr_u8(&w, (seq + i) * 31 & 255);
    assert_true(gh_wr_ok(&w));
    gh_wr_put_u16(&w, SUM_AT, (uint16_t)~gh_sum_fold(pseudo_sum(packet, 20 + payload)));
    return GH_ESP_VNET + w.len;
}

static void give(const struct kernel *k, const uint8_t *record, size_t len)
{
    assert_int_equal(write(k->ends[1], record, len), len);
}

/* What is read in segments is written as it was; each segment is whole by itself. */
static void test_there_and_back(void **state)
{
    static uint8_t sent[GH_ESP_VNET + 65535], back[GH_ESP_VNET + 65535];
    const size_t payload = 20 * SIZE + 100;
    struct kernel *k = begin();
    size_t len = make(sent, payload, 77);

    (void)state;
    give(k, sent, len);
    gh_esp_vnet_read(&k->reader, k->ends[0], NUMBER);
    assert_int_equal(k->calls, 1);
    assert_int_equal(k->count, 21);
    assert_int_equal(k->reader.packets, 21);
    assert_int_equal(k->longest, HEADER + SIZE);
    assert_int_equal(k->lens[20], HEADER + 100);
    for (size_t i = 0; i < k->count; i++) {
        const uint8_t *l4 = k->kept[i] + 20;
        size_t l4_len = k->lens[i] - 20;

        assert_int_equal(gh_sum_fold(gh_sum(l4, l4_len, pseudo_sum(k->kept[i], l4_len))), 0);
        k->writer.packets[i] = (struct offload_packet){.data = k->kept[i], .len = k->lens[i]};
    }
    assert_int_equal(gh_esp_vnet_write(&k->writer, k->ends[0], false, k->count), 21);
    assert_int_equal(read(k->ends[1], back, sizeof(back)), len);
    assert_memory_equal(back, sent, len);
    assert_int_equal(read(k->ends[1], back, sizeof(back)), -1); /* one record was all */
    end(k);
}

/* What does not fit beside what is there comes after it, undivided, and in order. */
static void test_trains_stay_together(void **state)
{
    static uint8_t sent[GH_ESP_VNET + 65535];
    struct kernel *k = begin();
    size_t of_one = 45;

    (void)state;
    for (uint32_t i = 0; i < 4; i++)
        give(k, sent, make(sent, of_one * SIZE, i * 100000));
    gh_esp_vnet_read(&k->reader, k->ends[0], NUMBER);
    assert_int_equal(k->calls, 2);
    assert_int_equal(k->counts[0], 2 * of_one);
    assert_int_equal(k->counts[1], 2 * of_one);
    assert_int_equal(k->reader.failed, 0);
    end(k);
}

/* A note that does not go with its packet, or of a kind that nobody asked for. */
static void test_nonsense(void **state)
{
    static uint8_t sent[GH_ESP_VNET + 65535];
    struct virtio_net_hdr note;
    struct kernel *k = begin();
    size_t len = make(sent, 3000, 1);

    (void)state;
    memcpy(&note, sent, sizeof(note));
    note.gso_type = VIRTIO_NET_HDR_GSO_TCPV6;
    memcpy(sent, &note, sizeof(note));
    give(k, sent, len);
    note.gso_type = VIRTIO_NET_HDR_GSO_UDP; /* fragments */
    memcpy(sent, &note, sizeof(note));
    give(k, sent, len);
    note.gso_type = VIRTIO_NET_HDR_GSO_NONE;
    note.csum_start = UINT16_MAX;
    memcpy(sent, &note, sizeof(note));
    give(k, sent, len);
    gh_esp_vnet_read(&k->reader, k->ends[0], NUMBER);
    assert_int_equal(k->reader.failed, 3);
    assert_int_equal(k->reader.packets, 0);
    assert_int_equal(k->calls, 0);
    end(k);
}

/* Nobody is there any more: none of them was taken. */
static void test_not_taken(void **state)
{
    static uint8_t packets[2][GH_ESP_VNET + 2048];
    struct kernel *k = begin();

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        size_t len = make(packets[i], 500, (uint32_t)i * 9000); /* a gap: two groups */

        k->writer.packets[i] =
            (struct offload_packet){.data = packets[i] + GH_ESP_VNET, .len = len - GH_ESP_VNET};
    }
    assert_int_equal(shutdown(k->ends[0], SHUT_WR), 0);
    assert_int_equal(gh_esp_vnet_write(&k->writer, k->ends[0], true, 2), 0);
    end(k);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_there_and_back), cmocka_unit_test(test_trains_stay_together),
        cmocka_unit_test(test_nonsense), cmocka_unit_test(test_not_taken)};

    signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
