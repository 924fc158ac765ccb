"""strongSwan with itself: that it runs in namespaces as the tests of IKE need it."""

import pytest

from daemons.strongswan import StrongSwan
from netns import A4, B4

NET_A, NET_B = "10.1.0.0/24", "10.2.0.0/24"

pytestmark = pytest.mark.base


def connection(local, remote, local_ts, remote_ts):
    return {"gw": {"version": 2, "local_addrs": local, "remote_addrs": remote,
                   "proposals": "aes256gcm16-prfsha256-x25519",
                   "local": {"auth": "psk"}, "remote": {"auth": "psk"},
                   "children": {"net": {"esp_proposals": "aes256gcm16", "local_ts": local_ts,
                                        "remote_ts": remote_ts}}}}


def test_with_itself(net):
    a, b = net.two_routers()
    a.add_address("lo", "10.1.0.1/32")  # kernel-libipsec wants an address within its selectors
    b.add_address("lo", "10.2.0.1/32")
    secrets = {"ike-1": {"secret": "one of the tests"}}
    one = StrongSwan(a, connection(A4, B4, NET_A, NET_B), secrets).start()
    two = StrongSwan(b, connection(B4, A4, NET_B, NET_A), secrets).start()
    one.initiate("net")
    here, there = one.wait_sas(1, 1)[0], two.wait_sas(1, 1)[0]
    assert here.initiator and not there.initiator
    assert (here.spi_i, here.spi_r) == (there.spi_i, there.spi_r)
    assert here.children[0].spi_in == there.children[0].spi_out
    assert here.children[0].local_ts == (NET_A,)
    one.terminate(ike="gw")
    two.wait_sas(0)
