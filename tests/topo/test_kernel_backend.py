"""The kernel backend in the lab kernel: keys of our chains on sockets, moved while they live.

Both ends are kernel_ends, which brings its own sockets: what the preload library, the parent and the
engine add is tested elsewhere. Between them is nothing but the kernel's own TCP-AO.
"""

import json
import os

import pytest

from gatehouse import Key, key_chain, tcp_ao
from scenario import lifetime, swapped
from uml import Guest

PEERS = {"v4": ("127.0.0.1", "127.0.0.2"), "v6": ("fd99::1", "fd99::2"),
         "mapped": ("127.0.0.1", "127.0.0.2"), "dual": ("127.0.0.1", "127.0.0.2")}
FAILURES = ("TCPAOBad", "TCPAOKeyNotFound", "TCPAORequired")


@pytest.fixture
def guest(net, lab_kernel):
    made = Guest(net.namespace("host"), lab_kernel)
    for address in ("fd99::1", "fd99::2"):
        made.add_address("lo", f"{address}/128")
    return made


class Ends:
    """Configurations of both ends, and a run of kernel_ends with them."""

    def __init__(self, guest, build_dir, family="v4"):
        self.guest = guest
        self.family = family
        self.program = os.path.join(build_dir, "tests", "topo", "kernel_ends")
        self.dir = guest.directory("ends")

    def write(self, name, keys, other_keys=None, tolerance=5, peers=None, more="",
              session="s", **options):
        """Files of A and B: their paths. other_keys: B's, if they are not A's with ids crossed; more:
        of B's configuration."""
        paths = []
        a, b = PEERS[self.family]
        for end, peer, chain in (("a", b, keys), ("b", a, other_keys or swapped(keys))):
            path = os.path.join(self.dir, f"{name}-{end}.conf")
            with open(path, "w", encoding="utf-8") as file:
                file.write(key_chain("k", chain, tolerance=tolerance) +
                           tcp_ao(session, (peers or {}).get(end, peer), "k", port=1790, **options) +
                           (more if end == "b" else ""))
            os.chmod(path, 0o600)
            paths.append(path)
        return paths

    def run(self, seconds, files, *more):
        before = self.failures()
        done = self.guest.run([self.program, self.family, seconds, *files, *more], timeout=60)
        report = json.loads(done.stdout)
        report["log"] = done.stderr
        report["failures"] = {n: v - before[n] for n, v in self.failures().items()}
        return report

    def failures(self):
        counters = self.guest.counters()
        return {name: counters[name] for name in FAILURES}


def assert_talking(report, least):
    """Nothing was refused, and both ends hear each other to the end."""
    for end in ("a", "b"):
        assert report[end]["connection"]["state"] == "established", report
        assert report[end]["received"] >= least, report
        assert report[end]["silent_for"] < 1, report
        assert set(report[end]["connection"]["counters"]) == {"ok", "signed"}, report
        assert report[end]["refusals"] == {}, report
    assert report["failures"] == dict.fromkeys(FAILURES, 0), report


@pytest.mark.parametrize("family", PEERS)
def test_rollover_by_lifetime(guest, build_dir, family):
    """Both ends' clocks say so: no segment is lost, the old key is gone from all sockets."""
    ends = Ends(guest, build_dir, family)
    keys = [Key(1, "first", 3, 8, options=lifetime(-600, 6)),
            Key(2, "second", 4, 9, "aes-128-cmac-96", options=lifetime(6))]
    report = ends.run(16, ends.write("roll", keys, backend="kernel"), "restart=3")
    assert report["connect_error"] == report["listen_error"] == report["accept_error"] == 0
    assert report["connect_carried"] and report["listen_carried"]
    assert_talking(report, 150)
    for end, ids in (("a", [4, 9]), ("b", [9, 4])):
        assert report[end]["socket"] == {"ids": [ids], "required": True, "accept_icmps": False}
        connection = report[end]["connection"]
        assert (connection["current"], connection["rnext"], connection["last_received"]) == (2, 2, 2)
        assert connection["active"] == (end == "a")
        assert report[end]["flows"] == 2
    assert report["listener"] == {"ids": [[9, 4]], "required": False, "accept_icmps": False}
    assert report["a"]["connection"]["octets_out"] >= 1000


def test_dynamic_neighbours_and_options(guest, build_dir):
    """A prefix on the listener; options not covered, HMAC-SHA-256 in 16 octets, a long AES secret."""
    ends = Ends(guest, build_dir)
    keys = [Key(1, "first", 3, 8, "hmac-sha-256-128", False, lifetime(-600, 4)),
            Key(2, "x" * 100, 8, 3, "aes-128-cmac-96", options=lifetime(4))]
    files = ends.write("prefix", keys, peers={"b": "127.0.0.0/24"}, accept_icmp=True)
    report = ends.run(12, files)
    assert_talking(report, 100)
    assert report["a"]["socket"] == {"ids": [[8, 3]], "required": True, "accept_icmps": True}
    assert report["b"]["socket"] == {"ids": [[3, 8]], "required": True, "accept_icmps": True}


def test_ids_used_again(guest, build_dir):
    """The kernel cannot hold two keys with one id: the later one takes the earlier one's place."""
    ends = Ends(guest, build_dir)
    keys = [Key(1, "first", 3, 8, options=lifetime(-600, 5)),
            Key(2, "second", 3, 8, options=lifetime(5))]
    report = ends.run(12, ends.write("again", keys, tolerance=0))
    for end in ("a", "b"):
        assert report[end]["connection"]["current"] == 2, report
        assert len(report[end]["socket"]["ids"]) == 1
        assert report[end]["silent_for"] < 1.5, report


def test_an_expired_chain_fails_closed(guest, build_dir):
    """With its last key the connection stands still; a reload with a new key wakes it up."""
    ends = Ends(guest, build_dir)
    old = Key(1, "first", 3, 8, options=lifetime(-600, 3))
    files = ends.write("old", [old], tolerance=1)
    report = ends.run(9, files)
    for end in ("a", "b"):
        assert report[end]["silent_for"] > 3, report
        assert report[end]["connection"]["current"] is None
        assert report[end]["socket"]["ids"] == [[255, 255]]  # the lock
    assert report["listener"]["ids"] == [[255, 255]]
    assert "no key of its chain may be sent with" in report["log"]
    again = ends.run(2, files)
    assert again["connect_error"] == 129  # EKEYREJECTED
    assert again["b"]["connection"] is None

    old.options = lifetime(-600, 3)
    files = ends.write("old", [old], tolerance=1)
    later = ends.write("new", [old, Key(2, "second", 4, 9, options=lifetime(0))], tolerance=1)
    report = ends.run(14, files, f"reload=7:{':'.join(later)}")
    for end in ("a", "b"):
        assert report[end]["silent_for"] < 3, report
        assert report[end]["connection"]["current"] == 2


def test_wrong_keys_are_told(guest, build_dir):
    """What the listener refuses is counted for the session whose peer it was."""
    ends = Ends(guest, build_dir)
    ours = [Key(1, "ours", 3, 8)]
    other = tcp_ao("other", "127.0.0.9", "k", port=1790)
    wrong = [Key(1, "theirs", 8, 3)]
    for theirs, more, refused in ((wrong, "", {"s": ["bad-mac"]}), (ours, "", {"s": ["unknown-keyid"]}),
                                  (wrong, other, {"s": ["bad-mac"]}), (ours, other, {})):
        report = ends.run(5, ends.write("wrong", ours, theirs, more=more))
        assert {s: list(r) for s, r in report["b"]["refusals"].items()} == refused, report
        assert report["a"]["refusals"] == {}
        assert report["failures"]["TCPAOBad"] + report["failures"]["TCPAOKeyNotFound"] > 0
        assert report["b"]["connection"] is None
        assert report["a"]["connection"]["state"] == "syn-sent"


def test_without_a_key_of_ours_the_listener_lets_nobody_in(guest, build_dir):
    """A peer that signs nothing: refused by the kernel itself, and counted."""
    ends = Ends(guest, build_dir)
    keys = [Key(1, "ours", 3, 8)]
    report = ends.run(5, ends.write("plain", keys, peers={"a": "192.0.2.1"}))
    assert report["connect_carried"] is False
    assert report["b"]["refusals"]["s"]["missing-ao"] > 0, report
    assert report["b"]["connection"] is None


@pytest.mark.parametrize("name", ["s", "t"])
def test_a_session_that_a_reload_takes_away(guest, build_dir, name):
    """Its connection goes on with the keys that it has; the listener has them no more."""
    ends = Ends(guest, build_dir)
    keys = [Key(1, "ours", 3, 8)]
    before = ends.write("before", keys)
    after = ends.write("after", keys, session=name,
                       peers={"a": "192.0.2.1", "b": "192.0.2.1"})
    report = ends.run(7, before, f"reload=3:{':'.join(after)}")
    for end, ids in (("a", [3, 8]), ("b", [8, 3])):
        assert report[end]["silent_for"] < 1, report
        assert report[end]["socket"]["ids"] == [ids]
    assert report["listener"]["ids"] == [[8, 3]]  # for another peer
    assert report["failures"] == dict.fromkeys(FAILURES, 0)
