"""Two sites whose traffic Gatehouse carries through IPsec, keyed by its own IKE: to another Gatehouse
(ESP over IP, or in UDP) and to a strongSwan that nobody patched (kernel-libipsec: in UDP)."""

import os
import re
import signal

import pytest

from capture import Capture, read_frames
from daemons.strongswan import StrongSwan
from ike import NET_A, NET_B, SECRET, IkeGatehouse, child_section, peer_section, section
from netns import A4, A6, B4, B6
from pings import answered, ping_each
from wait import wait_for

HOST_A, HOST_B = "10.1.0.1", "10.2.0.1"
NET6_A, NET6_B = "fd01::/64", "fd02::/64"
HOST6_A, HOST6_B = "fd01::1", "fd02::1"
ICMP, ESP, UDP = 1, 50, 17
SERVER = """
import socket, sys
with socket.create_server((sys.argv[1], 7000), family=socket.AF_INET6 if ":" in sys.argv[1]
                          else socket.AF_INET) as s:
    while True:
        c, _ = s.accept()
        with c:
            got = b""
            while len(got) < int(sys.argv[2]):
                got += c.recv(65536)
            c.sendall(got)
"""
CLIENT = """
import hashlib, os, socket, sys
data = os.urandom(int(sys.argv[3]))
with socket.create_connection((sys.argv[2], 7000), timeout=20, source_address=(sys.argv[1], 0)) as c:
    c.sendall(data)
    got = b""
    while len(got) < len(data):
        part = c.recv(65536)
        assert part, "the connection ended early"
        got += part
assert got == data
print(hashlib.sha256(data).hexdigest())
"""


# ---- Traffic ----------------------------------------------------------------------------------

def ping(host, source, target, count=5):
    """How many of so many came back."""
    return answered(ping_each(host, target, "-I", source, count=count, wait=2))


class Pinging:
    """A ping that goes on: 50 a second."""

    def __init__(self, host, source, target):
        self.log = os.path.join(host.directory("pinging"), "out")
        self.process = host.spawn(["ping", "-i", "0.02", "-I", source, target], self.log)
        wait_for(lambda: self.answers() > 0, 10, "the first answer")

    def answers(self):
        if not os.path.exists(self.log):
            return 0
        with open(self.log, encoding="utf-8") as file:
            return file.read().count("bytes from")

    def wait_more(self, count=10, timeout=10):
        """So many answers more."""
        before = self.answers()
        wait_for(lambda: self.answers() >= before + count, timeout, f"{count} answers more")

    def lost(self):
        """Ends it; how many of those before the last answer had none. It must still be answered."""
        self.wait_more(3)
        self.process.signal(signal.SIGINT)
        self.process.wait()
        with open(self.log, encoding="utf-8") as file:
            answered = set(map(int, re.findall(r"icmp_seq=(\d+) ttl", file.read())))
        print(f"of {max(answered)} not answered: {sorted(set(range(1, max(answered))) - answered)}")
        return max(answered) - len(answered)


def transfer(server, client, address, source, octets=400_000):
    """TCP there and back again."""
    listener = server.spawn(["/usr/bin/python3", "-c", SERVER, address, octets],
                            os.path.join(server.directory("tcp"), "out"))
    wait_for(lambda: ":7000" in server.run(["ss", "-Hltn"]).stdout, 10, "the server listens")
    client.run(["/usr/bin/python3", "-c", CLIENT, source, address, octets])
    listener.stop()


class Wire:
    """What goes over the link between the sites, beside neighbour discovery."""

    def __init__(self, host, expression="ip or ip6"):
        self.capture = Capture(host, expression=expression)

    def protocols(self):
        """(protocol, UDP port or None) of all packets, and never an address of the sites."""
        self.capture.stop()
        seen = set()
        for _, frame in read_frames(self.capture.path):
            packet = frame[14:]
            if frame[12:14] == b"\x08\x00":
                protocol, payload = packet[9], packet[(packet[0] & 15) * 4:]
                assert packet[12:14] == b"\x0a\x4d" and packet[16:18] == b"\x0a\x4d", packet.hex()
            else:
                protocol, payload = packet[6], packet[40:]
                if protocol in (0, 58):  # hop-by-hop options, ICMPv6
                    continue
            port = int.from_bytes(payload[2:4], "big") if protocol == UDP else None
            seen.add((protocol, port))
        return seen


# ---- Gatehouse to Gatehouse -------------------------------------------------------------------

class Sites:
    """Gatehouse in both namespaces, with a tunnel between both networks."""

    def __init__(self, net, build_dir, v6=False, head="", child=(), hosts=None, **options):
        """hosts: a and b, where they are there already."""
        self.a, self.b = hosts or net.two_routers()
        for host, address in ((self.a, HOST_A), (self.b, HOST_B)):
            host.add_address("lo", f"{address}/32")
        for host, address in ((self.a, HOST6_A), (self.b, HOST6_B)):
            host.add_address("lo", f"{address}/128")
        ends = (A6, B6) if v6 else (A4, B4)
        self.one = self._gatehouse(self.a, build_dir, head, ends, (NET_A, NET6_A),
                                   (NET_B, NET6_B), child, options)
        self.two = self._gatehouse(self.b, build_dir, head, ends[::-1], (NET_B, NET6_B),
                                   (NET_A, NET6_A), child, options)
        self.one.gatectl("ike", "initiate", "peer")
        self.one.wait_sas(1, 1)
        self.two.wait_sas(1, 1)

    @staticmethod
    def _gatehouse(host, build_dir, head, ends, ours, theirs, child, options):
        child = child_section(local_ts=ours, remote_ts=theirs, **dict(child))
        return IkeGatehouse(host, build_dir, head + peer_section(
            psk_secret=SECRET, children=[child], local=ends[0], remote=ends[1], **options)).start()

    def ping(self, count=5):
        return ping(self.a, HOST_A, HOST_B, count)


def sas(gatehouse):
    return gatehouse.ask("show", "ipsec", "sa")["sas"]


def read_metrics(text):
    """Prometheus' text format, as its documentation has it: each family in one piece, each sample once."""
    values, families, family = {}, set(), None
    for line in text.splitlines():
        if line.startswith("# HELP"):
            family = line.split()[2]
            assert family not in families
            families.add(family)
        elif line.startswith("# TYPE"):
            assert line.split()[2:] in ([family, "gauge"], [family, "counter"]), line
            assert family.endswith("_total") == line.endswith("counter")
        else:
            sample = re.fullmatch(r'(\w+)(\{(?:\w+="(?:[^"\\\n]|\\["\\n])*",?)+\})? (\d+)', line)
            assert sample and sample[1] == family and line.split(" ")[0] not in values, line
            values[sample[1] + (sample[2] or "")] = int(sample[3])
    return values


@pytest.mark.parametrize("v6", [False, True], ids=["over-ipv4", "over-ipv6"])
@pytest.mark.parametrize("udp", [False, True], ids=["esp", "in-udp"])
def test_two_sites(net, build_dir, v6, udp):
    """Ping and TCP both ways, of both IP versions; nothing of it is in clear on the link."""
    head = section('ike-policy "nat"', force_nat_t=True) if udp else ""
    options = {"ike_policy": "nat"} if udp else {}
    sites = Sites(net, build_dir, v6, head, **options)
    wire = Wire(sites.a)
    assert sites.ping() == 5
    assert ping(sites.b, HOST6_B, HOST6_A) == 5
    transfer(sites.b, sites.a, HOST_B, HOST_A)
    transfer(sites.a, sites.b, HOST6_A, HOST6_B)
    assert wire.protocols() == ({(UDP, 4500)} if udp else {(ESP, None)})
    here, there = sas(sites.one), sas(sites.two)
    assert len(here) == len(there) == 1
    for way, other in (("in", "out"), ("out", "in")):
        assert here[0][way]["spi"] == there[0][other]["spi"]
        assert here[0][way]["packets"] == there[0][other]["packets"] > 50
        assert here[0][way]["octets"] == there[0][other]["octets"] > 800_000
        assert here[0][way]["drops"] == {}
    assert here[0]["udp"] == udp
    assert "net" in sites.one.gatectl("show", "ipsec", "sa").stdout
    assert "sent" in sites.one.gatectl("show", "ipsec", "counters").stdout
    metrics = read_metrics(sites.one.gatectl("show", "metrics").stdout)
    assert metrics['gatehouse_ipsec_tunnel_up{peer="peer",child="net"}'] == 1
    assert metrics['gatehouse_ipsec_tunnels{mode="tunnel",state="up"}'] == 1
    labels = f'{{peer="peer",child="net",sa="{here[0]["id"]}",spi="{here[0]["in"]["spi"]}",way="in"}}'
    assert metrics[f"gatehouse_ipsec_sa_packets_total{labels}"] >= here[0]["in"]["packets"]
    assert metrics[f"gatehouse_ipsec_sa_bytes_total{labels}"] >= here[0]["in"]["octets"]
    assert metrics['gatehouse_ipsec_packets_total{where="in",result="ok"}'] > 50


SUITES = {
    "gcm": {"encryption": ["aes-128-gcm"]},
    "chacha": {"encryption": ["chacha20-poly1305"]},
    "implicit-iv": {"encryption": ["aes-256-gcm-iiv", "aes-256-gcm"]},
    "cbc": {"encryption": ["aes-256-cbc"], "integrity": ["hmac-sha-512-256"]},
    "ctr": {"encryption": ["aes-256-ctr"], "integrity": ["hmac-sha-1-96"]},
    "ah": {"protocol": "ah", "integrity": ["hmac-sha-256-128"]},
}


@pytest.mark.parametrize("v6", [False, True], ids=["over-ipv4", "over-ipv6"])
@pytest.mark.parametrize("suite", SUITES)
def test_suites(net, build_dir, suite, v6):
    """Whatever was agreed carries small packets and the largest."""
    sites = Sites(net, build_dir, v6, section('ipsec-transform "t"', **SUITES[suite]),
                  child={"ipsec_transform": ["t"]})
    for size in (0, 1000, 1362, 4000):  # 1362: the device's MTU; beyond, the kernel fragments
        said = ping_each(sites.a, HOST_B, "-I", HOST_A, "-s", size, count=2)
        assert answered(said) == 2, f"{size}: {said}{sites.one.tail()}"
    sa = sas(sites.one)[0]
    assert sa["protocol"] == ("AH" if suite == "ah" else "ESP")
    assert ("IIV" in sa["algorithms"]["encryption"]) == (suite == "implicit-iv")
    assert sites.one.ask("show", "ipsec", "counters")["packets"]["send-failed"] == 0


def test_holes_in_a_firewall(net, build_dir):
    """A host that lets in and out what `gatectl firewall` says, and what comes out of tunnels, and no more."""
    sites = Sites(net, build_dir)
    holes = sites.one.gatectl("firewall", sites.one.config_file, "--table", "own").stdout
    own = """
    table inet own {
        chain input { type filter hook input priority 0; policy drop;
            iifname "gh-ipsec*" accept
            %s
        }
        chain output { type filter hook output priority 0; policy drop;
            oifname "gh-ipsec*" accept
            %s
        }
    }
    """
    rules = os.path.join(sites.a.directory("nft"), "rules")

    def load(jumps):
        with open(rules, "w", encoding="utf-8") as file:
            file.write("table inet own\ndelete table inet own\n" + holes +
                       own % (("jump gatehouse-in", "jump gatehouse-out") if jumps else ("", "")))
        sites.a.run(["nft", "-f", rules])

    load(jumps=False)
    assert sites.ping(1) == 0
    load(jumps=True)
    assert sites.ping() == 5
    assert ping(sites.a, A4, B4, 1) == 0  # beside the tunnel
    sites.one.gatectl("ike", "rekey", "sa", sites.one.ask("show", "ike", "sa")["sas"][0]["id"])
    wait_for(lambda: sites.one.ask("show", "ike", "sa")["sas"][0]["rekeys"] == 1, 10, "IKE passes")
    (sa,) = sites.one.ask("show", "ike", "sa", "detail")["sas"]
    assert sa["local_auth"] == sa["remote_auth"] == "psk"  # as the one in whose place it is


def test_reload_under_traffic(net, build_dir):
    """A reload that changes nothing of the tunnel loses nothing; one that takes the child away drops
    its packets."""
    sites = Sites(net, build_dir)
    pinging = Pinging(sites.a, HOST_A, HOST_B)
    for _ in range(3):
        sites.one.reload()
        pinging.wait_more()
    assert pinging.lost() == 0
    sites.one.configure(peer_section(psk_secret=SECRET, children=[child_section(remote_ts="10.3.0.0/24")]))
    sites.one.reload()
    wait_for(lambda: not any("10.2.0.0" in route for route in routes(sites.a)), 10, "its routes are gone")
    assert sites.ping(1) == 0


def test_what_no_policy_has_is_dropped(net, build_dir):
    """An address of ours that is in no selector does not come through the device."""
    sites = Sites(net, build_dir)
    sites.a.add_address("lo", "10.9.0.1/32")
    assert ping(sites.a, "10.9.0.1", HOST_B, 2) == 0
    assert sites.one.ask("show", "ipsec", "counters")["out"]["no-policy"] >= 2
    assert sites.ping() == 5


def test_acquire(net, build_dir):
    """A packet without an SA has IKE make one."""
    sites = Sites(net, build_dir)
    sites.one.gatectl("ike", "terminate", "peer", "peer")
    sites.one.wait_sas(0)
    sites.two.wait_sas(0)
    assert sas(sites.one) == sas(sites.two) == []
    wait_for(lambda: sites.ping(1) == 1, 10, lambda: f"a packet came through\n{sites.one.tail()}")
    assert len(sas(sites.one)) == 1
    assert sites.one.ask("show", "ipsec", "counters")["out"]["no-sa"] > 0


def rekey_under_traffic(pair, who):
    """New keys for the child, three times, and for the IKE SA, by either end: no packet is lost. pair: a and
    b, the hosts; one and two, their Gatehouses."""
    gatehouse = getattr(pair, who)
    pinging = Pinging(pair.a, HOST_A, HOST_B)
    for _ in range(3):
        before = sas(gatehouse)[-1]
        gatehouse.gatectl("ike", "rekey", "child", str(before["id"]))
        wait_for(lambda: all(sa["id"] != before["id"] or sa["state"] == "receiving"
                             for sa in sas(gatehouse)), 10, "the old one only receives")
        pinging.wait_more()
    gatehouse.gatectl("ike", "rekey", "sa", str(gatehouse.list_sas()[0]["id"]))
    pinging.wait_more()
    assert pinging.lost() == 0
    wait_for(lambda: len(sas(pair.one)) == len(sas(pair.two)) == 1, 15, "one SA each is left")


@pytest.mark.parametrize("who", ["one", "two"])
def test_rekey_under_traffic(net, build_dir, who):
    rekey_under_traffic(Sites(net, build_dir), who)


def test_nat_gives_another_port(net, build_dir):
    """Answers go where the peer's packets come from by now; IKE has not said a word meanwhile."""
    sites = Sites(net, build_dir, head=section('ike-policy "nat"', force_nat_t=True), ike_policy="nat")
    pinging = Pinging(sites.b, HOST_B, HOST_A)
    before = sites.one.ask("show", "ike", "statistics")["counters"]["datagrams-in"]
    sites.b.run(["iptables", "-t", "nat", "-A", "POSTROUTING", "-p", "udp", "--sport", "4500",
                 "-j", "SNAT", "--to-source", f"{B4}:5000"])
    wait_for(lambda: sas(sites.one)[0]["remote"]["port"] == 5000, 10,
             lambda: f"the peer's new port {sas(sites.one)}")
    pinging.wait_more()
    assert sites.one.ask("show", "ike", "statistics")["counters"]["datagrams-in"] == before
    assert pinging.lost() <= 2


def test_rekey_by_packets(net, build_dir):
    """`esp` tells what it carried, and IKE makes new keys before a child has carried what it may."""
    sites = Sites(net, build_dir, child={"lifetime_packets": 1024})
    before = sas(sites.one)[0]
    first = before["in"]["spi"]
    assert before["octets_left"] is None
    assert before["packets_left"] == 1024 - max(before["in"]["packets"], before["out"]["packets"])
    transfer(sites.b, sites.a, HOST_B, HOST_A, 2_000_000)
    wait_for(lambda: first not in [sa["in"]["spi"] for sa in sas(sites.one)
                                   if sa["state"] == "installed"], 10,
             lambda: f"new keys\n{sites.one.tail()}")
    # On a slow machine a child may have come to its very end before the next was there.
    wait_for(lambda: sites.ping() == 5, 10, "nothing is lost any more")


def test_strangers(net, build_dir):
    """Packets of nobody's SA, too short ones, and real ones again: counted by reason, and no harm."""
    sites = Sites(net, build_dir)
    assert sites.ping() == 5
    spi = sas(sites.one)[0]["in"]["spi"]
    program = ("import socket, sys\n"
               "s = socket.socket(socket.AF_INET, socket.SOCK_RAW, 50)\n"
               "u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n"
               "for x in sys.argv[2:]:\n"
               "    s.sendto(bytes.fromhex(x), (sys.argv[1], 0))\n"
               "    u.sendto(bytes.fromhex(x), (sys.argv[1], 4500))\n")
    sites.b.run(["/usr/bin/python3", "-c", program, A4, "ffffffff" + "00" * 60, spi + "0000",
                 spi + "00000001" + "11" * 60, spi + "00000100" + "11" * 60, "01"])
    wait_for(lambda: sum(sas(sites.one)[0]["in"]["drops"].values()) == 6, 10,
             lambda: f"six are of our SA {sas(sites.one)}")
    counted = sites.one.ask("show", "ipsec", "counters")["in"]
    assert counted["unknown-spi"] >= 2 and counted["icv"] == 2
    assert sites.ping() == 5


def test_ike_killed(net, build_dir):
    """Traffic goes on without `ike`, and under the keys of the next one."""
    sites = Sites(net, build_dir)
    before = sas(sites.one)[0]
    pinging = Pinging(sites.a, HOST_A, HOST_B)
    sites.one.kill("ike")
    pinging.wait_more(20)
    assert sas(sites.one)[0]["in"]["spi"] == before["in"]["spi"]
    sites.one.gatectl("ike", "initiate", "peer")
    wait_for(lambda: any(sa["state"] == "installed" and sa["in"]["packets"] > 0
                         and sa["in"]["spi"] != before["in"]["spi"] for sa in sas(sites.one)), 10,
             lambda: f"traffic by the new SA\n{sites.one.tail()}")
    pinging.wait_more()
    assert pinging.lost() <= 2


def test_esp_killed(net, build_dir):
    """The next `esp` carries on with the same SAs, and neither end sees a sequence number twice."""
    sites = Sites(net, build_dir)
    pinging = Pinging(sites.a, HOST_A, HOST_B)
    before = sas(sites.one)[0]
    for _ in range(3):
        sites.one.kill("esp")
        pinging.wait_more(20, timeout=5)
    after = sas(sites.one)[0]
    assert (after["in"]["spi"], after["out"]["spi"]) == (before["in"]["spi"], before["out"]["spi"])
    assert after["out"]["sequence"] > before["out"]["sequence"]
    assert sas(sites.two)[0]["in"]["drops"] == {}
    assert pinging.lost() <= 15
    sites.one.gatectl("ike", "rekey", "child", str(after["id"]))  # `ike` has found the new one
    wait_for(lambda: any(sa["in"]["spi"] != before["in"]["spi"] for sa in sas(sites.one)), 10,
             "a new SA")
    assert sites.ping() == 5


def test_daemon_killed(net, build_dir):
    """Without Gatehouse what was protected does not leave in clear."""
    sites = Sites(net, build_dir)
    sites.a.run(["ip", "route", "add", "default", "via", B4])
    wire = Wire(sites.a)
    sites.one.kill()
    assert ping(sites.a, HOST_A, HOST_B, 2) == 0
    assert wire.protocols() <= {(UDP, 500), (UDP, 4500), (ESP, None), (ICMP, None)}
    sites.one.start()
    sites.one.gatectl("ike", "initiate", "peer")
    wait_for(lambda: sites.ping(1) == 1, 10, lambda: f"the tunnel is back\n{sites.one.tail()}")


def routes(host):
    return sorted(line.strip() for family in ("-4", "-6")
                  for line in host.run(["ip", family, "route", "show", "proto", "171"]).stdout.splitlines())


def test_routes_follow_the_configuration(net, build_dir):
    """A prefix that is not wanted any more goes, also after a restart; and what is left stays closed
    until --remove-rules."""
    sites = Sites(net, build_dir)
    here, there = ("10.2.0.0/24 dev gh-ipsec0 scope link", "unreachable 10.2.0.0/24 metric 4294967294")
    found = routes(sites.a)
    assert {here, there} <= set(found) and sum("fd02::/64" in r for r in found) == 2
    other = peer_section(psk_secret=SECRET, children=[child_section(remote_ts="10.3.0.1-10.3.0.2")])
    sites.one.configure(other)
    sites.one.reload()
    wait_for(lambda: len(routes(sites.a)) == 4 and all("10.3.0." in r for r in routes(sites.a)), 10,
             lambda: f"other routes: {routes(sites.a)}")
    sites.one.stop()
    assert routes(sites.a) == ["unreachable 10.3.0.1 metric 4294967294",
                               "unreachable 10.3.0.2 metric 4294967294"]
    sites.one.configure(other.replace("10.3.0.1-10.3.0.2", NET_B))
    sites.one.start()
    wait_for(lambda: routes(sites.a) == [here, there], 10, lambda: f"routes: {routes(sites.a)}")
    sites.one.stop()
    assert routes(sites.a) == [there]
    sites.a.run([sites.one.daemon, "-r", sites.one.run_dir, "--remove-rules"])
    assert routes(sites.a) == []


# ---- strongSwan -------------------------------------------------------------------------------

class WithSwan:
    """Gatehouse in a, strongSwan in b."""

    def __init__(self, net, build_dir, opener):
        self.a, self.b = net.two_routers()
        self.a.add_address("lo", f"{HOST_A}/32")
        self.b.add_address("lo", f"{HOST_B}/32")
        self.gatehouse = IkeGatehouse(self.a, build_dir, peer_section(psk_secret=SECRET)).start()
        self.swan = StrongSwan(self.b, {"gw": {
            "version": 2, "local_addrs": B4, "remote_addrs": A4,
            "proposals": "aes256gcm16-prfsha256-x25519",
            "local": {"auth": "psk"}, "remote": {"auth": "psk"},
            "children": {"net": {"local_ts": NET_B, "remote_ts": NET_A,
                                 "esp_proposals": "aes256gcm16-x25519"}}}},
            {"ike-1": {"secret": f'"{SECRET}"'}}).start()
        if opener == "gatehouse":
            self.gatehouse.gatectl("ike", "initiate", "peer")
        else:
            self.swan.initiate("net")
        self.gatehouse.wait_sas(1, 1)
        self.swan.wait_sas(1, 1)


@pytest.mark.parametrize("opener", ["gatehouse", "strongswan"])
def test_strongswan(net, build_dir, opener):
    """Ping and TCP both ways; nothing in clear."""
    tunnel = WithSwan(net, build_dir, opener)
    wire = Wire(tunnel.a)
    assert ping(tunnel.a, HOST_A, HOST_B) == 5
    assert ping(tunnel.b, HOST_B, HOST_A) == 5
    transfer(tunnel.b, tunnel.a, HOST_B, HOST_A)
    transfer(tunnel.a, tunnel.b, HOST_A, HOST_B)
    assert wire.protocols() == {(UDP, 4500)}


@pytest.mark.parametrize("who", ["gatehouse", "strongswan"])
def test_strongswan_rekey_under_traffic(net, build_dir, who):
    tunnel = WithSwan(net, build_dir, "gatehouse")
    pinging = Pinging(tunnel.a, HOST_A, HOST_B)
    for _ in range(3):
        before = sas(tunnel.gatehouse)[-1]
        if who == "gatehouse":
            tunnel.gatehouse.gatectl("ike", "rekey", "child", str(before["id"]))
        else:
            tunnel.swan.rekey(child="net")
        wait_for(lambda: all(sa["id"] != before["id"] or sa["state"] == "receiving"
                             for sa in sas(tunnel.gatehouse)), 10, "the old one only receives")
        pinging.wait_more()
    assert pinging.lost() == 0


def test_strongswan_ike_killed(net, build_dir):
    """strongSwan notices nothing: its packets are answered by the old SA."""
    tunnel = WithSwan(net, build_dir, "gatehouse")
    pinging = Pinging(tunnel.b, HOST_B, HOST_A)
    tunnel.gatehouse.kill("ike")
    pinging.wait_more(50)
    assert pinging.lost() == 0


# An IKE message of a version that is none, behind a packet of ESP: one train of datagrams (UDP_SEGMENT),
# which the kernel gives to the socket that its first is for.
TRAIN = """
import os, socket, struct, sys
s = socket.socket(socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET, socket.SOCK_DGRAM)
s.setsockopt(17, 103, 200)
s.settimeout(5)
s.sendto(struct.pack("!II192s", 0x1234567, 1, b"") + bytes(4) + os.urandom(8)
         + struct.pack("!QBBBBII", 0, 0, 0x30, 34, 8, 0, 28), (sys.argv[1], 4500))
answer = s.recv(2000)
assert answer[:4] == bytes(4) and answer[21] == 0x20 and answer[22] == 34, answer.hex()
print(struct.unpack_from("!H", answer, 4 + 28 + 6)[0])
"""
INVALID_MAJOR_VERSION = 5


@pytest.mark.parametrize("v6", [False, True], ids=["over-ipv4", "over-ipv6"])
def test_ike_in_a_train_with_esp(net, build_dir, v6):
    """`esp` hands on what is IKE's; the packet before it is one of an unknown SPI."""
    sites = Sites(net, build_dir, v6)
    answer = sites.b.run(["/usr/bin/python3", "-c", TRAIN, A6 if v6 else A4]).stdout
    assert int(answer) == INVALID_MAJOR_VERSION
    counters = sites.one.ask("show", "ipsec", "counters")
    assert counters["packets"]["ike-messages"] == 1
    assert counters["in"]["unknown-spi"] == 1
    assert sites.ping() == 5


@pytest.mark.parametrize("v6", [False, True], ids=["over-ipv4", "over-ipv6"])
@pytest.mark.parametrize("what", ["mtu", "no-offload"])
def test_streams_where_trains_do_not_go(net, build_dir, what, v6):
    """A link that is too narrow for what we send (the kernel fragments, and takes no train), or
    one without any offload: a stream of each IP version and many datagrams arrive whole."""
    sites = Sites(net, build_dir, v6, section('ike-policy "nat"', force_nat_t=True), ike_policy="nat")
    for host in (sites.a, sites.b):
        if what == "mtu":
            host.run(["ip", "link", "set", "eth0", "mtu", "1400"])
        else:
            host.run(["ethtool", "-K", "eth0", "tx", "off", "rx", "off", "tso", "off", "gso", "off",
                      "gro", "off"])
    transfer(sites.b, sites.a, HOST_B, HOST_A, 3_000_000)
    transfer(sites.b, sites.a, HOST6_B, HOST6_A, 3_000_000)
    counters = sites.one.ask("show", "ipsec", "counters")
    assert counters["packets"]["sent"] > 4000
    assert counters["packets"]["send-failed"] == counters["packets"]["device-failed"] == 0


DATAGRAMS = """
import socket, struct, sys, time
receive, source, target = sys.argv[1] == "receive", sys.argv[2], sys.argv[3]
s = socket.socket(socket.AF_INET6 if ":" in source else socket.AF_INET, socket.SOCK_DGRAM)
s.bind((source, 7001))
s.settimeout(5)
if receive:
    s.setsockopt(socket.SOL_SOCKET, 33, 1 << 24)  # SO_RCVBUFFORCE
    count, last = 0, -1
    while last < 1999:
        data = s.recv(2000)
        i = struct.unpack_from("!I", data)[0]
        assert i > last, f"{i} after {last}"
        assert data[4:] == bytes([i % 251]) * (len(data) - 4) and len(data) == (1200 if i % 40 < 39 else 30)
        count, last = count + 1, i
    assert count > 1000, count  # a device that is full drops
else:
    if sys.argv[4] == "trains":
        s.setsockopt(17, 103, 1200)  # UDP_SEGMENT
    for start in range(0, 2000, 40):
        parts = [struct.pack("!I", i) + bytes([i % 251]) * ((1200 if i % 40 < 39 else 30) - 4)
                 for i in range(start, start + 40)]
        for message in [b"".join(parts)] if sys.argv[4] == "trains" else parts:
            s.sendto(message, (target, 7001))
        time.sleep(0.001)
"""


@pytest.mark.parametrize("v6", [False, True], ids=["ipv4", "ipv6"])
@pytest.mark.parametrize("how", ["singly", "trains"])
def test_datagrams_in_order(net, build_dir, how, v6):
    """Datagrams, sent one by one or in trains (UDP_SEGMENT) that the device gives us uncut: each
    arrives as it was, in order."""
    sites = Sites(net, build_dir, head=section('ike-policy "nat"', force_nat_t=True), ike_policy="nat")
    here, there = (HOST6_A, HOST6_B) if v6 else (HOST_A, HOST_B)
    out = os.path.join(sites.b.directory("datagrams"), "out")
    receiver = sites.b.spawn(["/usr/bin/python3", "-c", DATAGRAMS, "receive", there, here], out)
    wait_for(lambda: ":7001" in sites.b.run(["ss", "-Hlun"]).stdout, 10, "the receiver listens")
    sites.a.run(["/usr/bin/python3", "-c", DATAGRAMS, "send", here, there, how])
    with open(out, encoding="utf-8") as file:
        assert receiver.wait(20) == 0, file.read()
