"""Gatehouse and strongSwan, each as initiator and as responder: what both say of one tunnel.

Nothing of strongSwan is patched, and no message is made by us. Its Child SAs are real (kernel-libipsec);
that packets pass is not asked here.
"""

import pytest

from daemons.strongswan import StrongSwan
from ike import (NET_A, NET_B, SECRET, IkeGatehouse, assert_same, child_section, peer_section,
                 section)
from netns import A4, A6, B4, B6
from wait import wait_for

BOTH = pytest.mark.parametrize("opener", ["gatehouse", "strongswan"])
PROPOSAL = "aes256gcm16-prfsha256-x25519"


def child(**changes):
    return {"local_ts": NET_B, "remote_ts": NET_A, "esp_proposals": "aes256gcm16-x25519", **changes}


def connection(children=None, **changes):
    """swanctl.conf's connections: "gw" with the child "net"; a change to None removes a setting."""
    settings = {"version": 2, "local_addrs": B4, "remote_addrs": A4, "proposals": PROPOSAL,
                "local": {"auth": "psk"}, "remote": {"auth": "psk"},
                "children": {"net": child()} if children is None else children, **changes}
    return {"gw": {name: value for name, value in settings.items() if value is not None}}


PSK = {"ike-1": {"secret": f'"{SECRET}"'}}


class Tunnel:
    """Gatehouse in namespace a, strongSwan in b."""

    def __init__(self, net, build_dir, swan_root="", launcher=(), hosts=None):
        """swan_root: another strongSwan than the host's; launcher: words before gatehoused's own;
        hosts: a and b, where they are there already."""
        self.net = net
        self.build_dir = build_dir
        self.swan_root = swan_root
        self.launcher = launcher
        self.a, self.b = hosts or net.two_routers()
        self.b.add_address("lo", "10.2.0.1/32")  # kernel-libipsec wants one within its selectors
        self.swan = self.gatehouse = None

    def start(self, config=None, connections=None, secrets=None, environment=None, **options):
        """environment: more of Gatehouse's; options: of strongSwan."""
        self.gatehouse = IkeGatehouse(self.a, self.build_dir,
                                      config or peer_section(psk_secret=SECRET),
                                      environment=environment, launcher=self.launcher).start()
        self.swan = StrongSwan(self.b, connections or connection(),
                               PSK if secrets is None else secrets, root=self.swan_root,
                               **options).start()
        return self

    def open(self, opener, name="net", check=True):
        """Has one of both begin, without waiting for the end."""
        if opener == "gatehouse":
            return self.gatehouse.gatectl("ike", "initiate", "peer", name, check=check)
        return self.swan.initiate(name, check=check)

    def up(self, opener="gatehouse", children=1):
        """A tunnel that both ends show alike; returns what Gatehouse shows."""
        self.open(opener)
        return self.same(1, children)

    def same(self, count=1, children=1):
        here = self.gatehouse.wait_sas(count, children)
        there = self.swan.wait_sas(count, children)
        assert_same(here, there)
        return here[0] if here else None


@pytest.fixture
def tunnel(net, build_dir):
    return Tunnel(net, build_dir)


# ---- It comes up ------------------------------------------------------------------------------

@BOTH
def test_psk(tunnel, opener):
    sa = tunnel.start().up(opener)
    assert sa.initiator == (opener == "gatehouse")
    assert sa.children[0].local_ts == (NET_A,) and sa.children[0].remote_ts == (NET_B,)


# ---- Rekeying ---------------------------------------------------------------------------------

@BOTH
@pytest.mark.parametrize("who", ["gatehouse", "strongswan"])
def test_rekey_child(tunnel, opener, who):
    before = tunnel.start().up(opener)
    if who == "gatehouse":
        number = tunnel.gatehouse.ask("show", "ike", "child")["children"][0]["id"]
        tunnel.gatehouse.gatectl("ike", "rekey", "child", str(number))
    else:
        tunnel.swan.rekey(child="net")
    tunnel.swan.wait_said("CHILD_SA net{2} established")
    tunnel.swan.wait_said("CHILD_SA closed")
    after = tunnel.same()
    assert (after.spi_i, after.spi_r) == (before.spi_i, before.spi_r)
    assert {after.children[0].spi_in, after.children[0].spi_out}.isdisjoint(
        {before.children[0].spi_in, before.children[0].spi_out})


@BOTH
@pytest.mark.parametrize("who", ["gatehouse", "strongswan"])
def test_rekey_ike(tunnel, opener, who):
    before = tunnel.start().up(opener)
    if who == "gatehouse":
        number = tunnel.gatehouse.list_sas()[0]["id"]
        tunnel.gatehouse.gatectl("ike", "rekey", "sa", str(number))
    else:
        tunnel.swan.rekey(ike="gw")
    tunnel.swan.wait_said("IKE_SA gw[2] rekeyed")
    after = tunnel.same()
    assert after.spi_i != before.spi_i and after.initiator == (who == "gatehouse")
    assert after.children == before.children
    # The new IKE SA works in both directions: each asks the other once more.
    tunnel.swan.rekey(child="net")
    wait_for(lambda: tunnel.gatehouse.sas()[0].children[0].spi_in != before.children[0].spi_in, 10,
             lambda: f"a new Child SA\n{tunnel.gatehouse.tail()}")
    tunnel.same()
    number = tunnel.gatehouse.list_sas()[0]["id"]
    tunnel.gatehouse.gatectl("ike", "rekey", "sa", str(number))
    wait_for(lambda: tunnel.gatehouse.sas()[0].spi_i != after.spi_i, 10,
             lambda: f"a new IKE SA\n{tunnel.gatehouse.tail()}")
    assert tunnel.same().initiator


# ---- Ending -----------------------------------------------------------------------------------

@BOTH
@pytest.mark.parametrize("who", ["gatehouse", "strongswan"])
def test_delete_child(tunnel, opener, who):
    tunnel.start().up(opener)
    if who == "gatehouse":
        number = tunnel.gatehouse.ask("show", "ike", "child")["children"][0]["id"]
        tunnel.gatehouse.gatectl("ike", "terminate", "child", str(number))
    else:
        tunnel.swan.terminate(child="net")
    tunnel.same(1, 0)


@BOTH
@pytest.mark.parametrize("who", ["gatehouse", "strongswan"])
def test_delete_ike(tunnel, opener, who):
    tunnel.start().up(opener)
    if who == "gatehouse":
        tunnel.gatehouse.gatectl("ike", "terminate", "peer", "peer")
    else:
        tunnel.swan.terminate(ike="gw")
    tunnel.same(0, 0)
    assert tunnel.gatehouse.list_sas() == []
