#include "daemon/noted_namespaces.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "daemon/rundir.h"

#define NAMESPACES_FILE "ipsec-routes"

void gh_note_namespace(const char *run_directory, const char *netns)
{
    char path[GH_PATH], line[GH_PATH];
    FILE *f;

    if (netns == NULL)
        netns = "";
    if (!gh_rundir_path(run_directory, NAMESPACES_FILE, path))
        return;
    f = fopen(path, "a+e");
    if (f == NULL) {
        gh_error("%s: %s", path, strerror(errno));
        return;
    }
    while (fgets(line, sizeof(line), f) != NULL) {
        line[strcspn(line, "\n")] = '\0';
        if (strcmp(line, netns) == 0) {
            fclose(f);
            return;
        }
    }
    fprintf(f, "%s\n", netns);
    fclose(f);
}

bool gh_noted_namespaces(const char *run_directory, bool (*fn)(void *ctx, const char *netns),
                         void *ctx)
{
    char path[GH_PATH], line[GH_PATH];
    bool good = true;
    FILE *f;

    if (!gh_rundir_path(run_directory, NAMESPACES_FILE, path))
        return false;
    f = fopen(path, "re");
    while (f != NULL && fgets(line, sizeof(line), f) != NULL) {
        struct gh_netns_id id;

        line[strcspn(line, "\n")] = '\0';
        if (gh_netns_identify(line, &id) == 0) /* else what was there is gone with it */
            good &= fn(ctx, line);
    }
    if (f != NULL)
        fclose(f);
    return good;
}

void gh_noted_namespaces_forget(const char *run_directory)
{
    char path[GH_PATH];

    if (gh_rundir_path(run_directory, NAMESPACES_FILE, path))
        remove(path);
}
