"""Somebody on the wire between two sites: what is sent again, late, cut, changed or made up is dropped and
counted by its reason, and the traffic of the sites loses nothing by it.

The raw material are real packets: the wire (tamper.py) keeps one back, the test makes of it what it likes,
and then lets it go on, which must still be taken.
"""

import dataclasses
import ipaddress
import os
import re
import struct

import pytest

from ike import section
from netns import A4, A6, B4, B6
from tamper import Tamper
from test_ipsec import HOST_A, HOST_B, Pinging, Sites, sas, transfer
from wait import wait_for

ESP, AH, UDP, ICMP, ICMPV6 = 50, 51, 17, 1, 58
WINDOW = 1024


# ---- Packets ------------------------------------------------------------------------------------

def checksum(data):
    total = sum(struct.unpack(f"!{(len(data) + 1) // 2}H", data + b"\0" * (len(data) % 2)))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff


@dataclasses.dataclass(frozen=True)
class Packet:
    """An Ethernet frame with IP in it, in parts: `outer` is the IP header, `between` the UDP header."""
    ethernet: bytes
    outer: bytes
    between: bytes
    body: bytes  # from the SPI (AH: from its next header) on

    @staticmethod
    def of(frame):
        """None: nothing of IPsec's."""
        v4 = frame[12:14] == b"\x08\x00"
        if not v4 and frame[12:14] != b"\x86\xdd":
            return None
        at = 14 + ((frame[14] & 15) * 4 if v4 else 40)
        end = 14 + struct.unpack("!H", frame[16:18])[0] if v4 else 54 + struct.unpack("!H", frame[18:20])[0]
        protocol = frame[23] if v4 else frame[20]
        if protocol in (ESP, AH):
            return Packet(frame[:14], frame[14:at], b"", frame[at:end])
        if protocol != UDP or frame[at + 2:at + 4] != b"\x11\x94" or frame[at + 8:at + 12] == bytes(4):
            return None
        return Packet(frame[:14], frame[14:at], frame[at:at + 8], frame[at + 8:end])

    @property
    def v4(self):
        return self.outer[0] >> 4 == 4

    def with_body(self, body):
        return dataclasses.replace(self, body=body)

    def with_outer(self, outer):
        return dataclasses.replace(self, outer=outer)

    def frame(self):
        """With lengths and checksums that are right for what is in it."""
        between = self.between
        if between:
            between = between[:4] + struct.pack("!H", 8 + len(self.body)) + bytes(2)
            if not self.v4:
                pseudo = self.outer[8:40] + struct.pack("!II", 8 + len(self.body), UDP)
                between = between[:6] + struct.pack("!H", checksum(pseudo + between + self.body) or 0xffff)
        inside = between + self.body
        outer = self.outer
        if self.v4:
            outer = outer[:2] + struct.pack("!H", len(outer) + len(inside)) + outer[4:10] + bytes(2) + outer[12:]
            outer = outer[:10] + struct.pack("!H", checksum(outer)) + outer[12:]
        else:
            outer = outer[:4] + struct.pack("!H", len(inside)) + outer[6:]
        return self.ethernet + outer + inside

    def bit_flips(self):
        for bit in range(8 * len(self.body)):
            octet = self.body[bit // 8] ^ (0x80 >> bit % 8)
            yield self.with_body(self.body[:bit // 8] + bytes([octet]) + self.body[bit // 8 + 1:])


# ---- Two sites and what is between them -----------------------------------------------------------

class Attacked(Sites):
    """What comes to a is counted."""

    def __init__(self, net, build_dir, kind="esp", v6=False):
        self.net = net
        a, b = net.namespace("a"), net.namespace("b")
        self.wire = Tamper(net, a, b, ((f"{A4}/24", f"{B4}/24"), (f"{A6}/64", f"{B6}/64")))
        options = {}
        if kind == "ah":
            head = section('ipsec-transform "t"', protocol="ah", integrity=["hmac-sha-256-128"], esn=["no"])
        else:
            head = section('ipsec-transform "t"', esn=["yes" if kind == "udp" else "no"])
        if kind == "udp":
            head, options = head + section('ike-policy "nat"', force_nat_t=True), {"ike_policy": "nat"}
        # With extended numbers what is behind the window is taken for the same number of the next 2^32.
        self.late = "icv" if kind == "udp" else "old"
        super().__init__(net, build_dir, v6, head, {"ipsec_transform": ["t"]}, hosts=(a, b), **options)
        assert self.ping() == 5

    def counted(self):
        return self.one.ask("show", "ipsec", "counters")["in"]

    def sa(self):
        one, = sas(self.one)
        return one

    def keep_one(self):
        """A packet of b's that a has not seen, and will not unless it is injected."""
        kept = []

        def keep(side, frame):
            packet = Packet.of(frame)
            if side == "right" and packet and not kept:
                kept.append(packet)
                return []
            return None
        with self.wire.doing(keep):
            self.b.run(["ping", "-c", 1, "-W", 0.2, "-s", 20, "-I", HOST_B, HOST_A], check=False)
            wait_for(lambda: kept, 5, "a packet is kept")
        return kept[0]

    def memory(self):
        """Of the process `esp`, in kilobytes."""
        with open(f"/proc/{self.one.processes()['esp']}/status", encoding="ascii") as file:
            return int(re.search(r"VmRSS:\s+(\d+)", file.read())[1])


class Dropped:
    """What was dropped between then and now, by reason."""

    def __init__(self, sites):
        self.sites = sites
        self.before = sites.counted()

    def now(self):
        after = self.sites.counted()
        return {name: after[name] - self.before[name] for name in after
                if name not in ("ok", "ike") and after[name] != self.before[name]}

    def wait(self, count, timeout=10):
        """So many in all."""
        wait_for(lambda: sum(self.now().values()) >= count, timeout,
                 lambda: f"{count} are dropped: {self.now()}\n{self.sites.one.tail()}")
        found = self.now()
        assert sum(found.values()) == count, found
        return found


KINDS = pytest.mark.parametrize("kind, v6", [("esp", False), ("udp", False), ("ah", False), ("esp", True),
                                             ("udp", True)],
                                ids=["esp", "udp", "ah", "esp-6", "udp-6"])


@pytest.fixture
def sites(net, build_dir, kind, v6):
    return Attacked(net, build_dir, kind, v6)


# ---- What was there before ------------------------------------------------------------------------

@KINDS
def test_sent_again(sites):
    """Each packet twice; then one from the beginning, after more than the window has come."""
    dropped = Dropped(sites)
    again = []

    def twice(side, frame):
        if side != "right" or not Packet.of(frame):
            return None
        again.append(frame)
        return [frame, frame]
    with sites.wire.doing(twice):
        pinging = Pinging(sites.a, HOST_A, HOST_B)
        pinging.wait_more(30)
        assert pinging.lost() == 0
    assert dropped.wait(len(again)) == {"replay": len(again)}
    with open(pinging.log, encoding="utf-8") as file:
        assert "DUP" not in file.read()
    sites.wire.inject("right", *again[:20])
    assert dropped.wait(len(again) + 20) == {"replay": len(again) + 20}
    transfer(sites.a, sites.b, HOST_A, HOST_B, 2_000_000)
    assert sites.sa()["in"]["sequence"] > WINDOW + 20 + len(again)
    old = Dropped(sites)
    sites.wire.inject("right", *again[:20])
    assert old.wait(20) == {sites.late: 20}
    assert sites.sa()["in"]["drops"] == {"replay": len(again) + 20, sites.late: 20}


def test_in_another_order(net, build_dir):
    """Within the window nothing is lost, however they come; what is later than the window is."""
    sites = Attacked(net, build_dir)
    dropped = Dropped(sites)
    held = []

    def backwards(side, frame):
        if side != "right" or not Packet.of(frame):
            return None
        held.append(frame)
        if len(held) < 16:
            return []
        passing, held[:] = held[::-1], []
        return passing
    with sites.wire.doing(backwards):
        pinging = Pinging(sites.a, HOST_A, HOST_B)
        pinging.wait_more(64)
    sites.wire.inject("right", *held[::-1])
    assert pinging.lost() == 0
    assert dropped.now() == {}
    late = sites.keep_one()
    transfer(sites.a, sites.b, HOST_A, HOST_B, 2_000_000)
    sites.wire.inject("right", late.frame())
    assert dropped.wait(1) == {sites.late: 1}


# ---- What was changed -----------------------------------------------------------------------------

@KINDS
def test_cut(sites):
    """A packet cut to each length, then the whole one; nothing but that is taken."""
    packet = sites.keep_one()
    pinging = Pinging(sites.a, HOST_A, HOST_B)
    taken, dropped = sites.sa()["in"]["drops"], Dropped(sites)
    cuts = [packet.with_body(packet.body[:n]) for n in range(len(packet.body))]
    ike = sites.counted()["ike"]
    sites.wire.inject("right", *(cut.frame() for cut in cuts))
    # An empty datagram is nothing at all to IKE's socket, which has what is shorter than its marker.
    to_ike = 4 if packet.between else 0
    found = dropped.wait(len(cuts) - to_ike)
    assert taken == {} and set(found) <= {"malformed", "truncated", "unknown-spi", "icv", "keepalive"}, found
    assert sites.counted()["ike"] == ike
    assert pinging.lost() == 0
    answered = Dropped(sites)
    sites.wire.inject("right", packet.frame(), packet.frame())
    assert answered.wait(1) == {"replay": 1}


@KINDS
def test_bits(sites):
    """Every bit of a packet, one after the other; then the packet itself."""
    packet = sites.keep_one()
    pinging = Pinging(sites.a, HOST_A, HOST_B)
    before, dropped = sites.memory(), Dropped(sites)
    flips = [flip.frame() for flip in packet.bit_flips()]
    for at in range(0, len(flips), 100):
        sites.wire.inject("right", *flips[at:at + 100])
        dropped.wait(min(at + 100, len(flips)))
    found = dropped.now()
    assert set(found) <= {"unknown-spi", "icv", "malformed", "truncated", "old", "replay"}, found
    assert found["unknown-spi"] == 32  # the bits of the SPI
    assert found["icv"] > 200
    assert pinging.lost() == 0
    last = Dropped(sites)
    sites.wire.inject("right", packet.frame(), packet.frame())
    assert last.wait(1) == {"replay": 1}
    assert sites.memory() - before < 512


def test_another_header(net, build_dir):
    """AH protects what does not change on its way; of ESP's header it is the address that counts."""
    sites = Attacked(net, build_dir, "ah")
    packet = sites.keep_one()
    dropped = Dropped(sites)
    outer = packet.outer

    def changed(at, octets):
        return packet.with_outer(outer[:at] + octets + outer[at + len(octets):]).frame()
    sites.wire.inject("right", changed(4, b"\x12\x34"), changed(12, ipaddress.ip_address("10.77.0.9").packed))
    assert dropped.wait(2) == {"icv": 1, "address": 1}
    # What may change does no harm: TTL and traffic class.
    again = Dropped(sites)
    sites.wire.inject("right", changed(1, b"\xb8"), changed(8, b"\x05"))
    assert again.wait(1) == {"replay": 1}


def test_from_another_port(net, build_dir):
    """A peer behind a NAT is followed where its packets come from; not where others send them again from."""
    sites = Attacked(net, build_dir, "udp")
    packet = sites.keep_one()
    where = sites.sa()["remote"]
    dropped = Dropped(sites)
    sites.wire.inject("right", packet.frame())
    wait_for(lambda: sites.sa()["in"]["sequence"] >= 6, 5, "the packet is in")
    elsewhere = dataclasses.replace(packet, between=b"\x13\x88" + packet.between[2:])
    broken = elsewhere.with_body(packet.body[:-1] + bytes([packet.body[-1] ^ 1]))
    address = elsewhere.with_outer(packet.outer[:12] + b"\x0a\x4d\x00\x63" + packet.outer[16:])
    sites.wire.inject("right", elsewhere.frame(), broken.frame(), address.frame())
    assert dropped.wait(3) == {"replay": 3}
    assert sites.sa()["remote"] == where
    assert sites.ping() == 5


# ---- Pieces ---------------------------------------------------------------------------------------

def pieces(packet, spans, identification=0x4711):
    """IPv4 fragments of it with these spans of its payload."""
    body = packet.between + packet.body
    for start, end in spans:
        more = 0x2000 if end < len(body) else 0
        outer = packet.outer[:4] + struct.pack("!HH", identification, more | start // 8) + packet.outer[8:]
        yield dataclasses.replace(packet, outer=outer, between=b"", body=body[start:end]).frame()


@pytest.mark.parametrize("kind, v6", [("esp", False), ("udp", False)], ids=["esp", "udp"])
def test_fragments(sites):
    """Overlapping fragments make no packet, unfinished ones nothing at all, right ones the packet."""
    packet = sites.keep_one()
    pinging = Pinging(sites.a, HOST_A, HOST_B)
    dropped = Dropped(sites)
    before, memory = sites.sa()["in"]["packets"], sites.memory()
    body = packet.between + packet.body
    end = len(body)
    for overlap in ([(0, 48), (24, end)], [(24, end), (0, 48)], [(0, 32), (16, 48), (48, end)]):
        sites.wire.inject("right", *pieces(packet, overlap, 0x1000 + overlap[0][1]))
    for n in range(200):
        sites.wire.inject("right", *pieces(packet, [(0, 32)], 0x2000 + n))
    sites.wire.inject("right", *pieces(packet, [(0, 32), (32, end)]))
    sites.wire.inject("right", packet.frame())
    assert dropped.wait(1) == {"replay": 1}
    pinging.wait_more()
    assert pinging.lost() == 0
    assert sites.sa()["in"]["packets"] > before
    assert sites.memory() - memory < 512


# ---- ICMP -----------------------------------------------------------------------------------------

ERRORS = [(3, 4, 68), (3, 4, 0), (3, 4, 576), (3, 4, 65535), (3, 1, 0), (3, 2, 0), (3, 3, 0), (3, 13, 0), (11, 0, 0),
          (12, 0, 0), (5, 1, 0)]
ERRORS6 = [(2, 0, 1280), (2, 0, 68), (2, 0, 0), (1, 0, 0), (1, 1, 0), (1, 4, 0), (3, 0, 0), (4, 1, 0)]


def icmp_error(quoted, kind, code, rest):
    """About what a sent, from b's address."""
    packet = bytearray(quoted)
    ethernet = quoted[6:12] + quoted[:6] + quoted[12:14]
    if packet[14] >> 4 == 4:
        inside = struct.pack("!BBHI", kind, code, 0, rest) + bytes(packet[14:14 + 28 + 64])
        inside = inside[:2] + struct.pack("!H", checksum(inside)) + inside[4:]
        outer = b"\x45\0\0\0\x12\x34\0\0\x40\x01\0\0" + bytes(packet[30:34]) + bytes(packet[26:30])
    else:
        inside = struct.pack("!BBHI", kind, code, 0, rest) + bytes(packet[14:14 + 40 + 64])
        addresses = bytes(packet[38:54]) + bytes(packet[22:38])
        pseudo = addresses + struct.pack("!II", len(inside), ICMPV6)
        inside = inside[:2] + struct.pack("!H", checksum(pseudo + inside)) + inside[4:]
        outer = b"\x60\0\0\0\0\0\x3a\xff" + addresses
    return Packet(ethernet, outer, b"", inside).frame()


@KINDS
def test_icmp_errors(sites):
    """Errors that quote what a sends, with MTUs that nobody has: nothing is lost, small or large."""
    sent = []

    def look(side, frame):
        if side == "left" and Packet.of(frame):
            sent.append(frame)
    pinging = Pinging(sites.a, HOST_A, HOST_B)
    with sites.wire.doing(look):
        pinging.wait_more(20)
        for kind, code, rest in (ERRORS if Packet.of(sent[-1]).v4 else ERRORS6):
            for _ in range(5):
                sites.wire.inject("right", icmp_error(sent[-1], kind, code, rest))
            pinging.wait_more(3)
    assert pinging.lost() == 0
    for size in (1000, 1362, 4000):
        done = sites.a.run(["ping", "-c", 2, "-i", 0.1, "-s", size, "-W", 2, "-I", HOST_A, HOST_B], check=False)
        assert " 0% packet loss" in done.stdout, f"{size}: {done.stdout}"
    transfer(sites.b, sites.a, HOST_B, HOST_A)
    assert sites.one.ask("show", "ipsec", "counters")["packets"]["send-failed"] == 0
