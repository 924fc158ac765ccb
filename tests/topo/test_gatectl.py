"""gatectl and the control protocol over a running gatehoused: shows, changes, explanations."""

import json
import os
import sys

import pytest

from gatehouse import Gatehouse, Key, key_chain, tcp_ao
from wait import wait_for

A, B, PORT = "10.77.0.1", "10.77.0.2", 1179
TALKER = os.path.join(os.path.dirname(__file__), "talker.py")
KEY = Key(1, "a-secret-of-both-ends", send_id=3, recv_id=8)


class Talker:
    def __init__(self, host, mode, address, *more):
        self.log = os.path.join(host.directory(mode), "log")
        self.process = host.spawn([sys.executable, TALKER, mode, address, str(PORT), *more],
                                  self.log)

    def count(self, word):
        with open(self.log, encoding="utf-8") as file:
            return sum(word in line for line in file)

    def wait(self, word, times=1):
        wait_for(lambda: self.count(word) >= times, 20, f"the talker says {word!r}")


def config(key, peer, **session):
    return key_chain("core", [key]) + tcp_ao("upstream", peer, "core", port=PORT, **session)


def start(host, build_dir, key, peer, **session):
    return Gatehouse(host, build_dir, config(key, peer, **session)).start()


@pytest.fixture
def pair(net, build_dir):
    """Two ends under TCP-AO; A connects to B."""
    a, b = net.two_routers()
    ours = start(a, build_dir, KEY, B)
    start(b, build_dir, KEY.swapped(), A)
    server = Talker(b, "listen", B)
    server.wait("listening")
    client = Talker(a, "connect", B)
    client.wait("connected")
    ours.wait_up("upstream")
    return ours, client


COMMANDS = ["show status", "show processes", "show key-chain", "show key-chain core detail", "show tcp-ao session",
            "show tcp-ao session upstream", f"show tcp-ao session {B} detail", "show counters",
            "show counters upstream detail", "show configuration", "explain upstream",
            f"explain {B}", "sh tcp ses", "clear counters", "clear counters upstream", "reload"]


def test_every_command_as_text_and_as_json(pair):
    ours, _ = pair
    for command in COMMANDS:
        text = ours.gatectl(*command.split()).stdout
        assert text.strip(), command
        assert KEY.secret not in text, command
        done = ours.gatectl("--json", *command.split())
        assert json.loads(done.stdout)["ok"] is True, command
        assert KEY.secret not in done.stdout, command


def test_a_session_that_is_up_is_shown(pair):
    ours, _ = pair
    connection, = ours.session("upstream")["connections"]
    assert connection["remote"] == f"{B}:{PORT}"
    assert connection["type"] == "active"
    assert connection["state"] == "established"
    assert connection["protected"] is True
    assert connection["authentication"] == {
        "type": "TCP-Auth-Option", "key_chain": "core", "algorithm": "hmac-sha-1-96"}
    assert connection["keys"]["current"]["key"] == 1
    assert (connection["keys"]["peer_keyid"], connection["keys"]["peer_rnextkeyid"]) == (8, 3)
    assert ours.explain("upstream")["verdict"] == "up"
    status = ours.ask("show", "status")
    assert status["sessions"]["up"] == 1 and status["connections"]["established"] == 1


def test_events_and_a_reset(pair):
    ours, client = pair
    log = os.path.join(ours.dir, "events")
    ours.host.spawn([ours.ctl, "-s", os.path.join(ours.run_dir, "control.sock"), "--json",
                     "monitor", "upstream"], log)

    def events():
        with open(log, encoding="utf-8") as file:
            return [json.loads(line)["event"] for line in file if line.endswith("\n")]

    # The monitor has begun when it tells of something; a reset gives it something to tell.
    wait_for(lambda: ours.gatectl("reset-session", "upstream") and "connection-reset" in events(),
             20, "an event of the reset")
    client.wait("lost")
    client.wait("connected", times=2)
    ours.wait_up("upstream")
    wait_for(lambda: "connection-up" in events(), 10, "the event of the next connection")


def test_a_reload_with_errors_changes_nothing(pair):
    ours, client = pair
    ours.configure(config(KEY, B).replace("send-id = 3", "send-id = 300"))
    done = ours.gatectl("reload", check=False)
    assert done.returncode == 1
    assert f"{ours.config_file}:3: error:" in done.stderr
    assert ours.session("upstream")["state"] == "up"
    assert client.count("lost") == 0


def test_refusals_and_statuses(pair):
    ours, _ = pair
    for words, status in ((["explain", "nobody"], 1), (["explain", "192.0.2.99"], 1),
                          (["explain"], 2), (["dance"], 2), (["show", "key-chain", "x"], 1)):
        done = ours.gatectl(*words, check=False)
        assert done.returncode == status, words
        assert done.stderr.strip(), words
    ours.stop()
    done = ours.gatectl("show", "status", check=False)
    assert done.returncode == 3
    assert "Is it running?" in done.stderr


def first_cause(ours, peer=B):
    causes = ours.causes(peer)
    return causes[0] if causes else ours.explain(peer)["verdict"]


def wait_cause(ours, cause):
    wait_for(lambda: first_cause(ours) == cause, 30,
             lambda: f"{cause}; instead:\n{ours.gatectl('explain', B).stdout}")
    return ours.explain(B)["findings"][0]


# What is wrong at B, which connects to A, and what A says about it.
FAULTS = {
    "wrong-key": (Key(1, "another-secret", 8, 3), "secret"),
    "unknown-keyid": (Key(1, KEY.secret, 77, 3), "KeyID 77"),
    "ids-not-swapped": (KEY, "not swapped"),
    "mac-length": (Key(1, KEY.secret, 8, 3, algorithm="hmac-sha-256-128"), "16 octets"),
    "option-flag": (Key(1, KEY.secret, 8, 3, include_tcp_options=False), "options"),
    "peer-without-ao": (None, "sends no TCP-AO option"),
}
CAUSES = {"ids-not-swapped": "unknown-keyid", "option-flag": "wrong-key"}


@pytest.mark.parametrize("fault", FAULTS)
def test_faults_of_the_peer_are_explained(net, build_dir, fault):
    a, b = net.two_routers()
    key, words = FAULTS[fault]
    ours = start(a, build_dir, KEY, B)
    if key:
        start(b, build_dir, key, A)
    Talker(a, "listen", A).wait("listening")
    Talker(b, "connect", A)
    finding = wait_cause(ours, CAUSES.get(fault, fault))
    assert words in finding["summary"], finding
    assert finding["evidence"] and finding["checks"]


def test_faults_of_our_own_are_explained(net, build_dir):
    a, b = net.two_routers()
    ours = start(a, build_dir, KEY, B)
    assert first_cause(ours) == "no-packets"

    client = Talker(a, "connect", B)  # nobody listens there, and the peer has no TCP-AO
    wait_cause(ours, "peer-refuses")
    b.run(["ip", "link", "set", "eth0", "down"])
    ours.configure(config(KEY, B, direction="passive"))
    ours.reload()
    wait_cause(ours, "direction")
    client.process.stop()

    ours.configure(config(KEY, B))
    ours.reload()
    Talker(a, "connect", B, "--md5")
    wait_cause(ours, "md5-clash")


def test_a_chain_that_has_expired(net, build_dir):
    a, _ = net.two_routers()
    old = Key(1, KEY.secret, 3, 8, options={"send-lifetime": "2001-01-01/2002-01-01"})
    ours = start(a, build_dir, old, B)
    finding = wait_cause(ours, "keys-expired")
    assert "chain core" in finding["summary"]
    warnings = ours.ask("show", "status")["warnings"]
    assert [w["kind"] for w in warnings] == ["chain-expired"]
    assert "Expired:" in ours.gatectl("show", "key-chain", "detail").stdout


def test_a_silent_peer(net, build_dir):
    """B verifies with another secret: it drops our SYNs and says nothing, as RFC 5925 demands."""
    a, b = net.two_routers()
    ours = start(a, build_dir, KEY, B)
    theirs = start(b, build_dir, Key(1, "another-secret", 8, 3), A)
    Talker(b, "listen", B).wait("listening")
    Talker(a, "connect", B)
    wait_cause(ours, "silent-peer")
    wait_for(lambda: first_cause(theirs, A) == "wrong-key", 20, "the peer knows why")


def test_a_connection_older_than_the_protection(net, build_dir):
    a, b = net.two_routers()
    server = Talker(b, "listen", B)
    server.wait("listening")
    client = Talker(a, "connect", B)
    client.wait("connected")
    start(b, build_dir, KEY.swapped(), A)
    ours = start(a, build_dir, KEY, B)
    finding = wait_cause(ours, "no-handshake")
    assert any("gatectl reset-session upstream" in check for check in finding["checks"])
