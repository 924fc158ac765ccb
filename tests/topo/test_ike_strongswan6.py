"""Gatehouse and strongSwan 6: additional key exchanges (RFC 9370) in IKE_INTERMEDIATE (RFC 9242) and
IKE_FOLLOWUP_KE, and hybrids with ML-KEM.

Gatehouse has ML-KEM where its OpenSSL is 3.5 or newer; those tests run it with the one that
tools/strongswan-newer unpacked.
"""

import os
import re

import pytest

from daemons.strongswan import StrongSwan
from ike import SECRET, IkeGatehouse, child_section, peer_section, section
from netns import A4, B4, run
from pages import Page
from pki import Pki
from relay import Relay
from test_ike_strongswan import BOTH, PSK, Tunnel, child, connection
from test_ike_strongswan_certs import THEM, US, profile, swan_files, trust
from wait import wait_for

WHO = pytest.mark.parametrize("who", ["gatehouse", "strongswan"])

# name: (our key exchanges, strongSwan's, the names by which Gatehouse shows them)
CHAINS = {
    "none": (["x25519"], "x25519", ["CURVE25519"]),
    "one": (["x25519", "ecp-256"], "x25519-ke1_ecp256", ["CURVE25519", "ECP256"]),
    "two": (["x25519", "ecp-256", "modp-3072"], "x25519-ke1_ecp256-ke2_modp3072",
            ["CURVE25519", "ECP256", "MODP3072"]),
    "gap": (["ecp-384", None, "x448"], "ecp384-ke2_x448", ["ECP384", "CURVE448"]),
    "seven": (["x25519", "ecp-256", "ecp-384", "ecp-521", "x448", "modp-2048", "modp-3072", "modp-4096"],
              "x25519-ke1_ecp256-ke2_ecp384-ke3_ecp521-ke4_x448-ke5_modp2048-ke6_modp3072-ke7_modp4096",
              ["CURVE25519", "ECP256", "ECP384", "ECP521", "CURVE448", "MODP2048", "MODP3072",
               "MODP4096"]),
    "long": (["x25519", "modp-8192"], "x25519-ke1_modp8192", ["CURVE25519", "MODP8192"]),
    "ml-kem-512": (["x25519", "ml-kem-512"], "x25519-ke1_mlkem512", ["CURVE25519", "ML_KEM_512"]),
    "ml-kem-768": (["x25519", "ml-kem-768"], "x25519-ke1_mlkem768", ["CURVE25519", "ML_KEM_768"]),
    "ml-kem-1024": (["ecp-384", "ml-kem-1024"], "ecp384-ke1_mlkem1024", ["ECP384", "ML_KEM_1024"]),
    "ml-kem-first": (["ml-kem-512", "ecp-256"], "mlkem512-ke1_ecp256", ["ML_KEM_512", "ECP256"]),
    "ml-kem-alone": (["ml-kem-768"], "mlkem768", ["ML_KEM_768"]),
    "three": (["x25519", "ml-kem-768", "x448"], "x25519-ke1_mlkem768-ke2_x448",
              ["CURVE25519", "ML_KEM_768", "CURVE448"]),
}
HYBRID = ["ml-kem-512", "ml-kem-768", "ml-kem-1024", "ml-kem-first", "ml-kem-alone", "three"]
CLASSICAL = ["one", "two", "gap", "seven", "long"]


def transform(kind, name, chain):
    """A transform section with these key exchanges: the first, then the additional ones by type."""
    more = {f"additional_ke_{n}": [ke] for n, ke in enumerate(chain[1:], 1) if ke}
    return section(f'{kind} "{name}"', ke=[chain[0]], **more)


def config(chain, policy=None, head="", **peer):
    """One peer whose IKE SA and Child SA have the same key exchanges."""
    return (head + transform("ike-transform", "t", chain) + transform("ipsec-transform", "c", chain) +
            section('ike-policy "p"', ike_transform=["t"], **(policy or {})) +
            peer_section(**{"children": [child_section(ipsec_transform=["c"])], "ike_policy": "p",
                            "psk_secret": SECRET, **peer}))


def swan(chain, **changes):
    return connection(proposals=f"aes256gcm16-prfsha256-{chain}",
                      children={"net": child(esp_proposals=f"aes256gcm16-{chain}")}, **changes)


class Tunnel6(Tunnel):
    names = ()

    def chain(self, name, policy=None, **options):
        ours, theirs, self.names = CHAINS[name]
        return self.start(config(ours, policy), swan(theirs), **options)

    def up(self, opener="gatehouse", children=1):
        sa = super().up(opener, children)
        self.assert_key_exchanges()
        return sa

    def shown(self):
        """The established IKE SA as Gatehouse and as strongSwan show it."""
        ours, = [sa for sa in self.gatehouse.list_sas() if sa["state"] == "established"]
        theirs, = [sa for sa in self.swan.list_sas().values() if sa["state"] == "ESTABLISHED"]
        return ours, theirs

    def assert_key_exchanges(self):
        """Both show those of the configuration for the IKE SA."""
        sa, other = self.shown()
        theirs = [other["dh-group"], *(other[f"ake{n}"] for n in range(1, 8) if f"ake{n}" in other)]
        assert [ke for ke in sa["suite"] if ke in self.names] == self.names, sa["suite"]
        assert [ke.replace("_", "") for ke in theirs] == [ke.replace("_", "") for ke in self.names]

    def assert_child_key_exchanges(self):
        """Those of the configuration were made for the Child SA, too."""
        sa, other = self.shown()
        for suite in [c["suite"] for c in sa["child_sas"]]:
            assert [ke for ke in suite if ke in self.names] == self.names, suite
        for suite in other["child-sas"].values():
            if suite["state"] != "INSTALLED":  # what it replaces stays for some seconds
                continue
            theirs = [suite["dh-group"], *(suite[f"ake{n}"] for n in range(1, 8) if f"ake{n}" in suite)]
            assert [ke.replace("_", "") for ke in theirs] == [ke.replace("_", "") for ke in self.names]

    def exchanges(self, kind):
        """How many requests of this kind strongSwan has sent and received, each counted once."""
        with open(self.swan.log, encoding="utf-8") as file:
            return len(re.findall(rf"(?:parsed|generating) {kind} request \d+ \[ KE", file.read()))

    def rekey_child(self, who):
        if who == "gatehouse":
            number = self.gatehouse.ask("show", "ike", "child")["children"][0]["id"]
            self.gatehouse.gatectl("ike", "rekey", "child", str(number))
        else:
            self.swan.rekey(child="net")

    def rekey_ike(self, who):
        if who == "gatehouse":
            number, = [sa["id"] for sa in self.gatehouse.list_sas() if sa["state"] == "established"]
            self.gatehouse.gatectl("ike", "rekey", "sa", str(number))
        else:
            self.swan.rekey(ike="gw")

    def assert_new_child(self, who):
        """A rekeying of the Child SA: with all key exchanges, the old one is gone at both ends."""
        before, = self.gatehouse.sas()
        done = self.exchanges("IKE_FOLLOWUP_KE")
        self.rekey_child(who)
        after = self.replaced(lambda sa: sa.children and sa.children[0].spi_in != before.children[0].spi_in)
        assert (after.spi_i, after.spi_r) == (before.spi_i, before.spi_r)
        assert after.children[0].spi_out != before.children[0].spi_out
        assert self.exchanges("IKE_FOLLOWUP_KE") - done == len(self.names) - 1
        self.assert_child_key_exchanges()

    def assert_new_ike(self, who):
        """A rekeying of the IKE SA: with all key exchanges, the Child SAs go on."""
        before, = self.gatehouse.sas()
        done = self.exchanges("IKE_FOLLOWUP_KE")
        self.rekey_ike(who)
        after = self.replaced(lambda sa: sa.spi_i != before.spi_i)
        assert after.initiator == (who == "gatehouse") and after.children == before.children
        assert self.exchanges("IKE_FOLLOWUP_KE") - done == len(self.names) - 1
        self.assert_key_exchanges()

    def replaced(self, is_new):
        """Waits for a new SA, and that both ends show it alone; returns it."""
        wait_for(lambda: any(map(is_new, self.gatehouse.sas())), 10,
                 lambda: f"a new SA\n{self.gatehouse.tail()}{self.swan.tail(40)}")
        return self.same()


@pytest.fixture
def tunnel(net, build_dir, strongswan6):
    return Tunnel6(net, build_dir, strongswan6)


@pytest.fixture
def newer(net, build_dir, strongswan6):
    """A tunnel whose Gatehouse runs with the newer OpenSSL."""
    return Tunnel6(net, build_dir, strongswan6, [os.path.join(strongswan6, "with-openssl")])


# ---- Classical groups: IKE_INTERMEDIATE -------------------------------------------------------

@BOTH
@pytest.mark.parametrize("name", CLASSICAL)
def test_chain(tunnel, opener, name):
    """One IKE_INTERMEDIATE for each additional key exchange."""
    tunnel.chain(name).up(opener)
    assert tunnel.exchanges("IKE_INTERMEDIATE") == len(tunnel.names) - 1


@BOTH
def test_intermediate_in_fragments(tunnel, opener):
    """A public value of 1024 octets, where fragments of IP are dropped."""
    for host in (tunnel.a, tunnel.b):
        host.run(["iptables", "-t", "raw", "-A", "PREROUTING", "-f", "-j", "DROP"])
    tunnel.chain("long", {"fragment_mtu": 576}, options={"fragment_size": 576}).up(opener)
    log = tunnel.swan.tail(1000)
    fragments = r"IKE_INTERMEDIATE {} 1 \[ EF\(3/3\) \]"
    ways = ("request", "response") if opener == "strongswan" else ("response", "request")
    assert re.search("generating " + fragments.format(ways[0]), log)
    assert re.search("parsed " + fragments.format(ways[1]), log)
    tunnel.assert_new_ike("gatehouse")
    tunnel.assert_new_child("strongswan")


@BOTH
def test_intermediate_with_a_ppk(tunnel, opener):
    """RFC 8784's key is mixed in after the additional key exchanges, and counts in what follows."""
    ours, theirs, tunnel.names = CHAINS["two"]
    head = section('ike-ppk "quantum"', secret="a post-quantum preshared key")
    tunnel.start(config(ours, head=head, ppk="quantum", ppk_required=True),
                 swan(theirs, ppk_id="quantum", ppk_required=True),
                 {**PSK, "ppk-1": {"secret": '"a post-quantum preshared key"', "id-1": "quantum"}})
    tunnel.up(opener)
    assert tunnel.swan.said("using PPK for PPK_ID 'quantum'")
    assert tunnel.exchanges("IKE_INTERMEDIATE") == 2
    tunnel.assert_new_ike("strongswan")
    tunnel.assert_new_child("gatehouse")


@BOTH
def test_intermediate_with_a_cookie(tunnel, opener):
    """The IKE_SA_INIT that IntAuth follows is the second one."""
    ours, theirs, tunnel.names = CHAINS["one"]
    if opener == "strongswan":
        tunnel.start(config(ours, head=section("ike", cookie_threshold=0)), swan(theirs))
    else:
        tunnel.start(config(ours), swan(theirs), options={"cookie_threshold": 1, "cookie_threshold_ip": 0})
    tunnel.up(opener)
    if opener == "strongswan":
        assert tunnel.swan.said("parsed IKE_SA_INIT response 0 [ N(COOKIE) ]")


@BOTH
def test_intermediate_with_certificates(tunnel, opener):
    """IntAuth is in what both sign."""
    pki = Pki(tunnel.net.dir)
    ours, theirs, tunnel.names = CHAINS["two"]
    leaf = pki.leaf(US)
    conf = (trust(pki) + profile(leaf, [pki.ca.cert]) +
            config(ours, cert_profile="ours", trust_anchor_profile="roots", local_id=US, remote_id=THEM,
                   psk_secret=None))
    connections = swan(theirs, local={"auth": "pubkey", "id": THEM, "certs": "host.pem"},
                       remote={"auth": "pubkey", "id": US}, send_cert="always")
    tunnel.start(conf, connections, {}, files=swan_files(pki, pki.leaf(THEM))).up(opener)
    assert tunnel.exchanges("IKE_INTERMEDIATE") == 2
    assert tunnel.swan.said(f"authentication of '{US}' with ECDSA_WITH_SHA256_DER successful")


@BOTH
def test_another_group_is_asked_for(tunnel, opener):
    """INVALID_KE_PAYLOAD first, then the additional key exchanges; so, too, where SAs are rekeyed."""
    tunnel.names = ["ECP256", "MODP3072"]
    ours, theirs = [["x25519", "ecp-256"], ["ecp-256"]], ["ecp256", "x25519-ecp256"]
    ke, groups = ours[opener != "gatehouse"], theirs[opener != "gatehouse"]
    tunnel.start(section('ike-transform "t"', ke=ke, additional_ke_1=["modp-3072"]) +
                 section('ipsec-transform "c"', ke=ke, additional_ke_1=["modp-3072"]) +
                 section('ike-policy "p"', ike_transform=["t"]) +
                 peer_section(children=[child_section(ipsec_transform=["c"])], ike_policy="p",
                              psk_secret=SECRET), swan(f"{groups}-ke1_modp3072")).up(opener)
    assert tunnel.swan.said("N(INVAL_KE)")
    tunnel.assert_new_child(opener)
    tunnel.assert_new_ike(opener)


@BOTH
def test_reauthentication(tunnel, opener):
    """A new IKE SA beside the old one makes all key exchanges anew."""
    before = tunnel.chain("two").up(opener)
    tunnel.swan.rekey(ike="gw", reauth=True)
    after = tunnel.replaced(lambda sa: sa.spi_i != before.spi_i)
    assert after.children[0].spi_in != before.children[0].spi_in
    assert tunnel.exchanges("IKE_INTERMEDIATE") == 4
    tunnel.assert_key_exchanges()


@BOTH
@WHO
def test_datagrams_are_lost(tunnel, opener, who):
    """What is retransmitted counts once, in IntAuth as in the keys."""
    for host, first in ((tunnel.a, 0), (tunnel.b, 1)):
        host.run(["iptables", "-A", "INPUT", "-p", "udp", "-m", "statistic", "--mode", "nth", "--every", "4",
                  "--packet", first, "-j", "DROP"])
    tunnel.chain("two", {"retransmit_interval": 1, "retransmits": 10},
                 options={"retransmit_timeout": 0.4, "retransmit_tries": 10}).up(opener)
    assert tunnel.exchanges("IKE_INTERMEDIATE") == 2
    tunnel.assert_new_child(who)
    tunnel.assert_new_ike(who)
    assert dropped(tunnel.a) > 3 and dropped(tunnel.b) > 3


def dropped(host):
    """Packets that the first rule of INPUT has dropped."""
    return int(host.run(["iptables", "-L", "INPUT", "-nvx"]).stdout.splitlines()[2].split()[0])


# ---- Classical groups: IKE_FOLLOWUP_KE --------------------------------------------------------

@BOTH
@WHO
@pytest.mark.parametrize("name", ["two", "gap"])
def test_rekey_child(tunnel, opener, who, name):
    tunnel.chain(name).up(opener)
    tunnel.assert_new_child(who)
    tunnel.assert_new_child("strongswan" if who == "gatehouse" else "gatehouse")


@BOTH
@WHO
@pytest.mark.parametrize("name", ["two", "gap"])
def test_rekey_ike(tunnel, opener, who, name):
    """The new IKE SA works in both directions: each end rekeys the Child SA under it."""
    tunnel.chain(name).up(opener)
    tunnel.assert_new_ike(who)
    tunnel.assert_new_child("gatehouse")
    tunnel.assert_new_child("strongswan")
    tunnel.assert_new_ike("strongswan" if who == "gatehouse" else "gatehouse")


@BOTH
def test_second_child(tunnel, opener):
    """A Child SA by CREATE_CHILD_SA has its additional key exchanges at once."""
    ours, theirs, tunnel.names = CHAINS["two"]
    options = {"ipsec_transform": ["c"]}
    children = [child_section(**options), child_section("more", "10.1.8.0/24", "10.2.0.0/28", **options)]
    esp = {"esp_proposals": f"aes256gcm16-{theirs}"}
    both = {"net": child(**esp), "more": child(local_ts="10.2.0.0/28", remote_ts="10.1.8.0/24", **esp)}
    tunnel.start(config(ours, children=children),
                 connection(proposals=f"aes256gcm16-prfsha256-{theirs}", children=both)).up(opener)
    tunnel.open(opener, "more")
    assert {c.name for c in tunnel.same(1, 2).children} == {"net", "more"}
    assert tunnel.exchanges("IKE_FOLLOWUP_KE") == 2
    more, = [c for c in tunnel.gatehouse.list_sas()[0]["child_sas"] if c["name"] == "more"]
    assert [ke for ke in more["suite"] if ke in tunnel.names] == tunnel.names


ROUNDS = 3


class Collision(Tunnel6):
    """Both ends of a tunnel whose wire can be made to wait, so that both begin the same at once."""

    def __init__(self, net, build_dir, swan_root):
        hosts = net.namespace("a"), net.namespace("b")
        self.wire = Relay(net, *hosts, ((f"{A4}/24", f"{B4}/24"),))
        super().__init__(net, build_dir, swan_root, hosts=hosts)

    def begin(self, ours, theirs):
        """Each has sent its request and has that of the other before the answer to its own.

        Gatehouse may still hold the IKE SA that lost, for a minute: charon, busy with our request,
        drops our answer of the same message id ("already processing"), then hears from the deletion
        that it has lost, and so never deletes what it does not know.
        """
        wait_for(lambda: len(self.gatehouse.sas()) == len(self.swan.list_sas()) == 1, 10,
                 lambda: f"one IKE SA is up\n{self.gatehouse.list_sas()}\n{self.swan.list_sas()}\n"
                         f"{self.gatehouse.tail()}{self.swan.tail(40)}")
        self.wire.hold()
        theirs("strongswan")
        ours("gatehouse")
        self.wire.wait_held()
        self.wire.release()

    def counted(self):
        """How many collisions Gatehouse has counted."""
        return self.gatehouse.ask("show", "ike", "statistics")["counters"]["rekey-collisions"]


@pytest.fixture
def collision(net, build_dir, strongswan6):
    return Collision(net, build_dir, strongswan6)


@BOTH
@pytest.mark.parametrize("name", ["none", "two"])
def test_both_rekey_the_child(collision, opener, name):
    """RFC 9370 2.2.4: of two rekeyings one goes on, and one Child SA is left. Nonces decide which one:
    it is tried several times."""
    before = collision.chain(name).up(opener)
    for count in range(1, ROUNDS + 1):
        spi = before.children[0].spi_in
        collision.begin(collision.rekey_child, collision.rekey_child)
        before = collision.replaced(lambda sa: sa.children and all(c.spi_in != spi for c in sa.children))
        assert collision.counted() == count
        collision.assert_child_key_exchanges()
    collision.assert_new_child("gatehouse")
    collision.assert_new_child("strongswan")


@BOTH
@pytest.mark.parametrize("name", ["none", "two"])
def test_both_rekey_the_ike_sa(collision, opener, name):
    before = collision.chain(name).up(opener)
    for _ in range(ROUNDS):
        collision.begin(collision.rekey_ike, collision.rekey_ike)
        after = collision.replaced(lambda sa: sa.spi_i != before.spi_i)
        assert after.children == before.children
        collision.assert_key_exchanges()
        before = after
    # Later rounds may miss: after a rekeying Gatehouse may first have its crash token to send.
    assert collision.counted() > 0
    collision.assert_new_ike("gatehouse")
    collision.assert_new_ike("strongswan")


@BOTH
def test_one_rekeys_the_child_and_the_other_the_ike_sa(collision, opener):
    """RFC 7296 2.25: TEMPORARY_FAILURE; whoever is refused begins again later, or lets it be."""
    before = collision.chain("two").up(opener)
    collision.begin(collision.rekey_child, collision.rekey_ike)
    after = collision.replaced(lambda sa: sa.spi_i != before.spi_i or
                               all(c.spi_in != before.children[0].spi_in for c in sa.children))
    assert len(after.children) == 1
    assert collision.swan.said("N(TEMP_FAIL)")
    collision.assert_new_ike("gatehouse")
    collision.assert_new_child("strongswan")


@BOTH
def test_childless(tunnel, opener):
    """RFC 9370 2.2.5.1: no Child SA in IKE_AUTH; the first one has all key exchanges, too."""
    ours, theirs, tunnel.names = CHAINS["two"]
    tunnel.start(config(ours, {"childless": True}), swan(theirs, childless="prefer")).up(opener)
    assert tunnel.exchanges("IKE_FOLLOWUP_KE") == 2
    tunnel.assert_child_key_exchanges()


# ---- What the other end does not have ---------------------------------------------------------

def optional(chain):
    """The same with NONE beside each additional key exchange."""
    return section('ike-transform "t"', ke=[chain[0]], **{
        f"additional_ke_{n}": [ke, "none"] for n, ke in enumerate(chain[1:], 1)})


@BOTH
@pytest.mark.parametrize("theirs", ["x25519", "x25519-ke1_ecp384", "x25519-ke2_ecp256"],
                         ids=["none", "another", "another-type"])
def test_no_common_additional_key_exchange(tunnel, opener, theirs):
    """Nothing comes up: what was asked for is not left out in silence."""
    tunnel.start(config(["x25519", "ecp-256"]), swan(theirs))
    tunnel.open(opener, check=False)
    if opener == "gatehouse":
        tunnel.swan.wait_said("generating IKE_SA_INIT response 0 [ N(NO_PROP) ]")
        tunnel.gatehouse.wait_said("NO_PROPOSAL_CHOSEN")
    else:
        tunnel.swan.wait_said("received NO_PROPOSAL_CHOSEN notify error")
        tunnel.gatehouse.wait_said("no proposal chosen")
    wait_for(lambda: "ike-no-proposal" in tunnel.gatehouse.causes("peer"), 5,
             lambda: f"ike-no-proposal among {tunnel.gatehouse.causes('peer')}")
    assert tunnel.gatehouse.sas() == tunnel.swan.sas() == []


@BOTH
@pytest.mark.parametrize("who", ["both", "gatehouse", "strongswan"])
def test_optional_additional_key_exchange(tunnel, opener, who):
    """NONE among them: made where both have it, left out where one has not."""
    ours = optional(["x25519", "ecp-256"]) if who != "strongswan" else transform("ike-transform", "t", ["x25519"])
    theirs = {"both": "x25519-ke1_ecp256-ke1_none", "strongswan": "x25519-ke1_ecp256-ke1_none",
              "gatehouse": "x25519"}[who]
    tunnel.names = ["CURVE25519", "ECP256"] if who == "both" else ["CURVE25519"]
    tunnel.start(ours + section('ike-policy "p"', ike_transform=["t"]) +
                 peer_section(psk_secret=SECRET, ike_policy="p"),
                 connection(proposals=f"aes256gcm16-prfsha256-{theirs}"))
    tunnel.up(opener)
    assert tunnel.exchanges("IKE_INTERMEDIATE") == len(tunnel.names) - 1


@BOTH
def test_no_common_additional_key_exchange_of_the_child(tunnel, opener):
    """The first Child SA has no key exchange of its own; its rekeying finds nothing in common."""
    ours, theirs, tunnel.names = CHAINS["one"]
    tunnel.start(config(ours), connection(
        proposals=f"aes256gcm16-prfsha256-{theirs}",
        children={"net": child(esp_proposals="aes256gcm16-x25519-ke1_ecp384")})).up(opener)
    before = tunnel.same()
    tunnel.rekey_child(opener)
    if opener == "gatehouse":
        tunnel.gatehouse.wait_said("NO_PROPOSAL_CHOSEN")
    else:
        tunnel.swan.wait_said("received NO_PROPOSAL_CHOSEN notify")
    assert tunnel.same() == before


# ---- ML-KEM -----------------------------------------------------------------------------------

@BOTH
@pytest.mark.parametrize("name", HYBRID)
def test_ml_kem(newer, opener, name):
    """Hybrids with ML-KEM, rekeyed by both ends; the public values of the larger ones need fragments."""
    newer.chain(name).up(opener)
    assert newer.exchanges("IKE_INTERMEDIATE") == len(newer.names) - 1
    for who in ("gatehouse", "strongswan"):
        newer.assert_new_child(who)
        newer.assert_new_ike(who)


@BOTH
def test_ml_kem_in_small_fragments(newer, opener):
    for host in (newer.a, newer.b):
        host.run(["iptables", "-t", "raw", "-A", "PREROUTING", "-f", "-j", "DROP"])
    newer.chain("ml-kem-1024", {"fragment_mtu": 576}, options={"fragment_size": 576}).up(opener)
    assert "EF(4/4)" in newer.swan.tail(1000)
    newer.assert_new_child("gatehouse")
    newer.assert_new_ike("strongswan")


def test_the_operators_page(newer):
    """docs/operators/post-quantum-ikev2.md: both configurations, and what is shown."""
    page = Page("operators/post-quantum-ikev2.md")
    secret = newer.a.directory("secrets")
    with open(os.path.join(secret, "berlin"), "w", encoding="ascii") as file:
        file.write(SECRET)
    os.chmod(file.name, 0o600)

    def here(text):
        return (text.replace("192.0.2.1", A4).replace("192.0.2.2", B4)
                .replace("/etc/gatehouse/secrets", secret))
    newer.gatehouse = IkeGatehouse(newer.a, newer.build_dir, here(page.file("gatehouse.conf")),
                                   launcher=newer.launcher).start()
    newer.swan = StrongSwan(newer.b, {}, root=newer.swan_root)
    with open(newer.swan.path("swanctl.conf"), "a", encoding="ascii") as file:
        file.write(here(page.file("swanctl.conf")) + f'secrets {{ ike-1 {{ secret = "{SECRET}" }} }}\n')
    newer.swan.start()
    newer.same()  # it begins by itself
    newer.names = ["CURVE25519", "ML_KEM_768"]
    newer.assert_key_exchanges()
    page.check("gatehouse", newer.a, gatectl=newer.gatehouse.gatectl)


def test_the_sandbox_is_the_same(newer):
    """The newer OpenSSL is what the processes have, and no system call is allowed them for it."""
    newer.chain("ml-kem-768").up("gatehouse")
    for role in ("ike", "keeper"):
        pid = newer.gatehouse.processes()[role]
        with open(f"/proc/{pid}/status", encoding="ascii") as file:
            assert re.search(r"^Seccomp:\s+2$", file.read(), re.MULTILINE), role
        with open(f"/proc/{pid}/maps", encoding="ascii") as file:
            inodes = {int(line.split()[4]) for line in file if "libcrypto.so.3" in line}
        newest, = [os.path.join(top, name) for top, _, names in os.walk(newer.swan_root) for name in names
                   if name == "libcrypto.so.3"]
        assert inodes == {os.stat(newest).st_ino}, role


def test_ml_kem_vectors(build_dir, strongswan6):
    """The unit tests of key exchange, none left out for want of ML-KEM."""
    done = run([os.path.join(strongswan6, "with-openssl"), os.path.join(build_dir, "tests/unit/test_ke")])
    assert "PASSED" in done.stdout + done.stderr
    assert "does not have ML-KEM" not in done.stdout + done.stderr
