"""Juniper's BGP example as docs/examples/juniper-bgp.md has it."""

import pytest

from capture import Capture
from daemons.frr_router import FrrRouter
from juniper import Pair
from pages import Page
from scenario import assert_verified
from wait import wait_for

PAGE = Page("examples/juniper-bgp.md")
R1, R2 = "192.0.2.1", "192.0.2.2"


@pytest.fixture
def pair(net, build_dir):
    return Pair(net, build_dir, PAGE, ("r2", "r1"),
                lambda host, text: FrrRouter(host, ["bgpd"], text))


def neighbours(pair):
    """Each router's view of the other."""
    return [router.frr.ask(f"show bgp neighbors {peer}")[peer]
            for router, peer in zip(pair.routers, (R2, R1))]


def wait_established(pair):
    wait_for(lambda: all(n["bgpState"] == "Established" for n in neighbours(pair)), 60,
             lambda: f"BGP is established; {[n['bgpState'] for n in neighbours(pair)]}")


def test_verification(pair):
    """All that the page's commands print, and the option on the wire."""
    capture = Capture(pair.routers[0].host, expression="tcp port 179")
    pair.start()
    wait_established(pair)
    for router in pair.routers:
        router.check()
    assert [n["connectionsDropped"] for n in neighbours(pair)] == [0, 0]
    segments = assert_verified(pair.routers[0].gatehouse, capture)
    assert {s.ao[0] for s in segments if s.src == R1} == {1}
    assert {s.ao[0] for s in segments if s.src == R2} == {2}


def test_next_key(pair):
    """The document's two keys one after the other: the session stays."""
    for router in pair.routers:
        router.start_key_1(3600)
    capture = Capture(pair.routers[0].host, expression="tcp port 179")
    pair.start()
    wait_established(pair)
    pair.roll_over(lambda: [r.frr.vtysh("-c", "clear bgp * soft") for r in pair.routers])
    assert [n["connectionsDropped"] for n in neighbours(pair)] == [0, 0]
    segments = assert_verified(pair.routers[0].gatehouse, capture)
    assert {s.ao[0] for s in segments if s.src == R1} == {3, 1}
    assert {s.ao[0] for s in segments if s.src == R2} == {8, 2}
