#include "platform/nft.h"

#include <stdlib.h>

#include <stdio.h>
#include <string.h>

#include "platform/netns.h"
#include "platform/run.h"

enum { PATH = 256 };

bool gh_nft_run(const char *netns, const char *const words[], const char *input, char *said,
                size_t size)
{
    char path[PATH];
    const char *argv[12] = {path};
    int back, result;

    for (size_t i = 0; words[i] != NULL && i < 10; i++)
        argv[i + 1] = words[i];
    if (gh_run_find("nft", path, sizeof(path)) == NULL) {
        snprintf(said, size, "the program nft is not installed");
        return false;
    }
    result = gh_netns_enter(netns, &back);
    if (result != 0) {
        snprintf(said, size, "%s", strerror(-result));
        return false;
    }
    result = gh_run(argv, input, said, size);
    gh_netns_leave(back);
    return result == 0;
}

bool gh_nft_apply(const char *netns, char *text, char said[GH_RULES_SAID])
{
    static const char *const words[] = {"-f", "-", NULL};
    bool good;

    snprintf(said, GH_RULES_SAID, "no memory");
    good = text != NULL && gh_nft_run(netns, words, text, said, GH_RULES_SAID);
    free(text);
    return good;
}

bool gh_nft_remove_table(const char *netns, const char *table, char said[GH_RULES_SAID])
{
    static const char *const words[] = {"-f", "-", NULL};
    char text[160];

    (void)snprintf(text, sizeof(text), "table inet %s\ndelete table inet %s\n", table, table);
    return gh_nft_run(netns, words, text, said, GH_RULES_SAID);
}
