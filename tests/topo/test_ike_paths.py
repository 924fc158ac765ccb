"""From where: peers without `local`, addresses and routes that change, MOBIKE with strongSwan.

Gatehouse is in namespace a, the peer in b. What both ends show of their SAs must be the same before and
after a move: nothing is made anew.
"""

import pytest

from daemons.strongswan import StrongSwan
from ike import (NET_A, SECRET, IkeGatehouse, assert_same, child_section, peer_section, section)
from ike_pair import peer
from netns import A4, A6, B4, B6
from test_ike_strongswan import BOTH, PSK, Tunnel, child, connection, tunnel  # noqa: F401
from uml import Guest
from wait import wait_for

A_NEW, B_NEW = "10.77.0.11", "10.77.0.12"
MOBILE = section('ike-policy "m"', mobike=True, liveness_interval=10, liveness_retries=2)


def source(gatehouse, name="peer"):
    """(the address that a peer is called from, why there is none)"""
    found = next(p for p in gatehouse.ask("show", "ike", "peer")["peers"] if p["name"] == name)
    return found["source"], found["source_error"]


def wait_source(gatehouse, address, name="peer"):
    wait_for(lambda: source(gatehouse, name)[0] == address, 10,
             lambda: f"called from {address}, not {source(gatehouse, name)}\n{gatehouse.tail()}")


def without_local(**options):
    return peer_section(psk_secret=SECRET, local=None, **options)


# ---- The system says from where ---------------------------------------------------------------

@BOTH
@pytest.mark.parametrize("v6", [False, True], ids=["ipv4", "ipv6"])
def test_a_peer_without_local(tunnel, opener, v6):  # noqa: F811
    here, there = (A6, B6) if v6 else (A4, B4)
    tunnel.start(without_local(remote=there), connection(local_addrs=there, remote_addrs=here))
    wait_source(tunnel.gatehouse, here)
    tunnel.up(opener)
    assert tunnel.gatehouse.list_sas()[0]["local"].rsplit(":", 1)[0].strip("[]") == here
    assert here in tunnel.gatehouse.gatectl("show", "ike", "peer").stdout


def test_the_route_has_a_source_of_its_own(tunnel):  # noqa: F811
    """`src` of a route is what is used, and the peer sees it."""
    tunnel.a.add_address("lo", "192.0.2.1/32")
    tunnel.a.run(["ip", "route", "replace", "10.77.0.0/24", "dev", "eth0", "src", "192.0.2.1"])
    tunnel.b.route("192.0.2.1/32", A4)
    tunnel.start(without_local(), connection(remote_addrs="192.0.2.1"))
    wait_source(tunnel.gatehouse, "192.0.2.1")
    tunnel.up("gatehouse")
    assert next(iter(tunnel.swan.list_sas().values()))["remote-host"] == "192.0.2.1"


def test_without_a_route_it_waits_for_one(tunnel):  # noqa: F811
    """Said where one looks; a child with `start` begins by itself when the route is there."""
    far = "198.51.100.7"
    tunnel.b.add_address("lo", f"{far}/32")
    tunnel.start(without_local(remote=far, children=[child_section(start=True)]),
                 connection(local_addrs=far))
    wait_for(lambda: source(tunnel.gatehouse)[1] == "Network is unreachable", 10, "no route")
    assert "Network is unreachable" in tunnel.gatehouse.gatectl("show", "ike", "peer").stdout
    assert tunnel.gatehouse.causes("peer")[0] == "ike-no-way"
    refused = tunnel.gatehouse.gatectl("ike", "initiate", "peer", "net", check=False)
    assert refused.returncode != 0 and "Network is unreachable" in refused.stderr
    tunnel.a.route(f"{far}/32", B4)
    wait_source(tunnel.gatehouse, A4)
    tunnel.same()


def test_it_answers_from_where_it_was_asked(tunnel):  # noqa: F811
    """A host with two addresses, called at the one that routing would not take."""
    tunnel.a.add_address("eth0", f"{A_NEW}/24")
    tunnel.start(without_local(), connection(remote_addrs=A_NEW))
    wait_source(tunnel.gatehouse, A4)
    tunnel.up("strongswan")
    assert tunnel.gatehouse.list_sas()[0]["local"].startswith(f"{A_NEW}:")
    assert not tunnel.swan.said(f"from {A4}[")


# ---- We move ----------------------------------------------------------------------------------

def assert_goes_on(tunnel, before):  # noqa: F811
    """The IKE SA is the same, and so is its child, if only strongSwan let it be: it rekeys each after a
    move where kernel-libipsec carries the packets, which cannot follow."""
    tunnel.swan.wait_said("CHILD_SA closed")
    after = tunnel.same()
    assert (after.spi_i, after.spi_r) == (before.spi_i, before.spi_r)
    assert tunnel.gatehouse.said(": moved: ")
    assert not tunnel.gatehouse.said("sa-down") and not tunnel.gatehouse.said("child-down")
    return after


def swan_ends(tunnel):  # noqa: F811
    sa = next(iter(tunnel.swan.list_sas().values()))
    return sa["local-host"], sa["remote-host"]


def mobile_tunnel(tunnel, opener="gatehouse", config=None, **options):  # noqa: F811
    tunnel.start(MOBILE + (config or without_local(ike_policy="m")),
                 connection(mobike=True, **options)).up(opener)
    assert tunnel.gatehouse.list_sas()[0]["mobike"]
    return tunnel.same()


def wait_ends(tunnel, ours, theirs=B4):  # noqa: F811
    """Both ends say that the IKE SA and its child run between these."""
    def there():
        sas = tunnel.gatehouse.list_sas()
        return (len(sas) == 1 and sas[0]["local"].startswith(f"{ours}:")
                and sas[0]["remote"].startswith(f"{theirs}:")
                and all(c["local"].startswith(f"{ours}:") and c["remote"].startswith(f"{theirs}:")
                        for c in sas[0]["child_sas"])
                and swan_ends(tunnel) == (theirs, ours))
    wait_for(there, 30, lambda: f"{ours} to {theirs}\n{tunnel.gatehouse.list_sas()}\n"
                                f"{tunnel.gatehouse.tail()}{tunnel.swan.tail(60)}")


def move_a(tunnel):  # noqa: F811
    tunnel.a.add_address("eth0", f"{A_NEW}/24")
    tunnel.a.run(["ip", "address", "del", f"{A4}/24", "dev", "eth0"])
    if A_NEW not in tunnel.a.run(["ip", "-br", "address", "show", "eth0"]).stdout:
        tunnel.a.add_address("eth0", f"{A_NEW}/24")  # it was a secondary one, and went along


def test_our_address_changes(tunnel):  # noqa: F811
    before = mobile_tunnel(tunnel)
    move_a(tunnel)
    wait_ends(tunnel, A_NEW)
    assert_goes_on(tunnel, before)
    # It goes on when it is rekeyed, too.
    number = tunnel.gatehouse.list_sas()[0]["id"]
    tunnel.gatehouse.gatectl("ike", "rekey", "sa", str(number))
    tunnel.swan.wait_said("rekeyed between")
    tunnel.same()
    wait_ends(tunnel, A_NEW)


def test_the_route_changes_and_both_addresses_stay(tunnel):  # noqa: F811
    tunnel.a.add_address("eth0", f"{A_NEW}/24")
    before = mobile_tunnel(tunnel)
    tunnel.a.run(["ip", "route", "replace", f"{B4}/32", "dev", "eth0", "src", A_NEW])
    wait_ends(tunnel, A_NEW)
    tunnel.a.run(["ip", "route", "del", f"{B4}/32"])
    wait_ends(tunnel, A4)
    assert_goes_on(tunnel, before)


def test_without_mobike_nothing_moves(tunnel):  # noqa: F811
    """The peer does not have it: the old SA is asked whether it lives, and a new one is made."""
    tunnel.start(MOBILE + without_local(ike_policy="m", children=[child_section(start=True)]),
                 connection(mobike=False, remote_addrs="%any"))
    before = tunnel.same()
    move_a(tunnel)
    wait_for(lambda: any(sa.spi_i != before.spi_i for sa in tunnel.gatehouse.sas()), 30,
             lambda: f"another IKE SA\n{tunnel.gatehouse.tail()}")
    assert tunnel.gatehouse.list_sas()[0]["local"].startswith(f"{A_NEW}:")
    assert not tunnel.gatehouse.said(": moved: ")


# ---- The peer moves ---------------------------------------------------------------------------

def wandering_peer(tunnel, remote="10.77.0.0/24"):  # noqa: F811
    return mobile_tunnel(tunnel, "strongswan", without_local(
        remote=remote, ike_policy="m", local_id="gw.example", remote_id="b.example"),
        local_addrs="%any", local={"auth": "psk", "id": "b.example"},
        remote={"auth": "psk", "id": "gw.example"})


def test_the_peers_address_changes(tunnel):  # noqa: F811
    tunnel.b.run(["ip", "-6", "address", "flush", "dev", "eth0"])
    before = wandering_peer(tunnel)
    tunnel.b.add_address("eth0", f"{B_NEW}/24")
    tunnel.b.run(["ip", "address", "del", f"{B4}/24", "dev", "eth0"])
    if B_NEW not in tunnel.b.run(["ip", "-br", "address", "show", "eth0"]).stdout:
        tunnel.b.add_address("eth0", f"{B_NEW}/24")
    wait_ends(tunnel, A4, B_NEW)
    assert_goes_on(tunnel, before)
    number = tunnel.gatehouse.list_sas()[0]["id"]
    tunnel.gatehouse.gatectl("ike", "rekey", "sa", str(number))
    tunnel.swan.wait_said("rekeyed between")
    tunnel.same()


def test_the_peer_goes_to_ipv6(tunnel):  # noqa: F811
    """Our IPv6 address is in the list that it was given in IKE_AUTH."""
    before = wandering_peer(tunnel, "any")
    tunnel.b.run(["ip", "address", "del", f"{B4}/24", "dev", "eth0"])
    wait_for(lambda: swan_ends(tunnel) == (B6, A6), 30, "strongSwan goes to IPv6")
    assert_goes_on(tunnel, before)
    sa = tunnel.gatehouse.list_sas()[0]
    assert sa["local"] == f"[{A6}]:4500" and sa["remote"] == f"[{B6}]:4500"


# ---- Several ways -----------------------------------------------------------------------------

A_2, B_2 = "10.78.0.1", "10.78.0.2"


@pytest.fixture
def two_links(tunnel):  # noqa: F811
    """Both ends have a second link between them."""
    for host in (tunnel.a, tunnel.b):
        host.run(["ip", "-6", "address", "flush", "dev", "eth0"])
    tunnel.net.link(tunnel.a, tunnel.b, (f"{A_2}/24", f"{B_2}/24"), name_a="eth1", name_b="eth1")
    return tunnel


def test_the_first_path_dies_without_a_word(two_links):
    """The peer is asked whether it lives, is not heard, and is found at its other address."""
    before = mobile_tunnel(two_links)
    for chain, flag in (("INPUT", "-i"), ("OUTPUT", "-o")):
        two_links.b.run(["iptables", "-A", chain, flag, "eth0", "-j", "DROP"])
    wait_ends(two_links, A_2, B_2)
    assert_goes_on(two_links, before)
    assert two_links.swan.said("ADD_4_ADDR")


def test_the_first_path_is_taken_down(two_links):
    """There is no route any more: nobody waits for an answer."""
    before = mobile_tunnel(two_links)
    two_links.a.run(["ip", "link", "set", "eth0", "down"])
    wait_ends(two_links, A_2, B_2)
    assert_goes_on(two_links, before)
    assert not two_links.gatehouse.said("no answer")


def test_the_peer_finds_our_other_address(two_links):
    """strongSwan began, so it looks for another path; ours is in the list that it was given."""
    before = mobile_tunnel(two_links, "strongswan", local_addrs="%any", dpd_delay="2s")
    for chain, flag in (("INPUT", "-i"), ("OUTPUT", "-o")):
        two_links.a.run(["iptables", "-A", chain, flag, "eth0", "-j", "DROP"])
    two_links.b.run(["ip", "link", "set", "eth0", "down"])
    wait_for(lambda: swan_ends(two_links) == (B_2, A_2), 30,
             lambda: f"the second link\n{two_links.swan.tail(60)}")
    assert_goes_on(two_links, before)


def test_our_list_of_addresses_changes(tunnel):  # noqa: F811
    """The peer is told, whoever began; nothing moves."""
    before = mobile_tunnel(tunnel)
    tunnel.a.add_address("lo", "192.0.2.9/32")
    tunnel.swan.wait_said("[ N(ADD_4_ADDR) N(ADD_6_ADDR) ]")
    tunnel.a.run(["ip", "address", "del", "192.0.2.9/32", "dev", "lo"])
    tunnel.a.run(["ip", "-6", "address", "flush", "dev", "eth0"])
    tunnel.swan.wait_said("[ N(NO_ADD_ADDR) ]")
    assert tunnel.same() == before


def test_who_answered_loses_its_address(tunnel):  # noqa: F811
    """strongSwan began: it is told by the list of our addresses, from the one that is left."""
    tunnel.a.add_address("eth0", f"{A_NEW}/25")  # no secondary one of the first
    before = mobile_tunnel(tunnel, "strongswan")
    tunnel.a.run(["ip", "address", "del", f"{A4}/24", "dev", "eth0"])
    wait_for(lambda: swan_ends(tunnel)[1] in (A_NEW, A6), 30,
             lambda: f"strongSwan follows\n{tunnel.gatehouse.tail()}{tunnel.swan.tail(60)}")
    assert_goes_on(tunnel, before)


# ---- NATs -------------------------------------------------------------------------------------

NAT_IN, NAT_OUT = "192.168.9.1", "10.79.0.254"


def add_nat(net, a, b):
    """A masquerading router r between a and b, beside what they have."""
    router = net.namespace("r")
    net.link(router, a, (f"{NAT_IN}/24", "192.168.9.2/24"), name_a="in", name_b="nat")
    net.link(router, b, (f"{NAT_OUT}/24", "10.79.0.2/24"), name_a="out", name_b="nat")
    router.sysctl("net.ipv4.ip_forward", 1)
    router.route(f"{B4}/32", "10.79.0.2")
    a.run(["ip", "route", "add", f"{B4}/32", "via", NAT_IN, "metric", "100"])
    for host in (a, b):
        host.run(["ip", "-6", "address", "flush", "dev", "eth0"])
    # A longer prefix than that of the link, but only where the link is gone.
    a.run(["ip", "route", "add", f"{B4}/32", "dev", "eth0", "src", A4, "metric", "10"])
    router.run(["iptables", "-t", "nat", "-A", "POSTROUTING", "-o", "out", "-j", "MASQUERADE",
                "--random-fully"])


def test_a_nat_is_on_the_new_path(tunnel):  # noqa: F811
    add_nat(tunnel.net, tunnel.a, tunnel.b)
    before = mobile_tunnel(tunnel, config=without_local(ike_policy="m", additional_addresses=["none"]))
    assert not tunnel.gatehouse.list_sas()[0]["nat_local"]
    tunnel.a.run(["ip", "link", "set", "eth0", "down"])
    wait_for(lambda: swan_ends(tunnel)[1] == NAT_OUT, 30,
             lambda: f"through the NAT\n{tunnel.gatehouse.tail()}{tunnel.swan.tail(60)}")
    assert_goes_on(tunnel, before)
    sa = tunnel.gatehouse.list_sas()[0]
    assert sa["nat_local"] and sa["local"] == "192.168.9.2:4500"
    assert all(c["udp_encapsulation"] for c in sa["child_sas"])
    # And back, where there is none.
    tunnel.a.run(["ip", "link", "set", "eth0", "up"])
    tunnel.a.run(["ip", "route", "add", f"{B4}/32", "dev", "eth0", "src", A4, "metric", "10"])
    wait_ends(tunnel, A4)
    assert not tunnel.gatehouse.list_sas()[0]["nat_local"]


def two_gatehouses(net, build_dir, **options):
    """Ours at both ends, without NAT traversal; a begins."""
    policy = section('ike-policy "m"', mobike=True, no_nats=True, liveness_interval=10,
                     retransmits=2, retransmit_interval=1)
    a, b = net.two_routers()
    one = IkeGatehouse(a, build_dir, policy + without_local(ike_policy="m", **options)).start()
    two = IkeGatehouse(b, build_dir, policy + peer_section(
        psk_secret=SECRET, local=None, remote="any", ike_policy="m", local_id=B4, remote_id=A4,
        children=[child_section(local_ts="10.2.0.0/24", remote_ts=NET_A)])).start()
    return a, one, b, two


def test_no_nats(net, build_dir):
    """Refused: moving behind a NAT; the SA stays where it was, and goes there when the NAT is gone."""
    a, one, b, two = two_gatehouses(net, build_dir, local_id=A4, additional_addresses=["none"])
    add_nat(net, a, b)
    wait_source(one, A4)
    one.gatectl("ike", "initiate", "peer", "net")
    before, _ = one.wait_sas(1, 1), two.wait_sas(1, 1)
    assert one.list_sas()[0]["local"] == f"{A4}:500"  # no NAT traversal: no port 4500
    a.run(["ip", "link", "set", "eth0", "down"])
    two.wait_said("not-moved: the peer's addresses were changed on the way")
    one.wait_said("not-moved: something on the way changes addresses")
    assert two.causes("peer") == ["ike-not-moved"]
    assert two.list_sas()[0]["remote"] == f"{A4}:500"
    assert two.sas()[0].spi_i == before[0].spi_i


def test_no_nats_from_the_beginning(net, build_dir):
    """IKE_AUTH comes through a NAT: nothing comes up."""
    a, one, b, two = two_gatehouses(net, build_dir, local_id=A4)
    add_nat(net, a, b)
    a.run(["ip", "link", "set", "eth0", "down"])
    wait_source(one, "192.168.9.2")
    one.gatectl("ike", "initiate", "peer", "net")
    one.wait_said("sa-failed")
    assert one.sas() == [] == two.sas()
    assert "UNEXPECTED_NAT_DETECTED" in one.tail(), one.tail()


# ---- With the kernel's own ESP ----------------------------------------------------------------

@pytest.fixture
def guest_tunnel(net, build_dir, lab_kernel):
    """strongSwan in a guest, whose kernel carries the packets: Child SAs can follow there."""
    tunnel = Tunnel.__new__(Tunnel)  # noqa: F811
    tunnel.net, tunnel.build_dir = net, build_dir
    tunnel.a = net.namespace("a")
    tunnel.a.tap("tap0", f"{A4}/24")
    tunnel.b = Guest(tunnel.a, lab_kernel, taps=["tap0"])
    tunnel.b.add_address("vec0", f"{B4}/24")
    tunnel.b.add_address("lo", "10.2.0.1/32")
    return tunnel


@BOTH
def test_the_child_sa_stays_the_same(guest_tunnel, opener):
    """Whoever moves: the Child SA has the same SPIs and keys, at new addresses, also in the kernel."""
    guest_tunnel.gatehouse = IkeGatehouse(
        guest_tunnel.a, guest_tunnel.build_dir, MOBILE + without_local(
            remote="10.77.0.0/24", gateway=B4, ike_policy="m", local_id="gw.example",
            remote_id="b.example")).start()
    guest_tunnel.swan = StrongSwan(guest_tunnel.b, connection(
        mobike=True, local_addrs="%any", local={"auth": "psk", "id": "b.example"},
        remote={"auth": "psk", "id": "gw.example"}), PSK, esp=False).start()
    before = guest_tunnel.up(opener)
    if opener == "gatehouse":
        ours, theirs = A_NEW, B4
        host, device = guest_tunnel.a, "tap0"
    else:
        ours, theirs = A4, B_NEW
        host, device = guest_tunnel.b, "vec0"
    host.add_address(device, f"{ours if host is guest_tunnel.a else theirs}/25")
    host.run(["ip", "address", "del", f"{A4 if host is guest_tunnel.a else B4}/24", "dev", device])
    wait_ends(guest_tunnel, ours, theirs)
    assert guest_tunnel.same() == before
    assert not any(c["udp_encapsulation"] for c in guest_tunnel.gatehouse.list_sas()[0]["child_sas"])
    states = guest_tunnel.b.run(["ip", "xfrm", "state"]).stdout
    assert f"src {ours} dst {theirs}" in states and f"src {theirs} dst {ours}" in states
    assert before.children[0].spi_in in states and before.children[0].spi_out in states
