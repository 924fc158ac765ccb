"""Clear packets, entries of the SPD and raw sockets where the same addresses are in a VRF, in another one and
outside of both; in the lab kernel."""

import pytest

import netns
from ike import SECRET, IkeGatehouse, child_section, peer_section, section
from netns import A4, B4
from test_ipsec import ping, sas
from uml import Guest
from wait import wait_for

LAN_A, LAN_B = "10.1.0.0/24", "10.2.0.0/24"
LAN6_A, LAN6_B = "fd01::/64", "fd02::/64"
HOST_A, HOST_B, BEHIND = "10.1.0.1", "10.2.0.1", "10.1.0.2"
HOST6_A, HOST6_B, BEHIND6 = "fd01::1", "fd02::1", "fd01::2"
PLACES = ("red", "blue", None)
ASK = """
import socket, sys
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
    s.settimeout(float(sys.argv[5]))
    if sys.argv[6:]:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, sys.argv[6].encode())
    s.bind((sys.argv[1], int(sys.argv[2])))
    s.connect((sys.argv[3], int(sys.argv[4])))
    s.send(b"hello")
"""


def name_of(vrf):
    return vrf or "none"


class Vrfs:
    """A gateway whose configuration has the same peer in red, in blue and in none; that in red has a Gatehouse, and
    there is a host behind the gateway in red. In each place somebody else has the addresses behind the peer, too, and
    sends in clear."""

    def __init__(self, net, lab_kernel, build_dir):
        self.guest = Guest(net.namespace("host"), lab_kernel)
        self.a, self.h, self.peer = (self.guest.namespace(name) for name in ("gw", "behind", "peer"))
        self.liars = {vrf: self.guest.namespace(name_of(vrf)) for vrf in PLACES}
        for n, vrf in enumerate(PLACES):
            if vrf is not None:
                self.a.run(["ip", "link", "add", vrf, "type", "vrf", "table", 10 + n])
                self.a.run(["ip", "link", "set", vrf, "up"])
            self.link(f"eth{n}", self.liars[vrf], "10.78.0.1", "10.78.0.2", vrf, ("fd78::1", "fd78::2"))
            self.behind(self.liars[vrf])
            self.liars[vrf].run(["ip", "route", "add", LAN_A, "via", "10.78.0.1"])
            self.liars[vrf].run(["ip", "route", "add", LAN6_A, "via", "fd78::1"])
            for address in (f"{HOST_A}/32", f"{HOST6_A}/128"):
                self.a.add_address(vrf or "lo", address)
        self.link("peer", self.peer, A4, B4, "red")
        self.behind(self.peer)
        self.link("lan", self.h, HOST_A, BEHIND, "red", ("fd01::a", BEHIND6))
        self.h.run(["ip", "route", "add", "default", "via", HOST_A])
        self.h.run(["ip", "route", "add", LAN6_B, "via", "fd01::a"])
        for name in ("ipv4.ip_forward", "ipv6.conf.all.forwarding"):
            self.a.sysctl(f"net.{name}", 1)
        self.one = IkeGatehouse(self.a, build_dir, self.text()).start()
        self.two = IkeGatehouse(self.peer, build_dir, peer_section(
            "gw", [child_section(local_ts=[LAN_B, LAN6_B], remote_ts=[LAN_A, LAN6_A])], local=B4, remote=A4,
            psk_secret=SECRET)).start()
        self.one.gatectl("ike", "initiate", "red")
        self.one.wait_sas(1, 1)

    @staticmethod
    def behind(host):
        host.add_address("lo", f"{HOST_B}/32")
        host.add_address("lo", f"{HOST6_B}/128")

    def link(self, device, other, ours, theirs, vrf, v6=()):
        self.guest.run(["ip", "link", "add", device, "netns", self.a.inner, "type", "veth", "peer", "name", "eth0",
                        "netns", other.inner])
        self.a.run(["ip", "link", "set", device, "up", *(["master", vrf] if vrf else [])])
        other.run(["ip", "link", "set", "eth0", "up"])
        for host, where, v4 in ((self.a, device, ours), (other, "eth0", theirs)):
            host.add_address(where, f"{v4}/24")
        for host, where, address in zip((self.a, other), (device, "eth0"), v6):
            host.add_address(where, f"{address}/64")

    @staticmethod
    def text(*policies, vrfs=PLACES):
        return "".join(policies) + "".join(peer_section(
            name_of(vrf), [child_section(local_ts=[LAN_A, LAN6_A], remote_ts=[LAN_B, LAN6_B])],
            psk_secret=SECRET, **({"vrf": vrf} if vrf else {})) for vrf in vrfs)

    def set(self, *policies, **options):
        self.one.configure(self.text(*policies, **options))
        self.one.reload()

    def dropped(self):
        """Packets in clear, of each place."""
        return {n["vrf"]: n["packets"] for n in self.one.ask("show", "ipsec", "unprotected")["namespaces"]}

    def came(self, before):
        """What came in clear since then and was dropped."""
        return {vrf: n - before[vrf] for vrf, n in self.dropped().items() if n != before[vrf]}

    def policy(self, name):
        return next(p for p in self.one.ask("show", "ipsec", "policy")["policies"] if p["name"] == name)


@pytest.fixture(scope="module")
def vrfs(lab_kernel, build_dir):
    net = netns.Net()
    try:
        yield Vrfs(net, lab_kernel, build_dir)
    finally:
        net.destroy()


def test_clear_packets_are_dropped_where_they_come(vrfs):
    """To the gateway itself and to a host behind it; nowhere else is anything counted, or dropped."""
    assert ping(vrfs.h, BEHIND, HOST_B) == ping(vrfs.h, BEHIND6, HOST6_B) == 5
    assert vrfs.dropped() == {vrf: 0 for vrf in PLACES}
    for vrf in PLACES:
        before = vrfs.dropped()
        for source, target in ((HOST_B, HOST_A), (HOST6_B, HOST6_A)):
            assert ping(vrfs.liars[vrf], source, target, 2) == 0
        wait_for(lambda b=before, v=vrf: vrfs.came(b) == {v: 4}, 5, lambda: f"{vrfs.dropped()}")
        assert ping(vrfs.liars[vrf], "10.78.0.2", HOST_A, 1) == 1
    before = vrfs.dropped()
    assert ping(vrfs.liars["red"], HOST_B, BEHIND, 2) == ping(vrfs.liars["red"], HOST6_B, BEHIND6, 2) == 0
    wait_for(lambda: vrfs.came(before) == {"red": 4}, 5, lambda: f"{vrfs.dropped()}")
    shown = vrfs.one.gatectl("show", "ipsec", "unprotected").stdout
    assert "VRF" in shown and "blue" in shown
    assert ping(vrfs.h, BEHIND, HOST_B) == 5


def test_where_nothing_is_protected(vrfs):
    """Of the same addresses in a VRF without a peer, and outside, nothing is dropped any more."""
    vrfs.set(vrfs=["red"])
    assert vrfs.dropped() == {"red": vrfs.dropped()["red"]}
    before = vrfs.dropped()
    for vrf in ("blue", None):
        vrfs.a.run(["ip", "route", "add", LAN_B, "via", "10.78.0.2", *(["vrf", vrf] if vrf else [])])
        assert ping(vrfs.liars[vrf], HOST_B, HOST_A, 1) == 1
    assert ping(vrfs.liars["red"], HOST_B, HOST_A, 1) == 0
    wait_for(lambda: vrfs.came(before) == {"red": 1}, 5, lambda: f"{vrfs.dropped()}")
    for vrf in ("blue", None):
        vrfs.a.run(["ip", "route", "del", LAN_B, *(["vrf", vrf] if vrf else [])])
    vrfs.set()
    before = vrfs.dropped()
    assert ping(vrfs.liars["blue"], HOST_B, HOST_A, 1) == 0
    wait_for(lambda: vrfs.came(before) == {"blue": 1}, 5, lambda: f"{vrfs.dropped()}")
