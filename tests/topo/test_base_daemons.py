"""The test base itself: stock daemons find each other in namespaces, without Gatehouse."""

import os

import pytest

from capture import SYN, TCP_AO, TCP_MD5, Capture
from daemons import Bird, Exabgp, Frr, Gobgp, Openbgpd, Peer
from netns import A4, A6, B4, B6
from wait import wait_for

pytestmark = pytest.mark.base

ROUTES_A = ["192.0.2.0/24", "2001:db8:a::/48"]
ROUTES_B = ["198.51.100.0/24", "2001:db8:b::/48"]


def pair(net, left, right):
    """Starts two daemons with an IPv4 and an IPv6 session; returns them when routes are there."""
    a, b = net.two_routers()
    one = left(a, 65001, [Peer(B4, 65002, local=A4), Peer(B6, 65002, local=A6)], ROUTES_A,
               listen=[A4, A6])
    two = right(b, 65002, [Peer(A4, 65001, local=B4), Peer(A6, 65001, local=B6)], ROUTES_B,
                listen=[B4, B6])
    one.start()
    two.start()
    for daemon, peers in ((one, (B4, B6)), (two, (A4, A6))):
        for peer in peers:
            daemon.wait_established(peer)
    one.wait_routes(ROUTES_B)
    two.wait_routes(ROUTES_A)
    return one, two


@pytest.mark.parametrize("left, right", [(Frr, Bird), (Gobgp, Frr), (Openbgpd, Bird), (Exabgp, Bird)],
                         ids=lambda c: c.kind)
def test_sessions(net, left, right):
    one, two = pair(net, left, right)
    before = one.flaps(B4), one.flaps(B6)  # both call, see scenario.peers_of_b()
    two.kill()
    one.wait_not_established(B4)
    one.wait_not_established(B6)
    assert (one.flaps(B4), one.flaps(B6)) == (before[0] + 1, before[1] + 1)
    two.start()
    one.wait_established(B4)
    one.wait_established(B6)


@pytest.mark.parametrize("daemon", [Frr, Bird, Gobgp], ids=lambda c: c.kind)
def test_dynamic_neighbours(net, daemon):
    """One configured prefix, several neighbours that connect."""
    hub, spoke = net.two_routers()
    spoke.add_address("eth0", "10.77.0.3/24")
    server = daemon(hub, 65001, [Peer("10.77.0.0/24", 65002, local=A4)], listen=[A4])
    client = Bird(spoke, 65002, [Peer(A4, 65001, local=B4)], ["198.51.100.0/24"])
    other = Bird(spoke, 65002, [Peer(A4, 65001, local="10.77.0.3")], ["203.0.113.0/24"],
                 router_id="10.255.0.9", name="other")
    server.start()
    client.start()
    other.start()
    client.wait_established(A4)
    other.wait_established(A4)
    server.wait_routes(["198.51.100.0/24", "203.0.113.0/24"])


def test_passive_side_is_called(net):
    """The daemon that is told to be passive never sends a SYN."""
    a, b = net.two_routers()
    frr = Frr(a, 65001, [Peer(B4, 65002, passive=True)])
    bird = Bird(b, 65002, [Peer(A4, 65001)])
    capture = Capture(a)
    frr.start()
    bird.start()
    bird.wait_established(A4)
    syns = [s for s in capture.stop() if s.flags & SYN and s.dport == 179]
    assert syns and all(s.src == B4 for s in syns)
    assert all(s.option(TCP_AO) is None for s in syns)


def test_tcp_md5_on_the_wire(net):
    """The capture reader sees what a signed session carries."""
    a, b = net.two_routers()
    frr = Frr(a, 65001, [Peer(B4, 65002, password="opensesame")])
    bird = Bird(b, 65002, [Peer(A4, 65001, password="opensesame")])
    capture = Capture(a)
    frr.start()
    bird.start()
    bird.wait_established(A4)
    segments = [s for s in capture.stop() if 179 in (s.sport, s.dport) and not s.flags & 4]
    assert len(segments) > 6
    assert all(len(s.option(TCP_MD5)) == 16 for s in segments)


def test_stray_processes_are_ended(net):
    """Whatever was started in a namespace ends with it."""
    a = net.namespace("a")
    pid = int(a.run(["sh", "-c", "sleep 1000 >/dev/null 2>&1 & echo $!"]).stdout)
    assert os.path.exists(f"/proc/{pid}")
    net.destroy()
    wait_for(lambda: not os.path.exists(f"/proc/{pid}"), 5, "the process is gone")
    net.namespaces.clear()
