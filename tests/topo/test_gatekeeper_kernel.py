"""Keys by IKE on the kernel's own TCP-AO: a stock daemon under gaterun in the lab kernel, whose sockets
get the negotiated keys; on the host a daemon as it is, and Gatehouse's engine with the other half."""

import pytest

from capture import ACK, SYN, Capture
from daemons import Bird, Frr, Peer
from gatehouse import Key, key_chain
from interop import end, seen
from keyed import KeyedGatehouse, keyed_config
from scenario import ROUTES_A, ROUTES_B, assert_none_refused, assert_signed, wait_cause
from test_kernel_end_to_end import GUESTS, HOSTS, THERE, USERS, sockets, wait_new
from test_labkernel import FAILURES, lab  # noqa: F401
from uml import Guest
from wait import stays, wait_for

NAMES = ("v4", "v6")
INSIDE = {name: (GUESTS[name], HOSTS[name]) for name in NAMES}
OUTSIDE = {name: (HOSTS[name], GUESTS[name]) for name in NAMES}


class Site:
    """Gatehouse in the guest, with the kernel backend, and on the host, with the engine."""

    def __init__(self, lab, build_dir, backend="kernel", inside=None, chain="",  # noqa: F811
                 **session):
        """inside: options of the guest's end alone; chain: the sections of a key chain, of both."""
        self.lab = lab
        self.inside = KeyedGatehouse(
            lab.guest, build_dir, USERS + chain + keyed_config(
                INSIDE, backend=backend, **{**session, **(inside or {})})).start()
        self.outside = KeyedGatehouse(lab.host, build_dir,
                                      chain + keyed_config(OUTSIDE, **session)).start()
        self.capture = Capture(lab.host, "tap0", "tcp port 179")
        self.churned = 0

    def daemons(self, guest=Frr, host=Bird, opener="guest", routes=tuple(ROUTES_A)):
        """opener: "guest" or "host"; the other is there first, and waits: see peers_of_b()."""
        self.guest = guest(
            self.lab.guest, 65002,
            [Peer(HOSTS[n], 65001, local=GUESTS[n], passive=opener == "host") for n in NAMES],
            ROUTES_B, listen=GUESTS.values(), hold_time=9, launcher=self.inside.gaterun())
        self.host = host(
            self.lab.host, 65001,
            [Peer(GUESTS[n], 65002, local=HOSTS[n], passive=opener == "guest") for n in NAMES],
            list(routes), hold_time=9)
        for daemon in (self.guest, self.host) if opener == "host" else (self.host, self.guest):
            daemon.start()
        return self

    def wait_up(self):
        for name in NAMES:
            self.host.wait_established(GUESTS[name])
            self.guest.wait_established(HOSTS[name])
        self.guest.wait_routes(ROUTES_A)
        self.host.wait_routes(ROUTES_B)
        for name in NAMES:
            for gatehouse in (self.inside, self.outside):
                gatehouse.wait_up(name)
            session = self.inside.session(name)
            assert session["backend_in_use"] == "kernel", session
        return self

    def assert_unnoticed(self):
        """No session ended, and no end refused anything of the other's."""
        for name in NAMES:
            assert self.host.flaps(GUESTS[name]) == self.guest.flaps(HOSTS[name]) == 0
        assert self.lab.failures() == dict.fromkeys(FAILURES, 0)
        assert_none_refused(self.inside, self.outside)

    def churn(self):
        """Routes of the host's come and go. host: BIRD."""
        for protocol in ("static4", "static6"):
            self.host.birdc(f"{'enable' if self.churned % 2 else 'disable'} {protocol}")
        self.churned += 1

    def wait_rekeyed(self, times, timeout=60):
        """Under traffic."""
        before = {name: self.inside.keyed(name)["installed"] for name in NAMES}

        def there():
            self.churn()
            return all(self.inside.keyed(n)["installed"] >= before[n] + times for n in NAMES)
        wait_for(there, timeout, lambda: f"{times} more keys\n{self.detail()}")
        if self.churned % 2:
            self.churn()

    def block_ike(self, blocked=True):
        """In the guest, what comes and what goes."""
        rules = "delete table inet block" if not blocked else (
            "table inet block { chain in { type filter hook input priority 0; udp dport { 500, 4500 } "
            "drop; }; chain out { type filter hook output priority 0; udp dport { 500, 4500 } drop; }; }")
        self.lab.guest.run(["nft", rules])

    def detail(self):
        return "".join(g.gatectl("show", "gatekeeper", "detail", check=False).stdout +
                       g.gatectl("show", "tcp-ao", "session", "detail", check=False).stdout + g.tail()
                       for g in (self.inside, self.outside))


@pytest.mark.parametrize("guest, host, opener, backend",
                         [(Frr, Bird, "guest", "kernel"), (Frr, Bird, "host", "auto"),
                          (Bird, Frr, "guest", "auto"), (Bird, Frr, "host", "kernel")],
                         ids=lambda v: v if isinstance(v, str) else v.kind)
def test_session(lab, build_dir, guest, host, opener, backend):  # noqa: F811
    """Routes both ways over IPv4 and IPv6. Whoever opens: its first SYN waits for the key, leaves
    signed, and is not sent again; and both ends show the same of it."""
    site = Site(lab, build_dir, backend=backend).daemons(guest, host, opener).wait_up()
    ours, theirs = (site.inside, site.outside) if opener == "guest" else (site.outside, site.inside)
    for name in NAMES:
        tables = [g.ask("show", "key-table", name)["keys"] for g in (site.inside, site.outside)]
        assert [[(k["origin"], k["selected"]) for k in t] for t in tables] == \
            [[("negotiated", True)]] * 2, tables
        times = [step["ms"] for step in ours.keyed(name)["steps"]]
        assert None not in times and times == sorted(times), ours.keyed(name)["steps"]
        connections = [g.connection(name) for g in (site.inside, site.outside)]
        assert set(connections[0]["keys"]) == set(connections[1]["keys"]), connections
        assert connections[0]["type"] == ("active" if opener == "guest" else "passive")
        for gatehouse in (ours, theirs):
            assert gatehouse.explain(name)["verdict"] == "up"
            assert gatehouse.keyed(name)["connections"] == 1, site.detail()
            wait_for(lambda: gatehouse.keyed(name)["keys"][0]["segments"] > 4, 10,
                     lambda: f"the key's use is known: {gatehouse.keyed(name)}")
    site.assert_unnoticed()
    segments = site.capture.stop()
    assert_signed(segments)
    syns = [s for s in segments if s.flags & (SYN | ACK) == SYN]
    for name in NAMES:
        ids = ours.keyed(name)["keys"][0]["send_id"]
        assert {s.ao[0] for s in syns if s.src in (GUESTS[name], HOSTS[name])} == {ids}
    assert {s.src for s in syns} == set((GUESTS if opener == "guest" else HOSTS).values())
    assert len(syns) == len({(s.src, s.sport) for s in syns}), f"a SYN was sent again: {syns}"
    seen(end(site.guest, THERE), end(site.host),
         opened=site.guest.title + " in the kernel's end" if opener == "guest" else site.host.title,
         also="keys negotiated by IKE")


# ---- Keys move -----------------------------------------------------------------------------------


def ids_on_sockets(site):
    """Of all the daemon's sockets together."""
    return {tuple(ids) for s in sockets(site) for ids in s["keys"]}


def ids_known(site):
    """(send, receive), as the guest's gatekeeper has them."""
    return {(k["send_id"], k["recv_id"]) for n in NAMES for k in site.inside.keyed(n)["keys"]}


def test_rekeying_under_traffic(lab, build_dir):  # noqa: F811
    """A key every few seconds while routes come and go: nothing is refused at either end, no session
    ends, and the sockets have the keys that the gatekeeper has, and no others."""
    site = Site(lab, build_dir, rekey=10).daemons().wait_up()
    site.wait_rekeyed(4)
    site.guest.wait_routes(ROUTES_A)
    wait_for(lambda: ids_on_sockets(site) == ids_known(site), 20,
             lambda: f"{ids_on_sockets(site)} as {ids_known(site)}")
    for name in NAMES:
        assert site.inside.keyed(name)["rekeyed"] + site.outside.keyed(name)["rekeyed"] >= 4
        wait_for(lambda: site.inside.keys(name)[0] == site.inside.live(name), 20, site.detail)
    site.assert_unnoticed()
    assert_signed(site.capture.stop())


def test_rekeying_by_use(lab, build_dir):  # noqa: F811
    """What the kernel counts is enough for a key for every 64 KiB at its end alone: a table needs
    several, and the session hears nothing of it."""
    table = [f"100.{64 + n // 256}.{n % 256}.0/24" for n in range(16000)]
    site = Site(lab, build_dir, inside={"rekey_bytes": 65536}).daemons(routes=ROUTES_A + table)
    site.wait_up()
    for times in (1, 2):
        wait_for(lambda: site.inside.keyed("v4")["rekeyed"] >= times, 30, site.detail)
        site.churn()
        site.churn()
    assert site.inside.keyed("v6")["rekeyed"] == 0
    site.assert_unnoticed()


def test_revocation(lab, build_dir):  # noqa: F811
    """By either end: a fresh IKE SA and a fresh key; nothing of the session is lost, and the key of
    before leaves the sockets."""
    site = Site(lab, build_dir).daemons().wait_up()
    for gatehouse in (site.inside, site.outside):
        before = {name: gatehouse.live(name) for name in NAMES}
        old = ids_on_sockets(site)
        for name in NAMES:
            gatehouse.gatectl("gatekeeper", "revoke", name)
        for name in NAMES:
            wait_for(lambda: gatehouse.live(name) not in (before[name], None), 20, site.detail)
        wait_for(lambda: all(k["state"] in ("live", "leaving") for g in (site.inside, site.outside)
                             for n in NAMES for k in g.keyed(n)["keys"]), 60,
                 lambda: f"the old keys are left\n{site.detail()}")
        for name in NAMES:
            assert gatehouse.keyed(name)["revoked"] == 1
            wait_for(lambda: site.inside.keys(name)[0] == site.inside.live(name), 10, site.detail)
        assert ids_on_sockets(site) - old
    site.assert_unnoticed()
    assert_signed(site.capture.stop())


# ---- Processes and keys end ----------------------------------------------------------------------


@pytest.mark.parametrize("process", ["ike", "ao", "keeper"])
def test_killed(lab, build_dir, process):  # noqa: F811
    """kill -9 of one of the guest's processes: the sockets keep their keys, and get others later."""
    site = Site(lab, build_dir, rekey=15).daemons().wait_up()
    pid = site.inside.processes()[process]
    site.inside.kill(process)
    wait_new(site.inside, process, pid)
    wait_for(lambda: site.inside.gatectl("show", "gatekeeper", check=False).returncode == 0, 10,
             "the gatekeeper answers")
    for name in NAMES:
        wait_for(lambda: site.inside.live(name) is not None, 40, site.detail)
    site.wait_rekeyed(2)
    for name in NAMES:
        assert site.inside.session(name)["backend_in_use"] == "kernel"
        site.inside.wait_up(name)
    site.assert_unnoticed()
    assert_signed(site.capture.stop())


@pytest.mark.parametrize("way", ["kill", "stop"])
def test_gatehoused_ends(lab, build_dir, way):  # noqa: F811
    """With all that it knew of the keys. The sockets have them still: the session goes on, and the
    next gatehoused makes others; those of before go after a minute."""
    site = Site(lab, build_dir).daemons().wait_up()
    old = ids_on_sockets(site)
    getattr(site.inside, way)()
    site.churn()
    site.inside.start()
    for name in NAMES:
        wait_for(lambda: site.inside.live(name) is not None, 40, site.detail)
        assert site.inside.session(name)["backend_in_use"] == "kernel"
        wait_for(lambda: site.inside.keys(name)[0] == site.inside.live(name), 20, site.detail)
    site.wait_rekeyed(0)
    stays(lambda: all(site.host.flaps(GUESTS[n]) == site.guest.flaps(HOSTS[n]) == 0 for n in NAMES),
          10, "longer than the hold time")
    if way == "stop":  # one of them may wait for that minute
        wait_for(lambda: not ids_on_sockets(site) & old, 90,
                 lambda: f"{ids_on_sockets(site)} as {ids_known(site)}\n{site.detail()}")
    assert lab.failures() == dict.fromkeys(FAILURES, 0)
    assert_none_refused(site.inside, site.outside)
    assert_signed(site.capture.stop())


def test_keys_expire(lab, build_dir):  # noqa: F811
    """IKE cannot make another: when the hard lifetime of the last key is over, nothing passes, signed
    or not. IKE is back: so is the session."""
    site = Site(lab, build_dir, rekey=10).daemons().wait_up()
    site.block_ike()
    for name in NAMES:
        wait_for(lambda: site.inside.keyed(name)["keys"] == [], 60, site.detail)
        wait_for(lambda: not site.guest.established(HOSTS[name]), 30, "the daemon gives it up")
    before = len(site.capture.segments())
    stays(lambda: not any(site.guest.established(HOSTS[n]) for n in NAMES), 5, "it stays down")
    ours = [s for s in site.capture.segments()[before:] if s.src in GUESTS.values()]
    assert not [s for s in ours if s.flags & (SYN | ACK) == SYN], ours
    for name in NAMES:
        wait_for(lambda: site.inside.causes(name), 10, "explain says why")
    site.block_ike(False)
    for name in NAMES:
        site.guest.wait_established(HOSTS[name], timeout=90)
    assert_signed(site.capture.stop())


def test_fallback(lab, build_dir):  # noqa: F811
    """No IKE: after the patience the chain's keys are on the sockets. IKE is back: negotiated ones
    take their place while the session is up."""
    key = Key(1, "to fall back on", 77, 77)
    site = Site(lab, build_dir, chain=key_chain("core", [key]), key_chain="core", fallback=True,
                patience=3)
    site.block_ike()
    site.daemons()
    for name in NAMES:
        site.guest.wait_established(HOSTS[name], timeout=60)
        site.inside.wait_up(name)
        assert site.inside.keys(name)[0] == 1
        assert site.inside.session(name)["backend_in_use"] == "kernel"
    site.block_ike(False)
    for name in NAMES:
        wait_for(lambda: site.inside.live(name) is not None, 60, site.detail)
        wait_for(lambda: site.inside.keys(name)[0] == site.inside.live(name), 30, site.detail)
    site.assert_unnoticed()
    assert_signed(site.capture.stop())


def test_another_secret(lab, build_dir):  # noqa: F811
    """IKE does not authenticate the peer: not one SYN leaves, and `explain` says whose fault it is."""
    site = Site(lab, build_dir, inside={"psk": "another pre-shared key, just as long"})
    site.daemons()
    for name in NAMES:
        wait_cause(site.inside, name, "no-keys")
    stays(lambda: not any(site.guest.established(HOSTS[n]) for n in NAMES), 3, "it stays down")
    assert not [s for s in site.capture.stop() if s.src in GUESTS.values()]


# ---- The kernel at both ends ---------------------------------------------------------------------


def test_both_ends(net, build_dir, lab_kernel):
    """Nothing between the two but the kernel's TCP-AO: SYNs wait at either end, keys roll over while
    routes come and go."""
    host = net.namespace("host")
    host.run(["ip", "link", "add", "br0", "type", "bridge"])
    host.run(["ip", "link", "set", "br0", "up"])
    guests, gatehouses = [], []
    for n, ends in enumerate((OUTSIDE, INSIDE)):
        host.tap(f"tap{n}")
        host.run(["ip", "link", "set", f"tap{n}", "master", "br0"])
        guests.append(Guest(host, lab_kernel, taps=[f"tap{n}"], name=f"guest{n}"))
        for name, bits in (("v4", 24), ("v6", 64)):
            guests[n].add_address("vec0", f"{ends[name][0]}/{bits}")
        gatehouses.append(KeyedGatehouse(guests[n], build_dir, USERS + keyed_config(
            ends, backend="kernel", rekey=10)).start())
    capture = Capture(host, "br0", "tcp port 179")
    bird = Bird(guests[0], 65001, [Peer(GUESTS[n], 65002, local=HOSTS[n], passive=True) for n in NAMES],
                ROUTES_A, hold_time=9, launcher=gatehouses[0].gaterun()).start()
    frr = Frr(guests[1], 65002, [Peer(HOSTS[n], 65001, local=GUESTS[n]) for n in NAMES],
              ROUTES_B, hold_time=9, launcher=gatehouses[1].gaterun()).start()
    bird.wait_routes(ROUTES_B)
    frr.wait_routes(ROUTES_A)
    before = gatehouses[0].keyed("v4")["installed"]

    def rekeyed():
        bird.birdc("disable static4")
        bird.birdc("enable static4")
        return gatehouses[0].keyed("v4")["installed"] >= before + 3
    wait_for(rekeyed, 60, lambda: "".join(g.tail() for g in gatehouses))
    for name in NAMES:
        assert bird.flaps(GUESTS[name]) == frr.flaps(HOSTS[name]) == 0
        for gatehouse in gatehouses:
            assert gatehouse.session(name)["backend_in_use"] == "kernel"
    assert_none_refused(*gatehouses)
    for guest in guests:
        assert {f: guest.counters()[f] for f in FAILURES} == dict.fromkeys(FAILURES, 0)
    segments = capture.stop()
    assert_signed(segments)
    syns = [s for s in segments if s.flags & (SYN | ACK) == SYN]
    assert len(syns) == len({(s.src, s.sport) for s in syns}), f"a SYN was sent again: {syns}"
