"""What a user meets whose two ends do not fit: our log and explanation, and what the peer is told."""

import pytest

from ike import SECRET, child_section, peer_section, section
from netns import B4
from pki import Pki
from test_ike_strongswan import BOTH, PSK, child, connection, tunnel  # noqa: F401 (a fixture)
from test_ike_strongswan_certs import THEM, US, cert_connection, certs_config, swan_files
from wait import wait_for

WRONG = {"ike-1": {"secret": '"not the one of the other end"'}}


def refused(tunnel, opener, ours, cause, theirs):  # noqa: F811
    """Both are told: we by log and explanation, strongSwan by its log."""
    tunnel.open(opener, check=False)
    tunnel.swan.wait_said(theirs)
    tunnel.gatehouse.wait_said(ours)
    wait_for(lambda: cause in tunnel.gatehouse.causes("peer"), 5,
             lambda: f"{cause} among the causes: {tunnel.gatehouse.explain('peer')}")


@BOTH
def test_wrong_psk(tunnel, opener):  # noqa: F811
    tunnel.start(secrets=WRONG)
    if opener == "gatehouse":  # strongSwan finds out, and says so
        refused(tunnel, opener, "AUTHENTICATION_FAILED", "ike-authentication",
                "generating IKE_AUTH response 1 [ N(AUTH_FAILED) ]")
    else:
        refused(tunnel, opener, "the pre-shared keys differ", "ike-authentication",
                "received AUTHENTICATION_FAILED notify error")
    assert tunnel.gatehouse.sas() == tunnel.swan.sas() == []


@BOTH
def test_whom_we_do_not_expect(tunnel, opener):  # noqa: F811
    """strongSwan calls itself by its address; we want c.example."""
    tunnel.start(peer_section(psk_secret=SECRET, remote_id="c.example"))
    refused(tunnel, opener, B4, "ike-authentication",
            "received AUTHENTICATION_FAILED notify error" if opener == "strongswan"
            else "parsed INFORMATIONAL request 2 [ N(AUTH_FAILED) ]")
    assert tunnel.gatehouse.said("it calls itself 10.77.0.2, not c.example" if opener == "gatehouse"
                                 else "no peer is called 10.77.0.2")
    assert tunnel.gatehouse.sas() == tunnel.swan.sas() == []


@BOTH
def test_whom_strongswan_does_not_expect(tunnel, opener):  # noqa: F811
    """We call ourselves by our address; strongSwan wants c.example."""
    tunnel.start(connections=connection(remote={"auth": "psk", "id": "c.example"}))
    refused(tunnel, opener, "AUTHENTICATION_FAILED" if opener == "gatehouse"
            else "the peer does not believe us", "ike-authentication", "N(AUTH_FAILED)")
    assert tunnel.gatehouse.sas() == tunnel.swan.sas() == []


@BOTH
def test_expired_certificate_of_theirs(tunnel, opener):  # noqa: F811
    pki = Pki(tunnel.net.dir)
    tunnel.start(certs_config(pki, pki.leaf(US)), cert_connection(), {},
                 files=swan_files(pki, pki.leaf(THEM, days=-1)))
    refused(tunnel, opener, "expired", "ike-authentication",
            "received AUTHENTICATION_FAILED notify error" if opener == "strongswan"
            else "parsed INFORMATIONAL request 2 [ N(AUTH_FAILED) ]")
    tunnel.swan.wait_sas(0)


@BOTH
def test_expired_certificate_of_ours(tunnel, opener):  # noqa: F811
    """strongSwan tells us that it does not believe us, not why."""
    pki = Pki(tunnel.net.dir)
    tunnel.start(certs_config(pki, pki.leaf(US, days=-1)), cert_connection(), {},
                 files=swan_files(pki, pki.leaf(THEM)))
    tunnel.open(opener, check=False)
    tunnel.swan.wait_said("subject certificate invalid")
    tunnel.gatehouse.wait_said("the peer refuses IKE_AUTH: AUTHENTICATION_FAILED"
                               if opener == "gatehouse" else "the peer does not believe us")
    assert tunnel.swan.sas() == []
    tunnel.gatehouse.wait_sas(0)


@BOTH
def test_unknown_ca_of_theirs(tunnel, opener):  # noqa: F811
    pki, other = Pki(tunnel.net.dir), Pki(tunnel.net.dir, "others")
    files = {**swan_files(other, other.leaf(THEM)), "x509ca/ours.pem": pki.root.cert,
             "x509ca/ours2.pem": pki.ca.cert}
    tunnel.start(certs_config(pki, pki.leaf(US)), cert_connection(), {}, files=files)
    refused(tunnel, opener, "10.77.0.2: sa-failed: ", "ike-authentication",
            "received AUTHENTICATION_FAILED notify error" if opener == "strongswan"
            else "parsed INFORMATIONAL request 2 [ N(AUTH_FAILED) ]")
    tunnel.swan.wait_sas(0)
    assert tunnel.gatehouse.said("was issued by O=others, CN=ca, which is none of the 1 CAs")


@BOTH
def test_identity_that_is_not_in_the_certificate(tunnel, opener):  # noqa: F811
    """The certificate of c.example is good, but it says that it is b.example."""
    pki = Pki(tunnel.net.dir)
    tunnel.start(certs_config(pki, pki.leaf(US)), cert_connection(), {},
                 files=swan_files(pki, pki.leaf("c.example")))
    tunnel.open(opener, check=False)
    tunnel.gatehouse.wait_said("the certificate of O=tests, CN=c.example is not for it")
    assert "ike-authentication" in tunnel.gatehouse.causes("peer")
    tunnel.gatehouse.wait_sas(0)


@BOTH
def test_no_common_proposal(tunnel, opener):  # noqa: F811
    """Ours is the default, AES-256-GCM; theirs AES-CBC with HMAC."""
    tunnel.start(connections=connection(proposals="aes128-sha256-modp2048"))
    if opener == "gatehouse":
        refused(tunnel, opener, "NO_PROPOSAL_CHOSEN", "ike-no-proposal",
                "generating IKE_SA_INIT response 0 [ N(NO_PROP) ]")
    else:
        refused(tunnel, opener, "no proposal chosen", "ike-no-proposal",
                "received NO_PROPOSAL_CHOSEN notify error")


@BOTH
def test_no_common_child_proposal(tunnel, opener):  # noqa: F811
    """The IKE SA comes up, the child does not."""
    tunnel.start(connections=connection(children={"net": child(esp_proposals="aes128-sha256")}))
    tunnel.open(opener, check=False)
    tunnel.swan.wait_said("N(NO_PROP)" if opener == "gatehouse"
                          else "received NO_PROPOSAL_CHOSEN notify, no CHILD_SA built")
    tunnel.gatehouse.wait_said("child-failed")
    tunnel.same(1, 0)


@BOTH
def test_selectors_that_do_not_fit(tunnel, opener):  # noqa: F811
    tunnel.start(connections=connection(children={"net": child(remote_ts="10.9.0.0/24")}))
    refused(tunnel, opener, "TS_UNACCEPTABLE" if opener == "gatehouse" else "child-failed",
            "ike-traffic-selectors",
            "N(TS_UNACCEPT)" if opener == "gatehouse"
            else "received TS_UNACCEPTABLE notify, no CHILD_SA built")
    tunnel.same(1, 0)


def test_a_locked_out_client_gets_no_answer(tunnel):  # noqa: F811
    """After as many failures as are allowed nothing of it is read, until the operator clears it."""
    config = "ike {\n" + section("lockout", attempts=2, duration=5, block=1) + "}\n"
    tunnel.start(config + peer_section(psk_secret=SECRET), secrets=WRONG)
    for _ in range(2):
        tunnel.open("strongswan", check=False)
    lockout = tunnel.gatehouse.ask("show", "ike", "lockout")
    assert lockout["enabled"] and [c["address"] for c in lockout["clients"] if c["blocked"]] == ["10.77.0.2"]
    assert "ike-locked-out" in tunnel.gatehouse.causes("peer")
    tunnel.swan.load(connection(), PSK)
    tunnel.open("strongswan", check=False)
    tunnel.swan.wait_said("peer not responding")
    assert tunnel.gatehouse.ask("clear", "ike", "lockout")["cleared"] == 1
    tunnel.up("strongswan")


def test_a_stranger_gets_no_answer(tunnel):  # noqa: F811
    """It is counted, stands in the log, and in the explanation of the peer that it might be."""
    tunnel.start(peer_section(remote="10.77.0.9", psk_secret=SECRET))
    tunnel.open("strongswan", check=False)
    assert tunnel.gatehouse.said("IKE_SA_INIT from 10.77.0.2: no peer has this address")
    assert "ike-no-policy" in tunnel.gatehouse.causes("peer")


def test_an_address_that_nobody_gives(tunnel):  # noqa: F811
    """A client that asks for a virtual address finds none here, and ends; our log says what it missed."""
    tunnel.start(connections=connection(vips="0.0.0.0", children={"net": child(local_ts="dynamic")}))
    tunnel.open("strongswan", check=False)
    tunnel.gatehouse.wait_said("it asks for an address, and none is given here")
    tunnel.swan.wait_said("no acceptable traffic selectors found")
