"""The kernel backend from end to end: daemons under gaterun in the lab kernel, which brings their
sockets to Gatehouse; at the other end, on the host, daemons as they are and Gatehouse's engine."""

import dataclasses
import json
import os
import re

import pytest

from capture import ACK, SYN, TCP_MD5, Capture
from daemons import Bird, Frr, Openbgpd, Peer
from daemons.bird_rpki import BirdRpki
from daemons.frr_ldp import FrrLdp
from daemons.stayrtr import Stayrtr
from gatehouse import Gatehouse, Key, key_chain, tcp_ao
from interop import KERNEL, end, seen
from netns import A4, A6, B4, B6
from scenario import (ROUTES_A, ROUTES_B, assert_none_refused, assert_signed, assert_verified,
                      both_ends, config, lifetime, peers_of_a, peers_of_b, swapped, wait_both_up,
                      wait_cause)
from test_labkernel import FAILURES, GUEST4, GUEST6, HOST4, HOST6, lab  # noqa: F401
from test_ldp import LINK1, LINK2, R1, R2, wait_both_operational
from uml import Guest
from wait import stays, wait_for

KEY = Key(1, "correct horse battery staple", send_id=3, recv_id=8)
GUESTS = {"v4": GUEST4, "v6": GUEST6}
HOSTS = {"v4": HOST4, "v6": HOST6}
THERE = KERNEL + " under Gatehouse's keys"
SOCKET_KEYS, TALKER = (os.path.join(os.path.dirname(__file__), name)
                       for name in ("socket_keys.py", "talker.py"))
USERS = 'gatehouse {\n    shim-users = { "frr" }\n}\n'


class Site:
    """Gatehouse in the guest, with the kernel backend, and on the host, with the engine."""

    def __init__(self, lab, build_dir, keys=(KEY,), guest_keys=None,  # noqa: F811
                 tolerance=60, backend="kernel", host_keys=True, **session):
        self.lab = lab
        self.session = {"backend": backend, **session}
        self.tolerance = tolerance
        self.inside = Gatehouse(lab.guest, build_dir,
                                self.guest_config(guest_keys or swapped(keys))).start()
        self.outside = Gatehouse(lab.host, build_dir, config(keys, GUESTS, tolerance)).start() \
            if host_keys else None
        self.capture = Capture(lab.host, "tap0", "tcp port 179")
        self.good = lab.guest.counters()["TCPAOGood"]

    def guest_config(self, keys):
        return USERS + config(keys, HOSTS, self.tolerance, **self.session)

    def daemons(self, guest=Frr, host=Bird, opener="guest", launched=True, **options):
        """One of each kind; opener: "guest", "host" or None, which is both."""
        self.guest = guest(
            self.lab.guest, 65002, [Peer(HOSTS[n], 65001, local=GUESTS[n], passive=opener == "host",
                                         **options) for n in HOSTS],
            ROUTES_B, listen=GUESTS.values(), hold_time=9,
            launcher=self.inside.gaterun() if launched else ())
        self.host = host(
            self.lab.host, 65001, [Peer(GUESTS[n], 65002, local=HOSTS[n], passive=opener == "guest")
                                   for n in GUESTS], ROUTES_A, hold_time=9)
        for daemon in (self.guest, self.host) if opener == "host" else (self.host, self.guest):
            daemon.start()
        return self

    def wait_up(self):
        for name in GUESTS:
            self.host.wait_established(GUESTS[name])
            self.guest.wait_established(HOSTS[name])
        self.guest.wait_routes(ROUTES_A)
        self.host.wait_routes(ROUTES_B)
        for name in GUESTS:
            self.inside.wait_up(name)
        return self

    def assert_kernels(self):
        """Both sessions are the kernel's, and `show` says of them what it says of the engine's."""
        for name in GUESTS:
            session = self.inside.session(name)
            assert session["backend_in_use"] == "kernel", session
            connection = self.inside.connection(name)
            engines = self.outside.connection(name)
            assert set(connection["keys"]) == set(engines["keys"]), (connection, engines)
            wait_for(lambda: self.inside.counters(name)["ok"] >= 4 <
                     self.inside.counters(name)["signed"], 10,
                     lambda: f"{name}'s counters grow: {self.inside.counters(name)}")
            assert self.inside.explain(name)["verdict"] == "up"

    def assert_unnoticed(self, refused_inside=0):
        """No session ended, and no end refused anything of the other's."""
        for name in GUESTS:
            assert self.host.flaps(GUESTS[name]) == self.guest.flaps(HOSTS[name]) == 0
        assert self.lab.failures() == dict.fromkeys(FAILURES, 0)
        assert self.lab.guest.counters()["TCPAOGood"] > self.good
        assert_none_refused(self.outside)
        assert [self.inside.refused(name) for name in GUESTS] == [refused_inside] * 2

    def finish(self):
        return assert_verified(self.outside, self.capture)


CASES = [(Frr, Bird, "kernel", "guest"), (Frr, Frr, "auto", "host"), (Bird, Frr, "auto", "guest"),
         (Bird, Bird, "kernel", "host"), (Openbgpd, Frr, "kernel", "guest"),
         (Openbgpd, Bird, "auto", "host")]


@pytest.mark.parametrize("guest, host, backend, opener", CASES,
                         ids=lambda v: v if isinstance(v, str) else v.kind)
def test_session(lab, build_dir, guest, host, backend, opener):  # noqa: F811
    """Routes both ways over IPv4 and IPv6, and each segment is signed and verifies."""
    site = Site(lab, build_dir, backend=backend).daemons(guest, host, opener).wait_up()
    site.assert_kernels()
    site.assert_unnoticed()
    for name in GUESTS:
        assert site.inside.connection(name)["type"] == ("active" if opener == "guest" else "passive")
    segments = site.finish()
    syns = {s.src for s in segments if s.flags & (SYN | ACK) == SYN}
    assert syns == set((GUESTS if opener == "guest" else HOSTS).values())
    seen(end(site.guest, THERE), end(site.host),
         opened=site.guest.title + " in the kernel's end" if opener == "guest" else site.host.title)


# ---- Keys move -----------------------------------------------------------------------------------


ALGORITHMS = ["hmac-sha-1-96", "aes-128-cmac-96", "hmac-sha-256-128"]


def three_keys(first=8, step=4):
    """One after the other, each with an algorithm of its own."""
    times = [(-600, first), (first, first + step), (first + step, None)]
    return [Key(n + 1, f"secret number {n}", 10 + n, 20 + n, ALGORITHMS[n], options=lifetime(*times[n]))
            for n in range(3)]


class Rollover:
    """Routes come and go at both ends while keys change."""

    def __init__(self, site):
        self.site = site
        self.count = 0

    def churn(self):
        """host: BIRD."""
        self.site.host.birdc(f"{'enable' if self.count % 2 else 'disable'} static4")
        self.site.host.birdc(f"{'enable' if self.count % 2 else 'disable'} static6")
        self.count += 1

    def keys(self):
        """All four pairs: (signed with, asked for)."""
        return {g.keys(n) for g in (self.site.inside, self.site.outside) for n in GUESTS}

    def wait(self, number, timeout=40):
        def moved():
            self.churn()
            return self.keys() == {(number, number)}
        wait_for(moved, timeout, lambda: f"key {number} everywhere; it is {self.keys()}")

    def settle(self):
        while self.count % 2:
            self.churn()
        self.site.guest.wait_routes(ROUTES_A)


def sockets(site):
    """The guest daemon's sockets with keys: [{"listening", "remote", "keys"}]."""
    found = site.lab.guest.run(["/usr/bin/python3", SOCKET_KEYS, site.guest.process.pid]).stdout
    return json.loads(found)


def wait_ids(site, ids, timeout=20):
    """Each socket of the daemon, the listening ones, too, comes to have these keys for each peer."""
    def there():
        found = sockets(site)
        return len([s for s in found if not s["listening"]]) >= 2 and \
            all({tuple(k) for k in s["keys"]} == ids for s in found)
    wait_for(there, timeout, lambda: f"keys {ids} on the sockets; they are {sockets(site)}")


def wait_new(gatehouse, role, pid):
    wait_for(lambda: gatehouse.processes().get(role) not in (None, pid), 10, f"a new {role}")
    wait_for(gatehouse.answers, 10, "it answers")


def test_rollover_by_lifetime(lab, build_dir):  # noqa: F811
    """Three keys of three algorithms under route churn, and kill -9 of the guest's `ao` in between:
    nothing is refused at either end, no session ends, and the sockets keep the last key only."""
    site = Site(lab, build_dir, three_keys(), tolerance=5).daemons(Frr, Bird).wait_up()
    roll = Rollover(site)
    assert roll.keys() == {(1, 1)}, "the test came up too late to see the first key"
    roll.wait(2)
    pid = site.inside.processes()["ao"]
    site.inside.kill("ao")
    wait_new(site.inside, "ao", pid)
    roll.wait(3)
    roll.settle()
    wait_ids(site, {(22, 12)})
    site.assert_unnoticed()
    segments = site.finish()
    for side, ids in ((HOSTS, {10, 11, 12}), (GUESTS, {20, 21, 22})):
        for address in side.values():
            assert {s.ao[0] for s in segments if s.src == address} == ids
    seen(end(site.guest, THERE), end(site.host), algorithms=", ".join(ALGORITHMS),
         also="two rollovers by lifetime under route churn, kill -9 of the `ao` process: nothing "
              "refused at either end")


def test_a_key_by_reload(lab, build_dir):  # noqa: F811
    """A second key begins at once; connections and listeners have it; the first one goes."""
    site = Site(lab, build_dir, tolerance=2).daemons(Frr, Bird).wait_up()
    wait_ids(site, {(8, 3)})
    later = [dataclasses.replace(KEY, options=lifetime(-600, 6)),
             Key(2, "another", 4, 9, "aes-128-cmac-96", options=lifetime(3))]
    site.outside.configure(config(later, GUESTS, 2))
    site.inside.configure(site.guest_config(swapped(later)))
    for gatehouse in (site.outside, site.inside):
        gatehouse.reload()
    roll = Rollover(site)
    roll.wait(2)
    roll.settle()
    wait_ids(site, {(9, 4)})
    site.assert_unnoticed()


@pytest.mark.parametrize("backend, way", [("kernel", "kill"), ("auto", "stop")])
def test_gatehoused_ends(lab, build_dir, backend, way):  # noqa: F811
    """The sessions go on, and the next gatehoused moves their keys."""
    site = Site(lab, build_dir, three_keys(), tolerance=5, backend=backend)
    site.daemons(Frr, Bird).wait_up()
    roll = Rollover(site)
    assert roll.keys() == {(1, 1)}, "the test came up too late to see the first key"
    getattr(site.inside, way)()
    site.inside.start()
    roll.wait(2)
    for name in GUESTS:
        assert site.inside.session(name)["backend_in_use"] == "kernel"
        assert site.host.flaps(GUESTS[name]) == site.guest.flaps(HOSTS[name]) == 0
    assert lab.failures() == dict.fromkeys(FAILURES, 0)
    assert_signed(site.capture.stop())
    # Sockets that end while nobody watches are not taken for living ones.
    site.inside.kill()
    site.guest.kill()
    site.inside.start()
    left = "none" if backend == "kernel" else "engine"
    for name in GUESTS:
        wait_for(lambda: site.inside.session(name)["backend_in_use"] == left, 10,
                 "the sockets of before are looked for")


# ---- What must not come up -----------------------------------------------------------------------


MISTAKES = {"wrong-key": dataclasses.replace(KEY, secret="another"),
            "unknown-keyid": Key(1, KEY.secret, 40, 41), "peer-without-ao": None}


@pytest.mark.parametrize("cause", MISTAKES)
def test_mistakes(lab, build_dir, cause):  # noqa: F811
    """The session stays down, and `explain` in the guest says why."""
    theirs = MISTAKES[cause]
    site = Site(lab, build_dir, [theirs or KEY], [KEY.swapped()], host_keys=theirs is not None)
    site.daemons(Frr, Bird, opener=None)
    for name in GUESTS:
        wait_cause(site.inside, name, cause)
    stays(lambda: [c[:1] for c in map(site.inside.causes, GUESTS)] == [[cause]] * 2, 2,
          lambda: f"the cause is stable: {[site.inside.causes(n) for n in GUESTS]}")
    assert not any(site.guest.established(a) or site.host.established(b)
                   for a, b in zip(HOSTS.values(), GUESTS.values()))
    ours = [s for s in site.capture.stop() if s.src in GUESTS.values()]
    assert_signed(ours)


def test_without_gaterun(lab, build_dir):  # noqa: F811
    """backend = kernel: nothing of the daemon's leaves, and nothing unsigned ever does."""
    site = Site(lab, build_dir).daemons(Frr, Bird, opener=None, launched=False)
    for name in GUESTS:
        wait_cause(site.inside, name, "no-socket")
    wait_for(lambda: site.outside.counters("v4")["signed"] > 1, 20, "the host's end tries")
    stays(lambda: not site.guest.established(HOST4) and not site.guest.established(HOST6), 3,
          "it stays down")
    segments = site.capture.stop()
    assert not [s for s in segments if s.src in GUESTS.values()], segments


def test_without_gaterun_the_engine_protects(lab, build_dir):  # noqa: F811
    """backend = auto: the same daemon has its session, by the engine."""
    site = Site(lab, build_dir, backend="auto").daemons(Frr, Bird, launched=False).wait_up()
    for name in GUESTS:
        assert site.inside.session(name)["backend_in_use"] == "engine"
    assert lab.guest.counters()["TCPAOGood"] == site.good
    site.finish()


FORGE = """
from scapy.all import *
mac = {mac!r}
conf.verb = 0
for source, destination in {pairs!r}:
    for tcp in [{segments}]:
        ip = (IPv6 if ':' in source else IP)(src=source, dst=destination)
        sendp(Ether(dst=mac) / ip / tcp, iface='tap0')
"""


def forge(lab, segments, *pairs):  # noqa: F811
    """pairs: (source, destination)."""
    mac = lab.guest.run(["cat", "/sys/class/net/vec0/address"]).stdout.strip()
    lab.host.run(["/usr/bin/python3", "-c", FORGE.format(mac=mac, pairs=pairs, segments=segments)])


def test_forged_segments_are_dropped(lab, build_dir):  # noqa: F811
    """An unsigned SYN with the peer's address is not answered, that of a stranger is; a RST and data
    for the live connection do nothing. The kernel's TCP never sees them, and they are counted."""
    stranger, elsewhere = "10.77.0.9", "10.77.0.8"
    lab.host.add_address("tap0", f"{stranger}/24")
    lab.guest.add_address("vec0", f"{elsewhere}/24")
    site = Site(lab, build_dir).daemons(Frr, Bird).wait_up()
    forge(lab, "TCP(sport=4321, dport=179, seq=1, flags='S')", (stranger, elsewhere), (HOST4, GUEST4),
          (HOST6, GUEST6))
    wait_for(lambda: [s for s in site.capture.segments() if s.src == elsewhere], 10,
             "the stranger's SYN is answered")
    for name, host in HOSTS.items():
        c = site.outside.connection(name)
        sport, dport = (int(c[side].rpartition(":")[2]) for side in ("local", "remote"))
        head = f"sport={sport}, dport={dport}, seq={c['sequence']['send_highest']}"
        forge(lab, f"TCP({head}, flags='R'), TCP({head}, ack=1, flags='PA') / Raw(b'x' * 19)",
              (host, GUESTS[name]))
        wait_for(lambda: site.inside.counters(name)["missing-ao"] == 3, 10,
                 lambda: f"all three are counted: {site.inside.counters(name)}")
    roll = Rollover(site)
    for _ in range(6):
        roll.churn()
    roll.settle()
    assert not [s for s in site.capture.segments() if s.dport == 4321 and s.dst != stranger]
    site.assert_unnoticed(refused_inside=3)


# ---- TCP-MD5, and both ends ----------------------------------------------------------------------


def test_md5_becomes_ao(lab, build_dir):  # noqa: F811
    """The daemon in the guest is configured for TCP-MD5 with this peer: TCP-AO takes its place."""
    site = Site(lab, build_dir).daemons(Frr, Bird, password="opensesame").wait_up()
    site.assert_kernels()
    site.assert_unnoticed()
    assert not [s for s in site.finish() if s.option(TCP_MD5) is not None]
    seen(end(site.guest, THERE), end(site.host), also="FRR configured for TCP-MD5")


def test_both_ends_by_the_kernel(lab, build_dir):  # noqa: F811
    """FRR and BIRD in two namespaces of the guest: no engine is in the way, keys change by lifetime."""
    guest = lab.guest
    a, b = guest.namespace("a"), guest.namespace("b")
    guest.run(["ip", "link", "add", "eth0", "netns", "a", "type", "veth", "peer", "name", "eth0",
               "netns", "b"])
    for host, addresses in ((a, (A4, A6)), (b, (B4, B6))):
        host.run(["ip", "link", "set", "eth0", "up"])
        for address in addresses:
            host.add_address("eth0", f"{address}/{64 if ':' in address else 24}")
    keys = three_keys(first=10)
    one, two = both_ends(a, b, build_dir, keys, tolerance=5, backend="kernel")
    capture = Capture(a)
    frr = Frr(a, 65001, peers_of_a(), ROUTES_A, launcher=one.gaterun(), hold_time=9).start()
    bird = Bird(b, 65002, peers_of_b(), ROUTES_B, launcher=two.gaterun(), hold_time=9).start()
    wait_both_up(frr, bird)
    frr.wait_routes(ROUTES_B)
    bird.wait_routes(ROUTES_A)
    for gatehouse in (one, two):
        for name in GUESTS:
            gatehouse.wait_up(name)
            assert gatehouse.session(name)["backend_in_use"] == "kernel"
    count = 0

    def moved():
        nonlocal count
        bird.birdc(f"{'enable' if count % 2 else 'disable'} static4")
        bird.birdc(f"{'enable' if count % 2 else 'disable'} static6")
        count += 1
        return {g.keys(n) for g in (one, two) for n in GUESTS} == {(3, 3)}
    wait_for(moved, 40, "the third key in both directions")
    assert frr.flaps(B4) == frr.flaps(B6) == bird.flaps(A4) == bird.flaps(A6) == 0
    for host in (a, b):
        counters = host.counters()
        assert counters["TCPAOGood"] > 10
        assert [counters[name] for name in FAILURES] == [0, 0, 0]
    assert_none_refused(one, two)
    segments = assert_verified(one, capture)
    assert {s.ao[0] for s in segments if s.src in (A4, A6)} == {10, 11, 12}
    seen(end(frr, THERE), end(bird, THERE), algorithms=", ".join(ALGORITHMS),
         also="two rollovers by lifetime under route churn: nothing refused at either end")


# ---- Before the first SYN ------------------------------------------------------------------------


def test_port_and_keys_before_the_first_syn(lab, build_dir, connect_witness):  # noqa: F811
    """When the program's connect() reaches the kernel, the source port is fixed and keys are there."""
    inside = Gatehouse(lab.guest, build_dir, config([KEY], HOSTS, backend="kernel")).start()
    capture = Capture(lab.host, "tap0", "tcp port 179")
    directory = lab.guest.directory("talker")
    for name, host in HOSTS.items():
        log = os.path.join(directory, name)
        # Behind Gatehouse's library, so that it sees what that hands on.
        preload = f"LD_PRELOAD={os.path.join(build_dir, 'gatehouse-shim.so')}:{connect_witness}"
        lab.guest.spawn([*inside.gaterun(), "/usr/bin/env", preload, "/usr/bin/python3", TALKER,
                         "connect", host, "179"], log)

        def witnessed():
            with open(log, encoding="utf-8", errors="replace") as file:
                return re.findall(r"witness: port (\d+) keys (\d+)", file.read())
        wait_for(witnessed, 15, "a connect()")
        port, keys = map(int, witnessed()[0])
        assert port != 0 and keys == 1, (port, keys)
        wait_for(lambda: [s for s in capture.segments() if s.dst == host], 10, "a SYN")
        syn = next(s for s in capture.segments() if s.dst == host)
        assert syn.sport == port and syn.ao[:2] == (KEY.send_id, KEY.recv_id)


# ---- Other protocols -----------------------------------------------------------------------------


VRPS = {(f"10.{n}.0.0/16", 24, 65000 + n) for n in range(50)}


@pytest.mark.parametrize("opener", ["guest", "host"])
def test_ldp(net, lab_kernel, build_dir, opener):
    """FRR's ldpd in the guest; of the loopbacks' addresses the higher one opens."""
    host = net.namespace("host")
    host.tap("tap0")
    guest = Guest(host, lab_kernel, taps=["tap0"])
    ours, theirs = (R2, R1) if opener == "guest" else (R1, R2)
    inside = Gatehouse(guest, build_dir, USERS + key_chain("ldp", [KEY]) +
                       tcp_ao("ldp", theirs, "ldp", local=ours, port=646, backend="kernel")).start()
    outside = Gatehouse(host, build_dir, key_chain("ldp", [KEY.swapped()]) +
                        tcp_ao("ldp", ours, "ldp", local=theirs, port=646)).start()
    capture = Capture(host, "tap0", "tcp port 646")
    one = FrrLdp(guest, ours, {"vec0": LINK2}, launcher=inside.gaterun()).start()
    two = FrrLdp(host, theirs, {"tap0": LINK1}).start()
    wait_both_operational(one, two)
    inside.wait_up("ldp")
    assert inside.session("ldp")["backend_in_use"] == "kernel"
    assert inside.connection("ldp")["type"] == ("active" if opener == "guest" else "passive")
    counters = guest.counters()
    assert counters["TCPAOGood"] > 2 and [counters[n] for n in FAILURES] == [0, 0, 0]
    assert_none_refused(inside, outside, names=["ldp"])
    assert_verified(outside, capture)
    seen(end(one, THERE), end(two), opened="the higher address", versions="4", protocol="LDP")


def test_rpki(lab, build_dir):  # noqa: F811
    """BIRD in the guest has its VRPs of StayRTR on the host, which gaterun cannot start."""
    inside = Gatehouse(lab.guest, build_dir,
                       config([KEY], HOSTS, port=8282, backend="kernel")).start()
    outside = Gatehouse(lab.host, build_dir, config([KEY.swapped()], GUESTS, port=8282)).start()
    capture = Capture(lab.host, "tap0", "tcp port 8282")
    server = Stayrtr(lab.host, VRPS).start()
    client = BirdRpki(lab.guest, list(HOSTS.values()), launcher=inside.gaterun()).start()
    client.wait_vrps(VRPS)
    for name, address in HOSTS.items():
        inside.wait_up(name)
        assert inside.session(name)["backend_in_use"] == "kernel" and client.connected(address)
    assert lab.failures() == dict.fromkeys(FAILURES, 0)
    assert_none_refused(inside, outside)
    assert_verified(outside, capture)
    seen(end(client, THERE), end(server), opened=client.title, protocol="RPKI-RTR")
