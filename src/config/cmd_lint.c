/*
 * gatectl lint FILE [--peer FILE]
 */
#include <stdio.h>
#include <string.h>

#include "config/cmd_common.h"
#include "config/commands.h"
#include "config/lint.h"
#include "config/problems_json.h"

static void usage(FILE *out)
{
    fputs("usage: gatectl lint FILE [--peer FILE] [--at TIME] [--json]\n"
          "\n"
          "Checks a configuration and gives advice on it; with --peer, also whether it fits the\n"
          "configuration of the other end. The status is 1 if anything was found.\n"
          "\n"
          "  --peer FILE  the other end's configuration\n"
          "  --at TIME    judge lifetimes as of TIME (default: now)\n"
          "  --json       print a JSON object\n",
          out);
}

struct request {
    const char *file, *peer;
    int64_t now;
    bool json;
};

/* -1: go on; else the exit status. */
static int parse_request(int argc, char **argv, struct request *r)
{
    static const struct option options[] = {{"peer", required_argument, NULL, 'p'},
                                            {"at", required_argument, NULL, 'a'},
                                            {"json", no_argument, NULL, 'j'},
                                            {"help", no_argument, NULL, 'h'},
                                            {NULL, 0, NULL, 0}};
    int option;

    *r = (struct request){.now = gh_cmd_now()};
    optind = 0; /* gatectl has used getopt before */
    while ((option = getopt_long(argc, argv, "p:a:jh", options, NULL)) != -1) {
        switch (option) {
        case 'p':
            r->peer = optarg;
            break;
        case 'a':
            if (!gh_cmd_time("--at", optarg, r->now, &r->now))
                return CMD_USAGE;
            break;
        case 'j':
            r->json = true;
            break;
        case 'h':
            usage(stdout);
            return CMD_GOOD;
        default:
            usage(stderr);
            return CMD_USAGE;
        }
    }
    if (argc - optind != 1) {
        usage(stderr);
        return CMD_USAGE;
    }
    r->file = argv[optind];
    return -1;
}

static void print_json(const struct request *r, const struct gh_problems *problems)
{
    json_t *o = json_object();

    json_object_set_new(o, "file", json_string(r->file));
    json_object_set_new(o, "peer", r->peer != NULL ? json_string(r->peer) : json_null());
    json_object_set_new(o, "errors", json_integer((json_int_t)problems->errors));
    json_object_set_new(o, "warnings",
                        json_integer((json_int_t)(problems->count - problems->errors)));
    json_object_set_new(o, "problems", gh_problems_json(problems));
    gh_cmd_print_json(o);
}

int gh_cmd_lint(int argc, char **argv)
{
    struct gh_problems problems = {0};
    struct gh_config *config, *peer = NULL;
    struct request r;
    int status = parse_request(argc, argv, &r);

    if (status >= 0)
        return status;
    config = gh_cmd_load(r.file, &problems);
    if (r.peer != NULL)
        peer = gh_cmd_load(r.peer, &problems);
    if (config != NULL && (r.peer == NULL || peer != NULL))
        gh_lint(config, peer, r.now, &problems);
    if (r.json)
        print_json(&r, &problems);
    else if (problems.count == 0)
        printf("%s: nothing to say against it\n", r.file);
    else
        gh_problems_print(&problems, stdout);
    status = problems.count > 0 ? CMD_PROBLEMS : CMD_GOOD;
    gh_problems_clear(&problems);
    gh_config_free(config);
    gh_config_free(peer);
    return status;
}
