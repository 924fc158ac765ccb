"""Several processes that carry packets (`workers`, `tunnel-group`): each peer has one, its packets come
to no other, and what becomes of one process concerns its own peers alone."""

import json
import os
import signal

import pytest

from daemons.strongswan import StrongSwan
from ike import SECRET, IkeGatehouse, child_section, peer_section, section
from netns import A4, B4
from test_ipsec import Pinging, ping, sas, transfer
from wait import wait_for

PEERS = ("one", "two", "three")
ENDS = {"one": B4, "two": "10.77.0.3", "three": "10.77.0.4"}  # in b
HOST = "10.1.0.1"
FAR = {"one": "10.2.1.1", "two": "10.2.2.1", "three": "10.2.3.1"}


def net_of(host):
    return f"{host}/32"


def slot(sa):
    """Which process has it, by its SPI."""
    return int(sa["in"]["spi"], 16) >> 27


def head(count, udp):
    return section("ike", workers=count) + (section('ike-policy "nat"', force_nat_t=True) if udp else "")


def peers(remote_of, local_of, ours, theirs, udp, names=PEERS, **options):
    more = {"ike_policy": "nat"} if udp else {}
    return "".join(peer_section(
        name, psk_secret=SECRET, remote=remote_of(name), local=local_of(name), **more, **options,
        children=[child_section(local_ts=ours(name), remote_ts=theirs(name))]) for name in names)


class Hub:
    """Gatehouse in a with peers at addresses of b, behind each of which is a network of its own."""

    def __init__(self, net):
        self.a, self.b = net.two_routers()
        self.a.add_address("lo", net_of(HOST))
        for name in PEERS:
            self.b.add_address("lo", net_of(FAR[name]))
            if ENDS[name] != B4:
                self.b.add_address("eth0", f"{ENDS[name]}/24")
        self.one = self.two = None

    def start(self, build_dir, count, udp, groups="", more="", **options):
        """Gatehouse in a: `count` processes."""
        self.one = IkeGatehouse(self.a, build_dir, head(count, udp) + groups + peers(
            lambda name: ENDS[name], lambda _: A4, lambda _: net_of(HOST),
            lambda name: net_of(FAR[name]), udp, **options) + more).start()
        return self

    def start_far(self, build_dir, count, udp, names=PEERS):
        self.two = IkeGatehouse(self.b, build_dir, head(count, udp) + peers(
            lambda _: A4, lambda name: ENDS[name], lambda name: net_of(FAR[name]),
            lambda _: net_of(HOST), udp, names)).start()
        return self

    def initiate(self, names=PEERS):
        for name in names:
            self.one.gatectl("ike", "initiate", name)
        self.one.wait_sas(len(names), len(names))
        return self

    def sas(self):
        return {sa["peer"]: sa for sa in sas(self.one) if sa["state"] == "installed"}

    def ping(self, names=PEERS, count=3):
        return {name: ping(self.a, HOST, FAR[name], count) for name in names}

    def slots(self, group=0):
        return self.one.ask("show", "ipsec", "group")["groups"][group]["slots"]

    def kill_slot(self, number, group=0):
        """kill -9; the next process is there when this returns."""
        before = self.slots(group)[number]["pid"]
        os.kill(before, signal.SIGKILL)
        wait_for(lambda: self.slots(group)[number]["pid"] not in (None, before), 10,
                 lambda: f"another process\n{self.one.tail()}")


@pytest.mark.parametrize("udp", [False, True], ids=["esp", "in-udp"])
def test_three_processes(net, build_dir, udp):
    """Each peer is in a slot of its own, and all its packets with it; one process killed pauses its
    own peer alone; new keys stay in their slot."""
    hub = Hub(net).start(build_dir, 3, udp).start_far(build_dir, 2, udp).initiate()
    before = hub.sas()
    assert sorted(slot(sa) for sa in before.values()) == [0, 1, 2]
    assert hub.ping() == dict.fromkeys(PEERS, 3)
    for name in PEERS:
        transfer(hub.b, hub.a, FAR[name], HOST)
    for gatehouse in (hub.one, hub.two):
        counters = gatehouse.ask("show", "ipsec", "counters")
        assert counters["in"]["unknown-spi"] == counters["out"]["no-policy"] == 0
        assert counters["packets"]["received"] >= 600
    assert all(sa["in"]["packets"] > 100 and sa["in"]["drops"] == {} for sa in hub.sas().values())

    pinging = {name: Pinging(hub.a, HOST, FAR[name]) for name in PEERS}
    hub.kill_slot(slot(before["two"]))
    for name in PEERS:
        pinging[name].wait_more(10, timeout=5)
    hub.one.gatectl("ike", "rekey", "child", str(hub.sas()["three"]["id"]))
    wait_for(lambda: hub.sas()["three"]["in"]["spi"] != before["three"]["in"]["spi"], 10, "new keys")
    pinging["three"].wait_more()
    after = hub.sas()
    assert slot(after["three"]) == slot(before["three"])
    assert after["two"]["in"]["spi"] == before["two"]["in"]["spi"]
    assert pinging["one"].lost() == pinging["three"].lost() == 0
    assert pinging["two"].lost() <= 15
