"""Keys of live sessions: algorithms, rollover by lifetime under traffic, changes by reload."""

import dataclasses

import pytest

from capture import Capture
from daemons import Bird, Frr, Gobgp, Peer
from gatehouse import Gatehouse, Key, key_chain, tcp_ao
from interop import end, seen
from scenario import (A4, B4, B6, KEY, assert_none_refused, assert_verified, both_ends, config,
                      lifetime, peers_of_a, peers_of_b, swapped, wait_both_up)
from wait import wait_for

ALGORITHMS = ["hmac-sha-1-96", "aes-128-cmac-96", "hmac-sha-256-96", "hmac-sha-256-128",
              "hmac-sha-256-256"]
MANY = [f"100.{64 + n // 256}.{n % 256}.0/24" for n in range(1000)]


def test_algorithms(net, build_dir):
    """Every algorithm and MAC length, options covered and not, IPv4 and IPv6: twenty sessions."""
    a, b = net.two_routers()
    texts, peers, locals_ = ["", ""], [[], []], []
    number = 0
    for algorithm in ALGORITHMS:
        for covered in (True, False):
            number += 1
            key = Key(1, f"secret {number}", number, 100 + number, algorithm, covered)
            for side, keys in ((0, [key]), (1, [key.swapped()])):
                texts[side] += key_chain(f"c{number}", keys)
            for version, pair in ((4, (f"10.78.1.{number}", f"10.78.2.{number}")),
                                  (6, (f"fd78::1:{number}", f"fd78::2:{number}"))):
                for side, router in ((0, a), (1, b)):
                    router.add_address("eth0", f"{pair[side]}/{16 if version == 4 else 64}")
                    name = f"{algorithm} v{version} {'covered' if covered else 'bare'}"
                    texts[side] += tcp_ao(name, pair[1 - side], f"c{number}")
                    peers[side].append(Peer(pair[1 - side], 65002 - side, local=pair[side]))
                locals_.append((name, algorithm, pair))
    ends = [Gatehouse(router, build_dir, text).start() for router, text in zip((a, b), texts)]
    capture = Capture(a)
    frr = Frr(a, 65001, peers[0], MANY).start()
    bird = Bird(b, 65002, peers[1]).start()
    for peer in peers[0]:
        frr.wait_established(peer.address)
    bird.wait_routes(MANY)
    for name, algorithm, _ in locals_:
        for gatehouse in ends:
            gatehouse.wait_up(name)
            assert gatehouse.connection(name)["authentication"]["algorithm"] == algorithm
    segments = assert_verified(ends[0], capture)
    lengths = {"96": 12, "128": 16, "256": 32}
    for name, algorithm, pair in locals_:
        macs = {len(s.ao[2]) for s in segments if s.src in pair}
        assert macs == {lengths[algorithm.rpartition("-")[2]]}, name
    seen(end(frr), end(bird), algorithms=", ".join(ALGORITHMS), options="covered and not")


def churn(daemon, count):
    """Withdraws or announces all routes of a BIRD."""
    daemon.birdc("disable static4" if count % 2 == 0 else "enable static4")
    daemon.birdc("disable static6" if count % 2 == 0 else "enable static6")


@pytest.mark.parametrize("left", [Frr, Gobgp], ids=lambda c: c.kind)
def test_rollover_by_lifetime(net, build_dir, left):
    """Three keys a few seconds apart, the ends' clocks 2 s apart, routes coming and going.

    Not one segment is refused, no session flaps, and both directions end on the last key.
    """
    a, b = net.two_routers()
    step, skew = 5, 2
    algorithms = ["hmac-sha-1-96", "aes-128-cmac-96", "hmac-sha-256-128"]

    def keys(late):
        times = [(-600, step), (step, 2 * step), (2 * step, None)]
        return [Key(n + 1, f"secret {n}", 10 + n, 20 + n, algorithms[n],
                    options=lifetime(start + late, None if end is None else end + late))
                for n, (start, end) in enumerate(times)]
    daemons = (left(a, 65001, peers_of_a()), Bird(b, 65002, peers_of_b(), [*MANY, "2001:db8:b::/48"]))
    capture = Capture(a)
    first, second = keys(6), keys(6 + skew)
    one = Gatehouse(a, build_dir, config(first, {"v4": B4, "v6": B6}, tolerance=10)).start()
    two = Gatehouse(b, build_dir, config(swapped(second), {"v4": A4, "v6": "fd77::1"},
                                         tolerance=10)).start()
    for daemon in daemons:
        daemon.start()
    wait_both_up(*daemons)
    daemons[0].wait_routes(MANY[:3])
    assert one.keys("v4") == (1, 1), "the test came up too late to see the first key"
    before = {(g, n): g.refused(n) for g in (one, two) for n in ("v4", "v6")}
    count, used = 0, {one: set(), two: set()}

    def moved():
        nonlocal count
        churn(daemons[1], count)
        count += 1
        for gatehouse in (one, two):
            used[gatehouse].update(gatehouse.keys(name) for name in ("v4", "v6"))
        return all(g.keys(n) == (3, 3) for g in (one, two) for n in ("v4", "v6"))
    wait_for(moved, 40, lambda: f"key 3 in both directions; used {used}")
    if count % 2:
        churn(daemons[1], count)
    daemons[0].wait_routes(MANY)
    assert {k: k[0].refused(k[1]) for k in before} == before
    assert daemons[0].flaps(B4) == daemons[0].flaps(B6) == 0
    for gatehouse in (one, two):
        assert {keys[0] for keys in used[gatehouse]} == {1, 2, 3}
        assert len(gatehouse.session("v4")["connections"]) >= 1
    segments = capture.stop()
    assert all(s.ao for s in segments)
    assert {s.ao[0] for s in segments if s.src == A4} == {10, 11, 12}
    assert {s.ao[0] for s in segments if s.src == B4} == {20, 21, 22}
    assert one.verify(capture.path)["failed"] == 0
    seen(end(daemons[0]), end(daemons[1]), algorithms=", ".join(algorithms),
         also="two rollovers by lifetime under route churn, clocks 2 s apart: nothing refused")


def test_key_added_and_removed_by_reload(net, build_dir):
    """First one end has the new key, then both, then the old one goes: nobody notices."""
    a, b = net.two_routers()
    new = Key(2, "a new secret", 4, 9, "aes-128-cmac-96")
    one, two = both_ends(a, b, build_dir)
    frr = Frr(a, 65001, peers_of_a()).start()
    bird = Bird(b, 65002, peers_of_b(), [*MANY, "2001:db8:b::/48"], hold_time=30).start()
    wait_both_up(frr, bird)
    frr.wait_routes(MANY)
    before = {(g, n): g.refused(n) for g in (one, two) for n in ("v4", "v6")}

    def give(gatehouse, keys):
        mine = keys if gatehouse is one else swapped(keys)
        peers = {"v4": B4, "v6": B6} if gatehouse is one else {"v4": A4, "v6": "fd77::1"}
        gatehouse.configure(config(mine, peers))
        gatehouse.reload()

    def traffic():
        for count in range(2):
            churn(bird, count)
        frr.wait_routes(MANY)

    give(one, [KEY, new])
    traffic()
    # We ask for the new key; who does not have it goes on with the old.
    assert one.keys("v4") == (1, 2) and two.keys("v4") == (1, 1)
    give(two, [KEY, new])
    traffic()
    for gatehouse in (one, two):
        for name in ("v4", "v6"):
            wait_for(lambda: gatehouse.keys(name) == (2, 2) or traffic(), 20, "the new key is used")
    give(two, [new])
    traffic()
    give(one, [new])
    traffic()
    assert {k: k[0].refused(k[1]) for k in before} == before
    assert frr.flaps(B4) == frr.flaps(B6) == 0
    seen(end(frr), end(bird), algorithms="hmac-sha-1-96, aes-128-cmac-96",
         also="a key added, then the old one removed by reload: nothing refused")
    shown = one.ask("show", "key-chain", "core")
    assert "\"key\": 1," not in str(shown)


def test_reload_refuses_what_would_kill_a_session(net, build_dir):
    """Another secret for a key in use is refused, and the old configuration stays in force."""
    a, b = net.two_routers()
    one, _ = both_ends(a, b, build_dir)
    frr = Frr(a, 65001, peers_of_a()).start()
    bird = Bird(b, 65002, peers_of_b()).start()
    wait_both_up(frr, bird)
    one.configure(config([dataclasses.replace(KEY, secret="changed in place")],
                         {"v4": B4, "v6": B6}))
    done = one.gatectl("reload", check=False)
    assert done.returncode != 0 and "key" in done.stderr, done.stderr
    assert frr.flaps(B4) == 0
    assert one.explain("v4")["verdict"] == "up"
    bird.stop()
    frr.wait_not_established(B4)
    bird.start()
    wait_both_up(frr, bird)
    assert_none_refused(one, names=())
