"""GRE and IP in IP, each with a device of its own, under IPsec: routing daemons run through them, and
nothing of it is seen in clear."""

import ipaddress
import re

import pytest

from capture import Capture, read_frames
from daemons.frr_router import FrrRouter
from gatehouse import block
from ike import SECRET, IkeGatehouse, child_section, peer_section
from netns import A4, A6, B4, B6
from pings import answered, ping_each
from test_ipsec import transfer
from uml import Guest
from wait import wait_for

ICMP, UDP, GRE, ESP, ICMPV6 = 1, 17, 47, 50, 58
IN_A, IN_B = "10.99.0.1", "10.99.0.2"
IN6_A, IN6_B = "fd99::1", "fd99::2"


def tunnel_section(name="t1", **options):
    return block(f'tunnel "{name}"', {k.replace("_", "-"): v for k, v in options.items()})


def protocols_of(kind):
    return ("47",) if kind == "gre" else ("4", "41")


def ping(host, target, count=5, size=56, options=()):
    """How many of so many came back."""
    return answered(ping_each(host, target, "-s", size, *options, count=count, wait=2))


class Pair:
    """Gatehouse in a and b, with one tunnel between them."""

    def __init__(self, net, build_dir, kind="gre", mode="transport", v6=False, here=(), there=(), both=(),
                 child=(), **peer):
        self.a, self.b = net.two_routers()
        self.kind, self.mode = kind, mode
        ends = (A6, B6) if v6 else (A4, B4)
        self.ends = ends
        self.one = self._gatehouse(self.a, build_dir, ends, (IN_A, IN6_A), {**dict(both), **dict(here)},
                                   dict(child), peer)
        self.two = self._gatehouse(self.b, build_dir, ends[::-1], (IN_B, IN6_B),
                                   {**dict(both), **dict(there)}, dict(child), peer)

    def _gatehouse(self, host, build_dir, ends, inner, options, child, peer):
        children = [child_section("tunnel", mode=self.mode, start=True, **child,
                                  local_ts=[f"{ends[0]} {p}" for p in protocols_of(self.kind)],
                                  remote_ts=[f"{ends[1]} {p}" for p in protocols_of(self.kind)])]
        if options.get("protect", "peer") is None:
            children = [child_section("other", local_ts="10.55.0.0/24", remote_ts="10.66.0.0/24")]
        text = peer_section(psk_secret=SECRET, children=children, local=ends[0], remote=ends[1], **peer)
        text += tunnel_section(**{"type": self.kind, "local": ends[0], "remote": ends[1],
                                  "protect": "peer", "device": "t1",
                                  "address": [f"{inner[0]}/30", f"{inner[1]}/64"], **options})
        return IkeGatehouse(host, build_dir, text).start()

    def up(self):
        wait_for(lambda: self.ping(1) == 1, 20, lambda: f"the tunnel is up\n{self.one.tail()}"
                 f"{self.two.tail()}{self.one.gatectl('show', 'tunnel').stdout}")
        return self

    def ping(self, count=5, target=IN_B, size=56, options=()):
        return ping(self.a, target, count, size, options)

    @staticmethod
    def tunnel(gatehouse):
        return gatehouse.ask("show", "tunnel")["tunnels"][0]


def source_of(packet):
    return packet[12:16] if packet[0] >> 4 == 4 else packet[8:24]


class Wire:
    """Protocols of the packets on the link, neighbour discovery aside; what they are between the ends."""

    def __init__(self, host, interface="eth0", longest=70000):
        self.capture = Capture(host, interface, "ip or ip6", f"capture-{interface}", longest)

    def packets(self):
        self.capture.stop()
        return [frame[14:] for _, frame in read_frames(self.capture.path)]

    def protocols(self):
        seen = set()
        for packet in self.packets():
            protocol = packet[9] if packet[0] >> 4 == 4 else packet[6]
            if not (packet[0] >> 4 == 6 and protocol in (0, ICMPV6)):
                seen.add(protocol)
        return seen - {UDP}


@pytest.mark.parametrize("v6", [False, True], ids=["over-ipv4", "over-ipv6"])
@pytest.mark.parametrize("mode", ["transport", "tunnel"])
@pytest.mark.parametrize("kind", ["gre", "ipip"])
def test_protected(net, build_dir, kind, mode, v6):
    """Both IP versions inside, of any size, and only ESP on the link."""
    pair = Pair(net, build_dir, kind, mode, v6).up()
    wire = Wire(pair.a)
    assert pair.ping() == 5 and pair.ping(target=IN6_B) == 5
    assert pair.ping(2, size=1200) == 2 and pair.ping(2, size=4000) == 2
    assert pair.ping(2, IN6_B, 4000) == 2
    assert wire.protocols() == {ESP}
    here, there = pair.tunnel(pair.one), pair.tunnel(pair.two)
    assert here["out"]["packets"] >= 16 and there["in"]["drops"] == here["in"]["drops"] == {}
    assert here["protected_by"] == "peer" and here["oper_remote"] == pair.ends[1]
    assert "peer" in pair.one.gatectl("show", "tunnel", "t1").stdout
    assert pair.one.ask("show", "tunnel", "t2")["tunnels"] == []


def test_header(net, build_dir):
    """Keys, checksum, sequence numbers, TTL and DSCP; who has another key hears nothing."""
    pair = Pair(net, build_dir, both={"send_key": 7, "receive_key": 9, "checksum": True, "sequence": "check",
                                      "dscp": 46, "ttl": 10},
                there={"send_key": 9, "receive_key": 7}).up()
    assert pair.ping() == 5
    shown = pair.tunnel(pair.one)
    assert (shown["send_key"], shown["receive_key"], shown["dscp"], shown["ttl"]) == (7, 9, 46, 10)
    pair.two.configure(open_text(pair.two).replace("receive-key = 7", "receive-key = 8"))
    pair.two.reload()
    wait_for(lambda: pair.ping(1) == 0, 10, "another key")
    assert pair.ping(3) == 0


def open_text(gatehouse):
    with open(gatehouse.config_file, encoding="utf-8") as file:
        return file.read()


def test_fails_closed(net, build_dir):
    """Without an SA nothing leaves; what comes in clear is not taken."""
    pair = Pair(net, build_dir).up()
    pair.two.stop()
    wire = Wire(pair.a)
    pair.one.gatectl("ike", "terminate", "peer", "peer")
    assert pair.ping(5) == 0
    # b's kernel sends the same in clear, with the right ends.
    gre = "import socket, sys\n" \
          "s = socket.socket(socket.AF_INET, socket.SOCK_RAW, 47)\n" \
          "s.sendto(bytes.fromhex(sys.argv[2]), (sys.argv[1], 0))\n"
    inner = "45000054000040004001" + "0000" + "0a630002" + "0a630001" + "0800f7ff00000000" + "00" * 56
    before = pair.tunnel(pair.one)["in"]["packets"]
    pair.b.run(["/usr/bin/python3", "-c", gre, A4, "00000800" + inner])
    assert pair.tunnel(pair.one)["in"]["packets"] == before
    clear = [p for p in wire.packets() if p[0] >> 4 == 4 and p[9] == GRE]
    assert len(clear) == 1 and clear[0][12:16] == bytes([10, 77, 0, 2])
    assert pair.tunnel(pair.one)["counts"]["no-sa"] >= 5


def test_ends_of_processes(net, build_dir):
    """`esp` ends: the device stays, with its addresses, and so does the tunnel."""
    pair = Pair(net, build_dir).up()
    before = pair.a.run(["ip", "-o", "address", "show", "dev", "t1"]).stdout
    pair.one.kill("esp")
    wait_for(lambda: pair.ping(1) == 1, 10, "the next one goes on")
    assert pair.a.run(["ip", "-o", "address", "show", "dev", "t1"]).stdout == before
    pair.one.configure(open_text(pair.one).replace(f"{IN6_A}/64", "fd98::1/64"))
    pair.one.reload()
    wait_for(lambda: "fd98::1" in pair.a.run(["ip", "address", "show", "dev", "t1"]).stdout, 10, "the new one")
    assert IN6_A not in pair.a.run(["ip", "address", "show", "dev", "t1"]).stdout
    assert pair.ping() == 5


def test_devices_follow_the_configuration(net, build_dir):
    """Into a namespace of its own, under another name; back again while `esp` still has it; away."""
    pair = Pair(net, build_dir).up()

    def links(host):
        return host.run(["ip", "-o", "link", "show"]).stdout

    first = open_text(pair.one)
    c = net.namespace("c")
    pair.one.configure(first.replace('device = "t1"', f'device = "t9" netns = "{c.name}"'))
    pair.one.reload()
    wait_for(lambda: "t9:" in links(c) and "t1:" not in links(pair.a), 20, lambda: links(c) + pair.one.tail())
    wait_for(lambda: ping(c, IN_B, 1) == 1, 10, "from another namespace")
    assert ping(c, IN6_B) == 5
    pair.one.configure(first)
    pair.one.reload()
    wait_for(lambda: pair.ping(1) == 1, 20, lambda: links(pair.a) + pair.one.tail())
    assert "t9:" not in links(c)
    pair.one.configure(first[:first.index("tunnel \"t1\"")])
    pair.one.reload()
    wait_for(lambda: "t1:" not in links(pair.a), 10, "it is gone")
    assert pair.one.ask("show", "tunnel")["tunnels"] == []


# ---- Routing daemons inside -------------------------------------------------------------------

def frr(n, ours, theirs, ours6):
    """OSPF, OSPFv3, BGP with BFD over the tunnel; a network behind each router."""
    return f"""
interface t1
 ip ospf area 0.0.0.0
 ip ospf network point-to-point
 ip ospf hello-interval 1
 ip ospf dead-interval 4
 ipv6 ospf6 area 0.0.0.0
 ipv6 ospf6 network point-to-point
 ipv6 ospf6 hello-interval 1
 ipv6 ospf6 dead-interval 4
exit
interface lo
 ip address 10.20{n}.0.1/32
 ip ospf area 0.0.0.0
 ipv6 address fd20:{n}::1/128
 ipv6 ospf6 area 0.0.0.0
exit
router ospf
 ospf router-id 192.0.2.{n}
exit
router ospf6
 ospf6 router-id 192.0.2.{n}
exit
router bgp 6500{n}
 bgp router-id 192.0.2.{n}
 no bgp ebgp-requires-policy
 neighbor {theirs} remote-as external
 neighbor {theirs} bfd
 neighbor {theirs} timers connect 1
 address-family ipv4 unicast
  network 10.30.{n}.0/24
 exit-address-family
exit
ip route 10.30.{n}.0/24 blackhole
bfd
 peer {theirs} local-address {ours}
  receive-interval 100
  transmit-interval 100
 exit
exit
"""


def test_routing_daemons(net, build_dir):
    """Multicast hellos of OSPF and OSPFv3 (by link-local addresses), BGP and BFD; routes lead through
    the tunnel, and when its SA is gone, BFD says so before BGP would."""
    pair = Pair(net, build_dir).up()
    daemons = ["ospfd", "ospf6d", "bgpd", "bfdd", "staticd"]
    one = FrrRouter(pair.a, daemons, frr(1, IN_A, IN_B, IN6_A)).start()
    two = FrrRouter(pair.b, daemons, frr(2, IN_B, IN_A, IN6_B)).start()
    wire = Wire(pair.a)

    def routes(family, prefix, host=pair.a):
        return host.run(["ip", family, "route", "show", prefix]).stdout

    wait_for(lambda: "t1" in routes("-4", "10.201.0.1", pair.b) and "t1" in routes("-6", "fd20:1::1", pair.b), 60,
             lambda: f"OSPF at the other end {two.show('show ip ospf neighbor')} {two.tail()}")
    wait_for(lambda: "t1" in routes("-4", "10.202.0.1"), 60,
             lambda: f"OSPF {one.show('show ip ospf neighbor')} {one.tail()}")
    wait_for(lambda: "t1" in routes("-6", "fd20:2::1"), 60,
             lambda: f"OSPFv3 {one.show('show ipv6 ospf6 neighbor')} {one.tail()}")
    wait_for(lambda: "t1" in routes("-4", "10.30.2.0/24"), 60,
             lambda: f"BGP {one.show('show bgp summary')} {one.tail()}")
    wait_for(lambda: "Status: up" in one.show("show bfd peers"), 30, lambda: one.show("show bfd peers"))
    assert pair.ping(5, "10.202.0.1", options=["-I", "10.201.0.1"]) == 5
    assert pair.ping(5, "fd20:2::1", options=["-I", "fd20:1::1"]) == 5
    assert wire.protocols() == {ESP}
    pair.two.stop()
    wait_for(lambda: "Status: down" in one.show("show bfd peers"), 10, "BFD notices")
    wait_for(lambda: routes("-4", "10.30.2.0/24") == "", 10, "BGP has taken its route away")
    pair.two.start()
    wait_for(lambda: "t1" in routes("-4", "10.30.2.0/24"), 90, lambda: f"again {one.tail()}{pair.one.tail()}")
    for router in (one, two):
        router.stop()


PIM = """interface t1
 ip pim
exit
interface eth1
 ip pim
{igmp}exit
ip pim rp {rp} 239.0.0.0/8
ip route {net} {via}
"""
HEAR = """
import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(("", 7000))
s.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, socket.inet_aton("239.1.2.3") + socket.inet_aton(sys.argv[1]))
while True:
    print(s.recvfrom(100), flush=True)
"""
SAY = """
import socket, sys, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, 8)
s.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton(sys.argv[1]))
for n in range(1000):
    s.sendto(b"hello", ("239.1.2.3", 7000))
    time.sleep(0.05)
"""


def test_multicast_routing(net, build_dir):
    """PIM finds its neighbour through the tunnel, and a group that a host behind one end has joined by IGMP
    reaches it from a host behind the other: by ESP alone."""
    pair = Pair(net, build_dir).up()
    hosts = [net.namespace("ha"), net.namespace("hb")]
    routers = []
    for n, (host, gateway, theirs) in enumerate(((hosts[0], pair.a, IN_B), (hosts[1], pair.b, IN_A)), 1):
        net.link(gateway, host, (f"10.31.{n}.1/24", f"10.31.{n}.2/24"), name_a="eth1")
        gateway.sysctl("net.ipv4.ip_forward", 1)
        routers.append(FrrRouter(gateway, ["pimd", "staticd"], PIM.format(
            rp=IN_A, net=f"10.31.{3 - n}.0/24", via=theirs, igmp=" ip igmp\n" if n == 2 else "")).start())
    one, two = routers
    wait_for(lambda: IN_B in one.show("show ip pim neighbor") and IN_A in two.show("show ip pim neighbor"), 60,
             lambda: f"neighbours {one.show('show ip pim neighbor')}{one.tail()}{two.tail()}")
    wire = Wire(pair.a)
    log = f"{hosts[1].directory('hear')}/out"
    hosts[1].spawn(["/usr/bin/python3", "-c", HEAR, "10.31.2.2"], log)
    wait_for(lambda: "239.1.2.3" in two.show("show ip igmp groups"), 30, two.tail)
    hosts[0].spawn(["/usr/bin/python3", "-c", SAY, "10.31.1.2"], f"{hosts[0].directory('say')}/out")

    def heard():
        with open(log, encoding="utf-8") as file:
            return file.read().count("('10.31.1.2', ")
    wait_for(lambda: heard() >= 10, 60, lambda: f"{one.show('show ip mroute')}{two.show('show ip mroute')}{two.tail()}")
    assert wire.protocols() == {ESP}


# ---- Others at the other end ------------------------------------------------------------------

# What Linux calls them: over IPv4 (sit: IPv6 in it), and over IPv6.
KERNEL = {"gre": ["key", "77", "csum", "seq"], "ipip": [], "sit": [],
          "ip6gre": ["key", "77", "csum", "seq", "encaplimit", "none"], "ip6tnl": ["mode", "any", "encaplimit", "none"]}

# Scapy's GRE and IP in IP: answers each echo request inside, and says what it saw of the header.
SCAPY = """
import logging, socket, sys
logging.getLogger("scapy").setLevel(logging.ERROR)
from scapy.layers.inet import GRE, ICMP, IP
from scapy.layers.inet6 import ICMPv6EchoReply, ICMPv6EchoRequest, IPv6
gre, us, them = sys.argv[1] == "gre", sys.argv[2], sys.argv[3]
s = socket.socket(socket.AF_INET, socket.SOCK_RAW, 47 if gre else 4)
s.bind((us, 0))
print("listening", flush=True)
sent = 0
while True:
    p = IP(s.recv(65535))
    assert p.src == them and p.ttl == 255, p.summary()
    if gre:
        g = p[GRE]
        right = GRE(bytes(g)).chksum
        g2 = g.copy()
        g2.chksum = None
        assert (g.key, g.version, GRE(bytes(g2)).chksum) == (77, 0, right), g.show(dump=True)
        assert g.seqence_number == sent, (g.seqence_number, sent)
    inner = p[GRE].payload if gre else p.payload
    if ICMP in inner and inner[ICMP].type == 8:
        answer = IP(src=inner.dst, dst=inner.src) / ICMP(type=0, id=inner[ICMP].id, seq=inner[ICMP].seq) \
            / inner[ICMP].payload
    elif ICMPv6EchoRequest in inner:
        e = inner[ICMPv6EchoRequest]
        answer = IPv6(src=inner.dst, dst=inner.src) / ICMPv6EchoReply(id=e.id, seq=e.seq, data=e.data)
    else:
        sent += 1
        continue
    header = GRE(key_present=1, key=77, chksum_present=1, seqnum_present=1, seqence_number=sent,
                 proto=0x86dd if IPv6 in answer else 0x800) if gre else None
    s.sendto(bytes(header / answer if gre else answer), (them, 0))
    sent += 1
"""


@pytest.mark.parametrize("kind", ["gre", "ipip"])
def test_with_scapy(net, build_dir, kind):
    """An independent reading of the header: key, checksum and sequence numbers of GRE, TTL 255."""
    a, b = net.two_routers()
    options = {"key": 77, "checksum": True, "sequence": "check"} if kind == "gre" else {}
    peer = b.spawn(["/usr/bin/python3", "-c", SCAPY, kind, B4, A4], b.directory("scapy") + "/out")
    wait_for(lambda: "listening" in open_log(peer), 20, "scapy listens")
    gatehouse = IkeGatehouse(a, build_dir, clear_config(kind, **options)).start()
    for target in (IN_B, IN6_B) if kind == "gre" else (IN_B,):
        for size in (0, 56, 1200):
            assert ping(a, target, 3, size, ["-i", "0.3"]) == 3, open_log(peer) + gatehouse.tail()
    assert gatehouse.ask("show", "tunnel")["tunnels"][0]["in"]["drops"] == {}
    assert peer.alive(), open_log(peer)


def open_log(process):
    with open(process.log, encoding="utf-8") as file:
        return file.read()


def clear_config(kind, ends=(A4, B4), **options):
    """Without protection, because the operator says so in words."""
    other = child_section("other", local_ts="10.55.0.0/24", remote_ts="10.66.0.0/24")
    return peer_section(psk_secret=SECRET, children=[other]) + tunnel_section(
        type="gre" if "gre" in kind else "ipip", local=ends[0], remote=ends[1], unprotected=True,
        address=[f"{IN_A}/30", f"{IN6_A}/64"], **options)


@pytest.mark.parametrize("kind", KERNEL)
def test_with_the_kernels(net, build_dir, lab_kernel, kind):
    """Linux's own tunnel at the other end."""
    a = net.namespace("a")
    a.tap("tap0", f"{A4}/24", f"{A6}/64")
    ends = (A6, B6) if kind.startswith("ip6") else (A4, B4)
    guest = Guest(a, lab_kernel, taps=["tap0"])
    b = guest.namespace("b")
    guest.run(["ip", "link", "add", "eth0", "netns", "b", "type", "veth", "peer", "name", "out"])
    guest.run(["ip", "link", "add", "bridge", "type", "bridge"])
    for device in ("vec0", "out"):
        guest.run(["ip", "link", "set", device, "up", "master", "bridge"])
    guest.run(["ip", "link", "set", "bridge", "up"])
    for address in (f"{B4}/24", f"{B6}/64"):
        b.add_address("eth0", address)
    # Where the wire is memory, Linux leaves GRE's checksum to a device that there is not; vec0 wants it so.
    b.run(["ethtool", "-K", "eth0", "tx", "off"])
    b.run(["ip", "link", "set", "eth0", "up"])
    b.run(["ip", "link", "add", "k1", "type", kind, "local", ends[1], "remote", ends[0], *KERNEL[kind]])
    b.run(["ip", "link", "set", "k1", "up", "mtu", "1400"])
    if kind != "sit":
        b.add_address("k1", f"{IN_B}/30")
    if kind != "ipip":
        b.add_address("k1", f"{IN6_B}/64")
    options = {"key": 77, "checksum": True, "sequence": "check"} if "gre" in kind else {}
    gatehouse = IkeGatehouse(a, build_dir, clear_config(kind, ends, **options)).start()
    targets = {"ipip": [IN_B], "sit": [IN6_B]}.get(kind, [IN_B, IN6_B])
    for target in targets:
        wait_for(lambda: ping(a, target, 1) == 1, 10,  # pylint: disable=cell-var-from-loop
                 lambda: f"{gatehouse.gatectl('show', 'tunnel', '--json').stdout}{gatehouse.tail()}")
        for size in (0, 1300, 4000):
            assert ping(a, target, 5, size) == 5
    shown = gatehouse.ask("show", "tunnel")["tunnels"][0]
    assert shown["in"]["drops"] == {} and shown["protected_by"] is None


def test_unprotected_pair(net, build_dir):
    """Two Gatehouses, IPv6 outside, fragments outside: put together by the kernel's raw sockets."""
    pair = Pair(net, build_dir, v6=True,
                both={"protect": None, "unprotected": True, "encapsulated_ip_mtu": 1000}).up()
    wire = Wire(pair.a)
    assert pair.ping(3, size=1300) == 3 and pair.ping(3, IN6_B, 1300) == 3
    assert max(len(p) for p in wire.packets()) <= 1000
    assert pair.tunnel(pair.one)["counts"]["fragmented-after"] >= 6


def test_narrow_interface(net, build_dir):
    """In clear, too, what the interface does not take is found out, and told."""
    pair = Pair(net, build_dir, both={"protect": None, "unprotected": True}).up()
    for host in (pair.a, pair.b):
        host.run(["ip", "link", "set", "eth0", "mtu", "1400"])
    for _ in range(3):
        pair.ping(1, size=1440, options=["-M", "do"])
    assert pair.tunnel(pair.one)["ip_mtu"] == 1006 - 24  # RFC 1191's next step below 1400
    assert pair.ping(2, size=1006 - 24 - 28, options=["-M", "do"]) == 2
    # The other end's first answers are too long for its interface.
    wait_for(lambda: pair.ping(2, size=1440, options=["-M", "dont"]) == 2, 10, "cut, both ways")


# ---- Sizes ------------------------------------------------------------------------------------

def test_fragments_of_tunnels(net, build_dir):
    """GRE in tunnel mode, fragmented before it is protected: the other end puts it together, or, if it
    is not to, drops it."""
    pair = Pair(net, build_dir, mode="tunnel", both={"encapsulated_ip_mtu": 600}).up()
    assert pair.ping(3, size=1200) == 3 and pair.ping(2, size=5000) == 2
    assert pair.tunnel(pair.two)["counts"]["reassembled"] >= 5
    pair.two.configure(open_text(pair.two).replace("encapsulated-ip-mtu = 600",
                                                   'encapsulated-ip-mtu = 600 reassembly = "off"'))
    pair.two.reload()
    wait_for(lambda: pair.tunnel(pair.two)["reassembly"] is None, 10, "off")
    assert pair.ping(2, size=1200) == 0
    assert pair.two.ask("show", "tunnel")["of_no_tunnel"]["reassembly-off"] >= 2
    assert pair.ping() == 5


@pytest.mark.parametrize("mode", ["transport", "tunnel"])
def test_path_mtu(net, build_dir, mode):
    """What does not fit the child is learned from our own error, and those who send through the tunnel are
    told; what may be cut passes."""
    pair = Pair(net, build_dir, mode=mode, child={"ip_mtu": 1300}, both={"ip_mtu": 1500}).up()
    pair.ping(1, size=1400, options=["-M", "do"])
    wait_for(lambda: pair.tunnel(pair.one)["ip_mtu"] == 1300 - 24, 10,
             lambda: pair.one.gatectl("show", "tunnel", "--json").stdout)
    said = pair.a.run(["ping", "-c", "1", "-W", "1", "-M", "do", "-s", "1400", IN_B], check=False).stdout
    assert re.search(r"mtu[ =]+1276", said), said
    pair.a.run(["ip", "route", "flush", "cache"])
    pair.ping(1, size=1400, options=["-M", "do"])  # the other end's answer teaches it, too
    assert pair.ping(2, size=1276 - 28, options=["-M", "do"]) == 2
    # The first packets and the first answers are refused, and then fragmented.
    wait_for(lambda: pair.ping(2, IN6_B, 1400) == 2, 10, "IPv6 passes")
    assert pair.tunnel(pair.one)["counts"]["too-big-told"] >= 1


# ---- Streams ----------------------------------------------------------------------------------

@pytest.mark.parametrize("kind, options", [
    ("gre", {"send_key": 5, "receive_key": 5, "checksum": True, "sequence": "check"}),
    ("gre", {"protect": None, "unprotected": True, "ip_mtu": 1420}), ("ipip", {})],
    ids=["gre", "gre-in-clear", "ipip"])
def test_streams(net, build_dir, kind, options):
    """TCP both ways, whole: the device gives and takes stretches of it, the link has packets that fit, and
    nothing is lost or out of order on the way between them."""
    pair = Pair(net, build_dir, kind, both=options)
    for host in (pair.a, pair.b):
        host.run(["ip", "link", "set", "eth0", "mtu", "1450"])
    pair.up()
    wire, device = Wire(pair.a, longest=2000), Wire(pair.b, "t1")
    transfer(pair.b, pair.a, IN_B, IN_A, 1_500_000)
    transfer(pair.a, pair.b, IN6_A, IN6_B, 1_500_000)
    longest = max(len(p) for p in wire.packets())
    assert 1300 < longest <= 1450, longest
    packets = device.packets()
    for source in (IN_A, IN_B, IN6_A, IN6_B):
        octets = ipaddress.ip_address(source).packed
        assert max(len(p) for p in packets if source_of(p) == octets) > 5000, source
    for end in (pair.one, pair.two):
        shown = pair.tunnel(end)
        assert shown["out"]["drops"] == shown["in"]["drops"] == {}
        assert not any(shown["counts"].get(n) for n in ("device-failed", "fragmented", "fragmented-after"))


# ---- A second remote address ------------------------------------------------------------------

def test_backup_remote(net, build_dir):
    """When the host has no route to the first one any more, the tunnel goes to the second, and back."""
    pair = Pair(net, build_dir)
    second = "10.88.0.2"
    pair.b.add_address("lo", f"{second}/32")
    pair.a.route(f"{second}/32", B4)
    one = open_text(pair.one)
    one = one.replace(f'remote-ts = {{ "{B4} 47" }}', f'remote-ts = {{ "{B4} 47", "{second} 47" }}')
    one = one.replace('mode = "transport"', 'mode = "tunnel"')
    one = one.replace('    protect = "peer"', f'    protect = "peer"\n    backup-remote = "{second}"')
    pair.one.configure(one)
    two = open_text(pair.two).replace(f'local-ts = {{ "{B4} 47" }}',
                                      f'local-ts = {{ "{B4} 47", "{second} 47" }}')
    two = two.replace('mode = "transport"', 'mode = "tunnel"')
    pair.two.configure(two + tunnel_section("t2", type="gre", local=second, remote=A4, protect="peer",
                                            device="t2"))
    for gatehouse in (pair.one, pair.two):
        gatehouse.reload()
    pair.one.gatectl("ike", "terminate", "peer", "peer")
    pair.up()
    assert pair.tunnel(pair.one)["oper_remote"] == B4
    # A more specific route to nowhere: the address is not reachable, though the gateway is.
    pair.a.run(["ip", "route", "add", "unreachable", f"{B4}/32"])
    wait_for(lambda: pair.tunnel(pair.one)["oper_remote"] == second, 10,
             lambda: pair.one.gatectl("show", "tunnel", "--json").stdout)
    pair.a.run(["ip", "route", "del", "unreachable", f"{B4}/32"])
    wait_for(lambda: pair.tunnel(pair.one)["oper_remote"] == B4, 10, "back again")
    pair.up()
    assert pair.tunnel(pair.one)["switches"] == 2
