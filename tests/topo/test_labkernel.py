"""The independent peer: a Linux kernel with its own TCP-AO and BIRD that gives it the keys.

On one side Gatehouse with FRR, or with BIRD 2.0, which know nothing of TCP-AO; on the other a
guest that runs the lab kernel, with BIRD >= 2.17. Last, Gatehouse itself inside the lab kernel.
"""

import dataclasses
import re

import pytest

from capture import ACK, SYN, Capture
from daemons import Bird, Frr, Peer
from daemons.bird import AoKey
from gatehouse import Gatehouse, Key, key_chain, tcp_ao
from interop import KERNEL, end, seen
from scenario import (assert_signed, assert_verified, config, lifetime, swapped, wait_cause)
from uml import Guest
from wait import wait_for

HOST4, GUEST4, HOST6, GUEST6 = "10.77.0.1", "10.77.0.2", "fd77::1", "fd77::2"
KERNEL_NAMES = {"hmac-sha-1-96": "hmac sha1", "aes-128-cmac-96": "cmac aes128",
                "hmac-sha-256-96": "hmac sha256", "hmac-sha-256-128": "hmac sha256"}
ROUTES = [f"100.{64 + n // 256}.{n % 256}.0/24" for n in range(500)]
FAILURES = ("TCPAOBad", "TCPAOKeyNotFound", "TCPAORequired")


@dataclasses.dataclass
class Lab:
    """The router with Gatehouse and the guest behind its tap device."""

    host: object
    guest: Guest

    def failures(self):
        counters = self.guest.counters()
        return {name: counters[name] for name in FAILURES}


@pytest.fixture
def lab(net, lab_kernel):
    host = net.namespace("host")
    host.tap("tap0", f"{HOST4}/24", f"{HOST6}/64")
    guest = Guest(host, lab_kernel, taps=["tap0"])
    guest.add_address("vec0", f"{GUEST4}/24")
    guest.add_address("vec0", f"{GUEST6}/64")
    return Lab(host, guest)


def as_kernel_keys(keys, preferred=None, deprecated=None):
    """Gatehouse's keys as BIRD in the guest writes them: ids swapped."""
    return [AoKey(k.recv_id, k.send_id, k.secret, KERNEL_NAMES[k.algorithm],
                  preferred=k.number == preferred, deprecated=k.number == deprecated)
            for k in keys]


def environment(preload, covered=True, mac_length=12):
    """What BIRD's configuration has no words for (ao_preload.c)."""
    env = {"LD_PRELOAD": preload, "GH_AO_MACLEN": str(mac_length)}
    return env if covered else {**env, "GH_AO_EXCLUDE_OPTIONS": "1"}


def test_a_signed_refusal(lab, build_dir, newer_bird):
    """Nobody listens behind Gatehouse: the RST has no ISN of its own, and the kernel believes it."""
    key = Key(1, "a refusal is signed too", 3, 8)
    gatehouse = Gatehouse(lab.host, build_dir, config([key], {"v4": GUEST4, "v6": GUEST6})).start()
    bird = Bird(lab.guest, 65002, [Peer(a, 65001, local=g, ao_keys=as_kernel_keys([key]))
                                   for a, g in ((HOST4, GUEST4), (HOST6, GUEST6))],
                programs=newer_bird).start()
    for name, host in (("v4", HOST4), ("v6", HOST6)):
        wait_for(lambda: gatehouse.counters(name)["signed"] >= 2, 30, "a RST was signed")
        wait_for(lambda: "Connection refused" in bird.details(host), 30,
                 lambda: f"the kernel tells its program of the refusal\n{bird.details(host)}")
    assert lab.failures() == dict.fromkeys(FAILURES, 0)


@pytest.mark.parametrize("opener", ["gatehouse", "kernel"])
def test_algorithms(lab, build_dir, newer_bird, ao_preload, opener):
    """SHA-1, CMAC, SHA-256 of 12 and 16 octets; options covered or not; IPv4 and IPv6; each
    direction of opening: sixteen sessions between FRR and the kernel."""
    text, hers, guests, number = "", [], [], 0
    cases = []
    for covered in (True, False):
        for length in (12, 16):
            peers = []
            for algorithm in KERNEL_NAMES:
                if (16 if algorithm.endswith("128") else 12) != length:
                    continue
                for version in (4, 6):
                    number += 1
                    ours, theirs = ((f"10.77.0.{10 + number}", f"10.77.0.{100 + number}")
                                    if version == 4 else (f"fd77::1:{number}", f"fd77::2:{number}"))
                    bits = 24 if version == 4 else 64
                    lab.host.add_address("tap0", f"{ours}/{bits}")
                    lab.guest.add_address("vec0", f"{theirs}/{bits}")
                    key = Key(1, f"secret {number}", number, 100 + number, algorithm, covered)
                    text += key_chain(f"c{number}", [key])
                    text += tcp_ao(f"s{number}", theirs, f"c{number}", local=ours)
                    hers.append(Peer(theirs, 65002, local=ours, passive=opener == "kernel"))
                    peers.append(Peer(ours, 65001, local=theirs, ao_keys=as_kernel_keys([key]),
                                      passive=opener == "gatehouse"))
                    cases.append((f"s{number}", algorithm, covered, ours, theirs))
            guests.append(Bird(lab.guest, 65002, peers, [f"198.51.100.{number}/32"],
                               router_id=f"10.255.1.{number}", name=f"bird{number}",
                               programs=newer_bird, env=environment(ao_preload, covered, length)))
    gatehouse = Gatehouse(lab.host, build_dir, text).start()
    capture = Capture(lab.host, "tap0", "tcp port 179")
    frr = Frr(lab.host, 65001, hers, ROUTES)
    for daemon in (*guests, frr) if opener == "gatehouse" else (frr, *guests):
        daemon.start()
    for peer in hers:
        frr.wait_established(peer.address)
    frr.wait_routes(set().union(*(g.announce for g in guests)))
    for guest in guests:
        guest.wait_routes(ROUTES)
    for name, algorithm, covered, ours, theirs in cases:
        gatehouse.wait_up(name)
        connection = gatehouse.connection(name)
        assert connection["authentication"]["algorithm"] == algorithm
        assert connection["type"] == ("active" if opener == "gatehouse" else "passive")
        assert gatehouse.counters(name)["bad-mac"] == 0
        assert frr.flaps(theirs) == 0
    assert lab.failures() == dict.fromkeys(FAILURES, 0)
    assert lab.guest.counters()["TCPAOGood"] > 5 * len(cases)
    segments = assert_verified(gatehouse, capture)
    for name, algorithm, covered, ours, theirs in cases:
        mine = [s for s in segments if ours in (s.src, s.dst)]
        assert {len(s.ao[2]) for s in mine} == {16 if algorithm.endswith("128") else 12}
        syns = {s.src for s in mine if s.flags & (SYN | ACK) == SYN}
        assert syns == {ours if opener == "gatehouse" else theirs}
    seen(end(frr), end(guests[0], KERNEL), opened="FRR" if opener == "gatehouse" else "the kernel's BIRD",
         algorithms=", ".join(KERNEL_NAMES), options="covered and not")


class Rollover:
    """One IPv4 and one IPv6 session with routes coming and going."""

    def __init__(self, lab, build_dir, newer_bird, keys, kernel_keys, tolerance=30):
        self.lab = lab
        self.gatehouse = Gatehouse(lab.host, build_dir, config(
            keys, {"v4": GUEST4, "v6": GUEST6}, tolerance)).start()
        self.capture = Capture(lab.host, "tap0", "tcp port 179")
        self.frr = Frr(lab.host, 65001, [Peer(GUEST4, 65002), Peer(GUEST6, 65002)], hold_time=9)
        self.bird = Bird(lab.guest, 65002, [Peer(HOST4, 65001, ao_keys=kernel_keys, passive=True),
                                            Peer(HOST6, 65001, ao_keys=kernel_keys, passive=True)],
                         [*ROUTES, "2001:db8:b::/48"], programs=newer_bird, hold_time=9)
        self.frr.start()
        self.bird.start()
        self.frr.wait_established(GUEST4)
        self.frr.wait_established(GUEST6)
        self.frr.wait_routes(ROUTES)
        self.before = lab.failures()
        self.good = lab.guest.counters()["TCPAOGood"]
        self.refused = {n: self.gatehouse.refused(n) for n in ("v4", "v6")}
        self.count = 0

    def churn(self):
        word = "enable" if self.count % 2 else "disable"
        self.bird.birdc(f"{word} static4")
        self.bird.birdc(f"{word} static6")
        self.count += 1

    def wait_keys(self, ours, theirs, timeout=40):
        """ours: (current, rnext) key numbers of Gatehouse; theirs: ids of the kernel."""
        def moved():
            self.churn()
            return (all(self.gatehouse.keys(n) == ours for n in ("v4", "v6")) and
                    all(self.bird.ao_keys(p) == theirs for p in (HOST4, HOST6)))
        wait_for(moved, timeout, lambda: f"keys {ours} and {theirs}; they are "
                 f"{self.gatehouse.keys('v4')} and {self.bird.ao_keys(HOST4)}")

    def assert_unnoticed(self, ours, theirs):
        """ours, theirs: the KeyIDs that each side must have used, and no segment was lost by it."""
        while self.count % 2:
            self.churn()
        self.frr.wait_routes(ROUTES)

        def seen():
            self.churn()
            segments = self.capture.segments()
            return all({s.ao[0] for s in segments if s.src in side} == ids for side, ids in (
                ((HOST4, HOST6), ours), ((GUEST4, GUEST6), theirs)))
        wait_for(seen, 10, f"KeyIDs {ours} and {theirs} are on the wire")
        assert self.frr.flaps(GUEST4) == self.frr.flaps(GUEST6) == 0
        assert self.bird.flaps(HOST4) == self.bird.flaps(HOST6) == 0
        assert self.lab.failures() == self.before
        assert self.lab.guest.counters()["TCPAOGood"] > self.good
        assert {n: self.gatehouse.refused(n) for n in ("v4", "v6")} == self.refused
        segments = self.capture.stop()
        assert_signed(segments)
        assert self.gatehouse.verify(self.capture.path)["failed"] == 0


def test_rollover_from_gatehouse_by_lifetime(lab, build_dir, newer_bird):
    """Gatehouse's clock moves it; the kernel, which knows no lifetimes, follows RNextKeyID."""
    change = 12
    keys = [Key(1, "first", 3, 8, options=lifetime(-600, change)),
            Key(2, "second", 4, 9, "aes-128-cmac-96", options=lifetime(change))]
    roll = Rollover(lab, build_dir, newer_bird, keys, as_kernel_keys(keys, preferred=1))
    assert roll.gatehouse.keys("v4") == (1, 1), "the test came up too late to see the first key"
    # The kernel signs with what we ask for; what it asks for is its own affair: the old key until
    # its BIRD is told, so that we send with the old one until its lifetime ends.
    roll.wait_keys((2, 2), (9, 3))
    roll.assert_unnoticed({3, 4}, {8, 9})
    seen(end(roll.frr), end(roll.bird, KERNEL), algorithms="hmac-sha-1-96, aes-128-cmac-96",
         also="rollover by Gatehouse's lifetimes under route churn: nothing refused at either end")


def test_rollover_from_the_kernel(lab, build_dir, newer_bird):
    """BIRD prefers the second key: Gatehouse follows; then Gatehouse drops the first by reload."""
    first, second = Key(1, "first", 3, 8), Key(2, "second", 4, 9, "hmac-sha-256-128")
    # Both valid at our end; the first is the preferred one, for it began last.
    keys = [dataclasses.replace(first, options=lifetime(-60)),
            dataclasses.replace(second, algorithm="hmac-sha-256-96", options=lifetime(-600))]
    roll = Rollover(lab, build_dir, newer_bird, keys, as_kernel_keys(keys, preferred=1))
    assert roll.gatehouse.keys("v4") == (1, 1)
    for peer in roll.bird.peers:
        peer.ao_keys = as_kernel_keys(keys, preferred=2, deprecated=1)
    roll.bird.reconfigure()
    # The kernel asks for key 2 by RNextKeyID 4: we sign with it. We go on asking for key 1.
    roll.wait_keys((2, 1), (8, 4))
    # Our own preference moves by reload: then the kernel's signing moves, too.
    later = [keys[0], dataclasses.replace(keys[1], options=lifetime(-30))]
    roll.gatehouse.configure(config(later, {"v4": GUEST4, "v6": GUEST6}, 30))
    roll.gatehouse.reload()
    roll.wait_keys((2, 2), (9, 4))
    roll.assert_unnoticed({3, 4}, {8, 9})
    seen(end(roll.frr), end(roll.bird, KERNEL), algorithms="hmac-sha-1-96, hmac-sha-256-96",
         also="rollover by BIRD's preferred and deprecated keys: nothing refused at either end")


def test_wrong_key_is_refused_at_both_ends(lab, build_dir, newer_bird):
    """Another secret, another id, none at all: neither end lets the other in, and we say why."""
    cases = {"secret": (Key(1, "ours", 3, 8), [AoKey(8, 3, "theirs")], "wrong-key"),
             "ids": (Key(1, "same", 3, 8), [AoKey(3, 8, "same")], "unknown-keyid"),
             "none": (Key(1, "same", 3, 8), None, "peer-without-ao")}
    text, frr_peers, bird_peers = "", [], []
    for n, (name, (key, theirs, _)) in enumerate(cases.items()):
        ours, their = f"10.77.0.{11 + n}", f"10.77.0.{101 + n}"
        lab.host.add_address("tap0", f"{ours}/24")
        lab.guest.add_address("vec0", f"{their}/24")
        text += key_chain(name, [key]) + tcp_ao(name, their, name, local=ours)
        frr_peers.append(Peer(their, 65002, local=ours))
        bird_peers.append(Peer(ours, 65001, local=their, ao_keys=theirs))
    gatehouse = Gatehouse(lab.host, build_dir, text).start()
    frr = Frr(lab.host, 65001, frr_peers).start()
    bird = Bird(lab.guest, 65002, bird_peers, programs=newer_bird).start()
    for name, (_, _, cause) in cases.items():
        wait_cause(gatehouse, name, cause)
    wait_for(lambda: lab.failures()["TCPAOBad"] and lab.failures()["TCPAOKeyNotFound"], 20,
             lambda: f"the kernel counts its refusals: {lab.failures()}")
    for peer, other in zip(frr_peers, bird_peers):
        assert not frr.established(peer.address)
        assert not bird.established(other.address)


def test_icmp_hard_errors_are_ignored(lab, build_dir, newer_bird):
    """RFC 5925 7.8: port unreachable about a live connection is counted; the stack never sees it."""
    keys = [Key(1, "first", 3, 8)]
    gatehouse = Gatehouse(lab.host, build_dir, config(keys, {"v4": GUEST4, "v6": GUEST6})).start()
    bird = Bird(lab.host, 65001, [Peer(GUEST4, 65002), Peer(GUEST6, 65002)]).start()
    Bird(lab.guest, 65002, [Peer(HOST4, 65001, ao_keys=as_kernel_keys(keys), passive=True),
                            Peer(HOST6, 65001, ao_keys=as_kernel_keys(keys), passive=True)],
         ROUTES, programs=newer_bird).start()
    bird.wait_established(GUEST4)
    bird.wait_established(GUEST6)
    for name in ("v4", "v6"):
        gatehouse.wait_up(name)
    before = unreachables_seen(lab.host)
    forge_unreachable(lab, gatehouse)
    for name in ("v4", "v6"):
        wait_for(lambda: gatehouse.counters(name)["icmp-ignored"] > 0, 10, "the error is counted")
    assert unreachables_seen(lab.host) == before
    assert bird.established(GUEST4) and bird.established(GUEST6)
    assert bird.flaps(GUEST4) == bird.flaps(GUEST6) == 0


def unreachables_seen(host):
    """How many the host's stack has been given, IPv4 and IPv6."""
    text = host.run(["cat", "/proc/net/snmp", "/proc/net/snmp6"]).stdout
    names, values = (line.split() for line in text.splitlines() if line.startswith("Icmp:"))
    six = re.search(r"^Icmp6InDestUnreachs\s+(\d+)", text, re.MULTILINE)
    return int(dict(zip(names, values))["InDestUnreachs"]), int(six[1])


def forge_unreachable(lab, gatehouse):
    """The guest sends port unreachable about a segment of each session that we just sent."""
    code = "from scapy.all import *\n"
    for name, layers in (("v4", "IP(src='{g}',dst='{h}')/ICMP(type=3,code=3)/IP(src='{h}',dst='{g}')"),
                         ("v6", "IPv6(src='{g}',dst='{h}')/ICMPv6DestUnreach(code=4)"
                                "/IPv6(src='{h}',dst='{g}')")):
        c = gatehouse.connection(name)
        host, guest = (c[side].rpartition(":") for side in ("local", "remote"))
        code += ("send(" + layers.format(h=host[0].strip("[]"), g=guest[0].strip("[]")) +
                 f"/TCP(sport={host[2]},dport={guest[2]},seq={c['sequence']['send_highest']}),"
                 "verbose=0,count=3)\n")
    lab.guest.run(["/usr/bin/python3", "-c", code])


def test_gatehouse_inside_the_lab_kernel(lab, build_dir):
    """There the firewall queues by nftables; BIRD 2.0 and Gatehouse on both sides."""
    keys = [Key(1, "first", 3, 8)]
    outside = Gatehouse(lab.host, build_dir, config(keys, {"v4": GUEST4, "v6": GUEST6})).start()
    inside = Gatehouse(lab.guest, build_dir,
                       config(swapped(keys), {"v4": HOST4, "v6": HOST6})).start()
    assert "nftables" in inside.tail()
    assert "queue" in lab.guest.run(["nft", "list", "ruleset"]).stdout
    capture = Capture(lab.host, "tap0", "tcp port 179")
    frr = Frr(lab.host, 65001, [Peer(GUEST4, 65002), Peer(GUEST6, 65002)], ROUTES).start()
    bird = Bird(lab.guest, 65002, [Peer(HOST4, 65001, passive=True),
                                   Peer(HOST6, 65001, passive=True)], ["198.51.100.0/24"]).start()
    frr.wait_established(GUEST4)
    frr.wait_established(GUEST6)
    bird.wait_routes(ROUTES)
    frr.wait_routes(["198.51.100.0/24"])
    for name in ("v4", "v6"):
        inside.wait_up(name)
        assert inside.connection(name)["protected"]
    assert_verified(outside, capture)
    inside.kill("ao")
    bird.birdc("disable static4")
    wait_for(lambda: "198.51.100.0/24" not in frr.routes(), 30, "the withdrawal arrives")
    assert frr.flaps(GUEST4) == 0
    seen(end(frr), end(bird), also="nftables' queue; kill -9 of the engine there")


def test_vrf_against_the_kernels_own(lab, build_dir, newer_bird):
    """Both in the guest: Gatehouse for a session inside a VRF, the kernel's TCP-AO as its peer."""
    guest = lab.guest
    guest.run(["ip", "link", "add", "red", "type", "vrf", "table", "10"])
    guest.run(["ip", "link", "set", "red", "up"])
    peer = guest.namespace("peer")
    guest.run(["ip", "link", "add", "veth0", "type", "veth", "peer", "name", "eth0", "netns", "peer"])
    guest.run(["ip", "link", "set", "veth0", "master", "red"])
    guest.run(["ip", "link", "set", "veth0", "up"])
    peer.run(["ip", "link", "set", "eth0", "up"])
    for version, ours, theirs, bits in ((4, "10.79.0.1", "10.79.0.2", 24),
                                        (6, "fd79::1", "fd79::2", 64)):
        guest.add_address("veth0", f"{ours}/{bits}")
        peer.add_address("eth0", f"{theirs}/{bits}")
    keys = [Key(1, "in the red", 3, 8)]
    gatehouse = Gatehouse(guest, build_dir, config(keys, {"v4": "10.79.0.2", "v6": "fd79::2"},
                                                   vrf="red")).start()
    kernel_keys = as_kernel_keys(keys)
    ours = Bird(guest, 65001, [Peer("10.79.0.2", 65002, local="10.79.0.1", vrf="red"),
                               Peer("fd79::2", 65002, local="fd79::1", vrf="red")], ROUTES,
                programs=newer_bird).start()
    theirs = Bird(peer, 65002, [Peer("10.79.0.1", 65001, ao_keys=kernel_keys),
                                Peer("fd79::1", 65001, ao_keys=kernel_keys)],
                  ["198.51.100.0/24"], programs=newer_bird, name="peer").start()
    ours.wait_established("10.79.0.2")
    ours.wait_established("fd79::2")
    theirs.wait_routes(ROUTES)
    for name in ("v4", "v6"):
        gatehouse.wait_up(name)
        assert gatehouse.connection(name)["protected"]
    counters = peer.counters()
    assert counters["TCPAOGood"] > 10
    assert all(counters[name] == 0 for name in FAILURES)
    seen(end(ours), end(theirs, KERNEL), also="inside a VRF")


def test_vrf_against_gatehouse_outside(lab, build_dir, newer_bird):
    """The guest's own interface is in the VRF; the peer is Gatehouse with FRR on the host."""
    lab.guest.run(["ip", "link", "add", "red", "type", "vrf", "table", "10"])
    lab.guest.run(["ip", "link", "set", "red", "up"])
    lab.guest.run(["ip", "link", "set", "vec0", "master", "red"])
    lab.guest.add_address("vec0", f"{GUEST6}/64")  # the kernel forgets IPv6 addresses there
    keys = [Key(1, "in the red", 3, 8, "hmac-sha-256-128")]
    outside = Gatehouse(lab.host, build_dir, config(keys, {"v4": GUEST4, "v6": GUEST6})).start()
    inside = Gatehouse(lab.guest, build_dir, config(swapped(keys), {"v4": HOST4, "v6": HOST6},
                                                    vrf="red")).start()
    capture = Capture(lab.host, "tap0", "tcp port 179")
    frr = Frr(lab.host, 65001, [Peer(GUEST4, 65002), Peer(GUEST6, 65002)], ROUTES).start()
    bird = Bird(lab.guest, 65002, [Peer(HOST4, 65001, local=GUEST4, vrf="red"),
                                   Peer(HOST6, 65001, local=GUEST6, vrf="red")],
                programs=newer_bird).start()
    frr.wait_established(GUEST4)
    frr.wait_established(GUEST6)
    bird.wait_routes(ROUTES)
    for name in ("v4", "v6"):
        inside.wait_up(name)
        assert inside.session(name)["vrf"] == "red" and inside.connection(name)["protected"]
    assert_verified(outside, capture)
    seen(end(frr), end(bird), algorithms="hmac-sha-256-128", also="inside a VRF at the other end")
    # This kernel aborts no socket on demand (CONFIG_INET_DIAG_DESTROY): the reset comes with the
    # peer's next segment.
    inside.gatectl("reset-session", "v4")
    frr.vtysh(f"clear bgp {GUEST4} soft out")
    wait_for(lambda: frr.flaps(GUEST4) == 1, 10, "the session is reset")
    frr.wait_established(GUEST4)
