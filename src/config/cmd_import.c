/*
 * gatectl key-chain import FILE …
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config/alloc.h"
#include "config/cmd_common.h"
#include "config/commands.h"
#include "config/import.h"
#include "config/problems_json.h"
#include "config/secret_source.h"

enum { FILE_SIZE_MAX = 64 << 20 };

static void usage(FILE *out)
{
    fputs(
        "usage: gatectl key-chain import FILE [options]\n"
        "\n"
        "Reads the configuration of a router and prints ours that means the same: its TCP-AO key\n"
        "chains and sessions. Secrets in plain text go into files of their own (mode 0600).\n"
        "FILE may be - for standard input. Without --from the vendor is guessed.\n"
        "\n"
        "  --from VENDOR     ios-xe, ios-xr, junos, sr-os or bird\n"
        "  --as-peer         for the other end of the router's sessions, not in its place\n"
        "  --secret-dir DIR  where to write the secrets (default /etc/gatehouse/secrets)\n"
        "  --json            print a JSON object\n",
        out);
}

struct request {
    const char *file;
    struct gh_import_options options;
    bool json;
};

enum { OPTION_FROM = 1, OPTION_AS_PEER, OPTION_SECRET_DIR, OPTION_JSON };

static bool take_vendor(const char *text, enum gh_vendor *out)
{
    if (gh_vendor_parse(text, out) && *out != GH_VENDOR_GATEHOUSE)
        return true;
    fprintf(stderr, "--from: ios-xe, ios-xr, junos, sr-os or bird\n");
    return false;
}

static bool take_option(void *request, int option)
{
    struct request *r = request;

    switch (option) {
    case OPTION_FROM:
        return take_vendor(optarg, &r->options.from);
    case OPTION_AS_PEER:
        r->options.as_peer = true;
        return true;
    case OPTION_SECRET_DIR:
        r->options.secret_dir = optarg;
        if (optarg[0] == '/')
            return true;
        fprintf(stderr, "--secret-dir: the path from / on\n");
        return false;
    case OPTION_JSON:
        r->json = true;
        return true;
    default:
        usage(stderr);
        return false;
    }
}

/* -1: go on; else the exit status. */
static int parse_request(int argc, char **argv, struct request *r)
{
    static const struct option options[] = {
        {"from", required_argument, NULL, OPTION_FROM},
        {"as-peer", no_argument, NULL, OPTION_AS_PEER},
        {"secret-dir", required_argument, NULL, OPTION_SECRET_DIR},
        {"json", no_argument, NULL, OPTION_JSON},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0}};

    *r = (struct request){
        .options = {.from = GH_VENDOR_COUNT, .secret_dir = "/etc/gatehouse/secrets"}};
    return gh_cmd_options(argc, argv, options, take_option, r, usage, &r->file);
}

/* ---- The text ---- */

static void wipe_text(char *text, size_t len)
{
    gh_wipe(text, len);
    free(text);
}

/* NULL: says why. */
static char *read_text(const char *path, size_t *len)
{
    int fd = strcmp(path, "-") == 0 ? dup(STDIN_FILENO) : open(path, O_RDONLY | O_CLOEXEC);
    size_t size = 65536, n = 0;
    char *text = gh_config_alloc(size, 1);
    ssize_t got = fd < 0 ? -1 : 1;

    while (got > 0 && n <= FILE_SIZE_MAX) {
        if (n == size) {
            char *bigger = gh_config_alloc(size * 2, 1);

            memcpy(bigger, text, n);
            wipe_text(text, n);
            text = bigger;
            size *= 2;
        }
        do
            got = read(fd, text + n, size - n);
        while (got < 0 && errno == EINTR);
        n += got > 0 ? (size_t)got : 0;
    }
    if (got != 0) {
        fprintf(stderr, "%s: %s\n", path, got < 0 ? strerror(errno) : "it is too long");
        wipe_text(text, n);
        text = NULL;
    }
    if (fd >= 0)
        close(fd);
    *len = n;
    return text;
}

/* ---- Secrets ---- */

static const char *secret_path(const struct gh_key *key)
{
    return key->secret_source + strlen("file ");
}

/* Is this secret in its file already, from an earlier import? */
static bool is_there(const struct gh_key *key)
{
    struct gh_secret_error error;
    struct gh_secret found = {0};
    bool same =
        gh_secret_from_file(secret_path(key), key->secret_hex ? GH_SECRET_HEX : GH_SECRET_ASCII,
                            &found, &error) &&
        gh_secret_equal(&found, &key->secret);

    gh_secret_clear(&found);
    return same;
}

static bool write_secret(const struct gh_key *key)
{
    size_t len = key->secret.len * (key->secret_hex ? 2 : 1);
    char *text = gh_config_alloc(len + 1, 1);
    bool good;

    if (key->secret_hex) {
        for (size_t i = 0; i < key->secret.len; i++)
            snprintf(text + 2 * i, 3, "%02x", key->secret.data[i]);
    } else {
        memcpy(text, key->secret.data, len);
    }
    good = gh_cmd_write_secret(secret_path(key), text, len,
                               "it holds another secret; choose another --secret-dir");
    wipe_text(text, len);
    return good;
}

/* Each file once, though two chains may share it. */
static bool write_secrets(const struct request *r, const struct gh_config *c, json_t *files)
{
    for (size_t i = 0; i < c->chain_count; i++) {
        for (size_t k = 0; k < c->chains[i].key_count; k++) {
            const struct gh_key *key = &c->chains[i].keys[k];

            if (key->secret.len == 0)
                continue;
            if (mkdir(r->options.secret_dir, 0700) != 0 && errno != EEXIST) {
                fprintf(stderr, "%s: %s\n", r->options.secret_dir, strerror(errno));
                return false;
            }
            if (is_there(key))
                continue;
            if (!write_secret(key))
                return false;
            json_array_append_new(files, json_string(secret_path(key)));
        }
    }
    return true;
}

/* ---- Output ---- */

static void print_json(const struct gh_config *c, enum gh_vendor from,
                       const struct gh_problems *problems, json_t *files)
{
    json_t *o = json_object();
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);

    if (out != NULL) {
        gh_import_print(c, out);
        fclose(out);
    }
    json_object_set_new(o, "from",
                        from != GH_VENDOR_COUNT ? json_string(gh_vendor_name(from)) : json_null());
    json_object_set_new(o, "config", json_string(text != NULL ? text : ""));
    json_object_set(o, "secret-files", files);
    json_object_set_new(o, "problems", gh_problems_json(problems));
    gh_cmd_print_json(o);
    free(text);
}

static void print_text(const struct gh_config *c, enum gh_vendor from,
                       const struct gh_problems *problems, json_t *files)
{
    const json_t *file;
    size_t i;

    gh_import_print(c, stdout);
    fflush(stdout);
    if (from != GH_VENDOR_COUNT)
        fprintf(stderr, "Read as %s: %zu key chains, %zu sessions.\n", gh_vendor_title(from),
                c->chain_count, c->session_count);
    json_array_foreach(files, i, file)
        fprintf(stderr, "Wrote a secret to %s\n", json_string_value(file));
    gh_problems_print(problems, stderr);
}

static int import(const struct request *r, const char *text, size_t len)
{
    struct gh_import_options options = r->options;
    struct gh_problems problems = {0};
    json_t *files = json_array();
    struct gh_config *c;
    int status = CMD_PROBLEMS;

    if (options.from == GH_VENDOR_COUNT)
        options.from = gh_import_guess(text, len);
    c = gh_import(r->file, text, len, &options, &problems);
    if (write_secrets(r, c, files)) {
        if (r->json)
            print_json(c, options.from, &problems, files);
        else
            print_text(c, options.from, &problems, files);
        status = problems.errors > 0 ? CMD_PROBLEMS : CMD_GOOD;
    }
    json_decref(files);
    gh_problems_clear(&problems);
    gh_config_free(c);
    return status;
}

int gh_cmd_import(int argc, char **argv)
{
    struct request r;
    int status = parse_request(argc, argv, &r);
    size_t len;
    char *text;

    if (status >= 0)
        return status;
    text = read_text(r.file, &len);
    if (text == NULL)
        return CMD_PROBLEMS;
    status = import(&r, text, len);
    wipe_text(text, len);
    return status;
}
