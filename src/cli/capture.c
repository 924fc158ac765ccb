/* `capture`: fetches packets from the daemon until told to stop, and writes them as pcapng. */
#include "cli/command.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <jansson.h>
#include <openssl/evp.h>

#include "capture/pcapng.h"
#include "cli/client.h"
#include "cli/render.h"

enum {
    PACKET_MAX = 65535,
    WAIT_MS = 50,      /* between answers with nothing more behind them */
    MORE_WAIT_MS = 10, /* the daemon gives no more sooner */
    SLOTS = 16
};

struct order {
    const char *side, *peer, *file;
    json_int_t count, seconds; /* 0: no limit */
};

struct capture {
    const struct cli *cli;
    struct cli_client client;
    struct {
        json_int_t number; /* 0: none, or over */
        json_int_t lost[CAP_SIDES];
    } slots[SLOTS]; /* of each process that carries packets */
    size_t slot_count;
    FILE *out; /* NULL: JSON goes to cli->out */
    uint64_t written, last_us;
    uint8_t block[PACKET_MAX + CAP_PCAPNG_MORE];
};

static const char *const side_names[CAP_SIDES] = {
    [CAP_CLEAR] = "clear", [CAP_ENCRYPTED] = "encrypted"};
static volatile sig_atomic_t interrupted;

static void on_signal(int sig)
{
    interrupted = 1;
}

static uint64_t mono_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* ---- What is asked for ---------------------------------------------------------------------- */

static bool take_number(const char *word, json_int_t *out)
{
    char *end;

    errno = 0;
    *out = strtoll(word, &end, 10);
    return errno == 0 && *end == '\0' && *out > 0;
}

static bool is_side(const char *word)
{
    return strcmp(word, "both") == 0 || strcmp(word, side_names[CAP_CLEAR]) == 0 ||
           strcmp(word, side_names[CAP_ENCRYPTED]) == 0;
}

static bool parse(const struct cli *cli, int argc, char **argv, struct order *o)
{
    *o = (struct order){.side = "both"};
    for (int i = 0; i < argc; i++) {
        const char *value = i + 1 < argc ? argv[i + 1] : NULL;

        if (i == 0 && is_side(argv[i])) {
            o->side = argv[i];
            continue;
        }
        if (value != NULL && strcmp(argv[i], "peer") == 0) {
            o->peer = value;
        } else if (value != NULL && strcmp(argv[i], "file") == 0) {
            o->file = value;
        } else if (!(value != NULL && strcmp(argv[i], "count") == 0 &&
                     take_number(value, &o->count)) &&
                   !(value != NULL && strcmp(argv[i], "seconds") == 0 &&
                     take_number(value, &o->seconds))) {
            fprintf(cli->err, "gatectl: not understood: \"%s%s%s\"\n", argv[i],
                    value != NULL ? " " : "", value != NULL ? value : "");
            return false;
        }
        i++;
    }
    return true;
}

/* What was in clear is for nobody else to read. What the file had stays until there is a capture.
 * NULL: err says why. */
static FILE *open_file(const struct cli *cli, const char *path)
{
    int fd;

    if (path == NULL || strcmp(path, "-") == 0) {
        if (!isatty(fileno(cli->out)))
            return cli->out;
        fprintf(cli->err,
                "gatectl: packets are not for a terminal\n"
                "  Say where to: `file F`, or a pipe: `gatectl capture | tshark -r -`.\n");
        return NULL;
    }
    fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0) {
        fprintf(cli->err, "gatectl: %s: %s\n", path, strerror(errno));
        return NULL;
    }
    return fdopen(fd, "wb");
}

/* ---- The conversation ----------------------------------------------------------------------- */

/* The answer, or NULL: err says why, and *status is set. */
static json_t *ask(struct capture *c, json_t *request, int *status)
{
    json_t *answer = cli_client_send(&c->client, request) ? cli_client_receive(&c->client) : NULL;

    json_decref(request);
    if (answer == NULL) {
        fprintf(c->cli->err, "gatectl: gatehoused has gone\n");
        *status = CLI_UNREACHABLE;
    } else if (!json_is_true(json_object_get(answer, "ok"))) {
        cli_render_refusal(answer, c->cli->err);
        json_decref(answer);
        answer = NULL;
        *status = CLI_REFUSED;
    }
    return answer;
}

/* A request to the process of a slot, about the capture there; consumed. */
static json_t *ask_slot(struct capture *c, size_t slot, json_t *request, int *status)
{
    json_object_set_new(request, "slot", json_integer((json_int_t)slot));
    json_object_set_new(request, "capture", json_integer(c->slots[slot].number));
    return ask(c, request, status);
}

/* In each process that carries packets; the first that answers knows how many there are. */
static bool start(struct capture *c, const struct order *o, int *status)
{
    json_t *request = json_pack("{s:s, s:s}", "op", "capture-start", "side", o->side), *answer;

    if (o->peer != NULL && json_object_set_new(request, "peer", json_string(o->peer)) != 0) {
        fprintf(c->cli->err, "gatectl: \"%s\" is not UTF-8\n", o->peer);
        json_decref(request);
        *status = CLI_USAGE;
        return false;
    }
    if (o->count > 0)
        json_object_set_new(request, "count", json_integer(o->count));
    c->slot_count = 1;
    for (size_t slot = 0; slot < c->slot_count; slot++) {
        json_t *one = json_deep_copy(request);

        json_object_set_new(one, "slot", json_integer((json_int_t)slot));
        answer = ask(c, one, status);
        if (answer == NULL)
            break;
        c->slots[slot].number = cli_integer(answer, "capture");
        if (cli_integer(answer, "slots") > 1 && cli_integer(answer, "slots") <= SLOTS)
            c->slot_count = (size_t)cli_integer(answer, "slots");
        json_decref(answer);
    }
    json_decref(request);
    return *status == CLI_OK;
}

/* ---- The file ------------------------------------------------------------------------------- */

static bool failed(const struct capture *c, int *status)
{
    fprintf(c->cli->err, "gatectl: cannot write packets: %s\n", strerror(errno));
    *status = CLI_USAGE;
    return false;
}

static bool flush(struct capture *c, const struct gh_wr *w, int *status)
{
    if (gh_wr_ok(w) && fwrite(w->base, 1, w->len, c->out) == w->len && fflush(c->out) == 0)
        return true;
    /* A reader that has seen enough, as `head` or a tshark that was ended, is no failure. */
    return errno != EPIPE && failed(c, status);
}

static struct gh_wr block(struct capture *c)
{
    return gh_wr_make(c->block, sizeof(c->block));
}

static bool write_packet(struct capture *c, const json_t *packet, int *status)
{
    const char *result = cli_text(packet, "result"), *data = cli_text(packet, "data");
    const char *peer = cli_text(packet, "peer"), *child = cli_text(packet, "child");
    const size_t len = strlen(data);
    uint8_t *octets = malloc(len + 1);
    char comment[CAP_PCAPNG_COMMENT];
    struct gh_wr w = block(c);
    int decoded;
    bool good;

    if (octets == NULL)
        return true;
    decoded = EVP_DecodeBlock(octets, (const unsigned char *)data, (int)len);
    for (size_t i = len; decoded > 0 && i > 0 && i > len - 2 && data[i - 1] == '='; i--)
        decoded--;
    if (peer[0] != '\0')
        snprintf(comment, sizeof(comment), "peer %s, child %s, SPI %s%s%s", peer, child,
                 cli_text(packet, "spi"), strcmp(result, "ok") != 0 ? "; not passed: " : "",
                 strcmp(result, "ok") != 0 ? result : "");
    else
        snprintf(comment, sizeof(comment), "no SA; %s", result);
    c->last_us = (uint64_t)cli_integer(packet, "time_us");
    cap_pcapng_packet(&w, &(struct cap_pcapng_packet){
                              .side = strcmp(cli_text(packet, "side"), side_names[CAP_CLEAR]) == 0
                                          ? CAP_CLEAR
                                          : CAP_ENCRYPTED,
                              .outgoing = strcmp(cli_text(packet, "way"), "out") == 0,
                              .time_us = c->last_us,
                              .data = gh_view_of(octets, decoded > 0 ? (size_t)decoded : 0),
                              .comment = comment});
    good = flush(c, &w, status);
    free(octets);
    return good;
}

static bool write_head(struct capture *c, int *status)
{
    struct gh_wr w = block(c);

    if (c->out == NULL)
        return true;
    if (c->out != c->cli->out && ftruncate(fileno(c->out), 0) != 0 && errno != EINVAL)
        return failed(c, status); /* EINVAL: a pipe with a name */
    cap_pcapng_head(&w, "gatectl " GH_VERSION);
    return flush(c, &w, status);
}

static json_int_t lost(const struct capture *c, enum cap_side side)
{
    json_int_t sum = 0;

    for (size_t slot = 0; slot < c->slot_count; slot++)
        sum += c->slots[slot].lost[side];
    return sum;
}

static void write_lost(struct capture *c, int *status)
{
    for (int side = 0; c->out != NULL && side < CAP_SIDES; side++) {
        struct gh_wr w = block(c);

        cap_pcapng_lost(&w, (enum cap_side)side, c->last_us,
                        (uint64_t)lost(c, (enum cap_side)side));
        if (!flush(c, &w, status))
            return;
    }
}

static bool write_all(struct capture *c, size_t slot, json_int_t most, const json_t *answer,
                      int *status)
{
    const json_t *packets = json_object_get(answer, "packets"), *packet;
    size_t i;

    json_array_foreach(packets, i, packet)
    {
        if (most > 0 && c->written >= (uint64_t)most)
            break; /* another process has had as many */
        if (c->out == NULL) {
            json_dumpf(packet, c->cli->out, JSON_COMPACT);
            fputc('\n', c->cli->out);
            fflush(c->cli->out);
        } else if (!write_packet(c, packet, status)) {
            return false;
        }
        c->written++;
    }
    for (int side = 0; side < CAP_SIDES; side++)
        c->slots[slot].lost[side] = cli_integer(json_object_get(answer, "lost"), side_names[side]);
    return true;
}

/* ---- From beginning to end ------------------------------------------------------------------ */

/* Packets that come from now on are for nobody; with `discard`, so are those that wait. */
static void stop_all(struct capture *c, bool discard, int *status)
{
    for (size_t slot = 0; slot < c->slot_count; slot++) {
        json_t *request = json_pack("{s:s}", "op", "capture-stop");

        if (discard)
            json_object_set_new(request, "discard", json_true());
        if (c->slots[slot].number != 0)
            json_decref(ask_slot(c, slot, request, status));
        else
            json_decref(request);
    }
}

static void wait_ms(long ms)
{
    const struct timespec t = {.tv_nsec = ms * 1000000};

    nanosleep(&t, NULL); /* a signal ends it */
}

/* What there is in one process. False: nothing more is to be written. */
static bool fetch_slot(struct capture *c, const struct order *o, size_t slot, bool *more,
                       int *status)
{
    json_t *answer = ask_slot(c, slot, json_pack("{s:s}", "op", "capture-read"), status);
    bool written;

    if (answer == NULL) {
        write_lost(c, status);
        return false;
    }
    *more |= json_is_true(json_object_get(answer, "more"));
    if (json_is_true(json_object_get(answer, "done")))
        c->slots[slot].number = 0;
    written = write_all(c, slot, o->count, answer, status);
    json_decref(answer);
    if (!written)
        stop_all(c, true, status);
    return written;
}

static bool is_over(const struct capture *c)
{
    for (size_t slot = 0; slot < c->slot_count; slot++)
        if (c->slots[slot].number != 0)
            return false;
    return true;
}

static int fetch(struct capture *c, const struct order *o)
{
    const uint64_t until = o->seconds > 0 ? mono_ms() + 1000 * (uint64_t)o->seconds : UINT64_MAX;
    bool stopped = false;
    int status = CLI_OK;

    while (!is_over(c)) {
        bool enough = o->count > 0 && c->written >= (uint64_t)o->count;
        bool more;

        if (!stopped && (interrupted || enough || mono_ms() >= until)) {
            stop_all(c, false, &status);
            stopped = true;
        }
        more = stopped;
        for (size_t slot = 0; slot < c->slot_count; slot++)
            if (c->slots[slot].number != 0 && !fetch_slot(c, o, slot, &more, &status))
                return status;
        if (!is_over(c))
            wait_ms(more ? MORE_WAIT_MS : WAIT_MS);
    }
    write_lost(c, &status);
    return status;
}

static int run(struct capture *c, const struct order *o)
{
    int status = CLI_OK;

    if (!start(c, o, &status) || !write_head(c, &status))
        return status;
    status = fetch(c, o);
    fprintf(c->cli->err, "%llu packets captured, %lld lost\n", (unsigned long long)c->written,
            (long long)(lost(c, CAP_CLEAR) + lost(c, CAP_ENCRYPTED)));
    return status;
}

static int with_signals(struct capture *c, const struct order *o)
{
    static const int signals[] = {SIGINT, SIGTERM, SIGPIPE};
    const struct sigaction act = {.sa_handler = on_signal};
    struct sigaction old[3];
    int status;

    interrupted = 0;
    for (int i = 0; i < 3; i++)
        sigaction(signals[i], &act, &old[i]);
    status = run(c, o);
    for (int i = 0; i < 3; i++)
        sigaction(signals[i], &old[i], NULL);
    return status;
}

int cli_capture(const struct cli *cli, const struct cli_command *self, int argc, char **argv)
{
    struct capture *c;
    struct order order;
    int status;

    if (!parse(cli, argc, argv, &order) || (cli->json && order.file != NULL)) {
        cli_command_usage(self, cli->err);
        return CLI_USAGE;
    }
    c = calloc(1, sizeof(*c));
    if (c == NULL)
        return CLI_REFUSED;
    c->cli = cli;
    if (!cli->json && (c->out = open_file(cli, order.file)) == NULL) {
        free(c);
        return CLI_USAGE;
    }
    if (cli_client_open(&c->client, cli->socket)) {
        status = with_signals(c, &order);
        cli_client_close(&c->client);
    } else {
        cli_client_explain(cli->socket, errno, cli->err);
        status = CLI_UNREACHABLE;
    }
    if (c->out != NULL && c->out != cli->out)
        fclose(c->out);
    free(c);
    return status;
}
