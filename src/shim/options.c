/*
 * setsockopt() and getsockopt() of programs that run with the preload library: the options of
 * TCP-AO on a kernel that has none, and TCP-MD5 keys, which may stand in the way of TCP-AO.
 */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "shim/client.h"
#include "shim/export.h"
#include "shim/real.h"
#include "shim/socket.h"

/* Numbers of <linux/tcp.h>, which Debian 12's has only in part. */
enum {
    MD5SIG = 14,
    REPAIR = 19,
    MD5SIG_EXT = 32,
    AO_ADD_KEY = 38,
    AO_DEL_KEY = 39,
    AO_INFO = 40,
    AO_GET_KEYS = 41,
    AO_REPAIR = 42
};

enum { NKEYS_OFFSET = 272 }; /* of struct tcp_ao_getsockopt */

/* Between the program's memory, which may not be there, and ours. 0 or EFAULT. */
static int copy_memory(void *to, const void *from, size_t len, bool to_program)
{
    struct iovec dst = {.iov_base = to, .iov_len = len};
    struct iovec src = {.iov_base = (void *)(uintptr_t)from, .iov_len = len};
    int saved = errno;
    ssize_t done = to_program ? process_vm_writev(getpid(), &src, 1, &dst, 1, 0)
                              : process_vm_readv(getpid(), &dst, 1, &src, 1, 0);
    int error = done == (ssize_t)len ? 0 : done >= 0 ? EFAULT : errno;

    errno = saved;
    if (error != 0 && error != EFAULT) { /* a kernel or a sandbox without these calls */
        memcpy(to, from, len);
        error = 0;
    }
    return error;
}

static int finish(int error)
{
    if (error == 0)
        return 0;
    errno = error;
    return -1;
}

static bool is_md5(int option)
{
    return option == MD5SIG || option == MD5SIG_EXT;
}

static bool is_ao_set(int option)
{
    return option == AO_ADD_KEY || option == AO_DEL_KEY || option == AO_INFO || option == AO_REPAIR;
}

static bool is_ao_get(int option)
{
    return option == AO_INFO || option == AO_GET_KEYS || option == AO_REPAIR;
}

/* What the kernel allows a socket's keys in the calling thread's namespace; 0: not known, as below
 * another root directory. */
static uint32_t optmem_max(void)
{
    char text[16] = {0};
    int saved = errno;
    int fd = GH_REAL(open)("/proc/sys/net/core/optmem_max", O_RDONLY | O_CLOEXEC);
    unsigned long value = 0;

    if (fd >= 0) {
        if (read(fd, text, sizeof text - 1) > 0)
            value = strtoul(text, NULL, 10);
        close(fd);
    }
    errno = saved;
    return value <= UINT32_MAX ? (uint32_t)value : UINT32_MAX;
}

/* The kernel has left repair mode: from here on the connection's segments are on the wire. */
static void repair_changed(int fd, const void *value, socklen_t len)
{
    struct gh_shim_question q = {
        .op = GH_SHIM_PREPARED, .option = REPAIR, .fd = fd, .emulation = true};
    int on;

    if (len < sizeof on || !gh_shim_signs() || !gh_shim_is_tcp(fd))
        return;
    memcpy(&on, value, sizeof on);
    if (on != 1)
        gh_shim_ask(&q);
}

GH_SHIM_EXPORT int setsockopt(int fd, int level, int option, const void *value, socklen_t len)
{
    struct gh_shim_question q = {.op = GH_SHIM_SETOPT, .option = option, .fd = fd, .body = value};
    struct gh_shim_answer answer;

    if (level == IPPROTO_TCP && option == REPAIR) {
        int result = GH_REAL(setsockopt)(fd, level, option, value, len);

        if (result == 0)
            repair_changed(fd, value, len);
        return result;
    }
    if (level != IPPROTO_TCP || (!is_md5(option) && !is_ao_set(option)) || (int)len < 0 ||
        (is_md5(option) && len > GH_SHIM_BODY_MAX) || !gh_shim_is_tcp(fd))
        return GH_REAL(setsockopt)(fd, level, option, value, len);
    q.len = len;
    if (option == AO_ADD_KEY)
        q.optmem = optmem_max();
    q.emulation = q.patient = !is_md5(option);
    answer = gh_shim_ask(&q);
    if (answer.action != GH_SHIM_DONE)
        return GH_REAL(setsockopt)(fd, level, option, value, len);
    if (answer.error == 0 && !is_md5(option)) {
        gh_shim_remember(GH_SHIM_KEYED, fd);
        if (gh_shim_is_listening(fd)) /* keys may come after listen() */
            gh_shim_remember(GH_SHIM_LISTENERS, fd);
    }
    return finish(answer.error);
}

/* How large the program's buffer is: with TCP_AO_GET_KEYS *optlen is that of one key's structure,
 * and the first says for how many there is room. 0 or EFAULT. */
static int room_for(int option, const void *value, size_t len, size_t *room)
{
    uint32_t keys = 0;
    size_t most = len > 0 ? GH_SHIM_BODY_MAX / len : 0;
    int error = 0;

    if (option == AO_GET_KEYS && len >= NKEYS_OFFSET + sizeof keys)
        error = copy_memory(&keys, (const uint8_t *)value + NKEYS_OFFSET, sizeof keys, false);
    *room = len * (keys <= 1 ? 1 : keys < most ? keys : most);
    return error;
}

GH_SHIM_EXPORT int getsockopt(int fd, int level, int option, void *restrict value,
                              socklen_t *restrict len)
{
    struct gh_shim_question q = {.op = GH_SHIM_GETOPT,
                                 .option = option,
                                 .fd = fd,
                                 .body = value,
                                 .room = value,
                                 .emulation = true,
                                 .patient = true};
    struct gh_shim_answer answer;
    socklen_t given;
    int error;

    /* A length that cannot be, in memory or in size, is the kernel's to refuse. */
    if (level != IPPROTO_TCP || !is_ao_get(option) || !gh_shim_is_tcp(fd) ||
        copy_memory(&given, len, sizeof given, false) != 0 || (int)given < 0)
        return GH_REAL(getsockopt)(fd, level, option, value, len);
    q.len = given;
    if (given <= GH_SHIM_BODY_MAX) {
        error = room_for(option, value, given, &q.room_len);
        if (error != 0)
            return finish(error);
    }
    answer = gh_shim_ask(&q);
    if (answer.action != GH_SHIM_DONE)
        return GH_REAL(getsockopt)(fd, level, option, value, len);
    if (answer.error == 0) {
        socklen_t reported = answer.length;

        answer.error = copy_memory(len, &reported, sizeof reported, true);
    }
    return finish(answer.error);
}
