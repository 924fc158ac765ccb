"""A wire with somebody on it: frames between two namespaces pass through a third, where the test may look
at them, keep them, change them, send them again, and add its own.

    wire = Tamper(net, a, b, ((f"{A4}/24", f"{B4}/24"),))
    with wire.doing(lambda side, frame: [frame, frame] if side == "right" else None): ...
    wire.inject("right", frame)          # as if b had sent it

`left` is what a sends, `right` what b sends. Runs in a thread of the test; its sockets are in the
namespace in the middle.
"""

import contextlib
import ctypes
import os
import select
import socket
import threading

ALL = 3  # ETH_P_ALL
OUTGOING = 4  # PACKET_OUTGOING
CLONE_NEWNET = 0x40000000


def _sockets_in(namespace, names):
    """Packet sockets on the interfaces of a namespace; only the thread that opens them goes there."""
    made = {}

    def work():
        with open(f"/run/netns/{namespace.name}", "rb") as there:
            if ctypes.CDLL(None, use_errno=True).setns(there.fileno(), CLONE_NEWNET) != 0:
                return
        for name in names:
            made[name] = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ALL))
            made[name].bind((name, ALL))
            made[name].setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert len(made) == len(names), f"no sockets in {namespace.name}"
    return made


class Tamper:
    def __init__(self, net, a, b, pairs):
        """pairs: (address of a, address of b), with length; both have them on eth0."""
        middle = net.namespace("wire")
        middle.sysctl("net.ipv6.conf.all.disable_ipv6", 1)
        middle.sysctl("net.ipv6.conf.default.disable_ipv6", 1)
        for index, (host, name) in enumerate(((a, "left"), (b, "right"))):
            net.link(host, middle, name_b=name)
            # what is not on its way to hardware has no checksum yet, and is in larger pieces
            host.run(["ethtool", "-K", "eth0", "tx", "off", "gso", "off", "tso", "off"])
            for pair in pairs:
                host.add_address("eth0", pair[index])
        self.ends = _sockets_in(middle, ("left", "right"))
        self.hook = None
        self.lock = threading.Lock()
        self.wake, self.woken = os.pipe()
        self.thread = threading.Thread(target=self._work, daemon=True)
        self.thread.start()
        net.at_end(self._end)

    def _work(self):
        others = {"left": self.ends["right"], "right": self.ends["left"]}
        while True:
            ready, _, _ = select.select([self.wake, *self.ends.values()], [], [])
            if self.wake in ready:
                return
            for side, end in self.ends.items():
                if end not in ready:
                    continue
                frame, origin = end.recvfrom(65536)
                if origin[2] == OUTGOING:
                    continue
                with self.lock:
                    passing = self.hook(side, frame) if self.hook else None
                    for each in [frame] if passing is None else passing:
                        others[side].send(each)

    @contextlib.contextmanager
    def doing(self, hook):
        """hook(side, frame): the frames to pass on in its place; None: it as it is."""
        with self.lock:
            self.hook = hook
        try:
            yield
        finally:
            with self.lock:
                self.hook = None

    def inject(self, side, *frames):
        """As if that end had sent them."""
        other = self.ends["right" if side == "left" else "left"]
        with self.lock:
            for frame in frames:
                other.send(frame)

    def _end(self):
        os.write(self.woken, b".")
        self.thread.join(5)
        for end in self.ends.values():
            end.close()
        os.close(self.wake)
        os.close(self.woken)
