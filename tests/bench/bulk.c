/*
 * A bulk TCP sender and receiver for tests/bench/run; iperf3 knows no TCP-MD5.
 *
 *   bulk receive ADDRESS PORT 1 [PASSWORD]        one connection, until its end
 *   bulk send ADDRESS PORT SECONDS [PASSWORD]     as fast as it goes
 *   bulk accept ADDRESS PORT COUNT [PASSWORD]     that many connections, held until all end
 *   bulk connect ADDRESS PORT COUNT [PASSWORD]    one after the other, all held open
 *
 * ADDRESS is the peer's; listeners listen on every address and say "listening". With a PASSWORD the
 * kernel's TCP-MD5 signs and checks the peer's segments, with ao:ALGORITHM its TCP-AO, where it has
 * that, under a key as the kernel backend gives it. One line of JSON tells the result.
 * Congestion control is cubic where the kernel has it: the default may be one that measures itself.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "platform/kernel_ao.h"

enum { WRITE = 128 * 1024, READ = 256 * 1024, PASSWORD_MAX = TCP_MD5SIG_MAXKEYLEN };

struct arguments {
    const char *password; /* or NULL */
    struct sockaddr_in peer;
    unsigned number; /* seconds or connections */
};

static char buffer[READ];

static void check(bool good, const char *what)
{
    if (good)
        return;
    fprintf(stderr, "bulk: %s: %s\n", what, strerror(errno));
    exit(1);
}

static double seconds_now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void set_ao_key(int fd, const struct arguments *a, const char *algorithm)
{
    struct gh_kernel_socket sock = gh_kernel_socket_look(fd);
    struct gh_prefix peer = {.addr = gh_addr_from((const uint8_t *)&a->peer.sin_addr, 4),
                             .bits = 32};
    struct tcpao_mkt key = {.send_id = 1,
                            .recv_id = 1,
                            .options_covered = true,
                            .secret = (const uint8_t *)"benchmark",
                            .secret_len = 9};
    unsigned mac_len = 0;

    check(tcpao_alg_parse(algorithm, &key.alg, &mac_len), algorithm);
    key.mac_len = (uint8_t)mac_len;
    check(gh_kernel_ao_add(&sock, &peer, &key, false, false) == 0, "TCP_AO_ADD_KEY");
}

static int new_socket(const struct arguments *a)
{
    int fd = socket(AF_INET, SOCK_STREAM, 0), on = 1;

    check(fd >= 0, "socket");
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, "cubic", 5);
    if (a->password != NULL && strncmp(a->password, "ao:", 3) == 0) {
        set_ao_key(fd, a, a->password + 3);
    } else if (a->password != NULL) {
        struct tcp_md5sig key = {.tcpm_keylen = (uint16_t)strlen(a->password)};

        memcpy(&key.tcpm_addr, &a->peer, sizeof(a->peer));
        memcpy(key.tcpm_key, a->password, key.tcpm_keylen);
        check(setsockopt(fd, IPPROTO_TCP, TCP_MD5SIG, &key, sizeof(key)) == 0, "TCP_MD5SIG");
    }
    return fd;
}

static int listen_on(const struct arguments *a)
{
    struct sockaddr_in any = {.sin_family = AF_INET, .sin_port = a->peer.sin_port};
    int fd = new_socket(a);

    check(bind(fd, (struct sockaddr *)&any, sizeof(any)) == 0, "bind");
    check(listen(fd, 1024) == 0, "listen");
    puts("listening");
    fflush(stdout);
    return fd;
}

static int accept_one(int listener)
{
    int fd = accept(listener, NULL, NULL);

    check(fd >= 0, "accept");
    return fd;
}

static int connect_one(const struct arguments *a)
{
    int fd = new_socket(a);

    check(connect(fd, (const struct sockaddr *)&a->peer, sizeof(a->peer)) == 0, "connect");
    return fd;
}

static void receive(const struct arguments *a)
{
    int listener = listen_on(a), fd = accept_one(listener);
    double start = seconds_now();
    uint64_t octets = 0;
    ssize_t n;

    while ((n = recv(fd, buffer, sizeof(buffer), 0)) > 0)
        octets += (uint64_t)n;
    check(n == 0, "receive");
    printf("{\"bytes\": %" PRIu64 ", \"seconds\": %.6f}\n", octets, seconds_now() - start);
}

static void send_bulk(const struct arguments *a)
{
    int fd = connect_one(a);
    double start = seconds_now(), now = start;
    struct tcp_info info = {0};
    socklen_t len = sizeof(info);
    char algorithm[16] = "";
    socklen_t algorithm_len = sizeof(algorithm) - 1;
    uint64_t octets = 0;

    for (; now - start < a->number; now = seconds_now()) {
        ssize_t n = send(fd, buffer, WRITE, MSG_NOSIGNAL);

        check(n > 0, "send");
        octets += (uint64_t)n;
    }
    shutdown(fd, SHUT_WR);
    check(recv(fd, buffer, 1, 0) == 0, "the receiver's end");
    now = seconds_now();
    check(getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len) == 0, "TCP_INFO");
    getsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, algorithm, &algorithm_len);
    printf("{\"bytes\": %" PRIu64 ", \"seconds\": %.6f, \"retransmits\": %u, \"mss\": %u, "
           "\"congestion\": \"%s\"}\n",
           octets, now - start, info.tcpi_total_retrans, info.tcpi_snd_mss, algorithm);
}

static void room_for_sockets(unsigned count)
{
    struct rlimit limit;

    getrlimit(RLIMIT_NOFILE, &limit);
    if (limit.rlim_cur < count + 16) {
        limit.rlim_cur = count + 16;
        if (limit.rlim_max < limit.rlim_cur)
            limit.rlim_max = limit.rlim_cur;
        check(setrlimit(RLIMIT_NOFILE, &limit) == 0, "setrlimit");
    }
}

/* An octet to the peer tells it that the connection stands at this end too. */
static void accept_many(const struct arguments *a)
{
    int listener = listen_on(a), *fds = calloc(a->number, sizeof(*fds));

    check(fds != NULL, "memory");
    room_for_sockets(a->number);
    for (unsigned i = 0; i < a->number; i++) {
        fds[i] = accept_one(listener);
        check(send(fds[i], "x", 1, MSG_NOSIGNAL) == 1, "send");
    }
    for (unsigned i = 0; i < a->number; i++)
        check(recv(fds[i], buffer, 1, 0) == 0, "the peer's end");
    printf("{\"connections\": %u}\n", a->number);
    free(fds);
}

static void connect_many(const struct arguments *a)
{
    double start;

    room_for_sockets(a->number);
    start = seconds_now();
    for (unsigned i = 0; i < a->number; i++) {
        int fd = connect_one(a); /* held open until the end */

        check(recv(fd, buffer, 1, 0) == 1, "the listener's octet");
    }
    printf("{\"connections\": %u, \"seconds\": %.6f}\n", a->number, seconds_now() - start);
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        void (*run)(const struct arguments *a);
    } commands[] = {{"receive", receive},
                    {"send", send_bulk},
                    {"accept", accept_many},
                    {"connect", connect_many}};
    struct arguments a = {.peer.sin_family = AF_INET};

    if ((argc == 5 || (argc == 6 && strlen(argv[5]) <= PASSWORD_MAX)) &&
        inet_pton(AF_INET, argv[2], &a.peer.sin_addr) == 1) {
        a.peer.sin_port = htons((uint16_t)atoi(argv[3]));
        a.number = (unsigned)atoi(argv[4]);
        a.password = argv[5];
        for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
            if (strcmp(commands[i].name, argv[1]) == 0) {
                commands[i].run(&a);
                return 0;
            }
        }
    }
    fputs("usage: bulk receive|send|accept|connect ADDRESS PORT NUMBER [PASSWORD]\n", stderr);
    return 2;
}
