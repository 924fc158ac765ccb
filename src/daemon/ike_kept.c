#include "daemon/ike_kept.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "base/secret.h"
#include "daemon/rundir.h"

/* ---- The secret of crash tokens ------------------------------------------------------------- */

enum found { FOUND_GOOD, FOUND_NONE, FOUND_BAD };

/* BAD: others may know it, or it is damaged; another one takes its place. */
static enum found read_secret(const char *path, uint8_t out[IKE2_CRASH_SECRET])
{
    uint8_t octets[IKE2_CRASH_SECRET + 1];
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    enum found found = FOUND_BAD;
    struct stat st;

    if (fd < 0)
        return errno == ENOENT ? FOUND_NONE : FOUND_BAD;
    if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && (st.st_uid == 0 || st.st_uid == geteuid()) &&
        (st.st_mode & 077) == 0 && read(fd, octets, sizeof(octets)) == IKE2_CRASH_SECRET) {
        memcpy(out, octets, IKE2_CRASH_SECRET);
        found = FOUND_GOOD;
    }
    close(fd);
    gh_wipe(octets, sizeof(octets));
    return found;
}

/* Tokens that are given before the file is safe would be worth nothing after a loss of power. */
static bool flush(const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    bool good = fd >= 0 && fsync(fd) == 0;

    if (fd >= 0)
        close(fd);
    return good;
}

static bool make_secret(const char *directory, const char *path, uint8_t out[IKE2_CRASH_SECRET])
{
    if (mkdir(directory, 0700) != 0 && errno != EEXIST)
        return false;
    return getrandom(out, IKE2_CRASH_SECRET, 0) == IKE2_CRASH_SECRET &&
           gh_rundir_write(directory, "crash-secret", out, IKE2_CRASH_SECRET) && flush(path) &&
           flush(directory);
}

bool gh_ike_kept_open(struct gh_ike_kept *k, const char *state_directory)
{
    char path[GH_PATH];

    if (k->has_crash_secret)
        return true;
    if (!gh_rundir_path(state_directory, "crash-secret", path))
        return false;
    switch (read_secret(path, k->crash_secret)) {
    case FOUND_GOOD:
        k->has_crash_secret = true;
        return true;
    case FOUND_BAD:
        gh_warning("%s: damaged, or not root's alone; another secret takes its place, and the "
                   "crash tokens that peers have are good no more",
                   path);
        break;
    case FOUND_NONE:
        break;
    }
    k->has_crash_secret = make_secret(state_directory, path, k->crash_secret);
    if (!k->has_crash_secret) {
        gh_error("%s: %s; peers are given no crash tokens", path, strerror(errno));
        gh_wipe(k->crash_secret, sizeof(k->crash_secret));
    }
    return k->has_crash_secret;
}

/* ---- Tickets -------------------------------------------------------------------------------- */

bool gh_ike_kept_renew(struct gh_ike_kept *k)
{
    if (k->tickets >= 0)
        close(k->tickets);
    k->tickets = memfd_create("gatehouse-tickets", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (k->tickets >= 0 && ftruncate(k->tickets, (off_t)ike2_ticket_memory()) == 0 &&
        fcntl(k->tickets, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) == 0)
        return true;
    gh_warning("memory for tickets: %s; they end with the process ike", strerror(errno));
    if (k->tickets >= 0)
        close(k->tickets);
    k->tickets = -1;
    return false;
}

void gh_ike_kept_tell(const struct gh_ike_kept *k, struct gh_channel *ike, bool fresh)
{
    if (fresh && k->has_crash_secret)
        gh_channel_send(ike, GH_MESSAGE_CRASH_SECRET, k->crash_secret, IKE2_CRASH_SECRET, -1);
    if (k->tickets >= 0)
        gh_channel_send(ike, GH_MESSAGE_TICKETS, NULL, 0, k->tickets);
}

void gh_ike_kept_clear(struct gh_ike_kept *k)
{
    if (k->tickets >= 0)
        close(k->tickets);
    gh_wipe(k->crash_secret, sizeof(k->crash_secret));
    *k = (struct gh_ike_kept){.tickets = -1};
}
