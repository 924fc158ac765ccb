#include "platform/run.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

const char *gh_run_find(const char *name, char *path, size_t size)
{
    static const char *const directories[] = {"/usr/sbin", "/sbin", "/usr/bin", "/bin",
                                              "/usr/local/sbin"};

    for (size_t i = 0; i < sizeof(directories) / sizeof(directories[0]); i++) {
        int n = snprintf(path, size, "%s/%s", directories[i], name);

        if (n > 0 && (size_t)n < size && access(path, X_OK) == 0)
            return path;
    }
    return NULL;
}

/* A file without a name that holds `text`, at its start. */
static int text_file(const char *text)
{
    size_t len = text != NULL ? strlen(text) : 0;
    int fd = memfd_create("gatehouse-text", MFD_CLOEXEC);

    while (fd >= 0 && len > 0) {
        ssize_t n = write(fd, text, len);

        if (n < 0) {
            close(fd);
            return -1;
        }
        text += n;
        len -= (size_t)n;
    }
    if (fd >= 0)
        lseek(fd, 0, SEEK_SET);
    return fd;
}

static int wait_for(pid_t pid)
{
    int status;

    while (waitpid(pid, &status, 0) < 0)
        if (errno != EINTR)
            return -errno;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static int spawn(const char *const argv[], int in, int out)
{
    static char locale[] = "LC_ALL=C", path[] = "PATH=/usr/sbin:/usr/bin:/sbin:/bin";
    static char *const environment[] = {locale, path, NULL};
    char *args[16];
    size_t count = 0;
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attr;
    sigset_t none;
    pid_t pid;
    int result;

    /* posix_spawn() does not write to its arguments, it only fails to say so. */
    while (argv[count] != NULL && count < 15) {
        memcpy(&args[count], &argv[count], sizeof(args[0]));
        count++;
    }
    args[count] = NULL;
    sigemptyset(&none);
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, in, 0);
    posix_spawn_file_actions_adddup2(&actions, out, 1);
    posix_spawn_file_actions_adddup2(&actions, out, 2);
    posix_spawnattr_init(&attr);
    posix_spawnattr_setsigmask(&attr, &none);
    posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK);
    result = posix_spawn(&pid, args[0], &actions, &attr, args, environment);
    posix_spawnattr_destroy(&attr);
    posix_spawn_file_actions_destroy(&actions);
    return result != 0 ? -result : wait_for(pid);
}

int gh_run(const char *const argv[], const char *input, char *said, size_t size)
{
    int in = text_file(input), out = text_file(NULL), result = -errno;

    if (in >= 0 && out >= 0)
        result = spawn(argv, in, out);
    if (out >= 0 && size > 0) {
        ssize_t n = pread(out, said, size - 1, 0);

        said[n > 0 ? n : 0] = '\0';
        said[strcspn(said, "\n")] = '\0'; /* the first line says it */
    }
    if (in >= 0)
        close(in);
    if (out >= 0)
        close(out);
    return result;
}
