"""Gatehouse and strongSwan: redirects, childless IKE SAs, puzzles that it does not know, addresses that
change."""

import pytest

from ike import NET_A, NET_B, SECRET, child_section, peer_section, section
from netns import A4, B4
from test_ike_strongswan import BOTH, Tunnel, child, connection, tunnel  # noqa: F401
from wait import wait_for

A4_SECOND, B4_SECOND = "10.77.0.11", "10.77.0.22"


def counters(gatehouse):
    return gatehouse.ask("show", "ike", "statistics")["counters"]


# ---- Redirect (RFC 5685) ------------------------------------------------------------------------

def gateways(redirect_at=None):
    """Two gateways of one net, in one gatehoused: the first may send to the second."""
    def gateway(name, local, policy):
        return peer_section(name, remote=B4, local=local, local_id="gw.example",
                            remote_id="client.example", psk_secret=SECRET, ike_policy=policy)
    away = {"redirect_to": A4_SECOND, "redirect_at": redirect_at} if redirect_at else {}
    return (section('ike-policy "front"', **away) + gateway("front", A4, "front") +
            gateway("back", A4_SECOND, "back") + section('ike-policy "back"'))


def as_client(**changes):
    return connection(local={"auth": "psk", "id": "client.example"},
                      remote={"auth": "psk", "id": "gw.example"}, **changes)


def served_by(tunnel, address):  # noqa: F811
    def only():
        return [sa["local"].split(":")[0] for sa in tunnel.gatehouse.list_sas()] == [address]
    wait_for(only, 15, lambda: f"{address} serves it\n{tunnel.gatehouse.list_sas()}\n{tunnel.swan.tail()}")
    tunnel.same()
    assert [sa["remote-host"] for sa in tunnel.swan.list_sas().values()] == [address]


def test_strongswan_goes_where_it_is_sent(tunnel):  # noqa: F811
    tunnel.a.add_address("eth0", f"{A4_SECOND}/24")
    tunnel.start(gateways("init"), as_client())
    tunnel.open("strongswan")
    served_by(tunnel, A4_SECOND)
    assert counters(tunnel.gatehouse)["redirects-sent"] == 1
    assert tunnel.swan.said(f"redirected to {A4_SECOND}")


def test_strongswan_is_sent_in_ike_auth(tunnel):  # noqa: F811
    """strongSwan 5.9.8 believes us and goes, and then dies of a fault of its own ("free(): double free
    detected"), as it does with any gateway: redirect-at = auth is not for it, and the manual says so. What
    is seen here is that our message is right, and that we keep nothing of it."""
    tunnel.a.add_address("eth0", f"{A4_SECOND}/24")
    tunnel.start(gateways("auth"), as_client())
    tunnel.open("strongswan", check=False)
    tunnel.swan.wait_said(f"redirected to {A4_SECOND}")
    tunnel.swan.wait_said(f"initiating IKE_SA gw[1] to {A4_SECOND}")
    assert counters(tunnel.gatehouse)["redirects-sent"] == 1
    assert tunnel.gatehouse.sas() == []


def test_strongswan_goes_later(tunnel):  # noqa: F811
    """By an INFORMATIONAL exchange, on the operator's order."""
    tunnel.a.add_address("eth0", f"{A4_SECOND}/24")
    tunnel.start(gateways(), as_client())
    tunnel.open("strongswan")
    served_by(tunnel, A4)
    tunnel.gatehouse.gatectl("ike", "redirect", "peer", "front", "to", A4_SECOND)
    served_by(tunnel, A4_SECOND)


def test_strongswan_that_does_not_go_is_served(tunnel):  # noqa: F811
    tunnel.a.add_address("eth0", f"{A4_SECOND}/24")
    tunnel.start(gateways("init"), as_client(), options={"follow_redirects": False})
    tunnel.open("strongswan")
    served_by(tunnel, A4)
    assert counters(tunnel.gatehouse)["redirects-sent"] == 0


def test_strongswan_sends_us_elsewhere(tunnel):  # noqa: F811
    tunnel.b.add_address("eth0", f"{B4_SECOND}/24")
    config = section('ike-policy "p"', follow_redirect=True, follow_redirect_to=f"{B4_SECOND}/32") + \
        peer_section(remote="10.77.0.0/24", gateway=B4, local_id="client.example", remote_id="gw.example",
                     psk_secret=SECRET, ike_policy="p")
    tunnel.start(config, connection(local_addrs=f"{B4},{B4_SECOND}",
                                    local={"auth": "psk", "id": "gw.example"},
                                    remote={"auth": "psk", "id": "client.example"})).up()
    tunnel.swan.swanctl("--redirect", "--ike", "gw", "--gateway", B4_SECOND)
    wait_for(lambda: [sa["remote"].split(":")[0] for sa in tunnel.gatehouse.list_sas()] == [B4_SECOND], 15,
             lambda: f"we are there\n{tunnel.gatehouse.list_sas()}\n{tunnel.gatehouse.tail()}")
    tunnel.same()
    assert counters(tunnel.gatehouse)["redirected"] == 1


# ---- Childless (RFC 6023) -----------------------------------------------------------------------

@BOTH
def test_a_child_of_a_childless_sa_has_keys_of_its_own(tunnel, opener):  # noqa: F811
    """IKE_AUTH makes the IKE SA alone, CREATE_CHILD_SA the child."""
    config = section('ike-policy "p"', childless=True) + peer_section(psk_secret=SECRET, ike_policy="p")
    tunnel.start(config, connection(childless="force"))
    if opener == "gatehouse":
        sa = tunnel.up(opener)
    else:
        tunnel.swan.initiate(ike="gw")
        tunnel.same(1, 0)
        sa = tunnel.up(opener)
    assert tunnel.swan.said("CREATE_CHILD_SA") and not tunnel.swan.said("IKE_AUTH request 1 [ SA")
    assert sa.children[0].local_ts == (NET_A,) and sa.children[0].remote_ts == (NET_B,)


def test_who_forces_childless_gets_nothing_of_who_does_not(tunnel):  # noqa: F811
    """strongSwan insists on it, our policy has it off: both say so."""
    tunnel.start(connections=connection(childless="force", children={"net": child()}))
    assert tunnel.open("strongswan", check=False).returncode != 0
    assert tunnel.gatehouse.sas() == []


# ---- Puzzles (RFC 8019) -------------------------------------------------------------------------

@pytest.mark.parametrize("lucky", [False, True], ids=["nobody", "all"])
def test_strongswan_brings_the_cookie_alone(tunnel, lucky):  # noqa: F811
    """It knows no puzzles; how many of its like are let in is a setting."""
    config = section("ike", cookie_threshold=0, puzzle_threshold=0,
                     puzzle_unsolved=1000 if lucky else 0) + peer_section(psk_secret=SECRET)
    tunnel.start(config)
    tunnel.open("strongswan", check=lucky)
    wait_for(lambda: counters(tunnel.gatehouse)["puzzles-sent"] >= 1, 10, "it is asked")
    if lucky:
        tunnel.same()
    else:
        assert tunnel.gatehouse.sas() == []
    assert counters(tunnel.gatehouse)["puzzles-solved"] == 0


# ---- Addresses that change (RFC 4555) -----------------------------------------------------------

def test_children_follow_strongswan(tunnel):  # noqa: F811
    """It moves to another address: the events and `show ike child` say where the child is now."""
    config = section('ike-policy "p"', mobike=True) + peer_section(
        remote="10.77.0.0/24", remote_id="client.example", psk_secret=SECRET, ike_policy="p")
    tunnel.start(config, connection(local_addrs=None, mobike=True,
                                    local={"auth": "psk", "id": "client.example"}))
    tunnel.open("strongswan")
    tunnel.same()
    assert tunnel.gatehouse.list_sas()[0]["mobike"]
    tunnel.b.add_address("eth0", f"{B4_SECOND}/24")
    tunnel.b.run(["ip", "address", "del", f"{B4}/24", "dev", "eth0"])
    tunnel.b.run(["ip", "address", "replace", f"{B4_SECOND}/24", "dev", "eth0"])
    tunnel.gatehouse.wait_said("child-moved", 20)
    found = tunnel.gatehouse.ask("show", "ike", "child")["children"]
    assert [c["remote"].split(":")[0] for c in found] == [B4_SECOND]
    tunnel.same()
