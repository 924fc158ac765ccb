"""Juniper's example of an RPKI validation session as docs/examples/juniper-rpki.md has it."""

import json
import re
import shlex

import pytest

from capture import ACK, SYN, Capture
from daemons.frr_router import FrrRouter
from daemons.stayrtr import Stayrtr
from juniper import Pair
from pages import Page
from scenario import assert_verified
from wait import wait_for

PAGE = Page("examples/juniper-rpki.md")
R1, R2 = "192.168.12.1", "192.168.12.2"
VRPS = {(roa["prefix"], roa["maxLength"], roa["asn"])
        for roa in json.loads(PAGE.file("r2/vrps.json"))["roas"]}


class PageStayrtr(Stayrtr):
    """Started with the page's options."""

    def arguments(self):
        self.write("vrps.json", PAGE.file("r2/vrps.json"))
        options = re.fullmatch(r"STAYRTR_ARGS=(.*)\n", PAGE.file("r2/stayrtr"))[1]
        return ["stayrtr", *(self.path("vrps.json") if word == "/etc/stayrtr/vrps.json" else word
                             for word in shlex.split(options))]


@pytest.fixture
def pair(net, build_dir):
    return Pair(net, build_dir, PAGE, ("to_servers", "to_dut"),
                lambda host, text: FrrRouter(host, ["bgpd -M rpki"], text))


def start(pair):
    """The cache, and once it listens the router."""
    r1, r2 = pair.routers
    for router in pair.routers:
        router.gatehouse.start()
    r2.frr.start()
    wait_for(lambda: R2 in r2.host.run(["ip", "address"]).stdout, 10, "zebra has set the address")
    server = PageStayrtr(r2.host).start()
    r1.frr.start()
    wait_for(lambda: prefixes(r1) == VRPS, 30, lambda: f"{VRPS}; there are {prefixes(r1)}")
    return server


def prefixes(router):
    """The VRPs that FRR has."""
    return {(f"{p['prefix']}/{p['prefixLenMin']}", p["prefixLenMax"], p["asn"])
            for p in router.frr.ask("show rpki prefix-table").get("prefixes", [])}


def assert_on_the_wire(pair, capture, from_r1, from_r2):
    """Signed with these KeyIDs all the time, on one connection, which R1 opened."""
    segments = assert_verified(pair.routers[0].gatehouse, capture)
    assert {s.ao[0] for s in segments if s.src == R1} == from_r1
    assert {s.ao[0] for s in segments if s.src == R2} == from_r2
    assert {(s.src, s.sport) for s in segments if s.flags & (SYN | ACK) == SYN} == {
        (R1, segments[0].sport)}


def test_verification(pair):
    """All that the page's commands print, and the option on the wire."""
    capture = Capture(pair.routers[0].host, expression="tcp port 8282")
    server = start(pair)
    for router in pair.routers:
        router.check()
    assert server.accepted() == 1
    assert_on_the_wire(pair, capture, {1}, {2})


def test_next_key(pair):
    """The document's two keys one after the other, while VRPs change: the session stays."""
    for router in pair.routers:
        router.start_key_1(3600)
    capture = Capture(pair.routers[0].host, expression="tcp port 8282")
    server = start(pair)
    count = 0

    def traffic():
        nonlocal count
        count += 1
        server.serve(VRPS | {("203.0.113.0/24", 24, 65000 + count)})
    pair.roll_over(traffic)
    wait_for(lambda: prefixes(pair.routers[0]) == server.vrps, 20, "the last VRPs have come")
    assert server.accepted() == 1
    assert_on_the_wire(pair, capture, {3, 1}, {8, 2})
