"""Gatehouse and strongSwan: algorithms, groups, a NAT between them, cookies, silence, addresses."""

import re

import pytest

from daemons.strongswan import StrongSwan
from ike import (NET_A, NET_B, SECRET, IkeGatehouse, assert_same, child_section, peer_section,
                 section)
from netns import A4, A6, B4, B6
from test_ike_strongswan import BOTH, PROPOSAL, PSK, Tunnel, child, connection, tunnel  # noqa: F401
from wait import wait_for


# ---- Algorithms -------------------------------------------------------------------------------

SUITES = {  # name: (ike-transform, ipsec-transform, strongSwan's IKE, its ESP)
    "cbc-sha2": ({"encryption": ["aes-256-cbc"], "integrity": ["hmac-sha-512-256"],
                  "prf": ["hmac-sha-512"], "ke": ["ecp-521"]},
                 {"encryption": ["aes-256-cbc"], "integrity": ["hmac-sha-512-256"], "ke": ["ecp-521"]},
                 "aes256-sha512-ecp521", "aes256-sha512-ecp521"),
    "ctr-sha1": ({"encryption": ["aes-128-ctr"], "integrity": ["hmac-sha-1-96"],
                  "prf": ["hmac-sha-1"], "ke": ["modp-2048"]},
                 {"encryption": ["aes-128-cbc"], "integrity": ["hmac-sha-1-96"], "ke": ["modp-2048"]},
                 "aes128ctr-sha1-modp2048", "aes128-sha1-modp2048"),
    "xcbc": ({"encryption": ["aes-128-cbc"], "integrity": ["aes-xcbc-96"], "prf": ["aes-xcbc"],
              "ke": ["modp-3072"]},
             {"encryption": ["aes-128-cbc"], "integrity": ["aes-xcbc-96"], "ke": ["modp-3072"]},
             "aes128-aesxcbc-prfaesxcbc-modp3072", "aes128-aesxcbc-modp3072"),
    "chacha20": ({"encryption": ["chacha20-poly1305"], "prf": ["hmac-sha-384"], "ke": ["x448"]},
                 {"encryption": ["chacha20-poly1305"], "ke": ["x448"]},
                 "chacha20poly1305-prfsha384-x448", "chacha20poly1305-x448"),
    "gcm-12": ({"encryption": ["aes-192-gcm-12"], "prf": ["hmac-sha-256"], "ke": ["ecp-384"]},
               {"encryption": ["aes-192-gcm-12"], "ke": ["ecp-384"]},
               "aes192gcm12-prfsha256-ecp384", "aes192gcm12-ecp384"),
    "brainpool": ({"encryption": ["camellia-256-cbc"], "integrity": ["hmac-sha-384-192"],
                   "prf": ["hmac-sha-384"], "ke": ["brainpool-384"]},
                  {"encryption": ["camellia-256-cbc"], "integrity": ["hmac-sha-384-192"],
                   "ke": ["brainpool-384"]},
                  "camellia256-sha384-ecp384bp", "camellia256-sha384-ecp384bp"),
    "legacy": ({"encryption": ["3des"], "integrity": ["hmac-md5-96"], "prf": ["hmac-md5"],
                "ke": ["modp-1024"], "legacy": True},
               {"encryption": ["3des"], "integrity": ["hmac-md5-96"], "ke": ["modp-1024"],
                "legacy": True},
               "3des-md5-modp1024", "3des-md5-modp1024"),
}


@BOTH
@pytest.mark.parametrize("suite", SUITES)
def test_algorithms(tunnel, opener, suite):  # noqa: F811
    """The SA comes up, and its child is rekeyed with a key exchange of the same group."""
    ike, esp, swan_ike, swan_esp = SUITES[suite]
    config = (section('ike-transform "t"', **ike) + section('ipsec-transform "t"', **esp) +
              section('ike-policy "p"', ike_transform=["t"]) +
              peer_section(children=[child_section(ipsec_transform=["t"])], psk_secret=SECRET,
                           ike_policy="p"))
    tunnel.start(config, connection(proposals=swan_ike, children={"net": child(esp_proposals=swan_esp)}))
    before = tunnel.up(opener)
    number = tunnel.gatehouse.ask("show", "ike", "child")["children"][0]["id"]
    tunnel.gatehouse.gatectl("ike", "rekey", "child", str(number))
    tunnel.swan.wait_said("CHILD_SA closed")
    assert tunnel.same().children[0].spi_in != before.children[0].spi_in


@BOTH
def test_another_group_is_asked_for(tunnel, opener):  # noqa: F811
    """The opener's first guess is a group that the other does not take: INVALID_KE_PAYLOAD."""
    first, second = ["x25519", "ecp-256"], "ecp-256"
    ours, theirs = (first, "ecp256") if opener == "gatehouse" else ([second], "x25519-ecp256")
    config = (section('ike-transform "t"', ke=ours) + section('ike-policy "p"', ike_transform=["t"]) +
              peer_section(psk_secret=SECRET, ike_policy="p"))
    tunnel.start(config, connection(proposals=f"aes256gcm16-prfsha256-{theirs}"))
    tunnel.up(opener)
    assert tunnel.swan.said("N(INVAL_KE)")
    assert tunnel.gatehouse.list_sas()[0]["suite"][-1] == "ECP256"


@BOTH
def test_ipv6(tunnel, opener):  # noqa: F811
    config = peer_section(remote=B6, local=A6, psk_secret=SECRET)
    tunnel.start(config, connection(local_addrs=B6, remote_addrs=A6)).up(opener)


@BOTH
def test_selectors_are_narrowed(tunnel, opener):  # noqa: F811
    """Each end has a wider range for the other's network; the common part remains."""
    config = peer_section(children=[child_section(remote_ts="10.2.0.0/16")], psk_secret=SECRET)
    tunnel.start(config, connection(children={"net": child(remote_ts="10.1.0.0/16")}))
    found = tunnel.up(opener).children[0]
    assert (found.local_ts, found.remote_ts) == ((NET_A,), (NET_B,))


@BOTH
def test_two_children(tunnel, opener):  # noqa: F811
    """The second Child SA by CREATE_CHILD_SA, with a key exchange of its own."""
    other = {"local_ts": "10.2.0.0/28", "remote_ts": "10.1.8.0/24"}
    config = peer_section(children=[child_section(), child_section("more", "10.1.8.0/24", "10.2.0.0/28")],
                          psk_secret=SECRET)
    tunnel.start(config, connection(children={"net": child(), "more": child(**other)})).up(opener)
    tunnel.open(opener, "more")
    assert {c.name for c in tunnel.same(1, 2).children} == {"net", "more"}


@BOTH
def test_childless(tunnel, opener):  # noqa: F811
    """An IKE SA alone (RFC 6023), on port 500: the kernel here has no ESP to offer."""
    config = section('ike-policy "p"', childless=True) + peer_section(
        children=[], psk_secret=SECRET, ike_policy="p")
    tunnel.start(config, connection(childless="force", mobike=False, children={}), esp=False)
    if opener == "gatehouse":
        tunnel.gatehouse.gatectl("ike", "initiate", "peer")
    else:
        tunnel.swan.initiate(ike="gw")
    tunnel.same(1, 0)
    assert not tunnel.swan.said("[4500]")


# ---- NAT --------------------------------------------------------------------------------------

NAT_IN, NAT_OUT = "192.168.9.1", "10.77.0.254"


def behind_nat(net, inside):
    """Namespaces a and b with a masquerading router before that of `inside`."""
    a, b, router = net.namespace("a"), net.namespace("b"), net.namespace("r")
    hidden, other = (a, b) if inside == "a" else (b, a)
    net.link(router, hidden, (f"{NAT_IN}/24", "192.168.9.2/24"), name_a="in")
    net.link(router, other, (f"{NAT_OUT}/24", f"{B4 if inside == 'a' else A4}/24"), name_a="out")
    hidden.route("default", NAT_IN)
    router.sysctl("net.ipv4.ip_forward", 1)
    router.run(["iptables", "-t", "nat", "-A", "POSTROUTING", "-o", "out", "-j", "MASQUERADE",
                "--random-fully"])
    b.add_address("lo", "10.2.0.1/32")
    return a, b


@pytest.mark.parametrize("inside", ["gatehouse", "strongswan"])
def test_behind_a_nat(net, build_dir, inside):
    """The end behind a masquerading router begins: both float to 4500, the other sees its port."""
    ours = inside == "gatehouse"
    a, b = behind_nat(net, "a" if ours else "b")
    gatehouse = IkeGatehouse(a, build_dir, peer_section(
        psk_secret=SECRET, **({"local": "192.168.9.2", "local_id": "a.example"} if ours else
                              {"remote": f"{NAT_OUT}/32", "local_id": "a.example"}))).start()
    swan = StrongSwan(b, connection(
        local_addrs=B4 if ours else "192.168.9.2", remote_addrs="%any" if ours else A4,
        remote={"auth": "psk", "id": "a.example"}), PSK).start()
    if ours:
        gatehouse.gatectl("ike", "initiate", "peer", "net")
    else:
        swan.initiate("net")
    here, there = gatehouse.wait_sas(1, 1), swan.wait_sas(1, 1)
    assert_same(here, there)
    sa = gatehouse.list_sas()[0]
    other = next(iter(swan.list_sas().values()))
    assert sa["nat_local"] == ours and sa["nat_remote"]  # kernel-libipsec always claims one
    if ours:
        assert other["remote-host"] == NAT_OUT and other["remote-port"] not in ("500", "4500")
    else:
        assert str(NAT_OUT) in str(sa["remote"]) and "4500" not in str(sa["remote"])
    assert all(c["udp_encapsulation"] for c in sa["child_sas"])
    # Both still reach each other when the other end asks.
    swan.rekey(child="net")
    swan.wait_said("CHILD_SA closed")
    number = gatehouse.list_sas()[0]["id"]
    gatehouse.gatectl("ike", "rekey", "sa", str(number))
    swan.wait_said("rekeyed between")
    assert_same(gatehouse.wait_sas(1, 1), swan.wait_sas(1, 1))


# ---- Cookies ----------------------------------------------------------------------------------

def test_we_ask_for_a_cookie(tunnel):  # noqa: F811
    config = section("ike", cookie_threshold=0) + peer_section(psk_secret=SECRET)
    tunnel.start(config).up("strongswan")
    assert tunnel.swan.said("parsed IKE_SA_INIT response 0 [ N(COOKIE) ]")
    assert tunnel.gatehouse.ask("show", "ike", "statistics")["counters"]["cookies-sent"] == 1


def test_strongswan_asks_for_a_cookie(tunnel):  # noqa: F811
    """It has one half-open IKE SA already, for what we said next was dropped."""
    tunnel.start(options={"cookie_threshold": 1, "half_open_timeout": 20})
    drop = ["INPUT", "-p", "udp", "--dport", "4500", "-j", "DROP"]
    tunnel.b.run(["iptables", "-A", *drop])
    tunnel.open("gatehouse")
    tunnel.swan.wait_said("generating IKE_SA_INIT response 0 [ SA KE No ")
    tunnel.gatehouse.gatectl("ike", "terminate", "peer", "peer")
    tunnel.b.run(["iptables", "-D", *drop])
    tunnel.gatehouse.stop()
    tunnel.gatehouse.start()
    tunnel.open("gatehouse")
    assert_same(tunnel.gatehouse.wait_sas(1, 1), tunnel.swan.wait_sas(1, 1))
    assert tunnel.swan.said("generating IKE_SA_INIT response 0 [ N(COOKIE) ]")


# ---- Silence ----------------------------------------------------------------------------------

@BOTH
def test_we_answer_liveness(tunnel, opener):  # noqa: F811
    """strongSwan asks every second; a Gatehouse that is killed is given up."""
    tunnel.start(connections=connection(dpd_delay="1s"), options={"retransmit_timeout": 0.4}).up(opener)
    tunnel.swan.wait_said("sending DPD request")
    wait_for(lambda: len(re.findall(r"parsed INFORMATIONAL response \d+ \[ \]",
                                    tunnel.swan.tail(200))) >= 2, 6, "two answers")
    tunnel.same()
    tunnel.gatehouse.kill("ike")
    tunnel.swan.wait_said("giving up after")
    tunnel.swan.wait_sas(0)


@BOTH
def test_a_killed_peer_is_given_up(tunnel, opener):  # noqa: F811
    """Our liveness check. Its shortest interval is ten seconds: the slowest test of these."""
    config = section('ike-policy "p"', liveness_interval=10, liveness_retries=2,
                     retransmit_interval=1) + peer_section(psk_secret=SECRET, ike_policy="p")
    tunnel.start(config).up(opener)
    tunnel.swan.kill()
    tunnel.gatehouse.wait_sas(0, timeout=25)
    assert "ike-peer-dead" in tunnel.gatehouse.causes("peer")


def test_a_peer_that_starts_anew_replaces_its_sa(tunnel):  # noqa: F811
    """INITIAL_CONTACT: what is left of the peer's former life goes at once."""
    known = connection(remote={"auth": "psk", "id": A4})  # else strongSwan does not send it
    before = tunnel.start(connections=known).up("strongswan")
    tunnel.swan.kill()
    tunnel.swan.start()
    after = tunnel.up("strongswan")
    assert after.spi_i != before.spi_i
    assert len(tunnel.gatehouse.list_sas()) == 1


@BOTH
def test_reauthentication_by_strongswan(tunnel, opener):  # noqa: F811
    before = tunnel.start().up(opener)
    tunnel.swan.rekey(ike="gw", reauth=True)
    tunnel.swan.wait_said("IKE_SA gw[2] established")
    wait_for(lambda: len(tunnel.gatehouse.list_sas()) == 1, 10, "the former one ends")
    assert tunnel.same().spi_i != before.spi_i


# ---- Post-quantum preshared keys --------------------------------------------------------------

@BOTH
@pytest.mark.parametrize("required", [False, True], ids=["wanted", "required"])
def test_ppk(tunnel, opener, required):  # noqa: F811
    """RFC 8784: both ends have it under the same identity."""
    config = section('ike-ppk "quantum"', secret="a post-quantum preshared key") + peer_section(
        psk_secret=SECRET, ppk="quantum", ppk_required=required)
    secrets = {**PSK, "ppk-1": {"secret": '"a post-quantum preshared key"', "id-1": "quantum"}}
    tunnel.start(config, connection(ppk_id="quantum", ppk_required=required), secrets).up(opener)
    assert tunnel.swan.said("using PPK for PPK_ID 'quantum'")


@BOTH
def test_ppk_that_the_other_end_lacks(tunnel, opener):  # noqa: F811
    """We insist on it, strongSwan has none: nothing comes up, and both say why."""
    config = section('ike-ppk "quantum"', secret="a post-quantum preshared key") + peer_section(
        psk_secret=SECRET, ppk="quantum", ppk_required=True)
    tunnel.start(config)
    tunnel.open(opener, check=False)
    tunnel.gatehouse.wait_said("sa-failed")
    tunnel.gatehouse.wait_said("the peer uses no PPK, but has to" if opener == "gatehouse"
                               else "it has no PPK in common with us")
    assert tunnel.gatehouse.sas() == []
