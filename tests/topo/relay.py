"""A wire that can be made to wait: frames between two namespaces pass through a third, until held.

    wire = Relay(net, a, b, ((f"{A4}/24", f"{B4}/24"),))
    wire.hold()                 # what each end says now does not reach the other …
    wire.wait_held()            # … and each has said something
    wire.release()              # in the order in which it was said

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
            return file.read().split()

    def _since_hold(self):
        said = self._said()
        return said[len(said) - said[::-1].index("holding"):]

    def _order(self, number, answer):
        before = self._said().count(answer)
        self.process.signal(number)
        wait_for(lambda: self._said().count(answer) > before, 5, f"the wire is {answer}")

    def hold(self):
        """Waits until nobody has said anything for a while: what was going on is over."""
        self._order(signal.SIGUSR1, "holding")

    def wait_held(self, timeout=5):
        """Both ends have said something since hold()."""
        wait_for(lambda: {"left", "right"} <= set(self._since_hold()), timeout,
                 lambda: f"both ends say something: {self._said()}")

    def release(self):
        self._order(signal.SIGUSR2, "passing")


def say(word):
    print(word, flush=True)


def main():
    wake, signals = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    signals.setblocking(False)
    signal.set_wakeup_fd(signals.fileno())
    for number in (signal.SIGUSR1, signal.SIGUSR2):
        signal.signal(number, lambda *_: None)
    ends = {}
    for name in ("left", "right"):
        ends[name] = end = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ALL))
        end.bind((name, ALL))
    others = {"left": ends["right"], "right": ends["left"]}
    held, seen, holding, wanted = [], set(), False, False
    say("ready")
    while True:
        ready, _, _ = select.select([wake, *ends.values()], [], [], QUIET if wanted else None)
        if not ready:
            wanted, holding = False, True
            seen.clear()
            say("holding")
        elif wake in ready and wake.recv(1)[0] == signal.SIGUSR1:
            wanted = True
        elif wake in ready:
            holding = False
            while held:
                name, frame = held.pop(0)
                others[name].send(frame)
            say("passing")
        for name, end in ends.items():
            if end not in ready:
                continue
            frame, origin = end.recvfrom(65536)
            if origin[2] == OUTGOING:
                continue
            if not holding:
                others[name].send(frame)
                continue
            held.append((name, frame))
            if name not in seen and frame[12:14] in (b"\x08\x00", b"\x86\xdd"):  # not ARP's
                seen.add(name)
                say(name)


if __name__ == "__main__":
    main()
