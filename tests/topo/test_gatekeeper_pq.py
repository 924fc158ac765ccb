"""Keys of TCP-AO that a quantum computer does not get at: a post-quantum preshared key (RFC 8784) in the IKE
SA, and additional key exchanges (RFC 9370) there and whenever a session's key is made anew."""

import os
import struct

import pytest

from capture import Capture, read_frames
from daemons import Bird, Frr, Peer
from ike import SECRET, peer_section, section
from keyed import AT_A, AT_B, KeyedGatehouse, keyed_session, seen
from netns import A4, B4
from scenario import ROUTES_A, ROUTES_B, assert_none_refused, assert_signed
from wait import wait_for

PPK = section('ike-ppk "quantum"', secret="a post-quantum preshared key")
PPK_OPTIONS = {"ppk": "quantum", "ppk_required": True}
CREATE_CHILD_SA, IKE_INTERMEDIATE, IKE_FOLLOWUP_KE = 36, 43, 44
RESPONSE = 0x20

# what is done beside X25519, and how it is shown; ML-KEM needs the newer OpenSSL
CHAINS = {"classical": (["ecp-256", "x448"], ["CURVE25519", "ECP256", "CURVE448"]),
          "hybrid": (["ml-kem-768", "ecp-384"], ["CURVE25519", "ML_KEM_768", "ECP384"])}


def end(at, more=(), head="", **peer):
    """The configuration of one end: a session over IPv4 whose key and IKE SA have these exchanges."""
    local, remote = at["v4"]
    additional = {f"additional_ke_{n}": [ke] for n, ke in enumerate(more, 1)}
    return (head + section('ike-transform "t"', ke=["x25519"], **additional)
            + section('ike-policy "p"', ike_transform=["t"])
            + peer_section("ike-v4", children=(), local=local, remote=remote, psk_secret=SECRET,
                           ike_policy="p", **peer)
            + keyed_session("v4", remote, "ike-v4", ke=["x25519"], **additional))


def daemons(left, right, a, b, passive=True):
    """Short hold times: there is always a segment soon. passive: is b's."""
    return (left(a, 65001, [Peer(B4, 65002, local=A4)], ROUTES_A[:1], hold_time=9),
            right(b, 65002, [Peer(A4, 65001, local=B4, passive=passive)], ROUTES_B[:1], hold_time=9))


def exchanges(path):
    """The requests in a capture of IKE, each once: how many of each exchange type."""
    requests = set()
    for _, frame in read_frames(path):
        packet = frame[14:]
        octets = packet[(packet[0] & 15) * 4 + 8:]
        spi, _, kind, flags, number = struct.unpack_from("!16sBxBBI", octets)
        if not flags & RESPONSE:
            requests.add((packet[12:16], spi, kind, number))
    kinds = [kind for _, _, kind, _ in requests]
    return {kind: kinds.count(kind) for kind in (CREATE_CHILD_SA, IKE_INTERMEDIATE, IKE_FOLLOWUP_KE)}


def child(gatehouse):
    """The Child SA of the live key, as `show ike child` has it."""
    number = next(k["child"] for k in gatehouse.keyed("v4")["keys"] if k["state"] == "live")
    return next(c for c in gatehouse.ask("show", "ike", "child")["children"]
                if c["id"] == number)


def rekey(ends, who):
    """That end makes another key; both send and ask for nothing else."""
    before = [gatehouse.live("v4") for gatehouse in ends]
    ends[who].gatectl("ike", "rekey", "child", str(child(ends[who])["id"]))

    def moved():
        return all(gatehouse.live("v4") not in (None, was)
                   and gatehouse.keys("v4") == (gatehouse.live("v4"),) * 2
                   for gatehouse, was in zip(ends, before))
    wait_for(moved, 20, lambda: f"both ends are on another key\n{ends[0].tail()}")


@pytest.mark.parametrize("name, left, right", [("classical", Frr, Bird), ("hybrid", Bird, Frr)])
def test_all_key_exchanges_each_time(net, build_dir, strongswan6, name, left, right):
    more, shown = CHAINS[name]
    a, b = net.two_routers()
    segments, messages = Capture(a), Capture(a, expression="udp port 500", name="ike")
    launcher = [os.path.join(strongswan6, "with-openssl")] if name == "hybrid" else []
    ends = [KeyedGatehouse(host, build_dir, end(at, more, PPK, **PPK_OPTIONS), launcher=launcher).start()
            for host, at in ((a, AT_A), (b, AT_B))]
    one, two = (daemon.start() for daemon in daemons(left, right, a, b))
    one.wait_established(B4)
    two.wait_established(A4)
    one.wait_routes(ROUTES_B[:1])
    for gatehouse in ends:
        gatehouse.wait_up("v4")
        sa, = gatehouse.ask("show", "ike", "sa", "detail")["sas"]
        assert sa["ppk"] and [ke for ke in sa["suite"] if ke in shown] == shown, sa
    counted = exchanges(messages.path)
    assert counted[IKE_INTERMEDIATE] == len(more) and counted[IKE_FOLLOWUP_KE] == 0, counted
    for times, who in enumerate((0, 1), 1):
        rekey(ends, who)
        counted = exchanges(messages.path)
        assert counted[CREATE_CHILD_SA] == times, counted
        assert counted[IKE_FOLLOWUP_KE] == times * len(more), counted
        for gatehouse in ends:
            suite = child(gatehouse)["suite"]
            assert [ke for ke in suite if ke in shown] == shown, suite
            assert gatehouse.keyed("v4")["rekeyed"] == times
    assert_none_refused(*ends, names=("v4",))
    assert_signed(segments.stop())
    assert one.flaps(B4) == two.flaps(A4) == 0
    seen(one, two, versions="4", also=f"PPK; X25519 with {' and '.join(more)} for the IKE SA and each rekeying")


@pytest.mark.parametrize("lacks", [0, 1], ids=["left", "right"])
def test_a_required_ppk_that_one_end_lacks(net, build_dir, lacks):
    """The session stays down until the PPK is there. Who opens hears in any case why; who only answers does
    not if it is the one that lacks it: the initiator goes without a word (RFC 8784 3)."""
    a, b = net.two_routers()
    capture = Capture(a)
    whole = [end(at, head=PPK, **PPK_OPTIONS) for at in (AT_A, AT_B)]
    without = [end(at) for at in (AT_A, AT_B)]
    ends = [KeyedGatehouse(host, build_dir, without[n] if n == lacks else whole[n]).start()
            for n, host in enumerate((a, b))]
    one, two = daemons(Frr, Bird, a, b, passive=False)
    one.start()
    for n, gatehouse in enumerate(ends):
        if n == lacks == 1:
            continue
        wait_for(lambda: "ike-authentication" in gatehouse.causes("v4"), 30,
                 lambda: f"why\n{gatehouse.gatectl('explain', 'v4').stdout}{gatehouse.tail()}")
        assert n == lacks or "PPK" in gatehouse.gatectl("explain", "v4").stdout
        assert gatehouse.live("v4") is None
    assert not one.established(B4)
    ends[lacks].configure(whole[lacks])
    ends[lacks].reload()
    two.start()
    one.wait_established(B4, timeout=60)
    two.wait_established(A4)
    assert_none_refused(*ends, names=("v4",))
    assert_signed(capture.stop())
