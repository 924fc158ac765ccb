"""Gatehouse and libreswan, which runs in a guest with the kernel's own IPsec (no UDP encapsulation)."""

import pytest

from daemons.libreswan import Libreswan
from ike import NET_A, NET_B, SECRET, IkeGatehouse, peer_section, section
from netns import A4, B4
from pki import Pki
from test_ike_strongswan_certs import THEM, US, certs_config, profile
from uml import Guest
from wait import wait_for

BOTH = pytest.mark.parametrize("opener", ["gatehouse", "libreswan"])
GW = {"left": B4, "right": A4, "leftsubnet": NET_B, "rightsubnet": NET_A,
      "ike": "aes_gcm256-sha2_256-dh31", "esp": "aes_gcm256;dh31"}
PSK = f': PSK "{SECRET}"'


class Tunnel:
    """Gatehouse in namespace a, libreswan in a guest behind a tap device of it."""

    def __init__(self, net, build_dir, kernel, root):
        self.net = net
        self.build_dir = build_dir
        self.root = root
        self.a = net.namespace("a")
        self.a.tap("tap0", f"{A4}/24")
        self.guest = Guest(self.a, kernel, taps=["tap0"])
        self.guest.add_address("vec0", f"{B4}/24")
        self.gatehouse = self.swan = None

    def start(self, config=None, connection=(), secrets=PSK, certs=(), setup=()):
        self.gatehouse = IkeGatehouse(self.a, self.build_dir, config or peer_section(psk_secret=SECRET),
                                      options=["--verbose"]).start()
        self.swan = Libreswan(self.guest, self.root, {**GW, **dict(connection)}, secrets, certs,
                              setup).start()
        return self

    def open(self, opener, check=True):
        if opener == "gatehouse":
            return self.gatehouse.gatectl("ike", "initiate", "peer", "net", check=check)
        return self.swan.initiate(check=check)

    def up(self, opener="gatehouse"):
        self.open(opener)
        return self.same()

    def same(self):
        """Both show one IKE SA with the same Child SA; returns what Gatehouse shows."""
        here = self.gatehouse.wait_sas(1, 1)[0]
        there = self.swan.wait_sas(1, 1)[0]
        ours, theirs = here.children[0], there.children[0]
        assert (ours.spi_in, ours.spi_out) == (theirs.spi_out, theirs.spi_in)
        assert (ours.local_ts, ours.remote_ts) == (theirs.remote_ts, theirs.local_ts)
        return here


@pytest.fixture
def tunnel(net, build_dir, lab_kernel, libreswan):
    return Tunnel(net, build_dir, lab_kernel, libreswan)


@BOTH
def test_psk(tunnel, opener):
    sa = tunnel.start().up(opener)
    assert sa.initiator == (opener == "gatehouse")
    assert tunnel.gatehouse.list_sas()[0]["remote"].endswith(":500")


@BOTH
@pytest.mark.parametrize("who", ["gatehouse", "libreswan"])
@pytest.mark.parametrize("what", ["child", "ike"])
def test_rekey(tunnel, opener, who, what):
    before = tunnel.start().up(opener)
    if who == "libreswan":
        tunnel.swan.rekey(child=what == "child")
    elif what == "child":
        number = tunnel.gatehouse.ask("show", "ike", "child")["children"][0]["id"]
        tunnel.gatehouse.gatectl("ike", "rekey", "child", str(number))
    else:
        tunnel.gatehouse.gatectl("ike", "rekey", "sa", str(tunnel.gatehouse.list_sas()[0]["id"]))
    wait_for(lambda: changed(tunnel.gatehouse.sas(), before, what), 10,
             lambda: f"the {what} is new: {tunnel.gatehouse.sas()}\n{tunnel.gatehouse.tail()}")
    after = tunnel.same()
    assert (after.spi_i == before.spi_i) == (what == "child")


def changed(sas, before, what):
    if len(sas) != 1 or len(sas[0].children) != 1:
        return False
    if what == "ike":
        return sas[0].spi_i != before.spi_i
    return sas[0].children[0].spi_in != before.children[0].spi_in


@BOTH
@pytest.mark.parametrize("who", ["gatehouse", "libreswan"])
def test_delete(tunnel, opener, who):
    """What libreswan itself was told to bring up it brings up again when the peer deletes it."""
    before = tunnel.start().up(opener)
    if who == "gatehouse":
        tunnel.gatehouse.gatectl("ike", "terminate", "peer", "peer")
    else:
        tunnel.swan.terminate()
    if who == "gatehouse" and opener == "libreswan":
        wait_for(lambda: changed(tunnel.gatehouse.sas(), before, "ike"), 10,
                 lambda: f"another IKE SA: {tunnel.gatehouse.sas()}\n{tunnel.gatehouse.tail()}")
        assert tunnel.same().spi_i != before.spi_i
        return
    tunnel.gatehouse.wait_sas(0)
    tunnel.swan.wait_sas(0)


@BOTH
@pytest.mark.parametrize("kind, authby", [("rsa-2048", "rsasig"), ("ecdsa-256", "ecdsa"),
                                          ("ecdsa-384", "ecdsa")])
def test_certificates(tunnel, opener, kind, authby):
    """Below an intermediate CA that only the other end's certificate payloads tell of."""
    pki = Pki(tunnel.net.dir)
    config = certs_config(pki, pki.leaf(US, kind))
    certs = [(pki.root.cert, "root"), (pki.ca.cert, "ca"), (pki.leaf(THEM, kind), "host")]
    tunnel.start(config, {"authby": authby, "leftcert": "host", "leftid": f"@{THEM}",
                          "rightid": f"@{US}", "leftsendcert": "always", "sendca": "issuer"},
                 "", certs).up(opener)


@BOTH
def test_asymmetric(tunnel, opener):
    """We by a certificate, libreswan by a shared key."""
    pki = Pki(tunnel.net.dir)
    config = (profile(pki.leaf(US, "rsa-2048"), [pki.ca.cert]) +
              peer_section(psk_secret=SECRET, local_auth="cert", remote_auth=["psk"],
                           cert_profile="ours", local_id=US, remote_id=THEM))
    tunnel.start(config, {"authby": None, "leftauth": "secret", "rightauth": "rsasig",
                          "leftid": f"@{THEM}", "rightid": f"@{US}"},
                 f'@{THEM} @{US} {PSK}', [(pki.root.cert, "root"), (pki.ca.cert, "ca")]).up(opener)


@BOTH
def test_null_authentication(tunnel, opener):
    """Nobody proves anything (RFC 7619), as both have to be asked for."""
    config = peer_section(local_auth="null", remote_auth=["null"])
    tunnel.start(config, {"authby": "null", "leftid": "%null", "rightid": "%null"}, "").up(opener)
    sa = tunnel.gatehouse.list_sas()[0]
    assert (sa["local_id"], sa["remote_id"]) == ("null", "null")
    assert tunnel.gatehouse.said("AUTHENTICATES NOBODY")


@BOTH
@pytest.mark.parametrize("required", [False, True])
def test_ppk(tunnel, opener, required):
    config = section('ike-ppk "quantum"', secret="a post-quantum preshared key") + peer_section(
        psk_secret=SECRET, ppk="quantum", ppk_required=required)
    tunnel.start(config, {"ppk": "insist" if required else "yes"},
                 f'{PSK}\n: PPKS "quantum" "a post-quantum preshared key"').up(opener)
    role = "responder" if opener == "gatehouse" else "initiator"
    assert tunnel.swan.said(f"PPK AUTH calculated as {role}")


@BOTH
def test_small_datagrams_in_fragments(tunnel, opener):
    pki = Pki(tunnel.net.dir, key="rsa-2048")
    tunnel.a.run(["iptables", "-t", "raw", "-A", "PREROUTING", "-f", "-j", "DROP"])
    tunnel.guest.run(["ip", "link", "set", "vec0", "mtu", "1280"])
    certs = [(pki.root.cert, "root"), (pki.ca.cert, "ca"), (pki.leaf(THEM, "rsa-2048"), "host")]
    tunnel.start(certs_config(pki, pki.leaf(US, "rsa-2048")),
                 {"authby": "rsasig", "leftcert": "host", "leftid": f"@{THEM}", "rightid": f"@{US}",
                  "leftsendcert": "always", "sendca": "issuer", "fragmentation": "force"},
                 "", certs).up(opener)
    assert tunnel.gatehouse.list_sas()[0]["fragmentation"]


# ---- Cookies and silence ----------------------------------------------------------------------

def test_we_ask_for_a_cookie(tunnel):
    tunnel.start(section("ike", cookie_threshold=0) + peer_section(psk_secret=SECRET)).up("libreswan")
    assert tunnel.gatehouse.ask("show", "ike", "statistics")["counters"]["cookies-sent"] == 1


def test_libreswan_asks_for_a_cookie(tunnel):
    tunnel.start(setup={"ddos-mode": "busy"}).up("gatehouse")
    assert tunnel.gatehouse.said("the peer asks for a cookie")


@BOTH
def test_a_dead_peer_is_given_up(tunnel, opener):
    """The link goes; each end asks, and gives the other up."""
    config = section('ike-policy "p"', liveness_interval=10, liveness_retries=2,
                     retransmit_interval=1) + peer_section(psk_secret=SECRET, ike_policy="p")
    tunnel.start(config, {"dpddelay": "1s", "dpdaction": "clear"}).up(opener)
    tunnel.guest.run(["ip", "link", "set", "vec0", "down"])
    tunnel.swan.wait_sas(0, timeout=15)
    tunnel.gatehouse.wait_sas(0, timeout=30)
    assert "ike-peer-dead" in tunnel.gatehouse.causes("peer")


@BOTH
def test_we_delete_the_child(tunnel, opener):
    tunnel.start().up(opener)
    number = tunnel.gatehouse.ask("show", "ike", "child")["children"][0]["id"]
    tunnel.gatehouse.gatectl("ike", "terminate", "child", str(number))
    tunnel.swan.wait_sas(1, 0)
    tunnel.gatehouse.wait_sas(1, 0)


# ---- Refusals ---------------------------------------------------------------------------------

REFUSALS = {  # name: (libreswan's settings, its secrets, our words and its words if we open, if it does)
    "wrong-psk": ({}, ': PSK "not the one of the other end"',
                  ("AUTHENTICATION_FAILED", "AUTHENTICATION_FAILED"),
                  ("the pre-shared keys differ", "AUTHENTICATION_FAILED")),
    "no-proposal": ({"ike": "aes256-sha2_512-dh14"}, PSK,
                    ("NO_PROPOSAL_CHOSEN", "NO_PROPOSAL_CHOSEN"),
                    ("no proposal chosen", "NO_PROPOSAL_CHOSEN")),
    "no-child-proposal": ({"esp": "aes128-sha2_256"}, PSK,
                          ("NO_PROPOSAL_CHOSEN", "NO_PROPOSAL_CHOSEN"),
                          ("no proposal chosen", "NO_PROPOSAL_CHOSEN")),
    "selectors": ({"rightsubnet": "10.9.0.0/24"}, PSK,
                  ("TS_UNACCEPTABLE", "No IKEv2 connection found with compatible Traffic Selectors"),
                  ("refused with TS_UNACCEPTABLE", "TS_UNACCEPTABLE")),
}


@BOTH
@pytest.mark.parametrize("why", REFUSALS)
def test_refusal(tunnel, opener, why):
    connection, secrets, *words = REFUSALS[why]
    tunnel.start(connection=connection, secrets=secrets)
    if opener == "gatehouse":
        tunnel.open(opener)
    else:
        tunnel.swan.whack("--name", "gw", "--initiate", "--asynchronous")
    ours, theirs = words[opener == "libreswan"]
    tunnel.gatehouse.wait_said(ours)
    tunnel.swan.wait_said(theirs)
    assert not any(sa.children for sa in tunnel.gatehouse.sas() + tunnel.swan.sas())


# ---- Redirect (RFC 5685) ------------------------------------------------------------------------

A4_SECOND = "10.77.0.11"


@pytest.mark.parametrize("moment", ["init", "auth", "later"])
def test_libreswan_goes_where_it_is_sent(tunnel, moment):
    """Two gateways of one net in one gatehoused, the first of which sends to the second."""
    away = {"redirect_to": A4_SECOND, "redirect_at": moment} if moment != "later" else {}
    config = section('ike-policy "front"', **away) + section('ike-policy "back"') + "".join(
        peer_section(name, local=local, local_id="gw.example", remote_id="client.example",
                     psk_secret=SECRET, ike_policy=name)
        for name, local in (("front", A4), ("back", A4_SECOND)))
    tunnel.a.add_address("tap0", f"{A4_SECOND}/24")
    tunnel.start(config, {"leftid": "@client.example", "rightid": "@gw.example",
                          "accept-redirect": "yes"})
    tunnel.open("libreswan", check=False)
    if moment == "later":
        tunnel.gatehouse.wait_sas(1, 1)
        tunnel.gatehouse.gatectl("ike", "redirect", "peer", "front", "to", A4_SECOND)
    wait_for(lambda: [sa["local"] for sa in tunnel.gatehouse.list_sas()] == [f"{A4_SECOND}:500"], 20,
             lambda: f"the second serves it\n{tunnel.gatehouse.list_sas()}\n{tunnel.swan.tail(60)}")
    tunnel.same()
    assert tunnel.gatehouse.ask("show", "ike", "statistics")["counters"]["redirects-sent"] == 1
