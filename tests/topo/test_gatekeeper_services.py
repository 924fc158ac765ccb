"""Keys by IKE for more than one BGP session: several between the same two addresses, LDP, RPKI-RTR.

In each the keys change at least once while segments flow; no connection is opened anew.
"""

import time

import pytest

from capture import ACK, FIN, RST, SYN, Capture
from daemons import Bird, Peer
from daemons.frr_rpki import FrrRpki
from daemons.rtrclient import Rtrclient
from daemons.stayrtr import Stayrtr
from ike import SECRET, peer_section
from keyed import KeyedGatehouse, keyed_session, seen
from netns import A4, A6, B4, B6
from scenario import ROUTES_A, ROUTES_B, assert_none_refused, assert_signed
from test_ldp import R1, R2, two_routers, wait_both_operational
from wait import wait_for


def one_ike_peer(here, there, *sessions):
    """The configuration of an end: one IKE peer, and sessions with the same address."""
    return peer_section("router", children=(), remote=there, local=here, psk_secret=SECRET) + "".join(
        keyed_session(peer=there, ike_peer="router", local=here, **session) for session in sessions)


def both_ends(a, b, build_dir, address_a, address_b, *sessions):
    return [KeyedGatehouse(host, build_dir, one_ike_peer(here, there, *sessions)).start()
            for host, here, there in ((a, address_a, address_b), (b, address_b, address_a))]


def wait_up(ends, *names):
    """The sessions are up and protected; returns when that was, by the clock that captures have."""
    for gatehouse in ends:
        for name in names:
            gatehouse.wait_up(name)
            assert gatehouse.connection(name)["protected"]
    return time.time()


def ways(segments):
    """The segments of each direction of each connection, by both ends' address and port."""
    found = {}
    for segment in segments:
        found.setdefault((segment.src, segment.sport, segment.dst, segment.dport), []).append(segment)
    return found


def key_ids(segments):
    """The KeyIDs of each way, in the order of their first use."""
    return {way: list(dict.fromkeys(s.ao[0] for s in of)) for way, of in ways(segments).items()}


def wait_rekeyed(ends, capture, names, timeout=60):
    """IKE has replaced each session's key, and each way of its connection was signed with both."""
    for name in names:
        wait_for(lambda: sum(end.keyed(name)["rekeyed"] for end in ends) > 0, timeout,
                 lambda: f"{name} rekeyed\n{ends[0].gatectl('show', 'gatekeeper').stdout}")

    def ids():
        return key_ids(s for s in capture.segments() if s.ao)
    wait_for(lambda: len(ids()) == 2 * len(names) and all(len(of) > 1 for of in ids().values()),
             timeout, lambda: f"two keys each way; KeyIDs {ids()}")


def finish(capture, since):
    """All signed, and from that time on no connection was opened or ended."""
    segments = capture.stop()
    assert_signed(segments)
    others = [s for s in segments if s.time > since and s.flags & (SYN | FIN | RST)]
    assert not others, others[0]
    return segments


# ---- BGP ----------------------------------------------------------------------------------------


def test_two_sessions_of_the_same_addresses(net, build_dir):
    """Both to port 179, one opened by either router: only the source port tells them apart."""
    a, b = net.two_routers()
    a.sysctl("net.ipv4.ip_local_port_range", "4000 4099")
    b.sysctl("net.ipv4.ip_local_port_range", "4100 4199")
    capture = Capture(a)
    names = ("multi-1", "multi-2")
    ends = both_ends(a, b, build_dir, A4, B4,
                     {"name": "multi-1", "source_port": "4000-4099", "rekey": 10},
                     {"name": "multi-2", "source_port": "4100-4199", "rekey": 40,
                      "algorithm": "hmac-sha-256-128"})
    pairs = []
    for (one, asn_one, here, routes_one), (two, asn_two, there, routes_two) in (
            ((a, 65001, A4, ROUTES_A[:1]), (b, 65002, B4, ROUTES_B[:1])),
            ((b, 65004, B4, ["203.0.113.0/25"]), (a, 65003, A4, ["203.0.113.128/25"]))):
        listens = Bird(two, asn_two, [Peer(here, asn_one, local=there, passive=True)], routes_two,
                       hold_time=9, name="listens").start()
        # Port 179 is that of the BIRD beside it.
        opens = Bird(one, asn_one, [Peer(there, asn_two, local=here, local_port=1179)], routes_one,
                     hold_time=9, name="opens").start()
        pairs.append((opens, there, routes_two, listens, here, routes_one))
    for opens, there, its_routes, listens, here, routes in pairs:
        opens.wait_established(there)
        opens.wait_routes(its_routes)
        listens.wait_routes(routes)
    since = wait_up(ends, *names)
    # One pool of KeyIDs: a KeyID of one session is no other's.
    for gatehouse in ends:
        mine, others = ({key["send_id"] for key in session["keys"]}
                        for session in gatehouse.ask("show", "gatekeeper")["sessions"])
        assert mine and others and not mine & others
    wait_rekeyed(ends, capture, names, timeout=90)
    made = {name: sum(end.keyed(name)["rekeyed"] for end in ends) for name in names}
    assert made["multi-1"] > made["multi-2"], made
    assert_none_refused(*ends, names=names)
    segments = finish(capture, since)
    for (_, sport, _, dport), of in ways(segments).items():
        service, opened_from = sorted((sport, dport))
        assert service == 179
        assert {len(s.ao[2]) for s in of} == {12 if opened_from < 4100 else 16}, opened_from
    for opens, there, _, listens, here, _ in pairs:
        assert opens.flaps(there) == listens.flaps(here) == 0
    seen(pairs[0][0], pairs[0][3], opened="BIRD", versions="4",
         algorithms="aes-128-cmac-96, hmac-sha-256-128",
         also="two sessions of the same addresses, told apart by the source port; rekeyed: nothing refused")


# ---- LDP ----------------------------------------------------------------------------------------


def test_ldp(net, build_dir):
    """Between loopbacks, whose addresses and routes come later than Gatehouse."""
    a, b, one, two = two_routers(net)
    capture = Capture(a, expression="tcp port 646")
    ends = both_ends(a, b, build_dir, R1, R2, {"name": "ldp", "port": 646, "rekey": 10})
    for daemon in (one, two):
        daemon.start()
    wait_both_operational(one, two)
    since = wait_up(ends, "ldp")
    wait_rekeyed(ends, capture, ["ldp"])
    assert_none_refused(*ends, names=["ldp"])
    segments = finish(capture, since)
    assert {s.src for s in segments if s.flags & (SYN | ACK) == SYN} == {R2}  # the higher address
    assert one.operational(R2) and two.operational(R1)
    assert one.flaps(R2) == two.flaps(R1) == 0
    seen(one, two, opened="the higher address", versions="4", protocol="LDP", also="rekeyed: nothing refused")


def test_ldp_opened_from_the_left(net, build_dir):
    """The higher address is at the other router."""
    a, b, one, two = two_routers(net, R2, R1)
    capture = Capture(a, expression="tcp port 646")
    ends = both_ends(a, b, build_dir, R2, R1, {"name": "ldp", "port": 646})
    for daemon in (one, two):
        daemon.start()
    wait_both_operational(one, two)
    since = wait_up(ends, "ldp")
    key, = ends[0].keyed("ldp")["keys"]
    assert key["initiator"] == "we"  # who opened has asked
    assert_none_refused(*ends, names=["ldp"])
    segments = finish(capture, since)
    assert {s.src for s in segments if s.flags & (SYN | ACK) == SYN} == {R2}


# ---- RPKI-RTR -----------------------------------------------------------------------------------


@pytest.mark.parametrize("client", [FrrRpki, Rtrclient], ids=lambda c: c.kind)
def test_rpki(net, build_dir, client):
    """Over IPv6; VRPs come while the keys change."""
    a, b = net.two_routers()
    capture = Capture(a, expression="tcp port 8282")
    ends = both_ends(a, b, build_dir, A6, B6, {"name": "rtr", "port": 8282, "rekey": 10})
    vrps = {("2001:db8:1::/48", 64, 65001), ("192.0.2.0/24", 24, 65551)}
    server = Stayrtr(b, vrps).start()
    cache = client(a, [B6]).start()
    cache.wait_vrps(vrps)
    since = wait_up(ends, "rtr")
    for n in range(2):
        before = [gatehouse.live("rtr") for gatehouse in ends]
        wait_for(lambda: all(gatehouse.live("rtr") not in (None, was)
                             for gatehouse, was in zip(ends, before)), 60, "another key")
        vrps.add((f"2001:db8:{n + 2}::/48", 64, 65001))
        server.serve(vrps)
        cache.wait_vrps(vrps)
    wait_rekeyed(ends, capture, ["rtr"])
    assert_none_refused(*ends, names=["rtr"])
    finish(capture, since)
    assert cache.connected(B6) and server.accepted() == 1
    seen(cache, server, opened=cache.title, versions="6", protocol="RPKI-RTR",
         also="rekeyed while VRPs change: nothing refused")


@pytest.mark.parametrize("client", [FrrRpki, Rtrclient], ids=lambda c: c.kind)
def test_rpki_over_ipv4(net, build_dir, client):
    a, b = net.two_routers()
    capture = Capture(a, expression="tcp port 8282")
    ends = both_ends(a, b, build_dir, A4, B4, {"name": "rtr", "port": 8282})
    vrps = {("2001:db8:1::/48", 64, 65001), ("192.0.2.0/24", 24, 65551)}
    server = Stayrtr(b, vrps).start()
    cache = client(a, [B4]).start()
    cache.wait_vrps(vrps)
    since = wait_up(ends, "rtr")
    key, = ends[0].keyed("rtr")["keys"]
    assert key["initiator"] == "we"
    assert_none_refused(*ends, names=["rtr"])
    finish(capture, since)
    assert cache.connected(B4) and server.accepted() == 1
    seen(cache, server, opened=cache.title, versions="4", protocol="RPKI-RTR")
