"""Gateways whose tunnels begin in other namespaces than their IKE peers are: two customers with the same
addresses at either end, by one pair of gateways."""

import pytest

from ike import SECRET, IkeGatehouse, child_section, peer_section
from netns import A4, B4
from test_base_uml import inner_pair
from test_ipsec import ESP, Pinging, Wire, ping, sas, transfer
from uml import Guest
from wait import wait_for

LAN_A, LAN_B = "10.1.0.0/24", "10.2.0.0/24"
HOST_A, HOST_B = "10.1.0.2", "10.2.0.2"
CUSTOMERS = ("red", "blue")
ENDS = {"red": (A4, B4), "blue": ("10.77.0.11", "10.77.0.12")}


class End:
    """A gateway: its public namespace, and for each customer a private one with a host behind."""

    def __init__(self, net, build_dir, public, side, lan):
        self.public, self.side, self.build_dir = public, side, build_dir
        self.private, self.hosts = {}, {}
        router, host = (lan.replace("0/24", n) for n in "12")
        for name in CUSTOMERS:
            self.private[name] = net.namespace(f"{public.label}-{name}")
            self.hosts[name] = net.namespace(f"{public.label}-{name}-host")
            net.link(self.private[name], self.hosts[name], (f"{router}/24", f"{host}/24"))
            self.hosts[name].run(["ip", "route", "add", "default", "via", router])
            self.private[name].sysctl("net.ipv4.ip_forward", 1)
        public.sysctl("net.ipv4.ip_forward", 1)
        public.add_address("eth0", f"{ENDS['blue'][side]}/24")

    def peer(self, name, private=None, lans=(LAN_A, LAN_B), **child):
        ends, lans = (ENDS[name], lans) if self.side == 0 else (ENDS[name][::-1], lans[::-1])
        return peer_section(name, [child_section(local_ts=lans[0], remote_ts=lans[1], **child)], local=ends[0],
                            remote=ends[1], psk_secret=SECRET, private_netns=self.private[private or name].name)

    def start(self, config):
        self.gatehouse = IkeGatehouse(self.public, self.build_dir, config).start()
        return self.gatehouse


class Customers:
    def __init__(self, net, build_dir, customers=CUSTOMERS, head="", **options):
        a, b = net.two_routers()
        self.a, self.b = End(net, build_dir, a, 0, LAN_A), End(net, build_dir, b, 1, LAN_B)
        self.one, self.two = (end.start(head + "".join(end.peer(name, **options) for name in customers))
                              for end in (self.a, self.b))
        for name in customers:
            self.one.gatectl("ike", "initiate", name)
        self.one.wait_sas(len(customers), len(customers))
        self.two.wait_sas(len(customers), len(customers))

    def ping(self, name, count=5):
        return ping(self.a.hosts[name], HOST_A, HOST_B, count)

    def packets(self, name):
        """(in, out) of a customer at a."""
        return tuple(sum(sa[way]["packets"] for sa in sas(self.one) if sa["peer"] == name) for way in ("in", "out"))


def routes(host):
    return host.run(["ip", "route"]).stdout


@pytest.fixture
def customers(net, build_dir):
    return Customers(net, build_dir)


def test_customers_with_the_same_addresses(customers):
    """Each reaches its own other end and nobody else, and the public side has no way to any."""
    wire = Wire(customers.a.public, "ip")
    before = customers.packets("red"), customers.packets("blue")
    assert customers.ping("red") == 5
    assert customers.packets("red") == tuple(n + 5 for n in before[0])
    assert customers.packets("blue") == before[1]
    assert customers.ping("blue", 3) == 3
    assert customers.packets("blue") == tuple(n + 3 for n in before[1])
    for name in CUSTOMERS:
        transfer(customers.b.hosts[name], customers.a.hosts[name], HOST_B, HOST_A)
        transfer(customers.a.hosts[name], customers.b.hosts[name], HOST_A, HOST_B)
    assert {protocol for protocol, _ in wire.protocols()} == {ESP}
    for end, lan in ((customers.a, LAN_B), (customers.b, LAN_A)):
        for name in CUSTOMERS:
            assert f"{lan} dev gh-ipsec0 proto 171" in routes(end.private[name])
        assert "10.1." not in routes(end.public) and "10.2." not in routes(end.public)


def test_nothing_but_the_tunnel_joins_them(customers):
    """What is for a customer in clear does not come in by the public side, nor does a customer reach that."""
    assert customers.ping("red", 1) == 1
    public, far = customers.a.public, customers.b.public
    far.route(LAN_A, A4)
    assert ping(far, B4, HOST_A, 2) == 0
    assert public.run(["ping", "-c", 1, "-W", 1, HOST_A], check=False).returncode != 0
    assert ping(customers.a.hosts["red"], HOST_A, B4, 2) == 0
    # Into the public device, which no policy is for.
    public.run(["ip", "route", "add", LAN_B, "dev", "gh-ipsec0"])
    assert ping(public, A4, HOST_B, 2) == 0
    assert customers.one.ask("show", "ipsec", "counters")["out"]["no-policy"] == 2


@pytest.mark.parametrize("role", ["esp", "ike"])
def test_a_process_is_killed(customers, role):
    """Packets wait for the next one, and each customer has its own again."""
    pinging = [Pinging(customers.a.hosts[name], HOST_A, HOST_B) for name in CUSTOMERS]
    pid = customers.one.processes()[role]
    customers.one.kill(role)
    wait_for(lambda: customers.one.processes().get(role) not in (None, pid), 10, f"another {role}")
    for each in pinging:
        each.wait_more()
        assert each.lost() == 0
    before = customers.packets("blue")
    assert customers.ping("red") == 5
    assert customers.packets("blue") == before


def test_a_daemon_is_killed(customers):
    """Nothing goes another way meanwhile, and all is as before when it is back."""
    customers.one.kill()
    for name in CUSTOMERS:
        assert f"unreachable {LAN_B} proto 171" in routes(customers.a.private[name])
        assert customers.ping(name, 1) == 0
    customers.one.start()
    for name in CUSTOMERS:
        wait_for(lambda: customers.ping(name, 1) == 1, 30, lambda: f"{name} is back\n{customers.one.tail()}")


def test_reload(net, build_dir):
    """A customer comes while another has traffic; it moves to another namespace; it goes."""
    customers = Customers(net, build_dir, ("red",))
    pinging = Pinging(customers.a.hosts["red"], HOST_A, HOST_B)
    for end in (customers.a, customers.b):
        end.gatehouse.configure(end.peer("red") + end.peer("blue"))
        end.gatehouse.reload()
    wait_for(lambda: customers.ping("blue", 1) == 1, 20, lambda: f"blue\n{customers.one.tail()}")
    customers.a.gatehouse.configure(customers.a.peer("red"))
    customers.a.gatehouse.reload()
    private = customers.a.private["blue"]
    wait_for(lambda: "proto 171" not in routes(private), 10, lambda: f"no route is left\n{routes(private)}")
    assert "gh-ipsec" not in private.run(["ip", "link"]).stdout
    assert customers.ping("blue", 1) == 0
    assert pinging.lost() == 0

    customers.a.gatehouse.configure(customers.a.peer("red", private="blue"))
    customers.a.gatehouse.reload()
    wait_for(lambda: customers.ping("blue", 1) == 1, 20, lambda: f"red, in blue\n{customers.one.tail()}")
    assert {sa["peer"] for sa in sas(customers.one)} == {"red"}
    assert customers.ping("red", 1) == 0
    assert "gh-ipsec" not in customers.a.private["red"].run(["ip", "link"]).stdout


def test_a_path_is_narrow(net, build_dir):
    """The public interface takes less than the device: who sends from a private side is told, and all that
    is on the same way is as short."""
    customers = Customers(net, build_dir, outer_df="set")
    for name in CUSTOMERS:
        assert customers.ping(name, 1) == 1
    customers.a.public.run(["ip", "link", "set", "eth0", "mtu", 1280])
    host = customers.a.hosts["red"]

    def told():
        done = host.run(["ping", "-c", 1, "-W", 1, "-M", "do", "-s", 1300, HOST_B], check=False)
        return "mtu" in done.stdout + done.stderr
    wait_for(told, 10, "the host hears of the size")
    assert {sa["peer"]: sa["path_mtu"] is not None for sa in sas(customers.one)} == {"red": True, "blue": False}
    transfer(customers.b.hosts["red"], host, HOST_B, HOST_A)


def test_all_that_a_customer_sends(net, build_dir):
    """0.0.0.0/0 is a route like any other there, for no peer is in the namespace."""
    customers = Customers(net, build_dir, lans=(LAN_A, "0.0.0.0/0"))
    assert customers.ping("red") == customers.ping("blue") == 5
    assert "default dev gh-ipsec0 proto 171" in routes(customers.a.private["red"])
    assert "fwmark" not in customers.a.private["red"].run(["ip", "rule"]).stdout


def test_vrf(net, lab_kernel, build_dir):
    """In the namespace of the peer: the same addresses outside of the VRF are others."""
    guest = Guest(net.namespace("host"), lab_kernel)
    a, b = inner_pair(guest)
    a.run(["ip", "link", "add", "red", "type", "vrf", "table", "10"])
    a.run(["ip", "link", "set", "red", "up"])
    for host, device, address in ((a, "red", "10.1.0.1/32"), (a, "lo", "10.1.0.1/32"), (b, "lo", "10.2.0.1/32")):
        host.add_address(device, address)
    one, two = (IkeGatehouse(host, build_dir, peer_section(
        "peer", [child_section(local_ts=lans[0], remote_ts=lans[1])], local=ends[0], remote=ends[1],
        psk_secret=SECRET, **options), name=host.label).start() for host, ends, lans, options in (
            (a, (A4, B4), (LAN_A, LAN_B), {"private_vrf": "red"}), (b, (B4, A4), (LAN_B, LAN_A), {})))
    one.gatectl("ike", "initiate", "peer")
    one.wait_sas(1, 1)
    two.wait_sas(1, 1)
    assert ping(a, "red", "10.2.0.1") == 5
    assert f"{LAN_B} dev gh-ipsec" in a.run(["ip", "route", "show", "table", "10"]).stdout
    assert "10.2." not in routes(a)
    assert a.run(["ping", "-c", "1", "-W", "1", "-I", "10.1.0.1", "10.2.0.1"], check=False).returncode != 0


@pytest.mark.parametrize("remote", ["0.0.0.0/0", B4], ids=["everything", "host-to-host"])
def test_the_peer_in_the_tunnel_of_a_vrf(net, lab_kernel, build_dir, remote):
    """What the VRF sends and forwards goes through the tunnel, the tunnel's own packets and the networks of its
    interfaces do not, and outside of the VRF nothing has changed."""
    guest = Guest(net.namespace("host"), lab_kernel)
    a, b = inner_pair(guest)
    host = guest.namespace("three")
    guest.run(["ip", "link", "add", "eth1", "netns", "one", "type", "veth", "peer", "name", "eth0", "netns", "three"])
    a.run(["ip", "link", "add", "red", "type", "vrf", "table", "10"])
    for device in ("eth0", "eth1"):
        a.run(["ip", "link", "set", device, "up", "master", "red"])
    a.run(["ip", "link", "set", "red", "up"])
    a.run(["sysctl", "-qw", "net.ipv4.ip_forward=1"])
    host.run(["ip", "link", "set", "eth0", "up"])
    for where, device, address in ((a, "eth1", "10.1.0.1/24"), (host, "eth0", "10.1.0.2/24"),
                                   (b, "lo", "10.2.0.1/32")):
        where.add_address(device, address)
    host.run(["ip", "route", "add", "default", "via", "10.1.0.1"])
    a.run(["ip", "route", "add", "default", "via", B4, "table", "10"])
    local = A4 if remote == B4 else LAN_A
    one, two = (IkeGatehouse(where, build_dir, peer_section(
        "peer", [child_section(local_ts=ts[0], remote_ts=ts[1])], local=ends[0], remote=ends[1],
        psk_secret=SECRET, **options), name=where.label).start() for where, ends, ts, options in (
            (a, (A4, B4), (local, remote), {"vrf": "red"}), (b, (B4, A4), (remote, local), {})))
    one.gatectl("ike", "initiate", "peer")
    one.wait_sas(1, 1)
    two.wait_sas(1, 1)

    def way(*to):
        found = a.run(["ip", "route", "get", *to], check=False).stdout
        return "tunnel" if "dev gh-ipsec0" in found else "link" if "dev eth0" in found else "none"
    target = "10.2.0.1" if remote != B4 else B4
    assert way(target, "vrf", "red") == "tunnel", a.run(["ip", "rule"]).stdout
    assert way(target, "vrf", "red", "mark", "0x4748") == "link"
    assert way("10.77.0.99", "vrf", "red") == "link" and way(target) == "none"
    if remote == B4:
        assert ping(a, "red", target) == 5
    else:
        assert ping(host, "10.1.0.2", target) == 5
    assert sas(one)[0]["out"]["packets"] == sas(two)[0]["in"]["packets"] == 5
    one.configure(peer_section("peer", [child_section(local_ts=LAN_A, remote_ts=LAN_B)], local=A4, remote=B4,
                               psk_secret=SECRET, vrf="red"))
    one.reload()
    wait_for(lambda: "proto 171" not in a.run(["ip", "rule"]).stdout, 10, "no rules any more")
    assert way("198.51.100.1", "vrf", "red") == "link" and way("10.2.0.1", "vrf", "red") == "tunnel"
