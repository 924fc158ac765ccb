"""A wire that can be made to wait: frames between two namespaces pass through a third, until held.

    wire = Relay(net, a, b, ((f"{A4}/24", f"{B4}/24"),))
    wire.hold()                 # what each end says now does not reach the other …
    wire.wait_held()            # … and each has said something
    wire.release()              # in the order in which it was said
    wire.release_but_tcp()      # … all but what TCP said, which goes on to wait

So both ends of a protocol begin at once, whatever the load of the machine. `Relay` starts this file as
a program in the third namespace.
"""

import os
import select
import signal
import socket
import sys

from wait import wait_for

ALL = 3  # ETH_P_ALL
OUTGOING = 4  # PACKET_OUTGOING
QUIET = 0.3  # seconds
TCP, UDP = 6, 17


class Relay:
    def __init__(self, net, a, b, pairs):
        """pairs: (address of a, address of b), with length; both have them on eth0."""
        self.middle = net.namespace("wire")
        for index, (host, name) in enumerate(((a, "left"), (b, "right"))):
            net.link(host, self.middle, name_b=name)
            # what is not on its way to hardware has no checksum yet
            host.run(["ethtool", "-K", "eth0", "tx", "off", "gso", "off", "tso", "off"])
            for pair in pairs:
                host.add_address("eth0", pair[index])
        self.middle.sysctl("net.ipv6.conf.all.disable_ipv6", 1)
        self.log = os.path.join(net.dir, "wire.log")
        self.process = self.middle.spawn([sys.executable, os.path.abspath(__file__)], self.log)
        wait_for(lambda: "ready" in self._said(), 5, "the wire is there")

    def _said(self):
        with open(self.log, encoding="ascii") as file:
            return file.read().splitlines()

    def _since_hold(self):
        said = self._said()
        last = max(n for n, line in enumerate(said) if line.startswith("holding"))
        return said[last + 1:]

    def _order(self, number, answer):
        before = self._said().count(answer)
        self.process.signal(number)
        wait_for(lambda: self._said().count(answer) > before, 5, f"the wire is {answer}")

    def hold(self):
        """Waits until nobody has said anything for a while: what was going on is over."""
        self._order(signal.SIGUSR1, "holding")

    def wait_held(self, timeout=5):
        """Both ends have said something, by UDP or TCP, since the wire was last made to wait."""
        wait_for(lambda: {"left", "right"} <= set(self._since_hold()), timeout,
                 lambda: f"both ends say something: {self._said()}")

    def release(self):
        self._order(signal.SIGUSR2, "passing")

    def release_but_tcp(self):
        self._order(signal.SIGHUP, "holding TCP")


def say(word):
    print(word, flush=True)


def protocol(frame):
    """That of what is in it: TCP, UDP, …; None of ARP and the like."""
    kind = frame[12:14]
    return frame[23] if kind == b"\x08\x00" else frame[20] if kind == b"\x86\xdd" else None


def main():
    wake, signals = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    signals.setblocking(False)
    signal.set_wakeup_fd(signals.fileno())
    for number in (signal.SIGUSR1, signal.SIGUSR2, signal.SIGHUP):
        signal.signal(number, lambda *_: None)
    ends = {}
    for name in ("left", "right"):
        ends[name] = end = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ALL))
        end.bind((name, ALL))
    others = {"left": ends["right"], "right": ends["left"]}
    held, seen, wanted = [], set(), False
    holds = lambda frame: False  # pylint: disable=unnecessary-lambda-assignment

    def pass_on():
        """What need not wait any more."""
        waiting, held[:] = held[:], []
        for name, frame in waiting:
            if holds(frame):
                held.append((name, frame))
            else:
                others[name].send(frame)
    say("ready")
    while True:
        ready, _, _ = select.select([wake, *ends.values()], [], [], QUIET if wanted else None)
        if not ready:
            wanted, holds = False, lambda frame: True
            seen.clear()
            say("holding")
        elif wake in ready:
            order = wake.recv(1)[0]
            if order == signal.SIGUSR1:
                wanted = True
            elif order == signal.SIGHUP:
                holds = lambda frame: protocol(frame) == TCP
                seen.clear()
                say("holding TCP")
                pass_on()
            else:
                holds = lambda frame: False
                pass_on()
                say("passing")
        for name, end in ends.items():
            if end not in ready:
                continue
            frame, origin = end.recvfrom(65536)
            if origin[2] == OUTGOING:
                continue
            if not holds(frame):
                others[name].send(frame)
                continue
            held.append((name, frame))
            if name not in seen and protocol(frame) in (TCP, UDP):
                seen.add(name)
                say(name)


if __name__ == "__main__":
    main()
