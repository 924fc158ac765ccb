/*
 * gatectl key-chain peer-config FILE --session NAME --for VENDOR
 */
#include <stdio.h>
#include <string.h>

#include "config/cmd_common.h"
#include "config/cmd_vendor.h"
#include "config/commands.h"

static void usage(FILE *out)
{
    fputs("usage: gatectl key-chain peer-config FILE --session NAME --for VENDOR[,VENDOR…]\n"
          "           [--local ADDRESS] [--asn N] [--peer-asn N] [--show-secret] [--json]\n"
          "\n"
          "Prints the configuration that the other end of a session needs. VENDOR is gatehouse,\n"
          "ios-xe, ios-xr, junos, sr-os, bird or all.\n"
          "\n"
          "  --session NAME   a tcp-ao section of FILE\n"
          "  --local ADDRESS  this end's address, where the section has none\n"
          "  --asn N          this end's autonomous system\n"
          "  --peer-asn N     the other end's\n"
          "  --show-secret    print secrets instead of where they are kept\n"
          "  --json           print a JSON object\n",
          out);
}

struct request {
    const char *file, *session;
    struct gh_vendor_list vendors;
    struct gh_prefix local;
    uint32_t as, peer_as;
    bool show_secrets, json, has_vendors;
};

enum {
    OPTION_SESSION = 1,
    OPTION_FOR,
    OPTION_LOCAL,
    OPTION_AS,
    OPTION_PEER_AS,
    OPTION_SHOW,
    OPTION_JSON
};

static bool take_option(void *request, int option)
{
    struct request *r = request;

    switch (option) {
    case OPTION_SESSION:
        r->session = optarg;
        return true;
    case OPTION_FOR:
        r->has_vendors = true;
        return gh_cmd_vendors(optarg, &r->vendors);
    case OPTION_LOCAL:
        return gh_cmd_host("--local", optarg, &r->local);
    case OPTION_AS:
        return gh_cmd_as("--asn", optarg, &r->as);
    case OPTION_PEER_AS:
        return gh_cmd_as("--peer-asn", optarg, &r->peer_as);
    case OPTION_SHOW:
        r->show_secrets = true;
        return true;
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
    static const struct option options[] = {{"session", required_argument, NULL, OPTION_SESSION},
                                            {"for", required_argument, NULL, OPTION_FOR},
                                            {"local", required_argument, NULL, OPTION_LOCAL},
                                            {"asn", required_argument, NULL, OPTION_AS},
                                            {"peer-asn", required_argument, NULL, OPTION_PEER_AS},
                                            {"show-secret", no_argument, NULL, OPTION_SHOW},
                                            {"json", no_argument, NULL, OPTION_JSON},
                                            {"help", no_argument, NULL, 'h'},
                                            {NULL, 0, NULL, 0}};
    int status;

    memset(r, 0, sizeof(*r));
    status = gh_cmd_options(argc, argv, options, take_option, r, usage, &r->file);
    if (status == -1 && (r->session == NULL || !r->has_vendors)) {
        usage(stderr);
        status = CMD_USAGE;
    }
    return status;
}

static int write_config(const struct request *r, const struct gh_config *config)
{
    const struct gh_session *found = gh_config_session(config, r->session);
    struct gh_session session;
    struct gh_far_end e = {.session = &session,
                           .as = r->as,
                           .peer_as = r->peer_as,
                           .now = gh_cmd_now(),
                           .show_secrets = r->show_secrets};
    json_t *json = r->json ? json_object() : NULL;

    if (found == NULL) {
        fprintf(stderr, "%s: there is no session \"%s\"\n", r->file, r->session);
        return CMD_USAGE;
    }
    if (found->ike_peer != NULL) {
        fprintf(stderr,
                "%s: IKE negotiates the keys of \"%s\": the peer names an ike-peer, and no key\n",
                r->file, r->session);
        return CMD_PROBLEMS;
    }
    session = *found;
    if (r->local.addr.len != 0)
        session.local = r->local;
    e.chain = &config->chains[session.chain];
    if (!gh_cmd_vendors_check(&r->vendors, &e))
        return CMD_PROBLEMS;
    gh_cmd_vendors_write(&r->vendors, &e, r->vendors.all, json);
    if (json != NULL)
        gh_cmd_print_json(json);
    return CMD_GOOD;
}

int gh_cmd_peer_config(int argc, char **argv)
{
    struct gh_problems problems = {0};
    struct gh_config *config;
    struct request r;
    int status = parse_request(argc, argv, &r);

    if (status >= 0)
        return status;
    config = gh_cmd_load(r.file, &problems);
    if (config == NULL)
        gh_problems_print(&problems, stderr);
    status = config != NULL ? write_config(&r, config) : CMD_PROBLEMS;
    gh_problems_clear(&problems);
    gh_config_free(config);
    return status;
}
