"""Three sites: every one with every other, and through one in the middle. The configurations are those of
docs/operators/mesh.md and hub-and-spoke.md."""

import os
import re

import pytest

from capture import Capture, read_frames
from ike import IkeGatehouse
from pages import Page
from test_ipsec import Pinging, ping, sas, transfer
from wait import wait_for

UDP, ESP = 17, 50


class Net3:
    """Gateways 192.0.2.1 to .3 on one network, a host behind each: 10.1.0.2, 10.2.0.2, 10.3.0.2."""

    def __init__(self, net, build_dir, page, names):
        self.page = Page(page)
        self.names = names
        middle = net.namespace("net")
        middle.run(["ip", "link", "add", "br0", "type", "bridge"])
        middle.run(["ip", "link", "set", "br0", "up"])
        self.gateways, self.hosts, self.gatehouses = {}, {}, {}
        for n, name in enumerate(names, 1):
            gateway, host = net.namespace(name), net.namespace(f"{name}-host")
            net.link(gateway, middle, name_b=name)
            middle.run(["ip", "link", "set", name, "master", "br0"])
            gateway.add_address("eth0", f"192.0.2.{n}/24")
            net.link(gateway, host, (f"10.{n}.0.1/24", f"10.{n}.0.2/24"), name_a="eth1")
            host.run(["ip", "route", "add", "default", "via", f"10.{n}.0.1"])
            gateway.sysctl("net.ipv4.ip_forward", 1)
            for which in ("all", "default"):
                gateway.sysctl(f"net.ipv4.conf.{which}.send_redirects", 0)
            self.gateways[name], self.hosts[name] = gateway, host
        for name in names:
            self.gatehouses[name] = IkeGatehouse(self.gateways[name], build_dir, self.config(name)).start()

    def config(self, name):
        """As the page has it, with secrets where they can be found."""
        text = self.page.file(f"{name}/gatehouse.conf")
        directory = self.gateways[name].directory("secrets")
        for secret in re.findall(r"/etc/gatehouse/secrets/(\S+)\"", text):
            path = os.path.join(directory, secret)
            with open(path, "w", encoding="ascii") as file:
                file.write(f"the secret of {secret}, which is long enough")
            os.chmod(path, 0o600)
        return text.replace("/etc/gatehouse/secrets", directory)

    def address(self, name):
        return f"10.{self.names.index(name) + 1}.0.2"

    def ping(self, one, other, count=3):
        return ping(self.hosts[one], self.address(one), self.address(other), count)

    def wait_reached(self, one, other, timeout=15):
        wait_for(lambda: self.ping(one, other, 1) == 1, timeout,
                 lambda: f"{one} reaches {other}\n{self.gatehouses[one].tail()}{self.gatehouses[other].tail()}")

    def pinging(self, one, other):
        return Pinging(self.hosts[one], self.address(one), self.address(other))

    def all_reached(self):
        for one in self.names:
            for other in self.names:
                if one != other:
                    self.wait_reached(one, other)
                    assert self.ping(one, other) == 3

    def shown(self, name):
        """What the page shows."""
        self.page.check(name, self.gateways[name], gatectl=self.gatehouses[name].gatectl)


def dropped(gatehouse):
    counted = gatehouse.ask("show", "ipsec", "counters")
    return {(way, name): counted[way][name] for way in ("in", "out") for name in counted[way]
            if counted[way][name] and name not in ("ok", "no-sa")}


def talked(path):
    """{(protocol, the two last octets of 192.0.2.x)} of a capture; never an address of the sites."""
    found = set()
    for _, frame in read_frames(path):
        if frame[12:14] != b"\x08\x00":
            continue
        packet = frame[14:]
        assert packet[12:15] == packet[16:19] == bytes((192, 0, 2)), packet.hex()
        found.add((packet[9], *sorted((packet[15], packet[19]))))
    return found


def rekey(gatehouse):
    """IKE is on the wire, too; its first messages may have been over before the capture began."""
    old = gatehouse.list_sas()[0]["id"]
    gatehouse.gatectl("ike", "rekey", "sa", str(old))
    wait_for(lambda: old not in [sa["id"] for sa in gatehouse.list_sas()], 10, "another IKE SA")


# ---- Every one with every other -----------------------------------------------------------------

MESH = ("zurich", "berlin", "wien")


@pytest.fixture
def mesh(net, build_dir):
    return Net3(net, build_dir, "operators/mesh.md", MESH)


def test_mesh(mesh):
    """All reach all, directly, and nothing is in clear."""
    captures = [Capture(mesh.gateways[name], expression="ip and not multicast") for name in MESH]
    mesh.all_reached()
    transfer(mesh.hosts["berlin"], mesh.hosts["wien"], mesh.address("berlin"), mesh.address("wien"))
    rekey(mesh.gatehouses["zurich"])
    seen = set()
    for capture in captures:
        capture.stop()
        seen |= talked(capture.path)
    pairs = {(1, 2), (1, 3), (2, 3)}
    assert {found[1:] for found in seen if found[0] == ESP} == pairs
    assert {found[0] for found in seen} == {ESP, UDP}
    mesh.shown("zurich")


def test_mesh_without_one(mesh):
    """One is killed: the other two go on without a loss, and all is well when it is back."""
    mesh.all_reached()
    pinging = mesh.pinging("zurich", "berlin")
    mesh.gatehouses["wien"].kill()
    assert mesh.ping("zurich", "wien", 1) == 0
    pinging.wait_more()
    mesh.gatehouses["wien"].start()
    mesh.wait_reached("wien", "zurich")
    mesh.wait_reached("berlin", "wien")
    assert pinging.lost() == 0, {name: (dropped(g), sas(g), g.tail()) for name, g in mesh.gatehouses.items()}


# ---- One in the middle ----------------------------------------------------------------------------

SPOKES = ("hub", "berlin", "wien")


@pytest.fixture
def star(net, build_dir):
    return Net3(net, build_dir, "operators/hub-and-spoke.md", SPOKES)


def test_spokes_through_the_hub(star):
    """All reach all; spokes only ever talk to the hub, which counts what passes through it at both sides."""
    capture = Capture(star.gateways["berlin"], expression="ip and not multicast")
    star.all_reached()
    transfer(star.hosts["berlin"], star.hosts["wien"], star.address("berlin"), star.address("wien"))
    rekey(star.gatehouses["berlin"])
    capture.stop()
    assert talked(capture.path) == {(ESP, 1, 2), (UDP, 1, 2)}
    for sa in sas(star.gatehouses["hub"]):
        assert sa["in"]["drops"] == {}
    octets = {peer: sum(sa[way]["octets"] for sa in sas(star.gatehouses["hub"]) if sa["peer"] == peer
                        for way in ("in", "out")) for peer in ("berlin", "wien")}
    assert min(octets.values()) > 800_000
    assert all(dropped(gatehouse) == {} for gatehouse in star.gatehouses.values())
    star.shown("hub")


def test_an_address_that_is_not_the_spokes(star):
    """Its own gateway does not let it out, nor, told that it may, does it get an SA from the hub
    for it: it asks once, not with each packet."""
    star.all_reached()
    host, liar = star.hosts["berlin"], star.gatehouses["berlin"]
    host.add_address("eth0", "10.3.0.99/32")
    assert ping(host, "10.3.0.99", star.address("hub"), 2) == 0
    assert dropped(liar) == {("out", "no-policy"): 2}
    before = len(sas(liar))
    lie = star.config("berlin").replace("local-ts = \"10.2.0.0/24\"", "local-ts = \"10.0.0.0/8\"")
    # Else its own firewall rules drop what comes from there and should have come through the tunnel.
    liar.configure("ike { unprotected = pass }\n" + lie)
    liar.reload()
    pinging = star.pinging("berlin", "hub")
    assert ping(host, "10.3.0.99", star.address("hub"), 2) == 0
    star.gatehouses["hub"].wait_said("child-down: all: deleted by the peer")  # it had but the rest
    host.run(["ping", "-c", 40, "-i", 0.02, "-W", 0.2, "-I", "10.3.0.99", star.address("hub")], check=False)
    wait_for(lambda: len(sas(liar)) == before, 10, lambda: f"no SA is left of it: {sas(liar)}")
    assert all(sa["local_ts"] == ["10.2.0.0/24"] for sa in sas(liar))
    assert pinging.lost() == 0
    assert dropped(star.gatehouses["hub"]) == {}


def test_star_without_one(star):
    """A spoke is killed: the hub and the other one do not notice. The hub: nobody reaches anybody, and
    nothing goes in clear, until it is back."""
    star.all_reached()
    pinging = star.pinging("berlin", "hub")
    star.gatehouses["wien"].kill()
    assert star.ping("berlin", "wien", 1) == 0
    pinging.wait_more()
    assert pinging.lost() == 0
    star.gatehouses["wien"].start()
    star.wait_reached("berlin", "wien")
    capture = Capture(star.gateways["berlin"], expression="ip and not multicast")
    star.gatehouses["hub"].kill()
    assert star.ping("berlin", "wien", 2) == star.ping("berlin", "hub", 2) == 0
    capture.stop()
    assert {found[0] for found in talked(capture.path)} <= {ESP, UDP, 1}  # the hub's kernel answers by ICMP
    star.gatehouses["hub"].start()
    star.wait_reached("berlin", "hub", timeout=60)
    star.wait_reached("wien", "berlin", timeout=60)
