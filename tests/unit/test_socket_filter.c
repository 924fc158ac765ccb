/* What a socket hears, with sockets of this host's own. */
#include "unit.h"

#include <arpa/inet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "platform/socket_filter.h"

static int open_socket(struct sockaddr_in *at)
{
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
    socklen_t len = sizeof(*at);

    *at = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (struct sockaddr *)at, sizeof(*at)), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)at, &len), 0);
    return fd;
}

/* Does what is sent arrive? Over the loopback it has, when sendto() returns. */
static bool hears(int fd, const struct sockaddr_in *at)
{
    char octet = 1;

    assert_int_equal(sendto(fd, &octet, 1, 0, (const struct sockaddr *)at, sizeof(*at)), 1);
    return recv(fd, &octet, 1, 0) == 1;
}

/* The loopback in a VRF's place. */
static void by_device(void **state)
{
    const uint32_t lo = if_nametoindex("lo");
    const uint32_t with[] = {77777, lo, 77778}, without[] = {77777, 77778};
    struct gh_socket_filter f = {.vrfs = without, .vrf_count = 2};
    struct sockaddr_in at;
    int fd = open_socket(&at);

    assert_true(gh_socket_filter_set(fd, &f));
    assert_true(hears(fd, &at));
    f = (struct gh_socket_filter){.vrfs = with, .vrf_count = 3};
    assert_true(gh_socket_filter_set(fd, &f));
    assert_false(hears(fd, &at));
    f = (struct gh_socket_filter){.vrf_count = 0};
    assert_true(gh_socket_filter_set(fd, &f));
    assert_true(hears(fd, &at));
    assert_true(gh_socket_filter_set(fd, &f)); /* there is none any more */
    close(fd);
}

/* As many as there may be, and the slot, too: a program that the kernel takes. */
static void longest(void **state)
{
    static uint32_t list[GH_FILTER_VRFS];
    struct gh_socket_filter f = {.vrfs = list,
                                 .vrf_count = GH_FILTER_VRFS,
                                 .by_spi = true,
                                 .protocol = IPPROTO_ESP,
                                 .slots = 4,
                                 .kernels = true};
    struct sockaddr_in at;
    int fd = open_socket(&at);

    for (uint32_t i = 0; i < GH_FILTER_VRFS; i++)
        list[i] = 1000000 + i;
    assert_true(gh_socket_filter_set(fd, &f));
    close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(by_device),
        cmocka_unit_test(longest),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
