/*
 * gatectl: the operator's end of Gatehouse. Parses its own options, then runs one command, or
 * commands from a terminal or from standard input.
 */
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "cli/command.h"
#include "cli/complete.h"
#include "cli/interactive.h"
#include "control/control.h"

static int terminal_width(void)
{
    struct winsize size;

    if (!isatty(STDOUT_FILENO) || ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0)
        return 0;
    return size.ws_col >= 40 ? size.ws_col : 0;
}

static void print_candidate(void *ctx, const char *word)
{
    fprintf(ctx, "%s\n", word);
}

/* For shells: what the last of the words may become, one a line. */
static int complete(const struct cli *cli, int argc, char **argv)
{
    cli_candidates(cli, argc, argv, print_candidate, stdout);
    return CLI_OK;
}

static int usage(void)
{
    cli_usage(stderr);
    return CLI_USAGE;
}

int main(int argc, char **argv)
{
    struct cli cli = {.socket = GH_CONTROL_SOCKET, .out = stdout, .err = stderr};
    int i, status;

    /* lint, generate, import and verify-pcap hold secrets: no core file, no debugger of others. */
    prctl(PR_SET_DUMPABLE, 0);
    cli.width = terminal_width();
    for (i = 1; i < argc && argv[i][0] == '-'; i++) {
        if (strcmp(argv[i], "-s") == 0 && i + 1 < argc) {
            cli.socket = argv[++i];
        } else if (strcmp(argv[i], "--json") == 0) {
            cli.json = true;
        } else if (strcmp(argv[i], "--complete") == 0) {
            return complete(&cli, argc - i - 1, argv + i + 1);
        } else if (strcmp(argv[i], "--version") == 0) {
            printf("gatectl %s\n", GH_VERSION);
            return CLI_OK;
        } else if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
            cli_usage(stdout);
            return CLI_OK;
        } else {
            return usage();
        }
    }
    if (i < argc)
        status = cli_run(&cli, argc - i, argv + i);
    else if (isatty(STDIN_FILENO))
        status = cli_interactive(&cli);
    else
        status = cli_batch(&cli, stdin);
    return status == CLI_LEAVE ? CLI_OK : status;
}
