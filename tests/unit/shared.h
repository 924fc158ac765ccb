/*
 * Test data kept outside the repository: in the directory that GATEHOUSE_SHARED names, or in
 * ../shared beside the checkout (GATEHOUSE_SOURCE, set by meson). Tests skip, saying why, without.
 */
#ifndef GH_TESTS_UNIT_SHARED_H
#define GH_TESTS_UNIT_SHARED_H

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* Path of a readable file of the shared data. False: not there; the reason was printed. */
static inline bool shared_file(const char *name, char *path, size_t len)
{
    const char *dir = getenv("GATEHOUSE_SHARED"), *source = getenv("GATEHOUSE_SOURCE");

    if (dir != NULL)
        snprintf(path, len, "%s/%s", dir, name);
    else
        snprintf(path, len, "%s/../shared/%s", source != NULL ? source : ".", name);
    if (access(path, R_OK) == 0)
        return true;
    printf("skipped: no %s (set GATEHOUSE_SHARED to the directory of shared test data)\n", path);
    return false;
}

#endif
