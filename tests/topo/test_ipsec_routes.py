"""What goes into a tunnel: peers that are in their own remote-ts, transport mode, routes that are
negotiated, what came in clear, and packets that wait for keys."""

import os
import re

import pytest

from daemons.frr_router import FrrRouter
from gatehouse import block
from ike import SECRET, IkeGatehouse, child_section, peer_section, section
from netns import A4, A6, B4, B6
from test_ipsec import ESP, HOST_A, HOST_B, ICMP, UDP, Wire, ping, routes, sas, transfer
from wait import wait_for


def rules(host):
    return [line.split(":", 1) for family in ("-4", "-6")
            for line in host.run(["ip", family, "rule", "show"]).stdout.splitlines() if "proto 171" in line]


class Ends:
    """Gatehouse in a and b, each with one child."""

    def __init__(self, net, build_dir, ours, theirs, v6=False, head="", child=(), **options):
        self.a, self.b = net.two_routers()
        self.a.add_address("lo", f"{HOST_A}/32")
        self.b.add_address("lo", f"{HOST_B}/32")
        ends = (A6, B6) if v6 else (A4, B4)
        self.one = self.gatehouse(self.a, build_dir, head, ends, ours, theirs, child, options)
        self.two = self.gatehouse(self.b, build_dir, head, ends[::-1], theirs, ours, child, options)

    @staticmethod
    def gatehouse(host, build_dir, head, ends, ours, theirs, child, options):
        child = child_section(local_ts=ours, remote_ts=theirs, **dict(child))
        return IkeGatehouse(host, build_dir, head + peer_section(
            psk_secret=SECRET, children=[child], local=ends[0], remote=ends[1], **options)).start()

    def up(self):
        self.one.gatectl("ike", "initiate", "peer")
        self.one.wait_sas(1, 1)
        self.two.wait_sas(1, 1)
        return self


@pytest.mark.parametrize("mode", ["tunnel", "transport"])
@pytest.mark.parametrize("udp", [False, True], ids=["esp", "in-udp"])
@pytest.mark.parametrize("v6", [False, True], ids=["ipv4", "ipv6"])
def test_host_to_host(net, build_dir, mode, udp, v6):
    """The two gateways' own traffic, in either mode: all of it, and nothing in clear."""
    a, b = (A6, B6) if v6 else (A4, B4)
    ends = Ends(net, build_dir, a, b, v6, section('ike-policy "nat"', force_nat_t=True) if udp else "",
                {"mode": mode}, **({"ike_policy": "nat"} if udp else {})).up()
    wire = Wire(ends.a)
    assert ping(ends.a, a, b) == 5
    assert ping(ends.b, b, a) == 5
    transfer(ends.b, ends.a, b, a)
    # Without a source: this host's end of the tunnel is what it sends from.
    assert f"src {a} " in ends.a.run(["ip", "route", "get", b]).stdout
    assert wire.protocols() == ({(UDP, 4500)} if udp else {(ESP, None)})
    assert sas(ends.one)[0]["mode"] == mode
    assert sas(ends.one)[0]["in"]["packets"] == sas(ends.two)[0]["out"]["packets"] > 20


def test_host_to_host_takes_nothing_else(net, build_dir):
    """Only what the selectors have: TCP port 7000 is carried, all else to the peer has no policy and is
    dropped; IKE passes beside it."""
    ends = Ends(net, build_dir, f"{A4} tcp", f"{B4} tcp", child={"mode": "transport"}).up()
    transfer(ends.b, ends.a, B4, A4)
    assert ping(ends.a, A4, B4, 2) == 0
    assert ends.one.ask("show", "ipsec", "counters")["out"]["no-policy"] >= 2
    ends.one.gatectl("ike", "rekey", "sa", str(ends.one.list_sas()[0]["id"]))
    wait_for(lambda: len(ends.one.sas()) == 1, 10, "the old IKE SA is gone")


@pytest.mark.parametrize("udp", [False, True], ids=["esp", "in-udp"])
def test_strict_reverse_path(net, build_dir, udp):
    """The way back to a peer behind a router is found by the interface that its packets come by."""
    a, router, b = (net.namespace(name) for name in ("a", "router", "b"))
    net.link(a, router, ("10.77.1.1/24", "10.77.1.2/24"))
    net.link(b, router, ("10.77.2.1/24", "10.77.2.2/24"), name_b="eth1")
    router.run(["sysctl", "-qw", "net.ipv4.ip_forward=1"])
    gatehouses = []
    for host, ours, theirs, via in ((a, "10.77.1.1", "10.77.2.1", "10.77.1.2"),
                                    (b, "10.77.2.1", "10.77.1.1", "10.77.2.2")):
        host.run(["ip", "route", "add", "default", "via", via])
        for name in ("all", "default", "eth0"):
            host.run(["sysctl", "-qw", f"net.ipv4.conf.{name}.rp_filter=1"])
        gatehouses.append(IkeGatehouse(host, build_dir, section('ike-policy "p"', force_nat_t=udp) + peer_section(
            psk_secret=SECRET, remote=theirs, local=ours, ike_policy="p",
            children=[child_section(local_ts=ours, remote_ts=theirs)])).start())
    gatehouses[0].gatectl("ike", "initiate", "peer")
    gatehouses[0].wait_sas(1, 1)
    assert ping(a, "10.77.1.1", "10.77.2.1") == 5
    assert sas(gatehouses[0])[0]["in"]["packets"] == 5


class Remote(Ends):
    """`a` sends all through the tunnel to b, which knows a network that a does not."""

    def __init__(self, net, build_dir):
        super().__init__(net, build_dir, ("10.1.0.0/24", "fd01::/64"), ("0.0.0.0/0", "::/0"))
        self.a.add_address("lo", "fd01::1/128")
        self.b.add_address("lo", "fd02::1/128")
        self.a.run(["ip", "route", "add", "default", "via", B4])
        self.a.run(["ip", "-6", "route", "add", "default", "via", B6])


@pytest.mark.parametrize("rp_filter", [0, 1, 2])
def test_default_route(net, build_dir, rp_filter):
    """Everything goes through the tunnel but the tunnel and what the main table has a route of its own
    for; not into the clear when Gatehouse is killed; --remove-rules leaves nothing of it."""
    ends = Remote(net, build_dir)
    for host in (ends.a, ends.b):
        for name in ("all", "default", "gh-ipsec0"):
            host.run(["sysctl", "-qw", f"net.ipv4.conf.{name}.rp_filter={rp_filter}"])
    ends.up()
    wire = Wire(ends.a)
    assert ping(ends.a, HOST_A, HOST_B) == 5
    assert ping(ends.b, HOST_B, HOST_A) == 5
    assert ping(ends.a, "fd01::1", "fd02::1") == 5
    assert "dev gh-ipsec0" in ends.a.run(["ip", "route", "get", "198.51.100.1"]).stdout
    assert wire.protocols() == {(ESP, None)}
    assert ping(ends.a, A4, B4, 1) == 1  # the link's own network
    found = rules(ends.a)
    ends.one.kill()
    wire = Wire(ends.a)
    assert ping(ends.a, HOST_A, HOST_B, 2) == 0
    assert wire.protocols() <= {(UDP, 500), (UDP, 4500), (ESP, None), (ICMP, None)}
    ends.one.start()
    ends.up()
    wait_for(lambda: ping(ends.a, HOST_A, HOST_B, 1) == 1, 10, lambda: f"it is back\n{ends.one.tail()}")
    assert rules(ends.a) == found
    ends.one.stop()
    assert rules(ends.a) == found
    assert ping(ends.a, HOST_A, HOST_B, 1) == 0
    ends.a.run([ends.one.daemon, "-r", ends.one.run_dir, "--remove-rules"])
    assert rules(ends.a) == [] and routes(ends.a) == []
    assert "via" in ends.a.run(["ip", "route", "get", "198.51.100.1"]).stdout


def test_longest_prefix_wins(net, build_dir):
    """Of the main table and what is around the peer, the longer prefix has the packet, and a reload
    that takes one away leaves the rules of the others."""
    ends = Ends(net, build_dir, "10.1.0.0/24", "10.0.0.0/8")

    def configure(*remotes):
        ends.one.configure(peer_section(psk_secret=SECRET, children=[
            child_section(f"net{i}", "10.1.0.0/24", remote) for i, remote in enumerate(remotes)]))
        ends.one.reload()

    def way(to):
        return "gh-ipsec0" if "dev gh-ipsec0" in ends.a.run(["ip", "route", "get", to], check=False).stdout else "other"
    configure("10.0.0.0/8", B4)
    wait_for(lambda: way(B4) == "gh-ipsec0", 10, "its route")
    ends.a.run(["ip", "route", "add", "10.200.0.0/16", "via", "10.77.0.3"])
    assert {to: way(to) for to in ("10.200.0.1", "10.201.0.1", "10.77.0.3", B4)} == {
        "10.200.0.1": "other", "10.201.0.1": "gh-ipsec0", "10.77.0.3": "other", B4: "gh-ipsec0"}
    before = rules(ends.a)
    configure(B4, "10.9.0.0/16")
    wait_for(lambda: way("10.201.0.1") == "other", 10, "its route is gone")
    assert way(B4) == way("10.9.0.1") == "gh-ipsec0"
    wait_for(lambda: len(rules(ends.a)) == len(before) - 2, 10, "two rules less")


@pytest.mark.parametrize("size", [56, 3000])
def test_first_packets_wait(net, build_dir, size):
    """The first packet has IKE make an SA, waits for that, and has its answer: a fragmented one, too."""
    ends = Ends(net, build_dir, "10.1.0.0/24", "10.2.0.0/24")
    wait_for(lambda: routes(ends.a) and routes(ends.b), 10, "the routes")
    done = ends.a.run(["ping", "-c", 3, "-i", 0.05, "-W", 10, "-s", size, "-I", HOST_A, HOST_B], check=False)
    assert " 0% packet loss" in done.stdout, f"{done.stdout}{ends.one.tail()}"
    waiting = ends.one.ask("show", "ipsec", "counters")["waiting"]
    assert waiting["kept"] == waiting["released"] >= 1 and waiting["late"] == waiting["full"] == 0
    assert ends.one.ask("show", "ipsec", "counters")["out"]["no-sa"] == waiting["kept"]


def test_packets_wait_in_vain(net, build_dir):
    """Without a peer that answers, few wait, and not for long."""
    ends = Ends(net, build_dir, "10.1.0.0/24", "10.2.0.0/24")
    ends.two.stop()
    ends.a.run(["ping", "-c", 50, "-i", 0.01, "-W", 1, "-I", HOST_A, HOST_B], check=False)

    def waiting():
        return ends.one.ask("show", "ipsec", "counters")["waiting"]
    wait_for(lambda: waiting()["late"] > 0, 10, lambda: f"they are late {waiting()}")
    wait_for(lambda: waiting()["late"] == waiting()["kept"], 10, lambda: f"none waits {waiting()}")
    assert waiting() == {"kept": 32, "released": 0, "late": 32, "full": 18}


# ---- Reverse routes ---------------------------------------------------------------------------

def of_device(host):
    """Prefix and metric of the routes into the device."""
    found = {}
    for line in routes(host):
        words = line.split()
        if "gh-ipsec0" in words:
            metric = int(words[words.index("metric") + 1]) if "metric" in words else 0
            found[words[0]] = 0 if metric == 1024 else metric  # what IPv6 has for none
    return found


class Hub:
    """A hub, which knows of its sites no more than what they may have."""

    def __init__(self, net, build_dir, **child):
        self.net, self.build_dir, self.count = net, build_dir, 0
        self.a = net.namespace("hub")
        self.a.add_address("lo", f"{HOST_A}/32")
        self.child = {"reverse_route": True, **child}
        self.hub = IkeGatehouse(self.a, build_dir, self.config()).start()

    def config(self, remote_ts=("10.0.0.0/8", "192.168.0.0/16", "fd00::/8"), **child):
        return block('ike-peer "sites"', {"remote": "any", "psk-secret": SECRET}, [
            child_section(local_ts=("10.1.0.0/24", "fd01::/64"), remote_ts=remote_ts, **{**self.child, **child})])

    def site(self, name, *networks):
        """The Gatehouse of a namespace of its own, with a child for each of these; the first is begun."""
        self.count += 1
        ours, its = f"10.77.{self.count}.1", f"10.77.{self.count}.2"
        host = self.net.namespace(name)
        self.net.link(self.a, host, (f"{ours}/24", f"{its}/24"), name_a=name)
        children = [child_section(f"net{i}", network, "fd01::/64" if ":" in network else "10.1.0.0/24")
                    for i, network in enumerate(networks)]
        site = IkeGatehouse(host, self.build_dir, peer_section(
            remote=ours, local=its, local_id=f"{name}.example.net", psk_secret=SECRET,
            children=children)).start()
        site.gatectl("ike", "initiate", "peer", "net0")
        site.wait_sas(1)
        return site

    def wait_routes(self, *want):
        want = dict.fromkeys(want, 0) if not want or isinstance(want[0], str) else dict(want)
        wait_for(lambda: of_device(self.a) == want, 10,
                 lambda: f"{of_device(self.a)}, not {want}\n{self.hub.tail()}")


def test_reverse_routes(net, build_dir):
    """Routes to what the sites negotiated, for as long as their children are there; traffic goes that way."""
    hub = Hub(net, build_dir, route_metric=77)
    assert of_device(hub.a) == {}
    one = hub.site("one", "10.2.0.0/24", "fd02::/64")
    one.gatectl("ike", "initiate", "peer", "net1")
    hub.wait_routes(("10.2.0.0/24", 77), ("fd02::/64", 77))
    one.host.add_address("lo", f"{HOST_B}/32")
    assert ping(hub.a, HOST_A, HOST_B) == 5
    hub.site("two", "10.3.0.1-10.3.0.2")
    all_of_them = (("10.2.0.0/24", 77), ("fd02::/64", 77), ("10.3.0.1", 77), ("10.3.0.2", 77))
    hub.wait_routes(*all_of_them)
    one.gatectl("ike", "rekey", "child", str(sas(one)[0]["id"]))
    hub.hub.kill("esp")
    wait_for(lambda: ping(hub.a, HOST_A, HOST_B, 1) == 1, 10, "traffic by the next esp")
    hub.hub.kill("ike")
    hub.wait_routes(*all_of_them)
    one.gatectl("ike", "terminate", "peer", "peer", check=False)
    one.gatectl("ike", "initiate", "peer", "net0")  # of the `ike` that is there now: no other tunnel
    wait_for(lambda: ping(hub.a, HOST_A, HOST_B, 1) == 1, 10, "traffic under the keys of the next ike")
    hub.hub.configure(hub.config(remote_ts=("10.2.0.0/24",)))
    hub.hub.reload()
    wait_for(lambda: "10.3.0.1" not in of_device(hub.a), 10, "what may not be any more is gone")


def test_reverse_routes_end(net, build_dir):
    """Removed with the child, and with the daemon but for those to nowhere, which the next one removes."""
    hub = Hub(net, build_dir)
    one = hub.site("one", "10.2.0.0/24")
    hub.wait_routes("10.2.0.0/24")
    one.gatectl("ike", "terminate", "peer", "peer")
    hub.wait_routes()
    assert routes(hub.a) == []
    one.gatectl("ike", "initiate", "peer")
    hub.wait_routes("10.2.0.0/24")
    hub.hub.kill()
    wait_for(lambda: routes(hub.a) == ["unreachable 10.2.0.0/24 metric 4294967294"], 10,
             lambda: f"the device is gone {routes(hub.a)}")
    one.stop()
    hub.hub.start()
    wait_for(lambda: routes(hub.a) == [], 10, lambda: f"nothing is left {routes(hub.a)}")


def test_reverse_routes_overlap(net, build_dir):
    """Of one site's the larger; what another one has is refused, until it is given up."""
    hub = Hub(net, build_dir)
    one = hub.site("one", "10.2.1.0/24", "10.2.0.0/16")
    hub.wait_routes("10.2.1.0/24")
    one.gatectl("ike", "initiate", "peer", "net1")
    hub.wait_routes("10.2.0.0/16")
    two = hub.site("two", "10.2.1.128/25", "192.168.0.0/24")
    hub.hub.wait_said("the child net is refused: 10.2.1.128/25: the route to 10.2.0.0/16 is another tunnel's")
    two.gatectl("ike", "initiate", "peer", "net1")
    hub.wait_routes("10.2.0.0/16", "192.168.0.0/24")
    wait_for(lambda: [sa["local_ts"] for sa in sas(two)] == [["192.168.0.0/24"]], 10, "one child of two is left")
    identifier = {sa["local_ts"][0]: str(sa["id"]) for sa in sas(one)}["10.2.0.0/16"]
    one.gatectl("ike", "terminate", "child", identifier)
    hub.wait_routes("10.2.1.0/24", "192.168.0.0/24")
    one.gatectl("ike", "terminate", "peer", "peer")
    hub.wait_routes("192.168.0.0/24")
    two.gatectl("ike", "initiate", "peer", "net0")
    hub.wait_routes("10.2.1.128/25", "192.168.0.0/24")


def test_reverse_routes_may_overlap(net, build_dir):
    hub = Hub(net, build_dir, route_overlap="allow")
    hub.site("one", "10.2.0.0/16")
    two = hub.site("two", "10.2.1.0/24")
    hub.wait_routes("10.2.0.0/16", "10.2.1.0/24")
    two.gatectl("ike", "terminate", "peer", "peer")
    hub.wait_routes("10.2.0.0/16")


def test_selectors_of_two_peers(net, build_dir):
    """Without reverse routes, too: what one peer has is not another's, until it is given up."""
    hub = Hub(net, build_dir, reverse_route=False)
    hub.hub.configure(hub.config(remote_ts=("10.2.0.0/15", "fd00::/8")))
    hub.hub.reload()
    one = hub.site("one", "10.2.0.0/24")
    one.host.add_address("lo", f"{HOST_B}/32")
    wait_for(lambda: ping(hub.a, HOST_A, HOST_B, 1) == 1, 10, "the first peer has its packets")
    two = hub.site("two", "10.2.0.0/16", "10.3.0.0/16")
    two.host.add_address("lo", f"{HOST_B}/32")
    hub.hub.wait_said("10.2.0.0/16 of two.example.net at 10.77.2.2 overlaps "
                      "10.2.0.0/24 of one.example.net at 10.77.1.2")
    wait_for(lambda: sas(two) == [], 10, "the second one is told to go")
    two.gatectl("ike", "initiate", "peer", "net1")
    wait_for(lambda: len(sas(two)) == 1, 10, "what nobody else has it may have")
    before = sas(one)[0]["in"]["packets"]
    assert ping(hub.a, HOST_A, HOST_B, 2) == 2
    wait_for(lambda: sas(one)[0]["in"]["packets"] >= before + 2, 10, "the first peer has its packets still")
    hub.hub.kill("esp")  # the next one knows whose they are
    wait_for(lambda: ping(hub.a, HOST_A, HOST_B, 1) == 1, 10, "traffic by the next esp")
    two.gatectl("ike", "initiate", "peer", "net0", check=False)
    wait_for(lambda: hub.hub.tail(1000).count("child-failed: net: 10.2.0.0/16") == 2, 10, "refused again")
    wait_for(lambda: len(sas(two)) == 1, 10, "the second one is told to go again")
    one.gatectl("ike", "terminate", "peer", "peer")
    wait_for(lambda: len(sas(hub.hub)) == 1, 10, "the first peer is gone")
    two.gatectl("ike", "initiate", "peer", "net0")
    wait_for(lambda: len(sas(two)) == 2, 10, "given up, it is the second one's")


def test_no_default_route_by_negotiation(net, build_dir):
    hub = Hub(net, build_dir, route_overlap="allow")
    hub.hub.configure(hub.config(remote_ts=("0.0.0.0/0",)))
    hub.hub.reload()
    hub.site("one", "0.0.0.0/0")
    hub.hub.wait_sas(1, 1)
    two = hub.site("two", "10.3.0.0/24")
    hub.wait_routes("10.3.0.0/24")
    assert two.sas()


def test_reverse_route_of_the_peer_itself(net, build_dir):
    """A host that protects its own traffic, transport mode: the route is past the tunnel's packets."""
    hub = Hub(net, build_dir)
    hub.hub.configure(block('ike-peer "hosts"', {"remote": "any", "psk-secret": SECRET}, [
        child_section(local_ts="10.77.1.1", remote_ts="10.77.0.0/16", mode="transport", reverse_route=True)]))
    hub.hub.reload()
    host = net.namespace("host")
    net.link(hub.a, host, ("10.77.1.1/24", "10.77.1.2/24"), name_a="host")
    site = IkeGatehouse(host, build_dir, peer_section(
        remote="10.77.1.1", local="10.77.1.2", local_id="host.example.net", psk_secret=SECRET,
        children=[child_section(local_ts="10.77.1.2", remote_ts="10.77.1.1", mode="transport")])).start()
    site.gatectl("ike", "initiate", "peer")
    site.wait_sas(1, 1)
    wait_for(lambda: "dev gh-ipsec0" in hub.a.run(["ip", "route", "get", "10.77.1.2"]).stdout, 10, "its route")
    assert ping(hub.a, "10.77.1.1", "10.77.1.2") == 5
    assert sas(site)[0]["in"]["packets"] >= 5
    site.gatectl("ike", "terminate", "peer", "peer")
    wait_for(lambda: rules(hub.a) == [], 10, "no rules any more")


BIRD = """
router id 10.77.1.1;
protocol device { }
protocol kernel {
    learn;
    ipv4 {
        export none;
        import filter { if krt_source = 171 && krt_metric < 4294967294 then accept; reject; };
    };
}
"""


def test_bird_learns_reverse_routes(net, build_dir):
    """A routing daemon of the host's takes them by their protocol number, and loses them with the child."""
    hub = Hub(net, build_dir, route_metric=50)
    work = hub.a.directory("bird")
    config, socket = os.path.join(work, "bird.conf"), os.path.join(work, "bird.ctl")
    with open(config, "w", encoding="utf-8") as file:
        file.write(BIRD)
    hub.a.spawn(["/usr/sbin/bird", "-f", "-c", config, "-s", socket], os.path.join(work, "log"))

    def known():
        shown = hub.a.run(["/usr/sbin/birdc", "-s", socket, "show", "route", "all"], check=False).stdout
        return re.findall(r"^(10\.\S+)", shown, re.M), re.findall(r"Kernel.metric: (\d+)", shown)
    wait_for(lambda: os.path.exists(socket), 10, "BIRD listens")
    one = hub.site("one", "10.2.0.0/24")
    wait_for(lambda: known() == (["10.2.0.0/24"], ["50"]), 10, lambda: f"BIRD has the route {known()}")
    one.gatectl("ike", "terminate", "peer", "peer")
    wait_for(lambda: known() == ([], []), 10, lambda: f"BIRD has lost the route {known()}")


# ---- In clear ---------------------------------------------------------------------------------

def dropped(gatehouse):
    return gatehouse.ask("show", "ipsec", "unprotected")["namespaces"][0]["packets"]


def from_device(gatehouse):
    return gatehouse.ask("show", "ipsec", "counters")["packets"]["from-device"]


def clear_way(ends):
    """b has no Gatehouse any more, and routes as if there was no tunnel."""
    ends.two.kill()
    ends.b.run([ends.two.daemon, "-r", ends.two.run_dir, "--remove-rules"])
    assert routes(ends.b) == rules(ends.b) == []
    assert "gatehouse-ipsec" not in ends.b.run(["nft", "list", "tables"]).stdout
    for v, network, via in (("-4", "10.1.0.0/24", A4), ("-6", "fd01::/64", A6)):
        ends.b.run(["ip", v, "route", "add", network, "via", via])


def test_clear_packets_are_dropped(net, build_dir):
    """What the tunnel is for does not come in beside it, is counted, and goes on being so when somebody
    flushes the firewall's rules; what the tunnel is not for does."""
    ends = Ends(net, build_dir, ("10.1.0.0/24", "fd01::/64"), ("10.2.0.0/24", "fd02::/64")).up()
    ends.a.add_address("lo", "fd01::1/128")
    ends.b.add_address("lo", "fd02::1/128")
    assert ping(ends.a, HOST_A, HOST_B) == ping(ends.a, "fd01::1", "fd02::1") == 5
    clear_way(ends)
    assert dropped(ends.one) == 0
    assert ping(ends.b, HOST_B, HOST_A, 2) == ping(ends.b, "fd02::1", "fd01::1", 2) == 0
    assert dropped(ends.one) == 4
    assert ping(ends.b, B4, HOST_A, 1) == 1
    assert ping(ends.b, HOST_B, A4, 1) == 0  # no way back; but it has come in
    assert dropped(ends.one) == 4
    ends.one.reload()
    assert ping(ends.b, HOST_B, HOST_A, 1) == 0 and dropped(ends.one) == 5
    ends.a.run(["nft", "flush", "ruleset"])
    wait_for(lambda: dropped(ends.one) == 0, 10, "the rules are there again")
    before = from_device(ends.one)
    assert ping(ends.b, HOST_B, HOST_A, 2) == 0
    assert dropped(ends.one) == 2 and from_device(ends.one) == before
    assert "(own)" in ends.one.gatectl("show", "ipsec", "unprotected").stdout
    # Also while no daemon is there.
    ends.one.kill()
    ping(ends.b, HOST_B, HOST_A, 1), ping(ends.b, "fd02::1", "fd01::1", 1)
    counter = ends.a.run(["nft", "list", "counter", "inet", "gatehouse-ipsec", "unprotected"]).stdout
    assert "packets 4 " in counter, counter


def test_clear_packets_may_pass(net, build_dir):
    ends = Ends(net, build_dir, "10.1.0.0/24", "10.2.0.0/24", head=block("ike", {"unprotected": "pass"}))
    clear_way(ends)
    before = from_device(ends.one)
    assert ping(ends.b, HOST_B, HOST_A, 2) == 0
    assert from_device(ends.one) == before + 2  # the answers
    assert dropped(ends.one) is None
    assert "gatehouse-ipsec" not in ends.a.run(["nft", "list", "tables"]).stdout


@pytest.mark.parametrize("v6", [False, True], ids=["ipv4", "ipv6"])
def test_clear_between_hosts(net, build_dir, v6):
    """Of a peer that is protected itself: what keys and finds the tunnel passes, ICMP errors about it, too."""
    a, b = (A6, B6) if v6 else (A4, B4)
    ends = Ends(net, build_dir, a, b, v6).up()
    assert ping(ends.a, a, b) == 5
    for program in ("iptables", "ip6tables"):  # b does not say that it ends
        ends.b.run([program, "-A", "OUTPUT", "-p", "udp", "-j", "DROP"])
    clear_way(ends)
    ends.a.run(["ip", "neighbour", "flush", "all"])
    errors = Wire(ends.a)
    assert ping(ends.a, a, b, 2) == 0  # ESP that b refuses
    assert {protocol for protocol, _ in errors.protocols()} >= ({ESP} if v6 else {ESP, ICMP})
    assert dropped(ends.one) == 0
    assert ping(ends.b, b, a, 2) == 0
    assert dropped(ends.one) == 2


def test_frr_learns_reverse_routes(net, build_dir):
    hub = Hub(net, build_dir, route_metric=50)
    frr = FrrRouter(hub.a, [], "hostname hub\n").start()

    def known():
        return [(to, route["metric"]) for to, found in frr.ask("show ip route kernel").items()
                for route in found if route.get("selected")]
    one = hub.site("one", "10.2.0.0/24")
    wait_for(lambda: known() == [("10.2.0.0/24", 50)], 10, lambda: f"FRR has the route {known()}")
    one.gatectl("ike", "terminate", "peer", "peer")
    wait_for(lambda: known() == [], 10, lambda: f"FRR has lost the route {known()}")
