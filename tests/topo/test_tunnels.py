"""GRE and IP in IP, each with a device of its own, under IPsec: routing daemons run through them, and
nothing of it is seen in clear."""

import os
import re

import pytest

from capture import Capture, read_frames
from daemons.frr_router import FrrRouter
from gatehouse import block
from ike import SECRET, IkeGatehouse, child_section, peer_section
from netns import A4, A6, B4, B6
from wait import wait_for

ICMP, UDP, GRE, ESP, ICMPV6 = 1, 17, 47, 50, 58
IN_A, IN_B = "10.99.0.1", "10.99.0.2"
IN6_A, IN6_B = "fd99::1", "fd99::2"


def tunnel_section(name="t1", **options):
    return block(f'tunnel "{name}"', {k.replace("_", "-"): v for k, v in options.items()})


def protocols_of(kind):
    return ("47",) if kind == "gre" else ("4", "41")


class Pair:
    """Gatehouse in a and b, with one tunnel between them."""

    def __init__(self, net, build_dir, kind="gre", mode="transport", v6=False, here=(), there=(), both=(),
                 child=(), **peer):
        self.a, self.b = net.two_routers()
        self.kind, self.mode = kind, mode
        ends = (A6, B6) if v6 else (A4, B4)
        self.ends = ends
        self.one = self._gatehouse(self.a, build_dir, ends, (IN_A, IN6_A), {**dict(both), **dict(here)},
                                   dict(child), peer)
        self.two = self._gatehouse(self.b, build_dir, ends[::-1], (IN_B, IN6_B),
                                   {**dict(both), **dict(there)}, dict(child), peer)

    def _gatehouse(self, host, build_dir, ends, inner, options, child, peer):
        children = [child_section("tunnel", mode=self.mode, start=True, **child,
                                  local_ts=[f"{ends[0]} {p}" for p in protocols_of(self.kind)],
                                  remote_ts=[f"{ends[1]} {p}" for p in protocols_of(self.kind)])]
        if options.get("protect", "peer") is None:
            children = [child_section("other", local_ts="10.55.0.0/24", remote_ts="10.66.0.0/24")]
        text = peer_section(psk_secret=SECRET, children=children, local=ends[0], remote=ends[1], **peer)
        text += tunnel_section(**{"type": self.kind, "local": ends[0], "remote": ends[1],
                                  "protect": "peer", "device": "t1",
                                  "address": [f"{inner[0]}/30", f"{inner[1]}/64"], **options})
        return IkeGatehouse(host, build_dir, text).start()

    def up(self):
        wait_for(lambda: self.ping(1) == 1, 20, lambda: f"the tunnel is up\n{self.one.tail()}"
                 f"{self.two.tail()}{self.one.gatectl('show', 'tunnel').stdout}")
        return self

    def ping(self, count=5, target=IN_B, size=56, options=()):
        done = self.a.run(["ping", "-c", count, "-i", 0.05, "-W", 1, "-s", size, *options, target],
                          check=False)
        return int(re.search(r"(\d+) received", done.stdout)[1])

    @staticmethod
    def tunnel(gatehouse):
        return gatehouse.ask("show", "tunnel")["tunnels"][0]


class Wire:
    """Protocols of the packets on the link, neighbour discovery aside; what they are between the ends."""

    def __init__(self, host):
        self.capture = Capture(host, expression="ip or ip6")

    def packets(self):
        self.capture.stop()
        return [frame[14:] for _, frame in read_frames(self.capture.path)]

    def protocols(self):
        seen = set()
        for packet in self.packets():
            protocol = packet[9] if packet[0] >> 4 == 4 else packet[6]
            if not (packet[0] >> 4 == 6 and protocol in (0, ICMPV6)):
                seen.add(protocol)
        return seen - {UDP}


@pytest.mark.parametrize("v6", [False, True], ids=["over-ipv4", "over-ipv6"])
@pytest.mark.parametrize("mode", ["transport", "tunnel"])
@pytest.mark.parametrize("kind", ["gre", "ipip"])
def test_protected(net, build_dir, kind, mode, v6):
    """Both IP versions inside, of any size, and only ESP on the link."""
    pair = Pair(net, build_dir, kind, mode, v6).up()
    wire = Wire(pair.a)
    assert pair.ping() == 5 and pair.ping(target=IN6_B) == 5
    assert pair.ping(2, size=1200) == 2 and pair.ping(2, size=4000) == 2
    assert pair.ping(2, IN6_B, 4000) == 2
    assert wire.protocols() == {ESP}
    here, there = pair.tunnel(pair.one), pair.tunnel(pair.two)
    assert here["out"]["packets"] >= 16 and there["in"]["drops"] == here["in"]["drops"] == {}
    assert here["protected_by"] == "peer" and here["oper_remote"] == pair.ends[1]
    assert "peer" in pair.one.gatectl("show", "tunnel", "t1").stdout
    assert pair.one.ask("show", "tunnel", "t2")["tunnels"] == []


def test_header(net, build_dir):
    """Keys, checksum, sequence numbers, TTL and DSCP; who has another key hears nothing."""
    pair = Pair(net, build_dir, both={"send_key": 7, "receive_key": 9, "checksum": True, "sequence": "check",
                                      "dscp": 46, "ttl": 10},
                there={"send_key": 9, "receive_key": 7}).up()
    assert pair.ping() == 5
    shown = pair.tunnel(pair.one)
    assert (shown["send_key"], shown["receive_key"], shown["dscp"], shown["ttl"]) == (7, 9, 46, 10)
    pair.two.configure(open_text(pair.two).replace("receive-key = 7", "receive-key = 8"))
    pair.two.reload()
    wait_for(lambda: pair.ping(1) == 0, 10, "another key")
    assert pair.ping(3) == 0


def open_text(gatehouse):
    with open(gatehouse.config_file, encoding="utf-8") as file:
        return file.read()


def test_fails_closed(net, build_dir):
    """Without an SA nothing leaves; what comes in clear is not taken."""
    pair = Pair(net, build_dir).up()
    pair.two.stop()
    wire = Wire(pair.a)
    pair.one.gatectl("ike", "terminate", "peer", "peer")
    assert pair.ping(5) == 0
    # b's kernel sends the same in clear, with the right ends.
    gre = "import socket, sys\n" \
          "s = socket.socket(socket.AF_INET, socket.SOCK_RAW, 47)\n" \
          "s.sendto(bytes.fromhex(sys.argv[2]), (sys.argv[1], 0))\n"
    inner = "45000054000040004001" + "0000" + "0a630002" + "0a630001" + "0800f7ff00000000" + "00" * 56
    before = pair.tunnel(pair.one)["in"]["packets"]
    pair.b.run(["/usr/bin/python3", "-c", gre, A4, "00000800" + inner])
    assert pair.tunnel(pair.one)["in"]["packets"] == before
    clear = [p for p in wire.packets() if p[0] >> 4 == 4 and p[9] == GRE]
    assert len(clear) == 1 and clear[0][12:16] == bytes([10, 77, 0, 2])
    assert pair.tunnel(pair.one)["counts"]["no-sa"] >= 5


def test_ends_of_processes(net, build_dir):
    """`esp` ends: the device stays, with its addresses, and so does the tunnel."""
    pair = Pair(net, build_dir).up()
    before = pair.a.run(["ip", "-o", "address", "show", "dev", "t1"]).stdout
    pair.one.kill("esp")
    wait_for(lambda: pair.ping(1) == 1, 10, "the next one goes on")
    assert pair.a.run(["ip", "-o", "address", "show", "dev", "t1"]).stdout == before
    pair.one.configure(open_text(pair.one).replace(f"{IN6_A}/64", "fd98::1/64"))
    pair.one.reload()
    wait_for(lambda: "fd98::1" in pair.a.run(["ip", "address", "show", "dev", "t1"]).stdout, 10, "the new one")
    assert IN6_A not in pair.a.run(["ip", "address", "show", "dev", "t1"]).stdout
    assert pair.ping() == 5
