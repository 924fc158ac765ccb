#include "platform/borrow.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

/* The C library of Debian 12 has the first alone, that of 11 neither; headers may lack the numbers,
 * which are the same on all architectures. */
#ifndef SYS_pidfd_open
#define SYS_pidfd_open 434
#endif
#ifndef SYS_pidfd_getfd
#define SYS_pidfd_getfd 438
#endif

enum { PATH = 64, LINK = 64, CHILDREN = 64 };

struct search {
    uint64_t cookie, inode;
    size_t left; /* descriptors that may still be looked at */
    int error;   /* why the last one could not be looked at or taken, or 0 */
};

uint64_t gh_borrow_inode(const char *link)
{
    static const char prefix[] = "socket:[";
    unsigned long long inode;
    char *end;

    if (strncmp(link, prefix, strlen(prefix)) != 0 || !isdigit((unsigned char)link[strlen(prefix)]))
        return 0;
    errno = 0;
    inode = strtoull(link + strlen(prefix), &end, 10);
    return errno == 0 && strcmp(end, "]") == 0 ? inode : 0;
}

static bool is_the_socket(int fd, uint64_t cookie)
{
    uint64_t its = 0;
    int protocol = 0;
    socklen_t len = sizeof(its);

    if (getsockopt(fd, SOL_SOCKET, SO_COOKIE, &its, &len) != 0 || its != cookie)
        return false;
    len = sizeof(protocol);
    return getsockopt(fd, SOL_SOCKET, SO_PROTOCOL, &protocol, &len) == 0 && protocol == IPPROTO_TCP;
}

/* The descriptor may be another one by now: what was taken is looked at. */
static int take(struct search *s, uint32_t pid, int number)
{
    int process = (int)syscall(SYS_pidfd_open, (pid_t)pid, 0);
    int fd = process >= 0 ? (int)syscall(SYS_pidfd_getfd, process, number, 0) : -1;

    s->error = fd < 0 ? -errno : 0;
    if (process >= 0)
        close(process);
    if (fd >= 0 && !is_the_socket(fd, s->cookie)) {
        close(fd);
        fd = -1;
        s->error = -ESTALE;
    }
    return fd;
}

static int search_process(struct search *s, uint32_t pid)
{
    char path[PATH];
    const struct dirent *entry;
    int fd = -1;
    DIR *dir;

    snprintf(path, sizeof(path), "/proc/%u/fd", pid);
    dir = opendir(path);
    if (dir == NULL) {
        if (errno == EACCES)
            s->error = -EACCES;
        return -1;
    }
    while (fd < 0 && s->left > 0 && (entry = readdir(dir)) != NULL) {
        char link[LINK];
        ssize_t n = readlinkat(dirfd(dir), entry->d_name, link, sizeof(link) - 1);

        s->left--;
        link[n > 0 ? n : 0] = '\0';
        if (gh_borrow_inode(link) == s->inode)
            fd = take(s, pid, (int)strtol(entry->d_name, NULL, 10));
    }
    closedir(dir);
    return fd;
}

static int search_children(struct search *s, uint32_t pid, uint32_t *holder)
{
    char path[PATH];
    FILE *f;
    int fd = -1;

    snprintf(path, sizeof(path), "/proc/%u/task/%u/children", pid, pid);
    f = fopen(path, "re");
    if (f == NULL)
        return -1; /* a kernel without CONFIG_PROC_CHILDREN: found among all */
    for (size_t i = 0; i < CHILDREN && fd < 0 && fscanf(f, "%u", holder) == 1; i++)
        fd = search_process(s, *holder);
    fclose(f);
    return fd;
}

static int search_all(struct search *s, uint32_t *holder)
{
    DIR *dir = opendir("/proc");
    const struct dirent *entry;
    int fd = -1;

    while (dir != NULL && fd < 0 && s->left > 0 && (entry = readdir(dir)) != NULL) {
        if (!isdigit((unsigned char)entry->d_name[0]))
            continue;
        *holder = (uint32_t)strtoul(entry->d_name, NULL, 10);
        fd = search_process(s, *holder);
    }
    if (dir != NULL)
        closedir(dir);
    return fd;
}

static uint32_t known_holder(const struct gh_borrower *b, uint32_t pid)
{
    for (size_t i = 0; i < GH_BORROW_KNOWN; i++)
        if (b->known[i].asked == pid)
            return b->known[i].holder;
    return 0;
}

static void remember(struct gh_borrower *b, uint32_t pid, uint32_t holder)
{
    size_t i = 0;

    while (i < GH_BORROW_KNOWN && b->known[i].asked != pid)
        i++;
    if (i == GH_BORROW_KNOWN)
        i = b->next++ % GH_BORROW_KNOWN;
    b->known[i].asked = pid;
    b->known[i].holder = holder;
}

int gh_borrow_socket(struct gh_borrower *b, uint32_t pid, uint64_t cookie, uint64_t inode)
{
    struct search s = {.cookie = cookie, .inode = inode, .left = GH_BORROW_LINKS};
    uint32_t holder = known_holder(b, pid);
    int fd;

    if (pid == 0 || pid > INT32_MAX || inode == 0)
        return -EINVAL;
    fd = search_process(&s, pid);
    if (fd < 0 && holder != 0)
        fd = search_process(&s, holder);
    if (fd >= 0)
        return fd;
    fd = search_children(&s, pid, &holder);
    if (fd < 0)
        fd = search_all(&s, &holder);
    if (fd >= 0) {
        remember(b, pid, holder);
        return fd;
    }
    if (s.error != 0)
        return s.error;
    return s.left == 0 ? -E2BIG : -ENOENT;
}

bool gh_borrow_return(int fd)
{
    struct linger linger = {.l_onoff = 0};
    socklen_t len = sizeof(linger);

    if (getsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, &len) != 0)
        return false;
    if (linger.l_onoff != 0 && linger.l_linger != 0) {
        linger = (struct linger){.l_onoff = 0};
        setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
    }
    close(fd);
    return true;
}
