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
