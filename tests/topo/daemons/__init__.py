"""Stock BGP daemons, started and asked inside a namespace (or a guest).

    frr = Frr(a, 65001, [Peer("10.77.0.2", 65002)], announce=["192.0.2.0/24"])
    frr.start()
    frr.wait_established("10.77.0.2")
    frr.routes()                     # the prefixes learned: {"198.51.100.0/24", ...}
    frr.flaps("10.77.0.2")           # how often the session has been lost since the start
    frr.stop()
"""

from .bgp import Peer
from .bird import Bird
from .exabgp import Exabgp
from .frr import Frr
from .gobgp import Gobgp
from .openbgpd import Openbgpd

__all__ = ["Bird", "Exabgp", "Frr", "Gobgp", "Openbgpd", "Peer"]
