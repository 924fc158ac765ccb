"""What is looked at in protected packets beside their own addresses: ICMP errors quote a packet of the SA, later
fragments follow their first one; lifetimes of octets and packets end for good."""

import os
import struct

import pytest

from test_ipsec import HOST_A, HOST_B, ping, sas
from test_ipsec_routes import Ends
from wait import wait_for

TAKE = """
import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind((sys.argv[1], 7000))
print("ready", flush=True)
while True:
    print(len(s.recv(65536)), flush=True)
"""
GIVE = """
import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.setsockopt(socket.IPPROTO_IP, 10, 0)  # IP_MTU_DISCOVER: no DF
s.bind((sys.argv[1], 0))
for _ in range(int(sys.argv[4])):
    s.sendto(b"x" * int(sys.argv[3]), (sys.argv[2], 7000))
"""
FORGE = """
import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
s.bind((sys.argv[1], 0))
s.sendto(bytes.fromhex(sys.argv[3]), (sys.argv[2], 0))
"""


def script(host, text, *args):
    host.run(["/usr/bin/python3", "-c", text, *args])


def give(host, octets, times=1):
    """UDP from HOST_A to port 7000 of HOST_B."""
    script(host, GIVE, HOST_A, HOST_B, octets, times)


def change(gatehouse, old, new):
    with open(gatehouse.config_file, encoding="utf-8") as file:
        text = file.read()
    assert old in text
    gatehouse.configure(text.replace(old, new))
    gatehouse.reload()


def checksum(data):
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff


def unreachable(src, dst):
    """ICMP, port unreachable, about UDP from src to dst."""
    def quad(address):
        return bytes(map(int, address.split(".")))
    quoted = struct.pack("!BBHHHBBH", 0x45, 0, 28, 1, 0, 64, 17, 0) + quad(src) + quad(dst) + struct.pack(
        "!HHHH", 1000, 53, 8, 0)
    body = struct.pack("!BBHI", 3, 3, 0, 0) + quoted
    return (body[:2] + struct.pack("!H", checksum(body)) + body[4:]).hex()


@pytest.mark.parametrize("words", ["follow", "drop", "one end"])
def test_later_fragments(net, build_dir, words):
    """Of a child for one port, a long datagram's later fragments come if both ends have agreed to it."""
    child = {} if words == "drop" else {"later_fragments": "follow"}
    ends = Ends(net, build_dir, f"{HOST_A}/32 udp", f"{HOST_B}/32 udp 7000", child=child)
    if words == "one end":
        change(ends.two, 'later-fragments = "follow"', "")
    ends.up()
    log = os.path.join(ends.b.directory("take"), "out")

    def taken():
        with open(log, encoding="utf-8") as file:
            return file.read().split()

    ends.b.spawn(["/usr/bin/python3", "-c", TAKE, HOST_B], log)
    wait_for(lambda: taken() == ["ready"], 10, "it listens")
    give(ends.a, 4000)
    if words == "follow":
        wait_for(lambda: taken() == ["ready", "4000"], 10, "the whole datagram")
        give(ends.a, 5000)
        wait_for(lambda: taken() == ["ready", "4000", "5000"], 10, "the next one")
        return
    wait_for(lambda: ends.one.ask("show", "ipsec", "counters")["out"]["no-policy"] >= 2, 10,
             "the later ones have no policy")
    give(ends.a, 100)
    wait_for(lambda: taken() == ["ready", "100"], 10, "what is no fragment, and of fragments nothing")


def test_what_errors_quote(net, build_dir):
    """A peer sends an ICMP error about a packet that never went to it."""
    ends = Ends(net, build_dir, f"{HOST_A}/32", f"{HOST_B}/32").up()

    def counts():
        return ends.one.ask("show", "ipsec", "counters")["in"]

    before = counts()["ok"]
    script(ends.b, FORGE, HOST_B, HOST_A, unreachable(HOST_A, "10.99.0.1"))
    wait_for(lambda: counts()["quoted"] == 1, 10, "it is dropped")
    script(ends.b, FORGE, HOST_B, HOST_A, unreachable(HOST_A, HOST_B))
    wait_for(lambda: counts()["ok"] == before + 1, 10, "one about a packet of the SA comes in")
    change(ends.one, "start = false", "start = false\n        icmp-quotes = pass")
    ends.one.gatectl("ike", "rekey", "child", str(sas(ends.one)[0]["id"]))
    wait_for(lambda: len(sas(ends.one)) == 1 and ping(ends.a, HOST_A, HOST_B, 1) == 1, 10, "rekeyed")
    before = counts()["ok"]
    script(ends.b, FORGE, HOST_B, HOST_A, unreachable(HOST_A, "10.99.0.1"))
    wait_for(lambda: counts()["ok"] > before, 10, "where the operator wants it, all come in")
    assert counts()["quoted"] == 1


def test_who_is_refused_is_told(net, build_dir):
    """ICMP errors for what policy does not let out, where the operator wants them, and no more than he wants."""
    ends = Ends(net, build_dir, f"{HOST_A}/32", f"{HOST_B}/32 udp", head="ike { icmp-prohibited = off }\n").up()

    def counts():
        return ends.one.ask("show", "ipsec", "counters")["refusals"]

    def refused(count):
        return ends.a.run(["ping", "-c", count, "-i", 0.01, "-W", 1, "-I", HOST_A, HOST_B], check=False).stdout

    assert "filtered" not in refused(1)
    assert counts() == {"prohibited": 0, "unreachable": 0, "icmp-limited": 0}
    change(ends.one, "icmp-prohibited = off", "icmp-prohibited = 10/60")
    wait_for(lambda: "Packet filtered" in refused(1), 10, "its sender is told")
    wait_for(lambda: refused(5) and counts()["icmp-limited"] > 0, 10, "not for ever")
    assert 10 <= counts()["prohibited"] < 20
    change(ends.one, "icmp-prohibited = 10/60", "icmp-prohibited = 100/1")
    ends.one.gatectl("ike", "terminate", "peer", "peer")
    wait_for(lambda: not sas(ends.one) and not ends.one.list_sas(), 10, "the SAs are gone")
    ends.two.kill()
    wait_for(lambda: give(ends.a, 10) or counts()["unreachable"] > 0, 20, "no SA came in time")


def test_hard_lifetime(net, build_dir):
    """More packets than a child may carry in less time than a new one needs: refused, and it ends."""
    ends = Ends(net, build_dir, f"{HOST_A}/32", f"{HOST_B}/32", child={"lifetime_packets": 1024}).up()
    first = sas(ends.one)[0]["id"]
    ends.b.run(["iptables", "-I", "INPUT", "-j", "DROP"])  # nobody answers: no new keys

    def refused():
        give(ends.a, 10, 300)  # as many as the device's queue takes
        return ends.one.ask("show", "ipsec", "counters")["out"]["expired"] > 0

    wait_for(refused, 10, "refused")
    ends.one.wait_said("its lifetime of octets or packets is over")
    ends.one.wait_said("packets were dropped, out: expired ")
    wait_for(lambda: all(sa["id"] != first for sa in sas(ends.one)), 10, "it has ended")
