"""`ipsec-policy`: what passes in clear although a child is for it, and what does not pass at all; the user-space
plane, against strongSwan's libipsec."""

import contextlib

import pytest

import netns
from capture import Capture, read_frames
from daemons.strongswan import StrongSwan
from ike import NET_A, NET_B, SECRET, IkeGatehouse, child_section, peer_section, section
from netns import A4, B4
from test_ipsec import HOST_A, HOST_B, Pinging, ping
from wait import wait_for

LAN_A, FAR_B = "10.1.0.2", "10.2.0.9"  # a host behind a; an address of b's beside HOST_B
ECHO = """
import socket, sys
family = socket.SOCK_STREAM if sys.argv[1] == "tcp" else socket.SOCK_DGRAM
with socket.socket(socket.AF_INET, family) as s:
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.bind((sys.argv[2], int(sys.argv[3])))
    if sys.argv[1] == "tcp":
        s.listen()
    while True:
        if sys.argv[1] == "tcp":
            c, _ = s.accept()
            with c:
                c.sendall(c.recv(100))
        else:
            data, peer = s.recvfrom(100)
            s.sendto(data, peer)
"""
ASK = """
import socket, sys
family = socket.SOCK_STREAM if sys.argv[1] == "tcp" else socket.SOCK_DGRAM
with socket.socket(socket.AF_INET, family) as s:
    s.settimeout(float(sys.argv[5]))
    s.bind((sys.argv[2], 0))
    try:
        s.connect((sys.argv[3], int(sys.argv[4])))
        s.send(b"hello")
        print(s.recv(100).decode())
    except OSError as e:
        print(e)
"""


def policy(name, **options):
    return section(f'ipsec-policy "{name}"', **{"local_ts": [NET_A], "remote_ts": [NET_B], **options})


class Sites:
    """A host behind Gatehouse in a; strongSwan in b, whose policies let in clear what a test wants."""

    def __init__(self, net, build_dir):
        self.h, self.a, self.b = net.namespace("h"), net.namespace("a"), net.namespace("b")
        net.link(self.h, self.a, (f"{LAN_A}/24", f"{HOST_A}/24"), name_b="eth1")
        net.link(self.a, self.b, (f"{A4}/24", f"{B4}/24"))
        self.a.sysctl("net.ipv4.ip_forward", 1)
        self.a.sysctl("net.ipv4.conf.all.rp_filter", 0)
        self.a.sysctl("net.ipv4.conf.eth0.rp_filter", 0)
        self.h.route("default", HOST_A)
        self.a.route("default", B4)  # where what is not protected would go
        self.b.route("10.1.0.0/24", A4)
        for address in (HOST_B, FAR_B):
            self.b.add_address("lo", f"{address}/32")
        self.one = IkeGatehouse(self.a, build_dir, self.text()).start()
        self.swan = StrongSwan(self.b, {"gw": {
            "version": 2, "local_addrs": B4, "remote_addrs": A4, "proposals": "aes256gcm16-prfsha256-x25519",
            "local": {"auth": "psk"}, "remote": {"auth": "psk"},
            "children": {"net": {"local_ts": NET_B, "remote_ts": NET_A,
                                 "esp_proposals": "aes256gcm16-x25519"}}}},
            {"ike-1": {"secret": f'"{SECRET}"'}}).start()
        self.one.gatectl("ike", "initiate", "peer")
        self.one.wait_sas(1, 1)
        for protocol in ("tcp", "udp"):
            for port in (7001, 7002):
                self.b.spawn(["/usr/bin/python3", "-c", ECHO, protocol, "0.0.0.0", port],
                             f"{self.b.directory('echo')}/{protocol}{port}")
        wait_for(lambda: all(f":{port}" in self.b.run(["ss", "-Hlntu"]).stdout for port in (7001, 7002)), 10,
                 "the servers listen")

    @staticmethod
    def text(*policies):
        return "".join(policies) + peer_section(psk_secret=SECRET)

    def swan_lets_pass(self, protocol, port):
        """What a passthrough policy of strongSwan's comes to with libipsec: a way past its table of routes."""
        rule = ["ipproto", protocol, "sport", port, "lookup", "main", "pref", "90"]

        @contextlib.contextmanager
        def there():
            self.b.run(["ip", "rule", "add", *rule])
            yield
            self.b.run(["ip", "rule", "del", *rule])
        return there()

    def routed_apart(self):
        """Routes into the device that are not in the main table."""
        return [line for line in self.a.run(["ip", "route", "show", "table", "all"]).stdout.splitlines()
                if "10.2.0.0/24 dev gh-ipsec0" in line and "table" in line]

    def set(self, *policies):
        self.one.configure(self.text(*policies))
        self.one.reload()

    def shown(self):
        return {p["name"] or p["child"]: p for p in self.one.ask("show", "ipsec", "policy")["policies"]}

    def in_clear(self, what, expression, least=0):
        """Packets of `expression` on the link between the sites, once `what` is done and `least` have come."""
        wire = Capture(self.a, "eth0", expression)
        what()
        wait_for(lambda: len(list(read_frames(wire.path))) >= least, 10, lambda: f"{least} in clear")
        wire.stop()
        return len(list(read_frames(wire.path)))


@pytest.fixture(scope="module")
def sites(build_dir):
    net = netns.Net()
    yield Sites(net, build_dir)
    net.destroy()


def ask(host, protocol, source, port, target=HOST_B, timeout=2):
    return host.run(["/usr/bin/python3", "-c", ASK, protocol, source, target, port, timeout]).stdout.strip()


def test_the_tunnel_alone(sites):
    sites.set()
    assert ping(sites.h, LAN_A, HOST_B) == 5
    assert sites.in_clear(lambda: ping(sites.h, LAN_A, HOST_B), "icmp") == 0
    assert list(sites.shown()) == ["net"]


def test_bypass_out(sites):
    """Of what a child is for, one port goes in clear, as it would have gone without the tunnel; also what this
    host itself sends. The child has the rest."""
    sites.set(policy("clear", action="bypass", remote_ts=[f"{NET_B} udp 7001"], direction="out"))
    for host, source in ((sites.h, LAN_A), (sites.a, HOST_A)):
        for port, count in ((7001, 1), (7002, 0)):
            seen = sites.in_clear(lambda: ask(host, "udp", source, port, timeout=0.3), f"udp dst port {port}")
            assert seen == count, f"{source} {port}\n{sites.one.tail()}"
    shown = sites.shown()
    assert list(shown) == ["clear", "net"]
    assert (shown["clear"]["action"], shown["clear"]["direction"]) == ("bypass", "out")
    wait_for(lambda: sites.shown()["clear"]["hits"] == 2, 5, lambda: f"two went in clear {sites.shown()}")
    assert "clear" in sites.one.gatectl("show", "ipsec", "policy").stdout
    assert ask(sites.h, "udp", LAN_A, 7002) == "hello"


def test_bypass_both(sites):
    """There and back in clear; what else comes in clear is dropped as ever."""
    own = sites.swan_lets_pass("tcp", 7001)
    sites.set(policy("clear", action="bypass", remote_ts=[f"{NET_B} tcp 7001"]))
    with own:
        for host, source in ((sites.h, LAN_A), (sites.a, HOST_A)):
            assert ask(host, "tcp", source, 7001) == "hello", sites.one.tail()
            sites.in_clear(lambda: ask(host, "tcp", source, 7001), "tcp port 7001", least=8)
            assert ask(host, "tcp", source, 7002) == "hello"
        shown = sites.shown()["clear"]
        assert shown["hits"] >= 16 and shown["clear_in"] >= 16
        sites.set()
        assert ask(sites.h, "tcp", LAN_A, 7001, timeout=0.5) != "hello"


def test_discard(sites):
    """What is discarded goes neither way, whatever the children say, and also by other devices; counted."""
    sites.set(policy("no", action="discard", remote_ts=[f"{FAR_B}"]),
              policy("elsewhere", action="discard", local_ts=["0.0.0.0/0"], remote_ts=[f"{B4} udp 7001"]))
    assert ping(sites.h, LAN_A, FAR_B, 2) == 0
    assert ping(sites.a, HOST_A, FAR_B, 2) == 0
    assert ping(sites.h, LAN_A, HOST_B) == 5
    assert sites.in_clear(lambda: ask(sites.a, "udp", A4, 7001, B4, 0.3), "udp port 7001") == 0
    assert ask(sites.a, "udp", A4, 7002, B4) == "hello"
    wait_for(lambda: (sites.shown()["no"]["hits"], sites.shown()["elsewhere"]["hits"]) == (4, 1), 5,
             lambda: f"all were counted {sites.shown()}")


def test_order(sites):
    """The first that matches counts: before the children in the order of the file, or after them."""
    allow = policy("allow", action="bypass", remote_ts=[f"{HOST_B} udp 7001"], direction="out")
    deny = policy("deny", action="discard", remote_ts=[f"{NET_B} udp"], direction="out")

    def send():
        return sites.in_clear(lambda: ask(sites.h, "udp", LAN_A, 7001, timeout=0.3), "udp dst port 7001")
    sites.set(allow, deny)
    assert send() == 1
    assert ask(sites.h, "udp", LAN_A, 7002, timeout=0.3) != "hello"
    sites.set(deny, allow)
    assert send() == 0
    assert list(sites.shown()) == ["deny", "allow", "net"]
    late = [p.replace("action", "order = after\n  action", 1) for p in (deny, allow)]
    sites.set(*late)
    assert list(sites.shown()) == ["net", "deny", "allow"]
    assert send() == 0
    assert ask(sites.h, "udp", LAN_A, 7001) == "hello", "the child has it"


def test_reload_and_killed(sites):
    """Entries come, change and go without a packet of the tunnel lost; and they hold when processes have
    ended and begun again."""
    clear = policy("clear", action="bypass", remote_ts=[f"{NET_B} udp 7001"], direction="out")

    def is_clear():
        return sites.in_clear(lambda: ask(sites.h, "udp", LAN_A, 7001, timeout=0.3), "udp dst port 7001") > 0
    sites.set()
    pinging = Pinging(sites.h, LAN_A, HOST_B)
    spi = sites.one.ask("show", "ipsec", "sa")["sas"][0]["in"]["spi"]
    for policies, expected in (((clear,), True), ((clear.replace("7001", "7002"),), False), ((), False),
                               ((clear,), True)):
        sites.set(*policies)
        pinging.wait_more(5)
        assert is_clear() == expected
    assert sites.one.ask("show", "ipsec", "sa")["sas"][0]["in"]["spi"] == spi
    assert pinging.lost() == 0
    for role in ("esp", "ike"):
        sites.one.kill(role)
        wait_for(is_clear, 10, f"in clear after {role}")
        wait_for(lambda: ping(sites.h, LAN_A, HOST_B, 1) == 1, 10, f"the tunnel after {role}")


def test_reverse_routes(sites):
    """What was negotiated goes to a table of its own, too, and back, while packets flow."""
    clear = policy("clear", action="bypass", remote_ts=[f"{NET_B} udp 7001"], direction="out")
    def configure(*policies):
        sites.one.configure("".join(policies) + peer_section(psk_secret=SECRET,
                                                             children=[child_section(reverse_route=True)]))
        sites.one.reload()

    def routes():
        return sites.a.run(["ip", "route", "show", "table", "all"]).stdout.count("10.2.0.0/24 dev gh-ipsec0")
    configure()
    sites.one.gatectl("ike", "terminate", "peer", "peer", check=False)
    sites.one.wait_sas(0)
    sites.one.gatectl("ike", "initiate", "peer")
    sites.one.wait_sas(1, 1)
    wait_for(lambda: ping(sites.h, LAN_A, HOST_B, 1) == 1, 10, lambda: f"a reverse route\n{sites.one.tail()}")
    pinging = Pinging(sites.h, LAN_A, HOST_B)
    for policies, own in (((), False), ((clear,), True), ((), False)):
        configure(*policies)
        wait_for(lambda o=own: routes() == 1 and bool(sites.routed_apart()) == o, 10,
                 lambda: sites.a.run(["ip", "route", "show", "table", "all"]).stdout + sites.one.tail())
        pinging.wait_more(5)
        seen = sites.in_clear(lambda: ask(sites.h, "udp", LAN_A, 7001, timeout=0.3), "udp dst port 7001")
        assert seen == own
    pinging.lost()


def test_ipv6(sites):
    """Of IPv6 the same; here what goes beside tunnels."""
    sites.a.add_address("eth0", "fd77::1/64")
    sites.b.add_address("eth0", "fd77::2/64")
    ping6 = ["ping", "-c", 1, "-W", 1, "fd77::2"]
    sites.set()
    wait_for(lambda: sites.a.run(ping6, check=False).returncode == 0, 10, "an answer")
    sites.set(section('ipsec-policy "six"', action="discard", local_ts=["::/0"], remote_ts=["fd77::/64 icmpv6 128"]))
    assert sites.a.run(ping6, check=False).returncode != 0
    wait_for(lambda: sites.shown()["six"]["hits"] == 1, 5, lambda: sites.shown())
    assert sites.b.run(["ping", "-c", 1, "-W", 1, "fd77::1"], check=False).returncode != 0, "nor in"
    wait_for(lambda: sites.shown()["six"]["clear_in"] == 1, 5, lambda: sites.shown())
    sites.set()
    assert sites.a.run(ping6, check=False).returncode == 0


def test_clean_up(sites):
    """When no entry is left, neither is a rule; and all goes with --remove-rules."""
    sites.set(policy("clear", action="bypass", remote_ts=[f"{NET_B} udp 7001"]))
    assert "fwmark 0x4748" in sites.a.run(["ip", "rule"]).stdout
    assert "hook forward" in sites.a.run(["nft", "list", "ruleset"]).stdout
    sites.set()
    assert "fwmark 0x4748" not in sites.a.run(["ip", "rule"]).stdout
    assert "hook forward" not in sites.a.run(["nft", "list", "ruleset"]).stdout
    assert "10.2.0.0/24 dev gh-ipsec0" in sites.a.run(["ip", "route"]).stdout
