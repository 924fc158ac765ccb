/*
 * gatectl key-chain generate NAME …
 */
#include <errno.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config/alloc.h"
#include "config/cmd_common.h"
#include "config/cmd_vendor.h"
#include "config/commands.h"
#include "config/lifetime.h"

enum {
    SECRET_LEN = 43, /* letters and digits: 256 bits */
    PERIOD_DEFAULT = 90 * 86400,
    OVERLAP = 86400 /* a key may still be sent for a day after the next one started */
};

static void usage(FILE *out)
{
    fputs(
        "usage: gatectl key-chain generate NAME [--for VENDOR[,VENDOR…]] [options]\n"
        "\n"
        "Makes strong random keys, writes each to a file of its own, and prints the configuration\n"
        "for this end and for the other one. VENDOR is gatehouse (default), ios-xe, ios-xr, "
        "junos,\n"
        "sr-os, bird or all.\n"
        "\n"
        "  --algorithm A      hmac-sha-1-96 (default), aes-128-cmac-96, hmac-sha-256-128 …\n"
        "  --mac-length N     octets\n"
        "  --no-tcp-options   leave the other TCP options out of the MAC\n"
        "  --keys N           how many keys, one after the other (default 1)\n"
        "  --first-key N      number of the first one, and its id (default 1)\n"
        "  --send-id N        id of the first key in this direction (default: its number)\n"
        "  --recv-id N        and in the other one (default: the same)\n"
        "  --start TIME       when the first key begins (default: it is valid always)\n"
        "  --period DURATION  how long until the next one begins (default 90d)\n"
        "  --peer ADDRESS --local ADDRESS --port N --session NAME\n"
        "                     the session to protect (port 179, named like the key chain)\n"
        "  --asn N --peer-asn N\n"
        "                     the autonomous systems of this end and of the other one\n"
        "  --secret-dir DIR   where to write the secrets (default /etc/gatehouse/secrets)\n"
        "  --show-secret      print the secrets into the other end's configuration\n"
        "  --json             print a JSON object\n",
        out);
}

struct request {
    const char *name, *session, *secret_dir;
    struct gh_vendor_list vendors;
    enum tcpao_alg alg;
    unsigned mac_len;
    bool covered, show_secrets, json, start_set;
    long keys, first, send_id, recv_id, port; /* ids: -1, not given */
    int64_t start, period;
    struct gh_prefix peer, local;
    uint32_t as, peer_as;
};

enum {
    OPTION_FOR = 1,
    OPTION_ALGORITHM,
    OPTION_MAC_LENGTH,
    OPTION_NO_TCP_OPTIONS,
    OPTION_KEYS,
    OPTION_FIRST_KEY,
    OPTION_SEND_ID,
    OPTION_RECV_ID,
    OPTION_START,
    OPTION_PERIOD,
    OPTION_PEER,
    OPTION_LOCAL,
    OPTION_PORT,
    OPTION_SESSION,
    OPTION_AS,
    OPTION_PEER_AS,
    OPTION_SECRET_DIR,
    OPTION_SHOW,
    OPTION_JSON
};

static bool take_period(const char *text, int64_t *out)
{
    const char *why;

    if (gh_duration_parse(text, out, &why))
        return true;
    fprintf(stderr, "--period: %s\n", why);
    return false;
}

static bool take_algorithm(struct request *r, const char *text)
{
    if (tcpao_alg_parse(text, &r->alg, &r->mac_len))
        return true;
    fprintf(stderr,
            "--algorithm: \"%s\" is not known; such as hmac-sha-1-96, aes-128-cmac-96, "
            "hmac-sha-256-128\n",
            text);
    return false;
}

/* The options that say what the keys are. */
static bool take_key_option(struct request *r, int option)
{
    long length;

    switch (option) {
    case OPTION_ALGORITHM:
        return take_algorithm(r, optarg);
    case OPTION_MAC_LENGTH:
        if (!gh_cmd_number("--mac-length", optarg, GH_MAC_MIN, TCPAO_MAC_MAX, &length))
            return false;
        r->mac_len = (unsigned)length;
        return true;
    case OPTION_NO_TCP_OPTIONS:
        r->covered = false;
        return true;
    case OPTION_KEYS:
        return gh_cmd_number("--keys", optarg, 1, GH_KEYS_MAX, &r->keys);
    case OPTION_FIRST_KEY:
        return gh_cmd_number("--first-key", optarg, 0, 2147483647 - GH_KEYS_MAX, &r->first);
    case OPTION_SEND_ID:
        return gh_cmd_number("--send-id", optarg, 0, 255, &r->send_id);
    case OPTION_RECV_ID:
        return gh_cmd_number("--recv-id", optarg, 0, 255, &r->recv_id);
    case OPTION_START:
        r->start_set = true;
        return gh_cmd_time("--start", optarg, gh_cmd_now(), &r->start);
    default:
        return take_period(optarg, &r->period);
    }
}

static bool take_option(void *request, int option)
{
    struct request *r = request;

    switch (option) {
    case OPTION_FOR:
        return gh_cmd_vendors(optarg, &r->vendors);
    case OPTION_PEER:
        return gh_cmd_host("--peer", optarg, &r->peer);
    case OPTION_LOCAL:
        return gh_cmd_host("--local", optarg, &r->local);
    case OPTION_PORT:
        return gh_cmd_number("--port", optarg, 1, 65535, &r->port);
    case OPTION_SESSION:
        r->session = optarg;
        return true;
    case OPTION_AS:
        return gh_cmd_as("--asn", optarg, &r->as);
    case OPTION_PEER_AS:
        return gh_cmd_as("--peer-asn", optarg, &r->peer_as);
    case OPTION_SECRET_DIR:
        r->secret_dir = optarg;
        return true;
    case OPTION_SHOW:
        r->show_secrets = true;
        return true;
    case OPTION_JSON:
        r->json = true;
        return true;
    case '?':
        usage(stderr);
        return false;
    default:
        return take_key_option(r, option);
    }
}

static bool check_request(const struct request *r)
{
    if (r->mac_len > tcpao_mac_len_max(r->alg)) {
        fprintf(stderr, "--mac-length: this algorithm has at most %zu octets\n",
                tcpao_mac_len_max(r->alg));
        return false;
    }
    if (r->local.addr.len != 0 && r->peer.addr.len != 0 && r->local.addr.len != r->peer.addr.len) {
        fprintf(stderr, "--local: IPv4 or IPv6 like --peer\n");
        return false;
    }
    if (r->name[0] == '\0' || strlen(r->name) > GH_NAME_MAX || strchr(r->name, '/') != NULL ||
        r->name[0] == '.') {
        fprintf(stderr, "NAME: 1 to %d characters, no \"/\", and not a dot first\n",
                (int)GH_NAME_MAX);
        return false;
    }
    if (r->secret_dir[0] != '/') {
        fprintf(stderr, "--secret-dir: the path from / on\n");
        return false;
    }
    return true;
}

/* -1: go on; else the exit status. */
static int parse_request(int argc, char **argv, struct request *r)
{
    static const struct option options[] = {
        {"for", required_argument, NULL, OPTION_FOR},
        {"algorithm", required_argument, NULL, OPTION_ALGORITHM},
        {"mac-length", required_argument, NULL, OPTION_MAC_LENGTH},
        {"no-tcp-options", no_argument, NULL, OPTION_NO_TCP_OPTIONS},
        {"keys", required_argument, NULL, OPTION_KEYS},
        {"first-key", required_argument, NULL, OPTION_FIRST_KEY},
        {"send-id", required_argument, NULL, OPTION_SEND_ID},
        {"recv-id", required_argument, NULL, OPTION_RECV_ID},
        {"start", required_argument, NULL, OPTION_START},
        {"period", required_argument, NULL, OPTION_PERIOD},
        {"peer", required_argument, NULL, OPTION_PEER},
        {"local", required_argument, NULL, OPTION_LOCAL},
        {"port", required_argument, NULL, OPTION_PORT},
        {"session", required_argument, NULL, OPTION_SESSION},
        {"asn", required_argument, NULL, OPTION_AS},
        {"peer-asn", required_argument, NULL, OPTION_PEER_AS},
        {"secret-dir", required_argument, NULL, OPTION_SECRET_DIR},
        {"show-secret", no_argument, NULL, OPTION_SHOW},
        {"json", no_argument, NULL, OPTION_JSON},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0}};
    int status;

    *r = (struct request){.secret_dir = "/etc/gatehouse/secrets",
                          .vendors = {.wanted = {[GH_VENDOR_GATEHOUSE] = true}},
                          .alg = TCPAO_HMAC_SHA_1,
                          .mac_len = 12,
                          .covered = true,
                          .keys = 1,
                          .first = 1,
                          .send_id = -1,
                          .recv_id = -1,
                          .port = GH_PORT_BGP,
                          .period = PERIOD_DEFAULT};
    status = gh_cmd_options(argc, argv, options, take_option, r, usage, &r->name);
    return status == -1 && !check_request(r) ? CMD_USAGE : status;
}

/* ---- Secrets ---- */

/* Letters and digits, which every vendor's command line takes, a letter first. */
static bool random_secret(char text[SECRET_LEN + 1])
{
    static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    unsigned char octet;
    size_t n = 0;

    while (n < SECRET_LEN) {
        if (RAND_bytes(&octet, 1) != 1)
            return false;
        if (octet < 248 && (n > 0 || octet % 62 < 52)) /* 4 * 62: no bias */
            text[n++] = alphabet[octet % 62];
    }
    text[SECRET_LEN] = '\0';
    gh_wipe(&octet, 1);
    return true;
}

static bool make_secret(struct gh_key *key, const char *path)
{
    char text[SECRET_LEN + 1];
    bool good = random_secret(text);

    if (!good)
        fprintf(stderr, "there is no good randomness now\n");
    good = good &&
           gh_cmd_write_secret(path, text, SECRET_LEN,
                               "choose another --first-key, name or --secret-dir") &&
           gh_secret_set(&key->secret, (const uint8_t *)text, SECRET_LEN);
    gh_wipe(text, sizeof(text));
    return good;
}

/* ---- The key chain ---- */

static void make_key(const struct request *r, long i, struct gh_key *key)
{
    long number = r->first + i;
    struct tcpao_mkt *m = &key->mkt;

    m->number = (uint32_t)number;
    m->send_id = (uint8_t)(r->send_id >= 0 ? r->send_id + i : number);
    m->recv_id = (uint8_t)(r->recv_id >= 0   ? r->recv_id + i
                           : r->send_id >= 0 ? r->send_id + i
                                             : number);
    m->alg = r->alg;
    m->mac_len = (uint8_t)r->mac_len;
    m->options_covered = r->covered;
    m->send = (struct tcpao_lifetime){TCPAO_TIME_MIN, TCPAO_TIME_MAX};
    key->send_set = r->start_set || r->keys > 1;
    if (key->send_set) {
        int64_t start = r->start_set ? r->start : gh_cmd_now();

        m->send.from = start + i * r->period;
        if (i + 1 < r->keys) /* the last one has no end: nobody is locked out by forgetting */
            m->send.until = m->send.from + r->period + OVERLAP;
    }
    m->accept = m->send;
    key->secret_source = gh_config_asprintf("file %s/%s-%u", r->secret_dir, r->name, m->number);
}

static struct gh_key_chain make_chain(const struct request *r)
{
    struct gh_key_chain chain = {.name = gh_config_strdup(r->name),
                                 .tolerance = TCPAO_DEFAULT_TOLERANCE,
                                 .warn_before = {30 * 86400, 7 * 86400, 86400},
                                 .warn_count = 3,
                                 .key_count = (size_t)r->keys};

    chain.keys = gh_config_alloc(chain.key_count, sizeof(*chain.keys));
    for (long i = 0; i < r->keys; i++)
        make_key(r, i, &chain.keys[i]);
    return chain;
}

static void free_chain(struct gh_key_chain *chain)
{
    for (size_t i = 0; i < chain->key_count; i++) {
        gh_secret_clear(&chain->keys[i].secret);
        free(chain->keys[i].secret_source);
    }
    free(chain->keys);
    free(chain->name);
}

static const char *secret_path(const struct gh_key *key)
{
    return key->secret_source + strlen("file ");
}

/* All or none. */
static bool make_secrets(const struct request *r, struct gh_key_chain *chain)
{
    if (mkdir(r->secret_dir, 0700) != 0 && errno != EEXIST) {
        fprintf(stderr, "%s: %s\n", r->secret_dir, strerror(errno));
        return false;
    }
    for (size_t i = 0; i < chain->key_count; i++) {
        if (make_secret(&chain->keys[i], secret_path(&chain->keys[i])))
            continue;
        while (i-- > 0)
            unlink(secret_path(&chain->keys[i]));
        return false;
    }
    return true;
}

/* ---- Output ---- */

static void print_this_end(const struct gh_key_chain *chain, const struct gh_session *s, FILE *out)
{
    gh_config_print_chain(chain, out);
    if (s != NULL) {
        fputc('\n', out);
        gh_config_print_session(s, chain, out);
    }
}

static void print_json(const struct request *r, const struct gh_far_end *e)
{
    json_t *o = json_object(), *there = json_object(), *files = json_array();
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);

    if (out != NULL) {
        print_this_end(e->chain, e->session, out);
        fclose(out);
    }
    for (size_t i = 0; i < e->chain->key_count; i++)
        json_array_append_new(files, json_string(secret_path(&e->chain->keys[i])));
    gh_cmd_vendors_write(&r->vendors, e, false, there);
    json_object_set_new(o, "this-end", json_string(text != NULL ? text : ""));
    json_object_set_new(o, "other-end", there);
    json_object_set_new(o, "secret-files", files);
    gh_cmd_print_json(o);
    free(text);
}

static void print_text(const struct request *r, const struct gh_far_end *e)
{
    printf("# ---- this end: gatehouse.conf ----\n\n");
    print_this_end(e->chain, e->session, stdout);
    gh_cmd_vendors_write(&r->vendors, e, true, NULL);
    for (size_t i = 0; i < e->chain->key_count; i++)
        fprintf(stderr, "The secret of key %u is in %s; the other end needs the same.\n",
                e->chain->keys[i].mkt.number, secret_path(&e->chain->keys[i]));
}

/* Two keys alive together need different ids, which 256 of them are enough for. */
static bool check_ids(const struct request *r)
{
    long first = r->send_id > r->recv_id ? r->send_id : r->recv_id;

    if ((first >= 0 ? first : r->first) + r->keys - 1 <= 255)
        return true;
    fprintf(stderr, "ids are 0 to 255: give --send-id and --recv-id so that %ld keys fit\n",
            r->keys);
    return false;
}

int gh_cmd_generate(int argc, char **argv)
{
    struct gh_session session;
    struct gh_far_end e;
    struct gh_key_chain chain;
    struct request r;
    int status = parse_request(argc, argv, &r);

    if (status >= 0)
        return status;
    if (!check_ids(&r))
        return CMD_USAGE;
    chain = make_chain(&r);
    session = (struct gh_session){.name = gh_config_strdup(r.session != NULL ? r.session : r.name),
                                  .peer = r.peer,
                                  .local = r.local,
                                  .port = (uint16_t)r.port};
    e = (struct gh_far_end){.chain = &chain,
                            .session = r.peer.addr.len != 0 ? &session : NULL,
                            .as = r.as,
                            .peer_as = r.peer_as,
                            .now = gh_cmd_now(),
                            .show_secrets = r.show_secrets};
    status = CMD_PROBLEMS;
    if (gh_cmd_vendors_check(&r.vendors, &e) && make_secrets(&r, &chain)) {
        if (r.json)
            print_json(&r, &e);
        else
            print_text(&r, &e);
        status = CMD_GOOD;
    }
    free(session.name);
    free_chain(&chain);
    return status;
}
