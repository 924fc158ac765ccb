/*
 * ESP between other people's implementations, with its keys (shared test data): every packet opens,
 * an echo inside; sealed again with the IV of the capture, it is the same packet.
 */
#include "ipsec_pair.h"

#include <stdio.h>

#include "capture/reader.h"
#include "shared.h"

enum { LINE = 1024, FIELDS = 8, SAS = 8, UDP = 17, ICMP = 1 };

#define VECTORS "vectors/ikev2-esp-wireshark-wiki/"

struct sa {
    uint32_t spi;
    struct octets enc_key, integ_key;
    struct ipsec_crypt_algs algs;
    unsigned opened;
};

static struct sa sas[SAS];
static size_t sa_count;

/* "IPv4","*","*","0xSPI","cipher","0xkey","integrity","0xkey": as Wireshark keeps them. */
static void load_sa(char *line)
{
    struct sa *sa = &sas[sa_count++];
    char *field[FIELDS] = {0};

    assert_true(sa_count <= SAS);
    for (unsigned i = 0; i < FIELDS; i++) {
        (void)strsep(&line, "\"");
        field[i] = strsep(&line, "\"");
        assert_non_null(field[i]);
    }
    sa->spi = (uint32_t)strtoul(field[3], NULL, 16);
    sa->enc_key = hex(field[5] + 2);
    sa->integ_key = field[7][0] != '\0' ? hex(field[7] + 2) : (struct octets){.len = 0};
    sa->algs = (struct ipsec_crypt_algs){.bits = 128,
                                         .integ = GH_INTEG_HMAC_SHA2_256_128,
                                         .enc = GH_ENC_AES_CBC,
                                         .enc_key = view_of(&sa->enc_key),
                                         .integ_key = view_of(&sa->integ_key)};
    if (strstr(field[4], "GCM") != NULL) {
        sa->algs.enc = GH_ENC_AES_GCM_16;
        sa->algs.integ = GH_INTEG_NONE;
    } else if (strstr(field[4], "CTR") != NULL) {
        sa->algs.enc = GH_ENC_AES_CTR;
    }
}

/* The engine that received this capture's packets: its SAs know where each comes from. */
static void add_sa(struct ipsec *e, struct sa *sa, const struct ipsec_layout *l, bool encapsulated)
{
    struct ipsec_sa_params p = {.id = sa->spi,
                                .spi = sa->spi,
                                .protocol = IPSEC_ESP,
                                .way = IPSEC_IN,
                                .mode = IPSEC_TUNNEL,
                                .local = l->dst,
                                .remote = l->src,
                                .algs = sa->algs,
                                .window = 32,
                                .selectors = anything(),
                                .selector_count = 2};

    if (encapsulated)
        p.local_port = p.remote_port = 4500;
    assert_true(ipsec_add_sa(e, &p));
}

static struct sa *find_sa(const uint8_t *esp)
{
    uint32_t spi = (uint32_t)esp[0] << 24 | (uint32_t)esp[1] << 16 | (uint32_t)esp[2] << 8 | esp[3];

    for (size_t i = 0; i < sa_count; i++)
        if (sas[i].spi == spi)
            return &sas[i];
    return NULL;
}

/* What was opened, whose plaintext still stands in the buffer, is sealed to the same octets. */
static void must_seal_alike(const struct sa *sa, struct buffer *opened, const struct octets *packet,
                            size_t esp_at, const char *back_end)
{
    static struct ipsec_crypt_job job;
    struct ipsec_crypt_job *jobs = &job;
    struct ipsec_crypt *c = ipsec_crypt_new(back_end);
    struct ipsec_crypt_key *key = ipsec_crypt_key_new(c, &sa->algs, true, true);
    size_t iv_len = gh_enc_iv_len(sa->algs.enc);
    size_t icv_len = gh_icv_len(sa->algs.enc, sa->algs.integ);
    uint8_t *esp = opened->mem + HEAD + esp_at;

    job = (struct ipsec_crypt_job){.key = key,
                                   .iv = esp + 8,
                                   .data = esp + 8 + iv_len,
                                   .len = packet->len - esp_at - 8 - iv_len - icv_len,
                                   .icv = opened->mem + HEAD + packet->len - icv_len,
                                   .aad_len = 8};
    memcpy(job.aad, esp, 8);
    memset(job.icv, 0, icv_len);
    ipsec_crypt_run(c, &jobs, 1, true);
    assert_true(job.ok);
    assert_memory_equal(esp, packet->p + esp_at, packet->len - esp_at);
    ipsec_crypt_key_free(key);
    ipsec_crypt_free(c);
}

static void one_packet(struct ipsec *e, const struct cap_packet *packet, const char *back_end)
{
    static struct buffer b;
    struct octets original = {.len = packet->len};
    struct ipsec_layout l;
    struct sa *sa;
    size_t esp_at;

    assert_true(packet->len <= sizeof(original.p));
    memcpy(original.p, packet->data, packet->len);
    assert_true(ipsec_layout_read(original.p, original.len, &l));
    original.len = l.total_len;
    esp_at = l.l4_at + (original.p[l.l4_next_at] == UDP ? 8 : 0);
    sa = find_sa(original.p + esp_at);
    if (sa == NULL)
        return; /* IKE */
    if (ipsec_get_sa(e, sa->spi) == NULL)
        add_sa(e, sa, &l, esp_at != l.l4_at);
    memcpy(b.mem + HEAD, original.p, original.len);
    b.p = (struct ipsec_packet){
        .mem = b.mem, .cap = BUFFER, .at = HEAD, .len = original.len, .encapsulated = true};
    ipsec_in(e, 1, &b.p, 1);
    assert_int_equal(b.p.result, IPSEC_OK);
    assert_int_equal(b.p.sa, sa->spi);
    assert_int_equal(octets_of(&b)[9], ICMP);
    assert_true(octets_of(&b)[20] == 8 || octets_of(&b)[20] == 0);
    assert_int_equal(gh_sum_fold(gh_sum(octets_of(&b) + 20, b.p.len - 20, 0)), 0);
    must_seal_alike(sa, &b, &original, esp_at, back_end);
    sa->opened++;
}

static void opens_with(const char *back_end)
{
    char path[LINE], error[CAP_ERROR_TEXT];
    struct listener l = {.count = 0};
    struct cap_reader *reader;
    struct cap_packet packet;
    struct ipsec *e;
    enum cap_next next;

    if (!shared_file(VECTORS "capture.pcapng", path, sizeof(path)))
        skip();
    e = engine(&l, back_end);
    reader = cap_reader_open(path, error);
    assert_non_null(reader);
    while ((next = cap_reader_next(reader, &packet, error)) == CAP_PACKET)
        one_packet(e, &packet, back_end);
    assert_int_equal(next, CAP_END);
    cap_reader_close(reader);
    for (size_t i = 0; i < sa_count; i++)
        assert_int_equal(ipsec_get_sa(e, sas[i].spi)->counts.packets, 4);
    ipsec_free(e);
}

static void a_capture_with_its_keys(void **state)
{
    char path[LINE], line[LINE];
    struct ipsec_crypt *mb;
    FILE *table;

    if (!shared_file(VECTORS "esp_sa", path, sizeof(path)))
        skip();
    table = fopen(path, "r");
    assert_non_null(table);
    while (fgets(line, sizeof(line), table) != NULL)
        if (line[0] == '"')
            load_sa(line);
    (void)fclose(table);
    assert_int_equal(sa_count, 6);
    opens_with("openssl");
    mb = ipsec_crypt_new("ipsec-mb");
    if (mb != NULL)
        opens_with("ipsec-mb");
    else
        print_message("skipped: no intel-ipsec-mb, or the CPU has not what it wants\n");
    ipsec_crypt_free(mb);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_capture_with_its_keys),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
