"""IKE in network namespaces and VRFs: the same addresses in several places are several peers."""

import pytest

from gatehouse import Gatehouse
from ike import SECRET, IkeGatehouse, child_section, peer_section
from netns import A4, B4, run
from test_base_uml import inner_pair
from test_ike_shell import udp_ports
from uml import Guest
from wait import wait_for

OURS, THEIRS = "10.1.0.0/24", "10.2.0.0/24"


def ours(name, place, secret, local=None, **options):
    return peer_section(name, psk_secret=secret, local=local, **place, **options)


def theirs(secret):
    return peer_section("gw", psk_secret=secret, local=B4, remote=A4,
                        children=[child_section(local_ts=THEIRS, remote_ts=OURS)])


def secret_of(name):
    return f"the secret of the peer in {name}, long enough"


def of(gatehouse, peer):
    return [sa for sa in gatehouse.list_sas() if sa["peer"] == peer and sa["state"] == "established"]


def wait_of(gatehouse, peer, count=1):
    wait_for(lambda: len(of(gatehouse, peer)) == count, 15,
             lambda: f"{count} IKE SAs with {peer}\n{gatehouse.list_sas()}\n{gatehouse.tail()}")
    return of(gatehouse, peer)


class Places:
    """Gatehouse in a namespace of its own, and pairs x and y: in each, it is A4 and a peer is B4."""

    def __init__(self, net, build_dir):
        self.net = net
        self.home = net.namespace("home")
        self.inside, self.peers = {}, {}
        for name in "xy":
            self.inside[name], other = net.namespace(name), net.namespace(f"{name}peer")
            net.link(self.inside[name], other, (f"{A4}/24", f"{B4}/24"))
            self.peers[name] = IkeGatehouse(other, build_dir, theirs(secret_of(name))).start()
        self.gatehouse = IkeGatehouse(self.home, build_dir, self.config()).start()

    def config(self, names="xy", **options):
        return "".join(ours(name, {"netns": self.inside[name].name}, secret_of(name), **options)
                       for name in names)


@pytest.fixture
def places(net, build_dir):
    return Places(net, build_dir)


def source(gatehouse, name):
    return next(p for p in gatehouse.ask("show", "ike", "peer")["peers"] if p["name"] == name)


@pytest.mark.parametrize("local", [None, A4], ids=["by-route", "configured"])
@pytest.mark.parametrize("opener", ["here", "there"])
def test_the_same_addresses_in_two_namespaces(places, opener, local):
    """Each with a key of its own: whoever is taken for the other is not believed."""
    places.gatehouse.configure(places.config(local=local))
    places.gatehouse.reload()
    assert udp_ports(places.home) == set()
    assert udp_ports(places.inside["x"]) == {500, 4500} == udp_ports(places.inside["y"])
    for name in "xy":
        wait_for(lambda name=name: source(places.gatehouse, name)["source"] == A4, 10, "a source")
        if opener == "here":
            places.gatehouse.gatectl("ike", "initiate", name, "net")
        else:
            places.peers[name].gatectl("ike", "initiate", "gw", "net")
    for name in "xy":
        sa, = wait_of(places.gatehouse, name)
        other, = wait_of(places.peers[name], "gw")
        assert (sa["spi_i"], sa["spi_r"]) == (other["spi_i"], other["spi_r"])
        assert sa["netns"] == places.inside[name].name
    first, second = of(places.gatehouse, "x")[0], of(places.gatehouse, "y")[0]
    assert (first["local"], first["remote"]) == (second["local"], second["remote"])
    shown = places.gatehouse.gatectl("show", "ike", "peer").stdout
    assert f"{A4} in {places.inside['x'].name}" in shown


def test_an_address_alone_does_not_say_which(places):
    for order in ("initiate", "terminate"):
        words = ("initiate", B4) if order == "initiate" else ("terminate", "peer", B4)
        refused = places.gatehouse.gatectl("ike", *words, check=False)
        assert refused.returncode != 0 and "different namespaces" in refused.stderr


def test_a_place_that_is_left(places):
    """Its SAs end with a word to the peer; the other place does not notice."""
    for name in "xy":
        places.peers[name].gatectl("ike", "initiate", "gw", "net")
        wait_of(places.gatehouse, name)
    kept = of(places.gatehouse, "y")[0]["spi_i"]
    places.gatehouse.configure(places.config("y"))
    places.gatehouse.reload()
    wait_of(places.peers["x"], "gw", 0)
    assert not places.peers["x"].said("the peer answers no more")
    wait_for(lambda: udp_ports(places.inside["x"]) == set(), 10, "the ports are given back")
    assert of(places.gatehouse, "y")[0]["spi_i"] == kept
    places.gatehouse.configure(places.config())
    places.gatehouse.reload()
    places.peers["x"].gatectl("ike", "initiate", "gw", "net")
    wait_of(places.gatehouse, "x")


def test_a_namespace_that_comes_later(places, net, build_dir):
    """It is said that it is not there; when it is, also made anew, its peers are called."""
    name = f"{net.prefix}-late"
    places.gatehouse.configure(places.config("x") + ours(
        "late", {"netns": name}, secret_of("late"), children=[child_section(start=True)]))
    places.gatehouse.reload()
    wait_for(lambda: places.gatehouse.said(f"in namespace {name}: No such file"), 10, "it is missed")
    assert places.gatehouse.causes("late")[0] == "ike-no-socket"
    for turn in range(2):
        inside, other = net.namespace("late"), net.namespace("latepeer")
        net.link(inside, other, (f"{A4}/24", f"{B4}/24"))
        peer = IkeGatehouse(other, build_dir, theirs(secret_of("late")), name=f"late{turn}").start()
        wait_of(places.gatehouse, "late")
        wait_of(peer, "gw")
        if turn == 0:
            peer.process.kill()
            for namespace in (inside, other):
                namespace.destroy()
                net.namespaces.remove(namespace)
            wait_of(places.gatehouse, "late", 0)


def test_a_killed_ike_is_told_of_its_places(places):
    before = places.gatehouse.processes()["ike"]
    places.gatehouse.kill("ike")
    wait_for(lambda: places.gatehouse.processes().get("ike", before) != before, 10, "another ike")
    wait_for(lambda: places.gatehouse.gatectl("show", "ike", "sa", check=False).returncode == 0, 10,
             "it answers")
    wait_for(lambda: source(places.gatehouse, "x")["source"] == A4, 10, "it knows from where")
    places.gatehouse.gatectl("ike", "initiate", "x", "net")
    wait_of(places.gatehouse, "x")


# ---- VRFs, in the lab kernel ------------------------------------------------------------------

@pytest.fixture
def guest(net, lab_kernel):
    return Guest(net.namespace("host"), lab_kernel)


@pytest.mark.parametrize("opener", ["here", "there"])
def test_vrf(guest, build_dir, opener):
    """The same addresses in a VRF and outside of it, with different keys, on the same ports."""
    a, b = inner_pair(guest)
    c = guest.namespace("three")
    guest.run(["ip", "link", "add", "eth1", "netns", "one", "type", "veth",
               "peer", "name", "eth0", "netns", "three"])
    a.run(["ip", "link", "add", "red", "type", "vrf", "table", "10"])
    for device in ("red", "eth1"):
        a.run(["ip", "link", "set", device, "up"])
    a.run(["ip", "link", "set", "eth1", "master", "red"])
    c.run(["ip", "link", "set", "eth0", "up"])
    a.add_address("eth1", f"{A4}/24")
    c.add_address("eth0", f"{B4}/24")
    one = IkeGatehouse(a, build_dir, ours("outside", {}, secret_of("none"))
                       + ours("inside", {"vrf": "red"}, secret_of("red")), name="a").start()
    others = {"outside": IkeGatehouse(b, build_dir, theirs(secret_of("none")), name="b").start(),
              "inside": IkeGatehouse(c, build_dir, theirs(secret_of("red")), name="c").start()}
    for name, other in others.items():
        wait_for(lambda name=name: source(one, name)["source"] == A4, 10,
                 lambda name=name: f"a source\n{source(one, name)}\n{one.tail()}")
        if opener == "here":
            one.gatectl("ike", "initiate", name, "net")
        else:
            other.gatectl("ike", "initiate", "gw", "net")
        sa, = wait_of(one, name)
        assert sa["spi_i"] == wait_of(other, "gw")[0]["spi_i"]
        assert sa["vrf"] == ("red" if name == "inside" else None)
    # Packets, too, each by a device of its own.
    for host, interface in ((a, "lo"), (a, "red"), (b, "lo"), (c, "lo")):
        host.add_address(interface, "10.1.0.1/32" if host is a else "10.2.0.1/32")
    for device in ("lo", "red"):
        options = ["-I", "red"] if device == "red" else ["-I", "10.1.0.1"]
        a.run(["ping", "-c", "3", "-i", "0.1", "-W", "10", *options, "10.2.0.1"])
    # Nobody else of this user takes a port of ours, although it was shared for a moment.
    thief = a.run(["python3", "-c", "import socket as s\nx = s.socket(s.AF_INET, s.SOCK_DGRAM)\n"
                   "x.setsockopt(s.SOL_SOCKET, s.SO_REUSEPORT, 1)\nx.bind(('', 4500))"], check=False)
    assert thief.returncode != 0 and "in use" in thief.stderr
    # The VRF goes, and comes again under its name.
    a.run(["ip", "link", "del", "red"])
    wait_for(lambda: source(one, "inside")["source"] is None, 10, "the VRF is missed")
    wait_of(one, "inside", 0)
    wait_of(one, "outside")
    a.run(["ip", "link", "add", "red", "type", "vrf", "table", "10"])
    a.run(["ip", "link", "set", "red", "up"])
    a.run(["ip", "link", "set", "eth1", "master", "red"])
    wait_for(lambda: source(one, "inside")["source"] == A4, 10,
             lambda: f"it is back\n{source(one, 'inside')}\n{one.tail()}")
    others["inside"].gatectl("ike", "terminate", "peer", "gw", check=False)
    one.gatectl("ike", "initiate", "inside", "net")
    wait_of(one, "inside")
