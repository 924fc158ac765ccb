"""Clear packets, entries of the SPD and raw sockets where the same addresses are in a VRF, in another one and
outside of both; in the lab kernel."""

import re

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
SEND = """
import socket, sys
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
    if sys.argv[5:]:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, sys.argv[5].encode())
    s.bind((sys.argv[1], int(sys.argv[2])))
    s.sendto(b"hello", (sys.argv[3], int(sys.argv[4])))
"""


def clear(host, source, target, count=2):
    """How many of so many echo requests come back from where none is expected to."""
    said = host.run(["ping", "-c", count, "-i", "0.02", "-W", "0.3", "-I", source, target], check=False).stdout
    return int(re.search(r"(\d+) received", said).group(1))


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
    assert ping(vrfs.h, BEHIND, HOST_B, 1) == ping(vrfs.h, BEHIND6, HOST6_B, 1) == 1
    assert vrfs.dropped() == {vrf: 0 for vrf in PLACES}
    for vrf in PLACES:
        before = vrfs.dropped()
        for source, target in ((HOST_B, HOST_A), (HOST6_B, HOST6_A)):
            assert clear(vrfs.liars[vrf], source, target) == 0
        wait_for(lambda b=before, v=vrf: vrfs.came(b) == {v: 4}, 5, lambda: f"{vrfs.dropped()}")
        assert ping(vrfs.liars[vrf], "10.78.0.2", HOST_A, 1) == 1
    before = vrfs.dropped()
    assert clear(vrfs.liars["red"], HOST_B, BEHIND) == clear(vrfs.liars["red"], HOST6_B, BEHIND6) == 0
    wait_for(lambda: vrfs.came(before) == {"red": 4}, 5, lambda: f"{vrfs.dropped()}")
    shown = vrfs.one.gatectl("show", "ipsec", "unprotected").stdout
    assert "VRF" in shown and "blue" in shown
    assert ping(vrfs.h, BEHIND, HOST_B, 1) == 1


def test_where_nothing_is_protected(vrfs):
    """Of the same addresses in a VRF without a peer, and outside, nothing is dropped any more."""
    vrfs.set(vrfs=["red"])
    assert vrfs.dropped() == {"red": vrfs.dropped()["red"]}
    before = vrfs.dropped()
    for vrf in ("blue", None):
        vrfs.a.run(["ip", "route", "add", LAN_B, "via", "10.78.0.2", *(["vrf", vrf] if vrf else [])])
        assert ping(vrfs.liars[vrf], HOST_B, HOST_A, 1) == 1
    assert clear(vrfs.liars["red"], HOST_B, HOST_A, 1) == 0
    wait_for(lambda: vrfs.came(before) == {"red": 1}, 5, lambda: f"{vrfs.dropped()}")
    for vrf in ("blue", None):
        vrfs.a.run(["ip", "route", "del", LAN_B, *(["vrf", vrf] if vrf else [])])
    vrfs.set()
    before = vrfs.dropped()
    assert clear(vrfs.liars["blue"], HOST_B, HOST_A, 1) == 0
    wait_for(lambda: vrfs.came(before) == {"blue": 1}, 5, lambda: f"{vrfs.dropped()}")


def test_private_side(vrfs):
    """A VRF where the peer is not: there the same is dropped; where the peer is, nothing is for the tunnel."""
    vrfs.one.configure(vrfs.text(vrfs=["red"]) + peer_section(
        "none", [child_section(local_ts=LAN_A, remote_ts=LAN_B)], psk_secret=SECRET, private_vrf="blue"))
    vrfs.one.reload()
    before = vrfs.dropped()
    assert set(before) == set(PLACES)
    vrfs.a.run(["ip", "route", "add", LAN_B, "via", "10.78.0.2"])
    assert ping(vrfs.liars[None], HOST_B, HOST_A, 1) == 1
    assert clear(vrfs.liars["blue"], HOST_B, HOST_A) == 0
    wait_for(lambda: vrfs.came(before) == {"blue": 2}, 5, lambda: f"{vrfs.dropped()}")
    vrfs.a.run(["ip", "route", "del", LAN_B])
    vrfs.set()


def policy(name, **options):
    return section(f'ipsec-policy "{name}"', **{"local_ts": [LAN_A], "remote_ts": [LAN_B], "vrf": "red", **options})


def send(host, *what):
    host.run(["/usr/bin/python3", "-c", SEND, *what], check=False)  # it is told of rules of this host


def count(host, port, device="eth0"):
    """Has nftables count what comes to a port by a device, before anybody drops it; and how much that was."""
    host.run(["nft", "-f", "-"], input=f"""table inet seen {{
        counter p{port} {{ }}
        chain pre {{
            type filter hook prerouting priority -400
            iifname "{device}" udp dport {port} counter name p{port}
        }}
    }}
    """)
    return lambda: int(re.search(r"packets (\d+)", host.run(["nft", "list", "counter", "inet", "seen",
                                                              f"p{port}"]).stdout).group(1))


def test_bypass(vrfs):
    """In red one port is in clear both ways, of the host behind and of the gateway itself; in blue and in none
    it is dropped as ever."""
    far = count(vrfs.peer, 7001)
    near = count(vrfs.h, 7002)
    vrfs.set(policy("clear", action="bypass", remote_ts=[f"{LAN_B} udp 7001"], order="before"),
             policy("back", action="bypass", local_ts=[f"{LAN_A} udp 7002"], direction="in"))
    vrfs.a.run(["ip", "route", "add", "default", "via", B4, "vrf", "red"])
    through = sas(vrfs.two)[0]["in"]["packets"]
    send(vrfs.h, BEHIND, 0, HOST_B, 7001)
    send(vrfs.a, HOST_A, 0, HOST_B, 7001, "red")
    wait_for(lambda: far() == 2, 5, lambda: f"{far()} in clear\n{vrfs.one.tail()}")
    assert sas(vrfs.two)[0]["in"]["packets"] == through
    wait_for(lambda: vrfs.policy("clear")["hits"] == 2, 5, lambda: f"{vrfs.policy('clear')}")
    before = vrfs.dropped()
    for vrf in PLACES:
        send(vrfs.liars[vrf], HOST_B, 0, BEHIND if vrf == "red" else HOST_A, 7002)
    wait_for(lambda: near() == 1 and vrfs.policy("back")["clear_in"] == 1, 5, lambda: f"{vrfs.policy('back')}")
    wait_for(lambda: vrfs.came(before) == {"blue": 1, None: 1}, 5, lambda: f"{vrfs.dropped()}")
    vrfs.set()
    vrfs.a.run(["ip", "route", "del", "default", "vrf", "red"])
    wait_for(lambda: "proto 171" not in vrfs.a.run(["ip", "rule"]).stdout, 10, "no rules any more")


def test_discard(vrfs):
    """What is discarded in red is so both ways, into the tunnel and beside it, and nowhere else."""
    near = count(vrfs.h, 7003)
    seen = {vrf: count(host, 7004) for vrf, host in vrfs.liars.items()}
    far = count(vrfs.peer, 7005, "gh-ipsec0")
    vrfs.set(policy("in", action="discard", local_ts=["0.0.0.0/0 udp 7003"], remote_ts=["0.0.0.0/0"], direction="in"),
             policy("out", action="discard", local_ts=["0.0.0.0/0"], remote_ts=["0.0.0.0/0 udp 7004"],
                    direction="out"),
             policy("rest", action="discard", order="after", local_ts=["0.0.0.0/0"], remote_ts=["0.0.0.0/0 udp 7005"]))
    send(vrfs.liars["red"], "10.78.0.2", 0, BEHIND, 7003)
    wait_for(lambda: vrfs.policy("in")["clear_in"] == 1, 5, lambda: f"{vrfs.policy('in')}")
    for vrf in PLACES:
        send(vrfs.a, "10.78.0.1", 0, "10.78.0.2", 7004, *([vrf] if vrf else []))
    send(vrfs.h, BEHIND, 0, "10.78.0.2", 7004)
    send(vrfs.h, BEHIND, 0, HOST_B, 7004)
    wait_for(lambda: vrfs.policy("out")["hits"] == 3, 5, lambda: f"{vrfs.policy('out')}")
    wait_for(lambda: [seen[vrf]() for vrf in PLACES] == [0, 1, 1], 5, lambda: f"{[seen[vrf]() for vrf in PLACES]}")
    assert near() == 0
    # After the children: what one of them is for goes through it.
    send(vrfs.h, BEHIND, 0, HOST_B, 7005)
    wait_for(lambda: far() == 1, 5, lambda: f"{vrfs.policy('rest')}")
    send(vrfs.h, BEHIND, 0, B4, 7005)
    wait_for(lambda: vrfs.policy("rest")["hits"] == 1, 5, lambda: f"{vrfs.policy('rest')}")
    vrfs.set()
    assert "hook output" not in vrfs.a.run(["nft", "list", "table", "inet", "gatehouse-ipsec"]).stdout


def test_discard_outside(vrfs):
    """What is discarded outside of VRFs is not so in any: of what comes in, what is forwarded and what is sent."""
    seen = {vrf: count(host, 7006) for vrf, host in vrfs.liars.items()}
    outside = section('ipsec-policy "outside"', action="discard", local_ts=["0.0.0.0/0"],
                      remote_ts=["0.0.0.0/0 udp 7006"])
    vrfs.set(outside)
    for vrf in PLACES:
        send(vrfs.a, "10.78.0.1", 0, "10.78.0.2", 7006, *([vrf] if vrf else []))
    send(vrfs.h, BEHIND, 0, "10.78.0.2", 7006)
    wait_for(lambda: [seen[vrf]() for vrf in PLACES] == [2, 1, 0], 5, lambda: f"{[seen[vrf]() for vrf in PLACES]}")
    arrived = count(vrfs.h, 7007)
    send(vrfs.liars[None], "10.78.0.2", 7006, HOST_A, 7007)
    send(vrfs.liars["red"], "10.78.0.2", 7006, BEHIND, 7007)
    wait_for(lambda: arrived() == 1, 5, lambda: f"{vrfs.policy('outside')}")
    wait_for(lambda: (vrfs.policy("outside")["hits"], vrfs.policy("outside")["clear_in"]) == (1, 1), 5,
             lambda: f"{vrfs.policy('outside')}")
    vrfs.set()


# ---- Sockets outside of VRFs -------------------------------------------------------------------

STRANGE = """
import socket, sys
for _ in range(int(sys.argv[2])):
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, 50) as s:
        s.sendto(bytes.fromhex("0badcafe") + bytes(60), (sys.argv[1], 0))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.sendto(bytes([255]), (sys.argv[1], 500))
"""


def strange(host, to, times=1):
    """An ESP packet of no SA, and a keepalive to IKE."""
    host.run(["/usr/bin/python3", "-c", STRANGE, to, times])


def heard(vrfs):
    return (vrfs.one.ask("show", "ipsec", "counters")["in"]["unknown-spi"],
            vrfs.one.ask("show", "ike", "statistics")["udp"]["keepalives-in"])


def test_what_comes_in_a_vrf_is_not_for_others(vrfs):
    """Neither raw sockets nor those of IKE outside hear of it, though the kernel is asked to let them; also where
    the VRF is there since a moment ago, and no peer is in it."""
    vrfs.a.sysctl("net.ipv4.raw_l3mdev_accept", 1)
    vrfs.a.sysctl("net.ipv4.udp_l3mdev_accept", 1)
    before = vrfs.one.ask("show", "ipsec", "counters")["in"]
    assert ping(vrfs.h, BEHIND, HOST_B, 2) == 2
    counts = heard(vrfs)
    strange(vrfs.liars[None], "10.78.0.1")
    wait_for(lambda: heard(vrfs) == tuple(n + 1 for n in counts), 5, lambda: f"{counts} {heard(vrfs)}")
    after = vrfs.one.ask("show", "ipsec", "counters")["in"]
    assert (after["ok"], after["replay"]) == (before["ok"] + 2, before["replay"])
    vrfs.a.run(["ip", "link", "add", "green", "type", "vrf", "table", 20])
    vrfs.a.run(["ip", "link", "set", "green", "up"])
    late = vrfs.guest.namespace("late")
    vrfs.link("eth3", late, "10.79.0.1", "10.79.0.2", "green")

    def filtered():
        """What came there has come to nobody: what was sent after it from outside has."""
        counts = heard(vrfs)
        strange(late, "10.79.0.1", 5)
        strange(vrfs.liars[None], "10.78.0.1")
        wait_for(lambda: all(n > m for n, m in zip(heard(vrfs), counts)), 5, lambda: f"{heard(vrfs)}")
        return heard(vrfs) == tuple(n + 1 for n in counts)
    wait_for(filtered, 10, "the new VRF's are not heard")


# ---- The last one -------------------------------------------------------------------------------

def test_while_no_daemon_is_there(vrfs):
    """Nothing of what a tunnel is for comes in; what else is in these VRFs does."""
    vrfs.set()
    vrfs.one.kill()
    wait_for(lambda: "gh-ipsec" not in vrfs.a.run(["ip", "link"]).stdout, 10, "the devices are gone")
    for vrf in PLACES:
        near = count(vrfs.a, 7008, f"eth{PLACES.index(vrf)}")
        vrfs.a.run(["nft", "-f", "-"], input="""table inet seen {
            counter came { }
            chain in {
                type filter hook input priority 0
                udp dport 7008 counter name came
            }
        }
        """)
        send(vrfs.liars[vrf], HOST_B, 0, HOST_A, 7008)
        send(vrfs.liars[vrf], "10.78.0.2", 0, HOST_A, 7008)
        wait_for(lambda n=near: n() == 2, 5, "both arrive")
        came = vrfs.a.run(["nft", "list", "counter", "inet", "seen", "came"]).stdout
        assert "packets 1 " in came, f"{vrf} {came}"
        vrfs.a.run(["nft", "delete", "table", "inet", "seen"])
