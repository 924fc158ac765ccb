"""The kernel's own IPsec through src/platform/xfrm.h, in the lab kernel.

At one end xfrm_ends gives SAs and policies to the kernel; at the other is plain `ip xfrm`, or the
user-space core (core_end.py), so that each seals what the other opens.
"""

import dataclasses
import json
import os
import re

import pytest

import netns
from uml import Guest
from wait import wait_for

OUTER = {4: ("10.0.0.1", "10.0.0.2"), 6: ("fd00::1", "fd00::2")}
INNER = {4: ("10.1.0.1", "10.2.0.1"), 6: ("fd01::1", "fd02::1")}
NETS = {4: ("10.1.0.0/16", "10.2.0.0/16"), 6: ("fd01::/32", "fd02::/32")}
MACS = ("02:00:00:00:00:01", "02:00:00:00:00:02")
ESP, AH = 50, 51
A_TO_B, B_TO_A = 4096, 4097
TOPO = os.path.dirname(os.path.abspath(__file__))


@dataclasses.dataclass
class Algs:
    """IKEv2's numbers, octets of the keys, and `ip xfrm`'s words."""
    enc: int
    bits: int
    enc_octets: int
    integ: int = 0
    integ_octets: int = 0
    cipher: str = ""
    icv_bits: int = 0
    mac: str = ""

    def keys(self, way):
        """Each direction has its own."""
        octet = 0x10 + way
        return bytes(range(octet, octet + self.enc_octets)), bytes(range(octet, octet + self.integ_octets))

    def words(self, way, protocol):
        enc, integ = (k.hex() for k in self.keys(way))
        if not self.mac:
            return ["aead", self.cipher, f"0x{enc}", self.icv_bits]
        auth = ["auth-trunc", self.mac, f"0x{integ}", self.icv_bits]
        return auth if protocol == "ah" else [*auth, "enc", self.cipher, f"0x{enc}" if enc else ""]


def aead(enc, octets, cipher, icv=128, bits=128):
    return Algs(enc, bits, octets, cipher=cipher, icv_bits=icv)


def pair(enc, octets, cipher, integ, integ_octets, mac, icv, bits=128):
    return Algs(enc, bits, octets, integ, integ_octets, cipher, icv, mac)


SHA1 = (2, 20, "hmac(sha1)", 96)
SHA256 = (12, 32, "hmac(sha256)", 128)
NULL = (11, 0, "ecb(cipher_null)")
ALGS = {
    "gcm": aead(20, 20, "rfc4106(gcm(aes))"),
    "gcm-256-8": aead(18, 36, "rfc4106(gcm(aes))", icv=64, bits=256),
    "ccm-12": aead(15, 19, "rfc4309(ccm(aes))", icv=96),
    "gmac": aead(21, 20, "rfc4543(gcm(aes))"),
    "chacha": aead(28, 36, "rfc7539esp(chacha20,poly1305)", bits=0),
    "cbc-sha256": pair(12, 16, "cbc(aes)", *SHA256),
    "cbc-sha512": pair(12, 32, "cbc(aes)", 14, 64, "hmac(sha512)", 256, bits=256),
    "ctr-xcbc": pair(13, 20, "rfc3686(ctr(aes))", 5, 16, "xcbc(aes)", 96),
    "null-sha1": pair(*NULL, *SHA1, bits=0),
    "null-sha256": pair(*NULL, *SHA256, bits=0),
    "null-sha384": pair(*NULL, 13, 48, "hmac(sha384)", 192, bits=0),
    "null-cmac": pair(*NULL, 8, 16, "cmac(aes)", 96, bits=0),
}


@dataclasses.dataclass
class Case:
    """What both ends agree on."""
    algs: Algs
    protocol: str = "esp"  # or ah, or esp+ah: AH with null-sha256 around it
    mode: str = "tunnel"
    outer: int = 4
    inner: int = 4
    esn: int = 0
    window: int = 64
    port: int = 0
    last_seq: int = 0  # that both directions begin behind

    def layers(self):
        """(protocol, mode, algorithms), from the inside out."""
        if self.protocol == "esp+ah":
            return [("esp", self.mode, self.algs), ("ah", "transport", ALGS["null-sha256"])]
        return [(self.protocol, self.mode, self.algs)]

    def addresses(self):
        return INNER[self.inner] if self.mode == "tunnel" else OUTER[self.outer]

    def selectors(self):
        if self.mode == "tunnel":
            return NETS[self.inner]
        return tuple(f"{a}/{32 if self.outer == 4 else 128}" for a in OUTER[self.outer])

    def ours(self, **more):
        """Lines for xfrm_ends at A."""
        local, remote = OUTER[self.outer]
        ends = f"local={local} remote={remote} reqid=1"
        lines = []
        for protocol, mode, algs in self.layers():
            for way, spi in (("out", A_TO_B), ("in", B_TO_A)):
                enc, integ = (k.hex() for k in algs.keys(way == "in"))
                lines.append(
                    f"sa way={way} protocol={protocol} mode={mode} spi={spi} {ends} enc={algs.enc} "
                    f"bits={algs.bits} integ={algs.integ} enc_key={enc} integ_key={integ} esn={self.esn} "
                    f"window={self.window if way == 'in' else 0} last_seq={self.last_seq} "
                    f"local_port={self.port} remote_port={self.port} " +
                    " ".join(f"{k}={v}" for k, v in more.items()))
        return lines + [self.policy(ends)]

    def policy(self, ends, more=""):
        return (f"policy protocol={self.protocol} mode={self.mode} {ends} priority=100 "
                f"for={','.join(self.selectors())} {more}")

    def theirs(self, port=None):
        """Commands for `ip xfrm` at B."""
        ends, nets = OUTER[self.outer], self.selectors()
        commands, templates = [], {"in": [], "out": []}
        for protocol, mode, algs in self.layers():
            for way, spi in ((0, A_TO_B), (1, B_TO_A)):
                src, dst = (ends, ends[::-1])[way]
                command = ["state", "add", "src", src, "dst", dst, "proto", protocol, "spi", spi, "mode",
                           mode, "reqid", 9, "replay-window", 32, *algs.words(way, protocol)]
                flags = ["esn"] if self.esn else []
                flags += ["align4"] if protocol == "ah" and self.outer == 4 else []
                flags += ["af-unspec"] if self.inner != self.outer and mode == "tunnel" else []
                command += ["flag", *flags] if flags else []
                if self.port:
                    ports = [self.port, port or self.port]
                    sport, dport = ports if way == 0 else ports[::-1]
                    command += ["encap", "espinudp", sport, dport, "::" if self.outer == 6 else "0.0.0.0"]
                commands.append(command)
                templates[("in", "out")[way]] += ["tmpl", "src", src, "dst", dst, "proto", protocol,
                                                  "mode", mode, "reqid", 9]
        for way, (src, dst) in (("in", nets), ("out", nets[::-1])):
            commands.append(["policy", "add", "src", src, "dst", dst, "dir", way, "priority", 9,
                             *templates[way]])
        return commands

    def core(self, way):
        """A line for the core at B for each layer; way: 0 out, 1 in."""
        local, remote = OUTER[self.outer][::-1]
        lines = []
        for protocol, mode, algs in self.layers():
            enc, integ = (k.hex() or "-" for k in algs.keys(1 - way))
            lines.append(f"{int(way)} {ESP if protocol == 'esp' else AH} {int(mode == 'transport')} "
                         f"{(B_TO_A, A_TO_B)[way]} {self.esn} {self.last_seq} {algs.enc} {algs.bits} "
                         f"{algs.integ} {local} {remote} {self.port} {enc} {integ}")
        words = ["sa"] if len(lines) == 1 else ["inner", "around"]
        return [f"{word} {line}" for word, line in zip(words, lines)]


class Lab:
    """Namespaces A and B of one guest with a link between them."""

    def __init__(self, net, lab_kernel, build_dir):
        self.guest = Guest(net.namespace("host"), lab_kernel)
        self.a, self.b = self.guest.namespace("a"), self.guest.namespace("b")
        self.build_dir = build_dir
        self.guest.run(["ip", "link", "add", "eth0", "netns", "a", "type", "veth", "peer", "name", "eth0",
                        "netns", "b"])
        for i, (end, other) in enumerate(((self.a, self.b), (self.b, self.a))):
            end.run(["ip", "link", "set", "eth0", "address", MACS[i], "up"])
            for version, bits, host in ((4, 24, 32), (6, 64, 128)):
                end.add_address("eth0", f"{OUTER[version][i]}/{bits}")
                end.add_address("lo", f"{INNER[version][i]}/{host}")
                end.run(["ip", "neighbour", "replace", OUTER[version][1 - i], "lladdr", MACS[1 - i], "dev",
                         "eth0", "nud", "permanent"])
                end.run(["ip", "route", "add", NETS[version][1 - i], "via", OUTER[version][1 - i], "src",
                         INNER[version][i]])

    def ours(self, *lines, end=None):
        """The answers of xfrm_ends to these lines."""
        done = (end or self.a).run([os.path.join(self.build_dir, "tests", "topo", "xfrm_ends")],
                                   input="".join(line + "\n" for line in lines), timeout=30)
        answers = [json.loads(line) for line in done.stdout.splitlines()]
        assert len(answers) == len(lines), done.stderr
        return answers

    def theirs(self, commands):
        """All at once; an empty key is an empty word."""
        batch = "".join(" ".join(["xfrm", *(str(w) or '""' for w in c)]) + "\n" for c in commands)
        self.b.run(["ip", "-batch", "-"], input=batch)

    def script(self, name, text):
        """The path of a program in Python."""
        path = os.path.join(self.a.directory("scripts"), name)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        return path

    def clean(self):
        self.a.run(["sh", "-c", "ip xfrm state flush; ip xfrm policy flush"])
        self.b.run(["sh", "-c", "ip xfrm state flush; ip xfrm policy flush"])


@pytest.fixture(scope="module")
def kernel(lab_kernel, build_dir):
    net = netns.Net()
    yield Lab(net, lab_kernel, build_dir)
    net.destroy()


@pytest.fixture
def lab(kernel):
    yield kernel
    kernel.clean()


def ping(case, count=3):
    source, to = case.addresses()
    return f"run ping -c {count} -i 0.02 -W 10 -I {source} {to}"


def get(way, case, protocol=None):
    local, remote = OUTER[case.outer]
    spi = A_TO_B if way == "out" else B_TO_A
    return f"get way={way} protocol={protocol or case.protocol} spi={spi} local={local} remote={remote}"


ENCAPSULATED_SOCKET = """
import signal, socket, struct, sys
v6 = ":" in sys.argv[1]
family, level, option = (socket.AF_INET6, 41, 35) if v6 else (socket.AF_INET, 0, 17)
s = socket.socket(family, socket.SOCK_DGRAM)
for way in (0, 1):  # struct xfrm_userpolicy_info: what this socket sends and gets passes
    s.setsockopt(level, option, struct.pack("40xH118xB7x", family, way))
s.bind((sys.argv[1], int(sys.argv[2])))
s.setsockopt(17, 100, 2)  # UDP_ENCAP, UDP_ENCAP_ESPINUDP
print("ready", flush=True)
signal.pause()
"""


def ready(path):
    with open(path, encoding="utf-8") as file:
        return "ready" in file.read()


@pytest.fixture
def start(lab):
    """Starts a program at B that says when it is ready, and gives its log; ends it after the test."""
    processes = []

    def started(*argv):
        log = os.path.join(lab.b.directory("programs"), f"{len(processes)}.log")
        open(log, "w", encoding="utf-8").close()
        processes.append(lab.b.spawn(["/usr/bin/python3", *argv], log))
        wait_for(lambda: ready(log), 10, f"{argv[0]} is ready")
        return log

    yield started
    for process in processes:
        process.kill()


WITH_IP_XFRM = {
    "gcm": Case(ALGS["gcm"]),
    "gcm-256-8": Case(ALGS["gcm-256-8"], outer=6),
    "ccm-12": Case(ALGS["ccm-12"], inner=6),
    "gmac": Case(ALGS["gmac"], mode="transport"),
    "chacha-esn": Case(ALGS["chacha"], esn=1, window=4096, last_seq=0xfffffffe),
    "cbc-sha256": Case(ALGS["cbc-sha256"], mode="transport", outer=6),
    "cbc-sha512": Case(ALGS["cbc-sha512"], window=0),
    "ctr-xcbc": Case(ALGS["ctr-xcbc"], window=100),
    "null-sha384": Case(ALGS["null-sha384"], outer=6, inner=6),
    "nat-t": Case(ALGS["gcm"], port=4500),
    "nat-t-transport-6": Case(ALGS["cbc-sha256"], mode="transport", outer=6, port=4500),
    "ah": Case(ALGS["null-sha1"], "ah"),
    "ah-transport-esn": Case(ALGS["null-sha256"], "ah", "transport", esn=1),
    "ah-6": Case(ALGS["null-cmac"], "ah", "transport", outer=6),
    "ah-esp": Case(ALGS["gcm"], "esp+ah"),
    "ah-esp-transport": Case(ALGS["cbc-sha256"], "esp+ah", "transport", outer=6),
}


@pytest.mark.parametrize("name", WITH_IP_XFRM)
def test_with_ip_xfrm(lab, start, name):
    """A ping goes both ways through SAs that `ip xfrm` agrees with; A's counters tell of it."""
    case = WITH_IP_XFRM[name]
    lines = case.ours()
    theirs = case.theirs()
    before = []
    if case.last_seq:  # `ip xfrm` counts from where it is told to
        for command in theirs:
            if command[0] == "state":
                command += ["replay-seq-hi", hex(case.last_seq >> 32), "replay-oseq-hi",
                            hex(case.last_seq >> 32), "replay-seq", hex(case.last_seq & 0xffffffff),
                            "replay-oseq", hex(case.last_seq & 0xffffffff)]
    lab.theirs(theirs)
    if case.port:
        start("-c", ENCAPSULATED_SOCKET, OUTER[case.outer][1], case.port)
        before = [f"encapsulate {OUTER[case.outer][0]} {case.port}"]
    inside = case.layers()[0][0]
    answers = lab.ours("flush", *before, *lines, ping(case), get("out", case, inside),
                       get("in", case, inside), "stat")
    assert answers[0] == 0
    assert answers[1:-4] == [True] * (len(before) + len(lines))
    pinged, out, come, stat = answers[-4:]
    assert pinged == 0
    for info in (out, come):
        assert info["packets"] == 3 and info["octets"] >= 3 * 64, info
        assert info["mode"] == case.mode and info["ours"] and info["esn"] == bool(case.esn)
        assert info["old"] == info["replay"] == info["icv"] == 0
        assert info["last_used"] >= info["added"] > 0
    assert out["sent_seq"] == case.last_seq + 3
    assert come["window"] == case.window
    if case.window:
        assert come["received_seq"] == case.last_seq + 3
    assert not [k for k in stat if k.startswith("in ")], stat
    shown = lab.a.run(["ip", "-d", "xfrm", "state"]).stdout
    assert shown.count(f"proto {inside} spi 0x00001000") == 1
    assert shown.count(case.algs.mac if inside == "ah" else case.algs.cipher) >= 2
    assert ("espinudp sport 4500 dport 4500" in shown) == bool(case.port)


WITH_THE_CORE = {
    "gcm-esn": Case(ALGS["gcm"], esn=1, last_seq=0x2fffffffe),
    "chacha": Case(ALGS["chacha"], outer=6),
    "gmac": Case(ALGS["gmac"], mode="transport"),
    "cbc-sha256-esn": Case(ALGS["cbc-sha256"], mode="transport", outer=6, esn=1, last_seq=0x1fffffffe),
    "ctr-xcbc": Case(ALGS["ctr-xcbc"], inner=6),
    "nat-t": Case(ALGS["gcm"], port=4500),
    "nat-t-6": Case(ALGS["cbc-sha512"], outer=6, port=4500),
    "ah-esn": Case(ALGS["null-sha256"], "ah", esn=1, last_seq=0x1fffffffe),
    "ah-transport": Case(ALGS["null-sha1"], "ah", "transport"),
    "ah-6": Case(ALGS["null-sha384"], "ah", "transport", outer=6),
}


def core_end(lab, start, case, times=1):
    program = os.path.join(lab.build_dir, "tests", "unit", "ipsec_packets")
    return start(os.path.join(TOPO, "core_end.py"), "eth0", program, times, int(case.port != 0),
                 *case.core(1), *case.core(0))


@pytest.mark.parametrize("name", WITH_THE_CORE)
def test_with_the_core(lab, start, name):
    """The core opens what the kernel sealed, and the reverse."""
    case = WITH_THE_CORE[name]
    log = core_end(lab, start, case)
    before = [f"encapsulate {OUTER[case.outer][0]} {case.port}"] if case.port else []
    answers = lab.ours("flush", *before, *case.ours(), ping(case), get("in", case))
    assert answers[-2] == 0, open(log, encoding="utf-8").read()
    assert answers[-1]["packets"] == 3
    assert open(log, encoding="utf-8").read().split() == ["ready", "ok", "ok", "ok"]


ECHO = """
import socket
with socket.create_server(("::", 7000), family=socket.AF_INET6, dualstack_ipv6=True) as s:
    print("ready", flush=True)
    while True:
        c, _ = s.accept()
        with c:
            while part := c.recv(65536):
                c.sendall(part)
"""
TRANSFER = """
import os, socket, sys, threading
data = os.urandom(int(sys.argv[3]))
with socket.create_connection((sys.argv[2], 7000), timeout=20, source_address=(sys.argv[1], 0)) as c:
    threading.Thread(target=c.sendall, args=(data,)).start()
    got = b""
    while len(got) < len(data):
        part = c.recv(65536)
        assert part, "the connection ended early"
        got += part
assert got == data
"""
NEAR = 0x1ffffffc0  # with extended numbers: what comes goes on into the next 2^32
TRAFFIC = {
    "transport": Case(ALGS["gcm"], mode="transport"),
    "transport-esn": Case(ALGS["chacha"], mode="transport", esn=1, last_seq=NEAR),
    "transport-cbc": Case(ALGS["cbc-sha256"], mode="transport"),
    "transport-6": Case(ALGS["ctr-xcbc"], mode="transport", outer=6, inner=6),
    "transport-null": Case(ALGS["null-cmac"], mode="transport"),
    "ah-transport": Case(ALGS["null-sha256"], "ah", "transport"),
    "ah-esp": Case(ALGS["gcm"], "esp+ah"),
    "ah-esp-transport": Case(ALGS["cbc-sha256"], "esp+ah", "transport"),
    "ah-esp-transport-6": Case(ALGS["gcm"], "esp+ah", "transport", outer=6, inner=6),
    "tunnel-esn": Case(ALGS["cbc-sha512"], esn=1, last_seq=NEAR, window=256),
    "tunnel-ah-esn": Case(ALGS["null-sha256"], "ah", esn=1, last_seq=NEAR),
}


@pytest.mark.parametrize("name", TRAFFIC)
def test_traffic_with_the_core(lab, start, name):
    """Pings of several sizes, and TCP there and back, some of it across 2^32."""
    case = TRAFFIC[name]
    source, to = case.addresses()
    log = start(os.path.join(TOPO, "core_router.py"), "eth0", MACS[0],
                os.path.join(lab.build_dir, "tests", "unit", "ipsec_packets"), *case.core(1), "--", *case.core(0))
    if case.inner == 4:  # no neighbour discovery into the SA
        lab.b.sysctl("net.ipv6.conf.core0.disable_ipv6", 1)
    lab.b.run(["ip", "link", "set", "core0", "mtu", 1400, "up"])
    lab.b.run(["ip", "route", "prepend", case.selectors()[0], "dev", "core0", "src", to])
    start("-c", ECHO)
    inside = case.layers()[0][0]
    pings = [f"run ping -c 1 -s {size} -W 10 -I {source} {to}" for size in (0, 1000, 1352)]
    transfer = f"run /usr/bin/python3 {lab.script('transfer', TRANSFER)} {source} {to} 200000"
    answers = lab.ours("flush", *case.ours(), *pings, transfer, get("out", case, inside), get("in", case, inside))
    *_, one, two, three, moved, out, come = answers
    assert (one, two, three, moved) == (0, 0, 0, 0), open(log, encoding="utf-8").read()
    for info, seq in ((out, "sent_seq"), (come, "received_seq")):
        assert info["octets"] > 200_000 and info["old"] == info["replay"] == info["icv"] == 0, info
        assert info[seq] == case.last_seq + info["packets"]
        assert not case.last_seq or info[seq] > 0x200000000


def test_what_was_seen_before(lab, start):
    """Each reply comes twice: the kernel counts the second as a replay, by the SA and by the host."""
    case = Case(ALGS["gcm"])
    core_end(lab, start, case, times=2)
    before, *_, pinged = lab.ours("stat", *case.ours(), ping(case))
    assert pinged == 0
    # The ping is over with the last reply, not with its second.
    wait_for(lambda: lab.ours(get("in", case))[0]["replay"] == 3, 5, "three replays")
    info, after = lab.ours(get("in", case), "stat")
    assert info["packets"] == 3 and info["replay"] == 3
    assert after["in replay"] - before.get("in replay", 0) == 3


def test_wrong_key_and_clear(lab):
    """What cannot be opened and what should not come clear is counted and does not get in."""
    case = Case(ALGS["gcm"])
    theirs = case.theirs()
    lab.theirs([[("0x" + "77" * 20 if str(w).startswith("0x") else w) for w in c] for c in theirs])
    before = lab.ours("stat", *case.ours())[0]
    assert lab.b.run(["ping", "-c", "2", "-i", "0.1", "-W", "1", "-I", INNER[4][1], INNER[4][0]],
                     check=False).returncode == 1
    info, after = lab.ours(get("in", case), "stat")
    assert info["icv"] == 2 and info["packets"] == 0
    assert after["in icv"] - before.get("in icv", 0) == 2
    lab.b.run(["ip", "xfrm", "policy", "flush"])
    assert lab.b.run(["ping", "-c", "1", "-W", "1", "-I", INNER[4][1], INNER[4][0]],
                     check=False).returncode == 1
    assert lab.ours("stat")[0]["in clear"] - before.get("in clear", 0) == 1


def test_acquire(lab):
    """A packet that wants an SA is told of once; the SAs that answer it carry the next ones."""
    case = Case(ALGS["gcm"])
    lab.theirs(case.theirs())
    lines = case.ours()
    source, to = INNER[4]
    *_, asked, event, more = lab.ours(lines[-1], f"run ping -c 1 -W 1 -I {source} {to}", "wait acquire 3000",
                                      "wait acquire 100")
    assert asked == 1 and more is None
    assert (event["reqid"], event["protocol"], event["priority"]) == (1, ESP, 100)
    assert (event["src"], event["dst"]) == OUTER[4]
    assert (event["local"], event["remote"], event["inside"]) == (source, to, 1)
    assert event["local_port"] == 0x0800  # echo request
    answers = lab.ours(*(f"{line} acquire={event['acquire']}" if "way=out" in line else line
                         for line in lines), ping(case), "list")
    assert answers[:-2] == [True] * 3 and answers[-2] == 0
    assert sorted(sa["spi"] for sa in answers[-1]["sas"]) == [A_TO_B, B_TO_A]


def test_lifetimes(lab):
    """Soft and hard ends by packets, octets and time; new lifetimes for an SA that lives on."""
    case = Case(ALGS["gcm"])
    lab.theirs(case.theirs())
    lines = case.ours()
    out = lines[0] + "soft_packets=2 hard_packets=5 soft_seconds=60"
    answers = lab.ours(out, *lines[1:], ping(case), "wait soft 2000", "wait hard 0", ping(case, 4),
                       "wait hard 2000", get("out", case))
    assert answers[3] == 0
    assert (answers[4]["spi"], answers[4]["reqid"], answers[4]["dst"]) == (A_TO_B, 1, OUTER[4][1])
    assert answers[5] is None
    assert (answers[7]["spi"], answers[7]["protocol"]) == (A_TO_B, ESP)
    assert answers[8] is None  # the kernel has removed it
    lab.clean()  # B has seen these sequence numbers
    lab.theirs(case.theirs())
    answers = lab.ours("flush", lines[0] + "soft_octets=160 hard_seconds=1000", *lines[1:],
                       "wait soft 0", ping(case), "wait soft 2000",
                       "update" + lines[1][2:] + "soft_seconds=1 hard_seconds=1000", "wait soft 4000")
    assert answers[4:6] == [None, 0]
    assert answers[6]["spi"] == A_TO_B and answers[7] is True and answers[8]["spi"] == B_TO_A


def test_rekeyed(lab):
    """A new SA takes over what goes out, the old one is still there for what comes."""
    case = Case(ALGS["gcm"])
    lab.theirs(case.theirs())
    out, come, policy = case.ours()
    first = lab.ours(out, come, policy, ping(case), get("out", case))[-1]
    assert first["packets"] == 3
    wait_for(lambda: int(lab.guest.run(["date", "+%s"]).stdout) > first["added"], 5, "the next second")
    new = {str(A_TO_B): "5000", "10111213": "99999999"}
    for old, to in new.items():
        out = out.replace(old, to)
    lab.theirs([[5000 if w == A_TO_B else str(w).replace("10111213", "99999999") for w in command]
                for command in case.theirs() if A_TO_B in command])
    added, pinged, before, after, removed, left = lab.ours(
        out, ping(case), get("out", case), get("out", case).replace(str(A_TO_B), "5000"),
        "remove " + get("out", case)[4:], ping(case))
    assert added is True and pinged == 0
    assert (before["packets"], after["packets"]) == (3, 3)
    assert removed is True and left == 0


def test_moved(lab, start):
    """Packets that come from another port than before are taken, and told of."""
    case = Case(ALGS["gcm"], port=4500)
    lab.theirs(case.theirs(port=4501))
    start("-c", ENCAPSULATED_SOCKET, OUTER[4][1], 4501)
    *_, sent, event = lab.ours(f"encapsulate {OUTER[4][0]} 4500", *case.ours(),
                               f"run ip netns exec b ping -c 1 -W 1 -I {INNER[4][1]} {INNER[4][0]}",
                               "wait moved 2000")
    assert sent == 1  # the answers still go to the old port
    moved = re.sub("remote_port=4500", "remote_port=4501", case.ours()[0])
    assert lab.ours(f"encapsulate {OUTER[4][0]} 4500", "update" + moved[2:], ping(case)) == [True, True, 0]
    assert (event["spi"], event["reqid"], event["from"], event["from_port"]) == (B_TO_A, 1, OUTER[4][1], 4501)


def test_to_another_address(lab, start):
    """The peer is behind another address and port: the SA that sends goes there, with its keys."""
    case = Case(ALGS["cbc-sha256"], port=4500, esn=1)
    there = "10.0.0.3"
    lab.b.add_address("eth0", f"{there}/24")
    lab.a.run(["ip", "neighbour", "replace", there, "lladdr", MACS[1], "dev", "eth0", "nud", "permanent"])
    lab.theirs([[there if w == OUTER[4][1] else w for w in command] for command in case.theirs(port=4501)])
    start("-c", ENCAPSULATED_SOCKET, there, 4501)
    out, come, policy = case.ours()
    sent = f"run ip netns exec b ping -c 1 -W 1 -I {INNER[4][1]} {INNER[4][0]}"
    *added, _, event, moved, again, pinged, info = lab.ours(
        f"encapsulate {OUTER[4][0]} 4500", out + "hard_packets=1000 hard_seconds=100", come, policy, sent,
        "wait moved 2000", f"move{out[2:]} to={there} to_port=4501",
        re.sub("way=\\S+", "", policy).replace(f"remote={OUTER[4][1]}", f"remote={there}") + " way=out",
        ping(case), get("out", case).replace(f"remote={OUTER[4][1]}", f"remote={there}"))
    assert added == [True] * 4
    assert (event["from"], event["from_port"]) == (there, 4501)
    assert moved is True and again is True and pinged == 0
    assert info["dst_port"] == 4501 and info["packets"] == 3
    assert info["sent_seq"] == (1 << 16) + 1 + 3  # one was sent to the old address
    shown = lab.a.run(["ip", "-s", "xfrm", "state"]).stdout
    assert "hard 999(packets)" in shown
    none = lab.ours(f"move{out[2:]} to={there} to_port=4501")[0]
    assert none == "there is none"
    lab.b.run(["ip", "address", "delete", f"{there}/24", "dev", "eth0"])


def test_others_are_left_alone(lab):
    """Another program's SAs and policies: not listed, changed, removed or flushed; not in our way."""
    key = "0x" + "55" * 20
    foreign = ["ip", "xfrm", "state", "add", "src", OUTER[4][0], "dst", OUTER[4][1], "proto", "esp", "spi",
               "0x1000", "reqid", "1", "mode", "tunnel", "aead", "rfc4106(gcm(aes))", key, "128",
               "limit", "packet-soft", "1"]
    lab.a.run(foreign)
    lab.a.run(["ip", "xfrm", "policy", "add", "src", NETS[4][0], "dst", NETS[4][1], "dir", "out", "tmpl",
               "src", OUTER[4][0], "dst", OUTER[4][1], "proto", "esp", "mode", "tunnel", "reqid", "1"])
    case = Case(ALGS["gcm"])
    lines = case.ours()
    before = lab.a.run(["ip", "xfrm", "policy"]).stdout
    answers = lab.ours(lines[0], "update" + lines[0][2:], "remove" + lines[0][2:], get("out", case), lines[2],
                       "unpolicy" + lines[2][6:], "list", ping(case, 1), "wait soft 200", "flush")
    assert re.search("already|exist", answers[0])
    assert answers[1] == answers[2] == "there is none of ours" and answers[3] is None
    assert answers[4] == "another program has a policy for the same packets"
    assert answers[6] == {"sas": [], "policies": []}
    assert answers[8] is None and answers[9] == 0
    assert lab.a.run(["ip", "xfrm", "policy"]).stdout == before
    assert key in lab.a.run(["ip", "xfrm", "state"]).stdout
    # Beside them, other packets of ours.
    lab.theirs(Case(ALGS["gcm"], inner=6).theirs())
    assert lab.ours(lines[1], Case(ALGS["gcm"], inner=6).ours()[2], "list", "flush")[:2] == [True, True]
    assert "reqid 1 " in lab.a.run(["ip", "xfrm", "state"]).stdout


def test_policies_in_order(lab):
    """The first counts: a host passes clear, one is refused, the rest is protected; then anew."""
    case = Case(ALGS["gcm"])
    lab.theirs(case.theirs())
    lab.theirs([["policy", "add", "src", f"{INNER[4][0]}/32", "dst", "10.2.0.2/32", "dir", "in", "priority",
                 0], ["policy", "add", "src", "10.2.0.2/32", "dst", f"{INNER[4][0]}/32", "dir", "out",
                      "priority", 0]])
    for host in ("10.2.0.2", "10.2.0.3"):
        lab.b.add_address("lo", f"{host}/32")
    *sas, protect = case.ours()
    clear = f"policy action=pass priority=10 for={INNER[4][0]}/32,10.2.0.2/32"
    refuse = "policy action=discard priority=20 for=10.0.0.0/8,10.2.0.3/32"
    again = "policy action=discard priority=30 for=10.0.0.0/8,10.2.0.3/32"
    pings = [f"run ping -c 1 -W 1 -I {INNER[4][0]} {to}" for to in ("10.2.0.1", "10.2.0.2", "10.2.0.3")]
    program = os.path.join(lab.build_dir, "tests", "topo", "xfrm_ends")
    text = "\n".join([*sas, "policies 4", protect, clear, refuse, again, *pings, get("out", case), "list",
                      "policies 1", protect, "list", ""])
    answers = [json.loads(line) for line in lab.a.run([program], input=text).stdout.splitlines()]
    assert answers[:3] == [True] * 3
    assert answers[3:6] == [0, 0, 1]
    assert answers[6]["packets"] == 1
    policies = answers[7]["policies"]
    assert sorted((p["action"], p["dir"], p["priority"]) for p in policies) == sorted(
        (action, way, priority) for action, priority in (("protect", 100), ("pass", 10), ("discard", 20))
        for way in ("out", "in", "fwd"))
    assert answers[8] is True
    assert sorted(p["action"] for p in answers[9]["policies"]) == ["protect"] * 3


def test_a_taken_index(lab):
    """The kernel would give a policy an index that is not ours; it gets another one of ours."""
    policy = Case(ALGS["gcm"]).ours()[2]
    taken = 0x47000000 | 1 << 3 | 1  # the second, going out
    *_, added, listed, flushed = lab.ours(
        f"run ip xfrm policy add src 192.0.2.1 dst 192.0.2.2 dir out index {taken}", policy, "list", "flush")
    assert added is True and flushed == 0
    assert sorted(p["dir"] for p in listed["policies"] if p["action"] == "protect") == ["fwd", "in", "out"]
    assert lab.a.run(["ip", "xfrm", "policy"]).stdout == ""


def test_xfrm_interfaces(lab):
    """Two tunnels for everything, each through an interface: they do not collide."""
    theirs = []
    for n in (1, 2):
        lab.a.run(["ip", "link", "add", f"ipsec{n}", "type", "xfrm", "dev", "eth0", "if_id", n])
        lab.a.run(["ip", "link", "set", f"ipsec{n}", "up"])
        lab.a.run(["ip", "route", "add", f"10.9.{n}.1/32", "dev", f"ipsec{n}", "src", INNER[4][0]])
        lab.b.add_address("lo", f"10.9.{n}.1/32")
        for command in Case(ALGS["gcm"]).theirs():
            command = [n + 10 if w == 9 else f"10.9.{n}.1/32" if w == NETS[4][1] else w for w in command]
            theirs.append([w + 16 * n if w in (A_TO_B, B_TO_A) else w for w in command])
    lab.theirs(theirs)
    lines, gets = [], []
    for n in (1, 2):
        for line in Case(ALGS["gcm"]).ours(if_id=n):
            line = re.sub(r"reqid=1", f"reqid={n}", line)
            line = re.sub(r"spi=(\d+)", lambda m, n=n: f"spi={int(m[1]) + 16 * n}", line)
            lines.append(re.sub(r"for=\S+", f"if_id={n}", line))
        gets.append(re.sub(r"spi=(\d+)", lambda m, n=n: f"spi={int(m[1]) + 16 * n}",
                           get("out", Case(ALGS["gcm"]))))
    *added, one, two, first, second = lab.ours(
        *lines, f"run ping -c 1 -W 2 -I {INNER[4][0]} 10.9.1.1", f"run ping -c 2 -i 0.02 -W 2 -I {INNER[4][0]} 10.9.2.1",
        *gets)
    assert added == [True] * 6
    assert (one, two) == (0, 0)
    assert (first["packets"], first["if_id"], second["packets"], second["if_id"]) == (1, 1, 2, 2)


def test_shown_as_meant(lab):
    """What else an SA can be told stands in the kernel as `ip xfrm` shows it."""
    out, come, _ = Case(ALGS["gcm"]).ours()
    marked = out + "mark=7 set_mark=9 tfc=500 dscp=0 no_ecn=1 df=clear soft_octets=1000 hard_packets=77 hard_seconds=99"
    answers = lab.ours(marked, come + "dscp_to_inner=1 for=10.1.0.1/32,10.2.0.0/16 inside=6 remote_ports=80-95",
                       get("out", Case(ALGS["gcm"])), get("out", Case(ALGS["gcm"])) + " mark=7",
                       "remove" + out[2:])
    assert answers[:3] == [True, True, None]
    assert answers[3]["spi"] == A_TO_B
    assert answers[4] == "there is none of ours"
    shown = lab.a.run(["ip", "-d", "-s", "xfrm", "state"]).stdout
    sent = re.search(r"spi 0x00001000.*?(?=^src|\Z)", shown, re.S | re.M)[0]
    come = re.search(r"spi 0x00001001.*?(?=^src|\Z)", shown, re.S | re.M)[0]
    for words in ("mark 0x7/0xffffffff", "output-mark 0x9", "tfcpad 500", "extra_flag dont-encap-dscp", "noecn", "nopmtudisc",
                  "soft 1000(bytes), hard (INF)(bytes)", "soft (INF)(packets), hard 77(packets)",
                  "soft 0(sec), hard 99(sec)", "af-unspec", "reqid 1191182337(0x47000001)"):
        assert words in sent, (words, sent)
    for words in ("decap-dscp", "src 10.2.0.0/16 dst 10.1.0.1/32", "proto tcp", "sport 80 "):
        assert words in come, (words, come)
    assert lab.ours("remove" + out[2:] + " mark=7", "list")[0] is True


def test_what_the_kernel_cannot(lab):
    """Refused, with a reason that says what."""
    case = Case(ALGS["gcm"])
    out, come, policy = case.ours()
    refused = {
        re.sub("window=64", "window=8192", come): "at most 4096",
        out + "df=set": "cannot set",
        out + "ttl=9": "TTL",
        out + "dscp=46": "DSCP",
        re.sub("enc=20 bits=128", "enc=24 bits=128", out): "no such encryption",
        re.sub("enc=20 bits=128", "enc=23 bits=128", re.sub(
            "enc_key=[0-9a-f]*", "enc_key=" + "11" * 16, re.sub(
                "integ=0", "integ=12", re.sub("integ_key=", "integ_key=" + "22" * 32, out)))): "the kernel",
        re.sub("protocol=esp", "protocol=ah", re.sub("enc=20", "enc=21", out)): "AES-GMAC",
        policy + "inside=6 remote_ports=1-65534": None,
        policy + "remote_ports=80-80": "ports need a protocol",
    }
    for line, answer in zip(refused, lab.ours(*refused)):
        if refused[line] is None:
            assert answer is True, (line, answer)
        else:
            assert isinstance(answer, str) and refused[line] in answer, (line, answer)
    kinds = {ALGS[name].enc for name in ALGS}, {ALGS[name].integ for name in ALGS} - {0}
    probe, listed = lab.ours("probe", "list")
    assert listed["sas"] == []  # what was tried is nowhere to be seen
    assert probe["result"] == 0 and probe["interfaces"] and probe["window"] == 4096
    assert probe["esp"] == probe["ah"] == probe["encapsulation"] == [True, True]
    assert kinds[0] <= set(probe["enc"]) and kinds[1] <= set(probe["integ"])
    assert 23 not in probe["enc"] and 24 not in probe["enc"]
