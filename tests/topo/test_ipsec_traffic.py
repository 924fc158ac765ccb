"""What the SAs of a child do with packets beside protecting them: the replay window, filling up (traffic flow
confidentiality), DSCP and ECN of the outer header; the user-space plane, against itself and strongSwan."""

import struct

import pytest

import netns
from capture import Capture, read_frames
from daemons.strongswan import StrongSwan
from ike import NET_A, NET_B, SECRET, IkeGatehouse, child_section, peer_section, section
from netns import A4, B4
from tamper import Tamper
from test_ipsec import HOST_A, HOST_B, ping, sas, transfer
from test_ipsec_attacks import Dropped, Packet
from wait import wait_for

TOS = 12 << 2 | 1  # of the pings: AF12, ECT(1)
EF = 46
WINDOW = 64


class Sites:
    """Gatehouse in a, with the settings of a test; another with the defaults in b."""

    def __init__(self, net, build_dir):
        self.build_dir = build_dir
        self.a, self.b = net.namespace("one"), net.namespace("two")  # beside those of test_strongswan
        self.wire = Tamper(net, self.a, self.b, ((f"{A4}/24", f"{B4}/24"),))
        for host, address in ((self.a, HOST_A), (self.b, HOST_B)):
            host.add_address("lo", f"{address}/32")
        self.one = IkeGatehouse(self.a, build_dir, self.text()).start()
        self.two = IkeGatehouse(self.b, build_dir, peer_section(
            psk_secret=SECRET, local=B4, remote=A4,
            children=[child_section(local_ts=NET_B, remote_ts=NET_A)])).start()

    @staticmethod
    def text(**child):
        esn = section('ipsec-transform "t"', encryption=["aes-128-gcm", "aes-256-gcm"], esn=["no"])
        return esn + peer_section(psk_secret=SECRET, children=[
            child_section(local_ts=NET_A, remote_ts=NET_B, ipsec_transform=["t"], **child)])

    def set(self, **child):
        """A reload; the next Child SA has it."""
        self.one.configure(self.text(**child))
        said = self.one.reload()
        self.one.gatectl("ike", "terminate", "peer", "peer", check=False)
        self.one.wait_sas(0)
        self.two.wait_sas(0)
        self.one.gatectl("ike", "initiate", "peer")
        self.one.wait_sas(1, 1)
        self.two.wait_sas(1, 1)
        return said

    def sa(self):
        one, = sas(self.one)
        return one


@pytest.fixture(scope="module")
def sites(build_dir):
    net = netns.Net()
    yield Sites(net, build_dir)
    net.destroy()


def tos_of(frames, source):
    """(TOS, length of the IP packet) of what has this source."""
    return [(frame[15], struct.unpack_from("!H", frame, 16)[0]) for _, frame in frames
            if frame[12:14] == b"\x08\x00" and frame[26:30] == bytes(map(int, source.split(".")))]


def seen(capture, source, count):
    """As tos_of(), when so many are there."""
    wait_for(lambda: len(tos_of(read_frames(capture.path), source)) >= count, 10, f"{count} packets of {source}")
    capture.stop()
    return tos_of(read_frames(capture.path), source)


def pings(host, source, target):
    for size in (0, 56, 700):
        done = host.run(["ping", "-c", 1, "-W", 5, "-Q", TOS, "-s", size, "-I", source, target])
        assert " 0% packet loss" in done.stdout


def test_defaults(sites):
    """The outer header has the DSCP and ECN field of the packet inside, and its length tells."""
    sites.set()
    assert sites.sa()["traffic"] == {"replay_window": 1024, "tfc_padding": "off", "dscp": "copy",
                                     "copy_dscp_in": False, "ecn": "copy"}
    wire = Capture(sites.b, "eth0", "esp")
    pings(sites.a, HOST_A, HOST_B)
    found = seen(wire, A4, 3)
    assert {tos for tos, _ in found} == {TOS}
    assert len({length for _, length in found}) == 3


def test_outer_header(sites):
    """DSCP by the configuration, no ECN; and of what comes in the DSCP outside counts."""
    sites.set(dscp=EF, ecn="off", copy_dscp_in=True)
    traffic = sites.sa()["traffic"]
    assert (traffic["dscp"], traffic["ecn"], traffic["copy_dscp_in"]) == (EF, "off", True)
    wire = Capture(sites.b, "eth0", "esp", name="wire")
    inside = Capture(sites.b, "gh-ipsec0", "icmp", name="inside")
    pings(sites.a, HOST_A, HOST_B)
    assert {tos for tos, _ in seen(wire, A4, 3)} == {EF << 2}
    assert {tos for tos, _ in seen(inside, HOST_A, 3)} == {TOS}, "the packets inside are as they were"

    def mark(side, frame):
        packet = Packet.of(frame)
        if side != "right" or packet is None:
            return None
        outer = packet.outer[:1] + bytes([34 << 2 | packet.outer[1] & 3]) + packet.outer[2:]
        return [packet.with_outer(outer).frame()]
    inside = Capture(sites.a, "gh-ipsec0", "icmp")
    with sites.wire.doing(mark):
        pings(sites.a, HOST_A, HOST_B)
    assert {tos for tos, _ in seen(inside, HOST_B, 3)} == {34 << 2 | TOS & 3}


@pytest.mark.parametrize("tfc", [1000, "mtu"])
def test_filled_up(sites, tfc):
    """All packets have one length, and none that a fragment would have; the stream beside is whole."""
    sites.set(tfc_padding=tfc, ip_mtu=1300)
    assert sites.sa()["traffic"]["tfc_padding"] == tfc
    wire = Capture(sites.b, "eth0", "esp")
    pings(sites.a, HOST_A, HOST_B)
    lengths = {length for _, length in seen(wire, A4, 3)}
    assert len(lengths) == 1
    inside = 1000 if tfc == 1000 else 1300
    assert inside + 50 < lengths.pop() < inside + 70
    transfer(sites.b, sites.a, HOST_B, HOST_A)
    sites.one.kill("esp")  # the next one has room to fill up, too
    wait_for(lambda: ping(sites.a, HOST_A, HOST_B, 1) == 1, 10, "the next one carries")
    assert sites.one.ask("show", "ipsec", "counters")["out"]["no-room"] == 0


def held_back(sites, count):
    """One packet of b's that comes when `count` others have: what became of it, beside those."""
    held, dropped = [], Dropped(sites.one)

    def hold(side, frame):
        packet = Packet.of(frame)
        if side == "right" and packet and not held:
            held.append(frame)
            return []
        return None
    with sites.wire.doing(hold):
        sites.b.run(["ping", "-c", 1, "-W", 0.2, "-I", HOST_B, HOST_A], check=False)
        wait_for(lambda: held, 5, "a packet is held")
    before = sites.sa()["in"]["sequence"]
    sites.b.run(["ping", "-c", count, "-f", "-i", 0.002, "-I", HOST_B, HOST_A], check=False)
    wait_for(lambda: sites.sa()["in"]["sequence"] >= before + count, 10, "the others came")
    packets = sites.sa()["in"]["packets"]
    sites.wire.inject("right", held[0])
    wait_for(lambda: dropped.now() or sites.sa()["in"]["packets"] > packets, 10, "it came")
    return dropped.now()


def test_window(sites):
    """What is later than the window is dropped; with a longer one it is taken; without one all is."""
    sites.set(replay_window=WINDOW)
    assert sites.sa()["traffic"]["replay_window"] == WINDOW
    assert held_back(sites, WINDOW + 8) == {"old": 1}
    assert held_back(sites, WINDOW - 8) == {}
    sites.set(replay_window=8192)
    assert held_back(sites, WINDOW + 8) == {}


def test_no_window(sites):
    """Only in so many words, and with a warning: then a packet is taken twice."""
    said = sites.set(replay_window="off")
    assert "taken again" in str(said) + sites.one.tail()
    sent = []

    def twice(side, frame):
        if side == "right" and Packet.of(frame):
            sent.append(frame)
            return [frame, frame]
        return None
    before, dropped = sites.sa()["in"]["packets"], Dropped(sites.one)
    with sites.wire.doing(twice):
        ping(sites.b, HOST_B, HOST_A, 1)
        wait_for(lambda: sites.sa()["in"]["packets"] == before + 2 * len(sent), 10, "both are taken")
    assert dropped.now() == {}


def test_reload_says_when_it_counts(sites):
    """What is set stays for the SA that is there, and counts from the next on."""
    sites.set()
    sites.one.configure(sites.text(dscp=10))
    sites.one.reload()
    sites.one.wait_said('dscp of the child "net" count from the next Child SA on')
    assert sites.sa()["traffic"]["dscp"] == "copy"
    sites.one.gatectl("ike", "rekey", "child", str(sites.sa()["id"]))
    wait_for(lambda: [sa["traffic"]["dscp"] for sa in sas(sites.one) if sa["state"] == "installed"] == [10],
             10, "the next Child SA has it")


def test_strongswan(net, build_dir):
    """strongSwan's libipsec takes what is filled up; window and DSCP are ours alone."""
    a, b = net.two_routers()
    a.add_address("lo", f"{HOST_A}/32")
    b.add_address("lo", f"{HOST_B}/32")
    gatehouse = IkeGatehouse(a, build_dir, peer_section(psk_secret=SECRET, children=[child_section(
        replay_window=WINDOW, tfc_padding=1200, dscp=EF)])).start()
    swan = StrongSwan(b, {"gw": {
        "version": 2, "local_addrs": B4, "remote_addrs": A4, "proposals": "aes256gcm16-prfsha256-x25519",
        "local": {"auth": "psk"}, "remote": {"auth": "psk"},
        "children": {"net": {"local_ts": NET_B, "remote_ts": NET_A,
                             "esp_proposals": "aes256gcm16-x25519"}}}},
        {"ike-1": {"secret": f'"{SECRET}"'}}).start()
    gatehouse.gatectl("ike", "initiate", "peer")
    gatehouse.wait_sas(1, 1)
    swan.wait_sas(1, 1)
    wire = Capture(b, "eth0", f"udp port 4500 and src host {A4} and greater 200")
    pings(a, HOST_A, HOST_B)
    found = seen(wire, A4, 3)
    assert {tos for tos, _ in found} == {EF << 2 | 1}
    assert len({length for _, length in found}) == 1 and found[0][1] > 1200
    transfer(b, a, HOST_B, HOST_A)
