#include "cli/command.h"

#include <string.h>

#include "capture/verify.h"
#include "config/commands.h"

enum { USAGE_COLUMN = 40 };

static int run_version(const struct cli *cli, const struct cli_command *self, int argc, char **argv)
{
    if (cli->json)
        fprintf(cli->out, "{\"version\": \"%s\"}\n", GH_VERSION);
    else
        fprintf(cli->out, "gatectl %s\n", GH_VERSION);
    return CLI_OK;
}

static int run_help(const struct cli *cli, const struct cli_command *self, int argc, char **argv)
{
    const struct cli_command *c;
    int used;

    if (argc == 0) {
        cli_usage(cli->out);
        return CLI_OK;
    }
    c = cli_find(argc, argv, &used, cli->err);
    if (c == NULL)
        return CLI_USAGE;
    cli_command_usage(c, cli->out);
    return CLI_OK;
}

static int run_exit(const struct cli *cli, const struct cli_command *self, int argc, char **argv)
{
    return CLI_LEAVE;
}

int cli_offline(const struct cli *cli, const struct cli_command *self, int argc, char **argv)
{
    const char *name = strrchr(self->words, ' ');
    char word[32], json[] = "--json", *args[CLI_WORDS_MAX + 3];
    int n = 0, status;

    snprintf(word, sizeof(word), "%s", name != NULL ? name + 1 : self->words);
    args[n++] = word;
    for (int i = 0; i < argc && i < CLI_WORDS_MAX; i++)
        args[n++] = argv[i];
    if (cli->json)
        args[n++] = json;
    args[n] = NULL;
    status = self->offline(n, args);
    fflush(stdout);
    return status;
}

#define ASK(op_)     cli_ask, op_, NULL
#define OFFLINE(fn_) cli_offline, NULL, fn_
#define OWN(fn_)     fn_, NULL, NULL

const struct cli_command cli_commands[] = {
    {"show key-chain", "[NAME] [detail]", "key chains: active and next keys, transition, expiry",
     CLI_ARG_CHAIN, ASK("show-key-chain")},
    {"show key-table", "[NAME|PEER] [detail]", "keys of all sessions: RFC 7210's table",
     CLI_ARG_SESSION, ASK("show-key-table")},
    {"show tcp-ao session", "[NAME|PEER] [detail]", "protected sessions and their connections",
     CLI_ARG_SESSION, ASK("show-session")},
    {"show counters", "[NAME|PEER] [detail]", "what passed and what was dropped, by reason and key",
     CLI_ARG_SESSION, ASK("show-counters")},
    {"show status", "", "version, sessions in short, warnings", CLI_ARG_NONE, ASK("show-status")},
    {"show processes", "", "the daemon's processes, and how often they were started again",
     CLI_ARG_NONE, ASK("show-processes")},
    {"show configuration", "", "the configuration in force, without secrets", CLI_ARG_NONE,
     ASK("show-configuration")},
    {"show ike peer", "[NAME|PEER]", "IKE peers: which are up, and what failed last", CLI_ARG_PEER,
     ASK("show-ike-peer")},
    {"show ike sa", "[NAME|PEER] [detail]", "IKE SAs: state, ends, algorithms, lifetimes",
     CLI_ARG_PEER, ASK("show-ike-sa")},
    {"show ike child", "[NAME|PEER]", "Child SAs: SPIs and traffic selectors", CLI_ARG_PEER,
     ASK("show-ike-child")},
    {"show ike statistics", "", "how fast IKE SAs come up, and why others do not", CLI_ARG_NONE,
     ASK("show-ike-statistics")},
    {"show ike lockout", "", "who failed to authenticate, and is not heard for a while",
     CLI_ARG_NONE, ASK("show-ike-lockout")},
    {"show ipsec tunnel", "[NAME|PEER] [detail]",
     "tunnels: state, ends, selectors, lifetimes, packets, why they are down", CLI_ARG_PEER,
     ASK("show-ipsec-tunnel")},
    {"show ipsec gateway", "[NAME|PEER] [detail]",
     "peers with tunnels: which gateway is in use, how many are up, failures", CLI_ARG_PEER,
     ASK("show-ipsec-gateway")},
    {"show ipsec policy", "[NAME]", "policies in their order, and how many packets each had",
     CLI_ARG_PEER, ASK("show-ipsec-policy")},
    {"show ipsec sa", "[NAME]", "Child SAs at work: SPIs, algorithms, packets, octets, drops",
     CLI_ARG_PEER, ASK("show-ipsec-sa")},
    {"show ipsec counters", "", "what became of packets at the IPsec engine, by reason",
     CLI_ARG_NONE, ASK("show-ipsec-counters")},
    {"show ipsec group", "",
     "tunnel groups: the processes that carry packets, and those in reserve", CLI_ARG_NONE,
     ASK("show-ipsec-group")},
    {"show ipsec unprotected", "", "what came in clear although a tunnel is for it", CLI_ARG_NONE,
     ASK("show-ipsec-unprotected")},
    {"capture", "[clear|encrypted|both] [peer NAME] [count N] [seconds N] [file FILE]",
     "packets of IPsec tunnels, in clear and encrypted, as pcapng", CLI_ARG_WORD, cli_capture,
     "capture-start", NULL},
    {"show tunnel", "[NAME]", "GRE and IP-in-IP tunnels: their ends, who protects them, packets",
     CLI_ARG_WORD, ASK("show-tunnel")},
    {"show metrics", "", "all that can be counted, in the text format of Prometheus", CLI_ARG_NONE,
     cli_metrics, "show-status", NULL},
    {"show gatekeeper", "[NAME|PEER] [detail]",
     "sessions whose keys IKE makes: their keys, and the seven steps to them", CLI_ARG_SESSION,
     ASK("show-gatekeeper")},
    {"monitor", "[NAME]", "events as they happen, until interrupted", CLI_ARG_SESSION, cli_monitor,
     "monitor", NULL},
    {"explain", "NAME|PEER", "why a session or an IKE peer is not up, and what to check",
     CLI_ARG_ANYBODY, ASK("explain")},
    {"reload", "", "checks the configuration file and puts it in force", CLI_ARG_NONE,
     ASK("reload")},
    {"clear counters", "[NAME|PEER]", "sets counters to zero", CLI_ARG_SESSION, ASK("clear")},
    {"clear ike lockout", "[ADDRESS]", "hears clients again that failed to authenticate",
     CLI_ARG_WORD, ASK("clear-ike-lockout")},
    {"ike down", "NAME|PEER [CHILD]", "takes an IKE peer down, or one of its children, to stay",
     CLI_ARG_PEER, ASK("ike-down"), "child"},
    {"ike up", "NAME|PEER [CHILD]", "lets it be up again", CLI_ARG_PEER, ASK("ike-up"), "child"},
    {"ike revert", "NAME|PEER", "back to the first gateway, when that answers", CLI_ARG_PEER,
     ASK("ike-revert")},
    {"ike initiate", "NAME|PEER [CHILD]", "begins with an IKE peer, for one of its children",
     CLI_ARG_PEER, ASK("ike-initiate"), "child"},
    {"ike rekey sa", "ID", "makes new keys for an IKE SA", CLI_ARG_SA, ASK("ike-rekey-sa")},
    {"ike rekey child", "ID", "makes new keys for a Child SA", CLI_ARG_CHILD,
     ASK("ike-rekey-child")},
    {"ike redirect peer", "NAME|PEER to ADDRESS", "sends a peer that called us to another gateway",
     CLI_ARG_PEER, ASK("ike-redirect-peer"), "to"},
    {"ike redirect sa", "ID to ADDRESS", "the same for one IKE SA", CLI_ARG_SA,
     ASK("ike-redirect-sa"), "to"},
    {"ike terminate peer", "NAME|PEER", "ends all SAs with an IKE peer", CLI_ARG_PEER,
     ASK("ike-terminate-peer")},
    {"ike terminate sa", "ID", "ends an IKE SA and its children", CLI_ARG_SA,
     ASK("ike-terminate-sa")},
    {"ike terminate child", "ID", "ends a Child SA", CLI_ARG_CHILD, ASK("ike-terminate-child")},
    {"gatekeeper revoke", "NAME|PEER",
     "makes fresh keys for all sessions of an IKE peer; they stay up", CLI_ARG_SESSION,
     ASK("gatekeeper-revoke")},
    {"reset-session", "NAME|PEER", "resets the connections of a session", CLI_ARG_SESSION,
     ASK("reset-session")},
    {"connections export", "[NAME|PEER]",
     "what another engine needs to carry established connections on (JSON)", CLI_ARG_SESSION,
     ASK("export-connections")},
    {"connections adopt", "FILE", "carries on the connections that another engine exported",
     CLI_ARG_FILE, cli_adopt, "adopt-connection", NULL},
    {"verify-pcap", "FILE --config CONF [--json]",
     "recomputes every TCP-AO MAC of a capture and says which fail, and why", CLI_ARG_FILE,
     OFFLINE(gh_cmd_verify_pcap)},
    {"lint", "FILE [--peer FILE] [--json]",
     "advice on a configuration, and whether two ends fit together", CLI_ARG_FILE,
     OFFLINE(gh_cmd_lint)},
    {"firewall", "FILE [--table NAME]",
     "what of IKE and IPsec the host's own firewall has to let through (nftables)", CLI_ARG_FILE,
     OFFLINE(gh_cmd_firewall)},
    {"key-chain simulate", "FILE [--peer FILE] [--from TIME] [--to TIME] [--skew SECONDS]",
     "plays both ends' clocks: keys in use, gaps, the day a session dies", CLI_ARG_FILE,
     OFFLINE(gh_cmd_simulate)},
    {"key-chain generate", "NAME [--for VENDOR] [--help]",
     "strong keys, and the configuration of both ends", CLI_ARG_NONE, OFFLINE(gh_cmd_generate)},
    {"key-chain peer-config", "FILE --session NAME --for VENDOR",
     "what the other end of a session must configure", CLI_ARG_FILE, OFFLINE(gh_cmd_peer_config)},
    {"key-chain import", "FILE [--from VENDOR] [--as-peer] [--secret-dir DIR] [--json]",
     "a router's key chains and sessions as configuration of ours", CLI_ARG_FILE,
     OFFLINE(gh_cmd_import)},
    {"version", "", "the version of gatectl", CLI_ARG_NONE, OWN(run_version)},
    {"help", "[COMMAND]", "this list, or how to use one command", CLI_ARG_COMMAND, OWN(run_help)},
    {"exit", "", "leaves the interactive gatectl", CLI_ARG_NONE, OWN(run_exit)},
};
const size_t cli_command_count = sizeof(cli_commands) / sizeof(cli_commands[0]);
_Static_assert(sizeof(cli_commands) / sizeof(cli_commands[0]) <= CLI_COMMANDS_MAX,
               "raise CLI_COMMANDS_MAX");

void cli_command_usage(const struct cli_command *c, FILE *out)
{
    fprintf(out, "usage: gatectl %s%s%s%s\n  %s\n", c->op != NULL ? "[-s SOCKET] [--json] " : "",
            c->words, c->args[0] != '\0' ? " " : "", c->args, c->help);
    if (c->offline != NULL)
        fprintf(out, "  `gatectl %s --help` explains its options.\n", c->words);
}

void cli_usage(FILE *out)
{
    fputs("usage: gatectl [-s SOCKET] [--json] [COMMAND]\n"
          "Without a command: interactive on a terminal, else commands from standard input.\n\n",
          out);
    for (size_t i = 0; i < cli_command_count; i++) {
        const struct cli_command *c = &cli_commands[i];
        int width = fprintf(out, "  %s %s", c->words, c->args);

        if (width > USAGE_COLUMN - 2)
            fprintf(out, "\n%*s%s\n", USAGE_COLUMN, "", c->help);
        else
            fprintf(out, "%*s%s\n", USAGE_COLUMN - width, "", c->help);
    }
}

/* Takes the word out of argv, wherever it stands. */
static bool take_flag(int *argc, char **argv, const char *flag)
{
    bool found = false;
    int kept = 0;

    for (int i = 0; i < *argc; i++) {
        if (strcmp(argv[i], flag) == 0)
            found = true;
        else
            argv[kept++] = argv[i];
    }
    *argc = kept;
    return found;
}

int cli_run(const struct cli *cli, int argc, char **argv)
{
    struct cli with = *cli;
    const struct cli_command *c;
    int used;

    c = cli_find(argc, argv, &used, cli->err);
    if (c == NULL)
        return CLI_USAGE;
    argc -= used;
    argv += used;
    if (c->offline == NULL) {
        with.json |= take_flag(&argc, argv, "--json");
        if (take_flag(&argc, argv, "--help") || take_flag(&argc, argv, "?")) {
            cli_command_usage(c, cli->out);
            return CLI_OK;
        }
    }
    return c->run(&with, c, argc, argv);
}
