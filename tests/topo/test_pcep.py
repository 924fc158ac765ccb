"""PCEP on port 4189, at both ends: FRR's pathd, and a responder of ours (pce.py).

Debian 12 has no path computation element. What passes is what pathd sends to one: it takes ours for
a stateful PCE and reports its paths.
"""

from daemons.frr_pcep import FrrPcep
from daemons.pce import Pce
from interop import end, seen
from netns import A4, B4
from protocols import ALGORITHMS, Mistakes, Port
from wait import wait_for

PORT = 4189


def test_session(net, build_dir):
    """Paths are reported, also while the keys change twice; both ends' ports are the same."""
    port = Port(net, build_dir, PORT, directed=True)
    pce = Pce(port.b).start()
    pcc = FrrPcep(port.a, A4, [B4]).start()
    pcc.wait_established(B4)
    port.wait_up()
    count = 0

    def traffic():
        nonlocal count
        count += 1
        pcc.add_path(f"path{count}", color=count)
    port.roll_over(traffic)
    wanted = {f"path{n + 1}-only" for n in range(count)}
    wait_for(lambda: pce.reported() == wanted, 20,
             lambda: f"{wanted} reported; there are {pce.reported()}")
    assert pcc.established(B4)
    assert pce.connections() == 1
    segments = port.finish()
    assert {(s.sport, s.dport) for s in segments} == {(PORT, PORT)}
    seen(end(pcc), end(pce), opened="FRR", versions="4", algorithms=ALGORITHMS,
         also="two rollovers by lifetime while paths are reported: nothing refused",
         protocol="PCEP")


def test_mistakes(net, build_dir):
    """No session, no report; the end that is called names the cause."""
    mistakes = Mistakes(net, build_dir, PORT)
    pce = Pce(mistakes.b).start()
    pcc = FrrPcep(mistakes.a, A4, mistakes.addresses).start()
    mistakes.assert_told()
    assert not any(pcc.established(address) for address in mistakes.addresses)
    assert pce.connections() == 0
