"""Several requests of an IKE SA at a time (RFC 7296 2.3), by what is on the wire: between Gatehouses, and
with strongSwan, which takes one at a time and is never sent two.
"""

import struct

import pytest

from capture import Capture, read_frames
from ike import (NET_A, SECRET, IkeGatehouse, child_section, peer_section, section)
from netns import A4, B4
from test_ike_strongswan import Tunnel, child, connection
from wait import wait_for

WINDOW = 8
CHILDREN = 12
UDP = 17
REQUEST, RESPONSE = 0, 0x20


def messages(path):
    """(sender, SPIi, flags, Message ID) of what is sealed, in the order in which it was on the wire."""
    for _, frame in read_frames(path):
        packet = frame[14:]
        if struct.unpack_from("!H", frame, 12)[0] != 0x0800 or packet[9] != UDP:
            continue
        octets = packet[(packet[0] & 15) * 4 + 8:]
        if octets[:4] == bytes(4):
            octets = octets[4:]
        if len(octets) < 28:
            continue
        spi, _, _, _, exchange, flags, number = struct.unpack_from("!8s8sBBBBI", octets)
        if exchange != 34:
            yield packet[12:16], spi, flags & RESPONSE, number


def most_at_a_time(path):
    """How far a request was ahead of the oldest one without an answer, by (sender, SPIi)."""
    asked, answered, most = {}, {}, {}
    for sender, spi, kind, number in messages(path):
        if kind == REQUEST:
            sa = sender, spi
            asked.setdefault(sa, set()).add(number)
            waiting = asked[sa] - answered.get(sa, set())
            if number in waiting:
                most[sa] = max(most.get(sa, 0), number - min(waiting) + 1)
        else:
            for sa, numbers in asked.items():
                if sa[1] == spi and sa[0] != sender and number in numbers:
                    answered.setdefault(sa, set()).add(number)
    return most


def numbered(local, remote):
    return [child_section(f"net{i}", f"{local}.{i}.0/24", f"{remote}.{i}.0/24")
            for i in range(CHILDREN)]


def policy(window):
    return section('ike-policy "several"', window=window)


def ends(net, build_dir, window_a, window_b):
    a, b = net.two_routers()
    one = IkeGatehouse(a, build_dir, policy(window_a) + peer_section(
        children=numbered("10.1", "10.2"), psk_secret=SECRET, ike_policy="several")).start()
    two = IkeGatehouse(b, build_dir, policy(window_b) + peer_section(
        children=numbered("10.2", "10.1"), remote=A4, local=B4, psk_secret=SECRET,
        ike_policy="several")).start()
    return a, b, one, two


def windows(gatehouse):
    sa, = gatehouse.list_sas()
    return sa["window"], sa["peer_window"]


@pytest.mark.parametrize("window_a, window_b", [(WINDOW, WINDOW), (WINDOW, 3), (1, WINDOW)])
def test_many_children(net, build_dir, window_a, window_b):
    a, _, one, two = ends(net, build_dir, window_a, window_b)
    wire = Capture(a, expression="udp")
    for i in range(CHILDREN):
        one.gatectl("ike", "initiate", "peer", f"net{i}")
    one.wait_sas(1, CHILDREN)
    two.wait_sas(1, CHILDREN)
    assert windows(one) == (window_a, window_b) and windows(two) == (window_b, window_a)
    # All of one IKE SA together: its successor has them, and rekeys each of them. Who takes one at a time
    # says nothing of it there, and hears of the other's with whatever it asks next.
    again = {(window_a, window_b), (window_a, window_b if window_a > 1 else 1)}
    before = one.list_sas()[0]
    one.gatectl("ike", "rekey", "sa", str(before["id"]))
    wait_for(lambda: [sa["spi_i"] for sa in one.list_sas()] not in ([before["spi_i"]], []) and
             windows(one) in again, 10, "the new SA has the same windows")
    old = {c["id"] for c in one.ask("show", "ike", "child")["children"]}
    for number in old:
        one.gatectl("ike", "rekey", "child", str(number))
    wait_for(lambda: old.isdisjoint(c["id"] for c in one.ask("show", "ike", "child")["children"]), 10,
             "all are rekeyed")
    one.wait_sas(1, CHILDREN)
    two.wait_sas(1, CHILDREN)
    wire.stop()
    most = most_at_a_time(wire.path)
    assert most and max(most.values()) <= min(window_a, window_b)


def test_they_go_together(net, build_dir):
    """While the peer is deaf, as many requests are on their way as its window takes, and no more."""
    a, b, one, two = ends(net, build_dir, WINDOW, WINDOW)
    one.gatectl("ike", "initiate", "peer", "net0")
    two.wait_sas(1, 1)
    wire = Capture(a, expression="udp")
    deaf = ["INPUT", "-p", "udp", "-j", "DROP"]
    b.run(["iptables", "-I", *deaf])
    for i in range(1, CHILDREN):
        one.gatectl("ike", "initiate", "peer", f"net{i}")
    wait_for(lambda: max(most_at_a_time(wire.path).values(), default=0) == WINDOW, 10, "all are out")
    b.run(["iptables", "-D", *deaf])
    one.wait_sas(1, CHILDREN, timeout=20)
    two.wait_sas(1, CHILDREN)
    wire.stop()
    assert max(most_at_a_time(wire.path).values()) == WINDOW


@pytest.mark.parametrize("opener", ["gatehouse", "strongswan"])
def test_strongswan_takes_one_at_a_time(net, build_dir, opener):
    tunnel = Tunnel(net, build_dir)
    names = [f"net{i}" for i in range(3)]
    config = policy(WINDOW) + peer_section(
        children=[child_section(name, remote_ts=f"10.2.{i}.0/24") for i, name in enumerate(names)],
        psk_secret=SECRET, ike_policy="several")
    for i in range(1, 3):
        tunnel.b.add_address("lo", f"10.2.{i}.1/32")
    tunnel.start(config, connection(children={
        name: child(local_ts=f"10.2.{i}.0/24", remote_ts=NET_A) for i, name in enumerate(names)}))
    wire = Capture(tunnel.a, expression="udp")
    for name in names:
        tunnel.open(opener, name)
    tunnel.same(1, 3)
    assert windows(tunnel.gatehouse) == (WINDOW, 1)
    for who in "gatehouse", "strongswan":
        before = tunnel.gatehouse.list_sas()[0]
        if who == "gatehouse":
            tunnel.gatehouse.gatectl("ike", "rekey", "sa", str(before["id"]))
        else:
            tunnel.swan.rekey(ike="gw")
        wait_for(lambda: [sa["spi_i"] for sa in tunnel.gatehouse.list_sas()] not in
                 ([before["spi_i"]], []), 10, "the IKE SA is rekeyed")
        tunnel.same(1, 3)
        old = {c["id"] for c in tunnel.gatehouse.ask("show", "ike", "child")["children"]}
        for number in old:
            tunnel.gatehouse.gatectl("ike", "rekey", "child", str(number))
        wait_for(lambda: old.isdisjoint(
            c["id"] for c in tunnel.gatehouse.ask("show", "ike", "child")["children"]), 10,
            "all are rekeyed")
        tunnel.same(1, 3)
    wire.stop()
    assert set(most_at_a_time(wire.path).values()) == {1}
