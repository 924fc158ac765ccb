/*
 * Counted UDP packets at a given rate, for tests/bench/data_plane.py; iperf3 makes one system call
 * a packet and would take the core that the tunnel needs.
 *
 *   packets send SOURCE ADDRESS PORT SIZE   "RUN RATE SECONDS" on standard input → how many were
 * sent packets sink ADDRESS PORT               "RUN" on standard input → how many of that run are
 * here
 *
 * SIZE is of the payload: number of the run (4 octets), of the packet (8), zeros. Answers are one
 * line of JSON. Both end with their standard input. "refused" are those that the kernel did not
 * take; they count as sent. "late" came after one with a greater number.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
    BATCH = 64,
    LEN_MIN = 12,
    LEN_MAX = 1472,
    ROOM = 16 << 20, /* of the sink's socket: what the sink does not see was lost before it */
    TICK_NS = 100 * 1000,
    SINK_NS = 1000 * 1000, /* it reads by the batch, and leaves its core to the tunnel meanwhile */
    RUNS = 1024            /* that are told apart */
};

static uint8_t payload[BATCH][LEN_MAX];
static struct iovec parts[BATCH];
static struct mmsghdr messages[BATCH];

static void check(bool good, const char *what)
{
    if (good)
        return;
    fprintf(stderr, "packets: %s: %s\n", what, strerror(errno));
    exit(1);
}

static uint64_t now_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static void sleep_until(uint64_t ns)
{
    const struct timespec t = {.tv_sec = (time_t)(ns / 1000000000),
                               .tv_nsec = (long)(ns % 1000000000)};

    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL) == EINTR)
        ;
}

static struct sockaddr_in address(const char *text, const char *port)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(port))};

    errno = EINVAL;
    check(inet_pton(AF_INET, text, &a.sin_addr) == 1, text);
    return a;
}

static int bound_socket(const struct sockaddr_in *a)
{
    int fd = socket(AF_INET, SOCK_DGRAM, 0), room = ROOM;

    check(fd >= 0, "socket");
    check(bind(fd, (const struct sockaddr *)a, sizeof(*a)) == 0, "bind");
    check(setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof(room)) == 0, "SO_RCVBUFFORCE");
    return fd;
}

static void lay_out(size_t size)
{
    for (size_t i = 0; i < BATCH; i++) {
        parts[i] = (struct iovec){payload[i], size};
        messages[i].msg_hdr.msg_iov = &parts[i];
        messages[i].msg_hdr.msg_iovlen = 1;
    }
}

/* Sends up to BATCH packets from that number on; how many the kernel did not take. */
static unsigned send_batch(int fd, uint32_t run, uint64_t first, unsigned n)
{
    unsigned refused = 0;

    for (unsigned i = 0; i < n; i++) {
        const uint64_t number = first + i;

        memcpy(payload[i], &run, 4);
        memcpy(payload[i] + 4, &number, 8);
    }
    for (unsigned done = 0; done < n;) {
        int sent = sendmmsg(fd, messages + done, n - done, 0);

        if (sent < 0) { /* a full queue: this one is lost */
            check(errno == ENOBUFS || errno == EAGAIN || errno == EINTR, "sendmmsg");
            refused++;
            sent = 1;
        }
        done += (unsigned)sent;
    }
    return refused;
}

/* At each tick what is due by then; what could not be sent in time is made up for within 10 ms. */
static void send_run(int fd, uint32_t run, double rate, double seconds)
{
    const uint64_t begin = now_ns(), length = (uint64_t)(seconds * 1e9);
    uint64_t sent = 0, refused = 0, forgone = 0, passed = 0;

    while ((passed = now_ns() - begin) < length) {
        uint64_t due = (uint64_t)(rate * (double)passed / 1e9);

        if (due > sent + forgone + (uint64_t)(rate / 100))
            forgone = due - sent - (uint64_t)(rate / 100);
        due -= forgone;
        if (due <= sent) {
            sleep_until(begin + (passed / TICK_NS + 1) * TICK_NS);
            continue;
        }
        const unsigned n = due - sent < BATCH ? (unsigned)(due - sent) : BATCH;

        refused += send_batch(fd, run, sent, n);
        sent += n;
    }
    printf("{\"sent\": %" PRIu64 ", \"refused\": %" PRIu64 ", \"seconds\": %.6f}\n", sent, refused,
           (double)(now_ns() - begin) / 1e9);
}

static void sender(char **argv)
{
    const struct sockaddr_in source = address(argv[2], "0"), peer = address(argv[3], argv[4]);
    const size_t size = (size_t)atoi(argv[5]);
    int fd = bound_socket(&source);
    double rate, seconds;
    unsigned run;
    char line[128];

    errno = EINVAL;
    check(size >= LEN_MIN && size <= LEN_MAX, "size");
    check(connect(fd, (const struct sockaddr *)&peer, sizeof(peer)) == 0, "connect");
    lay_out(size);
    puts("\"ready\"");
    fflush(stdout);
    while (fgets(line, sizeof(line), stdin) != NULL &&
           sscanf(line, "%u %lf %lf", &run, &rate, &seconds) == 3) {
        send_run(fd, run, rate, seconds);
        fflush(stdout);
    }
}

static struct {
    uint64_t received, late, next;
} runs[RUNS];

static void count(const uint8_t *packet, size_t len)
{
    uint32_t run;
    uint64_t number;

    if (len < LEN_MIN)
        return;
    memcpy(&run, packet, 4);
    memcpy(&number, packet + 4, 8);
    if (run >= RUNS)
        return;
    runs[run].received++;
    if (number >= runs[run].next)
        runs[run].next = number + 1;
    else
        runs[run].late++;
}

static void drain(int fd)
{
    int n;

    do {
        n = recvmmsg(fd, messages, BATCH, MSG_DONTWAIT, NULL);
        for (int i = 0; i < n; i++)
            count(payload[i], messages[i].msg_len);
    } while (n == BATCH);
    check(n >= 0 || errno == EAGAIN || errno == EINTR || errno == ECONNREFUSED, "recvmmsg");
}

static void sink(char **argv)
{
    const struct sockaddr_in here = address(argv[2], argv[3]);
    struct pollfd in = {.fd = 0, .events = POLLIN};
    int fd = bound_socket(&here);
    char line[128];
    unsigned run;

    lay_out(LEN_MAX);
    setvbuf(stdin, NULL, _IONBF, 0); /* so that poll() sees each line */
    puts("\"ready\"");
    fflush(stdout);
    for (;;) {
        sleep_until(now_ns() + SINK_NS);
        drain(fd);
        if (poll(&in, 1, 0) <= 0)
            continue;
        if (fgets(line, sizeof(line), stdin) == NULL || sscanf(line, "%u", &run) != 1 ||
            run >= RUNS)
            return;
        printf("{\"received\": %" PRIu64 ", \"late\": %" PRIu64 "}\n", runs[run].received,
               runs[run].late);
        fflush(stdout);
    }
}

int main(int argc, char **argv)
{
    prctl(PR_SET_TIMERSLACK, 1);
    if (argc == 6 && strcmp(argv[1], "send") == 0) {
        sender(argv);
        return 0;
    }
    if (argc == 4 && strcmp(argv[1], "sink") == 0) {
        sink(argv);
        return 0;
    }
    fputs("usage: packets send SOURCE ADDRESS PORT SIZE | packets sink ADDRESS PORT\n", stderr);
    return 2;
}
