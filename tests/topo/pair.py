"""Two routers with Gatehouse at each end of one protected session."""

from gatehouse import Gatehouse, Key, key_chain, tcp_ao
from netns import A4, A6, B4, B6

KEY = Key(1, "a secret that is long enough", send_id=3, recv_id=8)


def config(peer, key=KEY, more="", head="", **options):
    return head + key_chain("core", [key]) + tcp_ao("upstream", peer, "core", **options) + more


def gatehouses(net, build_dir, v6=False, head=""):
    """(namespace a, its Gatehouse, namespace b, its Gatehouse), ready."""
    a, b = net.two_routers()
    one = Gatehouse(a, build_dir, config(B6 if v6 else B4, head=head)).start()
    two = Gatehouse(b, build_dir, config(A6 if v6 else A4, KEY.swapped())).start()
    return a, one, b, two
