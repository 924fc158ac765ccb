"""The user-space plane and whatever else speaks ESP and AH: strongSwan with the kernel's IPsec and with
its own (kernel-libipsec), libreswan; every algorithm that both have, both IP versions inside and outside,
a real NAT between, new keys under way.

One lab kernel and one Gatehouse for the whole file. Gatehouse is in namespace a; behind router r are the
guest with strongSwan in it and libreswan in a namespace of its own, and the host's namespace b with the
other strongSwan. Each case is one child with selectors of its own, and is kept.
"""

import dataclasses
import ipaddress
import os
import random
import re

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

import netns
from capture import Capture, read_frames
from daemons.libreswan import Libreswan
from daemons.strongswan import StrongSwan
from ike import SECRET, IkeGatehouse, child_section, peer_section, section
from netns import A4, A6
from pings import answered, ping_each
from test_ipsec import Pinging
from uml import Guest
from wait import wait_for

R4, R6 = "10.77.0.254", "fd77::fe"
SWAN4, SWAN6, BEHIND_NAT = "10.88.0.2", "fd88::2", "10.88.0.3"
LIBRE4 = "10.89.0.2"
SOFT4 = "10.91.0.2"
ESP, AH, UDP = 50, 51, 17
ECHO = """
import socket, threading
def serve(c):
    with c:
        while part := c.recv(65536):
            c.sendall(part)
with socket.create_server(("::", 7000), family=socket.AF_INET6, dualstack_ipv6=True) as s:
    print("ready", flush=True)
    while True:
        threading.Thread(target=serve, args=s.accept()[:1], daemon=True).start()
"""
TRANSFER = """
import hashlib, os, socket, sys, threading
data = os.urandom(int(sys.argv[3]))
with socket.create_connection((sys.argv[2], 7000), timeout=20, source_address=(sys.argv[1], 0)) as c:
    sender = threading.Thread(target=c.sendall, args=(data,))
    sender.start()
    got = hashlib.sha256()
    left = len(data)
    while left:
        part = c.recv(65536)
        assert part, f"the connection ended {left} octets early"
        got.update(part)
        left -= len(part)
    sender.join()
assert got.digest() == hashlib.sha256(data).digest()
"""


@dataclasses.dataclass
class Suite:
    """One proposal as Gatehouse and as strongSwan write it, and as Gatehouse shows it."""
    theirs: str
    encryption: str = None
    integrity: str = None
    ah: bool = False
    esn: bool = False
    legacy: bool = False

    def section(self, name):
        return section(f'ipsec-transform "{name}"', encryption=self.encryption and [self.encryption],
                       integrity=self.integrity and [self.integrity], protocol="ah" if self.ah else None,
                       esn=["yes" if self.esn else "no"], ke=["x25519"], legacy=self.legacy or None)

    def strongswan(self):
        proposal = f"{self.theirs}-x25519-{'esn' if self.esn else 'noesn'}"
        return {"ah_proposals" if self.ah else "esp_proposals": proposal}

    def libreswan(self):
        kind = "ah" if self.ah else "esp"
        return {"phase2": kind, kind: f"{self.theirs};dh31", "esn": "yes" if self.esn else "no"}


MACS = {"sha1": "hmac-sha-1-96", "sha256": "hmac-sha-256-128", "sha384": "hmac-sha-384-192",
        "sha512": "hmac-sha-512-256", "md5": "hmac-md5-96", "aesxcbc": "aes-xcbc-96",
        "aescmac": "aes-cmac-96"}


def aeads():
    for bits in (128, 192, 256):
        for icv in (8, 12, 16):
            more = "" if icv == 16 else f"-{icv}"
            yield f"gcm-{bits}-{icv}", Suite(f"aes{bits}gcm{icv}", f"aes-{bits}-gcm{more}")
        yield f"gmac-{bits}", Suite(f"aes{bits}gmac", f"aes-{bits}-gmac")
    for bits, icv in ((128, 16), (192, 8), (256, 12)):
        more = "" if icv == 16 else f"-{icv}"
        yield f"ccm-{bits}-{icv}", Suite(f"aes{bits}ccm{icv}", f"aes-{bits}-ccm{more}")
    yield "chacha20", Suite("chacha20poly1305", "chacha20-poly1305")
    yield "gcm-256-esn", Suite("aes256gcm16", "aes-256-gcm", esn=True)


def pairs():
    for mac, bits in (("sha1", 128), ("sha256", 192), ("sha384", 256), ("sha512", 256), ("md5", 128),
                      ("aesxcbc", 128), ("aescmac", 256)):
        yield f"cbc-{bits}-{mac}", Suite(f"aes{bits}-{mac}", f"aes-{bits}-cbc", MACS[mac],
                                         legacy=mac == "md5")
    for mac, bits in (("sha1", 128), ("sha256", 192), ("sha512", 256)):
        yield f"ctr-{bits}-{mac}", Suite(f"aes{bits}ctr-{mac}", f"aes-{bits}-ctr", MACS[mac])
    yield "null-sha256", Suite("null-sha256", "null", MACS["sha256"])
    yield "cbc-256-sha256-esn", Suite("aes256-sha256", "aes-256-cbc", MACS["sha256"], esn=True)


AHS = {f"ah-{mac}": Suite(mac, None, MACS[mac], ah=True, legacy=mac == "md5")
       for mac in ("sha1", "sha256", "sha384", "sha512", "md5", "aesxcbc")}
AHS["ah-sha256-esn"] = Suite("sha256", None, MACS["sha256"], ah=True, esn=True)
SUITES = dict([*aeads(), *pairs()])
GCM = Suite("aes256gcm16", "aes-256-gcm")
# name: (suite, the IP version inside)
OVER_4 = {**{name: (suite, 4) for name, suite in SUITES.items()}, "6-in-4": (GCM, 6),
          "ah-over-4": (AHS["ah-sha256"], 4)}
OVER_6 = {**{name: (suite, 6) for name, suite in AHS.items()}, "6-in-6": (GCM, 6), "4-in-6": (GCM, 4),
          "ah-4-in-6": (AHS["ah-sha1"], 4)}
NAT = {"nat": (GCM, 4), "nat-cbc": (SUITES["cbc-192-sha256"], 4), "nat-6": (GCM, 6)}
# kernel-libipsec has no AH and no ESN, and Debian's strongSwan no CCM, GMAC and CMAC of its own.
SOFT = {**{name: (suite, 4) for name, suite in SUITES.items()
           if not name.startswith(("ccm", "gmac")) and "cmac" not in name and not suite.esn},
        "3des-sha1": (Suite("3des-sha1", "3des", MACS["sha1"], legacy=True), 4)}
LIBRE = {name: ({**SUITES, **AHS}[name], words) for name, words in {
    "gcm-128-8": "aes_gcm_8_128", "gcm-192-12": "aes_gcm_12_192", "gcm-256-16": "aes_gcm_16_256",
    "ccm-192-8": "aes_ccm_8_192", "gmac-256": "null_auth_aes_gmac_256", "chacha20": "chacha20_poly1305",
    "gcm-256-esn": "aes_gcm_16_256", "cbc-128-sha1": "aes128-sha1", "cbc-192-sha256": "aes192-sha2_256",
    "cbc-256-sha384": "aes256-sha2_384", "cbc-256-sha512": "aes256-sha2_512", "cbc-128-md5": "aes128-md5",
    "cbc-128-aesxcbc": "aes128-aes_xcbc", "cbc-256-aescmac": "aes256-aes_cmac",
    "ctr-128-sha1": "aes_ctr_128-sha1", "null-sha256": "null-sha2_256",
    "cbc-256-sha256-esn": "aes256-sha2_256", "ah-sha1": "sha1", "ah-sha512": "sha2_512",
    "ah-sha256-esn": "sha2_256"}.items()}
LIBRE = {name: (dataclasses.replace(suite, theirs=words), 4) for name, (suite, words) in LIBRE.items()}
# Hosts that talk with the gateway itself, in transport mode: (their address, suite).
HOSTS = {"host4": ("10.88.0.4", GCM), "host4-ah": ("10.88.0.5", AHS["ah-sha256"]),
         "host6": ("fd88::4", SUITES["cbc-192-sha256"]), "host6-ah": ("fd88::5", AHS["ah-sha512"])}
PEERS = {"swan": OVER_4, "swan6": OVER_6, "soft": SOFT, "nat": NAT, "libre": LIBRE,
         **{name: {f"{name}-all": (suite, 6 if ":" in address else 4)}
            for name, (address, suite) in HOSTS.items()}}

# With these the peer begins: it is behind a NAT, or (libreswan) takes for every child that somebody else
# asks for what its first connection says.
ANSWER = ("nat", "libre")


def networks(peer, name):
    """(ours, theirs) of a case: (prefix, host) each."""
    if peer in HOSTS:
        ends = A6 if PEERS[peer][name][1] == 6 else A4, HOSTS[peer][0]
        return tuple((end, end) for end in ends)
    group, number = list(PEERS).index(peer), list(PEERS[peer]).index(name)
    _, version = PEERS[peer][name]
    end = 40 * group + number
    if version == 4:
        return tuple((f"10.{side}.{end}.0/24", f"10.{side}.{end}.1") for side in (1, 2))
    return tuple((f"fd0{side}:{end}::/64", f"fd0{side}:{end}::1") for side in (1, 2))


def our_peer(peer, **options):
    """A peer with all its cases, and the transforms of these."""
    transforms, children = "", []
    for name, (suite, _) in PEERS[peer].items():
        (ours, _), (theirs, _) = networks(peer, name)
        transforms += suite.section(f"{peer}.{name}")
        children.append(child_section(name, local_ts=ours, remote_ts=theirs,
                                      ipsec_transform=[f"{peer}.{name}"],
                                      mode="transport" if peer in HOSTS else None))
    return transforms + peer_section(peer, children, psk_secret=SECRET, **options)


def strongswan_child(peer, name):
    (ours, _), (theirs, _) = networks(peer, name)
    return {"local_ts": theirs, "remote_ts": ours, **PEERS[peer][name][0].strongswan(),
            **({"mode": "transport"} if peer in HOSTS else {})}


def libreswan_connection(name):
    (ours, _), (theirs, _) = networks("libre", name)
    return {"left": LIBRE4, "right": A4, "leftsubnet": theirs, "rightsubnet": ours,
            "ike": "aes_gcm256-sha2_256-dh31", **LIBRE[name][0].libreswan()}


def connection(name, address, remote, **more):
    return {"version": 2, "local_addrs": address, "remote_addrs": remote,
            "proposals": "aes256gcm16-prfsha256-x25519", "local": {"auth": "psk"},
            "remote": {"auth": "psk"}, **more,
            "children": {case: strongswan_child(name, case) for case in PEERS[name]}}


CONFIG = (our_peer("swan", remote=SWAN4, local=A4) + our_peer("swan6", remote=SWAN6, local=A6) +
          our_peer("soft", remote=SOFT4, local=A4) + our_peer("libre", remote=LIBRE4, local=A4) +
          our_peer("nat", remote=R4, local=A4, remote_id="nat.example", responder_only=True) +
          "".join(our_peer(name, remote=address, local=A6 if ":" in address else A4)
                  for name, (address, _) in HOSTS.items()))
KEYS = {"ike-1": {"secret": f'"{SECRET}"'}}


class Lab:
    """All ends, and what goes on between them."""

    def __init__(self, net, kernel, libreswan, build_dir):
        self.a, self.r, self.b = (net.namespace(name) for name in "arb")
        net.link(self.a, self.r, (f"{A4}/24", f"{R4}/24"), (f"{A6}/64", f"{R6}/64"))
        net.link(self.r, self.b, ("10.91.0.1/24", f"{SOFT4}/24"), name_a="eth1")
        self.r.tap("tap0", "10.88.0.1/24", "fd88::1/64")
        self.r.tap("tap1", "10.89.0.1/24")
        self.guest = Guest(self.r, kernel, taps=["tap0", "tap1"])
        self.libre_host = self.guest.namespace("libre")
        self.guest.run(["ip", "link", "set", "vec1", "netns", "libre", "name", "eth0"])
        self.libre_host.run(["ip", "link", "set", "eth0", "up"])
        for host, device, *addresses in (
                (self.guest, "vec0", f"{SWAN4}/24", f"{BEHIND_NAT}/24", f"{SWAN6}/64",
                 *(f"{address}/{64 if ':' in address else 24}" for address, _ in HOSTS.values())),
                (self.libre_host, "eth0", f"{LIBRE4}/24")):
            for address in addresses:
                host.add_address(device, address)
        for host, gateway in ((self.a, R4), (self.b, "10.91.0.1"), (self.guest, "10.88.0.1"),
                              (self.libre_host, "10.89.0.1")):
            host.run(["ip", "route", "add", "default", "via", gateway])
        for host, gateway in ((self.a, R6), (self.guest, "fd88::1")):
            host.run(["ip", "-6", "route", "add", "default", "via", gateway])
        self.r.sysctl("net.ipv4.ip_forward", 1)
        self.r.sysctl("net.ipv6.conf.all.forwarding", 1)
        self.r.run(["iptables", "-t", "nat", "-A", "POSTROUTING", "-s", BEHIND_NAT, "-o", "eth0", "-j",
                    "MASQUERADE"])
        self.hosts = {"swan": self.guest, "swan6": self.guest, "nat": self.guest, "soft": self.b,
                      "libre": self.libre_host, **{name: self.guest for name in HOSTS}}
        for name, cases in PEERS.items():
            for case in cases if name not in HOSTS else ():
                for host, (_, address) in zip((self.a, self.hosts[name]), networks(name, case)):
                    host.add_address("lo", f"{address}/{128 if ':' in address else 32}")
        for host in (self.guest, self.b, self.libre_host):
            log = os.path.join(host.directory("echo"), "out")
            host.spawn(["/usr/bin/python3", "-c", ECHO], log)
            wait_for(lambda path=log: os.path.exists(path) and "ready" in open(path, encoding="utf-8")
                     .read(), 20, "the echo server listens")
        self.gatehouse = IkeGatehouse(self.a, build_dir, CONFIG).start()
        kernels = StrongSwan(self.guest, {
            "swan": connection("swan", SWAN4, A4), "swan6": connection("swan6", SWAN6, A6),
            "nat": connection("nat", BEHIND_NAT, A4, local={"auth": "psk", "id": "nat.example"}),
            **{name: connection(name, address, A6 if ":" in address else A4)
               for name, (address, _) in HOSTS.items()}},
            KEYS, esp=False).start()
        soft = StrongSwan(self.b, {"soft": connection("soft", SOFT4, A4)}, KEYS).start()
        first, *more = LIBRE
        libre = Libreswan(self.libre_host, libreswan, libreswan_connection(first), f': PSK "{SECRET}"',
                          more={name: libreswan_connection(name) for name in more}).start()
        self.swans = {"swan": kernels, "swan6": kernels, "nat": kernels, "soft": soft, "libre": libre,
                      **{name: kernels for name in HOSTS}}

    def sas(self, peer, name):
        return [sa for sa in self.gatehouse.ask("show", "ipsec", "sa")["sas"]
                if (sa["peer"], sa["child"]) == (peer, name)]

    def installed(self, peer, name):
        return [sa for sa in self.sas(peer, name) if sa["state"] == "installed"]

    def up(self, peer, name, ours):
        """The child, begun by one end if it is not there yet; what Gatehouse shows of it."""
        if self.installed(peer, name):
            return self.installed(peer, name)[0]
        if ours:
            self.gatehouse.gatectl("ike", "initiate", peer, name)
        else:
            self.swans[peer].initiate("gw" if peer == "libre" and name == next(iter(LIBRE)) else name)
        return wait_for(lambda: self.installed(peer, name), 10, lambda: (
            f"{name} is there\n{self.gatehouse.tail()}\n{self.swans[peer].tail()}"))[0]

    def ping(self, peer, name, sizes=(0, 1000, 1362, 4000)):
        """Echo requests of these sizes and their replies: 1362 fill the device's MTU, beyond that the
        kernel fragments."""
        (_, source), (_, to) = networks(peer, name)
        for size in sizes:
            said = ping_each(self.a, to, "-I", source, "-s", size)
            assert answered(said) == 1, f"{size}: {said}\n{self.sas(peer, name)}"

    def transfer(self, peer, name, octets=200_000):
        (_, source), (_, to) = networks(peer, name)
        self.a.run(["/usr/bin/python3", "-c", TRANSFER, source, to, octets])


@pytest.fixture(scope="module")
def lab(lab_kernel, libreswan, build_dir):
    net = netns.Net()
    try:
        yield Lab(net, lab_kernel, libreswan, build_dir)
    finally:
        net.destroy()


def carries(lab, peer, name, sizes=(0, 1000, 1362, 4000)):
    """Small and large packets and TCP there and back; both directions count what they took, and dropped
    nothing."""
    suite, _ = PEERS[peer][name]
    sa = lab.up(peer, name, ours=peer not in ANSWER and list(PEERS[peer]).index(name) % 2 == 0)
    assert sa["protocol"] == ("AH" if suite.ah else "ESP")
    assert sa["algorithms"]["esn"] == suite.esn
    assert sa["udp"] == (peer in ("nat", "soft"))
    lab.ping(peer, name, sizes)
    lab.transfer(peer, name)
    sa, = lab.sas(peer, name)
    for way in ("in", "out"):
        assert sa[way]["octets"] > 200_000 and sa[way]["drops"] == {}, sa
    return sa


@pytest.mark.parametrize("name", OVER_4)
def test_strongswan(lab, name):
    carries(lab, "swan", name)


@pytest.mark.parametrize("name", OVER_6)
def test_strongswan_over_ipv6(lab, name):
    carries(lab, "swan6", name)


@pytest.mark.parametrize("name", NAT)
def test_strongswan_behind_nat(lab, name):
    sa = carries(lab, "nat", name)
    assert sa["remote"]["address"] == R4


@pytest.mark.parametrize("peer", HOSTS)
def test_transport_mode(lab, peer):
    """Also what the kernel fragments before it comes to us: transport mode is for whole packets
    (RFC 4303 3.3.4), and the peer's kernel drops all others."""
    sa = carries(lab, peer, f"{peer}-all", (0, 1000, 1342, 3000))
    assert sa["mode"] == "transport"
    assert lab.gatehouse.ask("show", "ipsec", "counters")["sizes"]["made-whole"] >= 1


@pytest.mark.parametrize("name", SOFT)
def test_kernel_libipsec(lab, name):
    carries(lab, "soft", name)


@pytest.mark.parametrize("name", LIBRE)
def test_libreswan(lab, name):
    carries(lab, "libre", name)


@pytest.mark.parametrize("who", ["gatehouse", "peer"])
@pytest.mark.parametrize("peer, name", [("swan", "gcm-256-16"), ("swan6", "ah-sha256"), ("nat", "nat"),
                                        ("soft", "cbc-128-sha1"), ("libre", "gcm-256-16")])
def test_rekey_under_traffic(lab, peer, name, who):
    """New keys, asked for by either end: not a packet is lost."""
    before = lab.up(peer, name, ours=peer not in ANSWER)
    (_, source), (_, to) = networks(peer, name)
    pinging = Pinging(lab.a, source, to)
    if who == "gatehouse":
        lab.gatehouse.gatectl("ike", "rekey", "child", str(before["id"]))
    elif peer == "libre":
        lab.swans[peer].whack("--name", name, "--rekey-ipsec")
    else:
        lab.swans[peer].rekey(child=name)
    wait_for(lambda: any(sa["state"] == "installed" and sa["in"]["packets"] > 5 and sa["out"]["packets"] > 5
                         and sa["in"]["spi"] != before["in"]["spi"] for sa in lab.sas(peer, name)), 10,
             lambda: f"traffic by new keys {lab.sas(peer, name)}\n{lab.gatehouse.tail()}")
    pinging.wait_more()
    assert pinging.lost() == 0


def test_nothing_in_clear(lab):
    """What is on the wire, and between whom."""
    cases = [("swan", "gcm-256-16"), ("swan6", "ah-sha256"), ("soft", "gcm-256-16")]
    for peer, name in cases:
        lab.up(peer, name, ours=True)
    capture = Capture(lab.a, expression="ip or ip6")
    for peer, name in cases:
        lab.ping(peer, name)
    capture.stop()
    seen = set()
    for _, frame in read_frames(capture.path):
        packet, v4 = frame[14:], frame[12:14] == b"\x08\x00"
        source, to = (packet[12:16], packet[16:20]) if v4 else (packet[8:24], packet[24:40])
        if not v4 and packet[6] in (0, 58):
            continue  # neighbour discovery
        assert {str(ipaddress.ip_address(x)) for x in (source, to)} in ({A4, SWAN4}, {A6, SWAN6}, {A4, SOFT4})
        seen.add(packet[9] if v4 else packet[6])
    assert seen == {ESP, AH, UDP}


def test_a_peer_that_sends_what_selectors_forbid(lab):
    """The other kernel is told to put other packets into the SA: other addresses, another IP version."""
    sa = lab.up("swan", "gcm-128-16", ours=True)
    (_, ours), (_, theirs) = networks("swan", "gcm-128-16")
    state = lab.guest.run(["ip", "xfrm", "state"]).stdout
    reqid = re.search(rf"spi 0x{sa['in']['spi']} reqid (\d+)", state)[1]
    forbidden = [("10.99.0.1", ours), (theirs, "10.1.255.1"), ("fd99::1", "fd01::99")]
    for address in ("10.99.0.1/32", "fd99::1/128"):
        lab.guest.add_address("lo", address)
    for source, to in forbidden:
        lab.guest.run(["ip", "xfrm", "policy", "add", "src", source, "dst", to, "dir", "out", "priority", 1,
                       "tmpl", "src", SWAN4, "dst", A4, "proto", "esp", "reqid", reqid, "mode", "tunnel"])
    pinging = Pinging(lab.a, ours, theirs)
    before = lab.gatehouse.ask("show", "ipsec", "counters")
    for source, to in forbidden:
        done = lab.guest.run(["ping", "-c", 3, "-i", 0.05, "-W", 0.2, "-I", source, to], check=False)
        assert " 0 received" in done.stdout
    pinging.wait_more()
    assert pinging.lost() == 0
    after = lab.gatehouse.ask("show", "ipsec", "counters")
    assert after["in"]["selectors"] - before["in"]["selectors"] == 9
    assert lab.installed("swan", "gcm-128-16")[0]["in"]["drops"] == {"selectors": 9}
    for source, to in forbidden:
        lab.guest.run(["ip", "xfrm", "policy", "delete", "src", source, "dst", to, "dir", "out"])


# ---- The outer header ---------------------------------------------------------------------------

ECT, CE = 2, 3


class Marks:
    """TOS and DF of what passes a device, between these addresses."""

    def __init__(self, host, device, source, to):
        self.source, self.to = (ipaddress.ip_address(x).packed for x in (source, to))
        self.capture = Capture(host, device, "ip", name=f"marks-{device}")

    def seen(self):
        """{(TOS, whether DF is set)}"""
        self.capture.stop()
        found = set()
        for _, frame in read_frames(self.capture.path):
            packet = frame[14:] if frame[12:14] == b"\x08\x00" else b""
            if packet and packet[12:16] == self.source and packet[16:20] == self.to:
                found.add((packet[1], bool(packet[6] & 0x40)))
        return found


@pytest.mark.parametrize("peer, name", [("swan", "gcm-192-16"), ("swan", "ah-over-4"), ("nat", "nat")])
def test_dscp_and_ecn(lab, peer, name):
    """RFC 6040 with the other kernel: DSCP and ECN are copied to the outer header, congestion on the way is
    told to what is inside; DF is ours to clear."""
    lab.up(peer, name, ours=peer not in ANSWER)
    (_, ours), (_, theirs) = networks(peer, name)
    outside = {"swan": SWAN4, "nat": R4}[peer]
    for tos in (0, 0xb8, 0x28 | ECT, CE):
        out = Marks(lab.a, "eth0", A4, outside)
        assert answered(ping_each(lab.a, theirs, "-I", ours, "-Q", tos, count=2)) == 2
        assert out.seen() == {(tos, False)}
    protocol = {"swan": "ah" if name.startswith("ah") else "esp", "nat": "udp"}[peer]
    rule = ["PREROUTING", "-i", "tap0", "-p", protocol, "-j", "TOS", "--set-tos", "0x03/0x03"]
    lab.r.run(["iptables", "-t", "mangle", "-A", *rule])
    try:
        come = Marks(lab.a, "gh-ipsec0", theirs, ours)
        for tos, answers in ((0x28 | ECT, 2), (0x28, 0)):
            wait = 10 if answers else 0.5
            assert answered(ping_each(lab.a, theirs, "-I", ours, "-Q", tos, count=2, wait=wait)) == answers
        assert come.seen() == {(0x28 | CE, False)}
    finally:
        lab.r.run(["iptables", "-t", "mangle", "-D", *rule])
    # What does not know of congestion cannot be told, and is dropped as by any router.
    assert lab.installed(peer, name)[0]["in"]["drops"] == {"ecn": 2}


# ---- A peer that has the keys, and means no good --------------------------------------------------

class Liar:
    """Whoever has the keys of an AES-GCM SA towards Gatehouse, as the other kernel shows them: seals
    whatever it likes, and sends it from the guest."""

    def __init__(self, lab, peer, name):
        self.lab, self.peer, self.name = lab, peer, name
        sa = lab.up(peer, name, ours=True)["in"]
        state = re.search(rf"proto esp spi 0x{sa['spi']} .*?aead rfc4106\(gcm\(aes\)\) 0x(\w+) (\d+)",
                          lab.guest.run(["ip", "xfrm", "state"]).stdout, re.S)
        key = bytes.fromhex(state[1])
        assert int(state[2]) == 128
        self.cipher, self.salt = AESGCM(key[:-4]), key[-4:]
        self.spi, self.sequence = bytes.fromhex(sa["spi"]), sa["sequence"]
        self.waiting = []

    def seal(self, inside, next_header=4, padding=None):
        """padding: its octets and their number, in the place of what they should be."""
        count = -(len(inside) + 2) % 4
        padding = bytes(range(1, count + 1)) + bytes([count]) if padding is None else padding
        self.sequence += 1
        header = self.spi + self.sequence.to_bytes(4, "big")
        iv = self.sequence.to_bytes(8, "big")
        self.waiting.append(header + iv + self.cipher.encrypt(
            self.salt + iv, inside + padding + bytes([next_header]), header))

    def dropped(self):
        """Sends them all, and tells what came of it."""
        before, count = self.counts(), len(self.waiting)
        path = os.path.join(self.lab.guest.directory("liar"), "packets")
        with open(path, "w", encoding="ascii") as file:
            file.writelines(packet.hex() + "\n" for packet in self.waiting)
        self.waiting = []
        self.lab.guest.run(["/usr/bin/python3", "-c", "import socket, sys\n"
                            "s = socket.socket(socket.AF_INET, socket.SOCK_RAW, 50)\n"
                            "for x in open(sys.argv[1]):\n"
                            "    s.sendto(bytes.fromhex(x), (sys.argv[2], 0))\n", path, A4])
        wait_for(lambda: sum(self.counts().values()) - sum(before.values()) >= count, 10,
                 lambda: f"{count} are counted: {before} {self.counts()}")
        return {name: number - before.get(name, 0) for name, number in self.counts().items()
                if number != before.get(name, 0)}

    def counts(self):
        sa, = self.lab.sas(self.peer, self.name)
        drops = sa["in"]["drops"]
        return {"ok": sa["in"]["packets"] - drops.get("dummy", 0), **drops}  # a dummy is one of the SA's packets


def ipv4(source, to, protocol=1, payload=b"\x08\0\xf7\xff\0\0\0\0", length=None, first=0x45):
    return (bytes([first, 0]) + (20 + len(payload) if length is None else length).to_bytes(2, "big") +
            bytes(4) + bytes([64, protocol, 0, 0]) + ipaddress.ip_address(source).packed +
            ipaddress.ip_address(to).packed + payload)


EMPTY_IPV6 = bytes([0x60, 0, 0, 0, 0, 0, 59, 64]) + bytes(32)


def test_a_peer_that_lies(lab):
    """What is authentic and all the same wrong inside: dropped, by its reason; others do not notice."""
    name, other = "gcm-192-16", "gcm-128-16"
    lab.up("swan", other, ours=True)
    liar = Liar(lab, "swan", name)
    (_, ours), (_, theirs) = networks("swan", name)
    pinging = Pinging(lab.a, *(host for _, host in networks("swan", other)))
    before = lab.gatehouse.processes()["esp"]
    good = ipv4(theirs, ours)
    liar.seal(good)
    assert liar.dropped() == {"ok": 1}
    for inside in (b"", b"\x45", good[:19], good[:-1], ipv4(theirs, ours, length=19),
                   ipv4(theirs, ours, length=29), ipv4(theirs, ours, first=0x44),
                   ipv4(theirs, ours, first=0x4f), ipv4(theirs, ours, first=0x55), bytes(40)):
        liar.seal(inside)
    liar.seal(EMPTY_IPV6, 41)
    assert liar.dropped() == {"inner": 10, "selectors": 1}
    liar.seal(good, 41)
    liar.seal(EMPTY_IPV6, 4)
    liar.seal(good, 17)
    liar.seal(good, 50)
    assert sum(n for reason, n in liar.dropped().items() if reason in ("inner", "next-header")) == 4
    liar.seal(b"whatever", 59)
    assert liar.dropped() == {"dummy": 1}
    for padding in (b"\x02\x02\x02", b"\xff", b"\x01\x03\x02"):
        liar.seal(good, padding=padding)
    assert set(liar.dropped()) <= {"padding", "inner"}
    for inside in (ipv4(theirs, "10.9.9.9"), ipv4("10.9.9.9", ours), ipv4(theirs, "255.255.255.255"),
                   ipv4(theirs, "224.0.0.1"), ipv4("127.0.0.1", ours)):
        liar.seal(inside)
    assert liar.dropped() == {"selectors": 5}
    chance = random.Random(4301)
    for _ in range(400):
        inside = bytearray(ipv4(theirs, ours, chance.choice((1, 4, 6, 17, 41, 50, 51)), chance.randbytes(64)))
        for _ in range(chance.randrange(1, 4)):
            inside[chance.randrange(20)] = chance.randrange(256)
        liar.seal(bytes(inside), chance.choice((4, 4, 4, 41, 59, chance.randrange(256))))
    assert set(liar.dropped()) <= {"ok", "inner", "selectors", "dummy", "next-header"}
    assert pinging.lost() == 0
    assert lab.gatehouse.processes()["esp"] == before
