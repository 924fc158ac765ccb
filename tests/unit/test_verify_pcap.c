/* gatectl verify-pcap below its command line: captures in, a verdict for each segment out. */
#include "unit.h"

#include <stdio.h>
#include <stdlib.h>

#include "capture/report.h"
#include "capture/verifier.h"
#include "made_capture.h"
#include "shared.h"

enum { A_ISN = 0x11111111, B_ISN = 0x99999999, JUDGED_MAX = 64 };

static const char simple[] =
    "key-chain core {\n"
    "  key 1 { send-id = 5 recv-id = 6 algorithm = \"hmac-sha-1-96\" secret = \"secret\" }\n"
    "}\n"
    "tcp-ao upstream { peer = \"192.0.2.2\" port = 179 key-chain = core }\n";

/* We are a, and open; the peer is b. */
static struct tcpao_endpoint a, b;
static struct made_capture made;

static struct gh_config *config;
static struct cap_verifier *verifier;
static struct cap_segment judged[JUDGED_MAX];
static size_t judged_count;

static void forget(void)
{
    cap_verifier_free(verifier);
    gh_config_free(config);
    verifier = NULL;
    config = NULL;
}

static int teardown(void **state)
{
    forget();
    return 0;
}

static void judge_stream(FILE *stream, const char *config_text, const char *session)
{
    static const struct gh_config_options options;
    struct gh_problems problems = {0};
    char error[CAP_ERROR_TEXT];
    struct cap_reader *reader = cap_reader_stream(stream, error);
    struct cap_packet packet;

    forget();
    if (reader == NULL)
        fail_msg("%s", error);
    config = gh_config_parse("test", config_text, strlen(config_text), &options, &problems);
    if (config == NULL)
        gh_problems_print(&problems, stderr);
    gh_problems_clear(&problems);
    assert_non_null(config);
    verifier = cap_verifier_new(config, session);
    assert_non_null(verifier);
    judged_count = 0;
    while (cap_reader_next(reader, &packet, error) == CAP_PACKET)
        if (cap_verifier_packet(verifier, &packet, &judged[judged_count]) == CAP_JUDGED) {
            judged_count++;
            assert_true(judged_count < JUDGED_MAX);
        }
    cap_reader_close(reader);
}

static void judge(const char *config_text)
{
    judge_stream(fmemopen(made.mem, made.w.len, "rb"), config_text, NULL);
}

static void assert_totals(uint64_t verified, uint64_t failed, uint64_t incomplete)
{
    const struct cap_totals *t = cap_verifier_totals(verifier);

    for (size_t i = 0; i < judged_count; i++)
        if (t->sums[CAP_VERIFIED] != verified || t->sums[CAP_FAILED] != failed)
            cap_report_segment(stderr, &judged[i]);
    assert_int_equal(t->sums[CAP_VERIFIED], verified);
    assert_int_equal(t->sums[CAP_FAILED], failed);
    assert_int_equal(t->sums[CAP_INCOMPLETE], incomplete);
}

static void assert_note(size_t i, const char *part)
{
    if (strstr(judged[i].note, part) == NULL)
        fail_msg("\"%s\" does not say \"%s\"", judged[i].note, part);
}

/* From a (out) or b (in), signed as `simple` says. */
static struct made_segment out(uint8_t flags)
{
    struct made_segment s = made_segment(a, b, A_ISN, B_ISN, flags);

    s.keyid = 5;
    s.rnext = 6;
    return s;
}

static struct made_segment in(uint8_t flags)
{
    struct made_segment s = made_segment(b, a, B_ISN, A_ISN, flags);

    s.keyid = 6;
    s.rnext = 5;
    return s;
}

static void add(struct made_segment s)
{
    made_add(&made, &s);
}

static void add_handshake(void)
{
    add(out(GH_TCP_SYN));
    add(in(GH_TCP_SYN | GH_TCP_ACK));
    add(out(GH_TCP_ACK));
}

static void begin(void)
{
    made_begin(&made, MADE_RAW);
}

/* ---- Files and frames ----------------------------------------------------------------------- */

static void cisco_capture(void **state)
{
    static const char text[] =
        "key-chain core {\n"
        "  key 1 { send-id = 123 recv-id = 123 algorithm = \"hmac-sha-1-96\" secret = \"123\"\n"
        "          include-tcp-options = false }\n"
        "}\n"
        "tcp-ao x { peer = \"32.0.0.2\" port = 179 key-chain = core }\n";
    char path[4096], wrong[sizeof(text)];

    if (!shared_file("vectors/cisco.pcap", path, sizeof(path)))
        skip();
    judge_stream(fopen(path, "rb"), text, NULL);
    assert_totals(5, 0, 5);
    for (size_t i = 0; i < judged_count; i++)
        assert_int_equal(judged[i].verdict, i < 5 ? CAP_SYN_MISSING : CAP_GOOD);

    /* The handshake alone carries other options. */
    memcpy(wrong, text, sizeof(text));
    memcpy(strstr(wrong, "false"), "true ", 5);
    judge_stream(fopen(path, "rb"), wrong, NULL);
    assert_totals(3, 2, 5);
    assert_note(6, "set include-tcp-options = false for key 1");

    memcpy(wrong, text, sizeof(text));
    memcpy(strstr(wrong, "send-id = 123"), "send-id = 124", 13);
    judge_stream(fopen(path, "rb"), wrong, NULL);
    assert_totals(2, 6, 2);
    assert_note(5, "the ids are swapped: KeyID 123 is the recv-id of key 1");
    assert_note(0, "are the ids swapped?");
}

static void add_hex(const char *hex)
{
    uint8_t packet[256];
    size_t len = strlen(hex) / 2;
    unsigned octet;

    assert_true(len <= sizeof(packet));
    for (size_t i = 0; i < len; i++) {
        assert_int_equal(sscanf(hex + 2 * i, "%2x", &octet), 1);
        packet[i] = (uint8_t)octet;
    }
    made_frame(&made, packet, len);
}

/* The four packets of each section of the RFC, as the client's operator would look at them. */
static void rfc9235_packets(void **state)
{
    char path[4096], text[512];
    json_t *root, *vectors, *v;

    if (!shared_file("vectors/rfc9235.json", path, sizeof(path)))
        skip();
    root = json_load_file(path, 0, NULL);
    vectors = json_object_get(root, "vectors");
    assert_int_equal(json_array_size(vectors), 32);
    for (size_t group = 0; group < 8; group++) {
        begin();
        for (size_t i = 0; i < 4; i++) {
            v = json_array_get(vectors, group * 4 + i);
            add_hex(json_string_value(json_object_get(v, "packet_hex")));
        }
        snprintf(text, sizeof(text),
                 "key-chain rfc {\n"
                 "  key 1 { send-id = 61 recv-id = 84 secret = \"testvector\"\n"
                 "          algorithm = \"%s\" include-tcp-options = %s }\n"
                 "}\n"
                 "tcp-ao server { peer = \"%s\" port = 179 key-chain = rfc }\n",
                 json_string_value(json_object_get(v, "alg")),
                 json_is_true(json_object_get(v, "options_covered")) ? "true" : "false",
                 json_string_value(json_object_get(v, "server_ip")));
        judge(text);
        assert_totals(4, 0, 0);
    }
    json_decref(root);
}

static void every_link_type(void **state)
{
    static const struct {
        uint32_t type;
        size_t len;
        const char *header;
    } links[] = {
        {1, 14, "\1\2\3\4\5\6\1\2\3\4\5\7\x08\x00"},
        {1, 18, "\1\2\3\4\5\6\1\2\3\4\5\7\x81\x00\x00\x05\x08\x00"},
        {1, 22, "\1\2\3\4\5\6\1\2\3\4\5\7\x88\xa8\x00\x07\x81\x00\x00\x05\x08\x00"},
        {101, 0, ""},
        {228, 0, ""},
        {113, 16, "\0\0\0\1\0\6\1\2\3\4\5\6\0\0\x08\x00"},
        {276, 20, "\x08\x00\0\0\0\0\0\1\0\1\0\6\1\2\3\4\5\6\0\0"},
        {0, 4, "\2\0\0\0"},
        {108, 4, "\0\0\0\2"},
    };

    for (size_t i = 0; i < sizeof(links) / sizeof(links[0]); i++) {
        const struct made_segment s = out(GH_TCP_SYN);
        uint8_t frame[256];
        struct gh_wr w = gh_wr_make(frame, sizeof(frame));

        made_begin(&made, links[i].type);
        gh_wr_bytes(&w, links[i].header, links[i].len);
        made_packet(&w, &s);
        gh_wr_zero(&w, 6); /* padding and checksum of the link */
        made_frame(&made, frame, w.len);
        judge(simple);
        assert_totals(1, 0, 0);
    }
}

static void other_link_types_are_refused(void **state)
{
    char error[CAP_ERROR_TEXT];

    made_begin(&made, 105); /* 802.11 */
    assert_null(cap_reader_stream(fmemopen(made.mem, made.w.len, "rb"), error));
    assert_non_null(strstr(error, "IEEE802_11"));
    made.mem[0] = 0;
    assert_null(cap_reader_stream(fmemopen(made.mem, made.w.len, "rb"), error));
}

static void frames_that_are_no_ip_are_skipped(void **state)
{
    static const uint8_t arp[20] = {1, 2, 3, 4, 5, 6, 1, 2, 3, 4, 5, 7, 8, 6};

    made_begin(&made, 1);
    for (size_t len = 1; len <= sizeof(arp); len++)
        made_frame(&made, arp, len);
    judge(simple);
    assert_int_equal(judged_count, 0);
}

/* A section header, an interface and one packet, in big-endian order. */
static void pcapng(void **state)
{
    const struct made_segment s = out(GH_TCP_SYN);
    uint8_t packet[128];
    struct gh_wr p = gh_wr_make(packet, sizeof(packet)), *w = &made.w;
    size_t padded;

    made_packet(&p, &s);
    padded = (p.len + 3) / 4 * 4;
    *w = gh_wr_make(made.mem, sizeof(made.mem));
    gh_wr_u32(w, 0x0a0d0d0a);
    gh_wr_u32(w, 28);
    gh_wr_u32(w, 0x1a2b3c4d);
    gh_wr_u32(w, 0x00010000);
    gh_wr_u64(w, UINT64_MAX);
    gh_wr_u32(w, 28);
    gh_wr_u32(w, 1);
    gh_wr_u32(w, 20);
    gh_wr_u32(w, MADE_RAW << 16);
    gh_wr_u32(w, 0);
    gh_wr_u32(w, 20);
    gh_wr_u32(w, 6);
    gh_wr_u32(w, 32 + padded);
    gh_wr_u32(w, 0);
    gh_wr_u64(w, 1800000000ull * 1000000 + 42);
    gh_wr_u32(w, p.len);
    gh_wr_u32(w, p.len);
    gh_wr_bytes(w, packet, p.len);
    gh_wr_zero(w, padded - p.len);
    gh_wr_u32(w, 32 + padded);
    assert_true(gh_wr_ok(w));
    judge(simple);
    assert_totals(1, 0, 0);
    assert_int_equal(judged[0].seconds, 1800000000);
    assert_int_equal(judged[0].microseconds, 42);
}

/* ---- Connections ---------------------------------------------------------------------------- */

static void both_directions_verify(void **state)
{
    struct made_segment data = out(GH_TCP_ACK | GH_TCP_PSH);

    begin();
    add_handshake();
    data.payload = "hello";
    add(data);
    add(data);
    judge(simple);
    assert_totals(5, 0, 0);
    assert_false(judged[3].repeated);
    assert_true(judged[4].repeated);
    assert_string_equal(judged[4].session->name, "upstream");
    assert_int_equal(judged[4].key, 1);
}

static void ipv6_verifies(void **state)
{
    static const char text[] =
        "key-chain core {\n"
        "  key 1 { send-id = 5 recv-id = 6 algorithm = \"hmac-sha-1-96\" secret = \"secret\" }\n"
        "}\n"
        "tcp-ao v6 { peer = \"2001:db8::/64\" port = 179 key-chain = core }\n";
    struct made_segment s = out(GH_TCP_SYN);

    begin();
    s.src = s.kdf_src = made_end("2001:db8:1::1", 30000);
    s.dst = s.kdf_dst = made_end("2001:db8::2", 179);
    add(s);
    judge(text);
    assert_totals(1, 0, 0);
}

static void sequence_numbers_wrap(void **state)
{
    begin();
    add_handshake();
    /* Both ends' numbers go round; a retransmit comes from before the wrap. */
    for (uint32_t step = 0; step < 8; step++) {
        struct made_segment s = out(GH_TCP_ACK), r = in(GH_TCP_ACK);
        uint64_t done = (uint64_t)step * 0x60000000 + 1;

        s.payload = r.payload = "xyz";
        s.seq = (uint32_t)(A_ISN + done);
        s.sne = (uint32_t)((A_ISN + done) >> 32);
        r.seq = (uint32_t)(B_ISN + done);
        r.sne = (uint32_t)((B_ISN + done) >> 32);
        add(s);
        add(r);
        if (step > 0) {
            s.seq -= 0x60000000;
            s.sne = (uint32_t)((A_ISN + done - 0x60000000) >> 32);
            add(s);
        }
    }
    judge(simple);
    assert_totals(3 + 8 + 8 + 7, 0, 0);
    assert_int_equal(judged[judged_count - 1].connection->side[0].sne.highest >> 32, 2);
    assert_true(judged[judged_count - 1].repeated);
}

static void key_rolls_over(void **state)
{
    static const char text[] =
        "key-chain core {\n"
        "  key 1 { send-id = 5 recv-id = 6 algorithm = \"hmac-sha-1-96\" secret = \"secret\" }\n"
        "  key 7 { send-id = 15 recv-id = 16 algorithm = \"aes-128-cmac-96\" secret = \"second\" "
        "}\n"
        "}\n"
        "tcp-ao upstream { peer = \"192.0.2.2\" port = 179 key-chain = core }\n";
    struct made_segment s = in(GH_TCP_ACK);

    begin();
    add_handshake();
    s.keyid = 16;
    s.alg = TCPAO_AES_128_CMAC;
    s.secret = "second";
    add(s);
    judge(text);
    assert_totals(4, 0, 0);
    assert_int_equal(judged[3].key, 7);
    assert_note(3, "rolled over from key 1 to key 7");
    assert_int_equal(judged[3].connection->side[1].key_changes, 1);
    assert_int_equal(judged[3].connection->side[0].key, 1);
}

static void without_the_handshake_there_is_no_verdict(void **state)
{
    begin();
    add(out(GH_TCP_ACK));
    add(in(GH_TCP_ACK));
    judge(simple);
    assert_totals(0, 0, 2);
    assert_int_equal(judged[1].verdict, CAP_SYN_MISSING);

    begin(); /* the SYN-ACK has both ISNs */
    add(in(GH_TCP_SYN | GH_TCP_ACK));
    add(out(GH_TCP_ACK));
    judge(simple);
    assert_totals(2, 0, 0);
}

static void simultaneous_open(void **state)
{
    struct made_segment other = in(GH_TCP_SYN);

    begin();
    add(out(GH_TCP_SYN));
    add(other);
    add(out(GH_TCP_SYN | GH_TCP_ACK));
    add(in(GH_TCP_SYN | GH_TCP_ACK));
    add(out(GH_TCP_ACK));
    judge(simple);
    assert_totals(5, 0, 0);
    assert_ptr_equal(judged[0].connection, judged[4].connection);
}

/* Nobody listens at b: it has no ISN when it refuses. One that answers another SYN is no refusal.
 */
static void refused_open(void **state)
{
    struct made_segment rst = in(GH_TCP_RST | GH_TCP_ACK), stray;

    begin();
    rst.seq = rst.kdf_src_isn = 0;
    stray = rst;
    stray.ack++;
    add(out(GH_TCP_SYN));
    add(stray);
    add(rst);
    judge(simple);
    assert_totals(2, 0, 1);
    assert_int_equal(judged[1].verdict, CAP_SYN_MISSING);
    assert_int_equal(judged[2].verdict, CAP_GOOD);
}

static void same_ports_new_connection(void **state)
{
    struct made_segment s;

    begin();
    add_handshake();
    s = made_segment(a, b, 77, 0, GH_TCP_SYN);
    s.keyid = 5;
    add(s);
    s = made_segment(b, a, 88, 77, GH_TCP_SYN | GH_TCP_ACK);
    s.keyid = 6;
    add(s);
    s = made_segment(a, b, 77, 88, GH_TCP_ACK);
    s.keyid = 5;
    add(s);
    judge(simple);
    assert_totals(6, 0, 0);
    assert_int_equal(judged[2].connection->number, 1);
    assert_int_equal(judged[5].connection->number, 2);
}

/* A SYN, a SYN-ACK and a RST that nobody signed rightly, in the middle of a connection. */
static void forgeries_disturb_nothing(void **state)
{
    struct made_segment syn = made_segment(a, b, 12345, 0, GH_TCP_SYN), rst = in(GH_TCP_RST),
                        answer = made_segment(b, a, 54321, 12345, GH_TCP_SYN | GH_TCP_ACK);

    begin();
    add_handshake();
    syn.keyid = 5;
    syn.spoil = true;
    add(syn);
    answer.keyid = 6;
    answer.spoil = true;
    add(answer);
    rst.no_option = true;
    add(rst);
    syn.no_option = true;
    add(syn);
    add(out(GH_TCP_ACK));
    judge(simple);
    assert_totals(4, 2, 0);
    assert_int_equal(cap_verifier_totals(verifier)->sums[CAP_UNSIGNED], 2);
    assert_int_equal(judged[5].verdict, CAP_NO_OPTION);
    assert_note(5, "the peer drops this one");
    assert_int_equal(judged[7].verdict, CAP_GOOD);
}

/* When every MAC is wrong the handshake still counts, so that there is a diagnosis. */
static void wrong_keys_are_diagnosed_to_the_end(void **state)
{
    struct made_segment s = out(GH_TCP_SYN), t = in(GH_TCP_SYN | GH_TCP_ACK), u = out(GH_TCP_ACK);

    begin();
    s.secret = t.secret = u.secret = "secret\n";
    s.secret_len = t.secret_len = u.secret_len = 7;
    add(s);
    add(t);
    add(u);
    judge(simple);
    assert_totals(0, 3, 0);
    assert_note(2, "the secret of key 1 at this end ends with a newline");
}

/* ---- Segments that do not verify ------------------------------------------------------------ */

static void key_unknown(void **state)
{
    struct made_segment s = out(GH_TCP_SYN);

    begin();
    s.keyid = 44;
    s.spoil = true;
    add(s);
    judge(simple);
    assert_totals(0, 1, 0);
    assert_int_equal(judged[0].verdict, CAP_KEY_UNKNOWN);
    assert_note(0, "no key of key-chain \"core\" has send-id = 44");
}

static void wrong_length(void **state)
{
    struct made_segment s = out(GH_TCP_SYN);

    begin();
    s.mac_len = 16;
    add(s);
    judge(simple);
    assert_totals(0, 1, 0);
    assert_note(0, "set algorithm = \"hmac-sha-1-128\" for key 1");
}

static void nat_is_named(void **state)
{
    struct made_segment s = out(GH_TCP_SYN), t = in(GH_TCP_SYN | GH_TCP_ACK);

    begin();
    s.kdf_dst = t.kdf_src = b;
    s.dst = t.src = made_end("203.0.113.9", 179);
    add(s);
    add(t);
    judge(simple);
    assert_totals(0, 0, 2);
    assert_int_equal(judged[1].verdict, CAP_NO_SESSION);
    assert_note(1, "no session covers this flow; with session \"upstream\"");
    assert_note(1, "NAT: the source was 192.0.2.2 port 179");
    assert_note(0, "NAT: the destination was 192.0.2.2 port 179");
}

static void truncated_by_snaplen(void **state)
{
    struct made_segment s = out(GH_TCP_ACK);

    begin();
    add_handshake();
    s.payload = "a long payload";
    made.snaplen = 60;
    add(s);
    made.snaplen = 30; /* in the TCP header */
    add(s);
    made.snaplen = 20; /* not even the ports */
    add(s);
    judge(simple);
    assert_totals(3, 0, 2);
    assert_int_equal(judged[3].verdict, CAP_TRUNCATED);
    assert_note(3, "the capture kept 60 of 70 octets");
    assert_int_equal(judged[4].verdict, CAP_TRUNCATED);
    assert_int_equal(judged_count, 5);
}

static void fragments_are_incomplete(void **state)
{
    const struct made_segment s = out(GH_TCP_SYN);
    uint8_t packet[128];
    struct gh_wr w = gh_wr_make(packet, sizeof(packet));

    begin();
    made_packet(&w, &s);
    gh_wr_put_u16(&w, 6, 0x2000);
    made_frame(&made, packet, w.len);
    gh_wr_put_u16(&w, 6, 0x0010);
    made_frame(&made, packet, w.len);
    judge(simple);
    assert_totals(0, 0, 1);
    assert_int_equal(judged[0].verdict, CAP_FRAGMENT);
    assert_int_equal(cap_verifier_totals(verifier)->other_ip, 1);
}

static void two_options_are_malformed(void **state)
{
    struct made_segment s = out(GH_TCP_ACK);

    begin();
    s.two_options = true;
    add(s);
    judge(simple);
    assert_totals(0, 1, 0);
    assert_int_equal(judged[0].verdict, CAP_MALFORMED);
}

static void foreign_flows_are_not_looked_at(void **state)
{
    struct made_segment s = out(GH_TCP_SYN);

    begin();
    s.dst = s.kdf_dst = made_end("198.51.100.1", 80);
    s.no_option = true;
    add(s);
    s.no_option = false;
    s.spoil = true;
    add(s);
    judge(simple);
    assert_totals(0, 0, 1);
    assert_int_equal(cap_verifier_totals(verifier)->other_tcp, 1);
    assert_note(0, "no session of the configuration covers this flow");
}

/* ---- Which session -------------------------------------------------------------------------- */

static void lifetimes_are_notes(void **state)
{
    static const char text[] =
        "key-chain core {\n"
        "  tolerance = 10\n"
        "  key 1 { send-id = 5 recv-id = 6 algorithm = \"hmac-sha-1-96\" secret = \"secret\"\n"
        "          send-lifetime = \"2027-01-15T08:00:00Z/2027-01-15T08:00:05Z\"\n"
        "          accept-lifetime = \"2030-01-01T00:00:00Z/2031-01-01T00:00:00Z\" }\n"
        "}\n"
        "tcp-ao upstream { peer = \"192.0.2.2\" port = 179 key-chain = core }\n";

    begin();
    for (int i = 0; i < 20; i++)
        add(out(GH_TCP_SYN));
    add(in(GH_TCP_SYN | GH_TCP_ACK));
    judge(text);
    assert_totals(21, 0, 0);
    /* 08:00:00 is MADE_TIME, a frame a second; the send lifetime and the tolerance last 15. */
    for (size_t i = 0; i < 20; i++)
        assert_string_equal(judged[i].note, i == 15 ? "key 1 was outside its send lifetime" : "");
    assert_note(20, "key 1 was outside its accept lifetime");
}

static void longest_prefix_and_both_ends(void **state)
{
    static const char text[] =
        "key-chain wide {\n"
        "  key 1 { send-id = 1 recv-id = 1 algorithm = \"hmac-sha-1-96\" secret = \"wrong\" }\n"
        "}\n"
        "key-chain near {\n"
        "  key 9 { send-id = 6 recv-id = 5 algorithm = \"hmac-sha-1-96\" secret = \"secret\" }\n"
        "}\n"
        "tcp-ao wide { peer = \"192.0.0.0/16\" port = 179 key-chain = wide }\n"
        "tcp-ao near { peer = \"192.0.2.0/24\" port = 179 key-chain = near }\n";

    /* The prefix covers both ends: we are b here, as the ids tell. */
    begin();
    add_handshake();
    judge(text);
    assert_totals(3, 0, 0);
    assert_string_equal(judged[0].session->name, "near");
    assert_string_equal(judged[2].session->name, "near");

    judge_stream(fmemopen(made.mem, made.w.len, "rb"), text, "wide");
    assert_totals(0, 3, 0);
    assert_note(0,
                "with session \"near\" (key-chain \"near\"): key 9 makes this MAC as configured");
}

static void port_and_local_decide(void **state)
{
    static const char text[] =
        "key-chain core {\n"
        "  key 1 { send-id = 5 recv-id = 6 algorithm = \"hmac-sha-1-96\" secret = \"secret\" }\n"
        "}\n"
        "tcp-ao ldp { peer = \"192.0.2.2\" port = 646 key-chain = core }\n"
        "tcp-ao far { peer = \"192.0.2.2\" local = \"192.0.2.77\" port = 179 key-chain = core }\n";

    begin();
    add(out(GH_TCP_SYN));
    judge(text);
    assert_totals(0, 0, 1);
    assert_int_equal(judged[0].verdict, CAP_NO_SESSION);
    assert_note(0, "key 1 makes this MAC as configured");
}

static void source_ports_tell_sessions_apart(void **state)
{
    static const char text[] =
        "key-chain core {\n"
        "  key 1 { send-id = 5 recv-id = 6 algorithm = \"hmac-sha-1-96\" secret = \"secret\" }\n"
        "}\n"
        "key-chain wrong {\n"
        "  key 1 { send-id = 5 recv-id = 6 algorithm = \"hmac-sha-1-96\" secret = \"wrong\" }\n"
        "}\n"
        "tcp-ao rest { peer = \"192.0.2.2\" key-chain = wrong }\n"
        "tcp-ao other { peer = \"192.0.2.2\" key-chain = wrong source-port = 29999 }\n"
        "tcp-ao ours { peer = \"192.0.2.2\" key-chain = core source-port = 30000-30001 }\n";

    begin();
    add_handshake();
    judge(text);
    assert_totals(3, 0, 0);
    assert_string_equal(judged[0].session->name, "ours");
}

static void negotiated_keys_are_not_known(void **state)
{
    static const char text[] = "ike-peer p { remote = \"192.0.2.2\" local = \"192.0.2.1\" "
                               "psk-secret = \"a secret one\" }\n"
                               "tcp-ao upstream { peer = \"192.0.2.2\" ike-peer = p }\n";

    begin();
    add(out(GH_TCP_SYN));
    judge(text);
    assert_totals(0, 0, 1);
    assert_int_equal(judged[0].verdict, CAP_NO_SESSION);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cisco_capture),
        cmocka_unit_test(rfc9235_packets),
        cmocka_unit_test(every_link_type),
        cmocka_unit_test(other_link_types_are_refused),
        cmocka_unit_test(frames_that_are_no_ip_are_skipped),
        cmocka_unit_test(pcapng),
        cmocka_unit_test(both_directions_verify),
        cmocka_unit_test(ipv6_verifies),
        cmocka_unit_test(sequence_numbers_wrap),
        cmocka_unit_test(key_rolls_over),
        cmocka_unit_test(without_the_handshake_there_is_no_verdict),
        cmocka_unit_test(simultaneous_open),
        cmocka_unit_test(refused_open),
        cmocka_unit_test(same_ports_new_connection),
        cmocka_unit_test(forgeries_disturb_nothing),
        cmocka_unit_test(wrong_keys_are_diagnosed_to_the_end),
        cmocka_unit_test(key_unknown),
        cmocka_unit_test(wrong_length),
        cmocka_unit_test(nat_is_named),
        cmocka_unit_test(truncated_by_snaplen),
        cmocka_unit_test(fragments_are_incomplete),
        cmocka_unit_test(two_options_are_malformed),
        cmocka_unit_test(foreign_flows_are_not_looked_at),
        cmocka_unit_test(lifetimes_are_notes),
        cmocka_unit_test(longest_prefix_and_both_ends),
        cmocka_unit_test(port_and_local_decide),
        cmocka_unit_test(source_ports_tell_sessions_apart),
        cmocka_unit_test(negotiated_keys_are_not_known),
    };

    a = made_end("192.0.2.1", 30000);
    b = made_end("192.0.2.2", 179);
    return cmocka_run_group_tests(tests, NULL, teardown);
}
