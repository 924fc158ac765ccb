"""Why IKE makes no key, as an operator meets it: nothing passes, `explain` of the session says why in both
layers, and it comes up once the cause is mended."""

import pytest

from capture import Capture
from daemons import Bird, Frr, Peer
from keyed import AT_A, AT_B, KeyedGatehouse, keyed_config
from netns import A4, B4
from scenario import ROUTES_A, ROUTES_B, assert_none_refused, assert_signed
from wait import wait_for

V4 = ("v4",)

# what is wrong at b: its configuration (None: it does not run), the cause in the layer of IKE that
# `explain` tells of the session, words that it tells at one of the ends
WRONG = {
    "no-answer": (None, "ike-no-answer", "does not answer"),
    "psk": (lambda: keyed_config(AT_B, V4, psk="another"), "ike-authentication",
            "Authentication failed"),
    "algorithm": (lambda: keyed_config(AT_B, V4, algorithm="hmac-sha-256-128"), "ike-no-proposal",
                  "no common proposal"),
    "selectors": (lambda: keyed_config(AT_B, V4, source_port="4000-4099"), "ike-traffic-selectors",
                  "which traffic to protect"),
    "protocol": (lambda: "ike { tcp-ao-protocol = 210 }\n" + keyed_config(AT_B, V4),
                 "ike-no-proposal", "210"),
}


def of_ike(gatehouse, session="v4"):
    """The causes in the layer of IKE that `explain` tells of a session without a key."""
    findings = gatehouse.explain(session)["findings"]
    if not findings or findings[0]["cause"] != "no-keys":
        return []
    found = [finding["cause"] for finding in findings if finding.get("layer") == "ike"]
    assert found == [finding["cause"] for finding in findings[1:1 + len(found)]], "behind it"
    return found


def wait_explained(gatehouse, cause, timeout=30):
    wait_for(lambda: of_ike(gatehouse)[:1] == [cause], timeout,
             lambda: f"{cause}\n{gatehouse.gatectl('explain', 'v4').stdout}{gatehouse.tail()}")


@pytest.mark.parametrize("cause", WRONG)
def test_refused_then_mended(net, build_dir, cause):
    wrong, expected, words = WRONG[cause]
    a, b = net.two_routers()
    capture = Capture(a)
    left = KeyedGatehouse(a, build_dir, keyed_config(AT_A, V4)).start()
    right = KeyedGatehouse(b, build_dir, wrong() if wrong else keyed_config(AT_B, V4))
    if wrong:
        right.start()
    frr = Frr(a, 65001, [Peer(B4, 65002, local=A4)], ROUTES_A).start()
    # who opens is told by its own end; the other says what it refused
    wait_explained(left, expected, 60)
    told = left.gatectl("explain", "v4").stdout
    if wrong:
        told += right.gatectl("explain", "v4").stdout
    assert words in told
    assert "IKE: " in told
    assert left.causes("ike-v4")[0] == expected
    assert left.keyed("v4")["state"] != "keyed" and left.live("v4") is None
    bird = Bird(b, 65002, [Peer(A4, 65001, local=B4)], ROUTES_B).start()
    if wrong:
        right.configure(keyed_config(AT_B, V4))
        right.reload()
    else:
        right.start()
    frr.wait_established(B4, timeout=90)
    bird.wait_established(A4)
    left.wait_up("v4")
    assert_none_refused(left, right, names=V4)
    assert_signed(capture.stop())


def test_no_route_to_the_peer(net, build_dir):
    """So that no SYN leaves either: nobody asks for a key, and `explain` knows why nobody could."""
    a, b = net.two_routers()
    capture = Capture(a)
    a.run(["ip", "route", "del", "10.77.0.0/24", "dev", "eth0"])
    left = KeyedGatehouse(a, build_dir, keyed_config(AT_A, V4)).start()
    right = KeyedGatehouse(b, build_dir, keyed_config(AT_B, V4)).start()
    frr = Frr(a, 65001, [Peer(B4, 65002, local=A4)], ROUTES_A).start()
    bird = Bird(b, 65002, [Peer(A4, 65001, local=B4, passive=True)], ROUTES_B).start()
    wait_explained(left, "ike-no-way")
    finding = left.explain("v4")["findings"][1]
    assert finding["summary"] == f"There is no way from here to {B4}."
    assert "Network is unreachable" in finding["evidence"]
    # The other end sees nothing at all, and says so.
    assert of_ike(right) == ["ike-nobody-begins"]
    assert "no SYN of the session has come" in right.gatectl("explain", "v4").stdout
    a.run(["ip", "route", "add", "10.77.0.0/24", "dev", "eth0", "src", A4])
    frr.wait_established(B4, timeout=60)
    bird.wait_established(A4)
    left.wait_up("v4")
    assert not of_ike(left) and not of_ike(right)
    assert_none_refused(left, right, names=V4)
    assert_signed(capture.stop())
