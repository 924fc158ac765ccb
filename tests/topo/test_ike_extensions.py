"""Extensions of IKEv2 as an operator meets them: Gatehouse at both ends, processes killed, networks cut,
settings changed while all runs."""

import os
import shutil
import stat
import time

import pytest

from ike import SECRET, IkeGatehouse, child_section, peer_section, section
from netns import A4, B4
from test_ike_shell import memory
from wait import wait_for

B4_SECOND = "10.77.0.22"
# Whoever hears nothing gives up after three seconds, but asks by itself only after five minutes.
IMPATIENT = {"liveness_interval": 300, "retransmit_interval": 1, "retransmits": 1}


def counters(gatehouse):
    return gatehouse.ask("show", "ike", "statistics")["counters"]


def wait_count(gatehouse, name, at_least=1, timeout=10):
    wait_for(lambda: counters(gatehouse)[name] >= at_least, timeout,
             lambda: f"{name} is {at_least}\n{gatehouse.gatectl('show', 'ike', 'statistics').stdout}"
                     f"{gatehouse.tail()}")


def config(ours, theirs, head="", start=False, **policy):
    return head + section('ike-policy "p"', **{**IMPATIENT, **policy}) + peer_section(
        children=[child_section(local_ts=f"{ours}/32", remote_ts=f"{theirs}/32", start=start)],
        remote=theirs, local=ours, psk_secret=SECRET, ike_policy="p")


class Pair:
    """A client in namespace a, which begins, and a gateway in b."""

    def __init__(self, net, build_dir):
        self.net, self.build_dir = net, build_dir
        self.a, self.b = net.two_routers()
        self.client = self.gateway = None

    def start(self, client, gateway, client_options=(), gateway_options=()):
        self.client = IkeGatehouse(self.a, self.build_dir, client, options=client_options).start()
        self.gateway = IkeGatehouse(self.b, self.build_dir, gateway, options=gateway_options).start()
        return self

    def begin(self):
        self.client.gatectl("ike", "initiate", "peer", "net")
        return self

    def up(self):
        self.begin()
        return self.same()

    def same(self, timeout=10):
        here = self.client.wait_sas(1, 1, timeout)
        self.gateway.wait_sas(1, 1, timeout)
        return here[0]

    def say_something(self):
        """Any protected request of the client's."""
        number = self.client.ask("show", "ike", "child")["children"][0]["id"]
        self.client.gatectl("ike", "rekey", "child", number)

    def _filter(self, action):
        for chain, flag in (("INPUT", "-i"), ("OUTPUT", "-o")):
            self.b.run(["iptables", action, chain, flag, "eth0", "-j", "DROP"])

    def cut(self):
        """Without a word: of a link that is down both ends would hear, and ask each other at once."""
        self._filter("-A")

    def mend(self):
        self._filter("-D")
        wait_for(lambda: self.a.run(["ping", "-c", "1", "-W", "1", B4], check=False).returncode == 0, 15,
                 "the network is back")


@pytest.fixture
def pair(net, build_dir):
    return Pair(net, build_dir)


def crash(gatehouse):
    """All of gatehoused at once, so that nobody can say goodbye."""
    found = gatehouse.processes()
    gatehouse.host.run(["kill", "-9", *(found[role] for role in ("ike", "parent", "keeper", "ao"))])
    gatehouse.process.wait()
    wait_for(lambda: not [pid for pid in found.values() if os.path.exists(f"/proc/{pid}")], 5,
             "all processes are gone")


# ---- Crash tokens (RFC 6290) --------------------------------------------------------------------

@pytest.mark.parametrize("reboot", [False, True], ids=["restart", "reboot"])
def test_a_crash_is_noticed_at_once(pair, reboot):
    """After a reboot the run directory is empty; the secret is in the state directory."""
    state = pair.b.directory("state")
    pair.start(config(A4, B4, start=True), config(B4, A4), gateway_options=("-s", state))
    before = pair.same()
    assert pair.client.list_sas()[0]["peer_token"]
    path = os.path.join(state, "crash-secret")
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
    crash(pair.gateway)
    if reboot:
        shutil.rmtree(pair.gateway.run_dir)
    pair.gateway.start()
    began = time.monotonic()
    pair.say_something()
    wait_count(pair.client, "peer-crashed")
    assert pair.same().spi_i != before.spi_i  # the policy wants it up: it is there again
    assert time.monotonic() - began < 3
    assert counters(pair.client)["peer-dead"] == 0
    assert counters(pair.gateway)["invalid-spi-sent"] == 1
    assert pair.client.said("sa-failed: the peer proves that it lost this IKE SA")


def test_who_has_the_secret_of_tokens(pair):
    """The parent gives it to `ike`, which makes tokens; nobody else has it, and no log."""
    pair.start(config(A4, B4), config(B4, A4)).up()
    with open(os.path.join(pair.gateway.run_dir, "crash-secret"), "rb") as file:
        secret = file.read()
    assert len(secret) == 32
    having = {role: secret in memory(pid) for role, pid in pair.gateway.processes().items()}
    assert having == {"parent": True, "ike": True, "keeper": False, "ao": False, "esp": False}
    with open(pair.gateway.log, "rb") as file:
        log = file.read()
    assert secret not in log and secret.hex().encode() not in log


def test_without_tokens_nothing_is_believed(pair):
    """INVALID_IKE_SPI in clear is a hint: our retransmissions decide, and take their time."""
    pair.start(config(A4, B4, retransmits=3), config(B4, A4, crash_tokens=False)).up()
    assert not pair.client.list_sas()[0]["peer_token"]
    crash(pair.gateway)
    pair.gateway.start()
    pair.say_something()
    wait_count(pair.client, "invalid-spi-heard")
    assert len(pair.client.sas()) == 1
    pair.client.wait_sas(0, timeout=25)
    found = counters(pair.client)
    assert found["peer-crashed"] == 0 and found["peer-dead"] == 1


def test_a_lost_secret_is_told(pair):
    """Who could have read it: another one, and the log says what that means."""
    pair.start(config(A4, B4), config(B4, A4)).up()
    path = os.path.join(pair.gateway.run_dir, "crash-secret")
    with open(path, "rb") as file:
        before = file.read()
    pair.gateway.stop()
    os.chmod(path, 0o644)
    pair.gateway.start()
    pair.gateway.wait_said("another secret takes its place")
    with open(path, "rb") as file:
        assert file.read() != before
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600


# ---- Resumption (RFC 5723) ----------------------------------------------------------------------

def test_a_killed_gateway_process_resumes(pair):
    """Its clients notice by the token and come again by their tickets, with no key exchange. The keys
    of the tickets are in the memory that the parent keeps, and so are those that are spent."""
    pair.start(config(A4, B4, start=True, resumption=True), config(B4, A4, resumption=True))
    for round_ in range(1, 4):
        before = pair.same()
        old = pair.gateway.processes()["ike"]
        pair.gateway.kill("ike")
        wait_for(lambda: pair.gateway.processes().get("ike", old) != old, 10, "another ike")
        wait_for(lambda: pair.gateway.gatectl("show", "ike", "sa", check=False).returncode == 0, 10,
                 "it answers")
        pair.say_something()
        wait_count(pair.client, "sa-resumed", round_)
        assert pair.same().spi_i != before.spi_i
        assert counters(pair.gateway)["sa-resumed"] == 1  # of this process
    assert counters(pair.client)["sa-initiated"] == 4


def test_resumption_after_the_network_was_away(pair):
    """The client gave up, the gateway did not notice: its old SA goes when the new one is there."""
    pair.start(config(A4, B4, resumption=True), config(B4, A4, resumption=True))
    before = pair.up()
    pair.cut()
    pair.say_something()
    pair.client.wait_sas(0)
    pair.mend()
    assert len(pair.gateway.sas()) == 1
    after = pair.up()
    assert after.spi_i != before.spi_i
    assert counters(pair.client)["sa-resumed"] == counters(pair.gateway)["sa-resumed"] == 1
    assert len(pair.gateway.list_sas()) == 1


@pytest.mark.parametrize("how", ["reload", "restart"])
def test_tickets_end_with_the_configuration_and_the_daemon(pair, how):
    """Who was believed shows again who it is: the ticket is refused, a key exchange follows."""
    pair.start(config(A4, B4, resumption=True), config(B4, A4, resumption=True)).up()
    pair.cut()
    pair.say_something()
    pair.client.wait_sas(0)
    if how == "reload":
        pair.gateway.reload()
    else:
        pair.gateway.stop()
        pair.gateway.start()
    pair.mend()
    pair.begin()
    wait_count(pair.gateway, "bad-ticket")
    pair.client.wait_sas(1, 1)
    assert counters(pair.client)["sa-resumed"] == 0


# ---- Puzzles and cookies (RFC 8019, RFC 7296 2.6) -----------------------------------------------

ATTACKED = section("ike", cookie_threshold=0, puzzle_threshold=0, puzzle_difficulty=10,
                   puzzle_unsolved=0)


def test_a_puzzle_is_solved(pair):
    pair.start(config(A4, B4), config(B4, A4, head=ATTACKED)).up()
    found = counters(pair.gateway)
    assert found["puzzles-sent"] >= 1 and found["puzzles-solved"] == 1
    assert found["cookies-sent"] == found["bad-puzzle"] == 0


def test_who_solves_no_puzzle_waits_until_the_attack_is_over(pair):
    """And so does one of whom more is asked than it has set itself. A reload ends it, at once."""
    pair.start(config(A4, B4, retransmits=6, puzzle_limit=9), config(B4, A4, head=ATTACKED)).begin()
    wait_count(pair.gateway, "puzzles-sent", 2)
    assert pair.client.sas() == []
    before = pair.gateway.processes()["ike"]
    pair.gateway.configure(config(B4, A4, head=section("ike", cookie_threshold=0,
                                                       puzzle_threshold="never")))
    pair.gateway.reload()
    pair.client.gatectl("ike", "terminate", "peer", "peer")
    pair.up()
    found = counters(pair.gateway)
    assert found["puzzles-solved"] == 0 and found["cookies-sent"] >= 1
    assert pair.gateway.processes()["ike"] == before


# ---- Redirect (RFC 5685) ------------------------------------------------------------------------

def gateways(redirect_at=None):
    """The two gateways of one net, in one gatehoused: the first may send to the second."""
    def gateway(name, local, policy):
        return peer_section(name, [child_section(local_ts=f"{B4}/32", remote_ts=f"{A4}/32")], remote=A4,
                            local=local, local_id="gw.example", remote_id="client.example",
                            psk_secret=SECRET, ike_policy=policy)
    away = {"redirect_to": B4_SECOND, "redirect_at": redirect_at} if redirect_at else {}
    return (section('ike-policy "front"', **IMPATIENT, **away) + section('ike-policy "back"', **IMPATIENT)
            + gateway("front", B4, "front") + gateway("back", B4_SECOND, "back"))


def redirected(follow=True, **policy):
    return section('ike-policy "p"', **IMPATIENT, follow_redirect=follow, **policy) + peer_section(
        children=[child_section(local_ts=f"{A4}/32", remote_ts=f"{B4}/32")], remote="10.77.0.0/24",
        gateway=B4, local=A4, local_id="client.example", remote_id="gw.example", psk_secret=SECRET,
        ike_policy="p")


def served_by(pair, address):
    pair.same()
    wait_for(lambda: [sa["remote"].split(":")[0] for sa in pair.client.list_sas()] == [address], 10,
             lambda: f"served by {address}\n{pair.client.list_sas()}\n{pair.client.tail()}")
    wait_for(lambda: [sa["local"].split(":")[0] for sa in pair.gateway.list_sas()] == [address], 10,
             lambda: f"{address} alone serves it\n{pair.gateway.list_sas()}")


@pytest.mark.parametrize("moment", ["init", "auth"])
def test_a_client_is_sent_elsewhere(pair, moment):
    pair.b.add_address("eth0", f"{B4_SECOND}/24")
    pair.start(redirected(), gateways(moment)).begin()
    served_by(pair, B4_SECOND)
    assert counters(pair.client)["redirected"] == counters(pair.gateway)["redirects-sent"] == 1
    extensions = {p["name"]: p["extensions"] for p in pair.gateway.ask("show", "ike", "peer")["peers"]}
    assert extensions["front"]["redirect_to"] == B4_SECOND
    assert extensions["front"]["redirect_at"] == moment and extensions["back"]["redirect_at"] is None


def test_a_client_that_does_not_go_is_served(pair):
    pair.b.add_address("eth0", f"{B4_SECOND}/24")
    pair.start(redirected(follow=False), gateways("init")).begin()
    served_by(pair, B4)
    assert counters(pair.gateway)["redirects-sent"] == 0


def test_a_client_goes_only_where_it_may(pair):
    """What it thinks of it, `explain` says."""
    pair.b.add_address("eth0", f"{B4_SECOND}/24")
    pair.start(redirected(follow_redirect_to=f"{B4}/32"), gateways("init")).begin()
    wait_count(pair.client, "not-redirected")
    wait_for(lambda: "ike-redirect" in pair.client.causes("peer"), 10,
             lambda: pair.client.gatectl("explain", "peer").stdout)
    assert pair.client.sas() == []


@pytest.mark.parametrize("what", ["sa", "peer"])
def test_the_operator_sends_a_client_elsewhere(pair, what):
    pair.b.add_address("eth0", f"{B4_SECOND}/24")
    pair.start(redirected(), gateways()).begin()
    served_by(pair, B4)
    sa = pair.gateway.list_sas()[0]
    assert sa["can_redirect"]
    which = sa["id"] if what == "sa" else "front"
    pair.gateway.gatectl("ike", "redirect", what, which, "to", B4_SECOND)
    served_by(pair, B4_SECOND)
    for words in (["sa", "4711", "to", B4_SECOND], ["peer", "front", "to", B4_SECOND],
                  ["peer", "back", "to", "nowhere"], ["peer", "nobody", B4_SECOND]):
        assert pair.gateway.gatectl("ike", "redirect", *words, check=False).returncode == 1, words
    assert pair.gateway.gatectl("ike", "redirect", "peer", "back", check=False).returncode == 2
    # The client began: it cannot send its gateway away.
    assert pair.client.gatectl("ike", "redirect", "peer", "peer", B4_SECOND, check=False).returncode == 1


# ---- Settings that change while all runs --------------------------------------------------------

def lines(path):
    with open(path, encoding="utf-8") as file:
        return file.read().splitlines()


def test_settings_count_from_the_reload_on(pair):
    """Key log on, then to another file, then off; limits and lockout: the process stays, and so do SAs."""
    pair.start(config(A4, B4), config(B4, A4))
    before, pid = pair.up(), pair.client.processes()["ike"]
    directory = pair.a.directory("keys")
    first, second = (os.path.join(directory, name) for name in ("first", "second"))

    def with_settings(**settings):
        pair.client.configure(config(A4, B4, head=section("ike", **settings) if settings else ""))
        pair.client.reload()

    def rekey(times):
        number = pair.client.list_sas()[0]["id"]
        pair.client.gatectl("ike", "rekey", "sa", number)
        wait_for(lambda: [sa["rekeys"] for sa in pair.client.list_sas()] == [times], 10,
                 lambda: f"rekeyed {times} times\n{pair.client.list_sas()}\n{pair.client.tail()}")
    with_settings(key_log=first)
    pair.client.wait_said("THE KEYS")
    rekey(1)
    assert len(lines(first)) == 1
    with_settings(key_log=second)
    rekey(2)
    assert len(lines(first)) == len(lines(second)) == 1
    with_settings()
    rekey(3)
    assert len(lines(first)) == len(lines(second)) == 1
    assert pair.client.processes()["ike"] == pid
    assert pair.same().children == before.children


def test_a_smaller_limit_leaves_what_is_there(pair):
    pair.b.add_address("eth0", f"{B4_SECOND}/24")
    both = redirected(follow=False) + peer_section(
        "other", [child_section(local_ts="10.1.0.0/24", remote_ts="10.2.0.0/24")], remote=B4_SECOND,
        local=A4, local_id="client.example", remote_id="gw.example", psk_secret=SECRET, ike_policy="p")
    both = both.replace('remote = "10.77.0.0/24"', f'remote = "{B4}"')
    gateway = gateways().replace(f'local-ts = "{B4}/32"', 'local-ts = "0.0.0.0/0"').replace(
        f'remote-ts = "{A4}/32"', 'remote-ts = "0.0.0.0/0"')
    pair.start(both, gateway)
    for name in ("peer", "other"):
        pair.client.gatectl("ike", "initiate", name, "net")
    pair.gateway.wait_sas(2, 2)
    pair.gateway.configure(section("ike", sa_limit=1) + gateway)
    pair.gateway.reload()
    pair.gateway.wait_said("the 2 IKE SAs that are there stay")
    assert len(pair.gateway.sas()) == 2
    pair.client.gatectl("ike", "terminate", "peer", "other")
    pair.gateway.wait_sas(1)
    pair.client.gatectl("ike", "initiate", "other", "net")
    wait_count(pair.gateway, "sa-limit")
    assert len(pair.gateway.sas()) == 1


def test_a_lockout_begins_and_ends_with_a_reload(pair):
    def gateway(attempts):
        head = f"ike {{ lockout {{ attempts = {attempts} }} }}\n" if attempts else ""
        return head + config(B4, A4).replace(SECRET, "another pre-shared key, long enough")

    def fail():
        failed = counters(pair.gateway)["authentication-failed"]
        pair.begin()
        wait_for(lambda: counters(pair.gateway)["authentication-failed"] > failed, 10, "it fails")
        pair.client.gatectl("ike", "terminate", "peer", "peer", check=False)

    def clients():
        return [(c["address"], c["blocked"]) for c in pair.gateway.ask("show", "ike", "lockout")["clients"]]
    pair.start(config(A4, B4), gateway(None))
    fail()
    pair.gateway.configure(gateway(3))
    pair.gateway.reload()
    wait_for(lambda: pair.gateway.ask("show", "ike", "lockout")["enabled"], 10, "it counts")
    fail()
    assert clients() == [(A4, False)]
    pair.gateway.configure(gateway(2))  # what was counted counts on
    pair.gateway.reload()
    fail()
    assert clients() == [(A4, True)]
    pair.gateway.configure(gateway(None))
    pair.gateway.reload()
    fail()  # it is heard again
    assert not pair.gateway.ask("show", "ike", "lockout")["enabled"]
