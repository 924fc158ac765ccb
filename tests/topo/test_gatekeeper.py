"""Stock daemons whose TCP-AO keys IKE makes: no key is in any configuration."""

import pytest

from capture import ACK, SYN, Capture
from daemons import Bird, Exabgp, Frr, Gobgp, Openbgpd
from keyed import keyed_ends, seen
from netns import A4, A6, B4, B6
from scenario import (ROUTES_A, ROUTES_B, assert_no_flap, assert_none_refused, assert_signed,
                      peers_of_a, peers_of_b, wait_both_up)
from wait import wait_for


@pytest.mark.parametrize("left, right", [(Frr, Bird), (Gobgp, Frr), (Openbgpd, Bird), (Exabgp, Bird)],
                         ids=lambda c: c.kind)
def test_daemons(net, build_dir, left, right):
    """IPv4 and IPv6, routes both ways, and every segment on the wire signed."""
    a, b = net.two_routers()
    capture = Capture(a)
    ends = keyed_ends(a, b, build_dir)
    one = left(a, 65001, peers_of_a(), ROUTES_A, listen=[A4, A6]).start()
    two = right(b, 65002, peers_of_b(passive=False), ROUTES_B, listen=[B4, B6]).start()
    wait_both_up(one, two)
    one.wait_routes(ROUTES_B)
    two.wait_routes(ROUTES_A)
    for gatehouse in ends:
        for name in ("v4", "v6"):
            gatehouse.wait_up(name)
            assert gatehouse.connection(name)["protected"]
            assert gatehouse.live(name) is not None
            table = gatehouse.ask("show", "key-table", name)["keys"]
            assert [(k["origin"], k["selected"]) for k in table] == [("negotiated", True)], table
    assert_none_refused(*ends)
    assert_signed(capture.stop())
    seen(one, two)


def test_the_first_syn_waits(net, build_dir):
    """It leaves once, signed, when the key is there; nothing is sent again."""
    a, b = net.two_routers()
    capture = Capture(a)
    one, two = keyed_ends(a, b, build_dir)
    bird = Bird(b, 65002, peers_of_b(passive=True)).start()
    frr = Frr(a, 65001, peers_of_a()).start()
    wait_both_up(frr, bird)
    segments = capture.stop()
    assert_signed(segments)
    syns = [s for s in segments if s.flags & (SYN | ACK) == SYN]
    assert {s.src for s in syns} == {A4, A6}
    assert len(syns) == len({(s.src, s.sport) for s in syns}), "a SYN was sent again"
    for name in ("v4", "v6"):
        steps = one.keyed(name)["steps"]
        times = [step["ms"] for step in steps]
        assert None not in times and times == sorted(times), steps


def test_rekeying_under_traffic(net, build_dir):
    """A key every few seconds while routes come and go: no segment refused, no flap."""
    a, b = net.two_routers()
    ends = keyed_ends(a, b, build_dir, rekey=10)
    frr = Frr(a, 65001, peers_of_a(), ROUTES_A).start()
    bird = Bird(b, 65002, peers_of_b(), ROUTES_B).start()
    wait_both_up(frr, bird)
    frr.wait_routes(ROUTES_B)
    for name in ("v4", "v6"):
        ends[0].wait_rekeyed(name, times=3, timeout=60)
    assert_none_refused(*ends)
    assert_no_flap((frr, B4), (frr, B6))
    assert ends[0].keyed("v4")["rekeyed"] + ends[1].keyed("v4")["rekeyed"] >= 3
    seen(frr, bird, also="a fresh key every few seconds: nothing refused")


def test_rekeying_by_use(net, build_dir):
    """A key for every 64 KiB: a large table needs another, and the session hears nothing of it."""
    a, b = net.two_routers()
    ends = keyed_ends(a, b, build_dir, rekey_bytes=65536)
    table = [f"100.{64 + n // 256}.{n % 256}.0/24" for n in range(16000)]
    frr = Frr(a, 65001, peers_of_a(), ROUTES_A).start()
    bird = Bird(b, 65002, peers_of_b(), ROUTES_B + table).start()
    wait_both_up(frr, bird)
    frr.wait_routes(ROUTES_B)
    wait_for(lambda: ends[0].keyed("v4")["rekeyed"] > 0, 30,
             lambda: ends[0].gatectl("show", "gatekeeper", "v4", "detail").stdout + ends[0].tail())
    wait_for(lambda: all(any(key["octets"] >= 0.9 * 65536 for key in end.keyed("v4")["keys"])
                         for end in ends), 10,
             lambda: "".join(end.gatectl("show", "gatekeeper", "v4", "detail").stdout
                             for end in ends))
    assert ends[0].keyed("v6")["rekeyed"] == 0
    assert_none_refused(*ends)
    assert_no_flap((frr, B4))


def test_revocation(net, build_dir):
    """Fresh IKE SA, fresh key; the session stays up."""
    a, b = net.two_routers()
    ends = keyed_ends(a, b, build_dir)
    frr = Frr(a, 65001, peers_of_a()).start()
    bird = Bird(b, 65002, peers_of_b()).start()
    wait_both_up(frr, bird)
    for gatehouse, peer in zip(ends, ("v4", "v4")):
        before = gatehouse.live(peer)
        gatehouse.gatectl("gatekeeper", "revoke", peer)
        wait_for(lambda: gatehouse.live(peer) not in (before, None), 20, "another key")
        wait_for(lambda: all(k["state"] in ("live", "leaving") for k in gatehouse.keyed(peer)["keys"]),
                 60, lambda: f"the old key is not used: {gatehouse.keyed(peer)['keys']}")
        assert gatehouse.keyed(peer)["revoked"] == 1
    assert_none_refused(*ends)
    assert_no_flap((frr, B4), (bird, A4))


def test_the_ike_sa_is_rekeyed(net, build_dir):
    """From either end; its keys of TCP-AO are handed on, and are rekeyed by the new one."""
    a, b = net.two_routers()
    ends = keyed_ends(a, b, build_dir)
    frr = Frr(a, 65001, peers_of_a(), hold_time=9).start()
    bird = Bird(b, 65002, peers_of_b(), hold_time=9).start()
    wait_both_up(frr, bird)

    def sas(end):
        return [sa for sa in end.ask("show", "ike", "sa", "detail")["sas"] if sa["peer"] == "ike-v4"]
    for count, end in enumerate(ends, 1):
        before = [end.live("v4") for end in ends]
        end.gatectl("ike", "rekey", "sa", str(sas(end)[0]["id"]))
        for other in ends:
            wait_for(lambda: [sa["rekeys"] for sa in sas(other)] == [count], 20,
                     lambda: f"one IKE SA, rekeyed {count} times\n{sas(other)}\n{other.tail()}")
        assert [end.live("v4") for end in ends] == before
        child, = sas(end)[0]["child_sas"]
        end.gatectl("ike", "rekey", "child", str(child["id"]))
        for other, was in zip(ends, before):
            wait_for(lambda: other.live("v4") not in (was, None), 20, "a key by the new IKE SA")
        # the Child SA that was replaced goes when nobody uses its key
        wait_for(lambda: all(len(sas(end)[0]["child_sas"]) == 1 for end in ends), 60,
                 lambda: f"{[sas(end) for end in ends]}")
    assert_none_refused(*ends)
    assert_no_flap((frr, B4), (bird, A4))


@pytest.mark.parametrize("process", ["ike", "ao", "keeper"])
def test_killed(net, build_dir, process):
    """Whichever process dies, sessions live, and there is a key again."""
    a, b = net.two_routers()
    ends = keyed_ends(a, b, build_dir, rekey=20)
    frr = Frr(a, 65001, peers_of_a(), ROUTES_A).start()
    bird = Bird(b, 65002, peers_of_b(), ROUTES_B).start()
    wait_both_up(frr, bird)
    frr.wait_routes(ROUTES_B)
    ends[0].kill(process)
    wait_for(lambda: ends[0].gatectl("show", "gatekeeper", check=False).returncode == 0, 10,
             "the gatekeeper answers")
    for gatehouse in ends:
        for name in ("v4", "v6"):
            wait_for(lambda: gatehouse.live(name) is not None, 40,
                     lambda: f"a key for {name}\n{gatehouse.tail()}")
            gatehouse.wait_rekeyed(name, timeout=60)
            gatehouse.wait_up(name)
    assert_no_flap((frr, B4), (bird, A4))
