"""`manual-sa`: SAs whose keys both ends were given by hand; against another Gatehouse, and in the lab
kernel against plain `ip xfrm`: ESP, AH, and AH around ESP, which no negotiation makes."""

import dataclasses
import os

import pytest

from gatehouse import block
from ike import NET_A, NET_B, SECRET, IkeGatehouse, child_section, peer_section
from netns import A4, A6, B4, B6
from test_dataplane import networks
from test_ipsec import ESP, HOST6_A, HOST6_B, HOST_A, HOST_B, NET6_A, NET6_B, Wire, ping, transfer
from uml import Guest
from wait import wait_for

AH = 51
ALGS = {  # encryption: octets of its key; integrity: the same, `ip xfrm`'s words
    "aes-256-cbc": (32, "cbc(aes)"), "null": (0, "ecb(cipher_null)"),
    "hmac-sha-256-128": (32, "hmac(sha256)", 128), "hmac-sha-1-96": (20, "hmac(sha1)", 96)}
KINDS = {"esp": ("esp",), "ah": ("ah",), "both": ("esp", "ah")}


@dataclasses.dataclass
class Manual:
    """One section, and the same of the other end; a's outgoing SPI is 4096 + number * 8 for ESP, and 4 more
    for AH; the other way it is one more."""
    name: str = "site"
    kind: str = "esp"
    mode: str = "tunnel"
    number: int = 0
    v6: bool = False
    encryption: str = "aes-256-cbc"
    integrity: str = "hmac-sha-256-128"
    seed: int = 0
    more: dict = dataclasses.field(default_factory=dict)

    def ends(self):
        return (A6, B6) if self.v6 else (A4, B4)

    def nets(self):
        return ((NET_A, NET6_A), (NET_B, NET6_B))

    def spi(self, part, way):
        """way: 0 from a to b."""
        return 4096 + self.number * 8 + (4 if part == "ah" else 0) + way

    def key(self, part, which, way):
        octets = ALGS[self.encryption if which == "encryption" else self.integrity][0]
        first = self.seed + self.spi(part, way) + (100 if which == "encryption" else 0)
        return bytes((first * 7 + i) % 256 for i in range(octets))

    def text(self, directory, end):
        """`end`: 0 for a. Writes the files of its keys."""
        here, there = self.ends()[end], self.ends()[1 - end]
        options = {"local": here, "remote": there, "mode": self.mode, **self.more}
        if self.mode == "tunnel":
            options |= {"local-ts": self.nets()[end], "remote-ts": self.nets()[1 - end]}
        return block(f'manual-sa "{self.name}"', options,
                     [self.part(part, directory, end) for part in KINDS[self.kind]])

    def part(self, part, directory, end):
        ways = []
        for word, way in (("out", end), ("in", 1 - end)):
            options = {"spi": self.spi(part, way)}
            for which in ("encryption", "integrity"):
                key = self.key(part, which, way)
                if not key or (part == "ah" and which == "encryption"):
                    continue
                path = os.path.join(directory, f"{self.name}-{part}-{word}-{which}")
                with open(path, "w", encoding="ascii") as file:
                    file.write(f"0x{key.hex()}\n")
                os.chmod(path, 0o600)
                options[f"{which}-key-file"] = path
            ways.append(block(word, options))
        head = {} if part == "ah" else {"encryption": self.encryption}
        return block(part, {**head, "integrity": self.integrity}, ways)


class Ends:
    """Routers a and b with their networks; Gatehouse in a, and in b unless that is plain Linux."""

    def __init__(self, a, b, build_dir, peers=2):
        self.hosts, self.build_dir = (a, b), build_dir
        self.gatehouses = [IkeGatehouse(host, build_dir, "") for host in self.hosts[:peers]]

    def text(self, end, sas, more=""):
        return more + "".join(sa.text(self.gatehouses[end].dir, end) for sa in sas)

    def start(self, *sas, more=("", "")):
        for end, gatehouse in enumerate(self.gatehouses):
            gatehouse.configure(self.text(end, sas, more[end]))
            gatehouse.start()
        self.wait_there(sum(len(KINDS[sa.kind]) for sa in sas))
        return self

    def set(self, *sas, ends=(0, 1), more=("", "")):
        for end in ends:
            self.gatehouses[end].configure(self.text(end, sas, more[end]))
            self.gatehouses[end].reload()

    def shown(self, end=0):
        return {(sa["peer"], sa["protocol"]): sa
                for sa in self.gatehouses[end].ask("show", "ipsec", "sa")["sas"] if sa["state"] == "manual"}

    def wait_there(self, count):
        for end, gatehouse in enumerate(self.gatehouses):
            wait_for(lambda e=end: len(self.shown(e)) == count, 15,
                     lambda g=gatehouse, e=end: f"{count} SAs\n{self.shown(e)}{g.tail()}")

    def pid(self, role, end=0):
        return self.gatehouses[end].processes()[role]


@pytest.fixture
def pair(net, build_dir):
    a, b = net.two_routers()
    for host, v4, v6 in ((a, HOST_A, HOST6_A), (b, HOST_B, HOST6_B)):
        host.add_address("lo", f"{v4}/32")
        host.add_address("lo", f"{v6}/128")
    return Ends(a, b, build_dir)


def wait_ping(ends, source=HOST_A, target=HOST_B):
    wait_for(lambda: ping(ends.hosts[0], source, target, 1) == 1, 15,
             lambda: f"an answer\n{[g.tail() for g in ends.gatehouses]}{ends.shown()}"
                     f"{ends.hosts[1].run(['cat', '/proc/net/xfrm_stat'], check=False).stdout}")


def wire_of(kind):
    return {(AH if kind != "esp" else ESP, None)}


# ---- Two of ours ------------------------------------------------------------------------------

@pytest.mark.parametrize("v6", [False, True], ids=["over-ipv4", "over-ipv6"])
@pytest.mark.parametrize("kind", KINDS)
def test_tunnel(pair, kind, v6):
    """Both IP versions inside, both ways, small packets and the largest; nothing in clear."""
    pair.start(Manual(kind=kind, v6=v6))
    wire = Wire(pair.hosts[0], "outbound and (ip or ip6)")
    wait_ping(pair)
    assert ping(pair.hosts[1], HOST6_B, HOST6_A) == 5
    transfer(pair.hosts[1], pair.hosts[0], HOST_B, HOST_A, 50_000)
    assert wire.protocols() == wire_of(kind)
    for sa in pair.shown().values():
        assert sa["in"]["drops"] == sa["out"]["drops"] == {} and sa["child"] == "manual"
        assert sa["out"]["spi"] == f"{Manual().spi(sa['protocol'].lower(), 0):08x}"
        assert not sa["algorithms"]["esn"] and sa["traffic"]["replay_window"] == 0
        assert sa["mode"] == ("transport" if kind == "both" and sa["protocol"] == "AH" else "tunnel")


@pytest.mark.parametrize("kind", KINDS)
def test_transport(pair, kind):
    """Between the hosts themselves."""
    pair.start(Manual(kind=kind, mode="transport"))
    wire = Wire(pair.hosts[0], "outbound and (ip or ip6)")
    wait_ping(pair, A4, B4)
    transfer(pair.hosts[1], pair.hosts[0], B4, A4, 50_000)
    assert wire.protocols() == wire_of(kind)


def test_reload_and_kill(pair):
    """A new key takes effect, while another section's SAs are untouched; numbers go on when `esp` is killed
    and when `ike` is, and replays are seen afterwards."""
    kept = Manual(name="kept", kind="both", number=1, mode="transport", v6=True, more={"replay-window": 64})
    pair.start(Manual(), kept)
    wait_ping(pair)
    wait_ping(pair, A6, B6)

    pair.set(Manual(seed=5), kept, ends=(0,))  # a has another key: what it sends is refused
    sent = ping(pair.hosts[0], HOST_A, HOST_B, 1)
    wait_for(lambda: pair.shown(1)["site", "ESP"]["in"]["drops"].get("icv", 0) >= 1, 5,
             lambda: f"{pair.shown(1)}")
    assert sent == 0
    pair.set(Manual(seed=5), kept, ends=(1,))
    wait_ping(pair)
    wait_ping(pair, A6, B6)

    for role in ("esp", "ike"):
        before = {key: sa["out"]["sequence"] for key, sa in pair.shown().items()}
        pid = pair.pid(role)
        pair.gatehouses[0].kill(role)
        wait_for(lambda r=role, p=pid: pair.pid(r) != p, 10, f"another {role}")
        wait_ping(pair, A6, B6)  # the peer has a window: it would refuse numbers used before
        wait_ping(pair)
        after = {key: sa["out"]["sequence"] for key, sa in pair.shown().items()}
        assert all(after[key] > before[key] for key in before), (role, before, after)
    assert pair.shown(1)["kept", "ESP"]["in"]["drops"] == pair.shown(1)["kept", "AH"]["in"]["drops"] == {}

    pair.set(kept)  # the other one is gone
    pair.wait_there(2)
    wait_ping(pair, A6, B6)
    secrets = [Manual(seed=5).key("esp", which, 0).hex() for which in ("encryption", "integrity")]
    said = pair.gatehouses[0].tail(10_000) + pair.gatehouses[0].gatectl("show", "ipsec", "sa", "--json").stdout
    assert not any(secret in said for secret in secrets)


def test_closed(pair):
    """While `esp` stands still nothing leaves in clear, and what comes in clear does not come in."""
    a, b = pair.hosts
    pair.start(Manual())
    wait_ping(pair)
    pid = pair.pid("esp")
    a.run(["kill", "-STOP", pid])
    wire = Wire(a, "outbound and (ip or ip6)")
    assert ping(a, HOST_A, HOST_B, 1) == 0
    assert wire.protocols() == set()
    a.run(["kill", "-CONT", pid])
    wait_ping(pair)

    pair.gatehouses[1].stop()
    b.run([pair.gatehouses[1].daemon, "--remove-rules", "-r", pair.gatehouses[1].run_dir])
    b.run(["ip", "route", "add", NET_A, "via", A4])

    def refused():
        return sum(n["packets"] for n in pair.gatehouses[0].ask("show", "ipsec", "unprotected")["namespaces"])
    before = refused()
    assert ping(b, HOST_B, HOST_A, 1) == 0
    wait_for(lambda: refused() > before, 5, lambda: f"a packet in clear counted{refused()}")


def test_beside_ike(pair):
    """The same two hosts have a tunnel of IKE's, in the order of the file."""
    child = [child_section(local_ts="10.1.9.0/24", remote_ts="10.2.9.0/24")]
    other = [child_section(local_ts="10.2.9.0/24", remote_ts="10.1.9.0/24")]
    pair.start(Manual(), more=(peer_section(psk_secret=SECRET, children=child),
                               peer_section(psk_secret=SECRET, children=other, local=B4, remote=A4)))
    for host, address in zip(pair.hosts, ("10.1.9.1", "10.2.9.1")):
        host.add_address("lo", f"{address}/32")
    pair.gatehouses[0].gatectl("ike", "initiate", "peer")
    pair.gatehouses[0].wait_sas(1, 1)
    wait_ping(pair)
    wait_ping(pair, "10.1.9.1", "10.2.9.1")
    order = [p["peer"] for p in pair.gatehouses[0].ask("show", "ipsec", "policy")["policies"] if p["peer"]]
    assert order == ["peer", "site"], order


# ---- Plain Linux ------------------------------------------------------------------------------

def template(sa, way):
    ends, parts = sa.ends(), KINDS[sa.kind]
    words = []
    for part in parts:  # from the inside
        mode = "transport" if part == "ah" and len(parts) == 2 else sa.mode
        words += ["tmpl", "src", ends[way], "dst", ends[1 - way], "proto", part, "mode", mode]
    return words


def linux(sa, host):
    """What b's section would say, in the words of `ip xfrm`."""
    ends, parts = sa.ends(), KINDS[sa.kind]
    lines = []
    for part in parts:
        mode = "transport" if part == "ah" and len(parts) == 2 else sa.mode
        for way in (0, 1):
            auth = ["auth-trunc", ALGS[sa.integrity][1], f"0x{sa.key(part, 'integrity', way).hex()}",
                    ALGS[sa.integrity][2]]
            key = sa.key(part, "encryption", way).hex()
            enc = [] if part == "ah" else ["enc", ALGS[sa.encryption][1], f"0x{key}" if key else '""']
            lines.append(["state", "add", "src", ends[way], "dst", ends[1 - way], "proto", part,
                          "spi", sa.spi(part, way), "mode", mode, *auth, *enc,
                          *(["flag", "align4"] if part == "ah" and not sa.v6 else [])])
    sides = sa.ends() if sa.mode == "transport" else [nets[sa.v6] for nets in sa.nets()]
    for way, direction in ((0, "in"), (0, "fwd"), (1, "out")):
        lines.append(["policy", "add", "src", sides[way], "dst", sides[1 - way], "dir", direction,
                      *template(sa, way)])
    host.run(["ip", "-batch", "-"], input="".join(f"xfrm {' '.join(map(str, line))}\n" for line in lines))


@pytest.fixture
def guest(net, lab_kernel):
    return Guest(net.namespace("host"), lab_kernel)


def routers(guest, sa):
    """a and b, which is Linux and has the SAs; a gets its routes from Gatehouse."""
    a, b = networks(guest, 0)
    for net, via in ((NET_A, A4), (NET6_A, A6)):
        b.run(["ip", "route", "add", net, "via", via])
    for host, other, address in ((a, b, B6), (b, a, A6)):  # Linux would want its neighbours' word protected, too
        mac = other.run(["cat", "/sys/class/net/eth0/address"]).stdout.strip()
        host.run(["ip", "neighbour", "replace", address, "lladdr", mac, "dev", "eth0", "nud", "permanent"])
    linux(sa, b)
    return a, b


@pytest.mark.parametrize("sa", [
    Manual(), Manual(kind="ah"), Manual(kind="both"), Manual(mode="transport"),
    Manual(kind="ah", mode="transport"), Manual(kind="both", mode="transport"),
    Manual(kind="both", mode="transport", v6=True), Manual(kind="both", v6=True),
    Manual(encryption="null", integrity="hmac-sha-1-96")],
    ids=lambda sa: "-".join([sa.kind, sa.mode, "ipv6" if sa.v6 else "ipv4", sa.encryption]))
def test_linux(guest, build_dir, sa):
    """Both ways, and nothing else on the link."""
    a, b = routers(guest, sa)
    ends = Ends(a, b, build_dir, peers=1).start(sa)
    source, target = ends_of(sa)
    wire = Wire(a, "outbound and (ip or ip6)")
    wait_ping(ends, source, target)
    transfer(b, a, target, source, 20_000)
    assert wire.protocols() == wire_of(sa.kind)
    for shown in ends.shown().values():
        assert shown["in"]["drops"] == shown["out"]["drops"] == {}, shown


def ends_of(sa):
    if sa.mode == "transport":
        return sa.ends()
    return (HOST6_A, HOST6_B) if sa.v6 else (HOST_A, HOST_B)


def test_linux_with_another_key(guest, build_dir):
    """What Linux sealed with a key that is not ours is dropped and counted; a reload with its key mends it."""
    a, b = routers(guest, Manual(seed=9))
    ends = Ends(a, b, build_dir, peers=1).start(Manual())
    ping(b, HOST_B, HOST_A, 1)
    wait_for(lambda: ends.shown()["site", "ESP"]["in"]["drops"].get("icv", 0) >= 1, 5, lambda: f"{ends.shown()}")
    ends.set(Manual(seed=9), ends=(0,))
    wait_ping(ends)
