"""Somebody on the wire between two sites: what is sent again, late, cut, changed or made up is dropped and
counted by its reason, and the traffic of the sites loses nothing by it.

The raw material are real packets: the wire (tamper.py) keeps one back, the test makes of it what it likes,
and then lets it go on, which must still be taken.
"""

import dataclasses
import ipaddress
import random
import re
import struct

import pytest

import netns
from ike import section
from netns import A4, A6, B4, B6
from pings import answered, ping_each
from tamper import Tamper
from test_ipsec import HOST_A, HOST_B, Pinging, Sites, ping, sas, transfer
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

    @property
    def protocol(self):
        return self.outer[9 if self.v4 else 6]

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

    def __init__(self, gatehouse):
        self.gatehouse = gatehouse
        self.before = self.counted()

    def counted(self):
        return self.gatehouse.ask("show", "ipsec", "counters")["in"]

    def now(self):
        after = self.counted()
        return {name: after[name] - self.before[name] for name in after
                if name not in ("ok", "ike") and after[name] != self.before[name]}

    def wait(self, count, timeout=10):
        """So many in all."""
        wait_for(lambda: sum(self.now().values()) >= count, timeout,
                 lambda: f"{count} are dropped: {self.now()}\n{self.gatehouse.tail()}")
        found = self.now()
        assert sum(found.values()) == count, found
        return found


def on(*kinds):
    """For tests with `sites`: with which packets."""
    return pytest.mark.parametrize("kind, v6", [(kind.removesuffix("-6"), kind.endswith("-6")) for kind in kinds],
                                   ids=kinds, scope="module")


EACH = on("esp", "udp", "ah", "esp-6", "udp-6")


@pytest.fixture(scope="module")
def pairs(build_dir):
    """Those that several tests attack one after the other."""
    made, net = {}, None

    def pair(kind, v6):
        nonlocal net
        if (kind, v6) not in made:
            if net:
                net.destroy()
            made.clear()
            net = netns.Net()
            made[kind, v6] = Attacked(net, build_dir, kind, v6)
        return made[kind, v6]
    yield pair
    if net:
        net.destroy()


@pytest.fixture
def sites(pairs, kind, v6):
    return pairs(kind, v6)


# ---- What was there before ------------------------------------------------------------------------

@EACH
def test_sent_again(sites):
    """Each packet twice; then one from the beginning, after more than the window has come."""
    dropped, first = Dropped(sites.one), sites.sa()["in"]["sequence"]
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
    assert sites.sa()["in"]["sequence"] - first > WINDOW + 20 + len(again)
    old = Dropped(sites.one)
    sites.wire.inject("right", *again[:20])
    assert old.wait(20) == {sites.late: 20}


@on("esp")
def test_in_another_order(sites):
    """Within the window nothing is lost, however they come; what is later than the window is."""
    dropped = Dropped(sites.one)
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


@EACH
def test_sent_again_to_the_next_process(sites):
    """What one `esp` took the next one does not, nor what it missed: the numbers are in memory that
    outlives it."""
    seen = []

    def look(side, frame):
        if side == "right" and Packet.of(frame):
            seen.append(frame)
    pinging = Pinging(sites.a, HOST_A, HOST_B)
    with sites.wire.doing(look):
        pinging.wait_more(20)
    missed = sites.keep_one()
    pinging.wait_more(20)
    assert pinging.lost() <= 1
    sites.one.kill("esp")
    wait_for(lambda: sites.ping(1) == 1, 10, lambda: f"the next one\n{sites.one.tail()}")
    dropped = Dropped(sites.one)
    sites.wire.inject("right", *seen, missed.frame())
    assert dropped.wait(len(seen) + 1) == {"replay": len(seen) + 1}
    assert sites.ping() == 5


@on("esp")
def test_a_bad_line(sites):
    """Lost, doubled and late packets of ESP and IKE, and new keys meanwhile: TCP gets through, and nothing is
    ever taken for a forgery."""
    dropped = [Dropped(gatehouse) for gatehouse in (sites.one, sites.two)]
    chance = random.Random(6)
    late = {"left": [], "right": []}

    def bad(side, frame):
        if frame[12:14] != b"\x08\x00":
            return None
        luck, passing = chance.random(), [frame]
        if luck < 0.03:
            passing = []
        elif luck < 0.06:
            passing = [frame, frame]
        elif luck < 0.09:
            late[side].append(frame)
            passing = []
        if late[side] and chance.random() < 0.3:
            passing.append(late[side].pop(0))
        return passing
    with sites.wire.doing(bad):
        for n, gatehouse in enumerate((sites.one, sites.two, sites.one)):
            first = sas(gatehouse)[-1]
            gatehouse.gatectl("ike", "rekey", "child", str(first["id"]))
            transfer(sites.a, sites.b, HOST_A, HOST_B, 300_000)
            wait_for(lambda: any(sa["in"]["spi"] != first["in"]["spi"] and sa["state"] == "installed"
                                 for sa in sas(gatehouse)), 20, lambda: f"new keys, {n}\n{gatehouse.tail()}")
    for found in (each.now() for each in dropped):
        assert set(found) <= {"replay", "unknown-spi"}, found
    wait_for(lambda: sites.ping() == 5, 10, "nothing is lost any more")
    wait_for(lambda: len(sas(sites.one)) == len(sas(sites.two)) == 1, 15, "one SA each is left")


# ---- What was changed -----------------------------------------------------------------------------

@EACH
def test_cut(sites):
    """A packet cut to each length, then the whole one; nothing but that is taken."""
    packet = sites.keep_one()
    pinging = Pinging(sites.a, HOST_A, HOST_B)
    dropped = Dropped(sites.one)
    cuts = [packet.with_body(packet.body[:n]) for n in range(len(packet.body))]
    sites.wire.inject("right", *(cut.frame() for cut in cuts))
    # An empty datagram is nothing at all to IKE's socket, which has what is shorter than its marker.
    to_ike = 4 if packet.between else 0
    found = dropped.wait(len(cuts) - to_ike)
    assert set(found) <= {"malformed", "truncated", "unknown-spi", "icv", "keepalive"}, found
    assert pinging.lost() == 0
    answered = Dropped(sites.one)
    sites.wire.inject("right", packet.frame(), packet.frame())
    assert answered.wait(1) == {"replay": 1}


@EACH
def test_bits(sites):
    """Every bit of a packet, one after the other; then the packet itself."""
    packet = sites.keep_one()
    pinging = Pinging(sites.a, HOST_A, HOST_B)
    before, dropped = sites.memory(), Dropped(sites.one)
    flips = [flip.frame() for flip in packet.bit_flips()]
    for at in range(0, len(flips), 100):
        sites.wire.inject("right", *flips[at:at + 100])
        dropped.wait(min(at + 100, len(flips)))
    found = dropped.now()
    assert set(found) <= {"unknown-spi", "icv", "malformed", "truncated", "old", "replay"}, found
    assert found["unknown-spi"] == 32  # the bits of the SPI
    assert found["icv"] > 200
    assert pinging.lost() == 0
    last = Dropped(sites.one)
    sites.wire.inject("right", packet.frame(), packet.frame())
    assert last.wait(1) == {"replay": 1}
    assert sites.memory() - before < 512


@on("ah")
def test_another_header(sites):
    """AH protects what does not change on its way; of ESP's header it is the address that counts."""
    packet = sites.keep_one()
    dropped = Dropped(sites.one)
    outer = packet.outer

    def changed(at, octets):
        return packet.with_outer(outer[:at] + octets + outer[at + len(octets):]).frame()
    sites.wire.inject("right", changed(4, b"\x12\x34"), changed(12, ipaddress.ip_address("10.77.0.9").packed))
    assert dropped.wait(2) == {"icv": 1, "address": 1}
    # What may change does no harm: TTL and traffic class.
    again = Dropped(sites.one)
    sites.wire.inject("right", changed(1, b"\xb8"), changed(8, b"\x05"))
    assert again.wait(1) == {"replay": 1}


@on("udp")
def test_from_another_port(sites):
    """A peer behind a NAT is followed where its packets come from; not where others send them again from."""
    packet = sites.keep_one()
    where, first = sites.sa()["remote"], sites.sa()["in"]["sequence"]
    dropped = Dropped(sites.one)
    sites.wire.inject("right", packet.frame())
    wait_for(lambda: sites.sa()["in"]["sequence"] > first, 5, "the packet is in")
    elsewhere = dataclasses.replace(packet, between=b"\x13\x88" + packet.between[2:])
    broken = elsewhere.with_body(packet.body[:-1] + bytes([packet.body[-1] ^ 1]))
    address = elsewhere.with_outer(packet.outer[:12] + b"\x0a\x4d\x00\x63" + packet.outer[16:])
    sites.wire.inject("right", elsewhere.frame(), broken.frame(), address.frame())
    assert dropped.wait(3) == {"replay": 3}
    assert sites.sa()["remote"] == where
    assert sites.ping() == 5


@EACH
def test_made_up(sites):
    """A thousand packets of SAs that there are not, and rubbish of all lengths: counted, and forgotten."""
    packet = sites.keep_one()
    chance = random.Random(4303)
    pinging = Pinging(sites.a, HOST_A, HOST_B)
    at, ah = (4 if packet.protocol == AH else 0), packet.protocol == AH

    def stranger():
        spi = chance.randrange(256, 1 << 32).to_bytes(4, "big")
        return packet.with_body(packet.body[:at] + spi + packet.body[at + 4:])

    def rubbish():
        return packet.with_body(bytes([1 + chance.randrange(255)]) + chance.randbytes(chance.randrange(20 if ah else 8,
                                                                                                        1400)))
    memory, dropped, sent = sites.memory(), Dropped(sites.one), 0
    for make in (stranger, rubbish):
        for _ in range(10):
            sites.wire.inject("right", *(make().frame() for _ in range(50)))
            sent += 50
            dropped.wait(sent)
    assert set(dropped.now()) <= {"unknown-spi", "malformed", "truncated"}, dropped.now()
    assert dropped.now()["unknown-spi"] >= 500
    assert pinging.lost() == 0
    assert sites.memory() - memory < 512


# ---- Pieces ---------------------------------------------------------------------------------------

def pieces(packet, spans, identification=0x4711):
    """IPv4 fragments of it with these spans of its payload."""
    body = packet.between + packet.body
    for start, end in spans:
        more = 0x2000 if end < len(body) else 0
        outer = packet.outer[:4] + struct.pack("!HH", identification, more | start // 8) + packet.outer[8:]
        yield dataclasses.replace(packet, outer=outer, between=b"", body=body[start:end]).frame()


@on("esp", "udp")
def test_fragments(sites):
    """Overlapping fragments make no packet, unfinished ones nothing at all, right ones the packet."""
    packet = sites.keep_one()
    pinging = Pinging(sites.a, HOST_A, HOST_B)
    dropped = Dropped(sites.one)
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


@EACH
def test_icmp_errors(sites):
    """Errors that quote what a sends, with MTUs that nobody has. Who does not know the SPI changes nothing;
    who does makes the path narrow, but never narrower than any is: nothing is lost, small or large."""
    sent = []

    def look(side, frame):
        if side == "left" and Packet.of(frame):
            sent.append(frame)

    def forge(quoted):
        for kind, code, rest in (ERRORS if Packet.of(quoted).v4 else ERRORS6):
            sites.wire.inject("right", *[icmp_error(quoted, kind, code, rest)] * 5)
            pinging.wait_more(3)

    def all_sizes(*options):
        for size in (1000, 1362, 4000):
            said = ping_each(sites.a, HOST_B, "-I", HOST_A, "-s", size, *options, count=2)
            assert answered(said) == 2, f"{size}: {said}"
    pinging = Pinging(sites.a, HOST_A, HOST_B)
    with sites.wire.doing(look):
        pinging.wait_more(20)
        packet = Packet.of(sent[-1])
        at = 4 if packet.protocol == AH else 0
        forge(packet.with_body(packet.body[:at] + b"\x12\x34\x56\x78" + packet.body[at + 4:]).frame())
        all_sizes()
        forge(sent[-1])
    assert pinging.lost() == 0
    all_sizes("-M", "dont")
    wait_for(lambda: ping(sites.a, HOST_A, HOST_B, 1) == 1, 10, "with DF, too")
    transfer(sites.b, sites.a, HOST_B, HOST_A)
    assert sites.one.ask("show", "ipsec", "counters")["packets"]["send-failed"] == 0
