"""LDP by FRR's ldpd, its sessions between loopbacks, with Gatehouse at both ends.

The topology is that of Juniper's example: r1 192.168.0.11 and r2 192.168.0.12, whose address is
the higher one, so that r2 opens the session.
"""

import dataclasses

import pytest

from capture import ACK, FIN, RST, SYN, Capture, read_frames
from daemons.frr_ldp import FrrLdp
from gatehouse import Gatehouse, Key, key_chain, tcp_ao
from interop import end, seen
from pages import matches
from scenario import assert_verified, lifetime, swapped, wait_cause
from uml import Guest
from wait import stays, wait_for

R1, R2, R3 = "192.168.0.11", "192.168.0.12", "192.168.0.13"
LINK1, LINK2 = "192.0.2.1/30", "192.0.2.2/30"
KEY = Key(1, "correct horse battery staple", send_id=3, recv_id=8)


def policy(keys, local, peer, **options):
    """A chain, and the session with the peer's loopback."""
    return key_chain("new_auth_key", keys, **options) + tcp_ao(
        f"ldp-{peer}", peer, "new_auth_key", local=local, port=646)


def both_ends(build_dir, a, b, keys, **options):
    return (Gatehouse(a, build_dir, policy(keys, R1, R2, **options)).start(),
            Gatehouse(b, build_dir, policy(swapped(keys), R2, R1, **options)).start())


def two_routers(net, left=R1, right=R2):
    """The namespaces; FRR gives them their addresses. Whose is the higher opens."""
    a, b = net.namespace("r1"), net.namespace("r2")
    net.link(a, b)
    return a, b, FrrLdp(a, left, {"eth0": LINK1}), FrrLdp(b, right, {"eth0": LINK2})


def wait_both_operational(one, two):
    one.wait_operational(two.router_id)
    two.wait_operational(one.router_id)
    # Each has learned which label the other wants for its loopback: none, "implicit null".
    for daemon, other in ((one, two), (two, one)):
        wait_for(lambda: daemon.bindings().get(f"{other.router_id}/32", {}).get(
            other.router_id, ("-", "-"))[1] == "imp-null", 20, lambda: f"labels {daemon.bindings()}")


def syns(segments):
    return {s.src for s in segments if s.flags & (SYN | ACK) == SYN}


def test_session(net, build_dir):
    """OSPF and LDP's hellos need no key; the TCP session is signed from its first segment on."""
    a, b, one, two = two_routers(net)
    capture = Capture(a, expression="tcp port 646")
    ends = both_ends(build_dir, a, b, [KEY])
    for daemon in (one, two):
        daemon.start()
    wait_both_operational(one, two)
    assert one.adjacent(R2) and two.adjacent(R1)
    for gatehouse, peer, kind in ((ends[0], R2, "passive"), (ends[1], R1, "active")):
        gatehouse.wait_up(f"ldp-{peer}")
        connection = gatehouse.connection(f"ldp-{peer}")
        assert connection["protected"] and connection["type"] == kind
        assert gatehouse.explain(peer)["verdict"] == "up"
    segments = assert_verified(ends[0], capture)
    assert {s.src for s in segments} == {R1, R2} and syns(segments) == {R2}
    assert one.flaps(R2) == two.flaps(R1) == 0
    seen(end(one), end(two), opened="the higher address", versions="4", protocol="LDP")


def test_rollover_by_lifetime(net, build_dir):
    """Three keys of three algorithms, r2's clock 1 s behind, addresses and labels coming and going."""
    a, b, one, two = two_routers(net)
    step, skew, first = 4, 1, 12
    algorithms = ["hmac-sha-1-96", "aes-128-cmac-96", "hmac-sha-256-128"]

    def keys(late):
        times = [(-600, first), (first, first + step), (first + step, None)]
        return [Key(n + 1, f"secret {n}", 10 + n, 20 + n, algorithms[n],
                    options=lifetime(start + late, None if stop is None else stop + late))
                for n, (start, stop) in enumerate(times)]
    mine, theirs = keys(0), keys(skew)
    ends = (Gatehouse(a, build_dir, policy(mine, R1, R2, tolerance=10)).start(),
            Gatehouse(b, build_dir, policy(swapped(theirs), R2, R1, tolerance=10)).start())
    capture = Capture(a, expression="tcp port 646")
    for daemon in (one, two):
        daemon.start()
    wait_both_operational(one, two)
    names = {ends[0]: f"ldp-{R2}", ends[1]: f"ldp-{R1}"}
    assert ends[0].keys(names[ends[0]]) == (1, 1), "LDP came up too late to see the first key"
    used = {gatehouse: set() for gatehouse in ends}
    count = 0

    def moved():
        """A new network at each end: address and label mapping, later withdrawn."""
        nonlocal count
        for router, octet in ((a, 1), (b, 2)):
            router.run(["ip", "address", "del" if count % 2 else "add",
                        f"198.51.100.{octet}/32", "dev", "lo"])
        count += 1
        for gatehouse, name in names.items():
            used[gatehouse].add(gatehouse.keys(name))
        return all(gatehouse.keys(name) == (3, 3) for gatehouse, name in names.items())
    wait_for(moved, 60, lambda: f"key 3 in both directions; used {list(used.values())}")
    for gatehouse, name in names.items():
        assert {signed for signed, _ in used[gatehouse]} == {1, 2, 3}, used[gatehouse]
        assert gatehouse.refused(name) == 0, gatehouse.counters(name)
    assert one.flaps(R2) == two.flaps(R1) == 0
    segments = assert_verified(ends[0], capture)
    assert {s.ao[0] for s in segments if s.src == R1} == {10, 11, 12}
    assert {s.ao[0] for s in segments if s.src == R2} == {20, 21, 22}
    assert not [s for s in segments if s.flags & (FIN | RST)]
    seen(end(one), end(two), opened="the higher address", versions="4", protocol="LDP",
         algorithms=", ".join(algorithms),
         also="two rollovers by lifetime under address and label churn, clocks 1 s apart: nothing "
              "refused")


@dataclasses.dataclass
class Mistake:
    """What is wrong between r1 and r2, and what each end says of it; r2 opens."""

    name: str
    cause_r1: str  # None: no Gatehouse there
    cause_r2: str
    keys_r2: list = dataclasses.field(default_factory=lambda: [KEY.swapped()])
    password_r2: str = None  # ldpd's own TCP-MD5
    says: str = ""  # words of the first finding at the end that refuses


MISTAKES = [
    Mistake("wrong-key", "wrong-key", "silent-peer", says="secret",
            keys_r2=[dataclasses.replace(KEY.swapped(), secret="another")]),
    Mistake("missing-key", "unknown-keyid", "silent-peer", says="KeyID 40",
            keys_r2=[Key(2, KEY.secret, 40, 41)]),
    Mistake("expired-key", "no-packets", "keys-expired",
            keys_r2=[dataclasses.replace(KEY.swapped(), options=lifetime(-9000, -7200))]),
    Mistake("md5-there", "no-packets", "md5-clash", password_r2="opensesame"),
    Mistake("r1-without", None, "peer-without-ao"),
    Mistake("r2-without", "peer-without-ao", None),
]


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda m: m.name)
def test_mistakes(net, build_dir, mistake):
    """LDP stays down though OSPF and LDP's hellos are well, and `explain` says why."""
    a, b, one, two = two_routers(net)
    ends = [Gatehouse(router, build_dir, policy(keys, local, peer, tolerance=5)).start()
            if cause else None for router, keys, local, peer, cause in (
                (a, [KEY], R1, R2, mistake.cause_r1),
                (b, mistake.keys_r2, R2, R1, mistake.cause_r2))]
    for daemon in (one, two):
        daemon.start()
    if mistake.password_r2:
        two.configure("mpls ldp", f"neighbor {R1} password {mistake.password_r2}")
    for daemon, peer in ((one, R2), (two, R1)):
        wait_for(lambda: daemon.adjacent(peer) and daemon.discovered(peer), 30,
                 "OSPF and LDP's hellos come through")
    for gatehouse, peer, cause in ((ends[0], R2, mistake.cause_r1), (ends[1], R1, mistake.cause_r2)):
        if cause:
            wait_cause(gatehouse, peer, cause, 60)
    refuser = next(g for g in ends if g)
    finding = refuser.explain(R2 if refuser is ends[0] else R1)["findings"][0]
    assert mistake.says in finding["summary"] + " ".join(finding["checks"]), finding
    stays(lambda: not one.operational(R2) and not two.operational(R1), 1, "LDP stays down")


# ---- With the lab kernel -------------------------------------------------------------------------


@pytest.fixture
def lab(net, lab_kernel):
    """(r1 in a namespace, r2 in a guest behind r1's tap0)"""
    host = net.namespace("r1")
    host.tap("tap0")
    return host, Guest(host, lab_kernel, taps=["tap0"], name="r2")


def test_one_end_in_the_lab_kernel(lab, build_dir):
    """r2 runs in the lab kernel, Gatehouse steering by nftables there."""
    host, guest = lab
    capture = Capture(host, "tap0", "tcp port 646")
    ends = both_ends(build_dir, host, guest, [KEY])
    assert "nftables" in ends[1].tail()
    one = FrrLdp(host, R1, {"tap0": LINK1}).start()
    two = FrrLdp(guest, R2, {"vec0": LINK2}).start()
    wait_both_operational(one, two)
    for gatehouse, peer in zip(ends, (R2, R1)):
        gatehouse.wait_up(f"ldp-{peer}")
        assert gatehouse.connection(f"ldp-{peer}")["protected"]
    assert syns(assert_verified(ends[0], capture)) == {R2}
    seen(end(one), end(two), opened="the higher address", versions="4", protocol="LDP",
         also="nftables' queue")


def enable_mpls(host, *interfaces):
    host.sysctl("net.mpls.platform_labels", 1048575)
    for interface in interfaces:
        host.sysctl(f"net.mpls.conf.{interface}.input", 1)


def wait_route(host, route, *family):
    """`ip route` comes to print such a line ("…": anything)."""
    def routes():
        return host.run(["ip", *family, "route"]).stdout
    wait_for(lambda: matches(["…", route, "…"], routes()), 30, lambda: f"{route} in\n{routes()}")


def test_labels_forward(lab, build_dir):
    """r1 - r2 - r3, the latter two in the lab kernel: what LDP learned over protected sessions
    carries a ping, with r2's label on it, from r3 to r1."""
    host, guest = lab
    if guest.run(["test", "-d", "/proc/sys/net/mpls"], check=False).returncode != 0:
        pytest.skip("the lab kernel has no MPLS (CONFIG_MPLS_ROUTING and CONFIG_MPLS_IPTUNNEL in "
                    "tests/labkernel/config.fragment)")
    inner = guest.namespace("r3")
    guest.run(["ip", "link", "add", "veth0", "type", "veth", "peer", "name", "eth0", "netns", "r3"])
    guest.run(["ip", "link", "set", "veth0", "up"])
    inner.run(["ip", "link", "set", "eth0", "up"])
    enable_mpls(guest, "vec0", "veth0")
    enable_mpls(inner, "eth0")
    for router in (host, guest):
        router.sysctl("net.ipv4.ip_forward", 1)
    Gatehouse(host, build_dir, policy([KEY], R1, R2)).start()
    middle = Gatehouse(guest, build_dir, key_chain("left", [KEY.swapped()]) +
                       key_chain("right", [KEY]) +
                       tcp_ao("r1", R1, "left", local=R2, port=646) +
                       tcp_ao("r3", R3, "right", local=R2, port=646)).start()
    Gatehouse(inner, build_dir, policy(swapped([KEY]), R3, R2)).start()
    signed = Capture(guest, "veth0", "tcp port 646", "signed")
    labelled = Capture(guest, "veth0", "mpls", "labelled")
    one = FrrLdp(host, R1, {"tap0": LINK1}).start()
    two = FrrLdp(guest, R2, {"vec0": LINK2, "veth0": "192.0.2.5/30"}).start()
    three = FrrLdp(inner, R3, {"eth0": "192.0.2.6/30"}, name="frr3").start()
    wait_both_operational(one, two)
    wait_both_operational(two, three)
    middle.wait_up("r1")
    middle.wait_up("r3")
    label = two.bindings()[f"{R1}/32"][R1][0]
    wait_route(inner, f"{R1} nhid … encap mpls {label} via 192.0.2.5 dev eth0 …")
    # r1 asked for no label (implicit null): r2 takes the label off.
    wait_route(guest, f"{label} via inet 192.0.2.1 dev vec0 …", "-f", "mpls")
    inner.run(["ping", "-c", "3", "-i", "0.2", "-W", "5", "-I", R3, R1])

    def frames():
        """(EtherType, label) of what was captured."""
        found = [frame for _, frame in read_frames(labelled.path)]
        return {(frame[12:14], int.from_bytes(frame[14:17], "big") >> 4) for frame in found}
    wait_for(lambda: frames() == {(b"\x88\x47", int(label))}, 5, lambda: f"labels {frames()}")
    assert_verified(middle, signed)
    seen(end(two), end(three), opened="the higher address", versions="4", protocol="LDP",
         also="the labels forward packets")
