"""Gatehouse as a gateway of strongSwans: its client database, the choice of its certificate, selectors of
every kind, forced NAT traversal."""

import pytest

from gatehouse import block
from ike import NET_A, NET_B, SECRET, child_section, peer_section, section
from netns import A4
from pki import Pki
from test_ike_strongswan import BOTH, child, connection, tunnel  # noqa: F401 (a fixture)
from test_ike_strongswan_certs import THEM, US, cert_connection, swan_files
from test_ike_strongswan_refusals import refused

# ---- The client database ------------------------------------------------------------------------

KEYS = {name: f"the pre-shared key of client {name}, long enough" for name in "abcdef"}


def lists():
    """A TS-list for each client: 10.2.0.0/28, 10.2.0.16/28, …"""
    return "".join(section(f'ts-list "{name}"', local=[NET_A], remote=[f"10.2.0.{16 * i}/28"])
                   for i, name in enumerate(KEYS))


def client(number, pattern, name, **options):
    return block(f"client {number}", {"id": pattern, "psk-secret": KEYS[name], "ts-list": name, **options})


CLIENTS = lists() + block('client-db "clients"', {"no-match": "fail"}, [
    client(8000, "any", "f"),
    client(50, "regex:gw-[0-9]+\\\\.example", "e"),
    client(40, "10.77.0.0/24", "d"),
    client(31, "*@example.net", "c"),
    client(20, "*.branch.example", "b"),
    client(3, "gw-7.example", "a"),
    client(30, "fritz@example.net", "c", reject=True),
]) + peer_section(remote="any", client_db="clients", remote_auth=["psk"], local_auth="psk",
                  children=[child_section(remote_ts="10.2.0.0/16")])


def claims(identity, name):
    """strongSwan under this name, with this client's key."""
    return (connection(local={"auth": "psk", "id": identity}, remote={"auth": "psk", "id": A4}),
            {"ike-1": {"secret": f'"{KEYS[name]}"'}})


@pytest.mark.parametrize("identity, name", [
    ("gw-7.example", "a"), ("zurich.branch.example", "b"), ("anna@example.net", "c"),
    ("10.77.0.2", "d"), ("gw-17.example", "e"), ("gw-x.example", "f")])
def test_a_client_is_found_by_its_name(tunnel, identity, name):  # noqa: F811
    """By name, suffix, mail domain, prefix, regular expression and any; of several the smallest number.
    Each has a key and selectors of its own, and keeps these when it rekeys."""
    first = 16 * list(KEYS).index(name)
    mine = (f"10.2.0.{first}/28",)
    if name != "a":
        tunnel.b.add_address("lo", f"10.2.0.{first + 1}/32")
    tunnel.start(CLIENTS, *claims(identity, name))
    assert tunnel.up("strongswan").children[0].remote_ts == mine
    tunnel.swan.rekey(child="net")
    tunnel.swan.wait_said("CHILD_SA net{2} established")
    assert tunnel.same().children[0].remote_ts == mine


@pytest.mark.parametrize("prefix, name", [("10.77.0.0/30", "a"), ("10.77.1.0/24", None)])
def test_a_client_is_found_by_its_address(tunnel, prefix, name):  # noqa: F811
    """Or by nothing: then what the gateway says counts, its key and its selectors."""
    entry = client(1, None, "a", address=prefix)
    config = lists() + block('client-db "clients"', {"match": ["address"]}, [entry]) + peer_section(
        remote="any", client_db="clients", psk_secret=SECRET)
    tunnel.start(config, *(claims("gw.example", "a") if name else ()))
    assert tunnel.up("strongswan").children[0].remote_ts == (("10.2.0.0/28",) if name else (NET_B,))


@pytest.mark.parametrize("identity, name, words", [
    ("gw-7.example", "e", "the pre-shared keys differ"),
    ("fritz@example.net", "c", "its entry of the client database is to be rejected")])
def test_a_client_that_is_not_let_in(tunnel, identity, name, words):  # noqa: F811
    tunnel.start(CLIENTS, *claims(identity, name))
    refused(tunnel, "strongswan", words, "ike-authentication",
            "received AUTHENTICATION_FAILED notify error")
    assert tunnel.gatehouse.sas() == tunnel.swan.sas() == []


# ---- The choice of our certificate --------------------------------------------------------------

@BOTH
@pytest.mark.parametrize("wanted", ["one", "two"])
def test_the_ca_that_is_asked_for_chooses_the_certificate(tunnel, opener, wanted):  # noqa: F811
    """Two entries under different roots: strongSwan trusts one of these, and asks for it."""
    pkis = {name: Pki(tunnel.net.dir, name) for name in ("one", "two")}
    ours = {name: pki.leaf(US, "ecdsa-256" if name == "one" else "ecdsa-384")
            for name, pki in pkis.items()}
    entries = [block(f"entry {number}", {"cert-file": ours[name].cert, "key-file": ours[name].key,
                                         "send-chain": [pkis[name].ca.cert]})
               for number, name in ((2, "one"), (5, "two"))]
    pki = pkis[wanted]
    config = (block('cert-profile "ours"', {}, entries) +
              section('trust-anchor-profile "roots"', ca_file=[p.root.cert for p in pkis.values()]) +
              peer_section(cert_profile="ours", trust_anchor_profile="roots", local_id=US, remote_id=THEM))
    tunnel.start(config, cert_connection(), {}, files=swan_files(pki, pki.leaf(THEM)))
    tunnel.up(opener)
    assert tunnel.swan.said(f'received end entity cert "O={wanted}, CN={US}"')


# ---- Traffic selectors --------------------------------------------------------------------------

SELECTORS = {  # name: (ours, strongSwan's, how it shows it)
    "port": ("10.1.0.0/24 tcp 4711", "10.1.0.0/24[tcp/4711]", "10.1.0.0/24[tcp/4711]"),
    "ports": ("10.1.0.0/24 udp 4000-4999", "10.1.0.0/24[udp/4000-4999]", "10.1.0.0/24[udp/4000-4999]"),
    "opaque": ("10.1.0.0/24 udp opaque", "10.1.0.0/24[udp/opaque]", "10.1.0.0/24[udp/OPAQUE]"),
    "protocol": ("10.1.0.0/24 132", "10.1.0.0/24[132]", "10.1.0.0/24[sctp]"),
    "icmp": ("10.1.0.0/24 icmp 8", "10.1.0.0/24[icmp/2048-2303]", "10.1.0.0/24[icmp/8-8(255)]"),
    "icmp-code": ("10.1.0.0/24 icmp 3/4", "10.1.0.0/24[icmp/772]", "10.1.0.0/24[icmp/3(4)]"),
    "range": ("10.1.0.3-10.1.0.40", "10.1.0.3-10.1.0.40", "10.1.0.3..10.1.0.40"),
}


@BOTH
@pytest.mark.parametrize("kind", SELECTORS)
def test_selectors(tunnel, opener, kind):  # noqa: F811
    """The SPIs are compared, the selectors by the words of each end: strongSwan has its own."""
    ours, theirs, shown = SELECTORS[kind]
    tunnel.start(peer_section(children=[child_section(local_ts=ours)], psk_secret=SECRET),
                 connection(children={"net": child(remote_ts=theirs)}))
    tunnel.open(opener)
    here, there = tunnel.gatehouse.wait_sas(1, 1)[0].children[0], tunnel.swan.wait_sas(1, 1)[0].children[0]
    assert (here.spi_in, here.spi_out) == (there.spi_out, there.spi_in)
    assert there.remote_ts == (shown,)


def subnets(count):
    return [f"10.2.{i}.0/28" for i in range(count)]


@BOTH
def test_32_selectors(tunnel, opener):  # noqa: F811
    for i in range(1, 32):
        tunnel.b.add_address("lo", f"10.2.{i}.1/32")
    tunnel.start(peer_section(children=[child_section(remote_ts=subnets(32))], psk_secret=SECRET),
                 connection(children={"net": child(local_ts=",".join(subnets(32)))}))
    assert len(tunnel.up(opener).children[0].remote_ts) == 32


def test_33_selectors_are_refused(tunnel):  # noqa: F811
    config = peer_section(children=[child_section(remote_ts="10.2.0.0/16")], psk_secret=SECRET)
    tunnel.start(config, connection(children={"net": child(local_ts=",".join(subnets(33)))}))
    refused(tunnel, "strongswan", "more than 32 traffic selectors", "ike-traffic-selectors",
            "received TS_UNACCEPTABLE notify")
    tunnel.same(1, 0)


# ---- NAT traversal ------------------------------------------------------------------------------

@BOTH
def test_forced_nat_traversal(tunnel, opener):  # noqa: F811
    """Without a Child SA, so that strongSwan has no reason of its own to leave port 500."""
    config = section('ike-policy "p"', childless=True, force_nat_t=True) + peer_section(
        children=[], psk_secret=SECRET, ike_policy="p")
    tunnel.start(config, connection(childless="force", mobike=False, children={}), esp=False)
    if opener == "gatehouse":
        tunnel.gatehouse.gatectl("ike", "initiate", "peer")
    else:
        tunnel.swan.initiate(ike="gw")
    tunnel.same(1, 0)
    assert tunnel.gatehouse.list_sas()[0]["remote"].endswith(":4500")
    assert tunnel.swan.said("remote host is behind NAT")
