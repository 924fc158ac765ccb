"""Keys by IKE on the kernel's own TCP-AO: a stock daemon under gaterun in the lab kernel, whose sockets
get the negotiated keys; on the host a daemon as it is, and Gatehouse's engine with the other half."""

import pytest

from capture import ACK, SYN, Capture
from daemons import Bird, Frr, Peer
from ike import SECRET, peer_section
from interop import end, seen
from keyed import KeyedGatehouse, keyed_config, keyed_session
from scenario import ROUTES_A, ROUTES_B, assert_none_refused, assert_signed
from test_kernel_end_to_end import GUESTS, HOSTS, THERE, USERS, sockets, wait_new
from test_labkernel import FAILURES, lab  # noqa: F401
from wait import stays, wait_for

NAMES = ("v4", "v6")
INSIDE = {name: (GUESTS[name], HOSTS[name]) for name in NAMES}
OUTSIDE = {name: (HOSTS[name], GUESTS[name]) for name in NAMES}


class Site:
    """Gatehouse in the guest, with the kernel backend, and on the host, with the engine."""

    def __init__(self, lab, build_dir, backend="kernel", outside=True, **session):  # noqa: F811
        self.lab = lab
        self.inside = KeyedGatehouse(
            lab.guest, build_dir, USERS + keyed_config(INSIDE, backend=backend, **session)).start()
        self.outside = KeyedGatehouse(lab.host, build_dir, keyed_config(OUTSIDE, **session))
        if outside:
            self.outside.start()
        self.capture = Capture(lab.host, "tap0", "tcp port 179")

    def daemons(self, guest=Frr, host=Bird, opener=None):
        """opener: "guest", "host" or None; the other is there first."""
        self.guest = guest(
            self.lab.guest, 65002,
            [Peer(HOSTS[n], 65001, local=GUESTS[n], passive=opener == "host") for n in NAMES],
            ROUTES_B, listen=GUESTS.values(), hold_time=9, launcher=self.inside.gaterun())
        self.host = host(
            self.lab.host, 65001,
            [Peer(GUESTS[n], 65002, local=HOSTS[n], passive=opener == "guest") for n in NAMES],
            ROUTES_A, hold_time=9)
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

    def detail(self):
        return "".join(g.gatectl("show", "gatekeeper", "detail", check=False).stdout + g.tail()
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
