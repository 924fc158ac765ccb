/*
 * gaterun: starts a program with the preload library, so that its TCP sockets have Linux's TCP-AO
 * options, or keys of gatehoused's key chains, without any change of the program.
 */
#include <errno.h>
#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "shim/client.h"
#include "shim/preloadable.h"
#include "shim/protocol.h"

enum { CANNOT = 125, NOT_EXECUTABLE = 126, NOT_FOUND = 127, PATH = 4096 };

#define LIBRARY     "gatehouse-shim.so"
#define LIBRARY_ENV "GATEHOUSE_SHIM_LIBRARY"
#define REQUIRE_ENV "GATEHOUSE_SHIM_REQUIRE"

static const char usage[] =
    "usage: gaterun [--socket PATH] [--require] [--] PROGRAM [ARG...]\n"
    "\n"
    "Starts PROGRAM with Gatehouse's preload library: its TCP sockets get TCP-AO.\n"
    "\n"
    "  --socket PATH  where gatehoused listens (default: " GH_SHIM_SOCKET ")\n"
    "  --require      do not start PROGRAM unless gatehoused answers\n"
    "  --help, --version\n";

/* "DIRECTORY/NAME" is a file? */
static bool file_in(const char *directory, size_t len, const char *name, char path[PATH])
{
    struct stat st;
    int n = snprintf(path, PATH, "%.*s/%s", (int)len, directory, name);

    return n > 0 && n < PATH && stat(path, &st) == 0 && S_ISREG(st.st_mode);
}

/* As execvp() would find it. 0, or the status to end with. */
static int find_program(const char *name, char path[PATH])
{
    const char *list = getenv("PATH");
    int status = NOT_FOUND;

    if (strchr(name, '/') != NULL) {
        if (strlen(name) >= PATH)
            return NOT_FOUND;
        memcpy(path, name, strlen(name) + 1);
        if (access(path, X_OK) == 0)
            return 0;
        return errno == ENOENT || errno == ENOTDIR ? NOT_FOUND : NOT_EXECUTABLE;
    }
    if (list == NULL)
        list = "/bin:/usr/bin";
    for (;; list++) {
        size_t len = strcspn(list, ":");

        if (file_in(len > 0 ? list : ".", len > 0 ? len : 1, name, path)) {
            if (access(path, X_OK) == 0)
                return 0;
            status = NOT_EXECUTABLE;
        }
        list += len;
        if (*list == '\0')
            return status;
    }
}

/* Beside this program in a build directory, else where it was installed. */
static bool find_library(char path[PATH])
{
    const char *given = getenv(LIBRARY_ENV);
    char own[PATH];
    ssize_t len;

    if (given != NULL && *given != '\0') {
        if (realpath(given, own) == NULL)
            return false;
        memcpy(path, own, strlen(own) + 1);
        return true;
    }
    len = readlink("/proc/self/exe", own, sizeof own - 1);
    if (len > 0) {
        own[len] = '\0';
        if (file_in(own, (size_t)(strrchr(own, '/') - own), LIBRARY, path))
            return true;
    }
    return file_in(GH_SHIM_DIRECTORY, strlen(GH_SHIM_DIRECTORY), LIBRARY, path);
}

static bool preload(const char *library)
{
    const char *others = getenv("LD_PRELOAD");
    char *both;
    bool good;

    if (others == NULL || *others == '\0')
        return setenv("LD_PRELOAD", library, 1) == 0;
    if (strstr(others, library) != NULL) /* one gaterun in another */
        return true;
    if (asprintf(&both, "%s:%s", others, library) < 0)
        return false;
    good = setenv("LD_PRELOAD", both, 1) == 0;
    free(both);
    return good;
}

static bool set_socket(const char *path)
{
    if (strlen(path) >= sizeof((struct sockaddr_un *)NULL)->sun_path) {
        fprintf(stderr, "gaterun: %s: too long a name for a socket\n", path);
        return false;
    }
    return setenv(GH_SHIM_SOCKET_ENV, path, 1) == 0;
}

static int run(char **argv, bool require)
{
    const char *socket = getenv(GH_SHIM_SOCKET_ENV);
    char program[PATH], library[PATH], why[256];
    int status = find_program(argv[0], program);

    if (status != 0) {
        fprintf(stderr, "gaterun: %s: %s\n", argv[0],
                status == NOT_FOUND ? "not found" : "cannot be executed");
        return status;
    }
    if (!find_library(library)) {
        fprintf(stderr, "gaterun: %s not found (%s can say where it is)\n", LIBRARY, LIBRARY_ENV);
        return CANNOT;
    }
    if (strpbrk(library, " :") != NULL) {
        fprintf(stderr, "gaterun: %s: the loader takes no name with blanks or colons\n", library);
        return CANNOT;
    }
    if (!gh_preloadable(program, library, why, sizeof why)) {
        fprintf(stderr,
                "gaterun: %s %s\n"
                "gaterun: start it without gaterun: a tcp-ao section of gatehoused's configuration "
                "protects its sessions all the same\n",
                program, why);
        return NOT_EXECUTABLE;
    }
    if (require && !gh_shim_reachable()) {
        fprintf(stderr, "gaterun: gatehoused does not answer at %s: %s not started\n",
                socket != NULL ? socket : GH_SHIM_SOCKET, argv[0]);
        return CANNOT;
    }
    if (!preload(library)) {
        fprintf(stderr, "gaterun: no memory\n");
        return CANNOT;
    }
    execvp(program, argv);
    fprintf(stderr, "gaterun: %s: %s\n", program, strerror(errno));
    return errno == ENOENT ? NOT_FOUND : NOT_EXECUTABLE;
}

int main(int argc, char **argv)
{
    static const struct option options[] = {{"socket", required_argument, NULL, 's'},
                                            {"require", no_argument, NULL, 'r'},
                                            {"help", no_argument, NULL, 'h'},
                                            {"version", no_argument, NULL, 'v'},
                                            {0}};
    const char *from_env = getenv(REQUIRE_ENV);
    bool require = from_env != NULL && strcmp(from_env, "1") == 0;
    int option;

    while ((option = getopt_long(argc, argv, "+", options, NULL)) != -1) {
        switch (option) {
        case 's':
            if (!set_socket(optarg))
                return CANNOT;
            break;
        case 'r':
            require = true;
            break;
        case 'h':
            fputs(usage, stdout);
            return 0;
        case 'v':
            puts("gaterun " GH_VERSION);
            return 0;
        default:
            fputs(usage, stderr);
            return CANNOT;
        }
    }
    if (optind == argc) {
        fputs(usage, stderr);
        return CANNOT;
    }
    return run(argv + optind, require);
}
