/*
 * Sends forged segments of one TCP connection into a test's own network namespace.
 *
 *   flood -i INTERFACE -m VICTIM-MAC -c PEER,PORT,VICTIM,PORT -q SEQ,ACK -k KEYID,RNEXTKEYID
 *         [-u UNKNOWN-KEYID] [-a MAC-LENGTH] [-w WINDOW] [-n COUNT] [-r PER-SECOND]
 *         [-p CAPTURE] [KIND…]
 *
 * The kinds (forge.h; all of them where none is named) take turns. With -p it replays the segments
 * from the peer that a capture holds, as they are, one after the other. It prints what it sent as a
 * JSON object. Packets leave beside the firewall of the namespace it runs in, and only through a
 * veth.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/ethtool.h>
#include <linux/if_packet.h>
#include <linux/sockios.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <pcap/pcap.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "forge.h"
#include "wire/ip.h"

enum {
    BATCH = 32,
    FRAME_MAX = 2048,
    STORED_MAX = 65536,
    COUNT_MAX = 10 * 1000 * 1000,
    ETHERNET_HEADER = 14
};

struct stored {
    uint8_t *data;
    size_t len;
};

struct flood {
    struct forge forge;
    struct sockaddr_ll to;
    unsigned long count, rate;
    enum forge_kind kinds[FORGE_KIND_COUNT];
    size_t kind_count;
    const char *capture;
    struct stored *stored;
    size_t stored_count;
    unsigned long sent[FORGE_KIND_COUNT], replayed;
};

static void die(const char *what)
{
    fprintf(stderr, "flood: %s: %s\n", what, strerror(errno));
    exit(1);
}

static void usage(void)
{
    fprintf(stderr, "usage: flood -i INTERFACE -m VICTIM-MAC -c PEER,PORT,VICTIM,PORT -q SEQ,ACK "
                    "-k KEYID,RNEXTKEYID [-u UNKNOWN-KEYID] [-a MAC-LENGTH] [-w WINDOW] "
                    "[-n COUNT] [-r PER-SECOND] [-p CAPTURE] [KIND...]\n");
    exit(2);
}

/* Forged packets have no place outside of a test: they leave through a veth or not at all. */
static void insist_on_veth(const char *interface)
{
    struct ethtool_drvinfo driver = {.cmd = ETHTOOL_GDRVINFO};
    struct ifreq request = {.ifr_data = (char *)&driver};
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", interface);
    if (fd < 0 || ioctl(fd, SIOCETHTOOL, &request) != 0)
        die(interface);
    close(fd);
    if (strcmp(driver.driver, "veth") != 0) {
        fprintf(stderr, "flood: %s is no veth; forged segments stay inside a test\n", interface);
        exit(2);
    }
}

/* ---- Replays -------------------------------------------------------------------------------- */

static bool from_peer(const struct forge *f, const uint8_t *packet, size_t len, size_t *packet_len)
{
    struct gh_ip_packet ip;

    if (gh_ip_parse(packet, len, &ip) != GH_IP_OK || ip.protocol != GH_IP_TCP)
        return false;
    *packet_len = ip.total_len;
    return gh_addr_equal(&ip.src, &f->src) && gh_addr_equal(&ip.dst, &f->dst);
}

static void load_capture(struct flood *fl)
{
    char error[PCAP_ERRBUF_SIZE];
    pcap_t *p = pcap_open_offline(fl->capture, error);
    struct pcap_pkthdr *head;
    const uint8_t *frame;

    fl->stored = calloc(STORED_MAX, sizeof(*fl->stored));
    if (p == NULL || fl->stored == NULL || pcap_datalink(p) != DLT_EN10MB)
        die(fl->capture);
    while (pcap_next_ex(p, &head, &frame) == 1 && fl->stored_count < STORED_MAX) {
        size_t len;

        if (head->caplen <= ETHERNET_HEADER || head->caplen > FRAME_MAX ||
            !from_peer(&fl->forge, frame + ETHERNET_HEADER, head->caplen - ETHERNET_HEADER, &len))
            continue;
        fl->stored[fl->stored_count].data = malloc(len);
        if (fl->stored[fl->stored_count].data == NULL)
            die("memory");
        memcpy(fl->stored[fl->stored_count].data, frame + ETHERNET_HEADER, len);
        fl->stored[fl->stored_count++].len = len;
    }
    pcap_close(p);
    if (fl->stored_count == 0) {
        fprintf(stderr, "flood: %s holds no segment from the peer\n", fl->capture);
        exit(1);
    }
}

/* ---- Sending -------------------------------------------------------------------------------- */

static size_t next_packet(struct flood *fl, unsigned long n, uint8_t *out)
{
    enum forge_kind kind;

    if (fl->stored != NULL) {
        const struct stored *s = &fl->stored[n % fl->stored_count];

        memcpy(out, s->data, s->len);
        fl->replayed++;
        return s->len;
    }
    kind = fl->kinds[n % fl->kind_count];
    fl->sent[kind]++;
    return forge_packet(&fl->forge, kind, out);
}

static double seconds(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* Not faster than asked, counted from the start. */
static void pace(const struct flood *fl, double start, unsigned long sent)
{
    double early = (double)sent / (double)fl->rate - (seconds() - start);
    struct timespec t = {.tv_sec = (time_t)early, .tv_nsec = (long)((early - (time_t)early) * 1e9)};

    if (early > 0)
        nanosleep(&t, NULL);
}

static void send_all_of(int fd, struct mmsghdr *messages, unsigned n)
{
    for (unsigned done = 0; done < n;) {
        int sent = sendmmsg(fd, messages + done, n - done, 0);

        if (sent < 0 && errno != EINTR && errno != ENOBUFS && errno != EAGAIN)
            die("sendmmsg");
        done += sent > 0 ? (unsigned)sent : 0;
    }
}

static void flood(struct flood *fl)
{
    static uint8_t frames[BATCH][FRAME_MAX];
    struct mmsghdr messages[BATCH] = {0};
    struct iovec iov[BATCH];
    int fd = socket(AF_PACKET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    double start = seconds();

    if (fd < 0)
        die("socket");
    for (unsigned long sent = 0; sent < fl->count;) {
        unsigned n = fl->count - sent < BATCH ? (unsigned)(fl->count - sent) : BATCH;

        for (unsigned i = 0; i < n; i++) {
            iov[i] = (struct iovec){.iov_base = frames[i],
                                    .iov_len = next_packet(fl, sent + i, frames[i])};
            messages[i].msg_hdr = (struct msghdr){.msg_name = &fl->to,
                                                  .msg_namelen = sizeof(fl->to),
                                                  .msg_iov = &iov[i],
                                                  .msg_iovlen = 1};
        }
        send_all_of(fd, messages, n);
        sent += n;
        if (fl->rate > 0)
            pace(fl, start, sent);
    }
    close(fd);
}

static void report(const struct flood *fl)
{
    const char *comma = "";

    printf("{");
    for (size_t i = 0; i < fl->kind_count && fl->stored == NULL; i++) {
        printf("%s\"%s\": %lu", comma, forge_name(fl->kinds[i]), fl->sent[fl->kinds[i]]);
        comma = ", ";
    }
    if (fl->stored != NULL)
        printf("\"replay\": %lu", fl->replayed);
    printf("}\n");
}

/* ---- Options -------------------------------------------------------------------------------- */

static void parse_connection(struct forge *f, char *text)
{
    char *src = strtok(text, ","), *src_port = strtok(NULL, ",");
    char *dst = strtok(NULL, ","), *dst_port = strtok(NULL, ",");

    if (dst_port == NULL || !gh_addr_parse(src, &f->src) || !gh_addr_parse(dst, &f->dst) ||
        f->src.len != f->dst.len)
        usage();
    f->src_port = (uint16_t)atoi(src_port);
    f->dst_port = (uint16_t)atoi(dst_port);
}

static void parse_pair(const char *text, unsigned long *a, unsigned long *b)
{
    char *end;

    *a = strtoul(text, &end, 10);
    if (*end != ',')
        usage();
    *b = strtoul(end + 1, &end, 10);
    if (*end != '\0')
        usage();
}

static void parse_link(struct flood *fl, const char *interface, const char *mac)
{
    unsigned octets[6];

    fl->to = (struct sockaddr_ll){.sll_family = AF_PACKET, .sll_halen = 6};
    fl->to.sll_ifindex = (int)if_nametoindex(interface);
    if (fl->to.sll_ifindex == 0 || sscanf(mac, "%2x:%2x:%2x:%2x:%2x:%2x", &octets[0], &octets[1],
                                          &octets[2], &octets[3], &octets[4], &octets[5]) != 6)
        usage();
    for (size_t i = 0; i < 6; i++)
        fl->to.sll_addr[i] = (uint8_t)octets[i];
}

static void parse_kinds(struct flood *fl, char *const *names, int count)
{
    for (int kind = 0; kind < FORGE_KIND_COUNT; kind++) {
        bool wanted = count == 0;

        for (int i = 0; i < count; i++)
            wanted |= strcmp(names[i], forge_name((enum forge_kind)kind)) == 0;
        if (wanted)
            fl->kinds[fl->kind_count++] = (enum forge_kind)kind;
    }
    if (fl->kind_count < (size_t)count)
        usage();
}

static void parse(struct flood *fl, int argc, char **argv)
{
    const char *interface = NULL, *mac = NULL;
    unsigned long a, b;
    int c;

    while ((c = getopt(argc, argv, "i:m:c:q:k:u:a:w:n:r:p:")) != -1) {
        switch (c) {
        case 'i':
            interface = optarg;
            break;
        case 'm':
            mac = optarg;
            break;
        case 'c':
            parse_connection(&fl->forge, optarg);
            break;
        case 'q':
            parse_pair(optarg, &a, &b);
            fl->forge.seq = (uint32_t)a;
            fl->forge.ack = (uint32_t)b;
            break;
        case 'k':
            parse_pair(optarg, &a, &b);
            fl->forge.keyid = (uint8_t)a;
            fl->forge.rnext = (uint8_t)b;
            break;
        case 'u':
            fl->forge.unknown_keyid = (uint8_t)atoi(optarg);
            break;
        case 'a':
            fl->forge.mac_len = (uint8_t)atoi(optarg);
            break;
        case 'w':
            fl->forge.window = (uint32_t)strtoul(optarg, NULL, 10);
            break;
        case 'n':
            fl->count = strtoul(optarg, NULL, 10);
            break;
        case 'r':
            fl->rate = strtoul(optarg, NULL, 10);
            break;
        case 'p':
            fl->capture = optarg;
            break;
        default:
            usage();
        }
    }
    if (interface == NULL || mac == NULL || fl->forge.src.len == 0 || fl->count > COUNT_MAX)
        usage();
    insist_on_veth(interface);
    parse_link(fl, interface, mac);
    parse_kinds(fl, argv + optind, argc - optind);
    fl->to.sll_protocol = htons(fl->forge.src.len == 4 ? ETHERTYPE_IP : ETHERTYPE_IPV6);
}

int main(int argc, char **argv)
{
    struct flood fl = {.forge = {.mac_len = 12, .unknown_keyid = 255, .random = 1}, .count = 1};

    parse(&fl, argc, argv);
    if (fl.capture != NULL)
        load_capture(&fl);
    flood(&fl);
    report(&fl);
    return 0;
}
