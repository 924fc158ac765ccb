"""The processes of IKE: their sockets, what they may do, and what the operator sees and orders."""

import base64
import json
import os
import re
import stat

import pytest

from capture import Capture
from gatehouse import Gatehouse
from ike_pair import SECRET, peer, two_ends
from netns import A4, B4, run
from wait import wait_for


def established(gatehouse):
    return [s for s in gatehouse.ask("show", "ike", "sa")["sas"] if s["state"] == "established"]


def wait_established(gatehouse, count=1):
    wait_for(lambda: len(established(gatehouse)) == count, 15,
             lambda: f"{count} IKE SAs\n{gatehouse.gatectl('show', 'ike', 'statistics').stdout}"
                     f"{gatehouse.tail()}")


@pytest.mark.parametrize("v6", [False, True], ids=["ipv4", "ipv6"])
def test_two_ends_come_up(net, build_dir, v6):
    _, one, _, two = two_ends(net, build_dir, v6)
    one.gatectl("ike", "initiate", "b", "net")
    wait_established(one)
    wait_established(two)
    children = one.ask("show", "ike", "child")["children"]
    assert [c["name"] for c in children] == ["net"]
    others = two.ask("show", "ike", "child")["children"]
    assert children[0]["spi_in"] == others[0]["spi_out"] != children[0]["spi_out"]
    assert one.ask("show", "ike", "peer")["peers"][0]["state"] == "up"
    assert one.explain("b")["verdict"] == "up"
    assert one.ask("show", "ike", "statistics")["set_ups"]["last_60_seconds"] == 1


def test_nothing_of_ike_runs_without_peers(net, build_dir):
    a, one, _, _ = two_ends(net, build_dir)
    assert set(one.processes()) == {"parent", "ao", "keeper", "ike", "esp"}
    one.configure("")
    one.reload()
    wait_for(lambda: set(one.processes()) == {"parent", "ao"}, 10, "the others end")
    assert udp_ports(a) == set()
    assert "no IKE peers are configured" in one.gatectl("show", "ike", "sa", check=False).stderr
    one.configure(peer("b", A4, B4))
    one.reload()
    wait_for(lambda: set(one.processes()) == {"parent", "ao", "keeper", "ike", "esp"},
             10, "all start")
    wait_for(lambda: udp_ports(a) == {500, 4500}, 10, "the sockets are open")


def udp_ports(host):
    lines = host.run(["ss", "-Huln"]).stdout.splitlines()
    return {int(line.split()[3].rsplit(":", 1)[1]) for line in lines}


def status(pid):
    with open(f"/proc/{pid}/status", encoding="utf-8") as file:
        return dict(line.rstrip("\n").split(":\t", 1) for line in file if ":\t" in line)


@pytest.mark.parametrize("role", ["ike", "keeper", "esp"])
def test_processes_are_locked_in(net, build_dir, role):
    """After a whole exchange: what it needed of libcrypto was there before the sandbox."""
    _, one, _, _ = two_ends(net, build_dir)
    one.gatectl("ike", "initiate", "b")
    wait_established(one)
    pid = one.processes()[role]
    found = status(pid)
    assert "0" not in found["Uid"].split() and "0" not in found["Gid"].split()
    assert found["Groups"].split() == []
    for which in ("CapEff", "CapPrm", "CapBnd", "CapInh", "CapAmb"):
        assert int(found[which], 16) == 0, which
    assert found["Seccomp"] == "2" and found["NoNewPrivs"] == "1"
    with open(f"/proc/{pid}/limits", encoding="utf-8") as file:
        assert re.search(r"Max core file size +0 +0", file.read())


def memory(pid):
    """All that a process has mapped for itself and can write."""
    found = b""
    with open(f"/proc/{pid}/maps", encoding="utf-8") as maps, open(f"/proc/{pid}/mem", "rb") as mem:
        for line in maps:
            span, rights = line.split()[:2]
            if "w" not in rights or "[vvar" in line:
                continue
            start, end = (int(x, 16) for x in span.split("-"))
            mem.seek(start)
            found += mem.read(end - start)
    return found


def test_only_the_keeper_has_the_secret(net, build_dir):
    a, one, _, _ = two_ends(net, build_dir)
    path = os.path.join(a.directory("secrets"), "b")
    with open(path, "w", encoding="utf-8") as file:
        file.write(SECRET + "\n")
    os.chmod(path, 0o600)
    one.stop()
    one.configure(peer("b", A4, B4).replace(f'psk-secret = "{SECRET}"', f'psk-file = "{path}"'))
    one.start()
    one.gatectl("ike", "initiate", "b")
    wait_established(one)
    having = {role: SECRET.encode() in memory(pid) for role, pid in one.processes().items()}
    assert having == {"parent": False, "ao": False, "ike": False, "esp": False, "keeper": True}


def test_a_killed_keeper_is_replaced(net, build_dir):
    _, one, _, two = two_ends(net, build_dir)
    before = one.processes()
    one.kill("keeper")
    two.kill("keeper")
    one.gatectl("ike", "initiate", "b")
    wait_established(one)
    after = one.processes()
    assert after["ike"] == before["ike"] and after["keeper"] != before["keeper"]
    counted = {p["name"]: p["restarts"] for p in one.ask("show", "processes")["processes"]}
    assert counted == {"parent": 0, "ao": 0, "keeper": 1, "ike": 0, "esp": 0}


def test_a_killed_ike_begins_anew(net, build_dir):
    _, one, _, two = two_ends(net, build_dir)
    one.gatectl("ike", "initiate", "b")
    wait_established(one)
    before = one.processes()
    one.kill("ike")
    wait_for(lambda: one.processes().get("ike", before["ike"]) != before["ike"], 10, "another ike")
    wait_for(lambda: one.gatectl("show", "ike", "sa", check=False).returncode == 0, 10, "it answers")
    assert established(one) == []
    one.gatectl("ike", "initiate", "b")
    wait_established(one)
    # INITIAL_CONTACT: the other end has given the old one up.
    wait_established(two)
    assert one.processes()["keeper"] == before["keeper"]


def test_an_orderly_end_is_told_to_the_peer(net, build_dir):
    _, one, _, two = two_ends(net, build_dir)
    one.gatectl("ike", "initiate", "b")
    wait_established(two)
    one.stop()
    wait_established(two, 0)


def test_a_reload_brings_peers_and_keeps_sas(net, build_dir):
    _, one, _, two = two_ends(net, build_dir)
    one.gatectl("ike", "initiate", "b")
    wait_established(one)
    before = established(one)
    with open(one.config_file, encoding="utf-8") as file:
        text = file.read()
    one.configure(text + peer("c", A4, "10.77.0.3"))
    one.reload()
    wait_for(lambda: len(one.ask("show", "ike", "peer")["peers"]) == 2, 10, "the new peer")
    assert [s["id"] for s in established(one)] == [s["id"] for s in before]
    one.gatectl("ike", "rekey", "sa", before[0]["id"])
    wait_for(lambda: [s["rekeys"] for s in established(one)] == [1], 10,
             lambda: f"it is rekeyed\n{one.tail()}")
    wait_established(two)


def test_commands(net, build_dir):
    _, one, _, two = two_ends(net, build_dir)
    one.gatectl("ike", "initiate", "b", "net")
    wait_established(one)
    child = one.ask("show", "ike", "child")["children"][0]["id"]
    one.gatectl("ike", "rekey", "child", child)
    wait_for(lambda: [c["id"] for c in one.ask("show", "ike", "child")["children"]] not in
             ([child], []) and len(one.ask("show", "ike", "child")["children"]) == 1, 10,
             lambda: f"the child is rekeyed\n{one.tail()}")
    child = one.ask("show", "ike", "child")["children"][0]["id"]
    one.gatectl("ike", "terminate", "child", child)
    wait_for(lambda: two.ask("show", "ike", "child")["children"] == [], 10, "the child ends")
    assert len(established(one)) == 1
    assert one.ask("ike", "terminate", "peer", "b")["terminated"] == 1
    wait_established(two, 0)
    for words in (["ike", "rekey", "sa", "4711"], ["ike", "terminate", "child", "4711"],
                  ["ike", "initiate", "nobody"], ["ike", "initiate", "b", "no-child"],
                  ["clear", "ike", "lockout"]):
        assert one.gatectl(*words, check=False).returncode == 1, words
    assert one.gatectl("ike", "rekey", "sa", "x", check=False).returncode == 2


def test_events_are_told(net, build_dir):
    a, one, _, _ = two_ends(net, build_dir)
    out = os.path.join(a.directory("monitor"), "out")
    monitor = a.spawn([one.ctl, "-s", os.path.join(one.run_dir, "control.sock"), "--json", "monitor"],
                      out)

    def told():
        with open(out, encoding="utf-8") as file:
            return [json.loads(line) for line in file if line.endswith("}\n")]
    wait_for(lambda: one.ask("show", "status"), 5, "it is asked")
    wait_for(lambda: begin(one) or any(e["event"] == "ike-sa-up" for e in told()), 15, "it is up")
    up = next(e for e in told() if e["event"] == "ike-sa-up")
    assert up["session"] == "b" and up["remote"].startswith(B4)
    assert any(e["event"] == "ike-child-up" for e in told())
    monitor.stop()


def test_the_log_tells_the_story(net, build_dir):
    """With --verbose, each exchange: what was offered, what was chosen; refusals with both lists."""
    a, b = net.two_routers()
    only = 'ike-transform "t" { ke = { x25519, modp-2048 } }\nike-policy "p" { ike-transform = { t } }\n'
    other = only.replace("x25519, modp-2048", "ecp-384")
    one = Gatehouse(a, build_dir, only + peer("b", A4, B4, more="ike-policy = p"),
                    options=["--verbose"]).start()
    two = Gatehouse(b, build_dir, peer("a", B4, A4), options=["--verbose"]).start()

    def wait_said(gatehouse, *words):
        def said():
            with open(gatehouse.log, encoding="utf-8") as file:
                lines = file.readlines()
            return any(all(w in line for w in words) for line in lines)
        wait_for(said, 10, lambda: f"{words} in one line: {gatehouse.tail()}")

    one.gatectl("ike", "initiate", "b")
    wait_established(one)
    wait_said(one, "IKE_SA_INIT: we offer: IKE: ENCR_AES_GCM_16_256", "CURVE25519 MODP2048")
    wait_said(two, f"IKE_SA_INIT from {A4}: offered: IKE: ENCR_AES_GCM_16_256", "CURVE25519 MODP2048")
    wait_said(two, f"IKE_SA_INIT from {A4}: chosen IKE: ENCR_AES_GCM_16_256", "CURVE25519")
    wait_said(one, "we ask for the Child SA net, and offer: ESP: ENCR_AES_GCM_16_256")
    wait_said(two, f"the peer asks for a Child SA, {B4} to {A4}, tunnel, and offers: ESP: ")
    one.configure(other + peer("b", A4, B4, more="ike-policy = p"))
    one.gatectl("ike", "terminate", "peer", "b")
    one.gatectl("reload")
    one.gatectl("ike", "initiate", "b")
    wait_said(two, "no proposal chosen: no transform in common: KE: ours CURVE25519 ECP256, offered ECP384")
    wait_said(one, "NO_PROPOSAL_CHOSEN; we offered IKE: ENCR_AES_GCM_16_256", "ECP384")


def begin(gatehouse):
    """An SA after the monitor is there: it may take a moment."""
    gatehouse.gatectl("ike", "terminate", "peer", "b", check=False)
    gatehouse.gatectl("ike", "initiate", "b", "net", check=False)
    return False


# ---- What libcrypto does inside the sandbox ------------------------------------------------------

@pytest.mark.parametrize("encryption,integrity,prf,ke", [
    ("aes-128-gcm", None, "hmac-sha-256", "x448"),
    ("chacha20-poly1305", None, "hmac-sha-512", "ecp-521"),
    ("aes-256-ccm", None, "hmac-sha-384", "brainpool-384"),
    ("camellia-256-cbc", "aes-cmac-96", "aes-cmac", "modp-2048"),
    ("aes-192-ctr", "hmac-sha-1-96", "hmac-sha-1", "modp-3072"),
    ("3des", "aes-xcbc-96", "aes-xcbc", "ecp-256"),
])
def test_algorithms_inside_the_sandbox(net, build_dir, encryption, integrity, prf, ke):
    transform = f"""ike-transform "one" {{
    encryption = {encryption}
    {f"integrity = {integrity}" if integrity else ""}
    legacy = {"yes" if encryption == "3des" else "no"}
    prf = {prf}
    ke = {ke}
}}
ike-policy "one" {{
    ike-transform = "one"
}}
"""
    _, one, _, two = two_ends(net, build_dir, head=transform, more='ike-policy = "one"')
    one.gatectl("ike", "initiate", "b")
    wait_established(one)
    wait_established(two)
    assert established(one)[0]["suite"] == established(two)[0]["suite"]
    restarts = {p["name"]: p["restarts"] for p in one.ask("show", "processes")["processes"]}
    assert restarts["ike"] == restarts["keeper"] == 0


def certificate(directory, name, issuer=None):
    """Makes name.key and name.pem; without an issuer it is a CA."""
    def path(what, kind):
        return os.path.join(directory, f"{what}.{kind}")

    words = ["openssl", "req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
             "-subj", f"/CN={name}", "-keyout", path(name, "key")]
    if issuer is None:
        run([*words, "-x509", "-days", "2", "-addext", "keyUsage=critical,keyCertSign,cRLSign", "-out",
             path(name, "pem")])
        return
    with open(path(name, "ext"), "w", encoding="utf-8") as file:
        file.write(f"subjectAltName=DNS:{name}\nkeyUsage=critical,digitalSignature\n")
    run([*words, "-out", path(name, "csr")])
    run(["openssl", "x509", "-req", "-in", path(name, "csr"), "-CA", path(issuer, "pem"), "-CAkey",
         path(issuer, "key"), "-days", "2", "-extfile", path(name, "ext"), "-out", path(name, "pem")])


def with_certificate(directory, own, other, text):
    """The configuration with certificates in place of the secret."""
    head = f"""trust-anchor-profile "lab" {{
    ca-file = "{directory}/ca.pem"
}}
cert-profile "own" {{
    entry "1" {{
        cert-file = "{directory}/{own}.pem"
        key-file = "{directory}/{own}.key"
    }}
}}
"""
    text = re.sub(r"psk-secret = .*", 'local-auth = cert\n    remote-auth = cert\n'
                  f'    local-id = "{own}"\n    cert-profile = "own"\n'
                  '    trust-anchor-profile = "lab"', text)
    return head + re.sub(r"remote-id = .*", f'remote-id = "{other}"', text)


def test_certificates_inside_the_sandbox(net, build_dir):
    a, one, _, two = two_ends(net, build_dir)
    directory = a.directory("pki")
    certificate(directory, "ca")
    for gatehouse, own, other in ((one, "one.example", "two.example"),
                                  (two, "two.example", "one.example")):
        certificate(directory, own, "ca")
        with open(gatehouse.config_file, encoding="utf-8") as file:
            text = file.read()
        gatehouse.configure(with_certificate(directory, own, other, text))
        gatehouse.reload()
    one.gatectl("ike", "initiate", "b")
    wait_established(one)
    wait_established(two)
    assert established(one)[0]["remote_id"].endswith("two.example")
    with open(os.path.join(directory, "one.example.key"), encoding="utf-8") as file:
        der = base64.b64decode("".join(file.read().splitlines()[1:-1]))
    secret = der[der.index(b"\x04\x20") + 2:][:32]  # the EC private key's number
    assert len(secret) == 32
    for role, pid in one.processes().items():
        assert role == "keeper" or secret not in memory(pid), role


def test_keys_for_wireshark_where_they_are_asked_for(net, build_dir):
    a, one, _, _ = two_ends(net, build_dir)
    path = os.path.join(a.directory("keys"), "log")
    one.configure(f'ike {{\n    key-log = "{path}"\n}}\n' + peer("b", A4, B4))
    one.stop()
    one.start()
    one.gatectl("ike", "initiate", "b")
    wait_established(one)
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
    with open(path, encoding="utf-8") as file:
        lines = file.read().splitlines()
    detail = one.ask("show", "ike", "sa", "detail")["sas"][0]
    assert len(lines) == 1 and lines[0].startswith(f"{detail['spi_i']},{detail['spi_r']},")
    with open(one.log, encoding="utf-8") as file:  # for whoever looks later who could read what
        assert f"THE KEYS of IKE SAs made from now on are written to {path}" in file.read()


@pytest.mark.parametrize("transform", [
    "encryption = aes-256-gcm", "encryption = aes-128-gcm-8", "encryption = aes-192-ccm-12",
    "encryption = aes-256-cbc  integrity = hmac-sha-512-256",
    "encryption = aes-128-ctr  integrity = hmac-sha-1-96", "encryption = chacha20-poly1305"])
def test_wireshark_reads_what_the_key_log_opens(net, build_dir, transform):
    """And a suite that it does not know leaves no line that it would stumble over."""
    a, b = net.two_routers()
    path = os.path.join(a.directory("keys"), "log")
    suite = f'ike-transform "t" {{ {transform} }}\nike-policy "p" {{ ike-transform = {{ t }} }}\n'
    one = Gatehouse(a, build_dir, f'ike {{\n    key-log = "{path}"\n}}\n' + suite +
                    peer("b", A4, B4, more="ike-policy = p")).start()
    Gatehouse(b, build_dir, suite + peer("a", B4, A4, more="ike-policy = p")).start()
    capture = Capture(a, expression="udp port 500")
    one.gatectl("ike", "initiate", "b")
    wait_established(one)
    capture.stop()
    with open(path, encoding="utf-8") as file:
        table = [word for line in file.read().splitlines()
                 for word in ("-o", f"uat:ikev2_decryption_table:{line}")]
    told = run(["tshark", "-r", capture.path, *table, "-V", "-Y", "isakmp.exchangetype == 35"]).stdout
    known = "chacha20" not in transform
    assert len(table) == 2 * known
    assert told.count("Payload: Traffic Selector - Initiator") == 2 * known  # request and answer
    assert "[incorrect" not in told


def test_the_configuration_is_shown_without_secrets(net, build_dir):
    _, one, _, _ = two_ends(net, build_dir)
    text = one.gatectl("show", "configuration").stdout
    assert 'ike-peer "b"' in text
    assert SECRET not in text


# ---- Datagrams ----------------------------------------------------------------------------------

def udp(gatehouse):
    return gatehouse.ask("show", "ike", "statistics")["udp"]


def test_port_4500_is_sorted_by_the_marker(net, build_dir):
    a, one, b, _ = two_ends(net, build_dir)
    # With the mark that leads past the tunnel, for all between a and b goes through it.
    send = ("import socket, sys\ns = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n"
            "s.setsockopt(socket.SOL_SOCKET, socket.SO_MARK, 0x4748)\n"
            f"[s.sendto(bytes.fromhex(x), ('{A4}', int(p))) for p, x in "
            "(w.split(':') for w in sys.argv[1:])]")
    b.run(["/usr/bin/python3", "-c", send, "4500:ff", "500:ff", "4500:0000", "4500:00000001aabb",
           "4500:00000002", "4500:00000000" + "11" * 28, "500:" + "22" * 28, "500:" + "33" * 28])
    wait_for(lambda: one.ask("show", "ike", "statistics")["counters"]["datagrams-in"] == 3, 10,
             "three are for the core")
    found = udp(one)
    assert (found["keepalives-in"], found["too-short"], found["esp-in"]) == (2, 1, 0)
    assert one.ask("show", "ipsec", "counters")["in"]["unknown-spi"] == 2


def test_answers_leave_from_the_address_that_was_asked(net, build_dir):
    second = "10.77.0.22"
    _, one, b, two = two_ends(net, build_dir)
    b.add_address("eth0", f"{second}/24")
    one.configure(peer("b", A4, second))
    one.reload()
    two.configure(peer("a", second, A4))
    two.reload()
    one.gatectl("ike", "initiate", "b")
    wait_established(one)
    wait_established(two)
    assert established(one)[0]["remote"].startswith(second)
    assert established(two)[0]["local"].startswith(second)


def test_large_messages_are_fragmented(net, build_dir):
    """By IKE, to the size that is configured: no IP fragment is seen."""
    a, one, b, two = two_ends(net, build_dir)
    directory = a.directory("pki")
    certificate(directory, "ca")
    policy = 'ike-policy "small" {\n    fragment-mtu = 576\n}\n'
    for gatehouse, own, other in ((one, "one.example", "two.example"),
                                  (two, "two.example", "one.example")):
        certificate(directory, own, "ca")
        with open(gatehouse.config_file, encoding="utf-8") as file:
            text = file.read()
        text = text.replace("    remote = ", '    ike-policy = "small"\n    remote = ', 1)
        gatehouse.configure(policy + with_certificate(directory, own, other, text))
        gatehouse.reload()
    one.gatectl("ike", "initiate", "b")
    wait_established(one)
    detail = one.ask("show", "ike", "sa", "detail")["sas"][0]
    assert detail["fragmentation"]
    counters = one.ask("show", "ike", "statistics")["counters"]
    assert counters["datagrams-out"] - counters["retransmitted"] > 2
    stats = b.run(["cat", "/proc/net/snmp"]).stdout.splitlines()
    names, values = (line.split()[1:] for line in stats if line.startswith("Ip:"))
    ip = dict(zip(names, map(int, values)))
    assert ip["ReasmReqds"] == ip["FragCreates"] == 0


def test_many_peers_at_once(net, build_dir):
    """They begin by themselves, all in the same moment."""
    many = 200
    a, one, _, two = two_ends(net, build_dir)
    addresses = [f"10.77.1.{i}" for i in range(1, many + 1)]
    for address in addresses:
        a.add_address("lo", f"{address}/32")
    two.configure(peer("all", B4, "10.77.1.0/24").replace('remote-id = "10.77.1.0/24"', 'remote-id = "any"')
                  .replace("10.77.1.0/24/32", "10.77.1.0/24"))
    # With its device: where A4 is, is the tunnel's to say by now (everything-through-a-tunnel.md).
    two.host.run(["ip", "route", "add", "10.77.1.0/24", "via", A4, "dev", "eth0"])
    two.reload()
    one.configure("".join(peer(f"p{i}", address, B4).replace("start = false", "start = true")
                          for i, address in enumerate(addresses)))
    one.reload()
    wait_established(one, many)
    wait_established(two, many)
    found = one.ask("show", "ike", "statistics")
    assert found["set_ups"]["last_60_seconds"] >= many
    assert found["keeper"]["waiting"] == 0
    assert udp(one)["send-queue-full"] == udp(one)["send-failed"] == 0


# ---- Why not? ----------------------------------------------------------------------------------

def causes(gatehouse, name="b"):
    return [f["cause"] for f in gatehouse.explain(name)["findings"]]


def wait_cause(gatehouse, cause, timeout=15, name="b"):
    wait_for(lambda: cause in causes(gatehouse, name), timeout,
             lambda: f"{cause}\n{gatehouse.gatectl('explain', name).stdout}{gatehouse.tail()}")


def test_nobody_begins(net, build_dir):
    _, one, _, _ = two_ends(net, build_dir)
    wait_for(lambda: causes(one) == ["ike-nobody-begins"], 10, "only that")
    assert one.explain(B4)["session"] == "b"


def test_wrong_secrets(net, build_dir):
    _, one, _, two = two_ends(net, build_dir, secret_b="another pre-shared key of the tests")
    one.gatectl("ike", "initiate", "b")
    wait_cause(one, "ike-authentication")
    wait_cause(two, "ike-authentication", name="a")
    failures = {f["reason"]: f for f in one.ask("show", "ike", "statistics")["failures"]}
    assert failures["authentication-failed"]["count"] >= 1
    assert failures["authentication-failed"]["time"] and failures["authentication-failed"]["text"]
    assert one.ask("show", "ike", "peer")["peers"][0]["last_failure"]["reason"] == \
        "authentication-failed"


def test_selectors_that_do_not_meet(net, build_dir):
    _, one, _, two = two_ends(net, build_dir)
    with open(two.config_file, encoding="utf-8") as file:
        text = file.read()
    two.configure(text.replace(f'remote-ts = "{A4}/32"', 'remote-ts = "192.0.2.0/24"'))
    two.reload()
    one.gatectl("ike", "initiate", "b", "net")
    wait_cause(one, "ike-traffic-selectors")
    wait_cause(two, "ike-traffic-selectors", name="a")


def test_who_fails_too_often_is_locked_out(net, build_dir):
    _, one, _, two = two_ends(net, build_dir, secret_b="another pre-shared key of the tests",
                              head="ike {\n    lockout {\n        attempts = 2\n    }\n}\n")
    for _ in range(2):
        failed = failures(two)
        one.gatectl("ike", "initiate", "b")
        wait_for(lambda: failures(two) > failed, 10, "it fails")
        one.gatectl("ike", "terminate", "peer", "b")
    wait_cause(two, "ike-locked-out", name="a")
    clients = two.ask("show", "ike", "lockout")["clients"]
    assert [(c["address"], c["blocked"]) for c in clients] == [(A4, True)]
    assert two.ask("clear", "ike", "lockout", A4)["cleared"] == 1
    assert two.ask("show", "ike", "lockout")["clients"] == []
    failed = failures(two)
    one.gatectl("ike", "initiate", "b")
    wait_for(lambda: failures(two) > failed, 10, "it is heard again")


def failures(gatehouse):
    return gatehouse.ask("show", "ike", "statistics")["counters"]["authentication-failed"]


def test_an_occupied_port(net, build_dir):
    """It is named, and had as soon as it is free."""
    a, one, _, _ = two_ends(net, build_dir)
    one.stop()
    wait_for(lambda: udp_ports(a) == set(), 10, "its sockets are closed")
    log = os.path.join(a.directory("other"), "log")
    other = a.spawn(["/usr/bin/python3", "-c", "import socket, time\n"
                     "s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n"
                     "s.bind(('0.0.0.0', 500))\ntime.sleep(600)"], log)
    wait_for(lambda: udp_ports(a) == {500}, 10, "the other has the port")
    one.start()
    wait_cause(one, "ike-no-socket")
    assert "in use" in one.explain("b")["findings"][0]["evidence"]
    other.stop()
    wait_for(lambda: "ike-no-socket" not in causes(one), 10, "the port is had")
    one.gatectl("ike", "initiate", "b")
    wait_established(one)


def test_a_silent_peer(net, build_dir):
    policy = """ike-policy "quick" {
    retransmit-interval = 1
    retransmits = 2
}
"""
    _, one, _, two = two_ends(net, build_dir)
    two.stop()
    one.configure(policy + peer("b", A4, B4, more='ike-policy = "quick"'))
    one.reload()
    one.gatectl("ike", "initiate", "b")
    wait_cause(one, "ike-no-answer", 20)
