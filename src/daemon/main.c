/* gatehoused: one program, one role a process. */
#include <fcntl.h>
#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "config/config.h"
#include "crypto/wiping.h"
#include "config/lint.h"
#include "daemon/ao.h"
#include "daemon/esp.h"
#include "daemon/ike.h"
#include "daemon/keeper.h"
#include "daemon/parent.h"
#include "daemon/xfrm.h"

#define CONFIG_PATH "/etc/gatehouse/gatehouse.conf"

struct options {
    const char *config, *run_directory, *state_directory, *role, *ids;
    enum gh_log_level log_level;
    bool check, foreground, remove_rules, emulate_ao;
};

enum { OPT_CHECK = 256, OPT_REMOVE_RULES, OPT_VERSION, OPT_ROLE, OPT_IDS, OPT_LOG, OPT_EMULATE };

static const struct option long_options[] = {{"config", required_argument, NULL, 'c'},
                                             {"foreground", no_argument, NULL, 'f'},
                                             {"run-directory", required_argument, NULL, 'r'},
                                             {"state-directory", required_argument, NULL, 's'},
                                             {"verbose", no_argument, NULL, 'v'},
                                             {"help", no_argument, NULL, 'h'},
                                             {"check", no_argument, NULL, OPT_CHECK},
                                             {"remove-rules", no_argument, NULL, OPT_REMOVE_RULES},
                                             {"version", no_argument, NULL, OPT_VERSION},
                                             /* how the parent starts its children */
                                             {"role", required_argument, NULL, OPT_ROLE},
                                             {"ids", required_argument, NULL, OPT_IDS},
                                             {"log", required_argument, NULL, OPT_LOG},
                                             /* for tests (HACKING.md) */
                                             {"emulate-ao", no_argument, NULL, OPT_EMULATE},
                                             {NULL, 0, NULL, 0}};

static void usage(FILE *out)
{
    fputs("usage: gatehoused [-c FILE] [-f] [-r DIRECTORY] [-s DIRECTORY] [-v]\n"
          "       gatehoused [-c FILE] --check\n"
          "       gatehoused [-r DIRECTORY] --remove-rules\n"
          "       gatehoused --version\n"
          "\n"
          "  -c, --config FILE            configuration (" CONFIG_PATH ")\n"
          "  -f, --foreground             stay in the foreground, log to standard error\n"
          "  -r, --run-directory DIRECTORY  sockets and state (" GH_RUN_DIRECTORY ")\n"
          "  -s, --state-directory DIRECTORY  what outlives a restart of the machine\n"
          "                               (" GH_STATE_DIRECTORY "; with -r that directory)\n"
          "  -v, --verbose                log more\n"
          "      --check                  check the configuration and end\n"
          "      --remove-rules           take the firewall rules of a stopped daemon away\n",
          out);
}

static bool parse(int argc, char **argv, struct options *o)
{
    int c;

    while ((c = getopt_long(argc, argv, "c:fr:s:vh", long_options, NULL)) != -1) {
        switch (c) {
        case 'c':
            o->config = optarg;
            break;
        case 'f':
            o->foreground = true;
            break;
        case 'r':
            o->run_directory = optarg;
            break;
        case 's':
            o->state_directory = optarg;
            break;
        case 'v':
            o->log_level = GH_LOG_DEBUG;
            break;
        case OPT_CHECK:
            o->check = true;
            break;
        case OPT_REMOVE_RULES:
            o->remove_rules = true;
            break;
        case OPT_VERSION:
            puts("gatehoused " GH_VERSION);
            exit(0);
        case OPT_ROLE:
            o->role = optarg;
            break;
        case OPT_LOG:
            o->log_level = (enum gh_log_level)strtol(optarg, NULL, 10);
            break;
        case OPT_IDS:
            o->ids = optarg;
            break;
        case OPT_EMULATE:
            o->emulate_ao = true;
            break;
        case 'h':
            usage(stdout);
            exit(0);
        default:
            return false;
        }
    }
    return optind == argc;
}

static int check(const char *path)
{
    struct gh_problems problems = {.list = NULL};
    bool good;
    struct gh_config *config = gh_config_load(path, &(struct gh_config_options){0}, &problems);

    if (config != NULL) {
        struct gh_lint l = {.config = config, .now = gh_clock_now().wall, .problems = &problems};

        gh_lint_ike(&l);
    }
    gh_problems_print(&problems, stderr);
    if (config != NULL && problems.errors == 0)
        printf("%s: %zu sessions, %zu key chains, %zu IKE peers, no errors\n", path,
               config->session_count, config->chain_count,
               config->ike != NULL ? config->ike->policy_count : 0);
    good = config != NULL && problems.errors == 0;
    gh_problems_clear(&problems);
    gh_config_free(config);
    return good ? 0 : 1;
}

static int run_role(const struct options *o)
{
    unsigned uid, gid;

    if (o->ids == NULL || sscanf(o->ids, "%u:%u", &uid, &gid) != 2)
        return 2;
    if (strcmp(o->role, "ao") == 0) {
        gh_log_setup("gatehoused[ao]", o->log_level);
        return gh_ao_main(uid, gid, o->emulate_ao);
    }
    if (strcmp(o->role, "keeper") == 0) {
        gh_log_setup("gatehoused[keeper]", o->log_level);
        return gh_keeper_main(uid, gid);
    }
    if (strcmp(o->role, "ike") == 0) {
        gh_log_setup("gatehoused[ike]", o->log_level);
        return gh_ike_main(uid, gid);
    }
    if (strcmp(o->role, "esp") == 0) {
        gh_log_setup("gatehoused[esp]", o->log_level);
        return gh_esp_main(uid, gid);
    }
    if (strcmp(o->role, "xfrm") == 0) {
        gh_log_setup("gatehoused[xfrm]", o->log_level);
        return gh_xfrm_main(uid, gid);
    }
    return 2;
}

/* ---- A daemon of its own (without -f) ------------------------------------------------------- */

/* Of the process that waits in the foreground until all is up: a pipe to it, and its terminal. */
static int waiting = -1, terminal = -1;

/* Until all is up, what is logged shows on the terminal too. */
static void log_twice(void *ctx, enum gh_log_level level, const char *line)
{
    dprintf(terminal, "gatehoused: %s\n", line);
    dprintf(STDERR_FILENO, "<%d>gatehoused: %s\n", (int)level, line);
}

static void on_ready(void)
{
    (void)!write(waiting, "r", 1);
    close(waiting);
    gh_log_set_sink(NULL, NULL);
    close(terminal);
}

/* Standard error becomes a socket of syslog's, for this process and its children, which may not
 * open any; one write is one message there. */
static void redirect(void)
{
    const struct sockaddr_un to = {.sun_family = AF_UNIX, .sun_path = "/dev/log"};
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    terminal = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 0);
    for (int i = STDIN_FILENO; null >= 0 && i <= STDERR_FILENO; i++)
        dup2(null, i);
    if (fd >= 0 && connect(fd, (const struct sockaddr *)&to, sizeof(to)) == 0)
        dup2(fd, STDERR_FILENO);
    if (fd >= 0)
        close(fd);
    if (null >= 0)
        close(null);
    setenv("JOURNAL_STREAM", "syslog", 1); /* has the log write priorities */
    gh_log_set_sink(log_twice, NULL);
}

/* Goes to the background; the process that was started waits until the daemon is up. */
static bool detach(void)
{
    int pair[2];
    char octet;
    pid_t pid;

    if (pipe2(pair, O_CLOEXEC) != 0 || (pid = fork()) < 0) {
        perror("gatehoused");
        return false;
    }
    if (pid > 0) {
        close(pair[1]);
        _exit(read(pair[0], &octet, 1) == 1 ? 0 : 1);
    }
    close(pair[0]);
    waiting = pair[1];
    setsid();
    redirect();
    return true;
}

int main(int argc, char **argv)
{
    struct options o = {.config = CONFIG_PATH, .log_level = GH_LOG_INFO};
    struct gh_parent_options parent = {.config = NULL};

    if (!gh_crypto_wipe_on_free()) {
        fputs("gatehoused: libcrypto's memory cannot be wiped\n", stderr);
        return 1;
    }
    if (!parse(argc, argv, &o)) {
        usage(stderr);
        return 2;
    }
    if (o.role != NULL)
        return run_role(&o);
    if (o.check)
        return check(o.config);
    /* An instance of its own has a state of its own. */
    if (o.state_directory == NULL)
        o.state_directory = o.run_directory != NULL ? o.run_directory : GH_STATE_DIRECTORY;
    if (o.run_directory == NULL)
        o.run_directory = GH_RUN_DIRECTORY;
    gh_log_setup("gatehoused", o.log_level);
    if (geteuid() != 0) {
        gh_error("it needs root at its start, to open queues and install rules");
        return 1;
    }
    if (o.remove_rules)
        return gh_parent_remove_rules(o.run_directory);
    parent.config = o.config;
    parent.run_directory = o.run_directory;
    parent.state_directory = o.state_directory;
    parent.log_level = o.log_level;
    parent.emulate_ao = o.emulate_ao;
    if (!o.foreground) {
        parent.ready = on_ready;
        if (!detach())
            return 1;
    }
    return gh_parent_main(&parent);
}
