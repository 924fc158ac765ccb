#include "platform/netns.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"

static const char own[] = "/proc/self/ns/net", descriptors[] = "/proc/self/fd/";

static bool netns_path(const char *name, char path[PATH_MAX])
{
    int n;

    if (name == NULL || name[0] == '\0')
        n = snprintf(path, PATH_MAX, "%s", own);
    else if (strchr(name, '/') != NULL)
        n = snprintf(path, PATH_MAX, "%s", name);
    else
        n = snprintf(path, PATH_MAX, "/run/netns/%s", name);
    return n > 0 && n < PATH_MAX;
}

int gh_netns_identify(const char *name, struct gh_netns_id *out)
{
    char path[PATH_MAX];
    struct stat st;

    if (!netns_path(name, path))
        return -ENAMETOOLONG;
    if (stat(path, &st) != 0)
        return -errno;
    *out = (struct gh_netns_id){.device = st.st_dev, .inode = st.st_ino};
    return 0;
}

bool gh_netns_same(const struct gh_netns_id *a, const struct gh_netns_id *b)
{
    return a->device == b->device && a->inode == b->inode;
}

void gh_netns_of_descriptor(int fd, char name[GH_NETNS_DESCRIPTOR])
{
    snprintf(name, GH_NETNS_DESCRIPTOR, "%s%d", descriptors, fd);
}

bool gh_netns_is_own_descriptor(const char *name)
{
    return name != NULL && strncmp(name, descriptors, strlen(descriptors)) == 0;
}

int gh_netns_open(const char *name)
{
    char path[PATH_MAX];
    int fd;

    if (!netns_path(name, path))
        return -ENAMETOOLONG;
    fd = open(path, O_RDONLY | O_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

int gh_netns_enter(const char *name, int *back)
{
    int fd, result = 0;

    *back = -1;
    if (name == NULL || name[0] == '\0')
        return 0;
    fd = gh_netns_open(name);
    if (fd < 0)
        return fd;
    *back = open(own, O_RDONLY | O_CLOEXEC);
    if (*back < 0 || setns(fd, CLONE_NEWNET) != 0) {
        result = -errno;
        if (*back >= 0)
            close(*back);
        *back = -1;
    }
    close(fd);
    return result;
}

void gh_netns_leave(int back)
{
    if (back < 0)
        return;
    if (setns(back, CLONE_NEWNET) != 0) {
        gh_error("cannot return to the own network namespace: %s", strerror(errno));
        _exit(1);
    }
    close(back);
}
