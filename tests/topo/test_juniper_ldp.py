"""Juniper's LDP example as docs/examples/juniper-ldp.md has it."""

import itertools

import pytest

from capture import ACK, SYN, Capture
from daemons.frr_ldp import FrrLdp
from juniper import Pair
from pages import Page
from scenario import assert_verified

PAGE = Page("examples/juniper-ldp.md")
R1, R2 = "192.168.0.11", "192.168.0.12"


@pytest.fixture
def pair(net, build_dir):
    return Pair(net, build_dir, PAGE, ("ldp-r2", "ldp-r1"), lambda host, text: FrrLdp(
        host, {"r1": R1, "r2": R2}[host.label], text=text))


def wait_operational(pair):
    """With the timers of the page: OSPF's hellos are 10 s apart, ldpd tries again after 15 s."""
    for router, peer in zip(pair.routers, (R2, R1)):
        router.frr.wait_operational(peer, 90)


def flaps(pair):
    return [router.frr.flaps(peer) for router, peer in zip(pair.routers, (R2, R1))]


def test_verification(pair):
    """All that the page's commands print, and the option on the wire; r2 opens."""
    capture = Capture(pair.routers[0].host, expression="tcp port 646")
    pair.start()
    wait_operational(pair)
    for router in pair.routers:
        router.check()
    assert flaps(pair) == [0, 0]
    segments = assert_verified(pair.routers[0].gatehouse, capture)
    assert {s.ao[0] for s in segments if s.src == R1} == {1}
    assert {s.ao[0] for s in segments if s.src == R2} == {2}
    assert {s.src for s in segments if s.flags & (SYN | ACK) == SYN} == {R2}


def test_next_key(pair):
    """The document's two keys one after the other: the session stays."""
    for router in pair.routers:
        router.start_key_1(3600)
    capture = Capture(pair.routers[0].host, expression="tcp port 646")
    pair.start()
    wait_operational(pair)
    words = itertools.cycle(("add", "del"))

    def traffic():
        """A network comes or goes at each router, and its label with it."""
        word = next(words)
        for number, router in enumerate(pair.routers, 1):
            router.host.run(["ip", "address", word, f"198.51.100.{number}/32", "dev", "lo"])
    pair.roll_over(traffic)
    assert flaps(pair) == [0, 0]
    segments = assert_verified(pair.routers[0].gatehouse, capture)
    assert {s.ao[0] for s in segments if s.src == R1} == {3, 1}
    assert {s.ao[0] for s in segments if s.src == R2} == {8, 2}
