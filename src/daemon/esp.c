#include "daemon/esp.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#include <openssl/crypto.h>

#include "base/log.h"
#include "config/octets.h"
#include "control/control.h"
#include "crypto/cipher.h"
#include "daemon/child.h"
#include "daemon/esp_priv.h"
#include "daemon/esp_show.h"
#include "daemon/sandbox.h"

enum { TICK_MS = 500 };

static bool on_random(void *arg, uint8_t *out, size_t len)
{
    struct gh_esp *esp = arg;

    gh_random_take(&esp->random, out, len);
    return true;
}

static void tell_drops(struct gh_esp *esp, uint64_t now_ms)
{
    uint8_t body[GH_ESP_DROPS_MAX];
    struct gh_wr w = gh_wr_make(body, sizeof(body));

    if (gh_esp_drops_put(&esp->drops, esp->engine, now_ms, &w))
        gh_channel_send(esp->parent, GH_MESSAGE_DROPS, body, w.len, -1);
}

static void on_timer(uv_timer_t *timer)
{
    struct gh_esp *esp = timer->data;

    gh_esp_children_tick(esp->children, gh_clock_now().mono_ms);
    gh_esp_path_tick(esp->path, gh_clock_now().mono_ms);
    gh_esp_tunnels_tick(esp->tunnels, gh_clock_now().mono_ms);
    gh_esp_packets_tick(esp, gh_clock_now().mono_ms);
    gh_esp_capture_tick(esp->capture, gh_clock_now().mono_ms);
    tell_drops(esp, gh_clock_now().mono_ms);
}

/* ---- The configuration ---------------------------------------------------------------------- */

static bool device_stays(void *ctx, uint32_t number)
{
    return gh_esp_tunnels_has(((struct gh_esp *)ctx)->tunnels, number);
}

static bool configure(struct gh_esp *esp, struct gh_rd *body, int fd)
{
    uint64_t len = gh_rd_u64(body);
    uint32_t generation = gh_rd_u32(body);
    void *data = len > 0 ? mmap(NULL, len, PROT_READ, MAP_PRIVATE, fd, 0) : MAP_FAILED;
    struct gh_ike_config *config = NULL;
    uint8_t answer[5];
    struct gh_wr w = gh_wr_make(answer, sizeof(answer));
    bool good;

    close(fd);
    if (data != MAP_FAILED) {
        config = gh_ike_config_decode(gh_view_of(data, len));
        munmap(data, len);
    }
    good = config != NULL && gh_esp_set_policies(esp, config) &&
           gh_esp_kernel_configure(esp->kernel, config) &&
           gh_esp_path_configure(esp->path, config, &esp->policies, gh_clock_now().mono_ms) &&
           (esp->slot > 0 || /* tunnels are the first one's */
            gh_esp_tunnels_configure(esp->tunnels, config, gh_clock_now().mono_ms));
    if (good)
        gh_esp_children_check(esp->children, gh_esp_fits, esp);
    if (good && esp->slot == 0)
        gh_esp_manual_apply(&esp->manual, config, esp->children, gh_clock_now().mono_ms);
    if (good)
        gh_esp_refusals_configure(&esp->refusals, &config->settings, gh_clock_now().mono_ms);
    if (good)
        gh_esp_net_drop_fragments(esp->net, config->settings.drop_fragments);
    gh_ike_config_free(config);
    if (good) {
        gh_esp_devices_keep(esp->devices, device_stays);
        gh_esp_devices_start(esp->devices);
        gh_esp_net_start(esp->net);
    }
    gh_wr_u32(&w, generation);
    gh_wr_u8(&w, good);
    return gh_channel_send(esp->parent, GH_MESSAGE_CONFIGURED, answer, w.len, -1);
}

/* ---- Control -------------------------------------------------------------------------------- */

static json_t *answer_request(struct gh_esp *esp, const char *line, size_t len)
{
    const struct gh_esp_view view = {.engine = esp->engine,
                                     .children = esp->children,
                                     .net = esp->net,
                                     .waiting = esp->waiting,
                                     .kernel = gh_esp_kernel_counts(esp->kernel),
                                     .path = esp->path,
                                     .refusals = &esp->refusals,
                                     .tunnels = esp->tunnels,
                                     .spd = &esp->spd,
                                     .policies = &esp->policies,
                                     .places = &esp->places};
    json_t *refusal, *request = gh_control_parse(line, len, &refusal), *answer;

    if (request == NULL)
        return refusal;
    answer = gh_esp_capture_is_op(gh_control_op(request))
                 ? gh_esp_capture_handle(esp->capture, gh_clock_now(), request)
                 : gh_esp_handle(&view, gh_clock_now(), request);
    json_decref(request);
    if (answer != NULL)
        (void)(json_object_set_new(answer, "slot", json_integer(esp->slot)) == 0 &&
               json_object_set_new(answer, "slots", json_integer(esp->slots)));
    return answer;
}

static bool handle_request(struct gh_esp *esp, struct gh_rd *body)
{
    const uint8_t *client = gh_rd_bytes(body, 4);
    size_t len = gh_rd_left(body), answer_len = 0;
    json_t *answer = answer_request(esp, (const char *)gh_rd_bytes(body, len), len);
    char *line = answer != NULL ? gh_control_line(answer, &answer_len) : NULL;
    uint8_t *message = line != NULL ? malloc(4 + answer_len) : NULL;

    if (message != NULL) {
        memcpy(message, client, 4);
        memcpy(message + 4, line, answer_len);
        gh_channel_send(esp->parent, GH_MESSAGE_ANSWER, message, 4 + answer_len, -1);
    }
    free(message);
    free(line);
    json_decref(answer);
    return message != NULL;
}

/* ---- The parent ----------------------------------------------------------------------------- */

static bool take_memory(struct gh_esp *esp, struct gh_rd *body, int fd)
{
    bool good = gh_rd_u64(body) == gh_esp_children_memory() &&
                gh_esp_children_map(esp->children, fd, gh_clock_now().mono_ms);

    close(fd);
    return good && gh_channel_send(esp->parent, GH_MESSAGE_ESP_ROUTES_TOLD, NULL, 0, -1);
}

/* UINT32_MAX: no memory, or a bad body. */
static uint32_t get_place(struct gh_esp *esp, struct gh_rd *body)
{
    char *netns = gh_get_text(body, false), *vrf = gh_get_text(body, false);
    uint32_t place = body->bad ? UINT32_MAX : gh_esp_number(&esp->places, netns, vrf);

    free(netns);
    free(vrf);
    return place;
}

static bool take_socket(struct gh_esp *esp, struct gh_rd *body, int fd)
{
    uint32_t place = get_place(esp, body);
    uint8_t kind = gh_rd_u8(body);
    bool datagrams = gh_get_flag(body);

    if (body->bad || place == UINT32_MAX || kind >= GH_ESP_SOCKETS) {
        close(fd);
        return false;
    }
    if (kind >= GH_ESP_ICMP4)
        return gh_esp_raw_open(esp->raw, place, kind, fd);
    return gh_esp_net_open(esp->net, place, (enum gh_esp_socket)kind, fd, datagrams);
}

static bool leave_place(struct gh_esp *esp, struct gh_rd *body)
{
    uint32_t place = get_place(esp, body);

    gh_esp_net_leave(esp->net, place);
    gh_esp_raw_leave(esp->raw, place);
    return true;
}

static bool take_device(struct gh_esp *esp, struct gh_rd *body, int fd)
{
    char *name = gh_get_text(body, true);
    bool datagrams = gh_get_flag(body);
    uint32_t number = body->bad ? UINT32_MAX : gh_esp_number(&esp->tunnel_names, name, NULL);

    free(name);
    if (number != UINT32_MAX)
        return gh_esp_devices_open(esp->devices, number, fd, datagrams);
    close(fd);
    return false;
}

static bool lose_device(struct gh_esp *esp, struct gh_rd *body)
{
    char *name = gh_get_text(body, true);

    if (!body->bad)
        gh_esp_devices_close(esp->devices, gh_esp_number(&esp->tunnel_names, name, NULL));
    free(name);
    return !body->bad;
}

static bool take_reach(struct gh_esp *esp, struct gh_rd *body)
{
    struct gh_esp_reach reach;

    if (!gh_esp_take_reach(body, &reach))
        return false;
    gh_esp_tunnels_reach(esp->tunnels, &reach);
    return true;
}

static bool on_message(void *ctx, struct gh_frame *frame, int fd)
{
    struct gh_esp *esp = ctx;

    switch (frame->type) {
    case GH_MESSAGE_STATE:
        return take_memory(esp, &frame->body, fd);
    case GH_MESSAGE_ESP_KEYS:
        return gh_esp_manual_take(&esp->manual, &frame->body, fd);
    case GH_MESSAGE_CONFIG:
        return configure(esp, &frame->body, fd);
    case GH_MESSAGE_ESP_SOCKET:
        return take_socket(esp, &frame->body, fd);
    case GH_MESSAGE_ESP_PLACE_GONE:
        return leave_place(esp, &frame->body);
    case GH_MESSAGE_TUNNEL_DEVICE:
        return take_device(esp, &frame->body, fd);
    case GH_MESSAGE_TUNNEL_GONE:
        return lose_device(esp, &frame->body);
    case GH_MESSAGE_TUNNEL_REACH:
        return take_reach(esp, &frame->body);
    case GH_MESSAGE_ESP_SLOT:
        esp->slot = gh_rd_u8(&frame->body);
        esp->slots = gh_rd_u8(&frame->body);
        return true;
    case GH_MESSAGE_CHILDREN:
        return gh_esp_keyer_open(esp, fd);
    case GH_MESSAGE_PLANE:
        return gh_esp_kernel_open(esp->kernel, fd);
    case GH_MESSAGE_REQUEST:
        return handle_request(esp, &frame->body);
    case GH_MESSAGE_PING:
        return gh_channel_send(esp->parent, GH_MESSAGE_PONG, NULL, 0, -1);
    default:
        if (fd >= 0)
            close(fd);
        return false;
    }
}

static void on_broken(void *ctx, const char *why)
{
    struct gh_esp *esp = ctx;

    gh_notice("the parent: %s; ending", why);
    ipsec_free(esp->engine); /* wipes */
    _exit(0);
}

/* ---- Life ----------------------------------------------------------------------------------- */

/* libcrypto and the C library open files when they are first used; inside the sandbox they may
 * not. */
static void warm_up(void)
{
    tzset();
    json_object_seed(0);
    OPENSSL_init_crypto(OPENSSL_INIT_LOAD_CONFIG | OPENSSL_INIT_LOAD_CRYPTO_STRINGS, NULL);
    for (unsigned enc = GH_ENC_DES; enc <= GH_ENC_CHACHA20_POLY1305_IIV; enc++)
        for (unsigned bits = 0; bits <= 256; bits += 64)
            if (gh_enc_known(enc, bits))
                gh_enc_available(enc, bits);
}

/* The engine with all around it. False: no memory. */
static bool make_all(struct gh_esp *esp)
{
    const struct ipsec_setup setup = {
        .random = on_random, .event = gh_esp_packets_event, .arg = esp};

    esp->engine = ipsec_new(&setup);
    if (esp->engine == NULL || !gh_esp_keyer_make(esp) || !gh_esp_packets_make(esp))
        return false;
    esp->capture = gh_esp_capture_new(esp->engine, &esp->policies, gh_esp_fits_plane, esp);
    return esp->capture != NULL;
}

int gh_esp_main(uid_t uid, gid_t gid)
{
    static const struct gh_channel_ops ops = {.message = on_message, .broken = on_broken};
    static struct gh_esp esp;

    /* The parent says when to end, by closing the channel. */
    signal(SIGINT, SIG_IGN);
    signal(SIGTERM, SIG_IGN);
    signal(SIGHUP, SIG_IGN);
    signal(SIGPIPE, SIG_IGN);
    prctl(PR_SET_NAME, "gatehoused-esp");
    warm_up();
    if (uv_loop_init(&esp.loop) != 0 || uv_timer_init(&esp.loop, &esp.timer) != 0 ||
        !make_all(&esp))
        return 1;
    esp.timer.data = &esp;
    if (!gh_sandbox_enter(GH_SANDBOX_ESP, uid, gid))
        return 1;
    esp.parent = gh_channel_new(&esp.loop, GH_CHILD_CHANNEL_FD, GH_TO_ESP, &ops, &esp);
    if (esp.parent == NULL || !gh_channel_send(esp.parent, GH_MESSAGE_READY, NULL, 0, -1))
        return 1;
    uv_timer_start(&esp.timer, on_timer, TICK_MS, TICK_MS);
    return uv_run(&esp.loop, UV_RUN_DEFAULT);
}
