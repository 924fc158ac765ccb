"""Fail closed: without an engine no segment of a protected session passes, in or out."""

import ctypes
import os
import socket
import struct

import pytest

from capture import SYN, Capture
from gatehouse import Gatehouse
from pair import A4, B4, config, gatehouses
from stream import Stream
from test_daemon_reload import queue_rules
from wait import stays, wait_for

PIDFD_GETFD = 438  # the system call's number on every architecture


def stop_it(gatehouse, how):
    if how == "stopped":
        gatehouse.stop()
    else:
        gatehouse.kill("parent")


@pytest.mark.parametrize("how", ["stopped", "killed"])
def test_nothing_leaks_without_an_engine(net, build_dir, how):
    a, one, b, two = gatehouses(net, build_dir)
    capture = Capture(b, expression="tcp port 179")
    stream = Stream(a, b, B4).start()
    stop_it(one, how)
    assert queue_rules(a), "the rules stay"
    seen = len(capture.segments())
    other = Stream(a, b, B4, name="other").open()  # a SYN, and the old connection retransmits
    back = Stream(b, a, A4, name="back").open()
    stays(lambda: other.count() == 0 and back.count() == 0, 3, "nothing passes")
    before = stream.count()
    later = capture.segments()
    assert len(later) > seen, "the other end goes on trying"
    assert all(s.ao for s in later), "every segment on the wire is signed"
    assert not [s for s in later[seen:] if s.src == A4], "and a says nothing"
    one.start()
    stream.wait_more(100)
    assert stream.count() > before
    stream.finish()
    assert all(s.ao for s in capture.stop())


def test_rules_are_removed_on_request(net, build_dir):
    a, one, _, _ = gatehouses(net, build_dir)
    done = a.run([one.daemon, "-r", one.run_dir, "--remove-rules"], check=False)
    assert done.returncode == 1 and "another gatehoused is running" in done.stderr
    assert queue_rules(a)
    one.stop()
    assert "--remove-rules" in one.tail()
    a.run([one.daemon, "-r", one.run_dir, "--remove-rules"])
    assert not queue_rules(a)
    assert "GATEHOUSE" not in a.run(["iptables-save"], check=False).stdout


def test_foreign_rules_are_left_alone(net, build_dir):
    a, _ = net.two_routers()
    a.run(["iptables", "-t", "mangle", "-A", "INPUT", "-p", "udp", "--dport", "9", "-j", "DROP"])
    one = Gatehouse(a, build_dir, config(B4)).start()
    one.reload()
    one.stop()
    a.run([one.daemon, "-r", one.run_dir, "--remove-rules"])
    left = [x for x in a.run(["iptables-save", "-t", "mangle"]).stdout.splitlines()
            if x.startswith("-A")]
    assert left == ["-A INPUT -p udp -m udp --dport 9 -j DROP"]


@pytest.mark.parametrize("flush", [["nft", "flush", "ruleset"],
                                   ["iptables", "-t", "mangle", "-F"],
                                   ["iptables", "-t", "mangle", "-F", "INPUT"]],
                         ids=lambda f: "-".join(f[:1] + f[-1:]))
def test_removed_rules_come_back(net, build_dir, flush):
    a, one, _, _ = gatehouses(net, build_dir)
    before = queue_rules(a)
    for _ in range(2):
        a.run(flush)
        wait_for(lambda: "gatehouse" in a.run(["nft", "list", "ruleset"]).stdout.lower()
                 and queue_rules(a) == before and jumps(a), 5, "the rules are back")
    assert "somebody removed firewall rules" in one.tail()


def jumps(namespace):
    """Whether INPUT and OUTPUT reach our chains, each once (nothing to see with nftables)."""
    rules = namespace.run(["iptables-save", "-t", "mangle"], check=False).stdout
    if "GATEHOUSE" not in rules:
        return True
    return (rules.count("-A INPUT -j GATEHOUSE-IN\n"), rules.count("-A OUTPUT -j GATEHOUSE-OUT\n")) == (1, 1)


def test_other_traffic_is_not_queued(net, build_dir):
    a, one, b, two = gatehouses(net, build_dir)
    two.stop()
    stream = Stream(a, b, B4, port=8179).start()
    stream.finish()
    view = one.session("upstream")
    assert view["packets_in"] == 0 and view["packets_out"] == 0


def queue_line(namespace, number=17900):
    """(packets waiting, dropped because it was full)."""
    for line in namespace.run(["cat", "/proc/net/netfilter/nfnetlink_queue"]).stdout.splitlines():
        fields = [int(x) for x in line.split()]
        if fields[0] == number:
            return fields[2], fields[5] + fields[6]
    raise AssertionError("no such queue")


def syn(src, dst, sport, dport):
    """A bare SYN to be sent through a raw socket, which adds the IP header."""
    return struct.pack("!HHIIBBHHH", sport, dport, 1, 0, 5 << 4, SYN, 1024, 0, 0)


def flood(namespace, src, dst, count):
    program = ("import socket,sys\n"
               f"s=socket.socket(socket.AF_INET,socket.SOCK_RAW,socket.IPPROTO_TCP)\n"
               f"for i in range({count}): s.sendto(bytes.fromhex(sys.argv[1]),('{dst}',0))\n")
    namespace.run(["/usr/bin/python3", "-c", program, syn(src, dst, 4444, 179).hex()])


def test_queue_overflow(net, build_dir):
    """While ao stands still its queue fills up and drops; then all goes on."""
    a, one, b, two = gatehouses(net, build_dir, head="gatehouse { queue-length = 64 }\n")
    stream = Stream(a, b, B4).start()
    two.stop()  # so that b can send what is not signed
    b.run([two.daemon, "-r", two.run_dir, "--remove-rules"])
    ao = one.processes()["ao"]
    a.run(["kill", "-STOP", ao])
    flood(b, B4, A4, 500)
    wait_for(lambda: queue_line(a)[1] > 0, 5, lambda: f"drops: {queue_line(a)}")
    a.run(["kill", "-CONT", ao])
    wait_for(lambda: queue_line(a)[0] < 64, 10, lambda: f"it drains: {queue_line(a)}")
    two.start()
    stream.wait_more(100, timeout=60)
    stream.finish()
    assert one.counters("upstream")["missing-ao"] > 0
    assert one.processes()["ao"] == ao


def queue_socket(gatehouse, number=17900):
    """The daemon's own socket of a queue, by way of the parent, which holds it too."""
    lines = gatehouse.host.run(["cat", "/proc/net/netfilter/nfnetlink_queue"]).stdout.splitlines()
    port = next(int(x.split()[1]) for x in lines if int(x.split()[0]) == number)
    libc = ctypes.CDLL(None, use_errno=True)
    pidfd = os.pidfd_open(gatehouse.processes()["parent"])
    for fd in range(3, 64):
        copy = libc.syscall(PIDFD_GETFD, pidfd, fd, 0)
        if copy < 0:
            continue
        try:
            found = socket.socket(fileno=copy)
            if found.family == socket.AF_NETLINK and found.getsockname() == (port, 0):
                os.close(pidfd)
                return found
            found.close()
        except OSError:
            os.close(copy)
    raise AssertionError("the parent does not hold the queue")


def test_what_a_dead_reader_took_is_given_up(net, build_dir):
    """Packets that ao had read but not answered when it died do not fill the queue up for ever."""
    a, one, b, two = gatehouses(net, build_dir)
    stream = Stream(a, b, B4).start()
    ao = one.processes()["ao"]
    a.run(["kill", "-STOP", ao])
    wait_for(lambda: queue_line(a)[0] > 2, 5, "segments wait")
    with queue_socket(one) as queue:
        assert queue.recv(65536) and queue.recv(65536), "in its place the test takes two"
    one.kill("ao")
    wait_for(lambda: one.processes().get("ao") not in (None, ao) and one.answers(), 15, "ao")
    stream.wait_more(50)
    stream.finish()
    wait_for(lambda: queue_line(a)[0] == 0, 5, lambda: f"an empty queue: {queue_line(a)}")
