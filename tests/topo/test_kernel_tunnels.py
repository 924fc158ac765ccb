"""Tunnels with a device of the kernel's (`tunnel { dataplane = kernel }`) in the lab kernel: with plain devices at
the other end, and protected by the kernel's IPsec with Gatehouse's own data plane at the other end."""

import pytest

from ike import SECRET, IkeGatehouse, child_section, peer_section
from netns import A4, A6, B4, B6
from test_base_uml import inner_pair
from test_dataplane import sent_by, states
from test_ipsec import ESP
from test_tunnels import GRE, IN6_A, IN6_B, IN_A, IN_B, clear_config, open_text, ping, tunnel_section
from uml import Guest
from wait import wait_for


@pytest.fixture
def guest(net, lab_kernel):
    return Guest(net.namespace("host"), lab_kernel)


def names(host):
    """Of the devices there."""
    lines = host.run(["ip", "-o", "link", "show"]).stdout.splitlines()
    return {line.split(": ")[1].split("@")[0] for line in lines}


def link(host, name):
    return host.run(["ip", "-d", "-o", "link", "show", "dev", name], check=False).stdout


def tunnels(gatehouse):
    return {t["name"]: t for t in gatehouse.ask("show", "tunnel")["tunnels"]}


def state(gatehouse):
    return lambda: f"{gatehouse.gatectl('show', 'tunnel', check=False).stdout}{gatehouse.tail()}"


OTHER = child_section("other", local_ts="10.55.0.0/24", remote_ts="10.66.0.0/24")
# type, outer IPv6?, options, kind and options of the plain device at the other end
PLAIN = {
    "g4": ("gre", False, {"key": 77, "checksum": True, "sequence": "check", "ttl": 9, "dscp": 46, "outer_df": "set"},
           ["gre", "key", "77", "csum", "seq", "ttl", "64"]),
    "g6": ("gre", True, {"send_key": 1, "receive_key": 2}, ["ip6gre", "ikey", "1", "okey", "2", "encaplimit", "none"]),
    "i4": ("ipip", False, {}, ["sit", "mode", "any", "ttl", "64"]),
    "i6": ("ipip", True, {"encapsulation_limit": 3, "dscp": 10}, ["ip6tnl", "mode", "any", "encaplimit", "none"]),
}


def plain_config(**changes):
    text = peer_section(psk_secret=SECRET, children=[OTHER])
    for n, (name, (kind, v6, options, _)) in enumerate(PLAIN.items()):
        ends = (A6, B6) if v6 else (A4, B4)
        text += tunnel_section(name, **{
            "type": kind, "local": ends[0], "remote": ends[1], "unprotected": True, "dataplane": "kernel",
            "address": [f"10.99.{n}.1/30", f"fd99:{n}::1/64"], "ip_mtu": 1400, **options, **changes.get(name, {})})
    return text


def test_with_plain_devices(guest, build_dir):
    """All four kinds with Linux's own at the other end; what a reload changes, and what stays when all is over."""
    a, b = inner_pair(guest)
    b.run(["ethtool", "-K", "eth0", "tx", "off"])
    a.run(["ethtool", "-K", "eth0", "tx", "off"])
    for n, (name, (_, v6, _, plain)) in enumerate(PLAIN.items()):
        ends = (B6, A6) if v6 else (B4, A4)
        b.run(["ip", "link", "add", name, "type", plain[0], "local", ends[0], "remote", ends[1], *plain[1:]])
        b.run(["ip", "link", "set", name, "up", "mtu", "1400"])
        b.add_address(name, f"10.99.{n}.2/30")
        b.add_address(name, f"fd99:{n}::2/64")
    one = IkeGatehouse(a, build_dir, plain_config()).start()
    for n, name in enumerate(PLAIN):
        for target in (f"10.99.{n}.2", f"fd99:{n}::2"):
            wait_for(lambda: ping(a, target, 1) == 1, 10,  # pylint: disable=cell-var-from-loop
                     lambda: f"{name} {target}\n{link(a, name)}{state(one)()}")  # pylint: disable=cell-var-from-loop
            assert ping(a, target, 3, 3000) == 3
        shown = tunnels(one)[name]
        assert (shown["dataplane"], shown["state"], shown["ip_mtu"]) == ("kernel", "up", 1400)
        assert shown["in"]["packets"] >= 8 and shown["out"]["octets"] > 8000 and shown["in"]["drops"] == {}
    said = link(a, "g4")
    for word in ("mtu 1400", "MULTICAST", "ttl 9", "tos 0xb8", "key 0.0.0.77", "icsum", "ocsum", "iseq", "oseq"):
        assert word in said, said
    assert "nopmtudisc" not in said and "encaplimit 3" in link(a, "i6")
    assert "g4" in one.gatectl("show", "tunnel").stdout
    assert 'gatehouse_tunnel_up{tunnel="g4"} 1\n' in one.gatectl("show", "metrics").stdout
    # Another key, in place: the device stays as it is, with what the operator has added to it.
    a.run(["ip", "route", "add", "10.44.0.0/24", "dev", "g4"])
    one.configure(plain_config(g4={"key": 78, "ttl": 10, "ip_mtu": 1300}))
    one.reload()
    wait_for(lambda: "key 0.0.0.78" in link(a, "g4") and "mtu 1300" in link(a, "g4"), 10, lambda: link(a, "g4"))
    assert "10.44.0.0/24" in a.run(["ip", "route"]).stdout
    assert ping(a, "10.99.0.2", 1) == 0
    b.run(["ip", "link", "set", "g4", "type", "gre", "key", "78"])
    assert ping(a, "10.99.0.2", 1) == 1 and ping(a, "10.99.1.2", 1) == 1
    # Into another namespace, and into a VRF, while its packets leave where they did.
    c = guest.namespace("c")
    a.run(["ip", "link", "add", "red", "type", "vrf", "table", "77"])
    a.run(["ip", "link", "set", "red", "up"])
    one.configure(plain_config(i4={"netns": "c", "device": "inside"}, i6={"vrf": "red"}))
    one.reload()
    wait_for(lambda: "master red" in link(a, "i6"), 10, state(one))
    wait_for(lambda: ping(a, "10.99.3.2", 1, options=("-I", "red")) == 1, 10, state(one))
    wait_for(lambda: "inside" in names(c) and "i4" not in names(a), 10, lambda: f"{names(c)} {names(a)}")
    wait_for(lambda: ping(c, "10.99.2.2", 1) == 1, 10, state(one))
    # Somebody takes one away, somebody kills the daemon, and in the end it is stopped.
    a.run(["ip", "link", "delete", "g6"])
    wait_for(lambda: ping(a, "10.99.1.2", 1) == 1, 10, state(one))
    one.kill()
    assert "g6" in names(a) and "inside" in names(c)
    one = IkeGatehouse(a, build_dir, plain_config(g6={"device": "renamed"})).start()
    wait_for(lambda: ping(a, "10.99.1.2", 1) == 1, 10, state(one))
    assert "g6" not in names(a) and "inside" not in names(c)
    one.stop()
    assert not {"g4", "renamed", "i4", "i6"} & names(a)


def test_in_a_vrf(guest, build_dir):
    """Packets leave in a VRF; the device is outside of it."""
    a, b = inner_pair(guest)
    a.run(["ip", "link", "add", "red", "type", "vrf", "table", "77"])
    for device in ("red", "eth0"):
        a.run(["ip", "link", "set", device, "up", *(("master", "red") if device == "eth0" else ())])
    b.run(["ip", "link", "add", "g", "type", "gre", "local", B4, "remote", A4, "ttl", "64"])
    b.run(["ip", "link", "set", "g", "up"])
    b.add_address("g", f"{IN_B}/30")
    one = IkeGatehouse(a, build_dir, peer_section(psk_secret=SECRET, children=[OTHER], vrf="red") + tunnel_section(
        "g", local=A4, remote=B4, unprotected=True, outer_vrf="red", dataplane="kernel",
        address=[f"{IN_A}/30"])).start()
    wait_for(lambda: ping(a, IN_B, 1) == 1, 10, lambda: f"{link(a, 'g')}{state(one)()}")
    assert "dev red" in link(a, "g") and "master" not in link(a, "g")


# ---- Protected ---------------------------------------------------------------------------------

class Protected:
    """GRE and IP in IP: the kernel's at a, of the plane `there` at b."""

    def __init__(self, guest, build_dir, mode="transport", there="user"):
        self.a, self.b = inner_pair(guest)
        self.build_dir, self.mode = build_dir, mode
        self.one = IkeGatehouse(self.a, build_dir, self.config(0, "kernel")).start()
        self.two = IkeGatehouse(self.b, build_dir, self.config(1, there)).start()

    def config(self, end, plane, **options):
        ends, inner, inner6 = (((A4, B4), IN_A, IN6_A), ((B4, A4), IN_B, IN6_B))[end]
        children = [child_section(kind, mode=self.mode, local_ts=[f"{ends[0]} {p}" for p in protocols],
                                  remote_ts=[f"{ends[1]} {p}" for p in protocols])
                    for kind, protocols in (("gre", (47,)), ("ipip", (4, 41)))]
        text = peer_section(psk_secret=SECRET, children=children, local=ends[0], remote=ends[1], dataplane=plane)
        for n, kind in enumerate(("gre", "ipip")):
            text += tunnel_section(kind, **{
                "type": kind, "local": ends[0], "remote": ends[1], "protect": "peer", "dataplane": plane,
                "address": [f"{inner.replace('99', str(98 + n))}/30", f"{inner6.replace('99', str(98 + n))}/64"],
                **options})
        return text

    def reaches(self, count=1, size=56):
        return all(ping(self.a, target, count, size) == count for target in self.targets())

    @staticmethod
    def targets():
        return ("10.98.0.2", "fd98::2", "10.99.0.2", "fd99::2")

    def up(self):
        for target in self.targets():
            wait_for(lambda: ping(self.a, target, 1) == 1, 10,  # pylint: disable=cell-var-from-loop
                     lambda: f"{target}\n{state(self.one)()}{state(self.two)()}"  # pylint: disable=cell-var-from-loop
                             f"{self.a.run(['ip', 'xfrm', 'policy', 'list', 'nosock']).stdout}")
        return self


CLEAR = """import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_RAW, 47)
s.sendto(bytes.fromhex("00000800" "45000054000040004001" "0000" "0a620002" "0a620001" "0800f7ff00000000") + bytes(56),
         (sys.argv[1], 0))
"""


def in_dropped(host):
    """Packets that came without the protection that a policy wants."""
    stat = dict(line.split() for line in host.run(["cat", "/proc/net/xfrm_stat"]).stdout.splitlines())
    return int(stat["XfrmInTmplMismatch"]) + int(stat["XfrmInPolBlock"])


@pytest.mark.parametrize("mode", ["transport", "tunnel"])
def test_protected(guest, build_dir, mode):
    """With Gatehouse's own plane at the other end: ESP alone on the wire, whatever ends; without an SA nothing leaves,
    and what comes in clear is not taken."""
    pair = Protected(guest, build_dir, mode)
    wire = sent_by(pair.a)
    pair.up()
    assert pair.reaches(2, 1200) and pair.reaches(1, 3000)
    here, there = tunnels(pair.one)["gre"], tunnels(pair.two)["gre"]
    assert (here["dataplane"], there["dataplane"], here["protected_by"]) == ("kernel", "user", "peer")
    assert here["state"] == "up" and here["in"]["packets"] >= 5 and there["in"]["drops"] == {}
    for role in ("esp", "xfrm"):
        pair.one.kill(role)
        assert pair.reaches()
    # A killed daemon's device goes with the next one, which makes it anew before it has an SA.
    pair.one.kill()
    pair.one = IkeGatehouse(pair.a, build_dir, pair.config(0, "kernel", ttl=77)).start()
    wait_for(lambda: "ttl 77" in link(pair.a, "gre"), 10, lambda: link(pair.a, "gre"))
    pair.up()
    pair.two.stop()
    pair.one.gatectl("ike", "terminate", "peer", "peer")
    wait_for(lambda: not [spi for spi in states(pair.a) if int(spi, 16)], 10, state(pair.one))  # 0: one is wanted
    before = tunnels(pair.one)["gre"]["in"]["packets"]
    targets = " ".join(pair.targets())
    said = pair.a.run(["sh", "-c", f"for t in {targets}; do ping -c 2 -i 0.2 -W 1 $t & done; wait"]).stdout
    assert said.count("100% packet loss") == 4, said
    dropped = in_dropped(pair.a)
    pair.b.run(["/usr/bin/python3", "-c", CLEAR, A4])
    wait_for(lambda: in_dropped(pair.a) > dropped, 10, lambda: pair.a.run(["cat", "/proc/net/xfrm_stat"]).stdout)
    seen = {protocol for protocol, _ in wire.protocols()}
    assert ESP in seen and not seen & {GRE, 4, 41}, seen
    assert tunnels(pair.one)["gre"]["in"]["packets"] == before


# ---- Who carries it ----------------------------------------------------------------------------

def test_auto(guest, build_dir):
    """`auto` is the kernel's where all that is asked for is; what is not is told, and so is what `kernel` cannot be."""
    pair = Protected(guest, build_dir)
    pair.up()

    def planes():
        return {name: t["dataplane"] for name, t in tunnels(pair.one).items()}

    text = pair.config(0, "auto")
    pair.one.configure(text)
    pair.one.reload()
    wait_for(lambda: planes() == {"gre": "kernel", "ipip": "kernel"}, 10, state(pair.one))
    # What the tunnel asks for, its child follows; the other child and tunnel stay where they are.
    pair.one.configure(text.replace('tunnel "gre" {', 'tunnel "gre" { clear-df = yes '))
    pair.one.reload()
    wait_for(lambda: planes() == {"gre": "user", "ipip": "kernel"}, 10, state(pair.one))
    assert 'gre is not the kernel\'s: it has "clear-df"' in pair.one.gatectl("show", "tunnel").stdout
    pair.up()
    # What the child asks for, its tunnel follows.
    pair.one.configure(text.replace('child "ipip" {', 'child "ipip" { ip-mtu = 1300 '))
    pair.one.reload()
    wait_for(lambda: planes() == {"gre": "kernel", "ipip": "user"}, 10, state(pair.one))
    assert 'the child "ipip" of "peer" is not the kernel' in tunnels(pair.one)["ipip"]["why"]
    pair.up()
    bypass = 'ipsec-policy "open" { action = bypass local-ts = "10.77.0.1" remote-ts = "10.77.0.2" }\n'
    pair.one.configure(pair.config(0, "kernel") + bypass)
    done = pair.one.gatectl("reload", check=False)
    assert done.returncode != 0 and 'the ipsec-policy "open" lets its packets pass' in done.stdout + done.stderr
    assert pair.reaches()


def test_without_the_kernels(net, build_dir):
    """On a kernel without tunnel devices (such as the tests' own, or it is shown by what none has): `auto` is user."""
    a, _ = net.two_routers()
    one = IkeGatehouse(a, build_dir, clear_config("gre", dataplane="auto", mss=1200)).start()
    wait_for(lambda: tunnels(one)["t1"]["dataplane"] == "user", 10, state(one))
    assert tunnels(one)["t1"]["why"]
    one.configure(open_text(one).replace('dataplane = "auto"', 'dataplane = "kernel"'))
    done = one.gatectl("reload", check=False)
    assert done.returncode != 0 and 'with its "mss"' in done.stdout + done.stderr
    assert tunnels(one)["t1"]["state"] == "up"
