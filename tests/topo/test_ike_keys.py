"""Where Gatehouse's private keys are: in a token (PKCS #11), in PKCS #12, in credentials of systemd.

strongSwan is at the other end and believes the signatures.
"""

import os
import re
import shutil

import pytest

from ike import SECRET, IkeGatehouse, peer_section, section
from netns import A6, B6, run
from pki import Pki
from softhsm import PIN, SoftHsm
from test_ike_strongswan import BOTH, PSK, connection, tunnel  # noqa: F401 (a fixture)
from test_ike_strongswan_certs import THEM, US, cert_connection, certs_config, swan_files, trust
from wait import wait_for

USER = "nobody"


def token_profile(pki, leaf, token, label="gw", **options):
    entry = section("entry 1", cert_file=leaf.cert, key_uri=token.uri(label), pin_file=token.pin_file,
                    send_chain=[pki.ca.cert], **options)
    return f'cert-profile "ours" {{\n{entry}}}\n'


def by_token(pki, leaf, token, more=None, **options):
    return (section("gatehouse", user=token.user) + trust(pki) + token_profile(pki, leaf, token, **options) +
            peer_section(**{"cert_profile": "ours", "trust_anchor_profile": "roots", "local_id": US,
                            "remote_id": THEM, **(more or {})}))


def start(tunnel, config, environment, files, connections=None, secrets=None):  # noqa: F811
    """Gatehouse with more of an environment; strongSwan with a certificate."""
    tunnel.start(config, connections or cert_connection(), secrets or {}, files=files,
                 environment=environment)
    return tunnel


@pytest.fixture(params=["provider", "engine"])
def openssl_way(request, net):
    """By which of both OpenSSL reaches a token: (its name, more of the environment)."""
    if request.param == "provider":
        return "provider", {"OPENSSL_MODULES": request.getfixturevalue("pkcs11_provider")}
    none = os.path.join(net.dir, "no-modules")
    os.makedirs(none)
    return "engine", {"OPENSSL_MODULES": none}


def status_of(pid):
    with open(f"/proc/{pid}/status", encoding="utf-8") as file:
        return dict(line.rstrip("\n").split(":\t", 1) for line in file if ":\t" in line)


def token_processes(gatehouse):
    """The process ids below the keeper."""
    found, known = [], {gatehouse.processes()["keeper"]}
    for line in run(["ps", "-eo", "pid=,ppid=", "--sort=start_time"]).stdout.splitlines():
        pid, ppid = map(int, line.split())
        if ppid in known:
            known.add(pid)
            found.append(pid)
    return found


@BOTH
@pytest.mark.parametrize("kind", ["rsa-2048", "ecdsa-256"])
def test_a_key_in_a_token(tunnel, opener, openssl_way, kind):  # noqa: F811
    pki = Pki(tunnel.net.dir)
    ours, theirs = pki.leaf(US, kind), pki.leaf(THEM)
    token = SoftHsm(tunnel.net.dir, USER)
    token.put(ours.key, "gw")
    os.remove(ours.key)
    start(tunnel, by_token(pki, ours, token), {**token.environment(), **openssl_way[1]},
          swan_files(pki, theirs))
    tunnel.gatehouse.wait_said("the key in the token can be used")
    tunnel.up(opener)
    assert tunnel.swan.said(f"authentication of '{US}' with ")
    assert not tunnel.gatehouse.said(PIN)


@BOTH
@pytest.mark.parametrize("kind", ["ecdsa-384", "ed25519"])
def test_keys_of_which_the_engine_is_not_tried(tunnel, opener, pkcs11_provider, kind):  # noqa: F811
    pki = Pki(tunnel.net.dir)
    ours, theirs = pki.leaf(US, kind), pki.leaf(THEM)
    token = SoftHsm(tunnel.net.dir, USER)
    token.put(ours.key, "gw")
    start(tunnel, by_token(pki, ours, token),
          {**token.environment(), "OPENSSL_MODULES": pkcs11_provider}, swan_files(pki, theirs))
    tunnel.up(opener)


def test_pss_by_a_token(tunnel, openssl_way):  # noqa: F811
    pki = Pki(tunnel.net.dir)
    ours, theirs = pki.leaf(US, "rsa-2048"), pki.leaf(THEM)
    token = SoftHsm(tunnel.net.dir, USER)
    token.put(ours.key, "gw")
    start(tunnel, by_token(pki, ours, token, rsa_signature="pss"),
          {**token.environment(), **openssl_way[1]}, swan_files(pki, theirs)).up()
    assert tunnel.swan.said(f"authentication of '{US}' with RSA_EMSA_PSS_")


def test_a_raw_public_key_in_a_token(tunnel, openssl_way):  # noqa: F811
    pki = Pki(tunnel.net.dir)
    ours, theirs = pki.leaf(US), pki.leaf(THEM)
    token = SoftHsm(tunnel.net.dir, USER)
    token.put(ours.key, "gw")
    public = pki.public_key(ours)
    config = section("gatehouse", user=USER) + section(
        'ike-key "own"', key_uri=token.uri("gw"), pin_credential=os.path.basename(token.pin_file),
        public_key_file=public) + peer_section(raw_key="own", peer_raw_key_file=pki.public_key(theirs), local_id=US, remote_id=THEM)
    swan = connection(local={"auth": "pubkey", "id": THEM, "pubkeys": "own.pem"},
                      remote={"auth": "pubkey", "id": US, "pubkeys": "peer.pem"})
    credentials = {"CREDENTIALS_DIRECTORY": os.path.dirname(token.pin_file)}
    start(tunnel, config, {**token.environment(), **openssl_way[1], **credentials},
          {"private/own.key": theirs.key, "pubkey/own.pem": pki.public_key(theirs),
           "pubkey/peer.pem": public}, swan).up()


def test_an_absent_token_is_waited_for_by_its_own_peer_alone(tunnel, openssl_way):  # noqa: F811
    """It comes after the start, goes and comes back; the peer with a pre-shared key does not notice."""
    pki = Pki(tunnel.net.dir)
    ours, theirs = pki.leaf(US), pki.leaf(THEM)
    token = SoftHsm(tunnel.net.dir, USER)
    token.put(ours.key, "gw")
    token.hide()
    config = by_token(pki, ours, token, {"name": "hsm", "remote": B6, "local": A6}) + peer_section(
        psk_secret=SECRET)
    swan = {**connection(),
            "hsm": cert_connection(local_addrs=B6, remote_addrs=A6)["gw"]}
    start(tunnel, config, {**token.environment(), **openssl_way[1]}, swan_files(pki, theirs), swan, PSK)
    gatehouse = tunnel.gatehouse
    gatehouse.wait_said("no token shows that private key")
    with open(gatehouse.log, encoding="utf-8") as file:
        assert re.search(r"gatehouse\.conf:\d+: ours/1: no token shows", file.read())
    tunnel.up()
    keeper = gatehouse.processes()["keeper"]

    gatehouse.gatectl("ike", "initiate", "hsm", "net")
    gatehouse.wait_said("we cannot authenticate: no token shows that private key")
    gatehouse.wait_sas(1, 1)
    token.show()
    gatehouse.gatectl("ike", "initiate", "hsm", "net")
    gatehouse.wait_sas(2, 2)
    token.hide()
    gatehouse.gatectl("ike", "terminate", "peer", "hsm")
    gatehouse.wait_sas(1, 1)
    token.show()
    gatehouse.gatectl("ike", "initiate", "hsm", "net")
    gatehouse.wait_sas(2, 2)
    assert gatehouse.processes()["keeper"] == keeper


@pytest.mark.parametrize("end", ["abort()", "exit(0)", "exit(1)", "(void)0"])
def test_a_module_that_breaks_breaks_nothing_else(tunnel, openssl_way, end):  # noqa: F811
    pki = Pki(tunnel.net.dir)
    ours, theirs = pki.leaf(US), pki.leaf(THEM)
    module = os.path.join(tunnel.net.dir, "broken.so")
    os.chmod(tunnel.net.dir, 0o711)
    source = os.path.join(os.path.dirname(__file__), "broken_module.c")
    run(["gcc", "-shared", "-fPIC", "-Wall", f"-DEND={end}", "-o", module, source])
    entry = section("entry 1", cert_file=ours.cert,
                    key_uri=f"pkcs11:token=tests;object=gw?module-path={module}")
    config = (section("gatehouse", user=USER) + trust(pki) + f'cert-profile "ours" {{\n{entry}}}\n' +
              peer_section(name="hsm", remote=B6, local=A6, cert_profile="ours",
                           trust_anchor_profile="roots", local_id=US, remote_id=THEM) +
              peer_section(psk_secret=SECRET))
    swan = {**connection(), "hsm": cert_connection(local_addrs=B6, remote_addrs=A6)["gw"]}
    start(tunnel, config, openssl_way[1], swan_files(pki, theirs), swan, PSK)
    keeper = tunnel.gatehouse.processes()["keeper"]
    for _ in range(2):
        tunnel.gatehouse.gatectl("ike", "initiate", "hsm", "net")
    tunnel.gatehouse.wait_said("we cannot authenticate: ")
    tunnel.up()
    assert tunnel.gatehouse.processes()["keeper"] == keeper


def test_a_token_that_hangs_holds_up_nobody_else(tunnel, pkcs11_provider):  # noqa: F811
    pki = Pki(tunnel.net.dir)
    ours, theirs = pki.leaf(US), pki.leaf(THEM)
    token = SoftHsm(tunnel.net.dir, USER)
    token.put(ours.key, "gw")
    config = by_token(pki, ours, token, {"name": "hsm", "remote": B6, "local": A6}) + peer_section(
        psk_secret=SECRET)
    swan = {**connection(), "hsm": cert_connection(local_addrs=B6, remote_addrs=A6)["gw"]}
    start(tunnel, config, {**token.environment(), "OPENSSL_MODULES": pkcs11_provider},
          swan_files(pki, theirs), swan, PSK)
    tunnel.gatehouse.wait_said("the key in the token can be used")
    worker = token_processes(tunnel.gatehouse)[1]
    run(["kill", "-STOP", worker])
    tunnel.gatehouse.gatectl("ike", "initiate", "hsm", "net")
    tunnel.swan.wait_said("IKE_SA_INIT response 0")  # the next that Gatehouse does is to sign
    tunnel.up()
    run(["kill", "-CONT", worker])
    tunnel.gatehouse.wait_sas(2, 2)


def test_a_wrong_pin_is_given_once(tunnel, openssl_way):  # noqa: F811
    """A token locks itself after some."""
    pki = Pki(tunnel.net.dir)
    ours, theirs = pki.leaf(US), pki.leaf(THEM)
    token = SoftHsm(tunnel.net.dir, USER)
    token.put(ours.key, "gw")
    with open(token.pin_file, "w", encoding="utf-8") as file:
        file.write("99999\n")
    start(tunnel, by_token(pki, ours, token), {**token.environment(), **openssl_way[1]},
          swan_files(pki, theirs))
    gatehouse = tunnel.gatehouse
    gatehouse.wait_said("the token was given its PIN but shows no such private key")
    tunnel.open("gatehouse")
    gatehouse.wait_said("which is not given to it again")
    assert not gatehouse.said("99999") and not gatehouse.said(PIN)
    with open(token.pin_file, "w", encoding="utf-8") as file:
        file.write(f"{PIN}\n")
    gatehouse.reload()
    gatehouse.wait_said("the key in the token can be used")
    tunnel.up()


def test_the_key_of_another_certificate_is_told(tunnel, pkcs11_provider):  # noqa: F811
    pki = Pki(tunnel.net.dir)
    ours, other = pki.leaf(US), pki.leaf("c.example")
    token = SoftHsm(tunnel.net.dir, USER)
    token.put(other.key, "gw")
    start(tunnel, by_token(pki, ours, token),
          {**token.environment(), "OPENSSL_MODULES": pkcs11_provider}, swan_files(pki, pki.leaf(THEM)))
    tunnel.gatehouse.wait_said("does not verify with its public key")


def test_the_tokens_processes_are_locked_in_and_mended(tunnel, openssl_way):  # noqa: F811
    """Both with the user's groups and no other rights; a worker that dies is replaced, and the keeper is
    not touched."""
    pki = Pki(tunnel.net.dir)
    ours, theirs = pki.leaf(US), pki.leaf(THEM)
    user = "frr"  # Debian's is in a second group
    groups = run(["id", "-G", user]).stdout.split()
    assert len(groups) > 1
    token = SoftHsm(tunnel.net.dir, user)
    token.put(ours.key, "gw")
    start(tunnel, by_token(pki, ours, token), {**token.environment(), **openssl_way[1]},
          swan_files(pki, theirs))
    tunnel.gatehouse.wait_said("the key in the token can be used")
    keeper = tunnel.gatehouse.processes()["keeper"]
    pids = token_processes(tunnel.gatehouse)
    assert len(pids) == 2
    for pid in pids:
        status = status_of(pid)
        assert status["Name"] == "gatehoused-tok"
        assert set(status["Uid"].split()) == {run(["id", "-u", user]).stdout.strip()}
        assert sorted(status["Groups"].split()) == sorted(groups)
        assert int(status["CapEff"], 16) == int(status["CapPrm"], 16) == int(status["CapBnd"], 16) == 0
        assert (status["NoNewPrivs"], status["Seccomp"]) == ("1", "2")
        assert len(os.listdir(f"/proc/{pid}/fd")) < 12
    run(["kill", "-SEGV", pids[1]])
    tunnel.gatehouse.wait_said("ended its process by signal 11")
    tunnel.up()
    assert tunnel.gatehouse.processes()["keeper"] == keeper
    assert token_processes(tunnel.gatehouse)[0] == pids[0]


def wait_gone(pids):
    wait_for(lambda: not any(os.path.exists(f"/proc/{pid}") for pid in pids), 10, f"{pids} are gone")


def test_the_tokens_processes_end_with_the_keeper(tunnel, pkcs11_provider):  # noqa: F811
    """And it with them, which then starts anew: of either that is killed, and at an orderly end."""
    pki = Pki(tunnel.net.dir)
    token = SoftHsm(tunnel.net.dir, USER)
    ours, theirs = pki.leaf(US), pki.leaf(THEM)
    token.put(ours.key, "gw")
    start(tunnel, by_token(pki, ours, token),
          {**token.environment(), "OPENSSL_MODULES": pkcs11_provider}, swan_files(pki, theirs))
    gatehouse = tunnel.gatehouse

    def two():
        """A token's two processes, which may have to start yet."""
        def there():
            found = token_processes(gatehouse) if "keeper" in gatehouse.processes() else []
            return found if len(found) == 2 else None
        return wait_for(there, 10, "a token has two processes")
    first = two()
    gatehouse.kill("keeper")
    wait_gone(first)
    second = two()
    run(["kill", "-9", second[0]])
    gatehouse.wait_said("the process of the token has ended")
    wait_gone(second)
    third = two()
    tunnel.up()
    gatehouse.stop()
    wait_gone(third)


@BOTH
def test_pkcs12_from_credentials(tunnel, opener):  # noqa: F811
    """Key, certificate and passphrase in $CREDENTIALS_DIRECTORY, as LoadCredential= puts them there."""
    pki = Pki(tunnel.net.dir)
    ours, theirs = pki.leaf(US), pki.leaf(THEM)
    directory = os.path.join(tunnel.net.dir, "credentials")
    os.makedirs(directory, 0o500)
    run(["openssl", "pkcs12", "-export", "-inkey", ours.key, "-in", ours.cert, "-certfile", pki.ca.cert,
         "-passout", "pass:open sesame", "-out", f"{directory}/gw.p12"])
    with open(f"{directory}/gw.pass", "w", encoding="utf-8") as file:
        file.write("open sesame\n")
    for name in os.listdir(directory):
        os.chmod(os.path.join(directory, name), 0o400)
    os.remove(ours.key)
    os.remove(ours.cert)
    entry = section("entry 1", key_credential="gw.p12", passphrase_credential="gw.pass")
    config = (trust(pki) + f'cert-profile "ours" {{\n{entry}}}\n' +
              peer_section(cert_profile="ours", trust_anchor_profile="roots", local_id=US, remote_id=THEM))
    start(tunnel, config, {"CREDENTIALS_DIRECTORY": directory}, swan_files(pki, theirs))
    tunnel.up(opener)
    assert not tunnel.gatehouse.said("open sesame")


def test_encrypted_pkcs8_with_its_passphrase_in_a_file(tunnel):  # noqa: F811
    pki = Pki(tunnel.net.dir)
    ours, theirs = pki.leaf(US, "rsa-2048"), pki.leaf(THEM)
    sealed, passphrase = f"{ours.key}.sealed", os.path.join(tunnel.net.dir, "passphrase")
    run(["openssl", "pkcs8", "-topk8", "-in", ours.key, "-passout", "pass:open sesame", "-out", sealed])
    shutil.move(sealed, ours.key)
    with open(passphrase, "w", encoding="utf-8") as file:
        file.write("open sesame\n")
    os.chmod(passphrase, 0o600)
    os.chmod(ours.key, 0o640)
    config = certs_config(pki, ours).replace("key-file =", f'passphrase-file = "{passphrase}"\n    key-file =')
    gatehouse = IkeGatehouse(tunnel.a, tunnel.build_dir, config, name="check")
    refused = tunnel.a.run([gatehouse.daemon, "--check", "-c", gatehouse.config_file], check=False)
    assert refused.returncode != 0 and f"chmod 600 {ours.key}" in refused.stdout + refused.stderr
    os.chmod(ours.key, 0o600)
    start(tunnel, config, None, swan_files(pki, theirs)).up()
