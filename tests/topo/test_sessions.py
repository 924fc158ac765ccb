"""Unmodified daemons protected by Gatehouse at both ends, on a kernel without TCP-AO."""

import pytest

from capture import ACK, SYN, Capture
from daemons import Bird, Exabgp, Frr, Gobgp, Openbgpd, Peer
from gatehouse import Gatehouse
from interop import end, seen
from scenario import (A4, A6, B4, B6, KEY, ROUTES_A, ROUTES_B, assert_signed, assert_verified,
                      both_ends, config, peers_of_a, peers_of_b, swapped, wait_both_up, wait_cause)
from wait import wait_for


@pytest.mark.parametrize("left, right", [(Frr, Bird), (Gobgp, Frr), (Openbgpd, Bird), (Exabgp, Bird)],
                         ids=lambda c: c.kind)
def test_daemons(net, build_dir, left, right):
    """IPv4 and IPv6, routes both ways, and nothing on the wire without a right MAC."""
    a, b = net.two_routers()
    capture = Capture(a)
    ends = both_ends(a, b, build_dir)
    one = left(a, 65001, peers_of_a(), ROUTES_A, listen=[A4, A6]).start()
    two = right(b, 65002, peers_of_b(passive=False), ROUTES_B, listen=[B4, B6]).start()
    wait_both_up(one, two)
    one.wait_routes(ROUTES_B)
    two.wait_routes(ROUTES_A)
    for gatehouse in ends:
        for name in ("v4", "v6"):
            gatehouse.wait_up(name)
            connection = gatehouse.connection(name)
            assert connection["protected"]
            assert connection["authentication"]["algorithm"] == "hmac-sha-1-96"
    assert_verified(ends[0], capture)
    seen(end(one), end(two))


@pytest.mark.parametrize("opener", ["a", "b"])
def test_one_side_opens(net, build_dir, opener):
    """One daemon is passive; the policy says so too, and status tells who opened."""
    a, b = net.two_routers()
    one = Gatehouse(a, build_dir, config([KEY], {"v4": B4, "v6": B6}, direction="active"
                                         if opener == "a" else "passive")).start()
    two = Gatehouse(b, build_dir, config(swapped([KEY]), {"v4": A4, "v6": A6}, direction="active"
                                         if opener == "b" else "passive")).start()
    capture = Capture(a)
    frr = Frr(a, 65001, peers_of_a(passive=opener == "b")).start()
    bird = Bird(b, 65002, peers_of_b(passive=opener == "a")).start()
    wait_both_up(frr, bird)
    types = ("active", "passive") if opener == "a" else ("passive", "active")
    for name in ("v4", "v6"):
        one.wait_up(name)
        two.wait_up(name)
        assert (one.connection(name)["type"], two.connection(name)["type"]) == types
    segments = assert_verified(one, capture)
    openers = {s.src for s in segments if s.flags & (SYN | ACK) == SYN}
    assert openers == ({A4, A6} if opener == "a" else {B4, B6})
    seen(end(frr), end(bird), opened="FRR" if opener == "a" else "BIRD",
         also="`direction` = active and passive")


@pytest.mark.parametrize("daemon", [Frr, Bird, Gobgp], ids=lambda c: c.kind)
def test_dynamic_neighbours(net, build_dir, daemon):
    """One policy for a prefix; neighbours that no configuration names come up under it."""
    hub, spoke = net.two_routers()
    addresses = [f"10.77.0.{n}" for n in range(11, 16)]
    for address in addresses:
        spoke.add_address("eth0", f"{address}/24")
    capture = Capture(hub)
    one = Gatehouse(hub, build_dir, config([KEY], {"branches": "10.77.0.0/24"}, local=A4)).start()
    Gatehouse(spoke, build_dir, config(swapped([KEY]), {"hub": A4})).start()
    server = daemon(hub, 65001, [Peer("10.77.0.0/24", 65002, local=A4)], listen=[A4]).start()
    clients = [Bird(spoke, 65002, [Peer(A4, 65001, local=address)], [f"198.51.100.{n * 16}/28"],
                    router_id=address, name=address) for n, address in enumerate(addresses)]
    for client in clients:
        client.start()
    for client in clients:
        client.wait_established(A4)
    server.wait_routes([f"198.51.100.{n * 16}/28" for n in range(len(addresses))])
    peers = {c["remote"].rpartition(":")[0] for c in one.session("branches")["connections"]
             if c["state"] == "established" and c["protected"]}
    assert peers == set(addresses)
    assert one.explain(addresses[2])["verdict"] == "up"
    assert_verified(one, capture)
    seen(end(server), end(clients[0]), opened="BIRD", versions="4",
         also="one policy for a prefix of dynamic neighbours")


def test_a_hundred_sessions(net, build_dir):
    """FRR with a hundred neighbours, each protected by a session of its own."""
    a, b = net.two_routers()
    pairs = [(f"10.78.1.{n}", f"10.78.2.{n}") for n in range(1, 101)]
    for router, side in ((a, 0), (b, 1)):
        router.run(["ip", "-batch", "-"], input="".join(
            f"address add {pair[side]}/16 dev eth0\n" for pair in pairs))
    ends = []
    for router, local, remote in ((a, 0, 1), (b, 1, 0)):
        keys = [KEY] if router is a else swapped([KEY])
        text = config(keys, {f"s{n}": pair[remote] for n, pair in enumerate(pairs)})
        ends.append(Gatehouse(router, build_dir, text).start())
    frr = Frr(a, 65001, [Peer(theirs, 65002, local=ours) for ours, theirs in pairs],
              ["192.0.2.0/24"], hold_time=90).start()
    bird = Bird(b, 65002, [Peer(theirs, 65001, local=ours) for theirs, ours in pairs],
                ["198.51.100.0/24"], hold_time=90).start()

    def up():
        peers = frr.ask("show bgp summary json").get("ipv4Unicast", {}).get("peers", {})
        return sum(p["state"] == "Established" for p in peers.values())
    wait_for(lambda: up() == len(pairs), 60, lambda: f"100 sessions (there are {up()})")
    bird.wait_routes(["192.0.2.0/24"])
    for gatehouse in ends:
        status = gatehouse.ask("show", "status")
        assert status["sessions"]["up"] == len(pairs)
        assert status["connections"]["unprotected"] == 0
    seen(end(frr), end(bird), versions="4", also="100 sessions at once")


def test_one_daemon_serves_named_namespaces(net, build_dir):
    """gatehoused outside, the routers in named namespaces: netns = NAME."""
    a, b = net.two_routers()
    keeper = net.namespace("keeper")
    text = config([KEY], {"a4": B4, "a6": B6}, netns=a.name)
    theirs = config(swapped([KEY]), {"b4": A4, "b6": A6}, netns=b.name)
    gatehouse = Gatehouse(keeper, build_dir, text + theirs.replace("core", "edge")).start()
    capture = Capture(a)
    frr = Frr(a, 65001, peers_of_a(), ROUTES_A).start()
    bird = Bird(b, 65002, peers_of_b(), ROUTES_B).start()
    wait_both_up(frr, bird)
    frr.wait_routes(ROUTES_B)
    for name in ("a4", "a6", "b4", "b6"):
        gatehouse.wait_up(name)
        assert gatehouse.connection(name)["protected"]
    segments = capture.stop()
    assert_signed(segments)
    seen(end(frr), end(bird), also="one gatehoused for both named namespaces")


# ---- Sessions that were there before, and modes that let others in ------------------------------


def test_session_older_than_gatehouse(net, build_dir):
    """It cannot be signed: it is named, and reset-session makes room for a protected one."""
    a, b = net.two_routers()
    frr = Frr(a, 65001, [Peer(B4, 65002)], ROUTES_A, hold_time=180).start()
    bird = Bird(b, 65002, [Peer(A4, 65001)], ROUTES_B, hold_time=180).start()
    frr.wait_established(B4)
    bird.wait_established(A4)
    one = Gatehouse(a, build_dir, config([KEY], {"v4": B4})).start()
    two = Gatehouse(b, build_dir, config(swapped([KEY]), {"v4": A4})).start()
    # Traffic from either end, which now cannot pass.
    bird.birdc("disable static4")
    frr.vtysh("clear bgp * soft")
    wait_cause(one, B4, "no-handshake")
    wait_cause(two, A4, "no-handshake")
    assert one.session("v4")["state"] == "down"
    one.gatectl("reset-session", "v4")
    two.gatectl("reset-session", "v4")
    # The hold time is 180 s: what ends them now is the reset.
    one.wait_up("v4", 60)
    two.wait_up("v4")
    frr.wait_established(B4)
    bird.wait_established(A4)
    assert one.connection("v4")["protected"]


def test_allow_without_ao(net, build_dir):
    """The other end has no TCP-AO: the session comes up, and says loudly that it is bare."""
    a, b = net.two_routers()
    one = Gatehouse(a, build_dir, config([KEY], {"v4": B4, "v6": B6}, mode="allow-without-ao")).start()
    frr = Frr(a, 65001, peers_of_a(), ROUTES_A).start()
    bird = Bird(b, 65002, peers_of_b(), ROUTES_B).start()
    wait_both_up(frr, bird)
    frr.wait_routes(ROUTES_B)
    for name in ("v4", "v6"):
        one.wait_up(name)
        assert not one.connection(name)["protected"]
        assert one.explain(name)["verdict"] == "unprotected"
        assert one.causes(name)[0] == "runs-unprotected"
    assert {"allow-without-ao", "unprotected"} <= set(one.warnings())
    assert "WITHOUT protection" in one.tail(200)
    # Once the peer has it, the next connection is protected.
    bird.stop()
    frr.wait_not_established(B4)
    frr.wait_not_established(B6)
    two = Gatehouse(b, build_dir, config(swapped([KEY]), {"v4": A4, "v6": A6})).start()
    bird.start()
    wait_both_up(frr, bird)
    wait_for(lambda: one.explain("v4")["verdict"] == "up", 10, "the session is protected")
    assert two.connection("v4")["protected"]
    assert "unprotected" not in one.warnings()
    assert one.ask("show", "status")["connections"]["unprotected"] == 0


def test_accept_mismatch(net, build_dir):
    """Different secrets let through by Cisco's flag: up, and said to be worth nothing."""
    a, b = net.two_routers()
    other = KEY.swapped()
    other.secret = "another secret altogether"
    one = Gatehouse(a, build_dir, config([KEY], {"v4": B4}, mode="accept-mismatch")).start()
    two = Gatehouse(b, build_dir, config([other], {"v4": A4}, mode="accept-mismatch")).start()
    frr = Frr(a, 65001, [Peer(B4, 65002)], ROUTES_A).start()
    bird = Bird(b, 65002, [Peer(A4, 65001)], ROUTES_B).start()
    frr.wait_established(B4)
    bird.wait_established(A4)
    for gatehouse in (one, two):
        gatehouse.wait_up("v4")
        connection = gatehouse.connection("v4")
        assert connection["mismatched"] and not connection["protected"]
        assert gatehouse.counters("v4")["mismatch-accepted"] > 0
        assert gatehouse.causes("v4")[0] == "mismatch-accepted"
        assert {"accept-mismatch", "mismatched"} <= set(gatehouse.warnings())
        assert "not protected" in gatehouse.tail(200)
