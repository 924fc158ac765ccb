"""Gatehouse and strongSwan with certificates below an intermediate CA, and with raw public keys."""

import pytest

from ike import SECRET, peer_section, section
from pki import Pki
from test_ike_strongswan import BOTH, PSK, connection, tunnel  # noqa: F401 (a fixture)

US, THEM = "a.example", "b.example"


def trust(pki, **options):
    return section('trust-anchor-profile "roots"', ca_file=[pki.root.cert], **options)


def profile(leaf, chain, **options):
    """Our certificate, with what is sent after it."""
    text = section("entry 1", cert_file=leaf.cert, key_file=leaf.key, send_chain=chain, **options)
    return f'cert-profile "ours" {{\n{text}}}\n'


def certs_config(pki, leaf, **options):
    return (trust(pki) + profile(leaf, [pki.ca.cert]) +
            peer_section(**{"cert_profile": "ours", "trust_anchor_profile": "roots", "local_id": US,
                            "remote_id": THEM, **options}))


def swan_files(pki, leaf, ca=True):
    files = {"x509/host.pem": leaf.cert, "private/host.key": leaf.key, "x509ca/root.pem": pki.root.cert}
    return {**files, "x509ca/ca.pem": pki.ca.cert} if ca else files


def cert_connection(auth="pubkey", **changes):
    return connection(**{"local": {"auth": auth, "id": THEM, "certs": "host.pem"},
                         "remote": {"auth": "pubkey", "id": US}, "send_cert": "always", **changes})


@BOTH
@pytest.mark.parametrize("kind, method", [
    ("rsa-2048", "RSA_EMSA_PKCS1_SHA2_256"), ("ecdsa-256", "ECDSA_WITH_SHA256_DER"),
    ("ecdsa-384", "ECDSA_WITH_SHA384_DER"), ("ecdsa-521", "ECDSA_WITH_SHA512_DER"),
    ("ed25519", "ED25519"), ("ed448", "ED448")])
def test_certificates(tunnel, opener, kind, method):  # noqa: F811
    pki = Pki(tunnel.net.dir)
    ours, theirs = pki.leaf(US, kind), pki.leaf(THEM, kind)
    tunnel.start(certs_config(pki, ours), cert_connection(), {}, files=swan_files(pki, theirs))
    tunnel.up(opener)
    assert tunnel.swan.said(f"authentication of '{US}' with {method} successful")
    ids = {(sa["local_id"], sa["remote_id"]) for sa in tunnel.gatehouse.list_sas()}
    assert ids == {(US, THEM)}


@BOTH
@pytest.mark.parametrize("local_id, shown", [(None, f"O=tests, CN={US}"), ("cert:fqdn", US)])
def test_our_identity_is_found_in_the_certificate(tunnel, opener, local_id, shown):  # noqa: F811
    """Its subject, or the alternative name of the kind that is wanted."""
    pki = Pki(tunnel.net.dir)
    remote = {"auth": "pubkey", "id": f'"{shown}"'}
    tunnel.start(certs_config(pki, pki.leaf(US), local_id=local_id), cert_connection(remote=remote), {},
                 files=swan_files(pki, pki.leaf(THEM)))
    tunnel.up(opener)
    assert tunnel.gatehouse.list_sas()[0]["local_id"] == shown


@BOTH
def test_each_learns_the_intermediate_from_the_other(tunnel, opener):  # noqa: F811
    """strongSwan knows the root alone, as Gatehouse does; both send the CA between."""
    pki = Pki(tunnel.net.dir)
    ours, theirs = pki.leaf(US), pki.leaf(THEM)
    files = {**swan_files(pki, theirs, ca=False), "x509/ca.pem": pki.ca.cert}
    tunnel.start(certs_config(pki, ours), cert_connection(), {}, files=files)
    tunnel.up(opener)
    assert tunnel.swan.said('received issuer cert "O=tests, CN=ca"')


@BOTH
@pytest.mark.parametrize("ours", ["psk", "cert"])
def test_asymmetric(tunnel, opener, ours):  # noqa: F811
    """One end has a key shared with the other, the other a certificate."""
    pki = Pki(tunnel.net.dir)
    if ours == "psk":
        config = trust(pki) + peer_section(psk_secret=SECRET, local_auth="psk", remote_auth=["cert"],
                                           trust_anchor_profile="roots", local_id=US, remote_id=THEM)
        swan = cert_connection(remote={"auth": "psk", "id": US})
        files = swan_files(pki, pki.leaf(THEM))
    else:
        config = (profile(pki.leaf(US), [pki.ca.cert]) +
                  peer_section(psk_secret=SECRET, local_auth="cert", remote_auth=["psk"],
                               cert_profile="ours", local_id=US, remote_id=THEM))
        swan = connection(local={"auth": "psk", "id": THEM}, remote={"auth": "pubkey", "id": US})
        files = {"x509ca/root.pem": pki.root.cert}
    tunnel.start(config, swan, PSK, files=files).up(opener)
    if ours == "psk":
        assert tunnel.swan.said(f"authentication of '{US}' with pre-shared key successful")
        assert tunnel.swan.said(f"authentication of '{THEM}' (myself) with ECDSA_WITH_SHA256_DER")
    else:
        assert tunnel.swan.said(f"authentication of '{US}' with ECDSA_WITH_SHA256_DER successful")
        assert tunnel.swan.said(f"authentication of '{THEM}' (myself) with pre-shared key")
    (sa,) = tunnel.gatehouse.ask("show", "ike", "sa", "detail")["sas"]
    assert sa["local_auth"] == {"psk": "psk", "cert": "certificate"}[ours]
    assert sa["remote_auth"] == {"psk": "certificate", "cert": "psk"}[ours]
    assert (sa["certificate"], sa["trust_anchor"]) == (
        (None, "O=tests, CN=root") if ours == "psk" else (f"O=tests, CN={US}", None))


@BOTH
def test_pss(tunnel, opener):  # noqa: F811
    """RSASSA-PSS both ways (RFC 7427)."""
    pki = Pki(tunnel.net.dir)
    config = (trust(pki) + profile(pki.leaf(US, "rsa-2048"), [pki.ca.cert], rsa_signature="pss") +
              peer_section(cert_profile="ours", trust_anchor_profile="roots", local_id=US, remote_id=THEM))
    swan = cert_connection(auth="ike:rsa/pss-sha384")
    tunnel.start(config, swan, {}, files=swan_files(pki, pki.leaf(THEM, "rsa-2048"))).up(opener)
    assert tunnel.swan.said(f"authentication of '{US}' with RSA_EMSA_PSS_")
    assert tunnel.swan.said(f"authentication of '{THEM}' (myself) with RSA_EMSA_PSS_SHA2_384")


@BOTH
def test_raw_public_keys(tunnel, opener):  # noqa: F811
    pki = Pki(tunnel.net.dir)
    ours, theirs = pki.leaf(US), pki.leaf(THEM)
    config = section('ike-key "own"', key_file=ours.key) + peer_section(
        raw_key="own", peer_raw_key_file=pki.public_key(theirs), local_id=US, remote_id=THEM)
    swan = connection(local={"auth": "pubkey", "id": THEM, "pubkeys": "own.pem"},
                      remote={"auth": "pubkey", "id": US, "pubkeys": "peer.pem"})
    files = {"private/own.key": theirs.key, "pubkey/own.pem": pki.public_key(theirs),
             "pubkey/peer.pem": pki.public_key(ours)}
    tunnel.start(config, swan, {}, files=files).up(opener)


@BOTH
def test_fragments_pass_where_those_of_ip_do_not(tunnel, opener):  # noqa: F811
    """Small datagrams both ways, and a filter that drops IP fragments."""
    pki = Pki(tunnel.net.dir, key="rsa-2048")
    ours, theirs = pki.leaf(US, "rsa-2048"), pki.leaf(THEM, "rsa-2048")
    for host in (tunnel.a, tunnel.b):
        host.run(["iptables", "-t", "raw", "-A", "PREROUTING", "-f", "-j", "DROP"])
    config = section('ike-policy "small"', fragment_mtu=576) + certs_config(pki, ours, ike_policy="small")
    tunnel.start(config, cert_connection(fragmentation="yes"), {}, files=swan_files(pki, theirs),
                 options={"fragment_size": 576})
    tunnel.up(opener)
    assert tunnel.swan.said("EF(1/") and tunnel.swan.said("splitting IKE message")
    assert tunnel.swan.said("received fragment #1 of ")
    assert all(sa["fragmentation"] for sa in tunnel.gatehouse.list_sas())


@pytest.mark.parametrize("side", ["gatehouse", "strongswan"])
def test_without_fragmentation_the_filter_wins(tunnel, side):  # noqa: F811
    """The same without: the filter drops what IP made of it, and both say that nothing came."""
    pki = Pki(tunnel.net.dir, key="rsa-2048")
    ours, theirs = pki.leaf(US, "rsa-2048"), pki.leaf(THEM, "rsa-2048")
    for host in (tunnel.a, tunnel.b):
        host.run(["iptables", "-t", "raw", "-A", "PREROUTING", "-f", "-j", "DROP"])
    config = (section('ike-policy "small"', fragmentation=side != "gatehouse", retransmits=1,
                      exchange_timeout=2) + certs_config(pki, ours, ike_policy="small"))
    tunnel.start(config, cert_connection(fragmentation="no" if side == "strongswan" else "yes"), {},
                 files=swan_files(pki, theirs))
    tunnel.open("gatehouse")
    tunnel.gatehouse.wait_said("sa-failed")
    assert tunnel.swan.sas() == []
    dropped = tunnel.b.run(["iptables", "-t", "raw", "-L", "PREROUTING", "-nvx"]).stdout.splitlines()[2]
    assert int(dropped.split()[0]) > 0
