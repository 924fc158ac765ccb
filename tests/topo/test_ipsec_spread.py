"""The clients of one `ike-peer` section over several processes: each has a slot of its own, which it keeps."""

import pytest

from daemons.strongswan import StrongSwan
from gatehouse import block
from ike import SECRET, IkeGatehouse, child_section, peer_section, section
from test_ipsec import Pinging, ping, sas
from test_ipsec_workers import kill_slot, kill_until, slot, slots
from wait import wait_for

HUB = "10.1.0.1"
SITES = ("one", "two", "three", "four")


def net_of(name):
    return f"10.2.{SITES.index(name)}.0/24"


def host_of(name):
    return net_of(name).replace("0/24", "1")


class Concentrator:
    """A hub with one section for all, and its sites; strongSwan is one of them if `swan` names it."""

    def __init__(self, net, build_dir, names, head=section("ike", workers=2), swan=None):
        self.net, self.build_dir, self.swan = net, build_dir, None
        self.a = net.namespace("hub")
        self.a.add_address("lo", f"{HUB}/32")
        self.hosts, self.sites = {}, {}
        self.hub = self.one = IkeGatehouse(self.a, build_dir, head + block(
            'ike-peer "sites"', {"remote": "any", "psk-secret": SECRET}, [child_section(
                local_ts=f"{HUB}/32", remote_ts="10.2.0.0/16", reverse_route=True)])).start()
        for name in names:
            (self.strongswan if name == swan else self.gatehouse)(name, *self.connect(name))
            wait_for(lambda name=name: self.ping(name, 1) == 1, 10, self.hub.tail)

    def connect(self, name):
        """A namespace with a way to the hub: its address and ours."""
        ours, its = (f"10.77.{SITES.index(name)}.{n}" for n in (1, 2))
        self.hosts[name] = self.net.namespace(name)
        self.net.link(self.a, self.hosts[name], (f"{ours}/24", f"{its}/24"), name_a=name)
        self.hosts[name].add_address("lo", f"{host_of(name)}/32")
        return ours, its

    def gatehouse(self, name, ours, its, more=()):
        children = [child_section(f"net{i}", network, f"{HUB}/32") for i, network in enumerate((net_of(name), *more))]
        self.sites[name] = IkeGatehouse(self.hosts[name], self.build_dir, peer_section(
            "hub", children, remote=ours, local=its, local_id=f"{name}.example.net", psk_secret=SECRET)).start()
        self.sites[name].gatectl("ike", "initiate", "hub", "net0")

    def strongswan(self, name, ours, its):
        self.swan = StrongSwan(self.hosts[name], {"hub": {
            "version": 2, "local_addrs": its, "remote_addrs": ours, "proposals": "aes256gcm16-prfsha256-x25519",
            "local": {"auth": "psk", "id": f"{name}.example.net"}, "remote": {"auth": "psk"},
            "children": {"net": {"local_ts": net_of(name), "remote_ts": f"{HUB}/32",
                                 "esp_proposals": "aes256gcm16-x25519"}}}},
            {"ike-1": {"secret": f'"{SECRET}"'}}).start()
        self.swan.initiate("net")

    def sas(self):
        """The newest SA of each network of the sites; before all those of an `ike` that has ended."""
        def age(sa):
            return sa["state"] != "orphaned", sa["id"]
        return {sa["remote_ts"][0]: sa for sa in sorted(sas(self.hub), key=age)}

    def sa(self, name):
        return self.sas()[net_of(name)]

    def slots(self):
        """Which slot each site has; its route leads there."""
        found = {name: self.sa(name)["slot"] for name in self.hosts}
        assert found == {name: slot(self.sa(name)) for name in self.hosts}
        routes = self.a.run(["ip", "route", "show", "proto", "171"]).stdout
        for name, number in found.items():
            assert f"{net_of(name)} dev gh-ipsec{number} " in routes, routes
        return found

    def ping(self, name, count=3):
        return ping(self.a, HUB, host_of(name), count)

    def new_keys(self, name, make):
        before = self.sa(name)
        make()
        wait_for(lambda: self.sas().get(net_of(name), before)["in"]["spi"] != before["in"]["spi"], 15, self.hub.tail)
        assert slot(self.sa(name)) == slot(before)

    def begin_again(self, name):
        """A site whose hub has another `ike`: it may not have noticed yet."""
        self.sites[name].gatectl("ike", "terminate", "peer", "hub", check=False)
        wait_for(lambda: self.sites[name].sas() or self.sites[name].gatectl(
            "ike", "initiate", "hub", "net0", check=False) is None, 10, self.sites[name].tail)


def test_each_client_has_a_slot(net, build_dir):
    """Four sites in two slots, evenly; a process killed concerns its own alone; new keys, a new IKE SA and
    another `ike` leave each where it is."""
    c = Concentrator(net, build_dir, SITES, swan="three")
    before = c.slots()
    assert sorted(before.values()) == [0, 0, 1, 1]
    assert [s["clients"] for s in slots(c.hub)] == [2, 2] and [s["peers"] for s in slots(c.hub)] == [0, 0]
    assert {name: c.ping(name) for name in SITES} == dict.fromkeys(SITES, 3)
    shown = c.hub.ask("show", "ipsec", "policy")["policies"]
    assert len(shown) == 1 and shown[0]["hits"] >= 12

    pinging = {name: Pinging(c.a, HUB, host_of(name)) for name in SITES}
    kill_slot(c.hub, 1)
    for name in SITES:
        pinging[name].wait_more(10, timeout=5)
    for name in SITES:
        if before[name] == 0:
            assert pinging[name].lost() == 0
    c.new_keys("three", lambda: c.swan.rekey(child="net"))
    sa = c.hub.list_sas()[0]["id"]
    c.hub.gatectl("ike", "rekey", "sa", str(sa))
    wait_for(lambda: sa not in [s["id"] for s in c.hub.list_sas()], 10, "another IKE SA")
    for name in ("one", "two"):
        c.new_keys(name, lambda name=name: c.hub.gatectl("ike", "rekey", "child", str(c.sa(name)["id"])))
    c.hub.kill("ike")
    for name in ("one", "two", "four"):
        c.new_keys(name, lambda name=name: c.begin_again(name))
    c.new_keys("three", lambda: (c.swan.terminate(ike="hub", check=False), c.swan.initiate("net")))
    assert c.slots() == before
    assert {name: c.ping(name) for name in SITES} == dict.fromkeys(SITES, 3)


def test_overlap(net, build_dir):
    """What one client has no other gets, in whichever slots they are, also when `ike` is another; given up, it
    is free."""
    c = Concentrator(net, build_dir, ("one", "two"))
    assert c.slots() == {"one": 0, "two": 1}
    ours, its = c.connect("three")
    c.gatehouse("three", ours, its, more=("10.2.0.128/25", "10.2.1.0/25"))
    three = c.sites["three"]
    wait_for(lambda: c.ping("three", 1) == 1, 10, c.hub.tail)
    assert c.slots() == {"one": 0, "two": 1, "three": 0}

    def refused(child, inner, outer, count=1):
        words = f"the child net is refused: {inner}: the route to {outer} is another tunnel's"
        three.gatectl("ike", "initiate", "hub", child)
        wait_for(lambda: c.hub.tail(1000).count(words) == count, 10, lambda: f"{words}\n{c.hub.tail()}")
        wait_for(lambda: len(sas(three)) == 1, 10, three.tail)
    refused("net1", "10.2.0.128/25", "10.2.0.0/24")  # one slot
    refused("net2", "10.2.1.0/25", "10.2.1.0/24")  # two
    c.hub.kill("ike")
    c.begin_again("three")
    wait_for(lambda: c.ping("three", 1) == 1, 10, c.hub.tail)
    refused("net2", "10.2.1.0/25", "10.2.1.0/24", 2)  # it is held where it is
    assert c.ping("two") == 3
    assert slot(c.sa("three")) == 0


def test_taken_over(net, build_dir):
    """A process in reserve has a slot's clients now: their SAs, routes and new keys; the others do not notice."""
    c = Concentrator(net, build_dir, ("one", "two"), section('tunnel-group "default"', active=2, backup=1))
    before = c.sas()
    assert c.slots() == {"one": 0, "two": 1}
    pinging = Pinging(c.a, HUB, host_of("two"))
    kill_until(c, lambda: slots(c.hub)[0]["by"] == "backup", group=0)
    wait_for(lambda: c.ping("one", 1) == 1, 10, c.hub.tail)
    assert {name: sa["in"]["spi"] for name, sa in c.sas().items()} == {
        name: sa["in"]["spi"] for name, sa in before.items()}
    assert c.slots() == {"one": 0, "two": 1}
    c.new_keys("one", lambda: c.sites["one"].gatectl("ike", "rekey", "child", str(sas(c.sites["one"])[0]["id"])))
    wait_for(lambda: c.ping("one") == 3, 10, c.hub.tail)
    assert pinging.lost() == 0


def test_reload(net, build_dir):
    """A peer that has addresses in common with the clients brings all to one slot; without it who comes anew is
    spread, and who is somewhere stays there."""
    c = Concentrator(net, build_dir, ("one", "two"))
    assert c.slots() == {"one": 0, "two": 1}
    with open(c.hub.config_file, encoding="utf-8") as file:
        text = file.read()
    pinging = Pinging(c.a, HUB, host_of("one"))
    c.hub.configure(text + peer_section("other", [child_section(local_ts=f"{HUB}/32", remote_ts="10.2.9.0/24")],
                                        remote="192.0.2.9", local=None, psk_secret=SECRET))
    c.hub.reload()
    wait_for(lambda: not sas(c.sites["two"]), 10, lambda: f"its child has ended\n{c.hub.tail()}")
    assert [s["peers"] for s in slots(c.hub)] == [2, 0]
    c.sites["two"].gatectl("ike", "initiate", "hub", "net0")
    wait_for(lambda: c.ping("two", 1) == 1, 10, c.hub.tail)
    assert c.slots() == {"one": 0, "two": 0}
    c.hub.configure(text)
    c.hub.reload()
    c.gatehouse("three", *c.connect("three"))
    wait_for(lambda: c.ping("three", 1) == 1, 10, c.hub.tail)
    assert c.slots() == {"one": 0, "two": 0, "three": 1}
    assert pinging.lost() == 0


@pytest.mark.parametrize("why", ["everything", "overlap"])
def test_who_is_not_spread(net, build_dir, why):
    """Clients that their networks do not tell apart are in one slot, as they were."""
    child = {"remote_ts": "0.0.0.0/0"} if why == "everything" else {"remote_ts": "10.2.0.0/16", "route_overlap": "allow"}
    a = net.namespace("hub")
    hub = IkeGatehouse(a, build_dir, section("ike", workers=2) + block(
        'ike-peer "sites"', {"remote": "any", "psk-secret": SECRET}, [child_section(
            local_ts=f"{HUB}/32", reverse_route=True, **child)])).start()
    assert [s["peers"] for s in slots(hub)] == [1, 0]
