#include "platform/rules.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "platform/netns.h"
#include "platform/rules_text.h"
#include "platform/run.h"

enum { PATH = 128 };

/* The two iptables programs and their restores. */
struct family {
    const char *program, *restore;
    uint8_t len;
};

static const struct family families[] = {{"iptables", "iptables-restore", 4},
                                         {"ip6tables", "ip6tables-restore", 16}};

const char *gh_rules_backend_name(enum gh_rules_backend backend)
{
    return backend == GH_RULES_NFTABLES ? "nftables" : "iptables";
}

/* Runs a program that must succeed; said tells why it did not. */
static bool run(const char *const argv[], const char *input, char said[GH_RULES_SAID])
{
    char answer[GH_RULES_SAID / 2];
    int status = gh_run(argv, input, answer, sizeof(answer));

    if (status == 0)
        return true;
    if (status < 0)
        snprintf(said, GH_RULES_SAID, "%s: %s", argv[0], strerror(-status));
    else
        snprintf(said, GH_RULES_SAID, "%s ended with status %d: %s", argv[0], status, answer);
    return false;
}

static bool find(const char *name, char path[PATH], char said[GH_RULES_SAID])
{
    if (gh_run_find(name, path, PATH) != NULL)
        return true;
    snprintf(said, GH_RULES_SAID, "the program %s is not installed", name);
    return false;
}

static bool run_nft(const char *text, bool check, char said[GH_RULES_SAID])
{
    char path[PATH];
    const char *const apply[] = {path, "-f", "-", NULL};
    const char *const try[] = {path, "-c", "-f", "-", NULL};

    return find("nft", path, said) && run(check ? try : apply, text, said);
}

static bool run_restore(const struct family *f, const char *text, char said[GH_RULES_SAID])
{
    char path[PATH];
    const char *const argv[] = {path, "--noflush", NULL};

    return find(f->restore, path, said) && run(argv, text, said);
}

/* Does `hook` of the mangle table jump to `chain`? */
static bool hooked(const struct family *f, const char *hook, const char *chain)
{
    char path[PATH], said[GH_RULES_SAID];
    const char *const argv[] = {path, "-w", "-t", "mangle", "-C", hook, "-j", chain, NULL};

    return find(f->program, path, said) && run(argv, NULL, said);
}

static bool has_chain(const struct family *f, const char *chain)
{
    char path[PATH], said[GH_RULES_SAID];
    const char *const argv[] = {path, "-w", "-t", "mangle", "-S", chain, NULL};

    return find(f->program, path, said) && run(argv, NULL, said);
}

bool gh_rules_usable(enum gh_rules_backend backend, char said[GH_RULES_SAID])
{
    char path[PATH];

    if (backend == GH_RULES_NFTABLES)
        return run_nft(gh_rules_nft_probe, true, said);
    return find(families[0].restore, path, said) && find(families[1].restore, path, said);
}

bool gh_rules_detect(enum gh_rules_backend *backend, char said[GH_RULES_SAID])
{
    char why[GH_RULES_SAID];

    *backend = GH_RULES_NFTABLES;
    if (gh_rules_usable(*backend, why))
        return true;
    *backend = GH_RULES_IPTABLES;
    if (gh_rules_usable(*backend, said))
        return true;
    snprintf(said, GH_RULES_SAID, "nftables cannot queue (%.200s) and iptables is not there", why);
    return false;
}

static bool install_nft(const struct gh_flow *flows, size_t count,
                        const struct gh_socket_rule *sockets, size_t socket_count,
                        char said[GH_RULES_SAID])
{
    char *text = gh_rules_nft_text(flows, count, sockets, socket_count);
    bool good = text != NULL && run_nft(text, false, said);

    free(text);
    return good;
}

static bool install_iptables(const struct gh_flow *flows, size_t count,
                             const struct gh_socket_rule *sockets, size_t socket_count,
                             char said[GH_RULES_SAID])
{
    bool good = true;

    for (size_t i = 0; i < 2 && good; i++) {
        const struct family *f = &families[i];
        char *text = gh_rules_iptables_text(flows, count, sockets, socket_count, f->len,
                                            hooked(f, "INPUT", "GATEHOUSE-IN"),
                                            hooked(f, "OUTPUT", "GATEHOUSE-OUT"));

        good = text != NULL && run_restore(f, text, said);
        free(text);
    }
    return good;
}

static bool remove_iptables(char said[GH_RULES_SAID])
{
    bool good = true;

    for (size_t i = 0; i < 2; i++) {
        const struct family *f = &families[i];
        char *text;

        if (!has_chain(f, "GATEHOUSE-IN") && !has_chain(f, "GATEHOUSE-OUT"))
            continue;
        text = gh_rules_iptables_removal(hooked(f, "INPUT", "GATEHOUSE-IN"),
                                         hooked(f, "OUTPUT", "GATEHOUSE-OUT"));
        good = text != NULL && run_restore(f, text, said) && good;
        free(text);
    }
    return good;
}

static bool enter(const char *netns, int *back, char said[GH_RULES_SAID])
{
    int result = gh_netns_enter(netns, back);

    if (result != 0)
        snprintf(said, GH_RULES_SAID, "network namespace %s: %s", netns, strerror(-result));
    return result == 0;
}

bool gh_rules_install(enum gh_rules_backend backend, const char *netns, const struct gh_flow *flows,
                      size_t count, const struct gh_socket_rule *sockets, size_t socket_count,
                      char said[GH_RULES_SAID])
{
    bool good;
    int back;

    snprintf(said, GH_RULES_SAID, "no memory");
    if (!enter(netns, &back, said))
        return false;
    good = backend == GH_RULES_NFTABLES
               ? install_nft(flows, count, sockets, socket_count, said)
               : install_iptables(flows, count, sockets, socket_count, said);
    gh_netns_leave(back);
    return good;
}

bool gh_rules_remove(enum gh_rules_backend backend, const char *netns, char said[GH_RULES_SAID])
{
    bool good;
    int back;

    snprintf(said, GH_RULES_SAID, "no memory");
    if (!enter(netns, &back, said))
        return false;
    good = backend == GH_RULES_NFTABLES ? run_nft(gh_rules_nft_removal, false, said)
                                        : remove_iptables(said);
    gh_netns_leave(back);
    return good;
}
