"""Keyed sessions in other places than gatehoused's own: network namespaces and VRFs, where the same
addresses are other routers; neighbours that a daemon takes from a prefix; an IKE SA that was there before."""

import pytest

from capture import Capture
from daemons import Bird, Frr, Peer
from ike import SECRET, IkeGatehouse, child_section, peer_section
from keyed import AT_A, AT_B, KeyedGatehouse, keyed_config, keyed_session, seen
from netns import A4, A6, B4, B6
from scenario import ROUTES_A, ROUTES_B, assert_none_refused, assert_signed, wait_both_up
from test_base_uml import inner_pair
from test_daemon_labkernel import guest  # pylint: disable=unused-import  # a fixture
from wait import wait_for


def placed(name, secret, **place):
    """A keyed session of A4 with B4 and its IKE peer, in that place."""
    return (peer_section(f"ike-{name}", children=(), local=A4, remote=B4, psk_secret=secret, **place)
            + keyed_session(name, B4, f"ike-{name}", **place))


def secret_of(name):
    return f"the secret of the peer in {name}, long enough"


def at_the_peer(name):
    return keyed_config(AT_B, ("v4",), psk=secret_of(name))


def assert_keys_differ(gatehouse, names):
    """Each session is up, with a key of its own, and none was refused."""
    for name in names:
        gatehouse.wait_up(name)
        assert gatehouse.connection(name)["protected"]
        assert gatehouse.keyed(name)["installed"] == 1
    assert_none_refused(gatehouse, names=names)


def test_the_same_addresses_in_two_namespaces(net, build_dir):
    home = net.namespace("home")
    captures, others, birds, config = [], {}, [], ""
    for name in "xy":
        inside, other = net.namespace(name), net.namespace(f"{name}peer")
        net.link(inside, other, (f"{A4}/24", f"{B4}/24"))
        config += placed(name, secret_of(name), netns=inside.name)
        captures.append(Capture(inside))
        others[name] = KeyedGatehouse(other, build_dir, at_the_peer(name)).start()
        birds.append((Bird(inside, 65001, [Peer(B4, 65002, local=A4)], ROUTES_A[:1]),
                      Bird(other, 65002, [Peer(A4, 65001, local=B4)], ROUTES_B[:1])))
    gatehouse = KeyedGatehouse(home, build_dir, config).start()
    for pair in birds:
        for bird in pair:
            bird.start()
    for one, two in birds:
        one.wait_established(B4)
        one.wait_routes(ROUTES_B[:1])
        two.wait_routes(ROUTES_A[:1])
    assert_keys_differ(gatehouse, "xy")
    assert_none_refused(*others.values(), names=("v4",))
    for name in "xy":
        here, = gatehouse.ask("show", "key-table", name)["keys"]
        there, = others[name].ask("show", "key-table", "v4")["keys"]
        assert (here["local_key_name"], here["peer_key_name"]) == (there["peer_key_name"],
                                                                   there["local_key_name"])
    for capture in captures:
        assert_signed(capture.stop())
    seen(*birds[0], versions="4", also="one gatehoused for two namespaces with the same addresses")
    # Keys of one place are not for another, although its addresses are the same.
    gatehouse.configure(peer_section("ike-x", children=(), local=A4, psk_secret=SECRET)
                        + keyed_session("x", B4, "ike-x", netns=f"{net.prefix}-x"))
    refused = gatehouse.gatectl("reload", check=False)
    assert refused.returncode != 0
    assert f"is in namespace {net.prefix}-x, but the ike-peer" in refused.stdout + refused.stderr


def test_vrf(guest, build_dir):
    """In a VRF and outside of it, in the lab kernel."""
    a, b = inner_pair(guest)
    c = guest.namespace("three")
    guest.run(["ip", "link", "add", "eth1", "netns", "one", "type", "veth",
               "peer", "name", "eth0", "netns", "three"])
    a.run(["ip", "link", "add", "red", "type", "vrf", "table", "10"])
    for device in ("red", "eth1"):
        a.run(["ip", "link", "set", device, "up"])
    a.run(["ip", "link", "set", "eth1", "master", "red"])
    c.run(["ip", "link", "set", "eth0", "up"])
    a.add_address("eth1", f"{A4}/24")
    c.add_address("eth0", f"{B4}/24")
    one = KeyedGatehouse(a, build_dir, placed("outside", secret_of("none"))
                         + placed("inside", secret_of("red"), vrf="red"), name="a").start()
    others = [KeyedGatehouse(host, build_dir, at_the_peer(of), name=host.label).start()
              for host, of in ((b, "none"), (c, "red"))]
    pairs = []
    for name, vrf, other in (("outside", None, b), ("inside", "red", c)):
        pairs.append((Bird(a, 65001, [Peer(B4, 65002, local=A4, vrf=vrf)], ROUTES_A[:1],
                           name=name).start(),
                      Bird(other, 65002, [Peer(A4, 65001, local=B4, passive=True)], ROUTES_B[:1],
                           name=f"{name}-peer").start()))
    for opens, listens in pairs:
        opens.wait_established(B4, timeout=60)
        listens.wait_routes(ROUTES_A[:1])
    assert_keys_differ(one, ("outside", "inside"))
    assert_none_refused(*others, names=("v4",))
    for name, vrf in (("outside", None), ("inside", "red")):
        key, = one.ask("show", "key-table", name)["keys"]
        assert key["interfaces"] == vrf
    seen(*pairs[1], opened="BIRD in the VRF", versions="4", also="the same addresses inside and outside of a VRF")


def test_neighbours_from_a_prefix(net, build_dir):
    """The daemon has a prefix, Gatehouse a session for each neighbour."""
    a, b = net.two_routers()
    capture = Capture(a)
    ends = (KeyedGatehouse(a, build_dir, keyed_config(AT_A)).start(),
            KeyedGatehouse(b, build_dir, keyed_config(AT_B)).start())
    frr = Frr(a, 65001, [Peer("10.77.0.0/24", 65002), Peer("fd77::/64", 65002)], ROUTES_A,
              listen=[A4, A6]).start()
    bird = Bird(b, 65002, [Peer(A4, 65001, local=B4), Peer(A6, 65001, local=B6)], ROUTES_B).start()
    wait_both_up(frr, bird)
    frr.wait_routes(ROUTES_B)
    assert_none_refused(*ends)
    assert_signed(capture.stop())
    seen(frr, bird, opened="BIRD", also="FRR takes neighbours from a prefix")


def test_an_ike_sa_that_was_there_before(net, build_dir):
    """It is older than the first session with its peer, so that nobody has said that there are such
    sessions; it is said again with the reload, and no other IKE SA is made."""
    a, b = net.two_routers()
    esp = {"a": peer_section("ike-v4", [child_section()], local=A4, remote=B4, psk_secret=SECRET),
           "b": peer_section("ike-v4", [child_section(local_ts="10.2.0.0/24",
                                                      remote_ts="10.1.0.0/24")],
                             local=B4, remote=A4, psk_secret=SECRET)}
    session = {"a": keyed_session("v4", B4, "ike-v4", local=A4),
               "b": keyed_session("v4", A4, "ike-v4", local=B4)}

    class Both(KeyedGatehouse, IkeGatehouse):
        """What each shows."""

    left, right = (Both(host, build_dir, esp[host.label]).start() for host in (a, b))
    left.gatectl("ike", "initiate", "ike-v4", "net")
    before, = left.wait_sas(children=1)
    left.configure(esp["a"] + session["a"])
    left.reload()
    frr = Frr(a, 65001, [Peer(B4, 65002, local=A4)], ROUTES_A).start()
    wait_for(lambda: "the peer does not know TCP-AO keys" in left.gatectl("explain", "ike-v4").stdout,
             20, lambda: f"why\n{left.gatectl('explain', 'ike-v4').stdout}")
    right.configure(esp["b"] + session["b"])
    right.reload()
    bird = Bird(b, 65002, [Peer(A4, 65001, local=B4, passive=True)], ROUTES_B).start()
    frr.wait_established(B4, timeout=60)
    bird.wait_routes(ROUTES_A[:1])
    for gatehouse in (left, right):
        gatehouse.wait_up("v4")
        sa, = gatehouse.sas()
        assert (sa.spi_i, sa.spi_r) == (before.spi_i, before.spi_r)
    # what is wrong otherwise is not put down to the peer's not knowing
    right.configure(esp["b"] + keyed_session("v4", A4, "ike-v4", local=B4,
                                             algorithm="hmac-sha-256-128"))
    right.reload()
    left.gatectl("gatekeeper", "revoke", "v4")
    wait_for(lambda: "NO_PROPOSAL_CHOSEN" in left.gatectl("explain", "ike-v4").stdout, 20,
             lambda: f"refused\n{left.gatectl('explain', 'ike-v4').stdout}")
    assert "does not know" not in left.gatectl("explain", "ike-v4").stdout
    assert frr.flaps(B4) == 0
