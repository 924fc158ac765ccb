#include "daemon/sandbox.h"

#include <cap-ng.h>
#include <errno.h>
#include <seccomp.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/log.h"

/* All that the event loop, the allocator and a channel need. Anything else kills the process. */
static const int allowed[] = {
    /* the parent and others' sockets */
    SCMP_SYS(recvmsg), SCMP_SYS(sendmsg), SCMP_SYS(read), SCMP_SYS(write), SCMP_SYS(close),
    SCMP_SYS(fcntl),
    /* the loop */
    SCMP_SYS(epoll_wait), SCMP_SYS(epoll_pwait), SCMP_SYS(epoll_ctl), SCMP_SYS(clock_gettime),
    SCMP_SYS(clock_getres), SCMP_SYS(restart_syscall),
    /* memory; qsort() asks how much there is */
    SCMP_SYS(brk), SCMP_SYS(munmap), SCMP_SYS(mremap), SCMP_SYS(madvise), SCMP_SYS(futex),
    SCMP_SYS(getrandom), SCMP_SYS(sysinfo),
    /* the end */
    SCMP_SYS(exit), SCMP_SYS(exit_group), SCMP_SYS(rt_sigreturn), SCMP_SYS(rt_sigprocmask),
    SCMP_SYS(rt_sigaction), SCMP_SYS(getpid), SCMP_SYS(gettid), SCMP_SYS(tgkill)};

static const int allowed_ao[] = {
    /* queues */
    SCMP_SYS(recvmmsg), SCMP_SYS(sendto),
    /* programs' sockets: what they are, and keys for the kernel's TCP-AO; the end of a connection
     * of the preload library, of which the parent has a copy */
    SCMP_SYS(getsockopt), SCMP_SYS(setsockopt), SCMP_SYS(getsockname), SCMP_SYS(getpeername),
    SCMP_SYS(fstat), SCMP_SYS(newfstatat), SCMP_SYS(shutdown)};

/* UDP sockets that the parent has bound; it cannot have others, or connect them. Where libcrypto
 * looks for a file after all, it is told that there is none: what a peer sends must not end the
 * process, and all SAs with it. */
static const int allowed_ike[] = {SCMP_SYS(recvmmsg), SCMP_SYS(sendmmsg), SCMP_SYS(writev)};

/* Netlink, waiting for its answer, and a file of the kernel's counters. */
static const int allowed_xfrm[] = {SCMP_SYS(sendto), SCMP_SYS(recvfrom), SCMP_SYS(poll),
                                   SCMP_SYS(pread64), SCMP_SYS(time)};

/* For others' code there is no list of what it needs, only of what no module does: it is told that
 * it may not. */
static const int refused_token[] = {
    /* programs, and other processes */
    SCMP_SYS(execve), SCMP_SYS(execveat), SCMP_SYS(ptrace), SCMP_SYS(process_vm_readv),
    SCMP_SYS(process_vm_writev), SCMP_SYS(pidfd_getfd), SCMP_SYS(kcmp),
    /* namespaces and what is mounted where */
    SCMP_SYS(unshare), SCMP_SYS(setns), SCMP_SYS(mount), SCMP_SYS(umount2), SCMP_SYS(chroot),
    SCMP_SYS(pivot_root), SCMP_SYS(open_tree), SCMP_SYS(move_mount), SCMP_SYS(fsopen),
    /* parts of the kernel with a history */
    SCMP_SYS(bpf), SCMP_SYS(perf_event_open), SCMP_SYS(userfaultfd), SCMP_SYS(io_uring_setup),
    SCMP_SYS(add_key), SCMP_SYS(request_key), SCMP_SYS(keyctl), SCMP_SYS(init_module),
    SCMP_SYS(finit_module), SCMP_SYS(kexec_load), SCMP_SYS(personality)};

static bool failed(const char *what, int error)
{
    gh_error("cannot enter the sandbox: %s: %s", what, strerror(error));
    return false;
}

static int allow(scmp_filter_ctx filter, const int *calls, size_t count)
{
    int error = 0;

    for (size_t i = 0; error == 0 && i < count; i++)
        error = seccomp_rule_add(filter, SCMP_ACT_ALLOW, calls[i], 0);
    return error;
}

static bool refuse_system_calls(void)
{
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);
    int error = filter != NULL ? 0 : -ENOMEM;

    for (size_t i = 0; error == 0 && i < sizeof(refused_token) / sizeof(refused_token[0]); i++)
        error = seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), refused_token[i], 0);
    if (error == 0)
        error = seccomp_load(filter);
    seccomp_release(filter);
    return error == 0 || failed("seccomp", -error);
}

static bool filter_system_calls(enum gh_sandbox what)
{
    bool datagrams = what == GH_SANDBOX_IKE || what == GH_SANDBOX_ESP;
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_KILL_PROCESS);
    int error = filter != NULL ? 0 : -ENOMEM;

    if (error == 0)
        error = allow(filter, allowed, sizeof(allowed) / sizeof(allowed[0]));
    if (error == 0 && what == GH_SANDBOX_AO)
        error = allow(filter, allowed_ao, sizeof(allowed_ao) / sizeof(allowed_ao[0]));
    if (error == 0 && what == GH_SANDBOX_XFRM)
        error = allow(filter, allowed_xfrm, sizeof(allowed_xfrm) / sizeof(allowed_xfrm[0]));
    if (error == 0 && datagrams)
        error = allow(filter, allowed_ike, sizeof(allowed_ike) / sizeof(allowed_ike[0]));
    if (error == 0 && datagrams)
        error = seccomp_rule_add(filter, SCMP_ACT_ERRNO(EACCES), SCMP_SYS(openat), 0);
    if (error == 0) /* memory, but no code */
        error = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(mmap), 1,
                                 SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
    if (error == 0)
        error = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(ioctl), 1,
                                 SCMP_A1(SCMP_CMP_EQ, FIONBIO));
    if (error == 0)
        error = seccomp_load(filter);
    seccomp_release(filter);
    return error == 0 || failed("seccomp", -error);
}

static bool change_user(enum gh_sandbox what, uid_t uid, gid_t gid)
{
    capng_flags_t groups = what == GH_SANDBOX_TOKEN ? CAPNG_INIT_SUPP_GRP : CAPNG_DROP_SUPP_GRP;

    capng_clear(CAPNG_SELECT_BOTH);
    if (((what == GH_SANDBOX_AO || what == GH_SANDBOX_XFRM) &&
         capng_update(CAPNG_ADD, CAPNG_EFFECTIVE | CAPNG_PERMITTED, CAP_NET_ADMIN) != 0) ||
        capng_change_id((int)uid, (int)gid, groups | CAPNG_CLEAR_BOUNDING) != 0)
        return failed("changing the user", errno);
    return true;
}

bool gh_sandbox_enter(enum gh_sandbox what, uid_t uid, gid_t gid)
{
    const struct rlimit none = {0, 0};

    if (setrlimit(RLIMIT_CORE, &none) != 0 ||
        (what != GH_SANDBOX_TOKEN && setrlimit(RLIMIT_NPROC, &none) != 0))
        return failed("limits", errno);
    if (!change_user(what, uid, gid))
        return false;
    /* After the change of user, which takes both back. */
    if (prctl(PR_SET_DUMPABLE, 0) != 0 || prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 ||
        prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        return failed("process attributes", errno);
    return what == GH_SANDBOX_TOKEN ? refuse_system_calls() : filter_system_calls(what);
}
