"""RPKI-RTR on port 8282: StayRTR and stock clients, Gatehouse at both ends."""

import time

import pytest

from daemons.bird_rpki import BirdRpki
from daemons.frr_rpki import FrrRpki
from daemons.openbgpd_rpki import OpenbgpdRpki
from daemons.rtrclient import Rtrclient
from daemons.stayrtr import Stayrtr
from interop import end, seen
from netns import B4, B6
from protocols import ALGORITHMS, Mistakes, Port
from scenario import assert_none_refused
from wait import wait_for

PORT = 8282
VRPS = {(f"10.{n}.0.0/16", 24, 65000 + n) for n in range(200)}
VRPS |= {(f"2001:db8:{n:x}::/48", 64, 65000 + n) for n in range(1, 100)}
MORE = {("192.0.2.0/24", 24, 65551), ("2001:db8:ffff::/48", 48, 65551)}
CLIENTS = [FrrRpki, BirdRpki, OpenbgpdRpki, Rtrclient]


@pytest.mark.parametrize("client", CLIENTS, ids=lambda c: c.kind)
def test_client(net, build_dir, client):
    """IPv4 and IPv6, all VRPs and their changes, and nothing on the wire without a right MAC."""
    port = Port(net, build_dir, PORT, names=("v4", "v6"))
    server = Stayrtr(port.b, VRPS).start()
    clients = [client(port.a, servers, name=servers[0]).start()
               for servers in ([[B4, B6]] if client.at_once else [[B4], [B6]])]
    for one in clients:
        one.wait_vrps(VRPS)
    port.wait_up(connections=2)
    server.serve(VRPS | MORE)
    for one in clients:
        one.wait_vrps(VRPS | MORE)
    assert_none_refused(*port.ends)
    assert all(one.connected(server) for one in clients for server in one.servers)
    port.finish(connections=2)
    assert server.accepted() == 2
    seen(end(one), end(server), opened=one.title, protocol="RPKI-RTR")


def test_rollover(net, build_dir):
    """All clients at once, and VRPs that come and go while the keys change twice."""
    port = Port(net, build_dir, PORT)
    server = Stayrtr(port.b, VRPS).start()
    clients = [client(port.a, [B4]).start() for client in CLIENTS]
    for client in clients:
        client.wait_vrps(VRPS)
    port.wait_up(connections=len(CLIENTS))
    start, step = time.monotonic(), 4

    def traffic():
        """More VRPs in the midst of each key's time.

        Not more often: after each notification OpenBGPD waits for up to nine seconds anew, and when
        it has fallen behind what StayRTR remembers they may not find together again.
        """
        changes = int((time.monotonic() - start + step - 1) / step)
        server.serve(VRPS | {(f"192.0.{n}.0/24", 24, 65551) for n in range(changes)})
    port.roll_over(traffic, step)
    server.serve(VRPS | MORE)
    for client in clients:
        client.wait_vrps(VRPS | MORE)
        assert client.connected(B4)
    port.finish(connections=len(CLIENTS))
    assert server.accepted() == len(CLIENTS)
    for client in clients:
        seen(end(client), end(server), opened=client.title, versions="4", algorithms=ALGORITHMS,
             also="two rollovers by lifetime while VRPs change: nothing refused",
             protocol="RPKI-RTR")


def test_rollover_of_an_idle_session(net, build_dir):
    """RTR is silent for an hour at a time: a key may begin and the one before it end meanwhile."""
    port = Port(net, build_dir, PORT)
    server = Stayrtr(port.b, VRPS).start()
    client = BirdRpki(port.a, [B4]).start()
    client.wait_vrps(VRPS)
    port.wait_up()
    port.schedule([(-600, 2), (2, None)], tolerance=0)
    for gatehouse in port.ends:
        wait_for(lambda: gatehouse.keys("v4") == (2, 2), 10, "key 1 has ended")
        assert gatehouse.causes("v4") == ["peer-on-old-key"]
    assert {s.ao[0] for s in port.capture.segments()} == {3, 8}
    server.serve(VRPS | MORE)
    client.wait_vrps(VRPS | MORE)
    assert_none_refused(*port.ends, names=["v4"])
    assert {s.ao[0] for s in port.finish()} == {3, 8, 4, 9}
    assert server.accepted() == 1


def test_mistakes(net, build_dir):
    """A wrong key, a missing key, no TCP-AO at either end: no VRP passes, and it is told why."""
    mistakes = Mistakes(net, build_dir, PORT)
    server = Stayrtr(mistakes.b, VRPS).start()
    client = BirdRpki(mistakes.a, mistakes.addresses).start()
    mistakes.assert_told()
    assert not client.vrps()
    assert not any(client.connected(address) for address in mistakes.addresses)
    assert server.accepted() == 0
