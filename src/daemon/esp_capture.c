#include "daemon/esp_capture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>

#include "base/log.h"
#include "control/control.h"

enum side { CLEAR, ENCRYPTED, SIDES };

static const char *const side_names[SIDES] = {"clear", "encrypted"};

enum { NO_POLICY = UINT32_MAX };

struct record {
    struct record *next;
    uint64_t time_us;
    enum side side;
    enum ipsec_way way;
    enum ipsec_result result;
    uint32_t policy; /* or NO_POLICY: no SA had to do with it */
    uint32_t spi;
    size_t len;
    uint8_t data[];
};

/* A capture that somebody has asked for. */
struct running {
    json_int_t number;
    bool sides[SIDES];
    char *peer;    /* NULL: all */
    uint64_t left; /* packets until it ends by itself */
    bool ended;    /* nothing is added any more */
    uint64_t asked_ms, read_ms;
    struct record *first, **end;
    size_t memory; /* of all records */
    uint64_t kept, lost[SIDES];
    struct record *before[IPSEC_BATCH]; /* as they were before they went through the engine */
};

struct gh_esp_capture {
    struct ipsec *engine;
    struct ipsec_tap tap;
    const struct gh_esp_names *policies;
    bool (*on_plane)(void *ctx, uint32_t policy, bool kernel);
    void *ctx;
    struct running *running; /* NULL: nobody captures */
};

/* ---- Packets -------------------------------------------------------------------------------- */

/* Finer than gh_clock_now(): whoever reads the capture compares it with others. */
static uint64_t wall_us(void)
{
    struct timespec t;

    clock_gettime(CLOCK_REALTIME, &t);
    return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

static void free_record(struct record *r)
{
    if (r != NULL)
        OPENSSL_cleanse(r->data, r->len);
    free(r);
}

static struct record *copy(const struct running *x, const struct ipsec_packet *p)
{
    struct record *r = NULL;

    if (x->memory + sizeof(*r) + p->len <= GH_ESP_CAPTURE_MEMORY)
        r = malloc(sizeof(*r) + p->len);
    if (r == NULL)
        return NULL;
    r->len = p->len;
    memcpy(r->data, ipsec_packet_data(p), p->len);
    return r;
}

static void keep(struct running *x, struct record *r, const struct record *like)
{
    const size_t size = r != NULL ? sizeof(*r) + r->len : 0;

    if (x->left == 0 || r == NULL || x->memory + size > GH_ESP_CAPTURE_MEMORY) {
        x->lost[like->side] += x->left > 0;
        free_record(r);
        return;
    }
    r->next = NULL;
    r->time_us = like->time_us;
    r->side = like->side;
    r->way = like->way;
    r->result = like->result;
    r->policy = like->policy;
    r->spi = like->spi;
    *x->end = r;
    x->end = &r->next;
    x->memory += size;
    x->kept++;
    x->left--;
}

static enum side side_before(enum ipsec_way way)
{
    return way == IPSEC_OUT ? CLEAR : ENCRYPTED;
}

static void before(void *arg, enum ipsec_way way, const struct ipsec_packet *packets, size_t count)
{
    const struct gh_esp_capture *c = arg;
    struct running *x = c->running;

    for (size_t i = 0; i < count; i++)
        x->before[i] = x->sides[side_before(way)] ? copy(x, &packets[i]) : NULL;
}

static bool is_wanted(const struct gh_esp_capture *c, uint32_t policy)
{
    const char *peer = c->running->peer;

    return peer == NULL ||
           (policy < c->policies->count && strcmp(c->policies->list[policy].first, peer) == 0);
}

/* Nothing is added any more; what there is can still be fetched. */
static void stop(struct gh_esp_capture *c)
{
    c->running->ended = true;
    ipsec_set_tap(c->engine, NULL);
}

static void after(void *arg, enum ipsec_way way, const struct ipsec_packet *packets, size_t count)
{
    struct gh_esp_capture *c = arg;
    const enum side was = side_before(way), is = SIDES - 1 - was;
    struct record like = {.time_us = wall_us(), .way = way};
    struct running *x = c->running;

    for (size_t i = 0; i < count; i++) {
        const struct ipsec_packet *p = &packets[i];
        const struct ipsec_sa *sa = p->sa != 0 ? ipsec_get_sa(c->engine, p->sa) : NULL;

        like.policy = sa != NULL ? sa->p.policy : NO_POLICY;
        like.spi = sa != NULL ? sa->p.spi : 0;
        like.result = p->result;
        /* What was put aside comes again, as it is or in pieces. */
        if (!is_wanted(c, like.policy) || p->result == IPSEC_ASIDE) {
            free_record(x->before[i]);
            continue;
        }
        like.side = was;
        if (x->sides[was])
            keep(x, x->before[i], &like);
        like.side = is;
        if (x->sides[is] && p->result == IPSEC_OK)
            keep(x, copy(x, p), &like);
    }
    if (x->left == 0)
        stop(c);
}

/* ---- Requests ------------------------------------------------------------------------------- */

bool gh_esp_capture_is_op(const char *op)
{
    return strcmp(op, "capture-start") == 0 || strcmp(op, "capture-read") == 0 ||
           strcmp(op, "capture-stop") == 0;
}

static void end(struct gh_esp_capture *c)
{
    struct running *x = c->running;

    if (x == NULL)
        return;
    while (x->first != NULL) {
        struct record *r = x->first;

        x->first = r->next;
        free_record(r);
    }
    gh_notice("the capture of packets has ended: %llu kept, %llu lost", (unsigned long long)x->kept,
              (unsigned long long)(x->lost[CLEAR] + x->lost[ENCRYPTED]));
    stop(c);
    free(x->peer);
    free(x);
    c->running = NULL;
}

/* How many policies are the peer's (NULL: anybody's), and of these the engine's. */
static size_t count_policies(const struct gh_esp_capture *c, const char *peer, size_t *ours)
{
    size_t count = 0;

    *ours = 0;
    for (uint32_t i = 0; i < c->policies->count; i++) {
        if (peer != NULL && strcmp(c->policies->list[i].first, peer) != 0)
            continue;
        count++;
        *ours += c->on_plane(c->ctx, i, false);
    }
    return count;
}

static json_t *start(struct gh_esp_capture *c, uint64_t now_ms, const json_t *request)
{
    const char *side = json_string_value(json_object_get(request, "side"));
    const char *peer = json_string_value(json_object_get(request, "peer"));
    const json_t *count = json_object_get(request, "count");
    size_t all, ours;
    struct running *x;

    if (c->running != NULL)
        return gh_control_refusal("interrupt it, or wait until it is over",
                                  "a capture is under way");
    if (side == NULL || (strcmp(side, "both") != 0 && strcmp(side, side_names[CLEAR]) != 0 &&
                         strcmp(side, side_names[ENCRYPTED]) != 0))
        return gh_control_refusal("clear, encrypted or both", "no side to capture");
    if (count != NULL && json_integer_value(count) <= 0)
        return gh_control_refusal("a number from 1 on", "no number of packets");
    all = count_policies(c, peer, &ours);
    if (peer != NULL && all == 0)
        return gh_control_refusal("`gatectl show ike peer` lists them",
                                  "no IKE peer \"%.100s\" with a child of IPsec", peer);
    if (ours == 0)
        return gh_control_refusal(
            "use tcpdump; `esp-key-log` has Wireshark open what is encrypted",
            "the kernel carries these packets, and nothing of them comes here");
    x = calloc(1, sizeof(*x));
    if (x == NULL || (peer != NULL && (x->peer = strdup(peer)) == NULL)) {
        free(x);
        return gh_control_refusal(NULL, "no memory");
    }
    x->number = (json_int_t)now_ms; /* another one than that of an `esp` before us */
    x->sides[CLEAR] = strcmp(side, side_names[ENCRYPTED]) != 0;
    x->sides[ENCRYPTED] = strcmp(side, side_names[CLEAR]) != 0;
    x->left = count != NULL ? (uint64_t)json_integer_value(count) : UINT64_MAX;
    x->asked_ms = now_ms;
    x->end = &x->first;
    c->running = x;
    ipsec_set_tap(c->engine, &c->tap);
    gh_notice("packets are captured: %s, %s%s", side, peer != NULL ? "of peer " : "all peers",
              peer != NULL ? peer : "");
    return json_pack("{s:b, s:I}", "ok", 1, "capture", x->number);
}

static json_t *base64(const uint8_t *data, size_t len)
{
    unsigned char *text = malloc(4 * ((len + 2) / 3) + 1);
    json_t *string = NULL;

    if (text != NULL)
        string = json_stringn((char *)text, (size_t)EVP_EncodeBlock(text, data, (int)len));
    free(text);
    return string;
}

static json_t *packet(const struct gh_esp_capture *c, const struct record *r)
{
    const struct gh_esp_name *name =
        r->policy < c->policies->count ? &c->policies->list[r->policy] : NULL;
    char spi[9];
    json_t *object;

    snprintf(spi, sizeof(spi), "%08x", r->spi);
    object = json_pack("{s:I, s:s, s:s, s:s, s:o}", "time_us", (json_int_t)r->time_us, "side",
                       side_names[r->side], "way", r->way == IPSEC_OUT ? "out" : "in", "result",
                       ipsec_result_name(r->result), "data", base64(r->data, r->len));
    json_object_set_new(object, "peer", name != NULL ? json_string(name->first) : json_null());
    json_object_set_new(object, "child", name != NULL ? json_string(name->second) : json_null());
    json_object_set_new(object, "spi", r->spi != 0 ? json_string(spi) : json_null());
    return object;
}

static json_t *take(struct gh_esp_capture *c)
{
    struct running *x = c->running;
    json_t *list = json_array();
    size_t octets = 0;

    while (x->first != NULL && octets < GH_ESP_CAPTURE_ANSWER) {
        struct record *r = x->first;

        json_array_append_new(list, packet(c, r));
        octets += r->len;
        x->memory -= sizeof(*r) + r->len;
        x->first = r->next;
        if (x->first == NULL)
            x->end = &x->first;
        free_record(r);
    }
    return list;
}

/* The last answer says `done`, and there is no capture any more. */
static json_t *read_some(struct gh_esp_capture *c, uint64_t now_ms)
{
    struct running *x = c->running;
    const bool too_soon = x->read_ms != 0 && now_ms - x->read_ms < GH_ESP_CAPTURE_EVERY_MS;
    json_t *packets = too_soon ? json_array() : take(c), *answer;
    const bool done = x->ended && x->first == NULL;

    if (!too_soon)
        x->read_ms = now_ms;
    answer = json_pack("{s:b, s:o, s:b, s:b, s:I, s:{s:I, s:I}}", "ok", 1, "packets", packets,
                       "more", x->first != NULL, "done", done, "captured", (json_int_t)x->kept,
                       "lost", side_names[CLEAR], (json_int_t)x->lost[CLEAR], side_names[ENCRYPTED],
                       (json_int_t)x->lost[ENCRYPTED]);
    if (done)
        end(c);
    return answer;
}

json_t *gh_esp_capture_handle(struct gh_esp_capture *c, struct gh_now now, const json_t *request)
{
    const json_t *number = json_object_get(request, "capture");

    if (strcmp(gh_control_op(request), "capture-start") == 0)
        return start(c, now.mono_ms, request);
    if (c->running == NULL || json_integer_value(number) != c->running->number)
        return gh_control_refusal("begin another",
                                  "there is no such capture any more: the IPsec engine was started "
                                  "again, or nobody asked for packets for %d s",
                                  GH_ESP_CAPTURE_LEASE_MS / 1000);
    c->running->asked_ms = now.mono_ms;
    if (strcmp(gh_control_op(request), "capture-read") == 0)
        return read_some(c, now.mono_ms);
    stop(c);
    if (json_is_true(json_object_get(request, "discard")))
        end(c);
    return json_pack("{s:b}", "ok", 1);
}

void gh_esp_capture_tick(struct gh_esp_capture *c, uint64_t now_ms)
{
    if (c->running != NULL && now_ms - c->running->asked_ms > GH_ESP_CAPTURE_LEASE_MS)
        end(c);
}

struct gh_esp_capture *gh_esp_capture_new(struct ipsec *engine, const struct gh_esp_names *policies,
                                          bool (*on_plane)(void *ctx, uint32_t policy, bool kernel),
                                          void *ctx)
{
    struct gh_esp_capture *c = calloc(1, sizeof(*c));

    if (c == NULL)
        return NULL;
    c->engine = engine;
    c->tap = (struct ipsec_tap){.before = before, .after = after, .arg = c};
    c->policies = policies;
    c->on_plane = on_plane;
    c->ctx = ctx;
    return c;
}

void gh_esp_capture_free(struct gh_esp_capture *c)
{
    if (c == NULL)
        return;
    end(c);
    free(c);
}
