/* /proc/net/netstat with TCP-AO's counters. */
#include "unit.h"

#include <stdio.h>
#include <string.h>

#include "shim/netstat.h"

static const uint64_t values[GH_NETSTAT_COUNTERS] = {11, 22, 33, 44, UINT64_MAX};

static void expect(const char *in, const char *out)
{
    char text[1024];
    size_t len = gh_netstat_merge(in, strlen(in), values, text, sizeof text);

    assert_int_equal(len, strlen(out));
    assert_memory_equal(text, out, len);
}

static void appends(void **state)
{
    expect("TcpExt: SyncookiesSent TCPMD5NotFound\n"
           "TcpExt: 0 7\n"
           "IpExt: InNoRoutes\n"
           "IpExt: 5\n",
           "TcpExt: SyncookiesSent TCPMD5NotFound TCPAOGood TCPAOBad TCPAOKeyNotFound "
           "TCPAORequired TCPAODroppedIcmps\n"
           "TcpExt: 0 7 11 22 33 44 18446744073709551615\n"
           "IpExt: InNoRoutes\n"
           "IpExt: 5\n");
}

static void replaces(void **state)
{
    expect("TcpExt: TCPAORequired A TCPAOBad TCPAOKeyNotFound TCPAOGood B TCPAODroppedIcmps\n"
           "TcpExt: 0 1 0 0 0 2 0\n",
           "TcpExt: TCPAORequired A TCPAOBad TCPAOKeyNotFound TCPAOGood B TCPAODroppedIcmps\n"
           "TcpExt: 44 1 22 33 11 2 18446744073709551615\n");
}

static void replaces_some(void **state)
{
    expect("TcpExt: A TCPAOGood\nTcpExt: 1 0\n",
           "TcpExt: A TCPAOGood TCPAOBad TCPAOKeyNotFound TCPAORequired TCPAODroppedIcmps\n"
           "TcpExt: 1 11 22 33 44 18446744073709551615\n");
}

static void leaves_what_it_does_not_know(void **state)
{
    char text[1024];

    assert_int_equal(gh_netstat_merge("", 0, values, text, sizeof text), 0);
    assert_int_equal(gh_netstat_merge("IpExt: A\nIpExt: 1\n", 18, values, text, sizeof text), 0);
    assert_int_equal(gh_netstat_merge("TcpExt: A\n", 10, values, text, sizeof text), 0);
    assert_int_equal(gh_netstat_merge("TcpExt: A\nTcpExt: 1\n", 20, values, text, 60), 0);
}

static void paths(void **state)
{
    assert_true(gh_netstat_path("/proc/net/netstat", 7));
    assert_true(gh_netstat_path("/proc/self/net/netstat", 7));
    assert_true(gh_netstat_path("/proc/thread-self/net/netstat", 7));
    assert_true(gh_netstat_path("/proc/7/net/netstat", 7));
    assert_false(gh_netstat_path("/proc/77/net/netstat", 7));
    assert_false(gh_netstat_path("/proc/net/netstat2", 7));
    assert_false(gh_netstat_path("/proc/net/snmp", 7));
    assert_false(gh_netstat_path("/tmp/proc/net/netstat", 7));
    assert_false(gh_netstat_path("proc/net/netstat", 7));
    assert_false(gh_netstat_path("", 7));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(appends),       cmocka_unit_test(replaces),
        cmocka_unit_test(replaces_some), cmocka_unit_test(leaves_what_it_does_not_know),
        cmocka_unit_test(paths),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
