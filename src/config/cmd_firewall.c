/*
 * gatectl firewall FILE [--table NAME]
 */
#include <stdio.h>
#include <string.h>

#include "config/cmd_common.h"
#include "config/commands.h"
#include "config/holes.h"

struct request {
    const char *file, *table;
};

enum { OPTION_TABLE = 1 };

static void usage(FILE *out)
{
    fputs(
        "usage: gatectl firewall FILE [--table NAME]\n"
        "\n"
        "Prints what of IKE and IPsec the host's own firewall has to let through, as two chains\n"
        "of nftables, gatehouse-in and gatehouse-out, to jump to from those of input and output.\n"
        "\n"
        "  --table NAME  the table of the family inet that has your chains; default filter\n",
        out);
}

static bool take_option(void *request, int option)
{
    struct request *r = request;

    if (option == OPTION_TABLE && optarg[0] != '\0' &&
        strspn(optarg, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_") ==
            strlen(optarg)) {
        r->table = optarg;
        return true;
    }
    usage(stderr);
    return false;
}

int gh_cmd_firewall(int argc, char **argv)
{
    static const struct option options[] = {{"table", required_argument, NULL, OPTION_TABLE},
                                            {"help", no_argument, NULL, 'h'},
                                            {NULL, 0, NULL, 0}};
    struct request r = {.table = "filter"};
    struct gh_problems problems = {0};
    struct gh_config *config;
    int status = gh_cmd_options(argc, argv, options, take_option, &r, usage, &r.file);

    if (status != -1)
        return status;
    config = gh_cmd_load(r.file, &problems);
    status = CMD_PROBLEMS;
    if (config == NULL)
        gh_problems_print(&problems, stderr);
    else if (config->ike == NULL)
        fprintf(stderr, "%s: there is no ike-peer\n", r.file);
    else
        status = CMD_GOOD;
    if (status == CMD_GOOD)
        gh_holes_write(config->ike, r.table, stdout);
    gh_problems_clear(&problems);
    gh_config_free(config);
    return status;
}
