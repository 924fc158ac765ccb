"""Stock daemons under gaterun: they live on as they are, and gatehoused hears of their sockets also
after they have changed user and root directory."""

import os
import pwd

import pytest

from daemons import Bird, Exabgp, Frr, Openbgpd, Peer
from netns import A4, B4
from shim_server import CONNECT, LISTEN, SETOPT, ShimServer


def serve(net):
    server = ShimServer(os.path.join(net.dir, "shim.sock"))
    net.at_end(server.close)
    return server


def under_gaterun(net, build_dir, server, kind, password):
    """A daemon under gaterun and BIRD as it is, when they have each other's routes."""
    a, b = net.two_routers()
    one = kind(a, 65001, [Peer(B4, 65002, local=A4, password=password)], ["192.0.2.0/24"],
               listen=[A4])
    two = Bird(b, 65002, [Peer(A4, 65001, local=B4, password=password, passive=True)],
               ["198.51.100.0/24"])
    arguments = one.arguments
    one.arguments = lambda: [os.path.join(build_dir, "gaterun"), "--require", "--socket",
                             server.path, *arguments()]
    two.start()
    one.start()
    one.wait_established(B4)
    one.wait_routes(["198.51.100.0/24"])
    two.wait_routes(["192.0.2.0/24"])
    return one, two


@pytest.mark.parametrize("kind, program, password", [
    (Frr, "bgpd", None), (Frr, "bgpd", "migrate-me"), (Bird, "bird", None),
    (Bird, "bird", "migrate-me"), (Openbgpd, "bgpd", None), (Openbgpd, "bgpd", "migrate-me"),
    (Exabgp, "python3", None)], ids=lambda v: getattr(v, "kind", str(v)))
def test_daemon(net, build_dir, kind, program, password):
    server = serve(net)
    one, two = under_gaterun(net, build_dir, server, kind, password)
    asked = {op for op, name in server.asked if name.startswith(program)}
    assert CONNECT in asked
    if kind is not Exabgp:
        assert LISTEN in asked
    assert (SETOPT in asked) == (password is not None)
    # They were connected before they changed user.
    assert set().union(*server.users.values()) == {0}


def test_gatehoused_is_restarted(net, build_dir):
    """A daemon that has changed its user connects anew as that user: `shim-users` is for it."""
    server = serve(net)
    one, two = under_gaterun(net, build_dir, server, Frr, None)
    server.close()
    two.kill()
    one.wait_not_established(B4)
    server = serve(net)
    two.start()
    one.wait_established(B4)
    assert (CONNECT, "bgpd") in server.asked
    assert server.users["bgpd"] == {pwd.getpwnam("frr").pw_uid}
