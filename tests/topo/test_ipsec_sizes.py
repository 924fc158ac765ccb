"""Packets that are too long: for their child (ip-mtu), after protection (encapsulated-ip-mtu), for the
path that routers tell of; and errors that nobody on the path has sent, which must change nothing.

    h ── a (Gatehouse) ── r ── b (Gatehouse)          the link from r to b takes less, if a test says so
"""

import contextlib
import re
import struct
import time

import pytest

from capture import MSS, SYN, Capture, read_frames
from ike import SECRET, IkeGatehouse, child_section, peer_section, section
from pings import answered, ping_each
from wait import wait_for

A4, B4, A6, B6 = "10.77.0.1", "10.78.0.2", "fd77::1", "fd78::2"
HOST, FAR = "10.1.0.2", "10.2.0.1"
HOST6, FAR6 = "fd01::2", "fd02::1"
NETS_A, NETS_B = ("10.1.0.0/24", "fd01::/64"), ("10.2.0.0/24", "fd02::/64")
UDP, ESP = 17, 50


class Path:
    def __init__(self, net, build_dir, narrow=1500, v6=False, udp=False, child=()):
        self.h, self.a, self.r, self.b = (net.namespace(name) for name in "harb")
        net.link(self.h, self.a, (f"{HOST}/24", "10.1.0.1/24"), (f"{HOST6}/64", "fd01::1/64"), name_b="eth1",
                 mtu=9000)
        net.link(self.a, self.r, (f"{A4}/24", "10.77.0.254/24"), (f"{A6}/64", "fd77::254/64"))
        net.link(self.r, self.b, ("10.78.0.254/24", f"{B4}/24"), ("fd78::254/64", f"{B6}/64"),
                 name_a="eth1")
        for host, other in ((self.r, "eth1"), (self.b, "eth0")):
            host.run(["ip", "link", "set", other, "mtu", narrow])
        for router in (self.a, self.r, self.b):
            router.sysctl("net.ipv4.ip_forward", 1)
            router.sysctl("net.ipv6.conf.all.forwarding", 1)
            router.sysctl("net.ipv4.icmp_ratelimit", 0)
            router.sysctl("net.ipv6.icmp.ratelimit", 0)
        self.h.route("default", "10.1.0.1")
        self.h.run(["ip", "-6", "route", "add", "default", "via", "fd01::1"])
        self.a.route("10.78.0.0/24", "10.77.0.254")
        self.a.run(["ip", "-6", "route", "add", "fd78::/64", "via", "fd77::254"])
        self.b.route("10.77.0.0/24", "10.78.0.254")
        self.b.run(["ip", "-6", "route", "add", "fd77::/64", "via", "fd78::254"])
        self.b.add_address("lo", f"{FAR}/32")
        self.b.add_address("lo", f"{FAR6}/128")
        self.ends = (A6, B6) if v6 else (A4, B4)
        head = section('ike-policy "nat"', force_nat_t=True) if udp else ""
        options = {"ike_policy": "nat"} if udp else {}
        self.one = self._gatehouse(self.a, build_dir, head, self.ends, NETS_A, NETS_B, child, options)
        self.two = self._gatehouse(self.b, build_dir, head, self.ends[::-1], NETS_B, NETS_A, child,
                                   options)
        self.one.gatectl("ike", "initiate", "peer")
        self.one.wait_sas(1, 1)
        self.two.wait_sas(1, 1)

    @staticmethod
    def _gatehouse(host, build_dir, head, ends, ours, theirs, child, options):
        inner = child_section(local_ts=ours, remote_ts=theirs, **dict(child))
        return IkeGatehouse(host, build_dir, head + peer_section(
            psk_secret=SECRET, children=[inner], local=ends[0], remote=ends[1], **options)).start()

    def ping(self, size, target=FAR, df=False, count=2, host=None):
        """What ping says of each; size: of the whole packet."""
        header = 48 if ":" in target else 28
        return ping_each(host or self.h, target, "-M", "do" if df else "dont", "-s", size - header,
                         count=count, wait=2)

    def passes(self, size, target=FAR, df=False):
        said = self.ping(size, target, df)
        assert answered(said) == 2, f"{size}: {said}{self.sizes()}{self.one.tail()}"

    def refused(self, size, mtu, target=FAR):
        """With an error that tells this MTU."""
        said = self.ping(size, target, df=True)
        told = re.findall(r"mtu[ =]+(\d+)", "".join(said))
        assert answered(said) == 0 and str(mtu) in told, f"{size}: {said}{self.sizes()}"

    def sizes(self, gatehouse=None):
        return (gatehouse or self.one).ask("show", "ipsec", "counters")["sizes"]

    def sa(self):
        return self.one.ask("show", "ipsec", "sa")["sas"][0]

    def forget(self):
        """What the host has learned."""
        for family in ("-4", "-6"):
            self.h.run(["ip", family, "route", "flush", "cache"])


class Wire:
    """What leaves a towards r."""

    def __init__(self, path):
        self.capture = Capture(path.a, "eth0", "src host " + path.ends[0])

    def packets(self):
        self.capture.stop()
        return [frame[14:] for _, frame in read_frames(self.capture.path)
                if frame[14 + 6 if frame[14] >> 4 == 6 else 14 + 9] not in (1, 58)]


def is_fragment(packet):
    if packet[0] >> 4 == 6:
        return packet[6] == 44
    return struct.unpack_from("!H", packet, 6)[0] & 0x3FFF != 0


def test_ip_mtu(net, build_dir):
    """The kernel and Gatehouse together are a router with a link of this MTU, for hosts and for the
    gateway itself."""
    path = Path(net, build_dir, child={"ip_mtu": 1300})
    assert "mtu 1300" in path.a.run(["ip", "link", "show", "gh-ipsec0"]).stdout
    for target in (FAR, FAR6):
        path.passes(1300, target, df=True)
        path.refused(1400, 1300, target)
    path.passes(4000)
    path.passes(1500, FAR)
    assert path.one.ask("show", "ipsec", "sa")["sas"][0]["ip_mtu"] == 1300


def test_children_of_one_device(net, build_dir):
    """The device is as wide as the widest child; the narrower one is Gatehouse's to see to."""
    path = Path(net, build_dir, child={"ip_mtu": 1000})
    text = peer_section(psk_secret=SECRET, local=A4, remote=B4, children=[
        child_section(local_ts=NETS_A, remote_ts=NETS_B, ip_mtu=1000),
        child_section("wide", local_ts="10.5.0.0/24", remote_ts="10.6.0.0/24", ip_mtu=1400)])
    path.one.configure(text)
    path.one.reload()
    wait_for(lambda: "mtu 1400" in path.a.run(["ip", "link", "show", "gh-ipsec0"]).stdout, 10, "1400")
    path.passes(1000, df=True)
    path.refused(1200, 1000)
    path.forget()
    wire = Wire(path)
    path.passes(1400)
    assert path.sizes()["fragmented"] >= 2
    assert all(len(p) < 1100 and not is_fragment(p) for p in wire.packets())
    path.passes(1280, FAR6)  # what IPv6 may expect of any link
    path.refused(1350, 1280, FAR6)
    assert path.sizes()["too-big-told"] >= 2


def test_clear_df(net, build_dir):
    path = Path(net, build_dir, child={"ip_mtu": 1200, "clear_df": True})
    path.passes(1200, df=True)
    assert path.sizes()["df-cleared"] == 0
    path.passes(3000, df=True)
    path.passes(8000)
    assert path.sizes()["df-cleared"] >= 2 and path.sizes()["too-big"] == 0


def test_long_ipv6(net, build_dir):
    """The two readings of what some routers do with IPv6 packets above ip-mtu."""
    path = Path(net, build_dir, child={"ip_mtu": 1200, "long_ipv6": "whole"})
    path.passes(1200, FAR6)
    path.passes(1500, FAR6)
    path.passes(1280, FAR6)
    path.refused(1250, 1200, FAR6)


@pytest.mark.parametrize("udp", [False, True], ids=["esp", "in-udp"])
@pytest.mark.parametrize("v6", [False, True], ids=["over-ipv4", "over-ipv6"])
def test_encapsulated_ip_mtu(net, build_dir, v6, udp):
    """Fragments of what is protected, none of them longer, and the other end puts them together."""
    path = Path(net, build_dir, v6=v6, udp=udp, child={"encapsulated_ip_mtu": 700})
    wire = Wire(path)
    path.passes(1390, df=True)
    path.passes(1300, FAR6)
    path.passes(3000)
    seen = wire.packets()
    protected = [p for p in seen if p[9] in (UDP, ESP)] if not v6 else [p for p in seen if p[6] == 44]
    assert any(is_fragment(p) for p in protected)
    assert max(map(len, protected)) in range(690, 701)
    assert path.sizes()["fragmented-after"] >= 6
    assert path.one.ask("show", "ipsec", "counters")["packets"]["send-failed"] == 0


@pytest.mark.parametrize("udp", [False, True], ids=["esp", "in-udp"])
@pytest.mark.parametrize("v6", [False, True], ids=["over-ipv4", "over-ipv6"])
def test_fragments_may_be_refused(net, build_dir, v6, udp):
    """What is protected and came in fragments, where the operator wants none of it."""
    path = Path(net, build_dir, v6=v6, udp=udp, child={"encapsulated_ip_mtu": 700})

    def counts():
        return path.two.ask("show", "ipsec", "counters")["packets"]
    path.passes(1390)
    wait_for(lambda: counts()["reassembled"] == 2, 10, lambda: f"counted: {counts()}")
    assert counts()["fragments-refused"] == 0
    with open(path.two.config_file, encoding="utf-8") as file:
        text = file.read()
    path.two.configure("ike { esp-fragments = drop }\n" + text)
    path.two.reload()
    assert answered(path.ping(1390)) == 0
    wait_for(lambda: counts()["fragments-refused"] == 2, 10, lambda: f"refused: {counts()}")
    path.passes(500)


def learn(path, v6):
    """The router tells, the packet after that is refused or cut by what was told."""
    target = FAR6 if v6 else FAR
    path.ping(1390, target, df=True, count=1)
    wait_for(lambda: path.sa()["path_mtu"] == 1300, 10, lambda: f"learned: {path.sa()} {path.sizes()}")


@pytest.mark.parametrize("udp", [False, True], ids=["esp", "in-udp"])
@pytest.mark.parametrize("v6", [False, True], ids=["over-ipv4", "over-ipv6"])
def test_path_mtu(net, build_dir, v6, udp):
    path = Path(net, build_dir, 1300, v6, udp, {"outer_df": "set"})
    learn(path, v6)
    inner = path.sa()["ip_mtu"]
    assert 1150 < inner < 1260
    path.passes(inner, df=True)
    path.refused(inner + 1, inner)
    path.forget()
    path.ping(1390, count=1)  # from here on the other end, too, knows its narrow interface
    path.passes(1390)
    path.passes(1280, FAR6)
    path.refused(1300, 1280, FAR6)
    wire = Wire(path)
    path.passes(1390)
    path.passes(inner, df=True)
    assert not any(is_fragment(p) for p in wire.packets())
    assert path.sizes()["mtu-learned"] == 1 and path.sizes()["fragmented"] >= 2


def test_narrow_interface(net, build_dir):
    """What the gateway's own interface does not take is no better off than what a router does not."""
    path = Path(net, build_dir, child={"outer_df": "set"})
    for end in (path.a, path.r):
        end.run(["ip", "link", "set", "eth0", "mtu", "1350"])
    path.ping(1390, df=True, count=1)
    assert path.sa()["path_mtu"] == 1006, path.sizes()  # the kernel does not say how much; RFC 1191 7.1
    path.refused(1390, path.sa()["ip_mtu"])
    path.forget()
    path.ping(1390, count=1)  # its answer is too long for the router
    path.passes(1390)


def test_df_is_copied(net, build_dir):
    path = Path(net, build_dir, child={"outer_df": "copy"})
    wire = Wire(path)
    path.passes(1000, df=True)
    path.passes(1100)
    bits = {struct.unpack_from("!H", p, 6)[0] for p in wire.packets() if p[9] == ESP}
    assert bits == {0, 0x4000}


SEND = """
import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_RAW, 1)
for x in sys.argv[2:]:
    s.sendto(bytes.fromhex(x), (sys.argv[1], 0))
"""


def checksum(data):
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def too_big(mtu, spi, seq, src=A4, dst=B4, length=1450, kind=3, code=4, right=True):
    """ICMP "fragmentation needed" as hexadecimal digits, about a packet of ESP."""
    def quad(address):
        return bytes(map(int, address.split(".")))
    quoted = struct.pack("!BBHHHBBH4s4sII", 0x45, 0, length, 0, 0x4000, 60, ESP, 0, quad(src), quad(dst),
                         spi, seq)
    icmp = struct.pack("!BBHHH", kind, code, 0, 0, mtu) + quoted
    return (icmp[:2] + struct.pack("!H", checksum(icmp) ^ (0 if right else 1)) + icmp[4:]).hex()


def test_forged_errors(net, build_dir):
    """Who does not see the packets cannot narrow the path; who does cannot narrow it beyond measure."""
    path = Path(net, build_dir, child={"outer_df": "set"})
    path.passes(1390, df=True)
    out = path.sa()["out"]
    spi, seq = int(out["spi"], 16), out["sequence"]
    attacks = [too_big(600, spi ^ 1, seq),               # another SPI
               too_big(600, spi, seq + 5),               # a packet that was not sent yet
               too_big(600, spi, seq + 0x80000000),
               too_big(600, spi, seq, dst="10.78.0.3"),  # other ends
               too_big(600, spi, seq, src="10.77.0.9"),
               too_big(600, spi, seq, right=False),      # a wrong checksum
               too_big(1450, spi, seq),                  # no less than the packet had
               too_big(600, spi, seq, code=1),           # unreachable: says nothing of sizes
               too_big(20, spi, seq)]                    # less than any link takes
    path.r.run(["/usr/bin/python3", "-c", SEND, A4, *attacks])
    wait_for(lambda: path.sizes()["icmp-received"] >= 7, 10, path.sizes)
    assert path.sa()["path_mtu"] is None and path.sizes()["mtu-learned"] == 0
    path.passes(1390, df=True)
    # One that could be true, and says less than we believe of any path.
    path.r.run(["/usr/bin/python3", "-c", SEND, A4, too_big(100, spi, path.sa()["out"]["sequence"])])
    wait_for(lambda: path.sa()["path_mtu"] == 576, 10, lambda: f"{path.sa()}")
    path.passes(1390)
    path.passes(500, df=True)


def test_errors_are_ignored(net, build_dir):
    path = Path(net, build_dir, child={"path_mtu": "ignore"})
    path.passes(1000)
    out = path.sa()["out"]
    path.r.run(["/usr/bin/python3", "-c", SEND, A4, too_big(600, int(out["spi"], 16), out["sequence"])])
    wait_for(lambda: path.sizes()["icmp-ignored"] == 1, 10, path.sizes)
    assert path.sa()["path_mtu"] is None


def test_errors_of_ours_are_limited(net, build_dir):
    path = Path(net, build_dir, child={"ip_mtu": 1000, "icmp_too_big": "10/60", "long_ipv6": "whole"})
    began = time.monotonic()
    # A host that does not listen: a packet socket would do; ping without path MTU discovery has no DF.
    for _ in range(3):
        path.forget()
        path.h.run(["ping", "-c", 20, "-i", 0.05, "-W", 1, "-M", "do", "-s", 1152, FAR6], check=False)
    sizes = path.sizes()
    later = int((time.monotonic() - began) / 6) + 1  # ten at once, and one in six seconds
    assert 10 <= sizes["too-big-told"] <= 10 + later and sizes["icmp-limited"] > 0, sizes
    path.passes(1000, df=True)


@contextlib.contextmanager
def listening(host):
    """A TCP server that is only there to answer SYNs."""
    server = host.spawn(["/usr/bin/python3", "-c",
                         "import socket, time\n"
                         "s = [socket.create_server((a, 7000), family=f) for a, f in"
                         f" (('{FAR}', socket.AF_INET), ('{FAR6}', socket.AF_INET6))]\n"
                         "time.sleep(600)"], host.directory("server") + "/out")
    wait_for(lambda: host.run(["ss", "-Hltn"]).stdout.count(":7000") == 2, 10, "the server listens")
    yield
    server.stop()


@pytest.mark.parametrize("mss, expected, expected6", [("auto", 1060, 1040), (900, 900, 900),
                                                      (None, 8960, 8940)])
def test_mss(net, build_dir, mss, expected, expected6):
    """What the SYN of a host behind a says when it comes to the far end, and the answer's."""
    path = Path(net, build_dir, child={"ip_mtu": 1100, "mss": mss})
    path.b.run(["ip", "link", "set", "lo", "mtu", 65536])
    there, here = Capture(path.b, "gh-ipsec0", "tcp"), Capture(path.h, "eth0", "tcp")
    with listening(path.b):
        for target in (FAR, FAR6):
            path.h.run(["/usr/bin/python3", "-c",
                        f"import socket; socket.create_connection(('{target}', 7000), 5)"])
    here.stop()
    there.process.signal(2)
    there.process.wait()
    answers = {s.src: int.from_bytes(s.option(MSS), "big") for s in here.segments() if s.flags & SYN
               and s.src in (FAR, FAR6)}
    told = [line for line in path.b.run(["tcpdump", "-nr", there.path]).stdout.splitlines()
            if "Flags [S]" in line]
    seen = {":" in line.split(">")[0] and "IP6" in line: int(re.search(r"mss (\d+)", line)[1])
            for line in told}
    assert sorted(seen.values(), reverse=True) == sorted({expected, expected6} if expected != expected6
                                                         else [expected] * 2, reverse=True), told
    assert max(answers.values()) <= expected
