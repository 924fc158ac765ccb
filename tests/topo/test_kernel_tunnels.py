"""Tunnels with a device of the kernel's (`tunnel { dataplane = kernel }`) in the lab kernel: with plain devices at
the other end, and protected by the kernel's IPsec with Gatehouse's own data plane at the other end."""

import pytest

from ike import SECRET, IkeGatehouse, child_section, peer_section
from netns import A4, A6, B4, B6
from test_base_uml import inner_pair
from test_dataplane import sent_by, states
from test_ipsec import ESP, UDP, sas
from test_tunnels import IN6_A, IN6_B, IN_A, IN_B, Pair, ping, tunnel_section
from uml import Guest
from wait import wait_for


@pytest.fixture
def guest(net, lab_kernel):
    return Guest(net.namespace("host"), lab_kernel)


def links(host):
    return host.run(["ip", "-d", "-o", "link", "show"]).stdout


def link(host, name):
    return host.run(["ip", "-d", "-o", "link", "show", "dev", name], check=False).stdout


def tunnels(gatehouse):
    return {t["name"]: t for t in gatehouse.ask("show", "tunnel")["tunnels"]}


def state(gatehouse):
    return lambda: f"{gatehouse.gatectl('show', 'tunnel', check=False).stdout}{gatehouse.tail()}"


OTHER = child_section("other", local_ts="10.55.0.0/24", remote_ts="10.66.0.0/24")
# type, outer IPv6?, options, kind and options of the plain device at the other end
PLAIN = {
    "g4": ("gre", False, {"key": 77, "checksum": True, "sequence": "check", "ttl": 9, "dscp": 46, "outer_df": "set"},
           ["gre", "key", "77", "csum", "seq", "ttl", "64"]),
    "g6": ("gre", True, {"send_key": 1, "receive_key": 2}, ["ip6gre", "ikey", "1", "okey", "2", "encaplimit", "none"]),
    "i4": ("ipip", False, {}, ["sit", "mode", "any", "ttl", "64"]),
    "i6": ("ipip", True, {"encapsulation_limit": 3, "dscp": 10}, ["ip6tnl", "mode", "any", "encaplimit", "none"]),
}


def plain_config(a6_of=None, **changes):
    text = peer_section(psk_secret=SECRET, children=[OTHER])
    for n, (name, (kind, v6, options, _)) in enumerate(PLAIN.items()):
        ends = (A6, B6) if v6 else (A4, B4)
        text += tunnel_section(name, **{
            "type": kind, "local": ends[0], "remote": ends[1], "unprotected": True, "dataplane": "kernel",
            "address": [f"10.99.{n}.1/30", f"fd99:{n}::1/64"], "ip_mtu": 1400, **options, **changes.get(name, {})})
    return text


def test_with_plain_devices(guest, build_dir):
    """All four kinds with Linux's own at the other end; what a reload changes, and what stays when all is over."""
    a, b = inner_pair(guest)
    b.run(["ethtool", "-K", "eth0", "tx", "off"])
    a.run(["ethtool", "-K", "eth0", "tx", "off"])
    for n, (name, (_, v6, _, plain)) in enumerate(PLAIN.items()):
        ends = (B6, A6) if v6 else (B4, A4)
        b.run(["ip", "link", "add", name, "type", plain[0], "local", ends[0], "remote", ends[1], *plain[1:]])
        b.run(["ip", "link", "set", name, "up", "mtu", "1400"])
        b.add_address(name, f"10.99.{n}.2/30")
        b.add_address(name, f"fd99:{n}::2/64")
    one = IkeGatehouse(a, build_dir, plain_config()).start()
    for n, name in enumerate(PLAIN):
        for target in (f"10.99.{n}.2", f"fd99:{n}::2"):
            wait_for(lambda: ping(a, target, 1) == 1, 10,  # pylint: disable=cell-var-from-loop
                     lambda: f"{name} {target}\n{links(a)}{state(one)()}")  # pylint: disable=cell-var-from-loop
            assert ping(a, target, 3, 3000) == 3
        shown = tunnels(one)[name]
        assert (shown["dataplane"], shown["state"], shown["ip_mtu"]) == ("kernel", "up", 1400)
        assert shown["in"]["packets"] >= 8 and shown["out"]["octets"] > 8000 and shown["in"]["drops"] == {}
    said = link(a, "g4")
    for word in ("mtu 1400", "MULTICAST", "ttl 9", "tos 0xb8", "key 0.0.0.77", "icsum", "ocsum", "iseq", "oseq"):
        assert word in said, said
    assert "nopmtudisc" not in said and "encaplimit 3" in link(a, "i6")
    assert "g4" in one.gatectl("show", "tunnel").stdout
    # Another key, in place: the device stays as it is, with what the operator has added to it.
    a.run(["ip", "route", "add", "10.44.0.0/24", "dev", "g4"])
    one.configure(plain_config(g4={"key": 78, "ttl": 10, "ip_mtu": 1300}))
    one.reload()
    wait_for(lambda: "key 0.0.0.78" in link(a, "g4") and "mtu 1300" in link(a, "g4"), 10, lambda: link(a, "g4"))
    assert "10.44.0.0/24" in a.run(["ip", "route"]).stdout
    assert ping(a, "10.99.0.2", 1) == 0
    b.run(["ip", "link", "set", "g4", "type", "gre", "key", "78"])
    assert ping(a, "10.99.0.2", 1) == 1 and ping(a, "10.99.1.2", 1) == 1
    # Into another namespace, while its packets leave where they did.
    c = guest.namespace("c")
    one.configure(plain_config(i4={"netns": "c", "device": "inside"}))
    one.reload()
    wait_for(lambda: "inside:" in links(c) and "i4:" not in links(a), 10, lambda: links(c) + links(a))
    wait_for(lambda: ping(c, "10.99.2.2", 1) == 1, 10, state(one))
    # Somebody takes one away, somebody kills the daemon, and in the end it is stopped.
    a.run(["ip", "link", "delete", "g6"])
    wait_for(lambda: ping(a, "10.99.1.2", 1) == 1, 10, state(one))
    one.kill()
    assert "g6:" in links(a) and "inside:" in links(c)
    one = IkeGatehouse(a, build_dir, plain_config(g6={"device": "renamed"})).start()
    wait_for(lambda: ping(a, "10.99.1.2", 1) == 1, 10, state(one))
    assert "g6:" not in links(a) and "inside:" not in links(c)
    one.stop()
    assert not [name for name in ("g4:", "renamed:", "i4:", "i6:") if name in links(a)]
