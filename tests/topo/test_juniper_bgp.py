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


@pytest.mark.parametrize("old, new, rule", [
    ("send-id = 1\n", "send-id = 5\n", "key-in-use"), ("recv-id = 2\n", "recv-id = 5\n", "key-in-use"),
    ("aes-128-cmac-96", "hmac-sha-256-128", "key-in-use"),
    ("key 1 {", "key 2 {", "chain-in-use")], ids=["send-id", "recv-id", "algorithm", "chain"])
def test_chain_in_use(pair, old, new, rule):
    """What the document's notes forbid is refused, and the session does not notice."""
    pair.start()
    wait_established(pair)
    router = pair.routers[0]
    text = PAGE.file("r1/gatehouse.conf")
    assert text.count(old) == 1
    text = text.replace(old, new)
    if rule == "chain-in-use":
        text = text.replace("new_auth_key", "another_key")
    router.gatehouse.configure(text)
    done = router.gatectl("reload", check=False)
    assert done.returncode != 0 and f"[{rule}]" in done.stderr, done
    assert router.gatehouse.session("r2")["key_chain"] == "new_auth_key"
    assert router.gatehouse.keys("r2") == (1, 1)
    assert [n["connectionsDropped"] for n in neighbours(pair)] == [0, 0]
