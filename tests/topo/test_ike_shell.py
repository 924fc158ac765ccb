"""The processes of IKE: their sockets, what they may do, and what the operator sees and orders."""

import pytest

from ike_pair import peer, two_ends
from netns import A4, B4
from wait import wait_for


def established(gatehouse):
    return [s for s in gatehouse.ask("show", "ike", "sa")["sas"] if s["state"] == "established"]


def wait_established(gatehouse, count=1):
    wait_for(lambda: len(established(gatehouse)) == count, 15,
             lambda: f"{count} IKE SAs\n{gatehouse.gatectl('show', 'ike', 'statistics').stdout}"
                     f"{gatehouse.tail()}")


@pytest.mark.parametrize("v6", [False, True], ids=["ipv4", "ipv6"])
def test_two_ends_come_up(net, build_dir, v6):
    _, one, _, two = two_ends(net, build_dir, v6)
    one.gatectl("ike", "initiate", "b", "net")
    wait_established(one)
    wait_established(two)
    children = one.ask("show", "ike", "child")["children"]
    assert [c["name"] for c in children] == ["net"]
    others = two.ask("show", "ike", "child")["children"]
    assert children[0]["spi_in"] == others[0]["spi_out"] != children[0]["spi_out"]
    assert one.ask("show", "ike", "peer")["peers"][0]["state"] == "up"
    assert one.explain("b")["verdict"] == "up"
    assert one.ask("show", "ike", "statistics")["set_ups"]["last_60_seconds"] == 1
