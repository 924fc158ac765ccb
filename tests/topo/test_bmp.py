"""BMP on port 5000: FRR's bgpd tells pmacct's pmbmpd of its routes, Gatehouse at both ends.

The BGP session that the routes come from is not protected here; test_sessions.py does that.
"""

from daemons import Bird, Peer
from daemons.frr_bmp import FrrBmp
from daemons.pmbmpd import Pmbmpd
from interop import end, seen
from netns import A4, B4
from protocols import ALGORITHMS, Mistakes, Port

PORT = 5000
ROUTES = {f"100.64.{n}.0/24" for n in range(200)}


def test_session(net, build_dir):
    """Routes and statistics arrive, also while the keys change twice."""
    port = Port(net, build_dir, PORT, directed=True)
    collector = Pmbmpd(port.b, B4, PORT).start()
    bird = Bird(port.b, 65002, [Peer(A4, 65001)], ROUTES).start()
    frr = FrrBmp(port.a, 65001, [Peer(B4, 65002)], [B4], PORT).start()
    bird.wait_established(A4)
    collector.wait_routes(ROUTES)
    port.wait_up()
    count = 0

    def traffic():
        nonlocal count
        count += 1
        bird.birdc("disable static4" if count % 2 else "enable static4")
    port.roll_over(traffic)
    bird.birdc("enable static4")
    collector.wait_routes(ROUTES)
    assert {"init", "peer_up", "route_monitor", "stats"} <= collector.kinds()
    assert frr.connected(B4)
    assert collector.connections() == (1, 0)
    port.finish()
    seen(end(frr), end(collector), opened="FRR", versions="4", algorithms=ALGORITHMS,
         also="two rollovers by lifetime while routes change: nothing refused", protocol="BMP")


def test_mistakes(net, build_dir):
    """No session, no message; the end that is called names the cause."""
    mistakes = Mistakes(net, build_dir, PORT)
    collector = Pmbmpd(mistakes.b, "0.0.0.0", PORT).start()
    frr = FrrBmp(mistakes.a, 65001, [], mistakes.addresses, PORT).start()
    mistakes.assert_told()
    assert not any(frr.connected(address) for address in mistakes.addresses)
    assert collector.connections() == (0, 0)
