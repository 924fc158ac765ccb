"""Gatehouse and OpenIKED, which runs in a guest with the kernel's own IPsec by PF_KEY."""

import pytest

from daemons.openiked import OpenIKED
from ike import NET_A, NET_B, SECRET, IkeGatehouse, assert_same, child_section, peer_section, section
from netns import A4, B4
from pki import Pki
from test_ike_libreswan import changed
from test_ike_strongswan_certs import profile, trust
from uml import Guest
from wait import wait_for

US, THEM = "a.example", "b.example"
BOTH = pytest.mark.parametrize("opener", ["gatehouse", "openiked"])
IDS = {"local_id": US, "remote_id": THEM}
IKESA = "ikesa enc aes-256-gcm prf hmac-sha2-256 group curve25519"
# It offers of the Child SA's algorithms those that Linux tells by PF_KEY: no AEAD, no SHA-256.
CHILDSA = "childsa enc aes-256 auth hmac-sha2-512 group none"
ESP = section('ipsec-transform "esp"', encryption=["aes-256-cbc"], integrity=["hmac-sha-512-256"],
              ke=["none", "x25519"])
CHILD = child_section(ipsec_transform=["esp"])


def ours(**options):
    """Gatehouse's configuration."""
    return ESP + peer_section(children=[CHILD], **{"psk_secret": SECRET, **IDS, **options})


def policy(opener="gatehouse", ikesa=IKESA, childsa=CHILDSA, remote_ts=NET_A, auth=f'psk "{SECRET}"',
           more=""):
    return (f'ikev2 "gw" {"active" if opener == "openiked" else "passive"} esp from {NET_B} to '
            f'{remote_ts} local {B4} peer {A4} {ikesa} {childsa} srcid {THEM} dstid {US} {more} {auth}')


class Tunnel:
    """Gatehouse in namespace a, OpenIKED in a guest behind a tap device of it."""

    def __init__(self, net, build_dir, kernel):
        self.net = net
        self.build_dir = build_dir
        self.a = net.namespace("a")
        self.a.tap("tap0", f"{A4}/24")
        self.guest = Guest(self.a, kernel, taps=["tap0"])
        self.guest.add_address("vec0", f"{B4}/24")
        self.gatehouse = self.iked = None

    def open(self, opener, config=None, iked=None, files=()):
        """Starts both, the one that begins last."""
        self.gatehouse = IkeGatehouse(self.a, self.build_dir,
                                      config or ours()).start()
        self.iked = OpenIKED(self.guest, iked or policy(opener), files).start()
        if opener == "gatehouse":
            self.gatehouse.gatectl("ike", "initiate", "peer", "net")
        return self

    def same(self):
        here, there = self.gatehouse.wait_sas(1, 1), self.iked.wait_sas(1, 1)
        assert_same(here, there)
        return here[0]


@pytest.fixture
def tunnel(net, build_dir, lab_kernel):
    return Tunnel(net, build_dir, lab_kernel)


@BOTH
def test_psk(tunnel, opener):
    sa = tunnel.open(opener).same()
    assert sa.initiator == (opener == "gatehouse")


@pytest.mark.parametrize("opener", ["gatehouse", "openiked"])
@pytest.mark.parametrize("what", ["child", "ike"])
def test_we_rekey(tunnel, opener, what):
    before = tunnel.open(opener).same()
    if what == "child":
        number = tunnel.gatehouse.ask("show", "ike", "child")["children"][0]["id"]
        tunnel.gatehouse.gatectl("ike", "rekey", "child", str(number))
    else:
        tunnel.gatehouse.gatectl("ike", "rekey", "sa", str(tunnel.gatehouse.list_sas()[0]["id"]))
    wait_for(lambda: changed(tunnel.gatehouse.sas(), before, what), 10,
             lambda: f"the {what} is new: {tunnel.gatehouse.sas()}\n{tunnel.gatehouse.tail()}")
    tunnel.same()


@BOTH
@pytest.mark.parametrize("what, more", [("child", "lifetime 3"), ("ike", "ikelifetime 3")])
def test_openiked_rekeys(tunnel, opener, what, more):
    """By its lifetimes, for it has no command for it."""
    before = tunnel.open(opener, iked=policy(opener, more=more)).same()
    wait_for(lambda: changed(tunnel.gatehouse.sas(), before, what), 10,
             lambda: f"the {what} is new: {tunnel.gatehouse.sas()}\n{tunnel.gatehouse.tail()}")


@BOTH
@pytest.mark.parametrize("who", ["gatehouse", "openiked"])
def test_delete(tunnel, opener, who):
    before = tunnel.open(opener).same().spi_i
    if who == "gatehouse":
        tunnel.gatehouse.gatectl("ike", "terminate", "peer", "peer")
    else:
        tunnel.iked.ikectl("reset", "id", f"FQDN/{US}")
    wait_for(lambda: before not in [sa.spi_i for sa in tunnel.gatehouse.sas()], 10,
             lambda: f"the SA ends\n{tunnel.gatehouse.tail()}{tunnel.iked.tail()}")


@BOTH
@pytest.mark.parametrize("kind", ["rsa-2048", "ecdsa-256"])
def test_certificates(tunnel, opener, kind):
    pki = Pki(tunnel.net.dir)
    theirs = pki.leaf(THEM, kind)
    config = (ESP + trust(pki) + profile(pki.leaf(US, kind), [pki.ca.cert]) +
              peer_section(children=[CHILD], cert_profile="ours", trust_anchor_profile="roots", **IDS))
    config = config.replace(f'"{pki.root.cert}"', f'"{pki.root.cert}", "{pki.ca.cert}"', 1)
    files = {"ca/root.crt": pki.root.cert, "ca/ca.crt": pki.ca.cert, "certs/host.crt": theirs.cert,
             "private/local.key": theirs.key}
    tunnel.open(opener, config, policy(opener, auth=""), files).same()


def test_wrong_psk(tunnel):
    tunnel.open("openiked", ours(psk_secret="not the one of the other end"))
    tunnel.gatehouse.wait_said("the pre-shared keys differ")
    assert "ike-authentication" in tunnel.gatehouse.causes("peer")
    tunnel.iked.wait_said("authentication failed notification from peer")
    assert tunnel.gatehouse.sas() == tunnel.iked.sas() == []


@BOTH
def test_no_common_proposal(tunnel, opener):
    tunnel.open(opener, iked=policy(opener, ikesa="ikesa enc aes-128 auth hmac-sha2-256 "
                                                   "prf hmac-sha2-256 group modp2048"))
    tunnel.gatehouse.wait_said("NO_PROPOSAL_CHOSEN" if opener == "gatehouse" else "no proposal chosen")
    tunnel.iked.wait_said("no proposal chosen")
    assert tunnel.gatehouse.sas() == tunnel.iked.sas() == []


@BOTH
def test_selectors_that_do_not_fit(tunnel, opener):
    """As responder it does not look, and answers with its own: then it is we who refuse."""
    tunnel.open(opener, iked=policy(opener, remote_ts="10.9.0.0/24"))
    tunnel.gatehouse.wait_said("TS_UNACCEPTABLE" if opener == "openiked"
                               else "the peer's selectors are wider than ours")
    assert "ike-traffic-selectors" in tunnel.gatehouse.causes("peer")


# ---- Cookies and silence ----------------------------------------------------------------------

def test_we_ask_for_a_cookie(tunnel):
    tunnel.open("openiked", section("ike", cookie_threshold=0) + ours()).same()
    assert tunnel.gatehouse.ask("show", "ike", "statistics")["counters"]["cookies-sent"] == 1


@BOTH
def test_a_dead_peer_is_given_up(tunnel, opener):
    """The link goes; we ask, and give it up."""
    config = section('ike-policy "p"', liveness_interval=10, liveness_retries=2,
                     retransmit_interval=1) + ours(ike_policy="p")
    tunnel.open(opener, config, "set dpd_check_interval 1\n" + policy(opener)).same()
    tunnel.guest.run(["ip", "link", "set", "vec0", "down"])
    tunnel.gatehouse.wait_sas(0, timeout=30)
    assert "ike-peer-dead" in tunnel.gatehouse.causes("peer")
