"""MSDP on port 639: two rendezvous points of FRR's pimd, Gatehouse at both ends."""

import os

from daemons.frr_msdp import FrrMsdp
from interop import end, seen
from netns import A4, B4
from protocols import ALGORITHMS, Mistakes, Port

PORT = 639
SOURCE = "10.88.0.2"
TALKER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "talker.py")


def test_session(net, build_dir):
    """Sources of one side become known at the other, also while the keys change twice."""
    port = Port(net, build_dir, PORT, directed=True)
    lan = net.namespace("lan")
    net.link(port.a, lan, ("10.88.0.1/24", f"{SOURCE}/24"), name_a="lan")
    lan.route("default", "10.88.0.1")
    one = FrrMsdp(port.a, A4, [B4], ["eth0", "lan"]).start()
    two = FrrMsdp(port.b, B4, [A4], ["eth0"]).start()
    one.wait_established(B4)
    two.wait_established(A4)
    port.wait_up()
    groups = []

    def traffic():
        groups.append(f"239.1.{len(groups) // 250}.{len(groups) % 250 + 1}")
        lan.run(["/usr/bin/python3", TALKER, "multicast", groups[-1], "5000"])
    port.roll_over(traffic)
    two.wait_sources({(SOURCE, group, A4) for group in groups})
    assert one.changes(B4) == two.changes(A4) == 1
    port.finish()
    seen(end(one), end(two), opened="the lower address", versions="4", algorithms=ALGORITHMS,
         also="two rollovers by lifetime while sources come: nothing refused", protocol="MSDP")


def test_mistakes(net, build_dir):
    """No session, no sources; the end that is called names the cause."""
    mistakes = Mistakes(net, build_dir, PORT)
    one = FrrMsdp(mistakes.a, A4, mistakes.addresses, ["eth0"]).start()
    two = FrrMsdp(mistakes.b, mistakes.addresses[0], [A4], ["eth0"]).start()
    mistakes.assert_told()
    assert not any(one.established(address) for address in mistakes.addresses)
    assert not two.established(A4)
