"""What the host's kernel may not have: queues from nftables, and VRFs; in the lab kernel."""

import pytest

from gatehouse import Gatehouse, Key, key_chain, tcp_ao
from pair import A4, A6, B4, B6, KEY, config
from stream import Stream
from test_base_uml import inner_pair
from test_daemon_reload import queue_rules
from uml import Guest
from wait import wait_for


@pytest.fixture
def guest(net, lab_kernel):
    return Guest(net.namespace("host"), lab_kernel)


def test_nftables(guest, build_dir):
    a, b = inner_pair(guest)
    one = Gatehouse(a, build_dir, config(B4, more=tcp_ao("six", B6, "core")), name="a").start()
    two = Gatehouse(b, build_dir, config(A4, KEY.swapped(), more=tcp_ao("six", A6, "core")),
                    name="b").start()
    assert "steering by nftables" in one.tail()
    first = Stream(a, b, B4, name="four").start()
    second = Stream(b, a, A6, name="six").start()
    one.reload()
    one.kill("ao")
    first.wait_more(50)
    second.wait_more(50)
    two.stop()
    two.start()
    first.wait_more(50)
    a.run(["nft", "flush", "ruleset"])
    wait_for(lambda: queue_rules(a), 5, "the rules are back")
    first.finish()
    second.finish()
    assert one.counters("upstream")["signed"] > 0 and one.counters("six")["signed"] > 0
    two.stop()
    assert queue_rules(b)
    b.run([two.daemon, "-r", two.run_dir, "--remove-rules"])
    assert not queue_rules(b)


def test_vrf(guest, build_dir):
    """The same addresses in a VRF and outside of it: two sessions with different keys."""
    a, b = inner_pair(guest)
    c = guest.namespace("three")
    guest.run(["ip", "link", "add", "eth1", "netns", "one", "type", "veth",
               "peer", "name", "eth0", "netns", "three"])
    a.run(["ip", "link", "add", "red", "type", "vrf", "table", "10"])
    for device in ("red", "eth1"):
        a.run(["ip", "link", "set", device, "up"])
    a.run(["ip", "link", "set", "eth1", "master", "red"])
    c.run(["ip", "link", "set", "eth0", "up"])
    a.add_address("eth1", f"{A4}/24")
    c.add_address("eth0", f"{B4}/24")
    a.run(["sysctl", "-q", "-w", "net.ipv4.tcp_l3mdev_accept=1"])
    red = Key(1, "the secret of the red one", send_id=5, recv_id=6)
    one = Gatehouse(a, build_dir, key_chain("core", [KEY]) + key_chain("red", [red])
                    + tcp_ao("outside", B4, "core") + tcp_ao("inside", B4, "red", vrf="red"),
                    name="a").start()
    Gatehouse(b, build_dir, config(A4, KEY.swapped()), name="b").start()
    Gatehouse(c, build_dir, config(A4, red.swapped()), name="c").start()
    Stream(b, a, A4, name="outside").start().finish()
    assert one.counters("outside")["signed"] > 0
    assert one.counters("inside")["signed"] == 0
    Stream(c, a, A4, port=179, name="inside").start().finish()
    assert one.counters("inside")["signed"] > 0
