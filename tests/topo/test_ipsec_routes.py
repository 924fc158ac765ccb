"""What goes into a tunnel: peers that are in their own remote-ts, transport mode, routes that are
negotiated, what came in clear, and packets that wait for keys."""

import pytest

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
    done = ends.a.run(["ping", "-c", 3, "-i", 0.05, "-W", 3, "-s", size, "-I", HOST_A, HOST_B], check=False)
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
