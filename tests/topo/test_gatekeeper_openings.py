"""Who opens a keyed BGP session: the one end, the other, or both at the same moment."""

import pytest

from capture import ACK, SYN, Capture
from daemons import Bird, Frr, Gobgp, Openbgpd, Peer
from keyed import AT_A, AT_B, KeyedGatehouse, keyed_config, keyed_ends, seen
from netns import A4, A6, B4, B6
from relay import Relay
from scenario import ROUTES_A, ROUTES_B, assert_none_refused, assert_signed, wait_both_up
from wait import wait_for


def syns(segments):
    return [s for s in segments if s.flags & (SYN | ACK) == SYN]


class OneEndOpens:
    """IPv4 is opened from the left, IPv6 from the right; the other daemon only listens."""

    def __init__(self, net, build_dir, left, right):
        a, b = net.namespace(f"{left.kind}-a"), net.namespace(f"{right.kind}-b")
        net.link(a, b, (f"{A4}/24", f"{B4}/24"), (f"{A6}/64", f"{B6}/64"))
        self.capture = Capture(a)
        self.ends = keyed_ends(a, b, build_dir)
        self.one = left(a, 65001, [Peer(B4, 65002, local=A4), Peer(B6, 65002, local=A6, passive=True)],
                        ROUTES_A, listen=[A4, A6])
        self.two = right(b, 65002, [Peer(A4, 65001, local=B4, passive=True), Peer(A6, 65001, local=B6)],
                         ROUTES_B, listen=[B4, B6])
        for daemon in sorted((self.one, self.two), key=lambda d: d.kind == "openbgpd"):
            daemon.start()  # OpenBGPD last: where nobody listens yet it tries again after long

    def check(self):
        wait_both_up(self.one, self.two)
        self.one.wait_routes(ROUTES_B)
        self.two.wait_routes(ROUTES_A)
        for gatehouse, active in zip(self.ends, ("v4", "v6")):
            for name in ("v4", "v6"):
                gatehouse.wait_up(name)
                connection = gatehouse.connection(name)
                assert connection["protected"]
                assert connection["type"] == ("active" if name == active else "passive")
                # whose SYN waited has asked for the key
                key, = gatehouse.keyed(name)["keys"]
                assert key["initiator"] == ("we" if name == active else "peer")
        assert_none_refused(*self.ends)
        segments = self.capture.stop()
        assert_signed(segments)
        assert {s.src for s in syns(segments)} == {A4, B6}
        assert self.one.flaps(B4) == self.two.flaps(A6) == 0
        for daemon, version in ((self.one, "4"), (self.two, "6")):
            seen(self.one, self.two, opened=daemon.title, versions=version, also="the other end is passive")


@pytest.mark.parametrize("one, other", [(Frr, Bird), (Gobgp, Openbgpd)], ids=lambda c: c.kind)
def test_one_end_opens(net, build_dir, one, other):
    """Each daemon opens and is opened to, over IPv4 and IPv6: two pairs of routers side by side."""
    pairs = [OneEndOpens(net, build_dir, one, other), OneEndOpens(net, build_dir, other, one)]
    for pair in pairs:
        pair.check()


def key_ids(gatehouse, name, states):
    """(SendID, RecvID) of the session's keys in one of these states."""
    return {(k["send_id"], k["recv_id"]) for k in gatehouse.keyed(name)["keys"] if k["state"] in states}


def same_keys(ends, name, *states):
    """How many keys both ends have in these states; 0 where they do not agree."""
    left, right = (key_ids(end, name, states) for end in ends)
    return len(left) if left == {(send, recv) for recv, send in right} else 0


@pytest.mark.parametrize("left, right, family, rekey",
                         [(Frr, Bird, "v4", 10), (Gobgp, Bird, "v6", None), (Openbgpd, Frr, "v4", None)])
def test_both_ends_open_at_once(net, build_dir, left, right, family, rekey):
    """On a wire that waits, first for IKE and then for TCP: both ends have begun an IKE SA before
    either has heard of the other's, and both SYNs are under way before either arrives."""
    a, b = net.namespace("a"), net.namespace("b")
    wire = Relay(net, a, b, ((f"{A4}/24", f"{B4}/24"), (f"{A6}/64", f"{B6}/64")))
    address_a, address_b = AT_A[family]
    routes_a, routes_b = ([routes[family == "v6"]] for routes in (ROUTES_A, ROUTES_B))
    a.run(["ping", "-c", "1", "-W", "5", address_b])  # each knows where the other is
    here, there = Capture(a), Capture(b)
    ends = [KeyedGatehouse(host, build_dir, keyed_config(at, (family,), rekey=rekey)).start()
            for host, at in ((a, AT_A), (b, AT_B))]
    wire.hold()
    one = left(a, 65001, [Peer(address_b, 65002, local=address_a)], routes_a,
               listen=[address_a]).start()
    two = right(b, 65002, [Peer(address_a, 65001, local=address_b)], routes_b,
                listen=[address_b]).start()
    wire.wait_held(timeout=20)
    assert not syns(here.segments() + there.segments()), "a SYN left before there was a key"
    wire.release_but_tcp()
    wire.wait_held(timeout=20)
    for capture, address in ((here, address_a), (there, address_b)):
        wait_for(lambda: {s.src for s in syns(capture.segments())} == {address}, 5,
                 "its own SYN alone")
    began = [sa["role"] for end in ends for sa in end.ask("show", "ike", "sa")["sas"]]
    assert sorted(began) == ["initiator", "initiator", "responder", "responder"], began
    wire.release()

    def keys():
        return f"keys {[end.keyed(family)['keys'] for end in ends]}"
    # Both made a key at once: each is there at both ends, and what they agree on is used.
    wait_for(lambda: same_keys(ends, family, "live", "replaced", "leaving") == 2, 5, keys)
    one.wait_established(address_b, timeout=60)
    two.wait_established(address_a)
    one.wait_routes(routes_b)
    two.wait_routes(routes_a)
    for end in ends:
        end.wait_up(family)
    # BGP's own collision detection (RFC 4271 6.8) may have ended one that was up until here.
    flaps = one.flaps(address_b), two.flaps(address_a)
    if rekey:
        # Then one takes the place of both.
        ends[0].wait_rekeyed(family)
        wait_for(lambda: same_keys(ends, family, "live") == 1, 30, keys)
    assert_none_refused(*ends, names=(family,))
    assert_signed(here.stop())
    assert_signed(there.stop())
    assert (one.flaps(address_b), two.flaps(address_a)) == flaps
    seen(one, two, opened="both at once", versions=family[1],
         also="IKE_SA_INITs cross, then SYNs" + (", then one key takes the place of both" if rekey else ""))
