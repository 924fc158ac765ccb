/*
 * Packets for `gatectl capture`: whose, which side, how many; what finds no room; who does not come
 * any more. And the file that they become, read by libpcap.
 */
#include "ipsec_pair.h"

#include <stdio.h>

#include <openssl/evp.h>

#include "capture/pcapng.h"
#include "capture/reader.h"
#include "control/control.h"
#include "daemon/esp_capture.h"

enum { NOW = 1000 };

static struct pair x;
static struct gh_esp_names names;
static struct gh_esp_capture *capture; /* of what b opens */
static uint64_t now_ms;

/* The kernel has the first peer's. */
static bool on_plane(void *ctx, uint32_t policy, bool kernel)
{
    return (policy == 0) == kernel;
}

/* POLICY is the number of berlin's child. */
static int set_up(void **state)
{
    char name[16];

    now_ms = NOW;
    for (uint32_t i = 0; i < POLICY; i++) {
        snprintf(name, sizeof(name), "peer %u", (unsigned)i);
        assert_int_equal(gh_esp_number(&names, name, "net"), i);
    }
    assert_int_equal(gh_esp_number(&names, "berlin", "lan"), POLICY);
    pair_plan(&x, algs_of(GH_ENC_AES_GCM_16, 128, GH_INTEG_NONE), "192.0.2.1", "192.0.2.2");
    pair_up(&x, "openssl", "openssl");
    capture = gh_esp_capture_new(x.b, &names, on_plane, NULL);
    assert_non_null(capture);
    return 0;
}

static int tear_down(void **state)
{
    gh_esp_capture_free(capture);
    pair_down(&x);
    gh_esp_names_free(&names);
    return 0;
}

/* The answer to a request, as text with ' for ". */
static json_t *ask(const char *text)
{
    const struct gh_now now = {.mono_ms = now_ms};
    char line[256];
    json_t *refusal, *request, *answer;

    snprintf(line, sizeof(line), "%s", text);
    for (char *c = line; *c != '\0'; c++)
        *c = *c == '\'' ? '"' : *c;
    request = gh_control_parse(line, strlen(line), &refusal);
    assert_non_null(request);
    assert_true(gh_esp_capture_is_op(gh_control_op(request)));
    answer = gh_esp_capture_handle(capture, now, request);
    assert_non_null(answer);
    json_decref(request);
    return answer;
}

static bool is_ok(json_t *answer)
{
    bool ok = json_is_true(json_object_get(answer, "ok"));

    json_decref(answer);
    return ok;
}

static json_int_t begin(const char *request)
{
    json_t *answer = ask(request);
    json_int_t number = json_integer_value(json_object_get(answer, "capture"));

    assert_true(is_ok(answer));
    return number;
}

static json_t *fetch(json_int_t number)
{
    char text[64];

    now_ms += GH_ESP_CAPTURE_EVERY_MS;
    snprintf(text, sizeof(text), "{'op':'capture-read','capture':%lld}", (long long)number);
    return ask(text);
}

static size_t count_of(const json_t *answer)
{
    assert_true(json_is_true(json_object_get(answer, "ok")));
    return json_array_size(json_object_get(answer, "packets"));
}

static json_int_t lost(const json_t *answer, const char *side)
{
    return json_integer_value(json_object_get(json_object_get(answer, "lost"), side));
}

static const char *text_of(const json_t *answer, size_t i, const char *field)
{
    return json_string_value(
        json_object_get(json_array_get(json_object_get(answer, "packets"), i), field));
}

static void assert_data(const json_t *answer, size_t i, const struct octets *want)
{
    const char *text = text_of(answer, i, "data");
    uint8_t octets[2 * BUFFER];

    assert_int_equal(strlen(text), (want->len + 2) / 3 * 4);
    EVP_DecodeBlock(octets, (const unsigned char *)text, (int)strlen(text));
    assert_memory_equal(octets, want->p, want->len);
}

static void seal_one(struct buffer *b, size_t len)
{
    make_packet(b, "10.1.0.1", "10.2.0.1", len, 0, false);
    assert_int_equal(send_one(&x, b), IPSEC_OK);
}

/* What b gets, through its capture. */
static enum ipsec_result open_one(struct buffer *b)
{
    ipsec_in(x.b, 6, &b->p, 1);
    return b->p.result;
}

static void both_sides_of_what_comes_in(void **state)
{
    const json_int_t number = begin("{'op':'capture-start','side':'both'}");
    struct octets sealed, clear;
    struct buffer b;
    json_t *answer;

    seal_one(&b, 100);
    sealed = octets_now(&b);
    assert_int_equal(open_one(&b), IPSEC_OK);
    clear = octets_now(&b);
    answer = fetch(number);
    assert_int_equal(count_of(answer), 2);
    assert_string_equal(text_of(answer, 0, "side"), "encrypted");
    assert_string_equal(text_of(answer, 1, "side"), "clear");
    assert_data(answer, 0, &sealed);
    assert_data(answer, 1, &clear);
    for (size_t i = 0; i < 2; i++) {
        assert_string_equal(text_of(answer, i, "way"), "in");
        assert_string_equal(text_of(answer, i, "peer"), "berlin");
        assert_string_equal(text_of(answer, i, "child"), "lan");
        assert_string_equal(text_of(answer, i, "spi"), "00001000");
        assert_string_equal(text_of(answer, i, "result"), "ok");
    }
    json_decref(answer);
}

static void both_sides_of_what_goes_out(void **state)
{
    struct gh_esp_capture *here = gh_esp_capture_new(x.a, &names, on_plane, NULL), *there = capture;
    struct octets clear, sealed;
    json_int_t number;
    struct buffer b;
    json_t *answer;

    assert_non_null(here);
    capture = here;
    number = begin("{'op':'capture-start','side':'both','peer':'berlin'}");
    make_packet(&b, "10.1.0.1", "10.2.0.1", 100, 0, false);
    clear = octets_now(&b);
    ipsec_out(x.a, 5, &b.p, 1);
    assert_int_equal(b.p.result, IPSEC_OK);
    sealed = octets_now(&b);
    answer = fetch(number);
    assert_int_equal(count_of(answer), 2);
    assert_string_equal(text_of(answer, 0, "side"), "clear");
    assert_string_equal(text_of(answer, 1, "side"), "encrypted");
    assert_string_equal(text_of(answer, 1, "way"), "out");
    assert_data(answer, 0, &clear);
    assert_data(answer, 1, &sealed);
    json_decref(answer);
    gh_esp_capture_free(here);
    capture = there;
}

static void what_is_dropped_says_why(void **state)
{
    const json_int_t number = begin("{'op':'capture-start','side':'both'}");
    struct buffer b, again;
    json_t *answer;

    seal_one(&b, 100);
    copy_buffer(&again, &b);
    octets_of(&b)[60] ^= 1;
    assert_int_equal(open_one(&b), IPSEC_ICV);
    octets_of(&again)[20] ^= 1; /* its SPI */
    assert_int_equal(open_one(&again), IPSEC_UNKNOWN_SPI);
    answer = fetch(number);
    assert_int_equal(count_of(answer), 2); /* nothing of it is clear */
    assert_string_equal(text_of(answer, 0, "result"), "icv");
    assert_string_equal(text_of(answer, 0, "peer"), "berlin");
    assert_string_equal(text_of(answer, 1, "result"), "unknown-spi");
    assert_null(text_of(answer, 1, "peer"));
    assert_null(text_of(answer, 1, "spi"));
    json_decref(answer);
}

static void one_side_of_one_peer(void **state)
{
    json_int_t number = begin("{'op':'capture-start','side':'clear','peer':'peer 3'}");
    struct buffer b;
    json_t *answer;

    seal_one(&b, 100);
    assert_int_equal(open_one(&b), IPSEC_OK);
    answer = fetch(number);
    assert_int_equal(count_of(answer), 0);
    json_decref(answer);
    now_ms += 2 * GH_ESP_CAPTURE_LEASE_MS;
    gh_esp_capture_tick(capture, now_ms);
    number = begin("{'op':'capture-start','side':'clear','peer':'berlin'}");
    seal_one(&b, 100);
    assert_int_equal(open_one(&b), IPSEC_OK);
    answer = fetch(number);
    assert_int_equal(count_of(answer), 1);
    assert_string_equal(text_of(answer, 0, "side"), "clear");
    json_decref(answer);
}

static void so_many_and_no_more(void **state)
{
    const json_int_t number = begin("{'op':'capture-start','side':'both','count':3}");
    json_t *answer;

    for (int i = 0; i < 4; i++) {
        struct buffer b;

        seal_one(&b, 100);
        assert_int_equal(open_one(&b), IPSEC_OK);
    }
    answer = fetch(number);
    assert_int_equal(count_of(answer), 3);
    assert_true(json_is_true(json_object_get(answer, "done")));
    assert_int_equal(lost(answer, "clear") + lost(answer, "encrypted"), 0);
    json_decref(answer);
    assert_false(is_ok(fetch(number)));
}

static void what_finds_no_room_is_lost(void **state)
{
    enum { SENT = 5000, LEN = 1400 };
    const json_int_t number = begin("{'op':'capture-start','side':'clear'}");
    json_int_t captured = 0, fetched = 0;
    json_t *answer;
    bool more;

    for (int i = 0; i < SENT; i++) {
        struct buffer b;

        seal_one(&b, LEN);
        assert_int_equal(open_one(&b), IPSEC_OK);
    }
    do {
        answer = fetch(number);
        assert_true(count_of(answer) <= GH_ESP_CAPTURE_ANSWER / LEN + 1);
        fetched += (json_int_t)count_of(answer);
        captured = json_integer_value(json_object_get(answer, "captured"));
        assert_int_equal(captured + lost(answer, "clear"), SENT);
        more = json_is_true(json_object_get(answer, "more"));
        json_decref(answer);
    } while (more);
    assert_int_equal(fetched, captured);
    assert_true(captured * LEN <= GH_ESP_CAPTURE_MEMORY);
    assert_true(captured * LEN > GH_ESP_CAPTURE_MEMORY * 3 / 4);
}

static void too_soon_is_nothing(void **state)
{
    const json_int_t number = begin("{'op':'capture-start','side':'clear'}");
    struct buffer b;
    json_t *answer;

    seal_one(&b, 100);
    json_decref(fetch(number));
    assert_int_equal(open_one(&b), IPSEC_OK);
    now_ms -= 1;
    answer = fetch(number); /* 9 ms later */
    assert_int_equal(count_of(answer), 0);
    assert_true(json_is_true(json_object_get(answer, "more")));
    json_decref(answer);
    answer = fetch(number);
    assert_int_equal(count_of(answer), 1);
    json_decref(answer);
}

static void it_ends(void **state)
{
    char stop[96];
    json_int_t number = begin("{'op':'capture-start','side':'clear'}");
    struct buffer b;
    json_t *answer;

    seal_one(&b, 100);
    /* Asked to: what was kept can be read, and no more comes. */
    assert_int_equal(open_one(&b), IPSEC_OK);
    snprintf(stop, sizeof(stop), "{'op':'capture-stop','capture':%lld}", (long long)number);
    assert_true(is_ok(ask(stop)));
    seal_one(&b, 100);
    assert_int_equal(open_one(&b), IPSEC_OK);
    answer = fetch(number);
    assert_int_equal(count_of(answer), 1);
    assert_true(json_is_true(json_object_get(answer, "done")));
    json_decref(answer);
    assert_false(is_ok(fetch(number)));

    /* At once. */
    number = begin("{'op':'capture-start','side':'clear'}");
    snprintf(stop, sizeof(stop), "{'op':'capture-stop','capture':%lld,'discard':true}",
             (long long)number);
    assert_true(is_ok(ask(stop)));
    assert_false(is_ok(fetch(number)));

    /* Because nobody comes. */
    number = begin("{'op':'capture-start','side':'clear'}");
    gh_esp_capture_tick(capture, now_ms + GH_ESP_CAPTURE_LEASE_MS);
    assert_true(is_ok(fetch(number)));
    gh_esp_capture_tick(capture, now_ms + GH_ESP_CAPTURE_LEASE_MS + 1);
    assert_false(is_ok(fetch(number)));
}

static void refused(void **state)
{
    static const char *const wrong[] = {
        "{'op':'capture-start'}",
        "{'op':'capture-start','side':'left'}",
        "{'op':'capture-start','side':1}",
        "{'op':'capture-start','side':'clear','count':0}",
        "{'op':'capture-start','side':'clear','count':'1'}",
        "{'op':'capture-start','side':'clear','peer':'paris'}",
        "{'op':'capture-start','side':'clear','peer':'peer 0'}", /* in the kernel */
        "{'op':'capture-read'}",
        "{'op':'capture-read','capture':0}",
        "{'op':'capture-stop','capture':1}",
    };

    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        assert_false(is_ok(ask(wrong[i])));
    begin("{'op':'capture-start','side':'clear'}");
    assert_false(is_ok(ask("{'op':'capture-start','side':'clear'}")));
    assert_false(is_ok(ask("{'op':'capture-read','capture':1}")));
}

/* ---- The file ------------------------------------------------------------------------------- */

static void a_file_that_libpcap_reads(void **state)
{
    static uint8_t mem[8192];
    char long_comment[2 * CAP_PCAPNG_COMMENT], error[CAP_ERROR_TEXT];
    const char *const comments[] = {"peer berlin", NULL, long_comment, "Zürich"};
    struct gh_wr w = gh_wr_make(mem, sizeof(mem));
    struct cap_reader *reader;
    struct cap_packet packet;
    struct buffer b;

    memset(long_comment, 'x', sizeof(long_comment) - 1);
    long_comment[sizeof(long_comment) - 1] = '\0';
    cap_pcapng_head(&w, "a test");
    assert_true(w.len <= CAP_PCAPNG_HEAD);
    for (size_t i = 0; i < 4; i++) {
        const size_t before = w.len;

        make_packet(&b, i < 2 ? "10.1.0.1" : "fd01::1", i < 2 ? "10.2.0.1" : "fd02::1", 100 + i, 0,
                    false);
        cap_pcapng_packet(&w,
                          &(struct cap_pcapng_packet){.side = i % 2 ? CAP_ENCRYPTED : CAP_CLEAR,
                                                      .outgoing = i % 2,
                                                      .time_us = 1800000000000000 + i,
                                                      .data = gh_view_of(octets_of(&b), b.p.len),
                                                      .comment = comments[i]});
        assert_int_equal(w.len % 4, 0);
        assert_true(w.len - before <= b.p.len + CAP_PCAPNG_MORE);
    }
    cap_pcapng_lost(&w, CAP_CLEAR, 1800000000000009, 7);
    assert_true(gh_wr_ok(&w));
    reader = cap_reader_stream(fmemopen(mem, w.len, "rb"), error);
    assert_non_null(reader);
    for (size_t i = 0; i < 4; i++) {
        make_packet(&b, i < 2 ? "10.1.0.1" : "fd01::1", i < 2 ? "10.2.0.1" : "fd02::1", 100 + i, 0,
                    false);
        assert_int_equal(cap_reader_next(reader, &packet, error), CAP_PACKET);
        assert_int_equal(packet.seconds, 1800000000);
        assert_int_equal(packet.microseconds, i);
        assert_int_equal(packet.len, b.p.len);
        assert_memory_equal(packet.data, octets_of(&b), b.p.len);
    }
    assert_int_equal(cap_reader_next(reader, &packet, error), CAP_END);
    cap_reader_close(reader);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        CASE(both_sides_of_what_comes_in),
        CASE(both_sides_of_what_goes_out),
        CASE(what_is_dropped_says_why),
        CASE(one_side_of_one_peer),
        CASE(so_many_and_no_more),
        CASE(what_finds_no_room_is_lost),
        CASE(too_soon_is_nothing),
        CASE(it_ends),
        CASE(refused),
        cmocka_unit_test(a_file_that_libpcap_reads),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
