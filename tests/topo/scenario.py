"""What the tests of protected sessions share: two routers, and what must be true of them.

Gatehouse stands on both, its configurations mirror each other; the chain is called core and the
sessions v4 and v6.
"""

import datetime

from daemons import Peer
from gatehouse import Gatehouse, Key, key_chain, tcp_ao
from netns import A4, A6, B4, B6
from wait import wait_for

ROUTES_A = ["192.0.2.0/24", "2001:db8:a::/48"]
ROUTES_B = ["198.51.100.0/24", "2001:db8:b::/48"]
KEY = Key(1, "correct horse battery staple", send_id=3, recv_id=8)


def stamp(offset):
    """The time so many seconds from now, as the configuration writes it."""
    when = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=offset)
    return when.strftime("%Y-%m-%dT%H:%M:%SZ")


def lifetime(start, end=None):
    """From so many seconds from now to so many; for Key.options."""
    return {"lifetime": f"{stamp(start)}/{stamp(end) if end is not None else 'infinite'}"}


def swapped(keys):
    return [key.swapped() for key in keys]


def config(keys, peers, tolerance=60, **session):
    """A configuration with one chain and a session a peer: {"v4": "10.77.0.2"}."""
    return key_chain("core", keys, tolerance=tolerance) + "".join(
        tcp_ao(name, peer, "core", **session) for name, peer in peers.items())


def both_ends(a, b, build_dir, keys=(KEY,), tolerance=60, **session):
    """Gatehouse started on both routers, for the sessions v4 and v6."""
    one = Gatehouse(a, build_dir, config(keys, {"v4": B4, "v6": B6}, tolerance, **session))
    two = Gatehouse(b, build_dir, config(swapped(keys), {"v4": A4, "v6": A6}, tolerance, **session))
    return one.start(), two.start()


def peers_of_a(asn=65002, **options):
    return [Peer(B4, asn, local=A4, **options), Peer(B6, asn, local=A6, **options)]


def peers_of_b(asn=65001, passive=True, **options):
    """b waits to be called: where both call at once, BGP's own collision detection (RFC 4271 6.8) now
    and then ends a session that was already up, and what counts flaps would count that."""
    return [Peer(A4, asn, local=B4, passive=passive, **options),
            Peer(A6, asn, local=B6, passive=passive, **options)]


def wait_both_up(one, two):
    """one in a and two in b, with a session of each address family."""
    for daemon, addresses in ((one, (B4, B6)), (two, (A4, A6))):
        for address in addresses:
            daemon.wait_established(address)


def assert_no_flap(*sessions):
    """No session, each a daemon and its peer, has ever left Established."""
    for daemon, peer in sessions:
        flaps = daemon.flaps(peer)
        assert flaps == 0, f"{daemon.kind} lost {peer} {flaps} times: {daemon.why_down(peer)}"


def assert_signed(segments):
    """Every segment carries TCP-AO and none the MD5 option."""
    assert segments, "nothing was captured"
    bare = [s for s in segments if s.ao is None]
    assert not bare, f"{len(bare)} of {len(segments)} segments without TCP-AO, first: {bare[0]}"


def assert_verified(gatehouse, capture):
    """verify-pcap agrees with every segment that was on the wire."""
    segments = capture.stop()
    assert_signed(segments)
    sums = gatehouse.verify(capture.path)
    assert sums["failed"] == 0 and sums["unsigned"] == 0 and sums["incomplete"] == 0, sums
    assert sums["verified"] == len(segments), sums
    return segments


def assert_none_refused(*ends, names=("v4", "v6")):
    for gatehouse in ends:
        for name in names:
            assert gatehouse.refused(name) == 0, gatehouse.counters(name)


def wait_cause(gatehouse, peer, cause, timeout=30):
    """`explain` comes to name this cause first."""
    wait_for(lambda: gatehouse.causes(peer)[:1] == [cause], timeout,
             lambda: f"explain {peer} says {cause}; it says\n"
                     f"{gatehouse.gatectl('explain', peer).stdout}{gatehouse.tail()}")
