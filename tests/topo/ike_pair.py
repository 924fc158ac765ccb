"""Two routers whose Gatehouses speak IKEv2 with each other, and nothing else of it is configured."""

from gatehouse import Gatehouse
from netns import A4, A6, B4, B6

SECRET = "a pre-shared key of the tests, long enough"


def peer(name, local, remote, secret=SECRET, more=""):
    width = 128 if ":" in remote else 32
    return f"""ike-peer "{name}" {{
    remote = "{remote}"
    local = "{local}"
    remote-id = "{remote}"
    psk-secret = "{secret}"
    {more}
    child "net" {{
        local-ts = "{local}/{width}"
        remote-ts = "{remote}/{width}"
        start = false
    }}
}}
"""


def two_ends(net, build_dir, v6=False, head="", more="", secret_b=SECRET):
    """(namespace a, its Gatehouse, namespace b, its Gatehouse), ready; nobody has begun."""
    a, b = net.two_routers()
    here, there = (A6, B6) if v6 else (A4, B4)
    one = Gatehouse(a, build_dir, head + peer("b", here, there, more=more)).start()
    two = Gatehouse(b, build_dir, head + peer("a", there, here, secret=secret_b, more=more)).start()
    return a, one, b, two
