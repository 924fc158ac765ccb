#include "capture/verify.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "capture/report.h"
#include "capture/verifier.h"
#include "config/config.h"

enum { EXIT_VERIFIED, EXIT_REFUSED, EXIT_UNREADABLE };

struct request {
    const char *capture, *config, *session;
    bool json, verbose;
};

static int usage(FILE *out)
{
    fputs(
        "usage: gatectl verify-pcap FILE --config CONF [--session NAME] [--verbose] [--json]\n"
        "\n"
        "Recomputes the TCP-AO MACs of a capture (pcap or pcapng; - is standard input) with the\n"
        "keys of a configuration and says of each segment whether it verifies, and if not, why.\n",
        out);
    return EXIT_UNREADABLE;
}

/* False: nothing to do but to exit with `status`. */
static bool parse_request(int argc, char **argv, struct request *r, int *status)
{
    static const struct option options[] = {
        {"config", required_argument, NULL, 'c'}, {"session", required_argument, NULL, 's'},
        {"json", no_argument, NULL, 'j'},         {"verbose", no_argument, NULL, 'v'},
        {"help", no_argument, NULL, 'h'},         {NULL, 0, NULL, 0}};
    int option;

    memset(r, 0, sizeof(*r));
    optind = 0; /* gatectl has used getopt before */
    while ((option = getopt_long(argc, argv, "c:s:jvh", options, NULL)) != -1) {
        switch (option) {
        case 'c':
            r->config = optarg;
            break;
        case 's':
            r->session = optarg;
            break;
        case 'j':
            r->json = true;
            break;
        case 'v':
            r->verbose = true;
            break;
        case 'h':
            usage(stdout);
            *status = 0;
            return false;
        default:
            *status = usage(stderr);
            return false;
        }
    }
    if (optind != argc - 1 || r->config == NULL) {
        *status = usage(stderr);
        return false;
    }
    r->capture = argv[optind];
    return true;
}

static bool has_session(const struct gh_config *config, const char *name)
{
    for (size_t i = 0; i < config->session_count; i++)
        if (strcmp(config->sessions[i].name, name) == 0)
            return true;
    return false;
}

/* Warnings are lint's business: only what makes the configuration unusable is printed. */
static struct gh_config *load_config(const struct request *r)
{
    static const struct gh_config_options options;
    struct gh_problems problems = {0};
    struct gh_config *config = gh_config_load(r->config, &options, &problems);

    if (config == NULL) {
        gh_problems_print(&problems, stderr);
    } else if (r->session != NULL && !has_session(config, r->session)) {
        fprintf(stderr, "%s: no session is named \"%s\"\n", r->config, r->session);
        gh_config_free(config);
        config = NULL;
    }
    gh_problems_clear(&problems);
    return config;
}

/* Reads to the end of the capture. False: it broke off; what came before still counts. */
static bool judge_all(struct cap_reader *reader, struct cap_verifier *v, const struct request *r,
                      json_t *segments)
{
    char error[CAP_ERROR_TEXT] = "no memory";
    struct cap_packet packet;
    enum cap_next next;

    while ((next = cap_reader_next(reader, &packet, error)) == CAP_PACKET) {
        struct cap_segment seg;
        enum cap_outcome outcome = cap_verifier_packet(v, &packet, &seg);

        if (outcome == CAP_NO_MEMORY) {
            next = CAP_BROKEN;
            break;
        }
        if (outcome != CAP_JUDGED || !cap_report_shows(&seg, r->verbose))
            continue;
        if (r->json)
            json_array_append_new(segments, cap_json_segment(&seg));
        else
            cap_report_segment(stdout, &seg);
    }
    if (next == CAP_BROKEN)
        fprintf(stderr, "%s: %s\n", r->capture, error);
    return next == CAP_END;
}

static void print_json(const struct cap_verifier *v, const struct request *r, json_t *segments)
{
    json_t *connections = json_array(), *all;

    for (const struct cap_connection *c = cap_verifier_connections(v); c != NULL; c = c->next)
        json_array_append_new(connections, cap_json_connection(c));
    all = json_pack("{s:s, s:O, s:o, s:o}", "file", r->capture, "segments", segments, "connections",
                    connections, "summary", cap_json_totals(cap_verifier_totals(v)));
    json_dumpf(all, stdout, JSON_INDENT(2));
    putchar('\n');
    json_decref(all);
}

static void print_text(const struct cap_verifier *v)
{
    for (const struct cap_connection *c = cap_verifier_connections(v); c != NULL; c = c->next)
        cap_report_connection(stdout, c);
    cap_report_totals(stdout, cap_verifier_totals(v));
}

static int verify(struct cap_reader *reader, struct cap_verifier *v, const struct request *r)
{
    const uint64_t *sums = cap_verifier_totals(v)->sums;
    json_t *segments = json_array();
    bool whole = judge_all(reader, v, r, segments);

    if (r->json)
        print_json(v, r, segments);
    else
        print_text(v);
    json_decref(segments);
    if (!whole)
        return EXIT_UNREADABLE;
    return sums[CAP_FAILED] == 0 && sums[CAP_VERIFIED] > 0 ? EXIT_VERIFIED : EXIT_REFUSED;
}

int gh_cmd_verify_pcap(int argc, char **argv)
{
    struct request r;
    struct gh_config *config;
    struct cap_reader *reader;
    struct cap_verifier *v;
    char error[CAP_ERROR_TEXT];
    int status = EXIT_UNREADABLE;

    if (!parse_request(argc, argv, &r, &status))
        return status;
    if ((config = load_config(&r)) == NULL)
        return status;
    reader = cap_reader_open(r.capture, error);
    v = cap_verifier_new(config, r.session);
    if (reader == NULL)
        fprintf(stderr, "%s: %s\n", r.capture, error);
    else if (v == NULL)
        fprintf(stderr, "verify-pcap: no memory\n");
    else
        status = verify(reader, v, &r);
    cap_verifier_free(v);
    cap_reader_close(reader);
    gh_config_free(config);
    return status;
}
