"""Traffic and trouble: talkers at both ends of connections, a forger on the link, what queues did.

    a, b, forger = lan(net, build_dir)
    server = Talkers(a, build_dir, listen="10.77.0.1", every_ms=20)
    client = Talkers(b, build_dir, local="10.77.0.2", remote="10.77.0.1", local_port=20000)
    wait_talking(server, client, 1)
"""

import dataclasses
import ipaddress
import json
import os
import re

from capture import ACK, Capture
from wait import wait_for

# Counters of an engine that count what passed, or what it did right.
PASSED = ("ok", "signed", "icmp-ignored", "mismatch-accepted", "repeated", "sent-unsigned",
          "received-unsigned", "reset-injected")


def refused(counters):
    """Segments that an engine dropped, by reason."""
    return {name: n for name, n in counters.items() if n and name not in PASSED}


def nth(address, n):
    return str(ipaddress.ip_address(address) + n)


class Talkers:
    """talkers.c in a namespace: one end of `count` connections whose octets are checked."""

    def __init__(self, host, build_dir, listen=None, local=None, remote=None, port=179, count=1,
                 every_ms=1000, octets=19, local_port=0, name="talkers"):
        program = os.path.join(build_dir, "tests", "topo", "talkers")
        self.directory = host.directory(name)
        self.status_file = os.path.join(self.directory, "status")
        self.log = os.path.join(self.directory, "log")
        if os.path.exists(self.status_file):
            os.unlink(self.status_file)
        ends = (["-l", listen] if listen else
                ["-c", local, "-r", remote, "-n", count, "-s", local_port])
        self.process = host.spawn([program, *ends, "-p", port, "-i", every_ms, "-b", octets,
                                   "-o", self.status_file], self.log)
        wait_for(lambda: os.path.exists(self.status_file) or not self.process.alive(), 10,
                 "talkers tell their status")

    def status(self):
        """How many are up and lost, octets sent and heard, how often they were wrong, and for how
        long the quietest connection has heard nothing."""
        assert self.process.alive(), f"talkers ended: {self.tail()}"
        with open(self.status_file, encoding="utf-8") as file:
            return json.load(file)

    def tail(self):
        with open(self.log, encoding="utf-8", errors="replace") as file:
            return "".join(file.readlines()[-5:])

    def assert_whole(self, count):
        """All connections stand, and what they heard is what was said."""
        status = self.status()
        assert (status["up"], status["lost"], status["corrupt"]) == (count, 0, 0), \
            f"{status} {self.tail()}"

    def stop(self):
        self.process.stop()


def wait_talking(server, client, count, timeout=30):
    """All connections are up and each has heard something."""
    def talking():
        return all(t.status()["up"] == count for t in (server, client))
    wait_for(talking, timeout, lambda: f"{count} connections: {server.status()} {client.status()}")
    wait_heard(server, client, timeout=timeout)


def wait_heard(*ends, timeout=30):
    """From now on every connection of these ends hears something again."""
    before = [t.status()["heard"] for t in ends]

    def heard():
        now = [t.status() for t in ends]
        assert not any(s["lost"] for s in now), f"a connection is lost: {now}"
        return all(s["heard"] > b and s["silent_ms"] < 1500 for s, b in zip(now, before))
    wait_for(heard, timeout, lambda: f"all hear something: {[t.status() for t in ends]}")


@dataclasses.dataclass
class Target:
    """A connection as a forger sees it: the peer whom it plays, the victim, where they are."""

    peer: str
    peer_port: int
    victim: str
    victim_port: int
    seq: int  # what the victim expects next
    ack: int  # what it has sent up to


def observe(victim, peer, peer_port, local, local_port):
    """The state of a connection that is talking now, from the victim's own link."""
    capture = Capture(victim, expression=f"tcp port {peer_port} and host {peer}",
                      name=f"observe-{peer_port}")

    def last(src):
        found = [s for s in capture.segments() if s.src == src and s.flags & ACK]
        return found[-1] if found else None

    wait_for(lambda: last(peer) and last(local), 10, "both ends have sent something")
    theirs, ours = last(peer), last(local)
    capture.stop()
    return Target(peer, peer_port, local, local_port, theirs.seq + len(theirs.payload),
                  ours.seq + len(ours.payload))


class Forger:
    """A namespace on the same link that plays the peer."""

    def __init__(self, namespace, victim, build_dir):
        self.namespace = namespace
        self.program = os.path.join(build_dir, "tests", "topo", "flood")
        self.victim_mac = mac_address(victim, "eth0")
        self.mac = mac_address(namespace, "eth0")

    def command(self, target, *kinds, keyid=8, rnext=3, unknown=200, window=0, count=1, rate=0,
                capture=None):
        return [self.program, "-i", "eth0", "-m", self.victim_mac, "-c",
                f"{target.peer},{target.peer_port},{target.victim},{target.victim_port}",
                "-q", f"{target.seq},{target.ack}", "-k", f"{keyid},{rnext}", "-u", unknown,
                "-w", window, "-n", count, "-r", rate, *(["-p", capture] if capture else []), *kinds]

    def flood(self, target, *kinds, **options):
        """Sends, and returns how many of each kind were sent."""
        return json.loads(self.namespace.run(self.command(target, *kinds, **options)).stdout)

    def start(self, target, *kinds, **options):
        """The same in the background: the process, and the file with its answer."""
        out = os.path.join(self.namespace.directory("flood"), f"out-{target.peer_port}")
        return self.namespace.spawn(self.command(target, *kinds, **options), out), out


def mac_address(namespace, interface):
    return json.loads(namespace.run(["ip", "-j", "link", "show", interface]).stdout)[0]["address"]


def lan(net, build_dir):
    """Namespaces a (10.77.0.1, fd77::1), b (.2) and a forger (.66) on one bridge."""
    switch = net.namespace("sw")
    switch.run(["ip", "link", "add", "br0", "type", "bridge"])
    switch.run(["ip", "link", "set", "br0", "up"])
    members = []
    for name, host in (("a", 1), ("b", 2), ("x", 66)):
        member = net.namespace(name)
        net.link(member, switch, name_b=f"to-{name}")
        member.add_address("eth0", f"10.77.0.{host}/24")
        member.add_address("eth0", f"fd77::{host}/64")
        switch.run(["ip", "link", "set", f"to-{name}", "master", "br0"])
        members.append(member)
    a, b, x = members
    return a, b, Forger(x, a, build_dir)


@dataclasses.dataclass
class Queue:
    """What the kernel says of one NFQUEUE."""

    waiting: int
    dropped: int  # because it was full, or the program's socket was


def queues(namespace):
    """The queues of a namespace by number."""
    found = {}
    text = namespace.run(["cat", "/proc/net/netfilter/nfnetlink_queue"]).stdout
    for line in text.splitlines():
        number, _, waiting, _, _, full, user, *_ = map(int, line.split())
        found[number] = Queue(waiting, full + user)
    return found


def resident(pid):
    """Memory that a process has, in KiB."""
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        return int(re.search(r"VmRSS:\s+(\d+)", file.read()).group(1))
