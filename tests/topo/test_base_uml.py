"""The lab kernel and BIRD >= 2.17 by themselves: TCP-AO between two kernels of the same kind.

What the tests of Gatehouse against this peer rely on: that the peer itself is set up right.
"""

import pytest

from capture import SYN, Capture
from daemons import Bird, Peer
from daemons.bird import AoKey
from uml import Guest
from wait import wait_for

pytestmark = pytest.mark.base

ONE, TWO = "10.77.0.1", "10.77.0.2"
SIX_ONE, SIX_TWO = "fd77::1", "fd77::2"


@pytest.fixture
def guest(net, lab_kernel):
    return Guest(net.namespace("host"), lab_kernel)


def inner_pair(guest):
    """Two namespaces inside a guest, linked."""
    one, two = guest.namespace("one"), guest.namespace("two")
    guest.run(["ip", "link", "add", "eth0", "netns", "one", "type", "veth",
               "peer", "name", "eth0", "netns", "two"])
    for namespace, v4, v6 in ((one, ONE, SIX_ONE), (two, TWO, SIX_TWO)):
        namespace.run(["ip", "link", "set", "eth0", "up"])
        namespace.add_address("eth0", f"{v4}/24")
        namespace.add_address("eth0", f"{v6}/64")
    return one, two


def mirrored(keys):
    return [AoKey(k.recv_id, k.send_id, k.secret, k.algorithm, k.preferred, k.deprecated)
            for k in keys]


def test_guest_runs_commands(guest):
    assert "Linux" in guest.run(["uname", "-a"]).stdout
    assert guest.run(["false"], check=False).returncode == 1
    process = guest.spawn(["sleep", "100"], guest.directory("x") + "/log")
    assert process.alive()
    process.stop()
    assert process.status() == -15


def test_guest_talks_to_its_namespace(net, lab_kernel):
    host = net.namespace("host")
    host.tap("tap0", "10.77.0.1/24", "fd77::1/64")
    guest = Guest(host, lab_kernel, taps=["tap0"])
    guest.add_address("vec0", "10.77.0.2/24")
    guest.add_address("vec0", "fd77::2/64")
    host.run(["ping", "-c", "1", "-W", "5", TWO])
    host.run(["ping", "-c", "1", "-W", "5", SIX_TWO])
    guest.kill()
    assert host.run(["ping", "-c", "1", "-W", "1", TWO], check=False).returncode != 0


@pytest.mark.parametrize("algorithm", ["hmac sha1", "cmac aes128", "hmac sha256"])
def test_ao_sessions(guest, newer_bird, algorithm):
    one, two = inner_pair(guest)
    keys = [AoKey(3, 8, "correct horse", algorithm)]
    left = Bird(one, 65001, [Peer(TWO, 65002, ao_keys=keys), Peer(SIX_TWO, 65002, ao_keys=keys)],
                ["192.0.2.0/24", "2001:db8:a::/48"], programs=newer_bird)
    right = Bird(two, 65002, [Peer(ONE, 65001, ao_keys=mirrored(keys)),
                              Peer(SIX_ONE, 65001, ao_keys=mirrored(keys))],
                 ["198.51.100.0/24", "2001:db8:b::/48"], programs=newer_bird)
    left.start()
    right.start()
    left.wait_established(TWO)
    left.wait_established(SIX_TWO)
    left.wait_routes(["198.51.100.0/24", "2001:db8:b::/48"])
    right.wait_routes(["192.0.2.0/24", "2001:db8:a::/48"])
    counters = one.counters()
    assert counters["TCPAOGood"] > 0 and counters["TCPAOBad"] == 0


def test_ao_two_keys_and_rollover(guest, newer_bird):
    """Each side's preferred key differs from the one the session began with: ids 1/2 and 3/4."""
    one, two = inner_pair(guest)
    keys = [AoKey(1, 2, "first", preferred=True), AoKey(3, 4, "second", "cmac aes128")]
    left = Bird(one, 65001, [Peer(TWO, 65002, ao_keys=keys)], programs=newer_bird, hold_time=6)
    right = Bird(two, 65002, [Peer(ONE, 65001, ao_keys=mirrored(keys), passive=True)],
                 programs=newer_bird, hold_time=6)
    left.start()
    right.start()
    left.wait_established(TWO)
    assert left.ao_keys(TWO) == (1, 2)
    keys = [AoKey(1, 2, "first", deprecated=True),
            AoKey(3, 4, "second", "cmac aes128", preferred=True)]
    left.peers[0].ao_keys = keys
    left.reconfigure()
    wait_for(lambda: right.ao_keys(ONE)[0] == 4, 10, "the peer follows RNextKeyID")
    right.peers[0].ao_keys = mirrored(keys)
    right.reconfigure()
    wait_for(lambda: left.ao_keys(TWO) == (3, 4), 10, "both directions have moved")
    assert left.flaps(TWO) == 0 and right.flaps(ONE) == 0


def test_ao_options_excluded(guest, newer_bird, ao_preload):
    """Options not covered: agrees with itself, and not with a peer that covers them."""
    one, two = inner_pair(guest)
    keys = [AoKey(1, 1, "secret")]
    exclude = {"LD_PRELOAD": ao_preload, "GH_AO_EXCLUDE_OPTIONS": "1"}
    left = Bird(one, 65001, [Peer(TWO, 65002, ao_keys=keys)], programs=newer_bird, env=exclude)
    right = Bird(two, 65002, [Peer(ONE, 65001, ao_keys=keys)], programs=newer_bird)
    left.start()
    right.start()
    wait_for(lambda: one.counters()["TCPAOBad"] > 0, 30, "a bad MAC is counted")
    assert not left.established(TWO)
    right.stop()
    right.env = exclude
    right.start()
    left.wait_established(TWO)


def test_ao_wrong_secret_is_refused(guest, newer_bird):
    one, two = inner_pair(guest)
    left = Bird(one, 65001, [Peer(TWO, 65002, ao_keys=[AoKey(1, 1, "right")])], programs=newer_bird)
    right = Bird(two, 65002, [Peer(ONE, 65001, ao_keys=[AoKey(1, 1, "wrong")])],
                 programs=newer_bird)
    left.start()
    right.start()
    wait_for(lambda: one.counters()["TCPAOBad"] > 0, 30, "a bad MAC is counted")
    assert not left.established(TWO)


def test_ao_on_the_wire(net, lab_kernel, newer_bird):
    """Two guests on a wire that a capture sees."""
    host = net.namespace("host")
    host.run(["ip", "link", "add", "br0", "type", "bridge"])
    host.run(["ip", "link", "set", "br0", "up"])
    guests = []
    for n, address in ((1, ONE), (2, TWO)):
        host.tap(f"tap{n}")
        host.run(["ip", "link", "set", f"tap{n}", "master", "br0"])
        guest = Guest(host, lab_kernel, taps=[f"tap{n}"], name=f"guest{n}")
        guest.add_address("vec0", f"{address}/24")
        guests.append(guest)
    capture = Capture(host, "br0")
    keys = [AoKey(3, 8, "correct horse")]
    left = Bird(guests[0], 65001, [Peer(TWO, 65002, ao_keys=keys)], programs=newer_bird)
    right = Bird(guests[1], 65002, [Peer(ONE, 65001, ao_keys=mirrored(keys), passive=True)],
                 programs=newer_bird)
    left.start()
    right.start()
    left.wait_established(TWO)
    segments = capture.stop()
    assert any(s.flags & SYN for s in segments)
    for segment in segments:
        key_id, rnext, mac = segment.ao
        assert (key_id, rnext) == ((3, 8) if segment.src == ONE else (8, 3))
        assert len(mac) == 12
