"""Several processes that carry packets (`workers`, `tunnel-group`): each peer has one, its packets come
to no other, and what becomes of one process concerns its own peers alone."""

import json
import os
import signal

import pytest

from capture import Capture, read_frames
from daemons.strongswan import StrongSwan
from gatehouse import value_text
from ike import SECRET, IkeGatehouse, child_section, peer_section, section
from netns import A4, B4
from test_ipsec import Pinging, ping, sas, transfer
from test_ipsec_policies import ECHO, ask, policy
from test_ipsec_private import CUSTOMERS, Customers
from uml import Guest
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
    return (section("ike", workers=count) if count else "") + (section('ike-policy "nat"', force_nat_t=True) if udp else "")


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

    def start_far(self, build_dir, count, udp, names=PEERS, more=""):
        self.two = IkeGatehouse(self.b, build_dir, head(count, udp) + more + peers(
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


def slots(gatehouse, group=0):
    return gatehouse.ask("show", "ipsec", "group")["groups"][group]["slots"]


def kill_slot(gatehouse, number):
    """kill -9; the next process is there when this returns."""
    before = slots(gatehouse)[number]["pid"]
    os.kill(before, signal.SIGKILL)
    wait_for(lambda: slots(gatehouse)[number]["pid"] not in (None, before), 10,
             lambda: f"another process\n{gatehouse.tail()}")


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
    kill_slot(hub.one, slot(before["two"]))
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


def test_bypass_by_any_of_them(net, build_dir):
    """An `ipsec-policy` is in each process, whosever packets it is about; gatectl shows it once."""
    ours = policy("clear", action="bypass", local_ts=[net_of(HOST)], remote_ts=["10.2.0.0/16 udp 7001"])
    theirs = policy("clear", action="bypass", local_ts=["10.2.0.0/16 udp 7001"], remote_ts=[net_of(HOST)])
    hub = Hub(net).start(build_dir, 3, False, groups=ours).start_far(build_dir, 2, False, more=theirs)
    hub.a.route("10.2.0.0/16", B4)  # where they would go without the tunnels
    hub.b.route("10.1.0.0/24", A4)
    hub.initiate()
    for address in FAR.values():
        for port in (7001, 7002):
            hub.b.spawn(["/usr/bin/python3", "-c", ECHO, "udp", address, port],
                        f"{hub.b.directory('echo')}/{address}-{port}")
    wait_for(lambda: hub.b.run(["ss", "-Hlnu"]).stdout.count(":700") == 6, 10, "the servers listen")
    wire = Capture(hub.a, "eth0", "udp")
    for address in FAR.values():
        for port in (7001, 7002):
            assert ask(hub.a, "udp", HOST, port, target=address) == "hello", f"{address} {hub.one.tail()}"
    wire.stop()
    seen = [int.from_bytes(frame[36:38], "big") for _, frame in read_frames(wire.path)]
    assert seen.count(7001) == 3 and 7002 not in seen

    def shown():
        return json.loads(hub.one.gatectl("--json", "show", "ipsec", "policy").stdout)["policies"]
    wait_for(lambda: shown()[0]["hits"] == 3, 5, shown)
    assert [p["name"] for p in shown()] == ["clear", None, None, None]
    assert sorted(p["peer"] for p in shown()[1:]) == sorted(PEERS)


def test_show_and_capture(net, build_dir):
    """`show` and `capture` are of all processes at once."""
    hub = Hub(net).start(build_dir, 3, True).start_far(build_dir, 1, True).initiate()
    names = {p["name"] for p in hub.one.ask("show", "processes")["processes"]}
    assert {"esp-0", "esp-1", "esp-2"} <= names
    assert {p["peer"] for p in hub.one.ask("show", "ipsec", "policy")["policies"]} == set(PEERS)
    tunnels = hub.one.ask("show", "ipsec", "tunnel")["tunnels"]
    assert sorted((t["peer"], len(t["sas"])) for t in tunnels) == [(n, 1) for n in sorted(PEERS)]
    file = os.path.join(hub.a.directory("capture"), "packets")
    capture = hub.a.spawn([hub.one.ctl, "-s", os.path.join(hub.one.run_dir, "control.sock"), "capture",
                           "clear", "count", "12", "--json"], file)
    wait_for(lambda: hub.ping(count=1) and capture.status() is not None, 20, "twelve packets")
    with open(file, encoding="utf-8") as lines:
        packets = [json.loads(line) for line in lines if line.startswith("{")]
    assert len(packets) == 12 and {p["peer"] for p in packets} == set(PEERS)
    shown = hub.one.gatectl("show", "ipsec", "group").stdout
    assert "default" in shown and "esp" not in shown


def test_reload(net, build_dir):
    """Who is somewhere stays there when peers come and go, unless it belongs to another by now; how many processes there are, and which
    group a peer is in, does not change while they carry packets."""
    hub = Hub(net).start(build_dir, 2, False).start_far(build_dir, 1, False).initiate()
    before = hub.sas()
    with open(hub.one.config_file, encoding="utf-8") as file:
        text = file.read()
    pinging = Pinging(hub.a, HOST, FAR["three"])
    hub.one.configure(text.replace('ike-peer "one"', 'ike-peer "other"'))
    hub.one.reload()
    hub.one.configure(text)
    hub.one.reload()
    pinging.wait_more()
    assert pinging.lost() == 0
    after = hub.sas()
    assert after["two"]["in"]["spi"] == before["two"]["in"]["spi"]
    for other, words in ((text.replace("workers = 2", "workers = 3"), "cannot change while"),
                         (text.replace('ike-peer "two" {', 'tunnel-group "x" { }\nike-peer "two" {'),
                          "cannot change while")):
        hub.one.configure(other)
        refused = hub.one.gatectl("reload", check=False)
        assert refused.returncode != 0 and words in refused.stdout + refused.stderr
    assert hub.ping(("two", "three")) == {"two": 3, "three": 3}

    assert (slot(after["one"]), slot(after["two"])) == (0, 1)
    for name in ("one", "two"):
        text = text.replace(f'remote-ts = "{net_of(FAR[name])}"',
                            f"remote-ts = {value_text([net_of(FAR[name]), '10.2.9.9/32'])}")
    hub.one.configure(text)
    hub.one.reload()  # "two" has addresses in common with "one": it goes where that is
    wait_for(lambda: hub.ping(("two",), 1)["two"] == 1 and slot(hub.sas()["two"]) == 0, 15,
             lambda: f"a new SA in the other slot\n{hub.one.tail()}")
    assert hub.ping(("three",)) == {"three": 3}


def test_groups(net, build_dir):
    """A process that ends again and again gives its slot to one in reserve, on the same SAs. Where there
    is none the group is down, its tunnels are shown as stopped, and the other group carries on."""
    groups = 'tunnel-group "edge" { active = 1 backup = 1 }\n'
    hub = Hub(net)
    hub.one = IkeGatehouse(hub.a, build_dir, groups + "".join(peer_section(
        name, psk_secret=SECRET, remote=ENDS[name], local=A4, tunnel_group="edge" if name == "two" else None,
        children=[child_section(local_ts=net_of(HOST), remote_ts=net_of(FAR[name]))])
        for name in ("one", "two"))).start()
    names = ("one", "two")
    hub.start_far(build_dir, 1, False, names).initiate(names)
    before = hub.sas()
    assert [slot(before[name]) for name in names] == [0, 1]
    log = os.path.join(hub.a.directory("monitor"), "events")
    hub.a.spawn([hub.one.ctl, "-s", os.path.join(hub.one.run_dir, "control.sock"), "monitor", "--json"], log)

    def told(event):
        with open(log, encoding="utf-8") as file:
            return f'"{event}"' in file.read()

    def edge():
        return hub.one.ask("show", "ipsec", "group")["groups"][1]

    assert (edge()["name"], edge()["oper"], edge()["slots"][0]["by"]) == ("edge", "up", "primary")
    assert [s["state"] for s in edge()["spares"]] == ["standby"]
    pinging = Pinging(hub.a, HOST, FAR["one"])
    kill_until(hub, lambda: edge()["slots"][0]["by"] == "backup")
    wait_for(lambda: told("ipsec-slot-moved"), 10, "monitors know")
    wait_for(lambda: hub.ping(("two",), 1)["two"] == 1, 10, lambda: f"packets go on\n{hub.one.tail()}")
    assert hub.sas()["two"]["in"]["spi"] == before["two"]["in"]["spi"]
    assert edge()["oper"] == "up"

    kill_until(hub, lambda: edge()["oper"] == "down", spares=True)
    wait_for(lambda: told("tunnel-group-down"), 10, lambda: f"monitors know\n{hub.one.tail()}")
    assert edge()["slots"][0]["down"] == ["two"]
    tunnels = {t["peer"]: t.get("stopped") for t in hub.one.ask("show", "ipsec", "tunnel")["tunnels"]}
    assert tunnels == {"one": None, "two": "edge"}
    assert "stopped" in hub.one.gatectl("show", "ipsec", "tunnel").stdout
    assert pinging.lost() == 0
    wait_for(lambda: told("tunnel-group-up"), 25, lambda: f"it is up again\n{hub.one.tail()}")
    assert hub.ping(names) == {"one": 3, "two": 3}


def kill_until(hub, condition, spares=False, group=1):
    """kill -9 of the process of a group's first slot, again and again, and of who stands by."""
    def once():
        if condition():
            return True
        its = hub.one.ask("show", "ipsec", "group")["groups"][group]
        for process in its["slots"][:1] + (its["spares"] if spares else []):
            if process["pid"]:
                hub.a.run(["kill", "-9", process["pid"]], check=False)
        return False
    wait_for(once, 30, lambda: f"it fails often enough\n{hub.one.tail()}")


def test_the_first_slot_is_taken_over(net, build_dir):
    """Slot 0 has the tunnels, too: who takes it over carries on with them, and the other slot does not notice."""
    def gre(ends, inner):
        return "".join((
            'tunnel-group "default" { active = 2 backup = 1 }\n',
            peer_section("gre", [child_section(mode="transport", local_ts=f"{ends[0]} 47", remote_ts=f"{ends[1]} 47")],
                         psk_secret=SECRET, local=ends[0], remote=ends[1]),
            section('tunnel "t1"', type="gre", local=ends[0], remote=ends[1], protect="gre", device="t1",
                    address=[f"{inner}/30"])))
    hub, names = Hub(net), ("two", "three")
    hub.start(build_dir, None, False, names=names, more=gre((A4, B4), "10.9.0.1"))
    hub.start_far(build_dir, None, False, names, more=gre((B4, A4), "10.9.0.2"))
    hub.initiate((*names, "gre"))

    def through_gre(count=1):
        return ping(hub.a, "10.9.0.1", "10.9.0.2", count)
    wait_for(lambda: through_gre() == 1, 15, lambda: f"the tunnel is up\n{hub.one.tail()}")
    before = hub.sas()
    assert {name: slot(sa) for name, sa in before.items()} == {"gre": 0, "two": 1, "three": 0}
    pinging = Pinging(hub.a, HOST, FAR["two"])
    kill_until(hub, lambda: slots(hub.one)[0]["by"] == "backup", group=0)
    wait_for(lambda: through_gre() == 1 and hub.ping(("three",), 1)["three"] == 1, 15,
             lambda: f"packets go on\n{hub.one.tail()}")
    assert through_gre(3) == 3 and hub.ping(names) == {"two": 3, "three": 3}
    assert {name: sa["in"]["spi"] for name, sa in hub.sas().items()} == {
        name: sa["in"]["spi"] for name, sa in before.items()}
    assert pinging.lost() == 0


def test_vrfs(net, lab_kernel, build_dir):
    """Two peers with the same addresses, each in a VRF: each has its slot, with devices and sockets of that in
    both VRFs; one is killed, and the other does not notice. One has ESP in UDP, the other ESP alone."""
    guest = Guest(net.namespace("host"), lab_kernel)
    a, config = guest.namespace("a"), section("ike", workers=2) + section('ike-policy "nat"', force_nat_t=True)
    far = {}
    for n, name in enumerate(("red", "blue")):
        more = {"ike_policy": "nat"} if name == "blue" else {}
        b = far[name] = guest.namespace(name)
        guest.run(["ip", "link", "add", f"eth{n}", "netns", "a", "type", "veth", "peer", "name", "eth0", "netns", name])
        a.run(["ip", "link", "add", name, "type", "vrf", "table", 10 + n])
        for host, device, address in ((a, f"eth{n}", A4), (b, "eth0", B4)):
            host.run(["ip", "link", "set", device, "up", *(("master", name) if host is a else ())])
            host.add_address(device, f"{address}/24")
        a.run(["ip", "link", "set", name, "up"])
        a.add_address(name, net_of(HOST))
        b.add_address("lo", net_of(FAR["one"]))
        config += peer_section(name, [child_section(local_ts=net_of(HOST), remote_ts=net_of(FAR["one"]))],
                               psk_secret=SECRET, local=A4, remote=B4, vrf=name, **more)
        IkeGatehouse(b, build_dir, section('ike-policy "nat"', force_nat_t=True) + peer_section("hub", [child_section(
            local_ts=net_of(FAR["one"]), remote_ts=net_of(HOST))], psk_secret=SECRET, local=B4, remote=A4, **more),
                     name=name).start()
    one = IkeGatehouse(a, build_dir, config, name="a").start()
    for name in far:
        one.gatectl("ike", "initiate", name)
    one.wait_sas(2, 2)
    assert {sa["peer"]: slot(sa) for sa in sas(one)} == {"red": 0, "blue": 1}
    for killed in (None, 0, 1):
        if killed is not None:
            before = {sa["peer"]: sa["in"]["spi"] for sa in sas(one)}
            pid = slots(one)[killed]["pid"]
            a.run(["kill", "-9", pid])
            wait_for(lambda: slots(one)[killed]["pid"] not in (None, pid), 15, one.tail)
            assert {sa["peer"]: sa["in"]["spi"] for sa in sas(one)} == before
        for name in far:
            wait_for(lambda name=name: ping(a, name, FAR["one"], 1) == 1, 10, one.tail)
            assert ping(a, name, FAR["one"], 3) == 3
    packets = {sa["peer"]: sa["out"]["packets"] for sa in sas(one)}
    assert min(packets.values()) >= 3


@pytest.mark.parametrize("reverse", [False, True], ids=["configured", "reverse-routes"])
def test_private_sides(net, build_dir, reverse):
    """Two customers with the same addresses, in two slots: each has its devices, and its routes lead into
    its own; so they do after a process was killed."""
    customers = Customers(net, build_dir, head=section("ike", workers=2), reverse_route=reverse)
    assert {sa["peer"]: slot(sa) for sa in sas(customers.one)} == {"red": 0, "blue": 1}
    for name in CUSTOMERS:
        wait_for(lambda name=name: customers.ping(name, 1) == 1, 10, lambda: customers.one.tail())
    kill_slot(customers.one, 1)
    for name in CUSTOMERS:
        wait_for(lambda name=name: customers.ping(name, 1) == 1, 10, lambda: customers.one.tail())
        assert customers.packets(name)[0] >= 1


def test_strongswan(net, build_dir):
    """strongSwan as two peers (kernel-libipsec: ESP in UDP), in two slots; it makes new keys for one."""
    hub = Hub(net).start(build_dir, 2, False)
    swan = StrongSwan(hub.b, {name: {
        "version": 2, "local_addrs": ENDS[name], "remote_addrs": A4,
        "proposals": "aes256gcm16-prfsha256-x25519",
        "local": {"auth": "psk"}, "remote": {"auth": "psk"},
        "children": {name: {"local_ts": net_of(FAR[name]), "remote_ts": net_of(HOST),
                            "esp_proposals": "aes256gcm16-x25519"}}} for name in PEERS[:2]},
        {"ike-1": {"secret": f'"{SECRET}"'}}).start()
    hub.initiate(PEERS[:2])
    swan.wait_sas(2, 2)
    before = hub.sas()
    assert sorted(slot(sa) for sa in before.values()) == [0, 1]
    pinging = Pinging(hub.a, HOST, FAR["one"])
    assert hub.ping(PEERS[:2]) == {"one": 3, "two": 3}
    swan.rekey(child="two")
    wait_for(lambda: hub.sas()["two"]["in"]["spi"] != before["two"]["in"]["spi"], 10, "new keys")
    kill_slot(hub.one, slot(before["two"]))
    wait_for(lambda: hub.ping(("two",), 1)["two"] == 1, 5, "its packets go on")
    assert slot(hub.sas()["two"]) == slot(before["two"])
    assert pinging.lost() == 0
