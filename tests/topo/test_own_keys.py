"""Programs under gaterun: Linux's TCP-AO socket options on a kernel without them, and TCP-MD5 that
becomes TCP-AO."""

import os

import pytest

from capture import Capture
from daemons import Bird, Frr, Peer
from daemons.bird import AoKey
from gatehouse import Gatehouse, Key
from interop import KERNEL, end, seen
from netns import A4, A6, B4, B6
from scenario import (ROUTES_A, ROUTES_B, assert_none_refused, assert_signed, both_ends,
                      peers_of_a, peers_of_b, wait_both_up)
from test_labkernel import (FAILURES, GUEST4, GUEST6, HOST4, HOST6, lab)  # noqa: F401
from wait import wait_for

NOTHING = "gatehouse {\n}\n"  # all keys are the programs' own
KEYS = [AoKey(1, 1, "the first key of BIRD's own"),
        AoKey(2, 2, "the second key of BIRD's own", algorithm="cmac aes128")]


def with_keys(peers, keys):
    for peer in peers:
        peer.ao_keys = keys
    return peers


def prefer(number):
    """BIRD's keys with one preferred."""
    return [AoKey(k.send_id, k.recv_id, k.secret, k.algorithm, preferred=k.send_id == number)
            for k in KEYS]


def roll(birds, peers, number):
    """Each BIRD is told to prefer a key; then both directions use it."""
    for bird, addresses in zip(birds, peers):
        for peer in bird.peers:
            peer.ao_keys = prefer(number)
        bird.reconfigure()
    for bird, addresses in zip(birds, peers):
        for address in addresses:
            wait_for(lambda: bird.ao_keys(address) == (number, number), 60,
                     lambda: f"key {number} in use\n{bird.details(address)}")


def test_bird_as_it_is_at_both_ends(net, build_dir, newer_bird):
    """`authentication ao` in BIRD's own configuration, on a kernel that has no TCP-AO."""
    a, b = net.two_routers()
    one, two = (Gatehouse(host, build_dir, NOTHING).start() for host in (a, b))
    capture = Capture(b)
    left = Bird(a, 65001, with_keys(peers_of_a(), prefer(1)), ROUTES_A, programs=newer_bird,
                launcher=one.gaterun()).start()
    right = Bird(b, 65002, with_keys(peers_of_b(), prefer(1)), ROUTES_B, programs=newer_bird,
                 launcher=two.gaterun()).start()
    wait_both_up(left, right)
    left.wait_routes(ROUTES_B)
    right.wait_routes(ROUTES_A)
    roll((left, right), ((B4, B6), (A4, A6)), 2)
    assert left.flaps(B4) == left.flaps(B6) == right.flaps(A4) == right.flaps(A6) == 0
    assert_signed(capture.stop())
    seen(end(left, "gaterun"), end(right, "gaterun"), algorithms="hmac-sha-1-96, aes-128-cmac-96",
         also="BIRD's own `authentication ao`, rolled over by its preferred keys")


@pytest.mark.parametrize("opener", ["gaterun", "kernel"])
def test_bird_against_the_kernel(lab, build_dir, newer_bird, opener):  # noqa: F811
    """The same BIRD at both ends: here the options are emulated, there they are the kernel's."""
    gatehouse = Gatehouse(lab.host, build_dir, NOTHING).start()
    capture = Capture(lab.host, "tap0", "tcp port 179")
    guest = Bird(lab.guest, 65002,
                 [Peer(a, 65001, local=g, ao_keys=prefer(1), passive=opener == "gaterun")
                  for a, g in ((HOST4, GUEST4), (HOST6, GUEST6))],
                 ["198.51.100.0/24"], programs=newer_bird)
    host = Bird(lab.host, 65001,
                [Peer(g, 65002, local=a, ao_keys=prefer(1), passive=opener == "kernel")
                 for a, g in ((HOST4, GUEST4), (HOST6, GUEST6))],
                ["192.0.2.0/24"], programs=newer_bird, launcher=gatehouse.gaterun())
    guest.start()
    host.start()
    for peer in (GUEST4, GUEST6):
        host.wait_established(peer)
    guest.wait_routes(["192.0.2.0/24"])
    host.wait_routes(["198.51.100.0/24"])
    roll((host, guest), ((GUEST4, GUEST6), (HOST4, HOST6)), 2)
    assert host.flaps(GUEST4) == host.flaps(GUEST6) == 0
    assert lab.failures() == dict.fromkeys(FAILURES, 0)
    assert_signed(capture.stop())
    seen(end(host, "gaterun"), end(guest, KERNEL), opened="BIRD under gaterun" if opener == "gaterun"
         else "the kernel's BIRD", algorithms="hmac-sha-1-96, aes-128-cmac-96",
         also="BIRD's own `authentication ao`, rolled over by its preferred keys")


def test_engine_killed_under_bird(net, build_dir, newer_bird):
    """Keys that programs brought outlive the engine's process."""
    a, b = net.two_routers()
    one, two = (Gatehouse(host, build_dir, NOTHING).start() for host in (a, b))
    # One end opens: of two connections that meet, BIRD may give up the one that is up.
    left = Bird(a, 65001, with_keys(peers_of_a(), prefer(1)), ROUTES_A, programs=newer_bird,
                launcher=one.gaterun(), hold_time=9).start()
    right = Bird(b, 65002, with_keys(peers_of_b(passive=True), prefer(1)), ROUTES_B,
                 programs=newer_bird, launcher=two.gaterun(), hold_time=9).start()
    wait_both_up(left, right)
    for gatehouse in (one, two):
        pid = gatehouse.processes()["ao"]
        gatehouse.kill("ao")
        wait_for(lambda: gatehouse.processes().get("ao") not in (None, pid), 10, "a new engine")
    roll((left, right), ((B4, B6), (A4, A6)), 2)
    assert left.flaps(B4) == left.flaps(B6) == right.flaps(A4) == right.flaps(A6) == 0


def connects(host, address):
    """Whether a plain TCP connection to the BGP port comes about."""
    program = f"import socket; socket.create_connection(('{address}', 179), 3)"
    return host.run(["python3", "-c", program], check=False).returncode == 0


def test_daemon_restarted_under_bird(net, build_dir, newer_bird):
    """The programs' keys end with gatehoused, their sockets do not: they must not be open without.
    New sockets bring their keys again."""
    a, b = net.two_routers()
    one, two = (Gatehouse(host, build_dir, NOTHING).start() for host in (a, b))
    capture = Capture(b)
    left = Bird(a, 65001, with_keys(peers_of_a(), prefer(1)), ROUTES_A, programs=newer_bird,
                launcher=one.gaterun(), hold_time=9).start()
    right = Bird(b, 65002, with_keys(peers_of_b(passive=True), prefer(1)), ROUTES_B,
                 programs=newer_bird, launcher=two.gaterun(), hold_time=9).start()
    wait_both_up(left, right)
    wait_for(lambda: os.path.exists(os.path.join(one.run_dir, "flows")), 5, "the flows are noted")
    one.stop()
    assert not connects(b, A4)
    one.start()
    assert not connects(b, A4)
    for address in (B4, B6):
        wait_for(lambda: left.flaps(address) == 1, 30, "BIRD notices")
        left.wait_established(address, 40)
    assert not connects(b, A4), "the listener of before has no keys any more"
    left.stop()
    left.start()
    wait_both_up(left, right)
    wait_for(lambda: "are gone" in one.tail(200), 15, "the sockets of before are gone")
    bare = [s for s in capture.stop() if s.ao is None and s.src != B4 and s.sport == 179]
    assert not bare, f"answered without TCP-AO: {bare[0]}"


def test_md5_becomes_ao(net, build_dir):
    """FRR stays configured for TCP-MD5; its peer has a key chain, so TCP-AO goes over the wire."""
    a, b = net.two_routers()
    one, two = both_ends(a, b, build_dir)
    capture = Capture(b)
    left = Frr(a, 65001, peers_of_a(password="opensesame"), ROUTES_A, launcher=one.gaterun()).start()
    right = Bird(b, 65002, peers_of_b(password="another-word"), ROUTES_B,
                 launcher=two.gaterun()).start()
    wait_both_up(left, right)
    left.wait_routes(ROUTES_B)
    assert_none_refused(one, two)
    segments = capture.stop()
    assert_signed(segments)
    seen(end(left, "gaterun"), end(right, "gaterun"), algorithms="hmac-sha-1-96",
         also="both daemons configured for TCP-MD5")


def test_md5_stays_where_no_key_chain_is(net, build_dir):
    """Of the two peers only the one with a key chain changes over."""
    a, b = net.two_routers()
    one = Gatehouse(a, build_dir, NOTHING).start()
    left = Frr(a, 65001, peers_of_a(password="opensesame"), ROUTES_A, launcher=one.gaterun()).start()
    capture = Capture(b)
    right = Bird(b, 65002, peers_of_b(password="opensesame"), ROUTES_B).start()
    wait_both_up(left, right)
    segments = capture.stop()
    assert segments and all(s.option(19) is not None for s in segments if not s.flags & 4)
