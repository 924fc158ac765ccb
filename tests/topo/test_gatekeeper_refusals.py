"""Why IKE makes no key, as an operator meets it: nothing passes, both layers say why, and the session
comes up once the cause is mended."""

import pytest

from capture import Capture
from daemons import Bird, Frr, Peer
from keyed import AT_A, AT_B, KeyedGatehouse, keyed_config
from netns import A4, B4
from scenario import ROUTES_A, ROUTES_B, assert_none_refused, assert_signed
from wait import wait_for

V4 = ("v4",)

# what is wrong at b: its configuration (None: it does not run), the cause that `explain` tells of the
# IKE peer, words that it tells at one of the ends
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
    wait_for(lambda: expected in left.causes("ike-v4"), 60,
             lambda: f"{expected}\n{left.gatectl('explain', 'ike-v4').stdout}{left.tail()}")
    told = left.gatectl("explain", "ike-v4").stdout
    if wrong:
        told += right.gatectl("explain", "ike-v4").stdout
    assert words in told
    assert left.causes("v4")[0] == "no-keys"
    assert "gatectl explain ike-v4" in left.gatectl("explain", "v4").stdout
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
